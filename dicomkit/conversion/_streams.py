"""The source of a conversion: opened to follow it from header to header, and read on the way to the socket."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING

from dicomkit.conversion._elements import swapped
from dicomkit.conversion._rewriter import Reference
from dicomkit.dictionary.uids import DEFLATED_SYNTAXES
from dicomkit.errors import UnreadableError, without_folder
from dicomkit.sources import DataSource, Instance, SourceError, describe_os_error
from dicomkit.sources.elements import Fetch, Window
from dicomkit.sources.readers import FileSource, Forward, OpenFile, ZipMember, after, cut, inflate

if TYPE_CHECKING:
    from typing import Self


_PIECE_SIZE = 1 << 16

Segment = memoryview | tuple[int, int, int]
"""Bytes in memory; or position, length and word size of what is read from the source."""


def _is_deflated(instance: Instance) -> bool:
    """Whether the data set is stored deflated (PS3.5 A.5)."""
    return instance.transfer_syntax in DEFLATED_SYNTAXES


class Opened:
    """The data set in a file, in memory or in a zip member, to be followed; a context, which closes it.

    What cannot be read any more is an UnreadableError.
    """

    def __init__(self, instance: Instance) -> None:
        content = instance.content
        self._instance = instance
        self._file: OpenFile | None = None
        if isinstance(content, str):
            self._file = FileSource(
                content, instance.source, instance.offset, instance.length, instance.stamp
            )
        elif isinstance(content, ZipMember):
            self._file = OpenFile(content.archive, content.source, instance.stamp)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._file is not None:
            self._file.close()
        if isinstance(error, OSError):
            raise SourceError(self._instance.source, describe_os_error(error)) from without_folder(error)

    def keep(self) -> FileSource | None:
        """Leave it open, and return it as what it is sent from; None where it was to be read from its beginning."""
        file = self._file
        if not isinstance(file, FileSource) or _is_deflated(self._instance):
            return None
        self._file = None
        return file

    def window(self) -> tuple[Window, int]:
        """Return a window that ends where the data set ends, inflated, and where it begins in it."""
        instance, content = self._instance, self._instance.content
        begin, end = instance.offset, instance.offset + instance.length
        fetch: Fetch
        if isinstance(content, bytes):
            fetch = lambda position, count: content[position : position + count]  # noqa: E731
        else:
            assert self._file is not None, "it is not kept so far"
            fetch = self._file.fetch
            if isinstance(content, ZipMember):
                packed = fetch
                fetch = Forward(lambda: content.pieces(packed)).fetch
        if not _is_deflated(instance):
            window = Window(b"", end, fetch, seekable=not isinstance(content, ZipMember))
            window.base = begin
            return window, begin
        # Its size shows only when it is inflated to the end.
        import zlib

        try:
            size = sum(map(len, inflate(fetch, begin, end)))
        except (zlib.error, EOFError):
            raise UnreadableError(
                "its deflated data set is damaged; get a complete copy of it, and send that"
            ) from None
        return Window(b"", size, Forward(lambda: inflate(fetch, begin, end)).fetch, seekable=False), 0


def segments(out: bytearray | bytes, references: Iterable[Reference]) -> Generator[Segment]:
    """Yield a buffer and the large values that belong into it, in order."""
    view = memoryview(out)
    done = 0
    for at, where, length, word in references:
        if at > done:
            yield view[done:at]
            done = at
        if isinstance(where, int):
            yield where, length, word
            continue
        for piece in where:
            yield memoryview(piece)
    if done < len(view):
        yield view[done:]


class Rewritten:
    """The converted data set, opened for sending; see `DataSource`.

    Large values come in the order of the source, so that it is read once, forward. They are read straight into the
    buffers that wait for them; only what is deflated, or has its words turned, is made in memory, piece by piece.
    It is closed with this.
    """

    def __init__(self, source: DataSource, instance: Instance, parts: Generator[Segment]) -> None:
        self._source = source
        self._at = instance.offset  # the position that the source has come to
        self._parts = parts
        self._pieces = self._made(parts, instance)
        self._value = (0, 0)  # position and length of what is left of the large value that is being read
        self._rest = memoryview(b"")  # what is in memory, and comes before it

    def readv(self, buffers: Sequence[memoryview]) -> int:
        """Fill the buffers in order; see `DataSource`."""
        waiting = list(buffers)
        room = sum(map(len, buffers))
        at = total = 0
        while total < room:
            where, length = self._value
            if self._rest:
                buffer = waiting[at]
                count = min(len(buffer), len(self._rest))
                buffer[:count] = self._rest[:count]
                self._rest = self._rest[count:]
                total += count
                if count < len(buffer):
                    waiting[at] = buffer[count:]
                else:
                    at += 1
            elif length:
                wanted = min(length, room - total)
                into = waiting[at:] if wanted == room - total else cut(waiting[at:], wanted)
                got = self._read_at(where, into)
                total += got
                self._value = (where + got, length - got)
                if got < wanted:
                    break
                if total < room:
                    waiting, at = after(waiting[at:], got), 0
            else:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                if isinstance(piece, memoryview):
                    self._rest = piece if piece.format == "B" else piece.cast("B")
                else:
                    self._value = piece
        return total

    def _made(self, parts: Iterable[Segment], instance: Instance) -> Generator[memoryview | tuple[int, int]]:
        """Yield the parts, those in memory that cannot be copied from the source; ends early where that does."""
        begin, end = instance.offset, instance.offset + instance.length
        is_deflated = _is_deflated(instance)
        fetch = Forward(lambda: inflate(self._fetch, begin, end)).fetch if is_deflated else self._fetch
        for part in parts:
            if isinstance(part, memoryview):
                yield part
                continue
            where, length, word = part
            if word == 1 and not is_deflated:
                yield where, length
                continue
            for done in range(0, length, _PIECE_SIZE):
                wanted = min(length - done, _PIECE_SIZE)
                piece = _inflated(fetch, where + done, wanted) if is_deflated else fetch(where + done, wanted)
                if len(piece) < wanted:
                    return
                yield memoryview(swapped(piece, word) if word > 1 else piece)

    def _fetch(self, position: int, count: int) -> bytes:
        data = bytearray(count)
        return bytes(data[: self._read_at(position, [memoryview(data)])])

    def _read_at(self, position: int, into: list[memoryview]) -> int:
        gap = position - self._at
        if gap:
            scratch = memoryview(bytearray(min(gap, _PIECE_SIZE)))
            while gap > len(scratch):
                got = self._source.readv([scratch])
                self._at += got
                gap -= got
                if got < len(scratch):
                    return 0
            into = [scratch[:gap], *into]
        got = self._source.readv(into)
        self._at += got
        return max(0, got - gap)

    def check_unchanged(self) -> None:
        """See `DataSource`."""
        self._source.check_unchanged()

    def close(self) -> None:
        """Close the source."""
        self._pieces.close()
        self._parts.close()
        self._source.close()


def _inflated(fetch: Fetch, position: int, count: int) -> bytes:
    """What a deflated data set has there; nothing where its source ends."""
    import zlib

    try:
        return fetch(position, count)
    except EOFError:
        return b""
    except zlib.error as error:
        raise OSError(None, "the deflated data is damaged") from error
