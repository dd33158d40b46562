"""Every outcome, reached against a real peer or the local SCP, with a `detail` that says what to do next."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from dicomkit import (
    BatchControl,
    DicomMessage,
    DicomSenderSetting,
    LocalSCP,
    Outcome,
    SendResult,
    TextMessage,
    send,
    send_batch,
)
from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE
from dicomkit.events import RowAdded, Sending
from dicomkit.scp import (
    REJECTIONS,
    Abort,
    AcceptNothing,
    Close,
    Delay,
    EarlyResponse,
    Fault,
    Garbage,
    HugePDU,
    OddFragments,
    RefuseClass,
    RefuseSyntax,
    RejectAssociation,
    Reset,
    Silence,
    Stage,
    Status,
    StopReading,
    Trickle,
    WrongCommand,
    WrongContext,
    WrongMessageID,
)
from tests.support.files import CT_IMAGE_STORAGE, ct_instance, data_set_of, instance_uid, write_ct_files
from tests.support.peers import Dcmqrscp, Orthanc, Storescp, free_port

pytestmark = pytest.mark.usefixtures("no_leaks")

TIMEOUT_SECONDS = 1
CT = DicomMessage.from_bytes(ct_instance())
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
# More than the buffers between two ends of a loopback connection take.
LARGE = {"rows": 4096, "columns": 2048}


def sent_to(*faults: Fault, message: DicomMessage = CT) -> SendResult:
    """What becomes of an instance at a local SCP with these faults."""
    with LocalSCP(faults=faults) as scp:
        return send(scp.setting(timeout_seconds=TIMEOUT_SECONDS, our_aet="MY_TITLE"), message)


def jpeg_file(folder: Path) -> Path:
    """A file that says it is JPEG, and is not to be decoded."""
    from pydicom import dcmread
    from pydicom.encaps import encapsulate

    path = write_ct_files(folder, 1)[0]
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = JPEG_BASELINE
    ds.PixelData = encapsulate([b"\xff\xd8 no picture \xff\xd9"])
    ds["PixelData"].is_undefined_length = True
    ds.save_as(path)
    return path


# Stored


@pytest.mark.parametrize("peer_name", ["storescp", "dcmqrscp", "orthanc"])
def test_stored_by_each_peer(peer_name: str, request: pytest.FixtureRequest) -> None:
    peer = request.getfixturevalue(peer_name)
    result = send(peer.setting(), CT)
    assert result.outcome is Outcome.STORED, result.detail
    assert result.detail == "the peer stored it"


@pytest.mark.parametrize("status", [0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007, 0xB123])
def test_stored_with_warning_says_what_the_peer_did_to_it(status: int) -> None:
    result = sent_to(Status(status))
    assert result.outcome is Outcome.STORED_WITH_WARNING
    assert (result.status, result.status_category) == (status, "Warning")
    assert result.response is not None
    assert len(result.detail) > len(result.status_meaning or "") + 10, "a meaning and a remedy"


# The peer says no


@pytest.mark.parametrize(
    ("status", "outcome", "says"),
    [
        (0xA700, Outcome.REFUSED, "Out of Resources"),
        (0xA7FF, Outcome.REFUSED, "Out of Resources"),
        (0xA900, Outcome.FAILED, "does not match SOP Class"),
        (0xA9FF, Outcome.FAILED, "does not match SOP Class"),
        (0xC000, Outcome.FAILED, "Cannot understand"),
        (0xCFFF, Outcome.FAILED, "Cannot understand"),
        (0x0110, Outcome.FAILED, "Processing failure"),
        (0x0111, Outcome.FAILED, "Duplicate SOP Instance"),
        (0x0122, Outcome.FAILED, "SOP Class not supported"),
        (0x0124, Outcome.FAILED, "Not authorized"),
        (0x0213, Outcome.FAILED, "Resource limitation"),
        (0x1234, Outcome.FAILED, "not a C-STORE status"),
        (0xFF00, Outcome.FAILED, "not a C-STORE status"),
    ],
)
def test_a_failure_status_is_told_in_words_with_a_remedy(status: int, outcome: Outcome, says: str) -> None:
    result = sent_to(Status(status, error_comment="see rule 12"))
    assert result.outcome is outcome
    assert (result.status, result.status_category) == (status, "Failure")
    assert says.lower() in (result.status_meaning or "").lower()
    assert says.lower() in result.detail.lower()
    assert result.detail.endswith('the peer says: "see rule 12"')
    assert result.response_ms is not None


def test_a_failure_that_comes_while_we_send_counts() -> None:
    result = sent_to(EarlyResponse(0xA700), message=DicomMessage.from_bytes(ct_instance(**LARGE)))
    assert result.outcome is Outcome.REFUSED
    assert "storage is full" in result.detail


@pytest.mark.parametrize("shape", ["pdvs", "pdus", "segments"])
def test_an_oddly_cut_response_is_a_response(shape: str) -> None:
    assert sent_to(OddFragments(shape)).outcome is Outcome.STORED  # type: ignore[arg-type]


# Not accepted


def test_not_accepted_names_the_transfer_syntaxes_that_storescp_takes(tmp_path: Path) -> None:
    file = jpeg_file(tmp_path)
    with Storescp() as peer:
        batch = send_batch(peer.setting(), file, transcode=False)
    row = batch.to_frame().iloc[0]
    assert row.outcome == "not_accepted"
    assert "takes CT Image Storage only in" in row.detail
    assert "Explicit VR Little Endian" in row.detail
    assert "not in JPEG Baseline (Process 1) as it is stored" in row.detail
    assert "transcode=True" in row.detail


def test_not_accepted_says_why_it_could_not_be_converted(tmp_path: Path) -> None:
    result = sent_to(RefuseSyntax(JPEG_BASELINE), message=DicomMessage.from_file(jpeg_file(tmp_path)))
    assert result.outcome is Outcome.NOT_ACCEPTED
    assert "takes CT Image Storage only in Explicit VR Little Endian" in result.detail
    assert "JPEG Baseline (Process 1) pixels could not be decoded" in result.detail
    assert "have the peer accept it as it is stored" in result.detail


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (RefuseClass(CT_IMAGE_STORAGE), "the sop class is not supported"),
        (AcceptNothing(result=1), "user"),
        (AcceptNothing(result=2), "no reason"),
        (AcceptNothing("omitted"), "in no transfer syntax that we offered"),
    ],
    ids=str,
)
def test_not_accepted_tells_the_peers_reason_and_what_to_enable(fault: Fault, says: str) -> None:
    result = sent_to(fault)
    assert result.outcome is Outcome.NOT_ACCEPTED
    assert says in result.detail.lower()
    assert "CT Image Storage" in result.detail
    assert "enable the SOP class for 'MY_TITLE' at the peer" in result.detail


# Rejected


def test_dcmqrscp_rejects_a_wrong_called_title_and_we_name_it(dcmqrscp: Dcmqrscp) -> None:
    result = send(dcmqrscp.setting(remote_aet="WRONG_TITLE"), CT)
    assert result.outcome is Outcome.REJECTED
    assert "the peer does not answer to 'WRONG_TITLE'; set RemoteAET to its title" in result.detail


def test_orthanc_rejects_a_wrong_called_title_and_we_name_it(orthanc: Orthanc) -> None:
    result = send(orthanc.setting(remote_aet="WRONG_TITLE"), CT)
    assert result.outcome is Outcome.REJECTED
    assert "the peer does not answer to 'WRONG_TITLE'; set RemoteAET to its title" in result.detail


def test_a_calling_title_that_is_not_let_in_is_named() -> None:
    with LocalSCP(allowed_calling_aets=["FRIEND"]) as scp:
        result = send(scp.setting(our_aet="STRANGER"), CT)
    assert result.outcome is Outcome.REJECTED
    assert "the peer does not know 'STRANGER'; set OurAET" in result.detail


@pytest.mark.parametrize(("result_code", "source", "reason"), REJECTIONS)
def test_each_rejection_is_told_in_words_and_in_numbers(result_code: int, source: int, reason: int) -> None:
    row = sent_to(RejectAssociation(result_code, source, reason))
    assert row.outcome is Outcome.REJECTED
    assert f"result {result_code}, source {source}, reason {reason}" in row.detail
    assert ("rejected permanently" if result_code == 1 else "rejected for now") in row.detail
    words, _, remedy = row.detail.partition(": ")
    assert len(words) > 5
    assert len(remedy) > 20
    assert row.association == 1
    assert row.size_bytes == 0


def test_a_rejection_that_the_standard_does_not_define_is_told_by_its_numbers() -> None:
    assert "reason 77, which PS3.8 does not define" in sent_to(RejectAssociation(1, 1, 77)).detail
    assert "result 9, source 8, reason 7" in sent_to(RejectAssociation(9, 8, 7)).detail


# No connection


def test_a_closed_port_is_named_with_the_fields_to_check() -> None:
    port = free_port()
    result = send(DicomSenderSetting(remote_host="127.0.0.1", remote_port=port), CT)
    assert result.outcome is Outcome.CONNECTION_FAILED
    assert f"nothing listens at 127.0.0.1:{port}" in result.detail
    assert "check RemoteHost and RemotePort" in result.detail


def test_a_name_that_does_not_resolve_is_named() -> None:
    result = send(
        DicomSenderSetting(remote_host="no-such-host.invalid", remote_port=104, timeout_seconds=5), CT
    )
    assert result.outcome in (Outcome.CONNECTION_FAILED, Outcome.TIMED_OUT), "a name server may be silent"
    assert "'no-such-host.invalid'" in result.detail
    assert "check RemoteHost" in result.detail


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Garbage("http"), "HTTP"),
        (Garbage("tls"), "TLS"),
        (Garbage("random"), "check RemotePort"),
        (Close("association"), "closed the connection"),
        (Reset("association"), "lost the connection"),
        (HugePDU("association"), "check RemotePort"),
    ],
    ids=str,
)
def test_something_else_than_an_answer_is_no_connection(fault: Fault, says: str) -> None:
    result = sent_to(fault)
    assert result.outcome is Outcome.CONNECTION_FAILED
    assert says in result.detail
    assert "DICOM" in result.detail
    assert "may have stored" not in result.detail


# Aborted


DOUBT = "it may have stored the instance: look there before sending it again"


@pytest.mark.parametrize("stage", ["association", "accepted", "command", "response"])
@pytest.mark.parametrize("reason", [0, 1, 2, 4, 5, 6])
def test_an_abort_is_told_with_its_source_and_reason(stage: Stage, reason: int) -> None:
    result = sent_to(Abort(stage, source=2, reason=reason))
    assert result.outcome is Outcome.ABORTED
    assert "A-ABORT" in result.detail
    assert "provider" in result.detail
    assert (DOUBT in result.detail) == (stage != "association")
    assert "the peer's log says why" in result.detail


@pytest.mark.parametrize("fault", [Abort("data"), Close("data"), Reset("data")], ids=str)
def test_an_end_in_mid_transfer_leaves_no_doubt_unless_the_last_byte_was_sent(fault: Fault) -> None:
    content = ct_instance(**LARGE)
    result = sent_to(fault, message=DicomMessage.from_bytes(content))
    assert result.outcome is Outcome.ABORTED
    assert result.size_bytes is not None
    # A peer that reads on after it has closed its own side may be sent everything before we see that.
    everything = len(data_set_of(content))
    assert 0 < result.size_bytes <= everything
    assert (DOUBT in result.detail) == (result.size_bytes == everything)
    assert ("sending" in result.detail.replace(DOUBT, "")) == (result.size_bytes < everything)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Close("response"), "closed the connection during the response"),
        (Reset("response"), "lost the connection"),
        (WrongMessageID(), "answered message"),
        (WrongContext(), "answered on presentation context"),
        (WrongCommand(), "answered with command 0x8030"),
        (HugePDU("response"), "PDU"),
    ],
    ids=str,
)
def test_no_answer_or_a_wrong_one_after_the_last_byte_leaves_doubt(fault: Fault, says: str) -> None:
    result = sent_to(fault)
    assert result.outcome is Outcome.ABORTED
    assert says in result.detail
    assert DOUBT in result.detail
    assert result.response_ms is None


# Timed out


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port that takes no further connection: its queue is full and nobody accepts."""
    with contextlib.ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_connect_that_hangs_times_out() -> None:
    with full_backlog() as port:
        started = monotonic()
        result = send(DicomSenderSetting(remote_host="127.0.0.1", remote_port=port, timeout_seconds=1), CT)
        seconds = monotonic() - started
    assert result.outcome is Outcome.TIMED_OUT
    assert "TCP connect" in result.detail
    assert TIMEOUT_SECONDS <= seconds < TIMEOUT_SECONDS + 1


@pytest.mark.parametrize(
    ("fault", "phase", "in_doubt"),
    [
        (Silence("association"), "the answer to our association request", False),
        (Trickle(stage="association"), "the answer to our association request", False),
        (Delay(5, before="association"), "the answer to our association request", False),
        (StopReading(), "sending the data set", False),
        (Silence("response"), "the response to our request", True),
        (Trickle(), "the response to our request", True),
    ],
    ids=str,
)
def test_every_silence_ends_with_the_timeout_and_names_its_phase(
    fault: Fault, phase: str, in_doubt: bool
) -> None:
    size = LARGE if isinstance(fault, StopReading) else {}
    message = DicomMessage.from_bytes(ct_instance(**size))
    with LocalSCP(faults=[fault]) as scp:
        started = monotonic()
        result = send(scp.setting(timeout_seconds=TIMEOUT_SECONDS), message)
        seconds = monotonic() - started
    assert result.outcome is Outcome.TIMED_OUT
    assert phase in result.detail
    assert (DOUBT in result.detail) == in_doubt
    assert "raise TimeoutSeconds" in result.detail
    assert TIMEOUT_SECONDS <= seconds < TIMEOUT_SECONDS + 1


def test_a_peer_that_accepts_tcp_and_says_nothing_times_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        result = send(DicomSenderSetting(remote_host="127.0.0.1", remote_port=port, timeout_seconds=1), CT)
    assert result.outcome is Outcome.TIMED_OUT
    assert f"127.0.0.1:{port} was silent for 1 s" in result.detail


# Unreadable


def test_a_source_that_is_cut_while_it_is_sent_is_unreadable_and_the_rest_goes_on(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 3, **LARGE)

    def cut(event: object) -> None:
        if isinstance(event, Sending) and event.instance == 1:
            with open(files[1], "r+b") as file:
                file.truncate(2_000_000)

    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), files, on_event=cut)
        frame = batch.to_frame()
        assert list(frame.outcome) == ["stored", "unreadable", "stored"]
        assert "the association had to be aborted" in frame.detail[1]
        assert "changed while it was sent" in frame.detail[1]
        assert 0 < frame.size_bytes[1] < 2_000_000
        assert set(scp.received.sop_instance_uid) == {instance_uid(0), instance_uid(2)}


@pytest.mark.parametrize("what", ["removed", "truncated"])
def test_a_source_that_changes_between_look_and_send_ends_itself_only(tmp_path: Path, what: str) -> None:
    files = write_ct_files(tmp_path, 3)

    def change(event: object) -> None:
        # All three have been looked at when the first is sent; the second is opened after that.
        if isinstance(event, Sending) and event.instance == 0:
            if what == "removed":
                files[2].unlink()
            else:
                files[2].write_bytes(files[2].read_bytes()[:3000])

    with LocalSCP() as scp:
        frame = send_batch(scp.setting(), files, on_event=change).to_frame()
        assert list(frame.outcome) == ["stored", "stored", "unreadable"]
        assert frame.association.isna()[2]
        assert frame.started_at.isna()[2]
        assert len(scp.received) == 2


def test_a_file_that_was_replaced_after_the_look_is_sent_as_it_is_now_and_says_so(tmp_path: Path) -> None:
    files = write_ct_files(tmp_path, 3)

    def change(event: object) -> None:
        if isinstance(event, Sending) and event.instance == 0:
            content = files[2].read_bytes()
            files[2].write_bytes(content[:-2] + b"\xab\xcd")

    with LocalSCP() as scp:
        frame = send_batch(scp.setting(), files, on_event=change).to_frame()
        assert list(frame.outcome) == ["stored"] * 3
        assert "the file changed after it was looked at" in frame.detail[2]
        assert scp.data_set(instance_uid(2)).endswith(b"\xab\xcd")


# Not sent


def test_invalid_message_and_skipped_are_rows_of_a_batch_too(tmp_path: Path) -> None:
    file = write_ct_files(tmp_path, 1)[0]
    with LocalSCP() as scp:
        batch = send_batch(scp.setting(), [file, TextMessage("no DICOM")])
        assert list(batch.to_frame().outcome) == ["stored", "invalid_message"]
        assert "is a TextMessage, not a DicomMessage" in batch.to_frame().detail[1]
        assert not batch.ok
        batch = send_batch(scp.setting(disabled=True), [file])
        assert list(batch.to_frame().outcome) == ["skipped"]
        assert batch.to_frame().association.isna().all()
        assert not batch.ok


def test_cancelled_says_whether_the_peer_may_have_it(tmp_path: Path) -> None:
    control = BatchControl()
    files = write_ct_files(tmp_path, 2)
    with LocalSCP(faults=[Silence("response")]) as scp:

        def cancel_twice() -> None:
            scp.wait_for("fault")
            control.cancel()
            control.cancel()

        canceller = threading.Thread(target=cancel_twice)
        canceller.start()
        batch = send_batch(scp.setting(timeout_seconds=30), files, control=control)
        canceller.join()
    frame = batch.to_frame()
    assert list(frame.outcome) == ["cancelled", "cancelled"]
    assert "we aborted; the peer may have stored it" in frame.detail[0]
    assert frame.detail[1] == "cancelled before it was tried; send it again when you are ready"
    assert frame.association.tolist()[0] == 1
    assert frame.association.isna()[1]


def test_every_outcome_is_met_in_this_module() -> None:
    source = Path(__file__).read_text()
    for outcome in Outcome:
        assert f"Outcome.{outcome.name}" in source or f'"{outcome}"' in source


# Other contexts of the same class do not mislead


def test_an_instance_is_sent_in_the_syntax_that_it_is_stored_in() -> None:
    with LocalSCP(faults=[RefuseSyntax(IMPLICIT_LE)]) as scp:
        rows: list[RowAdded] = []
        batch = send_batch(
            scp.setting(),
            ct_instance(),
            on_event=lambda e: rows.append(e) if isinstance(e, RowAdded) else None,
        )
    assert batch.ok
    assert rows[0].result.sent_transfer_syntax == EXPLICIT_LE
