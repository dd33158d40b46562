"""The stored values of one frame, decompressed where they have to be.

The one idea: pydicom decodes, one frame at a time and straight from the file where there is one; what the unused bits
of uncompressed values hold (nothing, or overlays) is taken apart here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.errors import MissingExtraError, UnreadableError
from dicomkit.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, uid_name

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset
    from pydicom.pixels.decoders.base import Decoder

__all__ = ["PIXEL_KEYWORDS", "Pixels", "decode", "transfer_syntax_of"]

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DECODING_PACKAGES = {
    "JPEG-LS": "pyjpegls",
    "High-Throughput": "pylibjpeg-openjpeg",
    "JPEG 2000": "pylibjpeg-openjpeg",
    "JPEG": "pylibjpeg-libjpeg",
    "RLE": "pylibjpeg-rle",
}
_NOT_SHOWN = ("HSV", "ARGB", "CMYK")  # retired, PS3.3 C.7.6.3.1.2
_WIDEST_BITS = 32
_LONGEST_REASON = 300  # every plugin that was tried says something


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A frame, rows by columns, or by 3 for colours.

    Attributes
    ----------
    stored : array
        The stored values, without unused bits; RGB where the data set has YBR_FULL or a YBR of JPEG 2000.
    unmasked : array or None
        The same with all the bits allocated, where the frame has one sample and is not compressed.
    """

    stored: NDArray[Any]
    unmasked: NDArray[Any] | None


def transfer_syntax_of(dataset: Dataset) -> str:
    """Return the transfer syntax a data set says it has, or, saying nothing, was read in."""
    stated = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if stated:
        return str(stated)
    return {(True, True): IMPLICIT_LE, (False, False): EXPLICIT_BE}.get(
        dataset.original_encoding,  # type: ignore[arg-type]
        EXPLICIT_LE,
    )


def decode(dataset: Dataset, index: int, file: Path | None) -> Pixels:
    """Return one frame; see `dicomkit.preview.picture_of`."""
    if not any(keyword in dataset for keyword in PIXEL_KEYWORDS):
        raise UnreadableError("it has no pixels: no Pixel Data, Float Pixel Data or Double Float Pixel Data")
    kind = str(dataset.get("PhotometricInterpretation", "")).strip()
    if kind in _NOT_SHOWN:
        raise UnreadableError(f"Photometric Interpretation {kind} is retired, and not shown")
    syntax = transfer_syntax_of(dataset)
    decoder = _decoder(syntax)
    array = _decoded(decoder, dataset, index, file if syntax != DEFLATED_LE else None, kind)
    if array.ndim == 3 or decoder.UID.is_encapsulated or not _is_integer(array):
        return Pixels(_of_displayable_type(array), None)
    return Pixels(_of_displayable_type(_without_unused_bits(array, dataset)), array)


def _decoder(syntax: str) -> Decoder:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    name = uid_name(syntax)
    try:
        decoder = get_decoder(UID(syntax))
    except NotImplementedError as error:
        raise UnreadableError(
            f"no package decodes pixels in {name}; transcode it with another tool"
        ) from error
    if not decoder.is_available:
        package = next((found for start, found in _DECODING_PACKAGES.items() if start in name), "pylibjpeg")
        raise MissingExtraError(f"Showing pixels in {name}", package, "codecs")
    return decoder


def _decoded(decoder: Decoder, dataset: Dataset, index: int, file: Path | None, kind: str) -> NDArray[Any]:
    from pydicom.pixels.utils import as_pixel_options, pixel_array

    options: dict[str, Any] = {"index": index, "correct_unused_bits": decoder.UID.is_encapsulated}
    if kind.startswith("YBR_PARTIAL_422") and not decoder.UID.is_encapsulated:
        # Subsampled the same way; what the samples mean is told apart by the caller.
        options |= {"photometric_interpretation": "YBR_FULL_422", "raw": True}
    # A file may be encoded otherwise than it says, which reading all of it finds out; and where it is cut off, its
    # data set says by how much.
    problem: Exception | None = None
    for source in (file, dataset):
        try:
            if isinstance(source, Path):
                return pixel_array(source, transfer_syntax_uid=decoder.UID, **options)
            if source is not None:
                return decoder.as_array(source, validate=True, **as_pixel_options(source, **options))[0]
        except Exception as error:  # noqa: BLE001  decoders raise whatever their libraries raise; told below
            problem = error
    reason = " ".join(str(problem).split()) or type(problem).__name__
    if len(reason) > _LONGEST_REASON:
        reason = f"{reason[:_LONGEST_REASON]}..."
    raise UnreadableError(f"the pixels of frame {index + 1} cannot be decoded: {reason}") from problem


def _is_integer(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "iu"


def _without_unused_bits(array: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Return the values of the bits stored (PS3.5 8.1.1), with their sign."""
    allocated, stored = int(dataset.BitsAllocated), int(dataset.get("BitsStored") or dataset.BitsAllocated)
    if allocated == 1 or stored >= allocated or stored < 1:
        return array
    high = int(dataset.get("HighBit", stored - 1))
    above = allocated - 1 - high
    if above < 0 or high < stored - 1:
        above = allocated - stored  # a high bit that cannot be: what nearly every writer means
    # Up to the edge and down again: a shift down of a signed type brings its sign along.
    return (array << above) >> (allocated - stored)


def _of_displayable_type(array: NDArray[Any]) -> NDArray[Any]:
    """Return values of at most 32 bits, or float; wider integers become double floats."""
    if _is_integer(array) and array.dtype.itemsize * 8 > _WIDEST_BITS:
        return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
