"""The walk: from header to header over the elements of a content, picking up the few values that a send needs.

How it thinks:

- A value is skipped by its length and never read, so a content costs what its headers cost, whatever its size.
- It does no I/O. It looks through a `Window`, the part of a content that is in memory, which asks a `Fetch` for more
  bytes: a file, bytes, a member of an archive and an inflated data set are each one such function.
- Time goes into runs of ordinary elements. `_pass_ordinary_explicit` and `_pass_ordinary_implicit` unpack one header
  after the other and do nothing else; at whatever needs thought they stop. `_walk` reads that one element with care,
  and the next run begins. Tags are compared as they are written in the bytes; turning each around would cost as much
  as unpacking it.
- A sequence or item with a length is skipped as any value. One of undefined length is followed to its delimiter
  (`_pass_items`) with the levels in a list: no depth of nesting exhausts Python's stack.
- Of an element with a VR that PS3.5 does not have, nothing says whether its length has 16 or 32 bits. A reading is
  right when it leads to the end of the content, so `walk_data_set` tries them one after the other.
- It fails in three ways: `Truncated`, an element goes on where the content ends; `Malformed`, what is there is no
  header, but pydicom, which forgives more, may find values; `Damaged`, it is none by any reading.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from dicomkit._support.frozen import Frozen
from dicomkit.dictionary.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, uid_name
from dicomkit.dictionary.vrs import (
    ITEM,
    ITEM_DELIMITATION,
    LONG_VRS,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
)
from dicomkit.errors import Picklable

__all__ = [
    "BIG_EXPLICIT",
    "Encoding",
    "Fetch",
    "IMPLICIT",
    "LITTLE_EXPLICIT",
    "LONG_FORM",
    "Malformed",
    "NO_VR",
    "OddVrs",
    "READINGS_OF_ODD_VRS",
    "Truncated",
    "Window",
    "tag_name",
]

Fetch = Callable[[int, int], bytes]
"""``fetch(position, count)``: that many bytes from there, fewer only where the content ends."""

HEAD_SIZE = 8192  # holds everything a send needs to know of an ordinary CT slice
_LARGEST_FETCH = 1 << 18  # a long run of small elements is read in pieces of up to this many bytes
_LONGEST_VALUE = 256  # of a value that is picked up; a UID has 64 characters at most (PS3.5 9.1)
_SHORTEST_HEADER = 8  # tag and length; with a VR as well as without
_DEEPEST_NESTING = 512  # sequences within sequences; PS3.5 sets no limit, sanity does
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"  # the last bytes of encapsulated Pixel Data, PS3.5 A.4

_META_GROUP = 0x0002  # PS3.10 7.1
_META_GROUP_LENGTH = 0x00020000
_META_GROUP_LENGTH_SIZE = 12  # of the whole element; the group's length counts from its end
MEDIA_SOP_CLASS = 0x00020002
MEDIA_SOP_INSTANCE = 0x00020003
TRANSFER_SYNTAX = 0x00020010
_META_WANTED = frozenset((_META_GROUP_LENGTH, MEDIA_SOP_CLASS, MEDIA_SOP_INSTANCE, TRANSFER_SYNTAX))

SOP_CLASS = 0x00080016
SOP_INSTANCE = 0x00080018
MODALITY = 0x00080060
STUDY_INSTANCE = 0x0020000D
SERIES_INSTANCE = 0x0020000E
WANTED = frozenset((SOP_CLASS, SOP_INSTANCE, MODALITY, STUDY_INSTANCE, SERIES_INSTANCE))
"""What a result row has of the data set, and is picked up."""
_TRAILING_PADDING = 0xFFFCFFFC  # PS3.10 7.2
_DELIMITERS = 0xFFFE  # the group of items and delimiters, which are no elements: PS3.5 7.5

# How a file without preamble begins, in either byte order: group 8 or 2.
FIRST_GROUPS = (b"\x08\0", b"\x02\0", b"\0\x08", b"\0\x02")

_NAMES = {
    SOP_CLASS: "SOP Class UID",
    SOP_INSTANCE: "SOP Instance UID",
    STUDY_INSTANCE: "Study Instance UID",
    SERIES_INSTANCE: "Series Instance UID",
    MODALITY: "Modality",
    TRANSFER_SYNTAX: "Transfer Syntax UID",
    PIXEL_DATA: "Pixel Data",
    0x00420011: "Encapsulated Document",
    0x0040A730: "Content Sequence",
    0x54000100: "Waveform Sequence",
    0x52009230: "Per-frame Functional Groups Sequence",
    _TRAILING_PADDING: "Data Set Trailing Padding",
}


class Encoding(Frozen):
    """How the element headers of a data set are written (PS3.5 7.1).

    A tag is unpacked as one number, `written` as it is in the bytes: with the group in the lower half where the
    byte order is little endian.
    """

    syntax: str  # the uncompressed transfer syntax that is just that
    name: str
    implicit: bool
    little_endian: bool
    header: struct.Struct  # tag, VR and 16-bit length; tag and 32-bit length
    item: struct.Struct  # tag, 32-bit length
    length: struct.Struct
    short_vrs: frozenset[int]
    long_vrs: frozenset[int]
    sequence_vr: int
    unknown_vr: int
    fragmented_vrs: frozenset[int]
    wanted: dict[int, int]  # the tags of values that are picked up, by how they are written
    notable: frozenset[int]  # how they, and others that end a run of ordinary elements, are written

    def tag(self, written: int) -> int:
        """Return the group in the upper and the element in the lower half."""
        return (written & 0xFFFF) << 16 | written >> 16 if self.little_endian else written


def _encoding(syntax: str, order: str, *, implicit: bool) -> Encoding:
    def number(vr: bytes) -> int:
        return int(struct.unpack(order + "H", vr)[0])

    def written(tag: int) -> int:
        return int(struct.unpack(order + "I", struct.pack(order + "HH", tag >> 16, tag & 0xFFFF))[0])

    return Encoding(
        syntax=syntax,
        name=uid_name(syntax).removesuffix(" (Retired)"),
        implicit=implicit,
        little_endian=order == "<",
        header=struct.Struct(order + ("II" if implicit else "IHH")),
        item=struct.Struct(order + "II"),
        length=struct.Struct(order + "I"),
        short_vrs=frozenset(map(number, SHORT_VRS)),
        long_vrs=frozenset(map(number, LONG_VRS)),
        sequence_vr=number(b"SQ"),
        unknown_vr=number(b"UN"),
        fragmented_vrs=frozenset(map(number, (b"OB", b"OW"))),  # PS3.5 A.4: undefined length means fragments
        wanted={written(tag): tag for tag in WANTED},
        notable=frozenset(map(written, (*WANTED, 0, PIXEL_DATA, _TRAILING_PADDING, ITEM_DELIMITATION))),
    )


IMPLICIT = _encoding(IMPLICIT_LE, "<", implicit=True)
LITTLE_EXPLICIT = _encoding(EXPLICIT_LE, "<", implicit=False)
BIG_EXPLICIT = _encoding(EXPLICIT_BE, ">", implicit=False)
ENCODING_OF = {one.syntax: one for one in (IMPLICIT, LITTLE_EXPLICIT, BIG_EXPLICIT)}

_SHORT = LITTLE_EXPLICIT.short_vrs
_LONG = LITTLE_EXPLICIT.long_vrs


class Malformed(Exception):
    """The bytes at some position are no element header; a more patient reader may make sense of them."""


class Damaged(Picklable, Exception):
    """The bytes at some position are no element, whoever reads them."""


class Truncated(Picklable, Exception):
    """An element goes on where the content ends."""

    def __init__(self, tag: int, missing: int) -> None:
        self.tag = tag
        self.missing = missing
        what = f"{missing} bytes of {tag_name(tag)} are missing" if tag else f"{missing} bytes are missing"
        super().__init__(f"truncated: {what}")


FAULTS = (Malformed, Damaged, Truncated)


class Contradiction(Exception):
    """The transfer syntax and the data set contradict each other."""


class Header(Frozen):
    """One element without its value."""

    tag: int
    vr: int  # 0 where the encoding is implicit
    length: int
    start: int  # of the value, in the content


SHORT_FORM = 0  # 16 bits of length
LONG_FORM = 1  # 32 bits of length after two reserved bytes
NO_VR = 2  # 32 bits of length in its place


class OddVrs(Frozen):
    """How an element in Explicit VR is read whose VR is none that PS3.5 knows."""

    capitals: int  # with two capitals: SHORT_FORM or LONG_FORM
    others: int  # with anything else: SHORT_FORM, LONG_FORM or NO_VR
    items_are_implicit: (
        bool  # whether an item that begins with anything else is in Implicit VR: some writers do so
    )

    def form_of(self, vr: bytes) -> int:
        """Return how the element is written that has these two bytes where a VR should be."""
        return self.capitals if _is_capitals(vr) else self.others


# DCMTK's rule comes first, by which its storescu finds the way: two capitals are a VR of the future, for which PS3.5
# 6.2 announces the long form, and anything else was written in place of a VR that has the short one. Then pydicom's:
# it takes capitals for a VR of the short form, and anything else for an implicit element among explicit ones. At last
# the long form for anything else: "ox", DCMTK's own name of "OB or OW", has got into files.
READINGS_OF_ODD_VRS = (
    OddVrs(LONG_FORM, SHORT_FORM, True),
    OddVrs(LONG_FORM, SHORT_FORM, False),
    OddVrs(SHORT_FORM, NO_VR, True),
    OddVrs(SHORT_FORM, SHORT_FORM, True),
    OddVrs(SHORT_FORM, SHORT_FORM, False),
    OddVrs(LONG_FORM, NO_VR, True),
    OddVrs(LONG_FORM, LONG_FORM, True),
    OddVrs(LONG_FORM, LONG_FORM, False),
)


class Findings:
    """What a walk has come across so far, also when it ends in an error."""

    __slots__ = ("encoding", "is_guessed", "odd", "odd_vrs", "pixels", "values")

    def __init__(self, odd_vrs: OddVrs = READINGS_OF_ODD_VRS[0]) -> None:
        self.values: dict[int, bytes] = {}  # of WANTED, by tag
        self.pixels: Header | None = None  # the first Pixel Data of the data set itself, not of an item
        self.odd = 0  # the tag of the first element, at any depth, with a VR that PS3.5 does not know
        self.is_guessed = False  # whether an item was taken to be in Implicit VR within Explicit VR
        self.encoding: Encoding | None = None  # how the data set was read
        self.odd_vrs = odd_vrs

    def take(self, other: Findings) -> None:
        """Become what another walk has found."""
        self.values, self.pixels, self.odd = other.values, other.pixels, other.odd
        self.encoding = other.encoding


def tag_name(tag: int) -> str:
    """Return ``"Pixel Data (7FE0,0010)"``, or only the number where the name is not among the few known."""
    number = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    name = _NAMES.get(tag)
    return f"{name} {number}" if name else number


class Window:
    """The part of a content that is in memory: `buffer`, which begins at `base`.

    `size` is that of the whole content; `seekable` is False where only going forward is cheap.
    """

    __slots__ = ("_reach", "base", "buffer", "fetch", "seekable", "size")

    def __init__(self, head: bytes, size: int, fetch: Fetch, *, seekable: bool = True) -> None:
        self.buffer = head
        self.base = 0
        self.size = size
        self.fetch = fetch
        self.seekable = seekable
        self._reach = HEAD_SIZE

    def offset_of(self, position: int, count: int) -> int:
        """Return where in `buffer` the byte at `position` is, with `count` bytes from there on in memory.

        Raises `Truncated` when the content has fewer.
        """
        offset = position - self.base
        if offset >= 0 and offset + count <= len(self.buffer):
            return offset
        if position + count > self.size:
            raise Truncated(0, position + count - self.size)
        adjacent = 0 <= offset <= len(self.buffer)
        self._reach = min(self._reach * 2, _LARGEST_FETCH) if adjacent else HEAD_SIZE // 2
        self.buffer = self.fetch(position, max(count, self._reach))
        self.base = position
        if len(self.buffer) < count:  # it shrank since its size was asked for
            raise Truncated(0, count - len(self.buffer))
        return 0

    def bytes_at(self, position: int, count: int) -> bytes:
        """Return `count` bytes from `position` on, or raise as `offset_of`."""
        offset = self.offset_of(position, count)
        return self.buffer[offset : offset + count]


def guess_encoding(first: bytes) -> Encoding | None:
    """Tell from the first eight bytes of a data set how it is encoded; None when they are no element header.

    A VR makes it explicit: where Implicit VR has its length, two capital letters would mean a first element
    of more than 16 KB. The first group is a small number in the byte order it was written in.
    """
    if len(first) < 8:
        return None
    vr = int.from_bytes(first[4:6], "little")
    if vr in _SHORT or vr in _LONG:
        return BIG_EXPLICIT if first[0] == 0 and first[1] > 0 else LITTLE_EXPLICIT
    if _is_capitals(first[4:6]):
        return None
    return IMPLICIT if first[0] or first[1] else None


def read_file_meta(window: Window, begin: int, values: dict[int, bytes]) -> int:
    """Read the File Meta Information (PS3.10 7.1) that begins there, if it does; return where it ends.

    It ends where its group length says, if that is after an element; writers get it wrong, and then elements count as
    long as they are of group 0002, as they do while there is no transfer syntax. The values of the transfer syntax,
    SOP class and SOP instance are put into `values` by tag, also when reading ends in an error. A content that ends
    with the group must not end before the group length says. Implicit VR and big endian, which PS3.10 forbids here and
    writers use, are read as well. Raises `Malformed` or `Truncated` where it is no sequence of elements.
    """
    position = _pass_ordinary_meta(window, begin, values)
    encoding, group = LITTLE_EXPLICIT, b"\x02\0"
    if position == begin and position + _SHORTEST_HEADER <= window.size:
        first = window.bytes_at(position, _SHORTEST_HEADER)
        if first.startswith(b"\0\x02"):
            encoding, group = BIG_EXPLICIT, b"\0\x02"
        elif guess_encoding(first) is IMPLICIT:
            encoding = IMPLICIT
    while position + _SHORTEST_HEADER <= window.size:
        first = window.bytes_at(position, _SHORTEST_HEADER)
        if not first.startswith(group):
            return position
        if position == _end_of_meta(values, begin, encoding) and (
            TRANSFER_SYNTAX in values or guess_encoding(first) is not encoding
        ):
            return position
        header = _read_header(window, position, encoding, Findings())
        if header.length == UNDEFINED_LENGTH:
            raise Malformed(f"{tag_name(header.tag)} of the File Meta Information has no length")
        position = header.start + header.length
        if position > window.size:
            raise Truncated(header.tag, position - window.size)
        if header.tag in _META_WANTED and header.tag not in values:
            values[header.tag] = window.bytes_at(header.start, min(header.length, _LONGEST_VALUE))
    missing = _end_of_meta(values, begin, encoding) - position
    if missing > 0:
        raise Truncated(0, missing)
    return position


def _end_of_meta(values: dict[int, bytes], begin: int, encoding: Encoding) -> int:
    """Where the File Meta Information ends by its group length; 0 without one."""
    value = values.get(_META_GROUP_LENGTH)
    if value is None:
        return 0
    return (
        begin + _META_GROUP_LENGTH_SIZE + int.from_bytes(value, "little" if encoding.little_endian else "big")
    )


def _pass_ordinary_meta(window: Window, position: int, values: dict[int, bytes]) -> int:
    """Pass over the elements of File Meta Information as PS3.10 has them, as far as they are in memory.

    At the end that its group length names it stops: whether the group ends there is for the caller to say.
    """
    unpack = LITTLE_EXPLICIT.header.unpack_from
    unpack_length = LITTLE_EXPLICIT.length.unpack_from
    buffer = window.buffer
    size = len(buffer)
    offset = position - window.base
    end = -1
    try:
        while offset != end:
            written, vr, length = unpack(buffer, offset)
            if written & 0xFFFF != _META_GROUP:
                break
            if vr in _SHORT:
                start = offset + 8
            elif vr in _LONG:
                (length,) = unpack_length(buffer, offset + 8)
                start = offset + 12
            else:
                break
            if start + length > size:
                break
            tag = _META_GROUP << 16 | written >> 16
            if tag in _META_WANTED and tag not in values:
                value = values[tag] = buffer[start : start + min(length, _LONGEST_VALUE)]
                if tag == _META_GROUP_LENGTH:
                    end = start + length + int.from_bytes(value, "little")
            offset = start + length
    except struct.error:  # the buffer ends here
        pass
    return window.base + offset


def _pass_ordinary_explicit(
    window: Window, position: int, encoding: Encoding, values: dict[int, bytes]
) -> int:
    """Pass over elements with a VR and a length; stop at any other, at a notable one, or at the end."""
    unpack = encoding.header.unpack_from
    unpack_length = encoding.length.unpack_from
    short = encoding.short_vrs
    long = encoding.long_vrs
    wanted = encoding.wanted
    notable = encoding.notable
    size = window.size
    written = 0
    while position + 12 <= size:
        offset = window.offset_of(position, 12)
        buffer = window.buffer
        try:
            while True:  # this is where the time of a scan goes: 0.2 microseconds for each element
                written, vr, length = unpack(buffer, offset)
                if vr in short:
                    if written in wanted:
                        if offset + 8 + length > len(buffer):
                            return window.base + offset
                        start = offset + 8
                        values[wanted[written]] = buffer[start : start + min(length, _LONGEST_VALUE)]
                    offset += length + 8
                elif vr in long and written not in notable:
                    (length,) = unpack_length(buffer, offset + 8)
                    if length == UNDEFINED_LENGTH:
                        return window.base + offset
                    offset += length + 12
                else:
                    return window.base + offset
        except struct.error:  # the buffer ends here
            pass
        position = window.base + offset
    if position > size:
        raise Truncated(encoding.tag(written), position - size)
    return position


def _pass_ordinary_implicit(
    window: Window, position: int, encoding: Encoding, values: dict[int, bytes]
) -> int:
    """Pass over elements without VR that have a length; stop at any other, at a notable one, or at the end."""
    unpack = encoding.header.unpack_from
    notable = encoding.notable
    wanted = encoding.wanted
    size = window.size
    written = 0
    while position + 8 <= size:
        offset = window.offset_of(position, 8)
        buffer = window.buffer
        try:
            while True:
                written, length = unpack(buffer, offset)
                if length == UNDEFINED_LENGTH:
                    return window.base + offset
                if written in notable:
                    if written not in wanted or offset + 8 + length > len(buffer):
                        return window.base + offset
                    start = offset + 8
                    values[wanted[written]] = buffer[start : start + min(length, _LONGEST_VALUE)]
                offset += length + 8
        except struct.error:
            pass
        position = window.base + offset
    if position > size:
        raise Truncated(encoding.tag(written), position - size)
    return position


_ORDINARY = {True: _pass_ordinary_implicit, False: _pass_ordinary_explicit}


def walk_data_set(window: Window, position: int, encoding: Encoding, found: Findings) -> int:
    """Follow the top-level elements from `position` to the end of the content; return where the last one ends.

    That is the end of the content, unless what is left cannot be an element: zeros, or after Pixel Data fewer bytes
    than a header has. Raises one of `FAULTS`.
    """
    failure: Exception | None = None
    end = -1
    try:
        end = _walk(window, position, encoding, found)
        if end == window.size or not found.odd:
            return end
    except FAULTS as error:
        if not (found.odd or found.is_guessed):
            raise
        failure = error
    # What a reading leaves over may be a part of the element with the odd VR, so one that comes to the end is better.
    for odd_vrs in READINGS_OF_ODD_VRS[1:]:
        other = Findings(odd_vrs)
        try:
            other_end = _walk(window, position, encoding, other)
        except FAULTS:
            continue
        if end < 0 or other_end == window.size:
            found.take(other)
            end = other_end
        if end == window.size:
            return end
    if failure is not None and end < 0:
        raise failure
    return end


def walk_as(
    window: Window, offset: int, likely: Encoding, said: Encoding, found: Findings
) -> tuple[Encoding, int]:
    """Walk as the first element looks; where that leads nowhere, as the File Meta Information says."""
    try:
        return likely, walk_data_set(window, offset, likely, found)
    except FAULTS as error:
        if likely is said:
            raise
        other = Findings()
        try:
            end = walk_data_set(window, offset, said, other)
        except FAULTS as other_error:
            if len(other.values) <= len(found.values):
                raise error from other_error
            found.take(other)  # this way led further
            raise
        found.take(other)
        return said, end


def _walk(window: Window, position: int, encoding: Encoding, found: Findings) -> int:
    found.encoding = encoding
    size = window.size
    ordinary = _ORDINARY[encoding.implicit]
    begin = position
    end_of_pixels = 0
    try:
        while position < size:
            position = ordinary(window, position, encoding, found.values)
            if size - position < _SHORTEST_HEADER:
                # In big endian a zero may be the first byte of a tag.
                may_be_zeros = position > begin and encoding.little_endian
                if position == size or end_of_pixels or (may_be_zeros and _is_zeros(window, position)):
                    break
            header = _read_header(window, position, encoding, found)
            if not header.tag >> 16:
                # After an element of an odd VR they may be where a wrong reading led to, into the pixels.
                is_certain = end_of_pixels or (position > begin and not found.odd)
                if is_certain and _is_zeros(window, position):
                    break
                raise Malformed(f"{tag_name(header.tag)} belongs to no data set")
            is_pixels = header.tag == PIXEL_DATA
            if is_pixels and found.pixels is None:
                found.pixels = header
            if header.length == UNDEFINED_LENGTH:
                position = _pass_undefined(window, header, encoding, found)
            else:
                position = header.start + header.length
                if position > size:
                    raise Truncated(header.tag, position - size)
                if header.tag in WANTED:
                    count = min(header.length, _LONGEST_VALUE)
                    found.values[header.tag] = window.bytes_at(header.start, count)
            if is_pixels:
                end_of_pixels = position
    except (Malformed, Truncated) as error:
        if end_of_pixels:
            raise Damaged(
                f"the {size - end_of_pixels} bytes after {tag_name(PIXEL_DATA)} are no elements that end where the "
                "content does"
            ) from None
        if found.odd and isinstance(error, Truncated):
            raise Damaged(
                f"{tag_name(found.odd)} has no value representation of PS3.5, and however it is read, what follows "
                "are no elements that end where the content does"
            ) from None
        raise
    return position


def _read_header(window: Window, position: int, encoding: Encoding, found: Findings) -> Header:
    offset = window.offset_of(position, _SHORTEST_HEADER)
    if encoding.implicit:
        written, length = encoding.header.unpack_from(window.buffer, offset)
        return Header(encoding.tag(written), 0, length, position + 8)
    written, vr, length = encoding.header.unpack_from(window.buffer, offset)
    tag = encoding.tag(written)
    is_long = vr in encoding.long_vrs
    if not is_long and vr not in encoding.short_vrs:
        if tag >> 16 == _DELIMITERS:
            raise Malformed(f"{tag_name(tag)} stands where an element should")
        found.odd = found.odd or tag
        form = found.odd_vrs.form_of(window.buffer[offset + 4 : offset + 6])
        is_long = form == LONG_FORM
        if form == NO_VR:
            (length,) = encoding.length.unpack_from(window.buffer, offset + 4)
    if not is_long:
        return Header(tag, vr, length, position + 8)
    try:
        offset = window.offset_of(position, 12)
    except Truncated as error:
        raise Truncated(tag, error.missing) from None
    (length,) = encoding.length.unpack_from(window.buffer, offset + 8)
    return Header(tag, vr, length, position + 12)


def _is_capitals(vr: bytes) -> bool:
    """Whether it looks like a VR, be it known or not."""
    return vr.isalpha() and vr.isupper()  # of bytes: A to Z alone


def _is_zeros(window: Window, position: int) -> bool:
    """Whether nothing but zeros is left."""
    places = range(position, window.size, HEAD_SIZE)
    return not any(any(window.bytes_at(at, min(window.size - at, HEAD_SIZE))) for at in places)


def _pass_undefined(window: Window, header: Header, encoding: Encoding, found: Findings) -> int:
    """Return where a value of undefined length ends, its delimiter included (PS3.5 7.5 and A.4)."""
    size = window.size
    if header.tag == PIXEL_DATA and window.seekable and window.fetch(size - 8, 8) == _SEQUENCE_END:
        return size  # the usual end of an encapsulated image; walking its fragments would be a read for each frame
    try:
        return _pass_items(window, header, encoding, found)
    except Truncated as error:
        raise Truncated(header.tag, error.missing) from None


def _pass_items(window: Window, header: Header, encoding: Encoding, found: Findings) -> int:
    # A level is a sequence (True) or an item (False), and how its content is encoded; None for fragments.
    levels: list[tuple[bool, Encoding | None]] = [(True, _content_encoding(header, encoding))]
    ignored: dict[int, bytes] = {}
    position = header.start
    while levels:
        is_sequence, inner = levels[-1]
        if is_sequence:
            offset = window.offset_of(position, 8)
            order = inner or encoding
            written, length = order.item.unpack_from(window.buffer, offset)
            tag = order.tag(written)
            position += 8
            if tag == SEQUENCE_DELIMITATION:
                levels.pop()
            elif tag != ITEM:
                raise Malformed(f"{tag_name(tag)} stands where an item of {tag_name(header.tag)} should")
            elif length != UNDEFINED_LENGTH:
                position += length
            elif inner is None:
                raise Malformed(f"a fragment of {tag_name(header.tag)} has no length")
            else:
                levels.append((False, _item_encoding(window, position, inner, found)))
        else:
            assert inner is not None
            position = _ORDINARY[inner.implicit](window, position, inner, ignored)
            offset = window.offset_of(position, 8)
            written, length = inner.item.unpack_from(window.buffer, offset)
            if inner.tag(written) == ITEM_DELIMITATION:
                levels.pop()
                position += 8
                continue
            nested = _read_header(window, position, inner, found)
            if nested.length != UNDEFINED_LENGTH:
                position = nested.start + nested.length
            elif len(levels) >= _DEEPEST_NESTING:
                raise Malformed(f"{tag_name(header.tag)} is nested more than {_DEEPEST_NESTING} deep")
            else:
                levels.append((True, _content_encoding(nested, inner)))
                position = nested.start
        if position > window.size:
            raise Truncated(header.tag, position - window.size)
    return position


def _content_encoding(header: Header, encoding: Encoding) -> Encoding | None:
    """How the items of an element of undefined length are encoded; None when they are fragments of an image."""
    if header.tag == PIXEL_DATA or header.vr in encoding.fragmented_vrs:
        return None
    if encoding.implicit or header.vr == encoding.sequence_vr:
        return encoding
    if header.vr == encoding.unknown_vr or not (
        header.vr in encoding.short_vrs or header.vr in encoding.long_vrs
    ):
        return LITTLE_EXPLICIT  # PS3.5 6.2.2: little endian, and implicit unless an item proves otherwise
    raise Malformed(f"{tag_name(header.tag)} has no length, and is no sequence")


def _item_encoding(window: Window, position: int, encoding: Encoding, found: Findings) -> Encoding:
    """Return the encoding of one item: within Explicit VR, UN and some writers' sequences hold Implicit VR."""
    if position + 8 > window.size or encoding is not LITTLE_EXPLICIT:
        return encoding
    offset = window.offset_of(position, 8)
    first = window.buffer[offset + 4 : offset + 6]
    vr = int.from_bytes(first, "little")
    if vr in _SHORT or vr in _LONG or _is_capitals(first):
        return LITTLE_EXPLICIT
    found.is_guessed = True
    return IMPLICIT if found.odd_vrs.items_are_implicit else LITTLE_EXPLICIT
