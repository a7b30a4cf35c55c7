"""Runs cases; see run.sh. A case is a module case_NAME.py with a docstring (its first sentence is
shown by --list) and a function run(options) that returns its figures or raises a Failure. One whose
figures others would spoil says MEASURES = True; the rest may run beside each other."""

import argparse
import glob
import importlib
import json
import os
import random
import signal
import sys
import traceback

from waiting import Failure, Skipped, now
from world import TOP, World

SKIPPED = 77  # exit code: all that was asked for was skipped
HERE = os.path.dirname(os.path.abspath(__file__))


def case_names():
    paths = glob.glob(os.path.join(HERE, "case_*.py"))
    return sorted(os.path.basename(path)[5:-3].replace("_", "-") for path in paths)


def load(name):
    return importlib.import_module("case_" + name.replace("-", "_"))


def parse():
    parser = argparse.ArgumentParser(prog="tests/system/run.sh", description="Cases on real "
                                     "processes. Without a name all are run.")
    parser.add_argument("--list", action="store_true",
                        help="name the cases, whether they run alone or beside others, and what "
                             "they show")
    parser.add_argument("--build", default=os.path.join(TOP, "build", "release"),
                        help="build folder (default build/release)")
    parser.add_argument("--logs", default=os.path.join(TOP, "build", "test-logs", "system"),
                        help="where logs are kept")
    parser.add_argument("--full", action="store_true", help="the long form of each case")
    parser.add_argument("--rounds", type=int, help="rounds, where a case has them")
    parser.add_argument("--seconds", type=float, help="length, where a case has one")
    parser.add_argument("--rate", type=int,
                        help="interactions a second, where a case has a load of its own")
    parser.add_argument("--seed", type=int, default=None, help="of everything random (printed)")
    parser.add_argument("--keep", action="store_true", help="do not remove the cases' folders")
    parser.add_argument("case", nargs="*", metavar="CASE")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.logs = os.path.abspath(options.logs)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 31)
    unknown = [name for name in options.case if name not in case_names()]
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are: {' '.join(case_names())}")
    return options


def figure_text(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def run_case(name, options):
    """The case's line of JSON, as a dict."""
    began = now()
    result = {"case": name, "ok": True}
    options.random = random.Random(f"{options.seed}-{name}")
    try:
        result.update(load(name).run(options) or {})
    except KeyboardInterrupt:
        raise
    except Skipped as reason:
        result.update(skipped=str(reason))
    except Failure as failure:
        result.update(ok=False, error=str(failure))
    except Exception as error:  # a mistake in the case, or a database that hung up
        traceback.print_exc()
        result.update(ok=False, error=f"{type(error).__name__}: {error}")
    result["seconds"] = round(now() - began, 1)
    shown = "  ".join(f"{key} {figure_text(value)}" for key, value in result.items()
                      if key not in ("case", "ok", "seconds", "error"))
    word = "FAILED" if not result["ok"] else "skipped" if "skipped" in result else "ok"
    print(f"{name:<18} {word:<7} {result['seconds']:7.1f} s  {shown}", flush=True)
    if not result["ok"]:
        print(f"    {result['error']}\n    logs: {os.path.join(options.logs, name)}, "
              f"again: --seed {options.seed}", flush=True)
    return result


def interrupt(_number, _frame):
    raise KeyboardInterrupt


def main():
    options = parse()
    if options.list:
        for name in case_names():
            case = load(name)
            manner = "alone" if getattr(case, "MEASURES", False) else "beside"
            print(f"{name:<18} {manner:<6} {case.__doc__.strip().splitlines()[0]}")
        return 0
    signal.signal(signal.SIGTERM, interrupt)
    print(f"seed {options.seed}", flush=True)
    try:
        results = [run_case(name, options) for name in options.case or case_names()]
    except KeyboardInterrupt:
        World.end_begun(KeyboardInterrupt)
        print("interrupted", file=sys.stderr)
        return 130
    for result in results:
        print(json.dumps(result))
    if not all(result["ok"] for result in results):
        return 1
    return SKIPPED if all("skipped" in result for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
