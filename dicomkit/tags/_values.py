"""What one element of a data set says, as text: the whole of it, or as much as a table cell has room for.

Nothing here raises for what a file holds: a value that cannot be read is shown as the bytes that it is. Elements stay
as they were read, but for sequences: the VR that a file has, and the bytes of its text, are gone once pydicom has
converted them.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

from pydicom import DataElement, Dataset
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR, private_dictionary_VR
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.errors import BytesLengthException
from pydicom.filereader import read_deferred_data_element
from pydicom.filewriter import correct_ambiguous_vr_element
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import UID

from dicomkit._support.pydicom_quiet import PYDICOM_QUIET
from dicomkit.dictionary.vrs import UNDEFINED_LENGTH
from dicomkit.tags._character_sets import CHARACTER_SET_VRS, Decoded, decode_text

Element: TypeAlias = DataElement | RawDataElement

# What pydicom's conversions raise for values that are not as their VR asks.
READ_ERRORS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)

_BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})  # PS3.5 section 6.2
_NUMBERS = {"OD": "d", "OF": "f", "OL": "I", "OV": "Q"}  # arrays of numbers, and how one is packed
_WORDS = {**_NUMBERS, "OW": "H"}  # whose bytes change places with the byte order, PS3.5 section 7.3
_TEXT_VRS = CHARACTER_SET_VRS | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}
_OF_ONE_VALUE = frozenset({"LT", "ST", "UR", "UT"})  # a backslash is text in them, PS3.5 section 6.2
_PADDED_BEFORE = frozenset({"AE", "CS", "DS", "IS"})  # with spaces that mean nothing, PS3.5 section 6.2
_CHARACTER_SET = 0x00080005
_CHINESE_ESCAPE = "\x1b$)A"  # which pydicom leaves where it has converted ISO 2022 IR 58
_FEW_BYTES = 16  # as many are shown one by one in a cell
_LARGE_BYTES = 65536  # what is longer is not converted only to be summarised
_SEPARATOR = "\\"  # between the values of an element, PS3.5 section 6.4
_DUMP_WIDTH = 16

# Characters that would turn the text around them; shown by their number.
_DIRECTION_MARKS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)
_VISIBLE = {
    **{code: chr(0x2400 + code) for code in range(0x20)},  # the Unicode block of control pictures
    0x7F: "\u2421",
    ord("\n"): "\u23ce",
    ord("\r"): "",
    ord("\t"): " ",
    0x2028: "\u23ce",
    0x2029: "\u23ce",
    **{code: f"<U+{code:04X}>" for code in chain(range(0x80, 0xA0), _DIRECTION_MARKS)},
}
_VISIBLE_LINES = {**_VISIBLE, ord("\n"): "\n", ord("\t"): "\t"}


def is_binary(vr: str) -> bool:
    """Return whether values of that VR are bytes rather than text or numbers (``"OB or OW"`` included)."""
    return vr[:2] in _BINARY_VRS


def item_at(holder: Dataset, tag: int) -> Element:
    """Return an element as it is there: what was read and not looked at is bytes, or deferred."""
    found = holder.get_item(Tag(tag), keep_deferred=True)
    assert found is not None
    return found


def with_value(raw: RawDataElement, holder: Dataset) -> RawDataElement:
    """Return an element with its value, which is read if it was left in its file."""
    if raw.value is not None or not raw.length:
        return raw
    source = getattr(holder, "filename", None) or getattr(holder, "buffer", None)
    if source is None:
        return raw
    try:
        with PYDICOM_QUIET:
            return read_deferred_data_element(
                getattr(holder, "fileobj_type", None), source, getattr(holder, "timestamp", None), raw
            )
    except READ_ERRORS:
        return raw


def element_of(holder: Dataset, tag: int) -> Element:
    """Return an element, converted unless that cannot be done or is not worth it.

    Parameters
    ----------
    holder : pydicom.Dataset
        The data set or item that holds it.
    tag : int
        One of its tags.

    Returns
    -------
    DataElement or RawDataElement
        Raw when it is a large or deferred binary value, or when pydicom cannot read it as its VR.
    """
    raw = item_at(holder, tag)
    if not isinstance(raw, RawDataElement):
        return raw
    vr = reading_vr(raw, holder)
    if is_binary(vr) and (raw.value is None or len(raw.value) > _LARGE_BYTES):
        return raw
    try:
        with PYDICOM_QUIET:
            if vr == "SQ":  # its items are what rows lie in, so they have to stay the same ones
                sequence: DataElement = holder[Tag(tag)]
                return sequence
            element: DataElement = _converted(with_value(raw, holder), holder)
            return element
    except READ_ERRORS:
        return raw


def _converted(raw: RawDataElement, holder: Dataset) -> Any:
    """Convert an element as pydicom does when it is asked for, and leave the data set as it is."""
    encoding = holder.original_character_set or holder._character_set
    is_named = raw.tag != _CHARACTER_SET
    element = convert_raw_data_element(raw, encoding=encoding if is_named else default_encoding, ds=holder)
    if " or " in str(element.VR):
        return correct_ambiguous_vr_element(element, holder, raw.is_little_endian)
    return element


def reading_vr(element: Element, holder: Dataset) -> str:
    """Return the VR that a value is read by: what the dictionaries know, where the file has none or UN."""
    if not isinstance(element, RawDataElement) or element.VR not in (None, "UN"):
        return str(element.VR)
    tag = element.tag
    try:
        if not tag.is_private:
            return "UL" if tag.element == 0 else str(dictionary_VR(tag))
        if tag.is_private_creator:
            return "LO"
        creator = creator_of(holder, tag)
        return str(private_dictionary_VR(tag, creator)) if creator else "UN"
    except KeyError:
        return "UN"


def creator_of(holder: Dataset, tag: int) -> str:
    """Return the creator who reserved the block of a private tag (PS3.5 section 7.8.1); empty without one."""
    reserving = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
    text = text_of(holder, reserving, (), "LO") if reserving in holder else None
    return _SEPARATOR.join(text[0]).strip() if text is not None else ""


def terms_of(holder: Dataset) -> tuple[str, ...]:
    """Return the Specific Character Set of a data set or item itself, nothing where it has none."""
    if _CHARACTER_SET not in holder:
        return ()
    element = item_at(holder, _CHARACTER_SET)
    value: Any = element.value or ""
    if isinstance(element, RawDataElement):
        value = (element.value or b"").decode("latin-1")
    several = value.split(_SEPARATOR) if isinstance(value, str) else [str(one or "") for one in value]
    terms = tuple(term.strip("\0 ") for term in several)
    return terms if any(terms) else ()


def text_of(
    holder: Dataset, tag: int, terms: Sequence[str], vr: str = ""
) -> tuple[tuple[str, ...], str] | None:
    """Return the values of an element of text without their padding, and in what they do not fit their character set.

    Parameters
    ----------
    holder : pydicom.Dataset
        The data set or item that holds it.
    tag : int
        One of its tags.
    terms : sequence of str
        The Specific Character Set that is in force there.
    vr : str
        To be read by, where the one of the element is not meant.

    Returns
    -------
    tuple of tuple of str and str, or None
        None for what is no text.
    """
    element = item_at(holder, tag)
    vr = vr or reading_vr(element, holder)
    if vr not in _TEXT_VRS:
        return None
    if isinstance(element, RawDataElement):
        element = with_value(element, holder)
        if element.value is None and element.length:
            return None
        whole = decode_text(bytes(element.value or b""), terms, vr)
        texts = [whole.text] if vr in _OF_ONE_VALUE else whole.text.split(_SEPARATOR)
        problem = whole.problem
    elif isinstance(element.value, bytes | bytearray) or element.VR == "SQ":
        return None
    else:
        decoded = [_decoded(one, vr, terms) for one in _several(element.value)]
        texts = [one.text for one in decoded]
        problem = next((one.problem for one in decoded if one.problem), "")
    return _trimmed(texts, vr), problem


def _several(value: Any) -> list[Any]:
    if isinstance(value, list | tuple | MultiValue):
        return list(value)
    return [] if value is None else [value]


def _decoded(value: Any, vr: str, terms: Sequence[str]) -> Decoded:
    """Return what pydicom has converted; a name keeps its bytes, which are read again where there are escapes."""
    read = getattr(value, "original_string", None)
    if vr == "PN" and isinstance(read, bytes) and b"\x1b" in read:
        return decode_text(read, terms, vr)
    return Decoded(str(value).replace(_CHINESE_ESCAPE, ""), "")


def _trimmed(texts: Sequence[str], vr: str) -> tuple[str, ...]:
    """Take padding away, and the empty groups at the end of names, which pydicom does not show either."""
    trimmed = [text.rstrip("\0 ") for text in texts]
    if vr in _PADDED_BEFORE:
        trimmed = [text.lstrip(" ") for text in trimmed]
    if vr == "PN":
        trimmed = [text.rstrip("=") for text in trimmed]
    return tuple(trimmed) if trimmed != [""] else ()


def value_text(holder: Dataset, tag: int, limit: int, terms: Sequence[str] = ()) -> tuple[str, bool]:
    """Return the value of an element as text of about `limit` characters, and whether that is all of it."""
    text = text_of(holder, tag, terms)
    if text is not None:
        texts = text[0]
        return _joined(iter(texts), len(texts), limit) if len(texts) > 1 else _cut("".join(texts), limit)
    element = item_at(holder, tag)
    vr = reading_vr(element, holder)
    if vr in _NUMBERS and isinstance(element.value, bytes | bytearray):
        return _numbers_text(element, holder, vr, limit)
    element = element_of(holder, tag)
    vr = reading_vr(element, holder)
    if is_binary(vr):
        return _binary_text(element, vr, limit)
    if isinstance(element, RawDataElement):
        preview = _cut(bytes(element.value or b"").decode("latin-1").rstrip("\0 "), limit)[0]
        return f"<no valid {vr}: {preview}>", False
    value = element.value
    if vr == "SQ":
        return f"{len(value)} item{'' if len(value) == 1 else 's'}", True
    if element.VM > 1:
        return _joined((_single(one, vr) for one in value), element.VM, limit)
    return _cut(_single(value, vr), limit)


def text_at(dataset: Dataset, keyword: str) -> str:
    """Return the value of an attribute of a data set itself, read by its character set; empty without one."""
    tag = Tag(keyword)
    return value_text(dataset, tag, sys.maxsize, terms_of(dataset))[0] if tag in dataset else ""


def _single(value: Any, vr: str) -> str:
    if value is None:
        return ""
    if vr == "AT":
        return str(Tag(value)) if value != "" else ""
    if vr == "FL" and isinstance(value, float):
        return shortest_float(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("latin-1")
    if isinstance(value, list | tuple | MultiValue):
        return _SEPARATOR.join(_single(one, vr) for one in value)
    return str(value)


def shortest_float(value: float) -> str:
    """Return the shortest text that is read as the same float of 32 bits: 0.1 for what a double calls 0.10000000149."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:  # somebody set what 32 bits cannot hold
        return str(value)
    for digits in range(1, 10):  # nine are always enough
        text = str(float(f"{value:.{digits}g}"))
        try:
            if struct.pack("<f", float(text)) == packed:
                return text
        except OverflowError:  # the largest of them, rounded up
            continue
    return str(value)


def _joined(texts: Iterator[str], count: int, limit: int) -> tuple[str, bool]:
    taken: list[str] = []
    length = 0
    for text in texts:
        if length + len(text) > limit:
            return f"{_SEPARATOR.join(taken)}{_SEPARATOR}\u2026 ({count} values)", False
        taken.append(text)
        length += len(text) + 1
    return _SEPARATOR.join(taken), True


def _cut(text: str, limit: int) -> tuple[str, bool]:
    return (text, True) if len(text) <= limit else (f"{text[:limit]}\u2026", False)


def _numbers_text(element: Element, holder: Dataset, vr: str, limit: int) -> tuple[str, bool]:
    one = struct.Struct(("<" if is_little_endian(element, holder) else ">") + _NUMBERS[vr])
    data = bytes(element.value or b"")
    if len(data) % one.size:
        return _binary_text(element, vr, limit)
    numbers = (number for (number,) in one.iter_unpack(data))
    texts = (shortest_float(number) if vr == "OF" else str(number) for number in numbers)
    return _joined(texts, len(data) // one.size, limit)


def _binary_text(element: Element, vr: str, limit: int) -> tuple[str, bool]:
    value = element.value
    if not isinstance(value, bytes | bytearray):
        if not isinstance(element, RawDataElement):
            return ("", True) if value is None else ("<bytes not read>", False)
        if element.length == UNDEFINED_LENGTH:
            return "<bytes not read>", False
        return (f"<{element.length} bytes>", False) if element.length else ("", True)
    if not value:
        return "", True
    if vr == "UN" and len(value) <= _LARGE_BYTES:
        text = bytes(value).rstrip(b"\0 ")
        if text.isascii() and text.decode("ascii").isprintable() and text:
            return _cut(text.decode("ascii"), limit)
    if len(value) <= _FEW_BYTES:
        return bytes(value).hex(" "), True
    return f"<{len(value)} bytes>", False


def value_bytes(holder: Dataset, tag: int, stop: int) -> bytes:
    """Return the first bytes of a binary value, which is read if it was left in its file."""
    element = item_at(holder, tag)
    value = with_value(element, holder).value if isinstance(element, RawDataElement) else element.value
    return bytes(value[:stop]) if isinstance(value, bytes | bytearray) else b""


def is_little_endian(element: Element, holder: Dataset) -> bool:
    """Return whether the words of a binary value are little endian."""
    if isinstance(element, RawDataElement):
        return element.is_little_endian
    return holder.original_encoding[1] is not False


def in_little_endian(data: bytes, vr: str, *, is_little: bool) -> bytes:
    """Return the bytes of a value as little endian has them."""
    code = _WORDS.get(vr)
    if is_little or code is None or len(data) % struct.calcsize(code):
        return data
    words = array(code, data)
    words.byteswap()
    return words.tobytes()


def hex_dump(data: bytes) -> str:
    """Return bytes in lines of sixteen: offset, hexadecimal, and characters where they are ASCII."""
    lines = []
    for offset in range(0, len(data), _DUMP_WIDTH):
        part = data[offset : offset + _DUMP_WIDTH]
        characters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{offset:06x}  {part.hex(' '):<{3 * _DUMP_WIDTH - 1}}  {characters}")
    return "\n".join(lines)


def uid_meaning(text: str) -> str:
    """Return the names of the UIDs in the text of a UI value that have one (PS3.6), else nothing."""
    names = (
        UID(uid, validation_mode=0).name for uid in text.split(_SEPARATOR) if uid.startswith("1.2.840.10008.")
    )
    return ", ".join(name for name in names if not name.startswith("1.2.840.10008."))


def one_line(text: str, *, keep_lines: bool = False) -> str:
    """Return text without anything that moves or turns what stands around it: controls become visible signs.

    Parameters
    ----------
    text : str
        Of any origin.
    keep_lines : bool
        Whether line ends and tabs may stay.
    """
    return text.translate(_VISIBLE_LINES if keep_lines else _VISIBLE)
