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
from dicomkit.dictionary.codestreams import (
    ADOBE_BYTES,
    APP14,
    COD,
    DRI,
    EOI,
    FRAME_MARKERS,
    JP2,
    LOSSLESS_FRAMES,
    LSE,
    PROGRESSIVE_FRAMES,
    SOC_SIZ,
    SOF_LS,
    SOI,
    SOS,
    SOT,
    WITHOUT_SEGMENT,
    declared_colours,
)

JPEG: Final = "JPEG"
JPEG_LS: Final = "JPEG-LS"
JPEG_2000: Final = "JPEG 2000"

_STARTS: Final = (SOI + b"\xff", SOC_SIZ, JP2)  # FF: of the next marker
_START: Final = re.compile(b"|".join(map(re.escape, _STARTS)))
# Within entropy-coded bytes FF is followed by 00 (JPEG) or by less than 80 (JPEG-LS), or it is a restart.
_MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")
_MOST_TILES = 65535  # ISO 15444-1 Table A.5: Isot counts from 0 to 65534


class Broken(Exception):
    """The bytes are no code stream, or one that ends too early; the message says which, in a clause."""


class Codestream(Frozen, kw_only=True):
    """What a code stream says of itself."""

    coding: str  # JPEG, JPEG_LS or JPEG_2000
    rows: int
    columns: int
    samples: int
    precision: int  # bits of a sample
    signed: bool = False  # only JPEG 2000 knows
    lossy: bool = False  # it cannot be without loss; False says nothing
    colour: str = ""  # the colour space that it declares, RGB or YBR_FULL, if any
    begin: int  # where it lies in the bytes that were read, its end marker included
    end: int
    closed: bool  # it has its end marker
    pauses: tuple[int, ...] = ()  # where entropy-coded bytes of JPEG end, for a restart or for good
    # Of a JPEG stream that is decoded from above to below in one go: where its number of lines stands, and how many
    # lines are decoded at a time; 0 for any other.
    lines_at: int = 0
    unit: int = 0

    @property
    def shape(self) -> tuple[str, int, int, int, int, bool, str]:
        """What all frames of one image have in common."""
        colour = "" if self.coding == JPEG_2000 else self.colour  # decoded it is RGB, transformed or not
        return self.coding, self.rows, self.columns, self.samples, self.precision, self.signed, colour


def starts_codestream(head: bytes) -> bool:
    """Whether bytes begin as a code stream begins."""
    return head.startswith(_STARTS)


def find_codestream(data: bytes, start: int) -> int:
    """Where the next code stream begins, or -1."""
    found = _START.search(data, start)
    return found.start() if found else -1


def read_codestream(data: bytes, start: int = 0) -> Codestream:
    """What the code stream that begins at `start` says; Broken where there is none, or it is cut off."""
    try:
        if data.startswith(_STARTS[0], start):
            return _Jpeg(data, start).read()
        if data.startswith(SOC_SIZ, start):
            return _read_jpeg_2000(data, start, len(data))
        if data.startswith(JP2, start):
            return _read_jp2(data, start)
    except (IndexError, struct.error):
        raise Broken("it ends within its header") from None
    raise Broken("it does not begin as a code stream does")


class _Jpeg:
    """A JPEG (ISO 10918-1 B.1) or JPEG-LS (ISO 14495-1 C) stream while it is walked to its end."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self._start = start
        self._marker, self._frame = 0, b""  # of the frame: its marker and its segment
        self._lines_at = 0
        self._oversize = (0, 0)
        self._restart_interval = 0
        self._components: set[int] = set()  # of the scans so far
        self._near = 0
        self._pauses: list[int] = []

    def read(self) -> Codestream:
        data, closed = self._data, False
        segments: list[tuple[int, bytes]] = []
        position = self._start + len(SOI)
        while found := _MARKER.search(data, position):
            marker, position = data[found.end() - 1], found.end()
            if marker == EOI[1]:
                closed = True
                break
            if marker == SOI[1] and self._components:
                position = found.start()
                break
            if marker in WITHOUT_SEGMENT:
                continue
            (length,) = struct.unpack_from(">H", data, position)
            segment = data[position : position + length]
            is_short = segment[2:].startswith(b"Adobe") and marker == APP14 and length < ADOBE_BYTES
            if length < 2 or len(segment) != length or is_short:
                raise Broken("it ends within its header")
            segments.append((marker, segment))
            if marker in FRAME_MARKERS:
                self._marker, self._frame, self._lines_at = marker, segment, position + 3
            elif marker == DRI:
                self._restart_interval = int.from_bytes(segment[2:6])
            elif marker == LSE and segment[2:3] == b"\x04":  # ISO 14495-1 C.2.4.1.4: sizes over 65535
                middle = 4 + segment[3]
                self._oversize = (
                    int.from_bytes(segment[4:middle]),
                    int.from_bytes(segment[middle : middle + segment[3]]),
                )
            position += length
            if marker == SOS:
                position = self._read_scan(position, segment)
        else:
            position = len(data)
        return self._described(position, declared_colours(segments), closed=closed)

    def _described(self, end: int, colour: str, *, closed: bool) -> Codestream:
        frame, is_ls, is_lossless = self._frame, self._marker == SOF_LS, self._marker in LOSSLESS_FRAMES
        precision, rows, columns, samples = struct.unpack_from(">BHHB", frame, 2)
        rows, columns = rows or self._oversize[0], columns or self._oversize[1]
        if not rows or not columns:
            raise Broken("it does not say how large its picture is")
        if len(self._components) < samples:
            raise Broken("it ends before all of its components")
        factors = set(frame[9::3][:samples])
        as_tall = {both & 0x0F for both in factors} == {1}
        in_one_go = len(self._pauses) == 1 and self._marker not in PROGRESSIVE_FRAMES and as_tall
        if is_lossless or is_ls or samples != 3:
            colour = ""  # JFIF, Adobe and the names of components speak of the cosine transform's
        elif len(factors) > 1:  # only what is not as sharp as brightness has fewer samples
            colour = colour or "YBR_FULL"
        return Codestream(
            coding=JPEG_LS if is_ls else JPEG,
            rows=rows,
            columns=columns,
            samples=samples,
            precision=precision,
            lossy=self._near > 0 if is_ls else not is_lossless,
            colour=colour,
            begin=self._start,
            end=end,
            closed=closed,
            pauses=tuple(self._pauses),
            lines_at=self._lines_at,
            unit=self._unit if in_one_go else 0,
        )

    def _read_scan(self, position: int, header: bytes) -> int:
        """Pass over the entropy-coded bytes of a scan, and return where the marker after them is."""
        data = self._data
        after = 3 + 2 * header[2]
        components = header[3:after:2]
        self._components.update(components)
        found = _MARKER.search(data, position)
        end = found.start() if found else len(data)
        if self._marker == SOF_LS:
            self._near = max(self._near, header[after])
            if any(header[4 : after + 1 : 2]):
                raise Broken("it needs a mapping table")
            return end
        restarts = [restart.start() for restart in _RESTART.finditer(data, position, end)]
        filled = end
        while data[filled - 1] == 0xFF:  # fill bytes before a marker (ISO 10918-1 B.1.1.2)
            filled -= 1
        self._pauses += [*restarts, filled]
        interval = 0 if self._marker in PROGRESSIVE_FRAMES else self._restart_interval
        if interval and len(restarts) < _ceiling(self._units(components), interval) - 1:
            raise Broken("it ends before its last restart interval")
        return end

    def _units(self, components: bytes) -> int:
        """How many MCUs a scan has (ISO 10918-1 A.2)."""
        frame, unit = self._frame, self._unit
        rows, columns = struct.unpack_from(">HH", frame, 3)
        factors = {frame[8 + 3 * i]: divmod(frame[9 + 3 * i], 16) for i in range(frame[7])}
        widest = max(across for across, _ in factors.values())
        tallest = max(down for _, down in factors.values())
        if len(components) > 1:
            return _ceiling(columns, unit * widest) * _ceiling(rows, unit * tallest)
        across, down = factors.get(components[0], (widest, tallest))
        return _ceiling(_ceiling(columns * across, widest), unit) * _ceiling(
            _ceiling(rows * down, tallest), unit
        )

    @property
    def _unit(self) -> int:
        """Samples of a data unit in each direction (ISO 10918-1 A.1.1)."""
        return 1 if self._marker in LOSSLESS_FRAMES else 8


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
        first, marker, length = struct.unpack_from(">BBH", data, position)
        if first != 0xFF or marker == SOT:
            break
        if marker == COD:
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
    while data[position : position + 2] == bytes((0xFF, SOT)):
        (length,) = struct.unpack_from(">I", data, position + 6)
        if not length:  # the last one, and all the rest is its own
            end = data.rfind(EOI, position, limit)
            return (end + 2, True) if end >= 0 else (limit, False)
        position += max(length, 12)
        if position > limit:
            raise Broken("it ends within a tile")
    if data[position : position + 2] == EOI:
        return position + 2, True
    return position, False
