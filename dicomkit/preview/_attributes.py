"""What the header says about one frame: modality transformation, windows, padding, unit and pixel shape.

An attribute is looked up where a frame's own value would be first (Per-frame, then Shared Functional Groups,
PS3.3 C.7.6.16), then in the data set itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.dictionary.uids import EXPLICIT_BE
from dicomkit.preview._windows import WINDOW_FUNCTIONS, Function, LookupTable, Modality, Rescale, Voi, Window
from dicomkit.sources.dataset_reader import encoding_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset


def _sop_classes(*lasts: str) -> frozenset[str]:
    """The UIDs of storage SOP classes, each given by what follows the root of all of them."""
    return frozenset(f"1.2.840.10008.5.1.4.1.1.{last}" for line in lasts for last in line.split())


# X-Ray Angiographic, Radiofluoroscopic, and Bi-plane (retired), whose Modality LUT is no step of display
_MODALITY_IS_NO_STEP = _sop_classes("12.1 12.2 12.3")
_P_VALUE_BYTES = _sop_classes(
    "7 7.2",  # Secondary Capture, Multi-frame Grayscale Byte Secondary Capture
    "6 6.1 3 3.1",  # Ultrasound and Ultrasound Multi-frame, retired and current
    "77.1.1 77.1.2 77.1.3 77.1.4 77.1.6",  # VL Endoscopic, Microscopic, Slide, Photographic, Whole Slide
    "77.1.5.1",  # Ophthalmic Photography 8 Bit
)
_P_VALUE_BY_SHAPE = _sop_classes(
    "7.3",  # Multi-frame Grayscale Word Secondary Capture
    "1.1 1.2 1.3 13.1.4",  # Digital X-Ray, Mammography, Intra-Oral, Breast Projection, for presentation
    "77.1.5.1 77.1.5.2 77.1.5.4",  # Ophthalmic Photography 8 and 16 Bit, Tomography
)
_FRAME_TYPES = (
    *("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence"),
    *("USImageDescriptionSequence", "XRay3DFrameTypeSequence", "ParametricMapFrameTypeSequence"),
)
_PADDING = ("PixelPaddingValue", "FloatPixelPaddingValue", "DoubleFloatPixelPaddingValue")
_TRANSFORMATION = "PixelValueTransformationSequence"
_VOIS = "FrameVOILUTSequence"
_SWEEPING = 1  # PS3.3 C.7.6.5: 0 is looping
_CENTIMETRES = 3  # PS3.3 C.8.5.5.1.15
_WHOLE_TABLE = 65536  # an entry count of 0 stands for it, PS3.3 C.11.1.1
_SIGN_BIT, _ABOVE_16_BITS = 0x8000, 0x10000
_USES = "uses"
BITS_MEANT = 2  # fewer used than said: less than a quarter of the scale, which nobody means
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


def frame_items(dataset: Dataset, index: int, sequence: str) -> list[Dataset]:
    """Return the items of a functional group macro for a frame, its own before the shared ones."""
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    return [
        item for groups in [*frames[index : index + 1], *shared[:1]] for item in groups.get(sequence) or []
    ]


def frame_attribute(dataset: Dataset, index: int, sequence: str, keyword: str) -> Any:
    """Return the value of an attribute for a frame, from its functional group or the data set; None without."""
    return _holder(dataset, index, sequence, keyword).get(keyword)


def _holder(dataset: Dataset, index: int, sequence: str, keyword: str) -> Dataset:
    """Return what holds an attribute for a frame: an item of its functional group, else the data set."""
    items = frame_items(dataset, index, sequence)
    return next((item for item in items if item.get(keyword) is not None), dataset)


# Bulk data


def is_little_endian(dataset: Dataset) -> bool:
    """Tell the byte order that bulk data of a data set are in; a data set made from nothing is little-endian."""
    return encoding_of(dataset) != EXPLICIT_BE


def little_endian(dataset: Dataset, data: bytes, vr: str) -> bytes:
    """Return a bulk value with its words, where it is of words, in little-endian order."""
    if vr.startswith("OB") or is_little_endian(dataset):
        return data
    even = len(data) // 2 * 2
    return np.frombuffer(data[:even], ">u2").astype("<u2").tobytes() + data[even:]


def unpacked(data: bytes, start: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """Return a bitmap whose first bit is the one at `start`; the lowest of a byte comes first (PS3.5 8.1.2)."""
    size = rows * columns
    packed = np.frombuffer(data, np.uint8)[start // 8 : (start + size + 7) // 8]
    return np.unpackbits(packed, bitorder="little")[start % 8 :][:size].reshape(rows, columns)


# Modality values and looks


def modality_of(dataset: Dataset, index: int) -> Modality:
    """Return what makes modality values of stored ones; nothing does for XA and XRF images (PS3.3
    C.8.7.1.1.2).
    """
    if dataset.get("SOPClassUID") in _MODALITY_IS_NO_STEP:
        return Rescale()
    for item in (dataset.get("ModalityLUTSequence") or [])[:1]:
        table = lookup_table(item, dataset, inputs_signed=stored_range(dataset)[0] < 0)
        # Of how many bits an output is matters to what a VOI LUT shows, and not to values.
        return replace(table, note=table.note.partition(_USES)[0].rstrip("; "))
    holder = _holder(dataset, index, _TRANSFORMATION, "RescaleSlope")
    slope, intercept = numbers(holder.get("RescaleSlope")), numbers(holder.get("RescaleIntercept"))
    if slope and intercept and slope[0] != 0:
        return Rescale(slope[0], intercept[0])
    dose = numbers(dataset.get("DoseGridScaling"))  # PS3.3 C.8.8.3: what makes a dose of a stored value
    return Rescale(dose[0], 0.0) if dose and dose[0] != 0 and not slope else Rescale()


def stored_range(dataset: Dataset) -> tuple[int, int]:
    """Return the smallest and the largest value that the bits stored can hold (PS3.3 C.7.6.3.1)."""
    bits = dataset.get("BitsStored") or dataset.get("BitsAllocated") or 16
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if _is_signed(dataset) else (0, 2**bits - 1)


def _is_signed(dataset: Dataset) -> bool:
    return bool(dataset.get("PixelRepresentation") == 1)


def as_stored_of(dataset: Dataset, modality: Modality) -> Window | None:
    """Return the window that shows stored values as they are, where they are P-Values; otherwise None.

    P-Values mean the same brightness in every image (PS3.14), so that nothing is to be stretched: the bytes of a
    Secondary Capture (PS3.3 A.8.1.3, A.8.3.4), of ultrasound or of visible light, whose IODs have no VOI, and what a
    Presentation LUT Shape declares (C.8.11.3.1.2, C.8.6.3), as long as no modality transformation makes something else
    of them. The caller sees to it that there is no VOI.
    """
    sop_class, bits = dataset.get("SOPClassUID"), dataset.get("BitsStored")
    has_shape = dataset.get("PresentationLUTShape") in ("IDENTITY", "INVERSE")
    is_meant = (sop_class in _P_VALUE_BYTES and bits == 8) or (sop_class in _P_VALUE_BY_SHAPE and has_shape)
    if is_meant and modality == Rescale() and not _is_signed(dataset) and isinstance(bits, int):
        return Window(2 ** (bits - 1), 2**bits, name="As stored")
    return None


def vois_of(dataset: Dataset, index: int, modality: Modality) -> list[Voi]:
    """Return the looks that the data set has for a frame: VOI LUTs, then windows.

    What makes no sense (a width of 0, a table without entries) is left out.
    """
    # What the stored values can be decides together with the modality transformation whether the first input of a table
    # may be negative (PS3.3 C.11.2.1.1); the entries of a Modality LUT never are (C.11.1.1).
    is_signed = isinstance(modality, Rescale) and modality.values(np.array(stored_range(dataset))).min() < 0
    vois: list[Voi] = []
    items = frame_attribute(dataset, index, _VOIS, "VOILUTSequence") or []
    for position, item in enumerate(items, start=1):
        try:
            table = lookup_table(item, dataset, inputs_signed=bool(is_signed))
        except ValueError:
            continue
        vois.append(replace(table, name=table.name or f"VOI LUT {position}"))
    return [*vois, *_windows(dataset, index)]


def _windows(dataset: Dataset, index: int) -> list[Window]:
    # What explains a window stands beside it: names and a function of elsewhere are those of other windows.
    holder = _holder(dataset, index, _VOIS, "WindowCenter")
    centers, widths = numbers(holder.get("WindowCenter")), numbers(holder.get("WindowWidth"))
    names = holder.get("WindowCenterWidthExplanation") or []
    named = [names] if isinstance(names, str) else [str(name) for name in names]
    stated = str(holder.get("VOILUTFunction") or "LINEAR").strip().upper()
    function: Function = next((known for known in WINDOW_FUNCTIONS if known == stated), "LINEAR")
    # LINEAR has no meaning for a width below 1, and what was meant is plain.
    narrow: Function = "LINEAR_EXACT" if function == "LINEAR" else function
    return [
        Window(
            center,
            width,
            function if width >= 1 else narrow,
            (named[at] if at < len(named) else "") or f"Window {at + 1}",
        )
        for at, (center, width) in enumerate(zip(centers, widths, strict=False))
        if width > 0
    ]


def lookup_table(item: Dataset, dataset: Dataset, *, inputs_signed: bool) -> LookupTable:
    """Return the table of an item of a Modality LUT or VOI LUT Sequence; ValueError without entries or descriptor.

    A table that is cut short keeps to the last entry that it has, and one whose entries use fewer bits than it says is
    shown by those; its `note` says so.
    """
    count, first, bits = descriptor_of(item.get("LUTDescriptor"), dataset, signed=inputs_signed)
    entries = table_entries(item, "LUTData", count, bits, dataset)
    notes = []
    if len(entries) < count:
        notes.append(f"has {len(entries)} of {count} entries, the last is used for the rest")
    bits = min(max(bits, _LUT_BITS[0]), _LUT_BITS[1])
    used = max(int(entries.max()).bit_length(), _LUT_BITS[0])
    if used > bits or used <= bits - BITS_MEANT:
        notes.append(f"{_USES} {used} bits where it says {bits}")
        bits = used
    return LookupTable(first, entries, bits, str(item.get("LUTExplanation") or ""), "; ".join(notes))


def descriptor_of(value: object, dataset: Dataset, *, signed: bool) -> tuple[int, int, int]:
    """Return what a LUT descriptor says: number of entries, first input, and bits of an entry; else
    ValueError.

    Three words, whatever VR they were written with; the second is signed where the inputs are (PS3.3
    C.11.1.1).
    """
    if isinstance(value, (bytes, bytearray)):  # of a VR that pydicom could not tell
        order = "<u2" if is_little_endian(dataset) else ">u2"
        value = np.frombuffer(value[: len(value) // 2 * 2], order).tolist()
    words = [int(number) % _ABOVE_16_BITS for number in numbers(value)]
    if len(words) != 3:
        raise ValueError(f"LUT Descriptor has {len(words)} values instead of 3 (PS3.3 C.11.1.1)")
    count, first, bits = words
    return count or _WHOLE_TABLE, first - _ABOVE_16_BITS if signed and first & _SIGN_BIT else first, bits


def words_of(item: Dataset, keyword: str, dataset: Dataset) -> bytes:
    """Return the words of a table, little-endian, whether they were read as bytes or as numbers; none without it."""
    if keyword not in item:
        return b""
    data = item[keyword].value
    if isinstance(data, (bytes, bytearray)):
        return little_endian(dataset, bytes(data), item[keyword].VR)
    return np.array(numbers(data), np.int64).astype("<u2").tobytes()


def table_entries(item: Dataset, keyword: str, count: int, bits: int, dataset: Dataset) -> NDArray[np.uint16]:
    """Return at most `count` entries of a table, each a word or a byte; ValueError where there are none."""
    data = words_of(item, keyword, dataset)
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2")
    # Entries of 8 bits may be packed two to a word, or not; so may those of a table that says more bits and has no
    # room for them.
    half = (count + 1) // 2
    is_packed = len(words) == half < count or (bits <= _LUT_BITS[0] and len(words) < half)
    found = np.frombuffer(data, np.uint8) if is_packed else words
    entries: NDArray[np.uint16] = found[:count].astype(np.uint16)
    if not len(entries):
        raise ValueError(f"{keyword} has no entries")
    return entries


def padding_of(dataset: Dataset) -> tuple[float, float] | None:
    """Return the smallest and largest stored value that stand for no picture (PS3.3 C.7.5.1.1.2), or None."""
    first = numbers(next((dataset[keyword].value for keyword in _PADDING if keyword in dataset), None))
    if not first:
        return None
    limits = (numbers(dataset.get(keyword.replace("Value", "RangeLimit"))) for keyword in _PADDING)
    ends = [first[0], next(filter(None, limits), first)[0]]
    if _is_signed(dataset):
        # Implicit VR does not tell US from SS, and a writer may have got it wrong in explicit VR.
        ends = [end - _ABOVE_16_BITS if _SIGN_BIT <= end < _ABOVE_16_BITS else end for end in ends]
    elif "PixelPaddingValue" in dataset:
        ends = [end + _ABOVE_16_BITS if -_SIGN_BIT <= end < 0 else end for end in ends]
    return min(ends), max(ends)


def unit_of(dataset: Dataset, index: int, modality: Modality) -> str:
    """Return the unit of modality values: HU, BQML, ... or nothing where the data set does not say."""
    if dataset.get("SOPClassUID") in _MODALITY_IS_NO_STEP:
        return ""
    for item in (dataset.get("ModalityLUTSequence") or [])[:1]:
        return _spelt(item.get("ModalityLUTType"))
    kind = frame_attribute(dataset, index, _TRANSFORMATION, "RescaleType")
    if _spelt(kind):
        return _spelt(kind)
    if dataset.get("Units"):
        return _spelt(dataset.get("Units"))
    if numbers(dataset.get("DoseGridScaling")) and dataset.get("DoseUnits"):  # without it they are no doses
        return _spelt(dataset.get("DoseUnits"))
    # PS3.3 C.8.2.1.1.2: rescaled values of a CT Image are Hounsfield units unless it says otherwise.
    slope = frame_attribute(dataset, index, _TRANSFORMATION, "RescaleSlope")
    is_hounsfield = dataset.get("Modality") == "CT" and slope is not None and not kind
    return "HU" if is_hounsfield else _mapped_unit(dataset, index, modality)


def _mapped_unit(dataset: Dataset, index: int, modality: Modality) -> str:
    """Return the unit of a Real World Value Mapping (PS3.3 C.7.6.16.2.11) that maps as the modality does."""
    sequence = "RealWorldValueMappingSequence"
    for item in [*frame_items(dataset, index, sequence), *(dataset.get(sequence) or [])]:
        mapping = numbers([item.get("RealWorldValueSlope"), item.get("RealWorldValueIntercept")])
        units = item.get("MeasurementUnitsCodeSequence") or []
        if len(mapping) == 2 and modality == Rescale(*mapping) and units:
            code = str(units[0].get("CodeValue") or "")
            return "" if code == "1" else code
    return ""


def _spelt(unit: object) -> str:
    return "" if unit in (None, "US") else str(unit)  # US: unspecified, PS3.3 C.11.1.1.2


def pixel_presentation(dataset: Dataset, index: int) -> str:
    """Return the Pixel Presentation of a frame, its own before that of the image (PS3.3 C.8.16.2.1.1), or nothing."""
    items = [item for sequence in _FRAME_TYPES for item in frame_items(dataset, index, sequence)]
    stated = (item.get("PixelPresentation") for item in (*items, dataset))
    return str(next(filter(None, stated), ""))


# Shape and film


def pixel_aspect(dataset: Dataset, index: int) -> float:
    """Return how many times as high as wide a pixel is.

    From Pixel Aspect Ratio (vertical and horizontal, PS3.3 C.7.6.3.1.7), else from the first spacing that there is
    (between rows, between columns): that of the patient's plane, of a region of ultrasound, at the detector, in the
    plane of an RT Image, of a scanned film; 1 without.
    """
    for candidate in (
        dataset.get("PixelAspectRatio"),
        frame_attribute(dataset, index, "PixelMeasuresSequence", "PixelSpacing"),
        _region_spacing(dataset),
        dataset.get("ImagerPixelSpacing"),
        dataset.get("ImagePlanePixelSpacing"),
        dataset.get("NominalScannedPixelSpacing"),
    ):
        pair = numbers(candidate)
        if len(pair) == 2 and min(pair) > 0:
            return pair[0] / pair[1]
    return 1.0


def _region_spacing(dataset: Dataset) -> list[float]:
    """Return the spacing of the first region of ultrasound that is tissue in two dimensions (PS3.3
    C.8.5.5.1).
    """
    for region in dataset.get("SequenceOfUltrasoundRegions") or []:
        units = region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection")
        deltas = numbers([region.get("PhysicalDeltaY"), region.get("PhysicalDeltaX")])
        if units == (_CENTIMETRES, _CENTIMETRES) and len(deltas) == 2:
            return [abs(delta) for delta in deltas]
    return []


def sweeps(dataset: Dataset) -> bool:
    """Tell whether a film is meant to run to its end and back, rather than from its beginning again (PS3.3 C.7.6.5).

    Returns
    -------
    bool
    """
    return numbers(dataset.get("PreferredPlaybackSequencing")) == [_SWEEPING]


def frame_rate_of(dataset: Dataset) -> float | None:
    """Return at how many frames a second a film is meant to run (PS3.3 C.7.6.5.1.1).

    Recommended Display Frame Rate and Cine Rate say it; else frames follow each other as they were acquired, by Frame
    Time or the mean of Frame Time Vector, in milliseconds.

    Returns
    -------
    float or None
        None where the data set does not say.
    """
    for keyword in ("RecommendedDisplayFrameRate", "CineRate"):
        rate = numbers(dataset.get(keyword))
        if rate and rate[0] > 0:
            return rate[0]
    vector = numbers(dataset.get("FrameTimeVector"))[1:]  # its first value is the time before the first frame
    times = numbers(dataset.get("FrameTime")) or ([sum(vector) / len(vector)] if vector else [])
    return 1000 / times[0] if times and times[0] > 0 else None
