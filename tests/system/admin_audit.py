"""When a change is made, and when not, where its row of the audit must wait or is refused."""

import threading
import uuid

from admin_port import expect_status
from waiting import expect, wait_for


def check_comes_first(pair, primary):
    """However many read from a database that is slow, a command is not made without its row, nor
    after all of them."""
    answers = []
    path = f"/v1/interactions/{uuid.uuid4()}"
    readers = [threading.Thread(target=lambda: answers.append(primary.admin.get(path)))
               for _ in range(70)]
    lock = pair.world.postgres.connect()
    try:
        lock.cursor().execute("BEGIN; LOCK TABLE ixn.interaction_finished IN ACCESS EXCLUSIVE MODE")
        for reader in readers:
            reader.start()
        wait_for("as many to wait as may", lambda: any(
            "too many ask at once" in answer.text for answer in answers))
        primary.admin.done("/v1/pair/pause", {"reason": "among many"})
        expect(len(answers) < 35, f"{len(answers)} questions were answered before the command")
    finally:
        lock.close()
    for reader in readers:
        reader.join()
    row = primary.admin.good("/v1/audit?limit=1")["audit"][0]
    expect((row["action"], row["reason"]) == ("pause", "among many"), f"{row}")
    primary.admin.done("/v1/pair/resume", {"reason": "a test"})


def check_is_needed(pair, primary):
    """A change whose row is refused is not made, whatever its target is called; a command to the
    pair is."""
    postgres = pair.world.postgres
    postgres.query("ALTER TABLE ixn.audit ADD CONSTRAINT none CHECK (false) NOT VALID")
    for refused in ("/v1/strategies/pair/activate", "/v1/routers/configuration/drain"):
        answer = primary.admin.post(refused, {"reason": "a test"})
        expect_status(answer, 503, "DATABASE_REFUSED")
        expect("nothing was changed, since the audit cannot be written" in answer.text, answer.text)
    primary.admin.done("/v1/pair/resume", {"reason": "a test"})
    postgres.query("ALTER TABLE ixn.audit DROP CONSTRAINT none")
