"""The local SCP: it serves as any receiver does, and each fault is seen from outside, byte by byte."""

from __future__ import annotations

import io
import logging
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, Literal, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pynetdicom import AE, build_context, build_role
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from dicomkit import DicomSenderSetting, send_batch
from dicomkit import scp as faulty
from dicomkit._support.pynetdicom_log import WITHOUT_SECRETS
from dicomkit.dictionary.uids import EXPLICIT_LE, IMPLICIT_LE, VERIFICATION
from dicomkit.scp import REJECTIONS, LocalSCP, Stage
from tests.support.files import ct_instance, data_set_of, instance_uid, write_ct_files
from tests.support.peers import echoscu, storescu, wait_until

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

ABORTED = bytes.fromhex("07 00 00000004 0000 00 00")
RELEASED = bytes.fromhex("06 00 00000004 00000000")
PATIENCE = 5.0  # for what must come
QUIET = 0.15  # how long nothing must come before it counts as silence
STAGES: tuple[Stage, ...] = (
    "association",
    "accepted",
    "command",
    "data",
    "response",
    "between",
    "echo",
    "release",
)

pytestmark = pytest.mark.usefixtures("no_leaks")


class BareSCU:
    """A sender on a bare socket, which shows every byte that a receiver sends."""

    def __init__(
        self,
        scp: LocalSCP,
        contexts: list[tuple[str, list[str]]] | None = None,
        *,
        calling: str = "BARE",
        called: str | None = None,
    ) -> None:
        self.contexts = contexts or [(CT, [EXPLICIT_LE]), (VERIFICATION, [IMPLICIT_LE])]
        self.titles = ((called or scp.aet).ljust(16) + calling.ljust(16)).encode()
        self.accepted: dict[int, tuple[int, str]] = {}
        self.identity = b""  # a User Identity sub-item, PS3.7 Table D.3-14
        self.messages = 0
        self.pdvs_of_response: list[int] = []  # how many there were in each of its PDUs
        self.sock = socket.create_connection((scp.host, scp.port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def request(self) -> None:
        items = _item(0x10, b"1.2.840.10008.3.1.1.1")
        for index, (sop_class, syntaxes) in enumerate(self.contexts):
            offered = b"".join(_item(0x40, syntax.encode()) for syntax in syntaxes)
            abstract = _item(0x30, sop_class.encode())
            items += _item(0x20, bytes([2 * index + 1, 0, 0, 0]) + abstract + offered)
        user = _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"1.2.3") + self.identity
        items += _item(0x50, user)
        self.send(1, struct.pack(">HH", 1, 0) + self.titles + bytes(32) + items)

    def associate(self) -> Self:
        self.request()
        kind, body = self.pdu()
        assert kind == 2, f"not an A-ASSOCIATE-AC: {kind} {body.hex()}"
        assert body[4:36] == self.titles
        position = 68
        while position < len(body):
            item, length = struct.unpack_from(">BxH", body, position)
            payload = body[position + 4 : position + 4 + length]
            if item == 0x21:
                self.accepted[payload[0]] = (payload[2], payload[8:].decode())
            position += 4 + length
        return self

    def send(self, kind: int, body: bytes) -> None:
        self.sock.sendall(struct.pack(">BxI", kind, len(body)) + body)

    def command(self, elements: dict[int, bytes], context: int = 1) -> None:
        self.messages += 1
        elements[0x0110] = struct.pack("<H", self.messages)
        encoded = b"".join(
            struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in sorted(elements.items())
        )
        encoded = struct.pack("<HHII", 0, 0, 4, len(encoded)) + encoded
        self.send(4, struct.pack(">IBB", len(encoded) + 2, context, 3) + encoded)

    def announce(self, uid: str, context: int = 1) -> None:
        sop_class = self.contexts[context // 2][0]
        self.command(
            {
                0x0002: _padded(sop_class),
                0x0100: b"\x01\x00",
                0x0700: bytes(2),
                0x0800: bytes(2),
                0x1000: _padded(uid),
            },
            context,
        )

    def data(self, data: bytes, context: int = 1, *, last: bool = True) -> None:
        for start in range(0, len(data), 16000) or [0]:
            piece = data[start : start + 16000]
            control = 2 if last and start + 16000 >= len(data) else 0
            self.send(4, struct.pack(">IBB", len(piece) + 2, context, control) + piece)

    def offer(self, uid: str = "1.2.3.4", data: bytes = b"data set") -> None:
        self.announce(uid)
        self.data(data)

    def store(self, uid: str = "1.2.3.4", data: bytes = b"data set", context: int = 1) -> int:
        self.announce(uid, context)
        self.data(data, context)
        return self.status()

    def ask_echo(self) -> None:
        self.command({0x0002: _padded(VERIFICATION), 0x0100: b"\x30\x00", 0x0800: b"\x01\x01"}, context=3)

    def response(self) -> tuple[int, dict[int, bytes]]:
        """Context and elements of the command that comes next, however it is cut up."""
        command, last = b"", False
        context = 0
        self.pdvs_of_response = []
        while not last:
            kind, body = self.pdu()
            assert kind == 4, f"not a P-DATA-TF: {kind} {body.hex()}"
            self.pdvs_of_response.append(0)
            while body:
                self.pdvs_of_response[-1] += 1
                length, context, control = struct.unpack_from(">IBB", body)
                command += body[6 : 4 + length]
                body = body[4 + length :]
                last = bool(control & 2)
        elements = {}
        while command:
            _, tag, length = struct.unpack_from("<HHI", command)
            elements[tag] = command[8 : 8 + length]
            command = command[8 + length :]
        return context, elements

    def status(self) -> int:
        _, elements = self.response()
        assert elements[0x0120] == struct.pack("<H", self.messages)
        (status,) = struct.unpack("<H", elements[0x0900])
        return int(status)

    def release(self) -> None:
        self.send(5, bytes(4))
        assert self.exactly(10) == RELEASED
        self.sock.close()

    def pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self.exactly(6))
        return kind, self.exactly(length)

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            assert piece, f"closed after {data.hex()}"
            data += piece
        return data

    def rest(self) -> bytes:
        """Everything until the receiver closes."""
        data = b""
        while piece := self.sock.recv(4096):
            data += piece
        return data

    def is_quiet(self) -> bool:
        """Whether nothing comes for a moment, and the connection stays."""
        self.sock.settimeout(QUIET)
        try:
            return not self.sock.recv(1) and False
        except TimeoutError:
            return True

    def reach(self, stage: Stage) -> None:
        """Go so far that a fault of a stage must strike; what is due before it has been read."""
        if stage == "association":
            self.request()
            return
        self.associate()
        match stage:
            case "command":
                self.announce("1.2.3.4")
            case "data":
                self.announce("1.2.3.4")
                self.data(bytes(100), last=False)
            case "response":
                self.offer()
            case "between":
                assert self.store() == 0
            case "echo":
                self.ask_echo()
            case "release":
                self.send(5, bytes(4))


def _item(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(payload)) + payload


def _padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


@contextmanager
def associated(scp: LocalSCP, **options: Any) -> Iterator[BareSCU]:
    with BareSCU(scp, **options) as scu:
        yield scu.associate()


# -- ordinary service ----------------------------------------------------------------------------


def test_storescu_stores_its_files_byte_for_byte(ct_files: list[Path]) -> None:
    with LocalSCP() as scp:
        sent = storescu(scp, ct_files)  # type: ignore[arg-type]
        assert sent.returncode == 0, sent.stdout
        received = scp.datasets()
    assert [received[instance_uid(index)] for index in range(10)] == [data_set_of(path) for path in ct_files]


def test_echoscu_is_answered() -> None:
    with LocalSCP() as scp:
        assert echoscu(scp).returncode == 0  # type: ignore[arg-type]
        scp.wait_for("echoed")


def test_pynetdicom_stores_and_releases() -> None:
    ds = dcmread(io.BytesIO(ct_instance()))
    with LocalSCP() as scp:
        scu = AE("SCU")
        scu.add_requested_context(CT, EXPLICIT_LE)
        association = scu.associate(scp.host, scp.port, ae_title=scp.aet)
        assert association.send_c_store(ds).Status == 0
        association.release()
        scp.wait_for("released")
        assert scp.data_set(ds.SOPInstanceUID) == data_set_of(ct_instance())


def test_private_classes_and_syntaxes_are_stored() -> None:
    contexts = [("1.2.826.0.1.3680043.9.1", ["1.2.826.0.1.3680043.9.2"])]
    with LocalSCP() as scp, associated(scp, contexts=contexts) as scu:
        assert scu.store("1.2.3") == 0
        scu.release()
        (row,) = scp.received.to_dict("records")
    assert row["sop_class_uid"] == "1.2.826.0.1.3680043.9.1"
    assert row["transfer_syntax"] == "1.2.826.0.1.3680043.9.2"


def test_each_context_gets_the_syntax_it_proposes_first() -> None:
    contexts = [(CT, [IMPLICIT_LE]), (CT, [EXPLICIT_LE, IMPLICIT_LE]), (MR, [JPEG_BASELINE, IMPLICIT_LE])]
    with LocalSCP() as scp, associated(scp, contexts=contexts) as scu:
        assert scu.accepted == {1: (0, IMPLICIT_LE), 3: (0, EXPLICIT_LE), 5: (0, JPEG_BASELINE)}
        scu.release()


def test_a_known_class_of_another_service_is_refused() -> None:
    contexts = [(STUDY_ROOT_FIND, [IMPLICIT_LE]), (CT, [IMPLICIT_LE])]
    with LocalSCP() as scp, associated(scp, contexts=contexts) as scu:
        assert {number: result for number, (result, _) in scu.accepted.items()} == {1: 3, 3: 0}
        scu.release()


def test_what_else_is_negotiated_is_left_at_its_default() -> None:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 5
    extended, common = SOPClassExtendedNegotiation(), SOPClassCommonExtendedNegotiation()
    extended.sop_class_uid = common.sop_class_uid = CT
    extended.service_class_application_information = b"\2\0\1\0\3\0"
    common.service_class_uid = "1.2.840.10008.4.2"
    asked = [build_role(CT, scu_role=True, scp_role=True), window, extended, common]
    with LocalSCP() as scp:
        association = AE("US").associate(
            scp.host, scp.port, contexts=[build_context(CT)], ae_title=scp.aet, ext_neg=asked
        )
        (context,) = association.accepted_contexts
        assert (context.as_scu, context.as_scp) == (True, False)
        assert association.acceptor.asynchronous_operations == (1, 1)
        association.release()


@pytest.mark.parametrize(
    ("options", "rejection"),
    [
        ({"called": "NOBODY"}, (1, 1, 7)),
        ({"calling": "STRANGER"}, (1, 1, 3)),
    ],
)
def test_titles_that_do_not_fit_are_rejected(
    options: dict[str, str], rejection: tuple[int, int, int]
) -> None:
    with (
        LocalSCP(allowed_calling_aets=["BARE", "OTHER"]) as scp,
        BareSCU(scp, **options) as scu,  # type: ignore[arg-type]
    ):
        scu.request()
        assert scu.pdu() == (3, bytes([0, *rejection]))


def test_the_called_title_goes_unchecked_when_told_so() -> None:
    with LocalSCP(check_called_aet=False) as scp, associated(scp, called="NOBODY") as scu:
        assert scu.store() == 0
        scu.release()


def test_associations_beyond_the_maximum_are_rejected_until_one_ends() -> None:
    with LocalSCP(maximum_associations=1) as scp:
        with associated(scp) as first, BareSCU(scp) as second:
            second.request()
            assert second.pdu() == (3, bytes([0, 2, 3, 2]))
            first.release()
        scp.wait_for("closed", times=2)

        def is_let_in() -> bool:
            with BareSCU(scp) as third:
                third.request()
                return third.pdu()[0] == 2

        wait_until(is_let_in, PATIENCE, "the third association is accepted")


# -- what was received ---------------------------------------------------------------------------


def test_a_received_row_says_what_came_from_whom() -> None:
    rows: list[dict[str, object]] = []
    with LocalSCP(on_received=rows.append) as scp, associated(scp, calling="SENDER") as scu:
        assert scu.store("1.2.3", b"0123456789") == 0
        scu.release()
        (row,) = scp.received.to_dict("records")
    assert row["calling_aet"] == rows[0]["calling_aet"] == "SENDER"
    assert (row["called_aet"], row["association"], row["status"], row["stored"]) == ("ANY_SCP", 0, 0, True)
    assert (row["sop_class_uid"], row["sop_instance_uid"], row["transfer_syntax"]) == (
        CT,
        "1.2.3",
        EXPLICIT_LE,
    )
    assert (row["size_bytes"], row["sha256"][:8]) == (10, "84d89877")


def test_received_has_the_same_types_when_empty() -> None:
    with LocalSCP() as scp:
        empty = scp.received.dtypes
        with associated(scp) as scu:
            scu.store()
            scu.release()
        assert (scp.received.dtypes == empty).all()
    assert [str(empty[name]) for name in ("received_at", "status", "association", "path")] == [
        "datetime64[us, UTC]",
        "UInt16",
        "int64",
        "string",
    ]


def test_files_are_part_10_around_the_bytes_that_came(tmp_path: Path) -> None:
    (sent,) = write_ct_files(tmp_path / "sent", 1)
    uid = instance_uid(0)
    with LocalSCP(output=tmp_path / "in" / "box") as scp:
        with associated(scp) as scu:
            scu.store(uid, data_set_of(sent))
            scu.release()
        path = Path(scp.received["path"].iloc[0])
        assert scp.data_set(uid) == data_set_of(sent)
    assert path == tmp_path / "in" / "box" / f"{uid}.dcm"
    assert data_set_of(path) == data_set_of(sent)
    meta = dcmread(path).file_meta
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == uid
    assert meta.TransferSyntaxUID == EXPLICIT_LE
    assert meta.SourceApplicationEntityTitle == "BARE"
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("uid", ["../../escaped", "/tmp/escaped", "..", "1.2\\3", "", "1" * 65, "CON"])
def test_a_hostile_uid_does_not_leave_the_folder(tmp_path: Path, uid: str) -> None:
    with LocalSCP(output=tmp_path / "inbox") as scp, associated(scp) as scu:
        assert scu.store(uid) == 0
        scu.release()
        path = Path(scp.received["path"].iloc[0])
    assert path.parent == tmp_path / "inbox"
    assert path.name.startswith("invalid-uid-")
    assert [one.name for one in tmp_path.iterdir()] == ["inbox"]


def test_what_comes_again_replaces_the_file_and_a_refused_one_leaves_none(tmp_path: Path) -> None:
    faults = [faulty.Status(0xA700, after=2)]
    with LocalSCP(output=tmp_path, faults=faults) as scp, associated(scp) as scu:
        assert [scu.store("1.2.3", data) for data in (b"first", b"second")] == [0, 0]
        assert scu.store("1.2.4") == 0xA700
        scu.release()
        assert scp.data_set("1.2.3") == b"second"
    assert [one.name for one in tmp_path.iterdir()] == ["1.2.3.dcm"]


def test_a_folder_that_cannot_be_written_is_out_of_resources(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with LocalSCP(output=tmp_path / "file" / "box") as scp, associated(scp) as scu:
        assert scu.store() == 0xA700
        scu.release()
        assert not scp.received["stored"].any()


def test_memory_keeps_the_latest_within_its_bound() -> None:
    with LocalSCP(keep_bytes=25) as scp, associated(scp) as scu:
        for number in range(4):
            assert scu.store(f"1.2.{number}", bytes([number] * 10)) == 0
        assert scu.store("1.2.9", bytes(26)) == 0
        scu.release()
        assert scp.datasets() == {"1.2.2": bytes([2] * 10), "1.2.3": bytes([3] * 10)}
        with pytest.raises(KeyError, match=r"1\.2\.0: not stored, or no longer kept"):
            scp.data_set("1.2.0")
        assert len(scp.received) == 5


# -- start and stop ------------------------------------------------------------------------------


def test_start_and_stop_may_be_repeated_and_keep_the_port() -> None:
    scp = LocalSCP()
    scp.stop()
    port = scp.start().start().port
    scp.stop()
    scp.stop()
    with scp:
        assert scp.port == port
        with associated(scp) as scu:
            assert scu.store() == 0
            scu.release()


def test_stop_ends_idle_waiting_and_busy_connections_at_once() -> None:
    scp = LocalSCP(faults=[faulty.Delay(60)]).start()
    with BareSCU(scp) as silent, associated(scp) as idle, associated(scp) as busy, associated(scp) as halfway:
        busy.offer()
        halfway.sock.sendall(bytes.fromhex("04 00 0000ffff"))
        scp.wait_for("fault")
        before = monotonic()
        scp.stop()
        assert monotonic() - before < 2
        for scu in (silent, idle, busy, halfway):
            assert scu.rest() in (b"", ABORTED)


def test_stop_leaves_no_part_of_what_was_not_answered(tmp_path: Path) -> None:
    scp = LocalSCP(output=tmp_path, faults=[faulty.Delay(60)]).start()
    with associated(scp) as scu:
        scu.offer()
        scp.wait_for("fault")
        scp.stop()
    assert not list(tmp_path.iterdir())


def test_a_setting_points_here() -> None:
    with LocalSCP("ARCHIVE", allowed_calling_aets=["LET_IN"]) as scp:
        setting = scp.setting(timeout_seconds=3)
        assert (setting.remote_host, setting.remote_port, setting.remote_aet) == (
            scp.host,
            scp.port,
            "ARCHIVE",
        )
        assert (setting.our_aet, setting.timeout_seconds) == ("LET_IN", 3)
        assert "ARCHIVE" in repr(scp)


@pytest.mark.parametrize("title", ["", "   ", "A" * 17, "BACK\\SLASH", "ÄRZTE"])
def test_an_impossible_title_is_refused_by_name(title: str) -> None:
    with pytest.raises(ValueError, match="AE title"):
        LocalSCP(title)


def test_waiting_in_vain_says_what_has_happened() -> None:
    with LocalSCP() as scp, associated(scp) as scu:
        with pytest.raises(TimeoutError, match=r"2 x 'accepted'; so far: .*'accepted': 1"):
            scp.wait_for("accepted", times=2, timeout_seconds=0.05)
        scu.release()


# -- faults: when they strike --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faulty.Status(0xA700), "FFFFFF"),
        (faulty.Status(0xA700, every=3), "..F..F"),
        (faulty.Status(0xA700, times=1), "F....."),
        (faulty.Status(0xA700, after=2), "..FFFF"),
        (faulty.Status(0xA700, after=1, every=2, times=2), "..F.F."),
        (faulty.Status(0xA700, sop_instance_uid="1.2.3"), "...F.."),
        (faulty.Status(0xA700, sop_class_uid=MR), "......"),
        (faulty.Status(0xA700, association=1), "......"),
        (faulty.Status(0xA700, association=0), "FFFFFF"),
    ],
    ids=str,
)
def test_selectors_say_when_a_fault_strikes(fault: faulty.Status, expected: str) -> None:
    with LocalSCP(faults=[fault]) as scp, associated(scp) as scu:
        statuses = [scu.store(f"1.2.{number}") for number in range(6)]
        scu.release()
    assert "".join("F" if status == 0xA700 else "." for status in statuses) == expected


def test_chance_is_drawn_from_the_seed() -> None:
    def drawn(seed: int) -> list[int]:
        faults = [faulty.Status(0xA700, chance=0.3)]
        with LocalSCP(faults=faults, seed=seed) as scp, associated(scp) as scu:
            statuses = [scu.store(f"1.2.{number}") for number in range(60)]
            scu.release()
        return statuses

    assert drawn(1) == drawn(1) != drawn(2)
    assert 5 < drawn(1).count(0xA700) < 30


def test_the_first_of_two_statuses_that_are_due_wins() -> None:
    faults = [faulty.Status(0xA700, every=2), faulty.Status(0xC000, every=3)]
    with LocalSCP(faults=faults) as scp, associated(scp) as scu:
        assert [scu.store() for _ in range(6)] == [0, 0xA700, 0xC000, 0xA700, 0, 0xA700]
        scu.release()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: faulty.Status(0xA700, every=0), "Status: every is 0"),
        (lambda: faulty.Status(0xA700, times=0), "Status: times is 0"),
        (lambda: faulty.Status(0xA700, after=-1), "Status: after is -1"),
        (lambda: faulty.Status(0xA700, chance=0), "Status: chance is 0"),
        (lambda: faulty.Status(0x10000), "Status: status is 0x10000"),
        (lambda: faulty.Status(0xA700, error_comment="x" * 65), "error_comment has 65 characters"),
        (lambda: faulty.EarlyResponse(-1), "EarlyResponse: status is"),
        (lambda: faulty.Close("nowhere"), "Close: no stage 'nowhere'"),  # type: ignore[arg-type]
        (lambda: faulty.Delay(1, before="data"), "Delay: no stage 'data'"),
        (lambda: faulty.Delay(-1), "Delay: seconds is -1"),
        (lambda: faulty.HugePDU("data"), "HugePDU: no stage 'data'"),
        (lambda: faulty.Trickle(0), "Trickle: bytes_per_second is 0"),
        (lambda: faulty.RejectAssociation(256), "RejectAssociation: result is 256"),
        (lambda: faulty.Garbage("noise"), "Garbage: no kind 'noise'"),  # type: ignore[arg-type]
        (lambda: faulty.OddFragments("round"), "OddFragments: no shape 'round'"),  # type: ignore[arg-type]
        (lambda: faulty.AcceptNothing("maybe"), "AcceptNothing: no answer 'maybe'"),  # type: ignore[arg-type]
        (lambda: faulty.Silence("release", sop_instance_uid="1.2"), "no instance at stage 'release'"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# -- faults: what the sender sees ----------------------------------------------------------------


@pytest.mark.parametrize("rejection", REJECTIONS)
def test_every_rejection_of_the_standard_then_a_retry_passes(rejection: tuple[int, int, int]) -> None:
    with LocalSCP(faults=[faulty.RejectAssociation(*rejection, times=1)]) as scp:
        with BareSCU(scp) as scu:
            scu.request()
            assert scu.rest() == bytes([3, 0, 0, 0, 0, 4, 0, *rejection])
        with associated(scp) as scu:
            assert scu.store() == 0
            scu.release()


def test_a_refused_class_and_a_refused_syntax() -> None:
    faults = [faulty.RefuseClass(MR), faulty.RefuseSyntax(EXPLICIT_LE)]
    contexts = [(MR, [IMPLICIT_LE]), (CT, [EXPLICIT_LE]), (CT, [EXPLICIT_LE, IMPLICIT_LE])]
    with LocalSCP(faults=faults) as scp, associated(scp, contexts=contexts) as scu:
        assert {number: result for number, (result, _) in scu.accepted.items()} == {1: 3, 3: 4, 5: 0}
        assert scu.accepted[5] == (0, IMPLICIT_LE)
        assert scu.store(context=5) == 0
        scu.release()


def test_a_refusal_counts_the_associations_that_ask_for_it() -> None:
    with LocalSCP(faults=[faulty.RefuseClass(CT, times=1)]) as scp:
        results = []
        for contexts in ([(MR, [IMPLICIT_LE])], [(CT, [IMPLICIT_LE])], [(CT, [IMPLICIT_LE])]):
            with associated(scp, contexts=contexts) as scu:
                results.append(scu.accepted[1][0])
                scu.release()
    assert results == [0, 3, 0]


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        (faulty.AcceptNothing(), {1: (3, EXPLICIT_LE), 3: (3, IMPLICIT_LE)}),
        (faulty.AcceptNothing(result=1), {1: (1, EXPLICIT_LE), 3: (1, IMPLICIT_LE)}),
        (faulty.AcceptNothing("omitted"), {}),
    ],
    ids=str,
)
def test_an_association_without_contexts(fault: faulty.AcceptNothing, answers: dict[int, object]) -> None:
    with LocalSCP(faults=[fault]) as scp, associated(scp) as scu:
        assert scu.accepted == answers
        scu.release()


@pytest.mark.parametrize(
    "status", [0xA700, 0xA900, 0xB000, 0xB006, 0xB007, 0xC000, 0x0110, 0x0122, 0x1234, 0xFF00]
)
def test_any_status_and_whether_the_instance_is_kept(status: int) -> None:
    with LocalSCP(faults=[faulty.Status(status)]) as scp, associated(scp) as scu:
        assert scu.store("1.2.3") == status
        scu.release()
        assert scp.received["status"].tolist() == [status]
        assert list(scp.datasets()) == (["1.2.3"] if status >> 12 == 0xB else [])


def test_an_error_comment_comes_along_and_stays_out_of_the_events() -> None:
    faults = [faulty.Status(0xB000, error_comment="Doe^Jane was coerced")]
    with LocalSCP(faults=faults) as scp, associated(scp) as scu:
        scu.offer()
        assert scu.response()[1][0x0902] == b"Doe^Jane was coerced"
        scu.release()
        assert not any("Doe" in event.detail for event in scp.events)


@pytest.mark.parametrize("stage", ["association", "response"])
def test_a_delay_comes_before_the_answer(stage: Stage) -> None:
    with LocalSCP(faults=[faulty.Delay(0.3, before=stage)]) as scp, BareSCU(scp) as scu:
        before = monotonic()
        scu.associate()
        assert scu.store() == 0
        assert 0.3 <= monotonic() - before < PATIENCE
        scu.release()


@pytest.mark.parametrize("stage", ["echo", "release"])
def test_a_delay_of_echo_and_release(stage: Stage) -> None:
    with LocalSCP(faults=[faulty.Delay(0.3, before=stage)]) as scp, associated(scp) as scu:
        before = monotonic()
        scu.ask_echo()
        assert scu.status() == 0
        scu.release()
        assert 0.3 <= monotonic() - before < PATIENCE


@pytest.mark.parametrize("stage", STAGES)
def test_an_abort_at_each_stage(stage: Stage) -> None:
    with LocalSCP(faults=[faulty.Abort(stage)]) as scp, BareSCU(scp) as scu:
        scu.reach(stage)
        assert scu.rest() == ABORTED


def test_an_abort_by_the_provider_with_a_reason() -> None:
    with LocalSCP(faults=[faulty.Abort("response", source=2, reason=6)]) as scp, BareSCU(scp) as scu:
        scu.reach("response")
        assert scu.rest() == bytes.fromhex("07 00 00000004 0000 02 06")


@pytest.mark.parametrize("stage", STAGES)
def test_an_orderly_close_at_each_stage(stage: Stage) -> None:
    with LocalSCP(faults=[faulty.Close(stage)]) as scp, BareSCU(scp) as scu:
        scu.reach(stage)
        assert scu.rest() == b""


@pytest.mark.parametrize("stage", STAGES)
def test_a_reset_at_each_stage(stage: Stage) -> None:
    with LocalSCP(faults=[faulty.Reset(stage)]) as scp, BareSCU(scp) as scu, pytest.raises(ConnectionError):
        scu.reach(stage)
        scu.rest()


@pytest.mark.parametrize("stage", STAGES)
def test_silence_at_each_stage_keeps_the_connection(stage: Stage) -> None:
    with LocalSCP(faults=[faulty.Silence(stage)]) as scp, BareSCU(scp) as scu:
        scu.reach(stage)
        assert scu.is_quiet()
        scu.sock.sendall(bytes(1 << 16))  # is read and dropped
        assert scu.is_quiet()


def test_a_break_in_the_data_waits_for_its_byte_and_leaves_shorter_instances_alone() -> None:
    with LocalSCP(faults=[faulty.Abort("data", after_bytes=100)]) as scp, associated(scp) as scu:
        assert scu.store("1.2.3", bytes(99)) == 0
        scu.announce("1.2.4")
        scu.data(bytes(60), last=False)
        scu.data(bytes(39), last=False)
        assert scu.is_quiet()
        scu.sock.settimeout(PATIENCE)
        scu.data(bytes(40), last=False)
        assert scu.rest() == ABORTED
        assert scp.received["sop_instance_uid"].tolist() == ["1.2.3"]


def test_an_unanswered_instance_is_kept_and_its_row_has_no_status() -> None:
    with LocalSCP(faults=[faulty.Close("response")]) as scp, BareSCU(scp) as scu:
        scu.reach("response")
        assert scu.rest() == b""
        (row,) = scp.received.to_dict("records")
        assert row["stored"]
        assert scp.received["status"].isna().all()
        assert scp.data_set("1.2.3.4") == b"data set"


def test_a_receiver_that_stops_reading_stalls_the_sender() -> None:
    with LocalSCP(faults=[faulty.StopReading(100_000)]) as scp, associated(scp) as scu:
        scu.sock.settimeout(QUIET * 2)
        scu.announce("1.2.3")
        with pytest.raises(TimeoutError):
            scu.data(bytes(64 << 20), last=False)


@pytest.mark.parametrize(
    ("kind", "begins"),
    [("http", b"HTTP/1.1 400 "), ("tls", b"\x15\x03\x01\x00\x02\x02"), ("random", b"\xff")],
)
def test_garbage_instead_of_an_association(kind: Literal["random", "http", "tls"], begins: bytes) -> None:
    with LocalSCP(faults=[faulty.Garbage(kind)]) as scp, BareSCU(scp) as scu:
        scu.request()
        assert scu.rest().startswith(begins)


@pytest.mark.parametrize(
    ("stage", "kind"), [("association", 2), ("response", 4), ("echo", 4), ("release", 6)]
)
def test_a_huge_pdu_is_announced_and_does_not_come(stage: Stage, kind: int) -> None:
    with LocalSCP(faults=[faulty.HugePDU(stage)]) as scp, BareSCU(scp) as scu:
        scu.reach(stage)
        assert scu.exactly(6) == bytes([kind, 0, 0xFF, 0xFF, 0xFF, 0xFF])
        assert scu.is_quiet()


def test_an_early_response_comes_before_the_rest_of_the_data_and_the_batch_goes_on() -> None:
    faults = [faulty.EarlyResponse(0xA700, after_bytes=50, times=1, error_comment="full")]
    with LocalSCP(faults=faults) as scp, associated(scp) as scu:
        scu.announce("1.2.3")
        scu.data(bytes(60), last=False)
        assert scu.status() == 0xA700
        scu.data(bytes(60))
        assert scu.store("1.2.4") == 0
        scu.release()
        assert scp.received["status"].tolist() == [0xA700, 0]
        assert list(scp.datasets()) == ["1.2.4"]


def test_an_early_response_to_the_command_alone() -> None:
    with LocalSCP(faults=[faulty.EarlyResponse(0xC000)]) as scp, associated(scp) as scu:
        scu.announce("1.2.3")
        assert scu.status() == 0xC000
        scu.data(b"rest")
        scu.release()


def test_a_response_for_another_message() -> None:
    with LocalSCP(faults=[faulty.WrongMessageID()]) as scp, associated(scp) as scu:
        scu.offer()
        context, elements = scu.response()
        assert (context, elements[0x0120]) == (1, b"\x02\x00")
        scu.release()


def test_a_response_on_another_context() -> None:
    with LocalSCP(faults=[faulty.WrongContext()]) as scp, associated(scp) as scu:
        scu.offer()
        context, elements = scu.response()
        assert (context, elements[0x0120]) == (3, b"\x01\x00")
        scu.release()


def test_a_response_to_another_command() -> None:
    with LocalSCP(faults=[faulty.WrongCommand()]) as scp, associated(scp) as scu:
        scu.offer()
        assert scu.response()[1][0x0100] == b"\x30\x80"
        scu.release()


@pytest.mark.parametrize("stage", ["association", "response", "echo", "release"])
def test_a_trickled_answer_takes_its_time_and_is_right(stage: Stage) -> None:
    with LocalSCP(faults=[faulty.Trickle(400, stage=stage)]) as scp, BareSCU(scp) as scu:
        scu.associate()
        assert scu.store() == 0
        scu.ask_echo()
        assert scu.status() == 0
        scu.release()
        assert [event.detail[:7] for event in scp.events if event.what == "fault"] == ["Trickle"]


def test_trickled_bytes_come_one_by_one() -> None:
    with LocalSCP(faults=[faulty.Trickle(50, stage="release")]) as scp, associated(scp) as scu:
        before = monotonic()
        scu.release()
        assert monotonic() - before > 9 / 50


@pytest.mark.parametrize(
    ("shape", "is_shaped"),
    [
        ("pdvs", lambda pdvs: len(pdvs) == 1 and pdvs[0] > 10),
        ("pdus", lambda pdvs: len(pdvs) > 10 and set(pdvs) == {1}),
        ("segments", lambda pdvs: pdvs == [1]),
    ],
)
def test_odd_fragments_are_the_same_response(
    shape: Literal["pdvs", "pdus", "segments"], is_shaped: Callable[[list[int]], bool]
) -> None:
    with LocalSCP(faults=[faulty.OddFragments(shape)]) as scp, associated(scp) as scu:
        assert scu.store("1.2.3") == 0
        assert is_shaped(scu.pdvs_of_response)
        scu.release()


@pytest.mark.parametrize("shape", ["pdvs", "pdus", "segments"])
def test_storescu_lives_with_odd_fragments(
    shape: Literal["pdvs", "pdus", "segments"], ct_files: list[Path]
) -> None:
    with LocalSCP(faults=[faulty.OddFragments(shape)]) as scp:
        sent = storescu(scp, ct_files)  # type: ignore[arg-type]
        assert sent.returncode == 0, sent.stdout
        assert scp.received["status"].tolist() == [0] * 10


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faulty.RejectAssociation(1, 1, 7), "Called AE Title Not Recognized"),
        (faulty.RejectAssociation(2, 3, 1), "Temporary Congestion"),
        (faulty.Abort("response"), "Peer Aborted Association"),
        (faulty.Abort("association"), "Peer aborted"),
        (faulty.Close("response"), "Peer"),
        (faulty.Status(0xA700), "Refused: OutOfResources"),
        (faulty.AcceptNothing(), "No Acceptable Presentation Contexts"),
    ],
    ids=str,
)
def test_storescu_says_what_it_met(fault: faulty.Fault, words: str, ct_files: list[Path]) -> None:
    with LocalSCP(faults=[fault]) as scp:
        sent = storescu(scp, ct_files[:1], "-v")  # type: ignore[arg-type]
        scp.wait_for("closed")
    assert words.lower() in sent.stdout.lower()


def test_faults_go_together_and_the_batch_goes_on() -> None:
    faults = [
        faulty.RejectAssociation(2, 3, 2, times=1),
        faulty.Delay(0.05, every=2),
        faulty.Status(0xB000, every=2, error_comment="coerced"),
        faulty.OddFragments("pdus", every=2),
        faulty.Abort("data", sop_instance_uid="1.2.3", times=1),
        faulty.Close("between", sop_instance_uid="1.2.5"),
    ]
    with LocalSCP(faults=faults) as scp:
        with BareSCU(scp) as scu:
            scu.request()
            assert scu.rest() == bytes([3, 0, 0, 0, 0, 4, 0, 2, 3, 2])
        with associated(scp) as scu:
            assert [scu.store(f"1.2.{number}") for number in range(3)] == [0, 0xB000, 0]
            scu.offer("1.2.3")
            assert scu.rest() == ABORTED
        with associated(scp) as scu:
            assert [scu.store(f"1.2.{number}") for number in (3, 4, 5)] == [0xB000, 0, 0xB000]
            assert scu.rest() == b""
        assert list(scp.datasets()) == [f"1.2.{number}" for number in range(6)]
        assert scp.received["association"].tolist() == [1, 1, 1, 2, 2, 2]


# -- peers that misbehave ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        "04 00 00100000",  # longer than what was announced to the peer
        "09 00 00000004 00000000",  # no PDU type
        "02 00 00000004 00000000",  # not on an established association
        "04 00 00000006 00000002 05 03",  # a context that was not accepted
        "04 00 00000008 00000004 01 00 0000",  # data that no command announced
        "04 00 00000006 00000001 01 03",  # a PDV shorter than its own header
        "04 00 00000003 000000",  # a piece of a PDV
        "04 00 00000007 00000003 01 03 ff",  # a command of one byte
    ],
)
def test_a_peer_that_breaks_the_protocol_is_aborted(sent: str) -> None:
    with LocalSCP(maximum_pdu_size=65536) as scp, associated(scp) as scu:
        scu.sock.sendall(bytes.fromhex(sent))
        answer = scu.rest()
    assert (answer[:9], len(answer)) == (bytes.fromhex("07 00 00000004 0000 02"), 10)


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", bytes(20), bytes.fromhex("01 00 00000044") + bytes(68)]
)
def test_what_is_no_association_request_is_not_served(sent: bytes) -> None:
    with LocalSCP() as scp, BareSCU(scp) as scu:
        scu.sock.sendall(sent)
        assert scu.pdu()[0] in (2, 3, 7)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("announced", [0xFFFFFFFF, 1 << 21])
def test_a_pdu_longer_than_its_type_can_be_is_aborted_unread(kind: int, announced: int) -> None:
    with LocalSCP() as scp:
        with associated(scp) as scu:
            scu.sock.sendall(struct.pack(">BxI", kind, announced))  # and no more: nobody waits for it
            answer = scu.exactly(10)
            assert (answer[:7], answer[8]) == (ABORTED[:7], 2)
        with BareSCU(scp) as scu:
            scu.sock.sendall(struct.pack(">BxI", kind, announced))
            assert scu.exactly(10)[:6] == ABORTED[:6]
        with associated(scp) as scu:
            assert scu.store() == 0


@pytest.mark.parametrize(("kind", "too_long"), [(5, 5), (7, 5), (4, 65_537)])
def test_a_pdu_is_bounded_to_the_byte(kind: int, too_long: int) -> None:
    with LocalSCP(maximum_pdu_size=65_536) as scp, associated(scp) as scu:
        scu.sock.sendall(struct.pack(">BxI", kind, too_long))
        assert scu.exactly(10)[:6] == ABORTED[:6]


def test_without_an_announced_limit_a_pdu_may_be_of_any_length_and_comes_in_pieces() -> None:
    data = bytes(3_000_000)
    with LocalSCP(maximum_pdu_size=0) as scp, associated(scp) as scu:
        scu.announce("1.2.3.4")
        scu.send(4, struct.pack(">IBB", len(data) + 2, 1, 2) + data)
        assert scu.status() == 0
        assert scp.data_set("1.2.3.4") == data


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """As many as the system lets this process have."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("said", [b"", b"\x01"], ids=["silent", "after one byte"])
def test_five_hundred_silent_callers_keep_no_good_sender_out(many_descriptors: None, said: bytes) -> None:
    with LocalSCP(maximum_associations=3) as scp, ExitStack() as callers:
        for _ in range(500):
            caller = callers.enter_context(socket.create_connection((scp.host, scp.port), timeout=PATIENCE))
            caller.sendall(said)
        for number in range(5):
            with associated(scp) as scu:
                assert scu.store(f"1.2.3.{number}") == 0
                scu.release()
        scp.wait_for("closed", times=5)


def test_who_says_nothing_is_dropped_when_its_time_is_over() -> None:
    with LocalSCP(network_timeout_seconds=0.2) as scp, BareSCU(scp) as scu:
        assert scu.rest() == b""
        scp.wait_for("closed")
        assert "said nothing for 0.2 s" in scp.events[-1].detail


def test_bytes_that_trickle_do_not_put_the_request_off() -> None:
    with LocalSCP(network_timeout_seconds=0.5) as scp, BareSCU(scp) as scu:
        scu.sock.settimeout(0.1)
        request = iter(bytes.fromhex("01 00 00001000") + bytes(4096))
        with pytest.raises(ConnectionError):
            while True:
                scu.sock.sendall(bytes([next(request)]))
                with suppress(TimeoutError):
                    if not scu.sock.recv(1):
                        raise ConnectionAbortedError


WITHOUT_DESCRIPTORS = """
import os, resource, socket, sys, threading, time
from dicomkit import LocalSCP
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
with LocalSCP() as scp:
    callers = [socket.socket() for _ in range(20)]
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    for caller in callers:
        caller.connect((scp.host, scp.port))
    before = time.process_time()
    threading.Event().wait(1.0)
    used = time.process_time() - before
    for one in held:
        os.close(one)
    print(scp.port, used, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits as POSIX has them")
def test_without_descriptors_it_neither_spins_nor_gives_up(ct_files: list[Path]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        port, used = process.stdout.readline().split()
        assert float(used) < 0.5  # of one second: processor time, so that a slow day does not count
        setting = DicomSenderSetting(remote_port=int(port), timeout_seconds=5)
        assert send_batch(setting, ct_files, retries=0).ok
        process.communicate(b"")


# -- secrets -------------------------------------------------------------------------------------

SECRET = b"correct horse battery staple"


def _identity(kind: int, primary: bytes, secondary: bytes) -> bytes:
    fields = struct.pack(">BBH", kind, 1, len(primary)) + primary + struct.pack(">H", len(secondary))
    return _item(0x58, fields + secondary)


@pytest.mark.parametrize(
    "identity",
    [
        _identity(2, b"jane", SECRET),
        _identity(2, b"jane", SECRET + b"\xff"),  # no UTF-8
        _identity(3, SECRET, b""),
        _identity(4, SECRET, b""),
        _identity(5, SECRET, b""),
        _identity(9, SECRET, SECRET),
        _identity(1, b"jane", SECRET),
        _identity(2, b"jane", SECRET)[:-1] + b"",  # cut short
        _item(0x58, bytes.fromhex("0201 0004") + b"jane" + b"\xff\xff" + SECRET),
        _item(0x58, bytes.fromhex("0201 0100") + b"jane" + struct.pack(">H", len(SECRET)) + SECRET),
    ],
    ids=[
        "passcode",
        "bytes",
        "kerberos",
        "saml",
        "jwt",
        "unknown",
        "user",
        "short",
        "overlong",
        "all in the name",
    ],
)
def test_no_log_has_the_secret_of_a_user(identity: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("pynetdicom", "dicomkit"):
        caplog.set_level(logging.DEBUG, name)
    with LocalSCP() as scp:
        with BareSCU(scp) as scu:
            scu.identity = identity
            scu.request()
            scu.pdu()
        scp.wait_for("closed")
        events = [str(event) for event in scp.events]
    records = [record.getMessage() + (record.exc_text or "") for record in caplog.records]
    for text in [*records, *events, caplog.text]:
        for hidden in (SECRET.decode(), SECRET.hex(), SECRET.hex(" "), repr(SECRET)[2:-1]):
            assert hidden not in text


def test_no_log_has_the_secret_that_we_send_by_pynetdicom(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "pynetdicom")
    item = UserIdentityNegotiation()
    item.user_identity_type, item.primary_field, item.secondary_field = 2, b"jane", SECRET
    with LocalSCP() as scp:
        association = AE("US").associate(
            scp.host,
            scp.port,
            contexts=[build_context(VERIFICATION)],
            ae_title=scp.aet,
            ext_neg=[item],
            evt_handlers=[WITHOUT_SECRETS],
        )
        assert association.send_c_echo().Status == 0
        association.release()
    assert "A-ASSOCIATE-RQ" in caplog.text.replace("_", "-")
    assert SECRET.decode() not in caplog.text


def test_no_bytes_of_a_peer_break_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    broken: list[object] = []
    monkeypatch.setattr(threading, "excepthook", broken.append)
    with LocalSCP() as scp:
        connections = 0

        @settings(max_examples=150, deadline=None)
        @given(
            st.binary(max_size=200),
            st.sampled_from([b"", b"\x01\x00\x00\x00\x00\x60", b"\x04\x00\x00\x00\x00\x20"]),
        )
        def knock(noise: bytes, header: bytes) -> None:
            nonlocal connections
            with BareSCU(scp) as scu:
                if header[:1] == b"\x04":
                    scu.associate()
                scu.sock.sendall(header + noise)
                connections += 1

        knock()
        scp.wait_for("closed", times=connections)
    assert not broken
