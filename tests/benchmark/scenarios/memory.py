"""Peak memory of whole processes: for one instance, small and enormous, and for a list of very many paths."""

from __future__ import annotations

from pathlib import Path

from tests.benchmark import senders
from tests.benchmark.figures import Table, median_of
from tests.benchmark.plan import KINDS, FileSet, Kind, Plan
from tests.benchmark.receivers import NullReceiver
from tests.support.files import ct_instance, write_multiframe

NAME = "memory"
TITLE = "Peak resident memory of the whole process, sending one instance"

MEGABYTE = 1_000_000
FRAMES = {"240 MB": 120, "2 GB": 1000}  # of 1024x1024x16 bit
QUICK_FRAMES = {"4 MB": 2}
COMMANDS = {
    "dcmsend": senders.dcmsend_command,
    "storescu": senders.storescu_command,
    "dicomkit send": senders.dicomkit_send_command,
}
AT_MOST_ABOVE = 40 * MEGABYTE

MANY = 100_000  # files, each of them twice in the list
MANY_AT_MOST_ABOVE = 100 * MEGABYTE


def measure(plan: Plan) -> list[Table]:
    return [_of_one_instance(plan), _of_many_paths(plan)]


def _of_one_instance(plan: Plan) -> Table:
    sizes = {"10 KB": _file(plan.workspace / "one-small", 0)}
    for name, frames in (QUICK_FRAMES if plan.is_quick else FRAMES).items():
        sizes[name] = _file(plan.workspace / f"one-{frames}", frames)
    peaks: dict[str, dict[str, list[int]]] = {}
    sent = 0
    with NullReceiver() as receiver:
        for _ in range(plan.repeat):
            for size, files in sizes.items():
                for sender, command_of in COMMANDS.items():
                    peak = senders.peak_bytes(command_of(files, receiver))
                    peaks.setdefault(sender, {}).setdefault(size, []).append(peak)
                    sent += 1
                    receiver.wait_for(sent)
    rows = []
    for sender, by_size in peaks.items():
        small = median_of(by_size["10 KB"])
        for size, found in by_size.items():
            above = median_of(found) - small
            rows.append(
                [
                    f"{sender}, {size}",
                    f"{median_of(found) / small:.2f}x",
                    _megabytes(above),
                    _megabytes(median_of(found)),
                ]
            )
    mine = {size: median_of(found) for size, found in peaks["dicomkit send"].items()}
    verdict = "met" if max(mine.values()) - mine["10 KB"] <= AT_MOST_ABOVE else "MISSED"
    columns = ["sender and instance", "peak / that for 10 KB", "MB above", "MB"]
    goal = f"Goal: dicomkit send at most {AT_MOST_ABOVE // MEGABYTE} MB above what it takes for 10 KB: {verdict}."
    return Table(TITLE, columns, rows, (goal,))


def _of_many_paths(plan: Plan) -> Table:
    few, many = plan.files(KINDS["tiny"], 1), plan.files(KINDS["tiny"], MANY)
    rows, worst, sent = [], 0, 0
    with NullReceiver() as receiver:
        for worker, name in (("send_paths", "send_batch"), ("send_paths_to_ledger", "send_batch, ledger")):
            peaks = []
            for files in (few, many):
                peaks.append(senders.peak_bytes(senders.worker_command(worker, files, receiver)))
                sent += 2 * files.count
                receiver.wait_for(sent)
            worst = max(worst, peaks[1] - peaks[0])
            rows.append(
                [f"{name}, {2 * many.count} paths", _megabytes(peaks[1] - peaks[0]), _megabytes(peaks[1])]
            )
    verdict = "met" if worst <= MANY_AT_MOST_ABOVE else "MISSED"
    goal = f"Goal: at most {MANY_AT_MOST_ABOVE // MEGABYTE} MB above a batch of two, the list included: {verdict}."
    title = "Peak resident memory of a Python with a list of paths, each file in it twice"
    return Table(title, ["batch", "MB above", "MB"], rows, (goal,))


def _file(folder: Path, frames: int) -> FileSet:
    folder.mkdir()
    if frames:
        write_multiframe(folder / "one.dcm", frames=frames)
    else:
        (folder / "one.dcm").write_bytes(ct_instance())
    return FileSet(Kind("one", 1024), folder, 1)


def _megabytes(count: float) -> str:
    return f"{count / MEGABYTE:.1f}"
