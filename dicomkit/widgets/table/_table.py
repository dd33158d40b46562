"""Rows: the table that tags, sources and results share, in a notebook.

The one idea: the rows stay in the kernel, and the browser asks for the few that it shows; each answer carries the
revision of the order it was taken from, so that a stale one is known and dropped.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from threading import RLock, Timer
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets as t

from dicomkit.widgets._assets import javascript, stylesheet
from dicomkit.widgets.table._sources import Row, RowSource

if TYPE_CHECKING:
    from dicomkit.widgets.table._sources import Key, Order

__all__ = ["Rows"]

WINDOW_ROWS = 200  # more are never sent at once
UPDATE_SECONDS = 0.2  # between two updates on our own account
_VIEWS_KEPT = 8  # of which we know what they show; pages that were closed may not have said so
_ANY_VIEW = "*"
_DETAIL_CHARACTERS = 1_000_000  # of one fact
_OF_ALL = slice(None)


@dataclass(slots=True)
class _View:
    """What one view shows: which rows, and as what they were last sent."""

    start: int = 0
    stop: int = 60
    sent: list[dict[str, Any]] = field(default_factory=list)


class Rows(anywidget.AnyWidget):
    """A table over a `RowSource`, for a hundred rows as for a hundred thousand.

    Parameters
    ----------
    source : RowSource
        Where the rows come from; it is closed with the table.
    label : str
        What the table is called, for those who hear it read.
    caption : str
        A sentence above the table, such as what it is of.
    height_px : int
        Most of its height; fewer rows take less.
    can_check : bool
        Whether rows have check boxes.
    can_search : bool
        Whether there is a field to search in.

    Attributes
    ----------
    active : key or None
        The row with the cursor.
    opened : key or None
        The row whose details are shown.
    checked : frozenset of keys
        The rows whose boxes are checked.
    search_text : str
        What is searched for: words that a row has to hold all of.
    order : tuple of str and bool, or None
        The column it is sorted by, and whether descending.
    chosen : dict
        What is chosen in the filters: name to a frozenset of values; with none all rows are shown.

    Notes
    -----
    All attributes can be observed and set, from any thread; none is saved with a notebook. Tell a table that its
    source has changed by `changed`.
    """

    _esm = javascript(
        "elements.js",
        "keys.js",
        "kernel.js",
        "table/parts.js",
        "table/bar.js",
        "table/detail.js",
        "table/grid.js",
        "table/view.js",
        "table/table.js",
    )
    _css = stylesheet()

    active = t.Any(None, allow_none=True)
    opened = t.Any(None, allow_none=True)
    checked = t.Any(frozenset())
    search_text = t.Unicode("")
    order = t.Any(None, allow_none=True)
    chosen = t.Dict()
    caption = t.Unicode("")

    _is_closed = True  # until it is made: what cannot be made is closed as well when it is forgotten

    def __init__(
        self,
        source: RowSource,
        *,
        label: str = "Rows",
        caption: str = "",
        height_px: int = 420,
        can_check: bool = False,
        can_search: bool = True,
    ) -> None:
        self._lock = RLock()
        self._source = source
        self._views: OrderedDict[str, _View] = OrderedDict()
        self._revision = 0
        self._said_by: tuple[str, int] = ("", 0)  # the view that moved the cursor, and its count of that
        self._last_update = 0.0
        self._timer: Timer | None = None
        self._is_closed = False
        self._look = {
            "label": label,
            "height": height_px,
            "canCheck": can_check,
            "canSearch": can_search,
        }
        super().__init__()
        self.caption = caption
        self.chosen = {}
        self.observe(self._on_search, "search_text")
        self.observe(self._on_order, "order")
        self.observe(self._on_chosen, "chosen")
        self.observe(self._on_active, "active")
        self.observe(self._on_opened, "opened")
        self.observe(self._on_shown_only, ["checked", "caption"])
        self.on_msg(self._hear)

    # For Python

    @property
    def source(self) -> RowSource:
        """Where the rows come from."""
        return self._source

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Held while a message of the browser is answered; hold it where rows and boxes have to change together."""
        return self._lock

    def changed(self) -> None:
        """Show what the source holds now; from any thread, and as often as you like.

        The browser hears of it at most five times a second, and of the last change for certain.
        """
        with self._lock:
            if self._is_closed or self._timer is not None:
                return
            wait_seconds = self._last_update + UPDATE_SECONDS - time.monotonic()
            if wait_seconds <= 0:
                self._update()
                return
            self._timer = Timer(wait_seconds, self._late_update)
            self._timer.daemon = True
            self._timer.start()

    def check_all(self) -> None:
        """Check the boxes of all rows that are shown, besides those checked already."""
        with self._lock:
            self.checked = self.checked | frozenset(self._source.shown_keys())

    def close(self) -> None:
        """Free the rows, the observers and the model; the views go, too."""
        if self._is_closed:
            return
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self.on_msg(self._hear, remove=True)
            self.unobserve_all()
            self._views.clear()
            self._source.close()
            self._source = _NoRows()
        layout = self.layout
        super().close()
        layout.close()

    def __repr__(self) -> str:
        source = self._source
        # As the bar of the table says it: headings, and what is open under a row, are no further ones of all.
        is_narrowed = bool(self.search_text) or any(self.chosen.values())
        count = source.hits if is_narrowed else source.total
        return f"<{type(self).__name__}: {count} of {source.total} {source.noun[1]}>"

    # What the browser is told

    def _late_update(self) -> None:
        with self._lock:
            self._timer = None
            if not self._is_closed:
                self._update()

    def _update(self) -> None:
        self._last_update = time.monotonic()
        self._tell(is_live=True)
        if self.opened is not None:
            self._tell_detail()

    def _tell(self, *, to_top: bool = False, is_live: bool = False) -> None:
        """Tell all views what is shown now, each with its rows unless they stayed the same."""
        with self._lock:
            if self._is_closed:
                return
            self._revision += 1
            windows: dict[str, Any] = {}
            same = []
            for name, view in self._views.items():
                if to_top:
                    view.start, view.stop = 0, view.stop - view.start
                rows = self._rows(view.start, view.stop)
                if rows == view.sent:
                    same.append(name)
                else:
                    view.sent = rows
                    windows[name] = {"start": view.start, "rows": rows}
            told = {"kind": "state", "state": self._state(), "windows": windows, "same": same}
            if not self._views:  # one may be there that could not ask, because a cell runs
                told["look"] = self._looks()
                windows[_ANY_VIEW] = {"start": 0, "rows": self._rows(0, _View().stop)}
            self.send({**told, "toTop": to_top, "isLive": is_live})

    def _rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        checked = self.checked if self._look["canCheck"] else ()
        return [_as_message(row, row.key in checked) for row in self._source.window(start, stop)]

    def _state(self) -> dict[str, Any]:
        source = self._source
        return {
            "revision": self._revision,
            "count": len(source),
            "hits": source.hits,
            "total": source.total,
            "caption": self.caption,
            "order": list(self.order) if self.order else None,
            "search": self.search_text,
            "filters": [
                {
                    "name": one.name,
                    "label": one.label,
                    "choices": [
                        {
                            "value": choice.value,
                            "label": choice.label,
                            "count": choice.count,
                            "tone": choice.tone,
                            "isChosen": choice.value in self.chosen.get(one.name, ()),
                        }
                        for choice in one.choices
                    ],
                }
                for one in source.filters()
            ],
            "checked": len(self.checked),
            "checkedShown": self._checked_shown(),
            "opened": self.opened,
            **self._cursor(),
        }

    def _checked_shown(self) -> int:
        if not self._look["canCheck"] or not self.checked:
            return 0
        return sum(key in self.checked for key in self._source.shown_keys())

    def _cursor(self) -> dict[str, Any]:
        place = self._source.index(self.active) if self.active is not None else None
        return {
            "active": self.active,
            "activeIndex": -1 if place is None else place,
            "by": self._said_by[0],
            "move": self._said_by[1],
        }

    def _looks(self) -> dict[str, Any]:
        source = self._source
        return {
            **self._look,
            "isTree": source.is_tree,
            "hasDetail": source.has_detail,
            "noun": list(source.noun),
            "columns": [
                {
                    "name": one.name,
                    "label": one.label,
                    "width": one.width_px,
                    "stretch": one.stretch,
                    "align": one.align,
                    "isSortable": one.is_sortable,
                    "isCode": one.is_code,
                    "meaning": one.meaning,
                }
                for one in source.columns
            ],
        }

    def _tell_detail(self) -> None:
        key = self.opened
        facts = self._source.detail(key) if key is not None else ()
        self.send(
            {
                "kind": "detail",
                "key": key,
                "facts": [
                    {
                        "label": fact.label,
                        "text": _shortened(fact.text),
                        "isCode": fact.is_code,
                        "canCopy": fact.can_copy,
                        "tone": fact.tone,
                    }
                    for fact in facts
                ],
            }
        )

    # What follows from a change of an attribute

    def _on_search(self, change: Any) -> None:
        with self._lock:
            self._source.search(change.new)
            self._tell(to_top=True)

    def _on_order(self, change: Any) -> None:
        with self._lock:
            self._source.sort(change.new)
            self._tell(to_top=True)

    def _on_chosen(self, change: Any) -> None:
        with self._lock:
            for name in {**change.old, **change.new}:
                values = change.new.get(name, frozenset())
                if values != change.old.get(name, frozenset()):
                    self._source.choose(name, values)
            self._tell(to_top=True)

    def _on_shown_only(self, _change: Any) -> None:
        self._tell()

    def _on_active(self, _change: Any) -> None:
        with self._lock:
            self.send({"kind": "active", **self._cursor()})
            if self.opened is not None and self.active is not None:
                self.opened = self.active

    def _on_opened(self, _change: Any) -> None:
        with self._lock:
            self._tell_detail()

    @t.validate("checked")
    def _as_set(self, proposal: Any) -> frozenset[Key]:
        return frozenset(proposal.value)

    @t.validate("order")
    def _is_order(self, proposal: Any) -> Order:
        if proposal.value is None:
            return None
        name, is_descending = proposal.value
        names = [column.name for column in self._source.columns if column.is_sortable]
        if name not in names:
            raise t.TraitError(f"cannot sort by {name!r}; sort by one of {', '.join(names)}")
        return str(name), bool(is_descending)

    @t.validate("chosen")
    def _are_filters(self, proposal: Any) -> dict[str, frozenset[str]]:
        names = [one.name for one in self._source.filters()]
        for name in proposal.value:
            if name not in names:
                raise t.TraitError(f"no filter is called {name!r}; choose from {', '.join(names) or 'none'}")
        return {name: frozenset(values) for name, values in proposal.value.items()}

    # What the browser says

    def _hear(self, _widget: object, content: Any, _buffers: object) -> None:
        """Do what a custom message asks; one that is not ours, or is about what is not there, is passed over."""
        answer = _ANSWERS.get(str(content.get("kind"))) if isinstance(content, dict) else None
        if answer is None:
            return
        with self._lock, suppress(KeyError, TypeError, ValueError, LookupError, t.TraitError):
            answer(self, content)

    def _hear_hello(self, said: dict[str, Any]) -> None:
        name = str(said["view"])
        view = self._views[name] = _View()
        while len(self._views) > _VIEWS_KEPT:
            self._views.popitem(last=False)
        view.sent = self._rows(view.start, view.stop)
        self.send(
            {
                "kind": "state",
                "look": self._looks(),
                "for": name,
                "state": self._state(),
                "windows": {name: {"start": view.start, "rows": view.sent}},
                "same": [],
                "toTop": False,
                "isLive": False,
            }
        )
        if self.opened is not None:
            self._tell_detail()

    def _hear_bye(self, said: dict[str, Any]) -> None:
        self._views.pop(str(said["view"]), None)

    def _hear_window(self, said: dict[str, Any]) -> None:
        name, start, stop = str(said["view"]), int(said["start"]), int(said["stop"])
        start = max(0, start)
        view = self._views.setdefault(name, _View())
        self._views.move_to_end(name)
        view.start, view.stop = start, min(stop, start + WINDOW_ROWS)
        if said["revision"] != self._revision:
            return  # what tells of the newer one is under way, and the view asks again
        view.sent = self._rows(view.start, view.stop)
        self.send(
            {
                "kind": "window",
                "view": name,
                "revision": self._revision,
                "start": start,
                "rows": view.sent,
            }
        )

    def _hear_search(self, said: dict[str, Any]) -> None:
        self.search_text = said["text"]

    def _hear_order(self, said: dict[str, Any]) -> None:
        self.order = (said["column"], said["isDescending"]) if said["column"] is not None else None

    def _hear_choose(self, said: dict[str, Any]) -> None:
        name, value = str(said["name"]), str(said["value"])
        self.chosen = {**self.chosen, name: self.chosen.get(name, frozenset()) ^ {value}}

    def _hear_activate(self, said: dict[str, Any]) -> None:
        self._said_by = str(said["view"]), int(said["move"])
        key = said["key"]
        if key is None and said["revision"] == self._revision:
            place = int(said["index"])
            key = next((row.key for row in self._source.window(place, place + 1)), None)
        if key is not None and key != self.active:
            self.active = key
        else:
            self.send({"kind": "active", **self._cursor()})

    def _hear_expand(self, said: dict[str, Any]) -> None:
        self._source.set_open(said["key"], bool(said["isOpen"]))
        self._tell()

    def _hear_parent(self, said: dict[str, Any]) -> None:
        parent = self._source.parent(said["key"])
        if parent is not None:
            self._said_by = "", 0
            self.active = parent

    def _hear_detail(self, said: dict[str, Any]) -> None:
        self.opened = said["key"]

    def _hear_copy(self, said: dict[str, Any]) -> None:
        text = _shortened(self._source.copy_text(said["key"]))
        self.send({"kind": "copied", "view": str(said["view"]), "text": text})

    def _hear_check(self, said: dict[str, Any]) -> None:
        keys: Iterable[Key]
        if "key" in said:
            keys = (said["key"],)
        elif said["revision"] != self._revision:
            return
        else:
            places = slice(int(said["start"]), int(said["stop"])) if "start" in said else _OF_ALL
            keys = tuple(self._source.shown_keys())[places]
        self.checked = self.checked | set(keys) if said["isChecked"] else self.checked - set(keys)


_ANSWERS = {
    "hello": Rows._hear_hello,
    "bye": Rows._hear_bye,
    "window": Rows._hear_window,
    "search": Rows._hear_search,
    "order": Rows._hear_order,
    "choose": Rows._hear_choose,
    "activate": Rows._hear_activate,
    "expand": Rows._hear_expand,
    "parent": Rows._hear_parent,
    "detail": Rows._hear_detail,
    "copy": Rows._hear_copy,
    "check": Rows._hear_check,
}


class _NoRows(RowSource):
    """What a closed table has."""

    def __len__(self) -> int:
        return 0

    def window(self, start: int, stop: int) -> Sequence[Row]:
        return ()

    def shown_keys(self) -> Iterable[Key]:
        return ()


def _as_message(row: Row, is_checked: bool) -> dict[str, Any]:
    return {
        "key": row.key,
        "cells": [
            cell if isinstance(cell, str) else {"text": cell.text, "tone": cell.tone, "note": cell.note}
            for cell in row.cells
        ],
        "level": row.level,
        "isOpen": row.is_open,
        "tone": row.tone,
        "isHeading": row.is_heading,
        "isChecked": is_checked,
    }


def _shortened(text: str) -> str:
    if len(text) <= _DETAIL_CHARACTERS:
        return text
    return f"{text[:_DETAIL_CHARACTERS]}\n\u2026 and {len(text) - _DETAIL_CHARACTERS} more characters"
