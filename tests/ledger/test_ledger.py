"""The ledger: the frame of the batch from the disk, who may read it, and what is no ledger."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from dicomkit import (
    BatchControl,
    DicomSenderSetting,
    Ledger,
    LedgerError,
    LocalSCP,
    Outcome,
    Verdict,
    read_results,
    send_batch,
)
from dicomkit.events import RowAdded
from dicomkit.ledger import LedgerWriter
from dicomkit.ledger import _writer as ledger_writer
from dicomkit.ledger._file import sync
from dicomkit.ledger._schema import APPLICATION_ID, BATCH_COLUMNS, SCHEMA_VERSION
from dicomkit.ledger._writer import GROUP_ROWS
from dicomkit.results import COLUMNS, SendResult, to_frame
from dicomkit.scp import Abort, Delay, Status
from tests.results.test_results import STORED, results
from tests.support.files import ct_instance, write_ct_files
from tests.support.peers import wait_until
from tests.support.permissions import as_nobody

NOWHERE = DicomSenderSetting(name="nowhere", disabled=True)
SETTING = DicomSenderSetting(
    our_aet=STORED.calling_aet, remote_aet=STORED.called_aet, remote_host=STORED.host, remote_port=STORED.port
)

posix_only = pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger may be made."""
    return tmp_path / "batch.sqlite"


def of_a_batch(rows: Iterable[SendResult], batch_id: str = STORED.batch_id) -> list[SendResult]:
    """The rows, as one batch has them: all of the same ID and peer."""
    same = {name: getattr(STORED, name) for name in BATCH_COLUMNS} | {"batch_id": batch_id}
    return [replace(row, **same) for row in rows]


def write(path: Path, rows: list[Any], batch_id: str = STORED.batch_id) -> None:
    """Write a batch of these rows."""
    writer = LedgerWriter(path)
    writer.begin(batch_id, SETTING)
    for row in of_a_batch(rows, batch_id):
        writer.add(row, "file:1:2", is_final=True)
    writer.close(interrupted=False)


# The frame


def test_the_ledger_has_the_frame_of_the_batch_to_the_last_dtype(path: Path, ct_files: list[Path]) -> None:
    faults = [Status(0xA700, times=2), Status(0xB000, every=4), Status(0x0122, every=5)]
    sources = [*ct_files, path.with_name("missing.dcm"), ct_instance(77)]
    with LocalSCP(faults=faults) as scp:
        batch = send_batch(scp.setting(), sources, ledger=path)
    assert len(batch.to_frame()) > len(batch) == 12
    assert set(batch.outcomes) == {
        Outcome.STORED,
        Outcome.STORED_WITH_WARNING,
        Outcome.FAILED,
        Outcome.UNREADABLE,
    }
    for latest in (True, False):
        assert_frame_equal(Ledger(path).to_frame(batch.batch_id, latest=latest), batch.to_frame(latest))
        assert_frame_equal(Ledger(path).to_frame(latest=latest), batch.to_frame(latest))


def test_the_frame_is_the_one_of_a_batch_without_a_ledger(path: Path, ct_files: list[Path]) -> None:
    with LocalSCP() as scp:
        with_ledger = send_batch(scp.setting(), ct_files, ledger=path).to_frame()
        without = send_batch(scp.setting(), ct_files).to_frame()
    assert_frame_equal(with_ledger.dtypes.to_frame(), without.dtypes.to_frame())
    varying = ["batch_id", "started_at", "duration_ms", "response_ms"]
    assert_frame_equal(with_ledger.drop(columns=varying), without.drop(columns=varying))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=st.lists(results, max_size=8, unique_by=lambda row: (row.instance, row.attempt)))
def test_any_rows_come_back_equal(tmp_path: Path, rows: list[Any]) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        path = Path(folder) / "any.sqlite"
        write(path, rows)
        ordered = sorted(rows, key=lambda row: (row.instance, row.attempt))
        written = to_frame(of_a_batch(ordered))
        assert_frame_equal(Ledger(path).to_frame(latest=False), written)
        latest = written.drop_duplicates("instance", keep="last", ignore_index=True)
        assert_frame_equal(Ledger(path).to_frame(), latest)


def test_a_moment_in_another_zone_is_kept_as_the_same_moment(path: Path) -> None:
    moment = datetime(2026, 3, 4, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    write(path, [replace(STORED, started_at=moment)])
    assert Ledger(path).to_frame().started_at[0] == moment


def test_batches_stand_in_the_order_in_which_they_began(path: Path, ct_files: list[Path]) -> None:
    with LocalSCP() as scp:
        batches = [send_batch(scp.setting(), file, ledger=path) for file in ct_files[:3]]
    frame = Ledger(path).to_frame()
    assert frame.batch_id.tolist() == [batch.batch_id for batch in batches]
    one = Ledger(path).to_frame(batches[1].batch_id)
    assert one.source.tolist() == [str(ct_files[1])]


def test_a_batch_that_it_does_not_have_is_named(path: Path) -> None:
    write(path, [STORED])
    with pytest.raises(LedgerError, match=r"batch\.sqlite: it has no batch 123; batches\(\) lists"):
        Ledger(path).to_frame("123")


def test_batches_tell_of_each_when_to_whom_and_how_it_went(path: Path, ct_files: list[Path]) -> None:
    before = datetime.now(UTC)
    with LocalSCP(faults=[Status(0x0122, after=8)]) as scp:
        setting = scp.setting(name="to the archive", our_aet="US")
        send_batch(setting, ct_files, ledger=path)
        send_batch(setting, ct_files, ledger=path)
    frame = Ledger(path).batches()
    assert list(frame.columns) == [
        *("batch_id", "started_at", "ended_at", "calling_aet", "called_aet", "host", "port"),
        *("setting_id", "setting_name", "dicomkit_version"),
        *("attempts", "instances", "stored", "skipped", "failed", "interrupted"),
    ]
    first, second = frame.itertuples()
    assert before <= first.started_at <= first.ended_at <= second.started_at <= datetime.now(UTC)
    assert (first.calling_aet, first.called_aet, first.host, first.port) == (
        "US",
        "ANY_SCP",
        scp.host,
        scp.port,
    )
    assert (first.setting_id, first.setting_name) == (setting.id, "to the archive")
    assert (first.attempts, first.instances, first.stored, first.skipped, first.failed) == (10, 10, 8, 0, 2)
    assert (second.stored, second.skipped, second.failed) == (0, 8, 2)
    assert not first.interrupted


def test_attempts_that_are_not_the_last_are_counted_apart(path: Path, ct_files: list[Path]) -> None:
    with LocalSCP(faults=[Status(0xA700, times=2)]) as scp:
        send_batch(scp.setting(), ct_files, ledger=path)
    (counts,) = Ledger(path).batches()[["attempts", "instances", "stored"]].itertuples(index=False)
    assert tuple(counts) == (12, 10, 10)


def test_an_empty_ledger_has_frames_with_all_columns(path: Path) -> None:
    path.touch()
    assert tuple(Ledger(path).to_frame().columns) == COLUMNS
    assert_frame_equal(Ledger(path).to_frame(), to_frame([]))
    none = Ledger(path).batches()
    write(path, [])
    assert_frame_equal(none, Ledger(path).batches().head(0))


def test_rows_are_read_back_rather_than_kept(path: Path, ct_files: list[Path]) -> None:
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), ct_files, ledger=path)
    path.rename(path.with_name("elsewhere.sqlite"))
    with pytest.raises(LedgerError, match=r"batch\.sqlite: there is no such file"):
        batch.to_frame()


def test_a_batch_knows_its_ledger(path: Path, ct_files: list[Path]) -> None:
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), ct_files, ledger=path)
        assert batch.ledger is not None
        assert batch.ledger.path == path
        assert send_batch(scp.setting(), ct_files, ledger=batch.ledger).ok  # it stands for its path
        assert send_batch(scp.setting(), ct_files).ledger is None


def test_rows_go_to_a_results_file_as_well(path: Path, ct_files: list[Path]) -> None:
    results_path = path.with_name("rows.csv")
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), ct_files, ledger=path, results=results_path)
    assert_frame_equal(read_results(results_path), batch.to_frame())


# While it is written


def test_stored_is_never_written_before_the_peer_said_so(path: Path) -> None:
    recorded: list[bool] = []

    def look(row: dict[str, Any]) -> None:
        frame = Ledger(path).to_frame()
        recorded.append(row["sop_instance_uid"] in set(frame.sop_instance_uid))

    with LocalSCP(on_received=look) as scp:
        assert send_batch(scp.setting(), [ct_instance(index) for index in range(8)], ledger=path).ok
    assert recorded == [False] * 8


def test_a_row_is_written_soon_though_nothing_comes_after_it(path: Path) -> None:
    seen = Event()

    def slowly() -> Iterator[bytes]:
        yield ct_instance(0)
        seen.wait(20)
        yield ct_instance(1)

    with LocalSCP() as scp:
        thread = Thread(target=send_batch, args=(scp.setting(), slowly()), kwargs={"ledger": path})
        thread.start()
        try:
            wait_until(lambda: path.exists() and len(Ledger(path).to_frame()) == 1, 10, "the first row")
            (batch,) = Ledger(path).batches().itertuples()
            assert (batch.instances, batch.stored) == (1, 1)
            assert batch.ended_at is pd.NaT
        finally:
            seen.set()
            thread.join()
    assert len(Ledger(path).to_frame()) == 2


def test_the_ledger_is_no_more_than_two_groups_behind(path: Path) -> None:
    behind: list[int] = []

    def look(_: dict[str, Any]) -> None:
        behind.append(len(behind) - len(Ledger(path).to_frame()))

    count = 3 * GROUP_ROWS
    with LocalSCP(on_received=look, keep_bytes=0) as scp:
        sources = [ct_instance(index, rows=2, columns=2) for index in range(count)]
        assert send_batch(scp.setting(), sources, ledger=path).ok
    assert len(behind) == count
    assert max(behind) <= 2 * GROUP_ROWS


def test_what_is_committed_is_brought_to_the_disk_as_the_batch_goes_on(
    path: Path, ct_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk: list[int] = []

    def note(descriptor: int) -> None:
        on_disk.append(len(Ledger(path).to_frame()))
        sync(descriptor)

    monkeypatch.setattr(ledger_writer, "sync", note)
    with LocalSCP(faults=[Delay(0.1)]) as scp:
        assert send_batch(scp.setting(), ct_files, ledger=path).ok
    assert len(on_disk) >= 3
    assert on_disk == sorted(on_disk)
    assert 0 < on_disk[0] < on_disk[-1] == len(ct_files)


def test_a_disk_that_fails_ends_the_batch_and_no_row_is_lost(
    path: Path, ct_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(ledger_writer, "sync", fail)
    with LocalSCP(faults=[Delay(0.1)]) as scp:
        batch = send_batch(scp.setting(), ct_files, ledger=path)
    assert not batch.ok
    assert "Input/output error" in batch.note
    frame = batch.to_frame()
    assert list(frame.instance) == list(range(len(ct_files)))
    assert set(frame.outcome) == {"stored", "cancelled"}
    assert frame.detail.iloc[-1].startswith("not tried, since it could not be recorded: ")


def test_a_ledger_that_fails_while_a_source_is_slow_lets_nothing_more_be_sent(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_failed = Event()

    def fail(descriptor: int) -> None:
        has_failed.set()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def sources() -> Iterator[bytes]:
        yield ct_instance(0)
        has_failed.wait(30)
        sleep(2)  # eight times as long as the batch needs to notice
        yield ct_instance(1)

    monkeypatch.setattr(ledger_writer, "sync", fail)
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), sources(), ledger=path)
        assert len(scp.received) == 1
    assert has_failed.is_set()
    assert batch.to_frame().outcome.iloc[0] == "stored"
    assert batch.outcomes[Outcome.STORED] == 1


def test_inserting_costs_the_same_however_many_rows_there_are(path: Path) -> None:
    """Counted in steps of SQLite's virtual machine and pages of the write-ahead log; 100,000 rows."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    writer = LedgerWriter(path)
    writer.begin(STORED.batch_id, SETTING)
    writer._connection.set_progress_handler(count, 100)
    marks = []
    for index in range(100_000):
        if index % 20_000 == 0:
            marks.append(steps)
        row = replace(STORED, instance=index, sop_instance_uid=f"1.2.3.{index * 7919 % 100_003}")
        writer.add(row, f"file:1:{index}", is_final=True)
    marks.append(steps)
    writer.close(interrupted=False)
    spent = [after - before for before, after in pairwise(marks)]
    assert max(spent) < 1.2 * min(spent)
    assert Ledger(path).batches().stored[0] == 100_000


def test_a_cancelled_batch_says_so(path: Path, ct_files: list[Path]) -> None:
    control = BatchControl()
    with LocalSCP(on_received=lambda _: control.cancel()) as scp:
        batch = send_batch(scp.setting(), ct_files, ledger=path, control=control)
    (row,) = Ledger(path).batches().itertuples()
    assert batch.interrupted
    assert row.interrupted
    assert row.stored + row.failed == 10
    assert_frame_equal(Ledger(path).to_frame(latest=False), batch.to_frame())


def test_nothing_stays_open(no_leaks: None, path: Path, ct_files: list[Path]) -> None:
    with LocalSCP() as scp:
        for _ in range(3):
            send_batch(scp.setting(), ct_files, ledger=path).to_frame()
    Ledger(path).to_frame()
    Ledger(path).batches()
    with pytest.raises(LedgerError):
        Ledger(path).to_frame("none")
    assert sorted(one.name for one in path.parent.iterdir()) == ["batch.sqlite", "ct"]


# Who may read it


@posix_only
def test_only_its_owner_may_read_any_file_of_it(path: Path, ct_files: list[Path]) -> None:
    modes: dict[str, int] = {}

    def look(_: object) -> None:
        for file in path.parent.glob("*batch.sqlite*"):
            modes[file.name] = modes.get(file.name, 0) | stat.S_IMODE(file.stat().st_mode)

    old = os.umask(0)
    try:
        with LocalSCP() as scp:
            send_batch(scp.setting(), ct_files, ledger=path, on_event=look)
    finally:
        os.umask(old)
    assert modes == dict.fromkeys(["batch.sqlite", "batch.sqlite-wal", "batch.sqlite-shm"], 0o600)


@posix_only
def test_an_empty_file_that_becomes_a_ledger_is_its_owners_alone(path: Path) -> None:
    path.touch(mode=0o666)
    write(path, [STORED])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# What is no ledger, or none that can be written


@contextmanager
def as_nobody_with_ledgers() -> Iterator[None]:
    """As somebody else, once what is imported late is imported: nobody may not read it."""
    send_batch(NOWHERE, [])
    with tempfile.TemporaryDirectory() as elsewhere:
        write(Path(elsewhere) / "warm.sqlite", [])
        Ledger(Path(elsewhere) / "warm.sqlite").to_frame()
    with as_nobody():
        yield


def refusal(ledger: Path, **parameters: Any) -> str:
    """What `send_batch` says of a ledger; nothing was sent."""
    with LocalSCP() as scp:
        with pytest.raises(LedgerError) as caught:
            send_batch(scp.setting(), [ct_instance()], ledger=ledger, **parameters)
        assert not [event for event in scp.events if event.what == "requested"]
        assert scp.received.empty
    assert ledger.name in str(caught.value)
    return caught.value.reason


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    assert "it is a folder, pipe or device, not a file" in refusal(tmp_path)
    with pytest.raises(LedgerError, match="it is a folder"):
        Ledger(tmp_path)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none" / "batch.sqlite").startswith("there is no such file or folder")
    assert list(tmp_path.iterdir()) == []


def test_reading_does_not_make_a_ledger(path: Path) -> None:
    with pytest.raises(LedgerError, match=r"batch\.sqlite: there is no such file or folder; check the path"):
        Ledger(path)
    assert not path.exists()


def test_a_path_with_a_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="embedded null"):
        LedgerWriter(tmp_path / "a\0b")


@pytest.mark.parametrize(
    "content", [b"patient;study\n", b"\0" * 5000, b"SQLite format 3\0", os.urandom(3000)]
)
def test_a_file_of_another_kind_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "name another file for the ledger" in refusal(path)
    with pytest.raises(LedgerError, match=r"batch\.sqlite"):
        Ledger(path)
    assert contents(path.parent) == {"batch.sqlite": content}


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_another_sqlite_database_is_refused_and_left_alone(path: Path, mode: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
        other.execute("CREATE TABLE patients (name TEXT)")
        other.execute("INSERT INTO patients VALUES ('Doe^Jane')")
        other.commit()
        before = contents(path.parent)
        assert "an SQLite database, but no ledger; name another file" in refusal(path)
        with pytest.raises(LedgerError, match="no ledger"):
            Ledger(path)
        assert contents(path.parent) == before
    before = contents(path.parent)
    refusal(path)
    assert contents(path.parent) == before


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, SCHEMA_VERSION - 1, 1, -1])
def test_a_ledger_of_another_version_is_refused_and_left_alone(path: Path, version: int) -> None:
    write(path, [STORED])
    with closing(sqlite3.connect(path)) as later:
        later.execute(f"PRAGMA user_version = {version}")
    before = contents(path.parent)
    expected = f"another version of dicomkit \\(schema {version}; this one knows {SCHEMA_VERSION}\\); update dicomkit"
    with pytest.raises(LedgerError, match=expected):
        Ledger(path)
    assert f"(schema {version};" in refusal(path)
    assert contents(path.parent) == before


def test_the_version_and_the_kind_are_where_other_tools_look(path: Path) -> None:
    write(path, [STORED])
    head = path.read_bytes()[:100]  # as https://sqlite.org/fileformat2.html has it
    assert int.from_bytes(head[60:64], "big") == SCHEMA_VERSION
    assert head[68:72] == APPLICATION_ID.to_bytes(4, "big") == b"DCKL"


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_ledger_cut_short_is_called_damaged_and_left_alone(path: Path, share: float) -> None:
    write(path, [replace(STORED, instance=index) for index in range(300)])
    content = path.read_bytes()[: int(path.stat().st_size * share)]
    path.write_bytes(content)
    assert "damaged" in refusal(path) or "no ledger" in refusal(path)
    with pytest.raises(LedgerError, match=r"batch\.sqlite"):
        Ledger(path).to_frame()
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("attempt_values", "started_at", "yesterday"),
        ("batches", "port", "eleven"),
        ("attempt_values", "instance", "x"),
    ],
    ids=str,
)
def test_a_value_that_is_none_of_its_column_is_damage(
    path: Path, table: str, column: str, value: str
) -> None:
    write(path, [STORED])
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(f"UPDATE {table} SET {column} = ?", (value,))
    with pytest.raises(LedgerError, match=r"batch\.sqlite: .*damaged"):
        Ledger(path).to_frame()


def test_a_ledger_without_its_tables_is_damaged(path: Path) -> None:
    write(path, [STORED])
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DROP TABLE attempt_values")
    with pytest.raises(LedgerError, match=r"no such table.*damaged"):
        Ledger(path).to_frame()
    assert "no such table" in refusal(path)


@posix_only
def test_a_ledger_that_may_not_be_written_is_an_error_before_anything_is_sent(open_folder: Path) -> None:
    path = open_folder / "batch.sqlite"
    write(path, [STORED])
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with as_nobody_with_ledgers():
        assert "read-only" in refusal(path) or "may not be read or written" in refusal(path)
        assert len(Ledger(path).to_frame()) == 1  # to read it is no trouble


@posix_only
def test_a_read_only_ledger_in_a_folder_that_is_none_is_an_error_too(open_folder: Path) -> None:
    path = open_folder / "batch.sqlite"
    write(path, [STORED])
    path.chmod(0o444)
    open_folder.chmod(0o777)
    with as_nobody_with_ledgers():
        assert "read-only" in refusal(path)


@posix_only
def test_a_folder_that_may_not_be_written_takes_no_new_ledger(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    with as_nobody_with_ledgers():
        assert "Permission denied; name another file" in refusal(open_folder / "batch.sqlite")


@posix_only
def test_a_log_that_cannot_be_read_is_not_passed_over(open_folder: Path, tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "batch.sqlite")
    writer.begin(STORED.batch_id, SETTING)
    writer.add(STORED, "file:1:2", is_final=True)
    writer.keep_up()
    path = open_folder / "batch.sqlite"
    for ending in ("", "-wal"):  # as a copy of both has them, and without the index that SQLite would make
        copied = path.with_name(path.name + ending)
        copied.write_bytes((tmp_path / f"batch.sqlite{ending}").read_bytes())
        copied.chmod(0o444)
    writer.close(interrupted=False)
    open_folder.chmod(0o555)
    with as_nobody_with_ledgers(), pytest.raises(LedgerError, match=r"may not be read|read-only"):
        Ledger(path).to_frame()  # the file alone would say that nothing was sent
    open_folder.chmod(0o755)
    for file in open_folder.iterdir():
        file.chmod(0o644)
    assert len(Ledger(path).to_frame()) == 1


# Symbolic links


@pytest.fixture
def link(tmp_path: Path) -> Path:
    """A symbolic link to where a ledger may be made, in another folder."""
    if sys.platform == "win32":
        pytest.skip("links need a privilege there")
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link.sqlite"
    link.symlink_to("../real/batch.sqlite")
    return link


def test_a_ledger_is_made_and_written_through_a_symbolic_link(
    no_leaks: None, link: Path, ct_files: list[Path]
) -> None:
    real = link.parents[1] / "real" / "batch.sqlite"
    with LocalSCP() as scp:
        first = send_batch(scp.setting(), ct_files[:2], ledger=link)
        second = send_batch(scp.setting(), ct_files[:3], ledger=link)
    assert first.ok and second.ok
    assert second.outcomes == {Outcome.STORED: 1, Outcome.SKIPPED: 2}
    assert link.is_symlink() and [file.name for file in link.parent.iterdir()] == ["link.sqlite"]
    assert [file.name for file in real.parent.iterdir()] == ["batch.sqlite"]  # no log is left beside either
    assert_frame_equal(Ledger(link).to_frame(second.batch_id), second.to_frame())
    assert_frame_equal(Ledger(real).to_frame(), Ledger(link).to_frame())
    assert list(Ledger(link).batches()["ended_at"].isna()) == [False, False]
    Ledger(link).set_verified(
        [
            Verdict(
                batch_id=first.batch_id,
                instance=0,
                verified="yes",
                verified_by="find",
                verified_at=datetime.now(UTC),
                verify_detail="there",
            )
        ]
    )
    assert Ledger(real).to_frame(first.batch_id)["verified"].eq("yes").sum() == 1


def test_a_folder_may_be_a_symbolic_link(link: Path, ct_files: list[Path]) -> None:
    folder = link.with_name("folder")
    folder.symlink_to("../real")
    with LocalSCP() as scp:
        assert send_batch(scp.setting(), ct_files, ledger=folder / "batch.sqlite").ok
    assert len(Ledger(link).to_frame()) == len(ct_files)


def test_links_that_lead_nowhere_are_errors(link: Path) -> None:
    loop = link.with_name("loop")
    loop.symlink_to("loop")
    assert "symbolic links" in refusal(loop)
    nowhere = link.with_name("nowhere")
    nowhere.symlink_to("../no folder/batch.sqlite")
    assert "no such file or folder" in refusal(nowhere)
    with pytest.raises(LedgerError, match=r"link\.sqlite: there is no such file"):
        Ledger(link)
    assert not (link.parents[1] / "real" / "batch.sqlite").exists()


# Harm while it is written


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def replace_by_another(path: Path) -> None:
    other = path.with_name("other.sqlite")
    write(other, [])
    other.replace(path)


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite_all_but_the_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"no ledger" * 2000)


def overwrite(path: Path) -> None:
    path.write_bytes(b"no ledger" * 5000)


@posix_only
@pytest.mark.parametrize("upon", [0, GROUP_ROWS + 20, 2 * GROUP_ROWS + 9])
@pytest.mark.parametrize(
    "harm",
    [
        delete,
        delete_all,
        replace_by_another,
        replace_by_a_folder,
        empty,
        cut,
        overwrite_all_but_the_header,
        overwrite,
    ],
)
def test_a_ledger_that_is_harmed_meanwhile_is_said_and_costs_no_row(
    no_leaks: None, path: Path, harm: Callable[[Path], None], upon: int
) -> None:
    count = 2 * GROUP_ROWS + 10
    instances = [ct_instance(number) for number in range(count)]

    def listen(event: object) -> None:
        if isinstance(event, RowAdded) and event.result.instance == upon:
            harm(path)

    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), instances, ledger=path, on_event=listen)
        arrived = set(scp.received["sop_instance_uid"])
    assert not batch.ok
    assert "batch.sqlite" in batch.note and "in memory only" in batch.note
    assert "are lost" not in batch.note
    frame = batch.to_frame()
    assert list(frame["instance"]) == list(range(count))
    assert set(frame.loc[frame["outcome"] == "stored", "sop_instance_uid"]) == arrived
    assert set(frame["outcome"]) <= {"stored", "cancelled"}
    if harm is replace_by_another:
        assert Ledger(path).to_frame().empty
        assert [file.name for file in path.parent.iterdir()] == [path.name]
    elif harm in (delete, delete_all, replace_by_a_folder):
        with pytest.raises(LedgerError):
            _ = batch.ledger


def test_a_refused_ledger_costs_no_earlier_results(path: Path) -> None:
    path.write_bytes(b"no ledger")
    earlier = path.with_name("rows.csv")
    earlier.write_text("of yesterday")
    refusal(path, results=earlier)
    assert earlier.read_text() == "of yesterday"


def test_results_that_cannot_be_written_leave_no_batch_in_the_ledger(no_leaks: None, path: Path) -> None:
    with pytest.raises(ValueError, match="suffix"):
        send_batch(NOWHERE, [ct_instance()], ledger=path, results=path.with_suffix(".doc"))
    assert Ledger(path).batches().empty


# Full disks

FULL_DISK = """
import json, resource, signal, sys
from dicomkit import DicomSenderSetting, LedgerError, send_batch
port, folder, path, limit, results = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
try:
    batch = send_batch(
        DicomSenderSetting(remote_port=int(port)), folder, ledger=path, results=results or None
    )
except LedgerError as error:
    print(json.dumps({"error": str(error)}))
else:
    frame = batch.to_frame(latest=True)
    stored = frame[frame.outcome == "stored"].sop_instance_uid.tolist()
    print(json.dumps({"note": batch.note, "ok": batch.ok, "stored": stored, "rows": len(frame),
                      "details": frame.detail.drop_duplicates().tolist()}))
"""


def send_with_limit(scp: LocalSCP, folder: Path, path: Path, limit: int, results: str = "") -> dict[str, Any]:
    """Send a folder where no file may grow beyond a limit, as on a full disk."""
    command = [sys.executable, "-c", FULL_DISK, str(scp.port), str(folder), str(path), str(limit), results]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


@posix_only
def test_a_full_disk_is_an_error_before_anything_is_sent(path: Path, ct_files: list[Path]) -> None:
    with LocalSCP() as scp:
        outcome = send_with_limit(scp, ct_files[0].parent, path, 1000)
        assert "batch.sqlite: the disk" in outcome["error"]
        assert "make room" in outcome["error"]
        assert scp.received.empty
    assert [file.name for file in path.parent.iterdir()] == ["ct"]


@posix_only
@pytest.mark.parametrize("limit", [100_000, 250_000, 400_000])
def test_a_disk_that_fills_up_ends_the_batch_and_costs_no_row(path: Path, limit: int) -> None:
    files = write_ct_files(path.with_name("ct"), 1500, rows=2, columns=2)
    with LocalSCP(keep_bytes=0) as scp:
        outcome = send_with_limit(scp, files[0].parent, path, limit)
        received = scp.received.sop_instance_uid.tolist()
        # Every row is there, those of the ledger and those of the memory; and the peer has what they say.
        assert outcome["rows"] == 1500
        assert sorted(outcome["stored"]) == sorted(received)
        assert 0 < len(received) < 1500
        assert not outcome["ok"]
        assert "batch.sqlite: the disk" in outcome["note"]
        assert "in memory only: save them with to_frame()" in outcome["note"]
        assert any(
            detail.startswith("not tried, since it could not be recorded") for detail in outcome["details"]
        )
        # The ledger opens, claims nothing else, and a batch with room again goes on from there.
        held = Ledger(path).to_frame()
        assert set(held[held.outcome == "stored"].sop_instance_uid) <= set(received)
        assert (Ledger(path).batches().ended_at.isna()).tolist() == [True]
        batch = send_batch(scp.setting(), files, ledger=path)
        assert batch.ok
        assert batch.outcomes[Outcome.SKIPPED] == (held.outcome == "stored").sum()


@posix_only
def test_results_that_do_not_fit_on_the_disk_are_in_the_ledger_all_the_same(path: Path) -> None:
    # In JSON each of these characters takes the room of six, so that its file is the first to be full.
    folder = path.with_name("\x01" * 200)
    files = write_ct_files(folder, 600, rows=2, columns=2)
    results_path = path.with_name("rows.json")
    with LocalSCP(keep_bytes=0) as scp:
        outcome = send_with_limit(scp, files[0].parent, path, 950_000, str(results_path))
    assert outcome["ok"]
    assert outcome["rows"] == len(outcome["stored"]) == 600
    assert "rows.json" in outcome["note"]
    assert outcome["note"].endswith("the rows after that are in the ledger")
    assert len(Ledger(path).to_frame()) == 600 > len(read_results(results_path))


# Several at once

TOGETHER = """
import sys
from dicomkit import DicomSenderSetting, send_batch
port, folder, path = sys.argv[1:]
sys.stdin.readline()
batch = send_batch(DicomSenderSetting(remote_port=int(port)), folder, ledger=path, resume=False)
assert batch.ok and not batch.note, (batch, batch.note)
print(batch.batch_id)
"""


@pytest.mark.parametrize("turn", range(3))
def test_processes_share_a_ledger_from_its_making_on(path: Path, turn: int) -> None:
    files = write_ct_files(path.with_name("ct"), 500, rows=2, columns=2)
    with LocalSCP(keep_bytes=0) as scp:
        command = [sys.executable, "-c", TOGETHER, str(scp.port), str(files[0].parent), str(path)]
        processes = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        ids = []
        for process in processes:
            output, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
            ids.append(output.strip())
    ledger = Ledger(path)
    assert sorted(ledger.batches().batch_id) == sorted(ids)
    assert ledger.batches().stored.tolist() == [500] * 3
    for batch_id in ids:
        assert ledger.to_frame(batch_id).instance.tolist() == list(range(500))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert sorted(one.name for one in path.parent.iterdir()) == ["batch.sqlite", "ct"]


def test_batches_of_one_process_share_a_ledger_while_it_is_read(path: Path) -> None:
    files = write_ct_files(path.with_name("ct"), 300, rows=2, columns=2)
    with LocalSCP(keep_bytes=0) as scp:
        threads = [
            Thread(target=send_batch, args=(scp.setting(), files), kwargs={"ledger": path, "resume": False})
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        lengths = []
        while any(thread.is_alive() for thread in threads):
            if path.exists():
                lengths.append(len(Ledger(path).to_frame()))
        for thread in threads:
            thread.join()
    assert lengths == sorted(lengths)
    assert Ledger(path).batches().stored.tolist() == [300] * 3
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# What a verification adds


def verdict(instance: int = 0, verified: Any = "yes", **changes: Any) -> Verdict:
    values = {
        "batch_id": STORED.batch_id,
        "instance": instance,
        "verified": verified,
        "verified_by": "find",
        "verified_at": datetime(2026, 5, 6, 7, 8, 9, 10, tzinfo=UTC),
        "verify_detail": "found",
    }
    return Verdict(**(values | changes))


def test_what_was_verified_follows_after_the_other_columns(path: Path) -> None:
    rows = [replace(STORED, instance=index) for index in range(3)]
    write(path, rows)
    ledger = Ledger(path)
    before = ledger.to_frame()
    ledger.set_verified([verdict(0), verdict(2, "unknown", verified_by="commit", transaction_uid="1.2.9")])
    frame = ledger.to_frame()
    assert_frame_equal(frame[list(COLUMNS)], before)
    added = frame.drop(columns=list(COLUMNS))
    assert added.dtypes.astype(str).to_dict() == {
        "verified": "category",
        "verified_by": "string",
        "verified_at": "datetime64[us, UTC]",
        "verify_detail": "string",
        "transaction_uid": "string",
    }
    assert added.verified.cat.categories.tolist() == ["yes", "no", "unknown"]
    assert added.verified.astype(object).where(added.verified.notna(), None).tolist() == [
        "yes",
        None,
        "unknown",
    ]
    assert added.verified_at[0] == verdict().verified_at
    assert added.transaction_uid[2] == "1.2.9"


def test_the_newest_verdict_counts_and_none_is_lost(path: Path) -> None:
    write(path, [STORED])
    ledger = Ledger(path)
    ledger.set_verified([verdict(verified="unknown", transaction_uid="1.2.9")])
    ledger.set_verified([verdict(verified="yes", verify_detail="the report came")])
    assert ledger.to_frame().verified.tolist() == ["yes"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM verifications").fetchone() == (2,)


def test_verdicts_of_several_batches_stand_with_their_rows(path: Path) -> None:
    write(path, [STORED], "first")
    write(path, [STORED], "second")
    Ledger(path).set_verified([verdict(batch_id="second", verified="no")])
    frame = Ledger(path).to_frame()
    assert frame.verified.isna().tolist() == [True, False]
    assert "verified" not in Ledger(path).to_frame("first")


def test_a_verdict_on_what_the_ledger_does_not_have_is_refused_with_all_others(path: Path) -> None:
    write(path, [STORED])
    with pytest.raises(LedgerError, match=f"no instance 5 in batch {STORED.batch_id}"):
        Ledger(path).set_verified([verdict(0), verdict(5)])
    assert "verified" not in Ledger(path).to_frame()


def test_a_commitment_that_is_late_is_found_by_its_transaction(path: Path, ct_files: list[Path]) -> None:
    with LocalSCP(faults=[Abort("response", times=1)]) as scp:
        batch = send_batch(scp.setting(), ct_files, ledger=path)
    ledger = Ledger(path)
    ledger.set_verified(
        verdict(index, "unknown", batch_id=batch.batch_id, transaction_uid="1.2.9") for index in range(10)
    )
    frame = ledger.to_frame()
    late = frame[(frame.verified == "unknown") & (frame.transaction_uid == "1.2.9")]
    assert late.instance.tolist() == list(range(10))
