"""An operator's switchover under load, back and forth: no client sees an error.

`ixnctl switchover --wait` returns when the other node serves; SIGTERM of the primary hands over
too.
"""

import json
import signal

from pair import PAIRED
from takeover import DEDUPE, Load, expect_goals, gap_figures
from waiting import PATIENT, expect
from world import World

MEASURES = True
WIDE = {"p50": 500.0, "p95": 1500.0}  # of a busy machine, too


def one(pair, load):
    old, epoch = pair.wait_ready(), pair.epoch()
    pair.ctl("switchover", "--wait")
    new = pair.other(old)
    expect(pair.primary() is new, f"{old.name} serves after switchover --wait")
    return load.prober.wait_taken(epoch) * 1000


def terminate(pair, load):
    """SIGTERM: the other one serves, and the process ends in order."""
    old, epoch = pair.wait_ready(), pair.epoch()
    old.process.popen.send_signal(signal.SIGTERM)
    gap = load.prober.wait_taken(epoch) * 1000
    code = old.process.wait()
    expect(code == 0, f"{old.name} ended with code {code} after SIGTERM:\n{old.process.log_end()}")
    old.start(wait=False)
    expect(pair.wait_ready() is pair.other(old), f"{old.name} serves again after its restart")
    return gap


def expect_status(pair):
    """The operator's view agrees with the protocol's."""
    pair.wait_ready()
    for node in pair.nodes:
        out, _, _ = pair.world.ctl("--node", node.endpoint, "pair", "status", "-o", "json")
        own = json.loads(out)["nodes"][0]["own"]
        status = pair.status(node, seconds=PATIENT)
        expect("database" in out and (own["name"], own["role"]) == (node.name, status.own.role),
               f"ixnctl pair status says of {node.name}: {out}, the node itself {status}")


def run(options):
    rounds = options.rounds or (100 if options.full else 20)
    with World(options, "switchover") as world:
        pair = world.start_pair(dedupe=DEDUPE)
        expect_status(pair)
        load = Load(pair, seconds=5 * rounds)
        gaps = [one(pair, load) for _ in range(rounds)]
        by_signal = [terminate(pair, load) for _ in range(2)]
        pair.wait_role(pair.wait_ready(), PAIRED)
        result = load.finish()
        figures = gap_figures(gaps)
        expect_goals(figures, WIDE)
        return {"rounds": rounds, **figures, "sigterm_ms": round(max(by_signal), 1), **result}
