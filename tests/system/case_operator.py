"""The operator's terminal: status, top, events and history tell what is so, also over a fail-over.

The nodes are killed under a running `top` on a real (pseudo) terminal and under `events --follow`.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

from contract import Client, pb
from waiting import PATIENT, Failure, expect, now, wait_for
from world import World

SECONDS = PATIENT
ROWS, COLUMNS = 40, 120


class Terminal:
    """A program on a terminal of its own, and what it painted last."""

    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execvp(command[0], command)
        self.resize(ROWS, COLUMNS)
        self.painted = b""
        self.code = None

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.painted += os.read(self.fd, 65536)
            except OSError:  # the program has ended
                break
        self.painted = self.painted[-200000:]

    def screens(self):
        """What was painted, screen by screen, without what steers the terminal."""
        self.read()
        frames = self.painted.decode(errors="replace").split("\x1b[H")[1:]
        return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frame).replace("\r", "")
                for frame in frames]

    def wait_screen(self, what, condition):
        def found():
            return next((screen for screen in reversed(self.screens()[-2:])
                         if condition(screen)), None)
        try:
            return wait_for(what, found, SECONDS)
        except Failure as failure:
            raise Failure(f"{failure}; the last screen:\n{(self.screens() or [''])[-1]}") from None

    def press(self, keys):
        os.write(self.fd, keys)

    def flags(self):
        return termios.tcgetattr(self.fd)[3]

    def ended(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        self.read()  # after that look: what it painted last is there when it has ended
        return self.code is not None

    def close(self):
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def submit(endpoint, queue, count, label):
    with Client(endpoint, role=pb.OPERATOR) as client:
        for number in range(count):
            answer = client.call(submit=pb.Submit(
                key=f"{label}-{number}".encode(), queue=queue, media_type="chat",
                external_id=f"{label}-{number}", attributes=b"{}"))
            expect(answer and answer.HasField("ack"), f"not accepted: {answer}")


def ctl(pair, *arguments):
    """What it prints, asked of the nodes and with a configuration."""
    return pair.world.ctl(*pair.node_arguments, "--config", pair.a.config_path, *arguments)[0]


def status(pair, seconds=10):
    """Its exit code, and what it says."""
    out, _, code = pair.ctl("status", "--timeout", seconds, "-o", "json", check=False)
    return code, json.loads(out) if out else None


def check_status(pair):
    def all_is_well():
        _, seen = status(pair)
        return seen if seen and seen["state"] == "well" else None

    well = wait_for("all to be well", all_is_well, SECONDS)
    expect(well["problems"] == [] and well["pair"]["ready"], f"{well}")
    expect({node["figures"]["serving"] for node in well["pair"]["nodes"]} == {True, False},
           f"{well['pair']['nodes']}")
    queues = {queue["queue"]: queue for queue in well["work"]["queues"]}
    expect(queues["parked"]["waiting"] == 7, f"{queues['parked']}")
    text = ctl(pair, "status")
    expect("All is well: " in text and "\x1b" not in text, text)
    # A queue that has a strategy, and no router that runs it.
    submit(pair.primary().endpoint, "inbound", 3, "stands")

    def stands_still():
        code, seen = status(pair)
        return code == 1 and any("queue inbound stands still with 3 waiting" in problem["what"]
                                 for problem in seen["problems"])

    wait_for("a queue that stands still", stands_still, SECONDS)


def queues(pair, code=0, nodes=None, seconds=10):
    """{queue: its row}, and the document they came in."""
    done = subprocess.run([pair.world.binary("ixnctl"), *(nodes or pair.node_arguments),
                           "--config", pair.a.config_path, "queues", "-o", "json", "--timeout",
                           str(seconds)], capture_output=True, timeout=60, check=False)
    expect(done.returncode == code, f"queues ended with {done.returncode}, not {code}: "
           f"{done.stdout.decode()} {done.stderr.decode()}")
    seen = json.loads(done.stdout)
    return {queue["queue"]: queue for queue in seen["queues"]}, seen


def check_pair_status(pair):
    """Each node's row says how far the backup is behind, and that the primary serves."""
    def lags():
        seen = json.loads(pair.ctl("pair", "status", "-o", "json")[0])
        backup = pair.other(pair.primary()).name
        return [node["lag_entries"] is not None and node["lag_bytes"] is not None
                for node in seen["nodes"] if node["own"]["name"] == backup] == [True]
    wait_for("the backup to say how far it is behind", lags, SECONDS)
    rows = pair.ctl("pair", "status")[0].splitlines()
    serves = [row for row in rows if re.search(r" primary(-paired)? .* serves ", row)]
    expect(len(serves) == 2, f"the primary serves, by its own word and by the other's: {rows}")


def check_queues(pair):
    """Asked by either node they are those of the one that serves."""
    for node in (pair.a, pair.b):
        rows, seen = queues(pair, nodes=["--node", node.endpoint])
        expect((seen["from"], seen["node"]) == ("node", pair.primary().name), f"{seen}")
        expect(rows["parked"]["waiting"] == 7 and rows["parked"]["oldest_seconds"] > 0 and
               rows["parked"]["in_per_second"] == 0.0, f"{rows['parked']}")
        expect(rows["inbound"]["waiting"] == 3 and rows["inbound"]["reason"], f"{rows['inbound']}")


def check_queues_of_tables(pair, waiting):
    """Nobody serves: the tables say what was, and that it was they."""
    rows, seen = queues(pair, code=4, seconds=2)
    expect(seen["from"] == "tables" and seen["why"] and seen["as_of_index"] > 0, f"{seen}")
    expect({name: row["waiting"] for name, row in rows.items()} == waiting, f"{rows}")
    row = rows["parked"]
    expect(row["oldest_seconds"] > 0 and row["reason"] is None and row["in_per_second"] is None
           and row["configured"], f"{row}")
    text = pair.world.ctl(*pair.node_arguments, "--config", pair.a.config_path, "queues",
                          "--timeout", "1", check=False)[0]
    expect("from the tables, as of index " in text and "no node of the pair has answered" in text,
           text)


def tables_have_all(pair):
    return pair.world.postgres.value(
        "SELECT (SELECT max(last_index) FROM ixn.journal) = index FROM ixn.checkpoint")


def events(pair, *more, code=0):
    out, error, got = pair.world.ctl("--config", pair.a.config_path, "events", "-o", "json", *more,
                                     check=False)
    expect(got == code, f"events {more}: {got} {out} {error}")
    return [json.loads(line) for line in out.splitlines()]


def check_events(pair, followed):
    """Whoever follows, whoever resumes and whoever reads it all later hear the same."""
    last = max(event["index"] for event in events(pair))
    wait_for("events --follow telling the last one", lambda: any(
        f'"index":{last},' in line.replace(" ", "") for line in followed.output()), SECONDS)
    followed.popen.send_signal(signal.SIGINT)
    expect(followed.wait(SECONDS) == 0, f"events --follow: {followed.log_end()}")
    heard = [json.loads(line) for line in followed.output()]
    indexes = [event["index"] for event in heard]
    expect(indexes == sorted(set(indexes)), "indexes do not rise")
    whole = [event for event in events(pair) if event["index"] <= indexes[-1]]
    expect(heard == whole, f"{len(heard)} events followed, {len(whole)} read later")
    resumed = events(pair, "--from", str(indexes[4] + 1))
    expect(resumed[0]["index"] == indexes[5], "it does not go on where it was")
    epochs = [event["epoch"] for event in heard if event["event"] == "epoch_started"]
    expect(epochs == sorted(set(epochs)) and len(epochs) == 2, f"epochs {epochs}")
    placed = [event for event in heard if event["event"] == "submitted"]
    expect(len(placed) == 7 + 3 + 5, f"{len(placed)} submitted")
    one = placed[3]["interaction"]
    mine = events(pair, "--interaction", one)
    expect([event["event"] for event in mine] == ["submitted"], f"{mine}")
    only = events(pair, "--event", "epoch_started")
    expect({event["event"] for event in only} == {"epoch_started"}, f"{only}")
    text = ctl(pair, "events", "--event", "epoch_started")
    expect(re.search(r"^\d+ +\d{4}-\d\d-\d\dT[0-9:.]+Z epoch_started +epoch=", text), text)
    pair.world.postgres.query("DELETE FROM ixn.journal WHERE last_index <= "
                              f"{indexes[4]}")
    gone = events(pair, "--from", "1", code=4)
    expect(gone[0]["event"] == "gone" and gone[0]["from"] == 1 and gone[1:][0]["index"] > 1,
           f"{gone[:2]}")
    return len(heard)


def get(pair, one, code=0, seconds=10):
    out, error, got = pair.world.ctl(*pair.node_arguments, "--config", pair.a.config_path, "get",
                                     one, "-o", "json", "--timeout", seconds, check=False)
    expect(got == code, f"get ended with {got}, not {code}: {out} {error}")
    return json.loads(out)


def check_get(pair):
    """What is not finished is the node's, what is finished the history's, with all that was."""
    ids = [row["id"] for row in json.loads(ctl(pair, "list", "--queue", "parked", "-o", "json"))[
        "interactions"]]
    pair.ctl("--name", "ann@desk", "hold", ids[0])
    held = get(pair, ids[0])
    expect((held["from"], held["state"], held["held"], held["attributes"]) ==
           ("node", "queued", True, {}), f"{held}")
    expect([(step["step"], step["by"]) for step in held["journey"]] == [("held", "ann@desk")],
           f"{held}")
    expect(0 < held["deadline_seconds"], f"{held}")
    pair.ctl("resume", ids[0])
    pair.ctl("--name", "ann@desk", "stop", ids[1], "--reason", "spam")

    def told_by_tables():
        seen = get(pair, ids[1])
        expect(seen["state"] == "completed", f"{seen}")
        return seen if seen["from"] == "tables" else None

    ended = wait_for("the history to have it", told_by_tables)
    expect((ended["reason"], ended["queue"], ended["attributes"], ended["journey"][-1]["by"]) ==
           ("spam", "parked", {}, "ann@desk") and "why" not in ended, f"{ended}")
    node = get(pair, ids[2])
    return {name: node[name] for name in node if name not in ("from", "deadline_seconds")}


def check_get_of_tables(pair, known):
    """Nobody serves: what is not finished, as of the checkpoint."""
    seen = get(pair, known["id"], code=4, seconds=2)
    expect(seen["from"] == "tables" and "no node has answered" in seen["why"], f"{seen}")
    expect({name: seen[name] for name in known} == known, f"{seen}, the node said {known}")
    error = pair.world.ctl(*pair.node_arguments, "--config", pair.a.config_path, "get",
                           "0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a", "--timeout", "1", check=False)[1]
    expect("the tables have nothing of it as of index" in error, error)


def check_history(pair, old, new):
    roles = json.loads(ctl(pair, "history", "-o", "json"))["roles"]
    expect([role["owner"] for role in roles] == [new.name, old.name], f"{roles}")
    expect(roles[0]["ended_at"] is None and roles[1]["ended_at"] == roles[0]["started_at"],
           f"{roles}")
    text = ctl(pair, "history", "--limit", "1")
    expect(new.name in text and "there are more than these 1" in text, text)


def check_top(pair):
    """Over a fail-over, and with nobody left; then the terminal is as it was."""
    terminal = Terminal([pair.world.binary("ixnctl"), *pair.node_arguments, "top", "--interval",
                         "0.2"])
    try:
        before = terminal.flags()
        primary = pair.primary()
        other = pair.other(primary)
        terminal.wait_screen("top's first screen", lambda screen: f"{primary.name} serves" in screen
                             and re.search(r"parked +7 ", screen))
        expect(not terminal.flags() & termios.ICANON, "keys do not come one by one")
        terminal.press(b"n")
        terminal.wait_screen("another order", lambda screen: "queues by name" in screen)
        terminal.press(b"h")
        terminal.wait_screen("help", lambda screen: "after a fail-over" in screen.lower())
        terminal.press(b"h")
        terminal.resize(24, 80)
        os.kill(terminal.pid, signal.SIGWINCH)
        small = terminal.wait_screen("a smaller screen", lambda screen: "parked" in screen and
                                     max(map(len, screen.split("\n"))) <= 80)
        expect(small.count("\n") <= 24, f"{small.count(chr(10))} lines on 24 rows")
        terminal.resize(ROWS, COLUMNS)
        os.kill(terminal.pid, signal.SIGWINCH)
        began = now()
        primary.kill()
        terminal.wait_screen("the other node to be shown as the one that serves",
                             lambda screen: f"{other.name} serves" in screen
                             and "a node does not answer" in screen
                             and re.search(r"parked +7 ", screen))
        took = now() - began
        submit(other.endpoint, "parked", 5, "later")
        terminal.wait_screen("the queue to grow", lambda screen: re.search(r"parked +12 ", screen))
        primary.start(wait=False)
        pair.wait_ready()
        terminal.wait_screen("a pair again", lambda screen: f"{primary.name} is ready" in screen)
        terminal.press(b" ")
        terminal.wait_screen("it to stand still", lambda screen: "STANDS STILL" in screen)
        terminal.press(b"\x1b[B\x1b[5~z")  # through the queues, and a key that is none
        terminal.press(b"q")
        wait_for("top to end", terminal.ended, SECONDS)
        expect(terminal.code == 0, f"top ended with {terminal.code}")
        expect(terminal.painted.endswith(b"\x1b[?25h\x1b[?1049l"), "the screen is not given back")
        expect(terminal.flags() == before, "the terminal is not as it was")
        return took, primary, other
    finally:
        terminal.close()


def check_top_alone(pair):
    """Nobody answers; it says so, hears keys at once, and a signal ends it well."""
    terminal = Terminal([pair.world.binary("ixnctl"), *pair.node_arguments, "top"])
    try:
        terminal.wait_screen("nobody", lambda screen: "no node of the pair has answered" in screen)
        os.kill(terminal.pid, signal.SIGTERM)
        wait_for("top to end", terminal.ended, SECONDS)
        expect(terminal.painted.endswith(b"\x1b[?25h\x1b[?1049l"), "the screen is not given back")
    finally:
        terminal.close()
    done = subprocess.run([pair.world.binary("ixnctl"), *pair.node_arguments, "top"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    expect(done.returncode == 2 and b"needs a terminal" in done.stderr, f"{done}")


def run(options):
    with World(options, "operator") as world:
        pair = world.start_pair()
        followed = world.spawn("events", "ixnctl", "--config", pair.a.config_path, "events", "-o",
                               "json", "--follow", "--from", "0", keep_stdout=True)
        submit(pair.primary().endpoint, "parked", 7, "first")
        check_status(pair)
        check_pair_status(pair)
        check_queues(pair)
        lines = ctl(pair, "top", "-o", "json", "--interval", "0.2", "--count", "3").splitlines()
        expect(len(lines) == 3 and json.loads(lines[2])["work"]["submitted_per_second"] == 0.0,
               f"top -o json: {lines[-1:]}")
        took, old, new = check_top(pair)
        expect(followed.alive(), f"events --follow has ended: {followed.log_end()}")
        check_history(pair, old, new)
        heard = check_events(pair, followed)
        new.kill()
        wait_for("the other one to serve", lambda: pair.is_primary() is old, SECONDS)
        known = check_get(pair)
        waiting = {name: row["waiting"] for name, row in queues(pair)[0].items()}
        wait_for("the tables to have it all", lambda: tables_have_all(pair), SECONDS)
        old.kill()
        code, seen = status(pair, 2)
        expect(code == 3, f"status ended with {code} though nobody answers: {seen}")
        check_queues_of_tables(pair, waiting)
        check_get_of_tables(pair, known)
        check_top_alone(pair)
        return {"top_follows_s": took, "events": heard}
