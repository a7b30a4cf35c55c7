"""Fax and instant messaging behind one type: no request reaches the wrong server, in 10,000 (with
--full 100,000) by type and by cluster. Servers that do not declare what they offer are refused by
type, with a sentence that says so, and reached through a cluster."""

import json
import os

from waiting import expect, wait_for
from world import World

CALLS = 20  # of one interaction
SERVERS = {"fax-1": "fax", "im-1": "im"}

# What came of each call is counted: "fax by fax-1" is how often fax-1 answered what asked for fax.
STRATEGY = """
local given, seen = interaction.attributes, {}
for number = 1, given.calls do
    local wanted = number % 2 == 0 and "fax" or "im"
    local call = {service = wanted, timeout = 60, safe = number % 4 < 2,
                  parameters = {number = number}}
    if number % 3 == 0 or given.cluster_only then
        call.cluster = given.cluster_only and wanted or "both"
    else
        call.type = "third_party"
    end
    local ok, answer, by = pcall(service.call, call)
    local what = ok and answer.service .. " by " .. by or answer.code
    if ok and (answer.server ~= by or answer.echo.number ~= number) then what = "strange" end
    if not ok and given.say then what = what .. ": " .. answer.text end
    what = wanted .. " asked: " .. what
    seen[what] = (seen[what] or 0) + 1
end
interaction:set {seen = seen}
stop("done")
"""


def start_servers(world, pair, *more):
    servers = [world.spawn(f"{name}{''.join(more)}", "ixn-app", "serve", "echo", "--name", name,
                           "--service", service, *pair.node_arguments, *more)
               for name, service in SERVERS.items()]
    for server in servers:
        server.wait_log(r" app\.connected ", 30)
    return servers


def ask(world, pair, batch, count, seconds, **attributes):
    """So many interactions; {what came of a call: how often}."""
    path = world.path(f"{batch}.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            file.write(json.dumps({"batch": batch, "number": number, **attributes}) + "\n")
    pair.ctl("submit", "--queue", "inbound", "--media-type", "chat", path)
    done = "FROM ixn.interaction_history WHERE attributes->>'batch' = %s"
    wait_for(f"{count} interactions of {batch} in the history", lambda: world.postgres.value(
        "SELECT count(*) " + done, batch) == count, seconds)
    expect(world.postgres.value("SELECT count(*) " + done + " AND reason <> 'done'", batch) == 0,
           f"not all of {batch} ended well")
    rows = world.postgres.query(
        "SELECT call.key, sum(call.value::int)::int FROM ixn.interaction_history,"
        " jsonb_each_text(attributes->'seen') AS call WHERE attributes->>'batch' = %s"
        " GROUP BY 1", batch)
    return dict(rows)


def check_undeclared(world, pair):
    servers = start_servers(world, pair, "--undeclared")
    refused = ask(world, pair, "refused", 1, 60, calls=2, say=True)
    expect(len(refused) == 2 and all("NOT_DECLARED: " in what and "by server or cluster" in what
                                     for what in refused), f"by type: {refused}")
    right = ask(world, pair, "clusters", 5, 60, calls=CALLS, cluster_only=True)
    expect(right == {"fax asked: fax by fax-1": 50, "im asked: im by im-1": 50},
           f"through clusters: {right}")
    for server in servers:
        server.stop()


def run(options):
    count = (100000 if options.full else 10000) // CALLS
    config = {"applications": {"servers": [{"name": name, "type": "third_party"}
                                           for name in SERVERS]},
              "clusters": [{"name": "both", "members": list(SERVERS)},
                           {"name": "fax", "members": ["fax-1"]},
                           {"name": "im", "members": ["im-1"]}]}
    with World(options, "third-party") as world:
        pair = world.start_pair(**config)
        strategies = world.path("strategies")
        os.makedirs(strategies)
        with open(os.path.join(strategies, "classify.lua"), "w", encoding="utf-8") as file:
            file.write(STRATEGY)
        world.start_router(pair, "router-1", strategies)
        check_undeclared(world, pair)
        start_servers(world, pair)
        half = count * CALLS // 2
        before = {server["name"]: server["answered"]
                  for server in json.loads(pair.ctl("apps", "-o", "json")[0])["servers"]}
        seen = ask(world, pair, "many", count, 120 if not options.full else 1200, calls=CALLS)
        expect(seen == {"fax asked: fax by fax-1": half, "im asked: im by im-1": half},
               f"who answered what: {seen}")
        shown = {server["name"]: server
                 for server in json.loads(pair.ctl("apps", "-o", "json")[0])["servers"]}
        for name, server in shown.items():
            expect(server["answered"] - before[name] == half and server["faults"] == 0,
                   f"{name}: {server}, before {before}")
        return {"requests": 2 * half, "wrong": 0}
