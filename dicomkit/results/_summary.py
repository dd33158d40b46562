"""What became of the instances in a frame of results: the last attempt of each, and how many ended in which outcome."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def final_rows(attempts: pd.DataFrame) -> pd.DataFrame:
    """Return the last attempt of each instance of each batch, in the order of the frame, with its index."""
    last = attempts.sort_values("attempt", kind="stable").drop_duplicates(
        ["batch_id", "instance"], keep="last"
    )
    return last.sort_index(kind="stable")


def count_outcomes(ends: pd.DataFrame, tries: str = "attempt", **more: tuple[str, str]) -> pd.DataFrame:
    """Return ``instances``, ``attempts`` and ``size_bytes`` by outcome, in the order of the outcomes.

    `ends` has the row that counts of each instance, and `tries` names the column that says how many attempts
    it stands for. In `more`, by name, are further columns: the column of these rows that each is made of, and
    how (``"min"``, ``"first"``).
    """
    table = ends.groupby("outcome", observed=True).agg(
        instances=("instance", "size"), attempts=(tries, "sum"), size_bytes=("size_bytes", "sum"), **more
    )
    return table.astype({"instances": "int64", "attempts": "int64"})


def expect_columns(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Raise ValueError where a frame lacks columns of results."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(
            f"the frame has no column {', '.join(missing)}; give a frame of results as to_frame() and read_results() "
            "return it"
        )
