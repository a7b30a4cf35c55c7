"""A client of one page in another language, straight from the .proto, registers, submits, retries
with the same key and hears the same answer."""

import os
import re

from process import run as run_command
from waiting import expect, wait_for
from world import TOP, World


def run(options):
    example = os.path.join(TOP, "docs", "examples", "submit.py")
    expect(os.path.exists(example), f"{example} does not exist")
    with World(options, "python-client") as world:
        node = world.start_node()
        out, _, _ = run_command(["/usr/bin/python3", example, node.endpoint])
        ids = re.findall(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{32}\b", out)
        expect(len(ids) >= 2 and len(set(ids)) == 1, "the two answers do not name one and the same "
               f"interaction:\n{out}")
        wait_for("the interaction in the table", lambda: world.postgres.query(
            "SELECT id FROM ixn.interaction UNION ALL SELECT id FROM ixn.interaction_history"), 20)
        stored = world.postgres.query("SELECT replace(id::text, '-', '') FROM ixn.interaction "
                                      "UNION ALL SELECT replace(id::text, '-', '') "
                                      "FROM ixn.interaction_history")
        expect(stored == [(ids[0].replace("-", ""),)], f"the database has {stored}, the client was "
               f"told {ids[0]}")
        return {"interaction": ids[0]}
