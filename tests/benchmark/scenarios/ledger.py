"""What a ledger costs: the same batch with one and without."""

from __future__ import annotations

from tests.benchmark import senders
from tests.benchmark.figures import Goal, Table, take_turns
from tests.benchmark.plan import Plan

NAME = "ledger"
TITLE = "With and without a ledger, to storescp --ignore with TCP_NODELAY=1"

COUNTS = {"ct": 2000, "small": 20000}  # so many that their rate is what is measured
GOAL = Goal("send_batch, ledger", 0.9)


def measure(plan: Plan) -> list[Table]:
    tables = []
    with plan.storescp(nodelay=True) as receiver:
        for kind in plan.kinds:
            files = plan.files(kind, COUNTS.get(kind.name, 400))
            comparison = take_turns(
                f"{TITLE}: {kind.description}",
                {
                    "send_batch": plan.turn(senders.send_batch_alone, files, receiver),
                    "send_batch, ledger": plan.turn(senders.send_batch_with_ledger, files, receiver),
                },
                repeat=plan.repeat,
                baseline="send_batch",
            )
            tables.append(comparison.as_table([GOAL]))
    return tables
