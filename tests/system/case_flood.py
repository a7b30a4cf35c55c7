"""One client asks for hundreds of thousands of lists at once: others are answered in between.

An operator's program sends FRAMES frames of a thousand questions each, of every kind that makes
the node look at much, while a media server submits one interaction after the other. That one waits
for no more than the node's turn; the flood hears BUSY where it asked for too much; the pair stays
as it is.
"""

import threading
import uuid

from contract import Client, pb
from waiting import PATIENT, expect, now
from world import World

MEASURES = True
FRAMES, ASKED = 200, 1000
WAITING = 20000
MOST_MS = {False: 5000, True: 500}  # a busy machine, and --full

FLOODS = {
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
    """How many of so many answers were BUSY."""
    busy = heard = 0
    while heard < wanted:
        messages = client.receive(PATIENT)
        expect(messages, f"of {wanted} questions {heard} were answered")
        heard += len(messages)
        busy += sum(message.HasField("busy") for message in messages)
    return busy


def fill(endpoint):
    def own_key(request):
        request.submit.key = uuid.uuid4().bytes
    with Client(endpoint, name="filler") as client:
        for _ in range(WAITING // ASKED):
            client.send_bytes(packet(own_key, submit=pb.Submit(queue="parked", media_type="test")))
            hear(client, ASKED)


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
            self.busy = hear(client, FRAMES * ASKED)


def longest_answer(endpoint, flood):
    """Milliseconds that a submit took while the flood went on."""
    longest = 0.0
    with Client(endpoint, name=f"calm under {flood.name}") as client:
        flood.start()
        while flood.is_alive():
            began = now()
            answer = client.submit(seconds=PATIENT)
            expect(answer is not None and answer.HasField("ack"), f"answered with {answer}")
            longest = max(longest, (now() - began) * 1000)
        flood.join()
    expect(flood.busy is not None, "the flood was not answered")
    return longest


def run(options):
    figures = {}
    with World(options, "flood") as world:
        pair = world.start_pair()
        endpoint, epoch = pair.primary().endpoint, pair.epoch()
        fill(endpoint)
        most = MOST_MS[bool(options.full)]
        for name, body in FLOODS.items():
            flood = Flood(endpoint, name, body)
            longest = longest_answer(endpoint, flood)
            expect(longest < most, f"under a flood of {name} a submit took {longest:.0f} ms, less "
                   f"than {most} are wanted")
            figures |= {f"{name}_longest_ms": round(longest, 1), f"{name}_busy": flood.busy}
        expect(figures["nobody_busy"] > 0, "whoever asks for everything was never told BUSY")
        expect(pair.epoch() == epoch, f"the epoch was {epoch} and is {pair.epoch()}")
        return {"questions": FRAMES * ASKED, "waiting": WAITING, **figures}
