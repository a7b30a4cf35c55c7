"""The database restarts, stops, is read-only, locked, full, crowded, frozen; everything resumes.

During each fault clients hear RETRY or BUSY within a bound instead of silence; after it the node
serves again without a restart; at the end nothing acknowledged is lost and everything is completed.
"""

import os
import uuid

from checks import check_record, wait_all_completed
from contract import Client, pb
from process import run as run_command
from waiting import Failure, expect, now, wait_for
from world import World

ASK_AGAIN_SECONDS = 1.0
# retry_after is 1 s; asked again, every submit hears something within this. A default run does not
# judge a busy machine.
ANSWER_SECONDS, ANSWER_WIDE_SECONDS = 3.0, 7.0
RESUME_SECONDS, RESUME_WIDE_SECONDS = 15.0, 60.0  # after the fault is over
DISK_MB = 96


class Probe:
    """A client of its own that asks again and again and notes what it hears."""

    def __init__(self, node, full):
        self.client = Client(node.endpoint, name="probe")
        self.answer_seconds = ANSWER_SECONDS if full else ANSWER_WIDE_SECONDS
        self.resume_seconds = RESUME_SECONDS if full else RESUME_WIDE_SECONDS
        self.slowest = 0.0
        self.refused = 0

    def submit(self):
        """One submit as the client library does it, asked again with the same key every second:
        what was decided just before the fault has no answer until it is durable, and the node says
        RETRY to who asks when that has taken longer than retry_after."""
        key, end = uuid.uuid4().bytes, now() + self.answer_seconds
        while now() < end:
            answer = self.client.submit(queue="parked", key=key, seconds=ASK_AGAIN_SECONDS)
            if answer is not None:
                return answer
        return None

    def ask(self):
        """True when acknowledged, False for RETRY or BUSY; silence is a failure."""
        began = now()
        answer = self.submit()
        if answer is not None and answer.error.code == pb.NOT_REGISTERED:
            # It was silent for longer than three heartbeats, while a server was stopped.
            answer = self.client.register(self.answer_seconds)
            if answer is not None and answer.HasField("registered"):
                answer = self.submit()
        self.slowest = max(self.slowest, now() - began)
        expect(answer is not None, f"a submit heard nothing for {self.answer_seconds} s")
        if answer.HasField("ack"):
            return True
        expect(answer.HasField("retry") or answer.HasField("busy"),
               f"a submit heard {answer}, expected RETRY or BUSY")
        self.refused += 1
        return False

    def during(self, seconds):
        """Keeps asking for the time that a fault lasts."""
        end = now() + seconds
        while now() < end:
            self.ask()
            self.client.socket.poll(20)

    def resumed(self):
        """Seconds until it is acknowledged again."""
        began = now()
        wait_for("a submit being acknowledged again", self.ask, self.resume_seconds, every=0.05)
        return now() - began


def restart(world, probe):
    world.postgres.stop("fast")
    world.postgres.start()


def crash(world, probe):
    world.postgres.kill()
    world.postgres.start()


def stopped(world, probe):
    world.postgres.stop("immediate")
    probe.during(10)
    world.postgres.start()


def pooler_gone(world, probe):
    """The pooler alone: there is another DAP."""
    world.pgbouncer.stop()
    probe.during(2)
    world.pgbouncer.start()


def read_only(world, probe):
    world.postgres.reload_with("default_transaction_read_only", "on")
    probe.during(4)
    world.postgres.reload_with("default_transaction_read_only", None)


def locked(world, probe):
    """Somebody changes the tables and leaves the transaction open: the checkpoint waits, commits do
    not, and the tables catch up afterwards."""
    connection = world.postgres.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE ixn.interaction, ixn.interaction_finished "
                       "IN ACCESS EXCLUSIVE MODE")
    wait_for("the checkpoint waiting while a submit is acknowledged", lambda: probe.ask() and
             world.postgres.value("SELECT count(*) FROM pg_locks AS l JOIN pg_class AS c ON c.oid "
                                  "= l.relation WHERE NOT l.granted AND c.relname LIKE "
                                  "'interaction%'"))
    probe.during(6)  # longer than a statement may take
    head = world.postgres.value("SELECT max(last_index) FROM ixn.journal")
    connection.close()
    wait_for("the tables catching up", lambda: head <= world.postgres.value(
        "SELECT index FROM ixn.checkpoint"))


def full_disk(world, probe):
    ballast = os.path.join(world.path("disk"), "ballast")
    with open(ballast, "wb") as file:
        block = bytes(64 * 1024)
        try:
            while True:
                file.write(block)
                file.flush()
        except OSError:
            pass
    wait_for("a submit being refused on a full disk", lambda: not probe.ask())
    probe.during(3)
    os.unlink(ballast)


def crowded(world, probe):
    """Too many connections: none is left for the node."""
    world.postgres.query("ALTER ROLE ixn CONNECTION LIMIT 0", database="postgres")
    world.postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                         "WHERE usename = 'ixn'", database="postgres")
    wait_for("a submit being refused without a connection", lambda: not probe.ask(), 30)
    probe.during(2)
    world.postgres.query("ALTER ROLE ixn CONNECTION LIMIT -1", database="postgres")


def frozen(world, probe):
    world.postgres.freeze()
    try:
        probe.during(8)
    finally:
        world.postgres.thaw()


FAULTS = [restart, crash, stopped, pooler_gone, read_only, locked, full_disk, crowded, frozen]


def small_disk(world):
    """Puts the pair's database on a file system of its own that is soon full."""
    disk = world.path("disk")
    os.mkdir(disk)
    run_command(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0755", "tmpfs", disk])
    world.at_exit.append(lambda: run_command(["umount", "-l", disk]))
    space = os.path.join(disk, "space")
    os.mkdir(space)
    run_command(["chown", "postgres:", space])
    world.postgres.query(f"CREATE TABLESPACE small LOCATION '{space}'", database="postgres")
    world.postgres.query("GRANT CREATE ON TABLESPACE small TO ixn", database="postgres")
    world.postgres.query("ALTER DATABASE ixn SET TABLESPACE small", database="postgres")


def suffer(world, node, probe, fault):
    """One fault from a good state to a good state; seconds that it took to be good again."""
    probe.resumed()
    try:
        fault(world, probe)
        seconds = probe.resumed()
        node.expect_alive()
        return seconds
    except Failure as failure:
        raise Failure(f"{fault.__name__}: {failure}") from None


def run(options):
    faults = [fault for fault in FAULTS if fault is not full_disk or os.geteuid() == 0]
    with World(options, "database-faults") as world:
        world.start_database()
        if full_disk in faults:
            small_disk(world)
        node = world.start_node()
        pid = node.process.pid
        log = world.path("record.jsonl")
        load = world.start_bench(node, "--rate", 100, "--submitters", 2, "--window", 500,
                                 "--routers", 2, "--seconds", 100000, "--warmup", 0,
                                 "--drain", 60, "--log", log)
        probe = Probe(node, options.full)
        figures = {}
        for fault in faults:
            figures[f"{fault.__name__}_resume_s"] = round(suffer(world, node, probe, fault), 2)
        expect(node.process.pid == pid, "the node is another process than before")
        load.popen.terminate()
        world.finish_bench(load, 120, good=False)
        wait_all_completed(world, 60, "queue <> 'parked'")
        result = check_record(world, log)
        probe.client.close()
        return {**figures, "refused": probe.refused, "slowest_answer_s": round(probe.slowest, 2),
                **result}
