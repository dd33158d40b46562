"""The table of what became of each instance of a batch, and of its retries: rows that any thread may add."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from threading import Lock

from dicomkit._support.quantities import counted
from dicomkit.dictionary.statuses import status_remedy
from dicomkit.dictionary.uids import uid_name
from dicomkit.results import Outcome, SendResult, in_words, tone_of
from dicomkit.widgets.batch._scan import Cargo, key_of
from dicomkit.widgets.table import Cell, Column, Fact, RecordSource, Tone, cell_text

_COLUMNS = (
    Column("number", "#", 48, align="right", meaning="Position in what was sent, from 0"),
    Column("outcome", "Outcome", 164),
    Column("status", "Status", 72, is_code=True, meaning="DIMSE status of the C-STORE response"),
    Column("detail", "What happened", 170, stretch=3),
    Column("source", "Source", 120, stretch=1),
    Column("sop_class_name", "SOP class", 100, stretch=1),
    Column("attempt", "Attempt", 80, align="right"),
    Column("duration_ms", "ms", 62, align="right", meaning="The whole attempt, in milliseconds"),
)
# Of results as of rows, the worst first.
TONES: dict[str, Tone] = {"bad": "bad", "warning": "warning", "none": "muted", "good": "good"}


@dataclass(frozen=True, slots=True)
class Attempts:
    """What became of one task: its last attempt, those before (of earlier batches, too), and whether more
    follow.
    """

    number: int
    last: SendResult
    earlier: tuple[SendResult, ...] = ()
    is_final: bool = True


class BatchResults(RecordSource[Attempts]):
    """A row for each task, counted by series; it belongs to a batch, and stays when a table of it is closed."""

    def __init__(self) -> None:
        super().__init__(
            _COLUMNS,
            value=_value,
            show={
                "outcome": lambda outcome: Cell(in_words(outcome), TONES[tone_of(Outcome(outcome))]),
                "status": lambda status: "" if status is None else f"0x{status:04X}",
                "source": lambda source: cell_text("/".join(PurePath(source).parts[-2:])),
            },
            filters={"outcome": tuple(Outcome)},
            detail=_facts,
            noun=("instance", "instances"),
        )
        self._sent: list[tuple[Cargo, str]] = []  # of each row, and the key of its series
        self._counting = Lock()
        self._by_series: dict[str, Counter[Outcome]] = {}

    def add(self, sent: Cargo, result: SendResult, *, is_final: bool) -> int:
        """Add a row for the first attempt of a task; return its place."""
        self._sent.append((sent, key_of(sent)))
        place = self.append(Attempts(self.total, result, (), is_final))
        self._tally(place, result, is_final)
        return place

    def add_attempt(self, place: int, result: SendResult, *, is_final: bool) -> None:
        """Put a further attempt into the row of its task."""
        row = self.record(place)
        self.replace(place, Attempts(row.number, result, (*row.earlier, row.last), is_final))
        self._tally(place, result, is_final)

    def _tally(self, place: int, result: SendResult, is_final: bool) -> None:
        if is_final:
            with self._counting:
                self._by_series.setdefault(self._sent[place][1], Counter())[result.outcome] += 1

    def failed(self) -> list[int]:
        """Return the places of what is neither stored nor skipped."""
        return [row.number for row in self.records if row.last.outcome.is_failure]

    def try_again(self, places: Iterable[int]) -> list[Cargo]:
        """Return what these rows are about, and count it no more until it has another attempt."""
        with self._counting:
            for place in places:
                self._by_series[self._sent[place][1]][self.record(place).last.outcome] -= 1
        return [self._sent[place][0] for place in places]

    def outcomes_of(self, key: str) -> Counter[Outcome]:
        """Return how many of a series ended in which outcome, so far."""
        with self._counting:
            return +Counter(self._by_series.get(key, ()))

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many instances ended in which outcome, so far."""
        with self._counting:
            return sum(self._by_series.values(), Counter())

    def close(self) -> None:
        """Leave them."""


def failures_in(outcomes: Counter[Outcome]) -> int:
    """How many could be tried again."""
    return sum(count for outcome, count in outcomes.items() if outcome.is_failure)


def counts_in_words(outcomes: Counter[Outcome], of: int | None = None) -> str:
    """``26 stored, 1 not accepted``; of a known number, how many that are ends it while others are still to come."""
    counts = ", ".join(f"{outcomes[one]:,} {in_words(one)}" for one in Outcome if outcomes[one])
    if of is None or outcomes.total() != of:
        return counts if of is None else f"{counts} of {of:,}"
    if len(outcomes) > 1:
        return counts
    (only,) = outcomes
    return f"all {in_words(only)}" if of > 1 else in_words(only)


def _value(row: Attempts, name: str) -> object:
    return row.number if name == "number" else getattr(row.last, name)


def _facts(row: Attempts) -> Sequence[Fact]:
    """All that is known of a row, for people; what there is nothing to say of is left out."""
    last = row.last
    outcome = in_words(last.outcome).capitalize() + ("" if row.is_final else ", and will be tried again")
    status = "" if last.status is None else f"0x{last.status:04X} {last.status_meaning}"
    facts = (
        Fact("Instance", f"#{row.number}: {outcome}"),
        Fact("What happened", _sentence(last.detail)),
        Fact("Status", status, is_code=True),
        Fact("What to do", "" if last.status is None else status_remedy(last.status)),
        Fact("Source", last.source, is_code=True, can_copy=True),
        Fact("SOP class", last.sop_class_name or ""),
        Fact("SOP Instance UID", last.sop_instance_uid or "", is_code=True, can_copy=True),
        Fact("Series Instance UID", last.series_instance_uid or "", is_code=True, can_copy=True),
        Fact("Transfer syntax", _syntaxes(last)),
        Fact("Peer", f"{last.called_aet} at {last.host}:{last.port}, called by {last.calling_aet}"),
        Fact("Attempt", _attempt(last)),
        *(
            Fact(f"Before, {number}", f"{in_words(one.outcome)}: {_sentence(one.detail)}")
            for number, one in enumerate(row.earlier, 1)
        ),
    )
    return [fact for fact in facts if fact.text]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}." if words else ""


def _syntaxes(result: SendResult) -> str:
    stored, sent = result.transfer_syntax, result.sent_transfer_syntax
    if not stored:
        return ""
    return (
        uid_name(stored) if sent in (None, stored) else f"{uid_name(stored)}, sent as {uid_name(sent or '')}"
    )


def _attempt(result: SendResult) -> str:
    if result.started_at is None:
        return ""
    parts = [f"number {result.attempt}", f"at {result.started_at.astimezone():%H:%M:%S}"]
    if result.association is not None:
        parts.append(f"on association {result.association}")
    if result.size_bytes:
        parts.append(f"{counted(result.size_bytes, 'byte')} of data set")
    if result.duration_ms is not None:
        parts.append(f"{result.duration_ms:,.1f} ms")
    if result.response_ms is not None:
        parts.append(f"of which {result.response_ms:,.1f} ms until the response")
    return ", ".join(parts)
