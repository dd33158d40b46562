"""The stored values of one frame, decompressed where they have to be.

Whatever decoded a frame, its words come through one place that takes the stored bits out of the bits allocated (PS3.5
8.1.1), before anything else looks at them; what lies outside the stored bits is kept for overlays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.dictionary.uids import DEFLATED_LE, is_encapsulated, uid_name
from dicomkit.errors import MissingExtraError, UnreadableError
from dicomkit.preview._attributes import little_endian, numbers, unpacked
from dicomkit.preview._codestreams import Codestream, codestream_of
from dicomkit.sources.dataset_reader import Syntax, encoding_of, syntax_of, why_unread

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset
    from pydicom.pixels.decoders.base import Decoder

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DECODING_PACKAGES = {
    "JPEG-LS": "pyjpegls",
    "High-Throughput": "pylibjpeg-openjpeg",
    "JPEG 2000": "pylibjpeg-openjpeg",
    "JPEG": "pylibjpeg-libjpeg",
    "RLE": "pylibjpeg-rle",
}
_NOT_SHOWN = ("HSV", "ARGB", "CMYK")  # retired, PS3.3 C.7.6.3.1.2
_RLE_LOSSLESS = "1.2.840.10008.1.2.5"
_NUMBER_OF_FRAMES = 0x00280008
_WIDEST_BITS = 32
_LONGEST_REASON = 300  # every plugin that was tried says something


@dataclass(frozen=True, slots=True)
class Bits:
    """Where the value is in the bits of a sample (PS3.5 8.1.1): `stored` of them, from `low` up."""

    allocated: int
    stored: int
    low: int

    def hold(self, position: int) -> bool:
        """Tell whether a bit belongs to the value."""
        return self.low <= position < self.low + self.stored


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A frame, rows by columns, or by 3 for colours."""

    stored: NDArray[Any]  # without unused bits; of colours as decoded
    kind: str  # the Photometric Interpretation, or what decoding has made of it (RGB)
    bits: Bits
    unmasked: NDArray[Any] | None  # with all bits allocated, of one sample whose decoder leaves them alone
    notes: tuple[str, ...] = ()  # what was made up for


def frame_count(dataset: Dataset) -> int:
    """Return how many frames a data set with pixels has.

    Returns
    -------
    int
        At least 1; a number that is none counts as 1.
    """
    return max(1, _stated_frames(dataset) or 1)


def _stated_frames(dataset: Dataset) -> int | None:
    """Return Number of Frames, 1 where it is not there, None where it is no number."""
    try:
        value = dataset.get("NumberOfFrames")
    except ValueError:  # pydicom parses it when it is asked for
        return None
    stated = [1] if value is None else numbers(value)
    return int(stated[0]) if len(stated) == 1 else None


def decode(dataset: Dataset, index: int, file: Path | None) -> Pixels:
    """Return one frame; see `dicomkit.preview.picture_of`."""
    keyword = next((keyword for keyword in PIXEL_KEYWORDS if keyword in dataset), None)
    if keyword is None:
        without = "it has no pixels: no Pixel Data, Float Pixel Data or Double Float Pixel Data"
        raise UnreadableError(why_unread(dataset) or without)
    if _is_empty(dataset, keyword):
        raise UnreadableError(
            "it has no pixels: its Pixel Data is empty; they may have been left out on purpose"
        )
    kind = str(dataset.get("PhotometricInterpretation", "")).strip()
    if kind in _NOT_SHOWN:
        raise UnreadableError(f"Photometric Interpretation {kind} is retired, and not shown")
    syntax = syntax_of(dataset)
    notes: tuple[str, ...] = (syntax.note,) if syntax.note else ()
    if syntax.actual in (DEFLATED_LE, "") or (syntax.note and is_encapsulated(syntax.actual)):
        file = None  # its frames are not where pydicom would look for them
    stated = _stated_frames(dataset)
    is_counted = stated is not None and stated > 0
    if syntax.note or not is_counted:
        dataset = _described(dataset, syntax.actual)
    if not is_counted:
        file = None
        del dataset[_NUMBER_OF_FRAMES]
        notes += ("Number of Frames is no number above 0, and one frame is shown",)
    return replace(_frame(dataset, index, file, kind, syntax), notes=notes)


def _is_empty(dataset: Dataset, keyword: str) -> bool:
    from pydicom.dataelem import RawDataElement

    element = dataset.get_item(keyword)
    if isinstance(element, RawDataElement) and element.value is None:  # left in the file, or nothing
        return element.length == 0
    return element is None or not element.value


def _described(dataset: Dataset, syntax: str) -> Dataset:
    """Return what describes the pixels, and the pixels, under the transfer syntax that they are in."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    encoding = UID(encoding_of(dataset))
    described = dataset.group_dataset(0x0028)
    described.file_meta = FileMetaDataset()
    described.file_meta.TransferSyntaxUID = UID(syntax)
    described.set_original_encoding(encoding.is_implicit_VR, encoding.is_little_endian)
    for keyword in PIXEL_KEYWORDS:
        if keyword in dataset:
            described[keyword] = dataset[keyword]
    return described


def _frame(dataset: Dataset, index: int, file: Path | None, kind: str, syntax: Syntax) -> Pixels:
    if not syntax.actual:
        raise UnreadableError(f"{syntax.note}; export it again from where it came from")
    decoder = _decoder(syntax.actual)
    if dataset.get("BitsAllocated") == 1 and not decoder.UID.is_encapsulated:
        return Pixels(_packed_frame(dataset, index), kind, Bits(1, 1, 0), None)
    # Words arrive as they were where they are plain, or by RLE.
    is_coded = decoder.UID.is_encapsulated and decoder.UID != _RLE_LOSSLESS
    coded = codestream_of(dataset, file) if is_coded else None
    array = _decoded(decoder, dataset, index, file, kind)
    bits = _bits_of(dataset, coded)
    if array.dtype.kind not in "iu":
        return Pixels(_of_displayable_type(array), kind, bits, None)
    if array.ndim == 3 and coded is not None:
        kind = _coded_colours(kind, coded)
    is_whole = array.ndim == 2 and (coded is None or coded.precision == bits.allocated)
    stored = _of_displayable_type(_without_unused_bits(array, bits))
    return Pixels(stored, kind, bits, array if is_whole else None)


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


def _packed_frame(dataset: Dataset, index: int) -> NDArray[np.uint8]:
    """Return a frame of bits, which follow each other without gaps, frames too (PS3.5 8.1.1 and 8.1.2)."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    data = little_endian(dataset, bytes(dataset.PixelData or b""), dataset["PixelData"].VR)
    start, end = index * rows * columns, (index + 1) * rows * columns
    if len(data) * 8 < end:
        raise UnreadableError(
            f"the pixels of frame {index + 1} cannot be decoded: there are {len(data)} bytes of bits, "
            f"and frames of {rows} x {columns} need {-(-end // 8)} up to its end"
        )
    return unpacked(data, start, rows, columns)


def _decoded(decoder: Decoder, dataset: Dataset, index: int, file: Path | None, kind: str) -> NDArray[Any]:
    from pydicom.pixels.utils import as_pixel_options, pixel_array

    # What unused bits hold, and what colours mean, is for the caller to say, for all decoders alike.
    options: dict[str, Any] = {"index": index, "raw": True, "correct_unused_bits": False}
    if kind.startswith("YBR_PARTIAL_422") and not decoder.UID.is_encapsulated:
        options["photometric_interpretation"] = "YBR_FULL_422"  # subsampled the same way
    # A file may be encoded otherwise than it says, which reading all of it finds out; and where it is cut off, its
    # data set says by how much.
    problem: Exception | None = None
    for source in (file, dataset):
        try:
            if isinstance(source, Path):
                return pixel_array(source, transfer_syntax_uid=decoder.UID, **options)
            if source is not None:
                return decoder.as_array(source, validate=True, **as_pixel_options(source, **options))[0]
        except Exception as error:  # noqa: BLE001  decoders raise whatever their libraries raise; said below
            problem = error
    reason = " ".join(str(problem).split()) or type(problem).__name__
    if len(reason) > _LONGEST_REASON:
        reason = f"{reason[:_LONGEST_REASON]}..."
    raise UnreadableError(f"the pixels of frame {index + 1} cannot be decoded: {reason}") from problem


def _bits_of(dataset: Dataset, coded: Codestream | None) -> Bits:
    """Return where values lie in their words; a High Bit that cannot be is taken to mean the lowest bits."""
    allocated = int(dataset.BitsAllocated)
    stored = int(dataset.get("BitsStored") or allocated)
    if not 1 <= stored <= allocated:
        stored = allocated
    high = dataset.get("HighBit")
    width = allocated if coded is None else coded.precision
    if not isinstance(high, int) or not stored - 1 <= high < width:
        high = stored - 1
    return Bits(allocated, stored, high - stored + 1)


def _without_unused_bits(array: NDArray[Any], bits: Bits) -> NDArray[Any]:
    """Return the values of the bits stored (PS3.5 8.1.1), with their sign."""
    width = array.dtype.itemsize * 8
    above = width - bits.low - bits.stored
    if above <= 0 and bits.low == 0:
        return array
    # Up to the edge and down again: a shift down of a signed type brings its sign along.
    values = array << max(above, 0)
    values >>= width - bits.stored
    return values


def _coded_colours(kind: str, coded: Codestream) -> str:
    """Return what the colours of a codestream are, where it knows better than Photometric Interpretation."""
    if kind in ("YBR_ICT", "YBR_RCT"):  # JPEG 2000 undoes its own transformation (PS3.5 8.2.4)
        return "RGB"
    if coded.colours == "RGB" and kind.startswith("YBR_FULL"):
        return "RGB"
    return "YBR_FULL" if coded.colours == "YBR_FULL" and kind == "RGB" else kind


def _of_displayable_type(array: NDArray[Any]) -> NDArray[Any]:
    """Return values of at most 32 bits, or float; wider integers become double floats."""
    if array.dtype.kind in "iu" and array.dtype.itemsize * 8 > _WIDEST_BITS:
        return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
