"""The same work through other stores and through a pair, as durable, in turn, several rounds.

Installs and builds what that needs (deploy/bench-packages.txt, npm). docs/performance.md tells how
to read it, and what each store does not do that ours does, and the reverse."""

import os
import shutil
import statistics
import sys
from dataclasses import dataclass

import stores
from process import run as run_command
from waiting import Failure
from world import TOP, World


@dataclass(frozen=True)
class Work:
    kind: str  # submit: until it is acknowledged; lifecycle: until its end is safe, too
    clients: int
    window: int  # outstanding for each client
    payload: int

    @property
    def name(self):
        return f"{self.kind}-{self.clients}x{self.window}"


SHAPES = [("submit", 1, 1), ("submit", 8, 1), ("submit", 64, 1), ("submit", 8, 100),
          ("lifecycle", 1, 1), ("lifecycle", 8, 1), ("lifecycle", 64, 1), ("lifecycle", 64, 16)]
WORKS = [f"{kind}-{clients}x{window}" for kind, clients, window in SHAPES]

# At least so many times the rate of the other one, with 300 bytes.
GOALS = {
    "lifecycle-64x16": {"redis": 1, "rabbitmq": 3},
    "lifecycle-64x1": {"rabbitmq": 1.5, "postgres": 4, "gearmand": 10, "graphile-worker": 15,
                       "relay": 0.7},
    "submit-8x100": {"redis": 1, "rabbitmq": 4},
    "submit-64x1": {"rabbitmq": 2, "echo": 0.8},
}
GOAL_PAYLOAD = 300
QUANTILES = ("p50", "p99", "p99.9")


def build(options):
    """The load program, and what it needs."""
    run_command([f"{TOP}/deploy/install.sh", "--bench"], seconds=900)
    run_command(["cmake", "-DIXN_BENCH_PEERS=ON", options.build], seconds=120)
    run_command(["cmake", "--build", options.build, "--target", "bench-peer", "ixnd", "ixnctl"],
                seconds=900)


def prepare(options):
    """Installs and builds."""
    build(options)
    if not options.peer or stores.Graphile.name in options.peer:
        if not shutil.which("npm"):  # some packages of Node.js bring it
            run_command([f"{TOP}/deploy/install.sh", "--only", "npm"], seconds=900)
        modules = stores.node_modules(options)
        os.makedirs(modules, exist_ok=True)
        shutil.copy(os.path.join(stores.PEERS, "package.json"), modules)
        run_command(["npm", "--prefix", modules, "install", "--no-audit", "--no-fund",
                     "--no-package-lock", "--silent"], seconds=600)


def machine():
    """What it is measured on, and how busy that is."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        model = next((line.split(":", 1)[1].strip() for line in file
                      if line.startswith("model name")), "unknown processor")
    return f"{os.cpu_count()} cores, {model}; load average {os.getloadavg()[0]:.1f}"


def measure_all(options, works, problems):
    """Figures of every round, by work and name of the store."""
    keys = [(work, name) for work in works for name in [stores.Ours.name, *stores.NAMES]]
    figures = {key: [] for key in keys}
    uncounted = {key: [] for key in keys}  # caches, tables and memory of a fresh store are cold
    with World(options, "peers") as world:
        all_stores = stores.make(world, options)
        started = []
        try:
            for store in all_stores:
                started.append(store)
                store.start()
                store.settle()
            for store in all_stores:  # some share a database
                store.freeze()
            for number in range(options.rounds + 1):
                print(f"round {number} of {options.rounds}: {machine()}"
                      f"{', not counted' if number == 0 else ''}", file=sys.stderr, flush=True)
                for work in works:
                    for store in all_stores:
                        measure_one(store, work, figures if number else uncounted, problems)
        finally:
            for store in reversed(started):
                store.stop()
    return figures


def measure_one(store, work, figures, problems):
    """And lets it do what the work left to do (tables, segments, vacuum), before the next one."""
    if not store.can(work):
        return
    store.thaw()
    try:
        measured = store.measure(work)
        measured["owed"] = store.settle() * 1e6 / max(measured["count"], 1)
        figures[work, store.name].append(measured)
    except Failure as failure:
        problems.append(f"{store.name}, {work.name}, {work.payload} bytes: {failure}")
    store.freeze()


def rates(rounds):
    return [round(figures["rate"], 1) for figures in rounds]


def latency(rounds):
    return {name: round(statistics.median(figures["ms"][name] for figures in rounds), 3)
            for name in QUANTILES}


def owed(rounds):
    """Microseconds of processor time for each, after the end of the measurement."""
    return round(statistics.median(figures["owed"] for figures in rounds), 2)


def show(works, figures):
    print(f"\n{'work':<18} {'bytes':>5} {'store':<16} {'a second':>9}  {'from':>7} - {'to':<7} "
          f"{'p50 ms':>9} {'p99 ms':>9} {'p99.9 ms':>9} {'owed us':>8}")
    for work in works:
        for (other, name), rounds in figures.items():
            if other != work or not rounds:
                continue
            times = latency(rounds)
            print(f"{work.name:<18} {work.payload:>5} {name:<16} "
                  f"{statistics.median(rates(rounds)):>9,.0f}  {min(rates(rounds)):>7,.0f} - "
                  f"{max(rates(rounds)):<7,.0f} "
                  + " ".join(f"{times[quantile]:>9.2f}" for quantile in QUANTILES)
                  + f" {owed(rounds):>8.1f}")
    print()


def row(work, name, ours, peers):
    goal = GOALS.get(work.name, {}).get(name) if work.payload == GOAL_PAYLOAD else None
    return {"bench": f"{work.name}, {work.payload} B, to {name}", "unit": "/s",
            "ours": statistics.median(rates(ours)), "peer": statistics.median(rates(peers)),
            "goal": goal, "goal_is_ratio": True, "goal_is_least": True,
            "ours_range": [min(rates(ours)), max(rates(ours))],
            "peer_range": [min(rates(peers)), max(rates(peers))],
            "ours_ms": latency(ours), "peer_ms": latency(peers),
            "ours_owed_us": owed(ours), "peer_owed_us": owed(peers), "rounds": len(ours)}


def latency_row(figures):
    """What one submit may take: its way there and back, and one and a half commits."""
    work = Work("submit", 1, 1, GOAL_PAYLOAD)
    ours, echo, commit = (figures.get((work, name)) for name in
                          (stores.Ours.name, stores.Echo.name, stores.HandWritten.name))
    if not (ours and echo and commit):
        return []
    allowed = latency(echo)["p50"] + 1.5 * latency(commit)["p50"]
    return [{"bench": "submit-1x1, p50, to echo + 1.5 commits", "unit": "ms",
             "ours": latency(ours)["p50"], "peer": allowed, "goal": 1.0, "goal_is_ratio": True}]


def run(options):
    works = [Work(*shape, payload) for payload in options.payload for shape, name
             in zip(SHAPES, WORKS) if not options.work or name in options.work]
    problems = []
    before = machine()
    prepare(options)
    figures = measure_all(options, works, problems)
    print(f"{before} before, {os.getloadavg()[0]:.1f} after")
    show(works, figures)
    for work in works:
        ours = figures[work, stores.Ours.name]
        for name in stores.NAMES:
            if ours and figures[work, name]:
                yield row(work, name, ours, figures[work, name])
    yield from latency_row(figures)
    if problems:
        raise Failure("\n".join(problems))
