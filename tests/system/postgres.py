"""A private PostgreSQL and a private pgbouncer, by the scripts of deploy/."""

import copy
import os
import re
import signal

import psycopg2

from process import children_of, free_port, is_alive, run, signal_pid
from waiting import wait_for

DEPLOY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy")


class Postgres:
    """One cluster, and one database in it: that of the pair is `ixn`, owned by the role `ixn`."""

    def __init__(self, folder):
        self.folder = folder
        self.database = "ixn"
        self.port = free_port()
        self.conf = {}
        self.host = "127.0.0.1"
        self.prefix = []

    def move(self, network, host):
        """Puts it on a host of a network, before it is started. The harness itself goes on talking
        to it, whatever is cut: by its Unix socket."""
        self.host = network.address(host)
        self.prefix = network.prefix(host)
        self.conf["listen_addresses"] = "*"

    def start(self, **conf):
        """Starts it (again). Settings stay for later starts."""
        self.conf.update(conf)
        arguments = []
        for name, value in self.conf.items():
            arguments += ["--conf", f"{name}={value}"]
        run([*self.prefix, f"{DEPLOY}/postgres.sh", "start", self.folder, self.port, *arguments],
            seconds=150)
        if self.prefix:
            with open(f"{self.folder}/data/pg_hba.conf", "a", encoding="ascii") as file:
                file.write("host all postgres,ixn samenet trust\n")
            self.query("SELECT pg_reload_conf()", database="postgres")

    def stop(self, mode="fast"):
        run([f"{DEPLOY}/postgres.sh", "stop", self.folder, mode], seconds=90)

    def postmaster(self):
        """Number of its first process, or None."""
        try:
            with open(f"{self.folder}/data/postmaster.pid", encoding="ascii") as file:
                pid = int(file.readline())
        except (OSError, ValueError):
            return None
        return pid if is_alive(pid) else None

    def processes(self):
        pid = self.postmaster()
        return [pid, *children_of(pid)] if pid else []

    def kill(self):
        """All its processes at once, as a crash of the machine would, but for the file system."""
        pids = self.processes()
        for pid in pids:
            signal_pid(pid, signal.SIGKILL)
        wait_for("PostgreSQL gone after SIGKILL", lambda: not any(map(is_alive, pids)))

    def freeze(self):
        """SIGSTOP to every process, the first one first so that no new ones come."""
        for pid in self.processes():
            signal_pid(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in reversed(self.processes()):
            signal_pid(pid, signal.SIGCONT)

    def at(self, database):
        """Another database of the same cluster."""
        other = copy.copy(self)
        other.database = database
        return other

    def conninfo(self, user="postgres"):
        """How the nodes reach it."""
        return f"host={self.host} port={self.port} user={user} dbname={self.database}"

    def connect(self, user="postgres", database=None):
        """A connection in autocommit mode."""
        connection = psycopg2.connect(host=self.folder if self.prefix else self.host,
                                      port=self.port, user=user,
                                      dbname=database or self.database,
                                      connect_timeout=30)
        connection.autocommit = True
        return connection

    def query(self, sql, *arguments, database=None):
        """All rows of one statement, on a connection of its own."""
        connection = self.connect(database=database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, arguments or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, sql, *arguments, database=None):
        return self.query(sql, *arguments, database=database)[0][0]

    def reload_with(self, name, value):
        """ALTER SYSTEM and a reload; None takes the setting back."""
        change = f"SET {name} = '{value}'" if value is not None else f"RESET {name}"
        # Both are allowed in a read-only transaction too.
        self.query(f"ALTER SYSTEM {change}", database="postgres")
        self.query("SELECT pg_reload_conf()", database="postgres")


class Pgbouncer:
    """A pooler in front of a Postgres."""

    def __init__(self, folder, postgres):
        self.folder = folder
        self.postgres = postgres
        self.port = free_port()

    def start(self):
        run([f"{DEPLOY}/pgbouncer.sh", "start", self.folder, self.port, self.postgres.port, "ixn"],
            seconds=30)

    def stop(self):
        run([f"{DEPLOY}/pgbouncer.sh", "stop", self.folder], seconds=30)

    def pid(self):
        try:
            with open(f"{self.folder}/pid", encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    def conninfo(self):
        return f"host=127.0.0.1 port={self.port} user=ixn dbname=ixn"

    def repoint(self, postgres):
        """What clients reach as `ixn` is another database from now on; they stay connected."""
        path = f"{self.folder}/pgbouncer.ini"
        with open(path, encoding="utf-8") as file:
            text = file.read()
        line = f"ixn = host={postgres.host} port={postgres.port} dbname={postgres.database}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"(?m)^ixn = .*$", line, text))
        console = psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres",
                                   dbname="pgbouncer", connect_timeout=30)
        console.autocommit = True
        with console.cursor() as cursor:
            cursor.execute("RELOAD")
        console.close()
