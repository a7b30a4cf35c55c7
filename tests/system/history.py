"""History: the log of a run, read from ixn.journal, and what clients were told held against it.

Shares nothing with the node but the contract of the log (core/wire/entry.proto). Only what is left
of the log is looked at, and of that the newest entries; an interaction that was made before is not
judged.
"""

import heapq
import uuid

from contract import generate
from waiting import expect

entry_pb = generate("entry.proto")
MOST = 100000  # entries that are read: about a second


class Interaction:
    def __init__(self, index, entry):
        self.submitted = self.age = index
        self.queue = (entry.tenant, entry.queue)
        self.priority = entry.priority
        self.waits = not entry.held
        self.router = None  # that has it
        self.tokens = set()
        self.done = False

    def place(self):
        return (-self.priority, self.age)


class History:
    """The interactions of a log, entry by entry, and what must be true of each (P3, P7)."""

    def __init__(self):
        self.known = {}
        self.lines = {}  # of each queue: a heap of (place, id); what has left is dropped when met
        self.routers = set()
        self.entries = 0

    def _line_up(self, name):
        interaction = self.known[name]
        if interaction.waits and not interaction.router and not interaction.done:
            heapq.heappush(self.lines.setdefault(interaction.queue, []),
                           (interaction.place(), name))

    def _first(self, queue):
        line = self.lines.get(queue, [])
        while line:
            place, name = line[0]
            interaction = self.known[name]
            if (interaction.queue == queue and interaction.place() == place and interaction.waits
                    and not interaction.router and not interaction.done):
                return name
            heapq.heappop(line)
        return None

    def take(self, index, epoch, entry):
        self.entries += 1
        kind = entry.WhichOneof("body")
        body = getattr(entry, kind) if kind else None
        name = getattr(body, "interaction_id", b"")
        if kind == "submitted":
            expect(name not in self.known, f"entry {index} makes an interaction anew (P2)")
            self.known[name] = Interaction(index, body)
        elif name in self.known and hasattr(self, f"_{kind}"):
            interaction = self.known[name]
            expect(not interaction.done, f"entry {index} ({kind}) changes what is completed (P3)")
            getattr(self, f"_{kind}")(index, epoch, interaction, body)
        else:
            return
        self._line_up(name)

    def _dispatched(self, index, epoch, interaction, body):
        expect(interaction.waits and not interaction.router,
               f"entry {index} hands out what does not wait (P3)")
        first = self._first(interaction.queue)
        place = self.known[first].place() if first else None
        expect(place == interaction.place(),
               f"entry {index} hands out {interaction.place()} of {interaction.queue} (priority, "
               f"place in line), but {place} is first (P7)")
        interaction.router = body.router
        interaction.tokens.add((epoch, index))
        self.routers.add(body.router)

    def _result(self, index, interaction, by):
        expect(by not in self.routers or by == interaction.router,
               f"entry {index} is a result of {by}, the work is with {interaction.router} (P3)")
        interaction.router = None

    def _placed(self, index, _, interaction, body):
        self._result(index, interaction, body.by)
        if interaction.queue[1] != body.queue:
            interaction.age = index
        interaction.queue = (interaction.queue[0], body.queue)
        interaction.waits = True
        if body.HasField("priority"):
            interaction.priority = body.priority

    def _stopped(self, index, _, interaction, body):
        self._result(index, interaction, body.by)
        interaction.done = True

    def _returned(self, index, _, interaction, body):
        interaction.router = None
        interaction.waits = not body.quarantined

    def _held_changed(self, index, _, interaction, body):
        interaction.waits = not body.held

    def _changed(self, index, _, interaction, body):
        if body.HasField("priority"):
            interaction.priority = body.priority


def check_told(history, record):
    """P3, P4: a result that was taken has a token of the log, for that very interaction. P1, P4: an
    answer came when its entry was durable; and a client that asks one thing after the other has
    each decided after the answer to the one before."""
    for name, tokens in record.completed.items():
        interaction = history.known.get(uuid.UUID(name).bytes)
        if interaction:
            strange = [token for token in tokens if token not in interaction.tokens]
            expect(not strange, f"a result of {name} was taken under {strange}; the log handed it "
                   f"out as {sorted(interaction.tokens)} (P3)")
    for answers in record.answers.values():
        before = (0, 0)
        for epoch, index, name in answers:
            interaction = history.known.get(uuid.UUID(name).bytes)
            expect(epoch >= before[0], f"{name} is answered in epoch {epoch}, after {before} (P4)")
            if interaction:
                made = interaction.submitted
                expect(made <= index, f"{name} is entry {made}, and was told at {index} (P1)")
                expect(epoch > before[0] or made > before[1],
                       f"{name} is entry {made}, though it was asked after {before} (P4)")
            before = (epoch, index)


def read_log(world, most=MOST):
    history = History()
    rows = world.postgres.query(
        "SELECT first_index, epoch, entries FROM ixn.journal WHERE epoch > 0 AND last_index > "
        "(SELECT max(last_index) FROM ixn.journal) - %s ORDER BY last_index", most)
    for first, epoch, data in rows:
        for number, entry in enumerate(entry_pb.Batch.FromString(bytes(data)).entries):
            history.take(first + number, epoch, entry)
    return history


def check_history(world, record):
    """Returns how many entries were looked at."""
    history = read_log(world)
    check_told(history, record)
    return history.entries
