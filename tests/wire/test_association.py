"""One association: byte for byte over a bare socket, every way it can end, and against DCMTK."""

from __future__ import annotations

import contextlib
import errno
import math
import random
import re
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

import psutil
import pytest

from dicomkit.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectionFailed,
    Interrupted,
    PeerTimedOut,
    ProtocolError,
    UnreadableError,
    WireError,
)
from dicomkit.sending import explained
from dicomkit.wire import layout
from dicomkit.wire import pdu as p
from dicomkit.wire.association import Association
from dicomkit.wire.socket import Interrupt, Peer
from tests.support.bare_peer import (
    ABORT,
    ABORT_PDU,
    COMMAND,
    HOST,
    LAST,
    RELEASE_RP_PDU,
    RELEASE_RQ_PDU,
    BarePeer,
    Conversation,
    Left,
    accept_pdu,
    data_pdu,
    response_command,
)
from tests.support.files import ct_instance, data_set_of, instance_uid
from tests.support.peers import Dcmqrscp, Storescp, wait_until

pytestmark = pytest.mark.usefixtures("no_leaks")

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT_LE, IMPLICIT_LE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
CONTEXTS = (
    p.ProposedContext(1, CT, (EXPLICIT_LE,)),
    p.ProposedContext(3, MR, (IMPLICIT_LE,)),
    p.ProposedContext(5, VERIFICATION, (IMPLICIT_LE,)),
)
ACCEPTED = accept_pdu([(1, 0, EXPLICIT_LE), (3, 0, IMPLICIT_LE), (5, 0, IMPLICIT_LE)])

SHORT_SECONDS = 0.3
HANG_SECONDS = 20.0  # what takes so long has hung, however slow the machine is
SMALL_BUFFER = 4096
MEDIUM_BUFFER = 1 << 17  # more than the largest segment of loopback, so that TCP flows
DELAYED_ACK_SECONDS = 0.040  # Linux's shortest
MORE_THAN_BUFFERS_HOLD = 24 << 20

PATTERN = random.Random(2026).randbytes(1 << 20)


def data_of(length: int) -> bytes:
    return (PATTERN * (length // len(PATTERN) + 1))[:length]


class Bytes:
    """A data set in memory; breaks in the way it was asked to once `good` bytes were read."""

    def __init__(
        self, content: bytes, *, good: int | None = None, break_by: Callable[[], None] | None = None
    ) -> None:
        self._content = memoryview(content)
        self._good = len(content) if good is None else good
        self._break_by = break_by
        self._position = 0

    def readv(self, buffers: Sequence[memoryview]) -> int:
        start = self._position
        for buffer in buffers:
            if self._position + len(buffer) > self._good and self._break_by is not None:
                self._break_by()
            piece = self._content[self._position : min(self._position + len(buffer), self._good)]
            buffer[: len(piece)] = piece
            self._position += len(piece)
        return self._position - start

    def check_unchanged(self) -> None:
        pass

    def close(self) -> None:
        self._position = 0


def peer_at(port: int, seconds: float = 5.0, *, host: str = HOST, called: str = "PEER") -> Peer:
    return Peer(host, port, "DICOMKIT", called, seconds)


@contextlib.contextmanager
def opened(
    port: int,
    seconds: float = 5.0,
    *,
    interrupt: Interrupt | None = None,
    packs: bool = True,
    contexts: Sequence[p.ProposedContext] = CONTEXTS,
) -> Iterator[Association]:
    association = Association.open(peer_at(port, seconds), contexts, interrupt=interrupt, packs=packs)
    try:
        yield association
    finally:
        association.abort()


def load(association: Association, data: bytes, *, uid: str = "1.2.3", context_id: int = 1) -> None:
    association.load(Bytes(data), len(data), context_id, CT, uid)


def store(association: Association, data: bytes, *, uid: str = "1.2.3", context_id: int = 1) -> p.Response:
    load(association, data, uid=uid, context_id=context_id)
    association.transmit()
    return association.response()


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    begin = monotonic()
    yield
    assert monotonic() - begin < HANG_SECONDS


def serve(conversation: Conversation) -> None:
    conversation.accept()
    conversation.serve()


# Byte for byte


def boundaries(max_pdu: int, *, packs: bool) -> list[int]:
    """Data set lengths around each place where the layout of PDUs changes."""
    largest = min(max_pdu or layout.LARGEST_PDU, layout.LARGEST_PDU)
    room = (largest - 6) // 2 * 2
    first = room
    if packs and largest >= layout.LEAST_PDU_TO_PACK:
        first -= 6 + layout.MAX_STORE_REQUEST
    pieces = max(1, min(layout.MAX_PIECES, layout.BUFFER_BYTES // (12 + room)))
    buffer = first + pieces * room
    around = [first, first + room, buffer, buffer + room, buffer + pieces * room]
    lengths = {0, 1, 2, 3, *(edge + step for edge in around for step in (-1, 0, 1))}
    lengths.add(buffer + 2 * pieces * room + room // 2 + 1)
    return sorted(length for length in lengths if length >= 0)


@pytest.mark.parametrize("packs", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize(
    "max_pdu", [16, 17, 18, 128, 1023, 1024, 1025, 4096, 4097, 16384, 131072, 131073, 0, 0xFFFFFFFE]
)
def test_a_data_set_of_any_length_arrives_byte_for_byte_in_pdus_no_longer_than_allowed(
    max_pdu: int, packs: bool
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept(max_pdu=max_pdu)
        conversation.serve()

    lengths = boundaries(max_pdu, packs=packs)
    random.Random(max_pdu).shuffle(lengths)
    # UIDs of odd and even lengths, up to the longest; contexts change between instances.
    sent = [
        (data_of(length), f"1.2.{'7' * (1 + index % 60)}", (1, 3)[index % 3 == 1])
        for index, length in enumerate(lengths)
    ]
    with BarePeer(script) as peer:
        with opened(peer.port, packs=packs) as association:
            assert association.max_pdu == max_pdu
            for data, uid, context_id in sent:
                assert store(association, data, uid=uid, context_id=context_id).status == 0
            association.release()
        wait_until(peer.finished, 5, "the peer has read the release")
        assert len(peer.instances) == len(sent)
        for index, (received, (data, uid, context_id)) in enumerate(zip(peer.instances, sent, strict=True)):
            assert received.data_set == data
            assert received.context_ids == {context_id}
            command = received.command
            assert (command.MessageID, command.CommandField) == (index + 1, 1)
            assert (command.AffectedSOPClassUID, command.AffectedSOPInstanceUID) == (CT, uid)
            assert max(received.pdu_lengths) <= min(max_pdu or layout.LARGEST_PDU, layout.LARGEST_PDU)
            commands = [control for control in received.controls if control & COMMAND]
            assert commands == [COMMAND] * (len(commands) - 1) + [COMMAND | LAST]
            fragments = received.controls[len(commands) :]
            assert fragments == [0] * (len(fragments) - 1) + [LAST]
            assert all(length % 2 == 0 for length in received.fragment_lengths[:-1])
            is_packed = packs and (max_pdu == 0 or max_pdu >= layout.LEAST_PDU_TO_PACK)
            assert len(received.pdu_lengths) == len(received.controls) - is_packed


def test_the_next_instance_may_be_loaded_before_the_response_to_the_last() -> None:
    with BarePeer(serve) as peer:
        with opened(peer.port) as association:
            load(association, data_of(3_000_001), uid="1.2.0")
            for index in range(1, 5):
                association.transmit()
                load(association, data_of(3_000_001 - index), uid=f"1.2.{index}", context_id=3)
                assert association.response().status == 0
            association.transmit()
            assert association.response().status == 0
            association.release()
        wait_until(peer.finished, 5, "the peer has read the release")
        assert [len(one.data_set) for one in peer.instances] == [3_000_001 - index for index in range(5)]
        assert all(one.data_set == data_of(len(one.data_set)) for one in peer.instances)


def test_message_ids_go_round_from_65535_to_1() -> None:
    with BarePeer(serve) as peer, opened(peer.port) as association:
        association._message_id = 0xFFFE
        store(association, b"ab")
        store(association, b"ab")
        assert association.echo(5).message_id == 2
        association.release()
        assert [one.message_id for one in peer.instances] == [0xFFFF, 1, 2]


def test_a_slow_reader_gets_every_byte_although_each_send_is_partial() -> None:
    data = data_of(2_500_003)

    def script(conversation: Conversation) -> None:
        conversation.accept()
        while conversation.take(3000) < len(data):
            continue
        conversation.answer(conversation.read_instance())
        conversation.serve()

    with BarePeer(script, receive_buffer=SMALL_BUFFER) as peer:
        with opened(peer.port, 1.0) as association:
            association._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            assert store(association, data).status == 0
            association.release()
        assert peer.instances[0].data_set == data


def test_what_the_peer_takes_slowly_may_take_longer_than_the_timeout() -> None:
    """The deadline starts again whenever the peer takes bytes."""
    seconds = 5 * SHORT_SECONDS

    def script(conversation: Conversation) -> None:
        conversation.accept()
        for step in range(1, 31):
            while conversation.take() < step * MORE_THAN_BUFFERS_HOLD // 30:
                continue
            conversation.over.wait(seconds / 14)
        conversation.answer(conversation.read_instance())
        conversation.serve()

    with (
        BarePeer(script, receive_buffer=1 << 18) as peer,
        opened(peer.port, seconds) as association,
    ):
        begin = monotonic()
        assert store(association, data_of(MORE_THAN_BUFFERS_HOLD)).status == 0
        assert monotonic() - begin > 2 * seconds
        association.release()


# Negotiation


def test_the_first_accepted_context_of_a_class_and_syntax_carries_it() -> None:
    contexts = [
        p.ProposedContext(1, CT, (EXPLICIT_LE,)),
        p.ProposedContext(3, CT, (EXPLICIT_LE, IMPLICIT_LE)),
        p.ProposedContext(5, CT, (IMPLICIT_LE, EXPLICIT_LE)),
        p.ProposedContext(7, MR, (EXPLICIT_LE,)),
        p.ProposedContext(9, MR, (IMPLICIT_LE,)),
    ]
    replies = [
        (5, 0, EXPLICIT_LE),
        (3, 0, IMPLICIT_LE + "\0"),  # padded
        (1, 4, ""),
        (7, 0, "1.2.840.10008.1.2.4.90"),  # never offered
        (3, 3, ""),  # a second answer
        (99, 0, EXPLICIT_LE),  # to nothing
    ]

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(accept_pdu(replies))
        conversation.serve()

    with BarePeer(script) as peer, opened(peer.port, contexts=contexts) as association:
        assert association.context_for(CT, EXPLICIT_LE) == 5
        assert association.context_for(CT, IMPLICIT_LE) == 3
        assert association.context_for(MR, IMPLICIT_LE) is None
        assert sorted(association.accepted_syntaxes(CT)) == [IMPLICIT_LE, EXPLICIT_LE]
        assert association.accepted_syntaxes(MR) == []
        assert {one: reply.result for one, (_, reply) in association.contexts.items()} == {
            5: 0,
            3: 0,
            1: 4,
            7: 0,
        }
        assert association.peer_implementation_uid == "2.25.1"
        assert association.peer_implementation_version == "BARE_PEER"
        association.release()


def test_128_contexts_are_negotiated() -> None:
    contexts = [p.ProposedContext(2 * n + 1, f"1.2.{n}", (EXPLICIT_LE, IMPLICIT_LE)) for n in range(128)]
    with BarePeer(serve) as peer, opened(peer.port, contexts=contexts) as association:
        assert association.context_for("1.2.127", EXPLICIT_LE) == 255
        association.release()


def test_a_peer_that_takes_no_fragment_at_all_is_told_off() -> None:
    ended: list[bytes] = []

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(accept_pdu([(1, 0, EXPLICIT_LE)], max_pdu=8))
        ended.append(conversation.read_to_the_end())

    with BarePeer(script) as peer:
        with pytest.raises(ProtocolError, match="takes PDUs of 8 bytes at most"):
            Association.open(peer_at(peer.port), CONTEXTS)
        wait_until(peer.finished, 5, "the peer saw the end")
        assert ended[0][0] == ABORT


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((1, 1, 1), ["no reason given", "peer's log says why", "'DICOMKIT'", "permanently", "service user"]),
        ((1, 1, 2), ["application context name not supported", "no storage SCP"]),
        ((1, 1, 3), ["calling AE title not recognized", "'DICOMKIT'", "OurAET"]),
        ((1, 1, 7), ["called AE title not recognized", "'PEER'", "RemoteAET"]),
        ((2, 2, 1), ["no reason given", "peer's log", "for now", "ACSE"]),
        ((1, 2, 2), ["protocol version not supported", "version 1"]),
        ((2, 3, 1), ["temporary congestion", "later", "fewer associations", "presentation"]),
        ((2, 3, 2), ["local limit exceeded", "later", "fewer associations"]),
        ((1, 1, 4), ["reason 4, which PS3.8 does not define", "peer's log"]),
        ((9, 8, 7), ["result 9", "source 8", "reason 7"]),
    ],
)
def test_a_rejection_says_why_and_what_to_change(numbers: tuple[int, int, int], words: list[str]) -> None:
    def script(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(bytes([3, 0, 0, 0, 0, 4, 0, *numbers]))
        conversation.read_to_the_end()

    with BarePeer(script) as peer, pytest.raises(AssociationRejected) as caught:
        Association.open(peer_at(peer.port), CONTEXTS)
    assert (caught.value.result, caught.value.source, caught.value.reason) == numbers
    in_numbers = f"result {numbers[0]}, source {numbers[1]}, reason {numbers[2]}"
    assert in_numbers in str(caught.value)
    for word in [*words, in_numbers]:
        assert word in explained(caught.value, peer_at(peer.port))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (bytes.fromhex("15030100020246"), "TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"\xff" * 64, "bytes beginning 0xffffffffff"),
        (RELEASE_RP_PDU, "an A-RELEASE-RP"),
        (data_pdu((1, COMMAND | LAST, response_command(1))), "a P-DATA-TF"),
        (struct.pack(">BxI", 2, 0xFFFFFFFF), "a PDU of 4294967295 bytes"),
        (struct.pack(">BxI", 2, 4) + bytes(4), "shorter than its fixed fields"),
    ],
    ids=["http", "tls", "ssh", "noise", "release", "data", "huge", "malformed"],
)
def test_an_answer_that_is_no_association_is_a_failed_connection_that_names_it(
    answer: bytes, words: str
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(answer)
        conversation.read_to_the_end()

    with BarePeer(script) as peer, no_hang(), pytest.raises(ConnectionFailed, match=words) as caught:
        Association.open(peer_at(peer.port), CONTEXTS)
    assert caught.value.received
    assert "RemotePort" in explained(caught.value, peer_at(peer.port))


# Every ending at every stage


def end_by_abort(conversation: Conversation) -> None:
    conversation.send(ABORT_PDU)
    conversation.read_to_the_end()


def end_by_close(conversation: Conversation) -> None:
    conversation.close()


def end_by_reset(conversation: Conversation) -> None:
    conversation.reset()


def end_by_silence(conversation: Conversation) -> None:
    conversation.until_over()


Ending = Callable[[Conversation], None]
ENDINGS = {"abort": end_by_abort, "close": end_by_close, "reset": end_by_reset, "silence": end_by_silence}

EXPECTED: dict[tuple[str, str], tuple[type[WireError], str]] = {
    ("association", "abort"): (AssociationAborted, "A-ABORT .* instead of answering our association request"),
    ("association", "close"): (
        ConnectionFailed,
        "closed the connection during the answer to our association",
    ),
    ("association", "reset"): (ConnectionFailed, "lost the connection .* the answer to our association"),
    ("association", "silence"): (PeerTimedOut, "the answer to our association request"),
    ("data", "abort"): (AssociationAborted, "A-ABORT .* while we were sending"),
    ("data", "close"): (AssociationAborted, "during sending the data set"),
    ("data", "reset"): (AssociationAborted, "during sending the data set"),
    ("data", "silence"): (PeerTimedOut, "sending the data set"),
    ("response", "abort"): (AssociationAborted, "A-ABORT .* may have stored"),
    ("response", "close"): (
        AssociationAborted,
        "closed the connection during the response .* may have stored",
    ),
    ("response", "reset"): (AssociationAborted, "lost the connection .* may have stored"),
    ("response", "silence"): (PeerTimedOut, "the response to our request.* may have stored"),
    ("release", "abort"): (AssociationAborted, "A-ABORT"),
    ("release", "close"): (AssociationAborted, "closed the connection during the answer to our release"),
    ("release", "reset"): (AssociationAborted, "lost the connection"),
    ("release", "silence"): (PeerTimedOut, "the answer to our release"),
}


@pytest.mark.parametrize(("stage", "ending"), list(EXPECTED), ids=["-".join(key) for key in EXPECTED])
def test_an_ending_at_a_stage_says_both_and_whether_the_peer_may_hold_the_instance(
    stage: str, ending: str
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.read_request()
        if stage != "association":
            conversation.send(ACCEPTED)
        if stage == "data":
            conversation.read_pdu()
        elif stage == "response":
            conversation.read_instance()
        elif stage == "release":
            conversation.answer(conversation.read_instance())
            conversation.read_pdu()
        ENDINGS[ending](conversation)

    kind, words = EXPECTED[stage, ending]
    with (
        BarePeer(script, receive_buffer=MEDIUM_BUFFER if stage == "data" else None) as peer,
        no_hang(),
        pytest.raises(kind, match=words) as caught,
    ):
        association = Association.open(peer_at(peer.port, SHORT_SECONDS), CONTEXTS)
        try:
            store(association, data_of(MORE_THAN_BUFFERS_HOLD if stage == "data" else 20_000))
            association.release()
        finally:
            assert association.ended
            assert not association.is_still_there()
            association.abort()  # which is harmless now
    assert type(caught.value) is kind
    assert caught.value.may_be_stored is (stage == "response")
    if isinstance(caught.value, PeerTimedOut):
        assert caught.value.phase in words + str(caught.value)


def test_a_provider_abort_says_its_reason() -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.read_instance()
        conversation.send(ABORT_PDU[:8] + bytes([2, 6]))
        conversation.read_to_the_end()

    with BarePeer(script) as peer, opened(peer.port) as association:
        with pytest.raises(
            AssociationAborted, match="service provider: invalid PDU parameter value"
        ) as caught:
            store(association, b"ab")
        assert (caught.value.source, caught.value.reason) == (2, 6)
        assert association.ended == "aborted by the peer"
        says = explained(caught.value, peer_at(peer.port))
    assert says == (f"{caught.value}: look there before sending it again; the peer's log says why"), (
        "what to do follows what happened"
    )


def trickled(pdu: bytes) -> Callable[[Conversation], None]:
    def send(conversation: Conversation) -> None:
        for index in range(len(pdu)):
            conversation.send(pdu[index : index + 1])
            if conversation.is_left_within(SHORT_SECONDS / 5):
                return

    return send


@pytest.mark.parametrize("stage", ["association", "response", "release"])
def test_bytes_that_trickle_do_not_extend_the_deadline(stage: str) -> None:
    def script(conversation: Conversation) -> None:
        conversation.read_request()
        if stage == "association":
            trickled(ACCEPTED)(conversation)
        conversation.send(ACCEPTED)
        received = conversation.read_instance()
        if stage == "response":
            trickled(data_pdu((1, COMMAND | LAST, response_command(1))))(conversation)
        conversation.answer(received)
        conversation.read_pdu()
        trickled(RELEASE_RP_PDU)(conversation)

    with (
        BarePeer(script) as peer,
        no_hang(),
        pytest.raises(PeerTimedOut),
        opened(peer.port, SHORT_SECONDS) as association,
    ):
        store(association, b"ab")
        association.release()


def test_pdus_without_end_do_not_extend_the_deadline() -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.read_instance()
        nothing = data_pdu((1, COMMAND, b"")) * 1000
        while True:
            conversation.send(nothing)

    with (
        BarePeer(script) as peer,
        no_hang(),
        pytest.raises(PeerTimedOut) as caught,
        opened(peer.port, SHORT_SECONDS) as association,
    ):
        store(association, b"ab")
    assert caught.value.may_be_stored


def test_a_response_that_came_in_time_counts_however_late_we_look() -> None:
    answered = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.answer(conversation.read_instance())
        answered.set()
        conversation.serve()

    with BarePeer(script) as peer, opened(peer.port, SHORT_SECONDS) as association:
        load(association, b"ab")
        association.transmit()
        assert answered.wait(5)
        late = association.sent_at + 1.5 * SHORT_SECONDS
        wait_until(lambda: monotonic() > late, 5, "the deadline has passed")
        assert association.response().status == 0
        association.release()


# Responses that fit nothing


@pytest.mark.parametrize(
    ("pdu", "words"),
    [
        (data_pdu((1, COMMAND | LAST, response_command(2))), "answered message 2, we asked as message 1"),
        (data_pdu((3, COMMAND | LAST, response_command(1))), "presentation context 3, we asked on 1"),
        (
            data_pdu((1, COMMAND | LAST, response_command(1, command_field=0x8030))),
            "command 0x8030, not 0x8001",
        ),
        (
            data_pdu((1, COMMAND | LAST, response_command(1, data_set_type=1)))
            + data_pdu((1, COMMAND | LAST, response_command(1))),
            "announced a data set",
        ),
        (data_pdu((1, LAST, b"ab")), "sent a data set where a response was due"),
        (data_pdu((1, COMMAND | LAST, response_command(1)), (1, LAST, b"ab")), "more than its response"),
        (data_pdu((1, COMMAND | LAST, response_command(1)[:-2])), "longer than its command set"),
        (data_pdu((1, COMMAND | LAST, b"")), "without a valid Command Field"),
        (data_pdu((1, COMMAND, bytes(16000))) * 3, "longer than 32768 bytes"),
        (RELEASE_RP_PDU, "an A-RELEASE-RP where a response was due"),
        (struct.pack(">BxI", 4, 0xFFFFFFFF), "a PDU of 4294967295 bytes"),
        (struct.pack(">BxI", 4, 7) + bytes(7), "PDV of 0 bytes"),
        (b"HTTP/1.1 500\r\n", "HTTP"),
    ],
    ids=[
        *("message", "context", "command", "data-set", "data", "more", "cut", "empty", "long"),
        *("release", "huge", "pdv", "http"),
    ],
)
def test_a_response_that_does_not_fit_is_answered_with_an_abort(pdu: bytes, words: str) -> None:
    ended: list[bytes] = []

    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.read_instance()
        conversation.send(pdu)
        ended.append(conversation.read_to_the_end())

    with BarePeer(script) as peer:
        with opened(peer.port) as association, pytest.raises(ProtocolError, match=words) as caught:
            store(association, b"abcd")
        assert caught.value.may_be_stored
        assert association.ended == "aborted by us: protocol error"
        wait_until(peer.finished, 5, "the peer saw the end")
        assert ended == [bytes.fromhex("07000000000400000202")]


@pytest.mark.parametrize("shape", ["pdvs", "pdus", "segments"])
def test_a_response_in_pieces_is_a_response(shape: str) -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept()
        command = response_command(conversation.read_instance().message_id, 0xB007)
        pieces = [command[start : start + 6] for start in range(0, len(command), 6)]
        pdvs = [(1, COMMAND | (LAST if piece is pieces[-1] else 0), piece) for piece in pieces]
        if shape == "pdvs":
            conversation.send(data_pdu(*pdvs))
        elif shape == "pdus":
            conversation.send(b"".join(data_pdu(pdv) for pdv in pdvs))
        else:
            for byte in data_pdu((1, COMMAND | LAST, command)):
                conversation.send(bytes([byte]))
        conversation.serve()

    with BarePeer(script) as peer, opened(peer.port) as association:
        assert store(association, b"ab").status == 0xB007
        assert store(association, b"ab").status == 0
        association.release()


# Early responses


def early(status: int, then: Callable[[Conversation], object]) -> Callable[[Conversation], None]:
    """Answer message 1 after the first PDU of its data set."""

    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.read_pdu()
        conversation.send(data_pdu((1, COMMAND | LAST, response_command(1, status))))
        then(conversation)

    return script


def test_an_early_failure_is_the_answer_and_the_association_goes_on() -> None:
    def read_the_rest(conversation: Conversation) -> None:
        # The first PDU held the command and some of the data; what follows is data up to the last fragment.
        while conversation.read_pdu()[11] != LAST:
            continue
        conversation.serve()

    with (
        BarePeer(early(0xA700, read_the_rest), receive_buffer=MEDIUM_BUFFER) as peer,
        opened(peer.port) as association,
    ):
        assert store(association, data_of(MORE_THAN_BUFFERS_HOLD)).status == 0xA700
        assert association.is_still_there()
        assert store(association, b"abcd").status == 0
        association.release()


def send_abort_and_read(conversation: Conversation) -> None:
    conversation.send(ABORT_PDU)
    conversation.read_to_the_end()


@pytest.mark.parametrize(
    "then",
    [end_by_close, end_by_reset, end_by_silence, send_abort_and_read],
    ids=["close", "reset", "stop-reading", "abort"],
)
def test_an_early_failure_is_the_answer_whatever_follows(then: Ending) -> None:
    with (
        BarePeer(early(0xA700, then), receive_buffer=MEDIUM_BUFFER) as peer,
        opened(peer.port, SHORT_SECONDS) as association,
        no_hang(),
    ):
        if then is end_by_reset:  # which may take the answer along
            with contextlib.suppress(AssociationAborted):
                assert store(association, data_of(MORE_THAN_BUFFERS_HOLD)).status == 0xA700
        else:
            assert store(association, data_of(MORE_THAN_BUFFERS_HOLD)).status == 0xA700
        assert not association.is_still_there()


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0x0107])
def test_a_peer_cannot_have_stored_what_it_does_not_have_yet(status: int) -> None:
    with (
        BarePeer(early(status, Conversation.read_to_the_end), receive_buffer=MEDIUM_BUFFER) as peer,
        opened(peer.port) as association,
        pytest.raises(ProtocolError, match="before it had all of it") as caught,
    ):
        store(association, data_of(MORE_THAN_BUFFERS_HOLD))
    assert not caught.value.may_be_stored


def test_what_a_peer_says_is_heard_though_it_takes_everything_at_once() -> None:
    """Sending never blocks then, so nothing but a look between two buffers can notice it."""

    class WaitsForTheAnswer(Bytes):
        reads = 0

        def readv(self, buffers: Sequence[memoryview]) -> int:
            self.reads += 1
            if self.reads == 2:
                may_answer.set()
                assert select.select([association._sock], [], [], 5)[0], "the early answer has come"
            return super().readv(buffers)

    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.read_pdu()
        while not may_answer.is_set():
            if conversation.is_left_within(0.01):
                conversation.take()
        conversation.send(data_pdu((1, COMMAND | LAST, response_command(1, 0xA700))))
        conversation.read_to_the_end()

    may_answer = threading.Event()
    length = 4 * layout.BUFFER_BYTES
    with BarePeer(script) as peer, opened(peer.port) as association:
        association._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * length)
        source = WaitsForTheAnswer(data_of(length))
        association.load(source, length, 1, CT, "1.2.3")
        heard_after: list[int] = []
        take = association._take

        def note(pdu: p.Pdu) -> p.Response | None:
            heard_after.append(source.reads)
            return take(pdu)

        association._take = note  # type: ignore[method-assign]
        association.transmit()
        assert association.response().status == 0xA700
    assert heard_after == [2], "before the third buffer was filled"


# Between instances


LAST_WORDS = {
    "abort": ABORT_PDU,
    "release": RELEASE_RQ_PDU,
    "another response": data_pdu((1, COMMAND | LAST, response_command(1))),
    "garbage": b"HTTP/1.1 408\r\n",
}


@pytest.mark.parametrize("last_words", LAST_WORDS)
def test_what_comes_along_with_a_response_is_noticed_before_the_next_instance(last_words: str) -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.read_instance()
        conversation.send(data_pdu((1, COMMAND | LAST, response_command(1))) + LAST_WORDS[last_words])
        conversation.read_to_the_end()

    with BarePeer(script) as peer, opened(peer.port) as association:
        assert store(association, b"ab").status == 0
        assert not association.is_still_there()
        assert association.ended


@pytest.mark.parametrize("last_words", ["", *LAST_WORDS])
def test_a_peer_that_has_gone_between_instances_is_noticed_before_the_next(last_words: str) -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.answer(conversation.read_instance())
        conversation.send(LAST_WORDS.get(last_words, b""))

    with BarePeer(script) as peer, opened(peer.port) as association:
        assert store(association, b"ab").status == 0
        wait_until(peer.finished, 5, "the peer has closed")
        assert not association.is_still_there()
        assert association.ended


def test_a_peer_that_is_there_is_still_there() -> None:
    with BarePeer(serve) as peer, opened(peer.port) as association:
        for _ in range(3):
            assert association.is_still_there()
            store(association, b"ab")
        association.release()
        assert not association.is_still_there()


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what the peer took")


@linux_only
def test_a_peer_that_closed_before_our_first_byte_took_none_of_it() -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.answer(conversation.read_instance())

    with BarePeer(script) as peer, opened(peer.port) as association:
        assert store(association, b"ab").status == 0
        wait_until(peer.finished, 5, "the peer has closed")
        with pytest.raises(AssociationAborted):
            store(association, data_of(9000))
        assert association.peer_took_none_of_it()


@pytest.mark.parametrize("length", [9000, 2])
@pytest.mark.parametrize("ending", ["abort", "close", "reset", "silence"])
def test_a_peer_that_read_the_instance_and_went_took_some_of_it(ending: str, length: int) -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept()
        for _ in range(3):  # the system acknowledges the first at once, later ones with a delay
            conversation.answer(conversation.read_instance())
        conversation.read_instance()
        ENDINGS[ending](conversation)

    with BarePeer(script) as peer, opened(peer.port, 3 * SHORT_SECONDS) as association:
        for _ in range(3):
            store(association, data_of(length))
        with pytest.raises(WireError) as caught:
            store(association, data_of(length))
        assert caught.value.may_be_stored
        assert not association.peer_took_none_of_it()


# Release


def test_a_release_that_meets_the_peers_own_is_answered_and_finished() -> None:
    seen: list[bytes] = []

    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.read_pdu()
        conversation.send(RELEASE_RQ_PDU)
        seen.append(conversation.read_pdu())
        conversation.send(RELEASE_RP_PDU)

    with BarePeer(script) as peer, opened(peer.port) as association:
        association.release()
        assert association.ended == "released"
        assert seen == [RELEASE_RP_PDU]


def test_a_release_answered_with_anything_else_is_aborted() -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.read_pdu()
        conversation.send(ACCEPTED)
        conversation.read_to_the_end()

    with BarePeer(script) as peer, opened(peer.port) as association:
        with pytest.raises(ProtocolError, match="answered our release with an A-ASSOCIATE-AC") as caught:
            association.release()
        assert not caught.value.may_be_stored


def test_a_peer_that_releases_instead_of_answering_is_answered_and_the_instance_is_in_doubt() -> None:
    seen: list[bytes] = []

    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.read_instance()
        conversation.send(RELEASE_RQ_PDU)
        seen.append(conversation.read_to_the_end())

    with BarePeer(script) as peer:
        with opened(peer.port) as association:
            with pytest.raises(AssociationAborted, match="released the association instead") as caught:
                store(association, b"ab")
            assert caught.value.may_be_stored
        wait_until(peer.finished, 5, "the peer saw the end")
        assert seen == [RELEASE_RP_PDU]


# Sources that break


def disk_error() -> None:
    raise OSError(5, "Input/output error", "/secret/patient.dcm")


def other_error() -> None:
    raise ZeroDivisionError


def test_a_source_that_breaks_at_once_costs_nothing_but_itself() -> None:
    with BarePeer(serve) as peer, opened(peer.port) as association:
        for broken in (Bytes(data_of(90_000), good=70_000, break_by=disk_error), Bytes(b"ab")):
            with pytest.raises(
                UnreadableError, match=r"Input/output error|ended 89998 bytes early"
            ) as caught:
                association.load(broken, 90_000, 1, CT, "1.2.3")
            assert "secret" not in str(caught.value)
            assert store(association, data_of(90_000)).status == 0
        association.release()
        assert [one.data_set for one in peer.instances] == [data_of(90_000)] * 2


@pytest.mark.parametrize("uid", ["1." + "2" * 63, "1.2.\xe9"])
def test_a_uid_that_cannot_be_sent_makes_an_instance_unreadable(uid: str) -> None:
    with BarePeer(serve) as peer, opened(peer.port) as association:
        with pytest.raises(UnreadableError, match="UID"):
            load(association, b"ab", uid=uid)
        assert store(association, b"ab").status == 0
        association.release()


@pytest.mark.parametrize("break_by", [disk_error, None, other_error], ids=["error", "end", "defect"])
def test_a_source_that_breaks_in_mid_transfer_aborts_at_the_end_of_a_pdu(
    break_by: Callable[[], None] | None,
) -> None:
    kinds: list[int] = []

    def script(conversation: Conversation) -> None:
        conversation.accept()
        with contextlib.suppress(Left):
            while True:
                kinds.append(conversation.read_pdu()[0])

    length = 5 << 20
    with BarePeer(script) as peer:
        with opened(peer.port) as association:
            association.load(Bytes(data_of(length), good=3 << 20, break_by=break_by), length, 1, CT, "1.2.3")
            with pytest.raises(ZeroDivisionError if break_by is other_error else UnreadableError):
                association.transmit()
            assert association.ended == "aborted by us"
        wait_until(peer.finished, 5, "the peer saw the end")
    assert kinds[-1] == ABORT
    assert set(kinds[:-1]) == {4}


def data_set_in(stream: bytes) -> bytes:
    """What the fragments of P-DATA-TFs hold of a data set, the last one as far as it came (PS3.8 section 9.3.5)."""
    data, start = b"", 0
    while start + 6 < len(stream):
        kind, end = stream[start], start + 6 + int.from_bytes(stream[start + 2 : start + 6], "big")
        assert kind == 4
        start += 6
        while start + 6 <= min(end, len(stream)):
            pdv_end = start + 4 + int.from_bytes(stream[start : start + 4], "big")
            if not stream[start + 5] & 1:
                data += stream[start + 6 : pdv_end]
            start = pdv_end
        start = end
    return data


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("max_pdu", [1024, 4097, 131072])
@pytest.mark.parametrize("before", [0, 1 << 20, 5 << 19])
def test_the_bytes_of_a_partial_send_are_those_that_the_peer_can_read(
    max_pdu: int, packs: bool, before: int
) -> None:
    is_over = threading.Event()
    streams: list[bytes] = []

    def script(conversation: Conversation) -> None:
        conversation.accept(max_pdu=max_pdu)
        stream = bytearray()
        while len(stream) <= before:
            stream += conversation.read_pdu()
        conversation.send(ABORT_PDU)
        assert is_over.wait(5)
        streams.append(bytes(stream) + conversation.read_to_the_end())

    with BarePeer(script, receive_buffer=SMALL_BUFFER) as peer:
        with opened(peer.port, packs=packs) as association:
            association._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            load(association, data_of(6 << 20))
            with pytest.raises(AssociationAborted):
                association.transmit()
            is_over.set()
            sent = association.data_bytes_sent
        wait_until(peer.finished, 5, "the peer has read all of it")
    arrived = data_set_in(streams[0])
    assert 0.9 * before < sent < 6 << 20  # headers take their part
    assert sent == len(arrived)
    assert data_of(sent) == arrived


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("max_pdu", [64, 4097, 131072])
def test_an_abort_in_mid_transfer_waits_for_the_end_of_the_pdu(max_pdu: int, packs: bool) -> None:
    may_read = threading.Event()
    kinds: list[int] = []

    def script(conversation: Conversation) -> None:
        conversation.accept(max_pdu=max_pdu)
        assert may_read.wait(5)
        with contextlib.suppress(Left):
            while True:
                kinds.append(conversation.read_pdu()[0])

    interrupt = Interrupt()
    with BarePeer(script, receive_buffer=SMALL_BUFFER) as peer:
        with opened(peer.port, interrupt=interrupt, packs=packs) as association:
            association._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            load(association, data_of(1 << 20))

            def cancel() -> None:
                wait_until(lambda: association._sent_of_it > 0, 5, "part of it is sent")
                interrupt.set()
                may_read.set()

            canceller = threading.Thread(target=cancel)
            canceller.start()
            with pytest.raises(Interrupted):
                association.transmit()
            canceller.join()
        wait_until(peer.finished, 5, "the peer saw the end")
    interrupt.close()
    assert kinds[-1] == ABORT
    assert set(kinds[:-1]) == {4}


def test_an_abort_in_the_last_pdu_leaves_the_data_set_incomplete() -> None:
    """Completing that PDU would complete the data set, and the peer would store what the row calls cancelled."""
    may_read = threading.Event()
    received: list[int] = []

    def script(conversation: Conversation) -> None:
        conversation.accept(max_pdu=layout.LARGEST_PDU)
        assert may_read.wait(5)
        with contextlib.suppress(Left):
            while True:
                received.append(conversation.take())

    interrupt = Interrupt()
    length = layout.LARGEST_PDU - 1000
    with BarePeer(script, receive_buffer=SMALL_BUFFER) as peer:
        with opened(peer.port, interrupt=interrupt) as association:
            association._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            load(association, data_of(length))

            def cancel() -> None:
                wait_until(lambda: association._sent_of_it > 0, 5, "part of it is sent")
                interrupt.set()
                may_read.set()

            canceller = threading.Thread(target=cancel)
            canceller.start()
            with pytest.raises(Interrupted) as raised:
                association.transmit()
            canceller.join()
            assert not raised.value.may_be_stored
        wait_until(peer.finished, 5, "the peer saw the end")
    interrupt.close()
    assert sum(received) < length


def test_an_abort_does_not_wait_for_a_peer_that_does_not_read() -> None:
    def script(conversation: Conversation) -> None:
        conversation.accept()
        conversation.until_over()

    interrupt = Interrupt()
    with (
        BarePeer(script, receive_buffer=SMALL_BUFFER) as peer,
        opened(peer.port, 2 * HANG_SECONDS, interrupt=interrupt) as association,
    ):
        load(association, data_of(MORE_THAN_BUFFERS_HOLD))
        interrupt.set()
        with no_hang(), pytest.raises(Interrupted):
            association.transmit()
        assert association.ended == "aborted by us"
    interrupt.close()


# Interrupts


@pytest.mark.parametrize("stage", ["association", "data", "response", "echo", "release"])
def test_an_interrupt_from_another_thread_wakes_every_wait(stage: str) -> None:
    reached = threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.read_request()
        if stage != "association":
            conversation.send(ACCEPTED)
        if stage == "data":
            conversation.read_pdu()
        elif stage in ("response", "echo"):
            conversation.read_instance()
        elif stage == "release":
            conversation.read_pdu()
        reached.set()
        conversation.until_over()

    interrupt = Interrupt()

    def set_when_reached() -> None:
        reached.wait(5)
        interrupt.set()
        interrupt.set()

    thread = threading.Thread(target=set_when_reached)
    with (
        BarePeer(script, receive_buffer=MEDIUM_BUFFER if stage == "data" else None) as peer,
        no_hang(),
        pytest.raises(Interrupted, match="cancelled by us") as caught,
    ):
        thread.start()
        association = Association.open(peer_at(peer.port, 2 * HANG_SECONDS), CONTEXTS, interrupt=interrupt)
        try:
            if stage == "release":
                association.release()
            elif stage == "echo":
                association.echo(5)
            else:
                store(association, data_of(MORE_THAN_BUFFERS_HOLD if stage == "data" else 100))
        finally:
            assert not association.is_open
    thread.join()
    interrupt.close()
    interrupt.is_set = False
    interrupt.set()  # after its end, it wakes nobody and fails nobody
    assert caught.value.may_be_stored is (stage == "response")


# Connecting


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port of a listener whose backlog is full: a connect to it hangs."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(64):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
            if not select.select([], [waiting], [], 0.1)[1]:
                break
        else:
            pytest.skip("this system's backlog does not fill")
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as once:
        once.bind((HOST, 0))
        port: int = once.getsockname()[1]
        return port


def test_a_connect_that_hangs_ends_at_the_timeout(deaf_port: int) -> None:
    with no_hang(), pytest.raises(PeerTimedOut, match="did not answer the TCP connect") as caught:
        Association.open(peer_at(deaf_port, SHORT_SECONDS), CONTEXTS)
    assert caught.value.phase == "connect"


def test_an_interrupt_wakes_a_connect_that_hangs(deaf_port: int) -> None:
    interrupt = Interrupt()
    timer = threading.Timer(0.05, interrupt.set)
    timer.start()
    with no_hang(), pytest.raises(Interrupted):
        Association.open(peer_at(deaf_port, 2 * HANG_SECONDS), CONTEXTS, interrupt=interrupt)
    timer.join()
    interrupt.close()


def test_a_closed_port_is_a_refused_connection(closed_port: int) -> None:
    with pytest.raises(ConnectionFailed, match=rf"nothing listens at {HOST}:{closed_port}$") as caught:
        Association.open(peer_at(closed_port), CONTEXTS)
    assert (caught.value.phase, caught.value.errno) == ("connect", errno.ECONNREFUSED)
    assert caught.value.is_definite
    says = explained(caught.value, peer_at(closed_port))
    assert f"nothing listens at {HOST}:{closed_port}; check RemoteHost and RemotePort" in says


@pytest.mark.parametrize("host", ["no-such-host.invalid", "two..dots", "x" * 70, "with space"])
def test_a_name_that_does_not_resolve_says_so(host: str) -> None:
    peer = peer_at(104, host=host)
    with pytest.raises(ConnectionFailed) as caught:
        Association.open(peer, CONTEXTS)
    assert re.search(
        f"host name '{host}' does not resolve .* check RemoteHost", explained(caught.value, peer)
    )
    assert caught.value.is_definite is (caught.value.errno != socket.EAI_AGAIN)  # without a name server


@pytest.mark.parametrize(
    ("phase", "number", "is_definite"),
    [
        ("connect", errno.EHOSTUNREACH, True),
        ("connect", errno.ENETUNREACH, True),
        ("connect", errno.EACCES, False),
        ("connect", errno.ETIMEDOUT, False),
        ("name resolution", socket.EAI_NONAME, True),
        ("name resolution", socket.EAI_AGAIN, False),
        ("the answer to our association request", errno.ECONNRESET, False),
        ("socket", errno.EAFNOSUPPORT, False),
    ],
)
def test_an_answer_is_told_from_a_silence(phase: str, number: int, is_definite: bool) -> None:
    assert ConnectionFailed("x", phase=phase, errno=number).is_definite is is_definite


def test_localhost_is_reached_whatever_it_resolves_to_first() -> None:
    with BarePeer(serve) as peer:
        association = Association.open(peer_at(peer.port, host="localhost"), CONTEXTS)
        assert store(association, b"ab").status == 0
        association.release()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Let `several.test` have one address for each port, all on loopback."""
    real = socket.getaddrinfo

    def addresses(host: str | bytes, *args: object, flags: int = 0, **options: object) -> object:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not numeric")
        return [real(HOST, port, type=socket.SOCK_STREAM)[0] for port in ports]

    monkeypatch.setattr(socket, "getaddrinfo", addresses)


def test_the_first_address_that_answers_is_taken(
    monkeypatch: pytest.MonkeyPatch, closed_port: int, deaf_port: int
) -> None:
    with BarePeer(serve) as peer:
        resolve_to(monkeypatch, closed_port, deaf_port, peer.port)
        association = Association.open(peer_at(104, 5 * SHORT_SECONDS, host="several.test"), CONTEXTS)
        assert store(association, b"ab").status == 0
        association.release()


def test_an_address_of_a_family_that_the_system_lacks_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with BarePeer(serve) as peer:
        resolve_to(monkeypatch, 104, peer.port)
        both = socket.getaddrinfo

        def addresses(*args: object, **options: object) -> object:
            (_, *unknown), known = both(*args, **options)  # type: ignore[arg-type]
            return [(9999, *unknown), known]

        monkeypatch.setattr(socket, "getaddrinfo", addresses)
        association = Association.open(peer_at(104, host="several.test"), CONTEXTS)
        assert store(association, b"ab").status == 0
        association.release()


def test_several_addresses_that_hang_share_the_timeout(
    monkeypatch: pytest.MonkeyPatch, deaf_port: int
) -> None:
    resolve_to(monkeypatch, *[deaf_port] * math.ceil(2 * HANG_SECONDS / SHORT_SECONDS))
    with no_hang(), pytest.raises(PeerTimedOut):
        Association.open(peer_at(104, SHORT_SECONDS, host="several.test"), CONTEXTS)


def test_one_silent_address_leaves_open_whether_the_peer_is_there(
    monkeypatch: pytest.MonkeyPatch, closed_port: int, deaf_port: int
) -> None:
    resolve_to(monkeypatch, closed_port, deaf_port)
    with no_hang(), pytest.raises(PeerTimedOut):
        Association.open(peer_at(104, SHORT_SECONDS, host="several.test"), CONTEXTS)
    resolve_to(monkeypatch, closed_port, closed_port)
    with pytest.raises(ConnectionFailed) as caught:
        Association.open(peer_at(104, host="several.test"), CONTEXTS)
    assert caught.value.is_definite


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["timeout", "interrupt"])
def test_a_name_server_that_does_not_answer_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    answer = threading.Event()
    asked = threading.Event()

    def look_up(host: str | bytes, *args: object, flags: int = 0, **options: object) -> object:
        if not flags & socket.AI_NUMERICHOST:
            asked.set()
            answer.wait(10)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    interrupt = Interrupt()

    def cancel() -> None:
        asked.wait(5)
        if is_cancelled:
            interrupt.set()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    try:
        seconds = 2 * HANG_SECONDS if is_cancelled else SHORT_SECONDS
        with no_hang(), pytest.raises(WireError) as caught:
            Association.open(peer_at(104, seconds, host="slow.test"), CONTEXTS, interrupt=interrupt)
        assert type(caught.value) is (Interrupted if is_cancelled else PeerTimedOut)
    finally:
        answer.set()
        canceller.join()
        interrupt.close()


@pytest.mark.skipif(not hasattr(psutil.Process, "num_fds"), reason="descriptors are counted on Unix only")
def test_failures_leave_no_descriptor_open(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(20):
        with pytest.raises(ConnectionFailed):
            Association.open(peer_at(closed_port), CONTEXTS)
        with pytest.raises(ConnectionFailed):
            Association.open(peer_at(closed_port, host="two..dots"), CONTEXTS)
    with BarePeer(serve) as peer, pytest.raises(ValueError, match="presentation contexts"):
        Association.open(peer_at(peer.port), [])
    wait_until(lambda: process.num_fds() <= before, 5, "descriptors are closed")


def test_waiting_works_without_poll_too(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    """As on Windows, which has `select` only."""
    monkeypatch.delattr(select, "poll", raising=False)
    interrupt = Interrupt()
    with BarePeer(serve, receive_buffer=SMALL_BUFFER) as peer:
        with opened(peer.port, interrupt=interrupt) as association:
            assert association.is_still_there()
            assert store(association, data_of(3 << 20)).status == 0
            association.release()
        with pytest.raises(ConnectionFailed, match="refused"):
            Association.open(peer_at(closed_port), CONTEXTS, interrupt=interrupt)
        interrupt.set()
    with BarePeer(lambda conversation: conversation.until_over()) as peer, pytest.raises(Interrupted):
        Association.open(peer_at(peer.port), CONTEXTS, interrupt=interrupt)
    interrupt.close()


def test_a_timeout_of_years_is_a_timeout() -> None:
    with BarePeer(serve) as peer, opened(peer.port, 2**31) as association:
        assert store(association, b"ab").status == 0
        association.release()


# DCMTK


@pytest.mark.parametrize("packs", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("max_pdu", [4096, 16384, 131072])
def test_storescp_keeps_what_we_sent_to_the_byte(max_pdu: int, packs: bool) -> None:
    files = [ct_instance(index, rows=8 << index, columns=64) for index in range(5)]
    with Storescp(bit_preserving=True, options=["--max-pdu", str(max_pdu)]) as peer:
        with opened(peer.port, packs=packs) as association:
            assert association.max_pdu == max_pdu
            assert association.peer_implementation_version.startswith("OFFIS_DCMTK")
            for index, file in enumerate(files):
                assert store(association, data_set_of(file), uid=instance_uid(index)).status == 0
            assert association.echo(5).status == 0
            association.release()
        received = peer.received()
        for index, file in enumerate(files):
            assert data_set_of(received[instance_uid(index)]) == data_set_of(file)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be made to acknowledge at once")
def test_a_peer_with_nagles_algorithm_on_is_not_waited_for() -> None:
    """Its response comes in two segments, of which the second waits for our acknowledgement."""
    data = data_set_of(ct_instance(rows=8, columns=8))
    with Storescp(ignore=True, nodelay=False) as peer, opened(peer.port) as association:
        prompt, index, begin = 0, 0, monotonic()
        # Linux acknowledges the first dozen at once by itself; on a slow day it takes more than a hundred of them.
        while prompt < 100 and monotonic() - begin < HANG_SECONDS:
            asked_at = monotonic()
            assert store(association, data, uid=instance_uid(index)).status == 0
            prompt += monotonic() - asked_at < DELAYED_ACK_SECONDS
            index += 1
        assert prompt == 100
        association.release()


@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
def test_storescp_aborts_and_we_say_so(option: str) -> None:
    data = data_set_of(ct_instance())
    with Storescp(options=[option]) as peer, opened(peer.port) as association:
        with pytest.raises(AssociationAborted, match="A-ABORT"):
            store(association, data, uid=instance_uid(0))
        assert association.ended == "aborted by the peer"


def test_storescp_refuses_and_dcmqrscp_does_not_know_the_title() -> None:
    with (
        Storescp(options=["--refuse"]) as peer,
        pytest.raises(AssociationRejected, match="no reason given"),
    ):
        Association.open(peer_at(peer.port), CONTEXTS)
    with Dcmqrscp() as archive, pytest.raises(AssociationRejected, match="called AE title not recognized"):
        Association.open(peer_at(archive.port, called="NOBODY"), CONTEXTS)
