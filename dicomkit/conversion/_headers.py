"""What the header of an element says, and how it is written in little endian (PS3.5 7.1)."""

from __future__ import annotations

import struct
from array import array

from dicomkit.sources import LITTLE_EXPLICIT

__all__ = [
    "LENGTH",
    "LONG_HEADER",
    "SHORT_HEADER",
    "SHORT_VRS",
    "TAG_LENGTH",
    "VR_LENGTH",
    "WORDS",
    "swapped",
]

# Bytes of a word, for what changes with the byte order (PS3.5 7.3).
WORDS = {
    **dict.fromkeys((b"US", b"SS", b"AT", b"OW"), 2),
    **dict.fromkeys((b"UL", b"SL", b"FL", b"OL", b"OF"), 4),
    **dict.fromkeys((b"FD", b"OD", b"OV", b"SV", b"UV"), 8),
}
_ARRAY_TYPES = {2: "H", 4: "I", 8: "Q"}

TAG_LENGTH = struct.Struct("<HHI")
SHORT_HEADER = struct.Struct("<HH2sH")
LONG_HEADER = struct.Struct("<HH2sHI")
LENGTH = struct.Struct("<I")
VR_LENGTH = struct.Struct("<HH")

# The VRs with a 16-bit length.
SHORT_VRS = frozenset(vr for vr in (number.to_bytes(2, "little") for number in LITTLE_EXPLICIT.short_vrs))


def swapped(value: bytes | bytearray, word: int) -> bytes:
    """Return a value with the bytes of each of its words turned around."""
    words = array(_ARRAY_TYPES[word], bytes(value))
    words.byteswap()
    return words.tobytes()
