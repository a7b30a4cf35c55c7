"""What processes had of the processor, as the kernel counts it: of a PostgreSQL server by kind, and
of a program by kind of thread."""

import os

_PROCESSES = """
SELECT pid, CASE WHEN backend_type <> 'client backend' THEN backend_type
                 WHEN query LIKE '%INSERT INTO ixn.journal%' THEN 'journal'
                 ELSE 'checkpoint' END
FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
"""
_WAL = "SELECT wal_records, wal_fpi, wal_bytes FROM pg_stat_wal"


class Meter:
    """What the server's processes spent since the last look."""

    def __init__(self, world):
        self.postmaster = world.postgres.postmaster()
        self.connection = world.postgres.connect()  # one, since each new one costs as well
        self.before = self._look()

    def ask(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def _look(self):
        wal = [int(value) for value in self.ask(_WAL)[0]]
        spent = {}
        for pid, kind in self.ask(_PROCESSES):
            with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
                spent[pid] = kind, int(file.read().split()[0]) / 1000
        spent[self.postmaster] = "autovacuum workers", 1e6 * seconds_of_ended_children(
            self.postmaster)
        return spent, wal

    def since(self):
        """Microseconds by kind, and what went to the WAL: records, images of pages, bytes."""
        spent, wal = self._look()
        before, wal_before = self.before
        self.before = spent, wal
        kinds = {}
        for pid, (kind, microseconds) in spent.items():
            more = microseconds - before.get(pid, (kind, 0))[1]
            kinds[kind] = kinds.get(kind, 0) + more
        return kinds, [now - then for now, then in zip(wal, wal_before)]


def _processor_seconds(pid, first, last):
    """Of the fields of /proc/PID/stat after the program's name."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[first:last])) / os.sysconf("SC_CLK_TCK")


def seconds_of_ended_children(pid):
    return _processor_seconds(pid, 13, 15)


def seconds_of_all(pids):
    """Of processes, and of children of theirs that have ended. Who is gone meanwhile is among the
    ended children of its parent."""
    total = 0
    for pid in pids:
        try:
            total += _processor_seconds(pid, 11, 15)
        except OSError:
            continue
    return total


def thread_microseconds(pid):
    """Of a node: its own thread, those of ZeroMQ, its others (the lanes), since each began."""
    spent = {"thread": 0, "zeromq": 0, "lanes": 0}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as file:
            zeromq = file.read().startswith("ZMQ")
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as file:
            microseconds = int(file.read().split()[0]) / 1000
        kind = "thread" if int(tid) == pid else "zeromq" if zeromq else "lanes"
        spent[kind] += microseconds
    return spent
