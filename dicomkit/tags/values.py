"""What one element of a data set says, as text: the whole of it, or as much as a table cell has room for.

Nothing here raises for what a file holds: a value that cannot be read is shown as the bytes that it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from dicomkit.quiet import PYDICOM_QUIET

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset
    from pydicom.dataelem import RawDataElement

    Element: TypeAlias = DataElement | RawDataElement

__all__ = [
    "element_of",
    "hex_dump",
    "is_binary",
    "one_line",
    "read_errors",
    "same_value",
    "size_of",
    "uid_meaning",
    "value_bytes",
    "value_text",
    "vr_of",
]

_BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})  # PS3.5 section 6.2
_UNDEFINED_LENGTH = 0xFFFFFFFF  # PS3.5 section 7.1.1
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


@cache
def read_errors() -> tuple[type[Exception], ...]:
    """Return what pydicom's conversions raise for values that are not as their VR asks."""
    from struct import error as struct_error

    from pydicom.errors import BytesLengthException

    return (
        ArithmeticError,
        AttributeError,
        BytesLengthException,
        EOFError,
        LookupError,
        NotImplementedError,
        OSError,
        TypeError,
        ValueError,
        struct_error,
    )


def is_binary(vr: str) -> bool:
    """Return whether values of that VR are bytes rather than text or numbers (``"OB or OW"`` included)."""
    return vr[:2] in _BINARY_VRS


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
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    raw = holder.get_item(Tag(tag), keep_deferred=True)
    assert raw is not None
    if not isinstance(raw, RawDataElement):
        return raw
    if is_binary(_dictionary_vr(holder, raw)) and (raw.value is None or len(raw.value) > _LARGE_BYTES):
        return raw
    try:
        with PYDICOM_QUIET:
            element: DataElement = holder[Tag(tag)]
    except read_errors():
        return raw
    return element


def vr_of(element: Element, holder: Dataset) -> str:
    """Return the VR; from the dictionary where the data set does not tell it."""
    from pydicom.dataelem import RawDataElement

    return _dictionary_vr(holder, element) if isinstance(element, RawDataElement) else str(element.VR)


def _dictionary_vr(holder: Dataset, raw: RawDataElement) -> str:
    from pydicom.datadict import dictionary_VR, private_dictionary_VR

    if raw.VR is not None:
        return str(raw.VR)
    try:
        if not raw.tag.is_private:
            return str(dictionary_VR(raw.tag))
        creator = holder.get((raw.tag.group, raw.tag.element >> 8))
        return str(private_dictionary_VR(raw.tag, str(creator.value))) if creator is not None else "UN"
    except KeyError:
        return "UN"


def size_of(element: Element) -> int | None:
    """Return how many bytes a binary value has, or None when nobody knows before it is read."""
    from pydicom.dataelem import RawDataElement

    if isinstance(element.value, bytes | bytearray):
        return len(element.value)
    if isinstance(element, RawDataElement):
        return None if element.length == _UNDEFINED_LENGTH else element.length
    return None


def value_text(element: Element, holder: Dataset, limit: int) -> tuple[str, bool]:
    """Return the value as text, and whether that is all of it.

    Parameters
    ----------
    element : DataElement or RawDataElement
        As `element_of` returned it.
    holder : pydicom.Dataset
        The data set or item that holds it.
    limit : int
        No more characters than about that are returned.

    Returns
    -------
    tuple of str and bool
        Several values are set apart by backslashes, bytes are summarised (``<524288 bytes>``).
    """
    from pydicom.dataelem import RawDataElement

    vr = vr_of(element, holder)
    if is_binary(vr):
        return _binary_text(element, vr, limit)
    if isinstance(element, RawDataElement):
        preview = _cut(bytes(element.value or b"").decode("latin-1").rstrip("\0 "), limit)[0]
        return f"<no valid {vr}: {preview}>", False
    value = element.value
    if vr == "SQ":
        return (f"{len(value)} item" if len(value) == 1 else f"{len(value)} items"), True
    if element.VM > 1:
        return _joined((_single(one, vr) for one in value), element.VM, limit)
    return _cut(_single(value, vr), limit)


def _single(value: Any, vr: str) -> str:
    if value is None:
        return ""
    if vr == "AT":
        from pydicom.tag import Tag

        return str(Tag(value)) if value != "" else ""
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("latin-1")
    if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue":
        return _SEPARATOR.join(_single(one, vr) for one in value)
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


def _binary_text(element: Element, vr: str, limit: int) -> tuple[str, bool]:
    value = element.value
    if not isinstance(value, bytes | bytearray):
        size = size_of(element)
        if size is None:
            return ("", True) if value is None and not _is_deferred(element) else ("<bytes not read>", False)
        return (f"<{size} bytes>", False) if size else ("", True)
    if not value:
        return "", True
    if vr == "UN" and len(value) <= _LARGE_BYTES:
        text = bytes(value).rstrip(b"\0 ")
        if text.isascii() and text.decode("ascii").isprintable() and text:
            return _cut(text.decode("ascii"), limit)
    if len(value) <= _FEW_BYTES:
        return bytes(value).hex(" "), True
    return f"<{len(value)} bytes>", False


def _is_deferred(element: Element) -> bool:
    """Whether pydicom left the value in its file."""
    from pydicom.dataelem import RawDataElement

    return isinstance(element, RawDataElement) and element.value is None


def value_bytes(holder: Dataset, tag: int, stop: int) -> bytes:
    """Return the first bytes of a binary value, which is read if it was left in its file."""
    from pydicom.tag import Tag

    element = element_of(holder, tag)
    value = element.value
    if value is None:
        try:
            with PYDICOM_QUIET:
                value = holder[Tag(tag)].value
        except read_errors():
            return b""
    return bytes(value[:stop]) if isinstance(value, bytes | bytearray) else b""


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
    from pydicom.uid import UID

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


def same_value(left: Dataset, right: Dataset, tag: int) -> bool:
    """Return whether an element that is in both data sets, and is no sequence, has the same VR and value.

    How it is encoded does not matter, nor the padding to an even length (PS3.5 section 6.2).
    """
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    raw = [one.get_item(Tag(tag), keep_deferred=True) for one in (left, right)]
    if all(isinstance(one, RawDataElement) and one.value is not None for one in raw) and _as_written(
        raw[0]
    ) == _as_written(raw[1]):
        return True
    values = []
    for holder in (left, right):
        try:
            with PYDICOM_QUIET:
                element = holder[Tag(tag)]
        except read_errors():
            item: Any = holder.get_item(Tag(tag))
            values.append((vr_of(item, holder), _unpadded(item.value)))
        else:
            values.append((str(element.VR), _unpadded(element.value)))
    return values[0] == values[1]


def _as_written(raw: Any) -> tuple[object, ...]:
    return raw.VR, raw.is_implicit_VR, raw.is_little_endian, raw.value


def _unpadded(value: Any) -> Any:
    if isinstance(value, bytes | bytearray) and not len(value) % 2:
        return bytes(value).removesuffix(b"\0")
    if value is None or (isinstance(value, Iterable) and not value):
        return ""
    return value
