"""DAPs changed on a running pair, under load: no client sees an error, nothing is lost.

Added, removed, put in another order, led another way (accepted once proven), led to another
database of the same server (refused with both databases; the original is used on, also after a
switchover and a cold restart of both), a wrong file, and what is not a DAP: keys that are live,
logged or wait for a restart.
"""

import json

from takeover import DEDUPE, Load
from waiting import PATIENT, expect
from world import World

RATE = 300


def reload(pair, node, check=True):
    """`ixnctl config reload` of one node, which says in its log who wanted it."""
    said = node.process.log().count(' by="ann@desk" ')
    answer = pair.world.ctl("--node", node.endpoint, "--name", "ann@desk", "config", "reload",
                            "-o", "json", check=check)
    expect(node.process.log().count(' by="ann@desk" ') == said + 1, "who reloaded is not logged")
    return answer


def change(pair, daps=None, **sections):
    """The same change of both files, and both are reloaded. Returns what the nodes answered."""
    answers = []
    for node in pair.nodes:
        if daps:
            node.config["database"]["daps"] = daps
        for section, values in sections.items():
            if isinstance(values, dict):
                node.config.setdefault(section, {}).update(values)
            else:
                node.config[section] = values
        node.write_config()
        answers.append(json.loads(reload(pair, node)[0]))
    return answers


def daps(node):
    """As the node says it; none when it does not answer now."""
    out, _, code = node.world.ctl("--node", node.endpoint, "daps", "-o", "json", check=False)
    return [dap for dap in json.loads(out) if dap["node"] == node.name] if code == 0 else []


def wait_daps(pair, wanted):
    """Until each node uses exactly these, all of them proven."""
    def there():
        return all(sorted(dap["dap"] for dap in daps(node)) == sorted(wanted) and
                   all(dap["proven"] and dap["standing"] == "in use" for dap in daps(node))
                   for node in pair.nodes)
    pair.wait(f"the DAPs {wanted} in use on both nodes", there, PATIENT)


def wait_journal(pair, name):
    """Until the primary's journal goes through this DAP."""
    pair.wait(f"the journal on {name}",
              lambda: any(dap["journal"] and dap["dap"] == name for dap in daps(pair.primary())),
              PATIENT)


def rows(postgres):
    return [postgres.at("other").value(f"SELECT count(*) FROM ixn.{table}")
            for table in ("journal", "epoch", "interaction", "interaction_history")]


def make_other(world):
    """Another pair's database on the same server."""
    world.postgres.query("CREATE DATABASE other OWNER ixn", database="postgres")
    path = world.path("other.yaml")
    conninfo = world.postgres.at("other").conninfo("ixn")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"node": {"name": "x", "state_dir": world.folder},
                   "database": {"daps": [{"name": "x", "conninfo": conninfo}]}}, file)
    world.ctl("--config", path, "database", "init")


def expect_refused(pair, wrong):
    """The file leads elsewhere: said with both databases, and the original is used on."""
    for node in pair.nodes:
        line = node.process.wait_log(r"error dap\.refused .*")
        expect("database other on" in line.group(0) and "database ixn on" in line.group(0),
               f"{node.name} names both databases: {line.group(0)}")

    def stands():
        return all({(dap["standing"], dap["proven"]) for dap in daps(node) if dap["dap"] == wrong}
                   == {("candidate", False), ("retiring", True)} for node in pair.nodes)
    pair.wait("the old way in use, the new one a candidate", stands, PATIENT)


def wrong_database(pair, world):
    """One DAP leads to another database: by reload, over a switchover, over a cold restart."""
    before = rows(world.postgres)
    wrong = [{"name": "direct", "conninfo": world.postgres.at("other").conninfo("ixn")}]
    answers = change(pair, daps=wrong)
    expect(all(answer["applied"] for answer in answers), f"both take the file: {answers}")
    expect_refused(pair, "direct")
    pair.wait_ready()
    pair.ctl("switchover", "--wait")
    pair.wait_ready()
    return before


def cold_restart(pair):
    for node in pair.nodes:
        node.process.stop()
    for node in pair.nodes:
        node.start(wait=False)
    pair.wait_ready()
    expect_refused(pair, "direct")


def other_keys(pair, load):
    """Live, logged and restart keys, and a file that is wrong."""
    primary = pair.primary()
    answers = change(pair, checkpoint={"interval": "500ms"}, routing={"timeout": "11min"},
                     log={"level": "debug"})
    effects = {change["key"]: change["effect"] for change in answers[0]["changes"]}
    expect(effects == {"checkpoint.interval": "live", "routing.timeout": "logged",
                       "log.level": "live"}, f"what changed: {effects}")
    pair.wait("both nodes agreeing", pair.level, PATIENT)
    out, _, _ = pair.world.ctl("--node", primary.endpoint, "config", "show")
    expect("timeout: 11min" in out and "interval: 500ms" in out, f"in force: {out}")
    change(pair, log={"level": "info"})
    primary.config["routing"]["timeout"] = "eleven"
    primary.write_config()
    out, err, code = reload(pair, primary, check=False)
    expect(code != 0 and "routing.timeout" in err and ".yaml:" in err, f"refused: {out} {err}")
    # Both are told, and the other one's file is right: it stays with what its primary has.
    backup = pair.backup()
    backup.config["checkpoint"]["interval"] = "700ms"
    backup.write_config()
    nodes = [word for node in pair.nodes for word in ("--node", node.endpoint)]
    _, err, code = pair.world.ctl(*nodes, "config", "reload", check=False)
    expect(code != 0 and "no node has reloaded" in err, f"refused by one of two: {err}")
    out, _, _ = pair.world.ctl("--node", backup.endpoint, "config", "show")
    expect("interval: 500ms" in out, f"the other one has reloaded: {out}")
    backup.config["checkpoint"]["interval"] = "500ms"
    backup.write_config()
    primary.config["routing"]["timeout"] = "11min"
    primary.config["queues"] = [{"name": "support", "strategy": "answer"}, {"name": "parked"}]
    primary.config["node"]["name"] = "another"
    primary.write_config()
    expect(load.bench.alive(), "the load goes on")
    out, err, code = pair.world.ctl("--node", primary.endpoint, "config", "diff", "-o", "json",
                                    check=False)
    # Whether interactions are in the queue now is chance; either way nothing was changed.
    expect(code == 0 and '"restart"' in out or "no longer in `queues`" in err, f"{out} {err}")
    primary.config["queues"].insert(0, {"name": "inbound", "strategy": "classify"})
    primary.config["node"]["name"] = primary.name
    primary.write_config()


def run(options):
    with World(options, "reload") as world:
        pair = world.start_pair(dedupe=DEDUPE)
        usual = pair.a.config["database"]["daps"]
        direct, pooler = usual
        make_other(world)
        load = Load(pair, rate=options.rate or RATE, seconds=60)
        # Added, removed, put in another order.
        third = {"name": "third", "conninfo": direct["conninfo"] + " application_name=third"}
        change(pair, daps=[*usual, third])
        wait_daps(pair, ["direct", "pooler", "third"])
        change(pair, daps=[third, direct])
        wait_daps(pair, ["third", "direct"])
        wait_journal(pair, "third")
        change(pair, daps=[direct, pooler])
        wait_daps(pair, ["direct", "pooler"])
        wait_journal(pair, "direct")
        # Another way to the same database, under the same name.
        change(pair, daps=[{**direct, "conninfo": pooler["conninfo"]}])
        wait_daps(pair, ["direct"])
        change(pair, daps=[direct])
        wait_daps(pair, ["direct"])
        other_keys(pair, load)
        before = wrong_database(pair, world)
        cold_restart(pair)
        pair.ctl("switchover", "--wait")
        pair.wait_ready()
        expect(rows(world.postgres) == before, "nothing was written to the other database")
        change(pair, daps=usual)
        wait_daps(pair, ["direct", "pooler"])
        result = load.finish()
        pair.wait_ready()
        return {"reloads": 2 * 10, "written_elsewhere": 0, **result}
