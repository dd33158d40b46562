"""The rows that every table, plot and report begins with, wherever they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dicomkit.batch import Batch
from dicomkit.ledger import HELD, Ledger
from dicomkit.results import Outcome, dtypes, expect_columns

Rows = pd.DataFrame | Batch | Ledger

_NEEDED = (
    *("batch_id", "instance", "attempt", "outcome", "status", "detail", "source", "sop_instance_uid"),
    *("study_instance_uid", "series_instance_uid", "modality", "size_bytes", "association", "started_at"),
    *("duration_ms", "response_ms"),
)
STORED = [outcome.value for outcome in Outcome if outcome.is_stored]
BYTES_IN_MB = 1e6


def attempts_of(rows: Rows, *more: str, optional: Sequence[str] = ()) -> pd.DataFrame:
    """A frame of our own with what every table needs, `more`, and those of the `optional` columns that are there."""
    frame = rows.to_frame(latest=False) if isinstance(rows, Batch | Ledger) else rows
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"{type(rows).__name__} holds no rows; give a Batch, a Ledger, or a frame of results as to_frame() and "
            "read_results() return it"
        )
    needed = (*_NEEDED, *more)
    expect_columns(frame, needed)
    frame = frame[[*needed, *(name for name in optional if name in frame.columns)]].reset_index(drop=True)
    return frame.astype({"outcome": dtypes()["outcome"]})


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
