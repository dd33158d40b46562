"""What a viewer shows: the standard's arithmetic, held against pydicom's pipeline and against DCMTK."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import data_store
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicomkit.errors import MissingExtraError, UnreadableError
from dicomkit.preview import (
    CT_WINDOWS,
    Colour,
    Grey,
    Kind,
    LookupTable,
    Rescale,
    Waveform,
    Window,
    encapsulated_pdf,
    frame_count,
    frame_rate_of,
    kind_of,
    picture_of,
    read_report,
    read_waveforms,
    series_of,
    spanning,
    to_8bit,
    why_no_picture,
)

FOLDERS = (
    Path(pydicom.__file__).parent / "data" / "test_files",
    Path(data_store.__file__).parent / "data",
)
TEST_FILES = {path.name: path for folder in FOLDERS for path in sorted(folder.glob("*.dcm"))}

NOT_DECODED = {
    "JPEG-lossy.dcm": "12-bit JPEG of an invalid header, which libjpeg refuses",
    "JPEG2000-embedded-sequence-delimiter.dcm": "its codestream holds a sequence delimiter and is cut there",
    "MR_truncated.dcm": "pixels cut off",
    "meta_missing_tsyntax.dcm": "no Bits Allocated",
    "nested_priv_SQ.dcm": "no Bits Allocated",
}


def image_names() -> Iterator[str]:
    """Yield the names of pydicom's test files with pixels that decode."""
    for name, path in TEST_FILES.items():
        header = pydicom.dcmread(path, force=True, defer_size=1024)
        if kind_of(header) is Kind.IMAGE and name not in NOT_DECODED:
            yield name


def read(name: str) -> Dataset:
    return pydicom.dcmread(TEST_FILES[name], force=True)


def image(stored: np.ndarray[Any, Any], **attributes: Any) -> Dataset:
    """Return an uncompressed grey image of these values, read from nowhere."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    frames, rows, columns = stored.shape if stored.ndim == 3 else (1, *stored.shape)
    bits = stored.dtype.itemsize * 8
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames, rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def grey(dataset: Dataset, index: int = 0) -> Grey:
    picture = picture_of(dataset, index)
    assert isinstance(picture, Grey)
    return picture


def by_the_letter(x: float, c: float, w: float, function: str) -> int:
    """The grey level of one value, as PS3.3 C.11.2.1.2 and C.11.2.1.3 write it, rounded half up."""
    if function == "SIGMOID":
        exponent = -4 * (x - c) / w
        y = 255 / (1 + math.exp(exponent)) if exponent < 700 else 0.0
    elif function == "LINEAR_EXACT":
        y = 0.0 if x <= c - w / 2 else 255.0 if x > c + w / 2 else ((x - c) / w + 0.5) * 255
    elif x <= c - 0.5 - (w - 1) / 2:
        y = 0.0
    elif x > c - 0.5 + (w - 1) / 2:
        y = 255.0
    else:
        y = ((x - (c - 0.5)) / (w - 1) + 0.5) * 255
    return math.floor(y + 0.5)


# Windows


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@given(x=st.integers(-4000, 4000), center=st.integers(-2000, 2000), width=st.integers(1, 4000))
def test_a_window_gives_the_levels_of_the_standard(function: Any, x: int, center: int, width: int) -> None:
    window = Window(center, width, function)
    assert window.to_8bit(np.array([x]))[0] == by_the_letter(x, center, width, function)


@pytest.mark.parametrize(
    ("value", "level"), [(-1.0, 0), (0.0, 0), (0.25, 64), (0.5, 128), (1.0, 255), (7.0, 255)]
)
def test_levels_are_rounded_half_up(value: float, level: int) -> None:
    # 0.25 is 63.75, and 0.5 is 127.5, which half-to-even would also make 128; 126.5 tells them apart.
    assert Window(0.5, 1, "LINEAR_EXACT").to_8bit(np.array([value]))[0] == level
    assert Window(127.5, 255, "LINEAR_EXACT").to_8bit(np.array([126.5]))[0] == 127


def test_a_linear_window_of_width_1_is_a_threshold() -> None:
    assert list(Window(10, 1).to_8bit(np.array([9, 9.5, 9.6, 10, 11]))) == [0, 0, 255, 255, 255]


def test_what_is_not_a_number_is_black_and_infinity_white() -> None:
    levels = Window(0.5, 1, "LINEAR_EXACT").to_8bit(np.array([np.nan, np.inf, -np.inf]))
    assert list(levels) == [0, 255, 0]


@pytest.mark.parametrize(
    ("center", "width", "function", "said"),
    [
        (0, 0.5, "LINEAR", "below 1"),
        (0, 0, "LINEAR_EXACT", "above 0"),
        (0, -1, "SIGMOID", "above 0"),
        (0, 10, "CUBIC", "none of LINEAR, LINEAR_EXACT, SIGMOID"),
        (float("nan"), 10, "LINEAR", "finite"),
    ],
)
def test_a_window_without_meaning_is_refused_with_the_reason(
    center: float, width: float, function: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Window(center, width, function)


@given(st.lists(st.integers(-40000, 40000), min_size=1, max_size=20))
def test_the_full_range_is_from_black_to_white(values: list[int]) -> None:
    levels = spanning(min(values), max(values)).to_8bit(np.array(values))
    if min(values) < max(values):
        assert levels[np.argmin(values)] == 0
        assert levels[np.argmax(values)] == 255


def test_the_full_range_of_fractions_is_exact() -> None:
    values = np.array([0.001, 0.002, 0.003, np.nan])
    assert list(spanning(0.001, 0.003).to_8bit(values)) == [0, 128, 255, 0]


def test_a_lookup_table_keeps_to_its_ends_and_rounds_its_inputs() -> None:
    table = LookupTable(-2, np.array([0, 100, 200, 255], np.uint16), 8)
    assert list(table.to_8bit(np.array([-9, -2, -1.4, -0.5, 1, 50]))) == [0, 0, 100, 200, 255, 255]


# Stored values


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", "<i2", "<u4", "<i4"])
def test_stored_values_of_every_width_arrive(dtype: str) -> None:
    limits = np.iinfo(dtype)
    stored = np.array([[limits.min, 0], [1, limits.max]], dtype)
    picture = grey(image(stored))
    assert np.array_equal(picture.stored, stored)
    assert list(to_8bit(picture).reshape(-1))[-1] == 255


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
def test_float_pixels_are_shown_over_their_range(keyword: str, dtype: str) -> None:
    stored = np.array([[0.0, 0.25], [0.5, 1.0]], dtype)
    dataset = image(np.zeros((2, 2), "<u4" if dtype == "<f4" else "<u8"))
    del dataset.PixelData
    dataset.BitsAllocated = stored.dtype.itemsize * 8
    setattr(dataset, keyword, stored.tobytes())
    assert to_8bit(grey(dataset)).tolist() == [[0, 64], [128, 255]]


def test_unused_bits_are_left_out_and_the_sign_kept() -> None:
    stored = np.array([[0xF001, 0x0801, 0x0FFF, 0x17FF]], "<u2")
    unsigned = image(stored, BitsStored=12, HighBit=11)
    assert grey(unsigned).stored.tolist() == [[1, 0x801, 0xFFF, 0x7FF]]
    signed = image(stored, BitsStored=12, HighBit=11, PixelRepresentation=1)
    assert grey(signed).stored.tolist() == [[1, 0x801 - 0x1000, -1, 0x7FF]]


def test_values_above_their_lowest_bits_are_shifted_down() -> None:
    stored = np.array([[0x1234, 0xFFF0]], "<u2")
    assert grey(image(stored, BitsStored=12, HighBit=15)).stored.tolist() == [[0x123, 0xFFF]]


def test_one_bit_pixels_are_black_and_white() -> None:
    picture = grey(read("liver_1frame.dcm"))
    assert set(np.unique(to_8bit(picture))) == {0, 255}


def test_monochrome1_and_inverse_are_white_where_small() -> None:
    stored = np.array([[0, 255]], "u1")
    assert to_8bit(grey(image(stored, PhotometricInterpretation="MONOCHROME1"))).tolist() == [[255, 0]]
    assert to_8bit(grey(image(stored, PresentationLUTShape="INVERSE"))).tolist() == [[255, 0]]


def test_a_frame_is_read_alone_from_its_file(tmp_path: Path) -> None:
    stored = np.arange(24, dtype="<u2").reshape(3, 2, 4)
    dataset = image(stored, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SOPInstanceUID="2.25.1")
    path = tmp_path / "frames.dcm"
    dataset.save_as(path, enforce_file_format=True)
    deferred = pydicom.dcmread(path, defer_size=8)
    for index in range(frame_count(deferred)):
        picture = picture_of(deferred, index, path)
        assert isinstance(picture, Grey)
        assert np.array_equal(picture.stored, stored[index])


def test_a_data_set_is_not_changed_by_looking_at_it() -> None:
    dataset = read("MR-SIEMENS-DICOM-WithOverlays.dcm")
    before = dataset.to_json()
    picture_of(dataset)
    assert dataset.to_json() == before


def test_padding_is_left_out_of_the_range() -> None:
    stored = np.array([[-2000, -100, 0, 100]], "<i2")
    dataset = image(stored, PixelPaddingValue=-2000)
    assert grey(dataset).padding == (-2000, -2000)
    assert to_8bit(grey(dataset)).tolist() == [[0, 0, 128, 255]]
    dataset.PixelPaddingRangeLimit = -100
    assert grey(dataset).padding == (-2000, -100)


def test_a_signed_padding_value_written_as_an_unsigned_one_is_understood() -> None:
    dataset = image(np.array([[-2000, 5]], "<i2"))
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
    assert grey(dataset).padding == (-2000, -2000)


def region(x_units: int, y_units: int, delta_y: float, delta_x: float) -> Dataset:
    item = Dataset()
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = x_units, y_units
    item.PhysicalDeltaY, item.PhysicalDeltaX = delta_y, delta_x
    return item


def test_a_dose_is_scaled_and_has_its_unit() -> None:
    dataset = image(np.array([[0, 1000]], "<u4"), DoseGridScaling="0.002", DoseUnits="GY")
    assert grey(dataset).values.tolist() == [[0, 2]]
    assert grey(dataset).unit == "GY"


def test_stored_values_without_a_scaling_are_no_doses() -> None:
    assert grey(image(np.array([[0, 1000]], "<u4"), DoseUnits="GY")).unit == ""


@pytest.mark.parametrize(
    ("attributes", "unit"),
    [
        ({"Units": "BQML", "RescaleType": "US", "RescaleSlope": 2, "RescaleIntercept": 0}, "BQML"),
        ({"Units": "BQML", "RescaleType": "HU", "RescaleSlope": 2, "RescaleIntercept": 0}, "HU"),
        ({"Modality": "CT", "RescaleType": "US", "RescaleSlope": 2, "RescaleIntercept": 0}, ""),
        ({"Modality": "CT", "RescaleSlope": 2, "RescaleIntercept": 0}, "HU"),
    ],
)
def test_a_unit_that_is_unspecified_leaves_another(attributes: dict[str, Any], unit: str) -> None:
    assert grey(image(np.array([[0, 1000]], "<u2"), **attributes)).unit == unit


@pytest.mark.parametrize("value", [b"1A", b"0 ", b"-3", b"  ", b"2\\3 "])
def test_a_number_of_frames_that_is_none_leaves_one_frame(value: bytes) -> None:
    stored = np.array([[1, 2], [3, 4]], "u1")
    dataset = image(stored)
    dataset._dict[0x00280008] = RawDataElement(  # type: ignore[assignment]
        BaseTag(0x00280008), "IS", len(value), value, 0, False, True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert frame_count(dataset) == 1
        assert np.array_equal(grey(dataset).stored, stored)
        assert grey(dataset).notes == ("Number of Frames is no number above 0, and one frame is shown",)


@pytest.mark.parametrize("value", [b"", None])
def test_empty_pixels_are_said(value: bytes | None) -> None:
    dataset = image(np.zeros((2, 2), "u1"))
    dataset.PixelData = value
    with pytest.raises(UnreadableError, match="Pixel Data is empty"):
        picture_of(dataset)


@pytest.mark.parametrize(
    ("attributes", "rate"),
    [
        ({}, None),
        ({"FrameTime": 40}, 25),
        ({"CineRate": 15, "FrameTime": 40}, 15),
        ({"RecommendedDisplayFrameRate": 12, "CineRate": 15}, 12),
        ({"FrameTimeVector": [0, 50, 150]}, 10),
        ({"FrameTime": 0}, None),
        ({"CineRate": 0, "FrameTime": 100}, 10),
    ],
)
def test_a_film_says_how_fast_it_runs(attributes: dict[str, Any], rate: float | None) -> None:
    assert frame_rate_of(image(np.zeros((3, 2, 2), "u1"), **attributes)) == rate


@pytest.mark.parametrize(
    ("attributes", "aspect"),
    [
        ({}, 1.0),
        ({"PixelSpacing": [2.0, 1.0]}, 2.0),
        ({"ImagerPixelSpacing": [1.0, 4.0]}, 0.25),
        ({"PixelAspectRatio": [3, 2], "PixelSpacing": [1.0, 1.0]}, 1.5),
        ({"PixelSpacing": [0.0, 0.0]}, 1.0),
        ({"ImagePlanePixelSpacing": [0.5, 0.25]}, 2.0),
        ({"SequenceOfUltrasoundRegions": [region(3, 3, 0.02, 0.01)]}, 2.0),
        ({"SequenceOfUltrasoundRegions": [region(4, 3, 0.5, 0.01), region(3, 3, -0.01, 0.02)]}, 0.5),
        ({"SequenceOfUltrasoundRegions": [region(4, 7, 0.5, 0.01)]}, 1.0),
    ],
)
def test_the_shape_of_a_pixel(attributes: dict[str, Any], aspect: float) -> None:
    assert grey(image(np.zeros((2, 2), "u1"), **attributes)).aspect == aspect


def test_an_enhanced_frame_has_its_own_rescale_window_and_spacing() -> None:
    def groups(slope: float, center: float) -> Dataset:
        item = Dataset()
        item.PixelValueTransformationSequence = [Dataset()]
        item.PixelValueTransformationSequence[0].RescaleSlope = slope
        item.PixelValueTransformationSequence[0].RescaleIntercept = 0
        item.FrameVOILUTSequence = [Dataset()]
        item.FrameVOILUTSequence[0].WindowCenter = center
        item.FrameVOILUTSequence[0].WindowWidth = 100
        return item

    dataset = image(np.ones((2, 2, 2), "<u2"))
    dataset.PerFrameFunctionalGroupsSequence = Sequence([groups(2, 10), groups(3, 20)])
    shared = Dataset()
    shared.PixelMeasuresSequence = [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = [2, 1]
    dataset.SharedFunctionalGroupsSequence = [shared]
    for index, (slope, center) in enumerate([(2, 10), (3, 20)]):
        picture = grey(dataset, index)
        assert picture.modality == Rescale(slope, 0)
        assert picture.vois[0] == Window(center, 100, "LINEAR", "Window 1")
        assert picture.aspect == 2


def test_windows_without_meaning_are_passed_over() -> None:
    attributes = {"WindowCenter": [1, 2, 3], "WindowWidth": [0, 0.5, 100], "VOILUTFunction": "LINEAR"}
    names = [
        (voi.name, voi.function)
        for voi in grey(image(np.zeros((2, 2), "u1"), **attributes)).vois
        if isinstance(voi, Window)
    ]
    assert names == [("Window 2", "LINEAR_EXACT"), ("Window 3", "LINEAR"), ("Full range", "LINEAR")]


def test_a_ct_offers_the_customary_windows_in_hounsfield_units() -> None:
    picture = grey(read("CT_small.dcm"))
    assert picture.unit == "HU"
    assert picture.vois[-len(CT_WINDOWS) :] == CT_WINDOWS
    assert grey(read("MR_small.dcm")).unit == ""


# Colours


def test_palettes_of_16_bits_are_shown_by_their_high_bytes() -> None:
    dataset = image(np.array([[0, 1, 2, 9]], "u1"), PhotometricInterpretation="PALETTE COLOR")
    for channel, entries in {"Red": [0, 0xFF00], "Green": [0x8000, 0], "Blue": [0x0100, 0x0200]}.items():
        setattr(dataset, f"{channel}PaletteColorLookupTableDescriptor", [2, 1, 16])
        setattr(dataset, f"{channel}PaletteColorLookupTableData", np.array(entries, "<u2").tobytes())
    assert to_8bit(picture_of(dataset)).tolist() == [[[0, 128, 1], [0, 128, 1], [255, 0, 2], [255, 0, 2]]]


def test_a_segmented_palette_is_expanded() -> None:
    picture = picture_of(read("gdcm-US-ALOKA-16.dcm"))
    assert isinstance(picture, Colour)
    assert len(np.unique(picture.rgb.reshape(-1, 3), axis=0)) > 10


def test_a_palette_that_is_not_there_is_said() -> None:
    dataset = image(np.zeros((2, 2), "u1"), PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(UnreadableError, match="Red Palette Color Lookup Table Descriptor"):
        picture_of(dataset)
    for channel in ("Red", "Green", "Blue"):
        setattr(dataset, f"{channel}PaletteColorLookupTableDescriptor", [256, 0, 8])
        setattr(dataset, f"{channel}PaletteColorLookupTableData", b"")
    with pytest.raises(UnreadableError, match="red channel is empty"):
        picture_of(dataset)


def test_partial_ybr_spans_16_to_235() -> None:
    dataset = image(np.array([[16, 235, 128, 128]], "u1"))
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.Columns = 3, 0, 2
    dataset.PhotometricInterpretation = "YBR_PARTIAL_422"
    assert np.abs(to_8bit(picture_of(dataset)).astype(int) - [[[0] * 3, [255] * 3]]).max() <= 1


def test_sixteen_bit_colours_use_the_whole_scale() -> None:
    dataset = image(np.array([[0, 0x8000, 0xFFFF]], "<u2"))
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.Columns = 3, 0, 1
    dataset.PhotometricInterpretation = "RGB"
    assert to_8bit(picture_of(dataset)).tolist() == [[[0, 128, 255]]]


# Overlays


def test_an_overlay_of_its_own_lies_where_it_says() -> None:
    bitmap = np.array([[1, 0, 1], [0, 1, 0]], bool)
    dataset = image(np.zeros((4, 4), "u1"))
    for element, vr, value in [
        (0x0010, "US", 2),
        (0x0011, "US", 3),
        (0x0022, "LO", "Marks"),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [2, 0]),
        (0x0100, "US", 1),
        (0x0102, "US", 0),
        (0x3000, "OW", np.packbits(bitmap.reshape(-1), bitorder="little").tobytes() + b"\0"),
    ]:
        dataset.add_new((0x6000, element), vr, value)
    (overlay,) = grey(dataset).overlays
    assert (overlay.name, overlay.row, overlay.column) == ("Marks", 1, -1)
    assert np.array_equal(overlay.bitmap, bitmap)


def test_an_overlay_in_the_unused_bits_is_found() -> None:
    stored = np.array([[0x1001, 0x0002], [0x0003, 0x1004]], "<u2")
    dataset = image(stored, BitsStored=12, HighBit=11)
    dataset.add_new((0x6002, 0x0010), "US", 2)
    dataset.add_new((0x6002, 0x0011), "US", 2)
    dataset.add_new((0x6002, 0x0100), "US", 16)
    dataset.add_new((0x6002, 0x0102), "US", 12)
    picture = grey(dataset)
    assert picture.stored.tolist() == [[1, 2], [3, 4]]
    assert picture.overlays[0].bitmap.tolist() == [[True, False], [False, True]]


def test_an_overlay_agrees_with_pydicom() -> None:
    dataset = read("MR-SIEMENS-DICOM-WithOverlays.dcm")
    (overlay,) = grey(dataset).overlays
    assert np.array_equal(overlay.bitmap, dataset.overlay_array(0x6000) == 1)


def test_an_overlay_that_is_cut_off_is_left_out() -> None:
    dataset = image(np.zeros((2, 2), "u1"))
    dataset.add_new((0x6000, 0x0010), "US", 200)
    dataset.add_new((0x6000, 0x0011), "US", 200)
    dataset.add_new((0x6000, 0x3000), "OW", b"\0\0")
    assert grey(dataset).overlays == ()


# What cannot be shown says why


def test_no_pixels_is_a_sentence() -> None:
    assert kind_of(read("rtplan.dcm")) is Kind.NOTHING
    assert why_no_picture(read("rtplan.dcm")).startswith("RT Plan Storage: nothing to look at")
    with pytest.raises(UnreadableError, match="it has no pixels"):
        picture_of(read("rtplan.dcm"))


@pytest.mark.parametrize("name", sorted(NOT_DECODED))
def test_broken_pixels_are_an_error_with_a_reason(name: str) -> None:
    with pytest.raises(UnreadableError, match="cannot be"):
        picture_of(read(name))


def test_a_cut_off_file_says_how_much_is_missing() -> None:
    with pytest.raises(UnreadableError, match="8130 vs 8192 bytes"):
        picture_of(read("MR_truncated.dcm"), 0, TEST_FILES["MR_truncated.dcm"])


def test_a_codec_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import JPEG2000LosslessDecoder

    monkeypatch.setattr(JPEG2000LosslessDecoder, "_available", {})
    with pytest.raises(MissingExtraError, match=r"pip install 'dicomkit\[codecs\]'") as caught:
        picture_of(read("MR_small_jp2klossless.dcm"))
    assert caught.value.package == "pylibjpeg-openjpeg"


def test_a_film_that_nothing_decodes_is_said() -> None:
    dataset = image(np.zeros((2, 2), "u1"))
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML
    with pytest.raises(UnreadableError, match="no package decodes pixels in MPEG2"):
        picture_of(dataset)


def test_retired_colours_are_said() -> None:
    with pytest.raises(UnreadableError, match="Photometric Interpretation CMYK is retired"):
        picture_of(image(np.zeros((2, 2), "u1"), PhotometricInterpretation="CMYK"))


def test_a_description_that_cannot_be_parsed_is_an_error_of_ours() -> None:
    dataset = image(np.zeros((2, 2), "u1"))
    dataset.PixelRepresentation = 0
    dataset.ModalityLUTSequence = [Dataset()]
    with pytest.raises(UnreadableError, match="the description of frame 1 cannot be read"):
        picture_of(dataset)


def test_nothing_a_file_holds_is_warned_about(recwarn: pytest.WarningsRecorder) -> None:
    for name in ("MR_small_padded.dcm", "CT_small.dcm"):
        dataset = read(name)
        recwarn.clear()
        picture_of(dataset)
        assert not recwarn.list


# Against pydicom's pipeline


def grey_names() -> Iterator[str]:
    """Yield those with one sample a pixel and no palette, which say their transfer syntax."""
    for name in image_names():
        header = pydicom.dcmread(TEST_FILES[name], force=True, stop_before_pixels=True)
        is_grey = str(header.PhotometricInterpretation).startswith("MONOCHROME")
        # pydicom's pipeline looks neither into functional groups nor at doses; tests do.
        left_out = name == "eCT_Supplemental.dcm" or "DoseGridScaling" in header
        if is_grey and "TransferSyntaxUID" in header.file_meta and not left_out:
            yield name


@pytest.mark.parametrize("name", list(grey_names()))
def test_pydicom_comes_to_the_same_values(name: str) -> None:
    dataset = read(name)
    picture = grey(dataset)
    stored = dataset.pixel_array if frame_count(dataset) == 1 else dataset.pixel_array[0]
    assert np.array_equal(picture.stored, stored)
    values = apply_modality_lut(stored, dataset)
    assert np.array_equal(picture.values, values)
    for voi in picture.vois:
        ours = voi.to_8bit(picture.values).astype(float)
        if isinstance(voi, LookupTable):
            theirs = apply_voi(values, dataset).astype(float) * 255 / (2**voi.bits - 1)
        else:
            theirs = apply_windowing(values, window_for_pydicom(voi))
        assert np.abs(ours - np.floor(theirs + 0.5)).max() <= 1


def window_for_pydicom(window: Window) -> Dataset:
    """Return a header with which pydicom's windows give 0..255."""
    header = Dataset()
    header.PhotometricInterpretation, header.PixelRepresentation, header.BitsStored = "MONOCHROME2", 0, 8
    header.WindowCenter, header.WindowWidth = f"{window.center:g}", f"{window.width:g}"
    header.VOILUTFunction = window.function
    return header


# Series


def header(uid: str, instance: int, z: float | None, **attributes: Any) -> Dataset:
    dataset = Dataset()
    dataset.SeriesInstanceUID, dataset.InstanceNumber, dataset.Rows = uid, instance, 2
    dataset.Modality = "CT"
    if z is not None:
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.ImagePositionPatient = [0, 0, z]
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def order(*headers: Dataset) -> list[list[int]]:
    found = series_of((one, one) for one in headers)
    return [[place.origin.InstanceNumber for place in series.slices] for series in found]  # type: ignore[union-attr]


def test_slices_follow_their_position() -> None:
    assert order(header("1", 1, 30.0), header("1", 2, 10.0), header("1", 3, 20.0)) == [[2, 3, 1]]


def test_slices_without_position_follow_their_number() -> None:
    assert order(header("1", 3, 1.0), header("1", 1, 2.0), header("1", 2, None)) == [[1, 2, 3]]


def test_slices_across_each_other_follow_their_number() -> None:
    tilted = header("1", 1, 9.0, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    assert order(header("1", 2, 1.0), tilted) == [[1, 2]]


def test_slices_at_one_place_follow_acquisition_and_number() -> None:
    late = header("1", 1, 5.0, AcquisitionNumber=2)
    early = header("1", 7, 5.0, AcquisitionNumber=1)
    assert order(late, early) == [[7, 1]]


def test_series_are_told_apart_and_named() -> None:
    first, second = header("1", 1, 1.0, SeriesNumber=4, SeriesDescription="Liver"), header("2", 2, 1.0)
    found = series_of([(first, first), (second, second)])
    assert [series.name for series in found] == ["CT · 4 · Liver", "CT"]


def test_frames_of_one_object_stay_together() -> None:
    film = header("1", 1, None, NumberOfFrames=3)
    assert [place.index for place in series_of([(film, film)])[0].slices] == [0, 1, 2]


# Documents


def test_a_report_reads_as_a_tree() -> None:
    lines = read_report(read("reportsi.dcm"))[0]
    assert lines[0].depth == 0
    assert max(line.depth for line in lines) >= 1
    assert all(str(line) == str(line).rstrip() or line.value for line in lines)


def test_a_measurement_has_its_unit() -> None:
    unit, item, measured = Dataset(), Dataset(), Dataset()
    unit.CodeValue = "mm"
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "24", [unit]
    item.ValueType, item.MeasuredValueSequence = "NUM", [measured]
    assert read_report(item)[0][0].value == "24 mm"


def test_a_pdf_loses_the_byte_that_made_it_even() -> None:
    dataset = Dataset()
    dataset.EncapsulatedDocument, dataset.EncapsulatedDocumentLength = b"%PDF-1.7 x\0", 10
    assert kind_of(dataset) is Kind.PDF
    assert encapsulated_pdf(dataset) == b"%PDF-1.7 x"


def test_a_document_that_is_no_pdf_is_said() -> None:
    dataset = Dataset()
    dataset.EncapsulatedDocument = b"<html>"
    with pytest.raises(UnreadableError, match="does not begin as a PDF"):
        encapsulated_pdf(dataset)
    dataset.MIMETypeOfEncapsulatedDocument = "model/stl"
    assert kind_of(dataset) is Kind.NOTHING
    assert "model/stl" in why_no_picture(dataset)


def test_an_ecg_has_its_channels_in_their_units() -> None:
    dataset = read("waveform_ecg.dcm")
    first = read_waveforms(dataset)[0][0]
    assert (len(first.channels), first.rate_hz, first.samples.shape) == (12, 1000.0, (12, 10000))
    assert set(first.units) == {"uV"}
    assert np.allclose(first.samples, dataset.waveform_array(0).T)


def test_a_waveform_that_cannot_be_decoded_hides_no_other() -> None:
    dataset = read("waveform_ecg.dcm")
    good = read_waveforms(dataset)[0][1]
    dataset.WaveformSequence[0].WaveformData = b"\0" * 10
    (left,) = read_waveforms(dataset)[0]
    assert np.array_equal(left.samples, good.samples)
    del dataset.WaveformSequence[1]
    with pytest.raises(UnreadableError, match="waveform 1 cannot be decoded"):
        read_waveforms(dataset)


def test_thinning_keeps_every_peak() -> None:
    samples = np.zeros((2, 10001), np.float32)
    samples[0, 7777], samples[1, 3] = 5, -4
    thin = Waveform("", 500.0, ("I", "II"), ("mV", "mV"), samples).thinned(1000)
    assert thin.samples.shape[1] <= 1002
    assert thin.samples[0].max() == 5
    assert thin.samples[1].min() == -4
    assert thin.samples.shape[1] / thin.rate_hz == pytest.approx(10001 / 500, rel=0.01)


def test_an_implicit_signed_image_reads_as_an_explicit_one() -> None:
    explicit = grey(read("MR_small.dcm"))
    implicit = read("MR_small_implicit.dcm")
    assert implicit.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert np.array_equal(grey(implicit).stored, explicit.stored)
