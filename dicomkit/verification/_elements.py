"""A data set taken apart into its elements: bytes in, bytes out, nothing decoded, no I/O.

A reader of verification's own, which sending and conversion do not use, so that a fault of theirs is not repeated by
who looks for it. It leaves nothing out: where an element ends too early its bytes are kept and marked, and what
follows the last element is kept too. An element whose value representation PS3.5 does not know is read as DCMTK reads
it: two capital letters are one of a future edition, with a length of four bytes, and all else has one of two.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from dicomkit.dictionary.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from dicomkit.errors import DicomkitError

__all__ = [
    "NATIVE",
    "PIXEL_DATA",
    "DataSet",
    "Element",
    "Encoded",
    "NotComparable",
    "items_of",
    "read_data_set",
]

PIXEL_DATA = 0x7FE00010

NATIVE = frozenset((IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE))
"""The transfer syntaxes in which pixels are not compressed."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD  # PS3.5 7.5

# PS3.5 Table 7.1-1: two reserved bytes and a length of four. All others have a length of two.
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT = frozenset(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH"),
        *(b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)
_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW"))
_IMPLICIT = frozenset((IMPLICIT_LE, "1.2.840.113619.5.2"))  # the latter is GE's, the same but for its pixels
# The whole data set is deflated (PS3.5 A.5; the two JPIP ones in PS3.6 Table A-1).
_DEFLATED = frozenset((DEFLATED_LE, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))


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


_UNKNOWN = Layout(is_implicit=True, is_big=False)  # of what is in UN, wherever that is (PS3.5 6.2.2)


@dataclass(frozen=True, slots=True)
class Element:
    """One element, as it is encoded.

    Attributes
    ----------
    tag : int
    vr : str
        As encoded; empty where the encoding does not say it, or PS3.5 does not know it.
    value : bytes
        As encoded; of undefined length without what it is made of, which is in `items` or `fragments`.
    layout : Layout
        Of the value: its byte order, and how items in it are laid out.
    items : tuple of DataSet, or None
        Of a sequence of undefined length.
    fragments : tuple of bytes, or None
        Of an encapsulated value (PS3.5 A.4), the offset table as the first of them.
    is_cut : bool
        The data set ended before the value did.
    """

    tag: int
    vr: str
    value: bytes
    layout: Layout
    items: tuple[DataSet, ...] | None = None
    fragments: tuple[bytes, ...] | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set, or an item.

    Attributes
    ----------
    elements : dict of (int, int) to Element
        By tag, and how many of that tag came before, as no tag should come twice.
    rest : bytes
        What follows the last element, and is too short to be one.
    """

    elements: dict[tuple[int, int], Element] = field(default_factory=dict)
    rest: bytes = b""

    def get(self, tag: int) -> Element | None:
        """The first element of this tag."""
        return self.elements.get((tag, 0))

    def __iter__(self) -> Iterator[Element]:
        return iter(self.elements.values())


def read_data_set(encoded: Encoded) -> DataSet:
    """Take a data set apart.

    Raises
    ------
    NotComparable
        It is not deflated as it should be, or a sequence of undefined length in it is broken, so that nobody can tell
        where it ends.
    """
    data = encoded.data
    if encoded.transfer_syntax in _DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
                data
            )  # PS3.5 A.5: the bare stream of RFC 1951
        except zlib.error as error:
            raise NotComparable("it is no deflated data set") from error
    layout = Layout(encoded.transfer_syntax in _IMPLICIT, encoded.transfer_syntax == EXPLICIT_BE)
    try:
        return _Reader(data).data_set(0, len(data), layout, is_open=False)[0]
    except RecursionError as error:
        raise NotComparable("its sequences are nested too deep to be compared") from error


def items_of(element: Element) -> tuple[DataSet, ...] | None:
    """The items of a sequence; None when the value is not made of items.

    Parameters
    ----------
    element
        Of any value representation: a sequence whose representation is not known is recognised by its items.
    """
    if element.items is not None or element.fragments is not None:
        return element.items
    try:
        items, end = _Reader(element.value).items(0, len(element.value), element.layout, is_open=False)
    except (NotComparable, RecursionError):
        return None
    return items if end == len(element.value) else None


class _Reader:
    """Reads from one run of bytes; `begin` and `end` are positions in it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def data_set(self, begin: int, end: int, layout: Layout, *, is_open: bool) -> tuple[DataSet, int]:
        """Read elements up to `end` or, of what is open, to the delimiter; return them, and where they end."""
        found = DataSet()
        position = begin
        while end - position >= 8:
            tag = self._tag(position, layout)
            if tag in (_ITEM_END, _SEQUENCE_END):
                if is_open:
                    return found, position + 8 if tag == _ITEM_END else position
                position += 8  # astray: it has no value, and delimits nothing
                continue
            header = self._header(position, end, layout)
            if header is None:
                break
            vr, length, value_begin = header
            element, position = self._element(tag, vr, length, value_begin, end, layout)
            count = 0
            while (tag, count) in found.elements:
                count += 1
            found.elements[tag, count] = element
        if is_open:
            raise NotComparable("an item of undefined length in it has no end")
        return DataSet(found.elements, self._data[position:end]), end

    def items(
        self, begin: int, end: int, layout: Layout, *, is_open: bool
    ) -> tuple[tuple[DataSet, ...], int]:
        """Read the items of a sequence; return them, and where they end."""
        found: list[DataSet] = []
        position = begin
        while is_open or position < end:
            if end - position < 8:
                raise NotComparable("a sequence in it has no end")
            tag = self._tag(position, layout)
            length = self._number(position + 4, 4, layout)
            position += 8
            if tag == _SEQUENCE_END:
                return tuple(found), position
            if tag != _ITEM or (length != _UNDEFINED and position + length > end):
                raise NotComparable("a sequence in it is not made of items")
            is_item_open = length == _UNDEFINED
            item_end = end if is_item_open else position + length
            item_layout = self._layout_of_item(position, item_end, layout)
            item, position = self.data_set(position, item_end, item_layout, is_open=is_item_open)
            found.append(item)
        return tuple(found), position

    def _layout_of_item(self, begin: int, end: int, around: Layout) -> Layout:
        """How an item is laid out: some writers put explicit ones into UN (against PS3.5 6.2.2), or the reverse.

        Its first element is believed where it can be read in one way only.
        """
        if around.is_big or end - begin < 8 or self._tag(begin, around) in (_ITEM_END, _SEQUENCE_END):
            return around
        length = self._number(begin + 4, 4, around)
        could_be_implicit = length == _UNDEFINED or begin + 8 + length <= end
        has_vr = self._data[begin + 4 : begin + 6] in _SHORT | _LONG
        return around if could_be_implicit == has_vr else Layout(is_implicit=not has_vr, is_big=False)

    def _element(
        self, tag: int, vr: str, length: int, begin: int, end: int, around: Layout
    ) -> tuple[Element, int]:
        layout = _UNKNOWN if vr == "UN" else around
        if length != _UNDEFINED:
            value = self._data[begin : min(begin + length, end)]
            is_cut = len(value) < length
            return Element(tag, vr, value, layout, is_cut=is_cut), min(begin + length, end)
        if vr in _BINARY or (tag == PIXEL_DATA and vr != "SQ"):
            fragments, position = self._fragments(begin, end, around)
            return Element(tag, vr, b"", around, fragments=fragments), position
        items, position = self.items(begin, end, layout, is_open=True)
        return Element(tag, vr, b"", layout, items=items), position

    def _fragments(self, begin: int, end: int, layout: Layout) -> tuple[tuple[bytes, ...], int]:
        found: list[bytes] = []
        position = begin
        while end - position >= 8:
            tag = self._tag(position, layout)
            length = self._number(position + 4, 4, layout)
            position += 8
            if tag == _SEQUENCE_END:
                return tuple(found), position
            if tag != _ITEM or position + length > end:
                break
            found.append(self._data[position : position + length])
            position += length
        raise NotComparable("an encapsulated value in it has no end")

    def _header(self, position: int, end: int, layout: Layout) -> tuple[str, int, int] | None:
        """Value representation, length of the value and where it begins; None where too little is left for them."""
        if layout.is_implicit:
            return "", self._number(position + 4, 4, layout), position + 8
        vr = self._data[position + 4 : position + 6]
        is_future = vr.isalpha() and vr.isupper() and self._data[position + 6 : position + 8] == b"\0\0"
        if vr in _SHORT or (vr not in _LONG and not is_future):
            return _known(vr), self._number(position + 6, 2, layout), position + 8
        if end - position < 12:
            return None
        return _known(vr), self._number(position + 8, 4, layout), position + 12

    def _tag(self, position: int, layout: Layout) -> int:
        return self._number(position, 2, layout) << 16 | self._number(position + 2, 2, layout)

    def _number(self, position: int, size: int, layout: Layout) -> int:
        return int.from_bytes(self._data[position : position + size], "big" if layout.is_big else "little")


def _known(vr: bytes) -> str:
    return vr.decode("ascii") if vr in _SHORT or vr in _LONG else ""
