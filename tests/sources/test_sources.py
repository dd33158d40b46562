"""Finding instances: what is named, what a scan comes across, and what is said of everything else."""

from __future__ import annotations

import copy
import os
import shutil
import struct
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pydicom
import pytest

from dicomkit import (
    DicomMessage,
    Instance,
    Ledger,
    LocalSCP,
    TextMessage,
    find_instances,
    look_at,
    read_results,
    send_batch,
)
from dicomkit.sources import Found, PassedOver, Unreadable
from tests.sources.test_instances import BODY, data_set_of, meta
from tests.support.files import ct_instance

DICOMDIRS = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"


def kinds(found: list[Found]) -> list[tuple[type, str]]:
    return [(type(one), Path(one.source).name) for one in found]


def only(found: Iterator[Found]) -> Found:
    (one,) = found
    return one


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two series of two slices, with what lies about beside them."""
    folder = tmp_path / "study"
    for series in ("a", "b"):
        (folder / series).mkdir(parents=True)
        for index in (1, 0):
            (folder / series / f"{index}.dcm").write_bytes(ct_instance(index))
    (folder / "README.txt").write_text("about this study")
    (folder / "c.dcm").write_bytes(ct_instance(2))
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("series/0.dcm", ct_instance(0))
        file.writestr("series/1.dcm", ct_instance(1), zipfile.ZIP_STORED)
        file.writestr("notes.txt", "hello")
        file.writestr("empty/", "")
    return path


# Files and folders ----------------------------------------------------------------------------------------------------


def test_a_file_is_found_by_text_and_by_path(study: Path) -> None:
    path = study / "c.dcm"
    assert only(find_instances(path)) == only(find_instances(str(path))) == look_at(path)


def test_a_folder_is_walked_at_any_depth_in_sorted_order(study: Path) -> None:
    found = list(find_instances(study))
    assert kinds(found) == [
        (PassedOver, "README.txt"),
        *((Instance, "0.dcm"), (Instance, "1.dcm"), (Instance, "0.dcm"), (Instance, "1.dcm")),
        (Instance, "c.dcm"),
    ]
    assert [Path(one.source).parent.name for one in found[1:5]] == ["a", "a", "b", "b"]
    assert "not DICOM" in found[0].reason  # type: ignore[union-attr]


def test_an_explicitly_named_text_file_is_unreadable_and_a_scanned_one_passed_over(study: Path) -> None:
    assert isinstance(only(find_instances(study / "README.txt")), Unreadable)
    assert isinstance(next(find_instances(study)), PassedOver)


def test_a_truncated_file_is_unreadable_though_only_scanned(study: Path) -> None:
    (study / "a" / "0.dcm").write_bytes(ct_instance()[:-5])
    unreadable = [one for one in find_instances(study) if isinstance(one, Unreadable)]
    assert [Path(one.source).name for one in unreadable] == ["0.dcm"]
    assert unreadable[0].detail.startswith("truncated: 5 bytes of Pixel Data (7FE0,0010) are missing")


def test_a_missing_path_says_so_without_saying_the_path_twice() -> None:
    assert only(find_instances("/no/such.dcm")) == Unreadable(
        "/no/such.dcm", "there is no such file or folder; check the path"
    )


@pytest.mark.parametrize("path", ["x" * 5000, "a" * 5000 + ".zip!/b", "a\0b", "", "x" * 5000 + "/*.dcm"])
def test_a_path_that_no_system_would_take_is_unreadable(path: str) -> None:
    found = only(find_instances(path))
    assert isinstance(found, Unreadable)
    assert (found.source, bool(found.detail)) == (path, True)


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert list(find_instances(tmp_path)) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_unreadable(study: Path) -> None:
    (study / "a").chmod(0)
    try:
        found = [one for one in find_instances(study) if isinstance(one, Unreadable)]
    finally:
        (study / "a").chmod(0o700)
    assert [(Path(one.source).name, one.detail.split(";")[0]) for one in found] == [
        ("a", "permission denied")
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_but_not_in_a_circle(study: Path) -> None:
    (study / "b" / "up").symlink_to(study)
    (study / "b" / "nowhere").symlink_to(study / "gone")
    (study / "b" / "self").symlink_to(study / "b" / "self")
    (study / "d.dcm").symlink_to(study / "c.dcm")
    found = list(find_instances(study))
    assert sum(isinstance(one, Instance) for one in found) == 6
    reasons = {Path(one.source).name: one.reason for one in found if isinstance(one, PassedOver)}
    assert "scanned before" in reasons["up"]
    assert reasons["nowhere"] == "a link that leads nowhere"
    assert "self" in reasons


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert only(find_instances(tmp_path)) == PassedOver(
        str(tmp_path / "pipe"), "a pipe or device, not a file"
    )


def test_a_folder_is_walked_lazily(study: Path) -> None:
    found = find_instances(study)
    next(found)
    shutil.rmtree(study / "b")
    assert [type(one) for one in found] == [Instance, Instance, Unreadable, Instance]


def test_ten_thousand_files_are_scanned_in_seconds(tmp_path: Path) -> None:
    first = tmp_path / "first.dcm"
    first.write_bytes(ct_instance())
    for index in range(10_000):
        (tmp_path / f"{index:06}.dcm").hardlink_to(first)
    begin = time.perf_counter()
    assert sum(isinstance(one, Instance) for one in find_instances(tmp_path)) == 10_001
    assert time.perf_counter() - begin < 10, "it takes a third of a second here"


# Globs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.dcm", ["c.dcm"]),
        ("**/*.dcm", ["c.dcm", "a/0.dcm", "a/1.dcm", "b/0.dcm", "b/1.dcm"]),
        ("**/**/*.dcm", ["c.dcm", "a/0.dcm", "a/1.dcm", "b/0.dcm", "b/1.dcm"]),
        ("[ab]/0.*", ["a/0.dcm", "b/0.dcm"]),
        ("?/1.dcm", ["a/1.dcm", "b/1.dcm"]),
        ("[ab]", ["a/0.dcm", "a/1.dcm", "b/0.dcm", "b/1.dcm"]),
        ("b/**", ["b/0.dcm", "b/1.dcm"]),
        ("*.txt", ["README.txt"]),
    ],
)
def test_a_glob_finds_what_it_matches(study: Path, pattern: str, names: list[str]) -> None:
    found = list(find_instances(f"{study}/{pattern}"))
    assert [Path(one.source).relative_to(study).as_posix() for one in found] == names
    assert all(isinstance(one, PassedOver if one.source.endswith("txt") else Instance) for one in found)


def test_a_glob_that_matches_nothing_is_unreadable(study: Path) -> None:
    assert only(find_instances(f"{study}/*.ima")) == Unreadable(
        f"{study}/*.ima", "no file matches; check the pattern"
    )


def test_an_existing_path_wins_over_a_glob(tmp_path: Path) -> None:
    for name in ("scan [1]", "scan 1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.dcm").write_bytes(ct_instance())
    assert only(find_instances(f"{tmp_path}/scan [1]/0.dcm")).source == f"{tmp_path}/scan [1]/0.dcm"
    assert only(find_instances(f"{tmp_path}/scan [1]/*.dcm")).source == f"{tmp_path}/scan [1]/0.dcm"


def test_hidden_files_are_scanned_in_a_folder_and_left_to_be_named_in_a_glob(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / ".0.dcm").write_bytes(ct_instance())
    assert isinstance(only(find_instances(tmp_path)), Instance)
    assert isinstance(only(find_instances(f"{tmp_path}/**/*.dcm")), Unreadable)
    assert isinstance(only(find_instances(f"{tmp_path}/.h*/.*.dcm")), Instance)


def test_a_glob_relative_to_the_current_folder(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study)
    for pattern in ("**/0.dcm", "*/0.dcm", "./[ab]/0.dcm"):
        assert [Path(one.source) for one in find_instances(pattern)] == [Path("a/0.dcm"), Path("b/0.dcm")]


def test_the_home_folder_may_be_written_as_a_tilde(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(study))
    monkeypatch.setenv("USERPROFILE", str(study))
    assert only(find_instances("~/c.dcm")).source == str(study / "c.dcm")


# Zip archives ---------------------------------------------------------------------------------------------------------


def test_a_named_archive_is_opened(archive: Path) -> None:
    found = list(find_instances(archive))
    assert [(type(one), one.source) for one in found] == [
        (Instance, f"{archive}!/series/0.dcm"),
        (Instance, f"{archive}!/series/1.dcm"),
        (PassedOver, f"{archive}!/notes.txt"),
    ]
    for index, instance in enumerate(found[:2]):
        assert isinstance(instance, Instance)
        assert data_set_of(instance) == ct_instance(index)[instance.offset :]


def test_a_scanned_archive_is_passed_over(archive: Path) -> None:
    found = only(find_instances(archive.parent))
    assert found == PassedOver(str(archive), "a zip archive: name it as a source to send what is in it")


def test_a_glob_that_names_archives_opens_them(archive: Path) -> None:
    assert len(list(find_instances(f"{archive.parent}/*.zip"))) == 3


def test_a_member_is_found_again_by_the_name_it_had(archive: Path) -> None:
    names = [
        f"{archive}!/series/1.dcm",
        f"{archive}!/series/0.dcm",
        f"{archive}!/gone.dcm",
        f"{archive}.7!/0.dcm",
    ]
    found = list(find_instances(names))
    assert [type(one) for one in found] == [Instance, Instance, Unreadable, Unreadable]
    assert [one.source for one in found] == names


def test_an_archive_in_an_archive_is_passed_over(archive: Path) -> None:
    inner = archive.read_bytes()
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("inner.zip", inner)
    *_, last = find_instances(archive)
    assert isinstance(last, PassedOver)
    assert "an archive in an archive" in last.reason


def test_an_encrypted_member_is_unreadable(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[central + 8] |= 1
    archive.write_bytes(content)
    first = next(find_instances(archive))
    assert first == Unreadable(
        f"{archive}!/series/0.dcm", "it is encrypted; unpack the archive with its password first"
    )


def test_a_member_packed_in_another_way_is_unreadable(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("odd.dcm", ct_instance(), zipfile.ZIP_BZIP2)
    *_, last = find_instances(archive)
    assert last == Unreadable(f"{archive}!/odd.dcm", "it is not packed by deflate; unpack the archive first")


@pytest.mark.parametrize("index", [0, 1])
def test_a_damaged_member_is_unreadable_before_it_is_sent(archive: Path, index: int) -> None:
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as file:
        info = file.infolist()[index]
    content[info.header_offset + 30 + len(info.filename) + info.compress_size - 20] ^= 0xFF
    archive.write_bytes(content)
    found = list(find_instances(archive))[index]
    assert isinstance(found, Unreadable)
    assert found.detail.startswith("the archive is damaged: ")


def test_a_member_that_grows_beyond_what_it_says_is_unreadable(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[central + 24 : central + 28] = struct.pack("<I", 9000)  # its size before it was packed
    archive.write_bytes(content)
    first = next(find_instances(archive))
    assert isinstance(first, Unreadable)
    assert "larger than its directory says" in first.detail or "truncated" in first.detail


def test_a_member_without_a_name_is_a_member(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("x", ct_instance(2))
        file.infolist()[-1].filename = "\0"  # zipfile keeps of a name what comes before a NUL
    *_, last = find_instances(archive)
    assert isinstance(last, Instance)
    assert last.source == f"{archive}!/"


def test_members_that_share_bytes_are_unpacked_once(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        first = file.infolist()[0]
        for index in range(100):  # a bomb: the same bytes under many names
            again = copy.copy(first)
            again.filename = f"again-{index}.dcm"
            file.filelist.append(again)
        within = copy.copy(first)
        within.filename, within.header_offset = "within.dcm", first.header_offset + 40
        file.filelist.append(within)
        file._didModify = True  # type: ignore[attr-defined]
    found = list(find_instances(archive))
    assert [type(one) for one in found[:3]] == [Instance, Instance, PassedOver]
    assert len(found) == 3 + 101
    for one in found[3:]:
        assert isinstance(one, Unreadable)
        assert "shares bytes with another" in one.detail


def test_a_truncated_archive_is_unreadable(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:200])
    found = only(find_instances(archive))
    assert isinstance(found, Unreadable)
    assert found.detail.startswith("the archive is damaged")


def test_an_archive_that_is_gone_when_a_member_is_sent(archive: Path) -> None:
    instance = next(find_instances(archive))
    assert isinstance(instance, Instance)
    archive.unlink()
    with pytest.raises(Exception, match="no such file"):
        instance.open()


def test_a_large_member_is_never_whole_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "big.zip"
    size = 100_000_000
    head = ct_instance()
    head = head[: head.index(b"\xe0\x7f\x10\0OW\0\0") + 8] + struct.pack("<I", size)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("big.dcm", "w") as member,
    ):
        member.write(head)
        for _ in range(size // 1_000_000):
            member.write(bytes(1_000_000))
    buffer = memoryview(bytearray(1 << 20))
    tracemalloc.start()
    try:
        instance = only(find_instances(path))
        assert isinstance(instance, Instance)
        source = instance.open()
        total = 0
        while count := source.readv([buffer]):
            total += count
        source.close()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == instance.length > size
    assert peak < 10_000_000


# Names that are no text -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are Unicode there")
@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet", ".ledger", ""])
def test_a_file_whose_name_is_no_utf_8_is_sent_again_from_its_results(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / os.fsdecode(b"k\xf6ln\xff")
    folder.mkdir()
    path = folder / os.fsdecode(b"\xe4.dcm")
    path.write_bytes(ct_instance())
    with zipfile.ZipFile(folder / "some.zip", "w") as file:
        file.writestr("one.dcm", ct_instance())
    sources = [folder / "some.zip", path]
    store = tmp_path / f"results{suffix}"
    with LocalSCP() as scp:
        options = {"ledger": store} if suffix == ".ledger" else {"results": store} if suffix else {}
        batch = send_batch(scp.setting(), sources, **options)
        frame = (
            Ledger(store).to_frame()
            if suffix == ".ledger"
            else read_results(store)
            if suffix
            else batch.to_frame()
        )
        assert all("\\udcff" in source for source in frame["source"])
        for again in (frame, list(frame["source"])):
            assert list(send_batch(scp.setting(), again).to_frame()["outcome"]) == ["stored"] * 2
    assert len(scp.received) == 6
    message = DicomMessage.from_file(frame["source"].iloc[1])
    assert data_set_of(message.instance) == data_set_of(look_at(path))
    assert message.data == ct_instance()


def test_a_name_that_only_looks_escaped_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "\\udcff\\udc.dcm"
    path.write_bytes(ct_instance())
    assert isinstance(only(find_instances(str(path))), Instance)
    assert isinstance(only(find_instances(str(tmp_path / "\\udc"))), Unreadable)


# DICOMDIR -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DICOMDIRS, tmp_path / "medium"))


def test_a_named_dicomdir_is_followed_in_its_order(medium: Path) -> None:
    found = list(find_instances(medium / "DICOMDIR"))
    records = pydicom.dcmread(medium / "DICOMDIR").DirectoryRecordSequence
    named = [record.ReferencedFileID for record in records if "ReferencedFileID" in record]
    assert [one.source for one in found] == [str(medium.joinpath(*parts)) for parts in named]
    assert all(isinstance(one, Instance) for one in found)


def test_a_scanned_dicomdir_is_passed_over_and_its_files_found_once(medium: Path) -> None:
    found = list(find_instances(medium))
    assert len({one.source for one in found}) == len(found)
    assert any(isinstance(one, PassedOver) and "DICOMDIR is not sent itself" in one.reason for one in found)


def test_a_file_that_a_dicomdir_refers_to_in_vain_is_unreadable(medium: Path) -> None:
    (medium / "77654033" / "CR1" / "6154").unlink()
    missing = [one for one in find_instances(medium / "DICOMDIR") if isinstance(one, Unreadable)]
    assert [(Path(one.source).name, one.detail) for one in missing] == [
        ("6154", "DICOMDIR refers to it, and it is not there")
    ]


def test_a_dicomdir_is_followed_though_names_changed_their_case(medium: Path) -> None:
    (medium / "77654033").rename(medium / "lower")
    for folder in (medium / "lower").iterdir():
        folder.rename(folder.with_name(folder.name.lower()))
    (medium / "lower").rename(medium / "77654033")
    found = list(find_instances(medium / "DICOMDIR"))
    assert (len(found), all(isinstance(one, Instance) for one in found)) == (31, True)


@pytest.mark.parametrize(
    ("file_id", "on_disk"),
    [
        (["A", "IM1"], "A/IM1.dcm"),
        (["A", "IM1"], "A/IM1.DCM"),
        (["A", "IM1"], "a/im1.dcm"),
        (["A", "IM1"], "A/IM1.ima"),
        (["A", "IM1"], "A/IM1;1"),
        (["A", "IM1"], "A/IM1.;1"),
        (["A", "IM1"], "A/IM1.DCM;12"),
        (["A", "IM1;1"], "A/IM1"),
        (["A", "IM1.DCM"], "A/IM1"),
        (["A/IM1"], "A/IM1"),
        (["A/B/IM1"], "a/b/im1.dcm"),
        ([".", "A", "IM1"], "A/IM1"),
        (["A", "B", "C", "IM1"], "a/B/c/IM1.dcm"),
        (["A ", " B", "IM1 "], "A/B/IM1"),
    ],
)
def test_a_dicomdir_is_followed_though_names_are_not_as_it_says(
    medium: Path, file_id: list[str], on_disk: str
) -> None:
    path = medium / on_disk
    path.parent.mkdir(parents=True)
    path.write_bytes(ct_instance())
    (path.parent / "im1.jpg").write_bytes(b"a picture of it")
    (path.parent / "im10.dcm").write_bytes(b"another")
    with pydicom.config.disable_value_validation():
        refer_to(medium / "DICOMDIR", file_id)
        found = list(find_instances(medium / "DICOMDIR"))
    assert str(path) in [one.source for one in found]
    assert all(isinstance(one, Instance) for one in found)


def test_a_picture_beside_a_missing_file_is_not_taken_for_it(medium: Path) -> None:
    (medium / "77654033" / "CR1" / "6154").unlink()
    (medium / "77654033" / "CR1" / "6154.jpg").write_bytes(b"a picture of it")
    missing = [one for one in find_instances(medium / "DICOMDIR") if not isinstance(one, Instance)]
    assert [type(one) for one in missing] == [Unreadable]


def refer_to(directory_file: Path, file_id: list[str]) -> None:
    directory = pydicom.dcmread(directory_file)
    record = next(record for record in directory.DirectoryRecordSequence if "ReferencedFileID" in record)
    record.ReferencedFileID = file_id
    directory.save_as(directory_file)


@pytest.mark.parametrize(
    "file_id",
    [
        ["..", "out.dcm"],
        ["../out.dcm"],
        ["/etc/passwd"],
        ["A", "..", "..", "out.dcm"],
        ["", "etc"],
        ["a/../../b"],
        ["C:", "x"],
        [".. ", "out.dcm"],
    ],
)
def test_a_dicomdir_does_not_lead_out_of_its_folder(medium: Path, file_id: list[str]) -> None:
    (medium.parent / "out.dcm").write_bytes(ct_instance())
    with pydicom.config.disable_value_validation():
        refer_to(medium / "DICOMDIR", file_id)
        found = list(find_instances(medium / "DICOMDIR"))
    refused = [one for one in found if isinstance(one, Unreadable)]
    assert [one.detail for one in refused] == ["DICOMDIR refers to it, which leads out of its folder"]


def test_a_truncated_dicomdir_is_unreadable_when_named_and_passed_over_when_scanned(tmp_path: Path) -> None:
    path = tmp_path / "DICOMDIR"
    path.write_bytes((DICOMDIRS / "DICOMDIR").read_bytes()[:-100])
    named = only(find_instances(path))
    assert isinstance(named, Unreadable)
    assert "the DICOMDIR is damaged (truncated: " in named.detail
    assert isinstance(only(find_instances(tmp_path)), PassedOver)


# Things in memory, and many things ------------------------------------------------------------------------------------


def test_bytes_are_one_source(tmp_path: Path) -> None:
    content = ct_instance()
    for thing in (content, bytearray(content), memoryview(content)):
        found = only(find_instances(thing))
        assert isinstance(found, Instance)
        assert found.source == "<bytes>"
    assert isinstance(only(find_instances(b"hello")), Unreadable)


def test_a_dataset_is_one_source() -> None:
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(ct_instance()))
    found = only(find_instances(dataset))
    assert isinstance(found, Instance)
    assert (found.source, found.sop_instance_uid) == ("<dataset>", dataset.SOPInstanceUID)
    del dataset.SOPInstanceUID, dataset.file_meta
    assert only(find_instances([dataset])) == Unreadable(
        "<dataset>", "it has no SOPInstanceUID; set that before it is sent"
    )


def test_messages_are_sources_and_only_dicom_can_be_sent(study: Path) -> None:
    found = list(
        find_instances(
            [
                DicomMessage.from_file(study / "c.dcm"),
                DicomMessage.from_file("gone.dcm"),
                TextMessage("DICOM?"),
            ]
        )
    )
    assert found[0] == look_at(study / "c.dcm")
    assert found[1] == Unreadable("gone.dcm", "there is no such file or folder; check the path")
    assert isinstance(found[2], Unreadable)
    assert "a TextMessage cannot be sent" in found[2].detail


def test_an_iterable_of_anything_is_walked_lazily(study: Path) -> None:
    taken = []

    def paths() -> Iterator[object]:
        for source in (study / "c.dcm", [str(study / "a"), ct_instance()], "gone"):
            taken.append(source)
            yield source

    found = find_instances(paths())
    assert not taken
    next(found)
    assert len(taken) == 1
    assert [type(one) for one in found] == [Instance, Instance, Instance, Unreadable]


def test_an_instance_found_before_is_a_source(study: Path) -> None:
    found = list(find_instances(study / "a"))
    assert list(find_instances(found)) == found


def test_a_frame_of_earlier_results_is_a_source(study: Path, archive: Path) -> None:
    names = [
        str(study / "c.dcm"),
        str(study / "c.dcm"),
        f"{archive}!/series/0.dcm",
        "<bytes>",
        None,
        "<dataset>",
    ]
    frame = pd.DataFrame({"source": pd.array(names, dtype="string"), "outcome": "refused"})
    found = list(find_instances(frame))
    assert [type(one) for one in found] == [Instance, Instance, Unreadable, Unreadable]
    assert "the frame does not hold it" in found[2].detail  # type: ignore[union-attr]
    assert [type(one) for one in find_instances(frame["source"].dropna().head(3))] == [Instance] * 3
    with pytest.raises(TypeError, match="needs a column 'source'"):
        list(find_instances(pd.DataFrame({"path": names})))


@pytest.mark.parametrize("strange", [None, 5, 1.5, {"a": 1}, object()])
def test_anything_else_is_refused_by_its_type(strange: object) -> None:
    with pytest.raises(
        TypeError, match=f"{type(strange).__name__} is no source of instances; give a path, a glob"
    ):
        find_instances(strange)
    with pytest.raises(TypeError, match="is no source of instances"):
        list(find_instances([strange]))


def test_an_open_file_is_refused_and_not_read_line_by_line(study: Path) -> None:
    with (study / "c.dcm").open("rb") as file, pytest.raises(TypeError, match="is no source of instances"):
        find_instances(file)


def test_a_file_without_preamble_is_told_from_text_when_scanned(tmp_path: Path) -> None:
    (tmp_path / "bare.dcm").write_bytes(meta() + BODY)
    (tmp_path / "text").write_bytes(b"\x08\x00\x05\x00text that happens to begin like an element " * 10)
    (tmp_path / "zeros").write_bytes(bytes(10_000))
    assert kinds(list(find_instances(tmp_path))) == [
        (Instance, "bare.dcm"),
        (PassedOver, "text"),
        (PassedOver, "zeros"),
    ]
