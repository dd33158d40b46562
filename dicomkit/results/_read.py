"""Result rows out of a file: `read_results`, the inverse of `ResultsFile`.

Whatever the format, each column is made of the same plain Python values by the same parsers, so that the frame
equals `to_frame` of the results that were written, to the last dtype.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicomkit.errors import without_folder
from dicomkit.results._columns import COLUMN_OF, COLUMNS
from dicomkit.results._frame import column_array
from dicomkit.results._write import import_pyarrow, known_suffix

if TYPE_CHECKING:
    import pandas as pd

_READ_ROWS = 50_000  # CSV rows that are turned into columns at a time


def read_results(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a results file back, with the columns, dtypes and order of `Batch.to_frame`.

    A batch writes its rows as they come about; the frame has them by instance and attempt, and where a file holds
    several batches, one batch after the other.

    Columns that are not ours follow after ours as they are in the file (those of a CSV file as strings). An empty
    cell is null, except in the columns that are never null (`detail`, for one), where it is an empty text.

    Parameters
    ----------
    path : str or path-like
        A ``.csv``, ``.json`` or ``.parquet`` file, as `ResultsFile` or pandas write it (JSON with
        ``orient="records", date_format="iso"``).

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        The suffix is none of the three, a column is missing, or something in the file is not what its column
        holds; the message names file, row and column.
    MissingExtraError
        It is a Parquet file and pyarrow is not installed.
    OSError
        The file cannot be read.
    """
    frame = read_in_file_order(path)
    batch, _ = frame["batch_id"].factorize()
    keys = frame[["instance", "attempt"]].assign(batch=batch)
    order = keys.sort_values(["batch", "instance", "attempt"], kind="stable")
    return frame if order.index.is_monotonic_increasing else frame.loc[order.index].reset_index(drop=True)


def read_in_file_order(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Do what `read_results` does, and leave the rows in the order in which they were written."""
    path = Path(path)
    try:
        return _READERS[known_suffix(path)](path)
    except OSError as error:
        without_folder(error)
        raise


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        # A spreadsheet program that saved the file again may have put a byte order mark before it.
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            others = _other_columns(path, header)
            rows = _whole_rows(path, reader, len(header))
            frames: list[pd.DataFrame] = []
            while chunk := list(islice(rows, _READ_ROWS)):
                columns = dict(zip(header, zip(*chunk, strict=True), strict=True))
                frame = _frame(path, columns.__getitem__, first_row=1 + len(frames) * _READ_ROWS)
                for name in others:
                    frame[name] = pd.array([text or None for text in columns[name]], dtype=pd.StringDtype())
                frames.append(frame)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not a CSV file in UTF-8, or was cut off: {error}") from error
    if not frames:
        frame = _frame(path, lambda name: ())
        return frame.assign(**{name: pd.array([], dtype=pd.StringDtype()) for name in others})
    return pd.concat(frames, ignore_index=True)


def _whole_rows(path: Path, reader: Iterable[list[str]], width: int) -> Iterator[list[str]]:
    for number, row in enumerate(reader, 1):
        if len(row) == width:
            yield row
        elif row:
            raise ValueError(
                f"{path.name}, row {number} has {len(row)} cells and the header has {width}: the file was cut off or "
                "changed; correct or delete that row"
            )


def _read_json(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        records = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON in UTF-8, or was cut off: {error}") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{path.name} is not an array of objects, one for each row, as results in JSON are")
    names = list(dict.fromkeys(name for record in records for name in record))
    others = _other_columns(path, names) if records else []
    frame = _frame(path, lambda name: [record.get(name) for record in records])
    for name in others:
        frame[name] = pd.Series([record.get(name) for record in records])
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    arrow, parquet = import_pyarrow(f"reading {path.name}")
    with open(path, "rb") as file:
        try:
            table = parquet.read_table(file)
            table.validate(full=True)
        except (arrow.ArrowException, UnicodeDecodeError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the system's; those without a number are pyarrow's, upon what it reads
            raise ValueError(f"{path.name} is not a Parquet file, or was never closed: {error}") from error
    # pandas keeps the index of a filtered frame as a column of such a name.
    others = [
        name for name in _other_columns(path, table.column_names) if not name.startswith("__index_level_")
    ]
    frame = _frame(path, lambda name: table.column(name).to_pylist())
    if not others:
        return frame
    rest: pd.DataFrame = table.select(others).to_pandas().reset_index(drop=True)
    return pd.concat([frame, rest], axis=1)


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def _other_columns(path: Path, names: Sequence[str]) -> list[str]:
    """Return the columns that are not ours; raise ValueError when one of ours is missing, or one is there twice."""
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ValueError(
            f"{path.name} lacks the columns {', '.join(missing)}, so it is not a results file; give one that "
            "send_batch or ResultsFile wrote, or one with all columns of dicomkit.results.COLUMNS, comma-separated "
            "if CSV"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path.name} has the columns {', '.join(twice)} twice; keep one of each")
    return [name for name in names if name not in COLUMN_OF]


def _frame(path: Path, column: Callable[[str], Sequence[object]], *, first_row: int = 1) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {name: column_array(name, _parsed(path, name, column(name), first_row)) for name in COLUMNS}
    )


def _parsed(path: Path, name: str, values: Sequence[object], first_row: int) -> list[Any]:
    """Return the values of a column as plain Python values and None, whether they were text or came typed."""
    column, kind = COLUMN_OF[name], COLUMN_OF[name].kind
    parse = _one_of(kind.categories) if kind.categories else _PARSERS[kind.dtype]
    may_be_empty = column.is_null or kind.dtype == "string"
    empty = None if column.is_null else ""
    parsed = []
    for row, value in enumerate(values, first_row):
        if may_be_empty and (value is None or value == ""):
            parsed.append(empty)
            continue
        try:
            parsed.append(parse(value))
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(
                f"{path.name}, row {row}: {name} is {value!r:.60}, not {kind.words}; correct that cell"
            ) from error
    return parsed


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _whole_number(value: Any) -> int:
    # Some writers have no integers that may be null, and make them floats.
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError
    if not _INT64_MIN <= number <= _INT64_MAX:
        raise OverflowError
    return number


def _status(value: Any) -> int:
    number = _whole_number(value)
    if not 0 <= number <= _UINT16_MAX:
        raise OverflowError
    return number


def _moment(value: object) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(_text(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _one_of(known: Sequence[str]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        return known[known.index(value)]

    return parse


_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_UINT16_MAX = 2**16 - 1

_PARSERS: dict[str, Callable[[Any], Any]] = {
    "string": _text,
    "int64": _whole_number,
    "Int64": _whole_number,
    "UInt16": _status,
    "float64": float,
    "datetime64[us, UTC]": _moment,
}
"""How the values of a column of each dtype are read; upon another value they raise what `_parsed` catches."""
