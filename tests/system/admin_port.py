"""Admin port: a client of it, and pairs that have one on each node."""

import http.client
import json
import os
import ssl

from pair import Pair
from process import free_port
from waiting import PATIENT, Failure, expect, wait_for


class Answer:
    """What came back. `json` is its body, None when that is none."""

    def __init__(self, response, body):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    @property
    def text(self):
        return self.body.decode(errors="replace")

    @property
    def code(self):
        """Of a refusal."""
        return (self.json or {}).get("error", {}).get("code")


class AdminPort:
    """One node's. With a token, all requests carry it."""

    def __init__(self, port, token=None, tls=False):
        self.port = port
        self.token = token
        self.tls = tls

    def connect(self):
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENT)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENT,
                                           context=context)

    def request(self, method, path, body=None, headers=None):
        given = dict(headers or {})
        if self.token and "Authorization" not in given:
            given["Authorization"] = f"Bearer {self.token}"
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            given.setdefault("Content-Type", "application/json")
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=given)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, headers=headers)

    def good(self, path):
        """The JSON of an answer that must be good."""
        answer = self.get(path)
        expect(answer.status == 200 and answer.json is not None,
               f"GET {path}: {answer.status} {answer.text[:500]}")
        return answer.json

    def post(self, path, body=None, **headers):
        return self.request("POST", path, body={} if body is None else body, headers=headers)

    def done(self, path, body=None):
        answer = self.post(path, body)
        expect(answer.status == 200, f"POST {path}: {answer.status} {answer.text[:500]}")
        return answer.json

    def stream(self, path, **headers):
        return Stream(self, path, headers)


class Stream:
    """Server-sent events, as they come."""

    def __init__(self, port, path, headers):
        self.connection = port.connect()
        if port.token:
            headers["Authorization"] = f"Bearer {port.token}"
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()
        expect(self.response.status == 200, f"GET {path}: {self.response.status}")

    def events(self):
        event = {}
        while True:
            line = self.response.readline()
            if not line:
                return
            line = line.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif event.get("data"):
                event["data"] = json.loads(event["data"])
                yield event
                event = {}
            else:
                event = {}

    def close(self):
        self.connection.close()


def add_admin(node, **section):
    """Gives a node that has not started an admin port."""
    port = free_port()
    node.config["admin"] = {"endpoint": f"tcp://127.0.0.1:{port}", **section}
    node.write_config()
    node.admin = AdminPort(port)
    return node.admin


def start_pair(world, **overrides):
    """A pair in which each node has an admin port (`node.admin`), both ready."""
    world.start_database()
    pair = Pair(world, **overrides)
    for node in pair.nodes:
        add_admin(node)
    pair.start()
    wait_for("both admin ports to see the pair ready",
             lambda: all(node.admin.good("/v1/pair")["ready"] for node in pair.nodes))
    return pair


def write_tokens(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))
    os.chmod(path, 0o600)
    return path


def expect_status(answer, status, code=None):
    if answer.status != status or (code and answer.code != code):
        raise Failure(f"expected {status} {code or ''}, got {answer.status}: {answer.text[:300]}")
