"""What a receiver has received: rows, bytes or files, and what happened when.

A data set is taken as the bytes that arrived and is never decoded; what is written is those bytes behind a
File Meta Information made from the command that announced them (PS3.10 section 7.1).
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import tempfile
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from dicomkit.dictionary.statuses import status_category
from dicomkit.wire.pdu import MAX_UID

if TYPE_CHECKING:
    import pandas as pd

# Identifies this receiver in the files it writes and to its peers (PS3.7 D.3.3.2).
IMPLEMENTATION_CLASS_UID = "2.25.83656847564084048343684589289479131456"
IMPLEMENTATION_VERSION_NAME = "DICOMKIT_SCP"

_OUT_OF_RESOURCES = 0xA700  # PS3.4 Table B.2-1
_HAPPENINGS_KEPT = 10_000
_PREAMBLE = bytes(128) + b"DICM"  # PS3.10 section 7.1
# PS3.5 section 9.1, but for leading zeros, which do no harm in a name
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")

What = Literal[
    "requested",
    "accepted",
    "rejected",
    "stored",
    "refused",
    "echoed",
    "fault",
    "released",
    "aborted",
    "closed",
]


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened at the receiver; carries titles and UIDs, never patient data.

    Attributes
    ----------
    at : datetime
        Aware, UTC.
    association : int or None
        Counted from 0 in the order of the requests; None before there was a request.
    what : str
        ``requested``, ``accepted`` or ``rejected``; ``stored`` or ``refused`` (an instance, by its status);
        ``echoed``; ``fault``; ``released`` or ``aborted`` by the peer; ``closed``, the last of a connection.
    detail : str
        The titles, the SOP Instance UID and status, the fault.
    """

    at: datetime
    association: int | None
    what: What
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One data set that arrived whole: a row of `LocalSCP.received`.

    Attributes
    ----------
    received_at : datetime
        When its last byte was read; aware, UTC.
    status : int or None
        The status that was answered; None when a fault kept the answer back.
    stored : bool
        Whether the receiver keeps it: answered with success or a warning, or not answered at all.
    path : str or None
        The file it was written to.
    sha256 : str
        Of the data set as received, without File Meta Information.
    """

    received_at: datetime
    calling_aet: str
    called_aet: str
    association: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    size_bytes: int
    status: int | None
    stored: bool
    path: str | None
    sha256: str


_DTYPES = {
    "received_at": "datetime64[us, UTC]",
    "association": "int64",
    "size_bytes": "int64",
    "status": "UInt16",
    "stored": "bool",
}


@dataclass(frozen=True, slots=True)
class Announced:
    """What is known of a data set before its first byte."""

    calling_aet: str
    called_aet: str
    association: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str


class Journal:
    """What a receiver remembers; every method may be called from any thread."""

    def __init__(
        self,
        *,
        output: Path | None,
        keep_bytes: int,
        on_received: Callable[[dict[str, object]], object] | None,
    ) -> None:
        self.output = output
        self.keep_bytes = keep_bytes
        self._on_received = on_received
        self._rows: list[Received] = []
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._files: dict[str, tuple[Path, int]] = {}  # with the offset of the data set
        self._happenings: deque[Happening] = deque(maxlen=_HAPPENINGS_KEPT)
        self._counts: Counter[str] = Counter()
        self._changed = threading.Condition()

    def note(self, what: What, association: int | None, detail: str = "") -> None:
        """Write down that something happened."""
        with self._changed:
            self._happenings.append(Happening(datetime.now(UTC), association, what, detail))
            self._counts[what] += 1
            self._changed.notify_all()

    def next_association(self, detail: str) -> int:
        """Note a request, and return the number of its association."""
        with self._changed:
            number = self._counts["requested"]
            self.note("requested", number, detail)
        return number

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def happenings(self) -> list[Happening]:
        """The latest happenings, oldest first."""
        with self._changed:
            return list(self._happenings)

    def wait_for(self, what: What, *, times: int, timeout_seconds: float) -> None:
        """Return once something has happened so often since the beginning, or raise `TimeoutError`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._counts[what] >= times, timeout_seconds):
                so_far = dict(self._counts)
                raise TimeoutError(
                    f"the receiver waited {timeout_seconds:g} s for {times} x {what!r}; so far: {so_far}"
                )

    def to_frame(self) -> pd.DataFrame:
        """A row for each data set that arrived whole, in the order of arrival."""
        import pandas as pd

        with self._changed:
            rows = list(self._rows)
        return pd.DataFrame(
            {
                one.name: pd.Series(
                    [getattr(row, one.name) for row in rows], dtype=_DTYPES.get(one.name, "string")
                )
                for one in fields(Received)
            }
        )

    def data_set(self, sop_instance_uid: str) -> bytes:
        """The data set last stored under a SOP Instance UID, or `KeyError`."""
        with self._changed:
            if sop_instance_uid in self._kept:
                return self._kept[sop_instance_uid]
            if sop_instance_uid not in self._files:
                raise KeyError(
                    f"{sop_instance_uid}: not stored, or no longer kept (keep_bytes is {self.keep_bytes}); "
                    "give an output folder to keep all"
                )
            path, offset = self._files[sop_instance_uid]
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read()

    def stored_uids(self) -> list[str]:
        """The SOP Instance UIDs whose data sets can be had from `data_set`, in the order of arrival."""
        with self._changed:
            return list(self._files) or list(self._kept)

    def enter(self, row: Received, kept: bytes | None, offset: int) -> None:
        """Add a row, with its data set to be kept in memory, or where it begins in the file of the row."""
        if self._on_received is not None:
            self._on_received(asdict(row))
        uid = row.sop_instance_uid
        with self._changed:
            self._rows.append(row)
            if row.path is not None:
                self._files[uid] = (Path(row.path), offset)
            if kept is not None:
                self._kept_bytes += len(kept) - len(self._kept.pop(uid, b""))
                self._kept[uid] = kept
                while self._kept_bytes > self.keep_bytes:
                    _, dropped = self._kept.popitem(last=False)
                    self._kept_bytes -= len(dropped)
        status = "not answered" if row.status is None else f"0x{row.status:04X}"
        self.note("stored" if row.stored else "refused", row.association, f"{uid} {status}")


class Arrival:
    """A data set on its way in: written piece by piece, then finished or dropped.

    A full disk does not raise here; the instance is answered with 0xA700, as a PACS would.
    """

    def __init__(self, journal: Journal, announced: Announced) -> None:
        self.size_bytes = 0
        self._journal = journal
        self._announced = announced
        self._digest = hashlib.sha256()
        self._memory: bytearray | None = bytearray() if journal.output is None else None
        self._trouble: OSError | None = None
        self._file: BinaryIO | None = None
        self._part = Path()
        self._offset = 0
        if journal.output is not None:
            self._open(journal.output)

    def _open(self, folder: Path) -> None:
        header = _PREAMBLE + _file_meta(self._announced)
        self._offset = len(header)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Hidden, and on the same file system, so that it can be renamed once it is whole.
            descriptor, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
            self._part, self._file = Path(name), os.fdopen(descriptor, "wb")
            self._file.write(header)
        except OSError as error:
            self._trouble = error

    def write(self, piece: bytes) -> None:
        """Take the next bytes of the data set."""
        self.size_bytes += len(piece)
        self._digest.update(piece)
        if self._memory is not None:
            if self.size_bytes > self._journal.keep_bytes:
                self._memory = None
            else:
                self._memory += piece
        if self._file is not None and self._trouble is None:
            try:
                self._file.write(piece)
            except OSError as error:
                self._trouble = error

    def finish(self, status: int, *, answered: bool = True) -> int:
        """Keep the data set if the status meant for it says so, and enter its row; the status to answer.

        That is 0xA700 when it could not be written. What is not to be answered is kept, without a status.
        """
        stored = not answered or status_category(status) != "Failure"
        path = self._publish() if stored and self._file is not None else None
        if self._trouble is not None:
            stored, status, path = False, _OUT_OF_RESOURCES, None
        self.drop()
        row = Received(
            received_at=datetime.now(UTC),
            **asdict(self._announced),
            size_bytes=self.size_bytes,
            status=status if answered else None,
            stored=stored,
            path=None if path is None else str(path),
            sha256=self._digest.hexdigest(),
        )
        kept = bytes(self._memory) if stored and self._memory is not None else None
        self._journal.enter(row, kept, self._offset)
        return status

    def _publish(self) -> Path:
        """The file of a whole data set; what comes again under the same UID replaces what was there."""
        assert self._file is not None
        path = self._part.with_name(_file_name(self._announced.sop_instance_uid))
        try:
            self._file.close()
            if self._trouble is None:
                self._part.replace(path)
        except OSError as error:
            self._trouble = error
        return path

    def drop(self) -> None:
        """Forget what is not finished."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written before cannot be now
                self._file.close()
            self._part.unlink(missing_ok=True)
            self._file = None


def _file_name(sop_instance_uid: str) -> str:
    """A name from a UID that may have been made to escape the folder."""
    if len(sop_instance_uid) <= MAX_UID and _UID.fullmatch(sop_instance_uid):
        return f"{sop_instance_uid}.dcm"
    return f"invalid-uid-{hashlib.sha256(sop_instance_uid.encode()).hexdigest()[:32]}.dcm"


def _file_meta(announced: Announced) -> bytes:
    """File Meta Information (PS3.10 Table 7.1-1), which is in Explicit VR Little Endian whatever follows."""
    elements = struct.pack("<HH2sHI2s", 0x0002, 0x0001, b"OB", 0, 2, b"\x00\x01")  # the version
    for element, vr, text in (
        (0x0002, b"UI", announced.sop_class_uid),
        (0x0003, b"UI", announced.sop_instance_uid),
        (0x0010, b"UI", announced.transfer_syntax),
        (0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        (0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
        (0x0016, b"AE", announced.calling_aet),
    ):
        value = text.encode("ascii", "replace")
        if len(value) % 2:
            value += b"\0" if vr == b"UI" else b" "  # PS3.5 section 6.2
        elements += struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value
    return struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(elements)) + elements
