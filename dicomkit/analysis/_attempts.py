"""The rows that every table, plot and report begins with, wherever they come from."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dicomkit.batch import Batch
from dicomkit.ledger import HELD, VERIFICATION_COLUMNS, Ledger
from dicomkit.results import Outcome, dtypes, expect_columns

Rows = pd.DataFrame | Batch | Ledger

PEER = ["host", "port", "called_aet"]

_NEEDED = (
    *("batch_id", "instance", "attempt", "outcome", "status", "detail", "source", "sop_instance_uid"),
    *("study_instance_uid", "series_instance_uid", "modality", "size_bytes", "association", "started_at"),
    *("duration_ms", "response_ms", "calling_aet", *PEER),
)
# The first ones are whose the study is.
_WELCOME = ("patient_name", "patient_id", "study_date", *VERIFICATION_COLUMNS)
STORED = [outcome.value for outcome in Outcome if outcome.is_stored]
BYTES_IN_MB = 1e6


def results_of(rows: Rows) -> pd.DataFrame:
    """A frame of our own of all attempts, with every column there is."""
    frame = rows.to_frame(latest=False) if isinstance(rows, Batch | Ledger) else rows
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"{type(rows).__name__} holds no rows; give a Batch, a Ledger, or a frame of results as to_frame() and "
            "read_results() return it"
        )
    expect_columns(frame, _NEEDED)
    return frame.reset_index(drop=True).astype({"outcome": dtypes()["outcome"]})


def attempts_of(rows: Rows) -> pd.DataFrame:
    """The same with the columns that tables are made of."""
    frame = results_of(rows)
    return frame[[*_NEEDED, *(name for name in _WELCOME if name in frame.columns)]]


def is_held(final: pd.DataFrame) -> pd.Series[bool]:
    """Whether each was skipped because the ledger holds it as stored."""
    return (final["outcome"] == Outcome.SKIPPED.value) & final["detail"].str.startswith(HELD).fillna(False)


def ends_of(attempts: pd.DataFrame) -> pd.Series[Any]:
    """When each attempt ended; null for what was never tried."""
    return attempts["started_at"] + pd.to_timedelta(attempts["duration_ms"], unit="ms")


def plain_rows(frame: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    """The values as Python's own, None where there is none."""
    plain = (frame[name].astype(object).where(frame[name].notna(), None) for name in columns)
    return list(zip(*plain, strict=True))
