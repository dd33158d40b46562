"""Orthanc as installed: a receiver that parses, stores and indexes; it is emptied after each turn."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.benchmark import senders
from tests.benchmark.figures import Goal, Table, median_of, take_turns
from tests.benchmark.plan import Plan
from tests.support.peers import Orthanc

NAME = "orthanc"
TITLE = "Orthanc as installed"

COUNT = 100
OURS = {"ct": 400, "small": 1000}  # so many that the number of associations can be found while sending
ONE, AUTO = "send_batch, 1 association", "send_batch, auto"
GOALS = [Goal(ONE, 1.0), Goal(AUTO, 1.0)]


def measure(plan: Plan) -> list[Table]:
    tables = []
    with Orthanc(nodelay=False) as receiver:
        for kind in plan.kinds:
            files, more = plan.files(kind, COUNT), plan.files(kind, OURS.get(kind.name, COUNT))
            comparison = take_turns(
                f"{TITLE}: {kind.description}",
                {
                    "dcmsend": plan.turn(senders.dcmsend, files, receiver),
                    "storescu": plan.turn(senders.storescu, files, receiver),
                    ONE: plan.turn(senders.send_batch, more, receiver),
                    "send_batch, 4 associations": plan.turn(
                        partial(senders.send_batch, associations=4), more, receiver
                    ),
                    AUTO: plan.turn(partial(senders.send_batch, associations="auto"), more, receiver),
                },
                repeat=plan.repeat,
                notes=(senders.HOW_TIMED,),
            )
            pairs = zip(comparison.runs[AUTO], comparison.runs[ONE], strict=True)
            gain = median_of([auto.rate / one.rate for auto, one in pairs])
            verdict = "met" if gain > 1 else "MISSED"
            note = f"Goal: {AUTO} faster than {ONE}: {gain:.2f}x, {verdict}."
            tables.append(replace(comparison, notes=(*comparison.notes, note)).as_table(GOALS))
    return tables
