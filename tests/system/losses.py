"""Losses: routers and application servers that are real processes are killed and frozen while the
node is under load; how long until what they had is with another one. The one that is left is in the
hands of the case, so each piece of work is timed where it arrives."""

import os
import signal
import threading
import uuid

from contract import Client, pb
from pair import percentile
from process import signal_pid
from waiting import PATIENT, expect, now, wait_for

HEARTBEAT_MS = 700  # the case pings between other things, and must not be late itself
# Silence of three heartbeats ends a session.
SILENT_MS = 3 * HEARTBEAT_MS
KILL_P99_MS, FREEZE_SLACK_MS = 50, 50
PIECES = 20  # a round
# A victim of SIGKILL dies, and one of SIGSTOP is overtaken, before its first piece is done.
VICTIM_SECONDS = 2.5 * SILENT_MS / 1000


class Survivor(Client):
    """A client that pings by itself and notes when each piece of work arrived."""

    def __init__(self, endpoint, register, others=()):
        super().__init__(endpoint, register.role, register.name, register=False)
        self.others = others  # clients of the case that would be silent meanwhile
        self.arrived = []  # (seconds, message)
        answer = self.call(register=register)
        expect(answer and answer.HasField("registered"), f"{self.name} cannot register: {answer}")
        self.pinged = now()

    def take(self, seconds):
        if now() - self.pinged > HEARTBEAT_MS / 2000:
            self.pinged = now()
            for client in (self, *self.others):
                client.send(ping=pb.Ping())
        for message in self.receive(min(seconds, 0.1)):
            if message.WhichOneof("body") in ("route", "service_request", "service_result"):
                self.arrived.append((now(), getattr(message, message.WhichOneof("body"))))

    def take_until(self, what, condition, seconds=PATIENT):
        deadline = now() + seconds
        while not condition():
            expect(now() < deadline, f"{what}: not within {seconds} s")
            self.take(0.1)


def figures(prefix, times):
    return {f"{prefix}_p50_ms": round(percentile(times, 0.5), 1),
            f"{prefix}_p99_ms": round(percentile(times, 0.99), 1),
            f"{prefix}_max_ms": round(max(times), 1)}


def start_node(world):
    return world.start_node(
        clients={"heartbeat": f"{HEARTBEAT_MS}ms"},
        # A server that is lost again and again is what this is about.
        applications={"breaker_failures": 1000},
        queues=[{"name": "qd", "strategy": "D"}, {"name": "load", "strategy": "load"}],
        routers=[{"name": name, "agent_reservation": True} for name in ("s1", "s2")])


class Load:
    """Interactions that come and go beside it all."""

    def __init__(self, world, node):
        self.world = world
        self.bench = world.start_bench(node, "--rate", 500, "--submitters", 2, "--seconds", 100000,
                                       "--warmup", 0, "--queue", "load", "--strategy", "load")

    def end(self):
        self.bench.popen.terminate()
        result = self.world.finish_bench(self.bench, good=False)
        expect(result["acknowledged"] > 0, f"there was no load: {result}")
        return {"load": result["acknowledged"]}


def router_register(name):
    return pb.Register(role=pb.ROUTER, name=name, incarnation=uuid.uuid4().bytes,
                       agent_reservation=True)


def pending(chief, name):
    found = chief.call(list=pb.List(kind=pb.List.ROUTERS)).listing.routers
    return next((router.pending for router in found if router.name == name), 0)


def expect_quick(result, kind, freezes):
    """What was killed is missed by its connection, what was frozen by its silence."""
    expect(result[f"{kind}_kill_p99_ms"] <= KILL_P99_MS,
           f"after SIGKILL, at most {KILL_P99_MS} ms of p99 are good: {result}")
    most = SILENT_MS + FREEZE_SLACK_MS
    expect(max(freezes) <= most, f"after SIGSTOP, at most {most} ms are good: {result}")


def start_victim(world, node, folder, number):
    """A reference router that keeps what it gets for some seconds, then completes it."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "D.lua"), "w", encoding="utf-8") as file:
        file.write(f'sleep({VICTIM_SECONDS})\nstop("by the victim")\n')
    return world.spawn(f"victim-{number}", "ixn-router", "--name", "s2", *node.node_arguments,
                       "--strategies", folder, "--agent-reservation")


def router_round(world, node, clients, number, freeze):
    """One process with half of the work is lost; when each piece is with the other, in ms."""
    chief, media = clients
    survivor = Survivor(node.endpoint, router_register("s1"), clients)
    expect(survivor.call(strategy_loaded=pb.StrategyLoaded(strategy="D")).HasField("ack"),
           "the survivor may not bring D")
    victim = start_victim(world, node, world.path("victims"), number)
    survivor.take_until("both run D", lambda: "s2" in {
        router.router for strategy in chief.call(list=pb.List(
            kind=pb.List.STRATEGIES)).listing.strategies if strategy.name == "D"
        for router in strategy.routers if router.takes_part})
    for _ in range(PIECES):
        answer = media.submit("qd")
        expect(answer and answer.HasField("ack"), f"not taken: {answer}")
    survivor.take_until("its half of the work", lambda: len(survivor.arrived) == PIECES // 2)
    survivor.take_until("the victim has the other half",
                        lambda: pending(chief, "s2") == PIECES // 2)
    began = now()
    if freeze:
        signal_pid(victim.pid, signal.SIGSTOP)
        victim.killed = True
    else:
        victim.kill()
    survivor.take_until("what the lost router had", lambda: len(survivor.arrived) == PIECES)
    moved = survivor.arrived[PIECES // 2:]
    order = [route.interaction.submitted_at_us for _, route in moved]
    expect(order == sorted(order), "what came back is not in the old order")
    if freeze:  # it goes on, and what it says of the work is too late
        signal_pid(victim.pid, signal.SIGCONT)
        survivor.take_until("the victim heard that it is late", lambda: any(
            word in victim.log() for word in ("router.revoked", "router.lost")))
    for _, route in survivor.arrived:
        answer = survivor.call(stop=pb.Stop(interaction_id=route.interaction.interaction_id,
                                               token=route.token, reason="by the survivor"))
        expect(answer.HasField("ack"), f"a result was refused: {answer}")
    survivor.call(leave=pb.Leave())
    survivor.close()
    if freeze:
        victim.stop()
    return [(at - began) * 1000 for at, _ in moved]


def routers(world, node, chief, media, options):
    load = Load(world, node)
    kills, freezes = [], []
    rounds = options.rounds or (50 if options.full else 10)
    for number in range(rounds):
        kills += router_round(world, node, (chief, media), number, False)
    for number in range(max(2, rounds // 5)):
        freezes += router_round(world, node, (chief, media), rounds + number, True)
    result = {"lost": len(kills) + len(freezes), **figures("router_kill", kills),
              **figures("router_freeze", freezes), **load.end()}
    expect_quick(result, "router", freezes)
    total = PIECES * (rounds + max(2, rounds // 5))

    def ended():
        return world.postgres.query(
            "SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE reason = "
            "'by the survivor') FROM ixn.interaction_history WHERE queue = 'qd' AND "
            "reason LIKE 'by the %'")[0]

    wait_for(f"{total} in the history", lambda: int(ended()[0]) >= total)
    expect([int(number) for number in ended()] == [total] * 3,
           f"{total} were completed by the survivor; the history says {ended()}")
    return result


def in_flight(chief, name):
    found = chief.call(applications=pb.ApplicationsRequest()).applications.servers
    return next((server.in_flight for server in found if server.name == name), 0)


def server_register(name):
    return pb.Register(role=pb.APPLICATION_SERVER, name=name, incarnation=uuid.uuid4().bytes,
                       application_server=pb.ApplicationServer(
                           type=pb.APPLICATION_THIRD_PARTY, services=["fax"]))


class Services:
    """A router and an application server in the hands of the case, and one that is a process."""

    def __init__(self, world, node, clients, number):
        self.world, self.node = world, node
        self.chief, self.media = clients
        self.router = Survivor(node.endpoint, router_register("s1"), clients)
        self.server = Survivor(node.endpoint, server_register("fax-1"))
        answer = self.router.call(strategy_loaded=pb.StrategyLoaded(strategy="D"))
        expect(answer.HasField("ack"), f"the router may not bring D: {answer}")
        self.safe = {}  # by interaction
        self.work = []
        self.victim = self.start_victim(f"fax-{number}")

    def start_victim(self, name):
        victim = self.world.spawn(name, "ixn-app", "serve", "echo", "--name", "fax-2",
                                  "--service", "fax", *self.node.node_arguments)
        self.until("the victim is connected", lambda: "app.connected" in victim.log())
        return victim

    def until(self, what, condition, seconds=PATIENT):
        deadline = now() + seconds
        while not condition():
            expect(now() < deadline, f"{what}: not within {seconds} s")
            self.router.take(0.002)
            self.server.take(0.002)

    def ask(self):
        """Each asks for a service that takes long; half of them may not be done twice."""
        for _ in range(PIECES):
            answer = self.media.submit("qd")
            expect(answer and answer.HasField("ack"), f"not taken: {answer}")
        self.until("the work is with the router", lambda: len(self.router.arrived) == PIECES)
        self.work = [route for _, route in self.router.arrived]
        self.router.arrived = []
        for number, route in enumerate(self.work):
            self.safe[route.interaction.interaction_id] = number // 2 % 2 == 0
            self.router.send(call_service=pb.CallService(
                interaction_id=route.interaction.interaction_id, token=route.token,
                key=uuid.uuid4().bytes, type=pb.APPLICATION_THIRD_PARTY, service="fax",
                parameters=b'{"delay_ms": 60000}', timeout_ms=60000,
                safe=number // 2 % 2 == 0))
        self.until("each server has half",
                   lambda: len(self.server.arrived) == PIECES // 2 and
                   in_flight(self.chief, "fax-2") == PIECES // 2)
        mine = {request.interaction_id for _, request in self.server.arrived}
        lost = set(self.safe) - mine
        self.server.arrived = []
        safe = {one for one in lost if self.safe[one]}
        return safe, lost - safe

    def moved(self, safe, began):
        """The safe ones are with the other server, each once; in ms."""
        self.until("safe requests are with the other server",
                   lambda: len(self.server.arrived) >= len(safe))
        expect({request.interaction_id for _, request in self.server.arrived} == safe,
               "another request than the lost safe ones came to the other server")
        return [(at - began) * 1000 for at, _ in self.server.arrived]

    def faults(self):
        return {result.interaction_id: result.fault.code for _, result in self.router.arrived}

    def end(self):
        for route in self.work:
            answer = self.router.call(stop=pb.Stop(
                interaction_id=route.interaction.interaction_id, token=route.token))
            expect(answer.HasField("ack"), f"a result was refused: {answer}")
        expect(len(self.server.arrived) <= PIECES // 2, "a request came twice")
        for client in (self.router, self.server):
            client.call(leave=pb.Leave())
            client.close()
        self.victim.kill()


def server_killed(services):
    safe, unsafe = services.ask()
    began = now()
    services.victim.kill()
    times = services.moved(safe, began)
    services.victim = services.start_victim(services.victim.name + "-again")
    services.until("unsafe requests end with a fault",
                   lambda: set(services.faults()) >= unsafe)
    expect(services.faults() == {one: "SERVER_LOST" for one in unsafe},
           f"unsafe requests of a killed server: {services.faults()}")
    expect(in_flight(services.chief, "fax-2") == 0,
           "an unsafe request went to another process of its server")
    return times


def server_frozen(services):
    safe, unsafe = services.ask()
    began = now()
    signal_pid(services.victim.pid, signal.SIGSTOP)
    times = services.moved(safe, began)
    signal_pid(services.victim.pid, signal.SIGCONT)
    services.until("the same process has its unsafe requests again",
                   lambda: in_flight(services.chief, "fax-2") == len(unsafe))
    expect(not services.faults(), f"requests of a frozen server: {services.faults()}")
    return times


def servers(world, node, chief, media, options):
    load = Load(world, node)
    kills, freezes = [], []
    rounds = options.rounds or (50 if options.full else 10)
    for number in range(rounds):
        services = Services(world, node, (chief, media), number)
        kills += server_killed(services)
        services.end()
    for number in range(max(2, rounds // 5)):
        services = Services(world, node, (chief, media), rounds + number)
        freezes += server_frozen(services)
        services.end()
    result = {**figures("server_kill", kills), **figures("server_freeze", freezes), **load.end()}
    expect_quick(result, "server", freezes)
    return result
