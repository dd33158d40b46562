"""Frames of rows, and the dtypes of their columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from dicomkit.results._columns import COLUMN_OF, COLUMNS, TIME, Kind

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from dicomkit.results._row import Row, SendResult

# Rows turned into columns at a time: bounds what a long batch needs beside its frame.
_CHUNK_ROWS = 100_000


def to_frame(results: Iterable[SendResult]) -> pd.DataFrame:
    """Return one row per result, with the columns of `COLUMNS` and the dtypes of `dtypes`, also when empty."""
    return frame_of_rows(result.as_row() for result in results)


def frame_of_rows(rows: Iterable[Row]) -> pd.DataFrame:
    """Return the frame of rows that are as `SendResult.as_row` makes them."""
    import pandas as pd

    rows = iter(rows)
    frames = [_frame_of_chunk(chunk) for chunk in iter(lambda: list(islice(rows, _CHUNK_ROWS)), [])]
    return pd.concat(frames, ignore_index=True) if frames else _frame_of_chunk([])


def _frame_of_chunk(rows: list[Row]) -> pd.DataFrame:
    import pandas as pd

    columns: Iterable[Row] = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    named = zip(COLUMNS, columns, strict=True)
    return pd.DataFrame({name: column_array(name, values) for name, values in named})


def column_array(name: str, values: Sequence[Any]) -> Any:
    """Return the array of one column of `COLUMNS`, in its dtype, from plain Python values and None."""
    import numpy as np
    import pandas as pd

    kind = COLUMN_OF[name].kind
    if kind is TIME:
        naive = np.array([_utc_without_zone(moment) for moment in values], dtype="datetime64[us]")
        return pd.DatetimeIndex(naive).tz_localize("UTC")
    if kind.dtype in ("int64", "float64"):
        return np.array(values, dtype=kind.dtype)
    return pd.array(list(values), dtype=dtypes()[name])


def _utc_without_zone(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    from datetime import UTC

    return moment.astimezone(UTC).replace(tzinfo=None)


@cache
def dtypes() -> dict[str, Any]:
    """Return the pandas dtype of every column."""
    import pandas as pd

    def dtype_of(kind: Kind) -> Any:
        if kind.categories:
            return pd.CategoricalDtype(list(kind.categories))
        return pd.StringDtype() if kind.dtype == "string" else kind.dtype

    return {name: dtype_of(column.kind) for name, column in COLUMN_OF.items()}
