"""The cuts of the other cases are real: dropped, reset, lossy, thin, one way, and healed again.

Two hosts talk over TCP; each cut must change just what it says, as seen from a socket.
"""

import errno
import select
import socket
import time

from namespaces import Namespaces
from waiting import PATIENT, Failure, expect, wait_for
from world import World

SILENT_SECONDS = 0.4  # in which nothing came through a cut


class Line:
    """A connection from host a to host b, both ends in this process."""

    def __init__(self, network):
        with network.inside("b"):
            listener = socket.socket()
            listener.bind((network.address("b"), 0))
            listener.listen()
        with network.inside("a"):
            self.near = socket.create_connection(listener.getsockname(), PATIENT)
        self.far = listener.accept()[0]
        listener.close()

    def close(self):
        self.near.close()
        self.far.close()

    def arrives(self, seconds):
        """Sends a byte; whether it is there by then. OSError when the connection is closed."""
        self.near.sendall(b"x")
        ready = select.select([self.far], [], [], seconds)[0]
        return bool(ready) and self.far.recv(100) != b""


def closed(line):
    """What the sender hears within a moment."""
    def broken():
        try:
            line.near.sendall(b"x")
        except OSError as error:
            return error.errno
        return None

    return wait_for("the connection being reset", broken)


def datagrams_lost(network, count=400):
    """Of so many from host a to host b."""
    with network.inside("b"):
        target = socket.socket(type=socket.SOCK_DGRAM)
        target.bind((network.address("b"), 0))
        target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    with network.inside("a"):
        source = socket.socket(type=socket.SOCK_DGRAM)
    came = 0
    for _ in range(count):
        source.sendto(b"x", target.getsockname())
    while select.select([target], [], [], SILENT_SECONDS)[0]:
        target.recv(10)
        came += 1
    source.close()
    target.close()
    return count - came


def seconds_for(line, size):
    """That so many bytes need from host a to host b."""
    began = time.monotonic()
    line.near.setblocking(False)
    left, data = size, bytes(65536)
    sent = 0
    while left > 0:
        if sent < size:
            try:
                sent += line.near.send(data[:size - sent])
            except BlockingIOError:
                pass
        select.select([line.far], [], [], 0.01)
        try:
            left -= len(line.far.recv(65536, socket.MSG_DONTWAIT))
        except BlockingIOError:
            pass
    line.near.setblocking(True)
    return time.monotonic() - began


def noise(network):
    expect(datagrams_lost(network) == 0, "datagrams are lost without a fault")
    network.lose("a", "b", 20)
    lost = datagrams_lost(network)
    expect(30 < lost < 150, f"{lost} of 400 datagrams are lost where one in five has to be")
    network.heal()
    expect(datagrams_lost(network) == 0, "datagrams are lost after healing")
    line = Line(network)
    network.thin("a", 1000, 100)
    seconds = seconds_for(line, 125000)
    expect(seconds > 0.7, f"a megabit went through a line of one megabit/s in {seconds:.2f} s")
    network.heal()
    line.close()


def run(options):
    with World(options, "namespaces") as world:
        network = Namespaces(world)
        line = Line(network)
        expect(line.arrives(PATIENT), "nothing arrives without a cut")

        network.cut("a", "b")
        expect(not line.arrives(SILENT_SECONDS), "a byte arrives through a cut that drops")
        network.heal()
        wait_for("the lost byte after healing",
                 lambda: select.select([line.far], [], [], 0)[0])
        line.far.recv(100)
        line.close()

        line = Line(network)
        network.cut("a", "b", oneway=True)
        expect(not line.arrives(SILENT_SECONDS), "a byte arrives against the one-way cut")
        network.heal()
        wait_for("the lost byte after healing",
                 lambda: select.select([line.far], [], [], 0)[0])
        line.close()

        network.cut("c", "a")
        line = Line(network)  # others are not touched
        network.cut("a", "b", mode="reset")
        code = closed(line)
        expect(code in (errno.ECONNRESET, errno.EPIPE), f"a reset shows as {errno.errorcode[code]}")
        try:
            Line(network)
        except OSError as error:
            expect(error.errno == errno.ECONNREFUSED, f"connecting through a cut that resets "
                   f"shows as {error}")
        else:
            raise Failure("a connection was made through a cut that resets")
        line.close()
        network.heal()
        Line(network).close()
        noise(network)
        names = list(network.made)
    with open("/proc/mounts", encoding="utf-8") as file:
        mounts = file.read()
    left = [name for name in names if name in mounts]
    expect(not left, f"namespaces are left behind: {left}")
    return {"hosts": len(names) - 1}
