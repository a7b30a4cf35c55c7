"""What systemd sees of a node: ready, its role, signs of life, reloads, its end; its journal.

The node is started as a unit of type notify is, with a socket of the test's own in systemd's place.
Then one whose standard error is a journal's stream, and one that dies: with its last words.
"""

import os
import re
import signal
import socket

from process import signal_pid
from waiting import PATIENT, expect, now, wait_for
from world import Node, World

WATCHDOG_SECONDS = 0.6


class Manager:
    """Hears what a unit says (sd_notify(3))."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.lines = []

    @property
    def environment(self):
        return ["env", f"NOTIFY_SOCKET={self.path}",
                f"WATCHDOG_USEC={int(WATCHDOG_SECONDS * 1e6)}"]

    def hear(self, seconds=0.0):
        self.socket.settimeout(max(seconds, 0.001))
        try:
            self.lines += self.socket.recv(4096).decode().splitlines()
            self.socket.settimeout(0.001)
            while True:
                self.lines += self.socket.recv(4096).decode().splitlines()
        except TimeoutError:
            pass
        return self.lines

    def wait(self, what):
        wait_for(f"the node saying {what}", lambda: what in self.hear(), PATIENT)

    def forget(self):
        self.hear()
        self.lines.clear()


def notifies(world, node, manager):
    manager.wait("READY=1")
    manager.wait("STATUS=primary-alone, epoch 1")
    manager.forget()
    manager.wait("WATCHDOG=1")
    signal_pid(node.process.pid, signal.SIGSTOP)
    manager.forget()
    expect(not manager.hear(2 * WATCHDOG_SECONDS), "a node that stands still gave a sign of life")
    signal_pid(node.process.pid, signal.SIGCONT)
    manager.wait("WATCHDOG=1")
    signal_pid(node.process.pid, signal.SIGHUP)
    manager.wait("RELOADING=1")
    manager.wait("READY=1")
    expect(manager.lines.index("RELOADING=1") < manager.lines.index("READY=1"),
           f"ready before it reloaded: {manager.lines}")
    node.process.stop()
    manager.wait("STOPPING=1")


def journal(world, node):
    """Standard error is the journal's own stream: JOURNAL_STREAM has its device and inode."""
    log = os.path.join(world.folder, f"{node.name}.log")
    os.truncate(log, 0)
    status = os.stat(log)
    node.prefix = ["env", f"JOURNAL_STREAM={status.st_dev}:{status.st_ino}"]
    node.start()
    node.process.stop()
    with open(log, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith("# ")]
    wrong = [line for line in lines if not re.match(r"<[3467]>(error|warning|info|debug) \S", line)]
    expect(lines and not wrong, f"lines without a priority: {wrong[:3]}")
    return len(lines)


def last_words(world, node):
    """As the watchdog ends it: the newest lines are there, and where it was."""
    node.prefix = []
    node.start()
    signal_pid(node.process.pid, signal.SIGABRT)
    code = node.process.wait()
    node.process.kill()  # it may have ended like that
    expect(code == -signal.SIGABRT, f"it ended with {code}")
    for words in (r"^log\.last_words signal=06$", r"^\| \S+ info node\.serving ",
                  r"ixnd\(.*\[0x"):
        expect(re.search(words, node.process.log(), re.M),
               f"no line \"{words}\" in its last words:\n{node.process.log_end()}")


def run(options):
    with World(options, "supervised") as world:
        began = now()
        manager = Manager(os.path.join(world.folder, "notify"))
        world.start_database(pgbouncer=False)
        node = Node(world)
        node.init_database()
        node.prefix = manager.environment
        node.start()
        notifies(world, node, manager)
        lines = journal(world, node)
        last_words(world, node)
        return {"journal_lines": lines, "supervised_s": now() - began}
