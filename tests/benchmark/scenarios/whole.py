"""Whole processes on larger sets, start to exit: what a nightly job or a shell script sees."""

from __future__ import annotations

from tests.benchmark import senders
from tests.benchmark.figures import Goal, Table, take_turns
from tests.benchmark.plan import Plan

NAME = "whole"
TITLE = "Whole processes, storescp --ignore, TCP_NODELAY=1 on both sides"

COUNTS = {"ct": [100, 2000], "small": [20_000]}
GOALS = {
    ("ct", 100): [Goal("dicomkit send", 1.0)],
    ("ct", 2000): [Goal("dicomkit send", 1.3, aim=1.5)],
    ("small", 20_000): [Goal("dicomkit send", 1.0, aim=1.1), Goal("send_batch", 1.1, aim=1.2)],
}


def measure(plan: Plan) -> list[Table]:
    tables = []
    with plan.storescp(nodelay=True) as receiver:
        for kind in plan.kinds:
            for count in COUNTS[kind.name]:
                files = plan.files(kind, count)
                comparison = take_turns(
                    f"{TITLE}: {count} {kind.description}",
                    {
                        "dcmsend": plan.turn(senders.dcmsend, files, receiver),
                        "dicomkit send": plan.turn(senders.dicomkit_send, files, receiver),
                        "send_batch": plan.turn(senders.send_batch, files, receiver),
                    },
                    repeat=plan.repeat,
                    notes=(senders.HOW_TIMED,),
                )
                tables.append(comparison.as_table(GOALS[kind.name, count]))
    return tables
