"""Runs benchmarks; see run.sh. One is a module bench_NAME.py with a docstring and a function
run(options) that gives rows: dicts with bench, ours, unit, peer, goal (the last two may be None)
and what else it wants in its line."""

import argparse
import glob
import importlib
import json
import os
import random
import signal
import sys

import bench_peers
import stores
from waiting import Failure
from world import TOP, World

HERE = os.path.dirname(os.path.abspath(__file__))


def names():
    paths = glob.glob(os.path.join(HERE, "bench_*.py"))
    return sorted(os.path.basename(path)[6:-3].replace("_", "-") for path in paths)


def load(name):
    return importlib.import_module("bench_" + name.replace("-", "_"))


def parse():
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh",
                                     description="Benchmarks. Without a name all are run.")
    parser.add_argument("--list", action="store_true", help="name them and what they measure")
    parser.add_argument("--build", default=os.path.join(TOP, "build", "release"),
                        help="build folder (default build/release)")
    parser.add_argument("--logs", default=os.path.join(TOP, "build", "test-logs", "bench"),
                        help="where logs are kept")
    parser.add_argument("--interactions", type=int, default=1000000,
                        help="how many wait, where a benchmark needs that (default 1000000)")
    peers = parser.add_argument_group("peers")
    peers.add_argument("--rounds", type=int, default=3, help="(default 3)")
    peers.add_argument("--seconds", type=float, default=3, help="of each measurement (default 3)")
    peers.add_argument("--peer", action="append", choices=stores.NAMES, metavar="NAME", default=[],
                       help=f"only this one, and ours; may be repeated: {' '.join(stores.NAMES)}")
    peers.add_argument("--work", action="append", choices=bench_peers.WORKS, metavar="NAME",
                       default=[], help=f"may be repeated: {' '.join(bench_peers.WORKS)}")
    peers.add_argument("--payload", action="append", type=int, metavar="BYTES",
                       help="may be repeated (default 300 and 1000)")
    parser.add_argument("--batch", action="store_true",
                        help="run our nodes under the policy SCHED_BATCH of the kernel")
    parser.add_argument("--keep", action="store_true", help="do not remove the folders")
    parser.add_argument("name", nargs="*", metavar="NAME")
    options = parser.parse_args()
    options.payload = options.payload or [300, 1000]
    if options.rounds < 1 or options.seconds < 1 or min(options.payload) < 1:
        parser.error("--rounds, --seconds and --payload must be at least 1")
    options.build = os.path.abspath(options.build)
    options.logs = os.path.abspath(options.logs)
    options.random = random.Random(0)
    unknown = [name for name in options.name if name not in names()]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {' '.join(names())}")
    return options


def show(row):
    def text(value):
        return "-" if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")

    mark = "" if row["ok"] else "  MISSED"
    print(f"{row['bench']:<44} {text(row['ours']):>14} {row['unit']:<8} {text(row['peer']):>14} "
          f"{text(row['ratio']):>8} {text(row['goal']):>10}{mark}", flush=True)


def finish(row):
    """Adds the ratio and whether the goal is met. A goal is the most that the figure may be, or
    with goal_is_least the least. What else a row has stays in it."""
    ratio = row["ours"] / row["peer"] if row.get("peer") else None
    judged = ratio if row.get("goal_is_ratio") else row["ours"]
    goal = row.get("goal")
    if goal is None:
        ok = True
    elif judged is None:  # the other one did nothing at all
        ok = row["ours"] > 0 and row.get("goal_is_least", False)
    else:
        ok = judged >= goal if row.get("goal_is_least") else judged <= goal
    rest = {key: value for key, value in row.items()
            if key not in ("goal_is_ratio", "goal_is_least")}
    ratio = round(ratio, 4) if ratio else ratio
    return {**rest, "peer": row.get("peer"), "ratio": ratio, "goal": goal, "ok": ok}


def interrupt(_number, _frame):
    raise KeyboardInterrupt


def main():
    options = parse()
    if options.list:
        for name in names():
            print(f"{name:<18} {load(name).__doc__.strip().splitlines()[0]}")
        return 0
    if options.batch:
        World.node_prefix = ("chrt", "--batch", "0")
    signal.signal(signal.SIGTERM, interrupt)  # what runs is ended, what is frozen too
    print(f"{'':<44} {'ours':>14} {'':<8} {'compared to':>14} {'ratio':>8} {'goal':>10}")
    rows, failed = [], False
    try:
        for name in options.name or names():
            try:
                for row in map(finish, load(name).run(options)):
                    rows.append(row)
                    show(row)
            except Failure as failure:
                print(f"{name}: {failure}", file=sys.stderr)
                failed = True
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    for row in rows:
        print(json.dumps(row))
    return 1 if failed or not all(row["ok"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
