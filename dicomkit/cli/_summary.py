"""What a batch came to, in lines short enough to be read: the counts, then each thing that went wrong, once.

A thousand instances that failed for one reason are one thing to repair: failures are grouped by their cause while they
happen, and only the first few sources of each are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit._support.quantities import counted, in_bytes
from dicomkit.cli._terminal import Page, printable
from dicomkit.events import Event, RowAdded
from dicomkit.results import Outcome, SendResult

if TYPE_CHECKING:
    from dicomkit.batch import Batch
    from dicomkit.sources import PassedOver

_SOURCES_SHOWN = 3
_CAUSES_KEPT = 50


class _Cause:
    """What some instances have in common that were not stored, or stored with a warning."""

    def __init__(self, outcome: Outcome, status: int | None, detail: str) -> None:
        self.outcome = outcome
        self.status = status
        self.detail = detail
        self.count = 0
        self.sources: list[str] = []


class Causes:
    """Gathers the causes of what went wrong from the rows of a batch; `listen` is for `on_event`."""

    def __init__(self) -> None:
        self.others = 0  # instances with causes beyond the first ones that are kept
        self.attempts = 0
        self.size_bytes = 0
        self._causes: dict[tuple[object, ...], _Cause] = {}

    def listen(self, event: Event) -> None:
        if not isinstance(event, RowAdded):
            return
        self.attempts += 1
        self.size_bytes += event.result.size_bytes or 0
        if event.is_final and event.result.outcome is not Outcome.STORED:
            self._add(event.result)

    def in_order(self) -> list[_Cause]:
        """The causes, by outcome in the order of the outcomes; what was tried first, and the most frequent first."""
        order = list(Outcome)

        def rank(cause: _Cause) -> tuple[int, bool, int]:
            return order.index(cause.outcome), cause.detail.startswith("not tried"), -cause.count

        return sorted(self._causes.values(), key=rank)

    def _add(self, result: SendResult) -> None:
        # Details that differ only in the file or instance that they name are one cause.
        cause_words = result.detail.replace(result.source, "")
        if result.sop_instance_uid:
            cause_words = cause_words.replace(result.sop_instance_uid, "")
        key = (result.outcome, result.status, cause_words)
        cause = self._causes.get(key)
        if cause is None:
            if len(self._causes) >= _CAUSES_KEPT:
                self.others += 1
                return
            cause = _Cause(result.outcome, result.status, result.detail)
            self._causes[key] = cause
        cause.count += 1
        if len(cause.sources) < _SOURCES_SHOWN:
            cause.sources.append(result.source)


def colour_of(outcome: Outcome) -> str:
    """``good``, ``warning`` or ``bad``."""
    if outcome is Outcome.STORED:
        return "good"
    return "warning" if outcome in (Outcome.STORED_WITH_WARNING, Outcome.SKIPPED) else "bad"


def summary_lines(batch: Batch, causes: Causes, *, seconds: float, page: Page) -> list[str]:
    """The whole of it, ready to be printed; the batch took that many seconds."""
    paragraphs = [_counts(batch, page)]
    paragraphs += [_cause_lines(cause, page) for cause in causes.in_order()]
    if causes.others:
        paragraphs.append(
            [f"and {counted(causes.others, 'instance')} for other reasons: --results keeps them all"]
        )
    if batch.passed_over:
        paragraphs.append(_passed_over_lines(batch.passed_over))
    if batch.note:
        paragraphs.append(page.wrapped(batch.note, ""))
    if len(batch):
        paragraphs.append(_totals(batch, causes, seconds))
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines).split("\n")


def _passed_over_lines(passed_over: list[PassedOver]) -> list[str]:
    names = [printable(one.source) for one in passed_over[:_SOURCES_SHOWN]]
    return [
        f"{counted(len(passed_over), 'file')} passed over, no DICOM or not for sending:",
        *(f"      {name}" for name in names),
        *_more(len(passed_over) - len(names)),
    ]


def _totals(batch: Batch, causes: Causes, seconds: float) -> list[str]:
    total = len(batch)
    stored = sum(count for outcome, count in batch.outcomes.items() if outcome.is_stored)
    facts = [counted(total, "instance")]
    if causes.attempts > total:
        facts[0] += f" in {causes.attempts} attempts"
    if causes.size_bytes:
        facts.append(in_bytes(causes.size_bytes))
    facts.append(f"{seconds:.2f} s")
    if stored:
        facts.append(f"{stored / max(seconds, 1e-9):.0f} stored a second")
    return [", ".join(facts), *(["Interrupted."] if batch.interrupted else [])]


def _counts(batch: Batch, page: Page) -> list[str]:
    if not batch.outcomes:
        return []
    rows = [("outcome", "instances")]
    rows += [(outcome.value, str(count)) for outcome, count in batch.outcomes.items()]
    return page.table(rows, map(colour_of, batch.outcomes), right=(1,))


def _cause_lines(cause: _Cause, page: Page) -> list[str]:
    status = "" if cause.status is None else f", status 0x{cause.status:04X}"
    head = f"{cause.outcome}{status}: {counted(cause.count, 'instance')}"
    return [
        page.paint(head, colour_of(cause.outcome)),
        *page.wrapped(cause.detail),
        *(f"      {printable(source)}" for source in cause.sources),
        *_more(cause.count - len(cause.sources)),
    ]


def _more(count: int) -> list[str]:
    return [f"      and {count} more"] if count > 0 else []
