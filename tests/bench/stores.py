"""Stores of work that ours is compared with, and ours: each is started on loopback in the world's
folder, as durable as ours (what is acknowledged is synced), and is frozen while others are
measured, so that it costs them nothing.

A store has a name, `can(work)`, `start()`, `freeze()`, `thaw()`, `measure(work)`, `settle()`,
`stop()`. Figures are what bench-peer prints."""

import glob
import json
import os
import signal
import socket
import time

from meter import seconds_of_all
from pair import percentile
from postgres import Postgres
from process import children_of, free_port, is_alive, run, signal_pid
from recovery import checkpointed
from waiting import Failure, wait_for
from world import TOP

PEERS = os.path.join(TOP, "tests", "bench", "peers")
START_SECONDS = 60
SETTLE_SECONDS = 120
REST_SECONDS = 0.5  # a store that had less than REST_SHARE of one core for so long is at rest
REST_SHARE = 0.06
# The same for the database below ours and the one below those that use PostgreSQL.
POSTGRES = {"shared_buffers": "512MB", "max_wal_size": "4GB"}


def listening(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def node_modules(options):
    """The folder that npm installs into."""
    return os.path.join(options.build, "tests", "bench", "npm")


def first_match(pattern, package):
    found = sorted(glob.glob(pattern))
    if not found:
        raise Failure(f"there is no {pattern}; deploy/install.sh --bench installs {package}")
    return found[-1]


class Store:
    """One that is a server of its own and is loaded by bench-peer."""

    name = None
    lifecycle = True
    submits = True
    workers = {}  # by (clients, window), where it is not the default
    default_workers = 8
    batch = {}

    def __init__(self, world, options):
        self.world = world
        self.seconds = options.seconds
        self.program = os.path.join(options.build, "tests", "bench", "bench-peer")
        self.port = free_port()
        self.folder = world.path(self.name)
        self.process = None
        os.makedirs(self.folder)

    def can(self, work):
        return self.lifecycle if work.kind == "lifecycle" else self.submits

    def spawn(self, command, port=None):
        self.process = self.world.spawn_command(f"{self.name}-server", command)
        self.wait_port(port or self.port)

    def wait_port(self, port):
        def ready():
            if not self.process.alive():
                raise Failure(f"{self.name} ended with code {self.process.popen.returncode}:\n"
                              f"{self.process.log_end()}")
            return listening(port)

        wait_for(f"{self.name} listening on port {port}", ready, START_SECONDS)

    def pids(self):
        """All its processes, parents first."""
        pids = [self.process.pid] if self.process else []
        for pid in pids:
            pids += children_of(pid)
        return pids

    def freeze(self):
        for pid in self.pids():
            signal_pid(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in reversed(self.pids()):
            signal_pid(pid, signal.SIGCONT)

    def settle(self):
        """Waits until it has nothing left to do of what it was given: the next work does not pay
        for this one. Returns the seconds of processor time that it took."""
        first = last = seconds_of_all(self.pids())

        def at_rest():
            nonlocal last
            before, last = last, seconds_of_all(self.pids())
            return last - before < REST_SHARE * REST_SECONDS

        time.sleep(REST_SECONDS)
        wait_for(f"{self.name} at rest", at_rest, SETTLE_SECONDS, every=REST_SECONDS)
        return last - first

    def stop(self):
        """Its data is of no use to anybody: no need to be gentle."""
        pids = self.pids()
        for pid in pids:
            signal_pid(pid, signal.SIGKILL)
        if self.process:
            self.process.kill()
        wait_for(f"{self.name} gone", lambda: not any(map(is_alive, pids)), 20)

    def endpoints(self):
        return [f"127.0.0.1:{self.port}"]

    def measure(self, work):
        shape = (work.clients, work.window)
        command = [self.program, self.name, "--clients", work.clients, "--window", work.window,
                   "--payload", work.payload, "--seconds", self.seconds,
                   "--batch", self.batch.get(shape, 64)]
        for endpoint in self.endpoints():
            command += ["--at", endpoint]
        if work.kind == "lifecycle":
            command += ["--workers", self.workers.get(shape, self.default_workers)]
        out, _, _ = run(command, seconds=60 + 2 * self.seconds)
        return json.loads(out)


class Echo(Store):
    """Bare ZeroMQ, one message and back: the limit of the transport for a submit."""

    name = "echo"
    lifecycle = False

    def start(self):
        self.process = self.world.spawn_command(
            f"{self.name}-server", [self.program, self.name, "--serve", "--at", *self.endpoints()])
        self.wait_port(self.port)


class Relay(Echo):
    """Bare ZeroMQ, the five messages of an interaction: the limit of the transport for all."""

    name = "relay"
    lifecycle, submits = True, False
    default_workers = 1


class Beanstalkd(Store):
    name = "beanstalkd"

    def start(self):
        self.spawn(["beanstalkd", "-l", "127.0.0.1", "-p", self.port, "-b", self.folder,
                    "-f", "0"])


class Redis(Store):
    name = "redis"
    workers = {(1, 1): 1, (64, 1): 4, (64, 16): 2}
    batch = {(64, 16): 512}

    def start(self):
        self.spawn(["redis-server", "--bind", "127.0.0.1", "--port", self.port,
                    "--dir", self.folder, "--appendonly", "yes", "--appendfsync", "always",
                    "--save", "",
                    "--auto-aof-rewrite-percentage", "0"])


class Rabbitmq(Store):
    name = "rabbitmq"
    workers = {(1, 1): 1, (64, 1): 4, (64, 16): 2}
    batch = {(64, 16): 512}

    def start(self):
        script = first_match("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
                             "rabbitmq-server")
        folder, epmd, distribution = self.folder, free_port(), free_port()
        with open(f"{folder}/enabled_plugins", "w", encoding="ascii") as file:
            file.write("[].\n")
        with open(f"{folder}/rabbitmq.conf", "w", encoding="ascii") as file:
            file.write(f"listeners.tcp.default = 127.0.0.1:{self.port}\n"
                       "disk_free_limit.absolute = 500MB\n")
        # Erlang's port mapper would otherwise be started as a daemon, and stay.
        self.epmd = self.world.spawn_command(
            "epmd", ["epmd", "-address", "127.0.0.1", "-port", epmd])
        settings = {
            "HOME": folder,
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_DIST_PORT": distribution,
            "RABBITMQ_ALLOW_INPUT": 1,  # stays in the foreground
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": epmd,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface "
                                                   "{127,0,0,1}",
        }
        wait_for("epmd listening", lambda: listening(epmd), START_SECONDS)
        self.spawn(["env", *[f"{name}={value}" for name, value in settings.items()], script])

    def stop(self):
        super().stop()
        if hasattr(self, "epmd"):
            self.epmd.kill()


class Database:
    """A cluster of its own for those that use PostgreSQL; made when the first one needs it."""

    def __init__(self, world):
        self.postgres = Postgres(world.path("peers-pg"))

    def start(self):
        if not self.postgres.postmaster():
            self.postgres.start(**POSTGRES)

    def stop(self):
        self.postgres.thaw()
        self.postgres.stop("immediate")


class OnDatabase(Store):
    def __init__(self, world, options, database):
        super().__init__(world, options)
        self.database = database

    @property
    def postgres(self):
        return self.database.postgres

    def pids(self):
        return [*super().pids(), *self.postgres.processes()]

    def stop(self):
        self.thaw()
        self.database.stop()
        if self.process:
            self.process.kill()


class Gearmand(OnDatabase):
    name = "gearmand"

    def start(self):
        self.database.start()
        self.spawn(["gearmand", "-L", "127.0.0.1", "-p", self.port, "-q", "Postgres",
                    "-l", "stderr", "-P", f"{self.folder}/pid", "--libpq-table=gearman",
                    f"--libpq-conninfo={self.postgres.conninfo()}"])


class HandWritten(OnDatabase):
    """A table, and SKIP LOCKED: what people write by hand, with pgbench. One commit a submit; a
    lifecycle is one more, which takes the oldest row and deletes it (the cheapest form: the work is
    done while that transaction is open)."""

    name = "postgres"
    TABLE = ("DROP TABLE IF EXISTS work; CREATE TABLE work (id bigserial PRIMARY KEY, "
             "strategy int NOT NULL, at timestamptz NOT NULL DEFAULT now(), "
             "payload bytea NOT NULL); CHECKPOINT")
    INSERT = "INSERT INTO work (strategy, payload) VALUES (1, repeat('x', {payload})::bytea);\n"
    TAKE = ("DELETE FROM work WHERE id = (SELECT id FROM work ORDER BY id LIMIT 1 "
            "FOR UPDATE SKIP LOCKED);\n")

    def can(self, work):
        return work.window == 1  # a session does one thing at a time

    def start(self):
        self.database.start()

    def measure(self, work):
        for statement in self.TABLE.split("; "):
            self.postgres.query(statement)
        script = os.path.join(self.folder, "script.sql")
        with open(script, "w", encoding="ascii") as file:
            file.write(self.INSERT.format(payload=work.payload)
                       + (self.TAKE if work.kind == "lifecycle" else ""))
        out, _, _ = run(["sh", "-c", f"cd '{self.folder}' && rm -f log.* && exec pgbench \"$@\"",
                         "pgbench", "-n", "-M", "prepared", "-h", "127.0.0.1",
                         "-p", self.postgres.port, "-U", "postgres", "-c", work.clients, "-j", 2,
                         "-T", max(1, round(self.seconds)), "-l", "--log-prefix=log", "-f", script,
                         self.postgres.database], seconds=60 + 2 * self.seconds)
        rate = next(float(line.split()[2]) for line in out.splitlines() if line.startswith("tps"))
        times = [int(line.split()[2]) / 1e3 for path in glob.glob(f"{self.folder}/log.*")
                 for line in open(path, encoding="ascii")]
        if not times:
            raise Failure(f"pgbench did nothing:\n{out}")
        return {"rate": rate, "count": len(times),
                "ms": {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99),
                       "p99.9": percentile(times, 0.999)}}


class Graphile(OnDatabase):
    name = "graphile-worker"

    def __init__(self, world, options, database):
        super().__init__(world, options, database)
        self.modules = node_modules(options)

    def start(self):
        self.database.start()

    def measure(self, work):
        url = f"postgres://postgres@127.0.0.1:{self.postgres.port}/{self.postgres.database}"
        out, _, _ = run(["node", os.path.join(PEERS, "graphile.mjs"), self.modules, url, work.kind,
                         work.clients, work.window, work.payload, self.seconds],
                        seconds=60 + 2 * self.seconds)
        return json.loads(out.splitlines()[-1])


class Ours(Store):
    """A pair, each node on its own database connections, on a database of its own."""

    name = "ixn"
    default_workers = 1

    def start(self):
        self.world.start_database(pgbouncer=False, **POSTGRES)
        self.pair = self.world.start_pair(limits={"max_interactions": 4000000},
                                          checkpoint={"max_lag_size": "4GiB"})

    def pids(self):
        nodes = [node.process.pid for node in self.pair.nodes if node.process]
        return [*nodes, *self.world.postgres.processes()]

    def thaw(self):
        super().thaw()
        self.pair.wait_ready()  # without its backup it would be a single node

    def settle(self):
        before = seconds_of_all(self.pids())
        checkpointed(self.world, SETTLE_SECONDS)
        super().settle()
        return seconds_of_all(self.pids()) - before

    def endpoints(self):
        return [node.endpoint.removeprefix("tcp://") for node in self.pair.nodes]

    def stop(self):
        """The world ends the pair and its database, and looks whether they ended well."""
        Store.thaw(self)


def make(world, options):
    """All stores that are asked for, ours first."""
    database = Database(world)
    own = [Ours, Echo, Relay, Redis, Rabbitmq, Beanstalkd]
    shared = [HandWritten, Gearmand, Graphile]
    wanted = options.peer
    return [kind(world, options) for kind in own
            if kind is Ours or not wanted or kind.name in wanted] + [
        kind(world, options, database) for kind in shared if not wanted or kind.name in wanted]


NAMES = [kind.name for kind in (Echo, Relay, Redis, Rabbitmq, Beanstalkd, HandWritten, Gearmand,
                                Graphile)]
