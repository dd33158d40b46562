"""Which value representation an element has, when nothing beside the element says so."""

from __future__ import annotations

import struct
from functools import cache

__all__ = ["known_vrs", "vr_of"]

# Elements that PS3.6 lists for many groups (50xx) or many numbers (1000,xxx0): the bits of a tag that count, and the
# tags by value representation, as in `_elements`.
_REPEATED = (
    (
        0xFF01FFFF,  # even groups only: PS3.5 7.6
        {
            "AT": "60000066 60000803",
            "CS": "50000020 50001001 60000040 60000060 60000063 60000110 60000800 60001001",
            "DS": "60001302 60001303",
            "IS": "60000015 60001301",
            "LO": "50000022 50002500 60000022 60000045 60001500",
            "LT": "5000200E 60004000",
            "OB or OW": "5000200C 50003000 60003000 7F000010",
            "OW": "7F000020 7F000030 7F000040",
            "SH": "50000030 50000040 50000106 60000061 60000062",
            "SQ": "50002600",
            "SS": "60000050",
            "UL": "50002006 50002008 5000200A",
            "US": """
                50000005 50000010 50000103 50000104 50000105 50000110 50000112 50000114 50002000 50002002
                50002004 50002610 60000010 60000011 60000012 60000051 60000052 60000068 60000069 60000100
                60000102 60000200 60000802 60000804 60001100 60001101 60001102 60001103 60001200 60001201
                60001202 60001203 7F000011
            """,
        },
    ),
    (0xFFFFFF00, {"CS": "00203100"}),
    (
        0xFFFFFF0F,
        {
            "AT": "00280403 00280803 00280808",
            "CS": "00280800",
            "LO": "00280402",
            "US": "00280400 00280401 00280802 00280804",
        },
    ),
    (0xFFFF000F, {"US": "10000000 10000001 10000002 10000003 10000004 10000005"}),
    (0xFFFF0000, {"US": "10100000"}),
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
    for mask, vrs in _repeated():
        vr = vrs.get(tag & mask)
        if vr is not None:
            return vr
    return None


@cache
def known_vrs() -> dict[int, str]:
    """The elements that have one tag, and what `vr_of` says of them; made when it is first asked for."""
    from dicomkit.dictionary._elements import TAGS

    return _by_tag(TAGS)


@cache
def _repeated() -> list[tuple[int, dict[int, str]]]:
    return [(mask, _by_tag(tags)) for mask, tags in _REPEATED]


def _by_tag(tags: dict[str, str]) -> dict[int, str]:
    table: dict[int, str] = {}
    for vr, text in tags.items():
        table |= dict.fromkeys(tags_in(text), vr)
    return table


def tags_in(text: str) -> tuple[int, ...]:
    """The tags in a text of eight hexadecimal digits each."""
    packed = bytes.fromhex(text)
    return struct.unpack(f">{len(packed) // 4}I", packed)
