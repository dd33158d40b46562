"""What is in a folder of the kernel's machine, as rows of a table: names at once, the rest when it is looked at.

A folder is listed by name in a thread, which costs little even for a hundred thousand. Sizes, and whether a file is
DICOM, are found out for the rows that are shown, and sizes of all only when they are sorted by.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock, Thread

from dicomkit._support.quantities import in_bytes
from dicomkit.sources import PREFIX_END, describe_os_error, has_prefix
from dicomkit.tags import one_line
from dicomkit.widgets.table import Cell, Column, Fact, Key, Order, RecordSource, Row, cell_text

FOLDER, DICOM, ZIP, FILE = "folder", "DICOM file", "zip archive", "file"
OTHER, UNREADABLE = "neither file nor folder", "cannot be read"
_DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dic", ".ima"})
_COUNT_STEP = 256  # entries listed between two reports of how many there are

_COLUMNS = (
    Column("name", "Name", 184, stretch=4),
    Column("kind", "Kind", 110, stretch=1),
    Column("size_bytes", "Size", 90, align="right"),
    Column("modified", "Modified", 142),
)
_NEED_STATUS = frozenset({"size_bytes", "modified"})


@dataclass(slots=True)
class Entry:
    """One name in a folder, and what is known of it so far."""

    name: str
    kind: str  # by its suffix, until it was looked at
    size_bytes: int | None = None
    modified: float | None = None  # seconds since the epoch
    fault: str = ""  # why it cannot be read
    has_status: bool = False  # size and time are known as far as they ever will be
    was_looked_at: bool = False  # and the file was opened, too

    @property
    def is_folder(self) -> bool:
        """Whether it can be opened."""
        return self.kind == FOLDER


class Listing:
    """A folder that is listed in a thread; `on_change` and `on_look` are called there, often, as more is
    known.
    """

    def __init__(
        self, folder: Path, on_change: Callable[[Listing], None], on_look: Callable[[bool], None]
    ) -> None:
        self.folder = folder
        self.count = 0  # of what was met so far
        self.entries: tuple[Entry, ...] = ()  # folders first, each kind by name; none until it is listed
        self.is_listed = False
        self.fault = ""  # why it cannot be listed
        self._on_change, self._on_look = on_change, on_look
        self._is_stopped = False
        self._lock = Lock()
        self._shown: deque[Entry] = deque()
        self._sorted_by: deque[Entry] = deque()
        self._looker: Thread | None = None

    def start(self) -> None:
        """List it; returns at once."""
        Thread(target=self._list, name="dicomkit folder", daemon=True).start()

    def stop(self) -> None:
        """Look at nothing more, and call nobody."""
        self._is_stopped = True

    def look_at(self, entries: Iterable[Entry]) -> None:
        """Find out size, time and kind of these, before anything else; returns at once."""
        self._want(self._shown, [one for one in entries if not one.was_looked_at])

    def find_sizes(self) -> None:
        """Find out size and time of all; returns at once."""
        self._want(self._sorted_by, [one for one in self.entries if not one.has_status])

    # In threads

    def _list(self) -> None:
        found = []
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if self._is_stopped:
                        return
                    if not _is_hidden(entry):
                        found.append(Entry(entry.name, _kind_by_name(entry)))
                        self.count = len(found)
                        if self.count % _COUNT_STEP == 0:
                            self._on_change(self)
        except OSError as error:
            self.fault = describe_os_error(error)
        found.sort(key=lambda one: (not one.is_folder, one.name.casefold(), one.name))
        self.entries = tuple(found)
        self.is_listed = True
        if not self._is_stopped:
            self._on_change(self)

    def _want(self, queue: deque[Entry], entries: Sequence[Entry]) -> None:
        with self._lock:
            waiting = set(map(id, queue))
            queue.extend(one for one in entries if id(one) not in waiting)
            if queue and self._looker is None and not self._is_stopped:
                self._looker = Thread(target=self._look, name="dicomkit folder", daemon=True)
                self._looker.start()

    def _look(self) -> None:
        while (next_ := self._next()) is not None:
            entry, is_to_open = next_
            path = self.folder / entry.name
            _find_status(entry, path)
            if is_to_open:
                _find_kind(entry, path)
            self._on_look(False)

    def _next(self) -> tuple[Entry, bool] | None:
        """The next entry, and whether to open it; reports, and ends the thread, when there is none."""
        with self._lock:
            if not self._is_stopped:
                if self._shown:
                    return self._shown.popleft(), True
                if self._sorted_by:
                    return self._sorted_by.popleft(), False
            self._looker = None
        if not self._is_stopped:
            self._on_look(True)
        return None


class FolderRows(RecordSource[Entry]):
    """The rows of whatever folder is open; `on_open` is called with the path of a folder whose row is opened."""

    is_tree = True  # whose branches are other folders: to open one is to go there

    def __init__(self, on_open: Callable[[Path], None]) -> None:
        self._on_open: Callable[[Path], None] | None = on_open
        self._listing: Listing | None = None
        self._key_of: dict[str, int] = {}
        super().__init__(_COLUMNS, noun=("entry", "entries"))
        self.has_detail = True

    # The folder

    def expect(self, listing: Listing | None) -> None:
        """Show nothing, until this one is listed."""
        with self._lock:
            self.clear()
            self._listing, self._key_of = listing, {}

    def fill(self, listing: Listing) -> bool:
        """Show a folder that is listed; return whether it is the one that is expected."""
        with self._lock:
            if listing is not self._listing:
                return False
            self.extend(listing.entries)
            self._key_of = {entry.name: key for key, entry in zip(self.keys(), listing.entries, strict=True)}
            return True

    def sizes_are_known(self) -> None:
        """Sort anew, by what was found out."""
        with self._lock:
            if self._order is not None and self._order[0] in _NEED_STATUS:
                self._is_sorted = False

    def key_of(self, name: str) -> int | None:
        """The key of an entry, None when there is none of that name."""
        return self._key_of.get(name)

    def path_of(self, key: Key) -> Path:
        """The path of a row; raises as `record` does."""
        with self._lock:
            entry = self.record(key)
            assert self._listing is not None
            return self._listing.folder / entry.name

    # What the table asks

    def window(self, start: int, stop: int) -> Sequence[Row]:
        with self._lock:
            rows = super().window(start, stop)
            if self._listing is not None:
                self._listing.look_at(self.record(row.key) for row in rows)
            return rows

    def _row(self, place: int) -> Row:
        entry = self._records[place]
        key = self._first_key + place
        return Row(key, self._cells(entry), is_open=False if entry.is_folder else None)

    def _cells(self, record: Entry) -> tuple[str | Cell, ...]:
        kind = Cell(record.kind, "bad" if record.fault else "", record.fault.partition(";")[0])
        size = "" if record.size_bytes is None else in_bytes(record.size_bytes)
        return cell_text(shown_name(record.name)), kind, size, _time(record.modified)

    def _searched(self, record: Entry) -> str:
        return record.name

    def sort(self, order: Order) -> None:
        with self._lock:
            super().sort(order)
            if order is not None and order[0] in _NEED_STATUS and self._listing is not None:
                self._listing.find_sizes()

    def _sort(self) -> None:
        """Folders stay first."""
        self._sort_keys = []  # more may be known of the entries by now
        super()._sort()
        self._shown.sort(key=lambda place: not self._records[place].is_folder)

    def set_open(self, key: Key, is_open: bool) -> None:
        if is_open and self.record(key).is_folder and self._on_open is not None:
            self._on_open(self.path_of(key))

    def detail(self, key: Key) -> Sequence[Fact]:
        try:
            entry, path = self.record(key), self.path_of(key)
        except LookupError:
            return ()
        facts = [
            Fact("Name", shown_name(entry.name)),
            Fact("Path", shown_name(str(path)), is_code=True, can_copy=True),
            Fact("Kind", entry.kind),
            Fact("Size", "" if entry.size_bytes is None else f"{entry.size_bytes:,} bytes"),
            Fact("Modified", _time(entry.modified)),
            Fact("Cannot be read", entry.fault, tone="bad"),
        ]
        return [fact for fact in facts if fact.text]

    def copy_text(self, key: Key) -> str:
        return shown_name(str(self.path_of(key)))

    def close(self) -> None:
        with self._lock:
            if self._listing is not None:
                self._listing.stop()
            self._on_open = None
            self.expect(None)


def shown_name(name: str) -> str:
    """Return a name so that it can be shown: its bytes may be no text, and have signs that move what is around it."""
    return one_line(os.fsencode(name).decode("utf-8", "replace"))


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith("."):
        return True
    if os.name != "nt":
        return False
    try:
        attributes = entry.stat(follow_symlinks=False).st_file_attributes  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN)


def _kind_by_name(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir():
            return FOLDER
        if not entry.is_file():  # a pipe, say: to open it may never end
            return OTHER
    except OSError:
        return UNREADABLE
    name = entry.name.lower()
    suffix = os.path.splitext(name)[1]  # noqa: PTH122 - a hundred thousand paths cost more than names
    if suffix in _DICOM_SUFFIXES or name == "dicomdir":
        return DICOM
    return ZIP if suffix == ".zip" else FILE


def _find_status(entry: Entry, path: Path) -> None:
    if entry.has_status:
        return
    try:
        status = path.stat()
    except OSError as error:
        entry.kind, entry.fault = UNREADABLE, describe_os_error(error)
    else:
        entry.size_bytes = None if entry.is_folder else status.st_size
        entry.modified = status.st_mtime
    entry.has_status = True


def _find_kind(entry: Entry, path: Path) -> None:
    """Open a file for its first bytes; whatever else it may be, a folder is only asked whether it may be entered."""
    entry.was_looked_at = True
    try:
        if entry.kind == FOLDER:
            if not os.access(path, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
                entry.fault = "permission denied; ask for the right to read it"
        elif entry.kind in (DICOM, FILE):
            with path.open("rb") as file:
                entry.kind = DICOM if has_prefix(file.read(PREFIX_END)) else FILE
    except OSError as error:
        entry.kind, entry.fault = UNREADABLE, describe_os_error(error)


def _time(seconds: float | None) -> str:
    """A time of the kernel's machine, to the minute; nothing for one that no calendar has."""
    if seconds is None:
        return ""
    try:
        return datetime.fromtimestamp(seconds).isoformat(" ", "minutes")
    except (OverflowError, OSError, ValueError):
        return ""
