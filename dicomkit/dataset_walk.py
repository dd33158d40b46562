"""Follow the elements of a DICOM content from header to header, and pick up the few values a send needs.

Strategy: values are skipped by their length and never read, so a content costs what its headers cost, whatever its
size. The walk does no I/O: it looks through a `Window`, which asks a `Fetch` for more bytes; a file, bytes in
memory, a zip member and an inflated data set are each one such function.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from dicomkit.errors import Picklable
from dicomkit.frozen import Frozen

__all__ = [
    "BIG_EXPLICIT",
    "Encoding",
    "Fetch",
    "IMPLICIT",
    "LITTLE_EXPLICIT",
    "Malformed",
    "Truncated",
    "Window",
    "guess_encoding",
    "read_file_meta",
    "tag_name",
    "walk_data_set",
]

Fetch = Callable[[int, int], bytes]
"""``fetch(position, count)``: that many bytes from there, fewer only where the content ends."""

HEAD_SIZE = 8192  # holds everything a send needs to know of an ordinary CT slice
_LARGEST_FETCH = 1 << 18  # a long run of small elements is read in pieces of up to this many bytes
_LONGEST_VALUE = 256  # of a value that is picked up; a UID has 64 characters at most (PS3.5 9.1)
_MOST_STRAY_BYTES = 1024  # after the last element of a data set without Pixel Data; more may be lost elements
_DEEPEST_NESTING = 512  # sequences within sequences; PS3.5 sets no limit, sanity does

UNDEFINED_LENGTH = 0xFFFFFFFF  # PS3.5 7.1.1
ITEM = 0xFFFEE000  # PS3.5 7.5
ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"  # the last bytes of encapsulated Pixel Data, PS3.5 A.4

META_GROUP = 0x0002  # PS3.10 7.1
META_GROUP_LENGTH = 0x00020000
_META_GROUP_BYTES = b"\x02\0"
_META_GROUP_LENGTH_SIZE = 12  # of the whole element; the group's length counts from its end
MEDIA_SOP_CLASS = 0x00020002
MEDIA_SOP_INSTANCE = 0x00020003
TRANSFER_SYNTAX = 0x00020010

_META_WANTED = frozenset((META_GROUP_LENGTH, MEDIA_SOP_CLASS, MEDIA_SOP_INSTANCE, TRANSFER_SYNTAX))

SOP_CLASS = 0x00080016
SOP_INSTANCE = 0x00080018
MODALITY = 0x00080060
STUDY_INSTANCE = 0x0020000D
SERIES_INSTANCE = 0x0020000E
PIXEL_DATA = 0x7FE00010
_PIXEL_GROUP = 0x7FE0
_TRAILING_PADDING = 0xFFFCFFFC  # PS3.10 7.2
# The standard groups from Pixel Data on: it, digital signatures, trailing padding (PS3.6).
_LAST_GROUPS = (_PIXEL_GROUP, 0xFFFA, 0xFFFC)
_FORBIDDEN_GROUP = 0xFFFF  # PS3.5 7.8
_WANTED = frozenset((SOP_CLASS, SOP_INSTANCE, MODALITY, STUDY_INSTANCE, SERIES_INSTANCE))

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

# PS3.5 Table 7.1-1 and 7.1-2: which VRs have a 16-bit length, and which two reserved bytes and a 32-bit one.
_SHORT_VRS = b"AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS"
_LONG_VRS = b"OBODOFOLOVOWSQSVUCUNURUTUV"
_FRAGMENTED_VRS = b"OBOW"  # PS3.5 A.4: undefined length means encapsulated fragments


class Encoding(Frozen):
    """How the element headers of a data set are written (PS3.5 7.1).

    A tag is unpacked as one number, `written` as it is in the bytes: with the group in the lower half where the
    byte order is little endian, which is cheaper to compare than to turn around.
    """

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
    wanted: frozenset[int]  # the written tags of values that are picked up
    notable: frozenset[int]  # and those of them and others that end a run of ordinary elements

    def tag(self, written: int) -> int:
        """Return the group in the upper and the element in the lower half."""
        return (written & 0xFFFF) << 16 | written >> 16 if self.little_endian else written


def _encoding(name: str, order: str, *, implicit: bool) -> Encoding:
    def numbers(vrs: bytes) -> frozenset[int]:
        return frozenset(struct.unpack(f"{order}{len(vrs) // 2}H", vrs))

    def written(tags: frozenset[int]) -> frozenset[int]:
        return frozenset(
            struct.unpack(order + "I", struct.pack(order + "HH", tag >> 16, tag & 0xFFFF))[0] for tag in tags
        )

    return Encoding(
        name=name,
        implicit=implicit,
        little_endian=order == "<",
        header=struct.Struct(order + ("II" if implicit else "IHH")),
        item=struct.Struct(order + "II"),
        length=struct.Struct(order + "I"),
        short_vrs=numbers(_SHORT_VRS),
        long_vrs=numbers(_LONG_VRS),
        sequence_vr=struct.unpack(order + "H", b"SQ")[0],
        unknown_vr=struct.unpack(order + "H", b"UN")[0],
        fragmented_vrs=numbers(_FRAGMENTED_VRS),
        wanted=written(_WANTED),
        notable=written(_WANTED | {0, PIXEL_DATA, _TRAILING_PADDING, ITEM_DELIMITATION}),
    )


IMPLICIT = _encoding("Implicit VR Little Endian", "<", implicit=True)
LITTLE_EXPLICIT = _encoding("Explicit VR Little Endian", "<", implicit=False)
BIG_EXPLICIT = _encoding("Explicit VR Big Endian", ">", implicit=False)

_SHORT = LITTLE_EXPLICIT.short_vrs
_LONG = LITTLE_EXPLICIT.long_vrs


class Malformed(Exception):
    """The bytes at some position are no element header; a more patient reader may make sense of them."""


class Truncated(Picklable, Exception):
    """An element goes on where the content ends."""

    def __init__(self, tag: int, missing: int) -> None:
        self.tag = tag
        self.missing = missing
        what = f"{missing} bytes of {tag_name(tag)} are missing" if tag else f"{missing} bytes are missing"
        super().__init__(f"truncated: {what}")


class _Header(Frozen):
    tag: int
    vr: int  # 0 where the encoding is implicit
    length: int
    start: int  # of the value, in the content


def tag_name(tag: int) -> str:
    """Return ``"Pixel Data (7FE0,0010)"``, or only the number where the name is not among the few known."""
    number = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    name = _NAMES.get(tag)
    return f"{name} {number}" if name else number


class Window:
    """The part of a content that is in memory.

    Parameters
    ----------
    head : bytes
        The content's first bytes.
    size : int
        Of the whole content, in bytes.
    fetch : callable
        Gives more of it.
    seekable : bool
        False where only going forward is cheap.
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
        """Where in `buffer` the byte at `position` is, with `count` bytes from there on in memory.

        Raises
        ------
        Truncated
            When the content has fewer.
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
        """Return `count` bytes from `position` on.

        Raises
        ------
        Truncated
            When the content has fewer.
        """
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
    if first[4:6].isalpha() and first[4:6].isupper():
        return None
    return IMPLICIT if first[0] or first[1] else None


def read_file_meta(window: Window, position: int) -> tuple[dict[int, bytes], int]:
    """Read the File Meta Information (PS3.10 7.1) that begins at `position`, if it does.

    Its group length is not believed, and elements count as long as they are of group 0002: writers get the
    length wrong. The values of the transfer syntax, SOP class and SOP instance are returned by tag, with the
    position where the data set begins; a content that ends there must not end before the group length says. Implicit
    VR, which PS3.10 forbids here and writers use, is read as well.

    Raises
    ------
    Malformed, Truncated
        What is there is no sequence of elements.
    """
    values: dict[int, bytes] = {}
    begin = position
    encoding = LITTLE_EXPLICIT
    position = _pass_ordinary_meta(window, position, values)
    while position + 8 <= window.size:
        first = window.bytes_at(position, 8)
        if first[:2] != _META_GROUP_BYTES:
            break
        if position == begin and guess_encoding(first) is IMPLICIT:
            encoding = IMPLICIT
        header = _read_header(window, position, encoding)
        if header.length == UNDEFINED_LENGTH:
            raise Malformed(f"{tag_name(header.tag)} of the File Meta Information has no length")
        position = header.start + header.length
        if position > window.size:
            raise Truncated(header.tag, position - window.size)
        if header.tag in _META_WANTED:
            values[header.tag] = window.bytes_at(header.start, min(header.length, _LONGEST_VALUE))
    if window.size < position + 8 and META_GROUP_LENGTH in values:
        length = int.from_bytes(values[META_GROUP_LENGTH], "little")
        missing = begin + _META_GROUP_LENGTH_SIZE + length - position
        if missing > 0:
            raise Truncated(0, missing)
    return values, position


def walk_data_set(window: Window, position: int, encoding: Encoding, values: dict[int, bytes]) -> int:
    """Follow the top-level elements from `position` to the end of the content; return where the last one ends.

    The five attributes of the data set that a result row has are put into `values`, by tag, also when the walk
    ends in an error.

    What comes after Pixel Data and is out of order, unless it is elements up to the very end, is not part of the
    data set; nor are zeros, or a few stray bytes, after the last element.

    Raises
    ------
    Truncated
        The last element goes on beyond the end.
    Malformed
        Something between the elements is not one.
    """
    size = window.size
    ordinary = _ORDINARY[encoding.implicit]
    begin = position
    previous = 0  # the latest tag of Pixel Data's group or beyond
    doubtful = 0  # where the data set ends when what comes after Pixel Data turns out to be no elements
    certain: dict[int, bytes] = {}
    try:
        while position < size:
            if not previous:
                position = ordinary(window, position, encoding, values)
                if position >= size:
                    break
            elif not doubtful and not _follows(window, position, encoding, previous):
                doubtful = position
                certain = dict(values)
            try:
                header = _read_header(window, position, encoding)
            except (Malformed, Truncated):
                if position > begin and _is_stray(window, position, encoding):
                    return position
                raise
            if not header.tag >> 16:
                if position > begin and _is_stray(window, position, encoding):
                    return position
                raise Malformed(f"{tag_name(header.tag)} belongs to no data set")
            if header.length == UNDEFINED_LENGTH:
                position = _pass_undefined(window, header, encoding)
            else:
                position = header.start + header.length
                if position > size:
                    raise Truncated(header.tag, position - size)
                if header.tag in _WANTED:
                    count = min(header.length, _LONGEST_VALUE)
                    values[header.tag] = window.bytes_at(header.start, count)
            if header.tag >> 16 >= _PIXEL_GROUP:
                previous = header.tag
    except (Malformed, Truncated):
        if not doubtful:
            raise
        values.clear()
        values.update(certain)
        return doubtful
    return position


def _pass_ordinary_meta(window: Window, position: int, values: dict[int, bytes]) -> int:
    """Pass over the elements of File Meta Information as PS3.10 has them, as far as they are in memory."""
    unpack = LITTLE_EXPLICIT.header.unpack_from
    unpack_length = LITTLE_EXPLICIT.length.unpack_from
    buffer = window.buffer
    size = len(buffer)
    offset = position - window.base
    try:
        while True:
            written, vr, length = unpack(buffer, offset)
            if written & 0xFFFF != META_GROUP:
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
            tag = META_GROUP << 16 | written >> 16
            if tag in _META_WANTED:
                values[tag] = buffer[start : start + min(length, _LONGEST_VALUE)]
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
                        values[encoding.tag(written)] = buffer[start : start + min(length, _LONGEST_VALUE)]
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
                    values[encoding.tag(written)] = buffer[start : start + min(length, _LONGEST_VALUE)]
                offset += length + 8
        except struct.error:
            pass
        position = window.base + offset
    if position > size:
        raise Truncated(encoding.tag(written), position - size)
    return position


_ORDINARY = {True: _pass_ordinary_implicit, False: _pass_ordinary_explicit}


def _read_header(window: Window, position: int, encoding: Encoding) -> _Header:
    offset = window.offset_of(position, 8)
    if encoding.implicit:
        written, length = encoding.header.unpack_from(window.buffer, offset)
        return _Header(encoding.tag(written), 0, length, position + 8)
    written, vr, length = encoding.header.unpack_from(window.buffer, offset)
    tag = encoding.tag(written)
    if vr in encoding.short_vrs:
        return _Header(tag, vr, length, position + 8)
    if vr in encoding.long_vrs:
        try:
            offset = window.offset_of(position, 12)
        except Truncated as error:
            raise Truncated(tag, error.missing) from None
        (length,) = encoding.length.unpack_from(window.buffer, offset + 8)
        return _Header(tag, vr, length, position + 12)
    raise Malformed(f"{tag_name(tag)} has no value representation of PS3.5")


def _follows(window: Window, position: int, encoding: Encoding, previous: int) -> bool:
    """Whether the bytes at `position` can be an element that comes after `previous`."""
    try:
        tag = _read_header(window, position, encoding).tag
    except (Malformed, Truncated):
        return False
    group = tag >> 16
    is_private = group & 1 == 1 and group != _FORBIDDEN_GROUP
    return tag > previous and (is_private or group in _LAST_GROUPS)


def _is_stray(window: Window, position: int, encoding: Encoding) -> bool:
    """Whether what follows the last element is zeros, or a little that no encoding makes an element of."""
    left = window.size - position
    if not encoding.implicit and 8 <= left <= _MOST_STRAY_BYTES:
        first = window.bytes_at(position, 8)
        (length,) = LITTLE_EXPLICIT.length.unpack_from(first, 4)
        if guess_encoding(first) is IMPLICIT and length > left - 8:
            return True
    if left < 8 and encoding is BIG_EXPLICIT:
        return False  # a zero may be the first byte of a tag
    while position < window.size:
        count = min(window.size - position, HEAD_SIZE)
        if any(window.bytes_at(position, count)):
            return False
        position += count
    return True


def _pass_undefined(window: Window, header: _Header, encoding: Encoding) -> int:
    """Return where a value of undefined length ends, its delimiter included (PS3.5 7.5 and A.4)."""
    size = window.size
    if header.tag == PIXEL_DATA and window.seekable and window.fetch(size - 8, 8) == _SEQUENCE_END:
        return size  # the usual end of an encapsulated image; walking its fragments would be a read for each frame
    try:
        return _pass_items(window, header, encoding)
    except Truncated as error:
        raise Truncated(header.tag, error.missing) from None


def _pass_items(window: Window, header: _Header, encoding: Encoding) -> int:
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
                levels.append((False, _item_encoding(window, position, inner)))
        else:
            assert inner is not None
            position = _ORDINARY[inner.implicit](window, position, inner, ignored)
            offset = window.offset_of(position, 8)
            written, length = inner.item.unpack_from(window.buffer, offset)
            if inner.tag(written) == ITEM_DELIMITATION:
                levels.pop()
                position += 8
                continue
            nested = _read_header(window, position, inner)
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


def _content_encoding(header: _Header, encoding: Encoding) -> Encoding | None:
    """How the items of an element of undefined length are encoded; None when they are fragments of an image."""
    if header.tag == PIXEL_DATA or header.vr in encoding.fragmented_vrs:
        return None
    if encoding.implicit or header.vr == encoding.sequence_vr:
        return encoding
    if (
        header.vr == encoding.unknown_vr
    ):  # PS3.5 6.2.2: little endian, and implicit unless an item proves otherwise
        return LITTLE_EXPLICIT
    raise Malformed(f"{tag_name(header.tag)} has no length, and is no sequence")


def _item_encoding(window: Window, position: int, encoding: Encoding) -> Encoding:
    """Return the encoding of one item: within Explicit VR, UN and some writers' sequences hold Implicit VR."""
    if position + 8 > window.size or encoding is not LITTLE_EXPLICIT:
        return encoding
    offset = window.offset_of(position, 8)
    vr = int.from_bytes(window.buffer[offset + 4 : offset + 6], "little")
    if vr in _SHORT or vr in _LONG:
        return LITTLE_EXPLICIT
    return IMPLICIT
