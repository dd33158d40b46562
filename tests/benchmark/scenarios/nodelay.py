"""The receiver at its best: storescp that keeps nothing, with Nagle's algorithm off on both sides."""

from __future__ import annotations

from tests.benchmark import senders
from tests.benchmark.figures import Goal, Table, take_turns
from tests.benchmark.plan import Plan

NAME = "nodelay"
TITLE = "storescp --ignore, TCP_NODELAY=1 in the environment of receiver and senders"

COUNTS = {"ct": 400, "small": 2000}
PYNETDICOM_COUNT = 50  # it may manage some 30 a second: more would take minutes
GOALS = {
    "ct": [Goal("send_batch", 1.5, aim=1.8), Goal("dicomkit send", 1.0)],
    "small": [Goal("send_batch", 1.1, aim=1.2)],
}


def measure(plan: Plan) -> list[Table]:
    tables = []
    with plan.storescp(nodelay=True) as receiver:
        for kind in plan.kinds:
            files = plan.files(kind, COUNTS[kind.name])
            few = plan.files(kind, PYNETDICOM_COUNT)
            comparison = take_turns(
                f"{TITLE}: {kind.description}",
                {
                    "dcmsend": plan.turn(senders.dcmsend, files, receiver),
                    "storescu": plan.turn(senders.storescu, files, receiver),
                    "pynetdicom": plan.turn(senders.pynetdicom_loop, few, receiver),
                    "send_batch": plan.turn(senders.send_batch, files, receiver),
                    "dicomkit send": plan.turn(senders.dicomkit_send, files, receiver),
                },
                repeat=plan.repeat,
                notes=(senders.HOW_TIMED,),
            )
            tables.append(comparison.as_table(GOALS[kind.name]))
    return tables
