"""What a batch came to, in lines short enough to be read: the counts, then each thing that went wrong, once.

The one idea: a thousand instances that failed for one reason are one thing to mend. Failures are grouped by their
cause while they happen, and only the first few sources of each are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dicomkit.batch import Batch
from dicomkit.cli.terminal import Palette, counted, in_bytes, printable, table, wrapped
from dicomkit.events import Event, RowAdded
from dicomkit.results import Outcome, SendResult

__all__ = ["Causes", "Cause", "summary_lines", "colour_of"]

SOURCES_SHOWN = 3
CAUSES_KEPT = 50


@dataclass(slots=True)
class Cause:
    """What some instances have in common that were not stored, or stored with a warning."""

    outcome: Outcome
    status: int | None
    detail: str
    count: int = 0
    sources: list[str] = field(default_factory=list)


class Causes:
    """Gathers the causes of what went wrong from the rows of a batch; `listen` is for `on_event`.

    Attributes
    ----------
    others : int
        Instances with causes beyond the `CAUSES_KEPT` first ones.
    attempts, size_bytes : int
        Of all rows.
    """

    def __init__(self) -> None:
        self.others = 0
        self.attempts = 0
        self.size_bytes = 0
        self._causes: dict[tuple[object, ...], Cause] = {}

    def listen(self, event: Event) -> None:
        if not isinstance(event, RowAdded):
            return
        self.attempts += 1
        self.size_bytes += event.result.size_bytes or 0
        if event.is_final and event.result.outcome is not Outcome.STORED:
            self._add(event.result)

    def in_order(self) -> list[Cause]:
        """The causes, by outcome in the order of the outcomes, the most frequent first."""
        order = list(Outcome)
        return sorted(self._causes.values(), key=lambda cause: (order.index(cause.outcome), -cause.count))

    def _add(self, result: SendResult) -> None:
        # A detail may name its own file or instance, and is the same cause all the same.
        gist = result.detail.replace(result.source, "")
        if result.sop_instance_uid:
            gist = gist.replace(result.sop_instance_uid, "")
        key = (result.outcome, result.status, gist)
        cause = self._causes.get(key)
        if cause is None:
            if len(self._causes) >= CAUSES_KEPT:
                self.others += 1
                return
            cause = Cause(result.outcome, result.status, result.detail)
            self._causes[key] = cause
        cause.count += 1
        if len(cause.sources) < SOURCES_SHOWN:
            cause.sources.append(result.source)


def colour_of(outcome: Outcome) -> str:
    """``good``, ``warning`` or ``bad``."""
    if outcome is Outcome.STORED:
        return "good"
    return "warning" if outcome in (Outcome.STORED_WITH_WARNING, Outcome.SKIPPED) else "bad"


def summary_lines(batch: Batch, causes: Causes, *, seconds: float, palette: Palette, width: int) -> list[str]:
    """The whole of it, ready to be printed.

    Parameters
    ----------
    seconds
        How long the batch took.
    width
        Characters on a line.
    """
    lines = _counts(batch, palette)
    for cause in causes.in_order():
        lines += ["", *_cause_lines(cause, palette, width)]
    if causes.others:
        lines += [
            "",
            f"and {counted(causes.others, 'instance')} for other reasons: --results FILE keeps all of them",
        ]
    if batch.passed_over:
        names = [printable(one.source) for one in batch.passed_over[:SOURCES_SHOWN]]
        lines += ["", f"{counted(len(batch.passed_over), 'file')} passed over, not DICOM or not for sending:"]
        lines += [f"    {name}" for name in names]
        lines += _more(len(batch.passed_over) - len(names))
    if batch.note:
        lines += ["", *wrapped(batch.note, width, "")]
    total = len(batch)
    if total:
        again = causes.attempts - total
        lines += [
            "",
            f"{counted(total, 'instance')}{f' in {causes.attempts} attempts' if again > 0 else ''}, "
            f"{in_bytes(causes.size_bytes)}, {seconds:.2f} s: {total / max(seconds, 1e-9):.0f} a second",
        ]
    if batch.interrupted:
        lines.append("Interrupted: what has no row above was not sent.")
    return lines


def _counts(batch: Batch, palette: Palette) -> list[str]:
    rows = [("outcome", "instances")]
    rows += [(outcome.value, str(count)) for outcome, count in batch.outcomes.items()]
    head, *lines = table(rows, right=(1,))
    colours = map(colour_of, batch.outcomes)
    return [
        palette.paint(head, "strong"),
        *(palette.paint(line, colour) for line, colour in zip(lines, colours, strict=True)),
    ]


def _cause_lines(cause: Cause, palette: Palette, width: int) -> list[str]:
    status = "" if cause.status is None else f", status 0x{cause.status:04X}"
    head = f"{cause.outcome}{status}: {counted(cause.count, 'instance')}"
    return [
        palette.paint(head, colour_of(cause.outcome)),
        *wrapped(cause.detail, width, "    "),
        *(f"      {printable(source)}" for source in cause.sources),
        *_more(cause.count - len(cause.sources)),
    ]


def _more(count: int) -> list[str]:
    return [f"      and {count} more"] if count > 0 else []
