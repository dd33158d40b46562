"""The cost of growth: the time an instance takes must not depend on how many there are."""

from __future__ import annotations

from tests.benchmark import senders
from tests.benchmark.figures import Run, Table, figure, median_of, spread
from tests.benchmark.plan import KINDS, QUICK_COUNT, Plan
from tests.benchmark.receivers import NullReceiver

NAME = "growth"
TITLE = "send_batch to a receiver that costs nothing: time per instance as the batch grows"

COUNTS = (1_000, 10_000, 100_000)
QUICK_COUNTS = (1, 2, QUICK_COUNT)
FLAT_WITHIN = 0.10


def measure(plan: Plan) -> list[Table]:
    kind = KINDS["tiny"]
    sets = [plan.files(kind, count) for count in (QUICK_COUNTS if plan.is_quick else COUNTS)]
    runs: dict[int, list[Run]] = {files.count: [] for files in sets}
    expected = 0
    with NullReceiver() as receiver:
        for _ in range(plan.repeat):
            for files in sets:
                runs[files.count].append(senders.send_batch(files, receiver))
                expected += files.count
                receiver.wait_for(expected)
    base = median_of([1 / run.rate for run in runs[sets[0].count]])
    rows, worst = [], 0.0
    for count, taken in runs.items():
        ratios = [1 / run.rate / base for run in taken]
        worst = max(worst, abs(median_of(ratios) - 1))
        rows.append(
            [f"{count}", f"{median_of(ratios):.2f}x", spread(ratios), figure(1e6 * base * median_of(ratios))]
        )
    verdict = "met" if worst <= FLAT_WITHIN else "MISSED"
    return [
        Table(
            f"{TITLE}: {kind.description}",
            ["instances", f"time each / that of {sets[0].count}", "min-max", "microseconds each"],
            rows,
            (f"Goal: within {FLAT_WITHIN:.0%} of each other: {verdict}.",),
        )
    ]
