"""How an element is written in little endian (PS3.5 7.1), and its VR where it was written without one (7.1.3).

The dictionary knows that VR, or which other element it depends on. What cannot be known is UN: its bytes are then
copied, and nobody is told anything false about them (PS3.5 6.2.2).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable

from dicomkit.dictionary import vr_of

TAG_LENGTH = struct.Struct("<HHI")
SHORT_HEADER = struct.Struct("<HH2sH")
LONG_HEADER = struct.Struct("<HH2sHI")
LENGTH = struct.Struct("<I")
VR_LENGTH = struct.Struct("<HH")
_ARRAY_TYPES = {2: "H", 4: "I", 8: "Q"}

_PIXEL_REPRESENTATION = 0x00280103
_LUT_DESCRIPTOR = 0x00283002
_WAVEFORM_BITS_ALLOCATED = 0x54001004
AUDIO_SAMPLE_FORMAT = 0x50002002  # of a curve, PS3.3-2004 C.10.2.1; the first of its repeating groups
# What another element's representation depends on, and of these, what may stand after that other element.
COMES_LATER = frozenset((_PIXEL_REPRESENTATION, _WAVEFORM_BITS_ALLOCATED))
DEPENDED_ON = COMES_LATER | {_LUT_DESCRIPTOR, AUDIO_SAMPLE_FORMAT}

_CURVE_DATA = 0x50003000
# PS3.5 A.1: without a VR they are words, however many bits a sample has.
_ALWAYS_WORDS = frozenset((0x7FE00010, 0x60003000, 0x7F000010))
# What it depends on, the number that makes it the VR that follows; any other makes it OW.
_DEPENDENT = {
    **dict.fromkeys(
        (0x54000110, 0x54000112, 0x5400100A, 0x54001010), (_WAVEFORM_BITS_ALLOCATED, 8, b"OB")
    ),  # PS3.3 C.10.9.1
    0x00283006: (_LUT_DESCRIPTOR, 1, b"US"),  # LUT Data of one entry, PS3.3 C.11.1.1.1
    0x5000200C: (AUDIO_SAMPLE_FORMAT, 1, b"OB"),
}
_REPEATING_GROUPS = (0x5000, 0x6000, 0x7F00)


def swapped(value: bytes | bytearray, word: int) -> bytes:
    """Return a value with the bytes of each of its words turned around."""
    words = array(_ARRAY_TYPES[word], bytes(value))
    words.byteswap()
    return words.tobytes()


def repeating(tag: int) -> int:
    """Return the tag in the first of its repeating groups: (6000,3000) for (6002,3000)."""
    group = tag >> 16
    base = group & 0xFF00
    is_repeated = base in _REPEATING_GROUPS and not group & 1 and tag < 0x7FE00000
    return base << 16 | tag & 0xFFFF if is_repeated else tag


def representation(tag: int, value: Callable[[], bytes], look: Callable[[int], bytes | None]) -> bytes:
    """Return the value representation of an element; UN where nothing says which.

    `value` gives its own value where that is needed, and `look` that of an element by its tag, of this item or of
    what it is in, both in little endian.
    """
    vr = vr_of(tag)
    if vr is None:
        return b"UN"
    if len(vr) == 2:
        return vr.encode()
    if vr == "US or SS":
        found = look(_PIXEL_REPRESENTATION)
        if found is not None:
            return b"SS" if _number(found) == 1 else b"US"
        # Below 0x8000 it is the same number either way.
        return b"UN" if any(byte & 0x80 for byte in value()[1::2]) else b"US"
    tag = repeating(tag)
    if tag in _ALWAYS_WORDS:
        return b"OW"
    if tag == _CURVE_DATA:  # PS3.5-2004 A.1
        return b"OB"
    if tag in _DEPENDENT:
        wanted, number, vr_then = _DEPENDENT[tag]
        found = look(wanted)
        return b"UN" if found is None else vr_then if _number(found) == number else b"OW"
    return b"UN"


def _number(value: bytes) -> int:
    return int.from_bytes(value[:2], "little")
