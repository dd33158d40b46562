"""Every fault as one table: what the row says, how long it took, that the rest was stored, that nothing was left open.

Each fault strikes once, at the third of five instances or at the first association. Without retries exactly that
instance fails; with retries it is stored too, and its failed attempt keeps its row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from dicomkit import LocalSCP, send_batch
from dicomkit.scp import (
    REJECTIONS,
    Abort,
    AcceptNothing,
    Close,
    EarlyResponse,
    Fault,
    Garbage,
    HugePDU,
    RejectAssociation,
    Reset,
    Silence,
    Status,
    StopReading,
    Trickle,
    WrongCommand,
    WrongContext,
    WrongMessageID,
)
from tests.support.files import instance_uid, write_ct_files

pytestmark = pytest.mark.usefixtures("no_leaks")

TIMEOUT_SECONDS = 1
COUNT = 5
STRUCK = 2
LARGE = {"rows": 4096, "columns": 2048}  # more than the buffers of a loopback connection hold


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes
    ----------
    says : str
        Words of the row's detail: the phase, or what happened.
    is_retried : bool
        Whether `retries` applies, so that the instance is stored in the end.
    is_silent : bool
        Whether it is noticed by a timeout.
    """

    fault: Fault
    outcome: str
    says: str
    status: int | None = None
    is_retried: bool = True
    is_silent: bool = False
    is_large: bool = False

    @property
    def struck(self) -> int:
        """Which instance bears the fault; a failed association is borne by the first."""
        return 0 if self.fault.stage in ("association", "accepted") else STRUCK


def once(fault: Callable[..., Fault], *arguments: object, **selectors: object) -> Fault:
    """The fault at the third instance, once."""
    return fault(*arguments, times=1, sop_instance_uid=instance_uid(STRUCK), **selectors)


def status(code: int, outcome: str, *, is_retried: bool = False) -> Case:
    return Case(once(Status, code), outcome, "", status=code, is_retried=is_retried)


ASSOCIATION = [
    Case(Garbage("random", times=1), "connection_failed", "where a DICOM PDU was due"),
    Case(Garbage("http", times=1), "connection_failed", "sent HTTP"),
    Case(Garbage("tls", times=1), "connection_failed", "sent TLS"),
    Case(HugePDU("association", times=1), "connection_failed", "announced a PDU of 4294967295 bytes"),
    Case(Silence("association", times=1), "timed_out", "answer to our association request", is_silent=True),
    Case(
        Trickle(stage="association", times=1),
        "timed_out",
        "answer to our association request",
        is_silent=True,
    ),
    Case(Abort("association", times=1), "aborted", "instead of answering our association request"),
    Case(Close("association", times=1), "connection_failed", "closed the connection"),
    Case(Reset("association", times=1), "connection_failed", "lost the connection"),
    *(
        Case(RejectAssociation(result, source, reason, times=1), "rejected", f"reason {reason})")
        for result, source, reason in [
            *(one for one in REJECTIONS if one[0] == 2),
            (1, 3, 1),  # congestion and local limit pass, whatever the result field says
            (1, 3, 2),
        ]
    ),
    Case(Abort("accepted", times=1), "aborted", "A-ABORT"),
    Case(Close("accepted", times=1), "aborted", "closed the connection"),
    Case(Reset("accepted", times=1), "aborted", "connection"),
]

INSTANCE = [
    Case(once(Abort, "command"), "aborted", "A-ABORT"),
    Case(once(Abort, "data", after_bytes=1000), "aborted", "A-ABORT"),
    Case(once(Abort, "response"), "aborted", "instead of answering our request; it may have stored"),
    Case(once(Close, "command"), "aborted", "connection"),
    Case(once(Close, "data", after_bytes=1000), "aborted", "connection"),
    Case(
        once(Close, "response"), "aborted", "closed the connection during the response to our request; it may"
    ),
    Case(once(Reset, "command"), "aborted", "connection"),
    Case(once(Reset, "data", after_bytes=1000), "aborted", "connection"),
    Case(once(Reset, "response"), "aborted", "lost the connection"),
    Case(once(StopReading), "timed_out", "sending the data set", is_silent=True, is_large=True),
    Case(once(Silence, "response"), "timed_out", "the response to our request; it may", is_silent=True),
    Case(once(Trickle), "timed_out", "the response to our request; it may", is_silent=True),
    Case(once(HugePDU), "aborted", "announced a PDU of 4294967295 bytes"),
    Case(once(WrongMessageID), "aborted", "we asked as message"),
    Case(once(WrongContext), "aborted", "we asked on"),
    Case(once(WrongCommand), "aborted", "answered with command 0x8030"),
    Case(once(EarlyResponse, 0xA700), "refused", "", status=0xA700, is_large=True),
    status(0xA700, "refused", is_retried=True),
    status(0xA900, "failed"),
    status(0xC000, "failed"),
    status(0x0110, "failed", is_retried=True),
    status(0x0111, "failed"),
    status(0x0122, "failed"),
    status(0x0124, "failed"),
    status(0x7777, "failed"),
    status(0xB000, "stored_with_warning"),
    status(0xB006, "stored_with_warning"),
    status(0xB007, "stored_with_warning"),
]

CASES = ASSOCIATION + INSTANCE


def name_of(case: Case) -> str:
    return str(case.fault)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, list[Path]]:
    """Five small instances, and the same with a large one where the fault strikes."""
    folder = tmp_path_factory.mktemp("faults")
    small = write_ct_files(folder / "small", COUNT)
    large = write_ct_files(folder / "large", 1, first=STRUCK, **LARGE)
    return {False: small, True: [*small[:STRUCK], *large, *small[STRUCK + 1 :]]}


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_fault_costs_its_instance_alone(case: Case, files: dict[bool, list[Path]]) -> None:
    with LocalSCP(faults=[case.fault]) as scp:
        setting = scp.setting(timeout_seconds=TIMEOUT_SECONDS)
        # An abort of the first packed instance has its unpacked retry whatever `retries` is, so there is none here.
        batch = send_batch(setting, files[case.is_large], retries=0, pack_pdv=False)
        received = scp.received
    frame = batch.to_frame()
    row = frame.iloc[case.struck]
    assert list(frame.instance) == list(range(COUNT))
    assert row.outcome == case.outcome
    assert case.says in row.detail
    assert (None if frame.isna().status[case.struck] else int(row.status)) == case.status
    assert row.duration_ms < 1e3 * (TIMEOUT_SECONDS + 1)
    if case.is_silent:
        assert row.duration_ms >= 1e3 * TIMEOUT_SECONDS * 0.99
    others = frame.drop(index=case.struck)
    assert list(others.outcome) == ["stored"] * (COUNT - 1)
    stored = set(received[received.stored].sop_instance_uid)
    assert set(others.sop_instance_uid) <= stored
    # What the peer has without our having heard of it, the row says.
    if row.sop_instance_uid in stored:
        assert row.outcome == "stored_with_warning" or "may have stored" in row.detail


@pytest.mark.parametrize("case", [case for case in CASES if case.is_retried], ids=name_of)
def test_what_may_pass_next_time_is_tried_again_and_stored(case: Case, files: dict[bool, list[Path]]) -> None:
    with LocalSCP(faults=[case.fault]) as scp:
        batch = send_batch(scp.setting(timeout_seconds=TIMEOUT_SECONDS), files[case.is_large], pack_pdv=False)
        stored = set(scp.received[scp.received.stored].sop_instance_uid)
    attempts, latest = batch.to_frame(), batch.to_frame(latest=True)
    assert batch.ok
    assert list(latest.outcome) == ["stored"] * COUNT
    assert list(attempts[attempts.instance == case.struck].outcome) == [case.outcome, "stored"]
    assert len(attempts) == COUNT + 1
    assert stored == {instance_uid(index) for index in range(COUNT)}


@pytest.mark.parametrize("fault", [Abort, Close, Reset])
@pytest.mark.parametrize("stage", ["between", "release"])
def test_an_association_that_ends_when_no_response_is_due_loses_nothing(
    fault: Callable[..., Fault], stage: str, files: dict[bool, list[Path]]
) -> None:
    with LocalSCP(faults=[fault(stage, times=1)]) as scp:
        batch = send_batch(scp.setting(timeout_seconds=TIMEOUT_SECONDS), files[False])
        stored = set(scp.received[scp.received.stored].sop_instance_uid)
    attempts, latest = batch.to_frame(), batch.to_frame(latest=True)
    assert list(latest.outcome) == ["stored"] * COUNT
    assert stored == {instance_uid(index) for index in range(COUNT)}
    # The next instance may be on its way when the end comes: then it bears an attempt.
    failed = attempts[attempts.outcome != "stored"]
    assert list(failed.outcome) in ([], ["aborted"] if stage == "between" else [])
    assert (len(batch.associations) == 1) == (stage == "release")


@pytest.mark.parametrize(
    ("result", "source", "reason"), [one for one in REJECTIONS if one[0] == 1 and one[1] != 3]
)
def test_a_permanent_rejection_is_tried_once_for_all(
    result: int, source: int, reason: int, files: dict[bool, list[Path]]
) -> None:
    started = monotonic()
    with LocalSCP(faults=[RejectAssociation(result, source, reason)]) as scp:
        frame = send_batch(scp.setting(timeout_seconds=TIMEOUT_SECONDS), files[False]).to_frame()
        assert sum(event.what == "rejected" for event in scp.events) == 1
    assert list(frame.outcome) == ["rejected"] * COUNT
    assert list(frame.attempt) == [1] * COUNT
    assert not frame.detail[0].startswith("not tried")
    assert frame.detail[1:].str.startswith("not tried again: ").all()
    assert monotonic() - started < TIMEOUT_SECONDS + 1


def test_an_association_without_contexts_accepts_nothing_and_says_so(files: dict[bool, list[Path]]) -> None:
    for omitted in ("refused", "omitted"):
        with LocalSCP(faults=[AcceptNothing(omitted)]) as scp:
            frame = send_batch(scp.setting(timeout_seconds=TIMEOUT_SECONDS), files[False]).to_frame()
        assert list(frame.outcome) == ["not_accepted"] * COUNT
        assert frame.detail.str.contains("in no transfer syntax that we offered").all()
