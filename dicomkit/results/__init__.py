"""The row: one attempt, its outcome, its columns, and how rows are written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit._support.late import when_used
from dicomkit.results._columns import COLUMN_OF as COLUMN_OF
from dicomkit.results._columns import COLUMNS as COLUMNS
from dicomkit.results._outcome import Outcome as Outcome
from dicomkit.results._outcome import in_words as in_words
from dicomkit.results._outcome import tone_of as tone_of
from dicomkit.results._row import Row as Row
from dicomkit.results._row import SendError as SendError
from dicomkit.results._row import SendResult as SendResult
from dicomkit.results._row import encodable as encodable

if TYPE_CHECKING:
    from dicomkit.results._frame import column_array as column_array
    from dicomkit.results._frame import dtypes as dtypes
    from dicomkit.results._frame import frame_of_rows as frame_of_rows
    from dicomkit.results._frame import to_frame as to_frame
    from dicomkit.results._read import read_in_file_order as read_in_file_order
    from dicomkit.results._read import read_results as read_results
    from dicomkit.results._summary import count_outcomes as count_outcomes
    from dicomkit.results._summary import expect_columns as expect_columns
    from dicomkit.results._summary import final_rows as final_rows
    from dicomkit.results._write import ResultsFile as ResultsFile
    from dicomkit.results._write import known_suffix as known_suffix

# What a sender without `results` does not load.
__getattr__ = when_used(
    __name__,
    {
        "_frame": ("column_array", "dtypes", "frame_of_rows", "to_frame"),
        "_read": ("read_in_file_order", "read_results"),
        "_summary": ("count_outcomes", "expect_columns", "final_rows"),
        "_write": ("ResultsFile", "known_suffix"),
    },
)
