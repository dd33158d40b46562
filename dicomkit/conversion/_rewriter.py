"""Elements written again in another encoding: headers anew, values byte for byte.

Strategy: the source is followed once, from header to header. New headers and small values go into one buffer; a large
value is only referred to, by where it is in the source, and read when it is sent. Lengths of sequences, items and
groups are put in when these end, so that the length of the whole is known before anything is sent, and a file of
gigabytes costs no more memory than its headers. Levels of nesting are kept in a list, not on Python's stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dicomkit._support.frozen import Frozen
from dicomkit.conversion._errors import NotConverted
from dicomkit.conversion._headers import (
    LENGTH,
    LONG_HEADER,
    SHORT_HEADER,
    TAG_LENGTH,
    swapped,
)
from dicomkit.conversion._representations import (
    AUDIO_SAMPLE_FORMAT,
    COMES_LATER,
    DEPENDED_ON,
    repeating,
    representation,
)
from dicomkit.conversion._runs import Runs
from dicomkit.dictionary.vrs import (
    ITEM,
    ITEM_DELIMITATION,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    WORD_SIZES,
)
from dicomkit.sources.elements import (
    IMPLICIT,
    LITTLE_EXPLICIT,
    LONG_FORM,
    NO_VR,
    Encoding,
    Malformed,
    OddVrs,
    Truncated,
    Window,
    tag_name,
)

__all__ = [
    "Encapsulated",
    "Native",
    "Reference",
    "Rewriter",
]

LARGE = 8192  # bytes; a value from here on is not copied but referred to
DEEPEST = 512  # sequences and items within each other; PS3.5 sets no limit, sanity does
_LONGEST_ATTRIBUTE = 1 << 16  # of those that a decoder is told

_PIXEL_GROUP = 0x0028
_IDENTIFYING = frozenset((0x00080008, 0x00080016, 0x00080060))  # Image Type, SOP Class UID, Modality
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002)  # PS3.3 C.7.6.3.1.8: of encapsulated frames only
_FRAGMENTED = (b"OB", b"OW")
_WITHOUT_VR = (0x0000, 0xFFFE)  # groups: zeros after the last element, and delimiters

Reference = tuple[int, "int | Sequence[bytes | bytearray | memoryview]", int, int]
"""Where in the buffer a large value belongs, where it is (a position of the source, or the bytes), how long it is, and
the size of its words when they have to be turned, otherwise 1."""


class Encapsulated(Frozen):
    """Compressed Pixel Data that was come across (PS3.5 A.4).

    Attributes
    ----------
    level : int
        Where the item that it is in begins, in the source.
    fragments : tuple
        Position and length of each, without the Basic Offset Table.
    offset_table : bytes
    extended : tuple of bytes, or None
        Extended Offset Table and its lengths.
    attributes : dict
        The little-endian values of what describes the pixels.
    """

    level: int
    fragments: tuple[tuple[int, int], ...]
    offset_table: bytes
    extended: tuple[bytes, bytes] | None
    attributes: dict[int, bytes]


class Native(Frozen):
    """What takes the place of compressed Pixel Data, and the attributes that then describe it; None removes one."""

    value: tuple[bytes | bytearray | memoryview, ...]
    length: int
    vr: bytes
    attributes: dict[int, bytes | None]


class _Level:
    """A data set or item, or the sequence that items are in."""

    __slots__ = (
        "begin",
        "changed",
        "changes",
        "content_at",
        "encoding",
        "end",
        "group",
        "group_at",
        "group_begin",
        "group_index",
        "implicit",
        "is_sequence",
        "length_at",
        "length_index",
        "limit",
        "tag",
        "unknown",
        "values",
    )

    def __init__(
        self, begin: int, end: int | None, limit: int, encoding: Encoding, *, implicit: bool, tag: int = 0
    ) -> None:
        self.begin = begin
        self.end = end  # None where its length is undefined
        self.limit = limit  # where it has to end at the latest
        self.encoding = encoding
        self.implicit = implicit  # how it is written
        self.tag = tag  # of the sequence; 0 of a data set or item
        self.is_sequence = tag != 0
        self.length_at = self.length_index = -1
        self.content_at = 0
        self.values: dict[int, bytes] = {}  # what other elements depend on
        self.unknown: set[int] = set()  # what was looked for, here or below, and had not come yet
        self.changes: list[tuple[int, bytes | None]] = []  # of attributes, the last first
        self.changed: frozenset[int] = frozenset()
        self.group = self.group_at = self.group_index = -1
        self.group_begin = 0


class Rewriter:
    """One pass over a data set.

    Parameters
    ----------
    window : Window
        The source, of which `size` is the end of the data set.
    begin : int
        Where in it the data set begins.
    encoding : Encoding
        Of the source.
    implicit : bool
        Whether Implicit VR Little Endian is written, or Explicit VR Little Endian.
    is_encapsulated : bool
        Whether the transfer syntax has its Pixel Data compressed.
    swaps_pixels : bool
        Whether Pixel Data alone is big endian.
    reading : OddVrs
        What an element is whose VR is none.
    opaque : frozenset of int
        Where sequences begin whose content is no items and is copied as it is.
    known : mapping
        By where a level begins, values that come after what depends on them.
    natives : mapping
        By where a level begins, what replaces its compressed Pixel Data.
    lengths : list of int, optional
        Those of sequences, items and groups in the order in which they begin, from a pass before.

    Attributes
    ----------
    out : bytearray
        Headers and small values; `steps` stops whenever it has `flush_at` bytes or more, and it may be emptied then.
    references : list of Reference
        Large values.
    is_odd : bool
        Whether an element was met whose VR is none that PS3.5 knows, or an item that looks as if it was in Implicit VR:
        what can be read in more than one way.
    length : int
        Of the data set as it is written, once `steps` has ended.
    """

    def __init__(
        self,
        window: Window,
        begin: int,
        encoding: Encoding,
        *,
        implicit: bool,
        is_encapsulated: bool,
        swaps_pixels: bool,
        reading: OddVrs,
        opaque: frozenset[int],
        known: Mapping[int, Mapping[int, bytes]],
        natives: Mapping[int, Native],
        lengths: list[int] | None = None,
    ) -> None:
        self.window = window
        self.out = bytearray()
        self.references: list[Reference] = []
        self.flush_at = 0
        self.flushed = 0
        self.notes: list[str] = []
        self.is_odd = False
        self.encapsulated: list[Encapsulated] = []
        self._awaited: tuple[_Level, int] | None = (
            None  # where the latest of them belong, and how much comes before
        )
        self.learnt: dict[int, dict[int, bytes]] = {}
        self.lengths: list[int] = []
        self._is_encapsulated = is_encapsulated
        self._swaps_pixels = swaps_pixels
        self._reading = reading
        self._opaque = opaque
        self._known = known
        self._natives = natives
        self._final = lengths
        self._elsewhere = 0  # bytes of values that are referred to
        self._position = begin
        self._levels: list[_Level] = []
        self._runs = Runs(window)
        self._push(_Level(begin, window.size, window.size, encoding, implicit=implicit))

    @property
    def length(self) -> int:
        """How many bytes are written by now, those included that are elsewhere."""
        return self.flushed + len(self.out) + self._elsewhere

    def steps(self) -> Iterator[None]:
        """Write; pause whenever the buffer is full.

        Raises
        ------
        Malformed, Truncated
            The source cannot be followed; `suspect` may say which sequence to leave as it is.
        NotConverted
            It can be followed, and not be written.
        """
        levels = self._levels
        while levels:
            level = levels[-1]
            if level.is_sequence:
                self._next_item(level)
            else:
                self._next_elements(level)
            if len(self.out) >= self.flush_at:
                yield

    def suspect(self) -> int | None:
        """Where the innermost sequence begins that has a length, and so can be passed over whatever is in it."""
        for level in reversed(self._levels):
            if level.is_sequence and level.end is not None:
                return level.begin
        return None

    # ------------------------------------------------------------------------------------------ levels

    def _push(self, level: _Level, *, length_at: int = -1) -> None:
        if len(self._levels) >= DEEPEST:
            raise NotConverted(
                f"it could not be converted: its sequences are nested more than {DEEPEST // 2} deep; have the peer "
                "accept it as it is stored"
            )
        level.content_at = self.length
        if length_at >= 0:
            level.length_at = length_at
            level.length_index = self._measure(length_at)
        if not level.is_sequence:
            level.values.update(self._known.get(level.begin, {}))
            native = self._natives.get(level.begin)
            if native is not None:
                level.changes = sorted(native.attributes.items(), reverse=True)
                level.changed = frozenset(native.attributes)
        self._levels.append(level)

    def _measure(self, at: int) -> int:
        """Begin to measure what has its length at this place of the buffer; return its number."""
        index = len(self.lengths)
        self.lengths.append(0)
        if self._final is not None:
            LENGTH.pack_into(self.out, at, self._final[index])
        return index

    def _measured(self, index: int, at: int, length: int) -> None:
        if length >= UNDEFINED_LENGTH:
            raise NotConverted(
                "it could not be converted: a sequence of it would be longer than 4 GB (PS3.5 7.5); have the peer "
                "accept it as it is stored"
            )
        self.lengths[index] = length
        if self._final is None and not self.flushed:
            LENGTH.pack_into(self.out, at, length)

    def _pop(self) -> None:
        level = self._levels.pop()
        if level.changes:
            self._change_below(level, 1 << 32)
        if level.group_at >= 0:
            self._end_group(level)
        if level.length_at >= 0:
            self._measured(level.length_index, level.length_at, self.length - level.content_at)
        elif self._levels:
            delimiter = SEQUENCE_DELIMITATION if level.is_sequence else ITEM_DELIMITATION
            self.out += TAG_LENGTH.pack(delimiter >> 16, delimiter & 0xFFFF, 0)

    def _end_group(self, level: _Level) -> None:
        self._measured(level.group_index, level.group_at, self.length - level.group_begin)
        level.group = level.group_at = -1

    # ------------------------------------------------------------------------------------------ items

    def _next_item(self, level: _Level) -> None:
        position = self._position
        if level.end is not None and position >= level.end:
            self._pop()
            return
        window = self.window
        if position + 8 > level.limit:
            raise Truncated(level.tag, position + 8 - level.limit)
        offset = window.offset_of(position, 8)
        written, length = level.encoding.item.unpack_from(window.buffer, offset)
        tag = level.encoding.tag(written)
        position += 8
        self._position = position
        if tag == SEQUENCE_DELIMITATION and level.end is None:
            self._pop()
            return
        if tag != ITEM:
            raise Malformed(f"{tag_name(tag)} stands where an item of {tag_name(level.tag)} should")
        end = None if length == UNDEFINED_LENGTH else position + length
        if end is not None and end > level.limit:
            raise Truncated(level.tag, end - level.limit)
        at = len(self.out) + 4
        self.out += TAG_LENGTH.pack(ITEM >> 16, ITEM & 0xFFFF, UNDEFINED_LENGTH if end is None else 0)
        limit = level.limit if end is None else end
        encoding = self._item_encoding(position, limit, level.encoding)
        item = _Level(position, end, limit, encoding, implicit=level.implicit)
        self._push(item, length_at=-1 if end is None else at)

    def _item_encoding(self, position: int, limit: int, encoding: Encoding) -> Encoding:
        """Return the encoding of one item: within Explicit VR, UN and some writers' sequences hold Implicit VR."""
        if encoding is not LITTLE_EXPLICIT or position + 8 > limit:
            return encoding
        offset = self.window.offset_of(position, 8)
        written, vr, _ = encoding.header.unpack_from(self.window.buffer, offset)
        if vr in encoding.short_vrs or vr in encoding.long_vrs or encoding.tag(written) == ITEM_DELIMITATION:
            return encoding
        _, length = IMPLICIT.header.unpack_from(self.window.buffer, offset)
        if length != UNDEFINED_LENGTH and position + 8 + length > limit:
            return encoding
        self.is_odd = True
        return IMPLICIT if self._reading.items_are_implicit else encoding

    # ------------------------------------------------------------------------------------------ elements

    def _next_elements(self, level: _Level) -> None:
        """Write elements until the level ends or another begins, or the buffer is full."""
        encoding = level.encoding
        runs = self._runs
        is_ordinary = not level.changed and not self._is_encapsulated and encoding.little_endian
        loses_vrs = is_ordinary and level.implicit and not encoding.implicit
        gains_vrs = is_ordinary and encoding.implicit and not level.implicit
        out = self.out
        levels = self._levels
        depth = len(levels)
        end = level.end
        while True:
            if loses_vrs:
                self._position = runs.to_implicit(out, self._position, level.limit, encoding, large=LARGE)
            elif gains_vrs:
                self._position = runs.to_explicit(out, self._position, level.limit, encoding)
            if end is not None and self._position >= end:
                self._pop()
                return
            if len(out) >= self.flush_at:
                return
            if not self._element(level):
                return
            if len(levels) != depth:
                return

    def _element(self, level: _Level) -> bool:
        """Write one element, whatever it is; False when it ended the level."""
        window, encoding, position = self.window, level.encoding, self._position
        left = level.limit - position
        if left < 8:
            return self._remainder(level, left)
        offset = window.offset_of(position, 8)
        vr = b""
        is_implicit = encoding.implicit
        if is_implicit:
            written, length = encoding.header.unpack_from(window.buffer, offset)
            start = position + 8
        else:
            written, number, length = encoding.header.unpack_from(window.buffer, offset)
            start = position + 8
            if number in encoding.short_vrs:
                vr = bytes(window.buffer[offset + 4 : offset + 6])
            elif encoding.tag(written) >> 16 in _WITHOUT_VR:
                (length,) = encoding.length.unpack_from(window.buffer, offset + 4)
            else:
                is_long = number in encoding.long_vrs
                letters = bytes(window.buffer[offset + 4 : offset + 6])
                if is_long:
                    vr = letters
                else:
                    self.is_odd = True
                    form = self._reading.form_of(letters)
                    is_long, is_implicit = form == LONG_FORM, form == NO_VR
                if is_long:
                    if left < 12:
                        raise Truncated(encoding.tag(written), 12 - left)
                    offset = window.offset_of(position, 12)
                    (length,) = encoding.length.unpack_from(window.buffer, offset + 8)
                    start = position + 12
                elif is_implicit:
                    (length,) = encoding.length.unpack_from(window.buffer, offset + 4)
        tag = encoding.tag(written)
        if tag >> 16 == 0xFFFE:
            if tag == ITEM_DELIMITATION and level.end is None:
                self._position = position + 8
                self._pop()
                return False
            raise Malformed(f"{tag_name(tag)} stands where an element should")
        if not tag >> 16:
            return self._remainder(level, left)
        if level.group_at >= 0 and tag >> 16 != level.group:
            self._end_group(level)
        if level.changes and level.changes[-1][0] < tag:
            self._change_below(level, tag)
        if length == UNDEFINED_LENGTH:
            self._undefined(level, tag, b"SQ" if is_implicit else vr, start)
            return True
        end = start + length
        if end > level.limit:
            raise Truncated(tag, end - level.limit)
        self._position = end
        if tag in level.changed or (level.changed and tag in _OFFSET_TABLES):
            self._change_below(level, tag + 1)
        elif is_implicit:
            self._implicit_element(level, tag, start, length)
        elif vr == b"SQ" and start not in self._opaque:
            self._begin_sequence(level, tag, b"SQ", start, end, encoding)
        else:
            self._explicit_element(level, tag, vr, start, length)
        return True

    def _remainder(self, level: _Level, left: int) -> bool:
        """Pass over zeros after the last element, and bytes that are too few for one."""
        position = self._position
        if len(self._levels) > 1:
            raise Truncated(level.tag, 8 - left) if left < 8 else Malformed("an item ends in no element")
        if left >= 8:
            at = position
            while at < level.limit:
                count = min(level.limit - at, LARGE)
                if any(self.window.bytes_at(at, count)):
                    tag = level.encoding.tag(level.encoding.item.unpack(self.window.bytes_at(position, 8))[0])
                    raise Malformed(f"{tag_name(tag)} belongs to no data set")
                at += count
        self.notes.append(f"{left} bytes after its last element are no element, and were left out")
        self._position = level.limit
        return True

    # ------------------------------------------------------------------------------------------ values

    def _explicit_element(self, level: _Level, tag: int, vr: bytes, start: int, length: int) -> None:
        """Write an element that has a VR; without one, that is with one that PS3.5 does not know, it is UN."""
        encoding = level.encoding
        word = 1
        if not vr:
            vr = b"UN"
            if not level.implicit:
                self.notes.append(f"{tag_name(tag)} has an unknown VR and was written as UN")
        elif vr == b"SQ" and (not encoding.little_endian or encoding.implicit != level.implicit):
            raise Malformed(f"{tag_name(tag)} is no sequence of items")
        elif not encoding.little_endian:
            word = WORD_SIZES.get(vr, 1)
            if word > 1 and length % word:
                self._note_length(tag, vr, length, word)
                vr, word = b"UN", 1
        if not tag & 0xFFFF and self._group_length(level, tag, vr, length):
            return
        self._header(level, tag, vr, length)
        self._value(level, tag, start, length, word)

    def _implicit_element(self, level: _Level, tag: int, start: int, length: int) -> None:
        word = 2 if self._swaps_pixels and tag == PIXEL_DATA and not length % 2 else 1
        vr = b"UN"
        if not level.implicit:
            vr = self._representation(level, tag, start, length)
            if vr == b"SQ" and start not in self._opaque:
                self._begin_sequence(level, tag, vr, start, start + length, level.encoding)
                return
            if vr == b"SQ":
                self.notes.append(f"{tag_name(tag)} is no sequence of items and was written as UN")
                vr = b"UN"
            elif length % WORD_SIZES.get(vr, 1):
                self._note_length(tag, vr, length, WORD_SIZES[vr])
                vr = b"UN"
            elif length > 0xFFFF and vr in SHORT_VRS:  # PS3.5 6.2.2, note 4
                self.notes.append(f"{tag_name(tag)} is too long for {vr.decode()} and was written as UN")
                vr = b"UN"
        if not tag & 0xFFFF and self._group_length(level, tag, b"UL", length):
            return
        self._header(level, tag, vr, length)
        self._value(level, tag, start, length, word)

    def _note_length(self, tag: int, vr: bytes, length: int, word: int) -> None:
        self.notes.append(
            f"{tag_name(tag)} has {length} bytes, which is no multiple of {word} as {vr.decode()} needs, and was "
            "written as UN"
        )

    def _representation(self, level: _Level, tag: int, start: int, length: int) -> bytes:
        def look(wanted: int) -> bytes | None:
            if wanted == AUDIO_SAMPLE_FORMAT:
                wanted |= tag & 0x00FF0000
            for one in reversed(self._levels):
                if wanted in one.values:
                    return one.values[wanted]
            if wanted in COMES_LATER:
                for one in self._levels:
                    one.unknown.add(wanted)
            return None

        return representation(tag, lambda: self.window.bytes_at(start, min(length, LARGE)), look).encode()

    def _group_length(self, level: _Level, tag: int, vr: bytes, length: int) -> bool:
        """Begin to count a group that says how long it is (PS3.5 7.2), as DCMTK's `storescu` does."""
        if vr != b"UL" or length != 4:
            return False
        self._header(level, tag, vr, 4)
        level.group = tag >> 16
        level.group_at = len(self.out)
        self.out += bytes(4)
        level.group_begin = self.length
        level.group_index = self._measure(level.group_at)
        return True

    def _header(self, level: _Level, tag: int, vr: bytes, length: int) -> None:
        if level.implicit:
            self.out += TAG_LENGTH.pack(tag >> 16, tag & 0xFFFF, length)
        elif vr in SHORT_VRS:
            self.out += SHORT_HEADER.pack(tag >> 16, tag & 0xFFFF, vr, length)
        else:
            self.out += LONG_HEADER.pack(tag >> 16, tag & 0xFFFF, vr, 0, length)

    def _value(self, level: _Level, tag: int, start: int, length: int, word: int) -> None:
        if repeating(tag) in DEPENDED_ON or (self._is_encapsulated and length < _LONGEST_ATTRIBUTE):
            self._keep(level, tag, start, length, word)
        if length >= LARGE:
            self.references.append((len(self.out), start, length, word))
            self._elsewhere += length
            return
        value = self.window.bytes_at(start, length)
        self.out += swapped(value, word) if word > 1 else value

    def _keep(self, level: _Level, tag: int, start: int, length: int, word: int) -> None:
        """Keep what other elements, or the decoding of the pixels, depend on."""
        is_wanted = repeating(tag) in DEPENDED_ON
        if not is_wanted and not (tag >> 16 == _PIXEL_GROUP or tag in _IDENTIFYING or tag in _OFFSET_TABLES):
            return
        value = self.window.bytes_at(start, min(length, _LONGEST_ATTRIBUTE))
        value = swapped(value, word) if word > 1 else bytes(value)
        if tag in level.unknown:
            self.learnt.setdefault(level.begin, {})[tag] = value
        level.values.setdefault(tag, value)

    # ------------------------------------------------------------------------------------------ sequences

    def _begin_sequence(
        self,
        level: _Level,
        tag: int,
        vr: bytes,
        start: int,
        end: int | None,
        encoding: Encoding,
        *,
        implicit: bool | None = None,
    ) -> None:
        self._header(level, tag, vr, UNDEFINED_LENGTH if end is None else 0)
        at = len(self.out) - 4
        self._position = start
        sequence = _Level(
            start,
            end,
            level.limit if end is None else end,
            encoding,
            implicit=level.implicit if implicit is None else implicit,
            tag=tag,
        )
        self._push(sequence, length_at=-1 if end is None else at)

    def _undefined(self, level: _Level, tag: int, vr: bytes, start: int) -> None:
        """Write an element whose length is undefined: a sequence, or the fragments of an image."""
        encoding = level.encoding
        if tag == PIXEL_DATA and vr != b"SQ":
            self._pixels(level, start)
        elif encoding.implicit or vr == b"SQ":
            self._begin_sequence(level, tag, b"SQ", start, None, encoding)
        elif vr in (b"UN", b""):  # PS3.5 6.2.2: implicit, and written so
            self._begin_sequence(level, tag, b"UN", start, None, LITTLE_EXPLICIT, implicit=True)
        elif vr in _FRAGMENTED and encoding.little_endian and not level.implicit:
            end = self._fragments(start, tag, level.limit)[1]
            self._header(level, tag, vr, UNDEFINED_LENGTH)
            self._value(level, tag, start, end - start, 1)
            self._position = end
        elif vr in _FRAGMENTED:  # as DCMTK reads it: some writers call a sequence so
            self._begin_sequence(level, tag, b"SQ", start, None, encoding)
        else:
            raise Malformed(f"{tag_name(tag)} has no length, and is no sequence")

    def _fragments(self, position: int, tag: int, limit: int) -> tuple[list[tuple[int, int]], int]:
        """Return where the fragments of an element are, and where it ends (PS3.5 A.4)."""
        window = self.window
        unpack = LITTLE_EXPLICIT.item.unpack_from
        found: list[tuple[int, int]] = []
        while True:
            if position + 8 > limit:
                raise Truncated(tag, position + 8 - limit)
            offset = window.offset_of(position, 8)
            written, length = unpack(window.buffer, offset)
            position += 8
            mark = LITTLE_EXPLICIT.tag(written)
            if mark == SEQUENCE_DELIMITATION:
                return found, position
            if mark != ITEM or length == UNDEFINED_LENGTH:
                raise Malformed(f"{tag_name(mark)} stands where a fragment of {tag_name(tag)} should")
            found.append((position, length))
            position += length
            if position > limit:
                raise Truncated(tag, position - limit)

    def _pixels(self, level: _Level, start: int) -> None:
        """Note down compressed Pixel Data, or write what it was decoded to."""
        if not self._is_encapsulated:
            raise NotConverted(
                "it could not be converted: its Pixel Data is compressed, and its transfer syntax says that it is not; "
                "have it exported again, with the transfer syntax that it has"
            )
        fragments, self._position = self._fragments(start, PIXEL_DATA, level.limit)
        native = self._natives.get(level.begin)
        if native is not None:
            self._write_native(level, native)
            return
        table = self.window.bytes_at(*fragments[0]) if fragments else b""
        extended = [level.values.get(tag) for tag in _OFFSET_TABLES]
        self.encapsulated.append(
            Encapsulated(
                level.begin,
                tuple(fragments[1:]),
                bytes(table),
                None if extended[0] is None else (extended[0], extended[1] or b""),
                {tag: value for tag, value in level.values.items() if tag not in _OFFSET_TABLES},
            )
        )
        self._awaited = (level, len(self.out)) if len(self._levels) == 1 and level.group_at < 0 else None

    def _write_native(self, level: _Level, native: Native) -> None:
        self._header(level, PIXEL_DATA, native.vr, native.length)
        self.references.append((len(self.out), native.value, native.length, 1))
        self._elsewhere += native.length

    def append(self, natives: Mapping[int, Native]) -> bool:
        """Write decoded pixels after all that is written; False where that takes another pass.

        It takes none where they are the only ones, nothing comes after them, and what describes them stays as it is.
        """
        if self._awaited is None or self.flushed or len(self.encapsulated) > 1:
            return False
        level, at = self._awaited
        native = natives[level.begin]
        if native.attributes or at != len(self.out):
            return False
        self._write_native(level, native)
        return True

    # ------------------------------------------------------------------------------------------ changes

    def _change_below(self, level: _Level, tag: int) -> None:
        """Write the attributes that describe decoded pixels and come before this tag."""
        while level.changes and level.changes[-1][0] < tag:
            changed, value = level.changes.pop()
            if value is None:
                continue
            if level.group_at >= 0 and changed >> 16 != level.group:
                self._end_group(level)
            value += b"\0" * (len(value) % 2)
            level.values[changed] = value

            def look(wanted: int) -> bytes | None:
                return level.values.get(wanted)

            vr = representation(changed, lambda value=value: value, look).encode()  # type: ignore[misc]
            self._header(level, changed, vr, len(value))
            self.out += value
