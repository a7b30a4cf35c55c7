"""What the pair's cases measure and check finds what it must find.

Made-up answers with a known gap, a frame or a token beyond its epoch, a log out of order, an answer
that does not fit it, a figure above its goal, a role that never comes, a side that changes. Then a
real pair that must not take over by itself: its backup stays one when the primary is killed, and a
switchover is a change of sides.
"""

import json
import uuid

from checks import Record, check_epochs
from history import History, check_told, entry_pb
from pair import Pair, Prober, Sides, gap_of_epoch, longest_gap, percentile
from takeover import expect_goals, gap_figures
from waiting import Failure, expect
from world import World

MANUAL_SECONDS = 3.0  # of silence, after which any other backup would have taken over
EPOCHS = [(1, 1), (2, 101), (4, 201)]


def expect_failure(words, action):
    try:
        action()
    except Failure as failure:
        expect(words in str(failure), f"expected a failure with \"{words}\", found: {failure}")
        return
    raise Failure(f"nothing found what breaks \"{words}\"")


def check_gaps():
    acks = [{"at": at, "epoch": epoch} for at, epoch in
            ((1.0, 1), (1.01, 1), (1.25, 2), (1.26, 2), (1.9, 2), (1.91, 3))]
    expect(abs(gap_of_epoch(acks, 1) - 0.24) < 1e-9, "the gap of epoch 1 is not 0.24 s")
    expect(abs(gap_of_epoch(acks, 2) - 0.01) < 1e-9, "the gap of epoch 2 is not 0.01 s")
    expect_failure("no answer before", lambda: gap_of_epoch(acks, 0))
    times = [ack["at"] for ack in acks]
    expect(abs(longest_gap(times, 0.0, 1.92) - 0.64) < 1e-9, "the longest gap is not 0.64 s")
    expect(abs(longest_gap(times, 1.905, 1.92) - 0.01) < 1e-9, "a gap from before counts")
    expect(abs(longest_gap(times, 1.5, 4.91) - 3.0) < 1e-9, "a silence that lasts does not count")
    expect_failure("nothing was measured", lambda: longest_gap([], 0.0, 1.0))
    expect([percentile(range(1, 101), share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
           and percentile([7.0], 0.5) == 7.0, "percentile is not the nearest rank")
    figures = gap_figures([100.0] * 18 + [400.0, 900.0])
    expect_goals(figures, {"p50": 100.0, "p95": 400.0, "max": 900.0})
    expect_failure("p50", lambda: expect_goals(figures, {"p50": 99.0}))
    expect_failure("p95", lambda: expect_goals(figures, {"p95": 399.0}))


def check_log(world):
    def record(*entries):
        path = world.path("made-up.jsonl")
        with open(path, "w", encoding="ascii") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)
        return Record(path)

    def frame(epoch, index):
        return record({"event": "acknowledged", "key": "00", "id": "1", "epoch": epoch,
                       "index": index})

    def token(epoch, index):
        return record({"event": "completed", "id": "1", "epoch": epoch, "index": index})

    # Before its first commit a node says where the log ended.
    for good in (frame(1, 100), frame(2, 100), frame(2, 200), frame(4, 5000), token(2, 101)):
        check_epochs(good, EPOCHS)
    for bad in (frame(1, 101), frame(2, 99), frame(3, 150), token(2, 100), token(1, 101)):
        expect_failure("(P4)", lambda bad=bad: check_epochs(bad, EPOCHS))


def check_made_up_log(world):
    """Each rule of history.py finds what breaks it."""
    ids = [uuid.UUID(int=number) for number in range(3)]

    def log(*steps):
        """Of (kind, number of an interaction, fields); entry by entry, all in epoch 1."""
        history = History()
        for index, (kind, number, fields) in enumerate(steps, 1):
            entry = entry_pb.Entry()
            body = getattr(entry, kind)
            body.SetInParent()
            body.interaction_id = ids[number].bytes
            for name, value in fields.items():
                setattr(body, name, value)
            history.take(index, 1, entry)
        return history

    def submitted(number, priority=0, held=False):
        return "submitted", number, {"queue": "q", "priority": priority, "held": held}

    def dispatched(number, router="r1"):
        return "dispatched", number, {"router": router}

    stopped = ("stopped", 0, {"by": "r1"})
    good = (submitted(0), submitted(1, priority=1), dispatched(1), dispatched(0),
            ("returned", 1, {}), submitted(2), dispatched(1, "r2"), stopped)
    history = log(*good)
    for words, steps in (
            ("(P2)", (submitted(0), submitted(0))),
            ("(P3)", (submitted(0, held=True), dispatched(0))),
            ("(P3)", (submitted(0), dispatched(0), dispatched(0, "r2"))),
            ("(P3)", (submitted(0), submitted(1), dispatched(0, "r2"), dispatched(1), stopped)),
            ("(P3)", (submitted(0), dispatched(0), stopped, ("returned", 0, {}))),
            ("(P7)", (submitted(0), submitted(1), dispatched(1))),
            ("(P7)", (submitted(0), submitted(1, priority=1), dispatched(0))),
            ("(P7)", (*good[:6], dispatched(2)))):
        expect_failure(words, lambda steps=steps: log(*steps))

    def told(*events):
        path = world.path("made-up-told.jsonl")
        with open(path, "w", encoding="ascii") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)
        check_told(history, Record(path))

    def ack(number, index, epoch=1):
        return {"event": "acknowledged", "key": str(number), "id": str(ids[number]),
                "epoch": epoch, "index": index}

    def completed(number, index):
        return {"event": "completed", "id": str(ids[number]), "epoch": 1, "index": index}

    told(ack(0, 1), ack(1, 2), ack(2, 8, epoch=2), completed(0, 4), completed(1, 7))
    for words, events in (("(P3)", [completed(0, 3)]), ("(P1)", [ack(1, 1)]),
                          ("(P4)", [ack(0, 4), ack(1, 5)]), ("(P4)", [ack(0, 1, 2), ack(1, 2)])):
        expect_failure(words, lambda events=events: told(*events))


class MadeUpProcess:
    def __init__(self):
        self.text = "x node.serving epoch=1\n"

    def log(self):
        return self.text

    def log_end(self):
        return self.text


class MadeUpNode:
    def __init__(self, name):
        self.name = name
        self.process = MadeUpProcess()


class MadeUpPair(Pair):
    """A pair without nodes: what they would say is a table."""

    patience = 0

    def __init__(self):  # nothing of a real one
        self.a, self.b = self.nodes = [MadeUpNode("node-a"), MadeUpNode("node-b")]
        self.roles = {"node-a": "primary-paired", "node-b": "backup-ready"}
        self.number = 1

    def role(self, node):
        return self.roles[node.name]

    def status(self, node, seconds=1):
        return None

    def epoch(self):
        return self.number


def check_sides():
    pair = MadeUpPair()
    sides = Sides(pair)
    sides.expect_same()
    pair.roles["node-a"] = "primary-alone"  # sight of the backup is lost: no change of sides
    sides.expect_same()
    expect(pair.wait_role(pair.a, "primary-alone", seconds=0), "a role that is there is not found")
    expect_failure("node-b being fenced", lambda: pair.wait_role(pair.b, "fenced", seconds=0))
    pair.roles["node-b"] = "taking-over"
    expect_failure("node-b is taking-over", sides.expect_same)
    pair.roles["node-b"] = "backup-ready"
    pair.number = 2
    expect_failure("somebody took over", sides.expect_same)
    pair.number = 1
    pair.b.process.text += "x node.serving epoch=1\n"
    expect_failure("began to serve", sides.expect_same)
    pair.roles = {"node-a": "backup-ready", "node-b": "backup-ready"}
    expect_failure("a node that serves: not", lambda: Sides(pair))


def check_manual(world):
    """Expectations that are wrong of this pair fail, and those that are right of it do not."""
    pair = world.start_pair(pair={"failover": "manual"})
    prober = Prober(pair)
    sides, epoch = Sides(pair), pair.epoch()
    sides.hold(0.2)
    expect_failure(f"above {epoch}", lambda: prober.wait_taken(epoch, seconds=0.2))
    sides.primary.kill()
    sides.hold(MANUAL_SECONDS)
    expect_failure("a submit acknowledged in an epoch above",
                   lambda: prober.wait_taken(epoch, seconds=0.2))
    expect(prober.longest_gap(0) > MANUAL_SECONDS - 0.5, "the prober heard a node that is dead")
    sides.primary.start(wait=False)
    pair.wait_ready()
    sides = Sides(pair)
    pair.ctl("switchover", "--wait")
    pair.wait_ready()
    expect_failure(", it was ", sides.expect_same)
    prober.wait_acks(10)
    prober.stop()


def run(options):
    with World(options, "pair-checker") as world:
        check_gaps()
        check_log(world)
        check_made_up_log(world)
        check_sides()
        check_manual(world)
    return {}
