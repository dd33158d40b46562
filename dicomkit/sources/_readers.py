"""Where the bytes of an instance come from: a file, memory, or a member of a zip archive.

Each can be fetched from by position while it is looked at, and opened for sending; sending reads straight into the
caller's buffers, so that an instance costs no memory of its own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from time import time_ns
from typing import NamedTuple, Protocol

from dicomkit._support.descriptors import NO_DESCRIPTOR, is_shortage
from dicomkit._support.frozen import Frozen
from dicomkit.errors import UnreadableError, file_name, without_folder
from dicomkit.sources._walk import Fetch

__all__ = [
    "BytesSource",
    "DataSource",
    "FileSource",
    "Forward",
    "HeaderFacts",
    "MEMBER_MARK",
    "MemberSource",
    "OpenFile",
    "Padded",
    "SourceChanged",
    "SourceError",
    "Stamp",
    "ZipMember",
    "after",
    "as_on_disk",
    "cut",
    "describe_os_error",
    "fetch_from",
    "inflate",
    "open_file",
]


_IS_WINDOWS = os.name == "nt"


class Stamp(NamedTuple):
    """What tells a file that was looked at from another one under its name, and from itself when it was written to.

    The time of its last change of status (ctime) is part of it, because nobody can set it back: it tells of content
    that was replaced by as many bytes under a modification time that was put back. It changes for less as well, when a
    file is renamed, linked or given other rights. Before the first byte is sent it therefore has a file looked at
    again, which does no harm. Once bytes are on their way it ends nothing on its own: an archive may sort its files
    into other folders while they are sent, and what it would find besides is a writer who puts the modification time
    back within the time that one instance takes.

    Attributes
    ----------
    size, modified_ns : int
        In bytes; in nanoseconds.
    device, inode : int
    changed_ns : int
        0 on Windows, where it means something else.
    is_settled : bool
        Whether any later change shows. A file system has one time for all that happens within a tick of its clock, so
        that of a file which was just written tells nothing of what is written to it next. It depends on when the file
        was looked at, so stamps are equal without it.
    """

    size: int
    modified_ns: int
    device: int
    inode: int
    changed_ns: int
    is_settled: bool = True

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp of a file that is looked at now."""
        facts = _facts_of(status)
        modified, changed = facts[1], facts[4]
        tick = _COARSE_TICK_NS if modified % 1_000_000_000 == 0 else _TICK_NS
        latest = modified if modified > changed else changed
        return tuple.__new__(cls, (*facts, abs(time_ns() - latest) > tick))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stamp) and self[:-1] == other[:-1]

    def __ne__(self, other: object) -> bool:  # or it would be the tuple's
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:-1])

    def is_of(self, status: os.stat_result) -> bool:
        """Whether this is the file that was looked at, and nothing whatever happened to it since."""
        return self[:5] == _facts_of(status)

    def has_content_of(self, status: os.stat_result) -> bool:
        """Whether this is the file that was looked at, and was not written to since."""
        return self[:4] == _facts_of(status)[:4]


def _facts_of(status: os.stat_result) -> tuple[int, int, int, int, int]:
    """Size, time of modification, device, inode and time of the last change of status; 0 for that on Windows."""
    changed = 0 if _IS_WINDOWS else status.st_ctime_ns
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino, changed


# A pipe or terminal among the files must neither block us nor become our terminal; it is refused by its kind.
_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_BINARY", "O_CLOEXEC", "O_NOINHERIT", "O_NONBLOCK", "O_NOCTTY"):
    _OPEN_FLAGS |= getattr(os, _flag, 0)

# The kernels' clocks for files tick every 10 ms at most; FAT has whole seconds, every other one.
_TICK_NS = 20_000_000
_COARSE_TICK_NS = 2_000_000_000

_PIECE_SIZE = 1 << 16  # what is inflated at a time
_MOST_BUFFERS = 1024  # IOV_MAX of Linux and macOS

_ESCAPED_BYTE = "\\udc"  # and two digits, of a byte above 7F
_FIRST_DIGITS = "89abcdef"
_DIGITS = "0123456789abcdef"
MEMBER_MARK = "!/"  # between the path of an archive and the name of a member
_LOCAL_HEADER_SIZE = 30  # zip: before each member, and without its two texts of variable length
_LOCAL_HEADER_MAGIC = b"PK\x03\x04"
ZIP_STORED = 0
ZIP_DEFLATED = 8


class HeaderFacts(Frozen):
    """What the header of something that cannot be sent says it is; None for what it does not say."""

    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    modality: str | None
    transfer_syntax: str | None


class SourceError(UnreadableError):
    """What is the matter with a source.

    Attributes
    ----------
    source : str
        The whole path.
    reason : str
        The message without it.
    header : HeaderFacts or None
        What it says it is, as far as that could be read.
    """

    def __init__(self, source: str, reason: str, header: HeaderFacts | None = None) -> None:
        self.source = source
        self.reason = reason
        self.header = header
        super().__init__(f"{file_name(source)}: {reason}")


class SourceChanged(SourceError):
    """The file is not what it was when it was looked at: look again, or end what was begun with it."""

    @classmethod
    def before(cls, source: str) -> SourceChanged:
        """Nothing of it was sent."""
        return cls(source, "it changed after it was looked at; look at it again")

    @classmethod
    def meanwhile(cls, source: str) -> SourceChanged:
        """Part of it may have been sent."""
        return cls(source, "it changed while it was sent; send it again when nothing writes to it any more")


class DataSource(Protocol):
    """The bytes of one data set, opened for sending.

    Whoever opens one is given what was looked at, or `SourceChanged`. Whoever has read what he wants of it, once or
    several times over, calls `check_unchanged` before he makes use of it for good.
    """

    def readv(self, buffers: Sequence[memoryview]) -> int:
        """Fill the buffers in order with what comes next of the data set.

        Returns
        -------
        int
            The number of bytes, less than the buffers hold only where the data set ends, or the content did
            before its time.

        Raises
        ------
        OSError
            When reading fails.
        """
        ...

    def check_unchanged(self) -> None:
        """Make sure that all that was read is of what was looked at.

        Raises
        ------
        SourceChanged
            It was written to meanwhile.
        UnreadableError
            That cannot be told.
        """
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...


class Padded:
    """A data set of odd length with the NUL after it that makes it even; see `DataSource`.

    PS3.5 has data sets of even length only (7.1.1; A.5 adds such a NUL to deflated ones), and of an odd one peers wait
    for the rest, or abort.
    """

    __slots__ = ("_left", "_source")

    def __init__(self, source: DataSource, length: int) -> None:
        self._source = source
        self._left = length  # without the NUL

    def readv(self, buffers: Sequence[memoryview]) -> int:
        """Fill the buffers in order; see `DataSource`."""
        got = self._source.readv(buffers)
        self._left -= got
        if self._left:
            return got
        at = got
        for buffer in buffers:
            if at < len(buffer):
                buffer[at : at + 1] = b"\0"
                self._left = -1
                return got + 1
            at -= len(buffer)
        return got

    def check_unchanged(self) -> None:
        """See `DataSource`."""
        self._source.check_unchanged()

    def close(self) -> None:
        """Close the source."""
        self._source.close()


if hasattr(os, "pread"):
    _pread = os.pread
else:  # Windows

    def _pread(descriptor: int, count: int, position: int) -> bytes:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.read(descriptor, count)


def as_on_disk(path: str) -> str:
    """Return a path as the system has it, from what results say where it is no UTF-8: ``\\udcff`` for the byte FF.

    Python has a lone surrogate for such a byte (`os.fsdecode`), which no file of results takes, so that it is escaped
    there. A path that exists as it is written stays as it is.
    """
    first, *others = path.split(_ESCAPED_BYTE)
    if not others or os.path.lexists(path.partition(MEMBER_MARK)[0]):
        return path
    for part in others:
        is_byte = part[:1] in _FIRST_DIGITS and part[1:2] in _DIGITS and len(part) > 1
        first += chr(int("dc" + part[:2], 16)) + part[2:] if is_byte else _ESCAPED_BYTE + part
    return first


def open_file(path: str) -> tuple[int, os.stat_result]:
    """Open a regular file for reading; return its descriptor, and what it is.

    Raises
    ------
    OSError
        It is not there, may not be read, or is a folder, pipe or device.
    """
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "it is a folder, pipe or device, not a file")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def fetch_from(descriptor: int) -> Fetch:
    """Return what reads a file by position."""

    def fetch(position: int, count: int) -> bytes:
        return _pread(descriptor, count, position)

    return fetch


def describe_os_error(error: OSError | ValueError) -> str:
    """Say in words why a file cannot be read, without the path and the number that Python puts in.

    A ValueError is Python's for a path with a NUL in it.
    """
    if isinstance(error, FileNotFoundError):
        return "there is no such file or folder; check the path"
    if is_shortage(error):
        return NO_DESCRIPTOR
    if isinstance(error, PermissionError):
        return "permission denied; ask for the right to read it"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


class OpenFile:
    """A file that was looked at, opened again.

    Raises
    ------
    SourceChanged
        It is not what was looked at.
    SourceError
        It is gone, or may not be read.
    """

    __slots__ = ("_descriptor", "_name", "_stamp")

    def __init__(self, path: str, name: str, stamp: Stamp | None) -> None:
        try:
            self._descriptor, status = open_file(path)
        except OSError as error:
            raise SourceError(name, describe_os_error(error)) from without_folder(error)
        self._name = name
        self._stamp = stamp
        if stamp is not None and not stamp.is_of(status):
            self.close()
            raise SourceChanged.before(name)

    def fetch(self, position: int, count: int) -> bytes:
        """Read by position."""
        return _pread(self._descriptor, count, position)

    def check_unchanged(self) -> None:
        """See `DataSource`."""
        try:
            status = os.fstat(self._descriptor)
        except OSError as error:  # the share it was on is gone, say
            reason = f"reading it failed ({describe_os_error(error)}); check the disk and send it again"
            raise SourceError(self._name, reason) from error
        if self._stamp is not None and not self._stamp.has_content_of(status):
            raise SourceChanged.meanwhile(self._name)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class FileSource(OpenFile):
    """The data set in a file."""

    __slots__ = ("_end", "_position")

    def __init__(self, path: str, name: str, offset: int, length: int, stamp: Stamp | None) -> None:
        super().__init__(path, name, stamp)
        self._position = offset
        self._end = offset + length

    def readv(self, buffers: Sequence[memoryview]) -> int:
        """Fill the buffers in order; see `DataSource`."""
        wanted = sum(map(len, buffers))
        if wanted > self._end - self._position or len(buffers) > _MOST_BUFFERS:
            buffers = cut(buffers, self._end - self._position)
            wanted = sum(map(len, buffers))
        done = 0
        while done < wanted:
            count = _read_into(self._descriptor, buffers[:_MOST_BUFFERS], self._position)
            if not count:  # it shrank under us
                break
            done += count
            self._position += count
            if done < wanted:
                buffers = after(buffers, count)
        return done


if hasattr(os, "preadv"):
    _read_into: Callable[[int, Sequence[memoryview], int], int] = os.preadv
else:  # Windows

    def _read_into(descriptor: int, buffers: Sequence[memoryview], position: int) -> int:
        buffer = next(filter(len, buffers))
        data = _pread(descriptor, len(buffer), position)
        buffer[: len(data)] = data
        return len(data)


def cut(buffers: Sequence[memoryview], count: int) -> list[memoryview]:
    """Return the buffers as far as their first `count` bytes."""
    kept = []
    for buffer in buffers:
        if count <= 0:
            break
        kept.append(buffer[:count])
        count -= len(buffer)
    return kept


def after(buffers: Sequence[memoryview], count: int) -> list[memoryview]:
    """Return the buffers without their first `count` bytes."""
    kept = []
    for buffer in buffers:
        if count < len(buffer):
            kept.append(buffer[count:] if count else buffer)
            count = 0
        else:
            count -= len(buffer)
    return kept


class BytesSource:
    """The data set in bytes that are in memory anyway."""

    __slots__ = ("_content", "_end", "_position")

    def __init__(self, content: bytes, offset: int, length: int) -> None:
        self._content = memoryview(content)
        self._position = offset
        self._end = offset + length

    def readv(self, buffers: Sequence[memoryview]) -> int:
        """Fill the buffers in order; see `DataSource`."""
        done = 0
        for buffer in buffers:
            count = min(len(buffer), self._end - self._position)
            buffer[:count] = self._content[self._position : self._position + count]
            self._position += count
            done += count
        return done

    def check_unchanged(self) -> None:
        """See `DataSource`; bytes cannot change."""

    def close(self) -> None:
        """Let go of the bytes."""
        self._content.release()


class ZipMember(Frozen):
    """What it takes to read one member of an archive without reading the archive's directory again."""

    archive: str
    name: str
    header_offset: int
    compressed_size: int
    size: int
    method: int
    crc: int

    @property
    def source(self) -> str:
        """``archive.zip!/member``."""
        return f"{self.archive}{MEMBER_MARK}{self.name}"

    def pieces(self, fetch: Fetch) -> Iterator[bytes]:
        """Yield the member's content in small pieces.

        Raises
        ------
        OSError
            It is damaged, or not what the archive's directory says it is.
        """
        import zlib

        header = fetch(self.header_offset, _LOCAL_HEADER_SIZE)
        if len(header) < _LOCAL_HEADER_SIZE or header[:4] != _LOCAL_HEADER_MAGIC:
            raise OSError(None, "the archive is damaged: the member is not where its directory says")
        texts = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        begin = self.header_offset + _LOCAL_HEADER_SIZE + texts
        end = begin + self.compressed_size
        pieces = _stored(fetch, begin, end) if self.method == ZIP_STORED else inflate(fetch, begin, end)
        size = crc = 0
        try:
            for piece in pieces:
                size += len(piece)
                if size > self.size:
                    raise OSError(
                        None, "the archive is damaged: the member is larger than its directory says"
                    )
                crc = zlib.crc32(piece, crc)
                yield piece
        except (zlib.error, EOFError) as error:
            raise OSError(None, f"the archive is damaged: {error}") from error
        if size != self.size or crc != self.crc:
            raise OSError(None, "the archive is damaged: the member fails its checksum")


def _stored(fetch: Fetch, begin: int, end: int) -> Iterator[bytes]:
    while begin < end:
        piece = fetch(begin, min(_PIECE_SIZE, end - begin))
        if not piece:
            raise EOFError("it ends early")
        begin += len(piece)
        yield piece


def inflate(fetch: Fetch, begin: int, end: int) -> Generator[bytes, None, int]:
    """Yield what the raw deflate stream (RFC 1951) between two positions inflates to, in small pieces.

    Returns (as the generator's value) the position where the stream ended.

    Raises
    ------
    zlib.error
        It is no such stream.
    EOFError
        It goes on after `end`.
    """
    import zlib

    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while not inflater.eof:
        pending = fetch(begin, min(_PIECE_SIZE, end - begin)) if begin < end else b""
        if not pending:
            raise EOFError("the deflated data ends early")
        begin += len(pending)
        while True:
            piece = inflater.decompress(pending, _PIECE_SIZE)
            pending = inflater.unconsumed_tail
            if piece:
                yield piece
            if inflater.eof or (not pending and len(piece) < _PIECE_SIZE):
                break
    return begin - len(inflater.unused_data)


class Forward:
    """Fetch by position from what can only be read forward; going back means starting over.

    Parameters
    ----------
    start : callable
        Starts it: yields the content in pieces.
    """

    __slots__ = ("_begin", "_kept", "_pieces", "_start")

    def __init__(self, start: Callable[[], Iterator[bytes]]) -> None:
        self._start = start
        self._pieces = start()
        self._kept = b""
        self._begin = 0

    def fetch(self, position: int, count: int) -> bytes:
        """Return `count` bytes from `position` on, fewer where the content ends."""
        if position < self._begin:
            self._pieces = self._start()
            self._kept = b""
            self._begin = 0
        while self._begin + len(self._kept) <= position:
            self._begin += len(self._kept)
            self._kept = next(self._pieces, b"")
            if not self._kept:
                return b""
        parts = [self._kept[position - self._begin :]]
        have = len(parts[0])
        while have < count:
            piece = next(self._pieces, b"")
            if not piece:
                break
            parts.append(piece)
            have += len(piece)
        self._kept = b"".join(parts)
        self._begin = position
        return self._kept[:count]

    def finish(self) -> None:
        """Read to the end, for the sake of the checks that come there."""
        for _ in self._pieces:
            pass


class MemberSource(OpenFile):
    """The data set in a member of a zip archive, inflated while it is sent."""

    __slots__ = ("_left", "_pieces", "_rest")

    def __init__(self, member: ZipMember, offset: int, length: int, stamp: Stamp | None) -> None:
        name = member.source
        super().__init__(member.archive, name, stamp)
        self._pieces = member.pieces(self.fetch)
        self._rest = memoryview(b"")
        self._left = length
        try:
            while offset > len(self._rest):
                offset -= len(self._rest)
                self._rest = memoryview(next(self._pieces, b""))
                if not self._rest:
                    raise OSError(None, "the archive is damaged")
        except OSError as error:
            self.close()
            raise SourceError(name, describe_os_error(error)) from error
        self._rest = self._rest[offset:]

    def readv(self, buffers: Sequence[memoryview]) -> int:
        """Fill the buffers in order; see `DataSource`."""
        done = 0
        for buffer in cut(buffers, self._left):
            filled = 0
            while filled < len(buffer):
                if not self._rest:
                    self._rest = memoryview(next(self._pieces, b""))
                    if not self._rest:
                        return done
                count = min(len(self._rest), len(buffer) - filled)
                buffer[filled : filled + count] = self._rest[:count]
                self._rest = self._rest[count:]
                filled += count
                done += count
                self._left -= count
        return done

    def check_unchanged(self) -> None:
        """See `DataSource`; the member's checksum, which comes at its end, is looked at too."""
        super().check_unchanged()
        try:
            for _ in self._pieces:
                pass
        except OSError as error:
            raise SourceChanged.meanwhile(self._name) from error
