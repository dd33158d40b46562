"""An instance in a transfer syntax that the peer takes: encoded otherwise, and element for element the same.

Only towards Explicit or Implicit VR Little Endian, and never with a loss: what is compressed is decompressed, what is
encoded otherwise is encoded anew, from the bytes and in bounded memory. A pass over the source comes before: it knows
the length of everything, and where the source cannot be understood in one pass, it is made again with what it learnt.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Final

from dicomkit._support.frozen import Frozen
from dicomkit.conversion._errors import NotConverted
from dicomkit.conversion._rewriter import Native, Reference, Rewriter
from dicomkit.conversion._sending import Inflated, Rewritten, Segment, segments
from dicomkit.conversion._source import Opened, encoding_of, is_deflated
from dicomkit.dictionary.uids import EXPLICIT_LE, GE_PRIVATE_LE, IMPLICIT_LE, UNCOMPRESSED, uid_name
from dicomkit.errors import Picklable
from dicomkit.sources import DataSource, Instance
from dicomkit.sources.elements import READINGS_OF_ODD_VRS, Encoding, Malformed, OddVrs, Truncated, Window

__all__ = ["Converted", "convert", "target_for"]

TARGETS: Final = (EXPLICIT_LE, IMPLICIT_LE)

_MOST_HELD = (
    1 << 23
)  # bytes of headers and small values; of a data set that has more they are written again when sent
_STEP = 1 << 16  # bytes of them that are held while it is sent, then
_MOST_PASSES = 64  # each tells one thing more about a damaged data set


class _Pass(Frozen, kw_only=True, hidden=("natives",)):
    """What one pass over the source is told."""

    instance: Instance
    implicit: bool
    reading: OddVrs
    opaque: frozenset[int]
    known: dict[int, dict[int, bytes]]
    natives: dict[int, Native]
    lengths: list[int] | None

    def over(self, window: Window, begin: int, encoding: Encoding) -> Rewriter:
        syntax = self.instance.transfer_syntax
        return Rewriter(
            window,
            begin,
            encoding,
            implicit=self.implicit,
            is_encapsulated=syntax not in UNCOMPRESSED,
            swaps_pixels=syntax == GE_PRIVATE_LE,
            reading=self.reading,
            opaque=self.opaque,
            known=self.known,
            natives=self.natives,
            lengths=self.lengths,
        )


class Converted(Frozen, hidden=("out", "references", "again", "kept")):
    """An instance that is encoded otherwise while it is sent.

    Attributes
    ----------
    instance : Instance
        The source.
    transfer_syntax : str
        What it is converted to.
    length : int
        Bytes of the converted data set.
    notes : str
        What had to be written in another way than it was, in a sentence; mostly empty.
    held_bytes : int
        How many bytes of memory it takes, beside those of the source.
    out, references, again
        Headers and small values; the large ones; and how to make both once more where they are too many to hold.
    kept
        The source, where it was left open for whoever opens this first.
    """

    instance: Instance
    transfer_syntax: str
    length: int
    notes: str
    held_bytes: int
    out: bytearray
    references: list[Reference]
    again: _Pass | None
    kept: list[DataSource]

    def open(self) -> DataSource:
        """Open it for sending.

        Raises
        ------
        UnreadableError
            The source is gone, may not be read, or is not what it was when it was converted.
        """
        instance = self.instance
        source = self.kept.pop() if self.kept else instance.open()
        parts = segments(self.out, self.references) if self.again is None else _parts_of(self.again)
        if is_deflated(instance):
            return Rewritten(Inflated(source, instance.length), 0, parts)
        return Rewritten(source, instance.offset, parts)


def target_for(accepted: Iterable[str]) -> str | None:
    """The syntax to convert to, among those that the peer took; None when there is none."""
    accepted = set(accepted)
    return next((syntax for syntax in TARGETS if syntax in accepted), None)


def convert(
    instance: Instance, target: str, *, max_decoded_bytes: int = 2**31, keeps_open: bool = False
) -> Converted:
    """Make ready to send an instance in another transfer syntax.

    Every element stays, in its order and with the bytes of its value, in whatever character set. Group, element,
    value representation and length are written anew; where the byte order changes, the words of binary values are
    turned (PS3.5 7.3), but those of UN (6.2.2). A sequence or item of undefined length stays one, and so does one
    with a length. Without a VR to copy, the dictionary has it, and what nobody can know is UN; so is a value that
    does not fit its VR, and `notes` says so. Group lengths (7.2) are made right wherever there are some, as DCMTK's
    `storescu` does. Compressed Pixel Data is decompressed, at any depth; what describes it then follows it, and the
    SOP Instance UID stays, since the pixels are those that anyone would see.

    Parameters
    ----------
    instance
        What to convert; it is read once more from header to header, and its large values only when it is sent.
    target
        Explicit or Implicit VR Little Endian.
    max_decoded_bytes
        The most that all of its decompressed pixels may take.
    keeps_open
        Leaves a file open for the sending, which has to follow.

    Raises
    ------
    NotConverted
        It cannot be followed, or cannot be decompressed here.
    UnreadableError
        The source cannot be read any more.
    """
    decoding: list[str] = []
    with Opened(instance) as source:
        window, begin = source.window()
        encoding = encoding_of(instance)
        first: NotConverted | None = None
        for reading in READINGS_OF_ODD_VRS:
            plan = _Pass(
                instance=instance,
                implicit=target == IMPLICIT_LE,
                reading=reading,
                opaque=frozenset(),
                known={},
                natives={},
                lengths=None,
            )
            try:
                plan, rewriter = _planned(plan, window, begin, encoding, decoding, max_decoded_bytes)
            except _Unfollowable as error:
                first = first or _damaged(instance, target, error)
                if not error.is_odd:
                    raise first from None
            else:
                break
        else:
            assert first is not None, "there is a reading"
            raise first
        kept = source.keep() if keeps_open else None
    is_held = not rewriter.flushed
    return Converted(
        instance,
        target,
        rewriter.length,
        "; ".join([*decoding, *dict.fromkeys(rewriter.notes)]),
        len(rewriter.out) + sum(native.length for native in plan.natives.values()),
        rewriter.out,
        rewriter.references,
        None if is_held else _told(plan, lengths=rewriter.lengths),
        [] if kept is None else [kept],
    )


class _Unfollowable(Picklable, Exception):
    """The source cannot be followed; another reading of odd VRs may help where there are some."""

    def __init__(self, error: Malformed | Truncated, *, is_odd: bool) -> None:
        super().__init__(str(error))
        self.is_odd = is_odd


def _planned(
    plan: _Pass,
    window: Window,
    begin: int,
    encoding: Encoding,
    notes: list[str],
    max_decoded_bytes: int,
) -> tuple[_Pass, Rewriter]:
    """Make passes until one has nothing new to tell; the last one, and what it was told."""
    for _ in range(_MOST_PASSES):
        rewriter = plan.over(window, begin, encoding)
        try:
            _count(rewriter)
        except (Malformed, Truncated) as error:
            where = rewriter.suspect()
            if where is None or where in plan.opaque:
                raise _Unfollowable(error, is_odd=rewriter.is_odd) from None
            plan = _told(plan, opaque=plan.opaque | {where})
            continue
        if rewriter.learnt:
            plan = _told(plan, known=_merged(plan.known, rewriter.learnt))
        elif rewriter.encapsulated:
            natives = _decoded(plan.instance, window, rewriter, notes, max_decoded_bytes)
            plan = _told(plan, natives=natives)
            if rewriter.append(natives):
                return plan, rewriter
        else:
            return plan, rewriter
    raise _Unfollowable(Malformed("too many of its sequences are none"), is_odd=False)


def _told(plan: _Pass, **more: object) -> _Pass:
    fields = {
        name: getattr(plan, name)
        for name in ("instance", "implicit", "reading", "opaque", "known", "natives", "lengths")
    }
    return _Pass(**(fields | more))


def _merged(
    known: dict[int, dict[int, bytes]], learnt: dict[int, dict[int, bytes]]
) -> dict[int, dict[int, bytes]]:
    return {level: known.get(level, {}) | learnt.get(level, {}) for level in {*known, *learnt}}


def _count(rewriter: Rewriter) -> None:
    """Make a pass to its end, holding what it writes only as long as that is little."""
    rewriter.flush_at = _MOST_HELD
    for _ in rewriter.steps():
        rewriter.flushed += len(rewriter.out)
        rewriter.out.clear()
        rewriter.references.clear()
        rewriter.flush_at = _STEP
    if rewriter.flushed:
        rewriter.flushed += len(rewriter.out)
        rewriter.out.clear()
        rewriter.references.clear()


def _parts_of(again: _Pass) -> Generator[Segment]:
    """Make the last pass once more, and give what it writes as it is written."""
    instance = again.instance
    with Opened(instance) as source:
        window, begin = source.window()
        rewriter = again.over(window, begin, encoding_of(instance))
        rewriter.flush_at = _STEP
        try:
            for _ in rewriter.steps():
                yield from segments(bytes(rewriter.out), rewriter.references)
                rewriter.flushed += len(rewriter.out)
                rewriter.out.clear()
                rewriter.references.clear()
        except (Malformed, Truncated, IndexError) as error:
            raise OSError(None, "it changed while it was sent") from error
        yield from segments(bytes(rewriter.out), rewriter.references)


def _decoded(
    instance: Instance, window: Window, rewriter: Rewriter, notes: list[str], max_decoded_bytes: int
) -> dict[int, Native]:
    from dicomkit.conversion._pixels import decompress

    natives: dict[int, Native] = {}
    left = max_decoded_bytes
    for pixels in rewriter.encapsulated:
        decoded = decompress(
            window.fetch,
            pixels.fragments,
            pixels.offset_table,
            pixels.extended,
            pixels.attributes,
            instance.transfer_syntax,
            max_decoded_bytes=left,
        )
        pieces = [piece for piece in decoded.value if len(piece)]
        length = sum(memoryview(piece).nbytes for piece in pieces)
        if length % 2:
            pieces.append(b"\0")
        natives[pixels.level] = Native(
            tuple(pieces), length + length % 2, decoded.vr.encode(), dict(decoded.attributes)
        )
        left -= length
        if decoded.notes:
            notes.append(decoded.notes)
    return natives


def _damaged(instance: Instance, target: str, error: _Unfollowable) -> NotConverted:
    return NotConverted(
        f"it could not be converted from {uid_name(instance.transfer_syntax)} to {uid_name(target)}: its elements "
        f"cannot be followed ({error}); have the peer accept it as it is stored"
    )
