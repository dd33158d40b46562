"""How elements are written, and what marks their parts (PS3.5 7)."""

from __future__ import annotations

__all__ = [
    "ITEM",
    "ITEM_BYTES",
    "ITEM_DELIMITATION",
    "LONG_VRS",
    "PIXEL_DATA",
    "SEQUENCE_DELIMITATION",
    "SHORT_VRS",
    "UNDEFINED_LENGTH",
    "WORD_SIZES",
]

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
"""Those with a 16-bit length (PS3.5 Table 7.1-2)."""

LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Those with two reserved bytes and a 32-bit length (PS3.5 Table 7.1-1)."""

WORD_SIZES = {
    **dict.fromkeys((b"AT", b"OW", b"SS", b"US"), 2),
    **dict.fromkeys((b"FL", b"OF", b"OL", b"SL", b"UL"), 4),
    **dict.fromkeys((b"FD", b"OD", b"OV", b"SV", b"UV"), 8),
}
"""How many bytes are turned around where the byte order changes (PS3.5 7.3); all others are single bytes."""

UNDEFINED_LENGTH = 0xFFFFFFFF  # PS3.5 7.1.1
ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD  # PS3.5 7.5
ITEM_BYTES = (
    b"\xfe\xff\x00\xe0"  # the tag of an item in little endian: how encapsulated Pixel Data begins (PS3.5 A.4)
)
PIXEL_DATA = 0x7FE00010
