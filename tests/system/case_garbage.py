"""Random bytes, truncated, oversize, wrong version, wrong role, half-open connections, HTTP.

All of it goes at the client port while ordinary clients work: their requests are all acknowledged
in good time, the node stays the same process, and what can be answered is answered with its code.
"""

import contextlib
import re
import socket
import uuid

import zmq

from admin_port import add_admin
from contract import Client, pb
from waiting import PATIENT, expect, now, wait_for
from world import Node, World

# Ordinary clients do not wait for longer: at most, and 99 of 100. A disk that is busy with other
# things can hold one commit up for seconds.
MOST_MS, P99_MS = 15000, 2000


def port_of(node):
    return int(node.endpoint.rpartition(":")[2])


def raw(node, data):
    """Sends bytes to the port as they are and reads what comes until the other side closes or is
    silent."""
    with socket.create_connection(("127.0.0.1", port_of(node)), PATIENT) as connection:
        connection.settimeout(0.2)
        try:
            connection.sendall(data)
            while connection.recv(4096):
                pass
        except OSError:
            pass  # closed in our face is as good an answer as any


def zmtp_greeting(random):
    """A right greeting of ZMTP 3, and then nonsense where its handshake should be."""
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    return greeting + random.randbytes(random.randrange(1, 300))


def random_bytes(world, node, random):
    for _ in range(60):
        raw(node, random.randbytes(random.randrange(1, 2000)))
    for _ in range(60):
        raw(node, zmtp_greeting(random))
    return 120


def http(world, node, random):
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(5):
        raw(node, request)
    return 5


def random_frames(world, node, random):
    """Whole ZeroMQ messages with nonsense in them, also of several frames."""
    with Client(node.endpoint, name="noise", register=False) as client:
        for _ in range(500):
            client.send_bytes(random.randbytes(random.randrange(0, 4000)))
        for _ in range(50):
            client.socket.send_multipart([random.randbytes(20) for _ in range(3)])
        while client.receive(0.3):
            pass
        # The node still answers the very same connection.
        answer = client.register()
        expect(answer is not None and answer.HasField("registered"),
               f"after nonsense the same connection could not register: {answer}")
    return 550


def sample(random):
    """A frame that is right, to be damaged."""
    frame = pb.ToNode(version=1)
    for number in range(1, 4):
        frame.requests.append(pb.Request(id=number, submit=pb.Submit(
            key=random.randbytes(16), queue="parked", media_type="test",
            attributes=b'{"text":"' + b"x" * 300 + b'"}')))
    return frame.SerializeToString()


def damaged(world, node, random):
    """Right frames cut short at every length, and with bits turned over."""
    with Client(node.endpoint, name="damaged") as client:
        frame = sample(random)
        for end in range(0, len(frame), 7):
            client.send_bytes(frame[:end])
        for _ in range(500):
            copy = bytearray(frame)
            for _ in range(random.randrange(1, 5)):
                copy[random.randrange(len(copy))] ^= 1 << random.randrange(8)
            client.send_bytes(bytes(copy))
        while client.receive(0.3):
            pass
    with Client(node.endpoint, name="after-damage") as client:
        answer = client.submit()
        expect(answer is not None and answer.HasField("ack"), f"after damage: {answer}")
    return len(frame) // 7 + 500


def oversize(world, node, random):
    """Frames and fields over their limits; a frame that the transport takes is answered."""
    with Client(node.endpoint, name="oversize") as client:
        answer = client.submit(attributes=b'{"text":"' + b"x" * (512 * 1024) + b'"}')
        expect(answer is not None and answer.error.code == pb.TOO_LARGE,
               f"512 KiB of attributes were answered with {answer}, expected TOO_LARGE")
        client.send_bytes(bytes(8 * 1024 * 1024))
    with Client(node.endpoint, name="oversize-2") as client:
        many = pb.ToNode(version=1)
        for number in range(1, 3001):
            many.requests.append(pb.Request(id=number, ping=pb.Ping()))
        client.send_bytes(many.SerializeToString())
        answers = client.receive(PATIENT)
        expect(any(message.error.code in (pb.TOO_LARGE, pb.MALFORMED) for message in answers),
               f"3,000 requests in one frame were answered with {answers[:2]}")
    return 3


def wrong(world, node, random):
    """Requests that the sender may not make, each refused with its own code."""
    count = 0

    def refused(answer, code, what):
        nonlocal count
        count += 1
        got = None if answer is None else pb.Code.Name(answer.error.code)
        expect(got == code, f"{what} was answered with {got}, expected {code}")

    with Client(node.endpoint, name="wrong-version") as client:
        refused(client.call(version=2, ping=pb.Ping()), "UNSUPPORTED_VERSION", "version 2")
    with Client(node.endpoint, name="stranger", register=False) as client:
        refused(client.submit(), "NOT_REGISTERED", "a submit before Register")
    with Client(node.endpoint, name="wrong-role") as client:
        refused(client.call(strategy_loaded=pb.StrategyLoaded(strategy="classify")), "WRONG_ROLE",
                "StrategyLoaded of a media server")
        refused(client.submit(queue="nowhere"), "UNKNOWN_QUEUE", "a queue that is not there")
        refused(client.submit(attributes=b'{"a":'), "INVALID_ATTRIBUTES", "half a JSON object")
        refused(client.submit(attributes=b'{"a":"\xff"}'), "INVALID_ATTRIBUTES", "not UTF-8")
        refused(client.submit(attributes=b"[1]"), "INVALID_ATTRIBUTES", "a JSON array")
        refused(client.submit(key=b"k" * 65), "INVALID_ARGUMENT", "a key of 65 bytes")
        refused(client.call(get=pb.Get(interaction_id=uuid.uuid4().bytes)), "UNKNOWN_INTERACTION",
                "an id that nobody has")
        refused(client.call(get=pb.Get(interaction_id=b"short")), "INVALID_ARGUMENT",
                "an id of 5 bytes")
    with Client(node.endpoint, role=pb.ROUTER, name="wrong-router") as client:
        refused(client.submit(), "WRONG_ROLE", "a submit of a router")
        refused(client.call(stop=pb.Stop(interaction_id=uuid.uuid4().bytes,
                                         token=pb.Token(epoch=1, index=1))),
                "UNKNOWN_INTERACTION", "a result for an id that nobody has")
    return count


def half_open(world, node, random):
    """Connections that say nothing, or half a greeting, and stay."""
    held = []
    for number in range(200):
        connection = socket.create_connection(("127.0.0.1", port_of(node)), PATIENT)
        connection.sendall(b"\xff" if number % 2 else b"")
        held.append(connection)
    world.at_exit.append(lambda: [connection.close() for connection in held])
    with Client(node.endpoint, name="beside-half-open") as client:
        answer = client.submit()
        expect(answer is not None and answer.HasField("ack"), f"beside half-open ones: {answer}")
    return len(held)


def memory_mb(node):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1]) // 1024


def large(node):
    """The id of an interaction that takes a quarter of a megabyte to tell."""
    with Client(node.endpoint, name="writer") as writer:
        answer = writer.submit(attributes=b'{"text":"' + b"x" * (250 * 1024) + b'"}')
        return answer.ack.interaction_id


def unread(node):
    """What an operator sees of it."""
    line = re.search(r"^ixn_unread_bytes (\S+)$", node.admin.get("/metrics").text, re.M)
    return float(line[1])


def deaf(node):
    """Asks for a gigabyte and reads nothing of it: that costs so much memory and no more, an
    operator sees it, and the session ends. It is let in again when it listens."""
    asked = 4000
    interaction = large(node)
    before = memory_mb(node)
    with Client(node.endpoint, name="deaf", frames=1) as client:
        for _ in range(asked):
            client.send(get=pb.Get(interaction_id=interaction))
        node.process.wait_log(r" client\.behind client=\"deaf\"")
        with Client(node.endpoint, name="beside-deaf") as other:
            answer = other.submit()
            expect(answer is not None and answer.HasField("ack"), f"beside a deaf one: {answer}")
        wait_for("what it leaves unread among the node's figures", lambda: unread(node) > 2**27)
        grown = memory_mb(node) - before
        expect(grown < 600, f"a client that reads nothing cost the node {grown} MB")
        heard = 0
        while messages := client.receive(2):
            heard += sum(message.HasField("interaction") for message in messages)
        expect(0 < heard < asked, f"{heard} of {asked} answers were heard")
        answer = client.register()
        expect(answer is not None and answer.HasField("registered"), f"when it listens: {answer}")
        wait_for("nothing unread", lambda: unread(node) == 0)
    return grown


def many_deaf(node):
    """Each of them leaves less unread than one may, but all of them too much: one is left, and the
    others hear everything."""
    asked, names = 950, [f"deaf-{number}" for number in range(5)]
    interaction = large(node)
    with contextlib.ExitStack() as stack:
        clients = {name: stack.enter_context(Client(node.endpoint, name=name, frames=1))
                   for name in names}
        for client in clients.values():
            for _ in range(asked):
                client.send(get=pb.Get(interaction_id=interaction))
        match = node.process.wait_log(r' client\.left_behind client="([^"]+)" .*? (\d+) by all')
        left, by_all = clients.pop(match[1]), int(match[2])
        expect(2**30 < by_all < 2**30 + 2**28, f"{by_all} bytes were unread when one was left")
        for name, client in clients.items():
            heard = 0
            while heard < asked and (messages := client.receive(20)):
                heard += sum(message.HasField("interaction") for message in messages)
            expect(heard == asked, f"{name} heard {heard} of {asked} answers")
        while left.receive(2):  # what had reached it before
            pass
        answer = wait_for(f"{match[1]} being told something again", left.register)
        expect(answer.HasField("registered"), f"when it is back: {answer}")
    return by_all // 2**20


def disappear(world, node, random):
    """Clients that register and vanish without a word, many times."""
    for number in range(50):
        client = Client(node.endpoint, name=f"vanishing-{number}", register=False)
        client.send(register=pb.Register(role=pb.ROUTER, name=f"vanishing-{number}",
                                         incarnation=random.randbytes(16)))
        client.send(strategy_loaded=pb.StrategyLoaded(strategy="nothing"))
        client.socket.poll(5, zmq.POLLIN)
        client.close()
    return 50


ATTACKS = [random_bytes, http, random_frames, damaged, oversize, wrong, half_open, disappear]


def run(options):
    with World(options, "garbage") as world:
        world.start_database()
        node = Node(world)
        add_admin(node)
        node.init_database()
        node.start()
        pid = node.process.pid
        load = world.start_bench(node, "--rate", 300, "--submitters", 2, "--window", 100,
                                 "--routers", 1, "--seconds", 100000, "--warmup", 0)
        wait_for("load on the node", lambda: world.postgres.value(
            "SELECT max(last_index) FROM ixn.journal") > 100)
        figures, began = {}, now()
        for attack in ATTACKS:
            figures[attack.__name__] = attack(world, node, options.random)
            node.expect_alive()
        attack_s = now() - began
        load.popen.terminate()
        ordinary = world.finish_bench(load, 120)
        # A gigabyte of answers is work for the node: no time of the others is taken beside it.
        figures["deaf"] = deaf(node)
        figures["many_deaf"] = many_deaf(node)
        expect(node.process.pid == pid, "the node is another process than before")
        for name, most in (("p99", P99_MS), ("max", MOST_MS)):
            took = ordinary["submit_ms"][name]
            expect(took < most, f"ordinary submits took {took:.0f} ms ({name}) during the "
                   f"attacks, at most {most} is good")
        return {**figures, "attack_s": attack_s, "ordinary": ordinary["acknowledged"],
                "ordinary_p99_ms": ordinary["submit_ms"]["p99"]}
