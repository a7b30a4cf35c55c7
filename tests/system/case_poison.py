"""Inputs that crash nodes: after two crashes they are refused, or not applied; all else goes on.

On a node with planted crashes (tests/planted). A request that crashes whoever decides it takes down
each node once, and then is refused by both, also after a restart. An entry of the log that crashes
whoever applies it stops the nodes before it, until an operator skips it.
"""

import json
import os

from contract import Client, pb
from pair import ALONE, PAIRED, READY
from takeover import DEDUPE
from waiting import PATIENT, Failure, expect, now, wait_for
from world import Node, World

SIGSEGV = -11
POISON = 29
SILENT_SECONDS = 20  # of a node that has not crashed


class PlantedWorld(World):
    def binary(self, program):
        if program != "ixnd":
            return super().binary(program)
        path = os.path.join(self.options.build, "tests", "planted", "ixnd-planted")
        if not os.path.exists(path):
            raise Failure(f"{path} does not exist; build it first (deploy/test.sh does)")
        return path


def submit(pair, key, external_id=""):
    """To whoever serves; its answer, or None when it crashes or says nothing."""
    primary = pair.primary()
    try:
        with Client(primary.endpoint, name=f"media-{key.decode()}") as client:
            number = client.send(submit=pb.Submit(
                key=key, queue="parked", media_type="email", external_id=external_id,
                attributes=b"{}"))
            end = now() + SILENT_SECONDS
            while primary.process.alive() and now() < end:
                for message in client.receive(0.1):
                    if message.request_id == number:
                        return message
    except Failure:
        pass
    return None


def expect_stored(pair, key):
    answer = pair.wait(f"{key} stored",
                       lambda: (said := submit(pair, key)) and said.HasField("ack") and said,
                       PATIENT)
    expect(answer.HasField("ack"), f"{key}: {answer}")


def wait_crash(node):
    wait_for(f"the crash of {node.name}", lambda: not node.process.alive())
    code = node.process.popen.returncode
    expect(code == SIGSEGV, f"{node.name} ended with {code}:\n{node.process.log_end()}")


def crash_twice(pair, key, external_id):
    """The request takes down each node, one after the other; both are back."""
    for _ in range(2):
        victim = pair.wait_ready()
        answer = submit(pair, key, external_id)
        expect(answer is None, f"it was to crash {victim.name}, but the answer is {answer}")
        wait_crash(victim)
        pair.wait_role(pair.other(victim), ALONE)  # one that is back at once may serve again
        victim.start(wait=False)
    pair.wait_ready()


def listed(pair):
    return [json.loads(line) for line in pair.ctl("poison", "list", "-o", "json")[0].splitlines()]


def expect_refused(pair, key, external_id):
    answer = submit(pair, key, external_id)
    expect(answer is not None and answer.HasField("error") and answer.error.code == POISON,
           f"{external_id} was answered with {answer}")
    for word in ("crashed", "ixnctl poison forgive"):
        expect(word in answer.error.sentence, answer.error.sentence)
    return answer.error.sentence


def request_is_refused(pair, external_id):
    key = external_id.encode()
    crash_twice(pair, key, external_id)
    pids = [node.process.pid for node in pair.nodes]
    sentence = expect_refused(pair, key, external_id)
    expect_stored(pair, b"after-" + key)
    found = [entry for entry in listed(pair) if entry["fingerprint"] in sentence]
    expect(len(found) == 2 and all(entry["refused"] and entry["crashes_own"] == 1
                                   and entry["crashes_other"] == 1 for entry in found),
           f"ixnctl poison list shows {found}")
    kept = [os.path.exists(os.path.join(node.state_dir, f"poison-{found[0]['fingerprint']}"))
            for node in pair.nodes]
    expect(all(kept), "the bytes of the request are not in state_dir")
    # The other one refuses it, too, and both do after an orderly restart.
    pair.ctl("switchover", "--wait")
    pair.wait_ready()
    expect_refused(pair, key, external_id)
    expect([node.process.pid for node in pair.nodes] == pids, "a node died a third time")
    for node in pair.nodes:
        node.process.stop()
        node.start(wait=False)
        pair.wait_ready()
    expect_refused(pair, key, external_id)
    for node in pair.nodes:
        with open(node.process.log_path, encoding="utf-8") as file:
            log = file.read()  # of all its starts
        expect("crash.found" in log and "poison.refused" in log, f"{node.name} does not name it")
    return found[0]["fingerprint"]


def forgiven_may_crash_again(pair, external_id, fingerprint):
    pair.ctl("poison", "forgive", fingerprint)
    pair.wait("both nodes having forgiven it", lambda: not any(
        entry["refused"] for entry in listed(pair) if entry["fingerprint"] == fingerprint),
        PATIENT)
    crash_twice(pair, external_id.encode(), external_id)
    expect_refused(pair, external_id.encode(), external_id)


def entry_is_skipped(pair):
    """The primary decides it; its backup dies of it twice, then stops before it, and so does the
    primary when it has to apply it."""
    # After its first checkpoint, who begins to serve writes none for the whole interval.
    pair.ctl("switchover", "--wait")
    a = pair.wait_ready()
    b = pair.other(a)
    expect_stored(pair, b"before")
    pair.wait("its first checkpoint", lambda: pair.world.postgres.value(
        "SELECT index >= (SELECT max(first_index) FROM ixn.epoch) FROM ixn.checkpoint"), PATIENT)
    answer = submit(pair, b"apply", "crash-apply")
    expect(answer is not None and answer.HasField("ack"), f"the primary said {answer}")
    for _ in range(2):
        wait_crash(b)
        b.start(wait=False)
    status = pair.wait("the backup stopping before the entry", lambda: (
        (seen := pair.status(b)) and "database skip --index" in seen.own.readiness and seen),
        PATIENT)
    index = next(entry["index"] for entry in listed(pair) if entry["index"])
    expect(f"entry {index} " in status.own.readiness, status.own.readiness)
    expect_stored(pair, b"beside")  # the primary goes on, and only it
    refused = pair.world.ctl("--config", a.config_path, *pair.node_arguments, "database", "skip",
                             "--index", str(index), "--reason", "test", check=False)
    expect("serves" in str(refused), f"skipped under a primary that serves: {refused}")
    a.kill()
    a.start(wait=False)
    pair.wait("a node stopping before the entry at its start", lambda: (
        (seen := pair.status(a)) and "database skip --index" in seen.own.readiness), PATIENT)
    expect(a.process.alive() and b.process.alive(), "a node died a third time")
    out = pair.world.ctl("--config", a.config_path, *pair.node_arguments, "database", "skip",
                         "--index", str(index), "--reason", "a test")[0]
    expect(f"Skipped entry {index} (submitted)" in out, out)
    pair.wait_ready()
    rows = pair.world.postgres.query("SELECT index, reason FROM ixn.skip")
    expect(rows == [(index, "a test")], f"ixn.skip has {rows}")
    expect_stored(pair, b"after-skip")
    with Client(pair.primary().endpoint) as client:
        gone = client.call(get=pb.Get(interaction_id=answer.ack.interaction_id))
        there = client.call(submit=pb.Submit(key=b"beside", queue="parked", media_type="email",
                                             attributes=b"{}"))
    expect(gone.HasField("error"), f"the skipped entry is there: {gone}")
    expect(there.HasField("ack"), f"what came after it is not there: {there}")
    return index


def run(options):
    with PlantedWorld(options, "poison") as world:
        # No checkpoint comes between: the entry stays one that has to be applied.
        pair = world.start_pair(dedupe=DEDUPE, checkpoint={"interval": "60s"})
        fingerprint = request_is_refused(pair, "crash-decide")
        request_is_refused(pair, "crash-turn")
        forgiven_may_crash_again(pair, "crash-decide", fingerprint)
        index = entry_is_skipped(pair)
        return {"refused": 2, "forgiven": 1, "skipped_index": index}
