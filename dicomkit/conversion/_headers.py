"""What the header of an element says, and how it is written in little endian (PS3.5 7.1)."""

from __future__ import annotations

import struct
from array import array

__all__ = [
    "LENGTH",
    "LONG_HEADER",
    "SHORT_HEADER",
    "TAG_LENGTH",
    "VR_LENGTH",
    "swapped",
]

_ARRAY_TYPES = {2: "H", 4: "I", 8: "Q"}

TAG_LENGTH = struct.Struct("<HHI")
SHORT_HEADER = struct.Struct("<HH2sH")
LONG_HEADER = struct.Struct("<HH2sHI")
LENGTH = struct.Struct("<I")
VR_LENGTH = struct.Struct("<HH")


def swapped(value: bytes | bytearray, word: int) -> bytes:
    """Return a value with the bytes of each of its words turned around."""
    words = array(_ARRAY_TYPES[word], bytes(value))
    words.byteswap()
    return words.tobytes()
