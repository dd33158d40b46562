"""TLS and user identity against DCMTK, Orthanc and pynetdicom: what passes, what fails and why, and what never shows"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pickle
import re
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydicom import dcmread
from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_items import UserIdentitySubItemAC

from dicomkit import (
    DicomMessage,
    LocalSCP,
    Outcome,
    SecurityError,
    TlsOptions,
    UserIdentity,
    echo,
    probe,
    send,
    send_batch,
    verify,
)
from dicomkit.dictionary.uids import COMMITMENT_PUSH_MODEL
from dicomkit.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectionFailed,
    IdentityNotConfirmed,
    Interrupted,
    PeerTimedOut,
    ProtocolError,
    WireError,
    file_name,
)
from dicomkit.scp import (
    Abort,
    Close,
    EarlyResponse,
    Fault,
    Reset,
    Silence,
    Status,
    StopReading,
    Trickle,
)
from dicomkit.sending import explained
from dicomkit.verification._listener import listening
from dicomkit.wire import pdu as p
from dicomkit.wire.association import Association
from dicomkit.wire.socket import Interrupt, Peer
from tests.support.bare_peer import (
    ABORT,
    ABORT_PDU,
    P_DATA,
    RELEASE_RQ_PDU,
    BarePeer,
    Conversation,
    Left,
    accept_pdu,
)
from tests.support.files import ct_instance, data_set_of, instance_uid, write_ct_files, write_multiframe
from tests.support.peers import HOST, Dcmqrscp, Orthanc, Storescp, free_port, wait_until
from tests.wire.test_association import CONTEXTS, HANG_SECONDS, SHORT_SECONDS, data_of, no_hang, store

pytestmark = pytest.mark.usefixtures("no_leaks")

PASSCODE = "pass-Wj4!x"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLVdqNA"
KEY_PASSWORD = "key-Wj4!y"
SECRETS = (PASSCODE, TOKEN, KEY_PASSWORD)

ANN = UserIdentity("ann", PASSCODE)
CONFIRMED_ANN = UserIdentity("ann", PASSCODE, positive_response_requested=True)
CARD = UserIdentity(json_web_token=TOKEN)

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])


# Certificates, made anew for each run


@dataclass(frozen=True)
class Certificates:
    """Files in one folder: ``ca.pem``, and a ``.pem`` and a ``.key`` for each name."""

    folder: Path

    def __call__(self, name: str) -> str:
        return str(self.folder / name)

    def options(self, own: str = "", *, ca: str | None = "ca.pem", **changes: Any) -> TlsOptions:
        """Trusting the CA of the peers, with a certificate of our own where one is named."""
        files = {"cert_file": self(f"{own}.pem"), "key_file": self(f"{own}.key")} if own else {}
        return TlsOptions(ca_file=None if ca is None else self(ca), **files, **changes)

    def storescp(self, *options: str, own: str = "server") -> list[str]:
        return ["+tls", self(f"{own}.key"), self(f"{own}.pem"), *options]

    def orthanc(self, *, requires_certificate: bool) -> dict[str, object]:
        return {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": self("server.pem"),
            "DicomTlsPrivateKey": self("server.key"),
            "DicomTlsTrustedCertificates": self("ca.pem"),
            "DicomTlsRemoteCertificateRequired": requires_certificate,
        }

    def server(self, own: str = "server", **changes: Any) -> TlsOptions:
        """Those of a receiver."""
        return self.options(own, ca=None, **changes)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    rsa = trustme.KeyType.RSA
    ours, other = trustme.CA(key_type=rsa), trustme.CA(key_type=rsa)
    now = datetime.now(UTC)

    def write(name: str, certificate: bytes, key: bytes) -> None:
        (folder / f"{name}.pem").write_bytes(certificate)
        (folder / f"{name}.key").write_bytes(key)

    def issue(name: str, ca: trustme.CA, *hosts: str, **dates: datetime) -> bytes:
        issued = ca.issue_cert(*hosts, key_type=rsa, **dates)
        key = issued.private_key_pem.bytes()
        write(name, b"".join(blob.bytes() for blob in issued.cert_chain_pems), key)
        return key

    ours.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other_ca.pem")
    issue("server", ours, HOST, "localhost")
    key = issue("client", ours, "modality.test")
    issue("elsewhere", ours, "pacs.test")
    issue("expired", ours, HOST, not_before=now - timedelta(days=9), not_after=now - timedelta(days=1))
    issue("early", ours, HOST, not_before=now + timedelta(days=1), not_after=now + timedelta(days=9))
    issue("unknown", other, HOST, "modality.test")
    write("self_signed", other.cert_pem.bytes(), other.private_key_pem.bytes())
    locked = load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(KEY_PASSWORD.encode())
    )
    write("locked", (folder / "client.pem").read_bytes(), locked)
    der = load_pem_private_key(key, None).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    write("der", ssl.PEM_cert_to_DER_cert(ours.cert_pem.bytes().decode()).ljust(1), der)
    write("empty", b"", b"")
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    write("broken", broken, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    return Certificates(folder)


def peer_at(
    port: int,
    tls: TlsOptions | None,
    seconds: float = 5.0,
    *,
    newest: ssl.TLSVersion | None = None,
    identity: UserIdentity | None = None,
    called: str = "ANY_SCP",
) -> Peer:
    client = None if tls is None else tls.for_client(HOST)
    if client is not None and newest is not None:
        client.context.maximum_version = newest
    return Peer(HOST, port, "DICOMKIT", called, seconds, client, identity)


@contextlib.contextmanager
def opened(peer: Peer, *, interrupt: Interrupt | None = None) -> Iterator[Association]:
    association = Association.open(peer, CONTEXTS, interrupt=interrupt)
    try:
        yield association
    finally:
        association.abort()


def why_not_open(peer: Peer) -> tuple[WireError, str]:
    """The error, and what a row would say of it."""
    with pytest.raises(WireError) as caught:
        Association.open(peer, CONTEXTS).abort()
    for word in ("--", "RemotePort", "server_name", "cert_file", "tls=", "identity="):
        assert word not in str(caught.value), "the wire says what happened, and not what to do"
    return caught.value, explained(caught.value, peer)


def under_tls(
    script: Callable[[Conversation], None],
    certificates: Certificates,
    *,
    newest: ssl.TLSVersion | None = None,
) -> Callable[[Conversation], None]:
    """A script of a bare peer that begins after the handshake."""
    context = certificates.server().for_server()
    if newest is not None:
        context.maximum_version = newest

    def play(conversation: Conversation) -> None:
        with context.wrap_socket(conversation.sock, server_side=True) as conversation.sock:
            script(conversation)

    return play


def assert_no_secret(text: object) -> None:
    shown = text if isinstance(text, bytes) else str(text).encode()
    for secret in SECRETS:
        assert secret.encode() not in shown, "a secret is shown"


# Peers that speak TLS


@VERSIONS
def test_storescp_keeps_what_we_sent_under_tls_to_the_byte(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    files = [ct_instance(index, rows=8 << index, columns=64) for index in range(5)]
    with Storescp(bit_preserving=True, options=certificates.storescp("-ic")) as peer:
        with opened(peer_at(peer.port, certificates.options(), newest=version)) as association:
            assert association.tls_version == f"TLSv1.{version.value - ssl.TLSVersion.TLSv1_2.value + 2}"
            for index, file in enumerate(files):
                assert association.is_still_there()
                assert store(association, data_set_of(file), uid=instance_uid(index)).status == 0
            assert association.echo(5).status == 0
            association.release()
            assert association.ended == "released"
        received = peer.received()
        for index, file in enumerate(files):
            assert data_set_of(received[instance_uid(index)]) == data_set_of(file)
        assert "TLS error" not in peer.output()


@pytest.mark.parametrize("associations", [1, 4])
def test_500_small_instances_and_one_of_30_mb_arrive_byte_for_byte(
    certificates: Certificates, tmp_path: Path, associations: int
) -> None:
    files = write_ct_files(tmp_path / "small", 500, rows=8, columns=8, first=1000)
    large = write_multiframe(tmp_path / "large.dcm", frames=15)
    with open(large, "r+b") as file:  # it is sparse, and zeros would hide a mix-up
        file.seek(4096)
        file.write(data_of(30 << 20)[: large.stat().st_size - 4096])
    with Storescp(bit_preserving=True, fork=True, options=certificates.storescp("-ic")) as peer:
        batch = send_batch(
            peer.setting(),
            [*files[:250], large, *files[250:]],
            associations=associations,
            tls=certificates.options(),
        )
        assert batch.ok, batch.summary()
        wait_until(lambda: len(list(peer.folder.iterdir())) == 501, 5.0, "every file is written")
        received = peer.received()
        for index, file in enumerate(files, start=1000):
            assert data_set_of(received[instance_uid(index)]) == data_set_of(file)
        large_uid = str(dcmread(large, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
        assert data_set_of(received[large_uid]) == data_set_of(large)


@VERSIONS
def test_a_storescp_that_requires_a_client_certificate_gets_it_or_we_say_so(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    options = certificates.storescp("-rc", "+cf", certificates("ca.pem"))
    with Storescp(ignore=True, options=options, fork=True) as peer:
        with opened(peer_at(peer.port, certificates.options("client"), newest=version)) as association:
            assert store(association, data_set_of(ct_instance()), uid=instance_uid(0)).status == 0
            association.release()
        for _ in range(10):  # what the peer says, and the reset that may follow, arrive in any order
            error, says = why_not_open(peer_at(peer.port, certificates.options(), newest=version))
            assert type(error) is ConnectionFailed
            assert "require" in says and "a client certificate" in says
            assert "cert_file and key_file, --cert and --key" in says
        _, says = why_not_open(peer_at(peer.port, certificates.options("unknown"), newest=version))
        assert "it refused our client certificate (unknown ca)" in says
        assert "added to those that the peer trusts" in says


@pytest.mark.parametrize("requires_certificate", [False, True])
def test_orthanc_stores_under_tls_with_and_without_a_client_certificate(
    certificates: Certificates, ct_files: list[Path], requires_certificate: bool
) -> None:
    configuration = certificates.orthanc(requires_certificate=requires_certificate)
    own = "client" if requires_certificate else ""
    with Orthanc(configuration=configuration) as peer:
        tls = certificates.options(own)
        answer = echo(peer.setting(), tls=tls)
        assert answer.outcome is Outcome.STORED, answer.detail
        assert "ms under TLSv1." in answer.detail
        batch = send_batch(peer.setting(), ct_files, tls=tls, associations=2)
        assert batch.ok, batch.summary()
        assert set(peer.instances()) == {instance_uid(index) for index in range(10)}
        sent = dcmread(ct_files[0])
        assert dcmread(io.BytesIO(peer.instance(instance_uid(0)))).PixelData == sent.PixelData
        taken = probe(peer.setting(), ct_files, tls=tls)
        assert taken["accepted"].all()
        if requires_certificate:
            refused = echo(peer.setting(), tls=certificates.options())
            assert refused.outcome is Outcome.CONNECTION_FAILED
            assert "it requires a client certificate" in refused.detail


def test_send_goes_under_tls_too(certificates: Certificates, ct_files: list[Path]) -> None:
    with LocalSCP(tls=certificates.server()) as scp:
        result = send(scp.setting(), DicomMessage.from_file(ct_files[0]), tls=certificates.options())
        assert result.outcome is Outcome.STORED, result.detail
        assert scp.data_set(instance_uid(0)) == data_set_of(ct_files[0])


# Which check failed


@pytest.mark.parametrize(
    ("own", "options", "words", "remedy"),
    [
        (
            "unknown",
            {},
            "is from a CA that we do not know",
            "the CA's certificate in ca_file (--ca) is another one",
        ),
        ("server", {"ca": "other_ca.pem"}, "is from a CA that we do not know", "another one"),
        (
            "server",
            {"ca": None},
            "is from a CA that we do not know",
            "give the CA's certificate (ca_file, --ca)",
        ),
        ("self_signed", {}, "is self-signed and not known to us", "give it as trusted (ca_file, --ca)"),
        ("expired", {}, "has expired", "have it renewed"),
        ("early", {}, "is not valid yet", "check the clock of this machine"),
        ("elsewhere", {}, f"is made out to another address than '{HOST}'", "(server_name, --server-name)"),
        (
            "server",
            {"server_name": "pacs.test"},
            "is made out to another name than 'pacs.test'",
            "give that name (server_name, --server-name)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)
def test_a_certificate_that_does_not_pass_is_told_with_its_remedy(
    certificates: Certificates, own: str, options: dict[str, Any], words: str, remedy: str
) -> None:
    with LocalSCP(tls=certificates.server(own)) as scp:
        error, says = why_not_open(peer_at(scp.port, certificates.options(**options)))
        assert type(error) is ConnectionFailed
        assert says.startswith(f"no TLS connection to {HOST}:{scp.port}: its certificate {words}; ")
        assert remedy in says
        assert error.phase == "TLS handshake"
        assert error.tls is not None
        assert error.tls.fault == "certificate"
        assert error.tls.verify_code > 0
        assert not error.may_pass


def test_a_self_signed_certificate_is_trusted_by_being_given(certificates: Certificates) -> None:
    with LocalSCP(tls=certificates.server("self_signed")) as scp:
        tls = certificates.options(ca="self_signed.pem", server_name="nobody.test")
        assert "is made out to another name" in echo(scp.setting(), tls=tls).detail
    with LocalSCP(tls=certificates.server()) as scp:  # a certificate that is no CA's may be pinned as well
        assert echo(scp.setting(), tls=certificates.options(ca="server.pem")).outcome is Outcome.STORED


def test_another_name_is_taken_when_it_is_given(certificates: Certificates) -> None:
    with LocalSCP(tls=certificates.server("elsewhere")) as scp:
        assert (
            echo(scp.setting(), tls=certificates.options(server_name="pacs.test")).outcome is Outcome.STORED
        )


def test_the_host_of_the_setting_is_what_the_certificate_must_name(certificates: Certificates) -> None:
    with LocalSCP(tls=certificates.server()) as scp:
        by_name = echo(scp.setting(remote_host="localhost"), tls=certificates.options())
        assert by_name.outcome is Outcome.STORED, by_name.detail


def test_a_peer_with_an_old_version_only_is_told(certificates: Certificates) -> None:
    def nothing(conversation: Conversation) -> None:
        pytest.fail("the handshake passed")

    def play(conversation: Conversation) -> None:
        with contextlib.suppress(OSError):
            under_tls(nothing, certificates, newest=TLS_1_2)(conversation)

    with BarePeer(play) as peer:
        _, says = why_not_open(peer_at(peer.port, certificates.options(minimum_version="1.3")))
    assert "it does not speak TLS 1.3 or later; have that enabled at the peer" in says


@pytest.mark.parametrize("own", ["", "client"], ids=["without", "with"])
def test_a_receiver_that_requires_a_certificate_lets_in_who_has_one(
    certificates: Certificates, own: str
) -> None:
    with LocalSCP(tls=certificates.options("server")) as scp:
        answer = echo(scp.setting(), tls=certificates.options(own))
        assert answer.outcome is (Outcome.STORED if own else Outcome.CONNECTION_FAILED)
        if not own:
            assert "it requires a client certificate" in answer.detail
            scp.wait_for("closed")
            assert scp.events[-1].detail == "no TLS: PEER_DID_NOT_RETURN_A_CERTIFICATE"


@VERSIONS
@pytest.mark.parametrize(
    ("own", "words"), [("expired", "(certificate expired); have it renewed"), ("unknown", "(unknown ca)")]
)
def test_a_client_certificate_that_is_refused_is_told(
    certificates: Certificates, own: str, words: str, version: ssl.TLSVersion
) -> None:
    with LocalSCP(tls=certificates.options("server")) as scp:
        _, says = why_not_open(peer_at(scp.port, certificates.options(own), newest=version))
    assert f"it refused our client certificate {words}" in says


# No TLS on one side


def plain_peers() -> list[Any]:
    return [
        pytest.param(lambda: Storescp(fork=True), id="storescp"),
        pytest.param(Dcmqrscp, id="dcmqrscp"),
        pytest.param(Orthanc, id="orthanc"),
        pytest.param(LocalSCP, id="dicomkit"),
    ]


@pytest.mark.parametrize("make", plain_peers())
def test_tls_to_a_peer_without_says_that_it_does_not_speak_it(
    certificates: Certificates, make: Callable[[], Any]
) -> None:
    with make() as peer:
        error, says = why_not_open(peer_at(peer.port, certificates.options()))
        assert type(error) is ConnectionFailed
        assert re.search("may speak DICOM without TLS at this port|does not speak TLS at this port", says)
        assert "check RemotePort, or leave TLS out" in says


@pytest.mark.parametrize(
    ("greeting", "name"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"), (b"SSH-2.0-x\r\n", "SSH"), (ABORT_PDU, "a DICOM PDU")],
)
def test_what_answers_tls_with_something_else_is_named(
    certificates: Certificates, greeting: bytes, name: str
) -> None:
    def play(conversation: Conversation) -> None:
        conversation.take()
        conversation.send(greeting)
        conversation.until_over()

    with BarePeer(play) as peer:
        _, says = why_not_open(peer_at(peer.port, certificates.options()))
    assert re.search(f"it answered TLS with ({name}|something else): it does not speak TLS at", says)


@pytest.mark.parametrize("kind", ["storescp", "orthanc", "dicomkit"])
def test_a_sender_without_tls_is_told_that_the_peer_may_want_it(
    certificates: Certificates, kind: str
) -> None:
    with contextlib.ExitStack() as stack:
        peer: Any
        if kind == "storescp":
            peer = stack.enter_context(Storescp(options=certificates.storescp("-ic"), fork=True))
        elif kind == "orthanc":
            configuration = certificates.orthanc(requires_certificate=False)
            peer = stack.enter_context(Orthanc(configuration=configuration))
        else:
            peer = stack.enter_context(LocalSCP(tls=certificates.server()))
        error, says = why_not_open(peer_at(peer.port, None))
    assert type(error) is ConnectionFailed
    assert "TLS only" in says
    assert "give TlsOptions" in says and "--tls" in says


def test_an_alert_of_tls_to_a_sender_without_is_understood() -> None:
    def play(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(bytes.fromhex("15030100020246"))
        conversation.until_over()

    with BarePeer(play) as peer:
        _, says = why_not_open(peer_at(peer.port, None))
    assert "sent TLS where a DICOM PDU was due; it speaks TLS only: give TlsOptions (tls=, --tls)" in says


# The handshake is a phase of its own


def test_a_handshake_that_hangs_times_out_in_its_own_phase(certificates: Certificates) -> None:
    with BarePeer(lambda conversation: conversation.until_over()) as peer, no_hang():
        error, says = why_not_open(peer_at(peer.port, certificates.options(), SHORT_SECONDS))
    assert type(error) is PeerTimedOut
    assert "did not finish the TLS handshake within 0.3 s; it may speak" in says
    assert error.phase == "TLS handshake"


def test_a_trickled_handshake_does_not_extend_its_deadline(certificates: Certificates) -> None:
    def play(conversation: Conversation) -> None:
        conversation.take()
        conversation.send(b"\x16\x03\x03\x40\x00")  # a record of 16 KB, which comes byte by byte
        while not conversation.is_left_within(0.02):
            conversation.send(b"\0")

    with BarePeer(play) as peer, no_hang(), pytest.raises(WireError):
        Association.open(peer_at(peer.port, certificates.options(), SHORT_SECONDS), CONTEXTS)


def test_an_interrupt_wakes_a_handshake(certificates: Certificates) -> None:
    interrupt = Interrupt()

    def play(conversation: Conversation) -> None:
        conversation.take()
        interrupt.set()
        conversation.until_over()

    with (
        BarePeer(play) as peer,
        no_hang(),
        pytest.raises(Interrupted, match="cancelled by us during the TLS handshake"),
    ):
        Association.open(peer_at(peer.port, certificates.options(), 30), CONTEXTS, interrupt=interrupt)
    interrupt.close()


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
def test_a_connection_lost_in_the_handshake_may_pass_next_time(
    certificates: Certificates, is_reset: bool
) -> None:
    def play(conversation: Conversation) -> None:
        conversation.take()
        conversation.reset() if is_reset else conversation.close()

    with BarePeer(play) as peer:
        error, says = why_not_open(peer_at(peer.port, certificates.options()))
    assert type(error) is ConnectionFailed
    assert "it closed the connection during the TLS handshake" in says
    assert error.may_pass


def test_a_silent_caller_keeps_nobody_from_a_receiver_under_tls(certificates: Certificates) -> None:
    with LocalSCP(tls=certificates.server()) as scp, socket.create_connection((HOST, scp.port)):
        assert echo(scp.setting(), tls=certificates.options()).outcome is Outcome.STORED
        begin = monotonic()
        scp.stop()
        assert monotonic() - begin < HANG_SECONDS


# An association under TLS, in the ways it can go


FAULTS: list[tuple[Fault, type[WireError] | int, str]] = [
    (Abort("command"), AssociationAborted, "sent A-ABORT"),
    (Abort("data", after_bytes=1 << 20), AssociationAborted, "sent A-ABORT"),
    (Abort("response"), AssociationAborted, "sent A-ABORT"),
    (Close("data", after_bytes=1 << 20), AssociationAborted, "the connection"),
    (Close("response"), AssociationAborted, "closed the connection"),
    (Reset("data", after_bytes=1 << 20), AssociationAborted, "the connection"),
    (Reset("response"), AssociationAborted, "lost the connection"),
    (Silence("response"), PeerTimedOut, "the response to our request; it may have stored"),
    (StopReading(after_bytes=1 << 16), PeerTimedOut, "sending the data set"),
    (EarlyResponse(0xA700, after_bytes=1 << 16), 0xA700, ""),
    (Status(0xB000), 0xB000, ""),
    (Trickle(2000, stage="response"), 0, ""),
]


@VERSIONS
@pytest.mark.parametrize(("fault", "ending", "words"), FAULTS, ids=lambda value: str(value)[:40])
def test_what_goes_wrong_under_tls_is_told_as_without(
    certificates: Certificates,
    fault: Fault,
    ending: type[WireError] | int,
    words: str,
    version: ssl.TLSVersion,
) -> None:
    data = data_of(24 << 20 if isinstance(fault, StopReading) else 3 << 20)
    with LocalSCP(tls=certificates.server(), faults=[fault]) as scp:
        peer = peer_at(scp.port, certificates.options(), 2 * SHORT_SECONDS, newest=version)
        with opened(peer) as association, no_hang():
            if isinstance(ending, int):
                assert store(association, data).status == ending
                assert association.echo(5).status == 0
                association.release()
            else:
                with pytest.raises(ending, match=words):
                    store(association, data)


@VERSIONS
def test_session_tickets_are_no_message_of_the_peer(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    """TLS 1.3 sends two after the handshake: the socket is readable, and there is nothing to read."""

    def play(conversation: Conversation) -> None:
        conversation.accept()
        conversation.serve()

    with (
        BarePeer(under_tls(play, certificates)) as peer,
        opened(peer_at(peer.port, certificates.options(), newest=version)) as association,
    ):
        begin = monotonic()
        for index in range(3):
            assert association.is_still_there()
            assert store(association, b"ab", uid=f"1.2.{index}").status == 0
        assert monotonic() - begin < HANG_SECONDS
        association.release()


@VERSIONS
@pytest.mark.parametrize(
    ("last_words", "ended"),
    [
        (b"", "closed by the peer"),
        (ABORT_PDU, "aborted by the peer"),
        (RELEASE_RQ_PDU, "released by the peer"),
    ],
    ids=["close", "abort", "release"],
)
def test_a_peer_that_goes_between_two_instances_is_noticed(
    certificates: Certificates, last_words: bytes, ended: str, version: ssl.TLSVersion
) -> None:
    gone = threading.Event()

    def play(conversation: Conversation) -> None:
        conversation.accept()
        conversation.answer(conversation.read_instance())
        conversation.send(last_words)
        socket.socket.shutdown(conversation.sock, socket.SHUT_WR)
        gone.set()
        conversation.read_to_the_end()

    with (
        BarePeer(under_tls(play, certificates)) as peer,
        opened(peer_at(peer.port, certificates.options(), newest=version)) as association,
    ):
        assert store(association, b"ab").status == 0
        assert gone.wait(5)
        wait_until(lambda: not association.is_still_there(), 5, "it is noticed")
        assert association.ended == ended


@VERSIONS
def test_a_response_and_what_follows_in_the_same_record_are_both_seen(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    """What was decrypted along with something else is not on the socket any more, and no poll shows it."""

    def play(conversation: Conversation) -> None:
        conversation.accept()
        received = conversation.read_instance()
        sock, sent = conversation.sock, bytearray()
        conversation.send = sent.extend  # type: ignore[method-assign, assignment]
        conversation.answer(received)
        sock.sendall(bytes(sent) + ABORT_PDU)
        conversation.read_to_the_end()

    with (
        BarePeer(under_tls(play, certificates)) as peer,
        opened(peer_at(peer.port, certificates.options(), newest=version)) as association,
    ):
        assert store(association, b"ab").status == 0
        assert not association.is_still_there()
        assert association.ended == "aborted by the peer"


@VERSIONS
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what the peer took")
def test_a_peer_that_closed_before_our_first_byte_took_none_of_it(
    certificates: Certificates, version: ssl.TLSVersion
) -> None:
    def play(conversation: Conversation) -> None:
        conversation.accept()
        conversation.answer(conversation.read_instance())

    with (
        BarePeer(under_tls(play, certificates)) as peer,
        opened(peer_at(peer.port, certificates.options(), newest=version)) as association,
    ):
        assert store(association, data_of(9000)).status == 0
        wait_until(peer.finished, 5, "the peer has closed")
        with pytest.raises(AssociationAborted):
            store(association, data_of(9000))
        assert association.peer_took_none_of_it()


@VERSIONS
@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_peer_that_read_the_instance_and_went_took_some_of_it(
    certificates: Certificates, version: ssl.TLSVersion, ending: str
) -> None:
    def play(conversation: Conversation) -> None:
        conversation.accept()
        for _ in range(3):  # the system acknowledges the first at once, later ones with a delay
            conversation.answer(conversation.read_instance())
        conversation.read_instance()
        getattr(conversation, ending)()

    with (
        BarePeer(under_tls(play, certificates)) as peer,
        opened(peer_at(peer.port, certificates.options(), newest=version)) as association,
    ):
        for _ in range(3):
            store(association, data_of(9000))
        with pytest.raises(AssociationAborted) as caught:
            store(association, data_of(9000))
        assert caught.value.may_be_stored
        assert not association.peer_took_none_of_it()


@VERSIONS
def test_an_abort_in_mid_record_leaves_whole_pdus_and_an_a_abort(
    certificates: Certificates, version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt, blocked = Interrupt(), threading.Event()
    wait_to_send = Association._wait_to_send
    kinds: list[int] = []

    def waiting(self: Association) -> bool:
        blocked.set()
        return wait_to_send(self)

    def play(conversation: Conversation) -> None:
        conversation.accept(max_pdu=20_000)
        conversation.read_pdu()
        blocked.wait(5)
        interrupt.set()
        with contextlib.suppress(Left):
            while True:
                kinds.append(conversation.read_pdu()[0])

    monkeypatch.setattr(Association, "_wait_to_send", waiting)
    with (
        BarePeer(under_tls(play, certificates), receive_buffer=1 << 17) as peer,
        opened(
            peer_at(peer.port, certificates.options(), newest=version), interrupt=interrupt
        ) as association,
    ):
        with pytest.raises(Interrupted):
            store(association, data_of(24 << 20))
        wait_until(peer.finished, 5, "the peer has read all of it")
    interrupt.close()
    assert set(kinds[:-1]) == {P_DATA}
    assert kinds[-1] == ABORT


# A batch


def test_a_certificate_that_does_not_pass_ends_a_batch_at_once(
    certificates: Certificates, ct_files: list[Path]
) -> None:
    with LocalSCP(tls=certificates.server("unknown")) as scp, no_hang():
        batch = send_batch(scp.setting(), ct_files, tls=certificates.options(), associations=2)
        frame = batch.to_frame()
        assert list(frame["outcome"]) == ["connection_failed"] * 10
        assert list(frame["attempt"]) == [1] * 10
        assert frame["detail"].str.startswith("not tried again: no TLS connection").sum() == 9
        assert scp.received.empty


def test_a_batch_goes_on_where_tls_was_cut_off(certificates: Certificates, ct_files: list[Path]) -> None:
    faults = [Reset("data", after=4, times=1), Close("between", after=7, times=1)]
    with LocalSCP(tls=certificates.server(), faults=faults) as scp:
        batch = send_batch(scp.setting(), ct_files, tls=certificates.options())
        assert batch.ok, batch.summary()
        assert len(batch.associations) >= 3
        assert set(scp.datasets()) == {instance_uid(index) for index in range(10)}


# Verification


@pytest.mark.parametrize("method", ["find", "get", "commit"])
def test_orthanc_is_asked_under_tls_and_reports_under_tls(
    certificates: Certificates, ct_files: list[Path], method: Any
) -> None:
    report_port = free_port()
    us = {"AET": "DICOMKIT", "Host": HOST, "Port": report_port, "UseDicomTls": True}
    configuration = certificates.orthanc(requires_certificate=True) | {"DicomModalities": {"us": us}}
    with Orthanc(configuration=configuration) as peer:
        setting, tls = peer.setting(our_aet="DICOMKIT"), certificates.options("server")
        batch = send_batch(setting, ct_files, tls=tls)
        assert batch.ok, batch.summary()
        peer.request(f"/instances/{peer.instances()[instance_uid(3)]}", method="DELETE")
        frame = verify(
            batch, setting, method=method, tls=tls, identity=ANN, listen_port=report_port, wait_seconds=10
        )
        assert list(frame["verified"]) == ["no" if index == 3 else "yes" for index in range(10)]
        plain = verify(batch, setting, method="find")
        assert set(plain["verified"]) == {"unknown"}
        assert plain["verify_detail"].str.contains("TLS only").all()
        unconfirmed = verify(batch, setting, method="find", tls=tls, identity=CONFIRMED_ANN)
        assert unconfirmed["verify_detail"].str.contains("did not confirm the user identity").all()
        assert_no_secret(frame.to_csv() + plain.to_csv() + unconfirmed.to_csv())


def test_reports_are_not_taken_in_the_clear_where_tls_is_used(
    certificates: Certificates, ct_files: list[Path]
) -> None:
    with LocalSCP(tls=certificates.server()) as scp:
        batch = send_batch(scp.setting(), ct_files, tls=certificates.options())
        with pytest.raises(SecurityError, match="cert_file: is missing"):
            verify(batch, scp.setting(), method="commit", tls=certificates.options(), listen_port=free_port())


def test_a_silent_caller_keeps_no_report_out(certificates: Certificates) -> None:
    port, arrived = free_port(), threading.Event()
    server, client = certificates.options("server"), certificates.options("client")
    peer = peer_at(port, client)

    def take(event: Any) -> tuple[int, None]:
        arrived.set()
        return 0, None

    with (
        listening(HOST, port, peer, COMMITMENT_PUSH_MODEL, take, tls=server.for_server()),
        socket.create_connection((HOST, port)) as silent,
    ):
        silent.send(b"\x16")
        begin = monotonic()
        with opened(peer_at(port, client)) as association:
            assert association.echo(5).status == 0
            association.release()
        assert "requires a client certificate" in why_not_open(peer_at(port, certificates.options()))[1]
    assert monotonic() - begin < HANG_SECONDS
    assert not arrived.is_set()


def test_a_silent_caller_does_not_keep_verify_from_ending(certificates: Certificates) -> None:
    port, tls = free_port(), certificates.options("server").for_server()
    client = certificates.options("client")
    peer = peer_at(port, client, 10 * HANG_SECONDS)
    with listening(HOST, port, peer, COMMITMENT_PUSH_MODEL, lambda event: (0, None), tls=tls):
        silent = socket.create_connection((HOST, port))
        silent.send(b"\x16")
        with opened(peer_at(port, client)) as association:  # which came later
            association.release()
        begin = monotonic()
    assert monotonic() - begin < HANG_SECONDS
    silent.close()


# Options that cannot be used


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_file": "k.pem"}, "key_file k.pem: is a key without a certificate; give cert_file as well"),
        ({"key_password": KEY_PASSWORD}, "key_password: has no key to open"),
        ({"cert_file": "c.pem", "key_password": 7}, "key_password: is not text"),
        ({"ca_file": ""}, "ca_file '': is no path"),
        ({"ca_file": 7}, "ca_file 7: is no path"),
        ({"server_name": ""}, "server_name '': is no host name"),
        ({"server_name": ".pacs"}, "server_name '.pacs': is no host name"),
        ({"minimum_version": "1.1"}, "minimum_version '1.1': is not allowed; it takes '1.2' or '1.3'"),
    ],
    ids=str,
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SecurityError) as caught:
        TlsOptions(**options)
    assert str(caught.value).startswith(message)
    assert_no_secret(caught.value)


@pytest.mark.parametrize(
    ("files", "option", "words"),
    [
        ({"ca_file": "missing.pem"}, "ca_file", "cannot be read (No such file or directory)"),
        ({"ca_file": "."}, "ca_file", "cannot be read"),
        ({"ca_file": "empty.pem"}, "ca_file", "holds no certificate in PEM"),
        ({"ca_file": "client.key"}, "ca_file", "holds no certificate in PEM"),
        ({"ca_file": "der.pem"}, "ca_file", "it looks like DER; convert it"),
        ({"ca_file": "broken.pem"}, "ca_file", "holds a certificate that cannot be used"),
        ({"cert_file": "missing.pem"}, "cert_file", "cannot be read"),
        ({"cert_file": "client.pem"}, "cert_file", "holds no private key in PEM"),
        ({"cert_file": "client.pem", "key_file": "missing.key"}, "key_file", "cannot be read"),
        ({"cert_file": "client.pem", "key_file": "client.pem"}, "key_file", "holds no private key in PEM"),
        ({"cert_file": "client.pem", "key_file": "der.key"}, "key_file", "it looks like DER; convert it"),
        (
            {"cert_file": "client.pem", "key_file": "server.key"},
            "key_file",
            "is not the key of the certificate in",
        ),
        (
            {"cert_file": "client.pem", "key_file": "broken.key"},
            "key_file",
            "cannot be used with the certificate",
        ),
        (
            {"cert_file": "broken.pem", "key_file": "client.key"},
            "key_file",
            "cannot be used with the certificate",
        ),
        (
            {"cert_file": "client.pem", "key_file": "locked.key"},
            "key_file",
            "is encrypted; give key_password",
        ),
        (
            {"cert_file": "client.pem", "key_file": "locked.key", "key_password": f"not {KEY_PASSWORD}"},
            "key_file",
            "is encrypted, and key_password does not open it",
        ),
        (
            {"cert_file": "client.pem", "key_file": "locked.key", "key_password": KEY_PASSWORD + "\udc80"},
            "key_file",
            "is encrypted, and key_password does not open it",
        ),
        (
            {"cert_file": "client.pem", "key_file": "locked.key", "key_password": KEY_PASSWORD * 500},
            "key_file",
            "is encrypted, and key_password does not open it",
        ),
        (
            {"cert_file": "server.pem", "key_file": "locked.key", "key_password": KEY_PASSWORD},
            "key_file",
            "is not the key of the certificate in",
        ),
    ],
    ids=lambda value: (
        "-".join(value.values())[:40].encode("ascii", "replace").decode() if isinstance(value, dict) else ""
    ),
)
def test_a_file_that_cannot_be_used_is_named_before_anything_is_sent(
    certificates: Certificates, ct_files: list[Path], files: dict[str, str], option: str, words: str
) -> None:
    paths = {name: value if name == "key_password" else certificates(value) for name, value in files.items()}
    tls = TlsOptions(**paths)  # type: ignore[arg-type]
    with LocalSCP() as scp:
        setting, message = scp.setting(), DicomMessage.from_file(ct_files[0])
        attempts: Sequence[Callable[[], object]] = (
            lambda: send(setting, message, tls=tls),
            lambda: send_batch(setting, ct_files, tls=tls),
            lambda: echo(setting, tls=tls),
            lambda: probe(setting, ct_files, tls=tls),
        )
        for attempt in attempts:
            with pytest.raises(SecurityError) as caught:
                attempt()
            error = caught.value
            assert (error.option, error.value) == (option, paths.get(option, paths.get("cert_file")))
            assert str(error).startswith(f"{option} {file_name(error.value)}: ")
            assert words in error.reason
            assert isinstance(error, ValueError)
            assert_no_secret("".join(traceback.format_exception(error)))
        assert scp.events == []


def test_an_encrypted_key_is_opened_by_its_password(certificates: Certificates) -> None:
    with LocalSCP(tls=certificates.options("server")) as scp:
        tls = certificates.options("locked", key_password=KEY_PASSWORD)
        assert echo(scp.setting(), tls=tls).outcome is Outcome.STORED


def test_a_key_may_stand_in_the_file_of_its_certificate(certificates: Certificates, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(Path(certificates(f"client.{end}")).read_bytes() for end in ("key", "pem")))
    with LocalSCP(tls=certificates.options("server")) as scp:
        tls = TlsOptions(ca_file=Path(certificates("ca.pem")), cert_file=both)
        assert echo(scp.setting(), tls=tls).outcome is Outcome.STORED


def test_a_receiver_under_tls_needs_a_certificate(certificates: Certificates) -> None:
    with pytest.raises(SecurityError, match="cert_file: is missing; a receiver with TLS needs it"):
        LocalSCP(tls=certificates.options())


@pytest.mark.parametrize("name", ["pacs..test", "x" * 300, "with space", "ä" * 70])
def test_a_name_that_no_certificate_can_have_fails_as_a_connection(
    certificates: Certificates, name: str
) -> None:
    with LocalSCP(tls=certificates.server()) as scp:
        error, says = why_not_open(peer_at(scp.port, certificates.options(server_name=name)))
    assert type(error) is ConnectionFailed
    assert "(server_name, --server-name)" in says


# User identity


@pytest.mark.parametrize(
    ("identity", "kind", "primary", "secondary"),
    [
        (UserIdentity("ann"), 1, b"ann", b""),
        (ANN, 2, b"ann", PASSCODE.encode()),
        (UserIdentity("änn", "pässwort"), 2, "änn".encode(), "pässwort".encode()),
        (CARD, 5, b"", b""),
    ],
    ids=["user", "passcode", "utf-8", "token"],
)
@pytest.mark.parametrize("is_requested", [False, True])
def test_pynetdicom_reads_the_identity_that_we_send(
    identity: UserIdentity, kind: int, primary: bytes, secondary: bytes, is_requested: bool
) -> None:
    identity = UserIdentity(identity.user, identity.passcode, identity.json_web_token, is_requested)
    request = A_ASSOCIATE_RQ()
    request.decode(p.encode_associate_request("US", "THEM", CONTEXTS, identity=identity))
    item = request.user_information.user_identity
    assert item.user_identity_type == kind
    assert item.primary_field == (primary or TOKEN.encode())
    assert (item.secondary_field or b"") == secondary
    assert bool(item.positive_response_requested) is is_requested
    assert len(request.presentation_context) == len(CONTEXTS)


def test_without_an_identity_the_request_is_as_before() -> None:
    request = A_ASSOCIATE_RQ()
    request.decode(p.encode_associate_request("US", "THEM", CONTEXTS))
    assert request.user_information.user_identity is None


def accept_with_identity(value: bytes) -> bytes:
    plain = accept_pdu([(1, 0, CONTEXTS[0].transfer_syntaxes[0])])
    item = b"\x59\0" + len(value).to_bytes(2, "big") + value
    start = plain.index(b"\x50\0")  # user information, the last item
    length = int.from_bytes(plain[start + 2 : start + 4], "big") + len(item)
    body = plain[6 : start + 2] + length.to_bytes(2, "big") + plain[start + 4 :] + item
    return plain[:2] + len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize("response", [b"", b"a ticket"])
def test_the_positive_response_that_pynetdicom_writes_is_read(response: bytes) -> None:
    accept = A_ASSOCIATE_AC()
    accept.decode(accept_with_identity(len(response).to_bytes(2, "big") + response))
    item = accept.user_information.user_identity
    assert isinstance(item, UserIdentitySubItemAC)
    assert item.server_response == response
    found = p.next_pdu(accept.encode())
    assert found is not None
    assert isinstance(found[0], p.AssociateAccept)
    assert found[0].identity_confirmed
    assert_no_secret(found[0])


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\1", b"\0\0x", b"\xff\xffx"], ids=bytes.hex)
def test_a_positive_response_of_the_wrong_length_is_a_fault_of_the_peer(value: bytes) -> None:
    with pytest.raises(ProtocolError, match="user identity response of the wrong length"):
        p.next_pdu(accept_with_identity(value))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "takes either user or json_web_token"),
        ({"user": "ann", "json_web_token": TOKEN}, "takes either user or json_web_token"),
        ({"passcode": PASSCODE, "json_web_token": TOKEN}, "has a passcode without a user"),
        ({"user": ""}, "has a user that is empty"),
        ({"user": "ann", "passcode": ""}, "has a passcode that is empty"),
        ({"user": "ann", "passcode": 7}, "has a passcode that is empty, or not text"),
        ({"user": "ann", "passcode": PASSCODE + "\udc80"}, "has a passcode that is empty, or not text"),
        ({"json_web_token": TOKEN + "ä"}, "characters that none may have"),
        ({"json_web_token": TOKEN * 2000}, "an association request has room for"),
    ],
)
def test_an_identity_that_cannot_be_sent_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SecurityError) as caught:
        UserIdentity(**fields)
    assert message in str(caught.value)
    assert_no_secret("".join(traceback.format_exception(caught.value)))


def test_the_longest_identity_fits_into_a_request() -> None:
    from dicomkit.security import MAX_IDENTITY_BYTES

    identity = UserIdentity("u" * 60_000, "p" * (MAX_IDENTITY_BYTES - 60_000))
    request = A_ASSOCIATE_RQ()
    request.decode(p.encode_associate_request("US", "THEM", CONTEXTS, identity=identity))
    assert request.user_information.user_identity.secondary_field == identity.secondary


@contextlib.contextmanager
def pynetdicom_scp(knows: Callable[[evt.Event], tuple[bool, bytes | None]]) -> Iterator[int]:
    """pynetdicom's own server with a handler for user identities."""
    ae = AE("ANY_SCP")
    for context in CONTEXTS:
        ae.add_supported_context(context.abstract_syntax, list(context.transfer_syntaxes))
    server = ae.start_server((HOST, 0), block=False, evt_handlers=[(evt.EVT_USER_ID, knows)])
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        wait_until(lambda: not ae.active_associations, 5, "its associations have ended")


@pytest.mark.parametrize("identity", [UserIdentity("ann"), ANN, CARD], ids=["user", "passcode", "token"])
def test_pynetdicoms_server_is_given_the_user(identity: UserIdentity) -> None:
    met: list[tuple[int, bytes, bytes]] = []

    def knows(event: evt.Event) -> tuple[bool, bytes | None]:
        met.append((event.user_id_type, event.primary_field, event.secondary_field or b""))
        return True, None

    with (
        pynetdicom_scp(knows) as port,
        opened(peer_at(port, None, identity=identity)) as association,
    ):
        assert not association.identity_confirmed  # which was not asked for
        assert association.echo(5).status == 0
        association.release()
    assert met == [(identity.kind, identity.primary, identity.secondary)]


def test_a_user_that_pynetdicoms_server_does_not_know_is_rejected_with_the_reason_in_words() -> None:
    with pynetdicom_scp(lambda event: (False, None)) as port:
        error, says = why_not_open(peer_at(port, None, identity=ANN))
    assert type(error) is AssociationRejected
    assert says.startswith("no reason given: ")
    assert "or not take the user identity (user and passcode)" in says
    assert_no_secret(says)


def test_pynetdicoms_server_confirms_a_token() -> None:
    asked = UserIdentity(json_web_token=TOKEN, positive_response_requested=True)
    with (
        pynetdicom_scp(lambda event: (True, b"welcome")) as port,
        opened(peer_at(port, None, identity=asked)) as association,
    ):
        assert association.identity_confirmed
        association.release()


@pytest.mark.parametrize("kind", ["storescp", "dcmqrscp", "orthanc", "pynetdicom"])
def test_a_peer_that_does_not_confirm_the_user_gets_nothing_and_we_say_so(
    kind: str, ct_files: list[Path]
) -> None:
    make = {"storescp": Storescp, "dcmqrscp": Dcmqrscp, "orthanc": Orthanc, "pynetdicom": LocalSCP}[kind]
    with make() as peer:
        result = send(peer.setting(), DicomMessage.from_file(ct_files[0]), identity=CONFIRMED_ANN)
        assert result.outcome is Outcome.REJECTED
        assert "did not confirm the user identity (user and passcode)" in result.detail
        assert "nothing was sent" in result.detail
        assert "do without positive_response_requested" in result.detail
        batch = send_batch(peer.setting(), ct_files, identity=CONFIRMED_ANN)
        assert set(batch.outcomes) == {Outcome.REJECTED}
        assert (batch.to_frame()["attempt"] == 1).all()
        unasked = send(peer.setting(), DicomMessage.from_file(ct_files[0]), identity=ANN)
        assert unasked.outcome is Outcome.STORED, unasked.detail


def test_a_receiver_lets_in_only_the_users_it_is_told(
    certificates: Certificates, ct_files: list[Path]
) -> None:
    with LocalSCP(tls=certificates.server(), identities=[ANN, CARD]) as scp:
        setting, tls = scp.setting(), certificates.options()
        for identity in (ANN, CARD, CONFIRMED_ANN):
            assert send_batch(setting, ct_files[:1], tls=tls, identity=identity).ok
        assert "and confirms the user identity" in echo(setting, tls=tls, identity=CONFIRMED_ANN).detail
        for other in (
            None,
            UserIdentity("ann"),
            UserIdentity("ann", "another"),
            UserIdentity("bob", PASSCODE),
        ):
            assert echo(setting, tls=tls, identity=other).outcome is Outcome.REJECTED
        assert "or want a user identity (identity=, --user)" in echo(setting, tls=tls).detail
        asked = [one.detail for one in scp.events if one.what == "requested"]
        assert asked[0] == "DICOMKIT_SCU calls ANY_SCP, user 'ann' with a passcode"
        assert asked[1] == "DICOMKIT_SCU calls ANY_SCP, who has a JSON Web Token"
        assert "DICOMKIT_SCU calls ANY_SCP" in asked
        assert_no_secret([*scp.events, scp, scp._service])


def test_the_receiver_without_users_writes_down_who_came(ct_files: list[Path]) -> None:
    with LocalSCP() as scp:
        assert send_batch(scp.setting(), ct_files[:1], identity=UserIdentity("ann")).ok
        assert scp.events[0].detail == "DICOMKIT_SCU calls ANY_SCP, user 'ann'"
        assert echo(scp.setting(), identity=ANN).outcome is Outcome.STORED
        assert_no_secret(scp.events)


# Secrets


def test_no_secret_is_in_a_repr() -> None:
    tls = TlsOptions(ca_file="ca.pem", cert_file="c.pem", key_password=KEY_PASSWORD)
    assert repr(tls) == (
        "TlsOptions(ca_file='ca.pem', cert_file='c.pem', key_password=<secret>, minimum_version='1.2')"
    )
    assert repr(CONFIRMED_ANN) == (
        "UserIdentity(user='ann', passcode=<secret>, positive_response_requested=True)"
    )
    assert repr(CARD) == "UserIdentity(json_web_token=<secret>)"
    for value in (tls, ANN, CARD):
        assert_no_secret([str(value), f"{value!r:>9}", [value], {"value": value}])
        assert pickle.loads(pickle.dumps(value)) == value  # for another process, with all that it needs


def test_options_and_identities_do_not_change(certificates: Certificates) -> None:
    for value, name in ((certificates.options(), "ca_file"), (ANN, "user")):
        with pytest.raises(AttributeError):
            setattr(value, name, "other")
        assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("ending", ["stored", "rejected", "unknown CA", "not confirmed"])
def test_no_secret_reaches_rows_events_ledgers_results_or_logs(
    certificates: Certificates,
    ct_files: list[Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    ending: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    tls = certificates.options(
        "locked", ca="other_ca.pem" if ending == "unknown CA" else "ca.pem", key_password=KEY_PASSWORD
    )
    identities = {
        "stored": [ANN],
        "rejected": [UserIdentity("bob")],
        "unknown CA": [ANN],
        "not confirmed": None,
    }
    events: list[object] = []
    with LocalSCP(tls=certificates.options("server"), identities=identities[ending]) as scp:
        batch = send_batch(
            scp.setting(),
            ct_files,
            tls=tls,
            identity=CONFIRMED_ANN,
            ledger=tmp_path / "ledger.sqlite",
            results=tmp_path / "rows.json",
            on_event=events.append,
        )
        row = send(scp.setting(), DicomMessage.from_file(ct_files[0]), tls=tls, identity=CONFIRMED_ANN)
        answers = [echo(scp.setting(), tls=tls, identity=CONFIRMED_ANN), row]
    assert batch.ok is (ending == "stored")
    assert len(events) >= 10
    for thing in (
        batch,
        batch._repr_html_(),
        batch.note,
        row.detail,
        row,
        row.as_row(),
        *answers,
        *events,
        caplog.text,
    ):
        assert_no_secret(thing)
        assert_no_secret(repr(thing))
    assert_no_secret(batch.to_frame().to_csv() + batch.associations.to_csv() + batch.summary().to_csv())
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as ledger:
        assert_no_secret("\n".join(ledger.iterdump()))
    for path in tmp_path.glob("*.*"):
        assert_no_secret(path.read_bytes())
    for answer in answers:
        with contextlib.suppress(Exception):
            answer.raise_for_outcome()
            continue
        with pytest.raises(Exception) as caught:
            answer.raise_for_outcome()
        assert_no_secret("".join(traceback.format_exception(caught.value)))


def test_what_an_association_raises_holds_no_secret(certificates: Certificates) -> None:
    tls = certificates.options("locked", ca="other_ca.pem", key_password=KEY_PASSWORD)
    with LocalSCP(tls=certificates.server()) as scp:
        error, _ = why_not_open(peer_at(scp.port, tls, identity=CARD))
    assert_no_secret("".join(traceback.format_exception(error)))
    assert_no_secret(repr(peer_at(scp.port, tls, identity=ANN)))
    assert issubclass(IdentityNotConfirmed, AssociationRejected)


def test_a_setting_never_holds_them(certificates: Certificates) -> None:
    with LocalSCP(tls=certificates.server(), identities=[ANN]) as scp:
        assert_no_secret(scp.setting().to_json())
        assert "tls" not in scp.setting().to_json().lower()


# Weight


def test_nobody_pays_for_tls_who_does_not_use_it(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import dicomkit.batch, dicomkit.sending, dicomkit.cli.send, dicomkit.cli.echo\n"
        "from dicomkit import DicomSenderSetting, echo\n"
        "echo(DicomSenderSetting(remote_host='127.0.0.1', remote_port=1))\n"
        "print(*({'ssl', 'dicomkit.security', 'dicomkit.wire.tls'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == ""


# The command


def dicomkit(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DICOMKIT_")}
    return subprocess.run(
        [sys.executable, "-m", "dicomkit", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=kept | {"COLUMNS": "400"} | variables,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def secured(certificates: Certificates, tmp_path: Path) -> Iterator[tuple[LocalSCP, Path]]:
    """A receiver for ann with a client certificate, and a setting of it."""
    with LocalSCP(tls=certificates.options("server"), identities=[ANN, CARD]) as scp:
        path = tmp_path / "setting.json"
        scp.setting().save(path)
        yield scp, path


def test_the_command_takes_secrets_from_files_or_the_environment(
    certificates: Certificates, secured: tuple[LocalSCP, Path], ct_files: list[Path], tmp_path: Path
) -> None:
    scp, setting = secured
    files = [
        "--ca",
        certificates("ca.pem"),
        "--cert",
        certificates("locked.pem"),
        "--key",
        certificates("locked.key"),
    ]
    (tmp_path / "passcode").write_text(PASSCODE + "\n")
    (tmp_path / "key").write_text(KEY_PASSWORD + "\r\n")
    (tmp_path / "token").write_text(TOKEN)
    by_file = ["--password-file", tmp_path / "passcode", "--key-password-file", tmp_path / "key"]
    sent = dicomkit("send", setting, *ct_files, *files, "--user", "ann", "--confirm-user", "-v", *by_file)
    assert sent.returncode == 0, sent.stderr
    assert "under TLS" in sent.stderr
    assert len(scp.received) == 10
    by_environment = {"DICOMKIT_PASSWORD": PASSCODE, "DICOMKIT_KEY_PASSWORD": KEY_PASSWORD}
    asked = dicomkit("echo", setting, *files, "--user", "ann", "--confirm-user", **by_environment)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert "under TLSv1.3" in asked.stdout
    token = dicomkit("echo", setting, *files, "--jwt-file", tmp_path / "token", **by_environment)
    assert token.returncode == 0, token.stdout + token.stderr
    wrong = dicomkit("send", setting, ct_files[0], *files, "--user", "bob", **by_environment)
    assert wrong.returncode == 1
    assert "or not take the user identity (user and passcode)" in wrong.stdout
    for done in (sent, asked, token, wrong):
        assert_no_secret(done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ca", "nowhere.pem"], "--ca nowhere.pem: cannot be read"),
        (["--key", "k.pem"], "--key k.pem: is a key without a certificate; give --cert as well"),
        (["--tls", "--key-password-file", "nowhere"], "--key-password-file nowhere: cannot be read"),
        (["--user", "ann", "--password-file", "nowhere"], "--password-file nowhere: cannot be read"),
        (["--confirm-user"], "give --user as well"),
        (["--user", "ann", "--jwt-file", "TOKEN"], "--user: takes either user or json_web_token"),
        (["--server-name", ".x"], "--server-name '.x': is no host name"),
        (["--user", "ann", "--password-file", "TWO_LINES"], "takes a file with one line of text, the secret"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_options_that_cannot_be_used_are_wrong_usage_by_their_own_names(
    tmp_path: Path, ct_files: list[Path], arguments: list[str], words: str
) -> None:
    with LocalSCP() as scp:
        scp.setting().save(tmp_path / "setting.json")
        (tmp_path / "token").write_text(TOKEN)
        (tmp_path / "two").write_text(f"{PASSCODE}\n{PASSCODE}\n")
        named = {"TOKEN": str(tmp_path / "token"), "TWO_LINES": str(tmp_path / "two")}
        done = dicomkit(
            "send", tmp_path / "setting.json", ct_files[0], *(named.get(one, one) for one in arguments)
        )
        assert done.returncode == 2, done.stdout
        assert words in done.stderr
        assert_no_secret(done.stderr)
        assert scp.events == []


def test_a_password_without_tls_is_sent_with_a_warning(tmp_path: Path) -> None:
    with LocalSCP(identities=[ANN]) as scp:
        scp.setting().save(tmp_path / "setting.json")
        done = dicomkit("echo", tmp_path / "setting.json", "--user", "ann", DICOMKIT_PASSWORD=PASSCODE)
    assert done.returncode == 0
    assert "goes over the network unencrypted; --tls encrypts it" in done.stderr


def test_the_command_receives_under_tls(certificates: Certificates, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dicomkit", "scp", "--port", "0", "--user", "ann"]
    command += ["--cert", certificates("server.pem"), "--key", certificates("server.key")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"DICOMKIT_PASSWORD": PASSCODE}
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert " under TLS. Ctrl-C ends it." in line
            port = int(line.split(":")[1].split()[0])
            setting = LocalSCP(port=port).setting()
            assert echo(setting, tls=certificates.options(), identity=ANN).outcome is Outcome.STORED
            assert echo(setting, tls=certificates.options()).outcome is Outcome.REJECTED
        finally:
            process.kill()


def test_help_has_no_option_that_takes_a_secret() -> None:
    done = dicomkit("send", "--help")
    assert "--password-file FILE" in done.stdout
    assert "--password " not in done.stdout
    assert json.dumps("--jwt-file FILE")[1:-1] in done.stdout
