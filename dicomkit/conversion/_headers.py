"""What the header of an element says, and how it is written in little endian (PS3.5 7.1)."""

from __future__ import annotations

import struct
from array import array

from dicomkit.dataset_walk import LITTLE_EXPLICIT
from dicomkit.frozen import Frozen

__all__ = [
    "LENGTH",
    "LONG_HEADER",
    "READINGS",
    "Reading",
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


class Reading(Frozen):
    """What an element of Explicit VR is whose VR is none that PS3.5 knows.

    DCMTK's way comes first: two capitals are a VR of the future, for which PS3.5 6.2 announces 32 bits of length, and
    anything else stands in place of a VR with 16 bits. pydicom's is the other one: 16 bits after capitals, and no VR at
    all where there are none.
    """

    capitals_are_long: bool
    others_are_implicit: bool


READINGS = (Reading(True, False), Reading(False, True), Reading(False, False), Reading(True, True))


def swapped(value: bytes | bytearray, word: int) -> bytes:
    """Return a value with the bytes of each of its words turned around."""
    words = array(_ARRAY_TYPES[word], bytes(value))
    words.byteswap()
    return words.tobytes()
