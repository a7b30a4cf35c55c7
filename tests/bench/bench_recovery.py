"""A million interactions wait: memory for each, time to load them, cost of one more submit."""

from recovery import measure


def run(options):
    figures = measure(options, "recovery", options.interactions)
    count = figures["interactions"]
    return [
        {"bench": f"memory per interaction beyond what was submitted, {count} waiting", "unit": "B",
         "ours": figures["memory_over_payload"], "goal": 250},
        {"bench": "load after a restart, checkpoint of all", "unit": "s",
         "ours": figures["load_s"], "goal": max(1.0, 20.0 * count / 1e6)},
        {"bench": "load after SIGKILL", "unit": "s",
         "ours": figures["load_after_kill_s"], "goal": max(1.0, 20.0 * count / 1e6)},
        {"bench": "submit, p50, to the same node when empty", "unit": "ms",
         "ours": figures["full_p50_ms"], "peer": figures["empty_p50_ms"], "goal": 1.5,
         "goal_is_ratio": True},
        {"bench": "submit, p99, to the same node when empty", "unit": "ms",
         "ours": figures["full_p99_ms"], "peer": figures["empty_p99_ms"], "goal": 2.0,
         "goal_is_ratio": True},
        {"bench": "submits a second while filling", "unit": "/s", "ours": figures["fill_per_s"]},
    ]
