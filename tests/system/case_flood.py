"""One client asks for hundreds of thousands of lists at once: others are answered in between.

An operator's program sends FRAMES frames of a thousand questions each, of every kind that makes
the node look at much, while a media server submits one interaction after the other. That one waits
for no more than a few turns of the node; the flood hears BUSY where it asked for too much.
"""

import collections
import threading
import uuid

from contract import Client, pb
from waiting import PATIENT, expect, now
from world import World

MEASURES = True
FRAMES, ASKED = 500, 1000
WAITING = 20000
# The longest that a submit may take; a disk that is busy with other things can hold one commit up
# for seconds.
MOST_MS = {False: 15000, True: 300}  # True: --full

FLOODS = {
    "gets": {"get": pb.Get(interaction_id=bytes(16))},
    "nobody": {"list_interactions": pb.ListInteractions(external_id="nobody")},
    "interactions": {"list_interactions": pb.ListInteractions(limit=500)},
    "queues": {"list_queues": pb.ListQueues()},
    "strategies": {"list": pb.List(kind=pb.List.STRATEGIES)},
}


def packet(number_of, **body):
    """One frame; each request is the same but for its number, and what number_of adds to it."""
    frame = pb.ToNode(version=1)
    for number in range(1, ASKED + 1):
        request = frame.requests.add(id=number, **body)
        number_of(request)
    return frame.SerializeToString()


def hear(client, wanted):
    """How many of so many answers were of which kind."""
    kinds = collections.Counter()
    while kinds.total() < wanted:
        messages = client.receive(PATIENT)
        expect(messages, f"of {wanted} questions {kinds.total()} were answered: {dict(kinds)}")
        kinds.update(message.WhichOneof("body") for message in messages)
    return kinds


def fill(endpoint):
    def own_key(request):
        request.submit.key = uuid.uuid4().bytes
    waiting = 0
    with Client(endpoint, name="filler") as client:
        while waiting < WAITING:
            client.send_bytes(packet(own_key, submit=pb.Submit(queue="parked", media_type="test")))
            waiting += hear(client, ASKED)["ack"]


class Flood(threading.Thread):
    def __init__(self, endpoint, name, body):
        super().__init__(name=name)
        self.client = Client(endpoint, role=pb.OPERATOR, name=f"flood of {name}",
                             frames=FRAMES * ASKED)
        self.frame = packet(lambda request: None, **body)
        self.busy = None

    def run(self):
        with self.client as client:
            for _ in range(FRAMES):
                client.send_bytes(self.frame)
            self.busy = hear(client, FRAMES * ASKED)["busy"]


def submit(client):
    """Until it is acknowledged: a database that is slow for a moment is a reason for Retry."""
    key = uuid.uuid4().bytes
    while True:
        answer = client.submit(key=key, seconds=PATIENT)
        expect(answer is not None and not answer.HasField("error"), f"answered with {answer}")
        if answer.HasField("ack"):
            return


def longest_submit(endpoint, flood):
    """Milliseconds, while the flood goes on."""
    longest = 0.0
    with Client(endpoint, name=f"calm under {flood.name}") as client:
        flood.start()
        while flood.is_alive():
            began = now()
            submit(client)
            longest = max(longest, (now() - began) * 1000)
        flood.join()
    expect(flood.busy is not None, "the flood was not answered")
    return longest


def run(options):
    figures = {}
    most = MOST_MS[bool(options.full)]
    with World(options, "flood") as world:
        endpoint = world.start_node().endpoint
        fill(endpoint)
        for name, body in FLOODS.items():
            flood = Flood(endpoint, name, body)
            longest = longest_submit(endpoint, flood)
            expect(longest < most, f"under a flood of {name} a submit took {longest:.0f} ms, less "
                   f"than {most} are wanted")
            figures |= {f"{name}_longest_ms": round(longest, 1), f"{name}_busy": flood.busy}
        expect(figures["nobody_busy"] > 0, "whoever asks for everything was never told BUSY")
        return {"questions": FRAMES * ASKED, "waiting": WAITING, **figures}
