"""Starts a pair with load, lets the programs in Node look at it, and does what they ask for."""

import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))

from admin_port import start_pair  # noqa: E402
from case_admin import submit  # noqa: E402
from waiting import Failure  # noqa: E402
from world import World  # noqa: E402

SECONDS = 600


def url(node):
    return f"http://127.0.0.1:{node.admin.port}"


class Program:
    """A program in Node. It says "please WHAT" on its standard output and goes on when it hears
    "done" on its standard input; everything else it prints is for people."""

    def __init__(self, script, modules, arguments, wishes):
        # Modules are found from where a script stands, so it stands beside them.
        with open(os.path.join(HERE, script), encoding="utf-8") as file:
            text = file.read()
        self.path = os.path.join(modules, script)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        self.arguments = arguments
        self.wishes = wishes

    def run(self):
        with subprocess.Popen(["timeout", "-k", "2", str(SECONDS), "node", self.path,
                               *self.arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as popen:
            for line in popen.stdout:
                print(line, end="", flush=True)
                if line.startswith("please "):
                    self.wishes[line.split(maxsplit=1)[1].strip()]()
                    popen.stdin.write("done\n")
                    popen.stdin.flush()
            popen.stdin.close()
            code = popen.wait()
        if code != 0:
            raise Failure(f"{os.path.basename(self.path)} ended with code {code}")


def main():
    build, modules = sys.argv[1:3]
    screenshots = os.path.join(build, "screenshots")
    os.makedirs(screenshots, exist_ok=True)
    options = argparse.Namespace(build=build, logs=os.path.join(build, "browser-logs"), keep=False,
                                 full=False)
    with World(options, "browser") as world:
        pair = start_pair(world, dedupe={"guaranteed": "35s"})
        primary = pair.primary()
        ids = submit(primary.endpoint, "parked", 40)
        world.start_router(pair, "router-1")
        world.spawn("echo-1", "ixn-app", "--name", "echo-1", *pair.node_arguments, "serve", "echo",
                    "--service", "echo")
        body = world.path("by-http.lua")
        with open(body, "w", encoding="utf-8") as file:
            file.write("-- é\n")
        pair.ctl("strategy", "put", "by-http", body)
        load = world.start_bench(pair, "--queue", "inbound", "--rate", "150", "--seconds",
                                 "100000")
        load.stop = load.kill  # what it counts is no matter here

        def kill():
            pair.primary().kill()

        def restart():
            for node in pair.nodes:
                if not node.process.alive():
                    node.start(wait=False)
            pair.wait_ready()

        wishes = {"kill": kill, "restart": restart}
        urls = [url(primary), url(pair.other(primary))]
        Program("openapi.mjs", modules, [*urls, ids[0], ids[1]], {}).run()
        Program("page.mjs", modules, [*urls, screenshots], wishes).run()
    print(f"screenshots: {screenshots}")


try:
    main()
except Failure as failure:
    sys.exit(f"FAILED: {failure}")
