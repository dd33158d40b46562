"""The Image Pixel Module (PS3.3 C.7.6.3) as it is before decompression, and as it has to be after it.

While pixels are compressed, these attributes mean nothing to a decoder, so they are often left wrong; once pixels are
native they are all that tells what the bytes are. What the code stream knows is taken from it; only what it cannot
know, and what does not contradict it, stays.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from dicomkit._support.frozen import Frozen
from dicomkit.conversion._codestreams import JPEG, JPEG_2000, Broken, Codestream

_NUMBERS: Final = {  # by the fields of Image and Layout that have them
    "samples": 0x00280002,
    "rows": 0x00280010,
    "columns": 0x00280011,
    "allocated": 0x00280100,
    "stored": 0x00280101,
    "high_bit": 0x00280102,
}
_PHOTOMETRIC_INTERPRETATION: Final = 0x00280004
_PLANAR_CONFIGURATION: Final = 0x00280006
_NUMBER_OF_FRAMES: Final = 0x00280008
_PIXEL_REPRESENTATION: Final = 0x00280103
_LOSSY_IMAGE_COMPRESSION: Final = 0x00282110
_LOSSY_METHOD: Final = 0x00282114

_LARGEST_CELL: Final = 32
_GREY: Final = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
# What colour is in when every pixel has its own, where that is not what it was in while it was compressed.
_DECODED_COLOURS: Final = {"YBR_FULL_422": "YBR_FULL", "YBR_RCT": "RGB", "YBR_ICT": "RGB"}
_TRANSFORMS: Final = frozenset({"YBR_RCT", "YBR_ICT"})  # of JPEG 2000 alone, which undoes them


class Image(Frozen, kw_only=True):
    """What a data set says of its pixels; None, or ``""``, where it says nothing that can be read."""

    rows: int | None
    columns: int | None
    samples: int | None
    photometric: str
    planar: int | None
    frames: int | None
    allocated: int | None
    stored: int | None
    high_bit: int | None
    signed: bool
    said_lossy: bool

    @classmethod
    def of(cls, attributes: Mapping[int, bytes]) -> Image:
        """Read the values, in Little Endian."""

        def number(tag: int) -> int | None:
            value = attributes.get(tag, b"")
            return int.from_bytes(value[:2], "little") if len(value) >= 2 else None

        def text(tag: int) -> str:
            return attributes.get(tag, b"").decode("latin-1").strip(" \0")

        frames = text(_NUMBER_OF_FRAMES)
        return cls(
            **{field: number(tag) for field, tag in _NUMBERS.items()},
            photometric=text(_PHOTOMETRIC_INTERPRETATION).upper(),
            planar=number(_PLANAR_CONFIGURATION),
            frames=int(frames) if frames.isascii() and frames.isdigit() and len(frames) <= 12 else None,
            signed=number(_PIXEL_REPRESENTATION) == 1,
            said_lossy=bool(text(_LOSSY_IMAGE_COMPRESSION)),
        )

    @property
    def claimed_size(self) -> int:
        """Bytes that all frames would take by what the data set says."""
        bits = (self.rows or 0) * (self.columns or 0) * (self.samples or 1) * (self.allocated or 8)
        return -(-bits * (self.frames or 1) // 8)


class Layout(Frozen, kw_only=True):
    """How decoded samples are stored."""

    rows: int
    columns: int
    samples: int
    photometric: str
    planar: int
    allocated: int
    stored: int
    high_bit: int

    def size(self, frames: int) -> int:
        """Bytes of so many frames; with one bit for a sample, frames follow each other within a byte (PS3.5 8.1.1)."""
        return -(-self.rows * self.columns * self.samples * self.allocated * frames // 8)


def lay_out(image: Image, found: Codestream, photometric: str) -> Layout:
    """Where samples of a code stream go: into the cells that it needs, described as what they are.

    Bits Stored of the data set stays where it leaves bits of a cell to others, overlays for one (PS3.5 8.1.2), and
    where it alone makes numbers of what a code stream knows as bits only: of 8 bits, that the sign is the 16th.
    """
    allocated = _cell(found.precision)
    stored = image.stored or found.precision
    if stored > found.precision:
        if image.signed and not found.signed and stored <= (image.allocated or 0) <= _LARGEST_CELL:
            allocated = _cell(stored)
        else:
            stored = found.precision
    elif (image.allocated or 0) < found.precision:  # it never was of such cells
        stored = found.precision
    return Layout(
        rows=found.rows,
        columns=found.columns,
        samples=found.samples,
        photometric=photometric,
        planar=0,
        allocated=allocated,
        stored=stored,
        high_bit=high_bit_of(image, stored, max(found.precision, stored)),
    )


def high_bit_of(image: Image, stored: int, bits: int) -> int:
    """That of the data set where it is one that `stored` of so many bits can have."""
    if image.high_bit is not None and stored <= image.high_bit + 1 <= bits:
        return image.high_bit
    return stored - 1


def _cell(bits: int) -> int:
    return next((cell for cell in (8, 16) if bits <= cell), _LARGEST_CELL)


def colour_of(image: Image, found: Codestream) -> tuple[str, bool]:
    """The Photometric Interpretation of decoded samples, and whether it contradicts that of the data set.

    Nothing is transformed but what is part of the coding (the RCT and ICT of JPEG 2000, after which colour is RGB),
    and every pixel gets a colour of its own (PS3.3 C.7.6.3.1.2). Only lossy JPEG has a say in what its colour is, and
    is believed; anything else holds the samples of any colour space, and the data set alone knows which (PS3.5 8.2).
    """
    said = image.photometric
    if found.samples == 1:
        return (said, False) if said in _GREY or not said else ("MONOCHROME2", True)
    if found.samples != 3:
        return said, False
    if said.startswith("YBR_PARTIAL"):
        raise Broken(f"Photometric Interpretation {said} has no form with a colour for every pixel")
    usual = "" if said in _GREY else _DECODED_COLOURS.get(said, said)
    if found.coding == JPEG and found.lossy:
        usual = "" if said in _TRANSFORMS else usual
        colour = found.colour or usual or "YBR_FULL"
        return colour, colour != usual
    if said in _TRANSFORMS:
        return usual, found.coding != JPEG_2000 or not found.colour
    if said in _GREY:
        return "RGB", True
    return usual or found.colour, not usual and bool(found.colour)


def colour_of_rle(image: Image) -> tuple[str, bool]:
    """The same of RLE, whose planes all have their whole size."""
    return _DECODED_COLOURS.get(image.photometric, image.photometric), image.photometric in _TRANSFORMS


def changes(image: Image, layout: Layout, frames: int, lossy_method: str) -> dict[int, bytes | None]:
    """The attributes whose values have to be others than those of `image`, in Little Endian."""
    changed: dict[int, bytes | None] = {
        tag: struct.pack("<H", getattr(layout, field))
        for field, tag in _NUMBERS.items()
        if getattr(layout, field) != getattr(image, field)
    }
    if layout.photometric != image.photometric:
        changed[_PHOTOMETRIC_INTERPRETATION] = _text(layout.photometric)
    if layout.samples > 1:
        if layout.planar != image.planar:
            changed[_PLANAR_CONFIGURATION] = struct.pack("<H", layout.planar)
    elif (image.samples or 1) > 1 and image.planar is not None:
        changed[_PLANAR_CONFIGURATION] = None
    if frames != (image.frames or 0) and (frames > 1 or image.frames is not None):
        changed[_NUMBER_OF_FRAMES] = _text(str(frames))
    if lossy_method and not image.said_lossy:
        changed[_LOSSY_IMAGE_COMPRESSION] = _text("01")
        changed[_LOSSY_METHOD] = _text(lossy_method)
    return changed


def _text(value: str) -> bytes:
    return (value + " " * (len(value) % 2)).encode("ascii")
