"""A content read as it is encoded, whatever its File Meta says: elements, pixels, and the note about it."""

from __future__ import annotations

import io
import struct
import zipfile
from copy import deepcopy
from itertools import product
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from dicomkit.errors import UnreadableError
from dicomkit.messages import DicomMessage
from dicomkit.preview import Grey, picture_of
from dicomkit.sources._inspect import look_at
from dicomkit.sources.dataset_reader import encoding_of, note_of, read_dataset, syntax_of
from dicomkit.tags import find_rows, value
from dicomkit.widgets import ImageViewer, TagBrowser
from dicomkit.widgets.image import header_of, load, series_from
from tests.support.files import ct_instance

UNCOMPRESSED = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
ORIGINAL = dcmread(io.BytesIO(ct_instance()))
STORED = ORIGINAL.pixel_array
TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
WAYS = (
    "as pydicom reads it",
    "with its path",
    "by us",
    "as bytes",
    "as a message",
    "from a folder",
    "in an archive",
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def encoded(actual: str, stated: str | None) -> bytes:
    """The test image with its elements in one transfer syntax, and another one or none in its File Meta."""
    made = Dataset()
    for element in deepcopy(ORIGINAL):
        made.add(element)
    if actual == ExplicitVRBigEndian:
        made.PixelData = STORED.astype(">u2").tobytes()
        made["PixelData"].VR = "OW"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = actual
    whole = io.BytesIO()
    made.save_as(whole, enforce_file_format=True)
    return with_meta(whole.getvalue(), stated)


def with_meta(content: bytes, stated: str | None) -> bytes:
    """The same data set behind a File Meta that says something else."""
    end = 144 + struct.unpack("<I", content[140:144])[0]
    uid = stated.encode() if stated else b""
    uid += b"\0" * (len(uid) % 2)
    syntax = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid if stated else b""
    kind = struct.pack("<HH2sH", 2, 2, b"UI", 26) + b"1.2.840.10008.5.1.4.1.1.2\0"
    group = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(kind + syntax))
    return bytes(128) + b"DICM" + group + kind + syntax + content[end:]


def read_in(way: str, content: bytes, folder: Path) -> tuple[Dataset, Path | None]:
    path = folder / "image.dcm"
    path.write_bytes(content)
    if way == "as pydicom reads it":
        return dcmread(path, force=True), None
    if way == "with its path":
        return dcmread(path, force=True), path
    if way == "by us":
        return load(path), path
    if way == "in an archive":
        with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("image.dcm", content)
        path = folder / "a.zip"
    source = {
        "as bytes": content,
        "as a message": DicomMessage.from_bytes(content),
        "from a folder": folder,
    }.get(way, path)
    (series,) = series_from(source)
    origin = series.slices[0].origin
    return load(origin), origin if isinstance(origin, Path) else None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("actual", "stated"), list(product(UNCOMPRESSED, (*UNCOMPRESSED, None))), ids=lambda uid: uid and uid.name
)
def test_pixels_are_right_and_a_wrong_transfer_syntax_is_said(
    actual: str, stated: str | None, way: str, tmp_path: Path
) -> None:
    dataset, path = read_in(way, encoded(actual, stated), tmp_path)
    picture = picture_of(dataset, 0, path)
    assert isinstance(picture, Grey)
    assert np.array_equal(picture.stored, STORED)
    assert picture.unit == "HU"
    is_said = bool(picture.notes)
    assert is_said == (stated not in (actual, None))
    if is_said:
        assert "but the data set is in" in picture.notes[0]


@pytest.mark.parametrize(("actual", "stated"), list(product(UNCOMPRESSED, UNCOMPRESSED)))
def test_elements_are_those_that_look_at_found(actual: str, stated: str) -> None:
    content = encoded(actual, stated)
    dataset = read_dataset(content)
    assert encoding_of(dataset) == look_at(content).encoding == actual
    assert syntax_of(dataset).actual == actual
    assert dataset.original_encoding == (actual == ImplicitVRLittleEndian, actual != ExplicitVRBigEndian)
    assert dataset.file_meta.TransferSyntaxUID == stated  # what is there is shown
    assert dataset.PatientName == "Test^Phantom"
    assert bool(note_of(dataset)) == (actual != stated)
    said = {row.tag: value(row)[0] for row in find_rows(dataset)}
    assert said[0x00280010] == "64"


def test_the_viewer_and_the_tag_browser_say_it() -> None:
    content = encoded(ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    viewer, browser = ImageViewer(content), TagBrowser(content)
    assert isinstance(viewer.picture, Grey)
    words = "the File Meta says Implicit VR Little Endian, but the data set is in Explicit VR Little Endian"
    assert viewer.picture.notes == (words,)
    assert words in browser.caption
    viewer.close()
    browser.close()


def test_nothing_is_said_of_a_file_that_is_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "one.dcm").write_bytes(ct_instance())
    browser = TagBrowser(tmp_path / "one.dcm")
    assert browser.caption == "one.dcm, CT Image Storage, Explicit VR Little Endian"
    browser.close()


@pytest.mark.parametrize("stated", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, None])
@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"]
)
def test_compressed_pixels_are_decoded_whatever_is_declared(
    name: str, stated: str | None, tmp_path: Path
) -> None:
    (tmp_path / "image.dcm").write_bytes(with_meta((TEST_FILES / name).read_bytes(), stated))
    expected = picture_of(dcmread(TEST_FILES / name))
    dataset = load(tmp_path / "image.dcm")
    picture = picture_of(dataset, 0, tmp_path / "image.dcm")
    assert isinstance(expected, Grey)
    assert isinstance(picture, Grey)
    assert np.array_equal(picture.stored, expected.stored)
    assert "its Pixel Data is compressed" in picture.notes[0]
    assert "compressed" in note_of(dataset)


@pytest.mark.parametrize("stated", [JPEGBaseline8Bit, RLELossless, JPEG2000Lossless])
def test_pixels_that_are_not_compressed_are_shown_so(stated: str) -> None:
    picture = picture_of(read_dataset(encoded(ExplicitVRLittleEndian, stated)))
    assert isinstance(picture, Grey)
    assert np.array_equal(picture.stored, STORED)
    assert "is not compressed" in picture.notes[0]


def test_fragments_of_no_known_code_stream_are_refused() -> None:
    dataset = dcmread(io.BytesIO(ct_instance()))
    dataset.PixelData = encapsulate([b"no code stream"])
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(UnreadableError, match="is compressed"):
        picture_of(dataset)


def test_what_was_made_is_what_it_says() -> None:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    for syntax in (*UNCOMPRESSED, MPEG2MPML, DeflatedExplicitVRLittleEndian):
        made.file_meta.TransferSyntaxUID = syntax
        assert (syntax_of(made).actual, syntax_of(made).note) == (syntax, "")
    assert syntax_of(Dataset()).actual == ExplicitVRLittleEndian


def test_a_deflated_file_is_read() -> None:
    dataset = load(TEST_FILES / "image_dfl.dcm")
    assert note_of(dataset) == "8 bytes after the last element are no part of the data set and left out"
    assert syntax_of(dataset).actual == DeflatedExplicitVRLittleEndian
    assert picture_of(dataset, 0, TEST_FILES / "image_dfl.dcm").notes == ()


def test_a_data_set_that_is_not_deflated_though_it_says_so_tells_what_to_do() -> None:
    with pytest.raises(UnreadableError, match="not deflated; declare Explicit VR Little Endian"):
        read_dataset(encoded(ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian))


@pytest.mark.parametrize(
    ("actual", "stated", "said"),
    [
        (ExplicitVRBigEndian, JPEGBaseline8Bit, "its data set is in Explicit VR Big Endian; declare"),
        (ExplicitVRBigEndian, RLELossless, "its data set is in Explicit VR Big Endian; declare"),
        (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, "its data set is deflated; declare"),
        (DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, "its data set is deflated; declare"),
    ],
)
def test_what_was_not_read_as_it_is_encoded_is_said_in_place_of_a_picture(
    actual: str, stated: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.dcm"
    path.write_bytes(encoded(actual, stated))
    with pytest.raises(UnreadableError, match=said):
        picture_of(dcmread(path, force=True), 0, path)
    viewer = ImageViewer(path)
    assert said in viewer.problem
    assert "the File Meta says" not in viewer.problem  # which is about what was read instead
    viewer.close()


def test_a_truncated_file_is_read_as_far_as_it_goes_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "cut.dcm").write_bytes(ct_instance()[:-100])
    assert "truncated: 100 bytes" in note_of(load(tmp_path / "cut.dcm"))


def test_headers_of_instances_are_read_as_they_were_found(tmp_path: Path) -> None:
    content = encoded(ExplicitVRBigEndian, ExplicitVRLittleEndian)
    (tmp_path / "be.dcm").write_bytes(content)
    for instance in (look_at(tmp_path / "be.dcm"), look_at(content)):
        header = header_of(instance, ["PatientName", "Rows"])
        assert (str(header.PatientName), header.Rows) == ("Test^Phantom", 64)
        assert ("PixelData" in header) == isinstance(instance.content, bytes)


def test_large_values_stay_in_the_file_until_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "be.dcm").write_bytes(encoded(ExplicitVRBigEndian, ImplicitVRLittleEndian))
    dataset = read_dataset(tmp_path / "be.dcm", defer_size=1024)
    raw = dataset.get_item("PixelData", keep_deferred=True)
    assert raw is not None
    assert raw.value is None
    assert dataset.PixelData == STORED.astype(">u2").tobytes()


@pytest.mark.parametrize("name", sorted(path.name for path in TEST_FILES.glob("*.dcm")))
def test_every_file_of_pydicom_is_read_as_pydicom_reads_it(name: str) -> None:
    try:
        expected = dcmread(TEST_FILES / name, force=True)
    except Exception:  # noqa: BLE001 (whatever pydicom raises; ours is one of ours)
        with pytest.raises(UnreadableError):
            read_dataset(TEST_FILES / name)
        return
    if not len(expected) and not len(expected.file_meta):
        pytest.skip("there is nothing in it")
    found = read_dataset(TEST_FILES / name)
    assert list(found.keys()) == list(expected.keys())
    assert list(found.file_meta.keys()) == list(expected.file_meta.keys())
    for tag in expected.keys():  # noqa: SIM118 (iterating over a Dataset converts its elements)
        assert found.get_item(tag) == expected.get_item(tag)


@pytest.mark.parametrize("is_undefined", [False, True])
@pytest.mark.parametrize("depth", [300, 2000])
def test_sequences_may_be_nested_deeper_than_python_calls(
    depth: int, is_undefined: bool, tmp_path: Path
) -> None:
    (tmp_path / "deep.dcm").write_bytes(nested(depth, is_undefined=is_undefined))
    browser = TagBrowser(tmp_path / "deep.dcm", tmp_path / "deep.dcm")
    assert browser.dataset is not None
    assert sum(value(row)[0] == "deep" for row in find_rows(browser.dataset)) == 1
    browser.source.search("deep")
    assert len(browser.source) == 2 * depth + 2
    browser.source.search("")
    browser.only_differences = True
    assert len(browser.source) == 0
    browser.close()


def test_sequences_that_nobody_can_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.dcm").write_bytes(nested(30_000, is_undefined=True))
    with pytest.raises(UnreadableError, match="nested more deeply than pydicom can read"):
        load(tmp_path / "deep.dcm")


def nested(depth: int, *, is_undefined: bool) -> bytes:
    """A file with Content Sequences in each other (PS3.5 7.5), and a text in the innermost item."""
    innermost = struct.pack("<HH2sH", 0x40, 0xA160, b"LO", 4) + b"deep"
    before = ct_instance()
    before = before[: before.index(struct.pack("<HH2sH", 0x28, 2, b"US", 2))]
    if is_undefined:
        start = struct.pack("<HH2sHI", 0x40, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
            "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
        )
        end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        return before + start * depth + innermost + end * depth
    parts = []
    size = len(innermost)
    for _ in range(depth):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, size)
        parts.append(struct.pack("<HH2sHI", 0x40, 0xA730, b"SQ", 0, size + 8) + item)
        size += 20
    return before + b"".join(reversed(parts)) + innermost
