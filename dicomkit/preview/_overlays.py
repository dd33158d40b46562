"""Overlays of a data set (PS3.3 C.9.2): a bitmap of its own in 60xx,3000, or an unused bit of the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.preview._attributes import little_endian, numbers, unpacked

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    from dicomkit.preview._decoding import Pixels

_GROUPS = range(0x6000, 0x6020, 2)  # PS3.5 7.6: sixteen repeating groups
_ROWS, _COLUMNS, _FRAMES = 0x0010, 0x0011, 0x0015
_DESCRIPTION, _ORIGIN, _FRAME_ORIGIN = 0x0022, 0x0050, 0x0051
_BIT_POSITION, _LABEL, _DATA = 0x0102, 0x1500, 0x3000


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """One overlay of one frame; its first pixel lies at `row` and `column` of the picture, from 0, maybe negative."""

    name: str
    row: int
    column: int
    bitmap: NDArray[np.bool_]


def overlays_of(dataset: Dataset, index: int, pixels: Pixels) -> tuple[Overlay, ...]:
    """Return the overlays of a frame, embedded ones (PS3.5 8.1.2) from `pixels`; broken ones are left out."""
    there = {int(tag) >> 16 for tag in dataset.keys()}  # noqa: SIM118 (iterating over a Dataset converts its elements)
    found = (_overlay(dataset, group, index, pixels) for group in _GROUPS if group in there)
    return tuple(overlay for overlay in found if overlay is not None)


def _overlay(dataset: Dataset, group: int, index: int, pixels: Pixels) -> Overlay | None:
    def value(element: int) -> Any:
        return dataset[group, element].value if (group, element) in dataset else None

    def number(element: int) -> int | None:
        found = numbers(value(element))
        return int(found[0]) if found else None

    position = _position(index, number(_FRAMES), number(_FRAME_ORIGIN))
    if position is None:
        return None
    origin = [int(one) for one in numbers(value(_ORIGIN))]
    row, column = (origin[0] - 1, origin[1] - 1) if len(origin) >= 2 else (0, 0)
    name = str(value(_LABEL) or value(_DESCRIPTION) or f"Overlay {group:04X}")
    data = value(_DATA)
    if data is None:
        bit, words = number(_BIT_POSITION), pixels.unmasked
        if bit is None or words is None or not 0 <= bit < pixels.bits.allocated or pixels.bits.hold(bit):
            return None
        return Overlay(name, 0, 0, (words >> bit) & 1 == 1)
    rows, columns = number(_ROWS) or 0, number(_COLUMNS) or 0
    size = rows * columns
    if size < 1 or len(data) * 8 < (position + 1) * size:
        return None
    data = little_endian(dataset, data, dataset[group, _DATA].VR)
    return Overlay(name, row, column, unpacked(data, position * size, rows, columns).astype(bool))


def _position(index: int, frames: int | None, first: int | None) -> int | None:
    """Return which frame of an overlay is for a frame of the picture, None for none (PS3.3 C.9.2 and C.9.3)."""
    if frames is None and first is None:
        return 0
    position = index - ((first or 1) - 1)
    return position if 0 <= position < max(frames or 1, 1) else None
