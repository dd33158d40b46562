"""The pictures of a series in the order in which to leaf through them.

The one idea: where the slices lie in space decides, along the normal of their planes; file names never do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dicomkit.preview.attributes import numbers
from dicomkit.preview.decoding import frame_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom import Dataset

__all__ = ["SORTING_KEYWORDS", "Series", "Slice", "series_of"]

SORTING_KEYWORDS = (
    "SOPClassUID",
    "Modality",
    "SeriesDescription",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "AcquisitionNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "NumberOfFrames",
    "Rows",
)
"""What `series_of` looks at, so that no more has to be read."""

_SAME_DIRECTION = 1e-3  # direction cosines are written with six digits at most


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One frame of one object: where the object is (a Dataset, or the Path of its file), and which frame, from 0."""

    origin: Dataset | Path
    index: int


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The frames of a series in order; `name` says modality, number, and description."""

    name: str
    slices: tuple[Slice, ...]


def series_of(objects: Iterable[tuple[Dataset | Path, Dataset]]) -> list[Series]:
    """Sort objects into series, each in the order of its slices.

    Parameters
    ----------
    objects : iterable of (origin, header)
        A header is a Dataset with the `SORTING_KEYWORDS` of what the origin holds.

    Returns
    -------
    list of Series
        In order of appearance. Slices follow their position along the normal of their planes where all have a
        position and the same orientation (PS3.3 C.7.6.2), else acquisition and instance numbers.
    """
    groups: dict[object, list[tuple[Dataset | Path, Dataset]]] = {}
    for origin, header in objects:
        uid = header.get("SeriesInstanceUID") or object()
        groups.setdefault((header.get("StudyInstanceUID"), uid), []).append((origin, header))
    return [_one_series(group) for group in groups.values()]


def _one_series(objects: list[tuple[Dataset | Path, Dataset]]) -> Series:
    positions = _positions([header for _, header in objects])
    order = sorted(range(len(objects)), key=lambda at: (positions[at], *_numbers_of(objects[at][1])))
    slices = [Slice(objects[at][0], index) for at in order for index in range(_frames(objects[at][1]))]
    return Series(_name_of(objects[0][1]), tuple(slices))


def _frames(header: Dataset) -> int:
    return frame_count(header) if "Rows" in header else 1


def _positions(headers: list[Dataset]) -> list[float]:
    """Return how far along the common normal each lies, or zeros where there is no such thing."""
    nowhere = [0.0] * len(headers)
    orientations = [numbers(header.get("ImageOrientationPatient")) for header in headers]
    corners = [numbers(header.get("ImagePositionPatient")) for header in headers]
    if any(len(one) != 6 for one in orientations) or any(len(one) != 3 for one in corners):
        return nowhere
    first = np.array(orientations[0])
    if np.abs(np.array(orientations) - first).max() > _SAME_DIRECTION:
        return nowhere
    normal = np.cross(first[:3], first[3:])
    return [
        round(float(np.dot(normal, corner)), 3) for corner in corners
    ]  # to the micrometre: equal ones stay equal


def _numbers_of(header: Dataset) -> tuple[float, float]:
    acquisition, instance = numbers(header.get("AcquisitionNumber")), numbers(header.get("InstanceNumber"))
    return (acquisition or [0.0])[0], (instance or [0.0])[0]


def _name_of(header: Dataset) -> str:
    parts = (header.get("Modality"), header.get("SeriesNumber"), header.get("SeriesDescription"))
    return " · ".join(str(part) for part in parts if part not in (None, "")) or "Series"
