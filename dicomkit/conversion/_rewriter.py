"""Elements written again in another encoding: headers anew, values byte for byte.

How it thinks: the source is followed once, from header to header. New headers and small values go into one buffer; a
large value is only referred to, by where it is in the source, and read when it is sent. So the length of the whole is
known before anything is sent, and a file of gigabytes costs no more memory than its headers. Levels of nesting are
kept in a list, not on Python's stack: `steps` looks at the innermost one and writes an item or elements of it.

- Most elements need nothing but another header, and `Runs` copies them, many at a time. What stops a run goes through
  `_element`, which can write anything.
- Lengths of sequences, items and groups are put in when these end (`_later`, `_put_in`). Where the buffer was emptied
  before that, a second pass has them from the first one (`Plan.lengths`).
- What one pass finds out too late for itself is kept in the `Plan` of the next: a value on which the VR of an element
  before it depends, a sequence whose content is none, compressed pixels that have to be decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dicomkit._support.frozen import Frozen
from dicomkit.conversion._elements import (
    AUDIO_SAMPLE_FORMAT,
    COMES_LATER,
    DEPENDED_ON,
    LENGTH,
    LONG_HEADER,
    SHORT_HEADER,
    TAG_LENGTH,
    repeating,
    representation,
    swapped,
)
from dicomkit.conversion._runs import Runs
from dicomkit.dictionary.uids import GE_PRIVATE_LE, UNCOMPRESSED
from dicomkit.dictionary.vrs import (
    ITEM,
    ITEM_DELIMITATION,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    WORD_SIZES,
)
from dicomkit.errors import NotConverted
from dicomkit.sources import Instance
from dicomkit.sources.elements import (
    ENCODING_OF,
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

LARGE = 8192  # bytes; a value from here on is not copied but referred to
DEEPEST = 512  # sequences and items within each other; PS3.5 sets no limit, sanity does
_LONGEST_ATTRIBUTE = 1 << 16  # of those that a decoder is told

_PIXEL_GROUP = 0x0028
OFFSET_TABLES = (0x7FE00001, 0x7FE00002)  # PS3.3 C.7.6.3.1.8: of encapsulated frames only
_FRAGMENTED = (b"OB", b"OW")
_WITHOUT_VR = (0x0000, 0xFFFE)  # groups: zeros after the last element, and delimiters

Pieces = Sequence[bytes | bytearray | memoryview]
Reference = tuple[int, int | Pieces, int, int]
"""Where in the buffer a large value belongs, where it is (a position of the source, or the bytes), how long it is, and
the size of its words when they have to be turned, otherwise 1."""


class Encapsulated(Frozen):
    """Compressed Pixel Data that was come across (PS3.5 A.4)."""

    level: int  # where the item that it is in begins, in the source
    fragments: tuple[tuple[int, int], ...]  # position and length of each, without the Basic Offset Table
    offset_table: bytes
    extended: tuple[bytes, bytes] | None  # Extended Offset Table and its lengths
    attributes: dict[int, bytes]  # the little-endian values of what describes the pixels


class Decompressed(Frozen, hidden=("value",)):
    """What takes the place of compressed Pixel Data."""

    value: Pieces  # it has the length that the attributes give, which may be odd
    vr: str  # OB or OW, as Explicit VR Little Endian wants it (PS3.5 A.2)
    attributes: dict[int, bytes | None]  # what has to be set beside it, in little endian; None is removed
    notes: str  # what was contradictory and was decided, in sentences; mostly empty

    @property
    def length(self) -> int:
        """Bytes of the value."""
        return sum(memoryview(piece).nbytes for piece in self.value)


class Plan:
    """What a pass is told: what is asked for, and what the passes before it have found out."""

    def __init__(self, instance: Instance, *, implicit: bool, reading: OddVrs) -> None:
        self.instance = instance
        self.encoding = ENCODING_OF[instance.encoding]  # of the elements, inflated where they are deflated
        self.implicit = implicit  # whether Implicit VR Little Endian is written, or Explicit VR Little Endian
        self.reading = reading  # of elements whose VR is none
        # Where sequences begin whose content is no items, and is copied as it is.
        self.opaque: set[int] = set()
        # By where a level begins: values that come after what depends on them, and what replaces compressed pixels.
        self.known: dict[int, dict[int, bytes]] = {}
        self.natives: dict[int, Decompressed] = {}
        # Those of sequences, items and groups in the order in which they begin, where a pass did not hold its buffer.
        self.lengths: list[int] | None = None


class _Level:
    """A data set or item, or the sequence that items are in."""

    def __init__(
        self, begin: int, end: int | None, latest: int, encoding: Encoding, *, implicit: bool, tag: int = 0
    ) -> None:
        self.begin = begin
        self.end = end  # None where its length is undefined
        self.limit = latest if end is None else end  # where it has to end at the latest
        self.encoding = encoding
        self.implicit = implicit  # how it is written
        self.tag = tag  # of the sequence; 0 of a data set or item
        self.length: _Later | None = None
        self.values: dict[int, bytes] = {}  # what other elements depend on
        self.unknown: set[int] = set()  # what was looked for, here or below, and had not come yet
        self.changes: list[tuple[int, bytes | None]] = []  # of attributes, the last first
        self.changed: frozenset[int] = frozenset()
        self.group = -1  # the one whose length is to be put in, and where
        self.group_length: _Later | None = None


_Later = tuple[int, int, int]
"""A length that is put in later: its number, its place in the buffer, and how much was written when it began."""


class Rewriter:
    """One pass over a data set, which begins at `begin` in a window and ends where that does."""

    def __init__(self, window: Window, begin: int, plan: Plan) -> None:
        syntax = plan.instance.transfer_syntax
        self.window = window
        self.out = bytearray()  # headers and small values
        self.references: list[Reference] = []  # large values
        self.flush_at = 0  # how long `out` is when `steps` pauses, for it to be cleared
        self.flushed = 0
        self.notes: list[str] = []  # what had to be written in another way than it was
        # An element was met whose VR is none that PS3.5 knows, or an item that looks as if it was in Implicit VR: what
        # can be read in more than one way.
        self.is_odd = False
        self.encapsulated: list[Encapsulated] = []
        self.learnt: dict[int, dict[int, bytes]] = {}  # for `Plan.known`
        self.lengths: list[int] = []
        self._plan = plan
        self._is_encapsulated = syntax not in UNCOMPRESSED
        self._swaps_pixels = syntax == GE_PRIVATE_LE  # Pixel Data alone is big endian
        # Where the latest compressed Pixel Data belongs, and how much comes before it.
        self._awaited: tuple[_Level, int] | None = None
        self._elsewhere = 0  # bytes of values that are referred to
        self._position = begin
        self._levels: list[_Level] = []
        self._runs = Runs(window)
        self._push(_Level(begin, window.size, window.size, plan.encoding, implicit=plan.implicit))

    @property
    def length(self) -> int:
        """How many bytes are written by now, those included that are elsewhere."""
        return self.flushed + len(self.out) + self._elsewhere

    def clear(self) -> None:
        """Let go of what was written."""
        self.flushed += len(self.out)
        self.out.clear()
        self.references.clear()

    def steps(self) -> Iterator[None]:
        """Write; pause whenever the buffer is full.

        Malformed and Truncated say that the source cannot be followed, and `suspect` which sequence to leave as it is;
        NotConverted that it can be followed, and not be written.
        """
        levels = self._levels
        while levels:
            level = levels[-1]
            if level.tag:
                self._next_item(level)
            else:
                self._next_elements(level)
            if len(self.out) >= self.flush_at:
                yield

    def suspect(self) -> int | None:
        """Where the innermost sequence begins that has a length, and so can be passed over whatever is in it."""
        for level in reversed(self._levels):
            if level.tag and level.end is not None:
                return level.begin
        return None

    # ------------------------------------------------------------------------------------------ levels

    def _push(self, level: _Level) -> None:
        """Begin a level, whose header was written."""
        if len(self._levels) >= DEEPEST:
            raise NotConverted(
                f"it could not be converted: its sequences are nested more than {DEEPEST // 2} deep; have the peer "
                "accept it as it is stored"
            )
        if self._levels and level.end is not None:
            level.length = self._later()
        if not level.tag:
            level.values.update(self._plan.known.get(level.begin, {}))
            native = self._plan.natives.get(level.begin)
            if native is not None:
                level.changes = sorted(native.attributes.items(), reverse=True)
                level.changed = frozenset(native.attributes)
        self._levels.append(level)

    def _later(self) -> _Later:
        """Take the last four bytes for a length that will be known later, or is from a pass before."""
        index, at = len(self.lengths), len(self.out) - 4
        self.lengths.append(0)
        if self._plan.lengths is not None:
            LENGTH.pack_into(self.out, at, self._plan.lengths[index])
        return index, at, self.length

    def _put_in(self, later: _Later) -> None:
        """Put in how much was written since."""
        index, at, before = later
        length = self.length - before
        if length >= UNDEFINED_LENGTH:
            raise NotConverted(
                "it could not be converted: a sequence of it would be longer than 4 GB (PS3.5 7.5); have the peer "
                "accept it as it is stored"
            )
        self.lengths[index] = length
        if self._plan.lengths is None and not self.flushed:
            LENGTH.pack_into(self.out, at, length)

    def _pop(self) -> None:
        level = self._levels.pop()
        if level.changes:
            self._change_below(level, 1 << 32)
        self._end_group(level)
        if level.length is not None:
            self._put_in(level.length)
        elif self._levels:
            delimiter = SEQUENCE_DELIMITATION if level.tag else ITEM_DELIMITATION
            self.out += TAG_LENGTH.pack(delimiter >> 16, delimiter & 0xFFFF, 0)

    def _end_group(self, level: _Level) -> None:
        if level.group_length is not None:
            self._put_in(level.group_length)
            level.group_length = None

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
        self._position = position = position + 8
        if tag == SEQUENCE_DELIMITATION and level.end is None:
            self._pop()
            return
        if tag != ITEM:
            raise Malformed(f"{tag_name(tag)} stands where an item of {tag_name(level.tag)} should")
        end = None if length == UNDEFINED_LENGTH else position + length
        if end is not None and end > level.limit:
            raise Truncated(level.tag, end - level.limit)
        self.out += TAG_LENGTH.pack(ITEM >> 16, ITEM & 0xFFFF, UNDEFINED_LENGTH if end is None else 0)
        encoding = self._item_encoding(position, level.limit if end is None else end, level.encoding)
        self._push(_Level(position, end, level.limit, encoding, implicit=level.implicit))

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
        return IMPLICIT if self._plan.reading.items_are_implicit else encoding

    # ------------------------------------------------------------------------------------------ elements

    def _next_elements(self, level: _Level) -> None:
        """Write elements until the level ends or another begins, or the buffer is full."""
        encoding, runs, out, levels = level.encoding, self._runs, self.out, self._levels
        is_ordinary = not level.changed and not self._is_encapsulated and encoding.little_endian
        loses_vrs = is_ordinary and level.implicit and not encoding.implicit
        gains_vrs = is_ordinary and encoding.implicit and not level.implicit
        depth, end = len(levels), level.end
        while True:
            if loses_vrs:
                self._position = runs.to_implicit(out, self._position, level.limit, encoding, large=LARGE)
            elif gains_vrs:
                self._position = runs.to_explicit(out, self._position, level.limit, encoding)
            if end is not None and self._position >= end:
                self._pop()
                return
            if len(out) >= self.flush_at or not self._element(level) or len(levels) != depth:
                return

    def _element(self, level: _Level) -> bool:
        """Write one element, whatever it is; False when it ended the level."""
        window, encoding, position = self.window, level.encoding, self._position
        left = level.limit - position
        if left < 8:
            return self._remainder(level, left)
        offset = window.offset_of(position, 8)
        vr, is_implicit, start = b"", encoding.implicit, position + 8
        if is_implicit:
            written, length = encoding.header.unpack_from(window.buffer, offset)
        else:
            written, number, length = encoding.header.unpack_from(window.buffer, offset)
            letters = bytes(window.buffer[offset + 4 : offset + 6])
            if number in encoding.short_vrs:
                vr = letters
            else:
                if encoding.tag(written) >> 16 in _WITHOUT_VR:
                    form = NO_VR
                elif number in encoding.long_vrs:
                    vr, form = letters, LONG_FORM
                else:
                    self.is_odd = True
                    form = self._plan.reading.form_of(letters)
                    is_implicit = form == NO_VR
                if form == LONG_FORM:
                    if left < 12:
                        raise Truncated(encoding.tag(written), 12 - left)
                    offset = window.offset_of(position, 12)
                    (length,) = encoding.length.unpack_from(window.buffer, offset + 8)
                    start = position + 12
                elif form == NO_VR:
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
        if level.group_length is not None and tag >> 16 != level.group:
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
        if tag in level.changed or (level.changed and tag in OFFSET_TABLES):
            self._change_below(level, tag + 1)
        elif is_implicit:
            self._implicit_element(level, tag, start, length)
        elif vr == b"SQ" and start not in self._plan.opaque:
            self._begin_sequence(level, tag, vr, start, end, encoding)
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
        encoding, word = level.encoding, 1
        if not vr:
            vr = b"UN" if level.implicit else self._unknown(tag, "has an unknown VR")
        elif vr == b"SQ" and (not encoding.little_endian or encoding.implicit != level.implicit):
            raise Malformed(f"{tag_name(tag)} is no sequence of items")
        elif not encoding.little_endian:
            vr, word = self._fitting(tag, vr, length)
        self._write(level, tag, vr, start, length, word)

    def _implicit_element(self, level: _Level, tag: int, start: int, length: int) -> None:
        """Write an element that has no VR, with the one that the dictionary has."""
        word = 2 if self._swaps_pixels and tag == PIXEL_DATA and not length % 2 else 1
        vr = b"UN"
        if not tag & 0xFFFF and length == 4:
            vr = b"UL"
        elif not level.implicit:
            vr = self._representation(level, tag, start, length)
            if vr == b"SQ" and start not in self._plan.opaque:
                self._begin_sequence(level, tag, vr, start, start + length, level.encoding)
                return
            if vr == b"SQ":
                vr = self._unknown(tag, "is no sequence of items")
            elif length > 0xFFFF and vr in SHORT_VRS and not length % WORD_SIZES.get(vr, 1):
                vr = self._unknown(tag, f"is too long for {vr.decode()}")  # PS3.5 6.2.2, note 4
            else:
                vr, _ = self._fitting(tag, vr, length)
        self._write(level, tag, vr, start, length, word)

    def _fitting(self, tag: int, vr: bytes, length: int) -> tuple[bytes, int]:
        """The VR and the size of its words; UN where the value is not made of such words."""
        word = WORD_SIZES.get(vr, 1)
        if length % word:
            why = f"has {length} bytes, which is no multiple of {word} as {vr.decode()} needs,"
            return self._unknown(tag, why), 1
        return vr, word

    def _unknown(self, tag: int, why: str) -> bytes:
        self.notes.append(f"{tag_name(tag)} {why} and was written as UN")
        return b"UN"

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

        return representation(tag, lambda: self.window.bytes_at(start, min(length, LARGE)), look)

    def _write(self, level: _Level, tag: int, vr: bytes, start: int, length: int, word: int) -> None:
        self._header(level, tag, vr, length)
        if vr == b"UL" and length == 4 and not tag & 0xFFFF:
            # The length of a group (PS3.5 7.2), which is made right, as `storescu` of DCMTK does.
            self.out += bytes(4)
            level.group, level.group_length = tag >> 16, self._later()
        else:
            self._value(level, tag, start, length, word)

    def _header(self, level: _Level, tag: int, vr: bytes, length: int) -> None:
        if level.implicit:
            self.out += TAG_LENGTH.pack(tag >> 16, tag & 0xFFFF, length)
        elif vr in SHORT_VRS:
            self.out += SHORT_HEADER.pack(tag >> 16, tag & 0xFFFF, vr, length)
        else:
            self.out += LONG_HEADER.pack(tag >> 16, tag & 0xFFFF, vr, 0, length)

    def _value(self, level: _Level, tag: int, start: int, length: int, word: int) -> None:
        """Copy a value, or refer to it; keep it where other elements, or the decoding of the pixels, depend on it."""
        is_of_pixels = tag >> 16 == _PIXEL_GROUP or tag in OFFSET_TABLES
        if repeating(tag) in DEPENDED_ON or (
            is_of_pixels and self._is_encapsulated and length < _LONGEST_ATTRIBUTE
        ):
            kept = bytes(self.window.bytes_at(start, min(length, _LONGEST_ATTRIBUTE)))
            kept = swapped(kept, word) if word > 1 else kept
            if tag in level.unknown:
                self.learnt.setdefault(level.begin, {})[tag] = kept
            level.values.setdefault(tag, kept)
        if length >= LARGE:
            self._refer(start, length, word)
        else:
            value = self.window.bytes_at(start, length)
            self.out += swapped(value, word) if word > 1 else value

    def _refer(self, where: int | Pieces, length: int, word: int) -> None:
        self.references.append((len(self.out), where, length, word))
        self._elsewhere += length

    # ------------------------------------------------------------------------------------------ sequences

    def _begin_sequence(
        self, level: _Level, tag: int, vr: bytes, start: int, end: int | None, encoding: Encoding
    ) -> None:
        self._header(level, tag, vr, UNDEFINED_LENGTH if end is None else 0)
        self._position = start
        implicit = level.implicit or vr == b"UN"  # PS3.5 6.2.2: implicit, and written so
        self._push(_Level(start, end, level.limit, encoding, implicit=implicit, tag=tag))

    def _undefined(self, level: _Level, tag: int, vr: bytes, start: int) -> None:
        """Write an element whose length is undefined: a sequence, or the fragments of an image."""
        encoding = level.encoding
        if tag == PIXEL_DATA and vr != b"SQ":
            self._pixels(level, start)
        elif encoding.implicit or vr == b"SQ":
            self._begin_sequence(level, tag, b"SQ", start, None, encoding)
        elif vr in (b"UN", b""):
            self._begin_sequence(level, tag, b"UN", start, None, LITTLE_EXPLICIT)
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
        native = self._plan.natives.get(level.begin)
        if native is not None:
            self._write_native(level, native)
            return
        table = self.window.bytes_at(*fragments[0]) if fragments else b""
        extended = [level.values.get(tag) for tag in OFFSET_TABLES]
        self.encapsulated.append(
            Encapsulated(
                level.begin,
                tuple(fragments[1:]),
                bytes(table),
                None if extended[0] is None else (extended[0], extended[1] or b""),
                dict(level.values),
            )
        )
        self._awaited = (
            (level, len(self.out)) if len(self._levels) == 1 and level.group_length is None else None
        )

    def _write_native(self, level: _Level, native: Decompressed) -> None:
        padding = native.length % 2
        self._header(level, PIXEL_DATA, native.vr.encode(), native.length + padding)
        self._refer([*native.value, bytes(padding)], native.length + padding, 1)

    def append(self, natives: Mapping[int, Decompressed]) -> bool:
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
            if changed >> 16 != level.group:
                self._end_group(level)
            value += b"\0" * (len(value) % 2)
            level.values[changed] = value
            vr = representation(changed, lambda value=value: value, level.values.get)  # type: ignore[misc]
            self._header(level, changed, vr, len(value))
            self.out += value
