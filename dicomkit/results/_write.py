"""Result rows on their way to a file: CSV, JSON or Parquet.

Rows are written while the batch runs, with few of them in memory, so that what was known before a crash is on disk.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicomkit._support.files import for_owner
from dicomkit.errors import MissingExtraError, without_folder
from dicomkit.results._columns import COLUMN_OF, COLUMNS, TIME, Kind

if TYPE_CHECKING:
    from dicomkit.results._row import Row, SendResult

# Rows are flushed when that many wait, or when one comes that long after the last flush: a slow batch is on disk row by
# row, and a fast one is not slowed by its rows.
_FLUSH_ROWS = 200
_FLUSH_SECONDS = 0.5

_ROW_GROUP_ROWS = 10_000  # of Parquet: large enough to compress well, about 10 MB in memory

# What the footer of Parquet takes at most for its schema, and again for each row group: they take 4 KB.
_FOOTER_BYTES = 32 * 1024

_STARTED_AT = COLUMNS.index("started_at")


class ResultsFile:
    """A file that takes results one at a time: ``.csv``, ``.json`` or ``.parquet``, as its suffix says.

    CSV is UTF-8 with a header line; JSON is an array with an object for each row, and is a complete array after
    every flush; null is an empty cell or ``null``. Both are flushed by `write` when 200 rows are together or 0.5 s
    have passed since the last flush, by `flush`, and by `close`. Text is written as it is: a cell that begins with
    ``=`` does so in the file too. Parquet holds 10,000 rows in memory for each row group, and can be read only
    after `close`, or after a disk was full: room for what must come last is kept from the first.

    A new file can be read and written by its owner only, where the operating system has such permissions. An
    existing file is overwritten in place and keeps its permissions. One thread at a time may use it.

    Parameters
    ----------
    path : str or path-like
        The file; its folder must exist.

    Attributes
    ----------
    path : Path
        The file.
    rows_written : int
        Rows handed to the operating system (for Parquet, to its writer) so far.

    Raises
    ------
    ValueError
        The suffix is none of the three.
    MissingExtraError
        Parquet is asked for and pyarrow is not installed.
    OSError
        The file cannot be created or written; the message names it. `write`, `flush` and `close` raise it too (a
        full disk, say): the file is closed then, and holds the whole rows that were written before.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.rows_written = 0
        self._pending: list[Row] = []
        self._flushed_at = time.monotonic()
        make_sink = _SINKS[known_suffix(self.path)]
        try:
            self._sink: _TextSink | _ParquetSink | None = make_sink(self.path)
        except OSError as error:
            raise _named(
                error, self.path, "the results cannot be written there, choose another path"
            ) from error

    def write(self, result: SendResult) -> None:
        """Add a row; it is on its way to the disk when a flush is due (see the class).

        Parameters
        ----------
        result
            Of one attempt.

        Raises
        ------
        OSError, ValueError
            It cannot be written (see the class), or the file is closed.
        """
        sink = self._open_sink()
        self._pending.append(result.as_row())
        if len(self._pending) >= sink.rows_at_once or (
            time.monotonic() - self._flushed_at >= sink.seconds_at_most
        ):
            self._put_pending(sink)

    def flush(self) -> None:
        """Hand the rows that wait to the operating system; for Parquet, which needs its `close`, do nothing.

        Raises
        ------
        OSError, ValueError
            They cannot be written (see the class), or the file is closed.
        """
        sink = self._open_sink()
        if sink.rows_at_once <= _FLUSH_ROWS:
            self._put_pending(sink)

    def close(self) -> None:
        """Write what waits and close the file; closing twice does nothing.

        Raises
        ------
        OSError
            It cannot be written (see the class).
        """
        sink = self._sink
        if sink is None:
            return
        self._put_pending(sink)
        self._sink = None
        try:
            sink.close()
        except OSError as error:
            raise _named(error, self.path, "the file was not finished") from error

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._sink is None else "open"
        return f"<ResultsFile {self.path.name}: {self.rows_written} rows written, {state}>"

    def _open_sink(self) -> _TextSink | _ParquetSink:
        if self._sink is None:
            raise ValueError(f"{self.path.name} is closed; open another ResultsFile to write more rows")
        return self._sink

    def _put_pending(self, sink: _TextSink | _ParquetSink) -> None:
        rows = self._pending
        if rows:
            try:
                sink.put(rows)
            except OSError as error:
                self._sink = None
                sink.abandon()
                raise _named(error, self.path, f"{self.rows_written} rows were written before") from error
            self._pending = []
            self.rows_written += len(rows)
        self._flushed_at = time.monotonic()


def _named(error: OSError, path: Path, consequence: str) -> OSError:
    """Return the error again, saying which file and what follows, in the subclass that its number stands for."""
    without_folder(error)  # it is the cause of the one that is returned
    number = errno.EIO if error.errno is None else error.errno
    return OSError(number, f"{error.strerror or error}; {consequence}", path.name)


def known_suffix(path: Path) -> str:
    """Return the suffix of a results file in lower case, or raise ValueError when it is none that we know."""
    suffix = path.suffix.lower()
    if suffix not in _SINKS:
        raise ValueError(
            f"{path.name}: the suffix says the format of results, and {path.suffix or 'none'!r} is not one of "
            f"{', '.join(_SINKS)}; write {path.with_suffix('.csv').name!r}, for one"
        )
    return suffix


def _write_all(file: io.FileIO, data: bytes) -> int:
    """A raw file takes what it can at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
    return len(data)


class _TextSink:
    """Rows as text, with an ending that the next rows overwrite: so the file is complete after each `put`."""

    rows_at_once = _FLUSH_ROWS
    seconds_at_most = _FLUSH_SECONDS

    def __init__(
        self,
        path: Path,
        encode: Callable[[list[Row]], str],
        beginning: str,
        between: str = "",
        ending: str = "",
    ) -> None:
        self._encode = encode
        self._between = between
        self._ending = ending.encode()
        self._file = io.FileIO(path, "w", opener=for_owner)
        self._end = 0  # where the rows end and the ending begins
        try:
            self._append(beginning.encode())
        except OSError:
            self.abandon()
            raise
        self._beginning = self._end

    def put(self, rows: list[Row]) -> None:
        between = "" if self._end == self._beginning else self._between
        self._append((between + self._encode(rows)).encode())

    def close(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        with suppress(OSError):
            self._file.close()

    def _append(self, data: bytes) -> None:
        try:
            self._overwrite_ending(data)
        except OSError:
            # Half a row would make the rows before it unreadable; the room for the old ending is there.
            with suppress(OSError):
                self._file.truncate(self._end)
                self._overwrite_ending(b"")
            raise
        self._end += len(data)

    def _overwrite_ending(self, data: bytes) -> None:
        self._file.seek(self._end)
        _write_all(self._file, data + self._ending)


def _as_csv(rows: list[Row]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(map(_as_text_row, rows))
    return text.getvalue()


def _as_json(rows: list[Row]) -> str:
    return ",".join("\n" + _encode_json(dict(zip(COLUMNS, _as_text_row(row), strict=True))) for row in rows)


_encode_json = json.JSONEncoder(ensure_ascii=False).encode


def _as_text_row(row: Row) -> Row:
    started_at = row[_STARTED_AT]
    if not isinstance(started_at, datetime):
        return row
    iso = started_at.astimezone(UTC).isoformat(timespec="microseconds")
    return (*row[:_STARTED_AT], iso, *row[_STARTED_AT + 1 :])


class _WholeWrites:
    """A raw file whose `write` takes everything or raises OSError, as pyarrow wants it."""

    closed = False

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        return _write_all(self._file, data)

    def flush(self) -> None:
        """Nothing waits."""


class _ParquetSink:
    """Rows as row groups of a Parquet file, which can be read by its footer alone, and that comes last.

    The writer cannot take back a row group of which the disk took only a part. So the room for a group and
    for the footer after it is taken by zeros first: when the disk has no more, the groups before and their
    footer still find theirs.
    """

    rows_at_once = _ROW_GROUP_ROWS
    seconds_at_most = float("inf")

    def __init__(self, path: Path) -> None:
        self._arrow, parquet = import_pyarrow(f"writing {path.name}")
        self._schema = _arrow_schema(self._arrow)
        self._file = io.FileIO(path, "w", opener=for_owner)
        self._footer_size = _FOOTER_BYTES
        try:
            self._reserve(0)
            self._writer = parquet.ParquetWriter(_WholeWrites(self._file), self._schema)
        except OSError:
            self._file.close()
            raise

    def put(self, rows: list[Row]) -> None:
        columns = zip(COLUMNS, zip(*rows, strict=True), self._schema.types, strict=True)
        arrays = [
            self._array(COLUMN_OF[name].kind.categories, values, type_) for name, values, type_ in columns
        ]
        table = self._arrow.Table.from_arrays(arrays, schema=self._schema)
        # Encoded it is smaller than in memory, but for the headers of its pages.
        self._reserve(table.nbytes + _FOOTER_BYTES)
        self._writer.write_table(table)

    def close(self) -> None:
        try:
            self._writer.close()
            self._file.truncate(self._file.tell())
        finally:
            self._file.close()

    def abandon(self) -> None:
        with suppress(OSError):
            self.close()

    def _reserve(self, group_size: int) -> None:
        """Take the room for a row group of that size and the footer after it, or raise OSError."""
        end = self._file.tell()
        footer_size = self._footer_size + (_FOOTER_BYTES if group_size else 0)
        try:
            _write_all(self._file, bytes(group_size + footer_size))
        finally:
            self._file.seek(end)
        self._footer_size = footer_size

    def _array(self, categories: tuple[str, ...], values: Sequence[Any], type_: Any) -> Any:
        if not categories:
            return self._arrow.array(values, type=type_)
        # Every category is in every row group, so that a reader sees all of them, in our order.
        codes = [None if value is None else categories.index(value) for value in values]
        return self._arrow.DictionaryArray.from_arrays(
            self._arrow.array(codes, type=type_.index_type),
            self._arrow.array(categories, type=type_.value_type),
        )


def import_pyarrow(purpose: str) -> tuple[Any, Any]:
    """Return the modules ``pyarrow`` and ``pyarrow.parquet``, or raise MissingExtraError."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError(purpose, "pyarrow", "parquet") from error


def _arrow_schema(arrow: Any) -> Any:
    """Return the Arrow schema of `COLUMNS`, with the note from which pandas takes its own dtypes."""

    def type_of(kind: Kind) -> Any:
        if kind.categories:
            return arrow.dictionary(arrow.int8(), arrow.string())
        return arrow.timestamp("us", tz="UTC") if kind is TIME else arrow.type_for_alias(kind.dtype.lower())

    columns = COLUMN_OF.values()
    schema = arrow.schema(
        [arrow.field(column.name, type_of(column.kind), nullable=column.is_null) for column in columns]
    )
    notes = [
        {"name": column.name, "field_name": column.name, **_pandas_note(column.kind)} for column in columns
    ]
    pandas = {"index_columns": [], "column_indexes": [], "columns": notes, "pandas_version": "2.2.0"}
    return schema.with_metadata({"pandas": json.dumps(pandas)})


def _pandas_note(kind: Kind) -> dict[str, Any]:
    """Return what pandas' own Parquet files say of a column, so that `pandas.read_parquet` gives our dtypes too."""
    pandas_type, numpy_type = kind.dtype.lower(), kind.dtype
    metadata: dict[str, object] | None = None
    if kind.dtype == "string":
        pandas_type = "unicode"
    elif kind.categories:
        pandas_type, numpy_type = "categorical", "int8"
        metadata = {"num_categories": len(kind.categories), "ordered": False}
    elif kind is TIME:
        pandas_type, numpy_type, metadata = "datetimetz", "datetime64[us]", {"timezone": "UTC"}
    return {"pandas_type": pandas_type, "numpy_type": numpy_type, "metadata": metadata}


_SINKS: dict[str, Callable[[Path], _TextSink | _ParquetSink]] = {
    ".csv": lambda path: _TextSink(path, _as_csv, beginning=_as_csv([COLUMNS])),
    ".json": lambda path: _TextSink(path, _as_json, beginning="[", between=",", ending="\n]\n"),
    ".parquet": _ParquetSink,
}
