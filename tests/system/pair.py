"""Pair: two nodes on one database, and a prober that measures what clients see of a take-over."""

import json
import math
import os
import sys

import zmq

from contract import Client, pb
from process import free_port
from waiting import Failure, expect, now, wait_for
from world import Node

READY, ALONE, PAIRED = "backup-ready", "primary-alone", "primary-paired"
READY_SECONDS = 60
HERE = os.path.dirname(os.path.abspath(__file__))


def percentile(values, share):
    """Nearest rank: the value that at least this share of all is not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Pair:
    """node-a and node-b. With a network they are its hosts a and b, and clients are on c."""

    patience = READY_SECONDS

    def __init__(self, world, network=None, daps=None, **overrides):
        """`daps(node)`: the node's own, as in its configuration."""
        self.world = world
        self.network = network
        key = world.path("pair.key")
        world.ctl("pair", "keygen", key)
        hosts = {"node-a": "a", "node-b": "b"}
        address = {name: network.address(host) if network else "127.0.0.1"
                   for name, host in hosts.items()}
        peers = {name: f"tcp://{address[name]}:{free_port()}" for name in hosts}
        given = dict(overrides)
        section = given.pop("pair", {})
        self.nodes = []
        for name, other in (("node-a", "node-b"), ("node-b", "node-a")):
            pair = {"bind": peers[name], "peer": peers[other], "certificate": key,
                    "preferred": name == "node-a", **section}
            node = Node(world, name, address=address[name], pair=pair, **given)
            node.prefix += network.prefix(hosts[name]) if network else []
            node.host = hosts[name]
            if daps:
                node.config["database"]["daps"] = daps(node)
                node.write_config()
            self.nodes.append(node)
        self.a, self.b = self.nodes
        self.context = None
        if network:
            # The threads of a context are made with its first socket, and stay where that was.
            with network.inside("c"):
                self.context = zmq.Context()
                self.context.socket(zmq.DEALER).close()
            world.at_exit.append(lambda: self.context.destroy(linger=0))
        self.client_prefix = network.prefix("c") if network else []

    @property
    def node_arguments(self):
        return [text for node in self.nodes for text in node.node_arguments]

    def other(self, node):
        return self.b if node is self.a else self.a

    # -- how it stands

    def status(self, node, seconds=1):
        """What a node says of the pair (PairStatus), None when it says nothing."""
        if not node.process or not node.process.alive():
            return None
        with Client(node.endpoint, register=False, context=self.context) as client:
            answer = client.call(seconds, pair_status=pb.PairStatusRequest())
        return answer.pair_status if answer and answer.HasField("pair_status") else None

    def role(self, node):
        status = self.status(node)
        return status.own.role if status else None

    def _is(self, side):
        return next((node for node in self.nodes
                     if (self.role(node) or "").startswith(side)), None)

    def is_primary(self):
        """The node that serves now, None when none says so."""
        return self._is("primary-")

    def is_backup(self):
        return self._is("backup-")

    def primary(self):
        """The node that serves; waits for one."""
        return self.wait("a node that serves", self.is_primary, self.patience)

    def backup(self):
        return self.wait("a node that is the backup", self.is_backup, self.patience)

    def describe(self):
        """For a failure: how both stand, with the ends of their logs."""
        lines = []
        for node in self.nodes:
            status = self.status(node)
            lines.append(f"{node.name}: " + (f"{status.own.role} ready={status.own.ready} "
                         f"readiness=\"{status.own.readiness}\" link={status.link} "
                         f"epoch={status.epoch}" if status else "silent"))
            if node.process:
                lines.append(node.process.log_end())
        return "\n".join(lines)

    def wait(self, what, condition, seconds):
        try:
            return wait_for(what, condition, seconds)
        except Failure as failure:
            raise Failure(f"{failure}\n{self.describe()}") from None

    def wait_role(self, node, *roles, seconds=READY_SECONDS):
        return self.wait(f"{node.name} being {' or '.join(roles)}",
                         lambda: self.role(node) in roles, seconds)

    def level(self):
        """The primary when it serves with a backup that could take over now, otherwise None."""
        seen = {node: self.status(node) for node in self.nodes}
        if not all(seen.values()):
            return None
        roles = {status.own.role: node for node, status in seen.items()}
        ready = READY in roles and PAIRED in roles and seen[roles[READY]].own.ready
        return roles[PAIRED] if ready else None

    def wait_ready(self, seconds=READY_SECONDS):
        """Until the pair is whole; the primary then."""
        return self.wait("a primary with a backup that is ready", self.level, seconds)

    # -- starting

    def start(self):
        self.a.init_database()
        for node in self.nodes:
            node.start(wait=False)
        self.wait_ready()
        return self

    def ctl(self, *arguments, seconds=120, check=True):
        return self.world.ctl(*self.node_arguments, *arguments, seconds=seconds, check=check,
                              prefix=self.client_prefix)

    def epoch(self):
        return self.world.postgres.value("SELECT max(epoch) FROM ixn.epoch")


class Sides:
    """Who serves and who follows, and that nothing of it changes. (Alone or paired is no change: a
    primary may lose sight of its backup.)"""

    def __init__(self, pair):
        self.pair = pair
        self.primary = pair.primary()
        self.backup = pair.other(self.primary)
        self.epoch = pair.epoch()
        self.servings = self._servings()

    def _servings(self):
        return [node.process.log().count(" node.serving ") for node in self.pair.nodes]

    def expect_same(self):
        for node, side in ((self.primary, "primary-"), (self.backup, "backup-")):
            role = self.pair.role(node)
            expect(role is None or role.startswith(side),
                   f"{node.name} is {role}, it was {side}…\n{self.pair.describe()}")
        epoch = self.pair.epoch()
        expect(epoch == self.epoch, f"the epoch is {epoch}, it was {self.epoch}: "
               "somebody took over")
        expect(self._servings() == self.servings, "a node began to serve anew")

    def hold(self, seconds):
        """For as long as a fault lasts."""
        end = now() + seconds
        while now() < end:
            self.expect_same()


class Prober:
    """The program prober.py in the background, and what it has heard so far."""

    def __init__(self, pair):
        self.pair = pair
        self.path = pair.world.path(f"prober-{len(pair.world.processes)}.jsonl")
        self.process = pair.world.spawn_command(
            "prober", [*pair.client_prefix, sys.executable, os.path.join(HERE, "prober.py"),
                       self.path, *[node.endpoint for node in pair.nodes]])
        self.entries = []
        self.offset = 0
        self.wait_acks(10)

    def read(self):
        if os.path.exists(self.path):
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read()
            data = data[:data.rfind(b"\n") + 1]
            self.offset += len(data)
            self.entries += [json.loads(line) for line in data.splitlines()]
        return self.entries

    def acks(self):
        return [entry for entry in self.read() if entry["event"] == "acknowledged"]

    def wait_acks(self, count, seconds=60):
        """Until it has heard so many more."""
        known = len(self.acks())
        self.pair.wait(f"{count} more submits acknowledged",
                       lambda: len(self.acks()) >= known + count, seconds)

    def wait_taken(self, epoch, seconds=60):
        """Until it has an answer of an epoch above this one; the seconds between the last one of
        before and that."""
        self.pair.wait(f"a submit acknowledged in an epoch above {epoch}",
                       lambda: (acks := self.acks()) and acks[-1]["epoch"] > epoch, seconds)
        return gap_of_epoch(self.acks(), epoch)

    def longest_gap(self, since):
        """Longest time without an answer, from the last one before `since` until now."""
        return longest_gap([entry["at"] for entry in self.acks()], since, now())

    def stop(self):
        self.process.stop(40)
        errors = [entry for entry in self.read() if entry["event"] == "error"]
        expect(not errors, f"the prober heard {len(errors)} errors, such as {errors[:2]}")


def gap_of_epoch(acks, epoch):
    """Seconds from the last answer of this epoch, or an earlier one, to the first of a later."""
    after = next(number for number, ack in enumerate(acks) if ack["epoch"] > epoch)
    expect(after > 0, f"no answer before the take-over of epoch {epoch}")
    return acks[after]["at"] - acks[after - 1]["at"]


def longest_gap(times, since, until):
    """Longest distance of neighbours among `times` and `until`, where it ends after `since`."""
    expect(times, "no submit was acknowledged: nothing was measured")
    ends = [*times[1:], max(until, times[-1])]
    return max((end - begin for begin, end in zip(times, ends) if end > since), default=0.0)
