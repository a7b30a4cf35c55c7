"""The admin port: what it shows is so, what it changes is audited, and nobody else may.

Both nodes' ports are asked, for either shows the whole pair.
"""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import admin_audit
from admin_port import AdminPort, add_admin, expect_status, start_pair, write_tokens
from contract import Client, pb
from waiting import Failure, expect, wait_for
from world import World

VIEWER, OPERATOR, ADMINISTRATOR = "v" * 32, "o" * 32, "a" * 32
CHANGES = ["/v1/interactions/{id}/move", "/v1/interactions/{id}/stop",
           "/v1/interactions/{id}/hold", "/v1/interactions/{id}/resume",
           "/v1/interactions/{id}/release", "/v1/pair/switchover", "/v1/pair/failover",
           "/v1/pair/pause", "/v1/pair/resume", "/v1/strategies/classify/activate",
           "/v1/strategies/classify/deactivate", "/v1/routers/R1/drain", "/v1/routers/R1/undrain",
           "/v1/configuration/check",
           "/v1/configuration/reload", "/v1/database/heal"]


def submit(endpoint, queue, count, external="case"):
    """Ids of so many new interactions, as text."""
    ids = []
    with Client(endpoint, role=pb.OPERATOR) as client:
        for number in range(count):
            answer = client.call(submit=pb.Submit(
                key=f"{external}-{queue}-{number}".encode(), queue=queue, media_type="email",
                external_id=f"{external}-{number}", attributes=b'{"subject":"a & b"}'))
            expect(answer and answer.HasField("ack"), f"not accepted: {answer}")
            text = answer.ack.interaction_id.hex()
            ids.append("-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])))
    return ids


def check_load_balancers(pair, primary):
    backup = pair.other(primary)
    for node, path, status in ((primary, "/primary", 200), (backup, "/primary", 503),
                               (primary, "/backup", 503), (backup, "/backup", 200),
                               (primary, "/health", 200), (backup, "/health", 200),
                               (primary, "/readiness", 200), (backup, "/readiness", 200),
                               (primary, "/liveness", 200), (backup, "/liveness", 200)):
        # The port looks at its node now and then.
        wait_for(f"{status} for {path} of {node.name}",
                 lambda node=node, path=path, status=status: node.admin.get(path).status == status)
        for method in ("HEAD", "OPTIONS"):
            expect_status(node.admin.request(method, path), status)


def check_metrics(pair, primary):
    promtool = shutil.which("promtool")
    for node in pair.nodes:
        answer = node.admin.get("/metrics")
        expect_status(answer, 200)
        expect(f"ixn_serving {int(node is primary)}\n" in answer.text, "ixn_serving is wrong")
        if promtool:
            done = subprocess.run([promtool, "check", "metrics"], input=answer.body,
                                  capture_output=True, timeout=120, check=False)
            expect(done.returncode == 0 and not done.stderr,
                   f"promtool: {done.stdout.decode()} {done.stderr.decode()}")
    for line in ('ixn_queue_interactions{tenant="default",queue="parked",state="waiting"} 25',
                 "ixn_submit_duration_seconds_count 25", "ixn_dap_proven{dap=\"direct\"} 1",
                 "ixn_dap_errors_total{dap=\"direct\"} 0"):
        wait_for(f"the line {line} in /metrics",
                 lambda line=line: line in primary.admin.get("/metrics").text)
    for node in pair.nodes:
        wait_for("the backup to be level", lambda node=node:
                 re.search(r"^ixn_pair_lag_entries 0$", node.admin.get("/metrics").text, re.M) and
                 re.search(r"^ixn_pair_lag_bytes 0$", node.admin.get("/metrics").text, re.M))
        wait_for("the same in JSON", lambda node=node: [node.admin.good("/v1/pair")[name] for name
                                                        in ("lag_entries", "lag_bytes")] == [0, 0])
    return bool(promtool)


def check_lists(pair, primary, ids):
    for node in pair.nodes:
        queues = {queue["name"]: queue for queue in node.admin.good("/v1/queues")["queues"]}
        expect(queues["parked"]["waiting"] == 25 and queues["parked"]["entered"] == 25,
               f"queue parked: {queues['parked']}")
        seen, after = [], 0
        while after is not None:
            page = node.admin.good(f"/v1/interactions?queue=parked&limit=10&after={after}")
            expect(len(page["interactions"]) <= 10, "a page is longer than asked for")
            seen += [found["id"] for found in page["interactions"]]
            after = page["next"]
        expect(sorted(seen) == sorted(ids), f"{len(seen)} of {len(ids)} are listed")
        found = node.admin.good("/v1/interactions?external_id=case-7")["interactions"]
        expect([one["id"] for one in found] == [ids[7]], f"by external id: {found}")
        whole = node.admin.good(f"/v1/interactions/{ids[7]}")
        expect(whole["attributes"] == {"subject": "a & b"} and whole["state"] == "queued",
               f"one: {whole}")
        expect("no strategy" in queues["parked"]["reason"], f"why: {queues['parked']}")
        for name in ("routers", "strategies", "agents"):
            expect(isinstance(node.admin.good(f"/v1/{name}")[name], list), f"/v1/{name}")
    expect_status(primary.admin.get("/v1/interactions?state=sleeping"), 400, "INVALID_ARGUMENT")
    expect_status(primary.admin.get("/v1/interactions?limit=501"), 400, "INVALID_ARGUMENT")
    expect_status(primary.admin.get("/v1/interactions/7"), 400, "INVALID_ARGUMENT")
    expect_status(primary.admin.get("/v1/interactions/" + "0" * 8 + "-0000-7000-8000-" + "0" * 12),
                  404, "UNKNOWN_INTERACTION")
    expect_status(primary.admin.get("/v2"), 404, "UNKNOWN_PATH")
    expect_status(primary.admin.request("DELETE", "/v1/queues"), 405, "WRONG_METHOD")


def check_changes(pair, primary, ids):
    """Through the backup's port too: it asks the primary."""
    other = pair.other(primary).admin
    other.done(f"/v1/interactions/{ids[0]}/move", {"queue": "support", "reason": "a test"})
    primary.admin.done(f"/v1/interactions/{ids[1]}/hold", {"reason": "a test"})
    expect(primary.admin.good("/v1/interactions?state=held")["interactions"][0]["id"] == ids[1],
           "the held one is not listed")
    other.done(f"/v1/interactions/{ids[1]}/resume")
    primary.admin.done(f"/v1/interactions/{ids[2]}/stop", {"reason": "spam"})
    moved = other.good(f"/v1/interactions/{ids[0]}")
    expect(moved["queue"] == "support" and moved["journey"][-1]["step"] == "placed", f"{moved}")
    expect_status(other.post(f"/v1/interactions/{ids[2]}/stop"), 409, "ALREADY_COMPLETED")
    expect_status(other.post(f"/v1/interactions/{ids[3]}/release"), 409, "WRONG_STATE")
    expect_status(other.post(f"/v1/interactions/{ids[3]}/move", {"queue": "nowhere"}), 404,
                  "UNKNOWN_QUEUE")
    expect_status(other.post(f"/v1/interactions/{ids[3]}/move", {}), 400)
    expect_status(other.post(f"/v1/interactions/{ids[3]}/move", {"queue": 7}), 400)
    expect_status(other.post(f"/v1/interactions/{ids[3]}/stop", {"reasons": "x"}), 400)
    expect_status(other.post(f"/v1/interactions/{ids[3]}/stop",
                             {"expected_version": 99}), 409, "VERSION_CONFLICT")

    def audited():
        rows = primary.admin.good("/v1/audit")["audit"]
        known = {(row["action"], row["target"]): row for row in rows}
        return known if all(row["outcome"] for row in rows) else None

    known = wait_for("the audit to be complete", audited)
    move = known[("move", ids[0])]
    expect(move["who"] == "local" and move["reason"] == "a test" and move["outcome"] == "done"
           and move["address"] == "127.0.0.1", f"audit of the move: {move}")
    expect("99" in known[("stop", ids[3])]["outcome"], f"{known[('stop', ids[3])]}")


def check_finished(pair, ids):
    """What is finished is told whole, as by `ixnctl get`; also what no node remembers any more."""
    def stored(port, one):
        found = port.good(f"/v1/interactions/{one}")
        expect(found["state"] == "completed", f"{found}")
        return found if found["from"] == "tables" else None

    names = ("id", "version", "state", "queue", "external_id", "reason", "submitted_by",
             "attributes", "journey")
    # As if it had ended before what nodes load when they start.
    forgotten = "0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a"
    for node in pair.nodes:
        whole = wait_for("the tables to have it",
                         lambda node=node: stored(node.admin, ids[2]))
        expect((whole["attributes"], whole["reason"], whole["journey"][-1]["step"]) ==
               ({"subject": "a & b"}, "spam", "stopped"), f"{whole}")
        got = json.loads(pair.world.ctl("--config", pair.a.config_path, "-o", "json", "get",
                                        ids[2])[0])
        expect([got[name] for name in names] == [whole[name] for name in names] and
               got["from"] == whole["from"], f"ixnctl: {got}, the port: {whole}")
        expect(whole["as_of_index"] > 0, f"{whole}")
        answer = node.admin.get(f"/v1/interactions/{forgotten}")
        expect_status(answer, 404, "UNKNOWN_INTERACTION")
        expect("as of index" in answer.text, f"{answer.text}")
    pair.world.postgres.query(
        "CREATE TEMP TABLE one AS SELECT * FROM ixn.interaction_finished WHERE id = %s;"
        "UPDATE one SET id = %s, completed_log_us = 0;"
        "INSERT INTO ixn.interaction_finished TABLE one", ids[2], forgotten)
    for node in pair.nodes:
        whole = stored(node.admin, forgotten)
        expect(whole and (whole["id"], whole["reason"]) == (forgotten, "spam"), f"{whole}")


def check_foreign_pages(primary, ids):
    path = f"/v1/interactions/{ids[4]}/stop"
    port = primary.admin
    expect_status(port.post(path, Origin="http://elsewhere.example"), 403, "FOREIGN_PAGE")
    expect_status(port.post(path, Origin="null"), 403, "FOREIGN_PAGE")
    expect_status(port.request("POST", path, body={}, headers={"Sec-Fetch-Site": "cross-site"}),
                  403, "FOREIGN_PAGE")
    expect_status(port.request("POST", path, body="reason=spam", headers={
        "Content-Type": "application/x-www-form-urlencoded"}), 415, "NOT_JSON")
    expect_status(port.request("POST", path, body="{}", headers={"Content-Type": "text/plain"}),
                  415, "NOT_JSON")
    # A name of somebody else's that leads to loopback.
    expect_status(port.get("/v1/status", Host=f"elsewhere.example:{port.port}"), 421, "WRONG_HOST")
    expect_status(port.request("POST", path, body={}, headers={
        "Host": f"elsewhere.example:{port.port}",
        "Origin": f"http://elsewhere.example:{port.port}"}), 421, "WRONG_HOST")
    expect(port.good(f"/v1/interactions/{ids[4]}")["state"] == "queued",
           "a page from elsewhere has stopped an interaction")
    expect_status(port.request("POST", path, body="[1]", headers={
        "Content-Type": "application/json"}), 400)
    expect_status(port.request("POST", path, body='{"reason": "x"}\0', headers={
        "Content-Type": "application/json"}), 400)
    expect_status(port.request("POST", path, body="{" * 70000, headers={
        "Content-Type": "application/json"}), 413)


def check_events(pair, primary, ids):
    """The log from its beginning, and from where one left off; from either node."""
    for node in pair.nodes:
        stream = node.admin.stream("/v1/events?from=1")
        seen = []
        for event in stream.events():
            seen.append(event)
            if event["event"] == "stopped" and event["data"]["interaction"] == ids[2]:
                break
        stream.close()
        submitted = [event["data"]["interaction"] for event in seen
                     if event["event"] == "submitted"]
        expect(submitted == ids, f"{len(submitted)} of {len(ids)} submits came as events")
        indexes = [int(event["id"]) for event in seen]
        expect(indexes == sorted(set(indexes)), "indexes of events do not rise")
        again = node.admin.stream("/v1/events", **{"Last-Event-ID": str(indexes[3])})
        expect(int(next(again.events())["id"]) == indexes[4], "it does not go on where it was")
        again.close()
    wanted = ("strategy_put", "strategy_activated", "router_drained", "router_undrained")
    stream = primary.admin.stream("/v1/events?from=1")
    seen = {}
    for event in stream.events():
        seen.setdefault(event["event"], event["data"])
        if event["event"] == wanted[-1]:
            break
    stream.close()
    expect(set(wanted) <= set(seen), f"events: {sorted(seen)}")
    expect(seen["router_drained"]["router"] == "R9" and
           "by-http" in str(seen["strategy_put"]) and "body" not in seen["strategy_put"],
           f"{seen['router_drained']} {seen['strategy_put']}")
    expect_status(primary.admin.get("/v1/events?from=yesterday"), 400, "INVALID_ARGUMENT")


def check_reload(pair, primary):
    """What is shown, and the ways to the database, are those of the configuration in force."""
    node = pair.other(primary)
    daps = node.config["database"]["daps"]
    node.config["database"]["daps"] = [{**daps[1], "name": "renamed"}]
    node.config["log"] = {"level": "debug"}
    node.write_config()
    node.process.popen.send_signal(signal.SIGHUP)
    wait_for("the new configuration to be shown",
             lambda: "renamed" in node.admin.get("/v1/configuration").text)
    expect(node.admin.good("/v1/history")["roles"], "no history by the new way")
    pair.wait_ready()


def check_strategies(pair, primary):
    """Activated by one node's port, seen by the other's."""
    other = pair.other(primary).admin
    body = pair.world.path("one.lua")
    with open(body, "w", encoding="utf-8") as file:
        file.write("-- é\n")
    pair.ctl("strategy", "put", "by-http", body, "--comment", "a test")
    got = other.good("/v1/strategies/by-http")
    expect(got["body"] == "-- é\n" and got["version"] == 1 and got["comment"] == "a test", f"{got}")
    expect_status(other.get("/v1/strategies/none"), 404, "UNKNOWN_STRATEGY")
    expect_status(other.get("/v1/strategies/by-http?version=x"), 400, "INVALID_ARGUMENT")
    path = "/v1/strategies/by-http/activate"
    done = other.done(path, {"routers": ["R1", "R2"], "reason": "a test"})
    expect(done == {"strategy": "by-http", "version": 1}, f"{done}")
    other.done("/v1/strategies/by-http/deactivate", {"routers": ["R2"]})
    seen = {one["name"]: one for one in primary.admin.good("/v1/strategies")["strategies"]}
    active = {router["router"]: router["activated_version"]
              for router in seen["by-http"]["routers"]}
    expect(active.get("R1") == 1 and not active.get("R2"), f"{active}")
    expect([(router["router"], router["activated_by"]) for router in seen["by-http"]["routers"]
            if router["activated_version"]] == [("R1", "local")], f"{seen['by-http']}")
    pair.ctl("--name", "ann@desk", "strategy", "activate", "by-http", "--router", "R3")
    shown = json.loads(pair.ctl("strategy", "list", "-o", "json")[0])["strategies"]
    expect(("R3", "ann@desk") in [(row["router"], row["activated_by"]) for row in shown],
           f"who activated it: {shown}")
    for wrong in ({"routers": "R1"}, {"routers": [7]}, {"routers": [""]}, {"version": -1},
                  {"version": "1"}, {"router": ["R1"]}, {"routers": ["x" * 65]},
                  {"routers": ["R"] * 101}):
        expect_status(other.post(path, wrong), 400, "INVALID_ARGUMENT")
    expect_status(other.post(path, {"routers": ["R1"], "version": 9}), 404)
    audit = {row["action"]: row for row in primary.admin.good("/v1/audit?limit=9")["audit"]}
    expect(audit["activate"]["target"] == "by-http", f"{audit['activate']}")
    applications = other.good("/v1/applications")
    expect(applications["servers"] == [] and applications["open"] == 0, f"{applications}")


def check_drain(pair, primary):
    """Drained by one node's port, and so at the other's."""
    other = pair.other(primary).admin
    pair.world.start_router(pair, "R9")
    wait_for("the router", lambda: "R9" in {
        router["name"] for router in other.good("/v1/routers")["routers"]})
    expect_status(other.post("/v1/routers/R9/drain", {}), 400, "INVALID_ARGUMENT")
    expect_status(other.post("/v1/routers/R9/drain", {"reason": "x", "now": True}), 400)
    done = other.done("/v1/routers/R9/drain", {"reason": "a test"})["routers"]
    expect([(one["name"], one["drained"], one["drain_reason"], one["drained_by"]) for one in done]
           == [("R9", True, "a test", "local")], f"{done}")
    seen = {router["name"]: router for router in primary.admin.good("/v1/routers")["routers"]}
    expect(seen["R9"]["drained"], f"{seen['R9']}")
    text, _, _ = pair.world.ctl(*pair.node_arguments, "status", check=False)
    expect(", 1 drained" in text, f"status does not say it: {text}")
    row = primary.admin.good("/v1/audit?limit=1")["audit"][0]
    expect((row["action"], row["target"], row["reason"]) == ("drain", "R9", "a test"), f"{row}")
    done = other.done("/v1/routers/R9/undrain")["routers"]
    expect([one["drained"] for one in done] == [False], f"{done}")


def check_search(pair, ids):
    def found(node, query):
        return {one["id"] for one in node.admin.good("/v1/search?" + query)["interactions"]}

    for node in pair.nodes:
        wait_for("the tables to have them", lambda node=node: ids[7] in found(
            node, "attribute=subject&value=a%20%26%20b&limit=500"))
        expect(not found(node, "attribute=subject&value=a"), "a part of a value was found")
        expect(not found(node, "attribute=subject&value=a%20%26%20b&queue=nowhere"), "queue")
        expect(len(found(node, "attribute=subject&value=a%20%26%20b&limit=2")) == 2, "limit")
        expect_status(node.admin.get("/v1/search?attribute=subject"), 400, "INVALID_ARGUMENT")
        expect_status(node.admin.get("/v1/search?attribute=a&value=b&limit=501"), 400)


def check_search_by_command(pair, ids):
    """`ixnctl list` finds what the port finds: by attribute, and by external id."""
    def listed(*words, check=True):
        out, error, code = pair.world.ctl("--config", pair.a.config_path, "-o", "json", "list",
                                          *words, check=check)
        return json.loads(out)["interactions"] if code == 0 else (code, error)

    # What was moved to `support` is routed: it may be anywhere, with more attributes, or gone.
    parked = set(ids) - {ids[0], ids[2]}

    def all_parked():
        rows = listed("--attribute", "subject=a & b", "--queue", "parked", "--limit", "500")
        return rows if {row["id"] for row in rows} == parked else None

    found = wait_for("all that is parked to be listed", all_parked)
    expect(all(one["attributes"] == {"subject": "a & b"} for one in found), f"{found[:2]}")
    expect(listed("-a", "subject=a") == [], "a part of a value was found")
    expect(listed("-a", "subject=a & b", "-a", "none=1") == [], "one of two was enough")
    expect(listed("-a", "subject=a & b", "--queue", "nowhere") == [], "queue")
    expect(listed("-a", "subject=a & b", "--tenant", "nobody") == [], "tenant")
    expect("attributes" not in listed("--limit", "1")[0], "attributes that were not asked for")
    external = pair.nodes[0].admin.good(f"/v1/interactions/{ids[7]}")["external_id"]
    found = listed("--external-id", external, "-a", "subject=a & b")
    expect([one["id"] for one in found] == [ids[7]], f"by external id {external}: {found}")
    expect(listed("--external-id", external + "0") == [], "another external id")
    found = wait_for("what was stopped to be found in the history", lambda: [
        one for one in listed("-s", "completed", "-a", "subject=a & b") if one["id"] == ids[2]])
    expect(found[0]["attributes"] == {"subject": "a & b"}, f"{found}")
    return listed


def check_search_is_bounded(pair, listed):
    """While the database gives nothing: one search at a time, and each is ended by the server."""
    postgres, port, first = pair.world.postgres, pair.nodes[0].admin, []
    waiting = ("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
               " AND query LIKE '%%attributes ->>%%'")
    lock = postgres.connect()
    try:
        lock.cursor().execute("BEGIN; LOCK TABLE ixn.interaction IN ACCESS EXCLUSIVE MODE")
        thread = threading.Thread(target=lambda: first.append(
            port.get("/v1/search?attribute=a&value=b")))
        thread.start()
        wait_for("the search to wait", lambda: postgres.value(waiting) == 1, 20)
        expect_status(port.get("/v1/search?attribute=a&value=b"), 503, "BUSY")
        thread.join()
        expect_status(first[0], 503)
        expect("the search was ended after 4 s" in first[0].text, first[0].text)
        wait_for("the server to have ended it", lambda: postgres.value(waiting) == 0, 20)
        code, error = listed("-a", "a=b", "--timeout", "1", check=False)
        expect(code == 3 and "the search was ended after 1 s" in error, f"{code} {error}")
        expect(postgres.value(waiting) == 0, "the server goes on with what nobody waits for")
    finally:
        lock.close()
    expect(port.good("/v1/search?attribute=a&value=b")["interactions"] == [], "it goes on after")


def check_configuration(pair, primary):
    """Both nodes' files, by one port."""
    port = pair.other(primary).admin
    both = {node.name for node in pair.nodes}
    none = port.good("/v1/configuration/diff")
    expect({node["node"] for node in none["nodes"]} == both and none["ok"]
           and not any(node["changes"] for node in none["nodes"]), f"{none}")
    for node in pair.nodes:
        node.config["queues"].append({"name": "by-http"})
        node.write_config()
    diff = port.good("/v1/configuration/diff")
    expect(all(node["changes"][0]["path"] == "queues[by-http]" for node in diff["nodes"]),
           f"{diff}")
    dry = port.done("/v1/configuration/reload", {"reason": "a test", "dry_run": True})
    expect(dry == diff, f"a dry run says something else: {dry}")
    expect_status(port.post("/v1/configuration/reload", {}), 400, "INVALID_ARGUMENT")
    done = port.done("/v1/configuration/reload", {"reason": "a test"})
    expect(done["ok"] and all(node["applied"] for node in done["nodes"]), f"{done}")
    for node in pair.nodes:
        expect(' by="local" changes=1' in node.process.log(), f"who reloaded {node.name}?")
    wait_for("the new queue", lambda: "by-http" in {
        queue["name"] for queue in port.good("/v1/queues")["queues"]})
    row = next(row for row in port.good("/v1/audit")["audit"] if row["action"] == "reload")
    expect(row["reason"] == "a test" and row["target"] == "configuration", f"{row}")
    refused = port.post("/v1/configuration/check", {"text": "node: {name: x}\nnonsense: 1\n"})
    expect_status(refused, 409)
    expect(all("nonsense" in node["error"]["sentence"] for node in refused.json["nodes"]),
           f"{refused.text}")
    with open(primary.config_path, encoding="utf-8") as file:
        text = file.read()
    checked = port.post("/v1/configuration/check", {"text": text}).json
    expect({node["node"] for node in checked["nodes"]} == both, f"{checked}")
    expect_status(port.post("/v1/configuration/check", {"text": 7}), 400, "INVALID_ARGUMENT")
    expect_status(port.post("/v1/configuration/check", {"text": text, "dry_run": True}), 400)


def check_switchover(pair, primary):
    """Asked of the backup's port, while a stream watches from there."""
    backup = pair.other(primary)
    stream = backup.admin.stream("/v1/live")
    events = stream.events()
    expect(next(events)["data"]["primary"] == primary.name, "the stream's first event is wrong")
    expect_status(backup.admin.post("/v1/pair/switchover", {}), 400, "INVALID_ARGUMENT")
    backup.admin.done("/v1/pair/switchover", {"reason": "a test", "dry_run": True})
    expect(pair.primary() is primary, "a dry run has moved the roles")
    backup.admin.done("/v1/pair/switchover", {"reason": "a test"})
    for event in events:
        if event["data"]["primary"] == backup.name:
            break
    stream.close()
    pair.wait_ready()
    check_load_balancers(pair, backup)
    roles = backup.admin.good("/v1/history")["roles"]
    expect(roles[0]["owner"] == backup.name
           and roles[0]["reason"] == "the primary hands over: a test (local)", f"{roles[0]}")
    primary.admin.done("/v1/pair/pause", {"reason": "a test"})
    wait_for("both paused", lambda: not any(
        seen["sees"]["own"]["automatic"] for seen in primary.admin.good("/v1/pair")["nodes"]))
    primary.admin.done("/v1/pair/resume", {"reason": "a test"})
    return backup


def check_finished_without_a_node(port, ids):
    """What is finished is told where no node serves, too; what is not is not guessed."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        finished, unfinished = pool.map(lambda one: port.get(f"/v1/interactions/{one}"),
                                        (ids[2], ids[3]))
    expect_status(finished, 200)
    expect((finished.json["from"], finished.json["reason"]) == ("tables", "spam"), finished.text)
    expect_status(unfinished, 503, "NO_ANSWER")
    expect("this one is not, as far as they know" in unfinished.text, unfinished.text)


def check_nobody_is_left_out(pair, primary, ids):
    """A pause is one when both know of it. Where nobody serves, the audit has what came of it."""
    backup = pair.other(primary)

    def outcome(port, action):
        row = [row for row in port.good("/v1/audit")["audit"] if row["action"] == action][0]
        return row["outcome"]

    backup.process.popen.send_signal(signal.SIGSTOP)
    answer = primary.admin.post("/v1/pair/pause", {"reason": "a test"})
    backup.process.popen.send_signal(signal.SIGCONT)
    expect_status(answer, 503, "TIMED_OUT")
    expect(f"not every node has taken it: {backup.name}: " in answer.text, answer.text)
    wait_for("the audit to say so", lambda: "not every node" in (
        outcome(primary.admin, "pause") or ""))
    pair.wait_ready()
    wait_for("both to take a pause", lambda: backup.admin.post(
        "/v1/pair/pause", {"reason": "a test"}).status == 200)
    wait_for("both to be paused", lambda: not any(
        seen["sees"]["own"]["automatic"] for seen in backup.admin.good("/v1/pair")["nodes"]))
    primary.kill()
    path = "/v1/pair/switchover"
    wait_for("it to be seen that nobody serves", lambda: backup.admin.post(
        path, {"reason": "a test", "dry_run": True}).status == 409)
    expect_status(backup.admin.post(path, {"reason": "a test"}), 409, "WRONG_STATE")
    check_finished_without_a_node(backup.admin, ids)
    wait_for("the audit to say so", lambda: "no node serves" in (
        outcome(backup.admin, "switchover") or ""))
    answer = backup.admin.post("/v1/pair/resume", {"reason": "a test"})
    expect_status(answer, 503, "TIMED_OUT")
    expect(backup.name not in answer.json["error"]["sentence"], answer.text)
    wait_for("the backup to serve", lambda: backup.admin.get("/primary").status == 200)


def check_bound_to_every_address(pair):
    """Such a node does not say where it is: then each one's own admin port is asked for a pause."""
    for node in pair.nodes:
        node.process.stop()
        node.config["node"]["client_endpoint"] = node.endpoint.replace("127.0.0.1", "0.0.0.0")
        node.write_config()
    for node in pair.nodes:
        node.start(wait=False)
    pair.wait_ready()
    one, other = pair.nodes

    def heard(path):
        answer = one.admin.post(path, {"reason": "a test"})
        return None if "was not heard yet" in answer.text else answer

    for path in "/v1/pair/pause", "/v1/pair/resume":
        answer = wait_for("the other one to be heard", lambda path=path: heard(path))
        expect_status(answer, 503, "TIMED_OUT")
        url = f"http://127.0.0.1:{other.admin.port}"
        expect("it cannot be asked at tcp://0.0.0.0" in answer.text
               and f"ask its own admin port, {url}" in answer.text, answer.text)
        for node in other, one:
            wait_for(f"{path} to be taken", lambda node=node, path=path: node.admin.post(
                path, {"reason": "a test"}).status == 200)


def check_heal(pair, primary):
    """Nothing is lost: each node says so, whichever is asked; case `standby` heals."""
    for node in pair.nodes:
        expect(all(seen["sees"]["lost"] is None for seen in node.admin.good("/v1/pair")["nodes"]),
               "a node says that commits are lost")
        for body, words in (({"lost": 1}, "say why"), ({"reason": "a test"}, "lost is needed"),
                            ({"reason": "a test", "lost": 0}, "lost is needed"),
                            ({"reason": "a test", "lost": "1"}, "lost is needed"),
                            ({"reason": "a test", "lost": 1, "without_other": 1}, "without_other"),
                            ({"reason": "a test", "lost": 1, "more": 1}, "is not known here")):
            answer = node.admin.post("/v1/database/heal", body)
            expect_status(answer, 400, "INVALID_ARGUMENT")
            expect(words in answer.text, f"{body}: {answer.text}")
        for body in ({"reason": "a test", "dry_run": True}, {"reason": "a test", "lost": 1}):
            answer = node.admin.post("/v1/database/heal", body)
            expect_status(answer, 409, "WRONG_STATE")
            expect("serves" in answer.text, f"{body}: {answer.text}")
        expect(node.process.log().count("admin.not_changed") == 2, "the log has no word of it")
    expect(not [row for row in primary.admin.good("/v1/audit")["audit"]
                if row["action"] == "heal"], "what was not done is in the audit")


def check_stuck(world, node, operator):
    """A strategy that fails each time: what it was given is in quarantine, listed, and released."""
    folder = world.path("failing")
    os.makedirs(folder)
    with open(os.path.join(folder, "failing.lua"), "w", encoding="utf-8") as file:
        file.write('error("on purpose")\n')
    router = world.start_router(node, "R7", folder)
    one = submit(node.endpoint, "failing", 1, "stuck")[0]

    def stuck():
        return json.loads(world.ctl(*node.node_arguments, "stuck", "-o", "json")[0])["interactions"]

    row = wait_for("it to be stuck", stuck)[0]
    expect((row["id"], row["state"], row["queue"], row["external_id"]) ==
           (one, "quarantined", "failing", "stuck-0"), f"{row}")
    expect(row["attempts"] > 0 and "on purpose" in row["reason"], f"{row}")
    listed = operator.good("/v1/interactions?stuck=true")["interactions"]
    expect([seen["id"] for seen in listed] == [one], f"{listed}")
    router.stop()
    operator.done(f"/v1/interactions/{one}/release", {"reason": "mended"})
    released = operator.good(f"/v1/interactions/{one}")
    expect((released["state"], released["journey"][-1]["by"]) == ("queued", "desk"), f"{released}")
    expect(stuck() == [], "it is still called stuck")


def check_tokens(world):
    """Another node, on a port with tokens and TLS: a viewer changes nothing."""
    tokens = write_tokens(world.path("tokens"), [
        "# who may", f"viewer wall {VIEWER}", f"operator desk {OPERATOR}",
        f"administrator chief {ADMINISTRATOR}"])
    certificate, key = world.path("admin.crt"), world.path("admin.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=node",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True,
                   timeout=60)
    from world import Node
    node = Node(world, "alone")
    node.config["queues"].append({"name": "failing", "strategy": "failing"})
    add_admin(node, tokens=tokens, certificate=certificate, private_key=key)
    node.start()
    ids = submit(node.endpoint, "parked", 3, "tokens")
    port = node.admin.port
    nobody, wrong = AdminPort(port, tls=True), AdminPort(port, "x" * 32, tls=True)
    viewer, operator = AdminPort(port, VIEWER, tls=True), AdminPort(port, OPERATOR, tls=True)
    chief = AdminPort(port, ADMINISTRATOR, tls=True)
    expect_status(nobody.get("/health"), 200)
    for path in ("/v1/status", "/metrics", "/v1/queues", "/v1/audit"):
        expect_status(nobody.get(path), 401, "NO_TOKEN")
        expect_status(wrong.get(path), 401, "UNKNOWN_TOKEN")
        expect_status(viewer.get(path), 200)
    before = [viewer.good(f"/v1/interactions/{one}") for one in ids]
    for change in CHANGES:
        path = change.replace("{id}", ids[0])
        body = {"reason": "a test", "queue": "support"} if "move" in change else {"reason": "t"}
        expect_status(nobody.post(path, body), 401)
        expect_status(wrong.post(path, body), 401)
        expect_status(viewer.post(path, body), 403, "NOT_ALLOWED")
        if "/pair/" in change or "/configuration/" in change or "/database/" in change:
            expect_status(operator.post(path, body), 403, "NOT_ALLOWED")
    expect([viewer.good(f"/v1/interactions/{one}") for one in ids] == before,
           "a viewer has changed something")
    operator.done(f"/v1/interactions/{ids[0]}/move", {"queue": "support", "reason": "a test"})
    step = operator.good(f"/v1/interactions/{ids[0]}")["journey"][-1]
    expect((step["step"], step["by"]) == ("placed", "desk"), f"who moved it: {step}")
    expect_status(chief.post("/v1/pair/switchover", {"reason": "a test"}), 409, "WRONG_STATE")
    router = world.start_router(node, "R8")
    wait_for("the router", lambda: "R8" in {
        one["name"] for one in viewer.good("/v1/routers")["routers"]}, 20)
    drained = operator.done("/v1/routers/R8/drain", {"reason": "a test"})["routers"][0]
    expect(drained["drained_by"] == "desk", f"who drained it: {drained}")
    router.stop()
    rows = viewer.good("/v1/audit")["audit"]
    expect({row["who"] for row in rows[:3]} == {"desk", "chief"}, f"audit: {rows[:3]}")
    check_stuck(world, node, operator)
    # A new token works without a restart, a taken one no longer; a broken file changes nothing.
    write_tokens(tokens, [f"viewer wall {'n' * 32}"])
    wait_for("the new token", lambda: AdminPort(port, "n" * 32, tls=True).get(
        "/v1/status").status == 200)
    expect_status(chief.get("/v1/status"), 401, "UNKNOWN_TOKEN")
    write_tokens(tokens, ["viewer nobody short"])
    wait_for("the broken file to be refused", lambda: nobody.get("/v1/status").status == 401
             and "it needs 20" in node.process.log())
    expect_status(AdminPort(port, "n" * 32, tls=True).get("/v1/status"), 200)
    node.process.stop()


def check_refused_configurations(pair):
    node = pair.a
    for section, words in (({"endpoint": "tcp://0.0.0.0:7430"}, "there is no admin.tokens"),
                           ({"endpoint": "ipc:///tmp/x"}, "tcp://HOST:PORT"),
                           ({"certificate": "/a"}, "belong together")):
        kept = node.config["admin"]
        node.config["admin"] = {**kept, **section}
        node.write_config()
        done = subprocess.run([pair.world.binary("ixnd"), "--config", node.config_path,
                               "--check-config"], capture_output=True, timeout=120,
                              check=False)
        node.config["admin"] = kept
        node.write_config()
        if done.returncode != 2 or words not in done.stderr.decode():
            raise Failure(f"{section}: {done.returncode} {done.stderr.decode()}")


def run(options):
    with World(options, "admin") as world:
        pair = start_pair(world)
        primary = pair.primary()
        ids = submit(primary.endpoint, "parked", 25)
        check_load_balancers(pair, primary)
        promtool = check_metrics(pair, primary)
        check_lists(pair, primary, ids)
        check_changes(pair, primary, ids)
        check_finished(pair, ids)
        check_foreign_pages(primary, ids)
        check_refused_configurations(pair)
        check_strategies(pair, primary)
        check_drain(pair, primary)
        check_events(pair, primary, ids)
        check_search(pair, ids)
        check_search_is_bounded(pair, check_search_by_command(pair, ids))
        check_configuration(pair, primary)
        check_heal(pair, primary)
        admin_audit.check_comes_first(pair, primary)
        admin_audit.check_is_needed(pair, primary)
        check_reload(pair, primary)
        primary = check_switchover(pair, primary)
        check_nobody_is_left_out(pair, primary, ids)
        check_bound_to_every_address(pair)
        for node in pair.nodes:
            node.process.stop()
        check_tokens(world)
        return {"promtool": promtool}
