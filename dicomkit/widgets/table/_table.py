"""Rows: the table that tags, sources and results share, in a notebook.

The rows stay in the kernel, and the browser asks for the few that it shows. Each answer carries the revision of the
order it was taken from, so that a stale one is known and dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any

import traitlets as t

from dicomkit.widgets._assets import javascript
from dicomkit.widgets._ticker import Ticker
from dicomkit.widgets._widget import MessageWidget
from dicomkit.widgets.table._sources import Row, RowSource

if TYPE_CHECKING:
    from dicomkit.widgets.table._sources import Key, Order

WINDOW_ROWS = 200  # more are never sent at once
_VIEWS_KEPT = 8  # of which we know what they show; pages that were closed may not have said so
_ANY_VIEW = "*"


@dataclass(slots=True)
class _View:
    """What one view shows: which rows, and as what they were last sent."""

    start: int = 0
    stop: int = 60
    sent: list[dict[str, Any]] = field(default_factory=list)


class Rows(MessageWidget):
    """A table over a `RowSource`, which is closed with it, for a hundred rows as for a hundred thousand.

    `label` is what it is called for those who hear it read, `caption` a sentence above it, and `height_px`
    the most of its height. All traits can be observed and set, from any thread; none is saved with a
    notebook. Call `changed` when the source has changed.
    """

    _esm = javascript("table/grid.js", "table/view.js")

    active = t.Any(None, allow_none=True)  # key of the row with the cursor
    opened = t.Any(None, allow_none=True)  # and of the one whose details are shown
    checked = t.Any(frozenset())
    search_text = t.Unicode("")  # words that a row has to hold all of
    order = t.Any(None, allow_none=True)  # a column, and whether descending
    chosen = t.Dict()  # in the filters: name to a frozenset of values; with none all rows are shown
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
    ) -> None:
        self._lock = RLock()
        self._source = source
        self._views: OrderedDict[str, _View] = OrderedDict()
        self._revision = 0
        self._moved_by: tuple[str, int] = ("", 0)  # the view that moved the cursor, and its count of that
        self._ticker = Ticker(self._update, "dicomkit table", is_immediate=True)
        self._look = {"label": label, "height": height_px, "canCheck": can_check}
        super().__init__()
        self._is_closed = False
        self.caption = caption
        self.chosen = {}
        self.observe(self._on_narrowed, ["search_text", "order", "chosen"])
        self.observe(self._on_active, "active")
        self.observe(self._on_opened, "opened")
        self.observe(lambda _change: self._send_state(), ["checked", "caption"])

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
        """Show what the source holds now, at most five times a second; from any thread."""
        self._ticker.wake()

    def close(self) -> None:
        """Free the rows, the observers and the model; the views go, too."""
        if self._is_closed:
            return
        self._ticker.close()
        with self._lock:
            self._is_closed = True
            self._views.clear()
            self._source.close()
            self._source = RowSource()
        super().close()

    def __repr__(self) -> str:
        source = self._source
        # As the bar of the table says it: headings, and what is open under a row, are no further ones of all.
        is_narrowed = bool(self.search_text) or any(self.chosen.values())
        count = source.hits if is_narrowed else source.total
        return f"<{type(self).__name__}: {count} of {source.total} {source.noun[1]}>"

    # What is sent to the browser

    def _update(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._send_state(is_live=True)
            if self.opened is not None:
                self._send_detail()

    def _send_state(self, *, to_top: bool = False, is_live: bool = False) -> None:
        """Send all views what is shown now, each with its rows unless they stayed the same."""
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
            more: dict[str, Any] = {"toTop": to_top, "isLive": is_live}
            if not self._views:  # one may be there that could not ask, because a cell runs
                more["look"] = self._looks()
                windows[_ANY_VIEW] = {"start": 0, "rows": self._rows(0, _View().stop)}
            self.send({"kind": "state", "state": self._state(), "windows": windows, "same": same, **more})

    def _rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        checked = self.checked if self._look["canCheck"] else ()
        return [_as_message(row, row.key in checked) for row in self._source.window(start, stop)]

    def _state(self) -> dict[str, Any]:
        source = self._source
        is_any_checked = self._look["canCheck"] and self.checked
        return {
            "revision": self._revision,
            "count": len(source),
            "hits": source.hits,
            "total": source.total,
            "caption": self.caption,
            "order": list(self.order) if self.order else None,
            "search": self.search_text,
            "filters": [self._filter(one.name, asdict(one)) for one in source.filters()],
            "checked": len(self.checked),
            "checkedShown": sum(key in self.checked for key in source.shown_keys()) if is_any_checked else 0,
            "opened": self.opened,
            **self._cursor(),
        }

    def _filter(self, name: str, message: dict[str, Any]) -> dict[str, Any]:
        for choice in message["choices"]:
            choice["isChosen"] = choice["value"] in self.chosen.get(name, ())
        return message

    def _cursor(self) -> dict[str, Any]:
        place = self._source.index(self.active) if self.active is not None else None
        return {
            "active": self.active,
            "activeIndex": -1 if place is None else place,
            "by": self._moved_by[0],
            "move": self._moved_by[1],
        }

    def _looks(self) -> dict[str, Any]:
        source = self._source
        return {
            **self._look,
            "isTree": source.is_tree,
            "hasDetail": source.has_detail,
            "noun": list(source.noun),
            "columns": [asdict(one) for one in source.columns],
        }

    def _send_detail(self) -> None:
        facts = self._source.detail(self.opened) if self.opened is not None else ()
        self.send({"kind": "detail", "key": self.opened, "facts": [asdict(one) for one in facts]})

    # What follows from a change of an attribute

    def _on_narrowed(self, change: Any) -> None:
        with self._lock:
            if change.name == "search_text":
                self._source.search(change.new)
            elif change.name == "order":
                self._source.sort(change.new)
            else:
                for name in {**change.old, **change.new}:
                    values = change.new.get(name, frozenset())
                    if values != change.old.get(name, frozenset()):
                        self._source.choose(name, values)
            self._send_state(to_top=True)

    def _on_active(self, _change: object) -> None:
        with self._lock:
            self.send({"kind": "active", **self._cursor()})
            if self.opened is not None and self.active is not None:
                self.opened = self.active

    def _on_opened(self, _change: object) -> None:
        with self._lock:
            self._send_detail()

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

    # What the browser asks

    def _hear(self, widget: object, content: Any, buffers: object) -> None:
        """Answer a custom message; one that is not ours, or is about what is not there, is passed over."""
        with self._lock, suppress(KeyError, TypeError, ValueError, LookupError, t.TraitError):
            super()._hear(widget, content, buffers)

    def _hear_hello(self, asked: dict[str, Any]) -> None:
        name = str(asked["view"])
        view = self._views[name] = _View()
        while len(self._views) > _VIEWS_KEPT:
            self._views.popitem(last=False)
        view.sent = self._rows(view.start, view.stop)
        windows = {name: {"start": view.start, "rows": view.sent}}
        about = {"look": self._looks(), "for": name, "toTop": False, "isLive": False}
        self.send({"kind": "state", "state": self._state(), "windows": windows, "same": [], **about})
        if self.opened is not None:
            self._send_detail()

    def _hear_bye(self, asked: dict[str, Any]) -> None:
        self._views.pop(str(asked["view"]), None)

    def _hear_window(self, asked: dict[str, Any]) -> None:
        name, start, stop = str(asked["view"]), max(0, int(asked["start"])), int(asked["stop"])
        view = self._views.setdefault(name, _View())
        self._views.move_to_end(name)
        view.start, view.stop = start, min(stop, start + WINDOW_ROWS)
        if asked["revision"] != self._revision:
            return  # the newer one is under way, and the view asks again
        view.sent = self._rows(view.start, view.stop)
        window = {"revision": self._revision, "start": start, "rows": view.sent}
        self.send({"kind": "window", "view": name, **window})

    def _hear_search(self, asked: dict[str, Any]) -> None:
        self.search_text = asked["text"]

    def _hear_order(self, asked: dict[str, Any]) -> None:
        self.order = (asked["column"], asked["isDescending"]) if asked["column"] is not None else None

    def _hear_choose(self, asked: dict[str, Any]) -> None:
        name, value = str(asked["name"]), str(asked["value"])
        self.chosen = {**self.chosen, name: self.chosen.get(name, frozenset()) ^ {value}}

    def _hear_activate(self, asked: dict[str, Any]) -> None:
        self._moved_by = str(asked["view"]), int(asked["move"])
        key = asked["key"]
        if key is None and asked["revision"] == self._revision:
            place = int(asked["index"])
            key = next((row.key for row in self._source.window(place, place + 1)), None)
        if key is not None and key != self.active:
            self.active = key
        else:
            self.send({"kind": "active", **self._cursor()})

    def _hear_expand(self, asked: dict[str, Any]) -> None:
        self._source.set_open(asked["key"], bool(asked["isOpen"]))
        self._send_state()

    def _hear_parent(self, asked: dict[str, Any]) -> None:
        parent = self._source.parent(asked["key"])
        if parent is not None:
            self._moved_by = "", 0
            self.active = parent

    def _hear_detail(self, asked: dict[str, Any]) -> None:
        self.opened = asked["key"]

    def _hear_copy(self, asked: dict[str, Any]) -> None:
        text = self._source.copy_text(asked["key"])
        self.send({"kind": "copied", "view": str(asked["view"]), "text": text})

    def _hear_check(self, asked: dict[str, Any]) -> None:
        """One row, a range of them, or all that are shown."""
        if "key" in asked:
            keys = {asked["key"]}
        elif asked["revision"] != self._revision:
            return
        else:
            keys = set(self._source.shown_keys()[asked.get("start") : asked.get("stop")])
        self.checked = self.checked | keys if asked["isChecked"] else self.checked - keys


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
