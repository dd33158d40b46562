"""The marker segments at the head of a JPEG, JPEG-LS or JPEG 2000 code stream; nothing is decoded."""

from __future__ import annotations

__all__ = [
    "APP0",
    "APP14",
    "CAP",
    "COD",
    "FRAME_MARKERS",
    "SIZ",
    "SOC_SIZ",
    "SOF_LS",
    "SOI",
    "SOS",
    "marker_segments",
]

SOI = b"\xff\xd8"  # how JPEG and JPEG-LS begin
SOC_SIZ = b"\xff\x4f\xff\x51"  # how JPEG 2000 begins

# ISO 10918-1 Table B.1, ISO 14495-1 C.1.
SOF_LS, SOS, APP0, APP14 = 0xF7, 0xDA, 0xE0, 0xEE
FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), SOF_LS} - {0xC4, 0xC8, 0xCC})  # those between are other things
# ISO 15444-1 Table A.2, ISO 15444-15.
SIZ, CAP, COD, _SOT = 0x51, 0x50, 0x52, 0x90

_WITHOUT_SEGMENT = frozenset((0x01, *range(0xD0, 0xD9)))


def marker_segments(stream: bytes, begin: int = 0) -> list[tuple[int, bytes]]:
    """Return the second byte of each marker from `begin` (SOI, SOC), and its segment, length included.

    As far as the stream goes, up to the first scan or tile.
    """
    found = []
    position = begin + 2
    while position + 4 <= len(stream) and stream[position] == 0xFF:
        marker = stream[position + 1]
        position += 1
        if marker == 0xFF:  # a fill byte
            continue
        position += 1
        if marker in _WITHOUT_SEGMENT:
            continue
        length = int.from_bytes(stream[position : position + 2], "big")
        found.append((marker, stream[position : position + length]))
        position += max(length, 2)
        if marker in (SOS, _SOT):
            break
    return found
