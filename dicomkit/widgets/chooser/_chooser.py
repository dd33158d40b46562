"""SourceChooser: choose what to send among the folders of the machine that the kernel runs on.

What is chosen is a set of paths that stays while one goes from folder to folder, and of which none lies in another; the
boxes in the table are only a view of that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

import traitlets as t
from ipywidgets import Layout, VBox  # type: ignore[import-untyped]

from dicomkit._support.quantities import counted
from dicomkit.widgets._bar import Button, Note, StepBar, StepField, StepState
from dicomkit.widgets._ticker import Ticker
from dicomkit.widgets._widget import ClosesLayout
from dicomkit.widgets.chooser._listing import FolderRows, Listing, shown_name
from dicomkit.widgets.table import Rows

_NAMES_SHOWN = 3


class SourceChooser(ClosesLayout, VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A listing of a folder, with boxes to choose what is in it; nothing is uploaded.

    Parameters
    ----------
    folder : path
        Which folder is open at first; the kernel's working folder without.

    Attributes
    ----------
    folder : Path
        The folder that is open; may be set, also to a relative path, which is taken from the working folder.
    selected : tuple of Path
        What is chosen; may be set. Nothing is until somebody chooses. It stays while other folders are opened. Of two
        that lie in each other the one that was chosen last remains, and all that is in a folder is the folder.

    Notes
    -----
    Both can be observed. Hidden files and folders are left out of the listing; a folder that is sent is sent with them.

    Raises
    ------
    TraitError
        `folder` is no folder.
    """

    folder = t.Any()
    selected = t.Any(())

    _is_closed = True  # until it is made: what cannot be made is closed as well when it is forgotten

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._refusal: Note | None = None
        self._cursor = ""  # the name that gets the cursor when the folder is listed
        self._bar = StepBar(self._press)
        self._bar_lock = Lock()  # so that what is shown last is what was so last
        self._counting = Ticker(self._show, "dicomkit folder count", is_immediate=True)
        self._rows = FolderRows(self._go)
        self._table = Rows(self._rows, label="Folder", height_px=300, can_check=True)
        try:
            super().__init__(layout=Layout(width="100%"))
            self.add_class("dk-stack")
            self.folder = Path.cwd() if folder is None else folder
        except t.TraitError:
            self._close_parts()
            raise
        self._is_closed = False
        self.children = (self._bar, self._table)
        self._listing: Listing
        self._list()
        self._table.observe(self._on_checked, "checked")
        self.observe(lambda _change: self.refresh(), "folder")
        self.observe(self._on_selected, "selected")

    def refresh(self) -> None:
        """List the folder anew; returns at once."""
        if self._is_closed:
            return
        self._listing.stop()
        self._list()

    def close(self) -> None:
        """Free the listing, the observers and the models; the views go, too."""
        if self._is_closed:
            return
        self._is_closed = True
        self._close_parts()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.selected)} chosen>"

    def _close_parts(self) -> None:
        self._counting.close()
        self._table.close()
        self._bar.close()
        super().close()

    # The folder

    @t.validate("folder")
    def _is_folder(self, proposal: Any) -> Path:
        path = _absolute(proposal.value)
        if not os.path.isdir(path):  # noqa: PTH112 - a Path raises for a NUL in it
            raise t.TraitError(f"{shown_name(str(path))} is no folder, or cannot be seen; name a folder")
        return path

    def _list(self) -> None:
        self._listing = Listing(self.folder, self._on_listing, self._on_look)
        self._rows.expect(self._listing)
        self._table.active = self._table.opened = None
        self._table.checked = frozenset()
        self._table.search_text = ""
        self._table.changed()
        self._show()
        self._listing.start()

    def _on_listing(self, listing: Listing) -> None:
        """In the thread of a listing, which may be of a folder that is open no more."""
        if not listing.is_listed:
            self._counting.wake()
            return
        if self._rows.fill(listing):
            self._mark()
            self._table.active = self._rows.key_of(self._cursor)
            self._cursor = ""
            self._table.changed()
        if listing is self._listing:
            self._show()

    def _on_look(self, is_all: bool) -> None:
        if is_all:
            self._rows.sizes_are_known()
        self._table.changed()

    def _go(self, folder: Path, cursor: str = "") -> None:
        """Open a folder, or say why not."""
        self._refusal = None
        self._cursor = cursor
        try:
            if folder == self.folder:
                self.refresh()
            self.folder = folder
        except t.TraitError as error:
            self._refusal = Note(f"{error}.", "error")
            self._show()

    # What is chosen

    @t.validate("selected")
    def _are_paths(self, proposal: Any) -> tuple[Path, ...]:
        given = proposal.value
        several = [given] if isinstance(given, (str, os.PathLike)) else given
        return keep_apart([_absolute(one) for one in several])

    def _on_selected(self, _change: object) -> None:
        self._mark()
        self._show()

    def _checked_by_choice(self) -> frozenset[int]:
        """The keys of the rows that are chosen, by themselves or with the folder that they are in."""
        folder = self._listing.folder
        chosen = set(self.selected)
        if folder in chosen or not chosen.isdisjoint(folder.parents):
            return frozenset(self._rows.keys())
        keys = (self._rows.key_of(path.name) for path in chosen if path.parent == folder)
        return frozenset(key for key in keys if key is not None)

    def _mark(self) -> None:
        self._table.checked = self._checked_by_choice()

    def _on_checked(self, change: Any) -> None:
        """Take over what was checked; a box of a folder that is open no more is none."""
        keys = self._rows.keys()
        before = self._checked_by_choice()
        added, removed = (
            {key for key in one if key in keys} for one in (change.new - change.old, change.old - change.new)
        )
        checked = before - removed | added
        if checked == before:
            return
        folder = self._listing.folder
        around = {folder, *folder.parents}
        others = [path for path in self.selected if path not in around and path.parent != folder]
        is_all = len(checked) == len(keys) > 1
        inside = [folder] if is_all else [self._rows.path_of(key) for key in sorted(checked)]
        self.selected = (*others, *inside)

    # What is pressed, and shown

    def _press(self, act: str, _label: str, text: str) -> None:
        if self._is_closed:
            return
        if act == "go":
            self._press_go(text)
        elif act == "up":
            self._press_up()
        elif act == "again":
            self._go(self.folder)
        elif act == "all":
            self.selected = (*self.selected, self.folder)
        elif act == "none":
            self.selected = ()

    def _press_go(self, text: str) -> None:
        path = _absolute(self.folder / os.path.expanduser(text.strip()))  # noqa: PTH111 - a Path raises for ~nobody
        is_file = os.path.isfile(path)  # noqa: PTH113 - a Path raises for a NUL in it
        self._go(path.parent if is_file else path, path.name if is_file else "")

    def _press_up(self) -> None:
        """Open the folder around this one, or the nearest of them that is still there."""
        around = [one for one in self.folder.parents if os.path.isdir(one)]  # noqa: PTH112
        if around:
            self._go(around[0], self.folder.name)

    def _show(self) -> None:
        with self._bar_lock:
            if not self._is_closed:
                self._bar.show(self._state())

    def _state(self) -> StepState:
        folder = self.folder
        is_top = folder.parent == folder
        is_taken = folder in self.selected
        up = "There is nothing above" if is_top else "Open the folder around"
        this = "It is chosen" if is_taken else "All that is in it, at any depth"
        buttons = [
            Button("up", "Up", up, not is_top),
            Button("again", "List again", "Look at the folder anew"),
            Button("all", "Choose this folder", this, not is_taken, is_main=not self.selected),
            Button("none", "Choose nothing", "Forget what is chosen", bool(self.selected)),
        ]
        notes = [self._refusal, _words_of(self._listing), _words_of_choice(self.selected)]
        return StepState(
            label="Choose",
            field=StepField("go", "Folder", shown_name(str(folder))),
            buttons=buttons,
            notes=[note for note in notes if note is not None],
        )


def keep_apart(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return paths of which none lies in another, or is there twice: the later one stays."""
    kept: dict[Path, None] = {}
    around: set[Path] = set()
    is_inside: dict[Path, bool] = {}  # by the folder, which many have in common
    for path in reversed(list(paths)):
        folder = path.parent
        if folder not in is_inside:
            is_inside[folder] = any(one in kept for one in (folder, *folder.parents))
        if path in kept or path in around or is_inside[folder]:
            continue
        kept[path] = None
        if folder not in around:
            around.update((folder, *folder.parents))
    return tuple(reversed(kept))


def _absolute(path: str | os.PathLike[str]) -> Path:
    """From the working folder, with ``..`` taken out and links left as they are."""
    # There may be 100,000 of them.
    if isinstance(path, Path) and path.is_absolute() and ".." not in path.parts:
        return path
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - a Path follows links, or raises


def _words_of(listing: Listing) -> Note:
    if not listing.is_listed:
        return Note(f"Listing: {listing.count:,} so far \u2026")
    if listing.fault:
        return Note(f"{shown_name(str(listing.folder))} cannot be listed: {listing.fault}.", "error")
    if not listing.entries:
        return Note("There is nothing in this folder.")
    folders = sum(entry.is_folder for entry in listing.entries)
    files = len(listing.entries) - folders
    parts = [counted(n, noun) for n, noun in ((folders, "folder"), (files, "file")) if n]
    return Note(f"{' and '.join(parts)} here.")


def _words_of_choice(chosen: tuple[Path, ...]) -> Note:
    if not chosen:
        return Note("Nothing is chosen: check folders or files, or choose this folder as it is.")
    names = [shown_name(path.name or str(path)) for path in chosen[:_NAMES_SHOWN]]
    more = len(chosen) - len(names)
    return Note(f"Chosen: {', '.join(names)}{f' and {more:,} more' if more else ''}.", "done")
