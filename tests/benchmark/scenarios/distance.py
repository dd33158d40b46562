"""A network of 10 ms: one association stores at most one instance in a round trip, so several are needed."""

from __future__ import annotations

from functools import partial

from tests.benchmark import senders
from tests.benchmark.figures import Goal, Table, take_turns
from tests.benchmark.plan import KINDS, Plan
from tests.benchmark.receivers import DelayingProxy

NAME = "distance"
ROUND_TRIP_MS = 10.0
TITLE = f"storescp --fork --ignore behind a proxy that adds {ROUND_TRIP_MS:g} ms of round trip"

COUNT = 2000
PEERS_COUNT = 200
ASSOCIATIONS = (1, 2, 4, 8, 16)
GOAL = Goal("send_batch, 8 associations", 7)


def measure(plan: Plan) -> list[Table]:
    kind = KINDS["small"]
    files, fewer = plan.files(kind, COUNT), plan.files(kind, PEERS_COUNT)
    with (
        plan.storescp(nodelay=True, fork=True) as receiver,
        DelayingProxy(receiver, round_trip_ms=ROUND_TRIP_MS) as proxy,
    ):
        turns = {
            "dcmsend": plan.turn(senders.dcmsend, fewer, proxy),
            "storescu": plan.turn(senders.storescu, fewer, proxy),
        }
        for associations in ASSOCIATIONS:
            sender = partial(senders.send_batch, associations=associations)
            name = f"send_batch, {associations} association{'s' if associations > 1 else ''}"
            turns[name] = plan.turn(sender, files, proxy)
        comparison = take_turns(
            f"{TITLE}: {kind.description}", turns, repeat=plan.repeat, notes=(senders.HOW_TIMED,)
        )
    return [comparison.as_table([GOAL])]
