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
from dicomkit.sources.elements import Fetch

__all__ = ["FileSource", "Forward", "OpenFile", "ZipMember", "after", "cut", "fetch_from", "inflate"]

_IS_WINDOWS = os.name == "nt"

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
MEMBER_MARK = "!/"  # between the path of an archive and the name of a member
LOCAL_HEADER_SIZE = 30  # before each member, APPNOTE.TXT 4.3.7, without its two texts of variable length
_LOCAL_HEADER_MAGIC = b"PK\x03\x04"
ZIP_STORED = 0
ZIP_DEFLATED = 8


# A tuple and no Frozen: made for each file in 0.4 instead of 0.5 microseconds, and compared by a slice of it.
class Stamp(NamedTuple):
    """What tells a file that was looked at from another one under its name, and from itself when it was written to.

    The time of its last change of status (ctime) is part of it, because nobody can set it back: it tells of content
    that was replaced by as many bytes under a modification time that was put back. It changes for less as well, when a
    file is renamed, linked or given other rights. Before the first byte is sent it therefore has a file looked at
    again, which does no harm. Once bytes are on their way it ends nothing on its own: an archive may sort its files
    into other folders while they are sent, and what it would find besides is a writer who puts the modification time
    back within the time that one instance takes.
    """

    size: int
    modified_ns: int
    device: int
    inode: int
    changed_ns: int  # 0 on Windows, where it means something else
    # Whether any later change shows. A file system has one time for all that happens within a tick of its clock, so
    # that of a file which was just written tells nothing of what is written to it next. It depends on when the file
    # was looked at, so stamps are equal without it.
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
    changed = 0 if _IS_WINDOWS else status.st_ctime_ns
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino, changed


class HeaderFacts(Frozen):
    """What the header of something that cannot be sent says it is."""

    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    modality: str | None
    transfer_syntax: str | None


class SourceError(UnreadableError):
    """What is the matter with a source: its whole path, the message without it, and what the header says it is."""

    def __init__(self, source: str, reason: str, header: HeaderFacts | None = None) -> None:
        self.source = source
        self.reason = reason
        self.header = header
        super().__init__(f"{file_name(source)}: {reason}")

    @classmethod
    def of_system(
        cls, source: str, error: OSError | ValueError, header: HeaderFacts | None = None
    ) -> SourceError:
        """What is raised ``from`` an error of the operating system, which then names the file without its folder."""
        if isinstance(error, OSError):
            without_folder(error)
        return cls(source, describe_os_error(error), header)


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

    To open one raises `SourceChanged` unless it is what was looked at. Whoever has read of it, once or several times
    over, calls `check_unchanged` before he makes use of that for good.
    """

    def readv(self, buffers: Sequence[memoryview]) -> int:
        """Fill the buffers in order with what comes next of the data set; may raise OSError.

        Return the number of bytes, less than the buffers hold only where the data set ends, or the content did before
        its time.
        """
        ...

    def check_unchanged(self) -> None:
        """Raise `SourceChanged` where it was written to since it was looked at, SourceError where nobody can tell."""
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...


class Padded:
    """A data set of odd length with the NUL after it that makes it even, as PS3.5 7.1.1 and A.5 ask for.

    Of an odd one peers wait for the rest, or abort.
    """

    __slots__ = ("_left", "_source", "check_unchanged", "close")

    def __init__(self, source: DataSource, length: int) -> None:
        self._source = source
        self._left = length  # without the NUL
        self.check_unchanged = source.check_unchanged
        self.close = source.close

    def readv(self, buffers: Sequence[memoryview]) -> int:
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


if hasattr(os, "pread"):
    _pread = os.pread
else:  # Windows

    def _pread(descriptor: int, count: int, position: int) -> bytes:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.read(descriptor, count)


def as_on_disk(path: str) -> str:
    """Return a path as the system has it, from what results say where it is no UTF-8: ``\\udcff`` for the byte FF.

    Results escape the lone surrogate that Python has for such a byte (`os.fsdecode`). A path that exists as it is
    written stays as it is.
    """
    if _ESCAPED_BYTE not in path or os.path.lexists(path.partition(MEMBER_MARK)[0]):
        return path
    import re

    return re.sub(r"\\udc([89a-f][0-9a-f])", lambda byte: chr(0xDC00 + int(byte[1], 16)), path)


def open_file(path: str) -> tuple[int, os.stat_result]:
    """Open a regular file for reading; return its descriptor, and what it is. Raises OSError for anything else."""
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
    """Say why a file cannot be read, without its path; a ValueError is Python's for a path with a NUL in it."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file or folder; check the path"
    if is_shortage(error):
        return NO_DESCRIPTOR
    if isinstance(error, PermissionError):
        return "permission denied; ask for the right to read it"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


class OpenFile:
    """A file that was looked at, opened again; raises `SourceChanged` where it is another one, else `SourceError`."""

    __slots__ = ("_descriptor", "_name", "_stamp")

    def __init__(self, path: str, name: str, stamp: Stamp | None) -> None:
        try:
            self._descriptor, status = open_file(path)
        except OSError as error:
            raise SourceError.of_system(name, error) from error
        self._name = name
        self._stamp = stamp
        if stamp is not None and not stamp.is_of(status):
            self.close()
            raise SourceChanged.before(name)

    def fetch(self, position: int, count: int) -> bytes:
        """Read by position."""
        return _pread(self._descriptor, count, position)

    def check_unchanged(self) -> None:
        try:
            status = os.fstat(self._descriptor)
        except OSError as error:  # the share it was on is gone, say
            reason = f"reading it failed ({describe_os_error(error)}); check the disk and send it again"
            raise SourceError(self._name, reason) from error
        if self._stamp is not None and not self._stamp.has_content_of(status):
            raise SourceChanged.meanwhile(self._name)

    def close(self) -> None:
        os.close(self._descriptor)


class FileSource(OpenFile):
    """The data set in a file."""

    __slots__ = ("_end", "_position")

    def __init__(self, path: str, name: str, offset: int, length: int, stamp: Stamp | None) -> None:
        super().__init__(path, name, stamp)
        self._position = offset
        self._end = offset + length

    def readv(self, buffers: Sequence[memoryview]) -> int:
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
        done = 0
        for buffer in buffers:
            count = min(len(buffer), self._end - self._position)
            buffer[:count] = self._content[self._position : self._position + count]
            self._position += count
            done += count
        return done

    def check_unchanged(self) -> None:
        """Bytes cannot change."""

    def close(self) -> None:
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
        return f"{self.archive}{MEMBER_MARK}{self.name}"

    def pieces(self, fetch: Fetch) -> Iterator[bytes]:
        """Yield the member's content in small pieces; OSError where it is not what the archive's directory says."""
        import zlib

        header = fetch(self.header_offset, LOCAL_HEADER_SIZE)
        if len(header) < LOCAL_HEADER_SIZE or header[:4] != _LOCAL_HEADER_MAGIC:
            raise OSError(None, "the archive is damaged: the member is not where its directory says")
        texts = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        begin = self.header_offset + LOCAL_HEADER_SIZE + texts
        end = begin + self.compressed_size
        pieces = _stored(fetch, begin, end) if self.method == ZIP_STORED else inflate(fetch, begin, end)
        size = crc = 0
        try:
            for piece in pieces:
                size += len(piece)
                if size > self.size:
                    raise EOFError("the member is larger than its directory says")
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

    The generator's value is the position where it ended. Raises zlib.error where it is no such stream, EOFError where
    it goes on after `end`.
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
    """Fetch by position from what can only be read forward, in pieces that `start` yields; going back starts over."""

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
        while have < count and (piece := next(self._pieces, b"")):
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

    __slots__ = ("_content", "_end", "_position")

    def __init__(self, member: ZipMember, offset: int, length: int, stamp: Stamp | None) -> None:
        super().__init__(member.archive, member.source, stamp)
        packed = fetch_from(self._descriptor)  # and not `self.fetch`, which would be a circle of references
        self._content = Forward(lambda: member.pieces(packed))
        self._position = offset
        self._end = offset + length
        try:
            if length and not self._content.fetch(offset, 1):
                raise OSError(None, "the archive is damaged")
        except OSError as error:
            self.close()
            raise SourceError.of_system(member.source, error) from error

    def readv(self, buffers: Sequence[memoryview]) -> int:
        done = 0
        for buffer in cut(buffers, self._end - self._position):
            for begin in range(0, len(buffer), _PIECE_SIZE):
                part = buffer[begin : begin + _PIECE_SIZE]
                data = self._content.fetch(self._position, len(part))
                part[: len(data)] = data
                self._position += len(data)
                done += len(data)
                if len(data) < len(part):
                    return done
        return done

    def check_unchanged(self) -> None:
        """Look at the member's checksum too, which comes at its end."""
        super().check_unchanged()
        try:
            self._content.finish()
        except OSError as error:
            raise SourceChanged.meanwhile(self._name) from error
