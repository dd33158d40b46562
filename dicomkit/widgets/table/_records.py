"""The rows of a flat table: records of any kind in a list that may grow and change, or a DataFrame.

The one idea: a record is known by its place in the list, and what is shown is a list of places; new records join it
without everything being filtered anew, and any thread may add them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dicomkit.tags import one_line
from dicomkit.widgets.table._sources import Cell, Choice, Column, Fact, Filter, Key, Order, Row, RowSource

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

__all__ = ["RecordSource", "cell_text", "frame_source"]

R = TypeVar("R")

_CELL_CHARACTERS = 300


class RecordSource(RowSource, Generic[R]):
    """Records in the order in which they came, each with a value for every column.

    Parameters
    ----------
    columns : sequence of Column
        What is shown, in this order.
    records : iterable
        Those that are there already.
    value : callable
        From a record and the name of a column to its value; attributes by default. A name that is no column may be
        asked for, too, when something is filtered by it.
    show : mapping
        For a column by name, from its value to what stands in the cell; `cell_text` where there is none.
    filters : mapping
        What can be filtered by: name of a column, to the values in the order in which they are offered, when they are
        there; others follow as they come. A value is what `str` makes of it.
    detail : callable or None
        From a record to what its row opens to.
    noun : tuple of str
        What one record is called, and several.

    Notes
    -----
    The key of a row is the place of its record, from 0. `append`, `extend` and `replace` may be called from any thread;
    tell the table with `Rows.changed` afterwards.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        records: Iterable[R] = (),
        *,
        value: Callable[[R, str], object] = getattr,
        show: Mapping[str, Callable[[Any], str | Cell]] | None = None,
        filters: Mapping[str, Sequence[str]] | None = None,
        detail: Callable[[R], Sequence[Fact]] | None = None,
        noun: tuple[str, str] = ("row", "rows"),
    ) -> None:
        self.columns = tuple(columns)
        self.noun = noun
        self._value = value
        self._show = dict(show or {})
        self._detail = detail
        self.has_detail = detail is not None
        self._offered = {name: tuple(map(str, values)) for name, values in (filters or {}).items()}
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in self._offered}
        self._chosen: dict[str, frozenset[str]] = {}
        self._words: tuple[str, ...] = ()
        self._order: Order = None
        self._records: list[R] = []
        self._texts: list[str | None] = []  # in lower case, made when first searched
        self._keys: list[tuple[int, Any] | None] = []  # to sort by, made when first sorted by that column
        self._shown: list[int] = []
        self._is_sorted = True
        self._lock = RLock()
        self.extend(records)

    # The records

    @property
    def records(self) -> tuple[R, ...]:
        """All records as they are now."""
        with self._lock:
            return tuple(self._records)

    def record(self, key: Key) -> R:
        """Return the record of a row."""
        return self._records[int(key)]

    def append(self, record: R) -> int:
        """Add a record behind all others; return the key of its row."""
        with self._lock:
            place = len(self._records)
            self.extend((record,))
            return place

    def extend(self, records: Iterable[R]) -> None:
        """Add records behind all others."""
        with self._lock:
            for record in records:
                place = len(self._records)
                self._records.append(record)
                self._texts.append(None)
                self._count(record, 1)
                if self._is_wanted(place):
                    self._shown.append(place)
                    self._is_sorted = self._order is None and self._is_sorted

    def replace(self, key: Key, record: R) -> None:
        """Put another record into the place of one."""
        with self._lock:
            place = int(key)
            was_wanted = self._is_wanted(place)
            self._count(self._records[place], -1)
            self._records[place] = record
            self._texts[place] = None
            if place < len(self._keys) and self._order is not None:
                self._keys[place] = _sorting_key(self._value(record, self._order[0]))
            self._count(record, 1)
            if was_wanted != self._is_wanted(place):
                self._refilter()
            self._is_sorted = self._order is None and self._is_sorted

    def _count(self, record: R, by: int) -> None:
        for name, counts in self._counts.items():
            counts[str(self._value(record, name))] += by

    # What the table asks

    def __len__(self) -> int:
        return len(self._shown)

    @property
    def total(self) -> int:
        return len(self._records)

    def window(self, start: int, stop: int) -> Sequence[Row]:
        with self._lock:
            self._sort_if_needed()
            return [Row(place, self._cells(place)) for place in self._shown[start:stop]]

    def _cells(self, place: int) -> tuple[str | Cell, ...]:
        record = self._records[place]
        return tuple(self._cell(record, column.name) for column in self.columns)

    def _cell(self, record: R, name: str) -> str | Cell:
        return self._show.get(name, cell_text)(self._value(record, name))

    def shown_keys(self) -> Sequence[Key]:
        with self._lock:
            self._sort_if_needed()
            return tuple(self._shown)

    def index(self, key: Key) -> int | None:
        with self._lock:
            self._sort_if_needed()
            try:
                return self._shown.index(int(key))
            except ValueError:
                return None

    def sort(self, order: Order) -> None:
        with self._lock:
            self._order = order
            self._keys = []
            self._is_sorted = False

    def _sort_if_needed(self) -> None:
        if self._is_sorted:
            return
        if self._order is None:
            self._shown.sort()
        else:
            name, is_descending = self._order
            keys = self._keys
            keys.extend(_sorting_key(self._value(one, name)) for one in self._records[len(keys) :])
            there = [place for place in self._shown if keys[place] is not None]
            gone = sorted(place for place in self._shown if keys[place] is None)
            there.sort(
                key=lambda place: (keys[place], -place if is_descending else place), reverse=is_descending
            )
            self._shown = there + gone
        self._is_sorted = True

    def search(self, text: str) -> None:
        with self._lock:
            self._words = tuple(text.lower().split())
            self._refilter()

    def filters(self) -> Sequence[Filter]:
        with self._lock:
            return [
                Filter(name, self._label(name), tuple(self._choices(name, values)))
                for name, values in self._offered.items()
            ]

    def _choices(self, name: str, offered: tuple[str, ...]) -> Iterable[Choice]:
        counts = self._counts[name]
        for value in (*offered, *(value for value in counts if value not in offered)):
            if counts[value] > 0 or value in self._chosen.get(name, ()):
                shown = self._show.get(name, cell_text)(value)
                cell = shown if isinstance(shown, Cell) else Cell(shown)
                yield Choice(value, cell.text or "none", counts[value], cell.tone)

    def _label(self, name: str) -> str:
        return next((column.label for column in self.columns if column.name == name), name)

    def choose(self, name: str, values: frozenset[str]) -> None:
        with self._lock:
            self._chosen[name] = values
            self._refilter()

    def _refilter(self) -> None:
        self._shown = [place for place in range(len(self._records)) if self._is_wanted(place)]
        self._is_sorted = self._order is None

    def _is_wanted(self, place: int) -> bool:
        record = self._records[place]
        if any(
            values and str(self._value(record, name)) not in values for name, values in self._chosen.items()
        ):
            return False
        if not self._words:
            return True
        text = self._texts[place]
        if text is None:
            cells = self._cells(place)
            text = "\n".join(cell.text if isinstance(cell, Cell) else cell for cell in cells).lower()
            self._texts[place] = text
        return all(word in text for word in self._words)

    def detail(self, key: Key) -> Sequence[Fact]:
        return self._detail(self.record(key)) if self._detail is not None else ()

    def copy_text(self, key: Key) -> str:
        return "\t".join(cell.text if isinstance(cell, Cell) else cell for cell in self._cells(int(key)))

    def close(self) -> None:
        with self._lock:
            self._records.clear()
            self._texts.clear()
            self._keys.clear()
            self._shown.clear()
            for counts in self._counts.values():
                counts.clear()


def cell_text(value: object) -> str:
    """Return a value as it stands in a cell: nothing for what is missing, one decimal for a fraction, one line."""
    if _is_missing(value):
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds").removesuffix("+00:00")
    text = one_line(str(value)[: _CELL_CHARACTERS + 1])
    return text if len(text) <= _CELL_CHARACTERS else f"{text[:_CELL_CHARACTERS]}\u2026"


def _is_missing(value: object) -> bool:
    """None, NaN, NaT and pandas.NA: the last three are not equal to themselves, or do not say."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def _sorting_key(value: object) -> tuple[int, Any] | None:
    if _is_missing(value) or value == "":
        return None
    if isinstance(value, bool | int | float):
        return 0, value
    if isinstance(value, datetime):
        return 1, value.timestamp()
    return 2, str(value).casefold()


def frame_source(
    frame: pd.DataFrame,
    columns: Sequence[Column] | None = None,
    *,
    show: Mapping[str, Callable[[Any], str | Cell]] | None = None,
    filters: Mapping[str, Sequence[str]] | None = None,
    detail: Callable[[int], Sequence[Fact]] | None = None,
    noun: tuple[str, str] = ("row", "rows"),
) -> RecordSource[int]:
    """Return the rows of a frame as they are now; the key of a row is its position.

    Parameters
    ----------
    frame : DataFrame
        Not changed and not copied; each column used is turned into Python values once.
    columns : sequence of Column or None
        Those to show; all, numbers on the right, by default.
    show, filters, noun
        As `RecordSource` takes them.
    detail : callable or None
        From a position to what its row opens to; every column with its whole value, by default.
    """
    from pandas.api.types import is_numeric_dtype

    shown = columns or [
        Column(str(name), str(name), align="right" if is_numeric_dtype(dtype) else "left", stretch=1)
        for name, dtype in frame.dtypes.items()
    ]
    values: dict[str, list[object]] = {}

    def value(position: int, name: str) -> object:
        if name not in values:
            values[name] = frame[name].tolist()
        return values[name][position]

    def facts(position: int) -> Sequence[Fact]:
        there = ((str(name), value(position, name)) for name in frame.columns)
        return [Fact(name, str(one), can_copy=True) for name, one in there if not _is_missing(one)]

    return RecordSource(
        shown,
        range(len(frame)),
        value=value,
        show=show,
        filters=filters,
        detail=detail or facts,
        noun=noun,
    )
