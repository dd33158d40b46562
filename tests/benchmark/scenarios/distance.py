"""A network of 10 ms: one association stores at most one instance in a round trip, so several are needed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

from tests.benchmark import senders
from tests.benchmark.figures import Goal, Table, take_turns
from tests.benchmark.plan import KINDS, Plan
from tests.benchmark.receivers import DelayingProxy

NAME = "distance"
ROUND_TRIP_MS = 10.0
TITLE = f"storescp --fork --ignore behind a proxy that adds {ROUND_TRIP_MS:g} ms of round trip"

PEERS_COUNT = 200
# How many instances each number of associations sends: some seconds' worth, since it is rates that are compared.
COUNTS: dict[int | Literal["auto"], int] = {1: 500, 2: 1000, 4: 2000, 8: 6000, 16: 6000, "auto": 6000}
GOAL = Goal("send_batch, 8 associations", 7)
AUTO_WITHIN = 0.15


def measure(plan: Plan) -> list[Table]:
    kind = KINDS["small"]
    fewer = plan.files(kind, PEERS_COUNT)
    with (
        plan.storescp(nodelay=True, fork=True) as receiver,
        DelayingProxy(receiver, round_trip_ms=ROUND_TRIP_MS) as proxy,
    ):
        turns = {
            "dcmsend": plan.turn(senders.dcmsend, fewer, proxy),
            "storescu": plan.turn(senders.storescu, fewer, proxy),
        }
        for associations, count in COUNTS.items():
            sender = partial(senders.send_batch, associations=associations)
            turns[_name(associations)] = plan.turn(sender, plan.files(kind, count), proxy)
        comparison = take_turns(
            f"{TITLE}: {kind.description}", turns, repeat=plan.repeat, notes=(senders.HOW_TIMED,)
        )
    best = max(comparison.ratio(_name(fixed)) for fixed in COUNTS if fixed != "auto")
    of_best = comparison.ratio(_name("auto")) / best
    verdict = "met" if of_best >= 1 - AUTO_WITHIN else "MISSED"
    note = f"Goal: auto within {AUTO_WITHIN:.0%} of the best fixed number: {of_best:.0%} of it, {verdict}."
    table = comparison.as_table([GOAL])
    return [replace(table, notes=(*table.notes, note))]


def _name(associations: int | str) -> str:
    return f"send_batch, {associations} association{'' if associations == 1 else 's'}"
