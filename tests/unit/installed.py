#!/usr/bin/python3
"""What `cmake --install` puts where, in an empty folder; the unit is one that systemd takes.

    installed.py BUILD
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

FILES = [
    "bin/ixnd", "bin/ixnctl", "bin/ixn-router", "bin/ixn-app", "bin/ixn-bench",
    "lib/systemd/system/ixnd.service", "lib/sysusers.d/ixn.conf",
    "share/man/man8/ixnd.8", "share/man/man1/ixnctl.1", "share/man/man5/ixnd.yaml.5",
    "share/bash-completion/completions/ixnctl",
    "share/ixn/prometheus/ixn-rules.yaml", "share/ixn/grafana/ixn-pair.json",
    "share/doc/ixn/examples/ixnd.yaml", "share/doc/ixn/examples/haproxy.cfg",
]
EXPOSURE = 15  # tenths, of systemd-analyze security; docs/operations.md has the figure


def fail(text):
    print(text)
    sys.exit(1)


def check_unit(root):
    unit = os.path.join(root, "lib/systemd/system/ixnd.service")
    with open(unit, encoding="utf-8") as file:
        text = file.read()
    for program in set(re.findall(r"^Exec\w+=(/usr/\S+)", text, re.M)):
        if not os.access(program.replace("/usr", root, 1), os.X_OK):
            fail(f"{unit} starts {program}, which is not installed")
    if not shutil.which("systemd-analyze"):
        return
    judged = subprocess.run(["systemd-analyze", "security", "--offline=yes",
                             f"--threshold={EXPOSURE}", unit], capture_output=True, text=True)
    if judged.returncode != 0:
        fail(f"systemd-analyze security, at most {EXPOSURE / 10}: "
             f"{judged.stdout.strip()[-300:]} {judged.stderr}")
    unknown = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                             text=True).stderr
    wrong = [line for line in unknown.splitlines()
             if "ixnd.service" in line and "is not executable" not in line]
    if wrong:
        fail("\n".join(wrong))


def main():
    build = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="ixn-installed-") as folder:
        subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": folder})
        root = os.path.join(folder, "usr")
        missing = [name for name in FILES if not os.path.isfile(os.path.join(root, name))]
        if missing:
            fail(f"not installed: {', '.join(missing)}")
        version = subprocess.run([os.path.join(root, "bin/ixnd"), "--version"], check=True,
                                 capture_output=True, text=True).stdout
        if not version.startswith("ixnd "):
            fail(f"the installed ixnd says {version}")
        check_unit(root)


main()
