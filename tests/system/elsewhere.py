"""Elsewhere: what an access point can be changed to, by mistake or rightly; one class a row of the
matrix of case_wrong_database.py."""

import clusters
from world import Node


class Place:
    """`reach(node)` gives the connection string that the node's access point gets; a row with
    `pooler` repoints the node's pooler instead. `wrong`: it is not the pair's own database."""

    wrong = True
    pooler = False
    follows = False  # something happens next
    where = ("primary", "backup", "both")
    when = ("reload", "switchover", "crash", "cold")

    def __init__(self, stage):
        self.stage = stage  # of the matrix: world, pair, original, other
        self.target = None  # the database whose contents are compared

    def prepare(self):
        """Once, before the first case; the pair runs."""

    def begin(self):
        """Before each case."""

    def reach(self, _node):
        return self.target.conninfo("ixn")

    def follow(self):
        """What happens next, when both nodes run and are a pair again."""

    def end(self):
        """After each case."""

    @property
    def name(self):
        return type(self).__name__.replace("_", "-")


class other_database(Place):
    """Another database of the same server, initialised."""

    def prepare(self):
        self.target = clusters.create(self.stage.original, "other")
        self.stage.initialise(self.target)


class same_name(Place):
    """A database of the same name on another server, initialised."""

    def prepare(self):
        self.target = self.stage.other
        self.stage.initialise(self.target)


class other_pair(Place):
    """The database of another pair, which has served from it."""

    def prepare(self):
        self.target = clusters.create(self.stage.other, "theirs")
        self.stage.initialise(self.target, serve=True)


class empty(Place):
    """An empty database."""

    def prepare(self):
        self.target = clusters.create(self.stage.other, "nothing")


class template(Place):
    """CREATE DATABASE … TEMPLATE, of this moment."""

    def prepare(self):
        self.target = clusters.template_copy(self.stage.original, "copy")


class dump(Place):
    """pg_dump, restored on another server."""

    def prepare(self):
        self.target = clusters.create(self.stage.other, "restored")
        clusters.dump_and_restore(self.stage.original, self.target, self.stage.world.path("dump"))


class base_backup(Place):
    """A base backup of yesterday, started on another port."""

    def prepare(self):
        self.target = clusters.base_backup(self.stage.world, self.stage.original, "yesterday")


class clone(Place):
    """The files of a second ago, started on another port: equal in everything."""

    count = 0

    def begin(self):
        clone.count += 1
        self.target = clusters.clone(self.stage.world, self.stage.original, f"clone-{clone.count}")

    def end(self):
        self.target.stop("immediate")


class pooler(clone):
    """The pooler is repointed to a clone by RELOAD, while the node is connected."""

    pooler = True


class other_pooler(Place):
    """Another pooler to the same database."""

    wrong = False

    def reach(self, node):
        return self.stage.poolers[self.stage.pair.other(node).name].conninfo()


class host_name(Place):
    """Another name of the host, and no pooler."""

    wrong = False

    def reach(self, _node):
        return f"host=localhost port={self.stage.original.port} user=ixn dbname=ixn"


class standby(Place):
    """A standby of the pair's database: not now, never wrong."""

    wrong = False

    def begin(self):
        if not self.target:
            copy = clusters.plan(self.stage.world, "standby")
            self.target = clusters.standby(self.stage.original, copy)


class server_restart(Place):
    """The server restarts; the access point stays what it is."""

    wrong = False

    def reach(self, node):
        return self.stage.poolers[node.name].conninfo()

    def begin(self):
        self.stage.original.stop("fast")
        self.stage.original.start()


class promotion(Place):
    """One string names the server and its synchronous standby (target_session_attrs=read-write);
    then the server is killed with all its processes and the standby is promoted. Poolers are led
    there. Comes last: where the database is afterwards is another server."""

    wrong = False
    follows = True
    count = 0

    def begin(self):
        promotion.count += 1
        copy = clusters.plan(self.stage.world, f"promoted{promotion.count}")
        self.target = clusters.standby(self.stage.original, copy, synchronous=True)

    def reach(self, _node):
        servers = (self.stage.original, self.target)
        return (f"host={','.join(server.host for server in servers)} "
                f"port={','.join(str(server.port) for server in servers)} "
                "user=ixn dbname=ixn target_session_attrs=read-write")

    def follow(self):
        self.stage.original.kill()
        clusters.promote(self.target)
        self.target.reload_with("synchronous_standby_names", None)
        self.stage.original = self.stage.world.postgres = self.target
        for pooler in self.stage.poolers.values():
            pooler.repoint(self.target)


PLACES = [other_database, same_name, other_pair, empty, template, dump, base_backup, clone, pooler,
          other_pooler, host_name, standby, server_restart, promotion]

# A default run: every place, and every column.
CHOSEN = [
    ("other-database", "primary", "reload"), ("same-name", "backup", "switchover"),
    ("other-pair", "both", "cold"), ("empty", "primary", "crash"), ("template", "both", "reload"),
    ("dump", "backup", "crash"), ("base-backup", "both", "cold"), ("clone", "both", "crash"),
    ("clone", "backup", "switchover"), ("clone", "both", "cold"), ("pooler", "primary", "reload"),
    ("pooler", "backup", "crash"), ("pooler", "both", "reload"),
    ("other-pooler", "both", "reload"), ("host-name", "backup", "switchover"),
    ("standby", "primary", "reload"), ("server-restart", "both", "crash"),
    ("promotion", "both", "reload"), ("promotion", "primary", "switchover"),
]


class Stage:
    """What all rows share."""

    def __init__(self, world):
        self.world = world
        self.original = world.postgres
        self.poolers = {}
        self.pair = None
        self.other = clusters.add(world, "other")
        self.count = 0

    @staticmethod
    def main(conninfo):
        """The access points of a node: one."""
        return [{"name": "main", "conninfo": conninfo}]

    def own(self, node):
        """The node's access point as it should be."""
        return self.poolers[node.name].conninfo()

    def initialise(self, target, serve=False):
        """By a node of nobody's pair."""
        self.count += 1
        node = Node(self.world, f"stranger-{self.count}",
                    database={"daps": self.main(target.conninfo("ixn"))})
        node.init_database()
        if serve:
            node.start()
            self.world.bench(node, "--submit-only", "--queue", "parked", "--count", 20)
            node.process.stop()
