"""Checks: what ixn-bench was told, held against what is in the database. Independent of the node:
plain SQL on the documented tables."""

import io
import json

from history import check_history
from waiting import Failure, expect, wait_for


class Record:
    """The files that `ixn-bench --log` and prober.py wrote."""

    def __init__(self, *paths):
        self.acknowledged = {}
        self.unknown = set()
        self.refused = set()
        self.completed = {}
        self.frames = set()  # epoch and durable index of frames that said something
        self.answers = {}  # of each file of a client that asks one thing after the other, in order
        for path in paths:
            with open(path, encoding="ascii") as file:
                for line in file:
                    self._take(path, json.loads(line))

    def _take(self, path, entry):
        event = entry["event"]
        if event == "acknowledged":
            expect(entry["key"] not in self.acknowledged,
                   f"submit {entry['key']} was acknowledged twice")
            self.acknowledged[entry["key"]] = entry["id"]
            if "epoch" in entry:
                self.frames.add((entry["epoch"], entry["index"]))
                self.answers.setdefault(path, []).append(
                    (entry["epoch"], entry["index"], entry["id"]))
        elif event == "unknown":
            self.unknown.add(entry["key"])
        elif event == "refused":
            self.refused.add(entry["key"])
        elif event == "completed":
            self.completed.setdefault(entry["id"], []).append((entry["epoch"], entry["index"]))
        elif event not in ("older", "error"):  # the prober's, judged elsewhere
            raise Failure(f"the record has an event \"{event}\" that is not known here")


def wait_all_completed(world, seconds, where="true"):
    """Until no live interaction is left (of those that `where` selects), as of a checkpoint that
    is not older than this call."""
    head = world.postgres.value("SELECT max(last_index) FROM ixn.journal")
    wait_for("the checkpoint reaching the journal's head", lambda: world.postgres.value(
        "SELECT index FROM ixn.checkpoint") >= head, seconds, every=0.1)

    def left():
        return world.postgres.value(f"SELECT count(*) FROM ixn.interaction WHERE {where}")

    try:
        wait_for("all interactions completed", lambda: left() == 0, seconds, every=0.2)
    except Failure:
        rows = world.postgres.query(
            "SELECT state, queue, held, attempts, router, count(*), min(id::text) "
            f"FROM ixn.interaction WHERE {where} GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC LIMIT 5")
        raise Failure(f"{left()} interactions are not completed after {seconds} s; most of them "
                      f"(state, queue, held, attempts, router, how many, one id): {rows}") from None


def _copy(cursor, table, columns, rows):
    text = "".join("\t".join(row) + "\n" for row in rows)
    cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", io.StringIO(text))


_LOAD = """
CREATE TEMP TABLE told (key bytea PRIMARY KEY, id uuid NOT NULL);
CREATE TEMP TABLE told_text (key text, id text);
CREATE TEMP TABLE may (key_text text PRIMARY KEY);
"""
_HERE = """
INSERT INTO told SELECT decode(replace(key, '-', ''), 'hex'), id::uuid FROM told_text;
CREATE TEMP TABLE here AS
    SELECT id, key, tenant, 'live' AS place FROM ixn.interaction WHERE media_type = 'bench'
    UNION ALL
    SELECT id, key, tenant, 'history' FROM ixn.interaction_history WHERE media_type = 'bench';
CREATE INDEX ON here (id);
CREATE INDEX ON here (key);
ANALYZE here, told;
"""
_QUESTIONS = {
    "lost": "SELECT id FROM told WHERE NOT EXISTS (SELECT FROM here WHERE here.id = told.id)",
    "twice": "SELECT id FROM here GROUP BY id HAVING count(*) > 1",
    "repeated": "SELECT min(id::text) FROM here GROUP BY tenant, key HAVING count(DISTINCT id) > 1",
    "renamed": "SELECT told.id FROM told JOIN here USING (key) WHERE here.id <> told.id",
    "unasked": "SELECT id FROM here WHERE NOT EXISTS (SELECT FROM told WHERE told.key = here.key) "
               "AND encode(here.key, 'hex') NOT IN (SELECT replace(key_text, '-', '') FROM may)",
    "live": "SELECT id FROM here WHERE place = 'live'",
}
_MEANING = {
    "lost": "acknowledged, and not in the database (P1)",
    "twice": "in the tables more than once (P2)",
    "repeated": "made twice from one key (P2)",
    "renamed": "acknowledged under another id than the one in the database (P2)",
    "unasked": "in the database, though nobody submitted it or its submit was refused",
    "live": "not completed",
}


def check_epochs(record, epochs):
    """P4: nothing was said beyond the place in the log where the next epoch began. `epochs`: each
    with its first index."""
    begins = sorted(epochs)
    ends = {epoch: after[1] - 1 for (epoch, _), after in zip(begins, begins[1:])}
    first = dict(begins)
    tokens = {token for accepted in record.completed.values() for token in accepted}
    for what, said, before in (("a frame", record.frames, 1), ("a token", tokens, 0)):
        for epoch, index in sorted(said):
            expect(epoch in first, f"{what} has epoch {epoch}, which nobody claimed (P4)")
            expect(first[epoch] - before <= index <= ends.get(epoch, index),
                   f"{what} has epoch {epoch} and index {index}; that epoch wrote {first[epoch]} "
                   f"to {ends.get(epoch, 'now')} (P4)")


def check_record(world, *paths, completed=True, alone=True):
    """P1 to P4 for what clients recorded, P7 for the log (history.py). Give `completed=False` when
    work may be left, `alone=False` when others have submitted too. Returns figures."""
    record = Record(*paths)
    expect(record.acknowledged, "no submit was acknowledged: nothing was tested")
    connection = world.postgres.connect()
    with connection.cursor() as cursor:
        cursor.execute(_LOAD)
        _copy(cursor, "told_text", "key, id", record.acknowledged.items())
        _copy(cursor, "may", "key_text", [(key,) for key in record.unknown])
        cursor.execute(_HERE)
        for name, question in _QUESTIONS.items():
            if (name == "live" and not completed) or (name == "unasked" and not alone):
                continue
            cursor.execute(question)
            rows = [str(row[0]) for row in cursor.fetchall()]
            expect(not rows, f"{len(rows)} of {len(record.acknowledged)} interactions are "
                   f"{_MEANING[name]}, such as {rows[:3]}")
        cursor.execute("SELECT count(*) FROM here")
        here = cursor.fetchone()[0]
    connection.close()
    twice = [name for name, tokens in record.completed.items() if len(tokens) > 1]
    expect(not twice, f"{len(twice)} interactions had two results accepted (P3), such as "
           f"{[(name, record.completed[name]) for name in twice[:2]]}")
    check_epochs(record, world.postgres.query("SELECT epoch, first_index FROM ixn.epoch"))
    return {"acknowledged": len(record.acknowledged), "unknown": len(record.unknown),
            "stored": here, "entries": check_history(world, record)}


def check_journeys(world, steps, where="true"):
    """P3 for routers whose results are not in a record: in the journey of every completed
    interaction each of the given steps, such as ("placed", "support"), is there exactly once."""
    for step, queue in steps:
        condition = "s->>'step' = %s" + (" AND s->>'queue' = %s" if queue else "")
        arguments = (step, queue) if queue else (step,)
        rows = world.postgres.query(
            "SELECT id, n FROM (SELECT id, (SELECT count(*) FROM jsonb_array_elements(journey) AS s"
            f" WHERE {condition}) AS n FROM ixn.interaction_history WHERE {where}) AS j"
            " WHERE n <> 1 LIMIT 3", *arguments)
        expect(not rows, f"the step {step} {queue or ''} is not exactly once in the journeys of "
               f"{[(str(row[0]), row[1]) for row in rows]}")
