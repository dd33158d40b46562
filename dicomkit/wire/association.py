"""One association, as its requestor: connect, negotiate, store, echo, release, abort (PS3.8 section 7)."""

# Theory of operation
# ===================
#
# An association has one socket, which never blocks, and at any moment one *phase*: the answer to our association
# request, sending the data set, the response to our request, the answer to our release. A phase has a deadline, and
# is what an error names. There are no threads and no callbacks here: each public method goes through its phase and
# returns, or ends the association.
#
# How it ends
# -----------
#
# `ended` is empty while the association is open, and says in a word or two how it ended from then on. It is set in
# `_close` alone, so the socket is closed when and only when `ended` is set. Whatever ends an association before its
# time raises a `WireError` with the facts: who, in which phase, and whether the peer may have stored the instance all
# the same (`_last_byte_sent`: true from its last byte until its response). What the user can do about it is said
# above, in `dicomkit.sending`. A few rules of PS3.8 hold on every way out:
#
# - Before A-ASSOCIATE-AC nothing was agreed, so a peer that talks nonsense is `ConnectionFailed`. After it, we answer
#   with A-ABORT as the service provider, and it is `ProtocolError` (`_fail`).
# - An A-ABORT in the middle of one of our PDUs would be read as a part of it. `_send_last` finishes the PDU first, if
#   the peer still takes bytes within half a second. But never the last PDU of a data set: with that the peer would
#   have it whole, and store what we say was aborted. Then the connection is reset instead.
#
# Sending an instance
# -------------------
#
# It goes in three steps, so that the next one can be made ready while the peer still works on this one:
#
#     load        its C-STORE-RQ and first megabyte are in the buffer (may be called before `response`)
#     transmit    every byte of it is handed to the socket
#     response    the peer's answer
#
# The buffer is `Layout`'s: a data set is never parsed and never held whole, and one `send` takes command and data.
#
# While it sends, an association must listen (`_wait_to_send`). A peer may abort in the middle, and one that answers
# before it has everything and then stops reading would leave both sides waiting. So a wait for the socket to take
# bytes is also a wait for it to have some, and between two megabytes there is a look (`transmit`). A failure response
# that comes early is kept in `_early`. We go on sending as long as the peer takes bytes, since a PDU cannot be taken
# back and the association is still good for the next instance, and give it as the response then. An early response
# that says "stored" cannot be true, and is a `ProtocolError`.
#
# When sending fails because the connection is gone, what the peer sent before is still to be read, and may say why
# (`_lost_while_sending`).
#
# Time
# ----
#
# The deadline is set by `_start_clock`. It starts again with all bytes that the socket takes from us, and, since the
# kernel holds megabytes for a slow peer, with all that the peer's TCP acknowledges, until its response is here
# (`_wait`). It does not with what the peer sends: a reply must be complete in time, and one that comes byte by byte is
# not waited for (`_receive`).
#
# Was it even attempted?
# ----------------------
#
# A peer may close an association between two instances just as we send the next one. By the count of bytes that its
# TCP acknowledged, `peer_took_none_of_it` tells whether it had any of that instance; if it had none, sending it again
# over another association is not a second attempt.

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn

from dicomkit.dictionary.statuses import status_category
from dicomkit.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectionFailed,
    IdentityNotConfirmed,
    Interrupted,
    PeerTimedOut,
    ProtocolError,
    TlsFailure,
    UnreadableError,
    WireError,
)
from dicomkit.wire import pdu as p
from dicomkit.wire.layout import Layout
from dicomkit.wire.socket import (
    READ,
    RESET_ON_CLOSE,
    TLS_RECORD_BYTES,
    WRITE,
    Interrupt,
    Peer,
    Poller,
    acknowledge_at_once,
    bytes_acknowledged,
    connect,
    os_reason,
)

if TYPE_CHECKING:
    from dicomkit.sources import DataSource
    from dicomkit.wire.tls import TlsSocket

__all__ = ["Association"]

# PDU and PDV header, and one byte of fragment in each direction of rounding.
LEAST_PDU = 16
# How long an A-ABORT may take, to a peer that may not be reading.
ABORT_SECONDS = 0.5
# How often a wait asks whether the peer takes what our system still holds for it.
SLICE_SECONDS = 0.5
NOTHING: Final = memoryview(b"")

# Phases, as an error names them
OPENING: Final = "the answer to our association request"
SENDING: Final = "sending the data set"
ECHOING: Final = "sending the C-ECHO"
ANSWERING: Final = "the response to our request"
BETWEEN: Final = "what the peer sent unasked"
RELEASING: Final = "the answer to our release"

# How an association ended, where it matters to `peer_took_none_of_it`.
ABORTED_BY_PEER: Final = "aborted by the peer"
CLOSED_BY_PEER: Final = "closed by the peer"


class Association:
    """An open association; made by `Association.open`, ended by `release` or `abort`, or by a `WireError`.

    One thread at a time may use it; an `Interrupt` may be set from any.
    """

    def __init__(
        self, peer: Peer, sock: socket.socket | TlsSocket, interrupt: Interrupt | None, *, packs: bool = True
    ) -> None:
        self.peer = peer
        self.contexts: dict[
            int, tuple[p.ProposedContext, p.ContextReply]
        ] = {}  # all that were answered, by ID
        self.accepted_count = 0  # those that can be used
        self.max_pdu = 0  # as the peer announced it; 0 for no limit
        self.peer_implementation_uid = self.peer_implementation_version = ""
        self.tls_version = "" if isinstance(sock, socket.socket) else sock.version
        self.identity_confirmed = False
        self.ended = ""
        self.bytes_sent = 0  # headers included
        self.sent_at = self.answered_at = 0.0  # last byte and last response, by `time.monotonic`
        self._packs = packs
        self._sock = sock
        self._poller = Poller(sock, interrupt)
        self._phase = OPENING
        self._deadline = 0.0
        self._established = False
        self._accepted: dict[tuple[str, str], int] = {}
        # What came: bytes that are no PDU yet, and fragments that are no command yet.
        self._received = bytearray()
        self._command = bytearray()
        self._early: p.Response | None = None
        self._announcing: p.Response | None = None  # the response whose data set is still to come
        # What is asked: message ID, context ID, and the command field of the response that is due.
        self._outstanding: tuple[int, int, int] | None = None
        self._message_id = 0
        # What is sent: the instance made ready, and the whole PDUs under way, of which so much is out.
        self._loaded: tuple[tuple[int, int, int], memoryview] | None = None
        self._sending = NOTHING
        self._sent_of_it = 0
        self._data_sent = 0
        self._last_byte_sent = False
        # By the count of the peer's TCP, before the last instance and at the end.
        self._bytes_before: int | None = 0
        self._bytes_acked: int | None = None

    # ------------------------------------------------------------------------------------------ opening

    @classmethod
    def open(
        cls,
        peer: Peer,
        contexts: Sequence[p.ProposedContext],
        *,
        interrupt: Interrupt | None = None,
        packs: bool = True,
    ) -> Association:
        """Connect, shake hands where there is TLS, and negotiate 1 to 128 contexts; the interrupt ends any
        wait.
        """
        plain = connect(peer, interrupt)
        sock: socket.socket | TlsSocket = plain
        if peer.tls is not None:
            from dicomkit.wire.tls import secured

            sock = secured(plain, peer, peer.tls, interrupt)
        association = cls(peer, sock, interrupt, packs=packs)
        try:
            association._negotiate(contexts)
        except BaseException:
            association._close("not established")
            raise
        return association

    @property
    def is_open(self) -> bool:
        return not self.ended

    def _negotiate(self, contexts: Sequence[p.ProposedContext]) -> None:
        peer, identity = self.peer, self.peer.identity
        request = p.encode_associate_request(peer.calling_aet, peer.called_aet, contexts, identity=identity)
        self._send(memoryview(request))
        pdu = self._receive()
        if isinstance(pdu, p.AssociateReject):
            raise AssociationRejected(
                "{} ({})".format(*p.reject_words(pdu.result, pdu.source, pdu.reason)),
                result=pdu.result,
                source=pdu.source,
                reason=pdu.reason,
                proposed=tuple((context.abstract_syntax, context.transfer_syntaxes) for context in contexts),
            )
        if isinstance(pdu, p.Abort):
            raise self._aborted_by_peer(pdu)
        if not isinstance(pdu, p.AssociateAccept):
            self._fail(f"{peer} answered our association request with {pdu.title}", received=pdu.title)
        proposed = {context.id: context for context in contexts}
        for reply in pdu.replies:
            context = proposed.pop(reply.id, None)
            if context is None:
                continue  # not asked for, or answered before
            self.contexts[reply.id] = (context, reply)
            if reply.result == p.CONTEXT_ACCEPTED and not p.why_unusable(context, reply):
                self._accepted.setdefault((context.abstract_syntax, reply.transfer_syntax), reply.id)
                self.accepted_count += 1
        self.max_pdu = pdu.max_pdu
        self.peer_implementation_uid = pdu.implementation_class_uid
        self.peer_implementation_version = pdu.implementation_version
        self._established = True
        if 0 < self.max_pdu < LEAST_PDU:
            self._fail(f"{peer} takes PDUs of {self.max_pdu} bytes at most, which no fragment fits into")
        self._layout = Layout(self.max_pdu, packs=self._packs)
        self.identity_confirmed = pdu.identity_confirmed
        if identity is not None and identity.positive_response_requested and not pdu.identity_confirmed:
            self.end()  # nothing was sent, so nothing depends on how politely
            raise IdentityNotConfirmed(
                f"{peer} accepted us, but did not confirm the user identity ({identity.kind_name}) as it was asked to, "
                "so nothing was sent",
                result=1,
                source=1,
                reason=1,
            )

    def context_for(self, sop_class_uid: str, transfer_syntax: str) -> int | None:
        """The ID of the accepted context that carries this SOP class in this transfer syntax."""
        return self._accepted.get((sop_class_uid, transfer_syntax))

    def accepted_syntaxes(self, sop_class_uid: str) -> list[str]:
        """The transfer syntaxes that the peer took this SOP class in."""
        return [syntax for abstract, syntax in self._accepted if abstract == sop_class_uid]

    # ------------------------------------------------------------------------------------------ storing

    def load(
        self, source: DataSource, length: int, context_id: int, sop_class_uid: str, sop_instance_uid: str
    ) -> None:
        """Make an instance ready: its C-STORE-RQ and the first megabyte of its data set are in the buffer.

        May be called while the response to the instance before is still due, once `transmit` is done. The source
        stays open until this one is transmitted. `UnreadableError` when it broke: nothing of it was sent.
        """
        if len(sop_class_uid) > p.MAX_UID or len(sop_instance_uid) > p.MAX_UID:
            raise UnreadableError(
                f"a UID of it is longer than {p.MAX_UID} characters, which PS3.5 section 9 forbids"
            )
        message_id = self._next_message_id()
        try:
            request = p.encode_store_request(message_id, sop_class_uid, sop_instance_uid)
        except UnicodeEncodeError:
            raise UnreadableError(
                "a UID of it has characters other than digits and dots, which PS3.5 section 9 forbids"
            ) from None
        chunk = self._layout.first_chunk(request, context_id, source, length)
        self._loaded = (message_id, context_id, p.C_STORE_RSP), chunk

    def transmit(self) -> None:
        """Hand all of the loaded instance to the socket; UnreadableError when the source broke, and we
        aborted.
        """
        assert self._loaded is not None, "transmit needs a load"
        self._outstanding, chunk = self._loaded
        self._loaded = None
        self._phase = SENDING
        self._early = None
        self._last_byte_sent = False
        self._bytes_before = self._bytes_out()
        self._data_sent = 0
        layout = self._layout
        while True:
            if not self._send(chunk):
                return
            self._data_sent += layout.taken
            if not layout.remaining:
                break
            # A peer that takes everything at once never has us wait, and may have spoken all the same.
            if self._early is None and self._poller.is_readable():
                self._read_while_sending()
            try:
                chunk = layout.next_chunk()
            except BaseException:
                self.abort()
                raise
        self._phase = ANSWERING
        self._last_byte_sent = True
        self.sent_at = monotonic()
        acknowledge_at_once(self._sock)

    def response(self) -> p.Response:
        """Wait for the response to what was transmitted; in the error when none came, `may_be_stored` is True."""
        response, self._early = self._early, None
        try:
            while response is None:
                response = self._take(self._receive())
                if response is None and monotonic() > self._deadline:
                    self._time_out()
        except (AssociationAborted, PeerTimedOut) as error:
            if self._announcing is not None:
                raise self._without_data_set(self._announcing) from error
            raise
        self.answered_at = monotonic()
        self._outstanding = None
        self._last_byte_sent = False
        return response

    def echo(self, context_id: int) -> p.Response:
        """C-ECHO over an accepted Verification context, PS3.7 section 9.1.5."""
        message_id = self._next_message_id()
        self._outstanding = (message_id, context_id, p.C_ECHO_RSP)
        self._phase = ECHOING
        self._early = None
        command = p.encode_echo_request(message_id)
        self._send(memoryview(p.fragments_of(command, context_id, self._layout.max_pdu)))
        self._phase = ANSWERING
        self.sent_at = monotonic()
        return self.response()

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    @property
    def data_bytes_sent(self) -> int:
        """Bytes of the last data set, without headers, that were handed to the socket."""
        under_way = p.data_bytes_in(self._sending[: self._sent_of_it]) if self._sent_of_it else 0
        return self._data_sent + under_way

    def is_still_there(self) -> bool:
        """Whether the peer has kept its side open; asked before an instance is sent, so that none is wasted."""
        if not self.is_open:
            return False
        if not self._received and not self._poller.is_readable():
            return True
        self._phase = BETWEEN
        self._start_clock()
        try:
            if self.tls_version and not self._received:
                try:
                    self._fill()
                except BlockingIOError:
                    return True  # a matter of TLS only, such as a session ticket
            pdu = self._receive()
        except WireError:
            return False
        if isinstance(pdu, p.ReleaseRequest):
            self._answer_release()
        elif isinstance(pdu, p.Abort):
            self._close(ABORTED_BY_PEER)
        else:
            self._send_last(p.encode_abort(2, 2))
            self._close("aborted: the peer sent what was not asked for")
        return False

    def peer_took_none_of_it(self) -> bool:
        """Whether the peer's TCP acknowledged no byte of the last instance, so that it was never attempted.

        True only where the system can tell (Linux), and only after a close or an A-ABORT of the peer: those bring
        the count of what its TCP took along. A reset does not: it may overtake the acknowledgement of an instance
        that was read whole, and after a silence our bytes may still be on their way.
        """
        return (
            self.ended in (CLOSED_BY_PEER, ABORTED_BY_PEER)
            and self._bytes_acked is not None
            and self._bytes_before is not None
            and self._bytes_acked <= self._bytes_before + 1  # the SYN counts as one
        )

    def _bytes_out(self) -> int | None:
        """What has left for the peer so far, as its TCP counts: under TLS more than what we sent."""
        if not self.tls_version:
            return self.bytes_sent
        acked = bytes_acknowledged(self._sock)
        return None if acked is None else acked - 1

    # ------------------------------------------------------------------------------------------ ending

    def release(self) -> None:
        """A-RELEASE, PS3.8 section 7.2: ask, wait for the answer, close; no instance is in doubt if that fails."""
        self._phase = RELEASING
        self._send(memoryview(p.encode_release_request()))
        pdu = self._receive()
        if isinstance(pdu, p.ReleaseRequest):  # a collision, PS3.8 section 7.2.2.7: we answer first
            self._send(memoryview(p.encode_release_reply()))
            pdu = self._receive()
        if isinstance(pdu, p.Abort):
            raise self._aborted_by_peer(pdu)
        if not isinstance(pdu, p.ReleaseReply):
            self._fail(f"{self.peer} answered our release with {pdu.title}")
        self._close("released")

    def end(self) -> str:
        """Release if it is open, or else abort, and say why; never raises, since every response is in by then."""
        if not self.is_open:
            return ""
        try:
            self.release()
        except WireError as error:
            return str(error)
        finally:
            self.abort()  # which does nothing once it is released
        return ""

    def abort(self) -> None:
        """A-ABORT as service user, then close; never raises, and takes no longer than half a second."""
        if self.is_open:
            self._send_last(p.encode_abort())
            self._close("aborted by us")

    def _answer_release(self) -> None:
        self._send_last(p.encode_release_reply())
        self._close("released by the peer")

    def _send_last(self, data: bytes) -> None:
        """Send a last PDU if the peer takes it, after the rest of the PDU it would otherwise be lost in."""
        end = 0
        # A record of TLS that was begun is to be finished with what it was begun with.
        begun = TLS_RECORD_BYTES if self.tls_version and self._sending else 0
        while end < min(self._sent_of_it + begun, len(self._sending)):
            end += p.PDU_HEADER.size + p.PDU_HEADER.unpack_from(self._sending, end)[1]
        rest = bytes(self._sending[self._sent_of_it : end]) + data
        completes_pdus = self._sending and end >= len(self._sending)
        deadline = monotonic() + ABORT_SECONDS
        try:
            if completes_pdus and self._phase == SENDING and not self._layout.remaining:
                raise ConnectionResetError  # the rest would complete the data set, and the peer would store it
            while rest:
                self._sock.settimeout(max(deadline - monotonic(), 0.001))
                rest = rest[self._sock.send(rest) :]
        except OSError:
            # Or it does not read: a reset tells it, without a queue that would outlive us.
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _close(self, ended: str) -> None:
        if self.is_open:
            self.ended = ended
            self._bytes_acked = bytes_acknowledged(self._sock)
            self._sock.close()

    # ------------------------------------------------------------------------------------------ socket

    def _send(self, data: memoryview) -> bool:
        """Send all of it, whole PDUs; False when the peer went after an early failure response, which then
        counts.
        """
        self._sending, self._sent_of_it = data, 0
        self._start_clock()
        while True:
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                if not self._wait_to_send():
                    return False
                continue
            except OSError as error:
                self._lost_while_sending(error)
                return False
            self._start_clock()
            self.bytes_sent += sent
            if sent == len(data):
                self._sending, self._sent_of_it = NOTHING, 0
                return True
            self._sent_of_it += sent
            data = data[sent:]

    def _wait_to_send(self) -> bool:
        if self._early is None:
            if self._wait(READ | WRITE) & READ:
                self._read_while_sending()
            return True
        try:
            self._wait(WRITE)
        except PeerTimedOut:
            return False  # it answered and then stopped reading
        return True

    def _read_while_sending(self) -> None:
        """Take what the peer said so far; nothing, when what came was TLS's own."""
        with suppress(BlockingIOError):
            self._listen()

    def _listen(self) -> None:
        self._fill()
        while self._early is None and (pdu := self._decode()) is not None:
            response = self._take(pdu)
            if response is not None and status_category(response.status) != "Failure":
                self._fail(f"{self.peer} answered that it stored the instance before it had all of it")
            self._early = response

    def _lost_while_sending(self, error: OSError) -> None:
        """The peer may have said why before it went: an A-ABORT, or an early response, is still to be read."""
        while self._early is None:
            try:
                self._listen()
            except BlockingIOError:
                self._lost(error)
        self._close("closed by the peer after its response")

    def _receive(self) -> p.Pdu:
        """The next PDU, complete before the deadline; what is already here counts, however late we come for it."""
        is_late = False
        while (pdu := self._decode()) is None:
            if is_late:  # trickled bytes do not extend the deadline
                self._time_out()
            try:
                self._fill()
            except BlockingIOError:
                self._wait(READ)
            else:
                is_late = monotonic() > self._deadline
        return pdu

    def _decode(self) -> p.Pdu | None:
        if not self._received:
            return None
        try:
            found = p.next_pdu(self._received)
        except ProtocolError as error:
            self._fail(str(error), received=error.received)
        if found is None:
            return None
        del self._received[: found[1]]
        return found[0]

    def _fill(self) -> None:
        """Take what the socket has; raises `BlockingIOError` when that is nothing."""
        acknowledge_at_once(self._sock)
        try:
            data = self._sock.recv(1 << 16)
        except (BlockingIOError, InterruptedError):
            raise BlockingIOError from None
        except OSError as error:
            self._lost(error)
        if not data:
            self._lost(None)
        self._received += data

    def _start_clock(self) -> None:
        self._deadline = monotonic() + self.peer.timeout_seconds

    def _wait(self, events: int) -> int:
        """READ and WRITE as far as ready before the deadline, which starts again while the peer's TCP takes
        bytes.
        """
        acked = None
        while True:
            remaining = self._deadline - monotonic()
            if remaining <= 0:
                self._time_out()
            ready = self._poller.wait(events, min(remaining, SLICE_SECONDS, self.peer.timeout_seconds / 4))
            if ready > 0:
                return ready
            if ready < 0:
                doubt = self._doubt()
                self.abort()
                raise Interrupted(
                    f"cancelled by us during {self._phase}{doubt}",
                    phase=self._phase,
                    may_be_stored=self._last_byte_sent,
                )
            before, acked = acked, bytes_acknowledged(self._sock)
            if before is not None and acked is not None and acked > before:
                self._start_clock()

    # ------------------------------------------------------------------------------------------ what came

    def _take(self, pdu: p.Pdu) -> p.Response | None:
        """The response that this PDU completes, checked against the request it should answer."""
        if isinstance(pdu, p.Abort):
            raise self._aborted_by_peer(pdu)
        if isinstance(pdu, p.ReleaseRequest):
            self._answer_release()
            raise self._aborted("released the association instead of answering")
        if not isinstance(pdu, p.DataTransfer) or self._outstanding is None:
            self._fail(f"{self.peer} sent {pdu.title} where a response was due")
        message_id, context_id, command_field = self._outstanding
        response = None
        for pdv in pdu.pdvs:
            if response is not None:
                self._fail(f"{self.peer} sent more than its response")
            if pdv.context_id != context_id:
                self._fail(
                    f"{self.peer} answered on presentation context {pdv.context_id}, we asked on {context_id}"
                )
            if self._announcing is not None:
                # A data set that PS3.7 section 9.3.1.2 does not know of: it says nothing of the instance.
                if pdv.is_command:
                    self._fail(f"{self.peer} sent a command where the data set of its response was due")
                if pdv.is_last:
                    response, self._announcing = self._announcing, None
                continue
            if not pdv.is_command:
                self._fail(f"{self.peer} sent a data set where a response was due")
            self._command += pdv.fragment
            if len(self._command) > p.MAX_COMMAND:
                self._fail(f"{self.peer} sent a response longer than {p.MAX_COMMAND} bytes")
            if pdv.is_last:
                command = bytes(self._command)
                self._command.clear()
                response = self._checked(command, message_id, command_field)
                if response.has_data_set:
                    self._announcing, response = response, None
        return response

    def _checked(self, command: bytes, message_id: int, command_field: int) -> p.Response:
        try:
            response = p.decode_response(command)
        except ProtocolError as error:
            self._fail(str(error))
        if response.command_field != command_field:
            self._fail(
                f"{self.peer} answered with command 0x{response.command_field:04X}, not 0x{command_field:04X}"
            )
        if response.message_id != message_id:
            self._fail(
                f"{self.peer} answered message {response.message_id}, we asked as message {message_id}"
            )
        return response

    # ------------------------------------------------------------------------------------------ failing

    def _doubt(self) -> str:
        return "; it may have stored the instance" if self._last_byte_sent else ""

    def _aborted(self, what: str) -> AssociationAborted:
        return AssociationAborted(
            f"{self.peer} {what}{self._doubt()}", phase=self._phase, may_be_stored=self._last_byte_sent
        )

    def _aborted_by_peer(self, pdu: p.Abort) -> AssociationAborted:
        self._close(ABORTED_BY_PEER)
        if self._phase in (SENDING, ECHOING):
            when = "while we were sending"
        else:
            when = f"instead of answering our {'request' if self._established else 'association request'}"
        error = self._aborted(f"sent A-ABORT ({p.abort_words(pdu.source, pdu.reason)}) {when}")
        error.source, error.reason = pdu.source, pdu.reason
        error.ended_request = not self._established
        return error

    def _fail(self, message: str, *, received: str = "") -> NoReturn:
        """The peer broke the protocol: say so to it and to the caller."""
        if not self._established:
            self._close("not established")
            raise ConnectionFailed(message, phase=self._phase, received=received or "a malformed PDU")
        self._send_last(p.encode_abort(2, 2))  # provider, unexpected PDU: PS3.8 Table 9-26
        self._close("aborted by us: protocol error")
        raise self._protocol_error(f"{message}, so we aborted")

    def _without_data_set(self, response: p.Response) -> ProtocolError:
        """It answered, but its answer has no end; why the association ended matters less than that."""
        error = self._protocol_error(
            f"{self.peer} answered with status 0x{response.status:04X} and announced a data set after that (a Command "
            "Data Set Type other than 0x0101), which never came"
        )
        error.may_pass = False
        return error

    def _protocol_error(self, message: str) -> ProtocolError:
        return ProtocolError(
            f"{message}{self._doubt()}", phase=self._phase, may_be_stored=self._last_byte_sent
        )

    def _lost(self, error: OSError | None) -> NoReturn:
        """The connection ended under the association."""
        self._close(CLOSED_BY_PEER if error is None else "connection lost")
        how = "closed the connection" if error is None else f"lost the connection ({os_reason(error)})"
        if self._established:
            raise self._aborted(f"{how} during {self._phase}")
        if isinstance(error, TlsFailure):
            from dicomkit.wire.tls import insecure

            raise insecure(error, self.peer)
        raise ConnectionFailed(
            f"{self.peer} {how} during {self._phase}",
            phase=self._phase,
            errno=None if error is None else error.errno,
            ended_request=True,
        )

    def _time_out(self) -> NoReturn:
        self._send_last(p.encode_abort())
        self._close("aborted by us: timed out")
        raise PeerTimedOut(
            f"timed out: {self.peer} was silent for {self.peer.timeout_seconds:g} s during {self._phase}"
            f"{self._doubt()}",
            phase=self._phase,
            may_be_stored=self._last_byte_sent,
        )
