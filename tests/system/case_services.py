"""Application servers under load: fax and instant messaging behind one type; one is killed and
comes back, one is frozen, and the nodes change roles. No request reaches the wrong one, every
interaction ends, safe requests end with a result, and a server without declared services is refused
by type."""

import json
import os
import signal

import losses
from contract import Client, pb
from process import signal_pid
from waiting import expect, wait_for
from world import World

MEASURES = True
STRATEGY = """
local given = interaction.attributes
local call = {service = given.service, timeout = 300, safe = given.safe == true,
              parameters = {delay_ms = 3}}
if given.cluster then call.cluster = given.cluster else call.type = "third_party" end
local ok, answer, by = pcall(service.call, call)
if ok then stop("ok " .. answer.service .. " by " .. by) end
stop("fault " .. answer.code)
"""

SERVERS = {"fax-1": "fax", "fax-2": "fax", "im-1": "im", "im-2": "im"}


def start_server(world, pair, name, service, *more):
    return world.spawn(name, "ixn-app", "serve", "echo", "--name", name, "--service", service,
                       *pair.node_arguments, *more)


def submit(world, pair, name, items):
    path = world.path(f"{name}.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(item) + "\n")
    pair.ctl("submit", "--queue", "inbound", "--media-type", "chat", path)


def outcomes(world):
    """(service, safe, reason) → how many."""
    rows = world.postgres.query(
        "SELECT attributes->>'service', attributes->>'safe', reason, count(*) "
        "FROM ixn.interaction_history GROUP BY 1, 2, 3")
    return {(row[0], row[1], row[2]): int(row[3]) for row in rows}


def wait_done(world, total):
    wait_for(f"{total} interactions in the history",
             lambda: sum(outcomes(world).values()) >= total, 300)
    return outcomes(world)


def mix(count, batch):
    return [{"service": "fax" if number % 2 else "im", "safe": number % 4 < 2, "number": number,
             "batch": batch} for number in range(count)]


def loss(options):
    """From the end of a server's process to its safe requests at another one."""
    with World(options, "services-losses") as world:
        node = losses.start_node(world)
        with Client(node.endpoint, pb.OPERATOR, "chief") as chief, \
                Client(node.endpoint, name="media") as media:
            return losses.servers(world, node, chief, media, options)


def run(options):
    count = 4000 if options.full else 800
    listed = [{"name": "old-1", "type": "third_party"}]
    with World(options, "services") as world:
        pair = world.start_pair(applications={"servers": listed},
                                clusters=[{"name": "old", "members": ["old-1"]}])
        strategies = world.path("strategies")
        os.makedirs(strategies)
        with open(os.path.join(strategies, "classify.lua"), "w", encoding="utf-8") as file:
            file.write(STRATEGY)
        world.start_router(pair, "router-1", strategies)
        old = start_server(world, pair, "old-1", "fax", "--undeclared")
        old.wait_log(r" app\.connected ")
        submit(world, pair, "old", [{"service": "fax", "safe": True},
                                    {"service": "fax", "safe": True, "cluster": "old"}])
        seen = wait_done(world, 2)
        expect(seen == {("fax", "true", "fault NOT_DECLARED"): 1,
                        ("fax", "true", "ok fax by old-1"): 1}, f"an undeclared server: {seen}")
        servers = {name: start_server(world, pair, name, service)
                   for name, service in SERVERS.items()}
        for server in servers.values():
            server.wait_log(r" app\.connected ")
        submit(world, pair, "first", mix(count, "first"))
        servers["fax-1"].kill()
        signal_pid(servers["im-1"].pid, signal.SIGSTOP)
        servers["fax-1"] = start_server(world, pair, "fax-1", "fax")
        submit(world, pair, "second", mix(count, "second"))
        pair.primary().kill()
        submit(world, pair, "third", mix(count, "third"))
        signal_pid(servers["im-1"].pid, signal.SIGCONT)
        seen = wait_done(world, 2 + 3 * count)
        wrong = {key: number for key, number in seen.items()
                 if key[2].startswith("ok ") and f"ok {key[0]} by {key[0]}-" not in key[2]
                 and key[2] != "ok fax by old-1"}
        unsafe = {key[2]: number for key, number in seen.items() if key[1] == "false"}
        safe_faults = {key: number for key, number in seen.items()
                       if key[1] == "true" and key[2].startswith("fault ")
                       and key[2] != "fault NOT_DECLARED"}
        expect(not wrong, f"requests reached the wrong server: {wrong}")
        expect(not safe_faults, f"safe requests ended with a fault: {safe_faults}")
        total = sum(seen.values())
        expect(total == 2 + 3 * count, f"{total} ended of {2 + 3 * count}")
        shown = json.loads(pair.ctl("apps", "-o", "json")[0])
        expect(len(shown["servers"]) == 5, f"ixnctl apps shows {shown}")
        figures = {"requests": total, "wrong": 0,
                   "unsafe_faults": sum(number for reason, number in unsafe.items()
                                        if reason.startswith("fault "))}
    return {**figures, **loss(options)}
