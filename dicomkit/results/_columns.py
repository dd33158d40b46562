"""The columns of a row, in their order: the one table from which rows, frames, files and the ledger take theirs."""

from __future__ import annotations

from dicomkit._support.frozen import Frozen
from dicomkit.results._outcome import Outcome


class Kind(Frozen):
    """What a column holds: its dtype in pandas and its type in SQLite, and the same in words."""

    dtype: str
    sql: str
    words: str
    categories: tuple[str, ...] = ()


class Column(Frozen):
    """One column; one that is never null has an empty text or NaN where there is nothing to say."""

    name: str
    kind: Kind
    is_null: bool = False  # in some rows
    is_of_batch: bool = False  # the same in all rows of a batch


def _one_of(categories: list[str]) -> Kind:
    return Kind("category", "TEXT", f"one of {', '.join(categories)}", tuple(categories))


_TEXT = Kind("string", "TEXT", "a text")
_INTEGER = Kind("int64", "INTEGER", "a whole number")
_INTEGER_OR_NULL = Kind("Int64", "INTEGER", "a whole number")
_STATUS = Kind("UInt16", "INTEGER", "a status from 0 to 65535")
_NUMBER = Kind("float64", "REAL", "a number")
_OUTCOME = _one_of([outcome.value for outcome in Outcome])
_STATUS_CATEGORY = _one_of(["Success", "Warning", "Failure"])
TIME = Kind("datetime64[us, UTC]", "TEXT", "a date and time in ISO 8601")

COLUMN_OF = {
    column.name: column
    for column in (
        Column("batch_id", _TEXT, is_of_batch=True),
        Column("instance", _INTEGER),
        Column("attempt", _INTEGER),
        Column("outcome", _OUTCOME),
        Column("status", _STATUS, is_null=True),
        Column("status_category", _STATUS_CATEGORY, is_null=True),
        Column("status_meaning", _TEXT, is_null=True),
        Column("detail", _TEXT),
        Column("source", _TEXT),
        Column("sop_class_uid", _TEXT, is_null=True),
        Column("sop_class_name", _TEXT, is_null=True),
        Column("sop_instance_uid", _TEXT, is_null=True),
        Column("study_instance_uid", _TEXT, is_null=True),
        Column("series_instance_uid", _TEXT, is_null=True),
        Column("modality", _TEXT, is_null=True),
        Column("size_bytes", _INTEGER_OR_NULL, is_null=True),
        Column("transfer_syntax", _TEXT, is_null=True),
        Column("sent_transfer_syntax", _TEXT, is_null=True),
        Column("calling_aet", _TEXT, is_of_batch=True),
        Column("called_aet", _TEXT, is_of_batch=True),
        Column("host", _TEXT, is_of_batch=True),
        Column("port", _INTEGER, is_of_batch=True),
        Column("association", _INTEGER_OR_NULL, is_null=True),
        Column("started_at", TIME, is_null=True),
        Column("duration_ms", _NUMBER, is_null=True),
        Column("response_ms", _NUMBER, is_null=True),
    )
}
"""Each column by its name; a column is an attribute of `SendResult`."""

COLUMNS: tuple[str, ...] = tuple(COLUMN_OF)
