"""Display shutters: what is hidden, in what grey, for which frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomkit.preview import Colour, picture_of, to_8bit
from tests.preview.test_preview import grey, image

RECTANGLE = {
    "ShutterShape": "RECTANGULAR",
    "ShutterLeftVerticalEdge": 2,
    "ShutterRightVerticalEdge": 4,
    "ShutterUpperHorizontalEdge": 3,
    "ShutterLowerHorizontalEdge": 5,
}
CIRCLE = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [4, 5], "RadiusOfCircularShutter": 2}
TRIANGLE = {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [2, 2, 2, 6, 6, 2]}


def shut(**attributes: Any) -> Dataset:
    """Return a white image with a shutter."""
    white = np.full((8, 9), 200, "u1")
    return image(white, WindowCenter=100, WindowWidth=50, **attributes)


def seen(dataset: Dataset, index: int = 0) -> set[tuple[int, int]]:
    """Return the rows and columns, from 1, that are not black."""
    return {(int(row) + 1, int(column) + 1) for row, column in np.argwhere(to_8bit(grey(dataset, index)) > 0)}


EVERYWHERE = {(row, column) for row in range(1, 9) for column in range(1, 10)}
IN_RECTANGLE = {(row, column) for row in (3, 4, 5) for column in (2, 3, 4)}
IN_CIRCLE = {(row, column) for row, column in EVERYWHERE if (row - 4) ** 2 + (column - 5) ** 2 <= 4}
IN_TRIANGLE = {(row, column) for row, column in EVERYWHERE if row >= 2 and column >= 2 and row + column <= 8}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, EVERYWHERE),
        (RECTANGLE, IN_RECTANGLE),
        (CIRCLE, IN_CIRCLE),
        (TRIANGLE, IN_TRIANGLE),
        ({**RECTANGLE, **CIRCLE, "ShutterShape": ["RECTANGULAR", "CIRCULAR"]}, IN_RECTANGLE & IN_CIRCLE),
        ({"ShutterShape": "RECTANGULAR"}, EVERYWHERE),
        ({"ShutterShape": "BITMAP"}, EVERYWHERE),
    ],
)
def test_what_a_shutter_leaves_open_is_seen(
    attributes: dict[str, Any], expected: set[tuple[int, int]]
) -> None:
    assert seen(shut(**attributes)) == expected


def test_a_circle_is_one_on_the_screen() -> None:
    expected = {(row, column) for row, column in EVERYWHERE if (2 * (row - 4)) ** 2 + (column - 5) ** 2 <= 4}
    assert seen(shut(**CIRCLE, PixelSpacing=[2, 1])) == expected


def test_what_is_hidden_has_the_grey_that_it_says() -> None:
    dataset = shut(**RECTANGLE, ShutterPresentationValue=0x8000)
    assert to_8bit(grey(dataset))[0, 0] == 128
    dataset.PhotometricInterpretation = "MONOCHROME1"
    assert to_8bit(grey(dataset))[0, 0] == 128
    assert to_8bit(grey(dataset), invert=True)[0, 0] == 128
    assert to_8bit(grey(dataset), invert=True)[3, 3] == 255


@pytest.mark.parametrize(
    ("cielab", "colour"),
    [
        ((0xFFFF, 0x8080, 0x8080), [255, 255, 255]),
        ((0, 0x8080, 0x8080), [0, 0, 0]),
        ((0x8000, 0x8080, 0x8080), [119, 119, 119]),
        ((35578, 53664, 50857), [255, 0, 0]),  # L* 54.29, a* 80.81, b* 69.89: the red of sRGB, seen by D50
        ((57553, 12524, 53710), [0, 255, 0]),  # 87.82, -79.27, 80.99
    ],
)
def test_what_is_hidden_has_the_colour_that_it_says(cielab: tuple[int, ...], colour: list[int]) -> None:
    dataset = shut(
        **RECTANGLE, ShutterPresentationColorCIELabValue=list(cielab), ShutterPresentationValue=0x4000
    )
    levels = to_8bit(grey(dataset), invert=True)
    assert levels.ndim == (2 if len(set(colour)) == 1 else 3)
    assert np.broadcast_to(levels[0, 0], 3).tolist() == pytest.approx(colour, abs=2)
    assert not levels[3, 3].any()  # seen, and inverted


def test_a_shutter_of_a_frame_is_for_that_frame() -> None:
    groups, shutter = Dataset(), Dataset()
    for keyword, value in RECTANGLE.items():
        setattr(shutter, keyword, value)
    groups.FrameDisplayShutterSequence = [shutter]
    dataset = shut()
    dataset.NumberOfFrames, dataset.PixelData = 2, dataset.PixelData * 2
    dataset.PerFrameFunctionalGroupsSequence = [Dataset(), groups]
    assert seen(dataset, 0) == EVERYWHERE
    assert seen(dataset, 1) == IN_RECTANGLE


def test_colours_are_hidden_alike() -> None:
    dataset = image(np.full((8, 27), 200, "u1"), **RECTANGLE)
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.Columns = 3, 0, 9
    dataset.PhotometricInterpretation = "RGB"
    picture = picture_of(dataset)
    assert isinstance(picture, Colour)
    assert {
        (int(row) + 1, int(column) + 1) for row, column in np.argwhere(picture.rgb[..., 0])
    } == IN_RECTANGLE
