"""The receiver as its package installs it: each response waits for our ACK, unless the sender takes that wait away."""

from __future__ import annotations

from tests.benchmark import senders
from tests.benchmark.figures import Goal, Table, take_turns
from tests.benchmark.plan import Plan

NAME = "installed"
TITLE = "storescp --ignore as installed, no TCP_NODELAY anywhere"

COUNTS = {"ct": 400, "small": 2000}
PEERS_COUNT = 100  # at some 10 to 20 a second
PYNETDICOM_COUNT = 30
GOAL = Goal("send_batch", 100)


def measure(plan: Plan) -> list[Table]:
    tables = []
    with plan.storescp(nodelay=False) as receiver:
        for kind in plan.kinds:
            files = plan.files(kind, COUNTS[kind.name])
            fewer = plan.files(kind, PEERS_COUNT)
            few = plan.files(kind, PYNETDICOM_COUNT)
            comparison = take_turns(
                f"{TITLE}: {kind.description}",
                {
                    "dcmsend": plan.turn(senders.dcmsend, fewer, receiver),
                    "storescu": plan.turn(senders.storescu, fewer, receiver),
                    "pynetdicom": plan.turn(senders.pynetdicom_loop, few, receiver),
                    "send_batch": plan.turn(senders.send_batch, files, receiver),
                    "dicomkit send": plan.turn(senders.dicomkit_send, files, receiver),
                },
                repeat=plan.repeat,
                notes=(senders.HOW_TIMED,),
            )
            tables.append(comparison.as_table([GOAL]))
    return tables
