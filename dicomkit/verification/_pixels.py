"""The pixels of a source and of what came back, decoded independently and compared sample by sample.

A code stream says by itself how large its frames are, how many samples a pixel has and how many bits a sample; a
header beside it may say anything (PS3.5 8.2). So the streams are counted and measured here, whatever offset tables and
headers say, and held against what the other side's header makes of its native bytes. One frame of each is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dicomkit._support.pydicom_quiet import PYDICOM_QUIET
from dicomkit.dictionary.uids import uid_name
from dicomkit.verification._elements import DataSet, Element
from dicomkit.verification._values import in_little_endian, number_of, text_of

if TYPE_CHECKING:
    import numpy as np
    from pydicom.pixels.decoders.base import Decoder

__all__ = ["DECODED_AS", "TOLERANCE", "PixelVerdict", "Pixels", "compare_pixels"]

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

_RLE = "1.2.840.10008.1.2.5"
_LOSSY_JPEG = frozenset(("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"))
_RGB_AND_YBR = {"RGB", "YBR_FULL"}
_NO_COLOURS = frozenset({"", "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})  # of three samples
_CELLS = (1, 8, 16, 24, 32, 40, 48, 56, 64)  # bits
_RLE_HEADER = 64  # bytes, PS3.5 G.5

# What describes samples, and what it is where it is absent.
_DESCRIBED = (
    (0x00280002, "Samples per Pixel", 1),
    (0x00280008, "Number of Frames", 1),
    (0x00280010, "Rows", 0),
    (0x00280011, "Columns", 0),
    (0x00280100, "Bits Allocated", 0),
    (0x00280101, "Bits Stored", 0),
    (0x00280102, "High Bit", 0),
    (0x00280103, "Pixel Representation", 0),
)

# Where one code stream ends and another begins within a fragment; a stream of either kind holds no marker inside its
# coded data (ISO 10918-1 B.1.1.5, ISO 15444-1 A.1).
_BETWEEN_STREAMS = re.compile(rb"(?<=\xff\xd9)[\x00\xff]?(?=\xff\xd8\xff|\xff\x4f\xff\x51)")
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
_STREAM_2000 = b"\xff\x4f\xff\x51"  # SOC and SIZ
# Start of frame markers of JPEG and JPEG-LS (ISO 10918-1 Table B.1, ISO 14495-1 C.1); those between are other things.
_FRAME_MARKERS = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}


class PixelVerdict(NamedTuple):
    """Whether the pixels are the same.

    Attributes
    ----------
    same : {"yes", "no", "unknown"}
    sentence : str
        Which frame differs, or why it cannot be told.
    """

    same: Literal["yes", "no", "unknown"]
    sentence: str = ""


class _Unknown(Exception):
    """It cannot be told; the message says why."""


class _Different(Exception):
    """The pixels are not the same; the message says how."""


@dataclass(frozen=True)
class Pixels:
    """Pixel Data with the data set or item that describes it, and the transfer syntax of all."""

    data: Element
    around: DataSet
    transfer_syntax: str

    @cached_property
    def streams(self) -> list[bytes]:
        """The code streams, one for each frame, however they are cut into fragments and whatever offset tables say."""
        fragments = self.data.fragments or ()
        if self.transfer_syntax == _RLE:
            return list(fragments[1:])  # PS3.5 A.4.2: a fragment for each frame
        found: list[list[bytes]] = []
        for fragment in fragments[1:]:
            for index, part in enumerate(_BETWEEN_STREAMS.split(fragment)):
                if index or part.startswith(_STARTS) or not found:
                    found.append([])
                found[-1].append(part)
        return [b"".join(parts) for parts in found]

    @property
    def is_encapsulated(self) -> bool:
        return self.data.fragments is not None

    def number(self, tag: int, absent: int) -> int:
        return number_of(self.around.get(tag), absent)

    @property
    def colour(self) -> str:
        return text_of(self.around.get(0x00280004))[:16]  # as long as a code string is


class _Frame(NamedTuple):
    """Samples as unsigned bits, rows by columns by samples; how many of the bits count, and whether they are signed.

    More than one colour is where a header and the code stream say different ones, none where nothing says any.
    """

    samples: np.ndarray[Any, Any]
    bits: int
    is_signed: bool
    colours: frozenset[str]


class _Stream(NamedTuple):
    """What a code stream says of itself."""

    rows: int
    columns: int
    samples: int
    bits: int
    is_signed: bool
    is_reversible: bool
    is_in_rgb: bool = False


def compare_pixels(sent: Pixels, back: Pixels) -> PixelVerdict:
    """Compare the pixels of two elements, of which at least one is encapsulated or described otherwise."""
    try:
        with PYDICOM_QUIET:
            return _compare(sent, back)
    except _Different as found:
        return PixelVerdict("no", str(found))
    except _Unknown as reason:
        return PixelVerdict("unknown", str(reason))
    except Exception as error:  # noqa: BLE001 (decoders raise whatever their parts raise)
        return PixelVerdict("unknown", _undecoded(error))


def _undecoded(error: Exception | None) -> str:
    return (
        f"its pixels could not be decoded ({type(error).__name__}) by any decoder but the one that sending uses; use "
        "method='find' or 'commit'"
    )


def _compare(sent: Pixels, back: Pixels) -> PixelVerdict:
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
    tolerance = _tolerance(sent, back)
    verdict: PixelVerdict | None = None
    failure: Exception | None = None
    for plugin, other_plugin in ways:
        try:
            verdict = _compare_frames(_frames(sent, plugin), _frames(back, other_plugin), tolerance)
        except (_Different, _Unknown):
            raise
        except Exception as error:  # noqa: BLE001 (decoders raise whatever their parts raise)
            failure = error
            continue
        if verdict.same == "yes" or not tolerance:
            break
    if verdict is None:
        raise _Unknown(_undecoded(failure))
    if verdict.same == "yes":
        _expect_description(sent, back, count)
    return verdict


def _count(pixels: Pixels, *, may_be_padded: bool) -> int:
    if pixels.is_encapsulated:
        return len(pixels.streams)
    return _native_frames(pixels, may_be_padded=may_be_padded)


def _shapes(pixels: Pixels, count: int) -> list[tuple[int, int, int]]:
    """Rows, columns and samples of a pixel of each frame, before anything is decoded."""
    if not pixels.is_encapsulated:
        return [_native_shape(pixels)] * count
    return [
        (said.rows, said.columns, said.samples) for said in (_measure(one, pixels) for one in pixels.streams)
    ]


def _expect_description(sent: Pixels, back: Pixels, count: int) -> None:
    """Raise when what came back is described neither as the source was nor as the code stream is."""
    streams = [_measure(one.streams[0], one) for one in (sent, back) if one.is_encapsulated and count]
    for tag, name, absent in _DESCRIBED:
        said, now = sent.number(tag, absent), back.number(tag, absent)
        by_streams = {_in_stream(tag, stream, count, back.number(0x00280101, 0)) for stream in streams}
        if now != said and now not in by_streams:
            raise _Different(f"its {name} was {said}, and {now} came back")


def _in_stream(tag: int, stream: _Stream, count: int, stored: int) -> int:
    return {
        0x00280002: stream.samples,
        0x00280008: count,
        0x00280010: stream.rows,
        0x00280011: stream.columns,
        0x00280100: 8 if stream.bits <= 8 else 16 if stream.bits <= 16 else 32,
        0x00280101: stream.bits,
        0x00280102: stored - 1,
        0x00280103: int(stream.is_signed),
    }[tag]


def _tolerance(*sides: Pixels) -> int:
    found = 0
    for side in sides:
        if not side.is_encapsulated:
            continue
        if side.transfer_syntax in _LOSSY_JPEG:
            found = max(found, TOLERANCE["JPEG"])
        elif any(
            _STREAM_2000 in stream[:4096] and not _measure(stream, side).is_reversible
            for stream in side.streams[:1]
        ):
            found = max(found, TOLERANCE["JPEG 2000"])
    return found


def _compare_frames(frames: Iterator[_Frame], others: Iterator[_Frame], tolerance: int) -> PixelVerdict:
    import numpy as np

    for number, (one, other) in enumerate(zip(frames, others, strict=True), 1):
        samples, other_samples, allowed = _in_one_colour(one, other, tolerance)
        bits = min(one.bits, other.bits)
        is_signed = one.is_signed or other.is_signed
        for frame in (one, other):
            if not _is_extended(frame, bits, is_signed=is_signed):
                raise _Different(f"frame {number} has bits that the other one has no room for")
        mask = np.uint64((1 << bits) - 1)
        if not allowed:
            different = int(np.count_nonzero((samples & mask) != (other_samples & mask)))
        else:
            apart = _as_numbers(samples, bits, one.is_signed) - _as_numbers(
                other_samples, bits, one.is_signed
            )
            different = int(np.count_nonzero(np.abs(apart) > allowed))
        if different:
            said = f"{different} of the {samples.size} decoded values of frame {number} differ"
            if allowed:
                said += f" by more than {allowed}, which decoding explains"
            return PixelVerdict("no", said)
    return PixelVerdict("yes")


def _in_one_colour(one: _Frame, other: _Frame, tolerance: int) -> tuple[Any, Any, int]:
    """The samples of both in the same colour space, and by how much they may differ there."""
    import numpy as np

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


def _is_extended(frame: _Frame, bits: int, *, is_signed: bool) -> bool:
    """Whether all bits above the lower ones are zero, or repeat the sign: so that they say nothing more."""
    import numpy as np

    if frame.bits <= bits:
        return True
    high = frame.samples >> np.uint64(bits)
    if not high.any():
        return True
    if not is_signed:
        return False
    negative = (frame.samples >> np.uint64(bits - 1)) & np.uint64(1)
    return bool(np.array_equal(high, negative * np.uint64((1 << frame.bits - bits) - 1)))


def _as_numbers(samples: Any, bits: int, is_signed: bool) -> Any:
    import numpy as np

    numbers = (samples & np.uint64((1 << bits) - 1)).astype(np.int64)
    if is_signed:
        numbers[numbers >= 1 << bits - 1] -= 1 << bits
    return numbers


# Native pixels


def _native_shape(pixels: Pixels) -> tuple[int, int, int]:
    return pixels.number(0x00280010, 0), pixels.number(0x00280011, 0), pixels.number(0x00280002, 1)


def _native_frames(pixels: Pixels, *, may_be_padded: bool) -> int:
    """How many frames the bytes hold by their own description, which must be exact where a conversion made them."""
    length = len(pixels.data.value)
    if not length:
        return 0
    shape = _native_shape(pixels)
    bits = pixels.number(0x00280100, 0)
    size = prod(shape) * bits
    if shape[2] == 3 and pixels.colour in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        raise _Different(
            f"native pixels are called {pixels.colour}, as only half of their colour would be there"
        )
    if size <= 0 or bits not in _CELLS:
        raise _Unknown("its header does not say how large a native frame is")
    said = pixels.number(0x00280008, 1)
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


def _frames(pixels: Pixels, plugin: str) -> Iterator[_Frame]:
    if pixels.is_encapsulated:
        for stream in pixels.streams:
            yield _decoded(stream, pixels, plugin)
    else:
        yield from _native(pixels)


def _native(pixels: Pixels) -> Iterator[_Frame]:
    import numpy as np

    bits = pixels.number(0x00280100, 0)
    shape = _native_shape(pixels)
    is_planar = shape[2] > 1 and pixels.number(0x00280006, 0) == 1
    data = np.frombuffer(in_little_endian(pixels.data, pixels.data.vr or "OW"), np.uint8)
    is_signed = pixels.number(0x00280103, 0) == 1
    if bits == 1:
        cells = np.unpackbits(data, bitorder="little").astype(np.uint64)
    else:
        width = bits // 8
        cells = _joined(list(data[: len(data) - len(data) % width].reshape(-1, width).T))
    size = prod(shape)
    for begin in range(0, len(cells) - size + 1, size):
        flat = cells[begin : begin + size]
        planes = flat.reshape(shape[2], shape[0], shape[1]) if is_planar else None
        samples = flat.reshape(shape) if planes is None else np.moveaxis(planes, 0, 2)
        yield _Frame(samples, bits, is_signed, frozenset({pixels.colour}))
        if bits == 1 and begin // size + 1 == pixels.number(0x00280008, 1):
            return


def _joined(parts: Sequence[Any]) -> Any:
    """Samples out of their bytes, the least significant first."""
    import numpy as np

    joined = parts[0].astype(np.uint64)
    for number, part in enumerate(parts[1:], 1):
        joined |= part.astype(np.uint64) << np.uint64(8 * number)
    return joined


# Code streams


def _plugins(pixels: Pixels) -> list[str]:
    """By whom the pixels can be decoded; for native ones there is one way."""
    if not pixels.is_encapsulated:
        return [""]
    decoder = _decoder(pixels.transfer_syntax)
    # pydicom's own of RLE never ends the process upon a broken stream, as another may.
    first = "pydicom" if pixels.transfer_syntax == _RLE else "pylibjpeg"
    plugins = [] if decoder is None else sorted(decoder.available_plugins, key=first.__ne__)
    if pixels.transfer_syntax == _RLE:
        plugins = plugins[:1]
    if not plugins:
        raise _Unknown(
            f"decoding {uid_name(pixels.transfer_syntax)} needs decoders that are not installed; install them with: "
            "pip install 'dicomkit[codecs]'"
        )
    return plugins


def _decoder(syntax: str) -> Decoder | None:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return get_decoder(syntax)
    except NotImplementedError:
        return None


def _decoded(stream: bytes, pixels: Pixels, plugin: str) -> _Frame:
    import numpy as np

    said = _measure(stream, pixels)
    if pixels.transfer_syntax == _RLE:
        named = frozenset({DECODED_AS.get(pixels.colour, pixels.colour)})
        return _Frame(_decoded_rle(stream, said, plugin), said.bits, pixels.number(0x00280103, 0) == 1, named)
    allocated = next(size for size in (8, 16, 32, 64) if said.bits <= size)
    colour = pixels.colour if said.samples == 3 else "MONOCHROME2"
    array = _by_pydicom(stream, said, pixels.transfer_syntax, plugin, allocated, colour or "RGB")
    unsigned = array.view(f"u{array.dtype.itemsize}").astype(np.uint64) & np.uint64((1 << said.bits) - 1)
    unsigned = unsigned.reshape(said.rows, said.columns, said.samples)
    is_signed = said.is_signed or pixels.number(0x00280103, 0) == 1
    # What a header that speaks of other samples says of their colour, is not known of these.
    is_known = said.samples == pixels.number(0x00280002, 1)
    colours = {DECODED_AS.get(pixels.colour, pixels.colour)} if is_known else set()
    return _Frame(unsigned, said.bits, is_signed, frozenset(colours | ({"RGB"} if said.is_in_rgb else set())))


def _by_pydicom(
    stream: bytes, said: _Stream, syntax: str, plugin: str, allocated: int, colour: str
) -> np.ndarray[Any, Any]:
    from pydicom.encaps import encapsulate

    decoder = _decoder(syntax)
    assert decoder is not None, "there is a plugin of it"
    frames = decoder.iter_array(
        encapsulate([stream], has_bot=False),
        raw=True,
        decoding_plugin=plugin,
        rows=said.rows,
        columns=said.columns,
        number_of_frames=1,
        samples_per_pixel=said.samples,
        planar_configuration=0,
        photometric_interpretation=colour,
        pixel_representation=int(said.is_signed),
        bits_allocated=allocated,
        bits_stored=said.bits,
        pixel_keyword="PixelData",
    )
    return next(frames)[0]


def _decoded_rle(stream: bytes, said: _Stream, plugin: str) -> Any:
    """The samples of an RLE frame, whose segments are decoded one by one: so samples may be as many and as wide as any.

    Those of a sample come with the most significant byte first, and a sample's after the other's (PS3.5 G.2).
    """
    import numpy as np

    count = int.from_bytes(stream[:4], "little")
    begins = [int.from_bytes(stream[at : at + 4], "little") for at in range(4, 4 + 4 * count, 4)]
    head = (1).to_bytes(4, "little") + _RLE_HEADER.to_bytes(4, "little") + bytes(_RLE_HEADER - 8)
    # Of single bits a segment is the bytes that they are packed into, which are no rows.
    shape = (said.rows, said.columns) if said.bits > 1 else (1, -(-said.rows * said.columns // 8))
    plane = _Stream(*shape, 1, 8, False, True)
    segments = [
        _by_pydicom(head + stream[begin:end], plane, _RLE, plugin, 8, "MONOCHROME2")
        for begin, end in zip(begins, [*begins[1:], len(stream)], strict=True)
    ]
    if said.bits == 1:
        bits = np.unpackbits(segments[0].reshape(-1), bitorder="little", count=said.rows * said.columns)
        return bits.astype(np.uint64).reshape(said.rows, said.columns, 1)
    width = said.bits // 8
    samples = [_joined(segments[at : at + width][::-1]) for at in range(0, count, width)]
    return np.stack(samples, axis=-1)


def _measure(stream: bytes, pixels: Pixels) -> _Stream:
    """What a code stream says of itself; of RLE, which says little, what its header does."""
    if pixels.transfer_syntax == _RLE:
        samples = pixels.number(0x00280002, 1)
        segments = int.from_bytes(stream[:4], "little")  # PS3.5 G.5
        if samples < 1 or segments < samples or segments % samples:
            raise _Unknown(f"its RLE frames have {segments} segments for {samples} samples a pixel")
        size = pixels.number(0x00280010, 0), pixels.number(0x00280011, 0)
        bits = 1 if segments == 1 == pixels.number(0x00280100, 0) else 8 * segments // samples
        return _Stream(*size, samples, bits, False, True)
    begin = stream.find(_STREAM_2000)
    if begin >= 0 and not stream.startswith(b"\xff\xd8"):
        return _measure_2000(stream, begin)
    return _measure_jpeg(stream, pixels.number(0x00280010, 0))


def _measure_jpeg(stream: bytes, rows_by_header: int) -> _Stream:
    """The frame header of JPEG or JPEG-LS (ISO 10918-1 B.2.2)."""
    position = 2
    while position + 9 < len(stream):
        if stream[position] != 0xFF:
            break
        marker = stream[position + 1]
        if marker == 0xFF:  # fill
            position += 1
            continue
        if marker in _FRAME_MARKERS:
            rows = int.from_bytes(stream[position + 5 : position + 7], "big") or rows_by_header
            columns = int.from_bytes(stream[position + 7 : position + 9], "big")
            return _Stream(rows, columns, stream[position + 9], stream[position + 4], False, True)
        position += 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
    raise _Unknown("its code stream has no frame header")


def _measure_2000(stream: bytes, begin: int) -> _Stream:
    """The SIZ and COD segments of JPEG 2000 (ISO 15444-1 A.5.1, A.6.1)."""
    siz = begin + 4
    extent = [int.from_bytes(stream[siz + 4 + 4 * index : siz + 8 + 4 * index], "big") for index in range(4)]
    samples = int.from_bytes(stream[siz + 36 : siz + 38], "big")
    depth = stream[siz + 38]
    position = siz + int.from_bytes(stream[siz : siz + 2], "big")
    is_reversible = is_in_rgb = False
    while stream[position : position + 1] == b"\xff" and stream[position + 1] != 0x90:  # up to the first tile
        if stream[position + 1] == 0x52:
            is_in_rgb = stream[position + 8] == 1  # which decoding gives, whatever the header calls it
            is_reversible = stream[position + 13] == 1
        position += 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
    rows, columns = extent[1] - extent[3], extent[0] - extent[2]
    return _Stream(rows, columns, samples, (depth & 0x7F) + 1, bool(depth & 0x80), is_reversible, is_in_rgb)
