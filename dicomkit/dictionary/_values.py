"""Which value representation an element has, when nothing beside the element says so."""

from __future__ import annotations

import struct

__all__ = ["known_vrs", "vr_of"]

# Elements that PS3.6 lists for many groups (50xx) or many numbers (1000,xxx0): the bits of a tag that count, and the
# value representations by them.
_REPEATED: tuple[tuple[int, dict[int, str]], ...] = (
    (
        0xFF01FFFF,  # even groups only: PS3.5 7.6
        {
            0x50000005: "US",
            0x50000010: "US",
            0x50000020: "CS",
            0x50000022: "LO",
            0x50000030: "SH",
            0x50000040: "SH",
            0x50000103: "US",
            0x50000104: "US",
            0x50000105: "US",
            0x50000106: "SH",
            0x50000110: "US",
            0x50000112: "US",
            0x50000114: "US",
            0x50001001: "CS",
            0x50002000: "US",
            0x50002002: "US",
            0x50002004: "US",
            0x50002006: "UL",
            0x50002008: "UL",
            0x5000200A: "UL",
            0x5000200C: "OB or OW",
            0x5000200E: "LT",
            0x50002500: "LO",
            0x50002600: "SQ",
            0x50002610: "US",
            0x50003000: "OB or OW",
            0x60000010: "US",
            0x60000011: "US",
            0x60000012: "US",
            0x60000015: "IS",
            0x60000022: "LO",
            0x60000040: "CS",
            0x60000045: "LO",
            0x60000050: "SS",
            0x60000051: "US",
            0x60000052: "US",
            0x60000060: "CS",
            0x60000061: "SH",
            0x60000062: "SH",
            0x60000063: "CS",
            0x60000066: "AT",
            0x60000068: "US",
            0x60000069: "US",
            0x60000100: "US",
            0x60000102: "US",
            0x60000110: "CS",
            0x60000200: "US",
            0x60000800: "CS",
            0x60000802: "US",
            0x60000803: "AT",
            0x60000804: "US",
            0x60001001: "CS",
            0x60001100: "US",
            0x60001101: "US",
            0x60001102: "US",
            0x60001103: "US",
            0x60001200: "US",
            0x60001201: "US",
            0x60001202: "US",
            0x60001203: "US",
            0x60001301: "IS",
            0x60001302: "DS",
            0x60001303: "DS",
            0x60001500: "LO",
            0x60003000: "OB or OW",
            0x60004000: "LT",
            0x7F000010: "OB or OW",
            0x7F000011: "US",
            0x7F000020: "OW",
            0x7F000030: "OW",
            0x7F000040: "OW",
        },
    ),
    (0xFFFFFF00, {0x00203100: "CS"}),
    (
        0xFFFFFF0F,
        {
            0x00280400: "US",
            0x00280401: "US",
            0x00280402: "LO",
            0x00280403: "AT",
            0x00280800: "CS",
            0x00280802: "US",
            0x00280803: "AT",
            0x00280804: "US",
            0x00280808: "AT",
        },
    ),
    (
        0xFFFF000F,
        {
            0x10000000: "US",
            0x10000001: "US",
            0x10000002: "US",
            0x10000003: "US",
            0x10000004: "US",
            0x10000005: "US",
        },
    ),
    (0xFFFF0000, {0x10100000: "US"}),
)

_PRIVATE_CREATORS = range(0x10, 0x100)  # PS3.5 7.8.1


def vr_of(tag: int) -> str | None:
    """Return the value representation of an element by its tag alone.

    Parameters
    ----------
    tag : int
        The group in the upper and the element in the lower 16 bits.

    Returns
    -------
    str or None
        As in PS3.6, ``"US or SS"`` and the like where it depends on other elements; UL of a group length (PS3.5 7.2),
        LO of a private creator (7.8.1); None of an element that is private or unknown.
    """
    vr = known_vrs().get(tag)
    if vr is not None:
        return vr
    number = tag & 0xFFFF
    if not number:
        return "UL"
    if tag >> 16 & 1:
        return "LO" if number in _PRIVATE_CREATORS else None
    for mask, vrs in _REPEATED:
        vr = vrs.get(tag & mask)
        if vr is not None:
            return vr
    return None


_table: dict[int, str] = {}


def known_vrs() -> dict[int, str]:
    """The elements that have one tag, and what `vr_of` says of them; made when it is first asked for."""
    if not _table:
        from dicomkit.dictionary._elements import TAGS

        table: dict[int, str] = {}
        for vr, text in TAGS.items():
            packed = bytes.fromhex(text)
            table |= dict.fromkeys(struct.unpack(f">{len(packed) // 4}I", packed), vr)
        _table.update(table)
    return _table
