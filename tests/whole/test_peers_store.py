"""The whole sample study arrives whole: byte for byte where the peer keeps bytes, element by element at Orthanc."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pydicom import Dataset, FileDataset, dcmread
from pydicom.dataelem import DataElement

from dicomkit import Outcome, read_results, send_batch
from dicomkit.samples import sample_folder
from tests.support.files import data_set_of
from tests.support.peers import Dcmqrscp, Orthanc, Storescp, wait_until

pytestmark = pytest.mark.usefixtures("no_leaks")

# Group lengths and padding are a matter of encoding, and Orthanc encodes anew.
DATA_SET_TRAILING_PADDING = 0xFFFCFFFC


@pytest.fixture(scope="module")
def study() -> dict[str, Path]:
    """The sample study: files by SOP Instance UID."""
    files = sorted(path for path in sample_folder().rglob("*.dcm"))
    return {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in files}


def test_the_study_has_something_of_everything(study: dict[str, Path]) -> None:
    syntaxes = {
        str(dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID) for path in study.values()
    }
    modalities = {dcmread(path, stop_before_pixels=True).Modality for path in study.values()}
    assert len(syntaxes) >= 2
    assert modalities >= {"CT", "MR", "US", "CR"}


@pytest.mark.parametrize("associations", [1, 4])
def test_storescp_has_every_data_set_byte_for_byte(study: dict[str, Path], associations: int) -> None:
    with Storescp(bit_preserving=True, accept_all=True, fork=True) as peer:
        batch = send_batch(peer.setting(), sample_folder(), associations=associations)
        assert batch.ok
        wait_until(lambda: len(list(peer.folder.iterdir())) == len(study), 5.0, "every file is written")
        assert_same_bytes(peer.received(), study)


def test_dcmqrscp_has_every_data_set_byte_for_byte(study: dict[str, Path]) -> None:
    with Dcmqrscp(bit_preserving=True, options=["+xs"]) as peer:
        batch = send_batch(peer.setting(), sample_folder())
        assert batch.ok
        assert_same_bytes(peer.received(), study)


def test_dcmqrscp_without_compression_has_every_instance_and_the_row_tells_what_was_converted(
    study: dict[str, Path], dcmqrscp: Dcmqrscp
) -> None:
    batch = send_batch(dcmqrscp.setting(), sample_folder())
    assert batch.ok
    frame = batch.to_frame()
    converted = frame[frame.transfer_syntax != frame.sent_transfer_syntax]
    assert len(converted) == 1
    assert "converted from JPEG Lossless" in converted.detail.iloc[0]
    received = dcmqrscp.received()
    assert received.keys() == study.keys()
    for uid in set(study) - set(converted.sop_instance_uid):
        assert data_set_of(received[uid]) == data_set_of(study[uid])
    uid = converted.sop_instance_uid.iloc[0]
    assert (dcmread(received[uid]).pixel_array == dcmread(study[uid]).pixel_array).all()


@pytest.mark.parametrize("associations", [1, 4])
def test_orthanc_has_every_instance_equal_element_by_element(
    study: dict[str, Path], orthanc: Orthanc, associations: int
) -> None:
    batch = send_batch(orthanc.setting(), list(study.values()), associations=associations)
    assert batch.ok
    assert orthanc.instances().keys() == study.keys()
    for uid, path in study.items():
        assert_same(dcmread(path), dcmread(io.BytesIO(orthanc.instance(uid))))


def test_a_study_is_sent_from_a_zip_archive_as_from_its_folder(
    study: dict[str, Path], storescp: Storescp, tmp_path: Path
) -> None:
    import shutil

    archive = shutil.make_archive(str(tmp_path / "study"), "zip", sample_folder())
    batch = send_batch(storescp.setting(), archive)
    assert batch.ok
    assert_same_bytes(storescp.received(), study)


def test_the_rows_of_a_study_are_the_same_from_memory_and_from_each_kind_of_file(
    storescp: Storescp, tmp_path: Path
) -> None:
    from pandas.testing import assert_frame_equal

    for suffix in ("csv", "json", "parquet"):
        path = tmp_path / f"rows.{suffix}"
        batch = send_batch(storescp.setting(), sample_folder(), results=path)
        assert batch.ok
        assert_frame_equal(batch.to_frame(), read_results(path))
        assert set(batch.outcomes) == {Outcome.STORED}


def assert_same_bytes(received: dict[str, Path], study: dict[str, Path]) -> None:
    """Fail unless exactly these data sets were received, byte for byte."""
    assert received.keys() == study.keys()
    for uid, path in study.items():
        assert data_set_of(received[uid]) == data_set_of(path), path.name


def assert_same(ours: FileDataset, theirs: FileDataset) -> None:
    """Fail unless two instances have the same elements with the same values, whatever their encoding."""
    assert ours.file_meta.TransferSyntaxUID == theirs.file_meta.TransferSyntaxUID
    _assert_same_elements(ours, theirs)


def _assert_same_elements(ours: Dataset, theirs: Dataset) -> None:
    assert _tags(ours) == _tags(theirs)
    for tag in _tags(ours):
        one, other = ours[tag], theirs[tag]
        if one.VR == "SQ":
            assert len(one.value) == len(other.value)
            for item, other_item in zip(one.value, other.value, strict=True):
                _assert_same_elements(item, other_item)
        else:
            assert _value(one) == _value(other), one.tag


def _tags(ds: Dataset) -> list[int]:
    return [int(tag) for tag in ds.keys() if tag.element and int(tag) != DATA_SET_TRAILING_PADDING]  # noqa: SIM118


def _value(element: DataElement) -> object:
    value = element.value
    return bytes(value).rstrip(b"\0") if isinstance(value, bytes) else value
