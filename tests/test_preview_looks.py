"""Which looks a picture offers, and what each is applied to: windows, VOI LUTs, ranges, P-Values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomkit.preview import LookupTable, Window, labels_of, to_8bit
from dicomkit.widgets import ImageViewer
from tests.test_preview import grey, image


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
