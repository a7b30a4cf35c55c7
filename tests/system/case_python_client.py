"""A client of one page in another language, straight from the .proto, registers, submits, retries
with the same key and hears the same answer. Another one is media server and application server on
one connection: it submits, and is asked about its own interactions, also through a take-over."""

import os
import re
import subprocess
import sys

from process import run as run_command
from waiting import PATIENT, expect, wait_for
from world import TOP, World


STRATEGY = """
local ok, answer = pcall(service.call, {
    server = "both-python", service = "shout", parameters = {text = interaction.attributes.text},
    timeout = 60, safe = false})
stop(ok and answer.text or "fault " .. tostring(answer.code))
"""
LINES = 200


def both(options):
    """Its requests are not safe to do twice, so only this very process may go on with them."""
    with World(options, "python-both") as world:
        pair = world.start_pair()
        strategies = world.path("strategies")
        os.makedirs(strategies)
        with open(os.path.join(strategies, "classify.lua"), "w", encoding="utf-8") as file:
            file.write(STRATEGY)
        world.start_router(pair, "router-1", strategies)

        def ended():
            return int(world.postgres.value("SELECT count(*) FROM ixn.interaction_history "
                                            "WHERE reason LIKE 'LINE %'"))

        endpoints = [node.endpoint for node in pair.nodes]
        with subprocess.Popen([sys.executable, os.path.join(TOP, "docs", "examples", "both.py"),
                               *endpoints], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as example:
            try:
                def write(first, last):
                    example.stdin.write("".join(f"line {i}\n" for i in range(first, last)))
                    example.stdin.flush()

                write(0, LINES // 2)
                wait_for("some are served", lambda: ended() > LINES // 4)
                victim = pair.primary()
                write(LINES // 2, LINES)
                victim.kill()
                wait_for(f"all {LINES} are served", lambda: ended() >= LINES, 120)
                out, _ = example.communicate(timeout=PATIENT)
                code = example.returncode
            finally:
                example.kill()
        rows = world.postgres.query("SELECT reason, upper(attributes->>'text') "
                                    "FROM ixn.interaction_history")
        expect(len(rows) == LINES and all(reason == text for reason, text in rows),
               f"{len(rows)} ended, expected {LINES}: {rows[:3]}")
        expect(code == 0, f"both.py ended with {code}: {out[-500:]}")
        expect(out.count("submitted ") == LINES, f"{out.count('submitted ')} were acknowledged")
        victim.start(wait=False)
        pair.wait_ready()
        return {"both": LINES, "served": out.count("served ")}


def run(options):
    return {**submit(options), **both(options)}


def submit(options):
    example = os.path.join(TOP, "docs", "examples", "submit.py")
    expect(os.path.exists(example), f"{example} does not exist")
    with World(options, "python-client") as world:
        node = world.start_node()
        out, _, _ = run_command(["/usr/bin/python3", example, node.endpoint])
        ids = re.findall(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{32}\b", out)
        expect(len(ids) >= 2 and len(set(ids)) == 1, "the two answers do not name one and the same "
               f"interaction:\n{out}")
        wait_for("the interaction in the table", lambda: world.postgres.query(
            "SELECT id FROM ixn.interaction UNION ALL SELECT id FROM ixn.interaction_history"))
        stored = world.postgres.query("SELECT replace(id::text, '-', '') FROM ixn.interaction "
                                      "UNION ALL SELECT replace(id::text, '-', '') "
                                      "FROM ixn.interaction_history")
        expect(stored == [(ids[0].replace("-", ""),)], f"the database has {stored}, the client was "
               f"told {ids[0]}")
        return {"interaction": ids[0]}
