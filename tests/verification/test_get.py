"""`verify(method="get")` against real archives whose copies were altered, and that converted what they were sent."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from dicomkit import Batch, send_batch, verify
from dicomkit.dictionary.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from dicomkit.ledger._file import as_text
from tests.support.peers import Dcmqrscp, Orthanc, free_port, program

pytestmark = pytest.mark.usefixtures("no_leaks")

OURS = "DICOMKIT"
KANJI = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B "  # PS3.5 H.3.1
KATAKANA = b"\xd4\xcf\xc0\xde CT "


@pytest.fixture(scope="module")
def running_orthanc() -> Iterator[Orthanc]:
    with Orthanc(modalities={OURS: free_port()}, configuration={"MaximumStorageCacheSize": 0}) as peer:
        yield peer


@pytest.fixture
def orthanc(running_orthanc: Orthanc) -> Orthanc:
    running_orthanc.clear()
    return running_orthanc


def raw(tag: int, vr: str, value: bytes, *, big: bool = False) -> RawDataElement:
    return RawDataElement(Tag(tag), vr, len(value), value, 0, False, not big)


def an_instance(*, big: bool = False) -> Dataset:
    """Two frames in colour, with texts that no UTF-8 holds by the same bytes, an icon, a table and private elements."""
    ds = Dataset()
    ds[0x00080005] = raw(0x00080005, "CS", b"\\ISO 2022 IR 87 ", big=big)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7.4"  # Multi-frame True Color Secondary Capture
    ds.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.2026.5.1"
    ds.StudyDate, ds.Modality, ds.Manufacturer = "20260102", "OT", "dicomkit tests"
    ds[0x00081030] = raw(0x00081030, "LO", KATAKANA, big=big)
    ds[0x00100010] = raw(0x00100010, "PN", KANJI, big=big)
    ds.PatientID, ds.StudyID = "P1", "1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        "1.2.826.0.1.3680043.8.498.2026.5",
        "1.2.826.0.1.3680043.8.498.2026.6",
    )
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = ds.SOPClassUID, "1.2.3"
    ds.ReferencedImageSequence = Items([reference])
    ds.private_block(0x0029, "dicomkit tests", create=True).add_new(0x10, "UN", b"\1\2\3\4")
    table = struct.pack(f"{'>' if big else '<'}4H", 1, 256, 513, 65535)
    ds[0x00281201] = raw(0x00281201, "OW", table, big=big)
    icon = Dataset()
    describe(icon, frames=0, colours=1, samples=np.arange(64, dtype="u1").reshape(8, 8))
    ds.IconImageSequence = Items([icon])
    samples = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3)).astype("u1")
    describe(ds, frames=2, colours=3, samples=samples)
    ds.add_new(0x7FE10010, "LO", "dicomkit tests")
    ds.add_new(0x7FE11001, "OB", b"last")
    return ds


def describe(ds: Dataset, *, frames: int, colours: int, samples: np.ndarray[Any, Any]) -> None:
    ds.SamplesPerPixel = colours
    ds.PhotometricInterpretation = "RGB" if colours == 3 else "MONOCHROME2"
    if colours == 3:
        ds.PlanarConfiguration = 0
    if frames:
        ds.NumberOfFrames = frames
    ds.Rows, ds.Columns = samples.shape[1:3] if frames else samples.shape[:2]
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = samples.tobytes()
    ds["PixelData"].VR = "OB"


def file_of(ds: Dataset, syntax: str, path: Path) -> Path:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    is_big = syntax == EXPLICIT_BE
    ds.save_as(path, implicit_vr=syntax == IMPLICIT_LE, little_endian=not is_big, enforce_file_format=True)
    return path


def sent(peer: Any, path: Path) -> Batch:
    batch = send_batch(peer.setting(our_aet=OURS), path)
    assert batch.ok, batch.to_frame().detail.tolist()
    return batch


def held(peer: Any) -> Path:
    """The one file that an archive holds."""
    (path,) = [
        path for path in peer.folder.rglob("*") if path.is_file() and path.read_bytes()[128:132] == b"DICM"
    ]
    return path


def found(peer: Any, batch: Batch) -> tuple[str, str]:
    (row,) = verify(batch, peer.setting(our_aet=OURS), method="get").itertuples()
    return str(row.verified), str(row.verify_detail)


# What an archive may do


@pytest.mark.parametrize(
    ("which", "syntax"),
    [
        *(("orthanc", syntax) for syntax in (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE)),
        *(("dcmqrscp", syntax) for syntax in (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE)),
    ],
)
def test_what_was_only_encoded_otherwise_is_the_same(
    which: str, syntax: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    peer = request.getfixturevalue(which)
    source = file_of(an_instance(big=syntax == EXPLICIT_BE), syntax, tmp_path / "one.dcm")
    batch = send_batch(peer.setting(our_aet=OURS), source, transcode=False)
    assert batch.ok
    assert found(peer, batch)[0] == "yes", found(peer, batch)


@pytest.mark.parametrize(
    "options", [("+ti",), ("+te", "-e"), ("+te", "+e"), ("+tb",), ("+te", "+g")], ids="".join
)
def test_a_copy_that_dcmtk_encoded_anew_is_the_same(
    dcmqrscp: Dcmqrscp, options: tuple[str, ...], tmp_path: Path
) -> None:
    source = file_of(an_instance(), EXPLICIT_LE, tmp_path / "one.dcm")
    batch = sent(dcmqrscp, source)
    subprocess.run([program("dcmconv"), *options, source, held(dcmqrscp)], check=True)
    assert found(dcmqrscp, batch)[0] == "yes", found(dcmqrscp, batch)


@pytest.mark.parametrize(
    ("syntax", "decoder"),
    [
        (RLELossless, "pydicom"),
        (JPEGLSLossless, "pydicom"),
        (JPEG2000Lossless, "pydicom"),
        (RLELossless, "dcmdrle"),
        (JPEGLSLossless, "dcmdjpls"),
    ],
)
def test_a_copy_that_was_decompressed_is_the_same(
    dcmqrscp: Dcmqrscp, syntax: UID, decoder: str, tmp_path: Path
) -> None:
    source = compressed(an_instance(), syntax, tmp_path / "one.dcm")
    copy = tmp_path / "native.dcm"
    if decoder == "pydicom":
        ds = dcmread(source)
        ds.decompress(as_rgb=False, generate_instance_uid=False)
        ds.save_as(copy)
    else:
        subprocess.run([program(decoder), source, copy], check=True)
    batch = sent(dcmqrscp, file_of(an_instance(), EXPLICIT_LE, tmp_path / "native-source.dcm"))
    shutil.copy(copy, held(dcmqrscp))
    rows = batch.to_frame().assign(source=str(source), transfer_syntax=str(syntax))
    os.utime(source, (0, 0))
    (row,) = verify(rows, dcmqrscp.setting(our_aet=OURS), method="get").itertuples()
    assert row.verified == "yes", row.verify_detail
    assert "and its decoded pixels are as sent" in row.verify_detail


def test_lossy_pixels_that_dcmtk_decompressed_are_the_same_within_what_decoders_differ(
    dcmqrscp: Dcmqrscp, tmp_path: Path
) -> None:
    ds = an_instance()
    y, x = np.mgrid[:32, :32]
    smooth = np.stack([y * 7, x * 7, (x + y) * 3], axis=2).astype("u1")
    describe(ds, frames=2, colours=3, samples=np.stack([smooth, smooth[::-1]]))
    native = file_of(ds, EXPLICIT_LE, tmp_path / "native.dcm")
    lossy, copy = tmp_path / "lossy.dcm", tmp_path / "copy.dcm"
    # +uc would give it another UID: it stays the same instance here.
    subprocess.run([program("dcmcjpeg"), "+eb", "+un", native, lossy], check=True)
    batch = sent(dcmqrscp, native)
    for options in ((), ("+cn",)):
        subprocess.run([program("dcmdjpeg"), *options, lossy, copy], check=True)
        shutil.copy(copy, held(dcmqrscp))
        rows = batch.to_frame().assign(source=str(lossy), transfer_syntax="1.2.840.10008.1.2.4.50")
        os.utime(lossy, (0, 0))
        (row,) = verify(rows, dcmqrscp.setting(our_aet=OURS), method="get").itertuples()
        assert row.verified == "yes", row.verify_detail
    wrong = dcmread(copy)
    wrong.PixelData = wrong.PixelData[::-1]
    wrong.save_as(held(dcmqrscp))
    (row,) = verify(rows, dcmqrscp.setting(our_aet=OURS), method="get").itertuples()
    assert row.verified == "no"
    assert "by more than" in row.verify_detail


def compressed(ds: Dataset, syntax: UID, path: Path) -> Path:
    native = dcmread(io.BytesIO(file_of(ds, EXPLICIT_LE, path).read_bytes()))
    native.compress(syntax, generate_instance_uid=False)
    native.save_as(path)
    return path


# What it may not


def drop(*tags: int) -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        for tag in tags:
            del ds[tag]

    return change


def text(tag: int, vr: str, value: bytes) -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        ds[tag] = raw(tag, vr, value)

    return change


def drop_a_frame(ds: Dataset) -> None:
    ds.NumberOfFrames = 1
    ds.PixelData = ds.PixelData[: len(ds.PixelData) // 2]


def shuffle_colours(ds: Dataset) -> None:
    samples = np.frombuffer(ds.PixelData, "u1").reshape(2, 32, 32, 3)
    ds.PixelData = samples[..., ::-1].tobytes()


def swap_words(ds: Dataset) -> None:
    value = np.frombuffer(ds[0x00281201].value, "<u2").byteswap().tobytes()
    ds[0x00281201] = raw(0x00281201, "OW", value)


def change_icon(ds: Dataset) -> None:
    icon = ds.IconImageSequence[0]
    icon.PixelData = icon.PixelData[::-1]


def drop_in_item(ds: Dataset) -> None:
    del ds.ReferencedImageSequence[0].ReferencedSOPInstanceUID


ALTERED: dict[str, tuple[Callable[[Dataset], None], str]] = {
    "question marks": (text(0x00081030, "LO", b"???? CT "), "(0008,1030) StudyDescription changed"),
    "replacement characters": (
        text(0x00081030, "LO", "\ufffd\ufffd CT".encode() + b" "),
        "(0008,1030) StudyDescription changed",
    ),
    "escapes lost": (text(0x00100010, "PN", KANJI.replace(b"\x1b", b"")), "(0010,0010) PatientName changed"),
    "in UTF-8": (
        text(0x00100010, "PN", "Yamada^Tarou=山田^太郎".encode()),
        "(0010,0010) PatientName changed",
    ),
    "another character set": (
        text(0x00080005, "CS", b"ISO_IR 100"),
        "(0008,0005) SpecificCharacterSet changed",
    ),
    "an element lost": (drop(0x00080070), "(0008,0070) Manufacturer missing"),
    "an element in an item lost": (
        drop_in_item,
        "(0008,1140)[1] > (0008,1155) ReferencedSOPInstanceUID missing",
    ),
    "a private element lost": (drop(0x00291010), "(0029,1010) missing"),
    "the last part cut off": (drop(0x7FE10010, 0x7FE11001), "(7fe1,0010) missing; (7fe1,1001) missing"),
    "a frame lost": (drop_a_frame, "(7fe0,0010) PixelData changed"),
    "colours shuffled": (shuffle_colours, "(7fe0,0010) PixelData changed"),
    "words not swapped": (swap_words, "(0028,1201) RedPaletteColorLookupTableData changed"),
    "another icon": (change_icon, "(0088,0200)[1] > (7fe0,0010) PixelData changed"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of a character set that does not fit
@pytest.mark.parametrize("name", ALTERED)
def test_a_copy_that_was_altered_is_found_out(dcmqrscp: Dcmqrscp, name: str, tmp_path: Path) -> None:
    change, said = ALTERED[name]
    batch = sent(dcmqrscp, file_of(an_instance(), EXPLICIT_LE, tmp_path / "one.dcm"))
    assert found(dcmqrscp, batch)[0] == "yes"
    ds = dcmread(held(dcmqrscp))
    change(ds)
    ds.save_as(held(dcmqrscp))
    verdict, detail = found(dcmqrscp, batch)
    assert verdict == "no"
    assert said in detail
    assert not any(shown in detail for shown in ("Yamada", "CT ", "????"))


@pytest.mark.parametrize("syntax", [EXPLICIT_BE, IMPLICIT_LE])
def test_a_copy_of_another_encoding_that_was_altered_is_found_out(
    dcmqrscp: Dcmqrscp, syntax: str, tmp_path: Path
) -> None:
    source = file_of(an_instance(big=syntax == EXPLICIT_BE), syntax, tmp_path / "one.dcm")
    batch = sent(dcmqrscp, source)
    shutil.copy(file_of(an_instance(), EXPLICIT_LE, tmp_path / "copy.dcm"), held(dcmqrscp))
    assert found(dcmqrscp, batch)[0] == "yes", found(dcmqrscp, batch)
    for change, said in (ALTERED["words not swapped"], ALTERED["question marks"]):
        ds = an_instance()
        change(ds)
        shutil.copy(file_of(ds, EXPLICIT_LE, tmp_path / "copy.dcm"), held(dcmqrscp))
        assert said in found(dcmqrscp, batch)[1]
    ds = an_instance()
    ds.Rows = 33
    shutil.copy(file_of(ds, EXPLICIT_LE, tmp_path / "copy.dcm"), held(dcmqrscp))
    assert "(0028,0010) Rows changed ('32' became '33')" in found(dcmqrscp, batch)[1]


@pytest.mark.parametrize("name", ["question marks", "colours shuffled", "words not swapped", "another icon"])
def test_what_orthanc_holds_altered_is_found_out(orthanc: Orthanc, name: str, tmp_path: Path) -> None:
    change, said = ALTERED[name]
    batch = sent(orthanc, file_of(an_instance(), EXPLICIT_LE, tmp_path / "one.dcm"))
    assert found(orthanc, batch)[0] == "yes"
    ds = dcmread(held(orthanc))
    size = held(orthanc).stat().st_size
    change(ds)
    ds.save_as(held(orthanc))
    assert held(orthanc).stat().st_size == size
    verdict, detail = found(orthanc, batch)
    assert verdict == "no"
    assert said in detail


def test_more_in_the_source_than_was_sent_is_found_out(dcmqrscp: Dcmqrscp, tmp_path: Path) -> None:
    """As where less of a file was taken for its data set than it has."""
    source = file_of(an_instance(), EXPLICIT_LE, tmp_path / "one.dcm")
    batch = sent(dcmqrscp, source)
    source.write_bytes(source.read_bytes() + struct.pack("<HH2sHI", 0x7FE3, 0x0010, b"UN", 0, 4) + b"more")
    os.utime(source, (0, 0))
    verdict, detail = found(dcmqrscp, batch)
    assert verdict == "no"
    assert detail.endswith("(7fe3,0010) missing")


@pytest.mark.parametrize("clock", ["ahead", "right", "behind"])
def test_a_source_that_changed_is_told_by_the_ledger_whatever_the_clock_said(
    dcmqrscp: Dcmqrscp, clock: str, tmp_path: Path
) -> None:
    source = file_of(an_instance(), EXPLICIT_LE, tmp_path / "one.dcm")
    batch = send_batch(dcmqrscp.setting(our_aet=OURS), source, ledger=tmp_path / "ledger.sqlite")
    moment = {"ahead": datetime.now(UTC) + timedelta(days=1), "behind": datetime.now(UTC) - timedelta(days=1)}
    if clock in moment:
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection, connection:
            connection.execute("UPDATE attempt_values SET started_at = ?", (as_text(moment[clock]),))
    before = source.stat()
    ds = dcmread(held(dcmqrscp))
    ds.PatientID = "P2"
    ds.save_as(held(dcmqrscp))
    assert found(dcmqrscp, batch)[0] == "no"
    source.write_bytes(source.read_bytes().replace(b"dicomkit tests", b"dicomkit other"))
    verdict, detail = found(dcmqrscp, batch)
    assert verdict == "unknown"
    assert "is another file than the one that was sent" in detail
    assert "send it again" in detail
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert found(dcmqrscp, batch)[0] == "no"


def test_a_source_that_changed_after_it_was_skipped_proves_nothing(
    dcmqrscp: Dcmqrscp, tmp_path: Path
) -> None:
    source = file_of(an_instance(), EXPLICIT_LE, tmp_path / "one.dcm")
    for _ in range(2):
        batch = send_batch(dcmqrscp.setting(our_aet=OURS), source, ledger=tmp_path / "ledger.sqlite")
    assert list(batch.to_frame().outcome) == ["skipped"]
    assert found(dcmqrscp, batch)[0] == "yes"
    source.write_bytes(source.read_bytes().replace(b"dicomkit tests", b"dicomkit other"))
    verdict, detail = found(dcmqrscp, batch)
    assert (verdict, "is another file than the one that was sent" in detail) == ("unknown", True)


# A copy that is damaged


def test_a_source_is_known_by_the_uid_in_its_data_set(dcmqrscp: Dcmqrscp, tmp_path: Path) -> None:
    """Its File Meta Information says another one, which is not what was sent."""
    path = file_of(an_instance(), EXPLICIT_LE, tmp_path / "one.dcm")
    content = path.read_bytes()
    uid = an_instance().SOPInstanceUID.encode()
    assert content.count(uid) == 2
    path.write_bytes(content.replace(uid, uid[:-1] + b"9", 1))
    batch = sent(dcmqrscp, path)
    assert batch.to_frame().sop_instance_uid.tolist() == [uid.decode()]
    assert found(dcmqrscp, batch)[0] == "yes"


@pytest.mark.parametrize("which", ["orthanc", "dcmqrscp"])
@pytest.mark.parametrize("content", [b"", b"x" * 5000])
def test_of_a_damaged_copy_it_is_said_what_helps(
    which: str, content: bytes, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    peer = request.getfixturevalue(which)
    source = file_of(an_instance(), EXPLICIT_LE, tmp_path / "one.dcm")
    batch = sent(peer, source)
    held(peer).write_bytes(content)
    verdict, detail = found(peer, batch)
    assert verdict == "unknown"
    assert "its copy is damaged: send it again with resume=False" in detail
    assert "use method='find'" not in detail


def test_a_damaged_copy_hides_no_others_of_its_series(orthanc: Orthanc, ct_files: list[Path]) -> None:
    batch = send_batch(orthanc.setting(our_aet=OURS), ct_files[:4])
    uids = batch.to_frame().sop_instance_uid.tolist()
    (copy,) = [
        path
        for path in orthanc.folder.rglob("*")
        if path.is_file() and path.read_bytes()[128:132] == b"DICM" and uids[2].encode() in path.read_bytes()
    ]
    copy.write_bytes(b"")
    frame = verify(batch, orthanc.setting(our_aet=OURS), method="find")
    assert frame.verified.tolist() == ["yes", "yes", "unknown", "yes"]
    assert "its copy is damaged: send it again with resume=False" in frame.verify_detail[2]
