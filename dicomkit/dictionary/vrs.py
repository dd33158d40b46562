"""How the value representation decides how an element is written (PS3.5 7.1.2, 7.3)."""

from __future__ import annotations

__all__ = ["LONG_VRS", "SHORT_VRS", "WORD_SIZES"]

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
