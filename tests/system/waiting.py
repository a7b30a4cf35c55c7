"""Waiting: until something is true, never for a time."""

import time


class Failure(Exception):
    """The case has failed; the text says what was expected and what was there."""


class Skipped(Exception):
    """The case cannot be, or is not to be, run here; the text says why."""


def now():
    """Seconds of a clock that never jumps."""
    return time.monotonic()


# What is no figure of its own is waited for so long: a machine may be busy with other things.
PATIENT = 60


def wait_for(what, condition, seconds=PATIENT, every=0.02):
    """Calls `condition` until it gives something true, and returns that. A Failure when `seconds`
    have passed; `what` completes the sentence "… did not happen"."""
    deadline = now() + seconds
    while True:
        value = condition()
        if value:
            return value
        if now() >= deadline:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(every)  # between two looks at the condition


def expect(condition, sentence):
    """A Failure with this sentence unless the condition holds."""
    if not condition:
        raise Failure(sentence)
