"""Namespaces: a network of its own for one case, with cuts that are real.

The hosts a and b (nodes), d (database) and c (clients) are network namespaces, each joined by a
veth pair to one bridge in a further namespace; nothing of it reaches the outside. A cut that drops
is a rule in the bridge, so packets vanish on the way. A cut that resets is a rule at the sender, so
each packet it sends closes its connection. A path that loses packets is a rule by chance in the
bridge; a thin one is a token bucket (tc) at the sender, whose queue is what delays. Everything is
named after this process and removed at
exit; what a killed harness left behind is removed by the next one."""

import ctypes
import os
import re

from process import run
from waiting import Failure, Skipped

HOSTS = ("a", "b", "c", "d")
SWITCH = "s"
CLONE_NEWNET = 0x40000000
_NAME = re.compile(r"^ixn(\d+)-[a-ds]$")
_libc = ctypes.CDLL(None, use_errno=True)


def _sweep():
    """Removes namespaces of harnesses that were killed."""
    for line in run(["ip", "netns", "list"])[0].splitlines():
        match = _NAME.match(line.split()[0]) if line.strip() else None
        if match and not os.path.exists(f"/proc/{match.group(1)}"):
            run(["ip", "netns", "del", match.group(0)], check=False)


class Namespaces:
    """Give it to World.use_network; `address` says where a host is."""

    def __init__(self, world):
        if os.geteuid() != 0:
            raise Skipped("network namespaces need root")
        self.made = []
        self.thinned = set()
        world.at_exit.append(self.remove)
        try:
            _sweep()
            self._allowed()
        except (Failure, OSError) as error:
            raise Skipped(f"no network namespaces here: {error}") from None
        self._make()

    def name(self, host):
        return f"ixn{os.getpid()}-{host}"

    @staticmethod
    def address(host):
        return f"10.177.0.{HOSTS.index(host) + 1}"

    def prefix(self, host):
        """What a command begins with to run there; the program keeps the process' number."""
        return ["ip", "netns", "exec", self.name(host)]

    def inside(self, host):
        """`with network.inside("c"):` this thread, and threads that it starts, are there."""
        return _Inside(self.name(host))

    def _add(self, host):
        run(["ip", "netns", "add", self.name(host)])
        self.made.append(self.name(host))

    def _allowed(self):
        """Makes the switch: where that works, the rest does, or is a failure."""
        self._add(SWITCH)
        run(["ip", "-n", self.name(SWITCH), "link", "add", "bridge", "type", "bridge"])
        run([*self.prefix(SWITCH), "nft", "list ruleset"])

    def _make(self):
        for host in HOSTS:
            self._add(host)
            run(["ip", "-n", self.name(host), "link", "set", "lo", "up"])
        switch = self.name(SWITCH)
        run(["ip", "-n", switch, "link", "set", "bridge", "up"])
        self._nft(SWITCH, "add table bridge cuts; add chain bridge cuts paths "
                  "{ type filter hook prerouting priority 0; }")
        for host in HOSTS:
            name = self.name(host)
            run(["ip", "link", "add", "net", "netns", name, "type", "veth",
                 "peer", "name", f"to-{host}", "netns", switch])
            run(["ip", "-n", switch, "link", "set", f"to-{host}", "master", "bridge", "up"])
            run(["ip", "-n", name, "address", "add", f"{self.address(host)}/24", "dev", "net"])
            run(["ip", "-n", name, "link", "set", "net", "up"])
            self._nft(host, "add table inet cuts; add chain inet cuts paths "
                      "{ type filter hook output priority 0; }")

    def _nft(self, host, commands):
        run([*self.prefix(host), "nft", commands])

    def cut(self, one, other, mode="drop", oneway=False):
        """No packet from `one` reaches `other` any more, nor back, unless `oneway`."""
        if mode not in ("drop", "reset"):
            raise ValueError(f"no way to cut called {mode}; there are: drop, reset")
        for source, target in [(one, other)] if oneway else [(one, other), (other, one)]:
            to = f"ip daddr {self.address(target)}"
            if mode == "drop":
                self._nft(SWITCH, f"add rule bridge cuts paths ip saddr {self.address(source)} "
                          f"{to} drop")
            else:
                self._nft(source, f"add rule inet cuts paths {to} meta l4proto tcp "
                          "reject with tcp reset")

    def isolate(self, host):
        """Its machine is gone, as far as anybody can tell."""
        for other in HOSTS:
            if other != host:
                self.cut(host, other)

    def lose(self, one, other, percent):
        """Of the packets between the two so many are lost, in both directions."""
        for source, target in [(one, other), (other, one)]:
            self._nft(SWITCH, f"add rule bridge cuts paths ip saddr {self.address(source)} "
                      f"ip daddr {self.address(target)} numgen random mod 100 < {percent} drop")

    def thin(self, host, kbit, latency_ms):
        """All that the host sends goes through so narrow a line, and waits at most so long."""
        self.thinned.add(host)
        run(["tc", "-n", self.name(host), "qdisc", "add", "dev", "net", "root", "tbf", "rate",
             f"{kbit}kbit", "burst", "10k", "latency", f"{latency_ms}ms"])

    def heal(self):
        """Every cut is over."""
        while self.thinned:
            run(["tc", "-n", self.name(self.thinned.pop()), "qdisc", "del", "dev", "net", "root"])
        self._nft(SWITCH, "flush chain bridge cuts paths")
        for host in HOSTS:
            self._nft(host, "flush chain inet cuts paths")

    def remove(self):
        while self.made:
            run(["ip", "netns", "del", self.made.pop()])


class _Inside:
    def __init__(self, name):
        self.name = name

    def _enter(self, file):
        if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise Failure(f"setns({self.name}): {os.strerror(ctypes.get_errno())}")

    def __enter__(self):
        self.home = open("/proc/thread-self/ns/net", "rb")
        with open(f"/run/netns/{self.name}", "rb") as there:
            self._enter(there)

    def __exit__(self, *_):
        self._enter(self.home)
        self.home.close()
