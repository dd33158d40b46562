"""The display shutter of a frame (PS3.3 C.7.6.11) as a bitmap of what it hides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.preview._attributes import frame_attribute, numbers
from dicomkit.preview._colours import cielab_to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

_GROUP = "FrameDisplayShutterSequence"  # PS3.3 C.7.6.16.2.6
_CIELAB = "ShutterPresentationColorCIELabValue"
_MOST_P_VALUE = 65535
_LEAST_VERTICES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Shutter:
    """What is hidden, rows by columns, and red, green and blue in its place, 0..255."""

    hidden: NDArray[np.bool_]
    colour: tuple[int, int, int]

    @property
    def is_grey(self) -> bool:
        """Whether a grey picture stays one."""
        return len(set(self.colour)) == 1


def shutter_of(dataset: Dataset, index: int, shape: tuple[int, int], aspect: float) -> Shutter | None:
    """Return the shutter of a frame of `shape` rows and columns, None where nothing is hidden.

    `aspect` is how many times as high as wide a pixel is: a circle is one on the screen, its radius in columns.
    """

    def value(keyword: str) -> Any:
        return frame_attribute(dataset, index, _GROUP, keyword)

    stated = value("ShutterShape")
    shapes = [stated] if isinstance(stated, str) else list(stated or [])
    # Places are counted from 1, rows before columns.
    row, column = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    seen = np.ones(shape, bool)
    if "RECTANGULAR" in shapes:
        keywords = ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")
        edges = [numbers(value(f"Shutter{edge}Edge")) for edge in keywords]
        if all(edges):
            top, bottom, left, right = (edge[0] for edge in edges)
            seen &= (row >= top) & (row <= bottom) & (column >= left) & (column <= right)
    if "CIRCULAR" in shapes:
        center, radius = numbers(value("CenterOfCircularShutter")), numbers(value("RadiusOfCircularShutter"))
        if len(center) == 2 and radius:
            seen &= ((row - center[0]) * aspect) ** 2 + (column - center[1]) ** 2 <= radius[0] ** 2
    if "POLYGONAL" in shapes:
        vertices = np.array(numbers(value("VerticesOfThePolygonalShutter")))
        if len(vertices) >= 2 * _LEAST_VERTICES and len(vertices) % 2 == 0:
            seen &= _inside(row, column, vertices.reshape(-1, 2))
    if seen.all():
        return None
    return Shutter(~seen, _colour(numbers(value("ShutterPresentationValue")), numbers(value(_CIELAB))))


def _colour(grey: list[float], cielab: list[float]) -> tuple[int, int, int]:
    """Return what a shutter shows: its colour, which is for screens like a browser's, else its P-Value, else black."""
    if len(cielab) == 3:
        return cielab_to_rgb(cielab)
    level = round(min(max(grey[0], 0), _MOST_P_VALUE) * 255 / _MOST_P_VALUE) if grey else 0
    return level, level, level


def _inside(row: NDArray[Any], column: NDArray[Any], vertices: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which places a polygon holds: those from which a ray crosses an odd number of sides, and those on a side."""
    inside = np.zeros((row.size, column.size), bool)
    on_side = np.zeros_like(inside)
    for start, end in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        (row_1, column_1), (row_2, column_2) = start, end
        cross = (row - row_1) * (column_2 - column_1) - (column - column_1) * (row_2 - row_1)
        within = [
            (at >= min(one, two)) & (at <= max(one, two))
            for at, one, two in zip((row, column), start, end, strict=True)
        ]
        on_side |= (cross == 0) & within[0] & within[1]
        if row_1 != row_2:
            at = column_1 + (row - row_1) * (column_2 - column_1) / (row_2 - row_1)
            inside ^= ((row_1 > row) != (row_2 > row)) & (column < at)
    return inside | on_side
