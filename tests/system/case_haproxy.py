"""A real HAProxy with the pair's health checks follows a switchover and a dead primary.

Its configuration is deploy/haproxy.cfg with other ports, so that file is tested too.
"""

import os
import re
import shutil
import subprocess

from admin_port import start_pair
from contract import Client, pb
from process import free_port
from waiting import Skipped, expect, wait_for
from world import TOP, World



def configuration(pair, port):
    """deploy/haproxy.cfg for this pair."""
    with open(os.path.join(TOP, "deploy", "haproxy.cfg"), encoding="utf-8") as file:
        text = file.read()
    for node, host in ((pair.a, "192.0.2.1"), (pair.b, "192.0.2.2")):
        text = text.replace(f"{host}:7420", node.endpoint.removeprefix("tcp://"))
        text = text.replace(f"port 7430 # {node.name}", f"port {node.admin.port}")
        text = text.replace(f"{host}:7430", f"127.0.0.1:{node.admin.port}")
    text = text.replace("bind :7520", f"bind 127.0.0.1:{port}")
    expect("192.0.2." not in text and "7430" not in text, f"something was not replaced:\n{text}")
    return re.sub(r"^\s*(user|group|chroot|log) .*\n", "", text, flags=re.MULTILINE)


def asked(endpoint):
    """Name of the node behind the proxy, None: nobody."""
    with Client(endpoint, role=pb.OPERATOR, register=False) as client:
        answer = client.call(1, pair_status=pb.PairStatusRequest())
    return answer.pair_status.own.name if answer and answer.HasField("pair_status") else None


def submitted(endpoint):
    """A submit by a connection of its own. Until both health checks have seen the change, the proxy
    may still lead to the old primary, which refuses."""
    with Client(endpoint, role=pb.OPERATOR, name="behind", register=False) as client:
        answer = client.register(1)
        if not answer or not answer.HasField("registered"):
            return False
        answer = client.submit(seconds=1)
        return answer and answer.HasField("ack")


def run(options):
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if not program:
        raise Skipped("haproxy is not installed (deploy/install.sh --only haproxy)")
    with World(options, "haproxy") as world:
        pair = start_pair(world)
        port = free_port()
        path = world.path("haproxy.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(configuration(pair, port))
        done = subprocess.run([program, "-c", "-f", path], capture_output=True, timeout=120,
                              check=False)
        expect(done.returncode == 0 and b"WARN" not in done.stderr.upper(),
               f"haproxy -c: {done.stderr.decode()}")
        proxy = world.spawn_command("haproxy", [program, "-db", "-f", path])
        proxy.stop = proxy.kill  # on SIGTERM it ends with 143
        endpoint = f"tcp://127.0.0.1:{port}"
        first = pair.primary()
        wait_for("the primary behind the proxy", lambda: asked(endpoint) == first.name)
        second = pair.other(first)
        first.admin.done("/v1/pair/switchover", {"reason": "a test"})
        wait_for("the new primary behind the proxy", lambda: asked(endpoint) == second.name)
        wait_for("a submit through the proxy", lambda: submitted(endpoint))
        pair.wait_ready()
        second.kill()
        wait_for("the survivor behind the proxy", lambda: asked(endpoint) == first.name)
        return {"followed": 2}
