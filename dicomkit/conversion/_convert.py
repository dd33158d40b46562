"""An instance in a transfer syntax that the peer takes: encoded otherwise, and element for element the same.

Only towards Explicit or Implicit VR Little Endian, and never with a loss: what is compressed is decompressed, what is
encoded otherwise is encoded anew, from the bytes and in bounded memory. A pass over the source comes before: it knows
the length of everything, and where the source cannot be understood in one pass, it is made again with what it learnt.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Final

from dicomkit._support.frozen import Frozen
from dicomkit.conversion._rewriter import Plan, Reference, Rewriter
from dicomkit.conversion._streams import Opened, Rewritten, Segment, segments
from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE, uid_name
from dicomkit.errors import NotConverted, Picklable
from dicomkit.sources import DataSource, Instance
from dicomkit.sources.elements import READINGS_OF_ODD_VRS, Malformed, Truncated, Window

TARGETS: Final = (EXPLICIT_LE, IMPLICIT_LE)

# Bytes of headers and small values; of a data set that has more they are written again when it is sent, in steps.
_MOST_HELD = 1 << 23
_STEP = 1 << 16
_MOST_PASSES = 64  # each tells one thing more about a damaged data set


class Converted(Frozen, hidden=("out", "references", "again", "kept")):
    """An instance that is encoded otherwise while it is sent."""

    instance: Instance  # the source
    transfer_syntax: str  # what it is converted to
    length: int  # bytes of the converted data set
    notes: str  # what had to be written in another way than it was, in a sentence; mostly empty
    held_bytes: int  # of memory, beside those of the source
    out: bytearray  # headers and small values
    references: list[Reference]  # the large ones
    again: Plan | None  # how to make both once more where they are too many to hold
    kept: list[DataSource]  # the source, where it was left open for whoever opens this first

    def open(self) -> DataSource:
        """Open it for sending; an UnreadableError where the source is gone, or is not what it was."""
        source = self.kept.pop() if self.kept else self.instance.open()
        parts = segments(self.out, self.references) if self.again is None else _parts_of(self.again)
        return Rewritten(source, self.instance, parts)


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
    notes: list[str] = []
    with Opened(instance) as source:
        window, begin = source.window()
        plan, rewriter = _followed(instance, target, window, begin, notes, max_decoded_bytes)
        kept = source.keep() if keeps_open else None
    if rewriter.flushed:
        plan.lengths = rewriter.lengths
    return Converted(
        instance,
        target,
        rewriter.length,
        "; ".join([*notes, *dict.fromkeys(rewriter.notes)]),
        len(rewriter.out) + sum(native.length for native in plan.natives.values()),
        rewriter.out,
        rewriter.references,
        plan if rewriter.flushed else None,
        [] if kept is None else [kept],
    )


class _Unfollowable(Picklable, Exception):
    """The source cannot be followed; another reading of odd VRs may help where there are some."""

    def __init__(self, error: Malformed | Truncated, *, is_odd: bool) -> None:
        super().__init__(str(error))
        self.is_odd = is_odd


def _followed(
    instance: Instance, target: str, window: Window, begin: int, notes: list[str], max_decoded_bytes: int
) -> tuple[Plan, Rewriter]:
    """Make passes by one reading of odd VRs after the other; the last pass, and what it was told."""
    first: _Unfollowable | None = None
    for reading in READINGS_OF_ODD_VRS:
        plan = Plan(instance, implicit=target == IMPLICIT_LE, reading=reading)
        try:
            return plan, _last_pass(plan, window, begin, notes, max_decoded_bytes)
        except _Unfollowable as error:
            first = first or error
            if not error.is_odd:
                break
    raise NotConverted(
        f"it could not be converted from {uid_name(instance.transfer_syntax)} to {uid_name(target)}: its elements "
        f"cannot be followed ({first}); have the peer accept it as it is stored"
    )


def _last_pass(plan: Plan, window: Window, begin: int, notes: list[str], max_decoded_bytes: int) -> Rewriter:
    """Make passes until one has nothing new to tell."""
    for _ in range(_MOST_PASSES):
        rewriter = Rewriter(window, begin, plan)
        try:
            _count(rewriter)
        except (Malformed, Truncated) as error:
            where = rewriter.suspect()
            if where is None or where in plan.opaque:
                raise _Unfollowable(error, is_odd=rewriter.is_odd) from None
            plan.opaque.add(where)
            continue
        if rewriter.learnt:
            for level, values in rewriter.learnt.items():
                plan.known.setdefault(level, {}).update(values)
        elif rewriter.encapsulated:
            _decode(plan, window, rewriter, notes, max_decoded_bytes)
            if rewriter.append(plan.natives):
                return rewriter
        else:
            return rewriter
    raise _Unfollowable(Malformed("too many of its sequences are none"), is_odd=False)


def _count(rewriter: Rewriter) -> None:
    """Make a pass to its end, holding what it writes only as long as that is little."""
    rewriter.flush_at = _MOST_HELD
    for _ in rewriter.steps():
        rewriter.clear()
        rewriter.flush_at = _STEP
    if rewriter.flushed:
        rewriter.clear()


def _parts_of(plan: Plan) -> Generator[Segment]:
    """Make the last pass once more, and give what it writes as it is written."""
    with Opened(plan.instance) as source:
        rewriter = Rewriter(*source.window(), plan)
        rewriter.flush_at = _STEP
        try:
            for _ in rewriter.steps():
                yield from segments(bytes(rewriter.out), rewriter.references)
                rewriter.clear()
        except (Malformed, Truncated, IndexError) as error:
            raise OSError(None, "it changed while it was sent") from error
        yield from segments(bytes(rewriter.out), rewriter.references)


def _decode(plan: Plan, window: Window, rewriter: Rewriter, notes: list[str], max_decoded_bytes: int) -> None:
    """Decode all compressed Pixel Data that a pass came across."""
    from dicomkit.conversion._pixels import decompress

    left = max_decoded_bytes
    for pixels in rewriter.encapsulated:
        decoded = decompress(
            window.fetch,
            pixels.fragments,
            pixels.offset_table,
            pixels.extended,
            pixels.attributes,
            plan.instance.transfer_syntax,
            max_decoded_bytes=left,
        )
        plan.natives[pixels.level] = decoded
        left -= decoded.length
        if decoded.notes:
            notes.append(decoded.notes)
