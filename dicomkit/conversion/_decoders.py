"""Code streams decoded to the samples that they hold: every bit, in the colour space that they are stored in.

imagecodecs does it (libjpeg-turbo, CharLS, OpenJPEG): as fast as DCMTK, without holding Python's lock, so that several
threads decode at once, and with one licence (BSD). What a decoder would pass over in silence, an end that is missing,
is found here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from dicomkit.conversion._codestreams import JPEG, JPEG_2000, JPEG_LS, Broken, Codestream
from dicomkit.dictionary.codestreams import EOI

if TYPE_CHECKING:
    import numpy as np

    Samples = np.ndarray[Any, np.dtype[Any]]


# Bytes that no scan ends with, of both bits in turn and without an FF.
_TAIL: Final = bytes.fromhex("fe01a55a7e81c33c") * 8
_COLOUR_SPACES: Final = {1: "GRAYSCALE", 3: "YCBCR", 4: "CMYK"}
_BLOCK: Final = 64  # samples of which a JPEG scan has at least one bit, and one bit for each without loss
_MOST_LINES: Final = 65500  # libjpeg's JPEG_MAX_DIMENSION
_LONGEST_RUN: Final = 128  # PS3.5 G.3.1: a run of two bytes stands for up to so many


def working_size(codestream: Codestream) -> int:
    """Bytes that a decoder needs beside the samples that it returns."""
    samples = codestream.rows * codestream.columns * codestream.samples
    return 4 * samples if codestream.coding == JPEG_2000 else 0  # OpenJPEG has 32 bits for each


def decode(data: bytes, codestream: Codestream) -> Samples:
    """The samples, by rows, columns and samples of a pixel; signed only where JPEG 2000 says so.

    Raises Broken where the code stream ends before its picture, and whatever the decoder raises.
    """
    stream = data[codestream.begin : codestream.end]
    if not codestream.closed:
        stream = (_without_padding(stream) if codestream.coding == JPEG else stream) + EOI
    decoded: Samples
    if codestream.coding == JPEG_2000:
        from imagecodecs import jpeg2k_decode

        decoded = jpeg2k_decode(stream, numthreads=1)
        return decoded
    if codestream.coding == JPEG_LS:
        from imagecodecs import jpegls_decode
        from numpy import ascontiguousarray

        return ascontiguousarray(jpegls_decode(stream))  # planes are a view
    if 8 * len(stream) * (_BLOCK if codestream.lossy else 1) < codestream.rows * codestream.columns:
        raise Broken("it ends before its picture does")
    return _decode_jpeg(stream, codestream)


def _without_padding(stream: bytes) -> bytes:
    shorter = stream.rstrip(b"\0")
    return shorter + b"\0" if shorter.endswith(b"\xff") else shorter  # FF 00 is one byte of a scan


def _decode_jpeg(stream: bytes, codestream: Codestream) -> Samples:
    """Decode, and make sure that the picture was whole, of which libjpeg says nothing: it fills up with grey."""
    from numpy import array_equal

    decoded = _decode_with_more_lines(stream, codestream)
    if decoded is not None:
        return decoded
    # More bytes before each restart and at the end of each scan change nothing, unless some were missing there.
    end = len(stream) - len(EOI)
    pauses = [min(pause - codestream.begin, end) for pause in codestream.pauses]
    parts = [stream[start:stop] for start, stop in pairwise([0, *pauses, len(stream)])]
    decoded = _by_libjpeg(stream, codestream)
    if not array_equal(decoded, _by_libjpeg(_TAIL.join(parts), codestream)):
        raise Broken("it ends before its picture does")
    return decoded


def _decode_with_more_lines(stream: bytes, codestream: Codestream) -> Samples | None:
    """Decode as if the picture went on, which takes half the time; None where that does not tell whether it is whole.

    libjpeg begins the lines that are not there when it has taken all bytes: it makes of nothing what the codes of
    zeros stand for. When bytes ran out in a line before, the next ones are grey from their first sample on. Lines that
    happen to be grey for another reason are the one case that has to be looked at more closely.
    """
    unit, at = codestream.unit, codestream.lines_at - codestream.begin
    if not unit:
        return None
    whole = -(-codestream.rows // unit) * unit
    if whole + unit > _MOST_LINES:
        return None
    longer = _by_libjpeg(stream[:at] + (whole + unit).to_bytes(2) + stream[at + 2 :], codestream)
    beyond = longer[whole:].reshape(unit, codestream.columns, -1)[:, :, 0]
    grey = 1 << (codestream.precision - 1)
    return longer[: codestream.rows] if (beyond != grey).any() else None


def _by_libjpeg(stream: bytes, codestream: Codestream) -> Samples:
    from imagecodecs import jpeg8_decode

    # The same colour space in and out: no transform.
    space = _COLOUR_SPACES.get(codestream.samples)
    decoded: Samples = jpeg8_decode(stream, colorspace=space, outcolorspace=space)
    return decoded


def decode_rle(data: bytes, offsets: list[int], size: int, width: int) -> Samples:
    """The bytes of an RLE frame (PS3.5 G.2), as they are when they are not compressed, plane after plane.

    It has its header, `offsets` are those of its segments, each of which stands for `size` bytes, or is Broken. Of a
    sample that is `width` bytes wide the segments come with the most significant byte first.
    """
    from numpy import empty, multiply, uint8

    ends = [*offsets[1:], len(data)]
    if ends[-1] <= offsets[-1]:
        raise Broken("it ends before its last segment")
    for start, end in zip(offsets, ends, strict=True):
        if (end - start) * _LONGEST_RUN // 2 < size:
            raise Broken("a segment is too short for the picture")
    planes = empty((len(offsets) // width, size, width), uint8)
    segment = empty(size, uint8)
    view = memoryview(data)
    for number, (start, end) in enumerate(zip(offsets, ends, strict=True)):
        plane, place = planes[number // width], width - 1 - number % width
        _decode_segment(view[start:end], plane.reshape(-1) if width == 1 else segment)
        if width == 2:  # as numbers, which takes a quarter of the time that one byte after the other does
            cells = plane.view("<u2").reshape(-1)
            if place:
                multiply(segment, 256, out=cells, dtype="u2")
            else:
                cells |= segment
        elif width > 2:
            plane[:, place] = segment
    return planes.reshape(-1)


def _decode_segment(segment: memoryview, target: Samples) -> None:
    from imagecodecs import PackbitsError, packbits_decode

    for candidate in _without_zeros(segment):
        try:
            decoded = packbits_decode(candidate, out=target.data)  # type: ignore[arg-type]  # any buffer will do
            if len(decoded) == len(target):
                return
        except PackbitsError:
            continue
    raise Broken("a segment does not fit the picture")


def _without_zeros(segment: memoryview) -> Iterator[memoryview | bytes]:
    """The segment, and what it may be without its padding.

    That is one zero (PS3.5 G.3.1), or more where somebody was generous; zeros may be of the last run as well.
    """
    yield segment
    shortest = bytes(segment).rstrip(b"\0")
    for zeros in range(not shortest, min(len(segment) - len(shortest), _LONGEST_RUN + 1)):
        yield shortest + bytes(zeros)
