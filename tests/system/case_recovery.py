"""Very many interactions wait: they are all there after a restart and after SIGKILL, soon.

The default is small; `--full` and tests/bench/run.sh recovery do it with a million.
"""

from recovery import measure
from waiting import expect

MEASURES = True
SMALL, FULL = 50000, 1000000


def run(options):
    count = FULL if options.full else SMALL
    # Latencies are told, not judged: one look at them is enough by default.
    figures = measure(options, "recovery", count, windows=3 if options.full else 1)
    limit = 5 + 20 * count / 1e6
    for name in ("load_s", "load_after_kill_s"):
        expect(figures[name] < limit, f"{name} is {figures[name]:.1f} s with {count} interactions, "
               f"at most {limit:.1f} s is good")
    return figures
