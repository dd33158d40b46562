"""Which value representation an element has, when nothing beside the element says so."""

from __future__ import annotations

from functools import cache

# Elements that PS3.6 lists for many groups (50xx) or many numbers (1000,xxx0): the bits of a tag that count, and the
# tags by value representation.
_REPEATED = (
    (
        0xFF01FFFF,  # even groups only: PS3.5 7.6
        {
            "AT": "6000: 0066 0803",
            "CS": "5000: 0020 1001 6000: 0040 0060 0063 0110 0800 1001",
            "DS": "6000: 1302 1303",
            "IS": "6000: 0015 1301",
            "LO": "5000: 0022 2500 6000: 0022 0045 1500",
            "LT": "5000: 200E 6000: 4000",
            "OB or OW": "5000: 200C 3000 6000: 3000 7F00: 0010",
            "OW": "7F00: 0020 0030 0040",
            "SH": "5000: 0030 0040 0106 6000: 0061 0062",
            "SQ": "5000: 2600",
            "SS": "6000: 0050",
            "UL": "5000: 2006 2008 200A",
            "US": """
                5000: 0005 0010 0103 0104 0105 0110 0112 0114 2000 2002 2004 2610 6000: 0010 0011 0012
                0051 0052 0068 0069 0100 0102 0200 0802 0804 1100 1101 1102 1103 1200 1201 1202 1203 7F00:
                0011
            """,
        },
    ),
    (0xFFFFFF00, {"CS": "0020: 3100"}),
    (
        0xFFFFFF0F,
        {
            "AT": "0028: 0403 0803 0808",
            "CS": "0028: 0800",
            "LO": "0028: 0402",
            "US": "0028: 0400 0401 0802 0804",
        },
    ),
    (0xFFFF000F, {"US": "1000: 0000 0001 0002 0003 0004 0005"}),
    (0xFFFF0000, {"US": "1010: 0000"}),
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


def tags_in(text: str) -> list[int]:
    """The tags in a text of groups and their elements, ``0008: 0005 0016 0010: 0010``."""
    tags = []
    group = 0
    for word in text.split():
        if word.endswith(":"):
            group = int(word[:4], 16) << 16
        else:
            tags.append(group | int(word, 16))
    return tags
