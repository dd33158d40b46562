"""What a batch panel says of itself: buttons, progress and notes, from plain facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dicomkit._support.quantities import counted, in_bytes, in_time
from dicomkit.results import Outcome
from dicomkit.widgets._bar import Button, Note, NoteKind
from dicomkit.widgets.batch._bar import BarState, Progress
from dicomkit.widgets.batch._tables import counts_in_words

if TYPE_CHECKING:
    from dicomkit.settings import DicomSenderSetting
    from dicomkit.widgets.batch._job import Job
    from dicomkit.widgets.batch._scan import Scan


@dataclass(frozen=True, slots=True)
class Panel:
    """What there is to say something about.

    Attributes
    ----------
    series, cargo, not_stored : int
        Series found; instances checked; instances that could be tried again.
    rate : float
        Instances a second.
    refusal, edited : str
        Why the setting cannot be sent with; what was changed since the batch began.
    is_scanned, is_due, is_attached, asks : bool
        Whether all is found that will be; whether sending waits for the scan; whether the batch ran already when the
        panel was made; whether it is asked before so many are sent.
    file_question : Path or None
        What would be overwritten.
    said : tuple of str
        What came of the last thing done, and its kind.
    """

    setting: DicomSenderSetting
    scan: Scan
    is_scanned: bool
    series: int
    cargo: int
    job: Job | None
    rate: float
    not_stored: int
    refusal: str
    is_due: bool
    is_attached: bool
    asks: bool
    file_question: Path | None
    said: tuple[str, str]
    edited: str

    @property
    def state(self) -> str:
        """As `BatchPanel.state`."""
        job = self.job
        if job is not None and not job.is_over:
            return "cancelling" if job.cancels else "paused" if job.is_paused else "sending"
        if not self.is_scanned:
            return "scanning"
        return "ready" if job is None else "done"


def not_stored(outcomes: Counter[Outcome]) -> int:
    """How many could be tried again: those neither stored nor skipped."""
    return sum(n for one, n in outcomes.items() if not (one.is_stored or one is Outcome.SKIPPED))


def bar_state(panel: Panel) -> BarState:
    """Return what the bar shows."""
    job = panel.job
    question, answers = _question(panel)
    return BarState(
        buttons=_buttons(panel),
        notes=_notes(panel),
        progress=None if job is None else _progress(job, panel.rate),
        question=question,
        answers=answers,
        path=None if job is None or not job.is_over or not job.rows.total else _proposed(job),
    )


def _buttons(panel: Panel) -> list[Button]:
    state, job = panel.state, panel.job
    if job is not None and not job.is_over:
        if job.cancels:
            return [Button("cancel", "Stop at once", "Abort the instances under way", job.cancels < 2)]
        halt = (
            Button("resume", "Go on", "Send the rest", is_main=True)
            if job.is_paused
            else Button("pause", "Pause", "Take up no further instance")
        )
        return [
            halt,
            Button("cancel", "Cancel", "End the batch after the instances under way; rows are kept"),
        ]
    send = Button("send", _send_label(panel), *_send_permission(panel), is_main=not panel.not_stored)
    if state == "scanning":
        return [send, Button("stop", "Stop looking", "Keep to what was found so far")]
    again = Button("rescan", "Look again", "Look at the sources anew")
    if not panel.not_stored:
        return [send, again]
    retry = Button(
        "retry",
        f"Try the {panel.not_stored:,} not stored again",
        "Each file is looked at anew",
        not panel.refusal,
        is_main=True,
    )
    return [retry, send, again]


def _send_label(panel: Panel) -> str:
    what = counted(panel.cargo, "instance") if panel.is_scanned else "what is found"
    return f"Send {what} to {_peer(panel.setting)}"


def _send_permission(panel: Panel) -> tuple[str, bool]:
    if panel.refusal:
        return f"Send waits for this: {panel.refusal}", False
    if not panel.is_scanned:
        return "Send waits for the sources to be looked at", False
    if not panel.cargo:
        return "Nothing is checked" if panel.scan.found else "There is nothing to send", False
    return f"In the name of {panel.setting.our_aet}, by C-STORE", True


def _peer(setting: DicomSenderSetting) -> str:
    return f"{setting.remote_aet} at {setting.remote_host}:{setting.remote_port}"


def _question(panel: Panel) -> tuple[str, list[Button]]:
    if panel.file_question is not None:
        return f"{panel.file_question} is there already. Overwrite it?", [
            Button("keep", "Keep it", "Do not save"),
            Button("overwrite", "Overwrite", "Replace the file"),
        ]
    if panel.asks:
        return f"Send {counted(panel.cargo, 'instance')} to {_peer(panel.setting)}?", [
            Button("keep", "Not now", "Send nothing"),
            Button("confirm", f"Send them to {_peer(panel.setting)}", "Begin"),
        ]
    return "", []


def _progress(job: Job, rate: float) -> Progress:
    total = len(job.cargo)
    parts = [f"{job.done:,} of {total:,}{' tried again' if job.is_again else ''}"]
    if outcomes := counts_in_words(job.outcomes):
        parts.append(outcomes)
    if job.ended_at is not None:
        seconds = (job.ended_at - job.began_at).total_seconds()
        if seconds > 0 and job.done:
            parts.append(
                f"{job.done / seconds:,.0f} a second, in {in_time(seconds) if seconds >= 1 else 'under 1 s'}"
            )
    elif rate:
        parts.append(f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.1f} a second")
        if not job.is_paused and not job.cancels:
            parts.append(f"{in_time((total - job.done) / rate)} left")
    return Progress(job.done, total, " \u00b7 ".join(parts))


def _notes(panel: Panel) -> list[Note]:
    notes = [_scan_note(panel)]
    job = panel.job
    if panel.refusal:
        notes.append(Note(f"Send waits for this: {panel.refusal}.", "error"))
    if panel.is_due:
        notes.append(Note("Sending begins when the sources have been looked at."))
    if panel.is_attached and job is not None and not job.is_over:
        notes.append(
            Note("This batch was under way already, with the same setting and sources; it is the one shown.")
        )
    if job is not None:
        notes += _job_notes(job)
    if panel.edited and job is not None:
        what = "The next batch takes it" if job.is_over else "That is for the next batch"
        notes.append(Note(f"The {panel.edited} was changed since this batch began. {what}.", "warning"))
    if panel.said[0]:
        notes.append(Note(panel.said[0], cast("NoteKind", panel.said[1])))
    return notes


def _scan_note(panel: Panel) -> Note:
    scan = panel.scan
    if scan.fault:
        return Note(f"{scan.fault[:1].upper()}{scan.fault[1:]}. What was found before can be sent.", "error")
    found = f"{counted(scan.found - scan.unreadable, 'instance')} in {panel.series - bool(scan.unreadable):,} series"
    if not panel.is_scanned:
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
        return [Note("Cancelling: the instances under way are finished first.")] if job.cancels else []
    if job.error is not None:
        return [Note(f"The batch ended: {job.error}", "error")]
    batch = job.batch
    assert batch is not None
    outcomes = job.outcomes
    stored = sum(count for outcome, count in outcomes.items() if outcome.is_stored)
    rest = not_stored(outcomes)
    ended = f"{job.ended_at:%H:%M}" if job.ended_at is not None else ""
    said = f"{stored:,} of {sum(outcomes.values()):,} stored at {_peer(job.setting)}, {ended}."
    notes = []
    if rest:
        notes.append(Note(f"{said} {rest:,} are not: open a row to see why, and what to do.", "warning"))
    else:
        notes.append(Note(said, "done" if stored else "warning"))
    if batch.note:
        notes.append(Note(batch.note, "warning"))
    return notes


def _proposed(job: Job) -> str:
    return f"results-{job.batch.batch_id[:8] if job.batch else 'batch'}.csv"
