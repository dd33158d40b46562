"""The row: one attempt at sending one instance, and how it ended."""

from __future__ import annotations

from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from dicomkit._support.frozen import Frozen
from dicomkit.dictionary.statuses import status_category, status_meaning
from dicomkit.dictionary.uids import uid_name
from dicomkit.errors import DicomkitError, file_name, without_comment
from dicomkit.results._columns import COLUMN_OF
from dicomkit.results._outcome import Outcome, in_words, tone_of

if TYPE_CHECKING:
    from datetime import datetime

    from dicomkit.messages import TextMessage

Row = tuple[Any, ...]
"""One attempt as the values of `COLUMNS`, in their order."""

# `_value_` is `value` without the call of a property.
_values_of = attrgetter(*("outcome._value_" if name == "outcome" else name for name in COLUMN_OF))
_TEXTS = [place for place, column in enumerate(COLUMN_OF.values()) if column.kind.dtype == "string"]
_texts_of = itemgetter(*_TEXTS)
_IS_NULL = [column.is_null for column in COLUMN_OF.values()]
_texts_or_null_of = itemgetter(*(place for place in _TEXTS if _IS_NULL[place]))


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
        return uid_name(self.sop_class_uid) if self.sop_class_uid else None

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
        row: Row = _values_of(self)
        # One look at all texts together, since hardly a row has what is to be changed, and there are many rows.
        if "" in _texts_or_null_of(row):
            row = tuple(
                None if value == "" and is_null else value
                for value, is_null in zip(row, _IS_NULL, strict=True)
            )
        if not "".join(filter(None, _texts_of(row))).isascii():
            row = tuple(encodable(value) if isinstance(value, str) else value for value in row)
        return row

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
