"""What a node costs that holds very many interactions; shared by the case and the benchmark."""

import statistics

from waiting import PATIENT, expect, now, wait_for
from world import World

PAYLOAD = 300


def resident(process):
    """Bytes of memory that a process has, shared pages not counted."""
    with open(f"/proc/{process.pid}/smaps_rollup", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    return sum(int(fields[name].split()[0]) * 1024 for name in ("Private_Clean", "Private_Dirty"))


def submitted_bytes(world):
    """What submitters sent of an interaction that waits: its attributes, key, ids and names."""
    return float(world.postgres.value(
        "SELECT avg(octet_length(concat(attributes, external_id, media_type, type, subtype, "
        "submitted_by)) + octet_length(key)) FROM ixn.interaction"))


def submit_cost(world, node, windows):
    """Latencies of a light, even load: medians of several windows, since one may meet whatever else
    the machine does."""
    figures = [world.bench(node, "--submit-only", "--queue", "parked", "--rate", 500,
                           "--submitters", 2, "--window", 50, "--payload", PAYLOAD,
                           "--seconds", 4, "--warmup", 1)["submit_ms"] for _ in range(windows)]
    return {name: statistics.median(window[name] for window in figures)
            for name in ("p50", "p99")}


def checkpointed(world, seconds=PATIENT):
    """Until the tables show the journal's head of this moment."""
    head = world.postgres.value("SELECT max(last_index) FROM ixn.journal")
    wait_for("the checkpoint reaching the head", lambda: world.postgres.value(
        "SELECT index FROM ixn.checkpoint") >= head, seconds, every=0.2)


def restart_seconds(node):
    began = now()
    node.start(wait=False)
    node.wait_serving(300)
    return now() - began


def measure(options, name, count, windows=3):
    with World(options, name) as world:
        world.start_database(max_wal_size="4GB", shared_buffers="512MB")
        # Filling is not what is measured: the tables may fall behind as far as they like.
        node = world.start_node(limits={"max_interactions": 2 * count + 100000},
                                checkpoint={"max_lag_size": "16GiB"})
        empty = submit_cost(world, node, windows)
        filled = world.bench(node, "--submit-only", "--queue", "parked", "--count", count,
                             "--submitters", 4, "--window", 1000, "--payload", PAYLOAD,
                             seconds=60 + count / 2000)
        checkpointed(world, 60 + count / 5000)
        full = submit_cost(world, node, windows)
        checkpointed(world, 60)
        stored = world.postgres.value("SELECT count(*) FROM ixn.interaction")
        submitted = submitted_bytes(world)
        node.process.stop(60)
        load = restart_seconds(node)
        # After a fresh start it holds the state, and nothing that was left over from filling it.
        memory = resident(node.process)
        node.kill()
        load_after_kill = restart_seconds(node)
        after = world.postgres.value("SELECT count(*) FROM ixn.interaction")
        expect(after == stored, f"{after} interactions after the restarts, {stored} before")
        more = world.bench(node, "--submit-only", "--queue", "parked", "--count", 10)
        expect(more["acknowledged"] == 10, "no submits after the restarts")
        return {"interactions": stored, "memory_over_payload": memory / stored - submitted,
                "load_s": load, "load_after_kill_s": load_after_kill,
                "empty_p50_ms": empty["p50"], "empty_p99_ms": empty["p99"],
                "full_p50_ms": full["p50"], "full_p99_ms": full["p99"],
                "fill_per_s": filled["submit_rate"]}
