"""The pixels of a source and of what came back, decoded independently and compared sample by sample.

A code stream says by itself how large its frames are, how many samples a pixel has and how many bits a sample; a
header beside it may say anything (PS3.5 8.2). So the streams are counted and measured here, whatever offset tables and
headers say, and held against what the other side's header makes of its native bytes. One frame of each is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, Literal

import numpy as np

from dicomkit._support.pydicom_quiet import PYDICOM_QUIET
from dicomkit.dictionary.codestreams import COD, FRAME_MARKERS, SIZ, SOC_SIZ, SOI, marker_segments
from dicomkit.dictionary.uids import RLE_LOSSLESS, uid_name
from dicomkit.verification._elements import DataSet, Element
from dicomkit.verification._values import in_little_endian, number_of, text_of

Samples = np.ndarray[Any, Any]

DECODED_AS = {
    "YBR_FULL_422": "YBR_FULL",
    "YBR_RCT": "RGB",
    "YBR_ICT": "RGB",
    "YBR_PARTIAL_420": "YBR_PARTIAL_422",
}
"""The colour spaces that are another one once a code stream is decoded (PS3.3 C.7.6.3.1.2)."""

TOLERANCE = {"JPEG": 3, "JPEG 2000": 1}
"""By how much a sample may differ where a decoder may round: the inverse DCT of lossy JPEG (ISO 10918-2), of which two
decoders that conform are within this of each other, and the 9-7 wavelet of JPEG 2000. Twice as much where one side was
converted from YBR to RGB as well. Decoders also smooth subsampled colour differently: it is enough when one of ours
agrees with what came back."""

_MOST_SAMPLES = 1 << 27  # of a frame; what says it has more takes gigabytes, and is hardly what it says

_LOSSY_JPEG = frozenset(("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"))
_RGB_AND_YBR = {"RGB", "YBR_FULL"}
_NO_COLOURS = frozenset({"", "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})  # of three samples
_CELLS = (1, 8, 16, 24, 32, 40, 48, 56, 64)  # bits

_SAMPLES, _COLOUR, _PLANAR, _FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_ALLOCATED, _STORED, _HIGH_BIT, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
_ONE_WHERE_ABSENT = (_SAMPLES, _FRAMES)  # others are 0 then

# Where one code stream ends and another begins within a fragment; a stream of either kind holds no marker inside its
# coded data (ISO 10918-1 B.1.1.5, ISO 15444-1 A.1).
_BETWEEN_STREAMS = re.compile(rb"(?<=\xff\xd9)[\x00\xff]?(?=\xff\xd8\xff|\xff\x4f\xff\x51)")
_STARTS = (SOI + b"\xff", SOC_SIZ, b"\x00\x00\x00\x0cjP  ")


class _Unknown(Exception):
    """It cannot be decided; the message says why."""


class _Different(Exception):
    """The pixels are not the same; the message says how."""


@dataclass(frozen=True, slots=True)
class PixelVerdict:
    """Whether the pixels are the same; and which frame differs, or why that cannot be decided."""

    same: Literal["yes", "no", "unknown"]
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class _Stream:
    """What a code stream says of itself."""

    rows: int
    columns: int
    samples: int
    bits: int
    is_signed: bool = False
    is_reversible: bool = True
    is_in_rgb: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.rows, self.columns, self.samples


@dataclass(frozen=True, slots=True)
class _Frame:
    """Samples as unsigned bits, rows by columns by samples; how many of the bits count, and whether they are signed.

    More than one colour is where a header and the code stream say different ones, none where nothing says any.
    """

    samples: Samples
    bits: int
    is_signed: bool
    colours: frozenset[str]


@dataclass(frozen=True)
class Pixels:
    """Pixel Data with the data set or item that describes it, and the transfer syntax of all."""

    data: Element
    around: DataSet
    transfer_syntax: str

    @property
    def fragments(self) -> tuple[bytes, ...] | None:
        """Those of encapsulated pixels, without the offset table."""
        return None if self.data.fragments is None else self.data.fragments[1:]

    @cached_property
    def streams(self) -> list[bytes]:
        """The code streams, one for each frame, however they are cut into fragments and whatever offset tables say."""
        if self.transfer_syntax == RLE_LOSSLESS:
            return list(self.fragments or ())  # PS3.5 A.4.2: a fragment for each frame
        found: list[list[bytes]] = []
        for fragment in self.fragments or ():
            for index, part in enumerate(_BETWEEN_STREAMS.split(fragment)):
                if index or part.startswith(_STARTS) or not found:
                    found.append([])
                found[-1].append(part)
        return [b"".join(parts) for parts in found]

    @cached_property
    def measured(self) -> list[_Stream]:
        return [_measure(stream, self) for stream in self.streams]

    @property
    def native_shape(self) -> tuple[int, int, int]:
        return self.number(_ROWS), self.number(_COLUMNS), self.number(_SAMPLES)

    def number(self, tag: int) -> int:
        return number_of(self.around.get(tag), 1 if tag in _ONE_WHERE_ABSENT else 0)

    @property
    def colour(self) -> str:
        return text_of(self.around.get(_COLOUR))[:16]  # as long as a code string is

    @property
    def decoded_colour(self) -> str:
        return DECODED_AS.get(self.colour, self.colour)


def compare_pixels(sent: Pixels, back: Pixels) -> PixelVerdict:
    """Compare the pixels of two elements, of which at least one is encapsulated or described otherwise."""
    try:
        with PYDICOM_QUIET:
            _compare(sent, back)
    except _Different as found:
        return PixelVerdict("no", str(found))
    except _Unknown as reason:
        return PixelVerdict("unknown", str(reason))
    except Exception as error:  # noqa: BLE001 (decoders raise whatever their parts raise)
        return PixelVerdict("unknown", _undecoded(error))
    return PixelVerdict("yes")


def _undecoded(error: Exception | None) -> str:
    return (
        f"its pixels could not be decoded ({type(error).__name__}) by any decoder but the one that sending uses; use "
        "method='find' or 'commit'"
    )


def _compare(sent: Pixels, back: Pixels) -> None:
    """Raise unless the pixels are the same."""
    try:
        count = _count(sent, may_be_padded=True)
    except _Different as contradiction:  # the source's, so that nothing is known of the archive
        raise _Unknown(f"its source contradicts itself: {contradiction}") from None
    returned = _count(back, may_be_padded=False)
    if returned != count:
        raise _Different(f"it has {returned} frames instead of {count}")
    ways = list(product(_plugins(sent), _plugins(back)))
    for number, (shape, other_shape) in enumerate(
        zip(_shapes(sent, count), _shapes(back, count), strict=True), 1
    ):
        if shape != other_shape:
            raise _Different(f"frame {number} has another size")
        if prod(shape) > _MOST_SAMPLES:
            raise _Unknown(f"its frames are too large to be decoded here ({shape[0]} by {shape[1]} pixels)")
    tolerance = max(_tolerance(sent), _tolerance(back))
    difference: str | None = None
    failure: Exception | None = None
    for plugin, other_plugin in ways:
        try:
            difference = _difference(_frames(sent, plugin), _frames(back, other_plugin), tolerance)
        except (_Different, _Unknown):
            raise
        except Exception as error:  # noqa: BLE001 (decoders raise whatever their parts raise)
            failure = error
            continue
        if not difference or not tolerance:
            break
    if difference is None:
        raise _Unknown(_undecoded(failure))
    if difference:
        raise _Different(difference)
    _expect_description(sent, back, count)


def _count(pixels: Pixels, *, may_be_padded: bool) -> int:
    if pixels.fragments is None:
        return _count_native(pixels, may_be_padded=may_be_padded)
    return len(pixels.streams)


def _shapes(pixels: Pixels, count: int) -> list[tuple[int, int, int]]:
    """Rows, columns and samples of a pixel of each frame, before anything is decoded."""
    if pixels.fragments is None:
        return [pixels.native_shape] * count
    return [stream.shape for stream in pixels.measured]


def _expect_description(sent: Pixels, back: Pixels, count: int) -> None:
    """Raise when what came back is described neither as the source was nor as the code stream is."""
    streams = (*sent.measured[:1], *back.measured[:1])
    allowed = {
        (_SAMPLES, "Samples per Pixel"): [one.samples for one in streams],
        (_FRAMES, "Number of Frames"): [count for _ in streams],
        (_ROWS, "Rows"): [one.rows for one in streams],
        (_COLUMNS, "Columns"): [one.columns for one in streams],
        (_ALLOCATED, "Bits Allocated"): [
            8 if one.bits <= 8 else 16 if one.bits <= 16 else 32 for one in streams
        ],
        (_STORED, "Bits Stored"): [one.bits for one in streams],
        (_HIGH_BIT, "High Bit"): [back.number(_STORED) - 1 for _ in streams],
        (_SIGNED, "Pixel Representation"): [int(one.is_signed) for one in streams],
    }
    for (tag, name), by_streams in allowed.items():
        said, now = sent.number(tag), back.number(tag)
        if now not in (said, *by_streams):
            raise _Different(f"its {name} was {said}, and {now} came back")


def _tolerance(pixels: Pixels) -> int:
    if pixels.fragments is not None and pixels.transfer_syntax in _LOSSY_JPEG:
        return TOLERANCE["JPEG"]
    return TOLERANCE["JPEG 2000"] if any(not one.is_reversible for one in pixels.measured[:1]) else 0


def _difference(frames: Iterator[_Frame], others: Iterator[_Frame], tolerance: int) -> str:
    """Which frame differs, and in how many values; empty when none does."""
    for number, (one, other) in enumerate(zip(frames, others, strict=True), 1):
        samples, other_samples, allowed = _in_one_colour(one, other, tolerance)
        bits = min(one.bits, other.bits)
        is_signed = one.is_signed or other.is_signed
        if not all(_says_no_more(frame, bits, is_signed=is_signed) for frame in (one, other)):
            raise _Different(f"frame {number} has bits that the other one has no room for")
        apart = _as_numbers(samples, bits, one.is_signed) - _as_numbers(other_samples, bits, one.is_signed)
        # Not by the absolute value, which the lowest number of 64 bits does not have.
        different = int(np.count_nonzero((apart > allowed) | (apart < -allowed)))
        if different:
            said = f"{different} of the {samples.size} decoded values of frame {number} differ"
            by = f" by more than {allowed}, which decoding explains" if allowed else ""
            return said + by
    return ""


def _in_one_colour(one: _Frame, other: _Frame, tolerance: int) -> tuple[Samples, Samples, int]:
    """The samples of both in the same colour space, and by how much they may differ there."""
    # What is no colour space of three samples says nothing of those that were sent.
    sent = one.colours - _NO_COLOURS if one.samples.shape[-1] == 3 else one.colours
    if sent & other.colours or not sent or not other.colours:
        return one.samples, other.samples, tolerance
    colour, other_colour = (" or ".join(sorted(frame.colours)) for frame in (one, other))
    if {colour, other_colour} != _RGB_AND_YBR or one.bits != 8 or other.bits != 8:
        raise _Different(f"its pixels were sent in {colour} and came back as {other_colour}")
    if not tolerance:
        if np.array_equal(one.samples, other.samples):
            raise _Different(f"its pixels were sent in {colour}, and are called {other_colour} now")
        raise _Unknown(
            f"its pixels were sent in {colour} and came back in {other_colour}, and no conversion between the two "
            "is exact"
        )
    from pydicom.pixels.processing import convert_color_space

    both = [
        frame.samples
        if "RGB" in frame.colours
        else convert_color_space(frame.samples.astype(np.uint8), "YBR_FULL", "RGB").astype(np.uint64)
        for frame in (one, other)
    ]
    return both[0], both[1], 2 * tolerance


def _says_no_more(frame: _Frame, bits: int, *, is_signed: bool) -> bool:
    """Whether all bits above the lower ones are zero, or repeat the sign."""
    if frame.bits <= bits:
        return True
    high = frame.samples >> np.uint64(bits)
    if not is_signed or not high.any():
        return not high.any()
    negative = (frame.samples >> np.uint64(bits - 1)) & np.uint64(1)
    return bool(np.array_equal(high, negative * np.uint64((1 << frame.bits - bits) - 1)))


def _as_numbers(samples: Samples, bits: int, is_signed: bool) -> Samples:
    """The lower bits of each sample as a signed number of 64 bits."""
    unused = np.uint64(64 - bits)
    upper = samples << unused
    return (
        upper.astype(np.int64) >> unused.astype(np.int64) if is_signed else (upper >> unused).astype(np.int64)
    )


def _frames(pixels: Pixels, plugin: str) -> Iterator[_Frame]:
    if pixels.fragments is None:
        return _native_frames(pixels)
    decode = _decoded_rle if pixels.transfer_syntax == RLE_LOSSLESS else _decoded
    return (decode(*one, pixels, plugin) for one in zip(pixels.streams, pixels.measured, strict=True))


# Native pixels


def _count_native(pixels: Pixels, *, may_be_padded: bool) -> int:
    """How many frames the bytes hold by their own description, which must be exact where a conversion made them."""
    length = len(pixels.data.value)
    if not length:
        return 0
    shape, bits = pixels.native_shape, pixels.number(_ALLOCATED)
    size = prod(shape) * bits
    if shape[2] == 3 and pixels.colour in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        raise _Different(
            f"native pixels are called {pixels.colour}, as only half of their colour would be there"
        )
    if size <= 0 or bits not in _CELLS:
        raise _Unknown("its header does not say how large a native frame is")
    said = pixels.number(_FRAMES)
    if bits == 1:  # of which a frame begins where the one before it ends (PS3.5 8.1.1)
        needed = -(-size * said // 8)
        if length < needed or (not may_be_padded and length - needed > needed % 2):
            raise _Different(f"{length} bytes of native pixels are not the {needed} that their header says")
        return said
    size //= 8
    count = length // size
    if not may_be_padded and length - count * size > (count * size) % 2:  # one NUL, to an even length
        raise _Different(
            f"{length} bytes of native pixels are no whole number of frames of {size} bytes, by their header"
        )
    if said != count:
        raise _Different(f"it has {count} frames of native pixels, and its header says {said}")
    return count


def _native_frames(pixels: Pixels) -> Iterator[_Frame]:
    rows, columns, samples = pixels.native_shape
    bits, size = pixels.number(_ALLOCATED), rows * columns * samples
    is_signed, colours = pixels.number(_SIGNED) == 1, frozenset({pixels.colour})
    data = np.frombuffer(in_little_endian(pixels.data, pixels.data.vr or "OW"), np.uint8)
    for number in range(_count_native(pixels, may_be_padded=True)):
        begin, end = number * size * bits, (number + 1) * size * bits
        cells = data[begin // 8 : -(-end // 8)]
        if bits == 1:
            flat = np.unpackbits(cells, bitorder="little")[begin % 8 :][:size].astype(np.uint64)
        else:
            flat = _joined(cells.reshape(size, bits // 8))
        is_planar = samples > 1 and pixels.number(_PLANAR) == 1
        shaped = flat.reshape(samples, rows, columns).transpose(1, 2, 0) if is_planar else flat
        yield _Frame(shaped.reshape(rows, columns, samples), bits, is_signed, colours)


def _joined(cells: Samples) -> Samples:
    """Samples of whose bytes, the least significant first, the last axis is made."""
    padded = np.zeros((*cells.shape[:-1], 8), np.uint8)
    padded[..., : cells.shape[-1]] = cells
    return padded.view("<u8")[..., 0]


# Code streams


def _plugins(pixels: Pixels) -> list[str]:
    """By whom the pixels can be decoded; for native ones, and for RLE, there is one way."""
    if pixels.fragments is None or pixels.transfer_syntax == RLE_LOSSLESS:
        return [""]
    from pydicom.pixels.decoders.base import get_decoder

    try:
        plugins = sorted(get_decoder(pixels.transfer_syntax).available_plugins, key="pylibjpeg".__ne__)
    except NotImplementedError:
        plugins = []
    if not plugins:
        raise _Unknown(
            f"decoding {uid_name(pixels.transfer_syntax)} needs decoders that are not installed; install them with: "
            "pip install 'dicomkit[codecs]'"
        )
    return plugins


def _decoded(stream: bytes, said: _Stream, pixels: Pixels, plugin: str) -> _Frame:
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    frames = get_decoder(pixels.transfer_syntax).iter_array(
        encapsulate([stream], has_bot=False),
        raw=True,
        decoding_plugin=plugin,
        rows=said.rows,
        columns=said.columns,
        number_of_frames=1,
        samples_per_pixel=said.samples,
        planar_configuration=0,
        photometric_interpretation=(pixels.colour or "RGB") if said.samples == 3 else "MONOCHROME2",
        pixel_representation=int(said.is_signed),
        bits_allocated=next(size for size in (8, 16, 32, 64) if said.bits <= size),
        bits_stored=said.bits,
        pixel_keyword="PixelData",
    )
    array = next(frames)[0].reshape(said.shape)
    unsigned = array.view(f"u{array.dtype.itemsize}").astype(np.uint64) & np.uint64((1 << said.bits) - 1)
    # What a header that speaks of other samples says of their colour, is not known of these.
    colours = {pixels.decoded_colour} if said.samples == pixels.number(_SAMPLES) else set()
    if said.is_in_rgb:
        colours.add("RGB")
    return _Frame(unsigned, said.bits, said.is_signed or pixels.number(_SIGNED) == 1, frozenset(colours))


def _decoded_rle(stream: bytes, said: _Stream, pixels: Pixels, _: str) -> _Frame:
    """A frame of RLE (PS3.5 G.2), of more and wider samples than other decoders take."""
    count = int.from_bytes(stream[:4], "little")  # PS3.5 G.5
    begins = np.frombuffer(stream, "<u4", count, offset=4).tolist()
    parts = [stream[begin:end] for begin, end in zip(begins, [*begins[1:], len(stream)], strict=True)]
    pixel_count = said.rows * said.columns
    if said.bits == 1:  # a segment is the bytes that they are packed into
        packed = np.frombuffer(_unpacked(parts[0], -(-pixel_count // 8)), np.uint8)
        samples = np.unpackbits(packed, bitorder="little", count=pixel_count).astype(np.uint64)
    else:
        segments = np.stack([np.frombuffer(_unpacked(part, pixel_count), np.uint8) for part in parts])
        by_sample = segments.reshape(said.samples, said.bits // 8, pixel_count)
        samples = _joined(by_sample[:, ::-1].transpose(2, 0, 1))
    colours = frozenset({pixels.decoded_colour})
    return _Frame(samples.reshape(said.shape), said.bits, pixels.number(_SIGNED) == 1, colours)


def _unpacked(segment: bytes, size: int) -> bytes:
    """The bytes of an RLE segment (PS3.5 G.3)."""
    found = bytearray()
    position = 0
    while position < len(segment) and len(found) < size:
        head = segment[position]
        if head < 128:  # so many bytes and one more follow as they are
            found += segment[position + 1 : position + 2 + head]
            position += 2 + head
        else:  # the next byte is there 257 - head times; of 128 there is none
            found += segment[position + 1 : position + 2] * (257 - head if head > 128 else 0)
            position += 2 if head > 128 else 1
    if len(found) < size:
        raise ValueError("an RLE segment ends too early")
    return bytes(found[:size])


def _measure(stream: bytes, pixels: Pixels) -> _Stream:
    """What a code stream says of itself; of RLE, which says little, what its header does."""
    if pixels.transfer_syntax == RLE_LOSSLESS:
        rows, columns, samples = pixels.native_shape
        segments = int.from_bytes(stream[:4], "little")  # PS3.5 G.5
        if samples < 1 or segments < samples or segments % samples:
            raise _Unknown(f"its RLE frames have {segments} segments for {samples} samples a pixel")
        bits = 1 if segments == 1 == pixels.number(_ALLOCATED) else 8 * segments // samples
        return _Stream(rows, columns, samples, bits)
    begin = 0 if stream.startswith(SOI) else max(stream.find(SOC_SIZ), 0)
    segments_by_marker = dict(reversed(marker_segments(stream, begin)))
    siz, cod = segments_by_marker.get(SIZ, b""), segments_by_marker.get(COD, b"")
    if len(siz) > 38 and not stream.startswith(SOI):  # ISO 15444-1 A.5.1, A.6.1
        right, bottom, left, top = (int.from_bytes(siz[at : at + 4], "big") for at in range(4, 20, 4))
        samples, depth = int.from_bytes(siz[36:38], "big"), siz[38]
        # Decoding undoes a transform of colours, whatever the header calls them.
        is_in_rgb, is_reversible = cod[6:7] == b"\1", cod[11:12] == b"\1"
        size = bottom - top, right - left, samples
        return _Stream(*size, (depth & 0x7F) + 1, bool(depth & 0x80), is_reversible, is_in_rgb)
    for marker, segment in segments_by_marker.items():
        if marker in FRAME_MARKERS and len(segment) > 7:  # ISO 10918-1 B.2.2
            rows = int.from_bytes(segment[3:5], "big") or pixels.number(_ROWS)
            return _Stream(rows, int.from_bytes(segment[5:7], "big"), segment[7], segment[2])
    raise _Unknown("its code stream has no frame header")
