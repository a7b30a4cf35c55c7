"""Curves: throughput and latency against what waits, queues, strategies, routers, clients, payload.

One row a point, with its figures beside: what a closed loop completes, how long a light, even load
takes; where many wait also how long an empty backup needs to be ready. `tests/bench/plot.py` draws
them. Everything runs on a pair; what is not varied is 4 clients with 200 outstanding, 2 routers,
300 bytes.
"""

import contextlib

from recovery import checkpointed
from waiting import now
from world import World

LIGHT = 500  # a second: latency without queueing
QUEUED = [0, 1_000, 10_000, 100_000, 1_000_000, 3_000_000, 10_000_000]
QUEUES = [1, 10, 100, 1_000]
ROUTERS = [1, 2, 4, 8, 16, 32, 64]
CLIENTS = [1, 2, 4, 8, 16, 32, 64, 128]
PAYLOADS = [100, 300, 1_000, 3_000, 10_000, 30_000]


@contextlib.contextmanager
def pair_of(options, name, **overrides):
    with World(options, f"scale-{name}") as world:
        world.start_database(max_wal_size="4GB", shared_buffers="512MB")
        yield world, world.start_pair(**overrides)


def point(options, world, pair, name, value, submitters=4, window=200, routers=2, payload=300):
    """Closed loop, then the light load."""
    load = ("--routers", routers, "--payload", payload)
    closed = world.bench(pair, *load, "--submitters", submitters, "--window", window,
                         "--seconds", options.seconds, "--warmup", 1)
    light = world.bench(pair, *load, "--submitters", min(submitters, 4), "--window", 50,
                        "--rate", LIGHT, "--seconds", options.seconds, "--warmup", 1)
    pair.wait_ready()  # without its backup it would be a single node
    return {"bench": f"{name} {value:,}", "unit": "/s", "ours": closed["complete_rate"],
            "curve": name, "x": value,
            "submit_p50_ms": light["submit_ms"]["p50"], "submit_p99_ms": light["submit_ms"]["p99"],
            "end_to_end_p50_ms": light["end_to_end_ms"]["p50"],
            "end_to_end_p99_ms": light["end_to_end_ms"]["p99"]}


def resync_seconds(pair):
    """An empty backup, until it is ready."""
    backup = pair.backup()
    backup.kill()
    began = now()
    backup.start(wait=False)
    pair.wait_ready()
    return now() - began


def queued(options):
    most = max(count for count in QUEUED if count <= options.interactions)
    with pair_of(options, "queued", limits={"max_interactions": 2 * most + 1_000_000},
                 checkpoint={"max_lag_size": "16GiB"}) as (world, pair):
        there = 0
        for count in (count for count in QUEUED if count <= options.interactions):
            if count > there:
                world.bench(pair, "--submit-only", "--queue", "parked", "--count", count - there,
                            "--submitters", 4, "--window", 1000, seconds=60 + count / 2000)
                there = count
            checkpointed(world, 60 + count / 5000)
            row = point(options, world, pair, "queued", count)
            checkpointed(world, 60)
            yield {**row, "resync_s": resync_seconds(pair)}


def queues(options):
    """So many queues more, in each of which one waits for a strategy that no router has."""
    for count in QUEUES:
        extra = [{"name": f"extra-{i}", "strategy": f"nobody-{i}"} for i in range(count)]
        usual = [{"name": "inbound", "strategy": "classify"}, {"name": "parked"}]
        with pair_of(options, "queues", queues=usual + extra) as (world, pair):
            for i in range(min(count, 100)):
                world.bench(pair, "--submit-only", "--queue", f"extra-{i}", "--count", 10,
                            "--submitters", 1)
            yield point(options, world, pair, "queues and strategies", count)


def varied(options, name, values, **parts):
    """One pair for the whole curve; `parts` are functions of the value."""
    with pair_of(options, name) as (world, pair):
        for value in values:
            given = {part: make(value) for part, make in parts.items()}
            yield point(options, world, pair, name, value, **given)


def run(options):
    yield from queued(options)
    yield from queues(options)
    yield from varied(options, "routers", ROUTERS, routers=int)
    yield from varied(options, "clients", CLIENTS, submitters=int, window=lambda _: 16)
    yield from varied(options, "payload", PAYLOADS, payload=int)
