"""`echo` and `probe`, against each peer: what the peer would take, and nothing is stored by asking."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import pandas as pd
import pytest

from dicomkit import DicomSenderSetting, LocalSCP, Outcome, SettingError, TextMessage, echo, probe
from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE, STORAGE_CLASSES, VERIFICATION
from dicomkit.results import to_frame
from dicomkit.samples import sample_folder
from dicomkit.scp import (
    Abort,
    AcceptNothing,
    Close,
    Delay,
    Garbage,
    RefuseClass,
    RefuseSyntax,
    RejectAssociation,
    Reset,
    Silence,
    Trickle,
)
from dicomkit.sending._probe import PROBED_SYNTAXES
from tests.support.files import CT_IMAGE_STORAGE, ct_instance, write_ct_files
from tests.support.peers import Dcmqrscp, Orthanc, Storescp, free_port

pytestmark = pytest.mark.usefixtures("no_leaks")

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
DTYPES = {
    "sop_class_uid": "string",
    "sop_class_name": "string",
    "transfer_syntax": "string",
    "transfer_syntax_name": "string",
    "accepted": "boolean",
    "reason": "string",
    "instances": "Int64",
}


# Echo


@pytest.mark.parametrize("peer_name", ["storescp", "dcmqrscp", "orthanc"])
def test_each_peer_answers(peer_name: str, request: pytest.FixtureRequest) -> None:
    peer = request.getfixturevalue(peer_name)
    result = echo(peer.setting(our_aet="ME"))
    assert result.outcome is Outcome.STORED
    assert (result.status, result.sop_class_uid, result.source) == (0, VERIFICATION, "<echo>")
    assert f"{peer.aet!r} at {peer.host}:{peer.port} answered in" in result.detail
    assert "takes calls from 'ME'" in result.detail
    assert result.response == TextMessage(f"C-ECHO to {peer.aet} at {peer.host}:{peer.port}: 0x0000 Success")
    assert result.response_ms is not None
    assert result.duration_ms is not None
    assert 0 < result.response_ms <= result.duration_ms
    result.raise_for_outcome()


def test_the_row_of_an_echo_has_a_place_in_a_frame_of_results(storescp: Storescp) -> None:
    frame = to_frame([echo(storescp.setting())])
    assert frame.outcome.tolist() == ["stored"]
    assert frame.sop_class_name.tolist() == ["Verification SOP Class"]


def test_a_wrong_title_is_named(dcmqrscp: Dcmqrscp) -> None:
    result = echo(dcmqrscp.setting(remote_aet="WRONG_TITLE"))
    assert result.outcome is Outcome.REJECTED
    assert "does not answer to 'WRONG_TITLE'; set RemoteAET" in result.detail
    assert result.response is None


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (RejectAssociation(1, 1, 3), Outcome.REJECTED),
        (AcceptNothing(), Outcome.NOT_ACCEPTED),
        (Garbage("http"), Outcome.CONNECTION_FAILED),
        (Abort("echo"), Outcome.ABORTED),
        (Close("echo"), Outcome.ABORTED),
        (Reset("echo"), Outcome.ABORTED),
        (Silence("echo"), Outcome.TIMED_OUT),
        (Trickle(stage="echo"), Outcome.TIMED_OUT),
        (Silence("association"), Outcome.TIMED_OUT),
        (Delay(0.05, before="echo"), Outcome.STORED),
        (Close("release"), Outcome.STORED),
        (Silence("release"), Outcome.STORED),
    ],
    ids=str,
)
def test_what_becomes_of_an_echo_is_told_as_for_a_send(fault: Abort, outcome: Outcome) -> None:
    with LocalSCP(faults=[fault]) as scp:
        started = monotonic()
        result = echo(scp.setting(timeout_seconds=1))
        assert monotonic() - started < 2
    assert result.outcome is outcome
    assert len(result.detail) > 20
    assert (result.response is not None) == (outcome is Outcome.STORED)


def test_an_echo_to_a_closed_port_names_it() -> None:
    port = free_port()
    result = echo(DicomSenderSetting(remote_host="127.0.0.1", remote_port=port))
    assert result.outcome is Outcome.CONNECTION_FAILED
    assert f"nothing listens at 127.0.0.1:{port}" in result.detail


def test_a_disabled_setting_is_echoed_all_the_same() -> None:
    with LocalSCP() as scp:
        assert echo(scp.setting(disabled=True)).outcome is Outcome.STORED


def test_a_setting_that_cannot_be_used_is_not_echoed() -> None:
    setting = DicomSenderSetting(timeout_seconds=1)
    unusable = DicomSenderSetting.from_json(
        setting.to_json().replace('"TimeoutSeconds": 1', '"TimeoutSeconds": 0')
    )
    result = echo(unusable)
    assert result.outcome is Outcome.INVALID_MESSAGE
    assert "TimeoutSeconds" in result.detail
    assert result.started_at is None


# Probe


def test_a_probe_of_sources_asks_for_what_they_need_and_stores_nothing(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 3)
    with LocalSCP(faults=[RefuseSyntax(IMPLICIT_LE)]) as scp:
        frame = probe(scp.setting(), files)
        assert scp.received.empty
    assert frame.dtypes.astype(str).to_dict() == DTYPES
    assert frame.sop_class_uid.tolist() == [CT_IMAGE_STORAGE] * 2
    by_syntax = frame.set_index("transfer_syntax")
    assert by_syntax.loc[EXPLICIT_LE, ["accepted", "reason", "instances"]].tolist() == [True, "accepted", 3]
    assert not by_syntax.loc[IMPLICIT_LE, "accepted"]
    assert by_syntax.loc[IMPLICIT_LE, "instances"] == 0
    assert frame.transfer_syntax_name.tolist() == ["Implicit VR Little Endian", "Explicit VR Little Endian"]


def test_a_probe_of_the_sample_study_says_what_dcmqrscp_would_not_take(dcmqrscp: Dcmqrscp) -> None:
    frame = probe(dcmqrscp.setting(), sample_folder())
    refused = frame[~frame.accepted]
    assert refused.transfer_syntax_name.str.startswith("JPEG Lossless").all()
    assert len(refused) == 1
    assert refused.instances.tolist() == [1]
    assert frame.instances.sum() == len(list(sample_folder().rglob("*.dcm")))
    assert not dcmqrscp.received()


@pytest.mark.parametrize(
    ("peer", "accepted"),
    [(Storescp(), 3), (Storescp(accept_all=True), 10), (Dcmqrscp(), 3), (Orthanc(), 10)],
    ids=["storescp", "storescp +xa", "dcmqrscp", "Orthanc"],
)
def test_a_probe_without_sources_finds_out_everything(peer: Storescp, accepted: int) -> None:
    with peer:
        frame = probe(peer.setting())
    assert len(frame) == len(STORAGE_CLASSES) * len(PROBED_SYNTAXES)
    assert frame.accepted.notna().all()
    assert frame.instances.isna().all()
    of_ct = frame[(frame.sop_class_uid == CT_IMAGE_STORAGE) & frame.accepted]
    assert len(of_ct) >= accepted
    assert EXPLICIT_LE in set(of_ct.transfer_syntax)


def test_a_probe_agrees_with_what_the_peer_refuses() -> None:
    with LocalSCP(faults=[RefuseClass(CT_IMAGE_STORAGE), RefuseSyntax(JPEG_BASELINE)]) as scp:
        frame = probe(scp.setting())
    refused = frame[~frame.accepted]
    by_class = refused[refused.sop_class_uid == CT_IMAGE_STORAGE]
    assert len(by_class) == len(PROBED_SYNTAXES)
    assert set(by_class.reason) == {"the SOP class is not supported"}
    by_syntax = refused[refused.sop_class_uid != CT_IMAGE_STORAGE]
    assert set(by_syntax.transfer_syntax) == {JPEG_BASELINE}
    assert len(by_syntax) == len(STORAGE_CLASSES) - 1


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (RejectAssociation(), "set RemoteAET"),
        (Silence("association"), "timed out"),
        (Abort("association"), "A-ABORT"),
    ],
    ids=str,
)
def test_a_probe_that_gets_no_answer_says_why_for_each_pair(fault: Abort, says: str) -> None:
    with LocalSCP(faults=[fault]) as scp:
        frame = probe(scp.setting(timeout_seconds=1), ct_instance())
    assert len(frame) == 2
    assert frame.accepted.isna().all()
    assert frame.reason.str.contains(says).all()


def test_contexts_that_are_left_unanswered_are_not_accepted() -> None:
    with LocalSCP(faults=[AcceptNothing("omitted")]) as scp:
        frame = probe(scp.setting(), ct_instance())
    assert frame.accepted.tolist() == [False, False]
    assert set(frame.reason) == {"no answer to this context"}


def test_a_probe_of_nothing_is_an_empty_frame_with_all_columns(tmp_path: Path) -> None:
    with LocalSCP() as scp:
        frame = probe(scp.setting(), tmp_path)
        assert not scp.events
    assert isinstance(frame, pd.DataFrame)
    assert frame.empty
    assert frame.dtypes.astype(str).to_dict() == DTYPES


def test_a_probe_with_a_setting_that_cannot_be_used_raises() -> None:
    setting = DicomSenderSetting(timeout_seconds=1)
    unusable = DicomSenderSetting.from_json(
        setting.to_json().replace('"TimeoutSeconds": 1', '"TimeoutSeconds": 0')
    )
    with pytest.raises(SettingError, match="TimeoutSeconds"):
        probe(unusable)
