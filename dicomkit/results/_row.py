"""What became of each attempt, and the table of it: outcomes, rows, the frame and its columns.

One attempt is one `SendResult`; the row, the frame and the files all come from its fields through `COLUMNS`,
so that a result reads the same wherever it is met.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from dicomkit._support.frozen import Frozen
from dicomkit.dictionary.statuses import status_category, status_meaning
from dicomkit.dictionary.uids import uid_name
from dicomkit.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectionFailed,
    DicomkitError,
    Interrupted,
    PeerTimedOut,
    WireError,
    file_name,
    without_comment,
)

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from dicomkit.messages import TextMessage

    DTYPES: dict[str, Any]

__all__ = [
    "Outcome",
    "Row",
    "SendResult",
    "COLUMNS",
    "CATEGORIES",
    "KIND_OF_COLUMN",
    "ALWAYS_THERE",
    "to_frame",
    "frame_of_rows",
    "column_array",
    "dtypes",
    "encodable",
]


Row = tuple[Any, ...]
"""One attempt as the values of `COLUMNS`, in their order."""


class Outcome(StrEnum):
    """How an attempt ended; the value is what the `outcome` column holds."""

    STORED = "stored"
    STORED_WITH_WARNING = "stored_with_warning"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_ACCEPTED = "not_accepted"
    REJECTED = "rejected"
    CONNECTION_FAILED = "connection_failed"
    ABORTED = "aborted"
    TIMED_OUT = "timed_out"
    UNREADABLE = "unreadable"
    INVALID_MESSAGE = "invalid_message"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @staticmethod
    def of_status(status: int) -> Outcome:
        """Return the outcome that a C-STORE response with that status stands for (PS3.4 B.2.3, PS3.7 C)."""
        category = status_category(status)
        if category == "Success":
            return Outcome.STORED
        if category == "Warning":
            return Outcome.STORED_WITH_WARNING
        return Outcome.REFUSED if status & 0xFF00 == _REFUSED else Outcome.FAILED

    @staticmethod
    def of_error(error: WireError) -> Outcome:
        """Return the outcome of an attempt which that error ended; an error of no known kind is `ABORTED`."""
        for kind, outcome in _OUTCOME_OF_ERROR:
            if isinstance(error, kind):
                return outcome
        return Outcome.ABORTED

    @property
    def is_stored(self) -> bool:
        """Whether the peer said that it holds the instance, with a warning or without."""
        return self is Outcome.STORED or self is Outcome.STORED_WITH_WARNING

    @property
    def is_failure(self) -> bool:
        """Whether it was to be stored and is not: neither stored nor skipped."""
        return not (self.is_stored or self is Outcome.SKIPPED)


def tone_of(outcome: Outcome) -> str:
    """Return ``good``, ``warning``, ``bad``, or ``none`` for what was not tried: how pictures and tables show it."""
    if outcome is Outcome.STORED:
        return "good"
    if outcome is Outcome.STORED_WITH_WARNING:
        return "warning"
    return "none" if outcome in (Outcome.SKIPPED, Outcome.CANCELLED) else "bad"


def in_words(outcome: str) -> str:
    """Return an outcome as people say it: ``stored with warning``."""
    return outcome.replace("_", " ")


_REFUSED = 0xA700  # Refused: Out of Resources, 0xA7xx; PS3.4 Table B.2-1

_OUTCOME_OF_ERROR: tuple[tuple[type[WireError], Outcome], ...] = (
    (ConnectionFailed, Outcome.CONNECTION_FAILED),
    (AssociationRejected, Outcome.REJECTED),
    (PeerTimedOut, Outcome.TIMED_OUT),
    (Interrupted, Outcome.CANCELLED),
    (AssociationAborted, Outcome.ABORTED),
)


class SendResult(Frozen, kw_only=True):
    """One attempt at sending one instance, and how it ended.

    Attributes
    ----------
    batch_id : str
        UUID of the batch.
    instance : int
        Position in source order, from 0.
    attempt : int
        From 1; what was never tried has one row, attempt 1.
    outcome : Outcome
        How it ended.
    status : int or None
        Status (0000,0900) of the C-STORE response; None when none came.
    detail : str
        One sentence: what happened and what to do.
    source : str
        Path, ``archive.zip!/member``, ``<bytes>`` or ``<dataset>``.
    sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid, modality : str or None
        From the data set.
    size_bytes : int or None
        Bytes of data set handed to the socket.
    transfer_syntax, sent_transfer_syntax : str or None
        UID of the source's, and of the one it was sent in.
    calling_aet, called_aet, host : str
        Who sent, to whom, where.
    port : int
        TCP port of the peer.
    association : int or None
        Which association of the batch; None when it was never tried.
    started_at : datetime or None
        Beginning of the attempt; aware, in UTC.
    duration_ms : float or None
        The whole attempt, in milliseconds.
    response_ms : float or None
        From the last byte sent to the response, in milliseconds.
    """

    batch_id: str
    instance: int
    attempt: int
    outcome: Outcome
    status: int | None
    detail: str
    source: str
    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    modality: str | None
    size_bytes: int | None
    transfer_syntax: str | None
    sent_transfer_syntax: str | None
    calling_aet: str
    called_aet: str
    host: str
    port: int
    association: int | None
    started_at: datetime | None
    duration_ms: float | None
    response_ms: float | None

    @property
    def status_category(self) -> str | None:
        """``"Success"``, ``"Warning"``, ``"Failure"``, or None when no response came."""
        return None if self.status is None else status_category(self.status)

    @property
    def status_meaning(self) -> str | None:
        """The status in words (PS3.4 B.2.3, PS3.7 Annex C), or None when no response came."""
        return None if self.status is None else status_meaning(self.status)

    @property
    def sop_class_name(self) -> str | None:
        """Name of the SOP class (PS3.6), its UID when it has none here, None when it is not known."""
        uid = self.sop_class_uid
        return None if uid is None else uid_name(uid)

    @property
    def response(self) -> TextMessage | None:
        """A text message naming instance, peer and status when the instance was stored, else None."""
        if not self.outcome.is_stored:
            return None
        from dicomkit.messages import TextMessage

        return TextMessage(f"C-STORE of {self.sop_instance_uid} to {self._peer}: {self._status_words}")

    def raise_for_outcome(self) -> None:
        """Do nothing when the instance was stored (with a warning or not) or skipped.

        Raises
        ------
        SendError
            Upon any other outcome; it carries this result.
        """
        if self.outcome.is_failure:
            raise SendError(self)

    def as_row(self) -> Row:
        """Return the values of `COLUMNS`, in their order, as plain Python values.

        An empty UID, modality or transfer syntax is None here: it says no more than an absent one. Bytes of a
        file name that are no text become backslash escapes, since no results file could hold them.
        """
        status, sop_class = self.status, self.sop_class_uid or None
        row = (
            self.batch_id,
            self.instance,
            self.attempt,
            self.outcome._value_,  # as `value` is, without the two calls that it takes
            status,
            None if status is None else status_category(status),
            None if status is None else status_meaning(status),
            self.detail,
            self.source,
            sop_class,
            sop_class and uid_name(sop_class),
            self.sop_instance_uid or None,
            self.study_instance_uid or None,
            self.series_instance_uid or None,
            self.modality or None,
            self.size_bytes,
            self.transfer_syntax or None,
            self.sent_transfer_syntax or None,
            self.calling_aet,
            self.called_aet,
            self.host,
            self.port,
            self.association,
            self.started_at,
            self.duration_ms,
            self.response_ms,
        )
        # One look at all texts together, since hardly a row has what is to be escaped, and there are many rows.
        if "".join(filter(None, _texts_of(row))).isascii():
            return row
        return tuple(encodable(value) if isinstance(value, str) else value for value in row)

    @property
    def _peer(self) -> str:
        return f"{self.called_aet} at {self.host}:{self.port}"

    @property
    def _status_words(self) -> str:
        """``0x0000 Success``, ``0xA700 Failure (Refused: Out of Resources)``; empty when no response came."""
        if self.status is None:
            return ""
        category, meaning = status_category(self.status), status_meaning(self.status)
        return f"0x{self.status:04X} {category}" + ("" if meaning == category else f" ({meaning})")

    @property
    def _outcome_words(self) -> str:
        return in_words(self.outcome)

    def __repr__(self) -> str:
        # Paths and the peer's comments may name a patient, so neither `source` nor `detail` is shown.
        facts = [
            self._status_words,
            self.sop_class_name or "",
            self.sop_instance_uid or "",
            f"to {self._peer}",
            "" if self.duration_ms is None else f"{self.duration_ms:.1f} ms",
        ]
        return f"<SendResult {self.outcome}: {', '.join(fact for fact in facts if fact)}>"

    def _repr_html_(self) -> str:
        """Show the attempt in a notebook, without what may name a patient: the folder, and the peer's comment."""
        from dicomkit._support.html import facts_table, marked, shown
        from dicomkit.errors import file_name, without_comment

        detail = without_comment(self.detail)
        facts = {
            "Outcome": marked(tone_of(self.outcome), self._outcome_words),
            "Status": self._status_words,
            "Detail": detail if detail == self.detail else f"{detail} (the peer's comment is in detail)",
            "Source": file_name(self.source),
            "SOP class": self.sop_class_name or "",
            "SOP instance": self.sop_instance_uid or "",
            "Peer": self._peer,
            "Time": "" if self.duration_ms is None else f"{self.duration_ms:.1f} ms",
        }
        return shown(facts_table(type(self).__name__, facts))


class SendError(DicomkitError):
    """An instance was not stored; `result` is the whole row.

    The message has the file's name and no folder, and not the peer's Error Comment: people put patients' names into
    both. `result.source` and `result.detail` have them.
    """

    def __init__(self, result: SendResult) -> None:
        self.result = result
        super().__init__(f"{file_name(result.source)}: {result.outcome}: {without_comment(result.detail)}")


def encodable(text: str) -> str:
    """Return a text that every file takes: what is no Unicode, as a name of a file may be, as backslash escapes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


KIND_OF_COLUMN = {
    "batch_id": "string",
    "instance": "int64",
    "attempt": "int64",
    "outcome": "outcome",
    "status": "UInt16",
    "status_category": "status_category",
    "status_meaning": "string",
    "detail": "string",
    "source": "string",
    "sop_class_uid": "string",
    "sop_class_name": "string",
    "sop_instance_uid": "string",
    "study_instance_uid": "string",
    "series_instance_uid": "string",
    "modality": "string",
    "size_bytes": "Int64",
    "transfer_syntax": "string",
    "sent_transfer_syntax": "string",
    "calling_aet": "string",
    "called_aet": "string",
    "host": "string",
    "port": "int64",
    "association": "Int64",
    "started_at": "datetime64[us, UTC]",
    "duration_ms": "float64",
    "response_ms": "float64",
}

COLUMNS: tuple[str, ...] = tuple(KIND_OF_COLUMN)

_texts_of = itemgetter(*(index for index, kind in enumerate(KIND_OF_COLUMN.values()) if kind == "string"))

# What the two categorical kinds hold, in this order.
CATEGORIES: dict[str, list[str]] = {
    "outcome": [outcome.value for outcome in Outcome],
    "status_category": ["Success", "Warning", "Failure"],
}

# Columns that are never null; an empty text stands where there is nothing to say.
ALWAYS_THERE = frozenset(
    {
        "batch_id",
        "instance",
        "attempt",
        "outcome",
        "detail",
        "source",
        "calling_aet",
        "called_aet",
        "host",
        "port",
    }
)

# Rows turned into columns at a time: bounds what a long batch needs beside its frame.
_CHUNK_ROWS = 100_000


def to_frame(results: Iterable[SendResult]) -> pd.DataFrame:
    """Return one row per result, with the columns of `COLUMNS` and the dtypes of `DTYPES`, also when empty.

    Parameters
    ----------
    results : iterable of SendResult
        Taken once, in order.
    """
    return frame_of_rows(result.as_row() for result in results)


def frame_of_rows(rows: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    """Return the frame of rows that are as `SendResult.as_row` makes them."""
    import pandas as pd

    rows = iter(rows)
    frames = [_frame_of_chunk(chunk) for chunk in iter(lambda: list(islice(rows, _CHUNK_ROWS)), [])]
    if not frames:
        return _frame_of_chunk([])
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _frame_of_chunk(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    import pandas as pd

    columns: Iterable[tuple[Any, ...]] = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    named = zip(COLUMNS, columns, strict=True)
    return pd.DataFrame({name: column_array(name, values) for name, values in named})


def column_array(name: str, values: Sequence[Any]) -> Any:
    """Return the array of one column of `COLUMNS`, in its dtype, from plain Python values and None."""
    import numpy as np
    import pandas as pd

    kind = KIND_OF_COLUMN[name]
    if kind == "datetime64[us, UTC]":
        naive = np.array([_utc_without_zone(moment) for moment in values], dtype="datetime64[us]")
        return pd.DatetimeIndex(naive).tz_localize("UTC")
    if kind in ("int64", "float64"):
        return np.array(values, dtype=kind)
    return pd.array(list(values), dtype=dtypes()[name])


def _utc_without_zone(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    from datetime import UTC

    return moment.astimezone(UTC).replace(tzinfo=None)


@cache
def dtypes() -> dict[str, Any]:
    """Return the pandas dtype of every column, also to be had as `DTYPES`."""
    import pandas as pd

    special: dict[str, Any] = {kind: pd.CategoricalDtype(values) for kind, values in CATEGORIES.items()}
    special["string"] = pd.StringDtype()
    return {name: special.get(kind, kind) for name, kind in KIND_OF_COLUMN.items()}


def __getattr__(name: str) -> object:
    # DTYPES costs an import of pandas, so it is made when it is asked for (PEP 562).
    if name == "DTYPES":
        return dtypes()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
