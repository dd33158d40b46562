"""A rewritten data set as it is sent: what is in memory, and large values read from the source on the way."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

from dicomkit.conversion._headers import swapped
from dicomkit.conversion._rewriter import Reference
from dicomkit.sources import DataSource
from dicomkit.sources.readers import after, cut

__all__ = ["Inflated", "Rewritten", "Segment", "segments"]

_PIECE_SIZE = 1 << 16

Segment = memoryview | tuple[int, int, int]
"""Bytes in memory; or position, length and word size of what is read from the source."""


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
    """The data set, opened for sending; see `DataSource`.

    Parameters
    ----------
    source : DataSource
        The data set as stored, inflated if it was deflated; it is closed with this.
    origin : int
        The position of its first byte.
    parts : generator of Segment
        What to send; large values in the order of the source.
    """

    __slots__ = ("_at", "_current", "_done", "_parts", "_rest", "_source")

    def __init__(self, source: DataSource, origin: int, parts: Generator[Segment]) -> None:
        self._source = source
        self._at = origin  # the position that the source has come to
        self._parts = parts
        self._current: tuple[int, int, int] | None = None  # the large value that is being read
        self._done = 0  # bytes of it that are read
        self._rest = memoryview(b"")  # what is in memory, and comes before the rest of it

    def readv(self, buffers: Sequence[memoryview]) -> int:
        """Fill the buffers in order; see `DataSource`."""
        waiting = list(buffers)
        room = sum(map(len, buffers))
        at = total = 0
        while total < room:
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
            elif self._current is None:
                part = next(self._parts, None)
                if part is None:
                    break
                if isinstance(part, memoryview):
                    self._rest = part if part.format == "B" else part.cast("B")
                else:
                    self._current, self._done = part, 0
            elif self._current[2] > 1:
                if not self._turn():
                    break
            else:  # straight into the buffers that wait
                where, length, _ = self._current
                wanted = min(length - self._done, room - total)
                into = waiting[at:] if wanted == room - total else cut(waiting[at:], wanted)
                got = self._read_at(where + self._done, into)
                total += got
                self._done += got
                if got < wanted:
                    break
                if self._done == length:
                    self._current = None
                if total < room:
                    waiting, at = after(waiting[at:], got), 0
        return total

    def _turn(self) -> bool:
        """Read some of a value whose words are turned; False when the source ends early."""
        assert self._current is not None
        where, length, word = self._current
        data = bytearray(min(length - self._done, _PIECE_SIZE))
        if self._read_at(where + self._done, [memoryview(data)]) < len(data):
            return False
        self._rest = memoryview(swapped(data, word))
        self._done += len(data)
        if self._done == length:
            self._current = None
        return True

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
        self._parts.close()
        self._source.close()


class Inflated:
    """What a deflated data set inflates to while it is read; see `DataSource`."""

    __slots__ = ("_inflater", "_left", "_packed", "_rest")

    def __init__(self, packed: DataSource, length: int) -> None:
        import zlib

        self._packed = packed
        self._left = length  # of the deflated bytes
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._rest = memoryview(b"")

    def readv(self, buffers: Sequence[memoryview]) -> int:
        """Fill the buffers in order; see `DataSource`."""
        done = 0
        for buffer in buffers:
            filled = 0
            while filled < len(buffer):
                if not self._rest and not self._inflate():
                    return done
                count = min(len(self._rest), len(buffer) - filled)
                buffer[filled : filled + count] = self._rest[:count]
                self._rest = self._rest[count:]
                filled += count
                done += count
        return done

    def _inflate(self) -> bool:
        import zlib

        inflater = self._inflater
        while not inflater.eof:
            pending: bytes | bytearray = inflater.unconsumed_tail
            if not pending and self._left:
                pending = bytearray(min(_PIECE_SIZE, self._left))
                got = self._packed.readv([memoryview(pending)])
                if not got:
                    return False
                self._left -= got
                del pending[got:]
            try:
                piece = inflater.decompress(pending, _PIECE_SIZE)
            except zlib.error as error:
                raise OSError(None, "the deflated data is damaged") from error
            if piece:
                self._rest = memoryview(piece)
                return True
            if not self._left and not inflater.unconsumed_tail:
                return False
        return False

    def check_unchanged(self) -> None:
        """See `DataSource`."""
        self._packed.check_unchanged()

    def close(self) -> None:
        """Close what it is read from."""
        self._packed.close()
