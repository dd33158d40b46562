"""The rows of a flat table: records of any kind in a list that may grow and change.

A record is known by its place in the list, and what is shown is a list of places; new records join it without
everything being filtered anew, and any thread may add them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from threading import RLock
from typing import Any, Generic, TypeVar

from dicomkit.tags import one_line
from dicomkit.widgets.table._sources import Cell, Choice, Column, Fact, Filter, Key, Order, Row, RowSource

R = TypeVar("R")

_CELL_CHARACTERS = 300


class RecordSource(RowSource, Generic[R]):
    """Records in the order in which they came, added to from any thread (call `Rows.changed` then).

    `value` and `show` make what stands in a cell of a record and the name of a column. `filters` has the
    values to choose from, by name of a column and in their order; others follow as they come, as `str` makes
    them. `detail` is what a row opens to.
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
        self._show = show or {}
        self._detail = detail
        self.has_detail = detail is not None
        self._offered = {name: tuple(map(str, values)) for name, values in (filters or {}).items()}
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in self._offered}
        self._chosen: dict[str, frozenset[str]] = {}
        self._words: tuple[str, ...] = ()
        self._order: Order = None
        self._records: list[R] = []
        self._first_key = 0
        self._texts: list[str | None] = []  # what is searched of each, made when first searched
        self._sort_keys: list[tuple[int, Any] | None] = []  # made when first sorted by that column
        self._shown: list[int] = []  # places in `_records`
        self._is_sorted = True
        self._lock = RLock()
        self.extend(records)

    # The records

    @property
    def records(self) -> tuple[R, ...]:
        """All records as they are now."""
        with self._lock:
            return tuple(self._records)

    def keys(self) -> range:
        """Return the keys of all records, shown or not."""
        with self._lock:
            return range(self._first_key, self._first_key + len(self._records))

    def record(self, key: Key) -> R:
        """Return the record of a row; LookupError where there is none any more."""
        with self._lock:
            return self._records[self._place(key)]

    def _place(self, key: Key) -> int:
        place = int(key) - self._first_key
        if not 0 <= place < len(self._records):
            raise LookupError(key)
        return place

    def append(self, record: R) -> int:
        """Add a record behind all others; return the key of its row."""
        with self._lock:
            self.extend((record,))
            return self._first_key + len(self._records) - 1

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
            place = self._place(key)
            was_wanted = self._is_wanted(place)
            self._count(self._records[place], -1)
            self._records[place] = record
            self._texts[place] = None
            if place < len(self._sort_keys) and self._order is not None:
                self._sort_keys[place] = _sort_key(self._value(record, self._order[0]))
            self._count(record, 1)
            if was_wanted != self._is_wanted(place):
                self._refilter()
            self._is_sorted = self._order is None and self._is_sorted

    def clear(self) -> None:
        """Let go of all records; their keys are not used again."""
        with self._lock:
            self._first_key += len(self._records)
            self._records.clear()
            self._texts.clear()
            self._sort_keys.clear()
            self._shown.clear()
            self._counts = {name: Counter() for name in self._counts}

    def close(self) -> None:
        self.clear()

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
            return [self._row(place) for place in self._shown[start:stop]]

    def _row(self, place: int) -> Row:
        return Row(self._first_key + place, self._cells(self._records[place]))

    def _cells(self, record: R) -> tuple[str | Cell, ...]:
        return tuple(self._shown_value(one.name, self._value(record, one.name)) for one in self.columns)

    def _shown_value(self, name: str, value: object) -> str | Cell:
        return self._show.get(name, cell_text)(value)

    def shown_keys(self) -> Sequence[Key]:
        with self._lock:
            self._sort_if_needed()
            return [self._first_key + place for place in self._shown]

    def sort(self, order: Order) -> None:
        with self._lock:
            self._order = order
            self._sort_keys = []
            self._is_sorted = False

    def _sort_if_needed(self) -> None:
        if not self._is_sorted:
            self._sort()
            self._is_sorted = True

    def _sort(self) -> None:
        if self._order is None:
            self._shown.sort()
            return
        name, is_descending = self._order
        keys = self._sort_keys
        keys.extend(_sort_key(self._value(one, name)) for one in self._records[len(keys) :])
        there = [place for place in self._shown if keys[place] is not None]
        missing = sorted(place for place in self._shown if keys[place] is None)
        there.sort(key=lambda place: (keys[place], -place if is_descending else place), reverse=is_descending)
        self._shown = there + missing

    def search(self, text: str) -> None:
        with self._lock:
            self._words = tuple(text.casefold().split())
            self._refilter()

    def filters(self) -> Sequence[Filter]:
        labels = {column.name: column.label for column in self.columns}
        with self._lock:
            return [
                Filter(name, labels.get(name, name), tuple(self._choices(name, values)))
                for name, values in self._offered.items()
            ]

    def _choices(self, name: str, offered: tuple[str, ...]) -> Iterable[Choice]:
        counts = self._counts[name]
        for value in dict.fromkeys((*offered, *counts)):
            if counts[value] > 0 or value in self._chosen.get(name, ()):
                shown = self._shown_value(name, value)
                cell = shown if isinstance(shown, Cell) else Cell(shown)
                yield Choice(value, cell.text or "none", counts[value], cell.tone)

    def choose(self, name: str, values: frozenset[str]) -> None:
        with self._lock:
            self._chosen[name] = values
            self._refilter()

    def _refilter(self) -> None:
        self._shown = [place for place in range(len(self._records)) if self._is_wanted(place)]
        self._is_sorted = self._order is None

    def _is_wanted(self, place: int) -> bool:
        record = self._records[place]
        for name, values in self._chosen.items():
            if values and str(self._value(record, name)) not in values:
                return False
        if not self._words:
            return True
        text = self._texts[place]
        if text is None:
            text = self._texts[place] = self._searched(record).casefold()
        return all(word in text for word in self._words)

    def _searched(self, record: R) -> str:
        return "\n".join(_texts(self._cells(record)))

    def detail(self, key: Key) -> Sequence[Fact]:
        return self._detail(self.record(key)) if self._detail is not None else ()

    def copy_text(self, key: Key) -> str:
        return "\t".join(_texts(self._cells(self.record(key))))


def _texts(cells: Iterable[str | Cell]) -> list[str]:
    return [cell.text if isinstance(cell, Cell) else cell for cell in cells]


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


def _sort_key(value: object) -> tuple[int, Any] | None:
    if _is_missing(value) or value == "":
        return None
    if isinstance(value, bool | int | float):
        return 0, value
    if isinstance(value, datetime):
        return 1, value.timestamp()
    return 2, str(value).casefold()
