"""The pictures of a series in order along the normal of their planes; file names never decide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dicomkit.preview._attributes import frame_attribute, numbers
from dicomkit.preview._decoding import frame_count
from dicomkit.tags import text_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from pydicom import Dataset

SORTING_KEYWORDS = (
    *(
        "SOPClassUID",
        "Modality",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SeriesNumber",
        "SeriesDescription",
    ),
    *("AcquisitionNumber", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "ImageType"),
    *("NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("GridFrameOffsetVector", "Rows"),
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
        In order of appearance. Slices follow their position along the normal of their planes where all have a position
        (PS3.3 C.7.6.2; frames by their functional groups, C.7.6.16.2.3 and C.7.6.16.2.4; those of a dose by their
        offsets, C.8.8.3.2), else acquisition and instance numbers. Slices of other orientations, such as localizers,
        stay together; what has the lowest number is first.
    """
    groups: dict[object, list[tuple[Dataset | Path, Dataset]]] = {}
    for origin, header in objects:
        uid = header.get("SeriesInstanceUID") or object()
        groups.setdefault((header.get("StudyInstanceUID"), uid), []).append((origin, header))
    return [_one_series(group) for group in groups.values()]


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a frame lies: its slice, its corner and direction cosines (empty where it does not say), its numbers."""

    slice: Slice
    corner: list[float]
    cosines: list[float]
    numbers: tuple[float, float]
    is_localizer: bool

    @property
    def is_known(self) -> bool:
        return len(self.corner) == 3 and len(self.cosines) == 6


def _one_series(objects: list[tuple[Dataset | Path, Dataset]]) -> Series:
    places = [place for origin, header in objects for place in _places(origin, header)]
    # A localizer without a position does not take the order from the others.
    placed = [place for place in places if place.is_known or not place.is_localizer]
    apart = [place for place in places if place.is_localizer and not place.is_known]
    stacks = _stacks(placed) if all(place.is_known for place in placed) else [_by_number(placed)]
    stacks.append(_by_number(apart))
    ordered = sorted(stacks, key=lambda stack: min((one.numbers for one in stack), default=()))
    said = (text_at(objects[0][1], keyword) for keyword in ("Modality", "SeriesNumber", "SeriesDescription"))
    name = " · ".join(filter(None, said)) or "Series"
    return Series(name, tuple(place.slice for stack in ordered for place in stack))


def _places(origin: Dataset | Path, header: Dataset) -> list[_Place]:
    is_localizer = "LOCALIZER" in (header.get("ImageType") or [])
    offsets = numbers(header.get("GridFrameOffsetVector"))
    stated = [numbers(header.get(keyword)) for keyword in ("AcquisitionNumber", "InstanceNumber")]
    acquisition, instance = ((found or [0.0])[0] for found in stated)
    places = []
    for index in range(frame_count(header) if "Rows" in header else 1):
        corner = numbers(frame_attribute(header, index, "PlanePositionSequence", "ImagePositionPatient"))
        plane = frame_attribute(header, index, "PlaneOrientationSequence", "ImageOrientationPatient")
        cosines = numbers(plane)
        if index < len(offsets) and len(corner) == 3 and len(cosines) == 6:
            corner = _of_grid(corner, cosines, offsets, index)
        places.append(_Place(Slice(origin, index), corner, cosines, (acquisition, instance), is_localizer))
    return places


def _of_grid(corner: list[float], cosines: list[float], offsets: list[float], index: int) -> list[float]:
    """Return the corner of a frame of a dose (PS3.3 C.8.8.3.2).

    Offsets that begin with 0 are distances from the first frame along the normal; others are z of a transverse plane.
    """
    if offsets[0] != 0:
        return [*corner[:2], offsets[index]]
    moved: list[float] = (np.array(corner) + offsets[index] * _normal(np.array(cosines))).tolist()
    return moved


def _by_number(places: list[_Place]) -> list[_Place]:
    return sorted(places, key=lambda place: place.numbers)


def _stacks(places: list[_Place]) -> list[list[_Place]]:
    """Return places of the same orientation together, localizers apart, each stack in order along its normal."""
    stacks: list[tuple[NDArray[np.float64], list[_Place]]] = []
    for place in places:
        cosines = np.array(place.cosines)
        for first, stack in stacks:
            is_alike = np.abs(first - cosines).max() <= _SAME_DIRECTION
            if is_alike and stack[0].is_localizer == place.is_localizer:
                stack.append(place)
                break
        else:
            stacks.append((cosines, [place]))
    return [_along_normal(first, stack) for first, stack in stacks]


def _normal(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cross(cosines[:3], cosines[3:])


def _along_normal(cosines: NDArray[np.float64], stack: list[_Place]) -> list[_Place]:
    normal = _normal(cosines)
    # To the micrometre: equal positions stay equal, and then numbers decide, and frames their own order.
    return sorted(stack, key=lambda place: (round(float(np.dot(normal, place.corner)), 3), *place.numbers))
