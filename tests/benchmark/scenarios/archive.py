"""Orthanc as installed: a receiver that parses, stores and indexes; it is emptied after each turn."""

from __future__ import annotations

from functools import partial

from tests.benchmark import senders
from tests.benchmark.figures import Goal, Table, take_turns
from tests.benchmark.plan import Plan
from tests.peers import Orthanc

NAME = "orthanc"
TITLE = "Orthanc as installed"

COUNT = 100
GOALS = [Goal("send_batch, 1 association", 1.0), Goal("send_batch, auto", 1.0)]


def measure(plan: Plan) -> list[Table]:
    tables = []
    with Orthanc(nodelay=False) as receiver:
        for kind in plan.kinds:
            files = plan.files(kind, COUNT)
            comparison = take_turns(
                f"{TITLE}: {kind.description}",
                {
                    "dcmsend": plan.turn(senders.dcmsend, files, receiver),
                    "storescu": plan.turn(senders.storescu, files, receiver),
                    "send_batch, 1 association": plan.turn(senders.send_batch, files, receiver),
                    "send_batch, 4 associations": plan.turn(
                        partial(senders.send_batch, associations=4), files, receiver
                    ),
                    "send_batch, auto": plan.turn(
                        partial(senders.send_batch, associations="auto"), files, receiver
                    ),
                },
                repeat=plan.repeat,
                notes=(senders.HOW_TIMED,),
            )
            tables.append(comparison.as_table(GOALS))
    return tables
