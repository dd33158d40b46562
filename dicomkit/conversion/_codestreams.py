"""What the header of a code stream says of the picture in it: JPEG, JPEG-LS, JPEG 2000, High-Throughput JPEG 2000.

Nothing is decoded here. A code stream is walked from marker to marker, which finds where it ends, so that two of
them in one fragment are two frames, and tells whether it was cut off. The data set beside it may contradict all of it:
while pixels are compressed, what it says of them means nothing to a decoder.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from dicomkit._support.frozen import Frozen

__all__ = [
    "JPEG",
    "JPEG_2000",
    "JPEG_LS",
    "Broken",
    "Codestream",
    "find_codestream",
    "read_codestream",
    "starts_codestream",
]

JPEG: Final = "JPEG"
JPEG_LS: Final = "JPEG-LS"
JPEG_2000: Final = "JPEG 2000"

_SOI: Final = b"\xff\xd8\xff"  # and the first byte of the next marker
_SOC_SIZ: Final = b"\xff\x4f\xff\x51"
_JP2: Final = b"\x00\x00\x00\x0cjP  \r\n\x87\n"  # ISO 15444-1 I.5.1: a file around a code stream

_START: Final = re.compile(b"|".join(map(re.escape, (_SOI, _SOC_SIZ, _JP2))))

# ISO 10918-1 Table B.1, ISO 14495-1 C.1.
_NEXT_SOI = 0xD8
_EOI = 0xD9
_SOS = 0xDA
_DRI = 0xDD
_APP0 = 0xE0
_APP14 = 0xEE
_SOF_LS = 0xF7
_LSE = 0xF8
_FRAMES: Final = frozenset({*range(0xC0, 0xD0), _SOF_LS} - {0xC4, 0xC8, 0xCC})
_LOSSLESS_FRAMES: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_PROGRESSIVE_FRAMES: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
# Within entropy-coded bytes FF is followed by 00 (JPEG) or by less than 80 (JPEG-LS), or it is a restart.
_MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")

# ISO 15444-1 Table A.2.
_SOC = 0xFF4F
_SIZ = 0xFF51
_COD = 0xFF52
_SOT = 0xFF90
_EOC = b"\xff\xd9"
_MOST_TILES = 65535  # Table A.5: Isot counts from 0 to 65534

_RGB_IDS: Final = (b"RGB", b"rgb")


class Broken(Exception):
    """The bytes are no code stream, or one that ends too early; the message says which, in a clause."""


class Codestream(Frozen, kw_only=True):
    """What a code stream says of itself.

    Attributes
    ----------
    coding : str
        JPEG, JPEG_LS or JPEG_2000.
    rows, columns, samples, precision : int
        Of the picture; `precision` in bits for each sample.
    signed : bool
        Only JPEG 2000 knows.
    lossy : bool
        It cannot be without loss; False says nothing.
    colour : str
        The colour space that it declares, ``"RGB"`` or ``"YBR_FULL"``; ``""`` where it declares none.
    begin, end : int
        Where it lies in the bytes that were read, its end marker included.
    closed : bool
        It has its end marker.
    pauses : tuple of int
        Where entropy-coded bytes of JPEG end, for a restart or for good.
    lines_at, unit : int
        Of a JPEG stream that is decoded from above to below in one go: where its number of lines stands, and how many
        lines are decoded at a time. `unit` is 0 for any other.
    """

    coding: str
    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool = False
    lossy: bool = False
    colour: str = ""
    begin: int
    end: int
    closed: bool
    pauses: tuple[int, ...] = ()
    lines_at: int = 0
    unit: int = 0

    @property
    def shape(self) -> tuple[str, int, int, int, int, bool, str]:
        """What all frames of one image have in common."""
        colour = "" if self.coding == JPEG_2000 else self.colour  # decoded it is RGB, transformed or not
        return self.coding, self.rows, self.columns, self.samples, self.precision, self.signed, colour


def starts_codestream(head: bytes) -> bool:
    """Whether bytes begin as a code stream begins."""
    return head.startswith((_SOI, _SOC_SIZ, _JP2))


def find_codestream(data: bytes, start: int) -> int:
    """Where the next code stream begins, or -1."""
    found = _START.search(data, start)
    return found.start() if found else -1


def read_codestream(data: bytes, start: int = 0) -> Codestream:
    """What the code stream that begins at `start` says.

    Raises
    ------
    Broken
        There is none, or it is cut off.
    """
    try:
        if data.startswith(_SOI, start):
            return _read_jpeg(data, start)
        if data.startswith(_SOC_SIZ, start):
            return _read_jpeg_2000(data, start, len(data))
        if data.startswith(_JP2, start):
            return _read_jp2(data, start)
    except (IndexError, struct.error):
        raise Broken("it ends within its header") from None
    raise Broken("it does not begin as a code stream does")


class _Scans:
    """The scans of a JPEG stream so far, and whether they hold the whole picture."""

    def __init__(self) -> None:
        self.restart_interval = 0
        self.components: set[int] = set()
        self.near = 0
        self.pauses: list[int] = []


def _read_jpeg(data: bytes, start: int) -> Codestream:
    """Walk a JPEG (ISO 10918-1 B.1) or JPEG-LS (ISO 14495-1 C) stream to its end."""
    frame, marker_of_frame, lines_at = b"", 0, 0
    oversize = (0, 0)
    colour = ""
    scans = _Scans()
    closed = False
    position = start + 2
    while position < len(data):
        found = _MARKER.search(data, position)
        if not found:
            position = len(data)
            break
        code, position = data[found.end() - 1], found.end()
        if code == _EOI:
            closed = True
            break
        if code == _NEXT_SOI and scans.components:
            position = found.start()
            break
        if code in _STANDALONE:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        segment = data[position + 2 : position + length]
        if len(segment) != length - 2:
            raise Broken("it ends within its header")
        position += length
        if code in _FRAMES:
            frame, marker_of_frame, lines_at = segment, code, position - len(segment) + 1
        elif code == _DRI:
            scans.restart_interval = int.from_bytes(segment[:4], "big")
        elif code == _LSE and segment[:1] == b"\x04":  # ISO 14495-1 C.2.4.1.4: sizes over 65535
            width = segment[1]
            oversize = (
                int.from_bytes(segment[2 : 2 + width]),
                int.from_bytes(segment[2 + width : 2 + 2 * width]),
            )
        elif code == _APP0 and segment.startswith(b"JFIF\0"):
            colour = colour or "YBR_FULL"
        elif code == _APP14 and segment.startswith(b"Adobe"):
            colour = {0: "RGB", 1: "YBR_FULL"}.get(segment[11], colour)
        elif code == _SOS:
            position = _read_scan(data, position, segment, frame, marker_of_frame, scans)
    if not frame:
        raise Broken("it ends within its header")
    precision, rows, columns, samples = struct.unpack_from(">BHHB", frame)
    rows, columns = rows or oversize[0], columns or oversize[1]
    if not rows or not columns:
        raise Broken("it does not say how large its picture is")
    identifiers = frame[6::3][:samples]
    as_tall = {factors & 0x0F for factors in frame[7::3][:samples]} == {1}
    in_one_go = len(scans.pauses) == 1 and marker_of_frame not in _PROGRESSIVE_FRAMES and as_tall
    if len(set(frame[7::3][:samples])) > 1:  # only what is not as sharp as brightness has fewer samples
        colour = colour or "YBR_FULL"
    if len(scans.components) < samples:
        raise Broken("it ends before all of its components")
    lossless = marker_of_frame in _LOSSLESS_FRAMES
    if lossless or marker_of_frame == _SOF_LS:
        colour = ""  # JFIF, Adobe and the names of components speak of the cosine transform's
    elif identifiers in _RGB_IDS:
        colour = "RGB"
    return Codestream(
        coding=JPEG_LS if marker_of_frame == _SOF_LS else JPEG,
        rows=rows,
        columns=columns,
        samples=samples,
        precision=precision,
        lossy=scans.near > 0 if marker_of_frame == _SOF_LS else not lossless,
        colour=colour if samples == 3 else "",
        begin=start,
        end=position,
        closed=closed,
        pauses=tuple(scans.pauses),
        lines_at=lines_at,
        unit=_unit(marker_of_frame) if in_one_go else 0,
    )


def _read_scan(
    data: bytes, position: int, header: bytes, frame: bytes, marker_of_frame: int, scans: _Scans
) -> int:
    """Pass over the entropy-coded bytes of a scan, and return where the marker after them is."""
    count = header[0]
    components = header[1 : 1 + 2 * count : 2]
    scans.components.update(components)
    found = _MARKER.search(data, position)
    end = found.start() if found else len(data)
    if marker_of_frame == _SOF_LS:
        scans.near = max(scans.near, header[1 + 2 * count])
        if any(header[2 : 2 + 2 * count : 2]):
            raise Broken("it needs a mapping table")
        return end
    restarts = [restart.start() for restart in _RESTART.finditer(data, position, end)]
    filled = end
    while data[filled - 1] == 0xFF:  # fill bytes before a marker (ISO 10918-1 B.1.1.2)
        filled -= 1
    scans.pauses += [*restarts, filled]
    if scans.restart_interval and marker_of_frame not in _PROGRESSIVE_FRAMES:
        intervals = _ceiling(_units(frame, components, marker_of_frame), scans.restart_interval)
        if len(restarts) < intervals - 1:
            raise Broken("it ends before its last restart interval")
    return end


def _units(frame: bytes, components: bytes, marker_of_frame: int) -> int:
    """How many MCUs a scan has (ISO 10918-1 A.2)."""
    rows, columns, samples = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5]), frame[5]
    factors = {frame[6 + 3 * i]: divmod(frame[7 + 3 * i], 16) for i in range(samples)}
    widest = max(across for across, _ in factors.values())
    tallest = max(down for _, down in factors.values())
    unit = _unit(marker_of_frame)
    if len(components) > 1:
        return _ceiling(columns, unit * widest) * _ceiling(rows, unit * tallest)
    across, down = factors.get(components[0], (widest, tallest))
    return _ceiling(_ceiling(columns * across, widest), unit) * _ceiling(_ceiling(rows * down, tallest), unit)


def _unit(marker_of_frame: int) -> int:
    """Samples of a data unit in each direction (ISO 10918-1 A.1.1)."""
    return 1 if marker_of_frame in _LOSSLESS_FRAMES else 8


def _ceiling(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def _read_jp2(data: bytes, start: int) -> Codestream:
    """Find the code stream in a JP2 file (ISO 15444-1 I.4), which DICOM does not want and some write."""
    position = start
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        end = position + length if length else len(data)
        if kind == b"jp2c":
            return _read_jpeg_2000(data, position + header, min(end, len(data)))
        if kind == b"jp2h" and b"pclr" in data[position:end]:
            raise Broken("it has a palette of its own")
        position = max(end, position + header)
    raise Broken("its JP2 file holds no code stream")


def _read_jpeg_2000(data: bytes, start: int, limit: int) -> Codestream:
    """Walk a JPEG 2000 code stream (ISO 15444-1 A) from its size to the end of its last tile part."""
    _, width, height, left, top, tile_width, tile_height, tile_left, tile_top, samples = struct.unpack_from(
        ">H8IH", data, start + 6
    )
    if width <= left or height <= top or not tile_width or not tile_height or not samples:
        raise Broken("it does not say how large its picture is")
    if _ceiling(width - tile_left, tile_width) * _ceiling(height - tile_top, tile_height) > _MOST_TILES:
        raise Broken("it has more tiles than JPEG 2000 allows")
    depths = [struct.unpack_from(">3B", data, start + 42 + 3 * i) for i in range(samples)]
    if any(across != 1 or down != 1 for _, across, down in depths):
        raise Broken("its components have different sizes")
    if len({depth for depth, _, _ in depths}) > 1:
        raise Broken("its components have different depths")
    transformed = lossy = False
    position = start + 2
    while True:
        code, length = struct.unpack_from(">HH", data, position)
        if code == _SOT or code < 0xFF00:
            break
        if code == _COD:
            transformed = data[position + 8] == 1
            lossy = data[position + 13] == 0  # Table A.20: the irreversible 9-7 transform
        position += 2 + length
    end, closed = _end_of_tiles(data, position, limit)
    return Codestream(
        coding=JPEG_2000,
        rows=height - top,
        columns=width - left,
        samples=samples,
        precision=(depths[0][0] & 0x7F) + 1,
        signed=depths[0][0] >= 0x80,
        lossy=lossy,
        colour="RGB" if transformed and samples >= 3 else "",
        begin=start,
        end=end,
        closed=closed,
    )


def _end_of_tiles(data: bytes, position: int, limit: int) -> tuple[int, bool]:
    """Follow the tile parts by their lengths (ISO 15444-1 A.4.2); the end, and whether the end marker is there."""
    while data[position : position + 2] == b"\xff\x90":
        (length,) = struct.unpack_from(">I", data, position + 6)
        if not length:  # the last one, and all the rest is its own
            end = data.rfind(_EOC, position, limit)
            return (end + 2, True) if end >= 0 else (limit, False)
        position += max(length, 12)
        if position > limit:
            raise Broken("it ends within a tile")
    if data[position : position + 2] == _EOC:
        return position + 2, True
    return position, False
