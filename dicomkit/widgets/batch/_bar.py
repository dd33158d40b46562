"""The bar of a batch panel, from plain facts: what can be done, how far it is, what is to be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from dicomkit._support.quantities import counted, in_bytes, in_time
from dicomkit.widgets._assets import javascript
from dicomkit.widgets._bar import Bar, Button, Note
from dicomkit.widgets.batch._results import counts_in_words, failures_in

if TYPE_CHECKING:
    from dicomkit.settings import DicomSenderSetting
    from dicomkit.widgets.batch._job import Job
    from dicomkit.widgets.batch._scan import Scan


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is; `total` 0 when nobody knows."""

    done: int
    total: int
    says: str


@dataclass(frozen=True, slots=True)
class BarState:
    """All that a bar shows: buttons, a question before what cannot be undone, and a file for the rows."""

    buttons: Sequence[Button]
    notes: Sequence[Note] = ()
    progress: Progress | None = None
    question: str = ""
    answers: Sequence[Button] = ()
    path: str | None = None  # proposed for the file; None while there is nothing to save


class BatchBar(Bar):
    """A bar that shows a `BarState`."""

    _esm = javascript("bar.js", "batch/batch.js")


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to say something about."""

    setting: DicomSenderSetting
    scan: Scan
    is_scanned: bool  # whether all is found that will be
    series: int  # that were found
    checked: int  # instances
    job: Job | None
    rate: float  # instances a second
    refusal: str  # why the setting cannot be sent with
    is_due: bool  # whether sending waits for the scan
    is_attached: bool  # whether the batch ran already when the panel was made
    asks: bool  # before so many are sent
    overwrites: Path | None  # what is asked about
    said: Note | None  # what came of the last thing done
    edited: str  # what was changed since the batch began

    @property
    def state(self) -> str:
        """As `BatchPanel.state`."""
        job = self.job
        if job is not None and not job.is_over:
            return "cancelling" if job.control.cancels else "paused" if job.control.is_paused else "sending"
        if not self.is_scanned:
            return "scanning"
        return "ready" if job is None else "done"

    @property
    def peer(self) -> str:
        return _peer(self.setting)


def bar_state(facts: Facts) -> BarState:
    """Return what the bar shows."""
    job = facts.job
    question, answers = _question(facts)
    path = None
    if job is not None and job.is_over and job.rows.total:
        path = f"results-{job.batch.batch_id[:8] if job.batch else 'batch'}.csv"
    return BarState(
        buttons=_buttons(facts),
        notes=_notes(facts),
        progress=None if job is None else _progress(job, facts.rate),
        question=question,
        answers=answers,
        path=path,
    )


def _buttons(facts: Facts) -> list[Button]:
    state, job = facts.state, facts.job
    if job is not None and not job.is_over:
        if job.control.cancels:
            return [
                Button("cancel", "Stop at once", "Abort the instances under way", job.control.cancels < 2)
            ]
        return [
            Button("resume", "Go on", "Send the rest", is_main=True)
            if job.control.is_paused
            else Button("pause", "Pause", "Take up no further instance"),
            Button("cancel", "Cancel", "End the batch after the instances under way; rows are kept"),
        ]
    failures = failures_in(job.rows.outcomes) if job is not None else 0
    what = counted(facts.checked, "instance") if facts.is_scanned else "what is found"
    obstacle = _obstacle(facts)
    meaning = obstacle or f"In the name of {facts.setting.our_aet}, by C-STORE"
    send = Button("send", f"Send {what} to {facts.peer}", meaning, not obstacle, is_main=not failures)
    if state == "scanning":
        return [send, Button("stop", "Stop looking", "Keep to what was found so far")]
    again = Button("rescan", "Look again", "Look at the sources anew")
    if not failures:
        return [send, again]
    retry = f"Try the {failures:,} not stored again"
    is_allowed = not facts.refusal
    return [Button("retry", retry, "Each file is looked at anew", is_allowed, is_main=True), send, again]


def _obstacle(facts: Facts) -> str:
    """Why nothing can be sent, empty when it can."""
    if facts.refusal:
        return f"Send waits for this: {facts.refusal}"
    if not facts.is_scanned:
        return "Send waits for the sources to be looked at"
    if not facts.checked:
        return "Nothing is checked" if facts.scan.found else "There is nothing to send"
    return ""


def _peer(setting: DicomSenderSetting) -> str:
    return f"{setting.remote_aet} at {setting.remote_host}:{setting.remote_port}"


def _question(facts: Facts) -> tuple[str, list[Button]]:
    if facts.overwrites is not None:
        return f"{facts.overwrites} is there already. Overwrite it?", [
            Button("keep", "Keep it", "Do not save"),
            Button("overwrite", "Overwrite", "Replace the file"),
        ]
    if facts.asks:
        return f"Send {counted(facts.checked, 'instance')} to {facts.peer}?", [
            Button("keep", "Not now", "Send nothing"),
            Button("confirm", f"Send them to {facts.peer}", "Begin"),
        ]
    return "", []


def _progress(job: Job, rate: float) -> Progress:
    total = len(job.cargo)
    parts = [f"{job.done:,} of {total:,}{' tried again' if job.is_again else ''}"]
    if outcomes := counts_in_words(job.rows.outcomes):
        parts.append(outcomes)
    if job.ended_at is not None:
        seconds = (job.ended_at - job.began_at).total_seconds()
        if seconds > 0 and job.done:
            rate_was = f"{job.answered / seconds:,.0f} a second, " if job.answered else ""
            parts.append(f"{rate_was}in {in_time(seconds) if seconds >= 1 else 'under 1 s'}")
    elif job.waiting:
        if (left := ceil(job.waiting_until - monotonic())) > 0:
            parts.append(f"next try in {left} s")
    elif rate:
        parts.append(f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.1f} a second")
        if not job.control.is_paused and not job.control.cancels:
            parts.append(f"{in_time((total - job.done) / rate)} left")
    return Progress(job.done, total, " \u00b7 ".join(parts))


def _notes(facts: Facts) -> list[Note]:
    notes = [_scan_note(facts)]
    job = facts.job
    if facts.refusal:
        notes.append(Note(f"Send waits for this: {facts.refusal}.", "error"))
    if facts.is_due:
        notes.append(Note("Sending begins when the sources have been looked at."))
    if job is not None:
        if facts.is_attached and not job.is_over:
            same = "This batch was under way already, with the same setting and sources; it is the one shown."
            notes.append(Note(same))
        notes += _job_notes(job)
        if facts.edited:
            what = "The next batch takes it" if job.is_over else "That is for the next batch"
            notes.append(Note(f"The {facts.edited} was changed since this batch began. {what}.", "warning"))
    return notes if facts.said is None else [*notes, facts.said]


def _scan_note(facts: Facts) -> Note:
    scan = facts.scan
    if scan.fault:
        return Note(f"{scan.fault[:1].upper()}{scan.fault[1:]}. What was found before can be sent.", "error")
    series = facts.series - bool(scan.unreadable)
    found = f"{counted(scan.found - scan.unreadable, 'instance')} in {series:,} series"
    if not facts.is_scanned:
        return Note(f"Looking: {found} so far \u2026")
    parts = [f"{found}, {in_bytes(scan.size_bytes)}"]
    if scan.unreadable:
        parts.append(f"{counted(scan.unreadable, 'file')} cannot be read")
    if scan.passed_over:
        parts.append(f"{counted(len(scan.passed_over), 'file')} passed over, no DICOM or not for sending")
    if scan.is_stopped:
        parts.append("stopped before all was looked at")
    return Note("; ".join(parts) + ".")


def _job_notes(job: Job) -> list[Note]:
    if not job.is_over:
        if job.waiting:
            return [Note(f"Waiting: {job.waiting}.", "warning")]
        return (
            [Note("Cancelling: the instances under way are finished first.")] if job.control.cancels else []
        )
    if job.error is not None:
        return [Note(f"The batch ended: {job.error}", "error")]
    outcomes = job.rows.outcomes
    stored = sum(count for outcome, count in outcomes.items() if outcome.is_stored)
    said = f"{stored:,} of {outcomes.total():,} stored at {_peer(job.setting)}, {job.ended_at:%H:%M}."
    if failures := failures_in(outcomes):
        notes = [Note(f"{said} {failures:,} are not: open a row to see why, and what to do.", "warning")]
    else:
        notes = [Note(said, "done" if stored else "warning")]
    if job.batch is not None and job.batch.note:
        notes.append(Note(job.batch.note, "warning"))
    return notes
