"""Which looks a picture offers, and what each is applied to: windows, VOI LUTs, ranges, P-Values."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomkit.preview import Grey, LookupTable, Rescale, Window, labels_of, spanning, to_8bit
from dicomkit.preview._colours import to_rgb
from dicomkit.widgets import ImageViewer
from tests.preview.test_preview import grey, image

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
ULTRASOUND_FRAMES = "1.2.840.10008.5.1.4.1.1.3.1"
GRAYSCALE_BYTES = "1.2.840.10008.5.1.4.1.1.7.2"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
ENDOSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.1"
FUNDUS = "1.2.840.10008.5.1.4.1.1.77.1.5.1"
XA = "1.2.840.10008.5.1.4.1.1.12.1"
XRF = "1.2.840.10008.5.1.4.1.1.12.2"


def lut(descriptor: list[int], entries: list[int], name: str = "", vr: str = "US") -> Dataset:
    """Return an item of a VOI LUT Sequence or Modality LUT Sequence."""
    item = Dataset()
    item.add_new("LUTDescriptor", vr, descriptor)
    if name:
        item.LUTExplanation = name
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    return item


RAMP = np.arange(256, dtype="u1").reshape(16, 16)


def mammogram(**attributes: Any) -> Dataset:
    """Return an image with two VOI LUTs and two windows, one of each called NORMAL."""
    return image(
        RAMP,
        VOILUTSequence=[
            lut([256, 0, 8], list(range(255, -1, -1)), "NORMAL"),
            lut([256, 0, 8], [value // 2 for value in range(256)], "SOFTER"),
        ],
        WindowCenter=[128, 64],
        WindowWidth=[256, 128],
        WindowCenterWidthExplanation=["NORMAL", "CT lung"],
        **attributes,
    )


# Looks of the same name


def test_a_look_is_what_it_is_and_not_what_it_is_called() -> None:
    picture = grey(mammogram())
    kinds = [(type(voi), voi.name) for voi in picture.vois]
    assert kinds[:4] == [
        (LookupTable, "NORMAL"),
        (LookupTable, "SOFTER"),
        (Window, "NORMAL"),
        (Window, "CT lung"),
    ]
    assert labels_of(picture.vois)[:4] == ["NORMAL", "SOFTER", "NORMAL (window 1)", "CT lung"]


def test_a_mammogram_whose_names_are_equal_opens_with_its_first_look() -> None:
    viewer = ImageViewer(mammogram())
    assert viewer.voi_lut == 0
    assert np.array_equal(viewer.to_8bit(), 255 - RAMP)  # type: ignore[arg-type]
    viewer.use("NORMAL (window 1)")
    assert np.array_equal(viewer.to_8bit(), RAMP)  # type: ignore[arg-type]
    viewer.use("SOFTER")
    assert np.array_equal(viewer.to_8bit(), RAMP // 2)  # type: ignore[arg-type]
    viewer.close()


def test_a_customary_window_leaves_the_one_of_the_file() -> None:
    dataset = mammogram(RescaleSlope=1, RescaleIntercept=0, RescaleType="HU")
    viewer = ImageViewer(dataset)
    viewer.use("CT lung")
    assert (viewer.window_center, viewer.window_width) == (64, 128)
    customary = [label for label in viewer.presets if label.startswith("CT lung (window")]
    viewer.use(customary[0])
    assert (viewer.window_center, viewer.window_width) == (-600, 1500)
    viewer.close()


def test_every_look_of_one_name_is_offered() -> None:
    dataset = image(RAMP, WindowCenter=[10, 20, 30], WindowWidth=[5, 5, 5])
    dataset.WindowCenterWidthExplanation = ["A", "A", "A"]
    viewer = ImageViewer(dataset)
    centers = {}
    for label, voi in viewer.presets.items():
        viewer.use(label)
        centers[label] = viewer.window_center
        assert isinstance(voi, Window)
    assert [centers[label] for label in ("A", "A (window 2)", "A (window 3)")] == [10, 20, 30]
    viewer.close()


def test_a_table_of_another_picture_is_refused() -> None:
    viewer = ImageViewer(mammogram())
    with pytest.raises(ValueError, match="none of the 2"):
        viewer.use(LookupTable(0, np.arange(4, dtype=np.uint16), 8))
    viewer.close()


def test_the_preferred_look_is_the_first_of_the_file() -> None:
    picture = grey(mammogram())
    assert np.array_equal(to_8bit(picture), 255 - RAMP)


# Without a window: the range of the stack, or of the frame


def stack(*frames: tuple[int, int], **attributes: Any) -> Dataset:
    """Return an image whose frames go from one value to another each."""
    stored = np.array([[[low, high]] for low, high in frames], "<u2")
    return image(stored, **attributes)


def levels(viewer: ImageViewer) -> list[int]:
    shown = viewer.to_8bit()
    assert shown is not None
    return [int(level) for level in shown.reshape(-1)]


def test_a_blank_first_frame_leaves_the_others_their_greys() -> None:
    viewer = ImageViewer(stack((0, 0), (0, 100), (100, 200)))
    assert levels(viewer) == [0, 0]
    viewer.frame = 1
    assert levels(viewer) == [0, 128]
    viewer.frame = 2
    assert levels(viewer) == [128, 255]
    assert viewer.voi == spanning(0, 200)
    assert (viewer.window_center, viewer.window_width) == (100.5, 201)
    viewer.close()


@pytest.mark.parametrize("modality", ["PT", "NM"])
def test_nuclear_frames_have_a_range_each_until_switched(modality: str) -> None:
    viewer = ImageViewer(stack((0, 10), (0, 20000), Modality=modality))
    assert levels(viewer) == [0, 255]
    viewer.frame = 1
    assert levels(viewer) == [0, 255]
    viewer.range_per_frame = False
    viewer.frame = 0
    assert levels(viewer) == [0, 0]
    viewer.close()


def test_the_range_of_a_long_stack_settles_with_what_was_seen() -> None:
    frames = [(0, 10)] * 100
    frames[37] = (0, 1000)  # none of those that are sampled
    viewer = ImageViewer(stack(*frames))
    assert levels(viewer) == [0, 255]
    viewer.frame = 37
    assert levels(viewer) == [0, 255]
    viewer.frame = 38
    assert levels(viewer) == [0, 3]
    viewer.close()


def test_each_frame_is_seen_through_its_own_window_until_one_is_chosen() -> None:
    first, second = (
        image(RAMP, SeriesInstanceUID="2.25.5", InstanceNumber=number, WindowCenter=center, WindowWidth=64)
        for number, center in ((1, 64), (2, 128))
    )
    viewer = ImageViewer([first, second])
    viewer.frame = 1
    assert viewer.window_center == 128
    viewer.window_width = 32
    assert not viewer.automatic
    viewer.frame = 0
    assert viewer.voi == Window(128, 32)
    viewer.reset_window()
    assert viewer.voi == Window(64, 64, name="Window 1")
    viewer.close()


@pytest.mark.parametrize("ones", [0, 1])
def test_a_frame_of_one_bit_is_black_or_white(ones: int) -> None:
    dataset = image(np.full((4, 4), ones, "u1"))
    assert to_8bit(grey(dataset)).tolist() == [[0] * 4] * 4
    dataset.BitsStored, dataset.HighBit = 1, 0
    assert to_8bit(grey(dataset)).tolist() == [[255 * ones] * 4] * 4
    dataset.BitsAllocated, dataset.PixelData = 1, bytes([255 * ones] * 2)
    assert to_8bit(grey(dataset)).tolist() == [[255 * ones] * 4] * 4


def test_a_slope_of_0_is_no_rescale() -> None:
    picture = grey(image(RAMP, RescaleSlope=0, RescaleIntercept=5))
    assert picture.modality == Rescale()
    assert np.array_equal(to_8bit(picture), RAMP)


# P-Values


@pytest.mark.parametrize(
    ("sop_class", "attributes"),
    [
        (SECONDARY_CAPTURE, {}),
        (SECONDARY_CAPTURE, {"RescaleSlope": 1, "RescaleIntercept": 0}),
        (ULTRASOUND, {}),
        (ULTRASOUND_FRAMES, {}),
        (GRAYSCALE_BYTES, {"PresentationLUTShape": "IDENTITY"}),
        (DX, {"PresentationLUTShape": "IDENTITY"}),
        (ENDOSCOPY, {}),
        (FUNDUS, {"PresentationLUTShape": "IDENTITY"}),
    ],
)
def test_p_values_are_shown_as_they_are(sop_class: str, attributes: dict[str, Any]) -> None:
    stored = np.array([[40, 50, 60, 70]], "u1")
    picture = grey(image(stored, SOPClassUID=sop_class, **attributes))
    assert np.array_equal(to_8bit(picture), stored)
    assert labels_of(picture.vois) == ["As stored", "Full range"]


def test_p_values_of_more_bits_keep_their_brightness() -> None:
    stored = np.array([[0, 1024, 2048, 4095]], "<u2")
    dataset = image(stored, SOPClassUID=DX, BitsStored=12, HighBit=11, PresentationLUTShape="INVERSE")
    dataset.PhotometricInterpretation = "MONOCHROME1"
    assert to_8bit(grey(dataset)).tolist() == [[255, 191, 127, 0]]


@pytest.mark.parametrize(
    ("sop_class", "attributes"),
    [
        (SECONDARY_CAPTURE, {"RescaleSlope": 2, "RescaleIntercept": 0}),
        (SECONDARY_CAPTURE, {"PixelRepresentation": 1}),
        (DX, {}),
        ("1.2.840.10008.5.1.4.1.1.4", {"PresentationLUTShape": "IDENTITY"}),
    ],
)
def test_what_are_no_p_values_is_shown_over_its_range(sop_class: str, attributes: dict[str, Any]) -> None:
    picture = grey(image(np.array([[40, 50, 60]], "u1"), SOPClassUID=sop_class, **attributes))
    assert to_8bit(picture).tolist() == [[0, 128, 255]]


def test_a_window_of_the_file_is_applied_to_what_would_be_p_values() -> None:
    dataset = image(RAMP, SOPClassUID=ULTRASOUND, WindowCenter=64, WindowWidth=128)
    assert to_8bit(grey(dataset))[15, 15] == 255
    assert to_8bit(grey(dataset))[7, 15] == 255


# The modality transformation of angiography


@pytest.mark.parametrize("sop_class", [XA, XRF])
def test_the_modality_transformation_of_angiography_is_not_for_display(sop_class: str) -> None:
    for attributes in (
        {"RescaleSlope": 2, "RescaleIntercept": 5},
        {"ModalityLUTSequence": [lut([256, 0, 16], list(range(255, -1, -1)))]},
    ):
        dataset = image(RAMP, SOPClassUID=sop_class, WindowCenter=128, WindowWidth=256, **attributes)
        assert np.array_equal(to_8bit(grey(dataset)), RAMP)


def test_another_film_runs_at_its_own_rate() -> None:
    fast = stack((0, 1), (0, 2), FrameTime=40, PreferredPlaybackSequencing=1, SeriesInstanceUID="2.25.1")
    plain = stack((0, 1), (0, 2), SeriesInstanceUID="2.25.2")
    viewer = ImageViewer([fast, plain])
    assert (viewer.rate, viewer.sweeping) == (25, True)
    viewer.series = 1
    assert (viewer.rate, viewer.sweeping) == (10, False)
    viewer.close()


@pytest.mark.parametrize(("attributes", "rate"), [({"FrameTime": 40}, 25), ({"CineRate": 500}, 60), ({}, 10)])
def test_a_film_opens_at_the_rate_that_it_says(attributes: dict[str, Any], rate: float) -> None:
    viewer = ImageViewer(stack((0, 1), (0, 2), **attributes))
    assert viewer.rate == rate
    viewer.close()
    given = ImageViewer(stack((0, 1), (0, 2), **attributes), rate=3.0)
    assert given.rate == 3
    given.close()


def test_a_film_is_followed_when_it_stops() -> None:
    viewer = ImageViewer(stack((0, 10), (0, 20), Modality="PT"))
    viewer.playing = True
    viewer.frame = 1
    assert viewer.window_width == 11
    assert viewer.voi == spanning(0, 20)
    viewer.playing = False
    assert viewer.window_width == 21
    viewer.close()


# Memory


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<i2", "<f4"])
def test_levels_take_little_more_memory_than_themselves(dtype: str) -> None:
    stored = np.arange(1500 * 2000).reshape(1500, 2000).astype(dtype)
    picture = Grey(
        stored=stored,
        modality=Rescale(2, -100),
        vois=(Window(300, 700),),
        inverse=True,
        padding=None,
        unit="",
        aspect=1,
        overlays=(),
    )
    tracemalloc.start()
    levels = to_8bit(picture)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < levels.nbytes + 16 * 2**20
    assert np.array_equal(levels, 255 - picture.vois[0].to_8bit(picture.values))


@pytest.mark.parametrize(
    ("kind", "dtype", "bits"), [("YBR_FULL", "u1", 8), ("YBR_FULL", "<u2", 12), ("RGB", "<u2", 12)]
)
def test_colours_take_little_more_memory_than_their_samples(kind: str, dtype: str, bits: int) -> None:
    samples = (np.arange(1500 * 1000 * 3) % 2**bits).reshape(1500, 1000, 3).astype(dtype)
    tracemalloc.start()
    rgb = to_rgb(samples, kind, bits)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < rgb.nbytes + 32 * 2**20
    assert np.array_equal(rgb[700, 400:500], to_rgb(samples[700:701, 400:500], kind, bits)[0])
