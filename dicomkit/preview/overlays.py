"""Overlays of a data set (PS3.3 C.9.2): a bitmap of its own in 60xx,3000, or an unused bit of the pixels.

The one idea: whatever it was stored as, an overlay becomes a bitmap and the place of its upper left corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.preview.attributes import is_little_endian, numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

__all__ = ["Overlay", "overlays_of"]

_FIRST_GROUP, _LAST_GROUP = 0x6000, 0x601E  # PS3.5 7.6: sixteen repeating groups
_ROWS, _COLUMNS, _FRAMES = 0x0010, 0x0011, 0x0015
_DESCRIPTION, _ORIGIN, _FRAME_ORIGIN = 0x0022, 0x0050, 0x0051
_BIT_POSITION, _LABEL, _DATA = 0x0102, 0x1500, 0x3000


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """One overlay of one frame.

    Attributes
    ----------
    name : str
        Its label, else its description, else its group.
    row, column : int
        Where its first pixel lies in the picture, from 0; may be negative.
    bitmap : array of bool
        Rows by columns.
    """

    name: str
    row: int
    column: int
    bitmap: NDArray[np.bool_]


def overlays_of(dataset: Dataset, index: int, unmasked: NDArray[Any] | None) -> tuple[Overlay, ...]:
    """Return the overlays of a frame; one that is cut off or has no size is left out.

    Parameters
    ----------
    unmasked : array or None
        The frame's values with all bits allocated, of uncompressed pixels; embedded overlays come from there.
    """
    groups = sorted(
        {tag >> 16 for tag in map(int, dataset.keys()) if _FIRST_GROUP <= tag >> 16 <= _LAST_GROUP}
    )
    found = (_overlay(dataset, group, index, unmasked) for group in groups if group % 2 == 0)
    return tuple(overlay for overlay in found if overlay is not None)


def _overlay(dataset: Dataset, group: int, index: int, unmasked: NDArray[Any] | None) -> Overlay | None:
    def value(element: int) -> Any:
        return dataset[group, element].value if (group, element) in dataset else None

    def number(element: int, default: int) -> int:
        found = numbers(value(element))
        return int(found[0]) if found else default

    origin = [int(one) for one in numbers(value(_ORIGIN))]
    row, column = (origin[0] - 1, origin[1] - 1) if len(origin) >= 2 else (0, 0)
    name = str(value(_LABEL) or value(_DESCRIPTION) or f"Overlay {group:04X}")
    data = value(_DATA)
    if data is None:
        bit = number(_BIT_POSITION, 0)
        if bit < 1 or unmasked is None or unmasked.ndim != 2:
            return None
        return Overlay(name, 0, 0, (unmasked >> bit) & 1 == 1)
    rows, columns, frames = number(_ROWS, 0), number(_COLUMNS, 0), number(_FRAMES, 1)
    # A single overlay frame is for every frame of the picture, several are for those from Image Frame Origin on.
    position = index - (number(_FRAME_ORIGIN, 1) - 1) if frames > 1 else 0
    start, size = position * rows * columns, rows * columns
    if not 0 <= position < frames or size < 1 or len(data) * 8 < start + size:
        return None
    if dataset[group, _DATA].VR == "OW" and not is_little_endian(dataset):
        data = np.frombuffer(data, ">u2").astype("<u2").tobytes()
    packed = np.frombuffer(data, np.uint8)[start // 8 : (start + size + 7) // 8]
    bits = np.unpackbits(packed, bitorder="little")[start % 8 :][
        :size
    ]  # PS3.5 8.1.2: the first bit is the lowest
    return Overlay(name, row, column, bits.reshape(rows, columns).astype(bool))
