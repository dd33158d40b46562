"""What a table shows: columns, rows, and the protocol of what the rows come from; plain Python, no browser.

A source keeps all its rows, sorts, filters and searches them itself, and hands out the few that are looked at; so a
table of a hundred thousand is no heavier than one of a hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Key: TypeAlias = "int | str"
Order: TypeAlias = "tuple[str, bool] | None"  # a column, and whether descending
Tone = Literal["", "good", "warning", "bad", "muted", "accent", "added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    label: str
    width_px: int = 120  # the least of it when it stretches
    stretch: int = 0  # its share of the room that is left; 0 keeps it at its width
    align: Literal["left", "right"] = "left"  # numbers stand on the right
    is_sortable: bool = True
    is_code: bool = False  # set in the font of code (tags, UIDs)
    meaning: str = ""  # shown when its head is pointed at


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place, when it is more than text; a `note` stands behind it, paler."""

    text: str
    tone: Tone = ""  # a colour, and a sign before the text that says the same without it
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, as it is shown; its `key` is no other's as long as the source lives."""

    key: Key
    cells: tuple[str | Cell, ...]
    level: int = 1  # depth in a tree
    is_open: bool | None = None  # whether the rows under it are shown; None without any
    tone: Tone = ""
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of what a row opens to: a label, its text, whether that is set as code and can be copied."""

    label: str
    text: str
    is_code: bool = False
    can_copy: bool = False
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter, with how many rows have it (None: not counted)."""

    value: str
    label: str
    count: int | None = None
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """What can be chosen from to see fewer rows; with nothing chosen all are seen."""

    name: str
    label: str
    choices: tuple[Choice, ...]


class RowSource:
    """Where the rows of a table come from; this one has none.

    Of the other methods a source has those for what can be done with it. All are called under the lock of the
    table.
    """

    columns: Sequence[Column] = ()
    is_tree: bool = False
    has_detail: bool = False
    noun: tuple[str, str] = ("row", "rows")  # one of them, several of them

    def __len__(self) -> int:
        """Return how many rows there are to scroll through now."""
        return 0

    @property
    def total(self) -> int:
        """How many there are with no search and no filter."""
        return len(self)

    @property
    def hits(self) -> int:
        """How many of the rows to scroll through are there for themselves, and not to show where another is."""
        return len(self)

    def window(self, start: int, stop: int) -> Sequence[Row]:
        """Return the rows from `start` up to `stop`, in the order in which they are shown."""
        return ()

    def shown_keys(self) -> Sequence[Key]:
        """Return the keys of the rows to scroll through, in their order."""
        return ()

    def index(self, key: Key) -> int | None:
        """Return at which place a row is now, or None when it is not shown."""
        try:
            return self.shown_keys().index(key)
        except ValueError:
            return None

    def sort(self, order: Order) -> None:
        """Sort by a column, descending or not; None is the order in which the rows came."""

    def search(self, text: str) -> None:
        """Show what holds every word of the text; nothing searches nothing."""

    def filters(self) -> Sequence[Filter]:
        """Return what there is to choose from, with its counts as they are now."""
        return ()

    def choose(self, name: str, values: frozenset[str]) -> None:
        """Show what has one of these values of the filter of that name; no values shows all."""

    def set_open(self, key: Key, is_open: bool) -> None:
        """Show the rows under a row, or hide them."""

    def parent(self, key: Key) -> Key | None:
        """Return the row that this one is under."""
        return None

    def detail(self, key: Key) -> Sequence[Fact]:
        """Return what a row opens to, the text of the first being its title; with nothing it does not open."""
        return ()

    def copy_text(self, key: Key) -> str:
        """Return what is copied of a row."""
        return ""

    def close(self) -> None:
        """Let go of the rows."""
