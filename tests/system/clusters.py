"""Clusters: what else an access point could reach. Other clusters on loopback, and every way in
which a copy of the pair's database comes into being: a clone of the files, a base backup, a
standby, a template copy, a dump that was restored."""

import glob
import os
import re

from postgres import Postgres
from process import run
from waiting import Failure, wait_for

COPY_SECONDS = 120


def as_server(command, seconds=COPY_SECONDS):
    """Runs a command as the user that owns the clusters."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    return run([*prefix, *command], seconds)


def program(name):
    """A program of the newest server of this machine."""
    found = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
    if not found:
        raise Failure(f"/usr/lib/postgresql has no {name}; run deploy/install.sh")
    return max(found, key=lambda path: int(re.search(r"/(\d+)/bin/", path).group(1)))


def add(world, name, **conf):
    """A cluster of its own, with an empty database `ixn`."""
    cluster = plan(world, name)
    cluster.start(**conf)
    return cluster


def plan(world, name):
    """One that has its port, and is not there yet."""
    cluster = Postgres(world.path(name))
    world.clusters.append(cluster)
    return cluster


def clone(world, original, name):
    """What a snapshot of the storage gives: the files of one moment, of a cluster that does not
    know of it, started on another port. It is equal to the original in everything."""
    copy = plan(world, name)
    original.freeze()
    try:
        run(["cp", "-a", original.folder, copy.folder], COPY_SECONDS)
    finally:
        original.thaw()
    # The server's user may read them, and nobody else.
    for left in ("data/postmaster.pid", "log", f".s.PGSQL.{original.port}",
                 f".s.PGSQL.{original.port}.lock"):
        path = os.path.join(copy.folder, left)
        if os.path.lexists(path):
            os.unlink(path)
    copy.start()
    return copy


def base_backup(world, original, name):
    """pg_basebackup: complete in itself, as of now."""
    copy = plan(world, name)
    _base_backup(original, copy)
    copy.start()
    return copy.at(original.database)


def _base_backup(original, copy, *options):
    os.makedirs(copy.folder)
    if os.geteuid() == 0:
        run(["chown", "postgres:", copy.folder])
    as_server([program("pg_basebackup"), "-D", f"{copy.folder}/data", "-c", "fast", "--no-sync",
               "-d", original.conninfo(), *options])


def standby(original, copy, synchronous=False):
    """Makes `copy`, which was planned, a streaming standby that has caught up. Synchronous: no
    commit of the original returns before this one has it on disk."""
    name = os.path.basename(copy.folder)
    _base_backup(original, copy, "-R", "--wal-method=stream")
    line = f"primary_conninfo = '{original.conninfo()} application_name={name}'"
    as_server(["sh", "-c", f"echo \"{line}\" >> {copy.folder}/data/postgresql.auto.conf"])
    copy.start()
    wait_for(f"{name} streaming", lambda: streams(original, name))
    if synchronous:
        original.reload_with("synchronous_standby_names", name)
        wait_for(f"{name} being synchronous", lambda: original.query(
            "SELECT 1 FROM pg_stat_replication WHERE application_name = %s AND sync_state = 'sync'",
            name))
    return copy


def streams(original, name):
    return original.query("SELECT 1 FROM pg_stat_replication WHERE application_name = %s "
                          "AND state = 'streaming'", name)


def promote(cluster):
    """Returns when it takes writes."""
    as_server([program("pg_ctl"), "promote", "-w", "-D", f"{cluster.folder}/data"])


def template_copy(cluster, name):
    """CREATE DATABASE … TEMPLATE: nobody may be connected to the source meanwhile."""
    source = cluster.database
    cluster.query(f"ALTER DATABASE {source} ALLOW_CONNECTIONS false", database="postgres")
    try:
        cluster.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                      "WHERE datname = %s", source, database="postgres")
        cluster.query(f"CREATE DATABASE {name} TEMPLATE {source} OWNER ixn", database="postgres")
    finally:
        cluster.query(f"ALTER DATABASE {source} ALLOW_CONNECTIONS true", database="postgres")
    return cluster.at(name)


def create(cluster, name):
    """An empty database."""
    cluster.query(f"CREATE DATABASE {name} OWNER ixn", database="postgres")
    return cluster.at(name)


def dump_and_restore(source, target, file):
    """pg_dump, which works while the nodes serve, and pg_restore into a database that is there."""
    run([program("pg_dump"), "-Fc", "-f", file, "-d", source.conninfo()], COPY_SECONDS)
    run([program("pg_restore"), "--exit-on-error", "-d", target.conninfo(), file], COPY_SECONDS)


def contents(cluster):
    """Every table of schema ixn with its rows and a hash over all of them; {} where there is
    none."""
    tables = [name for name, in cluster.query(
        "SELECT c.oid::regclass::text FROM pg_class AS c WHERE relkind = 'r' "
        "AND relnamespace = to_regnamespace('ixn') ORDER BY 1")]
    return {table: cluster.query(
        f"SELECT count(*), md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) "
        f"FROM {table} AS t")[0] for table in tables}


def differences(before, after):
    """Sentences about tables that are not what they were."""
    return [f"{table}: {before.get(table, ('no table', ''))[0]} rows before, "
            f"{after.get(table, ('no table', ''))[0]} after"
            for table in sorted({*before, *after}) if before.get(table) != after.get(table)]


def identity(cluster):
    """(database_id or None, system_identifier, oid), as text."""
    system, oid, has = cluster.query(
        "SELECT (SELECT system_identifier::text FROM pg_control_system()), oid::text, "
        "to_regclass('ixn.pair') IS NOT NULL FROM pg_database "
        "WHERE datname = current_database()")[0]
    return (str(cluster.value("SELECT database_id FROM ixn.pair")) if has else None, system, oid)
