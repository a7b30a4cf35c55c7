"""psql on the documented tables answers: how many wait in a queue, the oldest, throughput an hour.

What the views say is compared with what was put in and taken out, and every statement that
docs/database.md shows runs as it stands there.
"""

import os
import re

from checks import wait_all_completed
from process import run as run_command
from waiting import PATIENT, expect, wait_for
from world import TOP, World

WAITING, COMPLETED = 120, 300


def psql(world, sql):
    """As a person would ask: the program psql, as the ordinary role."""
    out, _, _ = run_command(["psql", "-XAt", "-v", "ON_ERROR_STOP=1", "-d",
                             world.postgres.conninfo("ixn"), "-c", sql])
    return [line.split("|") for line in out.splitlines()]


def documented():
    """The statements of the document."""
    with open(os.path.join(TOP, "docs", "database.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```sql\n(.*?)^```", file.read(), flags=re.DOTALL | re.MULTILINE)
    expect(blocks, "docs/database.md shows no statement")
    return blocks


def run(options):
    with World(options, "sql") as world:
        node = world.start_node()
        world.bench(node, "--count", WAITING, "--submit-only", "--queue", "parked")
        world.bench(node, "--count", COMPLETED, "--routers", 1)
        wait_all_completed(world, PATIENT, "queue <> 'parked'")
        wait_for("the queue in the tables", lambda: psql(
            world, "SELECT waiting FROM ixn.queue_overview WHERE queue = 'parked'")
            == [[str(WAITING)]], every=0.2)
        oldest, age = psql(world, "SELECT oldest_placed_in_queue_at, "
                           "extract(epoch FROM now() - oldest_placed_in_queue_at) "
                           "FROM ixn.queue_overview WHERE queue = 'parked'")[0]
        exact = psql(world, "SELECT min(placed_in_queue_at) FROM ixn.interaction")[0][0]
        expect(oldest == exact, f"the overview says the oldest waits since {oldest}, the table "
               f"{exact}")
        expect(0 <= float(age) < 600, f"the oldest has waited for {age} s")
        hours = psql(world, "SELECT hour, completed, average_seconds FROM ixn.throughput_hourly "
                     "WHERE queue = 'inbound' ORDER BY hour")
        total = sum(int(row[1]) for row in hours)
        expect(total == COMPLETED, f"throughput_hourly adds up to {total}, not {COMPLETED}")
        expect(all(0 <= float(row[2]) < 300 for row in hours), f"average seconds: {hours}")
        statements = documented()
        for statement in statements:
            psql(world, statement)
        undocumented = psql(world, """
            SELECT c.relname || '.' || a.attname FROM pg_class AS c
            JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'ixn'
            JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
              AND col_description(c.oid, a.attnum) IS NULL""")
        expect(not undocumented, f"columns without a comment: {undocumented}")
        return {"waiting": WAITING, "completed": total, "oldest_s": float(age),
                "documented": len(statements)}
