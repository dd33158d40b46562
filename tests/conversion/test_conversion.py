"""What a peer does not take as it is stored arrives in what it takes: the same elements, the same pixels."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate_extended
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLSNearLossless,
)

import dicomkit
from dicomkit import LocalSCP, look_at, send_batch
from dicomkit.conversion import Converted, NotConverted, convert, target_for
from dicomkit.scp import RefuseSyntax
from tests.support.peers import Storescp

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"

# pydicom's own compressed files that its decoders read, one or more of each transfer syntax and kind of colour.
COMPRESSED = [
    "MR_small_RLE.dcm",
    "SC_rgb_rle.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "rtdose_rle.dcm",
    "JPGExtended.dcm",
    "SC_jpeg_no_color_transform.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_dcmtk_+eb+cy+n1.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "examples_ybr_color.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "693_J2KI.dcm",
    "GDCMJ2K_TextGBR.dcm",
    "JPEG2000.dcm",
    "MR_small_jp2klossless.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "examples_jpeg2k.dcm",
]
# PS3.3 C.7.6.3.1.2: YBR_ICT and YBR_RCT belong to JPEG 2000, and nothing decompresses to half the colour.
UNCOMPRESSED_COLOUR = {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL"}
LOSSY = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}


def as_file(ds: Dataset, syntax: str, folder: Path, name: str = "one.dcm") -> Path:
    """The data set in a Part 10 file of that transfer syntax."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta = meta
    path = folder / name
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


def read_back(data: bytes, syntax: str) -> Dataset:
    """A bare data set as pydicom reads it."""
    ds = pydicom.filereader.read_dataset(io.BytesIO(data), syntax == ImplicitVRLittleEndian, True)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    return ds


def content(instance: dicomkit.Instance | Converted) -> bytes:
    source = instance.open()
    data = bytearray(instance.length)
    assert source.readv([memoryview(data)]) == instance.length
    source.close()
    return bytes(data)


def pixels(ds: Dataset) -> Any:
    """Decoded samples, in the colour space that they are stored in."""
    return pydicom.pixels.pixel_array(ds, raw=True)


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("target", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_compressed_pixels_are_the_same_when_decompressed(name: str, target: str) -> None:
    before = pydicom.dcmread(TEST_FILES / name)
    converted = convert(look_at(TEST_FILES / name), target)
    after = read_back(content(converted), target)

    assert converted.transfer_syntax == target
    # Another decoder may round the cosine transform to the other side.
    is_rounded = before.file_meta.TransferSyntaxUID in (JPEGBaseline8Bit, JPEGExtended12Bit)
    assert np.abs(pixels(after).astype(int) - pixels(before)).max() <= is_rounded
    assert after.SOPInstanceUID == before.SOPInstanceUID
    assert not after["PixelData"].is_undefined_length
    assert after.PhotometricInterpretation in UNCOMPRESSED_COLOUR


@pytest.mark.parametrize("name", COMPRESSED)
def test_decompression_changes_nothing_but_what_describes_the_pixels(name: str) -> None:
    before = pydicom.dcmread(TEST_FILES / name)
    after = read_back(
        content(convert(look_at(TEST_FILES / name), ExplicitVRLittleEndian)), ExplicitVRLittleEndian
    )
    may_change = {
        "PixelData",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "LossyImageCompression",
        "LossyImageCompressionMethod",
    }

    def rest(ds: Dataset) -> dict[Any, Any]:
        return {e.tag: e.value for e in ds if e.keyword not in may_change and e.tag.element != 0}

    assert rest(after) == rest(before)


def was_lossy(name: str) -> bool:
    ds = pydicom.dcmread(TEST_FILES / name, stop_before_pixels=True)
    return ds.file_meta.TransferSyntaxUID in LOSSY or "LossyImageCompression" in ds


@pytest.mark.parametrize("name", [name for name in COMPRESSED if was_lossy(name)])
def test_what_was_lossy_still_says_so(name: str) -> None:
    before = pydicom.dcmread(TEST_FILES / name)
    after = read_back(
        content(convert(look_at(TEST_FILES / name), ExplicitVRLittleEndian)), ExplicitVRLittleEndian
    )
    assert after.LossyImageCompression == before.get("LossyImageCompression", "01")
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in before:
            assert after[keyword].value == before[keyword].value


def test_colour_follows_the_decompressed_pixels(tmp_path: Path) -> None:
    # JPEG in YBR_FULL_422 comes out at full resolution, so 4:2:2 would be wrong (PS3.3 C.7.6.3.1.2).
    path = TEST_FILES / "SC_rgb_dcmtk_+eb+cy+n1.dcm"
    before = pydicom.dcmread(path)
    after = read_back(content(convert(look_at(path), ExplicitVRLittleEndian)), ExplicitVRLittleEndian)
    assert before.PhotometricInterpretation.startswith("YBR")
    assert after.PhotometricInterpretation in ("YBR_FULL", "RGB")
    assert len(after.PixelData) >= after.Rows * after.Columns * 3
    # Whoever shows it sees what they saw before.
    shown_before = pydicom.pixels.pixel_array(before)
    shown_after = pydicom.pixels.pixel_array(after)
    assert np.abs(shown_before.astype(int) - shown_after).max() <= 2  # rounded by each of two decoders


def test_an_extended_offset_table_goes(tmp_path: Path) -> None:
    ds = pydicom.dcmread(TEST_FILES / "SC_rgb_rle_2frame.dcm")
    frames = list(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=2))
    ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    path = as_file(ds, ds.file_meta.TransferSyntaxUID, tmp_path)
    after = read_back(content(convert(look_at(path), ExplicitVRLittleEndian)), ExplicitVRLittleEndian)
    assert "ExtendedOffsetTable" not in after
    assert "ExtendedOffsetTableLengths" not in after


def words(ds: Dataset) -> None:
    """Values of every representation that depends on the byte order, at the top and in a sequence."""
    item = Dataset()
    item.add_new(0x00281201, "OW", np.arange(8, dtype="<u2").tobytes())  # Red Palette Color LUT Data
    ds.add_new(0x00281101, "US", [8, 0, 16])
    ds.add_new(0x00660016, "OF", np.linspace(0, 1, 6, dtype="<f4").tobytes())  # Point Coordinates Data
    ds.add_new(0x00660023, "OL", np.arange(6, dtype="<u4").tobytes())
    ds.add_new(0x00660022, "OD", np.linspace(0, 1, 4, dtype="<f8").tobytes())
    ds.SelectorUSValue = [1, 515]
    ds.SelectorSLValue = -70000
    ds.SelectorFDValue = 1.5
    ds.SelectorATValue = 0x00181063
    ds.ReferencedImageSequence = [item]


def test_every_byte_order_gives_the_same_values(tmp_path: Path) -> None:
    original = pydicom.dcmread(TEST_FILES / "CT_small.dcm")
    words(original)
    reference = as_file(original, ExplicitVRLittleEndian, tmp_path)

    big = pydicom.dcmread(TEST_FILES / "MR_small_bigendian.dcm")
    little = pydicom.dcmread(TEST_FILES / "MR_small.dcm")
    converted = read_back(
        content(convert(look_at(TEST_FILES / "MR_small_bigendian.dcm"), ExplicitVRLittleEndian)),
        ExplicitVRLittleEndian,
    )
    assert np.array_equal(pixels(converted), pixels(little))
    assert np.array_equal(pixels(big), pixels(little))
    assert {e.tag for e in converted} == {e.tag for e in big if e.tag.element}

    for syntax in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        ds = pydicom.dcmread(reference)
        path = as_file(ds, syntax, tmp_path, "other.dcm")
        after = read_back(content(convert(look_at(path), ExplicitVRLittleEndian)), ExplicitVRLittleEndian)
        expected = read_back(content(look_at(reference)), ExplicitVRLittleEndian)
        # What is private loses its VR on the way through Implicit VR, and is UN from there on (PS3.5 6.2.2).
        assert {e.tag: e.value for e in after if not e.tag.is_private} == {
            e.tag: e.value for e in expected if not e.tag.is_private
        }


def test_words_of_a_big_endian_file_are_turned(tmp_path: Path) -> None:
    """DCMTK is the judge: its dcmconv writes the same values in big endian."""
    from tests.support.peers import program

    original = pydicom.dcmread(TEST_FILES / "CT_small.dcm")
    words(original)
    reference = as_file(original, ExplicitVRLittleEndian, tmp_path)
    big = tmp_path / "big.dcm"
    import subprocess

    subprocess.run([program("dcmconv"), "+tb", str(reference), str(big)], check=True)
    assert look_at(big).transfer_syntax == ExplicitVRBigEndian
    after = read_back(content(convert(look_at(big), ExplicitVRLittleEndian)), ExplicitVRLittleEndian)
    expected = read_back(content(look_at(reference)), ExplicitVRLittleEndian)
    differing = [
        element.tag
        for element in expected
        if element.tag.element and after[element.tag].value != element.value
    ]
    assert differing == []


def test_a_row_says_what_was_converted(tmp_path: Path, storescp_plain: Storescp) -> None:
    batch = send_batch(storescp_plain.setting(), TEST_FILES / "MR_small_RLE.dcm")
    row = batch.to_frame().iloc[0]
    assert row["outcome"] == "stored"
    assert row["transfer_syntax"] == "1.2.840.10008.1.2.5"
    assert row["sent_transfer_syntax"] == ExplicitVRLittleEndian
    assert "converted from RLE Lossless to Explicit VR Little Endian" in row["detail"]
    received = pydicom.dcmread(next(iter(storescp_plain.received().values())))
    assert np.array_equal(pixels(received), pixels(pydicom.dcmread(TEST_FILES / "MR_small.dcm")))


def test_without_transcoding_it_is_not_accepted_and_the_row_names_what_would_be(
    storescp_plain: Storescp,
) -> None:
    batch = send_batch(storescp_plain.setting(), TEST_FILES / "MR_small_RLE.dcm", transcode=False)
    row = batch.to_frame().iloc[0]
    assert row["outcome"] == "not_accepted"
    assert "only in Explicit VR Little Endian" in row["detail"]
    assert "RLE Lossless" in row["detail"]
    assert row["sent_transfer_syntax"] is None or row.isna()["sent_transfer_syntax"]
    assert not storescp_plain.received()


def test_a_peer_that_takes_only_implicit_gets_implicit(tmp_path: Path) -> None:
    with LocalSCP(faults=[RefuseSyntax(ExplicitVRLittleEndian)]) as scp:
        batch = send_batch(scp.setting(), TEST_FILES / "CT_small.dcm")
        row = batch.to_frame().iloc[0]
        assert (row["outcome"], row["sent_transfer_syntax"]) == ("stored", ImplicitVRLittleEndian)
        sent = read_back(scp.data_set(row["sop_instance_uid"]), ImplicitVRLittleEndian)
    original = pydicom.dcmread(TEST_FILES / "CT_small.dcm")
    assert {e.tag: e.value for e in sent if e.VR != "UN" and not e.tag.is_private} == {
        e.tag: e.value for e in original if not e.tag.is_private and e.tag.element
    }


def test_as_stored_goes_before_converting() -> None:
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), [TEST_FILES / "MR_small_RLE.dcm", TEST_FILES / "JPEG2000.dcm"])
        frame = batch.to_frame()
    assert (frame["transfer_syntax"] == frame["sent_transfer_syntax"]).all()


def test_what_cannot_be_decoded_is_not_accepted_and_says_why(storescp_plain: Storescp) -> None:
    batch = send_batch(storescp_plain.setting(), TEST_FILES / "JPEG2000-embedded-sequence-delimiter.dcm")
    row = batch.to_frame().iloc[0]
    assert row["outcome"] == "not_accepted"
    assert "could not be decoded" in row["detail"]


def test_a_missing_decoder_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(NotConverted, match=r"pip install 'dicomkit\[codecs\]'"):
        convert(look_at(TEST_FILES / "MR_small_jpeg_ls_lossless.dcm"), ExplicitVRLittleEndian)


@pytest.mark.parametrize(
    ("accepted", "target"),
    [
        ([ImplicitVRLittleEndian, ExplicitVRLittleEndian], ExplicitVRLittleEndian),
        ([ImplicitVRLittleEndian], ImplicitVRLittleEndian),
        ([JPEGLossless], None),
        ([ExplicitVRBigEndian], None),
        ([], None),
    ],
)
def test_the_target_is_never_compressed(accepted: list[str], target: str | None) -> None:
    assert target_for(accepted) == target


@pytest.fixture
def storescp_plain(tmp_path: Path) -> Any:
    """storescp as installed: uncompressed transfer syntaxes only."""
    with Storescp(bit_preserving=True) as peer:
        yield peer


def test_not_converted_keeps_the_patient_out_of_the_message(tmp_path: Path) -> None:
    ds = pydicom.dcmread(TEST_FILES / "MR_small_RLE.dcm")
    ds.PatientName = "Secret^Name"
    broken: Callable[[bytes], bytes] = lambda data: data[: len(data) // 2]  # noqa: E731
    ds.PixelData = pydicom.encaps.encapsulate([broken(next(pydicom.encaps.generate_frames(ds.PixelData)))])
    path = as_file(ds, ds.file_meta.TransferSyntaxUID, tmp_path)
    with pytest.raises(NotConverted) as raised:
        convert(look_at(path), ExplicitVRLittleEndian)
    assert "Secret" not in str(raised.value)


def test_values_that_pydicom_warns_of_are_not_quoted_while_several_threads_convert(
    recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    before = list(warnings.filters)
    refused = [RefuseSyntax(ExplicitVRLittleEndian), RefuseSyntax(ExplicitVRBigEndian)]
    with LocalSCP(faults=refused) as scp:
        batch = send_batch(
            scp.setting(), [TEST_FILES / "badVR.dcm", TEST_FILES / "rtdose_expb.dcm"] * 5, associations=3
        )
    assert set(batch.to_frame().sent_transfer_syntax) == {ImplicitVRLittleEndian}
    assert not [str(warning.message) for warning in recwarn]
    assert not caplog.messages
    assert warnings.filters == before
    assert not logging.getLogger("pydicom").disabled
