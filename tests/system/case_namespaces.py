"""The cuts of the other cases are real: dropped, reset, one way only, and healed again.

Two hosts talk over TCP; each cut must change just what it says, as seen from a socket.
"""

import errno
import select
import socket

from namespaces import Namespaces
from waiting import Failure, expect, wait_for
from world import World

SILENT_SECONDS = 0.4


class Line:
    """A connection from host a to host b, both ends in this process."""

    def __init__(self, network):
        with network.inside("b"):
            listener = socket.socket()
            listener.bind((network.address("b"), 0))
            listener.listen()
        with network.inside("a"):
            self.near = socket.create_connection(listener.getsockname(), 5)
        self.far = listener.accept()[0]
        listener.close()

    def close(self):
        self.near.close()
        self.far.close()

    @staticmethod
    def arrives(source, target):
        """Sends a byte; whether it is there soon. OSError when the connection is closed."""
        source.sendall(b"x")
        ready = select.select([target], [], [], SILENT_SECONDS)[0]
        return bool(ready) and target.recv(100) != b""


def closed(line):
    """What the sender hears within a moment."""
    def broken():
        try:
            line.near.sendall(b"x")
        except OSError as error:
            return error.errno
        return None

    return wait_for("the connection being reset", broken, 5)


def run(options):
    with World(options, "namespaces") as world:
        network = Namespaces(world)
        line = Line(network)
        expect(line.arrives(line.near, line.far), "nothing arrives without a cut")

        network.cut("a", "b")
        expect(not line.arrives(line.near, line.far), "a byte arrives through a cut that drops")
        network.heal()
        wait_for("the lost byte after healing",
                 lambda: select.select([line.far], [], [], 0)[0], 30)
        line.far.recv(100)
        line.close()

        line = Line(network)
        network.cut("a", "b", oneway=True)
        expect(not line.arrives(line.near, line.far), "a byte arrives against the one-way cut")
        network.heal()
        wait_for("the lost byte after healing",
                 lambda: select.select([line.far], [], [], 0)[0], 30)
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
        names = list(network.made)
    with open("/proc/mounts", encoding="utf-8") as file:
        mounts = file.read()
    left = [name for name in names if name in mounts]
    expect(not left, f"namespaces are left behind: {left}")
    return {"hosts": len(names) - 1}
