"""The columns and cells of a batch panel's tables: what will be sent, by series, and what became of each instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath

from dicomkit._support.quantities import counted, in_bytes
from dicomkit.dictionary.statuses import status_remedy
from dicomkit.dictionary.uids import uid_name
from dicomkit.results import Outcome, SendResult, in_words, tone_of
from dicomkit.widgets.batch._job import Tried
from dicomkit.widgets.batch._scan import SeriesFound
from dicomkit.widgets.table import Cell, Column, Fact, RecordSource, Tone, cell_text

_SERIES_COLUMNS = (
    Column("patient_name", "Patient", 105, stretch=2, meaning="Patient's Name (0010,0010), and ID"),
    Column("study_description", "Study", 105, stretch=2, meaning="Study Description (0008,1030), and date"),
    Column("series_description", "Series", 120, stretch=2, meaning="Series Description, and number"),
    Column("modality", "Modality", 82),
    Column("count", "Instances", 90, align="right"),
    Column("size_bytes", "Size", 70, align="right"),
    Column("became", "Outcome", 185, stretch=1, is_sortable=False),
)
_RESULT_COLUMNS = (
    Column("number", "#", 48, align="right", meaning="Position in what was sent, from 0"),
    Column("outcome", "Outcome", 164),
    Column("status", "Status", 72, is_code=True, meaning="DIMSE status of the C-STORE response"),
    Column("detail", "What happened", 170, stretch=3),
    Column("file", "Source", 120, stretch=1),
    Column("sop_class_name", "SOP class", 100, stretch=1),
    Column("attempt", "Attempt", 80, align="right"),
    Column("duration_ms", "ms", 62, align="right", meaning="The whole attempt, in milliseconds"),
)


def series_rows(outcomes_of: Callable[[str], Counter[Outcome]]) -> RecordSource[SeriesFound]:
    """Return the rows of what will be sent; `outcomes_of` a series' key tells what became of it so far."""

    def value(series: SeriesFound, name: str) -> object:
        return series if name in _WITH_A_NOTE or name == "became" else getattr(series, name)

    def became(series: SeriesFound) -> str | Cell:
        outcomes = outcomes_of(series.key)
        if not outcomes:
            return ""
        worst = min((tone_of(one) for one in outcomes), key=[*_TONES].index)
        return Cell(counts_in_words(outcomes, of=series.count), _TONES[worst])

    return RecordSource(
        _SERIES_COLUMNS,
        value=value,
        show={
            "patient_name": lambda series: Cell(series.patient_name or "no name", "", series.patient_id),
            "study_description": lambda series: Cell(
                series.study_description or _day(series.study_date),
                "",
                _day(series.study_date) if series.study_description else "",
            ),
            "series_description": lambda series: Cell(
                series.series_description or series.kind,
                "",
                series.series_number and f"#{series.series_number}",
            ),
            "size_bytes": lambda size: in_bytes(size) if size else "",
            "became": became,
        },
        noun=("series", "series"),
    )


# Of results as of rows, the worst first.
_TONES: dict[str, Tone] = {"bad": "bad", "warning": "warning", "none": "muted", "good": "good"}
_WITH_A_NOTE = {"patient_name", "study_description", "series_description"}


class _BatchRows(RecordSource[Tried]):
    """Rows that belong to a batch, and stay when a table of them is closed."""

    def close(self) -> None:
        """Leave them."""


def result_rows() -> RecordSource[Tried]:
    """Return the rows of what became of each instance, none so far."""
    return _BatchRows(
        _RESULT_COLUMNS,
        value=_value,
        show={
            "outcome": lambda outcome: Cell(in_words(outcome), _TONES[tone_of(Outcome(outcome))]),
            "status": lambda status: "" if status is None else f"0x{status:04X}",
            "file": lambda source: cell_text(_end_of(source)),
        },
        filters={"outcome": tuple(Outcome)},
        detail=_facts,
        noun=("instance", "instances"),
    )


def counts_in_words(outcomes: Counter[Outcome], of: int | None = None) -> str:
    """``26 stored, 1 not accepted``; of a known number, what is still to come is told by it."""
    parts = [f"{outcomes[one]:,} {in_words(one)}" for one in Outcome if outcomes[one]]
    if of is not None and len(parts) == 1 and sum(outcomes.values()) == of:
        return f"all {in_words(next(iter(outcomes)))}" if of > 1 else in_words(next(iter(outcomes)))
    told = ", ".join(parts)
    return told if of is None or sum(outcomes.values()) == of else f"{told} of {of:,}"


def _day(date: str) -> str:
    """A DA value (PS3.5 6.2) with its parts apart, or as it is when it is none."""
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdecimal() else date


def _value(row: Tried, name: str) -> object:
    if name == "number":
        return row.number
    if name == "file":
        return row.result.source
    return getattr(row.result, name)


def _end_of(source: str) -> str:
    """The last folder and the name: what tells files of one batch apart, mostly."""
    return "/".join(PurePath(source).parts[-2:])


def _facts(row: Tried) -> Sequence[Fact]:
    result = row.result
    head = in_words(result.outcome).capitalize()
    if not row.is_final:
        head += ", and will be tried again"
    facts = [Fact("Instance", f"#{row.number}: {head}"), Fact("What happened", _sentence(result.detail))]
    if result.status is not None:
        facts += [
            Fact("Status", f"0x{result.status:04X} {result.status_meaning}", is_code=True),
            Fact("What to do", status_remedy(result.status)),
        ]
    facts.append(Fact("Source", result.source, is_code=True, can_copy=True))
    if result.sop_class_uid:
        facts.append(Fact("SOP class", uid_name(result.sop_class_uid)))
    if result.sop_instance_uid:
        facts.append(Fact("SOP Instance UID", result.sop_instance_uid, is_code=True, can_copy=True))
    if result.series_instance_uid:
        facts.append(Fact("Series Instance UID", result.series_instance_uid, is_code=True, can_copy=True))
    if result.transfer_syntax:
        facts.append(Fact("Transfer syntax", _syntaxes(result)))
    facts.append(
        Fact("Peer", f"{result.called_aet} at {result.host}:{result.port}, called by {result.calling_aet}")
    )
    if result.started_at is not None:
        facts.append(Fact("Attempt", _attempt(result)))
    facts += [
        Fact(f"Before, {number}", f"{in_words(one.outcome)}: {_sentence(one.detail)}")
        for number, one in enumerate(row.earlier, 1)
    ]
    return [fact for fact in facts if fact.text]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}." if words else ""


def _syntaxes(result: SendResult) -> str:
    stored, sent = result.transfer_syntax or "", result.sent_transfer_syntax
    return (
        uid_name(stored) if sent in (None, stored) else f"{uid_name(stored)}, sent as {uid_name(sent or '')}"
    )


def _attempt(result: SendResult) -> str:
    began = "" if result.started_at is None else result.started_at.astimezone().strftime("%H:%M:%S")
    parts = [f"number {result.attempt}", f"at {began}"]
    if result.association is not None:
        parts.append(f"on association {result.association}")
    if result.size_bytes:
        parts.append(f"{counted(result.size_bytes, 'byte')} of data set")
    if result.duration_ms is not None:
        parts.append(f"{result.duration_ms:,.1f} ms")
    if result.response_ms is not None:
        parts.append(f"of which {result.response_ms:,.1f} ms until the response")
    return ", ".join(parts)
