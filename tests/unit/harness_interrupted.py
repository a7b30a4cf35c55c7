#!/usr/bin/env python3
"""The harness of the system's cases (tests/system), interrupted just where a case ends: what the
case began is ended all the same, once, and nothing is left of it.

    harness_interrupted.py SOURCE_FOLDER
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import types

WHERE = ("begin", "exit", "mask", "end")


def interrupt():
    os.kill(os.getpid(), signal.SIGTERM)


def before(owner, name):
    """An interrupt comes when this is called, before it has done anything."""
    real = getattr(owner, name)

    def interrupted(*arguments):
        setattr(owner, name, real)
        interrupt()
        return real(*arguments)

    setattr(owner, name, interrupted)


def run_case(where, logs):
    """In a process of its own: the harness with one case that does nothing."""
    import run
    from world import World

    def case(options):
        world = World(options, "nothing")
        world.at_exit.append(lambda: print("ended", flush=True))
        with world:
            return {}

    sys.modules["case_nothing"] = types.SimpleNamespace(run=case)
    run.case_names = lambda: ["nothing"]
    sys.argv = ["run.py", "--logs", logs, "nothing"]
    before(*{"begin": (World, "__enter__"), "exit": (World, "__exit__"),
             "mask": (signal, "pthread_sigmask"), "end": (World, "_end")}[where])
    return run.main()


def check(where):
    """What is wrong, an empty text when nothing is."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as logs:
        done = subprocess.run([sys.executable, __file__, sys.argv[1], where, logs], check=False,
                              capture_output=True, text=True, timeout=120,
                              env={**os.environ, "TMPDIR": folder})
        left = os.listdir(folder)
        ended = done.stdout.splitlines().count("ended")
        if (done.returncode, ended, left) == (130, 1, []):
            return ""
        return (f"interrupted at {where}: code {done.returncode}, 130 is expected; ended {ended} "
                f"times, once is expected; left behind: {left}\n{done.stdout}{done.stderr}")


def main():
    sys.path.insert(0, str(pathlib.Path(sys.argv[1]).resolve() / "tests" / "system"))
    if len(sys.argv) > 2:
        return run_case(*sys.argv[2:4])
    problems = [problem for problem in map(check, WHERE) if problem]
    print("\n".join(problems) or f"{len(WHERE)} interrupts, nothing left behind")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
