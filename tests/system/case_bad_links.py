"""Links between the nodes, and to the database, lose packets or are thin: slower, nothing else.

The link between the nodes alone changes nobody's side, and clients notice nothing of it. On the way
to the database commits take longer; who serves may change there, but nothing is lost, and the pair
is whole again.
"""

import time

from namespaces import Namespaces
from pair import Sides
from takeover import DEDUPE, Load
from waiting import expect
from world import World

SECONDS = 4.0
STALL_MS = 2000.0
SLOW_MS = 10000.0  # retransmissions double their pauses


def gap_of(pair, load, network, fault, hold):
    pair.wait_ready()
    began = time.monotonic()
    try:
        fault()
        hold()
    finally:
        network.heal()
    pair.wait_ready()
    load.prober.wait_acks(10)
    return round(load.prober.longest_gap(began) * 1000, 1)


def between_nodes(pair, load, network, percent):
    pair.wait_ready()
    sides = Sides(pair)
    gap = gap_of(pair, load, network, lambda: network.lose("a", "b", percent),
                 lambda: sides.hold(SECONDS))
    sides.expect_same()
    expect(gap < STALL_MS, f"clients heard nothing for {gap} ms while the nodes heard each other "
           "badly")
    return gap


def to_database(pair, load, network, host, fault):
    def hold():
        load.prober.wait_acks(10)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            load.prober.wait_acks(1)
    gap = gap_of(pair, load, network, fault, hold)
    expect(gap < SLOW_MS, f"clients heard nothing for {gap} ms while host {host} had a bad line "
           "to the database")
    return gap


def run(options):
    with World(options, "bad-links") as world:
        network = Namespaces(world)
        pair = world.start_pair(network, dedupe=DEDUPE)
        load = Load(pair, rate=300)
        figures = {f"peer_loss_{percent}_gap_ms": between_nodes(pair, load, network, percent)
                   for percent in (5, 30)}
        primary = pair.wait_ready()
        primary, backup = primary.host, pair.other(primary).host
        figures["backup_database_loss_gap_ms"] = to_database(
            pair, load, network, backup, lambda: network.lose(backup, "d", 5))
        figures["primary_database_loss_gap_ms"] = to_database(
            pair, load, network, primary, lambda: network.lose(primary, "d", 5))
        figures["thin_gap_ms"] = to_database(
            pair, load, network, primary, lambda: network.thin(primary, 4000, 200))
        return {**figures, **load.finish()}
