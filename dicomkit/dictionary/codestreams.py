"""The marker segments at the head of a JPEG, JPEG-LS or JPEG 2000 code stream; nothing is decoded."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ADOBE_BYTES",
    "APP14",
    "CAP",
    "COD",
    "DRI",
    "EOI",
    "FRAME_MARKERS",
    "JP2",
    "LOSSLESS_FRAMES",
    "LSE",
    "PROGRESSIVE_FRAMES",
    "SIZ",
    "SOC_SIZ",
    "SOF_LS",
    "SOI",
    "SOS",
    "SOT",
    "WITHOUT_SEGMENT",
    "declared_colours",
    "marker_segments",
]

SOI = b"\xff\xd8"  # how JPEG and JPEG-LS begin
SOC_SIZ = b"\xff\x4f\xff\x51"  # how JPEG 2000 begins
JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"  # ISO 15444-1 I.5.1: a file around a code stream
EOI = b"\xff\xd9"  # how they end; EOC is the same

# ISO 10918-1 Table B.1, ISO 14495-1 C.1.
SOF_LS, SOS, DRI, LSE, _APP0, APP14 = 0xF7, 0xDA, 0xDD, 0xF8, 0xE0, 0xEE
ADOBE_BYTES = 14  # of the segment of an APP14 that begins with its name; the last says which transform it is
FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), SOF_LS} - {0xC4, 0xC8, 0xCC})  # those between are other things
LOSSLESS_FRAMES = frozenset((0xC3, 0xC7, 0xCB, 0xCF))
PROGRESSIVE_FRAMES = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
WITHOUT_SEGMENT = frozenset((0x01, *range(0xD0, 0xD9)))
# ISO 15444-1 Table A.2, ISO 15444-15.
SIZ, CAP, COD, SOT = 0x51, 0x50, 0x52, 0x90


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
        if marker in WITHOUT_SEGMENT:
            continue
        length = int.from_bytes(stream[position : position + 2], "big")
        found.append((marker, stream[position : position + length]))
        position += max(length, 2)
        if marker in (SOS, SOT):
            break
    return found


def declared_colours(segments: Iterable[tuple[int, bytes]]) -> str:
    """Return the colours that JPEG says its samples are, ``"RGB"`` or ``"YBR_FULL"``; empty where it says nothing.

    It says so by the identifiers of its components, the marker of Adobe (0 for RGB, 1 for YCbCr), or that of JFIF.
    """
    colours = ""
    for marker, segment in segments:
        if marker == _APP0 and segment[2:].startswith(b"JFIF\0"):
            colours = colours or "YBR_FULL"
        elif marker == APP14 and segment[2:].startswith(b"Adobe") and len(segment) >= ADOBE_BYTES:
            colours = {0: "RGB", 1: "YBR_FULL"}.get(segment[13], colours)
        elif marker in FRAME_MARKERS and segment[8::3][: int.from_bytes(segment[7:8])] in (b"RGB", b"rgb"):
            return "RGB"
    return colours
