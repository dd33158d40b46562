"""What the header says about one frame: its modality transformation, windows, padding, unit and pixel shape.

The one idea: an attribute is looked up where a frame's own value would be first (Per-frame, then Shared Functional
Groups, PS3.3 C.7.6.16), then in the data set itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.preview.windows import WINDOW_FUNCTIONS, Function, LookupTable, Modality, Rescale, Voi, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

__all__ = [
    "as_stored_of",
    "frame_attribute",
    "is_little_endian",
    "lookup_table",
    "modality_of",
    "numbers",
    "padding_of",
    "pixel_aspect",
    "unit_of",
    "vois_of",
]

_MODALITY_IS_NO_STEP = (
    "1.2.840.10008.5.1.4.1.1.12.1",  # X-Ray Angiographic
    "1.2.840.10008.5.1.4.1.1.12.2",  # X-Ray Radiofluoroscopic
    "1.2.840.10008.5.1.4.1.1.12.3",  # X-Ray Angiographic Bi-plane, retired
)
_WHOLE_TABLE = 65536  # an entry count of 0 stands for it, PS3.3 C.11.1.1
_SIGN_BIT, _ABOVE_16_BITS = 0x8000, 0x10000
_LUT_BITS = (8, 16)  # PS3.3 C.11.2.1.1 allows 8, and 10 to 16; modality LUTs 8 and 16


def numbers(value: object) -> list[float]:
    """Return a value of any multiplicity as the finite numbers that it starts with."""
    found: list[float] = []
    for one in value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]:  # type: ignore[attr-defined]
        try:
            number = float(one)
        except (TypeError, ValueError):
            break
        if not np.isfinite(number):
            break
        found.append(number)
    return found


def frame_attribute(dataset: Dataset, index: int, sequence: str, keyword: str) -> Any:
    """Return the value of an attribute for a frame, from its functional group or the data set; None without."""
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for groups in [*frames[index : index + 1], *shared[:1]]:
        for item in (groups.get(sequence) or [])[:1]:
            if item.get(keyword) is not None:
                return item.get(keyword)
    return dataset.get(keyword)


def is_little_endian(dataset: Dataset) -> bool:
    """Tell the byte order that bulk data of a data set are in; a data set made from nothing is little-endian."""
    syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    return syntax != "1.2.840.10008.1.2.2" and dataset.original_encoding[1] is not False


def modality_of(dataset: Dataset, index: int) -> Modality:
    """Return what makes modality values of a frame's stored values.

    Stored values themselves are what is shown of XA and XRF images, whose Modality LUT is no step of display
    (PS3.3 C.8.7.1.1.2); and of a slope of 0, which would leave nothing of them.
    """
    if dataset.get("SOPClassUID") in _MODALITY_IS_NO_STEP:
        return Rescale()
    for item in (dataset.get("ModalityLUTSequence") or [])[:1]:
        return lookup_table(item, dataset, inputs_signed=_is_signed(dataset))
    sequence = "PixelValueTransformationSequence"
    slope = numbers(frame_attribute(dataset, index, sequence, "RescaleSlope"))
    intercept = numbers(frame_attribute(dataset, index, sequence, "RescaleIntercept"))
    if not slope or not intercept or slope[0] == 0:
        return Rescale()
    return Rescale(slope[0], intercept[0])


_P_VALUE_BYTES = (
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
    "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte Secondary Capture
    "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound, retired
    "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound
    "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame, retired
    "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame
)
_P_VALUE_BY_SHAPE = (
    "1.2.840.10008.5.1.4.1.1.7.3",  # Multi-frame Grayscale Word Secondary Capture
    "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
    "1.2.840.10008.5.1.4.1.1.1.2",  # Digital Mammography X-Ray, for presentation
    "1.2.840.10008.5.1.4.1.1.1.3",  # Digital Intra-Oral X-Ray, for presentation
)


def as_stored_of(dataset: Dataset, modality: Modality) -> Window | None:
    """Return the window that shows stored values as they are, where they are P-Values; otherwise None.

    P-Values mean the same brightness in every image (PS3.14), so that nothing is to be stretched: the bytes of a
    Secondary Capture (PS3.3 A.8.1.3, A.8.3.4) or an ultrasound image, and what a Presentation LUT Shape declares
    (C.8.11.3.1.2, C.8.6.3), as long as no modality transformation makes something else of them. The caller sees to it
    that there is no VOI.
    """
    sop_class, bits = dataset.get("SOPClassUID"), dataset.get("BitsStored")
    is_declared = sop_class in _P_VALUE_BY_SHAPE and dataset.get("PresentationLUTShape") in (
        "IDENTITY",
        "INVERSE",
    )
    is_byte = sop_class in _P_VALUE_BYTES and bits == 8
    if (
        not (is_declared or is_byte)
        or modality != Rescale()
        or _is_signed(dataset)
        or not isinstance(bits, int)
    ):
        return None
    return Window(2 ** (bits - 1), 2**bits, name="As stored")


def vois_of(dataset: Dataset, index: int) -> list[Voi]:
    """Return the looks that the data set has for a frame: VOI LUTs, then windows.

    What makes no sense (a width of 0, a table without entries) is left out.
    """
    tables: list[Voi] = []
    signed = _is_signed(dataset) or _may_be_negative(modality_of(dataset, index))
    for position, item in enumerate(dataset.get("VOILUTSequence") or [], start=1):
        try:
            table = lookup_table(item, dataset, inputs_signed=signed)
        except ValueError:
            continue
        tables.append(
            LookupTable(table.first, table.entries, table.bits, table.name or f"VOI LUT {position}")
        )
    return [*tables, *_windows(dataset, index)]


def _windows(dataset: Dataset, index: int) -> list[Window]:
    sequence = "FrameVOILUTSequence"
    centers = numbers(frame_attribute(dataset, index, sequence, "WindowCenter"))
    widths = numbers(frame_attribute(dataset, index, sequence, "WindowWidth"))
    names = frame_attribute(dataset, index, sequence, "WindowCenterWidthExplanation") or []
    named = [names] if isinstance(names, str) else [str(name) for name in names]
    stated = str(frame_attribute(dataset, index, sequence, "VOILUTFunction") or "LINEAR").strip().upper()
    function: Function = next((known for known in WINDOW_FUNCTIONS if known == stated), "LINEAR")
    windows = []
    for position, (center, width) in enumerate(zip(centers, widths, strict=False)):
        name = (named[position] if position < len(named) else "") or f"Window {position + 1}"
        if width >= 1:
            windows.append(Window(center, width, function, name))
        elif width > 0:  # LINEAR has no meaning for it, and what was meant is plain
            exact: Function = "LINEAR_EXACT" if function == "LINEAR" else function
            windows.append(Window(center, width, exact, name))
    return windows


def _may_be_negative(modality: Modality) -> bool:
    """Tell whether modality values below 0 exist, so that the first input of a VOI LUT may be negative."""
    return isinstance(modality, Rescale) and (modality.intercept < 0 or modality.slope < 0)


def lookup_table(item: Dataset, dataset: Dataset, *, inputs_signed: bool) -> LookupTable:
    """Return the table of an item of a Modality LUT or VOI LUT Sequence.

    Raises
    ------
    ValueError
        It has no entries, or fewer than its descriptor says.
    """
    descriptor = [int(number) for number in numbers(item.get("LUTDescriptor"))]
    if len(descriptor) != 3:
        raise ValueError(f"LUT Descriptor has {len(descriptor)} values instead of 3 (PS3.3 C.11.1.1)")
    count, first, bits = descriptor
    if inputs_signed and first & _SIGN_BIT and first > 0:
        first -= _ABOVE_16_BITS  # a signed first input that was read as an unsigned one
    entries = table_entries(item.get("LUTData"), count or _WHOLE_TABLE, is_little_endian(dataset))
    bits = min(max(bits, _LUT_BITS[0]), _LUT_BITS[1])
    return LookupTable(first, entries, bits, str(item.get("LUTExplanation") or ""))


def table_entries(data: object, count: int, little_endian: bool) -> NDArray[np.uint16]:
    """Return the entries of a table as pydicom hands them out: words, bytes of words, or bytes of bytes.

    Raises
    ------
    ValueError
        There are fewer than `count`.
    """
    if isinstance(data, (bytes, bytearray)):
        if len(data) < 2 * count:
            entries = np.frombuffer(data, np.uint8).astype(np.uint16)
        else:
            entries = np.frombuffer(data, "<u2" if little_endian else ">u2", count).astype(np.uint16)
    else:
        words = np.array(numbers(data), np.int64).astype(np.uint16)
        # 8-bit entries may be packed two to a word, the first one in its low byte.
        entries = words if len(words) >= count else words.astype("<u2").view(np.uint8).astype(np.uint16)
    if len(entries) < count:
        raise ValueError(f"LUT Data has {len(entries)} entries where its descriptor says {count}")
    return entries[:count]


def _is_signed(dataset: Dataset) -> bool:
    return bool(dataset.get("PixelRepresentation") == 1)


def padding_of(dataset: Dataset) -> tuple[float, float] | None:
    """Return the smallest and largest stored value that stand for no picture (PS3.3 C.7.5.1.1.2), or None."""
    first = numbers(
        dataset.get("PixelPaddingValue", dataset.get("FloatPixelPaddingValue"))
        if "PixelPaddingValue" in dataset or "FloatPixelPaddingValue" in dataset
        else dataset.get("DoubleFloatPixelPaddingValue")
    )
    if not first:
        return None
    limits = ("PixelPaddingRangeLimit", "FloatPixelPaddingRangeLimit", "DoubleFloatPixelPaddingRangeLimit")
    limit = next((found for found in (numbers(dataset.get(name)) for name in limits) if found), first)
    ends = [first[0], limit[0]]
    if _is_signed(dataset):
        # Implicit VR does not tell US from SS, and a writer may have got it wrong in explicit VR.
        ends = [end - _ABOVE_16_BITS if _SIGN_BIT <= end < _ABOVE_16_BITS else end for end in ends]
    return min(ends), max(ends)


def unit_of(dataset: Dataset, index: int) -> str:
    """Return the unit of modality values: HU, BQML, ... or nothing where the data set does not say."""
    for item in (dataset.get("ModalityLUTSequence") or [])[:1]:
        return _spelt(item.get("ModalityLUTType"))
    kind = frame_attribute(dataset, index, "PixelValueTransformationSequence", "RescaleType")
    if kind:
        return _spelt(kind)
    if dataset.get("Units"):
        return _spelt(dataset.Units)
    # PS3.3 C.8.2.1.1.2: rescaled values of a CT Image are Hounsfield units unless it says otherwise.
    return "HU" if dataset.get("Modality") == "CT" and "RescaleSlope" in dataset else ""


def _spelt(unit: object) -> str:
    return "" if unit in (None, "US") else str(unit)  # US: unspecified, PS3.3 C.11.1.1.2


def pixel_aspect(dataset: Dataset, index: int) -> float:
    """Return how many times as high as wide a pixel is.

    From Pixel Aspect Ratio (vertical and horizontal, PS3.3 C.7.6.3.1.7), else from the first spacing that there is
    (between rows, between columns); 1 without.
    """
    candidates = [
        dataset.get("PixelAspectRatio"),
        frame_attribute(dataset, index, "PixelMeasuresSequence", "PixelSpacing"),
        dataset.get("ImagerPixelSpacing"),
        dataset.get("NominalScannedPixelSpacing"),
    ]
    for candidate in candidates:
        pair = numbers(candidate)
        if len(pair) == 2 and min(pair) > 0:
            return pair[0] / pair[1]
    return 1.0
