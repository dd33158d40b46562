"""The row: one attempt, its outcome, its columns, and how rows are written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit.results._row import (
    ALWAYS_THERE,
    COLUMNS,
    KIND_OF_COLUMN,
    Outcome,
    Row,
    SendError,
    SendResult,
    column_array,
    dtypes,
    encodable,
    frame_of_rows,
    in_words,
    to_frame,
    tone_of,
)

if TYPE_CHECKING:
    from dicomkit.results._read import read_in_file_order as read_in_file_order
    from dicomkit.results._read import read_results as read_results
    from dicomkit.results._summary import count_outcomes as count_outcomes
    from dicomkit.results._summary import expect_columns as expect_columns
    from dicomkit.results._summary import final_rows as final_rows
    from dicomkit.results._write import ResultsFile as ResultsFile
    from dicomkit.results._write import known_suffix as known_suffix

# Reading and writing files costs the import of csv, which a sender without `results` does not pay.
_WHEN_USED = {
    "DTYPES": "_row",
    "ResultsFile": "_write",
    "count_outcomes": "_summary",
    "expect_columns": "_summary",
    "final_rows": "_summary",
    "known_suffix": "_write",
    "read_in_file_order": "_read",
    "read_results": "_read",
}

__all__ = [
    "ALWAYS_THERE",
    "COLUMNS",
    "KIND_OF_COLUMN",
    "Outcome",
    "ResultsFile",
    "Row",
    "SendError",
    "SendResult",
    "column_array",
    "count_outcomes",
    "dtypes",
    "encodable",
    "expect_columns",
    "final_rows",
    "frame_of_rows",
    "in_words",
    "known_suffix",
    "read_in_file_order",
    "read_results",
    "to_frame",
    "tone_of",
]


def __getattr__(name: str) -> object:
    if name not in _WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_WHEN_USED[name]}"), name)
