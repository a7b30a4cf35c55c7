"""A state_dir that is full or read-only: a primary serves on, a backup is not ready, both say so.

On small file systems of their own. What is full is found out at the next write, within ten seconds;
a node that would have to begin a new epoch ends instead, with the path and the reason. With room
again, everything is as before, without a restart where the process still runs.
"""

import os

from pair import Pair, Sides
from process import run as run_command
from takeover import DEDUPE, Load
from waiting import PATIENT, Skipped, expect, wait_for
from world import World

NOTICED_SECONDS = 90  # the newest place is written every ten seconds
OPERATOR = 3  # exit code: systemd does not start it again


class Disk:
    """The file system of a node's state_dir."""

    def __init__(self, world, node, megabytes=8):
        self.path = node.state_dir
        self.filler = os.path.join(self.path, "filler")
        run_command(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0750", "tmpfs",
                     self.path])
        self.mounts = 1
        world.at_exit.append(self.unmount)

    def unmount(self):
        while self.mounts:
            run_command(["umount", "-l", self.path])
            self.mounts -= 1

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def make_room(self):
        os.remove(self.filler)

    def read_only(self):
        """A mount of its own on top: the file system below has files open for writing."""
        run_command(["mount", "--bind", self.path, self.path])
        self.mounts += 1
        run_command(["mount", "-o", "remount,bind,ro", self.path])

    def writable(self):
        run_command(["umount", "-l", self.path])
        self.mounts -= 1


def backup_says(pair, word):
    """Not ready, because of its state_dir."""
    def why():
        status = pair.status(pair.is_backup() or pair.a)
        return status and not status.own.ready and word in status.own.readiness \
            and status.own.readiness
    return pair.wait(f"the backup saying \"{word}\"", why, NOTICED_SECONDS)


def backup_broken(pair, break_it, mend, word):
    primary = pair.wait_ready()
    sides, backup = Sides(pair), pair.other(primary)
    break_it()
    why = backup_says(pair, word)
    expect("state_dir it can write to" in why and backup.state_dir in why, why)
    refused = pair.ctl("switchover", "--dry-run", check=False)
    expect("state_dir" in str(refused), f"a switchover would be done: {refused}")
    sides.expect_same()
    backup.expect_alive()
    mend()
    pair.wait_ready()
    expect(pair.primary() is primary, "the primary changed")


def primary_full(pair, disks):
    """It serves on, and can hand over; it does not come along into the next epoch."""
    primary = pair.wait_ready()
    sides = Sides(pair)
    disks[primary.name].fill()
    primary.process.wait_log(r" identity\.not_remembered .*No space left", NOTICED_SECONDS)
    sides.expect_same()
    pair.ctl("switchover", "--wait")
    expect(primary.process.wait(NOTICED_SECONDS) == OPERATOR, "it ended with another code")
    expect("state_dir it can write to" in primary.process.log_end(), primary.process.log_end())
    pair.wait("the other node serving", lambda: pair.is_primary() is pair.other(primary),
              PATIENT)
    disks[primary.name].make_room()
    primary.start(wait=False)
    pair.wait_ready()


def starts_read_only(pair, disks):
    """A node that cannot even lock its folder does not begin."""
    backup = pair.other(pair.wait_ready())
    backup.process.stop()
    disks[backup.name].read_only()
    backup.start(wait=False)
    expect(backup.process.wait() == OPERATOR, "it ended with another code")
    said = backup.process.log_end()
    expect("Read-only file system" in said and "state_dir it can write to" in said, said)
    disks[backup.name].writable()
    backup.start(wait=False)
    pair.wait_ready()


def run(options):
    if os.geteuid() != 0:
        raise Skipped("mounting needs root")
    with World(options, "state-dir") as world:
        world.start_database()
        pair = Pair(world, dedupe=DEDUPE)
        disks = {node.name: Disk(world, node) for node in pair.nodes}
        pair.start()
        load = Load(pair, rate=500)
        disk = disks[pair.backup().name]
        backup_broken(pair, disk.fill, disk.make_room, "No space left")
        backup_broken(pair, disk.read_only, disk.writable, "Read-only file system")
        primary_full(pair, disks)
        starts_read_only(pair, disks)
        wait_for("no file system left over", lambda: all(d.mounts == 1 for d in disks.values()))
        return load.finish()
