"""A wrong address fails with the first instance's retries; a peer that was there before is waited for."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dicomkit import DicomSenderSetting, send_batch
from dicomkit.batch import Batch
from dicomkit.events import AssociationClosed, Event, RowAdded, Waiting
from dicomkit.results import Outcome
from dicomkit.scp import LocalSCP, RejectAssociation
from tests.support.files import write_ct_files
from tests.support.peers import HOST, free_port

NO_SUCH_HOST = "no-such-host.invalid"
ASSOCIATIONS = pytest.mark.parametrize("associations", [1, 3, "auto"])


def nowhere(host: str = HOST) -> DicomSenderSetting:
    if host == NO_SUCH_HOST:
        with pytest.raises(socket.gaierror) as caught:
            socket.getaddrinfo(host, 104)
        if caught.value.errno == socket.EAI_AGAIN:
            pytest.skip("no name server answers")
    return DicomSenderSetting(remote_host=host, remote_port=free_port(), timeout_seconds=30)


def tries(batch: Batch) -> list[int]:
    """How often each instance was tried, by instance; 0 for one row that says that it was not tried."""
    frame = batch.to_frame()
    untried = frame.detail.str.startswith("not tried")
    assert frame[untried].association.isna().all()
    assert not frame[~untried].association.isna().any()
    assert not frame[untried].instance.duplicated().any()
    counted = Counter(frame[~untried].instance)
    return [counted[instance] for instance in frame.instance.unique()]


@ASSOCIATIONS
@pytest.mark.parametrize("host", [HOST, NO_SUCH_HOST])
@pytest.mark.parametrize("retries", [0, 2])
def test_the_retries_of_the_first_instance_decide_for_all(
    ct_files: list[Path], associations: Any, host: str, retries: int
) -> None:
    batch = send_batch(nowhere(host), ct_files, associations=associations, retries=retries)
    assert tries(batch) == [1 + retries] + [0] * 9
    assert batch.outcomes == {Outcome.CONNECTION_FAILED: 10}
    assert len(batch.associations) == 1 + retries
    last = batch.to_frame().detail.iloc[-1]
    assert "check RemoteHost" in last
    assert "give_up_after" in last


def test_several_series_make_no_difference(tmp_path: Path) -> None:
    for number in range(4):
        write_ct_files(tmp_path / str(number), 3, series_uid=f"1.2.3.{number}", first=10 * number)
    batch = send_batch(nowhere(), tmp_path, associations=4, retries=1)
    assert tries(batch) == [2] + [0] * 11


def test_while_it_waits_it_says_why_for_how_long_and_what_to_do(ct_files: list[Path]) -> None:
    setting, events = nowhere(), list[Event]()
    send_batch(setting, ct_files, on_event=events.append)
    waits = [event for event in events if isinstance(event, Waiting)]
    assert len(waits) == 2  # before each retry
    for wait in waits:
        assert wait.seconds > 0
        assert wait.reason == f"connection refused: nothing listens at {HOST}:{setting.remote_port}"
        assert wait.advice == "check RemoteHost and RemotePort, and that the SCP runs"


def test_an_iterator_has_a_row_for_each_too(ct_files: list[Path]) -> None:
    assert tries(send_batch(nowhere(), iter(ct_files), retries=1)) == [2] + [0] * 9


def test_what_the_ledger_has_is_skipped_all_the_same(ct_files: list[Path], tmp_path: Path) -> None:
    ledger = tmp_path / "sent.sqlite"
    with LocalSCP() as scp:
        setting = scp.setting()
        assert send_batch(setting, ct_files[:2], ledger=ledger).ok
    batch = send_batch(setting, ct_files, ledger=ledger, retries=1)
    assert batch.outcomes == {Outcome.CONNECTION_FAILED: 8, Outcome.SKIPPED: 2}
    frame = batch.to_frame()
    assert frame.instance.tolist() == [0, 1, 2, 2, *range(3, 10)]
    assert frame.detail.str.startswith("not tried").tolist() == [False] * 4 + [True] * 7


class LatePeer:
    """A peer that is started when the first row says that it is not there; for `on_event`."""

    def __init__(self) -> None:
        self.scp = LocalSCP(port=free_port())

    def __call__(self, event: Event) -> None:
        if isinstance(event, RowAdded) and event.result.attempt == 1 and event.result.instance == 0:
            self.scp.start()


@ASSOCIATIONS
@pytest.mark.parametrize("retries", [0, 1])
def test_with_give_up_after_a_peer_that_comes_up_late_is_waited_for(
    ct_files: list[Path], associations: Any, retries: int
) -> None:
    late = LatePeer()
    with late.scp:
        setting = late.scp.setting()
        late.scp.stop()
        batch = send_batch(
            setting, ct_files, associations=associations, retries=retries, give_up_after=5, on_event=late
        )
    stored = batch.outcomes[Outcome.STORED]
    assert stored == 10 if retries else stored == 9
    assert 0 not in tries(batch)


@ASSOCIATIONS
def test_a_peer_that_is_up_by_the_retry_gets_everything(ct_files: list[Path], associations: Any) -> None:
    late = LatePeer()
    with late.scp:
        setting = late.scp.setting()
        late.scp.stop()
        batch = send_batch(setting, ct_files, associations=associations, retries=1, on_event=late)
    assert batch.ok
    assert tries(batch) == [2] + [1] * 9


class Leaving:
    """Stops a peer when the first association with it has ended; for `on_event`."""

    def __init__(self, scp: LocalSCP) -> None:
        self._scp = scp

    def __call__(self, event: Event) -> None:
        if isinstance(event, AssociationClosed) and event.association == 1:
            self._scp.stop()


@ASSOCIATIONS
def test_a_peer_that_was_there_and_is_gone_is_waited_for(ct_files: list[Path], associations: Any) -> None:
    with LocalSCP() as scp:
        batch = send_batch(
            scp.setting(),
            ct_files[:7],
            associations=associations,
            retries=0,
            instances_per_association=1,
            on_event=Leaving(scp),
        )
    assert 0 not in tries(batch)
    assert batch.outcomes[Outcome.STORED] >= 1
    assert batch.outcomes[Outcome.CONNECTION_FAILED] >= 1


def test_an_answer_to_the_association_request_shows_that_a_peer_is_there(ct_files: list[Path]) -> None:
    with LocalSCP(faults=[RejectAssociation(2, 3, 1)]) as scp:
        batch = send_batch(scp.setting(), ct_files[:4], retries=0, on_event=Leaving(scp))
    assert tries(batch) == [1] * 4
    assert batch.outcomes == {Outcome.REJECTED: 1, Outcome.CONNECTION_FAILED: 3}


def test_a_silence_is_no_definite_answer(ct_files: list[Path]) -> None:
    """Something listens, so the port may be right: each instance is tried, as of a peer that is hung."""
    with socket.create_server((HOST, 0)) as deaf:
        setting = DicomSenderSetting(remote_port=deaf.getsockname()[1], timeout_seconds=1)
        batch = send_batch(setting, ct_files[:2], retries=0)
    assert tries(batch) == [1, 1]
    assert batch.outcomes == {Outcome.TIMED_OUT: 2}
