"""In which order frames are paged through: along the normal of their planes, in files and in functional groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomkit.preview import series_of
from dicomkit.widgets import ImageViewer
from tests.preview.test_preview import header, image, order

AXIAL, CORONAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]


def enhanced(positions: list[list[float]], orientations: list[list[float]], **attributes: Any) -> Dataset:
    """Return an image of a frame for each position; one orientation is shared, more are each frame's."""
    dataset = image(np.arange(len(positions), dtype="u1").repeat(4).reshape(-1, 2, 2), **attributes)
    planes = []
    for cosines in orientations:
        plane, groups = Dataset(), Dataset()
        plane.ImageOrientationPatient = cosines
        groups.PlaneOrientationSequence = [plane]
        planes.append(groups)
    frames = planes if len(planes) > 1 else [Dataset() for _ in positions]
    if len(planes) == 1:
        dataset.SharedFunctionalGroupsSequence = planes
    for groups, corner in zip(frames, positions, strict=True):
        place = Dataset()
        place.ImagePositionPatient = corner
        groups.PlanePositionSequence = [place]
    dataset.PerFrameFunctionalGroupsSequence = frames
    return dataset


def indices(dataset: Dataset) -> list[int]:
    return [place.index for place in series_of([(dataset, dataset)])[0].slices]


def test_frames_follow_their_plane_positions() -> None:
    assert indices(enhanced([[0, 0, z] for z in (5.0, -1.0, 3.0)], [AXIAL])) == [1, 2, 0]


def test_the_normal_decides_and_not_z() -> None:
    assert indices(enhanced([[0, y, 0] for y in (1.0, 3.0, 2.0)], [CORONAL])) == [0, 2, 1]
    assert indices(enhanced([[x, 0, 0] for x in (1.0, 3.0, 2.0)], [SAGITTAL])) == [1, 2, 0]


def test_frames_of_one_place_keep_their_order() -> None:
    assert indices(enhanced([[0, 0, z] for z in (1.0, 0.0, 1.0, 0.0)], [AXIAL])) == [1, 3, 0, 2]


def test_frames_of_several_orientations_stay_together() -> None:
    positions = [[0, 0, 2.0], [0, 7.0, 0], [0, 0, 1.0], [0, 5.0, 0]]
    assert indices(enhanced(positions, [AXIAL, CORONAL, AXIAL, CORONAL])) == [2, 0, 3, 1]


def test_frames_without_positions_keep_their_order() -> None:
    dataset = enhanced([[0, 0, 2.0], [0, 0, 1.0]], [AXIAL])
    del dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence
    assert indices(dataset) == [0, 1]


def test_the_viewer_shows_frames_in_the_order_of_their_planes(tmp_path: Any) -> None:
    dataset = enhanced([[0, 0, z] for z in (5.0, -1.0, 3.0)], [AXIAL], SOPInstanceUID="2.25.1")
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    dataset.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    viewer = ImageViewer(tmp_path / "enhanced.dcm")
    seen = []
    for viewer.frame in range(3):
        assert viewer.picture is not None
        seen.append(int(viewer.picture.stored[0, 0]))  # type: ignore[union-attr]
    assert seen == [1, 2, 0]
    viewer.close()


def test_a_localizer_leaves_the_others_their_order() -> None:
    slices = [header("1", number, z) for number, z in ((2, 30.0), (3, 10.0), (4, 20.0))]
    crossing = header("1", 1, 0.0, ImageOrientationPatient=CORONAL)
    assert order(*slices, crossing) == [[1, 3, 4, 2]]
    among = header("1", 1, 15.0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert order(*slices, among) == [[1, 3, 4, 2]]
    placeless = header("1", 9, None, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert order(*slices, placeless) == [[3, 4, 2, 9]]


@pytest.mark.parametrize(
    ("cosines", "offsets", "expected"),
    [
        (AXIAL, [0, 3, 6], [0, 1, 2]),
        (AXIAL, [0, -3, -6], [2, 1, 0]),
        (AXIAL, [0, 6, 3], [0, 2, 1]),
        ([1, 0, 0, 0, -1, 0], [0, 3, 6], [0, 1, 2]),  # distances along the normal, which points to the feet
        (AXIAL, [-40, -43, -37], [1, 0, 2]),  # z of each plane
        ([1, 0, 0, 0, -1, 0], [-40, -43, -37], [2, 0, 1]),
        (CORONAL, [0, -3, 6], [1, 0, 2]),
        (AXIAL, [0, -3], [1, 0, 2]),  # too few: the rest is where the grid begins
    ],
)
def test_frames_of_a_dose_follow_their_offsets(
    cosines: list[int], offsets: list[float], expected: list[int]
) -> None:
    dataset = image(np.zeros((3, 2, 2), "u1"), GridFrameOffsetVector=offsets)
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, -40], cosines
    assert indices(dataset) == expected
