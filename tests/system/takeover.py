"""What the cases of take-overs share: the load, and how gaps are judged."""

from checks import check_record, wait_all_completed
from pair import Prober, percentile
from waiting import expect

SHARE = 0.3  # of what the pair can do
MOST, MOST_FULL = 300000, 1500000  # interactions of one case: each is checked
# A node that comes back loads what is remembered of completed interactions. Ten minutes of such a
# load would be what a case waits for in every round.
DEDUPE = {"window": "35s", "guaranteed": "35s"}


class Load:
    """A prober, and ixn-bench at a share of what the pair can do, both recorded."""

    def __init__(self, pair, rate=None, seconds=60, most=MOST):
        """`rate` instead of the share; `seconds`: how long it is expected to last."""
        self.pair = pair
        self.world = pair.world
        rate = self.world.options.rate or rate
        self.log = self.world.path("record.jsonl")
        self.capacity = None if rate else int(self._capacity())
        self.rate = rate or int(min(SHARE * self.capacity, most / seconds))
        self.bench = self.world.start_bench(
            pair, "--rate", self.rate, "--submitters", 4, "--window", 1000, "--routers", 2,
            "--seconds", 100000, "--warmup", 0, "--drain", 60, "--log", self.log)
        self.prober = Prober(pair)

    def _capacity(self):
        return self.world.bench(self.pair, "--submitters", 4, "--window", 100, "--routers", 2,
                                "--seconds", 2, "--log", self.log)["complete_rate"]

    def finish(self):
        """Ends it and checks every answer; figures."""
        expect(self.bench.alive(), f"ixn-bench ended by itself: {self.bench.log_end()}")
        self.prober.stop()
        self.bench.popen.terminate()
        figures = self.world.finish_bench(self.bench, 120, good=False)
        wait_all_completed(self.world, 60)
        checked = check_record(self.world, self.log, self.prober.path)
        for name in ("lost", "repeated", "shared_ids", "refused", "unknown"):
            expect(figures.get(name, 0) == 0, f"ixn-bench counts {figures[name]} {name}")
        return {"capacity": self.capacity, "rate": self.rate, **checked, "lost": 0, "repeated": 0,
                "longest_gap_ms": figures["longest_gap_ms"]}


def gap_figures(gaps, goals=None):
    """Of gaps in milliseconds."""
    figures = {"p50_ms": percentile(gaps, 0.5), "p95_ms": percentile(gaps, 0.95),
               "max_ms": max(gaps)}
    for name, goal in (goals or {}).items():
        figures[f"goal_{name}_ms"] = goal
    return {name: round(value, 1) for name, value in figures.items()}


def expect_goals(figures, goals):
    """Each named figure at most its goal, in milliseconds."""
    for name, goal in goals.items():
        expect(figures[f"{name}_ms"] <= goal, f"the {name} of the gaps is {figures[f'{name}_ms']} "
               f"ms, at most {goal} ms is good: {figures}")
