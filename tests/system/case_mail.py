"""A corpus of real mail goes through two queues and two strategies, each message exactly once.

Every message is in the history once, with its times in order and its attributes; counted against
the distinct Message-IDs of the corpus itself.
"""

import mailbox
import re

from checks import check_journeys, wait_all_completed
from process import run as run_command
from waiting import expect, now
from world import TOP, World


def corpus():
    """The path of the mailbox and its distinct Message-IDs. (One has a quoted part with blanks,
    which mail programs may write in several ways; so blanks and quotes do not count.)"""
    path = run_command([f"{TOP}/deploy/mail-corpus.sh"], seconds=300)[0].strip().splitlines()[-1]
    ids = {str(message["Message-ID"]).strip() for message in mailbox.mbox(path, create=False)}
    return path, ids


TIMES = """
SELECT count(*) FROM ixn.interaction_history
WHERE NOT (submitted_at <= placed_in_queue_at AND placed_in_queue_at <= routed_at
           AND routed_at <= completed_at)
   OR received_at IS NULL OR moved_to_queue_at IS NULL
"""
ATTRIBUTES = """
SELECT count(*) FROM ixn.interaction_history
WHERE NOT (attributes ? 'subject' AND attributes ? 'from_address' AND attributes ? 'text'
           AND attributes ? 'message_id')
"""


def run(options):
    path, ids = corpus()
    with World(options, "mail") as world:
        node = world.start_node()
        for name in ("urs-1", "urs-2"):
            world.start_router(node, name)
        began = now()
        world.ctl("submit", "--node", node.endpoint, "--queue", "inbound", path, seconds=300)
        submitted_seconds = now() - began
        postgres = world.postgres
        wait_all_completed(world, 120)
        rows, distinct, known = postgres.query(
            "SELECT count(*), count(DISTINCT external_id), count(DISTINCT external_id) "
            r"FILTER (WHERE regexp_replace(external_id, '[\s<>\"]', '', 'g') = ANY(%s)) "
            "FROM ixn.interaction_history", [re.sub(r'[\s<>"]', "", name) for name in ids])[0]
        expect(rows == distinct == len(ids), f"the history has {rows} interactions with {distinct} "
               f"Message-IDs, the corpus {len(ids)} distinct ones")
        expect(known == len(ids), f"{len(ids) - known} Message-IDs of the corpus are not in the "
               "history")
        wrong = postgres.value(TIMES)
        expect(wrong == 0, f"{wrong} interactions have times that are out of order or missing")
        wrong = postgres.value(ATTRIBUTES)
        expect(wrong == 0, f"{wrong} interactions lack subject, from_address, message_id or text")
        check_journeys(world, [("placed", "support"), ("stopped", None)])
        strategies = postgres.query("SELECT DISTINCT s->>'strategy' FROM ixn.interaction_history, "
                                    "jsonb_array_elements(journey) AS s "
                                    "WHERE s->>'step' = 'dispatched' ORDER BY 1")
        expect([row[0] for row in strategies] == ["answer", "classify"],
               f"dispatched under {strategies}, expected the strategies answer and classify")
        return {"messages": rows, "submit_per_s": rows / submitted_seconds}
