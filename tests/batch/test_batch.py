"""`send_batch`: many instances, one row for every attempt, nothing lost; against real peers and a local SCP."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from pandas.testing import assert_frame_equal

from dicomkit import (
    Batch,
    BatchControl,
    DicomMessage,
    DicomSenderSetting,
    Instance,
    LocalSCP,
    Outcome,
    TextMessage,
    echo,
    look_at,
    probe,
    read_results,
    send,
    send_batch,
)
from dicomkit.batch import _pacing as pacing
from dicomkit.batch import _run as batch_run
from dicomkit.events import (
    AssociationClosed,
    AssociationOpened,
    Done,
    Event,
    RowAdded,
    Scanned,
    Sending,
    Waiting,
)
from dicomkit.results import COLUMNS, dtypes, to_frame
from dicomkit.scp import Abort, Close, Delay, Fault, RejectAssociation, Reset, Silence, Status
from dicomkit.sources import DataSource
from tests.support.design import DTYPE_OF_COLUMN
from tests.support.files import CT_IMAGE_STORAGE, ct_instance, data_set_of, instance_uid, write_ct_files
from tests.support.peers import Storescp, free_port, wait_until

pytestmark = pytest.mark.usefixtures("no_leaks", "short_waits")

ASSOCIATION_COLUMNS = {
    "association": "int64",
    "opened_at": "datetime64[us, UTC]",
    "closed_at": "datetime64[us, UTC]",
    "ended": "string",
    "peer_implementation_uid": "string",
    "peer_implementation_version": "string",
    "max_pdu": "Int64",
    "contexts_proposed": "int64",
    "contexts_accepted": "Int64",
    "instances": "int64",
    "size_bytes": "int64",
}


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not have the time that peers are given."""
    monkeypatch.setattr(pacing, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(pacing, "LONGEST_WAIT_SECONDS", 0.02)


def attempts_of(batch: Batch) -> list[tuple[int, int, str]]:
    """Instance, attempt and outcome of each row."""
    frame = batch.to_frame()
    return list(zip(frame.instance, frame.attempt, frame.outcome, strict=True))


def sent_to(*faults: Fault, sources: object, timeout_seconds: int = 5, **parameters: Any) -> Batch:
    """What becomes of sources at a local SCP with these faults."""
    with LocalSCP(faults=faults) as scp:
        return send_batch(scp.setting(timeout_seconds=timeout_seconds), sources, **parameters)


# The frame


def test_the_columns_are_those_of_the_design_in_order_with_their_dtypes(ct_files: list[Path]) -> None:
    frame = sent_to(sources=ct_files).to_frame()
    assert list(frame.columns) == list(DTYPE_OF_COLUMN) == list(COLUMNS)
    assert frame.dtypes.astype(str).to_dict() == DTYPE_OF_COLUMN
    assert frame.outcome.cat.categories.tolist() == [str(outcome) for outcome in Outcome]
    assert frame.status_category.cat.categories.tolist() == ["Success", "Warning", "Failure"]
    assert isinstance(frame.index, pd.RangeIndex)


@pytest.mark.parametrize("latest", [False, True])
def test_an_empty_batch_has_all_columns_with_their_dtypes(latest: bool) -> None:
    batch = sent_to(sources=[])
    frame = batch.to_frame(latest=latest)
    assert frame.empty
    assert frame.dtypes.to_dict() == dtypes()
    assert batch.associations.empty
    assert batch.associations.dtypes.astype(str).to_dict() == ASSOCIATION_COLUMNS
    assert batch.summary().empty
    assert len(batch) == 0


def test_rows_of_every_kind_keep_the_dtypes(tmp_path: Path) -> None:
    (tmp_path / "text.dcm").write_text("no DICOM")
    file = write_ct_files(tmp_path, 1)[0]
    batch = sent_to(
        Status(0xA700), sources=[file, tmp_path / "text.dcm", TextMessage("x")], retries=0, results=None
    )
    assert [row[2] for row in attempts_of(batch)] == ["refused", "unreadable", "invalid_message"]
    frame = batch.to_frame()
    assert frame.dtypes.to_dict() == dtypes()
    assert frame.status.isna().tolist() == [False, True, True]
    never_tried = frame.iloc[1:]
    for column in ("association", "started_at", "duration_ms", "response_ms", "size_bytes"):
        assert never_tried[column].isna().all(), column
    assert (never_tried.attempt == 1).all()


def test_one_row_for_each_attempt_and_latest_has_the_last(ct_files: list[Path]) -> None:
    batch = sent_to(Status(0xA700, times=2, sop_instance_uid=instance_uid(1)), sources=ct_files[:3])
    assert attempts_of(batch) == [
        (0, 1, "stored"),
        (1, 1, "refused"),
        (1, 2, "refused"),
        (1, 3, "stored"),
        (2, 1, "stored"),
    ]
    latest = batch.to_frame(latest=True)
    assert latest.instance.tolist() == [0, 1, 2]
    assert latest.attempt.tolist() == [1, 3, 1]
    assert batch.ok
    assert len(batch) == 3


def test_a_batch_has_a_row_for_each_association(ct_files: list[Path]) -> None:
    batch = sent_to(sources=ct_files)
    frame = batch.associations
    assert frame.dtypes.astype(str).to_dict() == ASSOCIATION_COLUMNS
    assert len(frame) == 1
    row = frame.iloc[0]
    assert (row.association, row.instances, row.ended) == (1, 10, "released")
    assert row.size_bytes == batch.to_frame().size_bytes.sum()
    assert (row.contexts_proposed, row.contexts_accepted) == (2, 2)
    assert row.peer_implementation_version
    assert row.peer_implementation_uid
    assert row.max_pdu == 131072
    assert row.opened_at < row.closed_at


def test_an_association_that_did_not_come_about_has_a_row_too(ct_files: list[Path]) -> None:
    row = sent_to(RejectAssociation(), sources=ct_files).associations.iloc[0]
    assert "set RemoteAET" in row.ended
    assert row[["instances", "size_bytes"]].tolist() == [0, 0]
    assert row[["opened_at", "max_pdu", "contexts_accepted", "peer_implementation_uid"]].isna().all()


def test_the_summary_counts_instances_and_attempts(ct_files: list[Path]) -> None:
    summary = sent_to(
        Status(0xA700, times=1, sop_instance_uid=instance_uid(1)),
        Status(0xC000, sop_instance_uid=instance_uid(2)),
        sources=[*ct_files[:3], "gone.dcm"],
    ).summary()
    assert summary.index.tolist() == ["stored", "failed", "unreadable"]
    assert summary.instances.tolist() == [2, 1, 1]
    assert summary.attempts.tolist() == [3, 1, 1]
    assert summary.size_bytes.tolist()[:2] == [
        2 * len(data_set_of(ct_instance())),
        len(data_set_of(ct_instance())),
    ]
    assert "Cannot understand" in summary.example["failed"]


def test_a_batch_shows_itself_and_what_peers_say_is_text(ct_files: list[Path]) -> None:
    batch = sent_to(Status(0xC000, error_comment="<img src=x onerror=alert(1)>"), sources=ct_files[:1])
    assert repr(batch) == "<Batch: 1 failed>"
    html = batch._repr_html_()
    assert "0 of 1 instance stored" in html
    assert "failed" in html
    assert "img" not in html  # what the peer says may name a patient, and is in the rows
    empty = sent_to(sources=[])
    assert repr(empty) == "<Batch: nothing to send>"
    assert "nothing to send" in empty._repr_html_()


# What is tried again


@pytest.mark.parametrize(
    ("fault", "outcomes"),
    [
        (Status(0xA700), ["refused"] * 3),
        (Status(0xA7FF, times=1), ["refused", "stored"]),
        (Status(0x0110), ["failed"] * 2),
        (Status(0x0213), ["failed"] * 2),
        (Status(0x0110, times=1), ["failed", "stored"]),
        (Status(0xC000), ["failed"]),
        (Status(0xA900), ["failed"]),
        (Status(0x0122), ["failed"]),
        (Status(0x0124), ["failed"]),
        (Status(0xB000), ["stored_with_warning"]),
        (RejectAssociation(2, 1, 1), ["rejected"] * 3),
        (RejectAssociation(2, 3, 1, times=1), ["rejected", "stored"]),
        (RejectAssociation(1, 3, 2, times=1), ["rejected", "stored"]),
        (RejectAssociation(1, 3, 1, times=2), ["rejected", "rejected", "stored"]),
        (RejectAssociation(1, 1, 7), ["rejected"]),
        (RejectAssociation(1, 2, 1), ["rejected"]),
        (Close("association", times=1), ["connection_failed", "stored"]),
        (Abort("association", times=1), ["aborted", "stored"]),
        (Abort("response"), ["aborted"] * 3),
        (Abort("accepted"), ["aborted"] * 3),
        (Close("accepted"), ["aborted"] * 3),
        (Reset("accepted"), ["aborted"] * 3),
        (Close("command", times=1), ["aborted", "stored"]),
        (Reset("response", times=2), ["aborted", "aborted", "stored"]),
        (Silence("response", times=1), ["timed_out", "stored"]),
        (Silence("association", times=1), ["timed_out", "stored"]),
    ],
    ids=str,
)
def test_what_may_pass_next_time_is_tried_again_and_nothing_else(fault: Fault, outcomes: list[str]) -> None:
    batch = sent_to(fault, sources=ct_instance(), timeout_seconds=1)
    assert attempts_of(batch) == [(0, number, outcome) for number, outcome in enumerate(outcomes, start=1)]
    assert batch.ok == (outcomes[-1].startswith("stored"))


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (4, 5)])
def test_retries_are_counted_after_the_first_attempt(retries: int, attempts: int) -> None:
    assert len(sent_to(Status(0xA700), sources=ct_instance(), retries=retries).to_frame()) == attempts


def test_several_associations_knock_one_by_one_as_long_as_none_is_open(ct_files: list[Path]) -> None:
    batch = sent_to(RejectAssociation(2, 1, 1, times=1), Delay(0.01), sources=ct_files, associations=4)
    assert batch.ok
    assert (batch.to_frame().outcome == "rejected").sum() == 1


def test_an_unreachable_peer_is_tried_as_often_as_a_busy_one() -> None:
    setting = DicomSenderSetting(remote_host="127.0.0.1", remote_port=free_port())
    batch = send_batch(setting, ct_instance())
    assert attempts_of(batch) == [(0, number, "connection_failed") for number in (1, 2, 3)]


@pytest.mark.parametrize("associations", [1, 4])
def test_a_permanent_rejection_is_tried_once_for_all(ct_files: list[Path], associations: int) -> None:
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(remote_aet="WRONG"), ct_files, associations=associations)
        assert sum(event.what == "requested" for event in scp.events) == 1
    frame = batch.to_frame()
    assert set(frame.outcome) == {"rejected"}
    assert len(frame) == len(ct_files)
    assert frame.association.isna().tolist() == [False, *[True] * 9]
    assert not frame.detail[0].startswith("not tried")
    assert frame.detail[1:].str.startswith("not tried again: called AE title not recognized").all()
    assert frame.detail.str.contains("set RemoteAET").all()


def test_when_nothing_gets_through_the_rest_is_given_up(ct_files: list[Path]) -> None:
    setting = DicomSenderSetting(remote_host="127.0.0.1", remote_port=free_port())
    events: list[Event] = []
    started = monotonic()
    batch = send_batch(setting, ct_files, give_up_after=0.2, on_event=events.append)
    assert monotonic() - started < 3
    latest = batch.to_frame(latest=True)
    assert set(latest.outcome) == {"connection_failed"}
    assert latest.detail.iloc[-1].startswith("not tried: nothing got through to 127.0.0.1:")
    assert "check RemoteHost" in latest.detail.iloc[-1]
    assert latest.association.isna().iloc[-1]
    waits = [event for event in events if isinstance(event, Waiting)]
    assert waits
    assert waits[0].reason.startswith("connection refused: nothing listens at 127.0.0.1:")
    assert waits[0].advice.startswith("check RemoteHost and RemotePort")
    assert not batch.ok


def test_what_was_given_up_takes_the_rest_of_an_iterator_along(ct_files: list[Path]) -> None:
    setting = DicomSenderSetting(remote_host="127.0.0.1", remote_port=free_port())
    batch = send_batch(setting, iter(ct_files), give_up_after=0.1, retries=20)
    assert len(batch) == len(ct_files)
    assert batch.outcomes == {Outcome.CONNECTION_FAILED: len(ct_files)}


def test_an_abort_upon_the_first_packed_instance_is_tried_again_unpacked_and_says_so(
    ct_files: list[Path],
) -> None:
    batch = sent_to(Abort("command", times=1), sources=ct_files, retries=0)
    assert attempts_of(batch)[:2] == [(0, 1, "aborted"), (0, 2, "stored")]
    detail = batch.to_frame().detail
    assert "separate PDUs, since the peer aborted upon them in one" in detail[1]
    assert not detail[2:].str.contains("separate PDUs").any()
    assert batch.ok
    assert attempts_of(sent_to(Abort("command"), sources=ct_instance(), pack_pdv=False, retries=0)) == [
        (0, 1, "aborted")
    ]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(Abort("command", after=3, times=1), "aborted"), (Silence("response", times=1), "timed_out")],
    ids=["not the first", "no abort"],
)
def test_nothing_else_is_tried_again_unpacked(ct_files: list[Path], fault: Fault, outcome: str) -> None:
    batch = sent_to(fault, sources=ct_files, retries=0, timeout_seconds=1)
    frame = batch.to_frame()
    assert frame.attempt.tolist() == [1] * 10
    assert sorted(frame.outcome) == sorted([outcome, *["stored"] * 9])
    assert not frame.detail.str.contains("separate PDUs").any()


@pytest.mark.parametrize("fault", [Abort, Close, Reset])
@pytest.mark.parametrize("stage", ["command", "response"])
def test_an_instance_that_always_kills_its_association_is_isolated(
    ct_files: list[Path], fault: type[Abort], stage: Any
) -> None:
    batch = sent_to(fault(stage, sop_instance_uid=instance_uid(4)), sources=ct_files)
    latest = batch.to_frame(latest=True)
    assert latest.outcome.tolist() == ["stored"] * 4 + ["aborted"] + ["stored"] * 5
    assert latest.attempt.tolist() == [1] * 4 + [3] + [1] * 5
    alone = batch.to_frame()[lambda frame: (frame.instance == 4) & (frame.attempt > 1)].association
    assert batch.associations.set_index("association").instances[alone].tolist() == [0, 0]


def test_an_instance_is_isolated_among_several_associations_too() -> None:
    sources = [ct_instance(index, series_uid=f"1.2.3.{index % 4}") for index in range(24)]
    killer = instance_uid(9, series_uid="1.2.3.1")
    batch = sent_to(Abort("response", sop_instance_uid=killer), sources=sources, associations=4)
    latest = batch.to_frame(latest=True)
    assert latest.outcome.value_counts()[["stored", "aborted"]].tolist() == [23, 1]
    assert latest.attempt.tolist() == [3 if index == 9 else 1 for index in range(24)]
    assert len(batch.associations) <= 4 + 4, "the others do not give theirs up for it"


def test_a_peer_that_closes_between_two_instances_costs_nobody_an_attempt(ct_files: list[Path]) -> None:
    for fault in (Close("between"), Abort("between"), Reset("between")):
        with LocalSCP(faults=[fault]) as scp:

            def one_by_one(scp: LocalSCP = scp) -> Iterator[Path]:
                for number, file in enumerate(ct_files[:4]):
                    scp.wait_for("stored", times=number)
                    wait_until(lambda n=number: _faults(scp) >= n, 5.0, "it has closed")  # type: ignore[misc]
                    yield file

            batch = send_batch(scp.setting(), one_by_one())
        assert attempts_of(batch) == [(number, 1, "stored") for number in range(4)], fault
        assert len(batch.associations) == 4


def _faults(scp: LocalSCP) -> int:
    return sum(event.what == "fault" for event in scp.events)


def test_a_peer_that_leaves_at_once_is_not_asked_for_ever(ct_files: list[Path]) -> None:
    with LocalSCP(faults=[Close("accepted")]) as scp:
        batch = send_batch(scp.setting(), ct_files[:2], retries=1)
        assert sum(event.what == "requested" for event in scp.events) == 4
    assert [row[2] for row in attempts_of(batch)] == ["aborted"] * 4


# Results on the way


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_streamed_rows_are_the_rows_of_the_frame_and_are_not_kept(
    ct_files: list[Path], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"rows.{suffix}"
    batch = sent_to(Status(0xA700, every=3), sources=[*ct_files, "gone.dcm"], results=path, associations=2)
    frame = batch.to_frame()
    assert len(frame) > 11
    assert frame.dtypes.to_dict() == dtypes()
    assert frame.instance.is_monotonic_increasing
    assert_frame_equal(frame, read_results(path))
    assert not batch._sink._rows
    assert batch.note == ""
    assert batch.to_frame(latest=True).instance.tolist() == list(range(11))


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_an_empty_batch_leaves_a_whole_results_file(tmp_path: Path, suffix: str) -> None:
    batch = sent_to(sources=[], results=tmp_path / f"rows.{suffix}")
    assert_frame_equal(read_results(tmp_path / f"rows.{suffix}"), batch.to_frame())


def test_a_results_path_that_cannot_be_is_told_before_anything_is_sent(
    ct_files: list[Path], tmp_path: Path
) -> None:
    with LocalSCP() as scp:
        with pytest.raises(ValueError, match=r"\.xlsx"):
            send_batch(scp.setting(), ct_files, results=tmp_path / "rows.xlsx")
        with pytest.raises(FileNotFoundError):
            send_batch(scp.setting(), ct_files, results=tmp_path / "no" / "rows.csv")
        assert not scp.events


ON_A_SMALL_DISK = """
import resource, sys
from dicomkit import DicomSenderSetting, send_batch
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
batch = send_batch(DicomSenderSetting(disabled=True), [b"no DICOM"] * 1000, results=sys.argv[1])
frame = batch.to_frame()
print(len(frame), frame.instance.tolist() == list(range(1000)), len(batch), batch.note, sep="|")
"""


@pytest.mark.skipif(os.name != "posix", reason="limits as POSIX has them")
@pytest.mark.parametrize(("suffix", "size"), [("csv", 100_000), ("json", 300_000), ("parquet", 100_000)])
def test_a_disk_that_fills_up_loses_no_row(tmp_path: Path, suffix: str, size: int) -> None:
    path = tmp_path / f"rows.{suffix}"
    done = subprocess.run(
        [sys.executable, "-c", ON_A_SMALL_DISK, path, str(size)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    rows, complete, instances, note = done.stdout.strip().split("|")
    assert (rows, complete, instances) == ("1000", "True", "1000")
    assert "File too large" in note
    assert f"rows.{suffix}" in note
    assert "save them with to_frame()" in note


# Sources


def test_the_same_uid_twice_is_sent_twice_and_the_second_says_so() -> None:
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), [ct_instance(0), ct_instance(1), ct_instance(0)])
        assert len(scp.received) == 3
    detail = batch.to_frame().detail
    assert detail.str.contains("its SOP Instance UID came before in this batch").tolist() == [
        False,
        False,
        True,
    ]
    assert batch.ok


def test_nothing_to_send_says_so_and_is_not_ok(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "texts" / name).write_text("no DICOM")
    for sources, note in [
        ([], "nothing to send: the sources hold no file"),
        (iter(()), "nothing to send: the sources hold no file"),
        (tmp_path / "empty", "nothing to send: the sources hold no file"),
        (tmp_path / "texts", "nothing to send: 2 files were passed over, none is DICOM"),
    ]:
        with LocalSCP() as scp:
            batch = send_batch(scp.setting(), sources)
            assert not scp.events
        assert batch.note == note
        assert not batch.ok
        assert not batch.interrupted
    assert [Path(one.source).name for one in batch.passed_over] == ["a.txt", "b.txt"]


def test_what_is_passed_over_takes_no_number(tmp_path: Path) -> None:
    write_ct_files(tmp_path, 3)
    (tmp_path / "000000a.txt").write_text("between the first and the second")
    batch = sent_to(sources=tmp_path)
    assert [row[0] for row in attempts_of(batch)] == [0, 1, 2]
    assert len(batch.passed_over) == 1
    assert batch.ok


def test_sources_of_every_kind_may_stand_side_by_side(ct_files: list[Path]) -> None:
    from io import BytesIO

    from pydicom import dcmread

    sources = [
        str(ct_files[0]),
        ct_files[1],
        [ct_instance(2)],
        DicomMessage.from_bytes(ct_instance(3)),
        dcmread(BytesIO(ct_instance(4))),
        (one for one in ct_files[5:7]),
        pd.DataFrame({"source": [str(file) for file in ct_files[7:]]}),
    ]
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), sources)
        assert scp.received.sop_instance_uid.tolist() == [instance_uid(number) for number in range(10)]
    assert batch.to_frame().source.tolist()[2:5] == ["<bytes>", "<bytes>", "<dataset>"]


@pytest.mark.parametrize(
    "strange", [None, 5, 2.5, object(), {"a": 1}], ids=lambda value: type(value).__name__
)
def test_what_is_no_source_is_a_row_and_its_neighbours_are_sent(strange: object) -> None:
    batch = sent_to(sources=[ct_instance(0), strange, ct_instance(1)])
    assert attempts_of(batch) == [(0, 1, "stored"), (1, 1, "invalid_message"), (2, 1, "stored")]
    assert len(batch.to_frame().detail[1]) > 20
    alone = sent_to(sources=strange)
    assert attempts_of(alone) == [(0, 1, "invalid_message")]


def test_an_open_file_is_one_row_and_not_one_for_each_of_its_lines() -> None:
    batch = sent_to(sources=BytesIO(ct_instance(0)))
    assert attempts_of(batch) == [(0, 1, "invalid_message")]
    assert batch.to_frame().detail[0].startswith("BytesIO is no source of instances")


def test_an_iterator_that_raises_has_a_row_for_it() -> None:
    def broken() -> Iterator[bytes]:
        yield ct_instance(0)
        raise LookupError("Phantom^Patient has no more files")

    class Broken:
        __iter__ = staticmethod(broken)

    for sources in (broken(), Broken(), [broken()]):
        batch = sent_to(sources=sources)
        assert attempts_of(batch) == [(0, 1, "stored"), (1, 1, "unreadable")]
        assert "ended with LookupError" in batch.to_frame().detail[1]
        assert "Phantom" not in batch.to_frame().detail[1]


def test_an_iterator_is_used_as_it_comes_and_never_from_two_threads(ct_files: list[Path]) -> None:
    threads = set()

    def files() -> Iterator[Path]:
        for file in ct_files:
            threads.add(threading.get_ident())
            yield file

    assert sent_to(sources=files(), associations=4).ok
    assert len(threads) == 1


@pytest.mark.parametrize("suffix", ["csv", None])
def test_a_slow_iterator_is_waited_for_without_an_association(
    ct_files: list[Path], tmp_path: Path, suffix: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_run, "IDLE_SECONDS", 0.1)
    with LocalSCP() as scp:

        def slow() -> Iterator[Path]:
            yield ct_files[0]
            scp.wait_for("released")
            yield ct_files[1]

        batch = send_batch(scp.setting(), slow(), results=tmp_path / f"rows.{suffix}" if suffix else None)
    assert batch.ok
    assert batch.associations.ended.tolist() == ["released: idle", "released"]
    assert batch.to_frame().association.tolist() == [1, 2]


def test_what_a_slow_iterator_gave_is_told_of_while_it_is_slow() -> None:
    told = threading.Event()

    def slow() -> Iterator[str]:
        yield "gone.dcm"
        assert told.wait(5.0)

    batch = sent_to(sources=slow(), on_event=lambda e: told.set() if isinstance(e, RowAdded) else None)
    assert attempts_of(batch) == [(0, 1, "unreadable")]


def test_a_long_iterator_is_never_held_whole(tmp_path: Path) -> None:
    count, here = 100_000, write_ct_files(tmp_path, 1)[0]
    process = psutil.Process()
    given = rows = held = grown = 0
    before = process.memory_info().rss

    def paths() -> Iterator[str]:
        nonlocal given, held, grown
        for given in range(1, count + 1):
            if given % 1000 == 0:
                held = max(held, given - rows)
                grown = max(grown, process.memory_info().rss - before)
            yield str(here) if given % 100 == 0 else "gone.dcm"

    def listen(event: Event) -> None:
        nonlocal rows
        rows += isinstance(event, RowAdded)

    batch = sent_to(sources=paths(), results=tmp_path / "rows.csv", on_event=listen)
    assert batch.outcomes == {Outcome.STORED: count // 100, Outcome.UNREADABLE: count - count // 100}
    assert held < 5_000
    assert grown < 60e6
    assert not batch._sink._rows


# Associations


def test_four_associations_are_kept_busy() -> None:
    sources = [ct_instance(index, series_uid=f"1.2.3.{index % 8}") for index in range(40)]
    with LocalSCP(faults=[Delay(0.05)]) as scp:
        batch = send_batch(scp.setting(), sources, associations=4)
        assert _peak(scp) == 4
        received = scp.received
    assert batch.ok
    assert batch.associations.instances.min() >= 5
    assert (received.groupby("association").size() >= 5).all()


def _peak(scp: LocalSCP) -> int:
    """How many associations were open at once, as the receiver saw it."""
    now = peak = 0
    for event in scp.events:
        now += (event.what == "accepted") - (event.what in ("released", "aborted"))
        peak = max(peak, now)
    return peak


def test_a_series_stays_on_one_association_in_source_order() -> None:
    sources = [ct_instance(index, series_uid=f"1.2.3.{index % 4}") for index in range(80)]
    frame = sent_to(Delay(0.002), sources=sources, associations=4).to_frame()
    assert (frame.groupby("series_instance_uid").association.nunique() == 1).all()
    assert frame.association.nunique() == 4
    for _, rows in frame.groupby("association"):
        assert rows.sort_values("started_at").instance.is_monotonic_increasing


def test_one_series_is_shared_so_that_no_association_is_idle() -> None:
    frame = sent_to(
        Delay(0.02), sources=[ct_instance(index) for index in range(40)], associations=4
    ).to_frame()
    assert frame.association.nunique() == 4
    for _, rows in frame.groupby("association"):
        assert rows.sort_values("started_at").instance.is_monotonic_increasing


def test_storescp_without_fork_leaves_the_others_unanswered_and_nobody_waits(tmp_path: Path) -> None:
    with Storescp() as peer:
        started = monotonic()
        batch = send_batch(peer.setting(timeout_seconds=20), write_ct_files(tmp_path, 60), associations=4)
        assert monotonic() - started < 10
        assert len(peer.received()) == 60
    assert attempts_of(batch) == [(number, 1, "stored") for number in range(60)]


def test_an_unanswered_association_is_given_up_while_another_one_sends() -> None:
    sources = [ct_instance(index, series_uid=f"1.2.3.{index % 4}") for index in range(40)]
    batch = sent_to(
        Silence("association", after=1), Delay(0.05), sources=sources, associations=3, timeout_seconds=1
    )
    assert attempts_of(batch) == [(number, 1, "stored") for number in range(40)]
    assert batch.associations.ended.str.contains("timed out").sum() == 2


def test_a_peer_with_a_limit_gets_fewer_associations_and_every_instance() -> None:
    sources = [ct_instance(index, series_uid=f"1.2.3.{index % 8}") for index in range(40)]
    with LocalSCP(maximum_associations=2, faults=[Delay(0.01)]) as scp:
        batch = send_batch(scp.setting(), sources, associations=5)
        assert _peak(scp) <= 2
    assert attempts_of(batch) == [(number, 1, "stored") for number in range(40)]
    # This peer counts those that it is about to reject, and so rejects more than it must when several come at once.
    assert batch.associations.ended.str.contains("local limit exceeded").sum() >= 3


def test_a_peer_that_closes_upon_too_many_associations_gets_every_instance() -> None:
    sources = [ct_instance(index, series_uid=f"1.2.3.{index % 8}") for index in range(40)]
    batch = sent_to(Close("association", after=2), Delay(0.01), sources=sources, associations=5)
    assert batch.ok
    assert (batch.associations.instances > 0).sum() <= 2


def private_instance(sop_class: int) -> bytes:
    """A CT of a private SOP class, one of as many as one likes."""
    uid = f"1.2.826.0.1.3680043.9.{sop_class + 100}"
    assert len(uid) == len(CT_IMAGE_STORAGE)
    return ct_instance(sop_class).replace(CT_IMAGE_STORAGE.encode(), uid.encode())


def test_more_contexts_than_an_association_has_are_spread_over_several() -> None:
    sources = [private_instance(sop_class) for _ in range(2) for sop_class in range(100)]
    batch = sent_to(sources=sources)
    assert batch.ok
    assert batch.associations.contexts_proposed.max() == 128
    assert 2 <= len(batch.associations) <= 4, "not one for each change of class"


def test_a_mixture_of_classes_goes_over_one_association() -> None:
    batch = sent_to(sources=[private_instance(number % 10) for number in range(50)])
    assert batch.ok
    assert len(batch.associations) == 1
    assert batch.associations.contexts_proposed[0] == 20


def test_a_class_that_was_not_in_sight_opens_another_association() -> None:
    with LocalSCP() as scp:

        def surprise() -> Iterator[bytes]:
            yield ct_instance(0)
            scp.wait_for("stored")
            yield private_instance(1)

        batch = send_batch(scp.setting(), surprise())
    assert batch.ok
    assert batch.associations.ended.tolist() == ["released: something else is to be negotiated", "released"]


def test_a_class_that_the_peer_does_not_take_costs_no_association(ct_files: list[Path]) -> None:
    from dicomkit.scp import RefuseClass

    sources = [*ct_files[:2], private_instance(7), *ct_files[2:]]
    batch = sent_to(RefuseClass("1.2.826.0.1.3680043.9.107"), sources=sources)
    assert [row[2] for row in attempts_of(batch)].index("not_accepted") == 2
    assert batch.outcomes == {Outcome.STORED: 10, Outcome.NOT_ACCEPTED: 1}
    assert len(batch.associations) == 1


# Several batches at once


def test_batches_run_at_the_same_time_from_threads(storescp: Storescp, ct_files: list[Path]) -> None:
    with LocalSCP() as scp, ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda n: send_batch(scp.setting(), ct_files, associations=n), [1, 2, 3, 4]))
        assert len(scp.received) == 40
    assert all(batch.ok for batch in batches)
    assert len({batch.batch_id for batch in batches}) == 4


def test_batches_run_in_the_executor_of_a_running_loop(ct_files: list[Path]) -> None:
    async def main(scp: LocalSCP) -> list[Batch]:
        jobs = (asyncio.to_thread(send_batch, scp.setting(), ct_files) for _ in range(3))
        return list(await asyncio.gather(*jobs))

    with LocalSCP() as scp:
        assert all(batch.ok for batch in asyncio.run(main(scp)))


# Events


def test_events_tell_the_story_in_order(ct_files: list[Path]) -> None:
    events: list[Event] = []
    batch = sent_to(sources=ct_files, on_event=events.append)
    rows = to_frame([event.result for event in events if isinstance(event, RowAdded)])
    assert_frame_equal(rows, batch.to_frame())
    kinds = [type(event) for event in events]
    assert kinds.count(Sending) == kinds.count(RowAdded) == 10
    assert kinds.index(AssociationOpened) < kinds.index(Sending) < kinds.index(RowAdded)
    assert kinds.index(AssociationClosed) > max(index for index, kind in enumerate(kinds) if kind is RowAdded)
    assert kinds[-1] is Done
    assert events[-1] == Done((("stored", 10),), False)
    assert Scanned(10, 0, True) in events
    opened = next(event for event in events if isinstance(event, AssociationOpened))
    assert opened.contexts[0][1] == CT_IMAGE_STORAGE
    assert "Phantom" not in str(events)


def test_a_listener_that_raises_does_not_end_the_batch(
    ct_files: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    def listener(event: Event) -> None:
        raise RuntimeError("a fault of the listener")

    assert sent_to(sources=ct_files, on_event=listener, associations=2).ok
    assert caplog.text.count("on_event failed upon") == 1
    assert "Phantom" not in caplog.text


# Pause and cancel


def test_a_pause_lets_the_peer_go_and_a_resume_goes_on(
    ct_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_run, "IDLE_SECONDS", 0.05)
    control, held = BatchControl(), []
    with LocalSCP() as scp:

        def pause(event: Event) -> None:
            if isinstance(event, Sending) and event.instance == 2:
                control.pause()

        def resume() -> None:
            scp.wait_for("released")
            held.append(len(scp.received))
            assert control.is_paused
            control.resume()

        resumer = threading.Thread(target=resume)
        resumer.start()
        batch = send_batch(scp.setting(), ct_files, control=control, on_event=pause)
        resumer.join()
    assert held == [3], "the one under way and no further"
    assert batch.ok
    assert len(batch.associations) == 2
    assert attempts_of(batch) == [(number, 1, "stored") for number in range(10)]


def six_with_the_second_watched(is_ready: threading.Event) -> list[Instance]:
    """Six instances; the second one sets this when it is made ready to be sent."""

    class Watched(Instance):
        def open(self) -> DataSource:
            is_ready.set()
            return super().open()

    found = [look_at(ct_instance(index)) for index in range(6)]
    return [found[0], Watched(*found[1].__getstate__()), *found[2:]]  # type: ignore[arg-type]


def test_what_is_put_back_in_a_pause_is_not_counted_as_carried() -> None:
    control, is_ready = BatchControl(), threading.Event()
    sources = six_with_the_second_watched(is_ready)

    def pause(received: dict[str, object]) -> None:
        if received["sop_instance_uid"] == instance_uid(0):  # whose response is yet to come
            assert is_ready.wait(5.0)
            control.pause()

    def resume(event: Event) -> None:
        if isinstance(event, RowAdded) and event.result.instance == 0:
            assert control.is_paused
            control.resume()

    with LocalSCP(on_received=pause) as scp:
        batch = send_batch(
            scp.setting(), sources, instances_per_association=3, control=control, on_event=resume
        )
    assert batch.ok
    assert attempts_of(batch) == [(number, 1, "stored") for number in range(6)]
    assert batch.associations.instances.tolist() == [3, 3]


def test_what_is_ready_when_a_cancel_comes_is_not_sent() -> None:
    control, is_ready = BatchControl(), threading.Event()

    def cancel(received: dict[str, object]) -> None:
        assert is_ready.wait(5.0)
        control.cancel()

    with LocalSCP(on_received=cancel) as scp:
        batch = send_batch(scp.setting(), six_with_the_second_watched(is_ready), control=control)
        assert len(scp.received) == 1
    assert batch.to_frame().outcome.tolist() == ["stored", *["cancelled"] * 5]
    assert batch.to_frame().detail[1:].str.startswith("cancelled before it was tried").all()
    assert batch.associations[["instances", "size_bytes"]].iloc[0].tolist() == [
        1,
        batch.to_frame().size_bytes[0],
    ]


def on_sending(instance: int, act: Callable[[], object]) -> Callable[[Event], None]:
    def listener(event: Event) -> None:
        if isinstance(event, Sending) and event.instance == instance:
            act()

    return listener


@pytest.mark.parametrize("associations", [1, 3])
def test_a_cancel_finishes_what_is_under_way_and_the_rest_has_its_rows(associations: int) -> None:
    control = BatchControl()
    sources = [ct_instance(index, series_uid=f"1.2.3.{index % 3}") for index in range(60)]
    batch = sent_to(
        Delay(0.01),
        sources=sources,
        control=control,
        on_event=on_sending(6, control.cancel),
        associations=associations,
    )
    assert batch.interrupted
    assert not batch.ok
    assert len(batch) == 60
    frame = batch.to_frame()
    assert frame.instance.tolist() == list(range(60))
    stored = frame.outcome == "stored"
    assert 1 <= stored.sum() < 30
    assert (frame.outcome[~stored] == "cancelled").all()
    assert frame.detail[~stored].str.startswith("cancelled before it was tried").all()
    assert (batch.associations.ended.str.startswith("released")).all()


def test_a_second_cancel_aborts_the_instance_under_way_from_its_own_thread_too() -> None:
    control = BatchControl()

    def twice() -> None:
        control.cancel()
        control.cancel()

    with LocalSCP(faults=[Silence("response")]) as scp:
        started = monotonic()
        batch = send_batch(
            scp.setting(timeout_seconds=30),
            [ct_instance(index) for index in range(5)],
            control=control,
            on_event=on_sending(0, twice),
        )
        assert monotonic() - started < 5
    assert batch.outcomes == {Outcome.CANCELLED: 5}
    assert batch.to_frame().detail.str.contains("we aborted").tolist() == [True, *[False] * 4]
    assert batch.associations.ended[0] == "aborted by us"


@pytest.mark.parametrize("associations", [1, 2])
def test_a_cancel_ends_an_association_that_is_being_opened(ct_files: list[Path], associations: int) -> None:
    control = BatchControl()
    with LocalSCP(faults=[Silence("association")]) as scp:
        canceller = threading.Thread(target=lambda: (scp.wait_for("fault"), control.cancel()))
        canceller.start()
        started = monotonic()
        batch = send_batch(
            scp.setting(timeout_seconds=30), ct_files, control=control, associations=associations
        )
        assert monotonic() - started < 5
        canceller.join()
    assert batch.outcomes == {Outcome.CANCELLED: 10}


def test_a_cancel_before_the_start_sends_nothing(ct_files: list[Path]) -> None:
    control = BatchControl()
    control.cancel()
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), ct_files, control=control)
        assert not scp.events
    assert batch.outcomes == {Outcome.CANCELLED: 10}
    assert batch.interrupted


def test_a_pause_before_the_start_waits_for_the_resume(ct_files: list[Path]) -> None:
    control = BatchControl()
    control.pause()
    resumed = threading.Event()

    def listener(event: Event) -> None:
        assert resumed.is_set() or not isinstance(event, Sending)

    def resume() -> None:
        resumed.set()
        control.resume()

    with LocalSCP() as scp, ThreadPoolExecutor(1) as pool:
        batch = pool.submit(send_batch, scp.setting(), ct_files, control=control, on_event=listener)
        resume()
        assert batch.result().ok


def test_a_cancel_ends_a_pause(ct_files: list[Path]) -> None:
    control = BatchControl()
    control.pause()
    with LocalSCP() as scp, ThreadPoolExecutor(1) as pool:
        batch = pool.submit(send_batch, scp.setting(), ct_files, control=control)
        control.cancel()
        assert batch.result().outcomes == {Outcome.CANCELLED: 10}


def test_one_control_is_for_one_batch_at_a_time(ct_files: list[Path], tmp_path: Path) -> None:
    control, refused = BatchControl(), []
    with LocalSCP() as scp:

        def another() -> None:
            with pytest.raises(ValueError, match="still running; make another one"):
                send_batch(scp.setting(), ct_files, control=control, results=tmp_path / "rows.csv")
            refused.append(True)

        batch = send_batch(scp.setting(), ct_files, control=control, on_event=on_sending(3, another))
        assert batch.ok
        assert refused
        assert not (tmp_path / "rows.csv").exists()
        assert send_batch(scp.setting(), ct_files, control=control).ok, "one after the other is fine"


def test_a_cancel_leaves_an_unfinished_iterator_alone_and_says_so() -> None:
    control, asked = BatchControl(), []

    def endless() -> Iterator[bytes]:
        for number in range(1_000_000):
            asked.append(number)
            yield ct_instance(number % 1000)

    batch = sent_to(sources=endless(), control=control, on_event=on_sending(5, control.cancel))
    assert batch.interrupted
    assert len(batch) <= len(asked) < 10_000
    frame = batch.to_frame()
    assert frame.instance.tolist() == list(range(len(batch)))
    assert set(frame.outcome) == {"stored", "cancelled"}
    assert "what the iterator had not given yet was not sent, and has no row" in batch.note


@pytest.mark.parametrize("disabled", [False, True])
def test_a_cancel_does_not_wait_for_an_iterator_that_blocks(disabled: bool) -> None:
    control, blocked, free = BatchControl(), threading.Event(), threading.Event()

    def stuck() -> Iterator[bytes]:
        yield ct_instance(0)
        blocked.set()
        free.wait(60.0)

    with LocalSCP() as scp:

        def cancel() -> None:
            assert blocked.wait(5.0)
            if not disabled:
                scp.wait_for("stored")
            control.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        started = monotonic()
        batch = send_batch(scp.setting(disabled=disabled), stuck(), control=control)
        assert monotonic() - started < 5
        canceller.join()
    free.set()
    assert attempts_of(batch)[0][2] == ("skipped" if disabled else "stored")
    assert batch.interrupted


WITH_CTRL_C = """
import json, sys, threading
from dicomkit import BatchControl, LocalSCP, send_batch
from dicomkit.events import Sending
from dicomkit.scp import Delay, Silence
from tests.support.files import ct_instance
from tests.support.peers import wait_until

def listen(event):
    if isinstance(event, Sending) and event.instance == 2:
        print("sending", flush=True)

def tell_of_first():
    wait_until(lambda: control.cancels == 1, 30.0, "Ctrl-C")
    print("cancelled", flush=True)

control = BatchControl()
fault = Silence("response", after=2) if sys.argv[1] == "2" else Delay(0.05)
threading.Thread(target=tell_of_first, daemon=True).start()
with LocalSCP(faults=[fault]) as scp:
    sources = [ct_instance(index) for index in range(200)]
    batch = send_batch(scp.setting(timeout_seconds=60), sources, control=control, on_event=listen)
frame = batch.to_frame()
print(json.dumps([batch.interrupted, frame.outcome.tolist(), frame.detail.tolist()[2]]))
print(json.dumps(sorted(thread.name for thread in threading.enumerate() if "dicomkit" in thread.name)))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_returns_the_rows(presses: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_CTRL_C, str(presses)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "sending\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "cancelled\n"
        if presses == 2:
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    (interrupted, outcomes, detail), threads = map(json.loads, output.splitlines())
    assert interrupted
    assert len(outcomes) == 200
    assert set(outcomes) == {"stored", "cancelled"}
    assert outcomes[:2] == ["stored", "stored"]
    assert outcomes[-1] == "cancelled"
    assert (presses == 2) == ("we aborted" in detail)
    assert threads == []


@pytest.mark.skipif(sys.gettrace() is not None, reason="something else traces")
@pytest.mark.parametrize("moment", ["before the thread has begun", "after it has begun"])
def test_ctrl_c_while_a_batch_begins_is_a_cancel_too(ct_files: list[Path], moment: str) -> None:
    def press(frame: FrameType, *_: object) -> None:
        starter = frame if moment.startswith("before") else frame.f_back
        if starter is None or starter.f_code is not threading.Thread.start.__code__:
            return
        if starter.f_locals["self"].name == "dicomkit batch":
            sys.settrace(None)
            signal.raise_signal(signal.SIGINT)

    with LocalSCP(faults=[Delay(0.2)]) as scp:
        sys.settrace(press)
        try:
            batch = send_batch(scp.setting(), ct_files)
        finally:
            sys.settrace(None)
        assert len(scp.received) == batch.outcomes.get(Outcome.STORED, 0) < len(ct_files)
    assert batch.interrupted
    assert set(batch.to_frame().outcome) <= {"stored", "cancelled"}
    assert len(batch) == len(ct_files)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"associations": 0}, "associations is 0; it takes a whole number from 1"),
        ({"associations": True}, "associations is True"),
        ({"associations": "many"}, "associations is 'many'"),
        ({"retries": -1}, "retries is -1"),
        ({"give_up_after": 0}, "give_up_after is 0"),
        *(
            ({name: value}, f"{name} is ")
            for name in ("give_up_after", "max_rate")
            for value in (0, -1, math.nan, math.inf, -math.inf, "1", b"1", True, [1], 10**5000, 1j)
        ),
        (
            {"max_rate": 1e-320},
            "max_rate is 1e-320; it takes instances a second, more than 0, at least 4.7e-07",
        ),
        (
            {"give_up_after": 1e300},
            "give_up_after is 1e.300; it takes seconds, more than 0, at most 2,147,483",
        ),
        *(
            ({name: value}, f"{name} is ")
            for name in ("associations", "max_associations", "retries", "instances_per_association")
            for value in (-1, 1.5, math.nan, "2", False, [], -(10**5000))
        ),
        *(
            ({name: value}, f"{name} is .*; it takes True or False")
            for name in ("resume", "transcode", "pack_pdv")
            for value in ("no", 0, 1, None, [])
        ),
        *(
            ({name: value}, f"{name} is ")
            for name in ("tls", "identity", "control", "on_event")
            for value in (True, False, 0, "", "x", [], object())
        ),
        *(
            ({name: value}, f"{name} is ")
            for name in ("ledger", "results")
            for value in (5, True, b"x.csv", [])
        ),
        *(({"results": value}, "results is '") for value in ("", ".", "..", "folder/", "/", "a\0.csv")),
        ({"results": "rows"}, "results"),
        ({"results": "x.csv", "ledger": "./x.csv"}, "results and ledger are the same file"),
    ],
)
def test_a_parameter_that_cannot_be_is_told_by_name_before_anything_is_sent(
    parameters: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalSCP() as scp:
        with pytest.raises((ValueError, TypeError), match=says):
            send_batch(scp.setting(), [ct_instance()], **parameters)
        assert not scp.events
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("setting", [None, "send-to-pacs.json", {"RemoteHost": "x"}])
def test_what_is_no_setting_is_told_by_name(setting: Any) -> None:
    for call in (
        lambda: send_batch(setting, []),
        lambda: send(setting, DicomMessage.from_bytes(ct_instance())),
        lambda: echo(setting),
        lambda: probe(setting),
    ):
        with pytest.raises(TypeError, match=r"setting is of type .*; it takes a DicomSenderSetting"):
            call()


@pytest.mark.parametrize("call", [echo, probe, lambda setting, **given: send(setting, None, **given)])
@pytest.mark.parametrize("given", [{"tls": True}, {"tls": "ca.pem"}, {"identity": "jane"}])
def test_tls_and_identity_of_another_type_are_told_by_name(call: Any, given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"{next(iter(given))} is of type "):
        call(DicomSenderSetting(), **given)


def test_numbers_of_numpy_are_numbers(ct_files: list[Path]) -> None:
    with LocalSCP() as scp:
        batch = send_batch(
            scp.setting(),
            ct_files[:2],
            associations=np.int64(1),  # type: ignore[arg-type]
            give_up_after=np.float32(30),  # type: ignore[arg-type]
            max_rate=np.float64(1000),
            resume=np.True_,  # type: ignore[arg-type]
        )
    assert batch.ok


def test_a_setting_that_cannot_be_used_has_a_row_for_each_instance(ct_files: list[Path]) -> None:
    text = (
        DicomSenderSetting(timeout_seconds=1).to_json().replace('"TimeoutSeconds": 1', '"TimeoutSeconds": 0')
    )
    batch = send_batch(DicomSenderSetting.from_json(text), ct_files)
    assert batch.outcomes == {Outcome.INVALID_MESSAGE: 10}
    assert batch.to_frame().detail.str.contains("TimeoutSeconds").all()
    assert batch.associations.empty
