"""SIGSTOP of the primary under load: the backup takes over, and the old one does not speak again.

What the frozen one is asked is never acknowledged by it; after SIGCONT it becomes a ready backup.
"""

import signal
import time
import uuid

from contract import Client, pb
from pair import READY
from process import signal_pid
from takeover import DEDUPE, Load, expect_goals, gap_figures
from waiting import expect
from world import World

MEASURES = True
GOALS = {"max": 1500.0}
WIDE = {"max": 4000.0}  # a default run does not judge a busy machine


def heard_of(client, number):
    """Everything that this client hears about one request, until a moment of silence."""
    kinds = []
    while messages := client.receive(0.3):
        kinds += [message.WhichOneof("body") for message in messages
                  if message.request_id == number]
    return kinds


def one(pair, load, options):
    time.sleep(options.random.uniform(0.0, 0.3))  # the moment is the fault
    old, epoch = pair.primary(), pair.epoch()
    new, key = pair.other(old), uuid.uuid4().bytes
    with Client(old.endpoint, name="witness") as witness:
        signal_pid(old.process.pid, signal.SIGSTOP)
        try:
            number = witness.send(submit=pb.Submit(
                key=key, queue="parked", media_type="test", attributes=b"{}"))
            gap = load.prober.wait_taken(epoch)
            servings = old.process.log().count(" node.serving ")
        finally:
            signal_pid(old.process.pid, signal.SIGCONT)
        kinds = heard_of(witness, number)
        expect("ack" not in kinds, f"{old.name}, frozen and then overtaken, acknowledged a submit")
        pair.wait_role(old, READY)
        kinds += heard_of(witness, number)
        expect("ack" not in kinds, f"{old.name}, now a backup, acknowledged a submit")
    old.expect_alive()
    expect(old.process.log().count(" node.serving ") == servings,
           f"{old.name} served again after SIGCONT")
    expect(pair.wait_ready() is new, f"{new.name} serves no more")
    left = pair.world.postgres.value(
        "SELECT count(*) FROM ixn.interaction WHERE key = %s", key)
    expect(left == 0, f"what {old.name} was asked while it was frozen is in the database")
    return gap * 1000


def run(options):
    rounds = options.rounds or (30 if options.full else 4)
    with World(options, "freeze") as world:
        pair = world.start_pair(dedupe=DEDUPE)
        load = Load(pair, rate=3000)
        gaps = [one(pair, load, options) for _ in range(rounds)]
        result = load.finish()
        figures = gap_figures(gaps, GOALS)
        expect_goals(figures, GOALS if options.full else WIDE)
        return {"rounds": rounds, **figures, **result}
