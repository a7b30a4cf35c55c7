"""World: everything that one case starts, in one folder, with ports of its own. Whatever happens in
the case, at the end nothing of it runs, and its logs are kept."""

import json
import os
import re
import shutil
import signal
import tempfile

from postgres import Pgbouncer, Postgres
from process import Process, free_port, is_alive, run, signal_pid
from waiting import PATIENT, Failure, expect, wait_for

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
STRATEGIES = os.path.join(TOP, "apps", "ixn-router", "strategies")


class Node:
    """One ixnd with its configuration and its state_dir."""

    def __init__(self, world, name="node-1", address="127.0.0.1", **overrides):
        self.world = world
        self.name = name
        self.prefix = list(world.node_prefix)  # of its command: where it runs, and how
        self.endpoint = f"tcp://{address}:{free_port()}"
        self.state_dir = os.path.join(world.folder, name)
        self.config_path = os.path.join(world.folder, f"{name}.yaml")
        self.make_state_dir()
        self.config = {
            "node": {"name": name, "client_endpoint": self.endpoint, "state_dir": self.state_dir},
            "database": {"daps": [{"name": dap, "conninfo": conninfo}
                                  for dap, conninfo in world.daps()]},
            "queues": [{"name": "inbound", "strategy": "classify"},
                       {"name": "support", "strategy": "answer"},
                       {"name": "parked"}],
        }
        for section, values in overrides.items():
            if isinstance(values, dict):
                self.config.setdefault(section, {}).update(values)
            else:
                self.config[section] = values
        self.write_config()
        self.process = None

    @property
    def node_arguments(self):
        """For our programs: where it is."""
        return ["--node", self.endpoint]

    def make_state_dir(self):
        os.makedirs(self.state_dir)

    def write_config(self):
        # JSON is YAML.
        with open(self.config_path, "w", encoding="utf-8") as file:
            json.dump(self.config, file, indent=2)

    def init_database(self):
        self.world.ctl("--config", self.config_path, "database", "init", prefix=self.prefix)

    def start(self, wait=True):
        """Starts it; returns the seconds until it served."""
        self.process = self.world.spawn(self.name, "ixnd", "--config", self.config_path,
                                        prefix=self.prefix)
        if wait:
            self.wait_serving()

    def wait_serving(self, seconds=PATIENT):
        self.process.wait_log(r" node\.serving ", seconds)

    def kill(self):
        self.process.kill()

    def expect_alive(self):
        expect(self.process.alive(), f"{self.name} ended with code "
               f"{self.process.popen.returncode}:\n{self.process.log_end()}")


class World:
    """`with World(options, "crash") as world:`"""

    node_prefix = ()  # of the commands of its nodes
    begun = []  # those that have not ended

    def __init__(self, options, case):
        self.options = options
        self.case = case
        self.folder = tempfile.mkdtemp(prefix=f"ixn-{case}-")
        os.chmod(self.folder, 0o755)  # the database's user has to come through
        self.postgres = Postgres(os.path.join(self.folder, "pg"))
        self.pgbouncer = Pgbouncer(os.path.join(self.folder, "pgbouncer"), self.postgres)
        self.clusters = [self.postgres]  # more of them: clusters.py
        self.poolers = []
        self.processes = []
        self.at_exit = []
        self.count = 0
        World.begun.append(self)

    # -- starting things

    def start_database(self, pgbouncer=True, **conf):
        self.postgres.start(**conf)
        if pgbouncer:
            self.pgbouncer.start()
        else:
            self.pgbouncer = None

    def daps(self):
        """Names and connection strings for a node: direct, and through the pooler where there is
        one."""
        daps = [("direct", self.postgres.conninfo("ixn"))]
        if self.pgbouncer:
            daps.append(("pooler", self.pgbouncer.conninfo()))
        else:
            daps.append(("second", self.postgres.conninfo("ixn") + " application_name=second"))
        return daps

    def start_node(self, **overrides):
        """The usual: database, its schema, one node that serves."""
        if not self.postgres.postmaster():
            self.start_database()
        node = Node(self, **overrides)
        node.init_database()
        node.start()
        return node

    def start_pair(self, network=None, **overrides):
        """Database, its schema, two nodes, one of them serving and the other one ready. With a
        network (Namespaces) the nodes are its hosts a and b, clients on c, the database on d."""
        from pair import Pair  # which needs this module

        if network:
            self.postgres.move(network, "d")
        if not self.postgres.postmaster():
            self.start_database(pgbouncer=network is None)
        return Pair(self, network, **overrides).start()

    def binary(self, program):
        path = os.path.join(self.options.build, "bin", program)
        if not os.path.exists(path):
            raise Failure(f"{path} does not exist; build it first (deploy/test.sh does)")
        return path

    def spawn(self, name, program, *arguments, keep_stdout=False, prefix=()):
        return self.spawn_command(name, [*prefix, self.binary(program), *arguments], keep_stdout)

    def spawn_command(self, name, command, keep_stdout=False):
        log = os.path.join(self.folder, f"{name}.log")
        process = Process(name, command, log, cwd=self.folder, keep_stdout=keep_stdout)
        self.processes.append(process)
        return process

    def start_router(self, node, name, strategies=STRATEGIES):
        """The reference router with the example strategies."""
        return self.spawn(name, "ixn-router", "--name", name, *node.node_arguments,
                          "--strategies", strategies, prefix=getattr(node, "client_prefix", ()))

    def start_bench(self, node, *arguments):
        """A load in the background, for a node or a pair; `finish_bench` gives its figures."""
        self.count += 1
        return self.spawn(f"bench-{self.count}", "ixn-bench", *node.node_arguments, *arguments,
                          keep_stdout=True, prefix=getattr(node, "client_prefix", ()))

    def bench(self, node, *arguments, seconds=120):
        return self.finish_bench(self.start_bench(node, *arguments), seconds)

    def finish_bench(self, process, seconds=120, good=True):
        """Waits for its end. With `good`, everything must have been acknowledged and completed."""
        code = process.wait(seconds)
        lines = process.output()
        if not lines or not lines[-1].startswith("{"):
            raise Failure(f"ixn-bench ended with code {code} and no figures:\n{process.log_end()}")
        figures = json.loads(lines[-1])
        if good and code != 0:
            raise Failure(f"ixn-bench ended with code {code}:\n" + "\n".join(lines[-8:-1])
                          + self.fallen())
        return figures

    def fallen(self):
        """Programs that ended by a signal that nobody here sent, with their last words."""
        return "".join(f"\n{process.name} ended by signal {-process.popen.returncode}:\n"
                       f"{process.log_end()}" for process in self.processes
                       if not process.alive() and process.popen.returncode < 0
                       and not process.killed)

    def ctl(self, *arguments, seconds=120, check=True, prefix=()):
        """Runs ixnctl and gives its output."""
        return run([*prefix, self.binary("ixnctl"), *arguments], seconds, check)

    def path(self, name):
        return os.path.join(self.folder, name)

    def add_pooler(self, name, postgres=None):
        """One more pooler, in front of the pair's database unless said."""
        pooler = Pgbouncer(self.path(name), postgres or self.postgres)
        pooler.start()
        self.poolers.append(pooler)
        return pooler

    # -- ending things

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        # An interrupt in the middle would leave servers behind; it comes afterwards.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            return self._end(kind)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @classmethod
    def end_begun(cls, kind):
        """What an interrupt did not let end: it may come when a case is over and its end has not
        begun. Another one is not listened to."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for world in reversed(list(cls.begun)):
            world._end(kind)

    def _end(self, kind):
        problems = []
        for process in reversed(self.processes):
            # Clients before the node; when all went well so far, each has to end orderly.
            if kind is None:
                self._attempt(process.stop, problems)
            if process.alive():
                process.kill()
        problems += self._sanitizers()
        for action in reversed(self.at_exit):
            self._attempt(action, problems)
        for pooler in self._all_poolers():
            self._attempt(pooler.stop, problems)
        for cluster in reversed(self.clusters):
            cluster.thaw()
            self._attempt(lambda: cluster.stop("immediate"), problems)
        problems += self._leftovers()
        self._keep_logs()
        if not self.options.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        World.begun.remove(self)
        if problems and kind is None:
            raise Failure("; ".join(problems))
        return False

    def _all_poolers(self):
        return [*self.poolers, *([self.pgbouncer] if self.pgbouncer else [])]

    @staticmethod
    def _attempt(action, problems):
        try:
            action()
        except Exception as error:  # the rest has to be cleaned up all the same
            problems.append(str(error))

    def _sanitizers(self):
        """What a sanitizer said of any program, if it was built with one."""
        said = re.compile(r"^.*(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:).*$",
                          re.MULTILINE)
        return [f"{process.name}: {match.group(0)}" for process in self.processes
                for match in [said.search(process.log())] if match]

    def _leftovers(self):
        """Ends and names processes that belong to this case and still run."""
        def find():
            found = []
            for name in os.listdir("/proc"):
                if not name.isdigit() or int(name) == os.getpid():
                    continue
                try:
                    with open(f"/proc/{name}/cmdline", "rb") as file:
                        command = file.read().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if self.folder in command and is_alive(int(name)):
                    found.append((int(name), command.strip()))
            return found

        try:
            wait_for("all processes of the case gone", lambda: not find(), 20)
            return []
        except Failure:
            found = find()
            for pid, _ in found:
                signal_pid(pid, signal.SIGKILL)
            return [f"still running at the end: {command} (process {pid})"
                    for pid, command in found]

    def _keep_logs(self):
        target = os.path.join(self.options.logs, self.case)
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        candidates = [os.path.join(self.folder, name) for name in os.listdir(self.folder)]
        candidates += [os.path.join(server.folder, "log") for server in
                       [*self.clusters, *self._all_poolers()]]
        for path in candidates:
            if os.path.isfile(path) and os.path.getsize(path) < 64 * 1024 * 1024:
                name = os.path.relpath(path, self.folder).replace("/", "-")
                shutil.copyfile(path, os.path.join(target, name))
