"""`send`: one message, one attempt, one row, in the order of the DicomSenderSetting documentation's runtime model."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from dicomkit import DicomMessage, DicomSenderSetting, LocalSCP, Outcome, SendError, TextMessage, send
from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE
from dicomkit.messages import BinaryMessage, JsonMessage, XmlMessage
from dicomkit.scp import Abort, Close, Delay, Fault, RefuseSyntax, RejectAssociation, Reset, Silence, Status
from dicomkit.sending import new_batch_id
from dicomkit.wire.layout import Layout
from tests.support.files import (
    CT_IMAGE_STORAGE,
    SERIES_UID,
    STUDY_UID,
    ct_instance,
    data_set_of,
    instance_uid,
    write_ct_files,
)
from tests.support.peers import Storescp, free_port

pytestmark = pytest.mark.usefixtures("no_leaks")

NOWHERE = DicomSenderSetting(remote_host="127.0.0.1", remote_port=free_port(), timeout_seconds=2)
OTHER_MESSAGES = [TextMessage("1"), JsonMessage("{}"), XmlMessage("<a/>"), BinaryMessage(ct_instance())]


# The order of the runtime model


@pytest.mark.parametrize("message", [DicomMessage.from_bytes(ct_instance()), *OTHER_MESSAGES])
def test_a_disabled_setting_sends_nothing_whatever_the_message(message: DicomMessage) -> None:
    result = send(NOWHERE.replace(disabled=True), message)
    assert result.outcome is Outcome.SKIPPED
    assert "set Disabled to false" in result.detail
    assert (result.association, result.started_at, result.size_bytes) == (None, None, None)
    assert result.response is None
    result.raise_for_outcome()


@pytest.mark.parametrize("message", OTHER_MESSAGES)
def test_any_message_but_a_dicom_message_is_invalid_though_message_type_says_dicom(
    message: TextMessage,
) -> None:
    result = send(NOWHERE, message)
    assert NOWHERE.message_type == 16
    assert result.outcome is Outcome.INVALID_MESSAGE
    assert f"is a {type(message).__name__}, not a DicomMessage" in result.detail
    assert result.source == f"<{type(message).__name__}>"
    with pytest.raises(SendError, match="invalid_message"):
        result.raise_for_outcome()


@pytest.mark.parametrize("seconds", [0, -5])
def test_a_timeout_below_one_second_cannot_be_used(seconds: int) -> None:
    setting = DicomSenderSetting.from_json(NOWHERE.to_json().replace(": 2", f": {seconds}"))
    result = send(setting, DicomMessage.from_bytes(ct_instance()))
    assert result.outcome is Outcome.INVALID_MESSAGE
    assert "TimeoutSeconds" in result.detail
    assert str(seconds) in result.detail


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"no DICOM at all" * 20, "DICOM"), (ct_instance()[:-100], "100")],
    ids=["empty", "text", "truncated"],
)
def test_what_is_no_whole_instance_is_unreadable(content: bytes, says: str) -> None:
    result = send(NOWHERE, DicomMessage.from_bytes(content))
    assert result.outcome is Outcome.UNREADABLE
    assert says in result.detail
    assert result.started_at is None


def test_a_file_that_is_not_there_is_unreadable_and_named(tmp_path: Path) -> None:
    result = send(NOWHERE, DicomMessage.from_file(tmp_path / "gone.dcm"))
    assert result.outcome is Outcome.UNREADABLE
    assert result.source == str(tmp_path / "gone.dcm")
    assert "no such file" in result.detail.lower()


def test_the_setting_is_looked_at_before_the_message_and_the_message_before_the_peer() -> None:
    unusable = DicomSenderSetting.from_json(NOWHERE.to_json().replace(": 2", ": 0"))
    assert send(unusable, DicomMessage.from_bytes(b"")).outcome is Outcome.INVALID_MESSAGE
    assert send(NOWHERE, DicomMessage.from_bytes(b"")).outcome is Outcome.UNREADABLE
    assert send(NOWHERE, DicomMessage.from_bytes(ct_instance())).outcome is Outcome.CONNECTION_FAILED


# What comes of it


def test_a_stored_instance_has_a_whole_row_and_a_text_response(storescp: Storescp) -> None:
    before = datetime.now(UTC)
    result = send(storescp.setting(our_aet="ME"), DicomMessage.from_bytes(ct_instance(3)))
    assert result.outcome is Outcome.STORED
    assert (result.instance, result.attempt, result.association) == (0, 1, 1)
    assert (result.status, result.status_category, result.status_meaning) == (0, "Success", "Success")
    assert result.source == "<bytes>"
    assert result.sop_class_uid == CT_IMAGE_STORAGE
    assert result.sop_class_name == "CT Image Storage"
    assert result.sop_instance_uid == instance_uid(3)
    assert (result.study_instance_uid, result.series_instance_uid) == (STUDY_UID, SERIES_UID)
    assert result.modality == "CT"
    assert result.size_bytes == len(data_set_of(ct_instance(3)))
    assert (result.transfer_syntax, result.sent_transfer_syntax) == (EXPLICIT_LE, EXPLICIT_LE)
    assert (result.calling_aet, result.called_aet) == ("ME", "STORESCP")
    assert (result.host, result.port) == (storescp.host, storescp.port)
    assert result.started_at is not None
    assert before - timedelta(seconds=1) < result.started_at <= datetime.now(UTC)
    assert result.duration_ms is not None
    assert result.response_ms is not None
    assert 0 < result.response_ms < result.duration_ms < 10_000
    assert result.response == TextMessage(
        f"C-STORE of {instance_uid(3)} to STORESCP at {storescp.host}:{storescp.port}: 0x0000 Success"
    )
    result.raise_for_outcome()
    assert data_set_of(storescp.received()[instance_uid(3)]) == data_set_of(ct_instance(3))


def test_a_file_and_a_dataset_are_sent_as_well_as_bytes(tmp_path: Path) -> None:
    from pydicom import dcmread

    path = tmp_path / "ct.dcm"
    path.write_bytes(ct_instance(1))
    with LocalSCP() as scp:
        assert send(scp.setting(), DicomMessage.from_file(path)).source == str(path)
        assert send(scp.setting(), DicomMessage.from_dataset(dcmread(path))).source == "<dataset>"
        assert list(scp.received["sop_instance_uid"]) == [instance_uid(1)] * 2
        assert scp.data_set(instance_uid(1)) == data_set_of(ct_instance(1))


def test_a_warning_counts_as_stored_and_says_what_to_look_at() -> None:
    with LocalSCP(faults=[Status(0xB000)]) as scp:
        result = send(scp.setting(), DicomMessage.from_bytes(ct_instance()))
    assert result.outcome is Outcome.STORED_WITH_WARNING
    assert result.response is not None
    assert "0xB000 Warning (Coercion of Data Elements)" in result.response.text
    result.raise_for_outcome()


def test_a_failure_raises_for_outcome_and_carries_the_row() -> None:
    with LocalSCP(faults=[Status(0xA700, error_comment="disk 7 is full")]) as scp:
        result = send(scp.setting(), DicomMessage.from_bytes(ct_instance()))
    assert result.outcome is Outcome.REFUSED
    assert 'the peer says: "disk 7 is full"' in result.detail
    assert result.response is None
    with pytest.raises(SendError, match="refused: Refused: Out of Resources") as raised:
        result.raise_for_outcome()
    assert raised.value.result is result


def test_an_exception_has_no_folder_and_no_comment_of_the_peer(tmp_path: Path) -> None:
    """People put patients' names into both, and exceptions end up in logs."""
    folder = tmp_path / "Phantom^Ada"
    path = write_ct_files(folder, 1)[0]
    with LocalSCP(faults=[Status(0xC000, error_comment="Ada is unknown")]) as scp:
        result = send(scp.setting(), DicomMessage.from_file(path))
    with pytest.raises(SendError) as raised:
        result.raise_for_outcome()
    assert str(raised.value).startswith(f"{path.name}: failed: ")
    assert "Ada" not in str(raised.value)
    assert "Ada is unknown" in raised.value.result.detail
    assert raised.value.result.source == str(path)


def test_one_attempt_is_made_and_no_more() -> None:
    with LocalSCP(faults=[RejectAssociation(2, 3, 2, times=1)]) as scp:
        assert send(scp.setting(), DicomMessage.from_bytes(ct_instance())).outcome is Outcome.REJECTED
        assert send(scp.setting(), DicomMessage.from_bytes(ct_instance())).outcome is Outcome.STORED


def test_an_instance_that_is_not_taken_has_the_time_of_its_association() -> None:
    with LocalSCP(faults=[RefuseSyntax(EXPLICIT_LE), RefuseSyntax(IMPLICIT_LE)]) as scp:
        result = send(scp.setting(), DicomMessage.from_bytes(ct_instance()))
    assert result.outcome is Outcome.NOT_ACCEPTED
    assert (result.association, result.size_bytes, result.sent_transfer_syntax) == (1, 0, None)
    assert result.duration_ms is not None
    assert result.duration_ms > 0.1


@pytest.mark.parametrize(
    "fault", [Silence("release"), Close("release"), Delay(0.01, before="release")], ids=str
)
def test_how_the_release_goes_takes_nothing_from_the_row(fault: Silence) -> None:
    with LocalSCP(faults=[fault]) as scp:
        started = monotonic()
        result = send(scp.setting(timeout_seconds=1), DicomMessage.from_bytes(ct_instance()))
        assert result.outcome is Outcome.STORED
        assert monotonic() - started < 2


@pytest.mark.parametrize(
    "fault", [Abort("response"), Close("data", after_bytes=100), Reset("response")], ids=str
)
def test_a_broken_association_does_not_wait_for_the_garbage_collector(fault: Fault) -> None:
    gc.collect()
    gc.disable()
    try:
        with LocalSCP(faults=[fault]) as scp:
            assert send(scp.setting(), DicomMessage.from_bytes(ct_instance())).outcome is Outcome.ABORTED
        assert not [one for one in gc.get_objects() if type(one) is Layout]  # half a megabyte each
    finally:
        gc.enable()


def test_ctrl_c_leaves_no_socket_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    from dicomkit.wire.association import Association

    def interrupted(self: Association) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Association, "transmit", interrupted)
    with LocalSCP() as scp:
        with pytest.raises(KeyboardInterrupt):
            send(scp.setting(), DicomMessage.from_bytes(ct_instance()))
        scp.wait_for("aborted")


# Several at once


def test_threads_may_send_at_the_same_time() -> None:
    with LocalSCP() as scp, ThreadPoolExecutor(4) as pool:
        messages = [DicomMessage.from_bytes(ct_instance(index)) for index in range(12)]
        results = list(pool.map(lambda message: send(scp.setting(), message), messages))
        assert [result.sop_instance_uid for result in results] == [instance_uid(index) for index in range(12)]
        assert {result.outcome for result in results} == {Outcome.STORED}
        assert len({result.batch_id for result in results}) == 12
        assert len(scp.received) == 12


def test_a_running_event_loop_sends_from_its_executor() -> None:
    async def main(scp: LocalSCP) -> list[Outcome]:
        jobs = (
            asyncio.to_thread(send, scp.setting(), DicomMessage.from_bytes(ct_instance(index)))
            for index in range(6)
        )
        return [result.outcome for result in await asyncio.gather(*jobs)]

    with LocalSCP() as scp:
        assert asyncio.run(main(scp)) == [Outcome.STORED] * 6


def test_a_batch_id_is_a_random_uuid() -> None:
    import uuid

    ids = [new_batch_id() for _ in range(200)]
    assert len(set(ids)) == 200
    for one in ids:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one)
        assert (uuid.UUID(one).version, uuid.UUID(one).variant) == (4, uuid.RFC_4122)


# Patient data


@pytest.mark.parametrize(
    "faults",
    [[], [Status(0xC000)], [Close("response")], [RejectAssociation()], [RefuseSyntax(EXPLICIT_LE)]],
    ids=["stored", "failed", "aborted", "rejected", "converted"],
)
def test_no_detail_holds_patient_data(faults: list[Close], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="dicomkit")
    with LocalSCP(faults=faults) as scp:
        result = send(scp.setting(), DicomMessage.from_bytes(ct_instance()))
    shown: list[Callable[[object], str]] = [repr, str]
    said = " ".join([result.detail, caplog.text, *(show(result) for show in shown)])
    for secret in ("Phantom", "PHANTOM1"):
        assert secret not in said
