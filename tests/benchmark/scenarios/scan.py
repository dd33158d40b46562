"""A large folder: how soon its first instance is sent, and whether anything waits for the scan to end."""

from __future__ import annotations

import time

from dicomkit.batch import send_batch
from dicomkit.events import Event, RowAdded, Scanned
from tests.benchmark.figures import Table, figure, median_of, spread
from tests.benchmark.plan import KINDS, FileSet, Plan
from tests.benchmark.receivers import NullReceiver

NAME = "scan"
TITLE = "send_batch of a folder, to a receiver that costs nothing: how soon it is under way"

COUNT = 100_000
AT_ONCE_SECONDS = 1.0  # the longest that a person waits without a sign of life


def measure(plan: Plan) -> list[Table]:
    files = plan.files(KINDS["tiny"], COUNT)
    moments: dict[str, list[float]] = {}
    with NullReceiver() as receiver:
        for turn in range(plan.repeat):
            for name, seconds in _moments(files, receiver).items():
                moments.setdefault(name, []).append(seconds)
            receiver.wait_for(files.count * (turn + 1))
    whole = moments["all sent"]
    rows = [
        [
            name,
            f"{median_of([one / end for one, end in zip(taken, whole, strict=True)]):.2%}",
            figure(median_of(taken)),
            spread(taken),
        ]
        for name, taken in moments.items()
    ]
    verdict = "met" if median_of(moments["first instance stored"]) <= AT_ONCE_SECONDS else "MISSED"
    goal = (
        f"Goal: progress at once, within {AT_ONCE_SECONDS:g} s, and sending while it is scanned: {verdict}."
    )
    columns = ["what", "of the whole", "seconds", "min-max"]
    return [Table(f"{TITLE}: {files.count} files", columns, rows, (goal,))]


def _moments(files: FileSet, receiver: NullReceiver) -> dict[str, float]:
    """Seconds from the call to each moment."""
    seen: dict[str, float] = {}

    def hear(event: Event) -> None:
        if isinstance(event, Scanned):
            seen.setdefault("first count of the scan", time.perf_counter())
            if event.is_complete:
                seen["scan complete"] = time.perf_counter()
        elif isinstance(event, RowAdded):
            seen.setdefault("first instance stored", time.perf_counter())

    start = time.perf_counter()
    batch = send_batch(receiver.setting(), files.folder, on_event=hear)
    seen["all sent"] = time.perf_counter()
    if batch.outcomes["stored"] != files.count:
        raise AssertionError(f"{batch.outcomes['stored']} of {files.count} instances were stored")
    return {name: moment - start for name, moment in sorted(seen.items(), key=lambda item: item[1])}
