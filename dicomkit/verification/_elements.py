"""A data set taken apart into its elements: bytes in, bytes out, nothing decoded, no I/O.

A reader of verification's own, which sending and conversion do not use, so that their faults are not repeated by what
looks for them. It leaves nothing out: where an element ends too early its bytes are kept and marked, and what follows
the last element is kept too.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field

from dicomkit.dictionary.uids import DEFLATED_SYNTAXES, EXPLICIT_BE, GE_PRIVATE_LE, IMPLICIT_LE
from dicomkit.dictionary.vrs import (
    ITEM,
    ITEM_DELIMITATION,
    LONG_VRS,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    SHORT_VRS,
    UNDEFINED_LENGTH,
)
from dicomkit.errors import DicomkitError

_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW"))


class NotComparable(DicomkitError):
    """A data set cannot be read; the message says why, without any value of it."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A data set as bytes, with the UID of the transfer syntax they are in."""

    data: bytes
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How elements are laid out."""

    is_implicit: bool
    is_big: bool


_IN_UN = Layout(is_implicit=True, is_big=False)  # whatever is around it (PS3.5 6.2.2)


@dataclass(frozen=True, slots=True)
class Element:
    """One element, as it is encoded."""

    tag: int
    vr: str  # empty where the encoding does not say it, or PS3.5 does not know it
    value: bytes  # empty where the length is undefined
    layout: Layout  # of the value
    items: tuple[DataSet, ...] | None = None  # of a sequence of undefined length
    fragments: tuple[bytes, ...] | None = None  # of an encapsulated value (PS3.5 A.4), the offset table first
    is_cut: bool = False  # the data set ended before the value did


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set, or an item."""

    # By tag, and how many of that tag came before, as no tag should come twice.
    elements: dict[tuple[int, int], Element] = field(default_factory=dict)
    rest: bytes = b""  # what follows the last element, and is too short to be one

    def get(self, tag: int) -> Element | None:
        """The first element of this tag."""
        return self.elements.get((tag, 0))


def read_data_set(encoded: Encoded) -> DataSet:
    """Take a data set apart. Raises NotComparable where nobody can tell where something in it ends."""
    data = encoded.data
    if encoded.transfer_syntax in DEFLATED_SYNTAXES:
        try:
            # PS3.5 A.5: the bare stream of RFC 1951
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data)
        except zlib.error as error:
            raise NotComparable("it is no deflated data set") from error
    is_implicit = encoded.transfer_syntax in (IMPLICIT_LE, GE_PRIVATE_LE)
    layout = Layout(is_implicit, encoded.transfer_syntax == EXPLICIT_BE)
    try:
        return _Reader(data).data_set(0, len(data), layout, is_open=False)[0]
    except RecursionError as error:
        raise NotComparable("its sequences are nested too deep to be compared") from error


def items_of(element: Element) -> tuple[DataSet, ...] | None:
    """The items of a sequence, whatever representation it says it has; None when the value is not made of items."""
    if element.items is not None or element.fragments is not None:
        return element.items
    try:
        items, end = _Reader(element.value).items(0, len(element.value), element.layout, is_open=False)
    except (NotComparable, RecursionError):
        return None
    return items if end == len(element.value) else None


class _Reader:
    """Reads from one run of bytes; positions are in it, and `is_open` says that a delimiter ends what is read."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def data_set(self, position: int, end: int, layout: Layout, *, is_open: bool) -> tuple[DataSet, int]:
        """Read elements; return them, and where they end."""
        elements: dict[tuple[int, int], Element] = {}
        seen: Counter[int] = Counter()
        while end - position >= 8:
            tag = self._tag(position, layout)
            if tag in (ITEM_DELIMITATION, SEQUENCE_DELIMITATION):
                if is_open:
                    return DataSet(elements), position + 8 if tag == ITEM_DELIMITATION else position
                position += 8  # out of place: it has no value, and delimits nothing
                continue
            header = self._header(position, end, layout)
            if header is None:
                break
            elements[tag, seen[tag]], position = self._element(tag, *header, end, layout)
            seen[tag] += 1
        if is_open:
            raise NotComparable("an item of undefined length in it has no end")
        return DataSet(elements, self._data[position:end]), end

    def items(
        self, position: int, end: int, layout: Layout, *, is_open: bool
    ) -> tuple[tuple[DataSet, ...], int]:
        """Read the items of a sequence; return them, and where they end."""
        found: list[DataSet] = []
        while is_open or position < end:
            if end - position < 8:
                raise NotComparable("a sequence in it has no end")
            tag, length = self._tag(position, layout), self._number(position + 4, 4, layout)
            position += 8
            if tag == SEQUENCE_DELIMITATION:
                break
            if tag != ITEM or (length != UNDEFINED_LENGTH and position + length > end):
                raise NotComparable("a sequence in it is not made of items")
            item_end = end if length == UNDEFINED_LENGTH else position + length
            item_layout = self._layout_of_item(position, item_end, layout)
            item, position = self.data_set(
                position, item_end, item_layout, is_open=length == UNDEFINED_LENGTH
            )
            found.append(item)
        return tuple(found), position

    def _layout_of_item(self, begin: int, end: int, around: Layout) -> Layout:
        """How an item is laid out, by its first element: some writers put explicit ones into UN, or the
        reverse.
        """
        if (
            around.is_big
            or end - begin < 8
            or self._tag(begin, around) in (ITEM_DELIMITATION, SEQUENCE_DELIMITATION)
        ):
            return around
        length = self._number(begin + 4, 4, around)
        could_be_implicit = length == UNDEFINED_LENGTH or begin + 8 + length <= end
        has_vr = self._data[begin + 4 : begin + 6] in SHORT_VRS | LONG_VRS
        return around if could_be_implicit == has_vr else Layout(is_implicit=not has_vr, is_big=False)

    def _element(
        self, tag: int, vr: str, length: int, begin: int, end: int, around: Layout
    ) -> tuple[Element, int]:
        layout = _IN_UN if vr == "UN" else around
        if length != UNDEFINED_LENGTH:
            value = self._data[begin : min(begin + length, end)]
            return Element(tag, vr, value, layout, is_cut=len(value) < length), begin + len(value)
        if vr in _BINARY or (tag == PIXEL_DATA and vr != "SQ"):
            fragments, position = self._fragments(begin, end, around)
            return Element(tag, vr, b"", around, fragments=fragments), position
        items, position = self.items(begin, end, layout, is_open=True)
        return Element(tag, vr, b"", layout, items=items), position

    def _fragments(self, position: int, end: int, layout: Layout) -> tuple[tuple[bytes, ...], int]:
        found: list[bytes] = []
        while end - position >= 8:
            tag, length = self._tag(position, layout), self._number(position + 4, 4, layout)
            position += 8
            if tag == SEQUENCE_DELIMITATION:
                return tuple(found), position
            if tag != ITEM or position + length > end:
                break
            found.append(self._data[position : position + length])
            position += length
        raise NotComparable("an encapsulated value in it has no end")

    def _header(self, position: int, end: int, layout: Layout) -> tuple[str, int, int] | None:
        """Value representation, length of the value and where it begins; None where too little is left for them.

        A representation that PS3.5 does not know is read as DCMTK reads it: two capital letters are one of a future
        edition, with a length of four bytes, and all else has one of two.
        """
        if layout.is_implicit:
            return "", self._number(position + 4, 4, layout), position + 8
        vr = self._data[position + 4 : position + 6]
        is_future = vr.isalpha() and vr.isupper() and self._data[position + 6 : position + 8] == b"\0\0"
        is_short = vr in SHORT_VRS or (vr not in LONG_VRS and not is_future)
        if not is_short and end - position < 12:
            return None
        at, size = (position + 6, 2) if is_short else (position + 8, 4)
        name = vr.decode("ascii") if vr in SHORT_VRS or vr in LONG_VRS else ""
        return name, self._number(at, size, layout), at + size

    def _tag(self, position: int, layout: Layout) -> int:
        return self._number(position, 2, layout) << 16 | self._number(position + 2, 2, layout)

    def _number(self, position: int, size: int, layout: Layout) -> int:
        return int.from_bytes(self._data[position : position + size], "big" if layout.is_big else "little")
