"""A reader of data sets for the tests, as plain as can be: whole in memory, recursive, and none of dicomkit's code.

It is what conversions are judged by, so it is written from PS3.5 alone: 7.1 for elements, 7.5 for sequences, A.4 for
fragments.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_VR

__all__ = [
    "Element",
    "LONG",
    "PIXEL_DATA",
    "SHORT",
    "WORDS",
    "flat",
    "part10",
    "read",
    "sequences_of",
    "write",
]

SHORT = {
    *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN"),
    *("SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"),
}
LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
WORDS = {
    **dict.fromkeys(("US", "SS", "AT", "OW"), 2),
    **dict.fromkeys(("UL", "SL", "FL", "OL", "OF"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
UNDEFINED = 0xFFFFFFFF
PIXEL_DATA = 0x7FE00010

Path = tuple[int | str, ...]
"""The tags and the numbers of items that lead to an element."""


@dataclass
class Element:
    """An element as it is written; `value` is in little endian, `items` those of a sequence."""

    tag: int
    vr: str | None
    value: bytes = b""
    items: list[list[Element]] | None = None
    fragments: list[bytes] | None = None
    is_undefined: bool = False
    item_lengths: list[bool] = field(default_factory=list)  # whether each item's is undefined


class Reader:
    """Reads one data set; without a VR, `sequences` are the sequences, by default those of the dictionary."""

    def __init__(self, data: bytes, sequences: frozenset[Path] | None = None) -> None:
        self.data = data
        self.sequences = sequences
        self.path: list[int | str] = []

    def elements(self, at: int, end: int | None, *, implicit: bool, big: bool) -> tuple[list[Element], int]:
        """The elements up to `end`, or up to an item delimiter."""
        found = []
        while (end is None or at < end) and at < len(self.data):
            if end is not None and end - at < 8:
                break
            element, at = self.element(at, end, implicit=implicit, big=big)
            if element is None:
                return found, at
            found.append(element)
        return found, at

    def element(self, at: int, end: int | None, *, implicit: bool, big: bool) -> tuple[Element | None, int]:
        order = ">" if big else "<"
        group, number = struct.unpack_from(order + "HH", self.data, at)
        tag = group << 16 | number
        if group == 0xFFFE:
            assert number == 0xE00D, hex(tag)
            return None, at + 8
        vr: str | None = None
        if implicit:
            (length,) = struct.unpack_from("<I", self.data, at + 4)
            at += 8
        else:
            vr = self.data[at + 4 : at + 6].decode("latin-1")
            if vr in LONG or (vr not in SHORT and all("A" <= letter <= "Z" for letter in vr)):
                (length,) = struct.unpack_from(order + "I", self.data, at + 8)
                at += 12
            else:
                (length,) = struct.unpack_from(order + "H", self.data, at + 6)
                at += 8
        if length == UNDEFINED:
            if tag == PIXEL_DATA or vr in ("OB", "OW"):
                fragments, at = self.fragments(at)
                return Element(tag, vr, fragments=fragments, is_undefined=True), at
            if vr == "UN":
                return self.sequence(tag, vr, at, None, implicit=True, big=False)
            return self.sequence(tag, vr, at, None, implicit=implicit, big=big)
        assert at + length <= len(self.data), (hex(tag), vr, length)
        if vr == "SQ" or (implicit and self.is_sequence(tag)):
            return self.sequence(tag, vr, at, at + length, implicit=implicit, big=big)
        value = self.data[at : at + length]
        word = WORDS.get(vr or "", 1)
        if big and word > 1 and length % word == 0:
            value = b"".join(value[i : i + word][::-1] for i in range(0, length, word))
        return Element(tag, vr, value), at + length

    def sequence(
        self, tag: int, vr: str | None, at: int, end: int | None, *, implicit: bool, big: bool
    ) -> tuple[Element, int]:
        items = []
        undefined = []
        while end is None or at < end:
            group, number, length = struct.unpack_from(">HHI" if big else "<HHI", self.data, at)
            at += 8
            if (group, number) == (0xFFFE, 0xE0DD):
                break
            assert (group, number) == (0xFFFE, 0xE000), (hex(tag), hex(group), hex(number))
            stop = None if length == UNDEFINED else at + length
            self.path += [f"{tag:08X}", len(items)]
            item, at = self.elements(
                at, stop, implicit=self.item_is_implicit(at, implicit=implicit, big=big), big=big
            )
            del self.path[-2:]
            items.append(item)
            undefined.append(stop is None)
        return Element(tag, vr, items=items, is_undefined=end is None, item_lengths=undefined), at

    def item_is_implicit(self, at: int, *, implicit: bool, big: bool) -> bool:
        """Some writers put items of the other kind into a sequence."""
        vr = self.data[at + 4 : at + 6].decode("latin-1")
        if big or self.data[at : at + 2] == b"\xfe\xff":
            return implicit
        return vr not in SHORT | LONG

    def is_sequence(self, tag: int) -> bool:
        if self.sequences is not None:
            return (*self.path, f"{tag:08X}") in self.sequences
        try:
            return dictionary_VR(tag) == "SQ"
        except KeyError:
            return False

    def fragments(self, at: int) -> tuple[list[bytes], int]:
        found = []
        while True:
            group, number, length = struct.unpack_from("<HHI", self.data, at)
            at += 8
            if (group, number) == (0xFFFE, 0xE0DD):
                return found, at
            assert (group, number) == (0xFFFE, 0xE000)
            found.append(self.data[at : at + length])
            at += length


def read(
    data: bytes, *, implicit: bool = False, big: bool = False, sequences: frozenset[Path] | None = None
) -> list[Element]:
    """All elements of a bare data set."""
    return Reader(bytes(data), sequences).elements(0, len(data), implicit=implicit, big=big)[0]


def part10(content: bytes, sequences: frozenset[Path] | None = None) -> tuple[list[Element], str]:
    """The data set of a file with File Meta Information, and its transfer syntax."""
    length = struct.unpack_from("<I", content, 140)[0]
    begin = 144 + length
    meta = {element.tag: element.value for element in read(content[132:begin])}
    syntax = meta[0x00020010].rstrip(b"\0 ").decode()
    data = content[begin:]
    if syntax == "1.2.840.10008.1.2.1.99":
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data)
    implicit, big = syntax == "1.2.840.10008.1.2", syntax == "1.2.840.10008.1.2.2"
    return read(data, implicit=implicit, big=big, sequences=sequences), syntax


def sequences_of(elements: list[Element]) -> frozenset[Path]:
    """Where all sequences are, private ones included, which nobody knows any more without a VR."""
    return frozenset(path for path, element in flat(elements) if element.items is not None)


def write(elements: list[Element], *, implicit: bool = False, big: bool = False) -> bytes:
    """The elements as the bytes of a data set."""
    return b"".join(_element(element, implicit=implicit, big=big) for element in elements)


def _element(element: Element, *, implicit: bool, big: bool) -> bytes:
    order = ">" if big else "<"
    vr = element.vr or "UN"
    if element.items is None:
        value = element.value
        word = WORDS.get(vr, 1)
        if big and word > 1 and len(value) % word == 0:
            value = b"".join(value[i : i + word][::-1] for i in range(0, len(value), word))
    else:
        inner = {"implicit": implicit or vr == "UN", "big": big and vr != "UN"}
        item_order = "<" if vr == "UN" else order
        parts = []
        for item, is_undefined in zip(element.items, element.item_lengths, strict=True):
            content = write(item, **inner)
            length = UNDEFINED if is_undefined else len(content)
            parts += [struct.pack(item_order + "HHI", 0xFFFE, 0xE000, length), content]
            if is_undefined:
                parts.append(struct.pack(item_order + "HHI", 0xFFFE, 0xE00D, 0))
        if element.is_undefined:
            parts.append(struct.pack(item_order + "HHI", 0xFFFE, 0xE0DD, 0))
        value = b"".join(parts)
    length = UNDEFINED if element.is_undefined else len(value)
    tag = struct.pack(order + "HH", element.tag >> 16, element.tag & 0xFFFF)
    if implicit:
        return tag + struct.pack("<I", length) + value
    if vr in LONG or (vr not in SHORT and vr.isalpha() and vr.isupper()):
        return tag + vr.encode("latin-1") + struct.pack(order + "HI", 0, length) + value
    return tag + vr.encode("latin-1") + struct.pack(order + "H", length) + value


def flat(elements: list[Element], path: Path = ()) -> Iterator[tuple[Path, Element]]:
    """Every element at any depth, with the tags and item numbers that lead to it."""
    for element in elements:
        here = (*path, f"{element.tag:08X}")
        yield here, element
        for number, item in enumerate(element.items or []):
            yield from flat(item, (*here, number))
