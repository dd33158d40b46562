"""Values as they are encoded: whether two say the same, and how one may be shown. Bytes in, no decoding of text."""

from __future__ import annotations

import struct

from dicomkit.dictionary import vr_of
from dicomkit.dictionary.vrs import WORD_SIZES
from dicomkit.verification._elements import Element

# Value representations (PS3.5 Table 6.2-1) by what of their spaces means nothing.
_SPACES_AROUND = frozenset({"AE", "CS", "DS", "IS", "LO", "SH"})
_SPACES_AFTER = frozenset({"AS", "DA", "DT", "LT", "PN", "ST", "TM", "UC", "UI", "UR", "UT"})
_TEXTS = _SPACES_AROUND | _SPACES_AFTER
_ONE_VALUE = frozenset({"LT", "ST", "UR", "UT"})

# How `struct` unpacks numbers.
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}

_SHOWN_TEXTS = frozenset({"CS", "DS", "IS"})  # free text never is
_LONGEST_SHOWN = 40


def representation(*encodings: Element) -> str:
    """The value representation of an element of which there are encodings: said by one, or by the dictionary."""
    for element in encodings:
        if element.vr not in ("", "UN"):
            return element.vr
    # Of several, "US or SS", the first: they differ in nothing that is asked here.
    return (vr_of(encodings[0].tag) or "UN")[:2]


def in_little_endian(element: Element, vr: str) -> bytes:
    """The value with the bytes of its words as Little Endian has them."""
    # What is in UN is in Little Endian in any syntax (PS3.5 6.2.2).
    size = WORD_SIZES.get(vr.encode(), 1) if element.layout.is_big and element.vr != "UN" else 1
    if size == 1 or len(element.value) % size:  # what is no whole number of words stays as it is
        return element.value
    words = bytearray(element.value)
    for byte in range(size):
        words[byte::size] = element.value[size - 1 - byte :: size]
    return bytes(words)


def is_same_value(one: Element, other: Element) -> bool:
    """Whether two values of no items are the same but for their encoding; see `dicomkit.verification._allowed`."""
    vr = representation(one, other)
    vrs = [element.vr if element.vr not in ("", "UN") else vr for element in (one, other)]
    values = [in_little_endian(element, of) for element, of in zip((one, other), vrs, strict=True)]
    if values[0] == values[1]:
        return vrs[0] == vrs[1] or _mean_the_same(values[0], vrs[0], vrs[1])
    if vrs[0] in _TEXTS and vrs[1] in _TEXTS:
        return _trimmed(values[0], vrs[0]) == _trimmed(values[1], vrs[0])
    shorter, longer = sorted(values, key=len)
    pads = (b"\0", b" ") if vr == "UN" else (b"\0",)
    return len(longer) % 2 == 0 and any(longer == shorter + pad for pad in pads)


def _mean_the_same(value: bytes, *vrs: str) -> bool:
    """Whether the same bytes are the same numbers in two representations."""
    letters = [_NUMBERS.get(vr) for vr in vrs]
    if None in letters or not value:
        return True
    sizes = [struct.calcsize(f"<{letter}") for letter in letters]
    if sizes[0] != sizes[1] or len(value) % sizes[0]:
        return False
    numbers = [struct.unpack(f"<{len(value) // sizes[0]}{letter}", value) for letter in letters]
    return numbers[0] == numbers[1]


def _trimmed(value: bytes, vr: str) -> bytes:
    parts = [value] if vr in _ONE_VALUE else value.split(b"\\")
    if vr in _SPACES_AROUND:
        parts = [part.lstrip(b" ") for part in parts]
    return b"\\".join(part.rstrip(b" \0") for part in parts)


def extends(one: Element, other: Element) -> bool:
    """Whether a text holds all of another one, and more."""
    vr = representation(one, other)
    if vr not in _TEXTS:
        return False
    text, within = _trimmed(one.value, vr), _trimmed(other.value, vr)
    return bool(within) and within in text and within != text


def number_of(element: Element | None, absent: int) -> int:
    """The first number of a value of US or IS; `absent` where there is none."""
    if element is None:
        return absent
    vr = representation(element)
    if vr == "IS":
        try:
            return int(element.value.split(b"\\")[0].strip(b" \0"))
        except ValueError:
            return absent
    value = in_little_endian(element, vr)
    return int.from_bytes(value[:2], "little") if len(value) >= 2 else absent


def text_of(element: Element | None) -> str:
    """The text of a value whose characters are ASCII, as UI and CS have them; empty where there is none."""
    return (
        ""
        if element is None
        else element.value.split(b"\0")[0].strip(b" \0\r\n\t").decode("ascii", "replace")
    )


def shown(one: Element, other: Element) -> str:
    """Both values, ``"'CT' became 'MR'"``; empty where they are of a kind that is not shown."""
    vr = representation(one, other)
    texts = [_as_text(in_little_endian(element, vr), vr) for element in (one, other)]
    return f"{texts[0]} became {texts[1]}" if all(texts) else ""


def _as_text(value: bytes, vr: str) -> str:
    if not value:
        return "nothing"
    if vr in _SHOWN_TEXTS:
        text = _trimmed(value, vr).decode("ascii", "replace")
    elif vr in _NUMBERS and len(value) == struct.calcsize(f"<{_NUMBERS[vr]}"):
        text = str(struct.unpack(f"<{_NUMBERS[vr]}", value)[0])
    else:
        return ""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}...")
