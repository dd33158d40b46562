"""How fast and over how many associations a batch goes: a rate, a number for each association, as many as pay."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd
import pytest

from dicomkit import Batch, BatchControl, LocalSCP, send_batch
from dicomkit.batch import _pacing as pacing
from dicomkit.events import AssociationClosed, AssociationOpened
from dicomkit.scp import Abort, Close, Delay, Fault, RejectAssociation, Reset, Silence
from tests.support.files import write_ct_files
from tests.support.peers import Storescp

pytestmark = pytest.mark.usefixtures("no_leaks")


def peak(associations: Any) -> int:
    """How many associations that carried something were open at once."""
    used = [row for row in associations.itertuples() if row.instances]
    edges = [(row.opened_at, 1) for row in used] + [(row.closed_at, -1) for row in used]
    count = most = 0
    for _, change in sorted(edges):
        count += change
        most = max(most, count)
    return most


def test_max_rate_is_never_exceeded(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 30)
    with LocalSCP() as scp:
        started = monotonic()
        batch = send_batch(scp.setting(), files, max_rate=50)
        seconds = monotonic() - started
    assert batch.ok
    # 30 instances are 29 turns of 20 ms, of which one may be made up for.
    assert seconds >= 28 / 50
    times = batch.to_frame().started_at
    assert (times.iloc[-1] - times.iloc[0]).total_seconds() >= 28 / 50


def test_max_rate_holds_for_all_associations_together(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 30)
    with LocalSCP() as scp:
        started = monotonic()
        batch = send_batch(scp.setting(), files, max_rate=50, associations=4)
        assert monotonic() - started >= 28 / 50
    assert batch.ok


@pytest.mark.parametrize("rate", [0, -1, True, "fast"])
def test_max_rate_takes_a_number_above_0(rate: Any) -> None:
    with LocalSCP() as scp, pytest.raises(ValueError, match="max_rate"):
        send_batch(scp.setting(), [], max_rate=rate)


def test_instances_per_association_releases_after_so_many(tmp_path: Path, storescp: Storescp) -> None:
    files = write_ct_files(tmp_path, 10)
    batch = send_batch(storescp.setting(), files, instances_per_association=4)
    associations = batch.associations
    assert batch.ok
    assert list(associations.instances) == [4, 4, 2]
    assert list(associations.ended.str.split(":").str[0]) == ["released"] * 3
    assert list(batch.to_frame().association) == [1] * 4 + [2] * 4 + [3] * 2
    assert all(first <= second for first, second in pairwise(associations.opened_at))
    assert set(storescp.received()) == set(batch.to_frame().sop_instance_uid)


def test_instances_per_association_of_one(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 3)
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), files, instances_per_association=1, associations=2)
    assert batch.ok
    assert list(batch.associations.instances[batch.associations.instances > 0]) == [1, 1, 1]


@pytest.mark.parametrize("number", [0, -1, 1.5, True])
def test_instances_per_association_takes_a_whole_number_from_1(number: Any) -> None:
    with LocalSCP() as scp, pytest.raises(ValueError, match="instances_per_association"):
        send_batch(scp.setting(), [], instances_per_association=number)


def test_auto_never_opens_more_than_max_associations(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 300)
    with LocalSCP(faults=[Delay(0.005)]) as scp:
        batch = send_batch(scp.setting(), files, associations="auto", max_associations=3)
    assert batch.ok
    assert 2 <= peak(batch.associations) <= 3


def test_auto_goes_on_with_the_associations_that_storescp_serves(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 400)
    # Without --fork the second association is left unanswered while the first is open.
    with Storescp(bit_preserving=True) as peer:
        batch = send_batch(peer.setting(timeout_seconds=20), files, associations="auto")
        assert set(peer.received()) == set(batch.to_frame().sop_instance_uid)
    assert batch.ok
    assert len(batch.to_frame()) == len(files)
    assert peak(batch.associations) == 1


@pytest.mark.parametrize("reason", [1, 2], ids=["congestion", "local limit"])
def test_auto_backs_off_when_the_peer_has_enough(tmp_path: Path, reason: int) -> None:
    files = write_ct_files(tmp_path, 200)
    # All but the first association are turned away.
    faults = [Delay(0.005), RejectAssociation(1, 3, reason, after=1)]
    with LocalSCP(faults=faults) as scp:
        batch = send_batch(scp.setting(), files, associations="auto")
    assert batch.ok
    assert len(batch.to_frame()) == len(files)
    assert peak(batch.associations) == 1
    assert batch.associations.instances.sum() == len(files)


def test_auto_finds_that_more_associations_pay(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 400)
    opened = []
    with LocalSCP(faults=[Delay(0.02)]) as scp:
        batch = send_batch(
            scp.setting(),
            files,
            associations="auto",
            on_event=lambda event: opened.append(event) if isinstance(event, AssociationOpened) else None,
        )
    assert batch.ok
    assert peak(batch.associations) >= 4
    assert len(opened) == len(batch.associations)
    frame = batch.to_frame()
    for _, rows in frame.groupby("association"):
        assert rows.sort_values("started_at").instance.is_monotonic_increasing


@pytest.mark.parametrize("serves", [1, 3])
def test_auto_comes_back_when_the_peer_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serves: int
) -> None:
    monkeypatch.setattr(pacing, "QUIET_SECONDS", 0.1)
    files = write_ct_files(tmp_path, 600)
    # The peer serves so many, turns away the next ones, and then has room.
    faults = [Delay(0.01), RejectAssociation(2, 3, 2, after=serves, times=2)]
    with LocalSCP(faults=faults) as scp:
        batch = send_batch(scp.setting(), files, associations="auto", max_associations=8)
    assert batch.ok
    assert len(batch.to_frame()) == len(files)  # no instance bears an attempt for it
    assert refusals(batch) == 2
    assert peak(batch.associations) > serves + 1


@pytest.mark.usefixtures("asks_again_early")
@pytest.mark.parametrize("reason", [(2, 3, 2), (1, 1, 1)], ids=["for now", "for good"])
@pytest.mark.parametrize("nth", range(60, 64))
def test_auto_loses_nothing_when_an_association_is_lost_and_not_given_back(
    tmp_path: Path, reason: tuple[int, int, int], nth: int
) -> None:
    files = write_ct_files(tmp_path, 200)
    # Whichever of the two breaks, it is turned away when it asks again, and the other one is there.
    faults = [
        Delay(0.005),
        Abort("response", after=nth, times=1),
        RejectAssociation(*reason, after=2, times=1),
    ]
    with LocalSCP(faults=faults) as scp:
        batch = send_batch(scp.setting(), files, associations="auto", max_associations=2, retries=1)
    assert set(batch.to_frame(latest=True).outcome) == {"stored"}


@pytest.mark.parametrize("most", [0, -1, "many", True])
def test_max_associations_takes_a_whole_number_from_1(most: Any) -> None:
    with LocalSCP() as scp, pytest.raises(ValueError, match="max_associations"):
        send_batch(scp.setting(), [], associations="auto", max_associations=most)
    with LocalSCP() as scp, pytest.raises(ValueError, match="max_associations"):
        send_batch(scp.setting(), [], associations=1, max_associations=most)


def test_a_number_of_associations_that_is_none_is_refused() -> None:
    with LocalSCP() as scp, pytest.raises(ValueError, match="or 'auto'"):
        send_batch(scp.setting(), [], associations="automatic")  # type: ignore[arg-type]


def test_an_association_that_nothing_is_left_for_is_given_back_while_another_still_sends(
    tmp_path: Path,
) -> None:
    files = write_ct_files(tmp_path, 20)
    with LocalSCP(faults=[Delay(0.005, times=19), Delay(2.0)]) as scp:
        batch = send_batch(scp.setting(), files, associations=2)
    assert batch.ok
    slowest = batch.to_frame().nlargest(1, "duration_ms").iloc[0]
    answered_at = slowest.started_at + pd.to_timedelta(slowest.duration_ms, unit="ms")
    other = batch.associations.set_index("association").drop(slowest.association)
    assert (other.closed_at < answered_at).all()
    assert (other.instances > 0).all()


@pytest.fixture
def asks_again_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is turned away asks again after 50 ms instead of a second."""
    monkeypatch.setattr(pacing, "FIRST_REFUSAL_SECONDS", 0.05)


def refusals(batch: Batch) -> int:
    return int(batch.associations.ended.str.contains("rejected").sum())


@pytest.mark.usefixtures("asks_again_early")
@pytest.mark.parametrize("reason", [1, 2], ids=["congestion", "local limit"])
def test_an_association_turned_away_for_now_is_asked_for_again_later(tmp_path: Path, reason: int) -> None:
    files = write_ct_files(tmp_path, 300)
    # The peer serves one, turns the next two away, and then has room again.
    faults = [Delay(0.005), RejectAssociation(2, 3, reason, after=1, times=2)]
    with LocalSCP(faults=faults) as scp:
        batch = send_batch(scp.setting(), files, associations=2)
    assert batch.ok
    assert len(batch.to_frame()) == len(files)  # no instance bears an attempt for it
    assert refusals(batch) == 2
    assert peak(batch.associations) == 2


@pytest.mark.usefixtures("asks_again_early")
def test_a_peer_that_has_enough_is_not_hammered(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 200)
    faults = [Delay(0.005), RejectAssociation(2, 3, 2, after=1)]
    with LocalSCP(faults=faults) as scp:
        batch = send_batch(scp.setting(), files, associations=8)
    assert batch.ok
    assert peak(batch.associations) == 1
    seconds = (batch.associations.closed_at.max() - batch.associations.opened_at.min()).total_seconds()
    # Seven at first, then one at a time, each time after at least a half of twice as long.
    assert 7 < refusals(batch) <= 7 + math.log2(1 + seconds / 0.025) + 1


@pytest.mark.usefixtures("asks_again_early")
def test_an_association_rejected_for_good_is_not_asked_for_again(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 100)
    faults = [Delay(0.005), RejectAssociation(1, 1, 1, after=1)]
    with LocalSCP(faults=faults) as scp:
        batch = send_batch(scp.setting(), files, associations=2)
    assert batch.ok
    assert refusals(batch) == 1


@pytest.mark.usefixtures("asks_again_early")
@pytest.mark.parametrize("fault", [Silence, Close, Reset, Abort])
def test_an_association_that_failed_by_chance_comes_back(tmp_path: Path, fault: Callable[..., Fault]) -> None:
    files = write_ct_files(tmp_path, 600)
    faults = [Delay(0.01), fault("association", after=1, times=2)]
    with LocalSCP(faults=faults) as scp:
        batch = send_batch(scp.setting(timeout_seconds=1), files, associations=4)
    assert batch.ok
    assert len(batch.to_frame()) == len(files)
    assert batch.associations.contexts_accepted.isna().sum() == 2
    assert peak(batch.associations) == 4


def test_a_cancel_does_not_wait_for_who_was_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "FIRST_REFUSAL_SECONDS", 3600.0)
    control = BatchControl()

    def cancel_once_turned_away(event: object) -> None:
        if isinstance(event, AssociationClosed):
            control.cancel()

    faults = [Delay(0.005), RejectAssociation(2, 3, 2, after=1)]
    with LocalSCP(faults=faults) as scp:
        files = write_ct_files(tmp_path, 100)
        batch = send_batch(
            scp.setting(), files, associations=2, control=control, on_event=cancel_once_turned_away
        )
    assert batch.interrupted
    assert len(batch.to_frame()) == len(files)


@pytest.mark.usefixtures("asks_again_early")
def test_a_peer_that_serves_one_association_at_a_time_is_asked_once_for_another(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 200)
    # Without --fork the second association is left unanswered while the first is open.
    with Storescp(bit_preserving=True) as peer:
        batch = send_batch(peer.setting(timeout_seconds=20), files, associations=2)
    assert batch.ok
    assert len(batch.to_frame()) == len(files)
    assert list(batch.associations.instances) == [len(files), 0]
