"""A router and an application server stand still for longer than three heartbeats, as on a paused
machine, and nobody else is there. The node ends their sessions; when they wake up they come back by
themselves, and what has waited meanwhile is done.
"""

import json
import os
import signal

from process import signal_pid
from waiting import wait_for
from world import World

STRATEGY = """
local answer = service.call{type = "third_party", service = "fax", timeout = 60, safe = true}
stop("ok " .. answer.service)
"""
COUNT = 5


def connected(node):
    """Names of the routers and application servers that the node has a session with."""
    routers = json.loads(node.world.ctl("routers", "-o", "json", *node.node_arguments)[0])
    servers = json.loads(node.world.ctl("apps", "-o", "json", *node.node_arguments)[0])
    return {one.get("router") or one["name"] for one in routers["routers"] + servers["servers"]
            if one["connected"]}


def run(options):
    with World(options, "asleep") as world:
        node = world.start_node(clients={"heartbeat": "500ms"})
        strategies = world.path("strategies")
        os.makedirs(strategies)
        with open(os.path.join(strategies, "classify.lua"), "w", encoding="utf-8") as file:
            file.write(STRATEGY)
        sleepers = [world.start_router(node, "router-1", strategies),
                    world.spawn("fax-1", "ixn-app", "serve", "echo", "--name", "fax-1", "--service",
                                "fax", *node.node_arguments)]
        wait_for("both are connected", lambda: connected(node) == {"router-1", "fax-1"})
        for sleeper in sleepers:
            signal_pid(sleeper.pid, signal.SIGSTOP)
        wait_for("their sessions have ended", lambda: not connected(node))
        items = world.path("items.jsonl")
        with open(items, "w", encoding="utf-8") as file:
            file.write('{"text": "waits"}\n' * COUNT)
        world.ctl("submit", "--queue", "inbound", "--media-type", "chat", *node.node_arguments,
                  items)
        for sleeper in sleepers:
            signal_pid(sleeper.pid, signal.SIGCONT)
        wait_for(f"{COUNT} are done", lambda: world.postgres.value(
            "SELECT count(*) FROM ixn.interaction_history WHERE reason = 'ok fax'") == COUNT)
        wait_for("both are back", lambda: connected(node) == {"router-1", "fax-1"})
        return {"done": COUNT}
