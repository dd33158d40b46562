"""`verify` against real archives, and against a small one that does what real ones do on bad days."""

from __future__ import annotations

import io
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace as replaced
from pathlib import Path
from random import Random
from threading import Event
from time import monotonic
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pynetdicom.association import Association

from dicomkit import (
    Batch,
    DicomSenderSetting,
    Ledger,
    LedgerError,
    SettingError,
    read_results,
    send_batch,
    verify,
)
from dicomkit.results import COLUMNS, Outcome
from dicomkit.samples import sample_folder
from dicomkit.verification._by_get import offers_by_association
from dicomkit.verification._subjects import Subject, sample
from tests.support.archive_peer import CT, FIND, GET, PUSH_MODEL, ArchivePeer, References
from tests.support.files import SERIES_UID, STUDY_UID, ct_instance, instance_uid, write_ct_files
from tests.support.peers import HOST, Dcmqrscp, Orthanc, Storescp, free_port, wait_until

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    # A report whose answer is cut off by our release ends pynetdicom's thread that way.
    pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning"),
]

OURS = "DICOMKIT"
OTHER_STUDY, OTHER_SERIES = f"{STUDY_UID}.7", f"{STUDY_UID}.7.1"


@pytest.fixture(scope="module")
def report_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def running_orthanc(report_port: int) -> Iterator[Orthanc]:
    """Orthanc that knows us at a port, and reads what it has from its disk every time."""
    with Orthanc(modalities={OURS: report_port}, configuration={"MaximumStorageCacheSize": 0}) as peer:
        yield peer


@pytest.fixture
def orthanc(running_orthanc: Orthanc) -> Orthanc:
    running_orthanc.clear()
    return running_orthanc


def ours(peer: Any, **changes: Any) -> DicomSenderSetting:
    return peer.setting(our_aet=OURS, **changes)


def answers(frame: pd.DataFrame) -> list[str]:
    return list(frame["verified"].astype(str))


def detail(frame: pd.DataFrame, instance: int = 0) -> str:
    (found,) = frame.loc[frame["instance"] == instance, "verify_detail"]
    return str(found)


def batch_of(files: list[Path], setting: DicomSenderSetting, **options: Any) -> Batch:
    batch = send_batch(setting, files, **options)
    assert batch.ok
    return batch


def stored_rows(files: list[Path]) -> pd.DataFrame:
    """Rows that say stored, of what was sent to a peer that keeps nothing."""
    with Storescp(ignore=True) as peer:
        return batch_of(files, peer.setting()).to_frame()


def holds(path: Path, uid: str) -> bool:
    """Whether a file of an archive is the DICOM file of this instance, and not an index."""
    content = path.read_bytes() if path.is_file() else b""
    return content[128:132] == b"DICM" and uid.encode() in content


def alter(files: list[Path], uid: str, before: bytes, after: bytes) -> None:
    """Change the stored file of an instance in place."""
    assert len(before) == len(after)
    (path,) = [path for path in files if holds(path, uid)]
    content = path.read_bytes()
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, after))


# What comes back


def test_the_frame_has_the_rows_and_what_was_found_out_beside_them(
    dcmqrscp: Dcmqrscp, ct_files: list[Path]
) -> None:
    batch = batch_of(ct_files, dcmqrscp.setting())
    frame = verify(batch, dcmqrscp.setting(), method="find")
    assert list(frame.columns) == [
        *COLUMNS,
        *("verified", "verified_by", "verified_at", "verify_detail", "transaction_uid"),
    ]
    assert frame[list(COLUMNS)].equals(batch.to_frame(latest=True))
    assert list(frame["verified"].cat.categories) == ["yes", "no", "unknown"]
    kinds = [str(frame[name].dtype) for name in ("verified_by", "verify_detail", "transaction_uid")]
    assert kinds == ["string", "string", "string"]
    assert str(frame["verified_at"].dtype) == "datetime64[us, UTC]"
    assert set(frame["verified_by"]) == {"find"}
    assert (frame["verified_at"] >= frame["started_at"]).all()


def test_what_was_never_stored_is_not_asked_about(
    dcmqrscp: Dcmqrscp, ct_files: list[Path], tmp_path: Path
) -> None:
    nothing = tmp_path / "nothing.dcm"
    nothing.write_bytes(b"no DICOM")
    batch = send_batch(dcmqrscp.setting(), [*ct_files[:1], nothing])
    frame = verify(batch, dcmqrscp.setting(), method="find")
    assert answers(frame) == ["yes", "unknown"]
    assert "ended as unreadable" in detail(frame, 1)
    assert frame["verified_by"].isna().tolist() == [False, True]
    assert frame["verified_at"].isna().tolist() == [False, True]


def test_a_batch_without_rows_asks_nobody(tmp_path: Path) -> None:
    setting = DicomSenderSetting(remote_port=free_port())
    frame = verify(send_batch(setting, tmp_path), setting, method="get")
    assert len(frame) == 0
    assert "verified" in frame.columns


def test_a_frame_of_an_earlier_day_is_as_good(
    dcmqrscp: Dcmqrscp, ct_files: list[Path], tmp_path: Path
) -> None:
    batch_of(ct_files, dcmqrscp.setting(), results=tmp_path / "rows.csv")
    frame = verify(read_results(tmp_path / "rows.csv"), dcmqrscp.setting(), method="get")
    assert answers(frame) == ["yes"] * len(ct_files)


def test_of_several_attempts_the_last_one_counts(dcmqrscp: Dcmqrscp, ct_files: list[Path]) -> None:
    rows = batch_of(ct_files, dcmqrscp.setting()).to_frame()
    earlier = rows.assign(outcome=pd.Categorical(["timed_out"] * len(rows), rows["outcome"].cat.categories))
    both = pd.concat([rows.assign(attempt=2), earlier], ignore_index=True)
    assert answers(verify(both, dcmqrscp.setting(), method="find")) == ["yes"] * len(ct_files)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"method": "guess"}, "'find', 'commit' or 'get'"),
        ({"fraction": 0}, "fraction is 0"),
        ({"fraction": 1.5}, "fraction is 1.5"),
        ({"fraction": float("nan")}, "fraction is nan"),
        ({"per_series": 0}, "per_series is 0"),
        ({"per_series": 1, "fraction": 0.5}, "give one of them"),
        ({"wait_seconds": -1}, "wait_seconds is -1"),
        ({"wait_seconds": float("inf")}, "wait_seconds is inf"),
        ({"listen_port": 70000}, "listen_port is 70000"),
    ],
)
def test_useless_parameters_are_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        verify(pd.DataFrame(), DicomSenderSetting(), **{"method": "find", **parameters})


def test_what_is_no_record_of_a_send_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"not a str; of a path make Ledger\(path\)"):
        verify("rows.csv", DicomSenderSetting(), method="find")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no column batch_id, instance"):
        verify(pd.DataFrame({"source": ["a"]}), DicomSenderSetting(), method="find")


def test_a_setting_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(SettingError, match="TimeoutSeconds"):
        verify(pd.DataFrame(), DicomSenderSetting(timeout_seconds=0), method="find")


# Samples


def subjects(count: int, series: int = 3) -> list[Subject]:
    return [
        Subject(
            batch_id="b",
            instance=number,
            source="",
            sop_class_uid=CT,
            sop_instance_uid=instance_uid(number),
            study_instance_uid=STUDY_UID,
            series_instance_uid=f"{SERIES_UID}.{number % series}",
            size_bytes=None,
            transfer_syntax=None,
            sent_transfer_syntax=None,
            started_at=None,
            transaction_uid=None,
        )
        for number in range(count)
    ]


@given(st.integers(1, 60), st.floats(0.01, 1.0), st.integers(0, 5), st.randoms())
def test_a_sample_is_the_same_in_whatever_order_and_has_the_size_asked_for(
    count: int, fraction: float, seed: int, random: Random
) -> None:
    some = subjects(count)
    chosen = sample(some, fraction=fraction, per_series=None, seed=seed)
    assert -1e-6 < len(chosen) - fraction * count < 1 + 1e-6
    random.shuffle(some)
    assert sample(some, fraction=fraction, per_series=None, seed=seed) == chosen


def test_a_count_for_each_series_takes_all_of_a_smaller_one() -> None:
    some = [
        *subjects(40, series=4),
        *(replaced(one, instance=99, sop_instance_uid="1.2") for one in subjects(1)),
    ]
    some[-1] = replaced(some[-1], series_instance_uid="1.9")
    chosen = sample(some, fraction=1.0, per_series=3, seed=0)
    assert len(chosen) == 4 * 3 + 1
    assert ("b", 99) in chosen


def test_another_seed_draws_another_sample() -> None:
    draws = {frozenset(sample(subjects(100), fraction=0.1, per_series=None, seed=seed)) for seed in range(5)}
    assert len(draws) == 5
    assert all(len(draw) == 10 for draw in draws)


def test_only_the_sample_is_asked_about(dcmqrscp: Dcmqrscp, ct_files: list[Path]) -> None:
    batch = batch_of(ct_files, dcmqrscp.setting())
    frame = verify(batch, dcmqrscp.setting(), method="find", fraction=0.25, seed=7)
    again = verify(batch, dcmqrscp.setting(), method="get", fraction=0.25, seed=7)
    assert answers(frame).count("yes") == 3
    assert answers(frame) == answers(again)
    left_out = frame.loc[frame["verified"] == "unknown"]
    assert set(left_out["verify_detail"]) == {"not asked about: it is not in the sample"}
    assert left_out["verified_by"].isna().all()


# Is it listed


@pytest.mark.parametrize("method", ["find", "get"])
def test_orthanc_has_the_whole_sample_study(orthanc: Orthanc, method: Any) -> None:
    batch = send_batch(ours(orthanc), sample_folder())
    assert batch.ok
    frame = verify(batch, ours(orthanc), method=method)
    assert set(answers(frame)) == {"yes"}, frame[["source", "verify_detail"]].values.tolist()


@pytest.mark.parametrize("method", ["find", "get"])
def test_dcmqrscp_has_the_whole_sample_study(dcmqrscp: Dcmqrscp, method: Any) -> None:
    batch = send_batch(ours(dcmqrscp), sample_folder())
    assert batch.ok
    frame = verify(batch, ours(dcmqrscp), method=method)
    assert set(answers(frame)) == {"yes"}, frame[["source", "verify_detail"]].values.tolist()


@pytest.mark.parametrize("method", ["find", "commit", "get"])
def test_what_was_deleted_from_orthanc_is_missed(
    orthanc: Orthanc, ct_files: list[Path], report_port: int, method: Any
) -> None:
    batch = batch_of(ct_files, ours(orthanc))
    orthanc.request(f"/instances/{orthanc.instances()[instance_uid(3)]}", method="DELETE")
    frame = verify(batch, ours(orthanc), method=method, listen_port=report_port)
    assert answers(frame) == ["no" if number == 3 else "yes" for number in range(10)]
    assert "send it again" in detail(frame, 3)


@pytest.mark.parametrize("method", ["find", "get"])
def test_what_dcmqrscp_never_had_is_missed(dcmqrscp: Dcmqrscp, ct_files: list[Path], method: Any) -> None:
    batch_of(ct_files[:2], dcmqrscp.setting())
    rows = stored_rows(ct_files[:3])
    frame = verify(rows, dcmqrscp.setting(), method=method)
    assert answers(frame) == ["yes", "yes", "no"]


def listing(
    uids: list[str], *, lists: bool = True, most: int = 1000, status: int = 0x0000, sop_class: str | None = CT
) -> Any:
    """A handler of C-FIND for an archive that has these instances."""

    def on_find(asked: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        wanted = asked.SOPInstanceUID or uids
        wanted = [wanted] if isinstance(wanted, str) else list(wanted)
        if len(wanted) > 1 and asked.SOPInstanceUID and not lists:
            wanted = []
        found = [uid for uid in uids if uid in wanted]
        for uid in found[:most]:
            match = Dataset()
            match.QueryRetrieveLevel = "IMAGE"
            match.SOPInstanceUID = uid
            match.SOPClassUID = sop_class
            yield 0xFF00, match
        if len(found) > most or status:
            yield status, None

    return on_find


UIDS = [instance_uid(number) for number in range(10)]


def test_a_series_takes_one_query(ct_files: list[Path], tmp_path: Path) -> None:
    others = write_ct_files(tmp_path / "other", 3, study_uid=OTHER_STUDY, series_uid=OTHER_SERIES)
    there = [*UIDS, *(instance_uid(number, series_uid=OTHER_SERIES) for number in range(3))]
    rows = stored_rows([*ct_files, *others])
    with ArchivePeer(offers=[FIND], on_find=listing(there)) as archive:
        frame = verify(rows, archive.setting(), method="find")
        assert answers(frame) == ["yes"] * 13
        assert archive.queries == ["", ""]


def test_a_part_of_a_series_is_asked_for_by_a_list(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files)
    with ArchivePeer(offers=[FIND], on_find=listing(UIDS)) as archive:
        frame = verify(rows, archive.setting(), method="find", fraction=0.3)
        assert answers(frame).count("yes") == 3
        (query,) = archive.queries
        assert len(query.split("\\")) == 3


def test_an_archive_without_lists_is_asked_for_the_series(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files)
    with ArchivePeer(offers=[FIND], on_find=listing(UIDS, lists=False)) as archive:
        frame = verify(rows, archive.setting(), method="find", fraction=0.3)
        assert answers(frame).count("yes") == 3
        assert len(archive.queries) == 2
        assert archive.queries[1] == ""


def test_missing_instances_take_one_query_more(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files)
    with ArchivePeer(offers=[FIND], on_find=listing(UIDS[:6])) as archive:
        frame = verify(rows, archive.setting(), method="find")
        assert answers(frame) == ["yes"] * 6 + ["no"] * 4
        assert archive.queries == ["", UIDS[6]]
        assert "of its series it lists 6, and 10 were sent from here" in detail(frame, 0)


@pytest.mark.parametrize("status", [0x0000, 0xA700, 0xFE00])
def test_an_answer_that_is_cut_short_misses_nothing(ct_files: list[Path], status: int) -> None:
    rows = stored_rows(ct_files)

    def on_find(asked: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        yield from listing(UIDS[:8], most=4, status=0 if asked.SOPInstanceUID else status)(asked)

    with ArchivePeer(offers=[FIND], on_find=on_find) as archive:
        frame = verify(rows, archive.setting(), method="find")
        assert answers(frame) == ["yes"] * 8 + ["no"] * 2


def test_a_refused_query_leaves_unknown(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files)
    with ArchivePeer(offers=[FIND], on_find=listing(UIDS, most=0, status=0xA700)) as archive:
        frame = verify(rows, archive.setting(), method="find")
        assert answers(frame) == ["unknown"] * 10
        assert "0xA700 (Refused: Out of Resources)" in detail(frame)
        assert len(archive.queries) == 2


def test_a_match_without_a_uid_is_no_match(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1])

    def on_find(asked: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        match = Dataset()
        match.QueryRetrieveLevel = "IMAGE"
        yield 0xFF00, match
        match.SOPInstanceUID = ["1.2", "1.3"]
        match.SOPClassUID = [CT, CT]
        yield 0xFF00, match

    with ArchivePeer(offers=[FIND], on_find=on_find) as archive:
        assert answers(verify(rows, archive.setting(), method="find")) == ["no"]


def test_an_instance_of_another_class_is_not_the_same(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1])
    mr = "1.2.840.10008.5.1.4.1.1.4"
    with ArchivePeer(offers=[FIND], on_find=listing(UIDS, sop_class=mr)) as archive:
        frame = verify(rows, archive.setting(), method="find")
    assert answers(frame) == ["no"]
    assert "lists it as MR Image Storage, and not as CT Image Storage" in detail(frame)


def test_an_archive_that_tells_no_class_is_believed(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1])
    with ArchivePeer(offers=[FIND], on_find=listing(UIDS, sop_class=None)) as archive:
        assert answers(verify(rows, archive.setting(), method="find")) == ["yes"]


@pytest.mark.parametrize("method", ["find", "get"])
def test_without_a_series_uid_only_commitment_can_ask(
    dcmqrscp: Dcmqrscp, ct_files: list[Path], method: Any
) -> None:
    rows = batch_of(ct_files[:2], dcmqrscp.setting()).to_frame()
    rows.loc[0, "series_instance_uid"] = pd.NA
    frame = verify(rows, dcmqrscp.setting(), method=method)
    assert answers(frame) == ["unknown", "yes"]
    assert "method='commit'" in detail(frame)


# Is it the same


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (b"Test^Phantom", b"Test^Fantome", "(0010,0010) PatientName changed"),
        (b"MONOCHROME2", b"MONOCHROME1", "('MONOCHROME2' became 'MONOCHROME1')"),
    ],
)
def test_what_orthanc_holds_otherwise_is_detected(
    orthanc: Orthanc, ct_files: list[Path], before: bytes, after: bytes, said: str
) -> None:
    batch = batch_of(ct_files[:3], ours(orthanc))
    alter(list(orthanc.folder.rglob("*")), instance_uid(1), before, after)
    frame = verify(batch, ours(orthanc), method="get")
    assert answers(frame) == ["yes", "no", "yes"]
    assert said in detail(frame, 1)
    assert "Fantome" not in detail(frame, 1)
    assert "Phantom" not in detail(frame, 1)


def test_what_dcmqrscp_holds_otherwise_is_detected(dcmqrscp: Dcmqrscp, ct_files: list[Path]) -> None:
    batch = batch_of(ct_files[:3], dcmqrscp.setting())
    alter(list(dcmqrscp.folder.rglob("*")), instance_uid(1), b"Test^Phantom", b"Test^Fantome")
    frame = verify(batch, dcmqrscp.setting(), method="get")
    assert answers(frame) == ["yes", "no", "yes"]
    assert detail(frame, 1).endswith("as another: (0010,0010) PatientName changed")


@pytest.mark.parametrize("which", ["orthanc", "dcmqrscp"])
def test_a_single_pixel_is_detected(which: str, ct_files: list[Path], request: pytest.FixtureRequest) -> None:
    peer = request.getfixturevalue(which)
    batch = batch_of(ct_files[:1], ours(peer))
    (path,) = [path for path in peer.folder.rglob("*") if holds(path, instance_uid(0))]
    content = bytearray(path.read_bytes())
    content[-3000] ^= 1
    path.write_bytes(content)
    frame = verify(batch, ours(peer), method="get")
    assert answers(frame) == ["no"]
    assert detail(frame).endswith("(7fe0,0010) PixelData changed")


def test_what_orthanc_compressed_without_loss_is_the_same(ct_files: list[Path]) -> None:
    jpeg_lossless = "1.2.840.10008.1.2.4.70"
    with Orthanc(configuration={"IngestTranscoding": jpeg_lossless, "MaximumStorageCacheSize": 0}) as peer:
        batch = batch_of(ct_files[:2], peer.setting())
        held = dcmread(io.BytesIO(peer.instance(instance_uid(0))), stop_before_pixels=True)
        assert held.file_meta.TransferSyntaxUID == jpeg_lossless
        frame = verify(batch, peer.setting(), method="get")
    assert answers(frame) == ["yes", "yes"], detail(frame)
    assert "and its decoded pixels are as sent" in detail(frame)
    assert "(0008,2111) DerivationDescription added" in detail(frame)


def test_what_was_decompressed_to_be_sent_is_compared_as_it_was_sent(dcmqrscp: Dcmqrscp) -> None:
    """Its sample study has an instance in JPEG Lossless, which dcmqrscp does not take."""
    batch = send_batch(dcmqrscp.setting(), sample_folder())
    rows = batch.to_frame()
    converted = rows[rows["transfer_syntax"] != rows["sent_transfer_syntax"]]
    assert len(converted) == 1
    frame = verify(converted, dcmqrscp.setting(), method="get")
    assert answers(frame) == ["yes"], detail(frame, int(converted["instance"].iloc[0]))


def test_members_of_an_archive_are_compared_too(
    dcmqrscp: Dcmqrscp, ct_files: list[Path], tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", ct_files[0].parent)
    batch = send_batch(dcmqrscp.setting(), archive)
    assert batch.ok
    assert answers(verify(batch, dcmqrscp.setting(), method="get")) == ["yes"] * 10


def test_the_same_instance_sent_twice_is_compared_with_each_source(
    dcmqrscp: Dcmqrscp, ct_files: list[Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.dcm"
    other.write_bytes(ct_files[0].read_bytes().replace(b"Test^Phantom", b"Test^Fantome"))
    batch = batch_of([ct_files[0], other], dcmqrscp.setting())
    frame = verify(batch, dcmqrscp.setting(), method="get")
    assert sorted(answers(frame)) == ["no", "yes"]


def test_a_source_that_has_gone_or_changed_proves_nothing(
    orthanc: Orthanc, ct_files: list[Path], tmp_path: Path
) -> None:
    batch = batch_of(ct_files[:4], ours(orthanc))
    ct_files[0].unlink()
    ct_files[1].write_bytes(ct_instance(9))
    ct_files[2].write_bytes(ct_files[2].read_bytes().replace(b"Test^Phantom", b"Test^Fantome"))
    frame = verify(batch, ours(orthanc), method="get")
    assert answers(frame) == ["unknown", "unknown", "unknown", "yes"]
    assert "no such file" in detail(frame, 0)
    assert "another one is in its place" in detail(frame, 1)
    assert "was modified after it was sent" in detail(frame, 2)
    assert "Phantom" not in detail(frame, 2)


def test_a_source_that_was_only_touched_is_compared(orthanc: Orthanc, ct_files: list[Path]) -> None:
    batch = batch_of(ct_files[:1], ours(orthanc))
    os.utime(ct_files[0])
    assert answers(verify(batch, ours(orthanc), method="get")) == ["yes"]


def test_what_was_sent_from_memory_cannot_be_compared(dcmqrscp: Dcmqrscp) -> None:
    batch = send_batch(dcmqrscp.setting(), ct_instance())
    frame = verify(batch, dcmqrscp.setting(), method="get")
    assert answers(frame) == ["unknown"]
    assert "sent from memory" in detail(frame)
    assert answers(verify(batch, dcmqrscp.setting(), method="find")) == ["yes"]


def test_an_archive_that_lists_and_does_not_send_leaves_unknown(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1])

    def on_get(asked: Dataset) -> Iterator[Any]:
        yield 1
        yield 0xA702, None

    with ArchivePeer(offers=[GET, FIND], on_get=on_get, on_find=listing(UIDS)) as archive:
        frame = verify(rows, archive.setting(), method="get")
    assert answers(frame) == ["unknown"]
    assert "0xA702" in detail(frame)
    assert "method='find'" in detail(frame)


def test_an_archive_that_ends_the_association_instead_of_bringing_it_leaves_unknown(
    ct_files: list[Path],
) -> None:
    rows = stored_rows(ct_files[:1])

    def on_get(asked: Dataset) -> Iterator[Any]:
        archive.associations[-1].abort()
        yield 0

    with ArchivePeer(offers=[GET, FIND], on_get=on_get, on_find=listing([])) as archive:
        frame = verify(rows, archive.setting(), method="get")
    assert answers(frame) == ["unknown"]
    assert "ended the association instead of answering" in detail(frame)


def test_an_archive_that_sends_something_else_is_not_believed(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1])

    def on_get(asked: Dataset) -> Iterator[Any]:
        yield 1
        yield 0xFF00, dcmread(ct_files[5])

    with ArchivePeer(offers=[GET, FIND], on_get=on_get, on_find=listing(UIDS)) as archive:
        frame = verify(rows, archive.setting(), method="get")
    assert answers(frame) == ["unknown"]


def test_a_class_that_is_not_sent_back_is_told(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1]).assign(sop_class_uid="1.2.840.10008.5.1.4.1.1.4")
    with ArchivePeer(offers=[GET]) as archive:
        frame = verify(rows, archive.setting(), method="get")
    assert answers(frame) == ["unknown"]
    assert "does not send MR Image Storage back" in detail(frame)


@pytest.mark.parametrize("more", range(7))
def test_many_classes_are_spread_over_associations(more: int) -> None:
    """An association has 128 contexts, of which two are those of the services."""
    sent_as = [
        replaced(subject, sent_transfer_syntax=f"1.3.{number}")
        for number, subject in enumerate(subjects(more))
    ]
    kinds = {f"1.2.{number}": subjects(1) for number in range(60)}
    kinds["1.2.0"] = [*subjects(1), *sent_as]
    parcels = list(offers_by_association(kinds))
    assert len(parcels) == 3
    assert all(len(parcel) <= 126 for parcel in parcels)
    assert {sop_class for parcel in parcels for sop_class, _ in parcel} == set(kinds)


# Does the archive answer for it


def test_orthanc_commits_itself_by_a_report_on_a_new_association(
    orthanc: Orthanc, ct_files: list[Path], report_port: int
) -> None:
    batch = batch_of(ct_files, ours(orthanc))
    frame = verify(batch, ours(orthanc), method="commit", listen_port=report_port)
    assert answers(frame) == ["yes"] * 10
    (transaction,) = set(frame["transaction_uid"])
    assert transaction.startswith("2.25.")
    assert transaction in detail(frame)


def on_same(archive: ArchivePeer, association: Association, uid: str, references: References) -> int:
    archive.later(lambda: archive.report_on(association, uid, references))
    return 0x0000


def never(archive: ArchivePeer, association: Association, uid: str, references: References) -> int:
    return 0x0000


def test_a_report_on_the_same_association_is_taken(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files)
    with ArchivePeer(offers=[PUSH_MODEL], on_action=on_same) as archive:
        frame = verify(rows, archive.setting(), method="commit")
        assert answers(frame) == ["yes"] * 10
        wait_until(lambda: archive.statuses == [0x0000], 5, "the report is answered")
        assert [len(references) for _, references in archive.transactions] == [10]


@pytest.mark.parametrize(
    ("reason", "answer", "words"),
    [
        (0x0110, "unknown", "processing failure"),
        (0x0112, "no", "no such object instance"),
        (0x0119, "no", "class/instance conflict"),
        (0x0122, "unknown", "SOP Class not supported"),
        (0x0131, "unknown", "duplicate Transaction UID"),
        (0x0213, "unknown", "resource limitation"),
        (0xC123, "unknown", "a reason of its own"),
    ],
)
def test_a_failure_is_told_in_words(ct_files: list[Path], reason: int, answer: str, words: str) -> None:
    rows = stored_rows(ct_files[:2])

    def on_action(archive: ArchivePeer, association: Association, uid: str, references: References) -> int:
        archive.later(lambda: archive.report_on(association, uid, references[:1], {references[1]: reason}))
        return 0x0000

    with ArchivePeer(offers=[PUSH_MODEL], on_action=on_action) as archive:
        frame = verify(rows, archive.setting(), method="commit")
    assert answers(frame) == ["yes", answer]
    assert f"0x{reason:04X}, " in detail(frame, 1)
    assert words in detail(frame, 1)


def test_what_a_report_does_not_mention_is_unknown(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:2])

    def on_action(archive: ArchivePeer, association: Association, uid: str, references: References) -> int:
        archive.later(lambda: archive.report_on(association, uid, references[:1]))
        return 0x0000

    with ArchivePeer(offers=[PUSH_MODEL], on_action=on_action) as archive:
        frame = verify(rows, archive.setting(), method="commit")
    assert answers(frame) == ["yes", "unknown"]
    assert "does not mention it" in detail(frame, 1)


def test_a_refused_request_is_told_with_its_status(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1])
    with ArchivePeer(offers=[PUSH_MODEL], on_action=lambda *_: 0x0124) as archive:
        frame = verify(rows, archive.setting(), method="commit")
    assert answers(frame) == ["unknown"]
    assert "0x0124 (Refused: Not authorized)" in detail(frame)
    assert frame["transaction_uid"].isna().all()


def test_a_request_that_was_not_answered_may_be_reported_on_all_the_same(ct_files: list[Path]) -> None:
    port = free_port()
    rows = stored_rows(ct_files[:1])

    def on_action(archive: ArchivePeer, association: Association, uid: str, references: References) -> int:
        state = association.dul.state_machine
        wait_until(lambda: state.current_state == "Sta1", 20, "we waited in vain, and ended the association")
        archive.report_to(port, uid, references)
        return 0x0000

    with ArchivePeer(offers=[PUSH_MODEL], on_action=on_action) as archive:
        frame = verify(rows, archive.setting(timeout_seconds=1), method="commit", listen_port=port)
    assert answers(frame) == ["yes"]


def test_an_absent_report_is_unknown_within_the_time(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1])
    with ArchivePeer(offers=[PUSH_MODEL], on_action=never) as archive:
        began = monotonic()
        frame = verify(rows, archive.setting(), method="commit", wait_seconds=0.3)
        assert monotonic() - began < 3
    assert answers(frame) == ["unknown"]
    assert "did not report within 0.3 s" in detail(frame)
    assert "listen_port, the port where it knows" in detail(frame)
    assert frame["transaction_uid"].notna().all()


def test_a_late_report_is_collected_by_a_later_call(ct_files: list[Path], tmp_path: Path) -> None:
    port = free_port()
    may_report = Event()

    def on_action(archive: ArchivePeer, association: Association, uid: str, references: References) -> int:
        if may_report.is_set():  # the second call: it reports the first transaction
            first, asked_first = archive.transactions[0]
            archive.later(lambda: archive.report_to(port, first, asked_first))
        return 0x0000

    with ArchivePeer(offers=[PUSH_MODEL], on_action=on_action) as archive:
        with Storescp(ignore=True, aet=archive.aet) as store:
            batch_of(ct_files, store.setting(), ledger=tmp_path / "l.sqlite")
        point_ledger_at(tmp_path / "l.sqlite", archive)
        ledger = Ledger(tmp_path / "l.sqlite")
        late = verify(ledger, archive.setting(), method="commit", wait_seconds=0.2, listen_port=port)
        assert answers(late) == ["unknown"] * 10
        assert f"at port {port} of this computer" in detail(late)
        in_ledger = ledger.to_frame()
        assert set(in_ledger["transaction_uid"]) == {archive.transactions[0][0]}
        may_report.set()
        collected = verify(ledger, archive.setting(), method="commit", listen_port=port)
        assert answers(collected) == ["yes"] * 10
        assert set(collected["transaction_uid"]) == {archive.transactions[0][0]}
        assert answers(ledger.to_frame()) == ["yes"] * 10


def test_a_late_report_is_collected_with_the_frame_also_when_something_else_was_asked_meanwhile(
    ct_files: list[Path],
) -> None:
    port = free_port()
    calls: list[str] = []

    def on_action(archive: ArchivePeer, association: Association, uid: str, references: References) -> int:
        calls.append(uid)
        if len(calls) == 2:
            archive.later(lambda: archive.report_to(port, calls[0], references))
        return 0x0000

    rows = stored_rows(ct_files[:2])
    with ArchivePeer(offers=[PUSH_MODEL, FIND], on_action=on_action, on_find=listing(UIDS)) as archive:
        setting = archive.setting()
        late = verify(rows, setting, method="commit", wait_seconds=0, listen_port=port)
        listed = verify(late, setting, method="find")
        assert answers(listed) == ["yes", "yes"]
        assert list(listed["transaction_uid"]) == [calls[0]] * 2
        assert answers(verify(listed, setting, method="commit", listen_port=port)) == ["yes", "yes"]


def test_a_report_of_another_transaction_is_not_taken(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1])

    def on_action(archive: ArchivePeer, association: Association, uid: str, references: References) -> int:
        def report_both() -> None:
            archive.report_on(association, "2.25.1", references)
            archive.report_on(association, uid, [], {references[0]: 0x0112})

        archive.later(report_both)
        return 0x0000

    with ArchivePeer(offers=[PUSH_MODEL], on_action=on_action) as archive:
        frame = verify(rows, archive.setting(), method="commit")
        wait_until(lambda: archive.statuses == [0x0110, 0x0000], 5, "both reports are answered")
    assert answers(frame) == ["no"]


def test_an_association_that_the_archive_ends_is_not_waited_for(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1])

    def on_action(archive: ArchivePeer, association: Association, uid: str, references: References) -> int:
        archive.later(association.release)
        return 0x0000

    with ArchivePeer(offers=[PUSH_MODEL], on_action=on_action) as archive:
        began = monotonic()
        frame = verify(rows, archive.setting(), method="commit", wait_seconds=30)
        assert monotonic() - began < 10
    assert answers(frame) == ["unknown"]


def test_a_report_that_waits_for_the_end_of_our_association_is_taken(ct_files: list[Path]) -> None:
    port = free_port()
    rows = stored_rows(ct_files[:1])

    def on_action(archive: ArchivePeer, association: Association, uid: str, references: References) -> int:
        def report_when_released() -> None:
            association.join(20)
            archive.report_to(port, uid, references)

        archive.later(report_when_released)
        return 0x0000

    with ArchivePeer(offers=[PUSH_MODEL], on_action=on_action) as archive:
        frame = verify(rows, archive.setting(), method="commit", wait_seconds=3, listen_port=port)
    assert answers(frame) == ["yes"]


def test_a_port_that_is_taken_is_an_error_before_anything_is_asked(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:1])
    with ArchivePeer(offers=[PUSH_MODEL], on_action=never) as archive:
        with pytest.raises(OSError, match=f"cannot listen on {HOST}:{archive.port} .* give another"):
            verify(rows, archive.setting(), method="commit", listen_port=archive.port)
        assert archive.transactions == []


# The ledger


def point_ledger_at(path: Path, archive: ArchivePeer) -> None:
    """Have a ledger say that its batches were sent to this archive."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE batches SET port = ?", (archive.port,))


def test_what_is_found_out_is_in_the_ledger_of_the_batch(
    orthanc: Orthanc, ct_files: list[Path], tmp_path: Path
) -> None:
    batch = batch_of(ct_files, ours(orthanc), ledger=tmp_path / "l.sqlite")
    orthanc.request(f"/instances/{orthanc.instances()[instance_uid(4)]}", method="DELETE")
    frame = verify(batch, ours(orthanc), method="find")
    in_ledger = Ledger(tmp_path / "l.sqlite").to_frame()
    assert answers(in_ledger) == answers(frame)
    assert list(in_ledger["verify_detail"]) == list(frame["verify_detail"])
    assert list(in_ledger["verified_at"]) == list(frame["verified_at"])
    again = send_batch(ours(orthanc), ct_files, ledger=tmp_path / "l.sqlite")
    assert again.outcomes == {Outcome.STORED: 1, Outcome.SKIPPED: 9}
    assert answers(verify(again, ours(orthanc), method="find")) == ["yes"] * 10


def test_a_sample_leaves_earlier_verdicts_in_the_frame(
    orthanc: Orthanc, ct_files: list[Path], tmp_path: Path
) -> None:
    batch_of(ct_files, ours(orthanc), ledger=tmp_path / "l.sqlite")
    ledger = Ledger(tmp_path / "l.sqlite")
    verify(ledger, ours(orthanc), method="find")
    frame = verify(ledger, ours(orthanc), method="get", fraction=0.2)
    assert answers(frame) == ["yes"] * 10
    assert sorted(frame["verified_by"]) == ["find"] * 8 + ["get"] * 2


def test_of_a_ledger_only_what_this_peer_was_sent_is_asked_about(
    orthanc: Orthanc, dcmqrscp: Dcmqrscp, ct_files: list[Path], tmp_path: Path
) -> None:
    batch_of(ct_files[:2], ours(orthanc), ledger=tmp_path / "l.sqlite")
    batch_of(ct_files[2:5], ours(dcmqrscp), ledger=tmp_path / "l.sqlite")
    frame = verify(Ledger(tmp_path / "l.sqlite"), ours(dcmqrscp), method="find")
    assert answers(frame) == ["unknown"] * 2 + ["yes"] * 3
    assert f"it was sent to ORTHANC at {HOST}:{orthanc.port}" in frame["verify_detail"].iloc[0]


def test_a_ledger_that_cannot_be_written_is_an_error_before_anything_is_asked(
    ct_files: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "l.sqlite"
    with ArchivePeer(offers=[FIND], on_find=listing(UIDS)) as archive:
        with Storescp(ignore=True, aet=archive.aet) as store:
            batch_of(ct_files, store.setting(), ledger=path)
        point_ledger_at(path, archive)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
        with pytest.raises(LedgerError):
            verify(Ledger(path), archive.setting(), method="find")
        assert archive.queries == []


# What goes wrong


@pytest.mark.parametrize("method", ["find", "commit", "get"])
def test_a_closed_port_leaves_unknown(ct_files: list[Path], method: Any) -> None:
    rows = stored_rows(ct_files[:2])
    setting = DicomSenderSetting(remote_port=free_port(), remote_host=HOST, timeout_seconds=2)
    frame = verify(rows, setting, method=method)
    assert answers(frame) == ["unknown"] * 2
    assert "could not be asked" in detail(frame)
    assert "refused" in detail(frame)


@pytest.mark.parametrize(
    ("method", "service"),
    [("find", "C-FIND (Study Root)"), ("commit", "storage commitment"), ("get", "C-GET (Study Root)")],
)
def test_a_peer_without_the_service_is_told_and_what_to_do_instead(
    storescp: Storescp, ct_files: list[Path], method: Any, service: str
) -> None:
    batch = batch_of(ct_files[:1], storescp.setting())
    frame = verify(batch, storescp.setting(), method=method)
    assert answers(frame) == ["unknown"]
    assert f"does not offer {service} to us" in detail(frame)
    assert "use method=" in detail(frame)


def test_a_rejection_names_the_title(dcmqrscp: Dcmqrscp, ct_files: list[Path]) -> None:
    batch = batch_of(ct_files[:1], dcmqrscp.setting())
    frame = verify(batch, dcmqrscp.setting(remote_aet="NOBODY"), method="find")
    assert answers(frame) == ["unknown"]
    assert "NOBODY" in detail(frame)


def test_a_peer_that_is_silent_is_given_up_in_time(ct_files: list[Path]) -> None:
    rows = stored_rows(ct_files[:2])
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        began = monotonic()
        setting = DicomSenderSetting(remote_port=port, remote_host=HOST, timeout_seconds=1)
        frame = verify(rows, setting, method="get")
        assert monotonic() - began < 5
    assert answers(frame) == ["unknown"] * 2


def test_an_archive_that_does_not_answer_is_asked_twice_and_no_more(
    ct_files: list[Path], tmp_path: Path
) -> None:
    files = list(ct_files[:1])
    for number in range(4):
        series = f"{STUDY_UID}.8.{number}"
        files += write_ct_files(tmp_path / str(number), 1, series_uid=series)
    rows = stored_rows(files)
    stop = Event()

    def on_find(asked: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        stop.wait(20)
        yield 0x0000, None

    with ArchivePeer(offers=[FIND], on_find=on_find) as archive:
        began = monotonic()
        frame = verify(rows, archive.setting(timeout_seconds=1), method="find", wait_seconds=0)
        assert monotonic() - began < 8
        stop.set()
        assert len(archive.queries) == 2
    assert answers(frame) == ["unknown"] * 5
    assert "within 1 s" in detail(frame, 0)
    assert "was not asked any more" in detail(frame, 4)


def test_an_archive_that_aborts_one_query_is_asked_the_next(ct_files: list[Path], tmp_path: Path) -> None:
    others = write_ct_files(tmp_path / "other", 2, study_uid=OTHER_STUDY, series_uid=OTHER_SERIES)
    there = [*UIDS, *(instance_uid(number, series_uid=OTHER_SERIES) for number in range(2))]
    rows = stored_rows([*ct_files, *others])

    def on_find(asked: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        if asked.SeriesInstanceUID == SERIES_UID:
            archive.associations[-1].abort(block=False)
            return
        yield from listing(there)(asked)

    with ArchivePeer(offers=[FIND], on_find=on_find) as archive:
        frame = verify(rows, archive.setting(), method="find")
    assert answers(frame) == ["unknown"] * 10 + ["yes"] * 2
    assert "ended the association" in detail(frame)
