"""``dicomkit demo``: the sample study sent to a receiver on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from time import monotonic

from dicomkit._support.quantities import in_bytes
from dicomkit.batch import send_batch
from dicomkit.cli._exit import EXIT_NOT_OK, EXIT_OK
from dicomkit.cli._summary import Causes, colour_of, summary_lines
from dicomkit.cli._terminal import Page, printable
from dicomkit.events import Event, RowAdded
from dicomkit.results import Outcome, SendResult
from dicomkit.samples import sample_folder, sample_settings
from dicomkit.scp import LocalSCP, RefuseClass

_ENCAPSULATED_PDF_STORAGE = "1.2.840.10008.5.1.4.1.1.104.1"  # PS3.4 Table B.5-1


def run(_: argparse.Namespace) -> int:
    """Send the sample study to a receiver that takes no PDF; show the rows, and why one of them failed."""
    page = Page()
    folder = Path(_short(sample_folder()))
    rows: list[SendResult] = []
    causes = Causes()

    def listen(event: Event) -> None:
        causes.listen(event)
        if isinstance(event, RowAdded):
            rows.append(event.result)

    with LocalSCP(faults=[RefuseClass(_ENCAPSULATED_PDF_STORAGE)]) as receiver:
        print(
            f"A receiver, {receiver.aet}, listens at {receiver.host}:{receiver.port}; it takes everything but PDF, "
            "so that there is a failure to look at."
        )
        print(f"Sending the sample study, {printable(str(folder))}, to it:\n")
        start = monotonic()
        batch = send_batch(receiver.setting(), [str(folder)], on_event=listen)
        seconds = monotonic() - start
    summary = summary_lines(batch, causes, seconds=seconds, page=page)
    print(*_series_table(rows, folder, page), "", *summary, "", *_next_steps(folder, page), sep="\n")
    expected = {Outcome.STORED: len(rows) - 1, Outcome.NOT_ACCEPTED: 1}
    return EXIT_OK if batch.outcomes == expected else EXIT_NOT_OK


def _series_table(rows: list[SendResult], folder: Path, page: Page) -> list[str]:
    """A line for each folder of the study and outcome in it."""
    series: dict[tuple[str, Outcome], list[SendResult]] = {}
    for row in rows:
        name = Path(row.source).parent.relative_to(folder).as_posix()
        series.setdefault((name, row.outcome), []).append(row)
    cells = [("series", "SOP class", "count", "size", "ms each", "outcome")]
    for (name, outcome), some in series.items():
        size = sum(row.size_bytes or 0 for row in some)
        each = sum(row.duration_ms or 0.0 for row in some) / len(some)
        cells.append(
            (
                name,
                (some[0].sop_class_name or "").removesuffix(" Storage"),
                str(len(some)),
                in_bytes(size) if size else "-",
                f"{each:.1f}" if size else "-",
                str(outcome),
            )
        )
    return page.table(cells, (colour_of(outcome) for _, outcome in series), right=(2, 3, 4))


def _next_steps(folder: Path, page: Page) -> list[str]:
    command = (
        _short(Path(sys.argv[0])) if Path(sys.argv[0]).name == "dicomkit" else f"{sys.executable} -m dicomkit"
    )
    setting = _short(sample_settings() / "local-scp.json")
    return [
        page.paint("What next", "strong"),
        "  a receiver of your own, in another terminal:",
        f"    {command} scp",
        "  the same study to it, with a row for each attempt in a file:",
        f"    {command} send {setting} {folder} --results rows.csv",
        "  a setting for your PACS, and whether it answers:",
        f"    {command} new-setting --host pacs.example --port 104 --called PACS -o pacs.json",
        f"    {command} echo pacs.json",
        "  the same from Python, and all that is in a row: README.md",
    ]


def _short(path: Path) -> str:
    """A path as one would type it from here."""
    try:
        return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    except OSError:
        return str(path)
