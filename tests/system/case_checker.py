"""The checker of the other cases finds what it must find: a lost row, a doubled one, a stranger.

A good run is recorded; then the tables are spoilt by hand in one way after the other, and each time
check_record must name the promise that is broken.
"""

import json

from checks import check_record, wait_all_completed
from waiting import PATIENT, Failure, expect
from world import World

HISTORY = "ixn.interaction_finished"  # the table behind the view
COLUMNS = ("SELECT string_agg(quote_ident(attname), ',') FROM pg_attribute "
           f"WHERE attrelid = '{HISTORY}'::regclass AND attnum > 0")


def spoil(world, columns):
    """Name of the promise, what breaks it, what mends it."""
    one = f"SELECT id FROM {HISTORY} ORDER BY id LIMIT 1"
    others = columns.replace("id,", "gen_random_uuid() AS id,", 1)
    keep = f"CREATE TABLE kept AS SELECT * FROM {HISTORY}"
    mend = f"TRUNCATE {HISTORY}; INSERT INTO {HISTORY} SELECT * FROM kept; DROP TABLE kept"
    yield "(P1)", f"{keep}; DELETE FROM {HISTORY} WHERE id IN ({one})", mend
    # On another day: within one the table itself refuses an id that it has.
    later = columns.replace("completed_at", "completed_at + interval '1 day' AS completed_at", 1)
    yield "more than once (P2)", (
        f"{keep}; INSERT INTO {HISTORY} ({columns}) SELECT {later} FROM kept "
        f"WHERE id IN ({one})"), mend
    yield "from one key (P2)", (
        f"{keep}; INSERT INTO {HISTORY} ({columns}) SELECT {others} FROM kept "
        f"WHERE id IN ({one})"), mend
    yield "nobody submitted", (
        f"{keep}; INSERT INTO {HISTORY} ({columns}) SELECT {others} FROM kept WHERE id IN ({one});"
        f" UPDATE {HISTORY} SET key = 'stranger' WHERE id NOT IN (SELECT id FROM kept)"), mend


def run(options):
    with World(options, "checker") as world:
        node = world.start_node()
        log = world.path("record.jsonl")
        world.bench(node, "--count", 200, "--routers", 1, "--log", log)
        wait_all_completed(world, PATIENT)
        check_record(world, log)
        node.process.stop()
        columns = world.postgres.value(COLUMNS)
        found = 0
        for words, damage, mend in spoil(world, columns):
            world.postgres.query(damage)
            expect_found(world, log, words)
            world.postgres.query(mend)
            check_record(world, log)
            found += 1
        with open(log, "a", encoding="ascii") as file:
            lines = [json.loads(line) for line in open(log, encoding="ascii")]
            again = next(line for line in lines if line["event"] == "completed")
            file.write(json.dumps({**again, "index": again["index"] + 1}) + "\n")
        expect_found(world, log, "(P3)")
        return {"found": found + 1}


def expect_found(world, log, words):
    try:
        check_record(world, log)
    except Failure as failure:
        expect(words in str(failure), f"expected a failure with \"{words}\", found: {failure}")
        return
    raise Failure(f"the checker did not find what breaks \"{words}\"")
