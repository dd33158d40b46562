"""Lookup tables and palettes: sign and length of their descriptors, bytes in words, tables that are not as they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicomkit.preview import Colour, Grey, LookupTable, Window, picture_of, to_8bit
from dicomkit.preview._colours import expanded
from tests.preview.test_bits import big_endian
from tests.preview.test_looks import lut
from tests.preview.test_preview import grey, image

VRS = ("US", "SS")


def as_written(words: list[int], vr: str) -> list[int]:
    """Return words of 16 bits as numbers of a VR."""
    return [word - 0x10000 if vr == "SS" and word >= 0x8000 else word for word in words]


def table_of(picture: Grey) -> LookupTable:
    table = picture.vois[0]
    assert isinstance(table, LookupTable)
    return table


# Sign and length


@pytest.mark.parametrize("vr", VRS)
@pytest.mark.parametrize(
    ("attributes", "first", "read_as"),
    [
        ({}, 40000, 40000),  # unsigned, no rescale
        ({"RescaleSlope": 1, "RescaleIntercept": -1024}, 0xFC00, -1024),
        ({"RescaleSlope": 1, "RescaleIntercept": 0}, 0xFC00, 0xFC00),
        ({"RescaleSlope": -1, "RescaleIntercept": 100}, 0xFFF0, -16),
        ({"RescaleSlope": -1, "RescaleIntercept": 65535}, 0xFFF0, 0xFFF0),
        ({"PixelRepresentation": 1}, 0xFFF0, -16),
        ({"PixelRepresentation": 1, "RescaleSlope": 1, "RescaleIntercept": 32768}, 40000, 40000),
        ({"PixelRepresentation": 1, "RescaleSlope": 1, "RescaleIntercept": 100}, 0xFFF0, -16),
    ],
)
def test_a_first_input_is_signed_where_inputs_may_be_negative(
    vr: str, attributes: dict[str, Any], first: int, read_as: int
) -> None:
    item = lut(as_written([256, first, 8], vr), list(range(256)), vr=vr)
    picture = grey(image(np.zeros((2, 2), "<u2"), VOILUTSequence=[item], **attributes))
    assert table_of(picture).first == read_as


def test_fewer_bits_stored_decide_whether_inputs_may_be_negative() -> None:
    item = lut([256, 0xFC00, 8], list(range(256)))
    attributes = {"RescaleSlope": 1, "RescaleIntercept": 2048, "PixelRepresentation": 1}
    dataset = image(np.zeros((2, 2), "<i2"), VOILUTSequence=[item], **attributes)
    assert table_of(grey(dataset)).first == -1024
    dataset.BitsStored, dataset.HighBit = 12, 11  # -2048 and up: at least 0
    assert table_of(grey(dataset)).first == 0xFC00


@pytest.mark.parametrize("vr", VRS)
def test_a_modality_lut_is_signed_with_the_pixels_and_its_outputs_are_not(vr: str) -> None:
    item = lut(as_written([256, 0xFF80, 16], vr), list(range(256)), vr=vr)
    voi = lut(as_written([256, 0xFF00, 8], vr), list(range(256)), vr=vr)
    dataset = image(np.array([[-128, 127]], "<i2"), ModalityLUTSequence=[item], VOILUTSequence=[voi])
    picture = grey(dataset)
    assert picture.values.tolist() == [[0, 255]]
    assert table_of(picture).first == 0xFF00
    dataset.PixelRepresentation = 0
    assert isinstance(grey(dataset).modality, LookupTable)
    assert grey(dataset).modality.first == 0xFF80  # type: ignore[union-attr]


@pytest.mark.parametrize("vr", VRS)
@pytest.mark.parametrize("count", [40000, 0])
def test_a_number_of_entries_is_never_negative(vr: str, count: int) -> None:
    entries = np.arange(count or 65536) % 256
    item = lut(as_written([count, 0, 8], vr), entries.tolist(), vr=vr)
    table = table_of(grey(image(np.zeros((2, 2), "<u2"), VOILUTSequence=[item])))
    assert len(table.entries) == (count or 65536)
    assert table.note == ""


@given(
    first=st.integers(-300, 300),
    count=st.integers(1, 600),
    bits=st.integers(8, 16),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_table_gives_what_the_standard_says(first: int, count: int, bits: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    entries = generator.integers(0, 2**bits, count)
    entries[0] = 2**bits - 1  # uses all the bits that it says
    stored = generator.integers(-512, 512, (8, 8)).astype("<i2")
    item = lut([count, first % 65536, bits], entries.tolist())
    shown = to_8bit(grey(image(stored, VOILUTSequence=[item])))
    # PS3.3 C.11.2.1.1: below the first input the first entry, above the last one the last.
    expected = entries[np.clip(stored.astype(int) - first, 0, count - 1)] * 255 / (2**bits - 1)
    assert np.array_equal(shown, np.floor(expected + 0.5))


# Functional groups


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_voi_lut_of_a_functional_group_is_offered(is_shared: bool) -> None:
    def groups(entries: list[int]) -> Dataset:
        item, frame_voi = Dataset(), Dataset()
        frame_voi.VOILUTSequence = [lut([256, 0, 8], entries, "FRAME")]
        item.FrameVOILUTSequence = [frame_voi]
        return item

    ramp = list(range(256))
    dataset = image(np.arange(256, dtype="u1").reshape(2, 8, 16))
    if is_shared:
        dataset.SharedFunctionalGroupsSequence = [groups(ramp[::-1])]
        dataset.PerFrameFunctionalGroupsSequence = [Dataset(), Dataset()]
    else:
        dataset.PerFrameFunctionalGroupsSequence = [groups(ramp), groups(ramp[::-1])]
    assert table_of(grey(dataset, 1)).name == "FRAME"
    assert np.array_equal(to_8bit(grey(dataset, 1)), 255 - np.arange(128, 256).reshape(8, 16))


def test_a_window_has_the_function_and_the_names_that_stand_beside_it() -> None:
    shared, own, groups, frame = Dataset(), Dataset(), Dataset(), Dataset()
    shared.WindowCenter, shared.WindowWidth, shared.VOILUTFunction = 100, 50, "SIGMOID"
    shared.WindowCenterWidthExplanation = "LUNG"
    own.WindowCenter, own.WindowWidth = 700, 100
    groups.FrameVOILUTSequence, frame.FrameVOILUTSequence = [shared], [own]
    dataset = image(np.zeros((2, 2, 2), "<u2"), SharedFunctionalGroupsSequence=[groups])
    dataset.PerFrameFunctionalGroupsSequence = [Dataset(), frame]
    assert grey(dataset, 0).vois[0] == Window(100, 50, "SIGMOID", "LUNG")
    assert grey(dataset, 1).vois[0] == Window(700, 100, "LINEAR", "Window 1")


def test_a_unit_of_a_functional_group_is_that_of_the_frame() -> None:
    def transformation(kind: str) -> Dataset:
        item, groups = Dataset(), Dataset()
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 1, 0, kind
        groups.PixelValueTransformationSequence = [item]
        return groups

    dataset = image(np.zeros((2, 2, 2), "u1"))
    dataset.PerFrameFunctionalGroupsSequence = [transformation("HU"), transformation("mgml")]
    assert [grey(dataset, index).unit for index in (0, 1)] == ["HU", "mgml"]


def test_the_unit_of_a_mapping_counts_where_it_maps_as_the_picture_does() -> None:
    code, mapping, groups = Dataset(), Dataset(), Dataset()
    code.CodeValue = "mm2/s"
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 1.0, 0.0
    mapping.MeasurementUnitsCodeSequence = [code]
    groups.RealWorldValueMappingSequence = [mapping]
    dataset = image(np.zeros((2, 2), "u1"), SharedFunctionalGroupsSequence=[groups])
    assert grey(dataset).unit == "mm2/s"
    mapping.RealWorldValueSlope = 2.0
    assert grey(dataset).unit == ""


# Tables that are not as they say


def test_a_voi_lut_that_is_cut_short_is_shown_and_said() -> None:
    picture = grey(
        image(np.array([[0, 99, 255]], "u1"), VOILUTSequence=[lut([256, 0, 8], list(range(200)), "A")])
    )
    assert to_8bit(picture).tolist() == [[0, 99, 199]]
    assert picture.notes == ("the VOI LUT A has 200 of 256 entries, the last is used for the rest",)


@pytest.mark.parametrize(("said", "used"), [(16, 8), (16, 12), (12, 8), (8, 12)])
def test_a_voi_lut_of_other_bits_than_it_says_is_shown_by_those_it_uses(said: int, used: int) -> None:
    entries = [round(value * (2**used - 1) / 255) for value in range(256)]
    picture = grey(
        image(np.arange(256, dtype="u1").reshape(16, 16), VOILUTSequence=[lut([256, 0, said], entries)])
    )
    assert np.array_equal(to_8bit(picture), np.arange(256).reshape(16, 16))
    assert picture.notes == (f"VOI LUT 1 uses {used} bits where it says {said}",)


def test_a_voi_lut_without_entries_is_passed_over() -> None:
    picture = grey(image(np.zeros((2, 2), "u1"), VOILUTSequence=[lut([256, 0, 8], [])]))
    assert [voi.name for voi in picture.vois] == ["Full range"]


def palette(dataset: Dataset, descriptor: list[int], channels: list[bytes], vr: str = "US") -> Dataset:
    for name, data in zip(("Red", "Green", "Blue"), channels, strict=True):
        dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", vr, as_written(descriptor, vr))
        dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", data)
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    return dataset


def colour(dataset: Dataset) -> Colour:
    picture = picture_of(dataset)
    assert isinstance(picture, Colour)
    return picture


CHANNELS = [bytes(range(256)), bytes(range(255, -1, -1)), bytes([7, 9] * 128)]
COLOURS = np.array([list(channel) for channel in CHANNELS], "u1").T


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("count", [256, 255, 37, 1])
def test_bytes_of_a_palette_are_in_order_whatever_the_byte_order(
    is_big: bool, count: int, tmp_path: Path
) -> None:
    stored = np.arange(count, dtype="u1").reshape(1, count)
    channels = [channel[:count] + b"\0" * (count % 2) for channel in CHANNELS]
    dataset = palette(image(stored), [count, 0, 8], channels)
    if is_big:
        dataset = big_endian(dataset, tmp_path / "palette.dcm")
    assert np.array_equal(colour(dataset).rgb[0], COLOURS[:count])
    assert colour(dataset).notes == ()


@pytest.mark.parametrize("is_big", [False, True])
def test_words_of_a_palette_are_read_in_their_byte_order(is_big: bool, tmp_path: Path) -> None:
    words = [np.frombuffer(channel, "u1").astype("<u2") * 257 for channel in CHANNELS]
    dataset = palette(
        image(np.arange(256, dtype="u1").reshape(16, 16)), [256, 0, 16], [one.tobytes() for one in words]
    )
    if is_big:
        dataset = big_endian(dataset, tmp_path / "palette.dcm")
    assert np.array_equal(colour(dataset).rgb.reshape(-1, 3), COLOURS)


@pytest.mark.parametrize("vr", VRS)
def test_the_descriptor_of_a_palette_is_signed_with_the_pixels(vr: str) -> None:
    stored = np.array([[-128, 127]], "i1")
    dataset = palette(image(stored), [256, 0xFF80, 8], CHANNELS, vr)
    assert np.array_equal(colour(dataset).rgb[0], COLOURS[[0, 255]])


@pytest.mark.parametrize("vr", VRS)
def test_a_palette_of_more_than_32767_entries_is_not_negative(vr: str) -> None:
    words = (np.arange(40000) % 256 * 257).astype("<u2").tobytes()
    dataset = palette(image(np.array([[0, 255, 39999]], "<u2")), [40000, 0, 16], [words] * 3, vr)
    assert colour(dataset).rgb[0, :, 0].tolist() == [0, 255, 39999 % 256]


def test_a_palette_that_is_cut_short_is_shown_and_said() -> None:
    dataset = palette(
        image(np.array([[0, 5, 200]], "u1")), [256, 0, 8], [channel[:10] for channel in CHANNELS]
    )
    picture = colour(dataset)
    assert np.array_equal(picture.rgb[0], COLOURS[[0, 5, 9]])
    assert picture.notes[0] == "the red palette has 10 of 256 entries"


def test_a_palette_of_bytes_that_says_16_bits_is_shown_and_said() -> None:
    words = [np.frombuffer(channel, "u1").astype("<u2").tobytes() for channel in CHANNELS]
    picture = colour(palette(image(np.array([[3, 200]], "u1")), [256, 0, 16], words))
    assert np.array_equal(picture.rgb[0], COLOURS[[3, 200]])
    assert picture.notes == ("the palette says 16 bits and uses 8",)


def test_a_dark_channel_of_a_palette_of_words_stays_dark() -> None:
    dark, bright = np.full(256, 200, "<u2").tobytes(), np.full(256, 0xFF00, "<u2").tobytes()
    picture = colour(palette(image(np.array([[3, 200]], "u1")), [256, 0, 16], [dark, bright, bright]))
    assert picture.rgb[0, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize("bits", [16, 12])
def test_a_palette_of_12_bits_is_shown_by_them(bits: int) -> None:
    words = (np.arange(256) * 16 + 15).astype("<u2").tobytes()
    picture = colour(palette(image(np.array([[0, 3, 255]], "u1")), [256, 0, bits], [words] * 3))
    assert picture.rgb[0, :, 0].tolist() == [0, 3, 255]
    assert picture.notes == (() if bits == 12 else ("the palette says 16 bits and uses 12",))


# Segments: two discrete entries, three on the way to 50, then 200; the same in high bytes; and what they stand for.
SEGMENTS = [0, 2, 10, 20, 1, 3, 50, 0, 1, 200]
WORDS = [0, 2, 10 << 8, 20 << 8, 1, 3, 50 << 8, 0, 1, 200 << 8]
EXPANDED = [10, 20, 30, 40, 50, 200]


def segmented(segments: list[int], count: int, bits: int, first: int = 0, dtype: str = "u1") -> Dataset:
    """Return a picture of each value of a segmented palette."""
    data = bytes(segments) if bits == 8 else np.array(segments, "<u2").tobytes()
    dataset = image(np.arange(first, first + count).astype(dtype).reshape(2, -1))
    palette(dataset, [count % 0x10000, first % 0x10000, bits], [b""] * 3)
    for name in ("Red", "Green", "Blue"):
        del dataset[f"{name}PaletteColorLookupTableData"]
        dataset.add_new(f"Segmented{name}PaletteColorLookupTableData", "OW", data)
    return dataset


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_segments_are_expanded_in_either_byte_order(bits: int, is_big: bool, tmp_path: Path) -> None:
    dataset = segmented(SEGMENTS if bits == 8 else WORDS, 6, bits)
    if is_big:
        dataset = big_endian(dataset, tmp_path / "palette.dcm")
    assert colour(dataset).rgb[..., 0].ravel().tolist() == EXPANDED
    assert colour(dataset).notes == ()


@pytest.mark.parametrize(("first", "dtype"), [(-3, "i1"), (40000, "<u2")])
def test_segments_begin_with_the_first_input(first: int, dtype: str) -> None:
    assert colour(segmented(SEGMENTS, 6, 8, first, dtype)).rgb[..., 0].ravel().tolist() == EXPANDED


def test_segments_may_have_as_many_entries_as_there_are_values() -> None:
    dataset = segmented([0, 1, 0, 1, 0xFFFF, 0xFFFF], 65536, 16, dtype="<u2")
    assert np.array_equal(colour(dataset).rgb[..., 2].ravel(), np.arange(65536) >> 8)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_segment_may_refer_to_others(bits: int) -> None:
    offset = [0, 0, 0, 0] if bits == 8 else [0, 0]
    dataset = segmented([0, 2, 10, 200, 1, 2, 50, 2, 2, *offset], 8, bits)
    # Copies begin where the entries before them end.
    assert colour(dataset).rgb[..., 0].ravel().tolist() == [10, 200, 125, 50, 10, 200, 125, 50]


@pytest.mark.parametrize("cut", [3, 4, 5, 6, 8])
def test_segments_that_are_cut_short_are_shown_and_said(cut: int) -> None:
    dataset = segmented(SEGMENTS[:cut], 6, 8)
    picture = colour(dataset)
    whole = {3: [10], 4: [10, 20], 5: [10, 20], 6: [10, 20], 8: EXPANDED[:5]}[cut]
    assert picture.rgb[..., 0].ravel().tolist() == whole + [whole[-1]] * (6 - len(whole))
    assert picture.notes[0] == f"the red palette has {len(whole)} of 6 entries"


@given(st.lists(st.integers(0, 255), max_size=40), st.sampled_from([8, 16]))
def test_any_numbers_are_segments_that_end_somewhere(words: list[int], bits: int) -> None:
    try:
        entries = expanded(np.array(words, np.uint16), 300, bits)
    except ValueError:
        return
    assert 1 <= len(entries) <= 300


# Supplemental palettes


def supplemental(**attributes: Any) -> Dataset:
    """Return 0 to 299 in grey, and 300, 301 and 302 in red, green and blue."""
    dataset = image(np.array([[0, 150, 299, 300], [301, 302, 400, 65535]], "<u2"), **attributes)
    channels = [np.roll([0xFFFF, 0, 0], shift).astype("<u2").tobytes() for shift in range(3)]
    palette(dataset, [3, 300, 16], channels)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    return dataset


GREYS = [[0] * 3, [128] * 3, [255] * 3]
REDS = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 255], [0, 0, 255]]


@pytest.mark.parametrize("presentation", [None, "COLOR", "MIXED"])
def test_a_supplemental_palette_colours_values_from_its_first_on(presentation: str | None) -> None:
    dataset = supplemental()
    if presentation:
        dataset.PixelPresentation = presentation
    picture = grey(dataset)
    assert picture.span == (0, 299)
    assert picture.notes == ()
    assert to_8bit(picture).reshape(-1, 3).tolist() == GREYS + REDS
    inverted = to_8bit(picture, invert=True).reshape(-1, 3).tolist()
    assert inverted == [[255] * 3, [127] * 3, [0] * 3, *REDS]


def test_greys_beside_a_palette_go_through_rescale_and_window() -> None:
    dataset = supplemental(RescaleSlope=2, RescaleIntercept=-100, WindowCenter=200, WindowWidth=100)
    alone = image(np.array([[0, 150, 299]], "<u2"), RescaleSlope=2, RescaleIntercept=-100)
    alone.WindowCenter, alone.WindowWidth = 200, 100
    assert np.array_equal(to_8bit(grey(dataset))[0, :3, 1], to_8bit(grey(alone))[0])


def test_a_palette_of_negative_values_is_supplemental_too() -> None:
    dataset = image(np.array([[-5, -4, -3, -2]], "<i2"))
    palette(dataset, [2, 0xFFFD, 8], [bytes([1, 2]), bytes([3, 4]), bytes([5, 6])])
    dataset.PhotometricInterpretation = "MONOCHROME2"
    assert to_8bit(grey(dataset))[0].tolist() == [[0] * 3, [255] * 3, [1, 3, 5], [2, 4, 6]]


def test_frames_say_whether_they_are_coloured() -> None:
    dataset = supplemental(PixelPresentation="MIXED")
    dataset.NumberOfFrames, dataset.PixelData = 2, dataset.PixelData * 2
    frames = []
    for presentation in ("MONOCHROME", "COLOR"):
        kind, groups = Dataset(), Dataset()
        kind.PixelPresentation = presentation
        groups.MRImageFrameTypeSequence = [kind]
        frames.append(groups)
    dataset.PerFrameFunctionalGroupsSequence = frames
    assert to_8bit(grey(dataset, 0)).ndim == 2
    assert "is not used" in grey(dataset, 0).notes[0]
    assert to_8bit(grey(dataset, 1)).reshape(-1, 3).tolist() == GREYS + REDS


def test_a_supplemental_palette_without_entries_leaves_greys_and_a_note() -> None:
    dataset = supplemental()
    dataset["RedPaletteColorLookupTableData"].value = b""
    picture = grey(dataset)
    assert to_8bit(picture).ndim == 2
    assert "supplemental palette are not shown" in picture.notes[0]


@pytest.mark.parametrize(("value", "vr"), [(63536, "US"), (-2000, "SS")])
@pytest.mark.parametrize("dtype", ["<u2", "<i2"])
def test_a_padding_value_is_a_stored_value_whatever_its_vr(value: int, vr: str, dtype: str) -> None:
    dataset = image(np.array([[0, 5]], dtype))
    dataset.add_new("PixelPaddingValue", vr, value)
    expected = 63536 if dtype == "<u2" else -2000
    assert grey(dataset).padding == (expected, expected)
