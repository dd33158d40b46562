"""Resume: what an earlier batch stored at the same peer is skipped, says so, and counts as there."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from dicomkit import (
    Batch,
    BatchControl,
    DicomMessage,
    DicomSenderSetting,
    Ledger,
    LocalSCP,
    Outcome,
    Verdict,
    find_instances,
    look_at,
    send_batch,
)
from dicomkit.batch._intake import SAME_UID
from dicomkit.events import Event, RowAdded
from dicomkit.ledger import HELD
from dicomkit.ledger._file import as_text, reading
from dicomkit.ledger._resume import _NEWEST, _VERDICT, fingerprint
from dicomkit.scp import Abort, Status
from tests.support.files import ct_instance, write_ct_files


@dataclass
class Archive:
    """A receiver, and a ledger of what was sent to it."""

    scp: LocalSCP
    ledger: Path

    def send(self, sources: object, setting: DicomSenderSetting | None = None, **parameters: Any) -> Batch:
        return send_batch(setting or self.scp.setting(), sources, ledger=self.ledger, **parameters)

    @property
    def received(self) -> int:
        return len(self.scp.received)

    @property
    def associations(self) -> int:
        return [event.what for event in self.scp.events].count("accepted")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with LocalSCP(check_called_aet=False) as scp:
        yield Archive(scp, tmp_path / "batch.sqlite")


def details(batch: Batch) -> list[str]:
    return [str(detail) for detail in batch.to_frame(latest=True).detail]


# The same again


def test_what_is_there_is_skipped_without_a_word_on_the_wire(archive: Archive, ct_files: list[Path]) -> None:
    first = archive.send(ct_files)
    again = archive.send(ct_files)
    assert again.outcomes == {Outcome.SKIPPED: 10}
    assert again.associations.empty
    assert archive.received == 10
    assert archive.associations == 1
    when = first.to_frame().started_at
    for detail, moment in zip(details(again), when, strict=True):
        assert detail.startswith(HELD)
        assert first.batch_id in detail
        assert f"{moment:%Y-%m-%d at %H:%M:%S} UTC" in detail
        assert "resume=False sends it again" in detail


def test_skipped_rows_say_which_instance_and_were_never_tried(archive: Archive, ct_files: list[Path]) -> None:
    first = archive.send(ct_files).to_frame()
    again = archive.send(ct_files).to_frame()
    same = [
        "instance",
        "source",
        "sop_class_uid",
        "sop_instance_uid",
        "series_instance_uid",
        "modality",
        "host",
    ]
    assert again[same].equals(first[same])
    assert again.attempt.tolist() == [1] * 10
    untried = ["status", "association", "started_at", "duration_ms", "size_bytes", "sent_transfer_syntax"]
    assert again[untried].isna().all(axis=None)


def test_a_third_time_the_batch_that_stored_it_is_named(archive: Archive, ct_files: list[Path]) -> None:
    first = archive.send(ct_files)
    archive.send(ct_files)
    assert all(first.batch_id in detail for detail in details(archive.send(ct_files)))


def test_only_what_is_missing_is_sent(archive: Archive, ct_files: list[Path]) -> None:
    archive.send(ct_files[::2])
    batch = archive.send(ct_files)
    assert batch.to_frame().outcome.tolist() == ["skipped", "stored"] * 5
    assert archive.received == 10


def test_what_failed_is_sent_again(ct_files: list[Path], tmp_path: Path) -> None:
    with LocalSCP(faults=[Status(0x0122, every=2, times=3)]) as scp:
        archive = Archive(scp, tmp_path / "batch.sqlite")
        assert archive.send(ct_files).outcomes[Outcome.FAILED] == 3
        assert archive.send(ct_files).outcomes == {Outcome.STORED: 3, Outcome.SKIPPED: 7}


def test_what_the_peer_may_hold_without_having_said_so_is_sent_again(
    ct_files: list[Path], tmp_path: Path
) -> None:
    with LocalSCP(faults=[Abort("response", after=4, times=1)]) as scp:
        archive = Archive(scp, tmp_path / "batch.sqlite")
        assert archive.send(ct_files, retries=0).outcomes[Outcome.ABORTED] == 1
        assert archive.send(ct_files).outcomes == {Outcome.STORED: 1, Outcome.SKIPPED: 9}


def test_stored_with_a_warning_is_stored(ct_files: list[Path], tmp_path: Path) -> None:
    with LocalSCP(faults=[Status(0xB000)]) as scp:
        archive = Archive(scp, tmp_path / "batch.sqlite")
        assert archive.send(ct_files).outcomes == {Outcome.STORED_WITH_WARNING: 10}
        assert archive.send(ct_files).outcomes == {Outcome.SKIPPED: 10}


def test_resume_false_sends_all(archive: Archive, ct_files: list[Path]) -> None:
    archive.send(ct_files)
    assert archive.send(ct_files, resume=False).outcomes == {Outcome.STORED: 10}
    assert archive.received == 20


@pytest.mark.parametrize("associations", [1, 3, "auto"])
def test_an_interrupted_batch_goes_on_where_it_was(
    archive: Archive, tmp_path: Path, associations: Any
) -> None:
    files = write_ct_files(tmp_path / "many", 200, rows=2, columns=2)
    control = BatchControl()
    taken = 0

    def stop(event: Event) -> None:
        nonlocal taken
        if isinstance(event, RowAdded):
            taken += 1
            if taken == 60:
                control.cancel()

    first = archive.send(files, associations=associations, control=control, on_event=stop)
    assert first.interrupted
    stored = first.outcomes[Outcome.STORED]
    second = archive.send(files, associations=associations)
    assert second.ok
    assert second.outcomes == {Outcome.STORED: 200 - stored, Outcome.SKIPPED: stored}
    assert archive.received == 200


def test_many_that_are_there_come_before_one_that_is_not(archive: Archive, tmp_path: Path) -> None:
    files = write_ct_files(tmp_path / "many", 1200, rows=2, columns=2)
    archive.send(files[:-1], associations=2)
    batch = archive.send(files)
    assert batch.outcomes == {Outcome.STORED: 1, Outcome.SKIPPED: 1199}
    assert batch.to_frame().instance.tolist() == list(range(1200))


# Whether it is the same


def touch(file: Path) -> Path:
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    return file


def grow(file: Path) -> Path:
    status = file.stat()
    with file.open("ab") as end:
        end.write(b"\xfc\xff\xfc\xff" + b"OB\0\0" + b"\x02\0\0\0ab")  # Data Set Trailing Padding, PS3.10 7.2
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    return file


def move(file: Path) -> Path:
    return file.rename(file.with_name("elsewhere.dcm"))


def copy(file: Path) -> Path:
    return Path(shutil.copy2(file, file.with_name("copy.dcm")))


@pytest.mark.parametrize(
    ("change", "skips"),
    [(touch, False), (grow, False), (move, True), (copy, True)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_file_is_the_same_by_size_and_time_whatever_its_name(
    archive: Archive, ct_files: list[Path], change: Callable[[Path], Path], skips: bool
) -> None:
    first = archive.send(ct_files[0])
    batch = archive.send(change(ct_files[0]))
    assert batch.ok
    assert list(batch.outcomes) == [Outcome.SKIPPED if skips else Outcome.STORED]
    (detail,) = details(batch)
    if not skips:
        assert (
            "other content (by size, time or digest) was sent to this peer under the same UID before"
            in detail
        )
        assert first.batch_id in detail


def test_what_was_changed_and_sent_is_there_from_then_on(archive: Archive, ct_files: list[Path]) -> None:
    archive.send(ct_files[0])
    touch(ct_files[0])
    archive.send(ct_files[0])
    assert archive.send(ct_files[0]).outcomes == {Outcome.SKIPPED: 1}


def test_content_of_old_is_still_known_and_what_came_since_is_told(archive: Archive) -> None:
    old, new = ct_instance(5), ct_instance(5).replace(b"Test^Phantom", b"Test^PhantoM")
    first, second = archive.send(old), archive.send(new)
    batch = archive.send(old)
    assert batch.outcomes == {Outcome.SKIPPED: 1}
    (detail,) = details(batch)
    assert re.search(f"{HELD}.*{first.batch_id}.*since then.*other content.*{second.batch_id}", detail)


@pytest.mark.parametrize(
    ("changes", "skips"),
    [
        ({}, True),
        ({"our_aet": "ANOTHER"}, True),
        ({"timeout_seconds": 99, "name": "another"}, True),
        ({"remote_aet": "ANOTHER"}, False),
        ({"remote_aet": "any_scp"}, False),
        ({"remote_host": "localhost"}, False),
    ],
    ids=str,
)
def test_a_peer_is_the_same_by_host_port_and_called_title(
    archive: Archive, ct_files: list[Path], changes: dict[str, Any], skips: bool
) -> None:
    archive.send(ct_files[0])
    batch = archive.send(ct_files[0], archive.scp.setting().replace(**changes))
    assert batch.ok
    assert list(batch.outcomes) == [Outcome.SKIPPED if skips else Outcome.STORED]
    assert HELD in details(batch)[0] or "before" not in details(batch)[0]


def test_another_port_is_another_peer(archive: Archive, ct_files: list[Path]) -> None:
    archive.send(ct_files)
    with LocalSCP() as other:
        assert archive.send(ct_files, other.setting()).outcomes == {Outcome.STORED: 10}


def test_another_ledger_knows_nothing_of_it(archive: Archive, ct_files: list[Path]) -> None:
    archive.send(ct_files)
    other = Archive(archive.scp, archive.ledger.with_name("other.sqlite"))
    assert other.send(ct_files).outcomes == {Outcome.STORED: 10}


# Sources without a file


def as_dataset(index: int) -> Dataset:
    return dcmread(BytesIO(ct_instance(index)))


@pytest.mark.parametrize(
    "make",
    [ct_instance, as_dataset, lambda index: DicomMessage.from_bytes(ct_instance(index))],
    ids=["bytes", "Dataset", "message"],
)
def test_what_is_in_memory_is_known_by_its_digest(archive: Archive, make: Callable[[int], object]) -> None:
    archive.send([make(index) for index in range(5)])
    batch = archive.send([make(index) for index in range(6)])
    assert batch.outcomes == {Outcome.STORED: 1, Outcome.SKIPPED: 5}


def test_a_dataset_that_was_changed_is_sent_and_says_so(archive: Archive) -> None:
    dataset = as_dataset(0)
    archive.send(dataset)
    dataset.PatientComments = "looked at twice"
    batch = archive.send(dataset)
    assert batch.outcomes == {Outcome.STORED: 1}
    assert "other content" in details(batch)[0]


def test_the_same_data_set_in_another_transfer_syntax_is_other_content() -> None:
    instance = look_at(ct_instance())
    assert fingerprint(instance) != fingerprint(replace(instance, transfer_syntax="1.2.840.10008.1.2"))


def test_the_file_meta_does_not_count_for_what_is_in_memory() -> None:
    dataset = as_dataset(0)
    dataset.file_meta.ImplementationVersionName = "ANOTHER"
    content = BytesIO()
    dataset.save_as(content)
    assert fingerprint(look_at(content.getvalue())) == fingerprint(look_at(ct_instance(0)))


def zipped(path: Path, indices: list[int], content: Callable[[int], bytes] = ct_instance) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for index in indices:
            archive.writestr(f"{index}.dcm", content(index))
    return path


def test_members_of_an_archive_are_known_again(archive: Archive, tmp_path: Path) -> None:
    path = zipped(tmp_path / "study.zip", [1, 2, 3])
    archive.send(path)
    assert archive.send(path).outcomes == {Outcome.SKIPPED: 3}
    zipped(path, [1, 2, 3, 4])
    assert archive.send(path).outcomes == {Outcome.STORED: 4}  # the archive is another, as a file would be


def test_members_of_one_archive_under_one_uid_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("a.dcm", ct_instance(1))
        members.writestr("b.dcm", ct_instance(1).replace(b"Test^Phantom", b"Test^PhantoM"))
    marks = {fingerprint(found) for found in find_instances(path)}  # type: ignore[arg-type]
    assert len(marks) == 2


@pytest.mark.parametrize("kind", ["list", "iterator", "folder", "glob", "frame"])
def test_any_kind_of_source_is_resumed(archive: Archive, ct_files: list[Path], kind: str) -> None:
    first = archive.send(ct_files)
    sources: dict[str, object] = {
        "list": ct_files,
        "iterator": iter(ct_files),
        "folder": ct_files[0].parent,
        "glob": str(ct_files[0].parent / "*.dcm"),
        "frame": first.to_frame(),
    }
    assert archive.send(sources[kind]).outcomes == {Outcome.SKIPPED: 10}


# One UID twice


def test_one_uid_twice_in_a_batch_is_sent_twice_and_both_are_known_then(
    archive: Archive, tmp_path: Path
) -> None:
    one = write_ct_files(tmp_path / "one", 1)
    two = write_ct_files(tmp_path / "two", 1, rows=8)
    batch = archive.send([*one, *two])
    assert batch.outcomes == {Outcome.STORED: 2}
    assert SAME_UID in details(batch)[1]
    again = archive.send([*one, *two])
    assert again.outcomes == {Outcome.SKIPPED: 2}
    assert not any(SAME_UID in detail for detail in details(again))


def test_the_same_file_named_twice_is_sent_twice_in_its_first_batch(
    archive: Archive, ct_files: list[Path]
) -> None:
    assert archive.send([ct_files[0]] * 2).outcomes == {Outcome.STORED: 2}
    assert archive.send([ct_files[0]] * 2).outcomes == {Outcome.SKIPPED: 2}


# Whether all is well


def test_held_by_the_ledger_is_ok_and_disabled_is_not(archive: Archive, ct_files: list[Path]) -> None:
    setting = archive.scp.setting()
    assert archive.send(ct_files[:5]).ok
    assert archive.send(ct_files[:5]).ok
    assert archive.send(ct_files).ok
    disabled = archive.send(ct_files, setting.replace(disabled=True))
    assert disabled.outcomes == {Outcome.SKIPPED: 10}
    assert not disabled.ok
    assert all("disabled" in detail for detail in details(disabled))


def test_held_does_not_hide_what_failed(ct_files: list[Path], tmp_path: Path) -> None:
    with LocalSCP(faults=[Status(0x0122, after=5)]) as scp:
        archive = Archive(scp, tmp_path / "batch.sqlite")
        assert not archive.send(ct_files).ok
        again = archive.send(ct_files)
        assert again.outcomes == {Outcome.FAILED: 5, Outcome.SKIPPED: 5}
        assert not again.ok


def test_what_was_only_said_to_be_skipped_is_no_reason_to_skip(
    archive: Archive, ct_files: list[Path]
) -> None:
    archive.send(ct_files, archive.scp.setting(disabled=True))
    assert archive.send(ct_files).outcomes == {Outcome.STORED: 10}


# What verification found


def verified(batch: Batch, instance: int, verified: Any, *, seconds: float = 1.0) -> Verdict:
    return Verdict(
        batch_id=batch.batch_id,
        instance=instance,
        verified=verified,
        verified_by="find",
        verified_at=datetime.now(UTC) + timedelta(seconds=seconds),
        verify_detail="",
    )


def test_what_verification_did_not_find_is_sent_again_and_says_so(
    archive: Archive, ct_files: list[Path]
) -> None:
    first = archive.send(ct_files)
    ledger = Ledger(archive.ledger)
    ledger.set_verified([verified(first, 2, "no"), verified(first, 3, "unknown"), verified(first, 4, "yes")])
    batch = archive.send(ct_files)
    assert batch.outcomes == {Outcome.STORED: 1, Outcome.SKIPPED: 9}
    assert "sent again, since verification by find did not find it" in details(batch)[2]


def test_a_verdict_on_a_skipped_row_counts_for_its_instance(archive: Archive, ct_files: list[Path]) -> None:
    archive.send(ct_files)
    second = archive.send(ct_files)
    Ledger(archive.ledger).set_verified([verified(second, 7, "no")])
    assert archive.send(ct_files).to_frame().outcome.tolist().index("stored") == 7


def test_what_was_sent_again_since_is_there(archive: Archive, ct_files: list[Path]) -> None:
    first = archive.send(ct_files)
    Ledger(archive.ledger).set_verified([verified(first, 2, "no", seconds=-0.0)])
    assert archive.send(ct_files).outcomes[Outcome.STORED] == 1
    assert archive.send(ct_files).outcomes == {Outcome.SKIPPED: 10}


def set_clock(ledger: Path, minutes: float) -> None:
    """Have all attempts so far say that they began when the clock was ahead (or behind) by so much."""
    moment = as_text(datetime.now(UTC) + timedelta(minutes=minutes))
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE attempt_values SET started_at = ?", (moment,))


@pytest.mark.parametrize("ahead", [-5, 0, 5, 60 * 24 * 365])
@pytest.mark.parametrize("verdict_ahead", [-5, 0, 5])
def test_a_verdict_counts_once_whatever_the_clocks_said(
    archive: Archive, ct_files: list[Path], ahead: float, verdict_ahead: float
) -> None:
    first = archive.send(ct_files)
    set_clock(archive.ledger, ahead)
    Ledger(archive.ledger).set_verified([verified(first, 2, "no", seconds=60 * verdict_ahead)])
    assert archive.send(ct_files).to_frame().outcome.tolist().index("stored") == 2
    set_clock(archive.ledger, -ahead)
    assert archive.send(ct_files).outcomes == {Outcome.SKIPPED: 10}


def test_a_row_of_an_earlier_batch_that_is_found_missing_later_is_sent_again(
    archive: Archive, ct_files: list[Path]
) -> None:
    first = archive.send(ct_files)
    archive.send(ct_files, resume=False)
    Ledger(archive.ledger).set_verified([verified(first, 2, "no", seconds=-3600)])
    assert archive.send(ct_files).outcomes == {Outcome.STORED: 1, Outcome.SKIPPED: 9}


def test_the_newest_verdict_decides(archive: Archive, ct_files: list[Path]) -> None:
    first = archive.send(ct_files)
    ledger = Ledger(archive.ledger)
    ledger.set_verified([verified(first, 2, "no"), verified(first, 2, "yes")])
    assert archive.send(ct_files).outcomes == {Outcome.SKIPPED: 10}


# What the look-up costs


def test_a_look_up_reads_the_index_and_not_the_rows(archive: Archive, ct_files: list[Path]) -> None:
    archive.send(ct_files)
    with reading(archive.ledger) as connection:
        plans = [
            *connection.execute(f"EXPLAIN QUERY PLAN {_NEWEST % ''}", ["1.2", "h", 1, "A", "b"]),
            *connection.execute(
                f"EXPLAIN QUERY PLAN {_NEWEST % 'AND fingerprint = ?'}", ["1.2", "h", 1, "A", "b", ""]
            ),
            *connection.execute(f"EXPLAIN QUERY PLAN {_VERDICT}", ["1.2", "h", 1, "A"]),
        ]
    look_up = [
        "SEARCH stored_instances USING PRIMARY KEY (sop_instance_uid=?)",
        "SEARCH attempt_values USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH batches USING INTEGER PRIMARY KEY (rowid=?)",
    ]
    assert [plan[-1] for plan in plans] == [
        *look_up * 2,
        "SEARCH verifications USING INDEX verifications_of_an_instance (sop_instance_uid=?)",
    ]


def test_a_batch_without_a_ledger_loads_no_database() -> None:
    code = "import sys, dicomkit; dicomkit.send_batch(dicomkit.DicomSenderSetting(disabled=True), []); "
    done = subprocess.run(
        [sys.executable, "-c", code + "print('sqlite3' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
