"""Routers by strategy: whose turn it is, who is left out and why, loss, limits, agents; all numbers
are exact.

Part guide: two routers with stored strategies A, B and C; one is lost and returns. Part sides: the
four combinations of agent reservation. Part loss: processes are killed and frozen under load; how
long until their work is with another router.
Part agents: two reference routers compete for agents while the primary is killed.
"""

import json
import re
import uuid

import losses
from contract import Client, pb
from waiting import expect, wait_for
from world import Node, World

MEASURES = True
BODY = b"stop('done')"
AGENTS = 50
SCRIPT = """
local first = tonumber(interaction.id:sub(-4), 16)
for try = 0, 100000 do
    local name = "agent-" .. (first + try) % 50
    if agent.reserve(name, {duration = 60}) then
        log("begin", name)
        sleep(0.002)
        log("end", name)
        stop("done", {agent = name})
    end
    if try % 50 == 49 then sleep(0.01) end
end
"""


class Router(Client):
    """A router whose work is in the hands of the case."""

    def __init__(self, endpoint, name, reservation=True, limit=0):
        super().__init__(endpoint, pb.ROUTER, name, register=False)
        self.work = []
        self.told = []
        answer = self.call(register=pb.Register(
            role=pb.ROUTER, name=name, incarnation=uuid.uuid4().bytes,
            agent_reservation=reservation, max_submitted_interactions=limit))
        expect(answer and answer.HasField("registered"), f"{name} could not register: {answer}")

    def receive(self, seconds):
        messages = super().receive(seconds)
        for message in messages:
            if message.HasField("load_strategy"):
                load = message.load_strategy
                self.send(strategy_loaded=pb.StrategyLoaded(
                    strategy=load.strategy, version=str(load.version),
                    stored_version=load.version))
            elif message.HasField("route"):
                self.work.append(message.route)
            self.told.append(message.WhichOneof("body"))
        return messages

    def settle(self):
        """Takes all that was sent before now."""
        expect(self.call(ping=pb.Ping()), f"{self.name} hears nothing")
        while self.receive(0):
            pass

    def bring(self, strategy):
        answer = self.call(strategy_loaded=pb.StrategyLoaded(strategy=strategy, version="own"))
        expect(answer.HasField("ack"), f"{self.name} may not bring {strategy}: {answer}")

    def count(self, strategy):
        return sum(route.strategy == strategy for route in self.work)


def submit(media, queue, count):
    for _ in range(count):
        answer = media.submit(queue)
        expect(answer is not None and answer.HasField("ack"), f"{queue} was not taken: {answer}")


def listed(chief, kind):
    return chief.call(list=pb.List(kind=kind)).listing


def reason_of(chief, queue):
    answer = chief.call(list_queues=pb.ListQueues()).queues
    return next(found.reason for found in answer.queues if found.name == queue)


def settled(routers, condition, what):
    def look():
        for router in routers:
            router.settle()
        return condition()

    wait_for(what, look)


def counts(routers):
    return [[router.count(name) for name in "ABC"] for router in routers]


def expect_counts(routers, expected):
    def look():
        return counts(routers) == expected

    try:
        settled(routers, look, "the work")
    except Exception as error:
        raise type(error)(f"the routers have {counts(routers)} of A, B and C, expected "
                          f"{expected}") from error


def put(chief, name, routers):
    answer = chief.call(put_strategy=pb.PutStrategy(strategy=name, body=BODY, routers=routers,
                                                       content_type="text/x-lua"))
    expect(answer.HasField("strategy"), f"{name} was not stored: {answer}")


def both_run(chief, router, names):
    def look():
        found = {item.name: item for item in listed(chief, pb.List.ROUTERS).routers}
        return router in found and found[router].connected and sorted(
            item.strategy for item in found[router].strategies if item.takes_part) == names

    return look


def guide(node, chief, media):
    """Router 1 has A and C, router 2 has B and C."""
    put(chief, "A", ["r1"])
    put(chief, "B", ["r2"])
    put(chief, "C", ["r1", "r2"])
    first, second = Router(node.endpoint, "r1"), Router(node.endpoint, "r2")
    settled([first, second], both_run(chief, "r1", ["A", "C"]), "r1 runs A and C")
    settled([first, second], both_run(chief, "r2", ["B", "C"]), "r2 runs B and C")
    submit(media, "qa", 4)
    submit(media, "qb", 3)
    submit(media, "qc", 10)
    expect_counts([first, second], [[4, 0, 5], [0, 3, 5]])
    turns = [route.interaction.interaction_id for route in first.work + second.work
             if route.strategy == "C"]
    expect(len(set(turns)) == 10, "an interaction was given twice")
    lost = {route.interaction.interaction_id for route in second.work}
    second.close()
    # B waits, C goes to r1 alone, in the old order.
    expect_counts([first], [[4, 0, 10]])
    returned = [route for route in first.work if route.interaction.interaction_id in lost]
    expect([route.interaction.submitted_at_us for route in returned] ==
           sorted(route.interaction.submitted_at_us for route in returned),
           "what came back is not in the old order")
    submit(media, "qc", 4)
    expect_counts([first], [[4, 0, 14]])
    why = reason_of(chief, "qb")
    expect("no router runs strategy B" in why and "r2: not connected" in why,
           f"the reason at B is {why!r}")
    second = Router(node.endpoint, "r2")
    settled([first, second], both_run(chief, "r2", ["B", "C"]), "r2 runs B and C again")
    expect_counts([first, second], [[4, 0, 14], [0, 3, 0]])
    expect(reason_of(chief, "qb") == "", "B has a reason though nothing waits")
    submit(media, "qc", 6)
    expect_counts([first, second], [[4, 0, 17], [0, 3, 3]])
    upgrade(chief, media, first, second)
    for router in (first, second):
        router.call(leave=pb.Leave())
        router.close()
    chief.call(deactivate_strategy=pb.DeactivateStrategy(strategy="C"))
    return {"guide": 34}


def upgrade(chief, media, first, second):
    """A new version takes the place of the old one; what runs is not disturbed."""
    answer = chief.call(put_strategy=pb.PutStrategy(strategy="C", body=b"-- second\n" + BODY))
    expect(answer.strategy.version == 2, f"the second put made version {answer.strategy.version}")
    submit(media, "qc", 2)
    expect_counts([first, second], [[4, 0, 18], [0, 3, 4]])
    chief.call(activate_strategy=pb.ActivateStrategy(strategy="C", routers=["r2"]))
    settled([first, second], lambda: "unload_strategy" in second.told, "r2 unloads version 1")
    submit(media, "qc", 2)
    expect_counts([first, second], [[4, 0, 19], [0, 3, 5]])
    versions = [first.work[-1].strategy_version, second.work[-1].strategy_version]
    expect(versions == [1, 2], f"work names versions {versions}, expected 1 and 2")


def finish(router):
    """Stops all that it has, and leaves."""
    for route in router.work:
        answer = router.call(stop=pb.Stop(interaction_id=route.interaction.interaction_id,
                                             token=route.token))
        expect(answer.HasField("ack"), f"a result was refused: {answer}")
    router.call(leave=pb.Leave())
    router.close()


def sides(node, chief, media):
    """Who takes part beside a router that has agent reservation on both sides."""
    missing = {(True, True): "", (True, False): "agent_reservation is missing in the configuration "
               "(routers)", (False, True): "agent_reservation is missing on the router's side",
               (False, False): "agent_reservation is missing on both sides"}
    whole = Router(node.endpoint, "s1")
    whole.bring("D")
    for (announced, configured), sentence in missing.items():
        name = "s2" if configured else "s3"
        other = Router(node.endpoint, name, reservation=announced)
        other.bring("D")
        before = len(whole.work)
        submit(media, "qd", 10)
        share = 5 if announced and configured else 0
        settled([whole, other],
                lambda: (len(whole.work) - before, len(other.work)) == (10 - share, share),
                f"{10 - share} and {share} with announced={announced} configured={configured}")
        router = next(item for item in listed(chief, pb.List.ROUTERS).routers
                      if item.name == name)
        said = router.strategies[0].reason
        expect(said == sentence, f"announced={announced} configured={configured}: {said!r}, "
               f"expected {sentence!r}")
        other.call(leave=pb.Leave())
        other.close()
        settled([whole], lambda: len(whole.work) - before == 10, "what it had is with the other")
    finish(whole)
    return {"sides": len(missing)}


def loss(options):
    """From the end of a router's process to its work at another one."""
    with World(options, "balancing-losses") as world:
        node = losses.start_node(world)
        with Client(node.endpoint, pb.OPERATOR, "chief") as chief, \
                Client(node.endpoint, name="media") as media:
            return losses.routers(world, node, chief, media, options)


def intervals(process):
    """When this router believed that it had each agent: (agent, begin, end)."""
    begun, found = {}, []
    line = re.compile(r"^(\S+) info script\.log strategy=\S+ interaction=(\S+) "
                      r'text="(begin|end) (\S+)"', re.MULTILINE)
    for time, interaction, what, agent in line.findall(process.log()):
        if what == "begin":
            begun[interaction] = time
        else:
            found.append((agent, begun.pop(interaction), time))
    return found, len(begun)


def expect_never_two(found):
    found.sort()
    for (agent, begin, end), (other, other_begin, _) in zip(found, found[1:]):
        expect(agent != other or end <= other_begin,
               f"{agent} had two grants: {begin} … {end}, and from {other_begin}")


def agents(options):
    count = 10000 if options.full else 2000
    queues = [{"name": "qe", "strategy": "E"}]
    annex = [{"name": name, "agent_reservation": True} for name in ("e1", "e2")]
    with World(options, "balancing-agents") as world:
        pair = world.start_pair(queues=queues, routers=annex,
                                agents=[{"name": f"agent-{i}"} for i in range(AGENTS)])
        script = world.path("e.lua")
        with open(script, "w", encoding="utf-8") as file:
            file.write(SCRIPT)
        world.ctl(*pair.node_arguments, "strategy", "put", "E", script, "--router", "e1",
                  "--router", "e2")
        routers = [world.spawn(name, "ixn-router", "--name", name, *pair.node_arguments,
                               "--agent-reservation", "--max-submitted", "40")
                   for name in ("e1", "e2")]
        lines = world.path("work.jsonl")
        with open(lines, "w", encoding="utf-8") as file:
            file.writelines('{"text":"x"}\n' for _ in range(count))
        world.ctl(*pair.node_arguments, "submit", "--queue", "qe", "--media-type", "chat", lines)

        def done():
            return sum(len(intervals(router)[0]) for router in routers)

        wait_for("a third of the work", lambda: done() > count // 3, 240)
        victim = pair.primary()
        victim.kill()
        wait_for("all of the work", lambda: done() >= count, 480)
        table = json.loads(world.ctl(*pair.node_arguments, "agents", "-o", "json")[0])
        found = [item for router in routers for item in intervals(router)[0]]
        expect(len(table["agents"]) == AGENTS, f"there are {len(table['agents'])} agents")
        expect_never_two(found)
        used = {agent for agent, _, _ in found}
        victim.start(wait=False)
        pair.wait_ready()
        return {"reservations": len(found), "agents": len(used)}


def drain(options):
    """A drained router gets nothing, also from the node that takes over, until it is undrained."""
    with World(options, "balancing-drain") as world:
        pair = world.start_pair()
        world.start_router(pair, "router-1").wait_log(r"router\.connected")
        shown = json.loads(pair.ctl("router", "drain", "router-1", "--reason", "kernel update",
                                    "--wait=60", "-o", "json")[0])
        expect(shown["drained"] and shown["pending"] == 0, f"after the drain: {shown}")
        lines = world.path("drain.jsonl")
        with open(lines, "w", encoding="utf-8") as file:
            file.writelines('{"subject":"invoice"}\n' for _ in range(10))
        pair.ctl("submit", "--queue", "inbound", "--media-type", "chat", lines)
        victim = pair.primary()
        victim.kill()

        def rows():
            shown, _, code = pair.ctl("routers", "-o", "json", check=False)
            return json.loads(shown)["routers"] if code == 0 else []

        found = wait_for("the router at the other node", lambda: [
            row for row in rows() if row["connected"] == "yes" and row["strategy"]])
        expect(all(row["drained"] == "kernel update" and row["pending"] == 0 and
                   "kernel update" in row["reason"] for row in found), f"routers: {found}")
        pair.ctl("router", "undrain", "router-1")
        wait_for("all completed", lambda: int(world.postgres.value(
            "SELECT count(*) FROM ixn.interaction_history")) == 10)
        victim.start(wait=False)
        pair.wait_ready()
        return {"drained": len(found)}


def run(options):
    names = ("r1", "r2", "s1", "s2")
    with World(options, "balancing") as world:
        world.start_database()
        node = Node(world, queues=[{"name": f"q{name.lower()}", "strategy": name}
                                   for name in "ABCD"],
                    # The clients are in the hands of the case, which pings when it comes to it.
                    clients={"heartbeat": "30s"},
                    routers=[{"name": name, "agent_reservation": True} for name in names])
        node.init_database()
        node.start()
        chief = Client(node.endpoint, pb.OPERATOR, "chief")
        media = Client(node.endpoint, name="media")
        figures = {**guide(node, chief, media), **sides(node, chief, media)}
        media.close()
        chief.close()
    return {**figures, **loss(options), **drain(options), **agents(options)}
