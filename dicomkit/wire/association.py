"""One association, as its requestor: connect, negotiate, store, echo, release, abort (PS3.8 section 7).

Strategy: a non-blocking socket, and one deadline for each phase. Whatever ends an association before its time is a
`WireError` that says who did it, in which phase, and what to do. A data set is never parsed and never held whole:
its PDUs are laid out once in a reused buffer with their headers in place, the source is read straight into the gaps
between them, and a single `send` takes command and data together.

An instance goes out in three steps, so that the next one can be made ready while the peer still works on this one:
`load` (its first megabyte is in the buffer), `transmit` (every byte is handed to the socket), `response`.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from struct import Struct
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn

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
from dicomkit.statuses import status_category
from dicomkit.uids import uid_name
from dicomkit.wire import pdu as p
from dicomkit.wire.connection import (
    READ,
    WRITE,
    Interrupt,
    Peer,
    Poller,
    connect,
    insecure,
    os_reason,
    secured,
)
from dicomkit.wire.layout import Layout

if TYPE_CHECKING:
    from dicomkit.instances import DataSource
    from dicomkit.wire.tls import TlsSocket

__all__ = ["Association"]


MAX_UID = 64  # PS3.5 section 9.1
# PDU and PDV header, and one byte of fragment in each direction of rounding.
LEAST_PDU = 16
# How long a courtesy may take: an A-ABORT to a peer that may not be reading.
ABORT_SECONDS = 0.5
TLS_RECORD_BYTES = 1 << 14  # the longest plaintext of a record, RFC 8446 section 5.1
# A sentence on a proposal names so many of its SOP classes.
CLASSES_NAMED = 3
# How often a wait asks whether the peer takes what our system still holds for it.
SLICE_SECONDS = 0.5

# How an association ended, where it matters to `peer_took_none_of_it`.
ABORTED_BY_PEER: Final = "aborted by the peer"
CLOSED_BY_PEER: Final = "closed by the peer"

_TCP_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)
NOTHING: Final = memoryview(b"")
_BYTES_ACKED = Struct("=120xQ")  # tcpi_bytes_acked in struct tcp_info, Linux 4.1 and later
_RESET_ON_CLOSE = Struct("ii").pack(1, 0) if sys.platform != "win32" else Struct("hh").pack(1, 0)


class Association:
    """An open association; made by `Association.open`, ended by `release` or `abort`, or by a `WireError`.

    One thread at a time may use it; an `Interrupt` may be set from any.

    Attributes
    ----------
    contexts : dict of int to (ProposedContext, ContextReply)
        The answer to every proposed context, by its ID.
    max_pdu : int
        As the peer announced it; 0 for no limit.
    peer_implementation_uid, peer_implementation_version : str
    tls_version : str
        ``TLSv1.3``, say; empty without TLS.
    identity_confirmed : bool
        Whether the peer gave the positive response to our user identity.
    ended : str
        How it ended, in a word or two; empty while it is open.
    bytes_sent : int
        All that was handed to the socket, headers included.
    answered_at : float
        When the last response came, on the clock of `time.monotonic`.
    """

    def __init__(
        self, peer: Peer, sock: socket.socket | TlsSocket, interrupt: Interrupt | None, *, packs: bool = True
    ) -> None:
        self.peer = peer
        self.contexts: dict[int, tuple[p.ProposedContext, p.ContextReply]] = {}
        self.max_pdu = 0
        self.peer_implementation_uid = ""
        self.peer_implementation_version = ""
        self.tls_version = "" if isinstance(sock, socket.socket) else sock.version
        self.identity_confirmed = False
        self.ended = ""
        self.bytes_sent = 0
        self._packs = packs
        self._sock = sock
        self._poller = Poller(sock, interrupt)
        self._established = False
        self._accepted: dict[tuple[str, str], int] = {}
        self._received = bytearray()
        self._message_id = 0
        self._command = bytearray()
        self._outstanding: tuple[int, int, int] | None = (
            None  # message ID, context ID, response's command field
        )
        self._early: p.Response | None = None
        self._announcing: p.Response | None = None  # the response whose data set is still to come
        self._loaded: _Outgoing | None = None
        self._sending = NOTHING
        self._sent_of_it = 0
        self._last_byte_sent = False
        self._is_transmitting = False
        self._is_last_chunk = False
        self._bytes_before: int | None = 0
        self._data_sent = 0
        self.answered_at = 0.0
        self._bytes_acked: int | None = None
        self._sent_at = 0.0
        self._deadline = 0.0

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
        """Connect, shake hands where there is TLS, and negotiate.

        Parameters
        ----------
        contexts
            1 to 128, with odd IDs.
        interrupt
            Ends any wait of this association with `Interrupted` when it is set.
        packs
            Whether command and data may share a PDU.

        Raises
        ------
        ConnectionFailed, AssociationRejected, AssociationAborted, PeerTimedOut, Interrupted
        """
        sock: socket.socket | TlsSocket = connect(peer, interrupt)
        if peer.tls is not None:
            sock = secured(sock, peer, peer.tls, interrupt)  # type: ignore[arg-type]
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
        peer = self.peer
        phase = "the answer to our association request"
        request = p.encode_associate_request(
            peer.calling_aet, peer.called_aet, contexts, identity=peer.identity
        )
        self._send(memoryview(request), phase)
        pdu = self._receive(phase)
        if isinstance(pdu, p.AssociateReject):
            raise _rejection(pdu, peer, contexts)
        if isinstance(pdu, p.Abort):
            raise self._aborted_by_peer(pdu)
        if not isinstance(pdu, p.AssociateAccept):
            self._fail(
                f"{peer} answered our association request with {_name(pdu)}; check that it is a DICOM SCP"
            )
        proposed = {context.id: context for context in contexts}
        for reply in pdu.replies:
            context = proposed.get(reply.id)
            if context is None or reply.id in self.contexts:
                continue
            self.contexts[reply.id] = (context, reply)
            if reply.result == p.CONTEXT_ACCEPTED and not p.why_unusable(context, reply):
                self._accepted.setdefault((context.abstract_syntax, reply.transfer_syntax), reply.id)
        self.max_pdu = pdu.max_pdu
        self.peer_implementation_uid = pdu.implementation_class_uid
        self.peer_implementation_version = pdu.implementation_version
        self._established = True
        if 0 < self.max_pdu < LEAST_PDU:
            self._fail(f"{peer} takes PDUs of {self.max_pdu} bytes at most, which no fragment fits into")
        self._layout = Layout(self.max_pdu, packs=self._packs)
        self.identity_confirmed = pdu.identity_confirmed
        identity = peer.identity
        if identity is not None and identity.positive_response_requested and not pdu.identity_confirmed:
            self.end()  # nothing was sent, so nothing depends on how politely
            raise IdentityNotConfirmed(
                f"{peer} accepted us, but did not confirm the user identity ({identity.kind_name}) as it was asked to, "
                "so nothing was sent; it may not support user identities: have that enabled at the peer, or do "
                "without positive_response_requested",
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

        May be called while the response to the instance before is still due, once `transmit` is done.

        Parameters
        ----------
        source
            Delivers the `length` bytes of the data set; stays open until `transmit` is done.

        Raises
        ------
        UnreadableError
            The source broke; nothing of it was sent.
        """
        if len(sop_class_uid) > MAX_UID or len(sop_instance_uid) > MAX_UID:
            raise UnreadableError(
                f"a UID of it is longer than {MAX_UID} characters, which PS3.5 section 9 forbids"
            )
        self._message_id = self._message_id % 0xFFFF + 1
        try:
            request = p.encode_store_request(self._message_id, sop_class_uid, sop_instance_uid)
        except UnicodeEncodeError:
            raise UnreadableError(
                "a UID of it has characters other than digits and dots, which PS3.5 section 9 forbids"
            ) from None
        outgoing = _Outgoing(self._message_id, context_id, source, length)
        outgoing.chunk = self._layout.first_chunk(request, context_id, source, length)
        outgoing.remaining = length - self._layout.taken
        self._loaded = outgoing

    def transmit(self) -> None:
        """Hand every byte of the loaded instance to the socket.

        Raises
        ------
        WireError
            The association is gone.
        UnreadableError
            The source broke after part of it was sent; the association had to be aborted.
        """
        outgoing, self._loaded = self._loaded, None
        assert outgoing is not None and outgoing.chunk is not None, "transmit needs a load"
        self._outstanding = (outgoing.message_id, outgoing.context_id, p.C_STORE_RSP)
        self._early = None
        self._last_byte_sent = False
        self._is_transmitting = True
        self._bytes_before = self._bytes_out()
        chunk = outgoing.chunk
        length = outgoing.remaining + self._layout.taken
        self._data_sent = 0
        while True:
            self._is_last_chunk = not outgoing.remaining
            if not self._send(chunk, "sending the data set"):
                return
            self._is_last_chunk = False
            self._data_sent = length - outgoing.remaining
            if not outgoing.remaining:
                break
            # A peer that takes everything at once never has us wait, and may have spoken all the same.
            if self._early is None and self._poller.is_readable():
                self._read_while_sending("sending the data set")
            try:
                chunk = self._layout.next_chunk(outgoing.context_id, outgoing.source, outgoing.remaining)
            except BaseException:
                self.abort()
                raise
            outgoing.remaining -= self._layout.taken
        self._is_transmitting = False
        self._last_byte_sent = True
        self._sent_at = monotonic()
        self._quick_ack()

    def response(self) -> p.Response:
        """Wait for the response to what was transmitted.

        Raises
        ------
        WireError
            Nothing, or nothing fitting, came; `may_be_stored` is True.
        """
        response, self._early = self._early, None
        phase = "the response to our request"
        try:
            while response is None:
                response = self._take(self._receive(phase))
                if response is None and monotonic() > self._deadline:
                    self._time_out(phase)
        except (AssociationAborted, PeerTimedOut) as error:
            if self._announcing is not None:
                raise self._without_data_set(self._announcing) from error
            raise
        self.answered_at = monotonic()
        self._outstanding = None
        self._last_byte_sent = self._is_transmitting = False
        return response

    def echo(self, context_id: int) -> p.Response:
        """C-ECHO over an accepted Verification context, PS3.7 section 9.1.5."""
        self._message_id = self._message_id % 0xFFFF + 1
        command = p.encode_echo_request(self._message_id)
        self._outstanding = (self._message_id, context_id, p.C_ECHO_RSP)
        self._early = None
        self._send(
            memoryview(p.fragments_of(command, context_id, self._layout.max_pdu)), "sending the C-ECHO"
        )
        self._sent_at = monotonic()
        return self.response()

    @property
    def data_bytes_sent(self) -> int:
        """Bytes of the last data set, without headers, that were handed to the socket."""
        under_way = p.data_bytes_in(self._sending[: self._sent_of_it]) if self._sent_of_it else 0
        return self._data_sent + under_way

    @property
    def accepted_count(self) -> int:
        """How many of the proposed contexts the peer accepted in a way that they can be used."""
        return sum(
            reply.result == p.CONTEXT_ACCEPTED and not p.why_unusable(context, reply)
            for context, reply in self.contexts.values()
        )

    @property
    def sent_at(self) -> float:
        """When the last byte was handed over, on the clock of `time.monotonic`."""
        return self._sent_at

    def is_still_there(self) -> bool:
        """Whether the peer has kept its side open; asked before an instance is sent, so that none is wasted.

        A peer may end an association between two instances by a close, an A-ABORT or an A-RELEASE-RQ, which gets
        its answer here.
        """
        if not self.is_open:
            return False
        if not self._received and not self._poller.is_readable():
            return True
        try:
            self._start_clock()
            if self.tls_version and not self._received:
                try:
                    self._fill("what the peer sent unasked")
                except BlockingIOError:
                    return True  # a matter of TLS only, such as a session ticket
            pdu = self._receive("what the peer sent unasked")
        except WireError:
            return False
        if isinstance(pdu, p.ReleaseRequest):
            self._send_last(p.encode_release_reply())
            self._close("released by the peer")
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
        """What has left for the peer so far, as its TCP counts.

        Under TLS that is more than what we sent. All of it was acknowledged along with the last response.
        """
        if not self.tls_version:
            return self.bytes_sent
        acked = _bytes_acked(self._sock)
        return None if acked is None else acked - 1

    # ------------------------------------------------------------------------------------------ ending

    def release(self) -> None:
        """A-RELEASE, PS3.8 section 7.2: ask, wait for the answer, close.

        Raises
        ------
        WireError
            The answer did not come; every response had, so no instance is in doubt.
        """
        phase = "the answer to our release"
        self._send(memoryview(p.encode_release_request()), phase)
        pdu = self._receive(phase)
        if isinstance(
            pdu, p.ReleaseRequest
        ):  # a collision, PS3.8 section 7.2.2.7: the requestor answers first
            self._send(memoryview(p.encode_release_reply()), phase)
            pdu = self._receive(phase)
        if isinstance(pdu, p.Abort):
            raise self._aborted_by_peer(pdu)
        if not isinstance(pdu, p.ReleaseReply):
            self._fail(f"{self.peer} answered our release with {_name(pdu)}")
        self._close("released")

    def end(self) -> str:
        """Release if it is open, and abort where that fails; never raises, since every response is in by then.

        Returns
        -------
        str
            Why it was not released; empty when it was, or was not open any more.
        """
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

    def _send_last(self, data: bytes) -> None:
        """Send a last PDU if the peer takes it, after the rest of the PDU it would otherwise be lost in."""
        end = 0
        # A record of TLS that was begun is to be finished with what it was begun with.
        begun = TLS_RECORD_BYTES if self.tls_version and self._sending else 0
        while end < min(self._sent_of_it + begun, len(self._sending)):
            end += p.PDU_HEADER.size + p.PDU_HEADER.unpack_from(self._sending, end)[1]
        rest = bytes(self._sending[self._sent_of_it : end]) + data
        deadline = monotonic() + ABORT_SECONDS
        try:
            if self._is_last_chunk and self._sending and end >= len(self._sending):
                raise ConnectionResetError  # the rest would complete the data set, and the peer would store it
            while rest:
                self._sock.settimeout(max(deadline - monotonic(), 0.001))
                rest = rest[self._sock.send(rest) :]
        except OSError:
            # Or it does not read: a reset tells it, without a queue that would outlive us.
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def _close(self, ended: str) -> None:
        if self.is_open:
            self.ended = ended
            self._bytes_acked = _bytes_acked(self._sock)
            self._sock.close()

    # ------------------------------------------------------------------------------------------ socket

    def _send(self, data: memoryview, phase: str) -> bool:
        """Send all of it, whole PDUs; False when the peer went after an early failure response, which then counts.

        The clock starts again whenever the peer takes bytes. While the peer is slow to take them we also look at
        what it sends: it may abort, or answer before it has everything.
        """
        self._sending, self._sent_of_it = data, 0
        self._start_clock()
        while True:
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                if not self._wait_to_send(phase):
                    return False
                continue
            except OSError as error:
                self._lost_while_sending(error, phase)
                return False
            self._start_clock()
            self.bytes_sent += sent
            if sent == len(data):
                self._sending, self._sent_of_it = NOTHING, 0
                return True
            self._sent_of_it += sent
            data = data[sent:]

    def _wait_to_send(self, phase: str) -> bool:
        if self._early is None:
            if self._wait(READ | WRITE, phase) & READ:
                self._read_while_sending(phase)
            return True
        try:
            self._wait(WRITE, phase)
        except PeerTimedOut:
            return False  # it answered and then stopped reading
        return True

    def _read_while_sending(self, phase: str) -> None:
        """Hear what the peer said so far; nothing, when what came was TLS's own."""
        with suppress(BlockingIOError):
            self._hear(phase)

    def _hear(self, phase: str) -> None:
        self._fill(phase)
        while self._early is None and (found := self._decode()) is not None:
            response = self._take(found)
            if response is not None and status_category(response.status) != "Failure":
                self._fail(f"{self.peer} answered that it stored the instance before it had all of it")
            self._early = response

    def _lost_while_sending(self, error: OSError, phase: str) -> None:
        """The peer may have said why before it went: an A-ABORT, or an early response, is still to be read."""
        while self._early is None:
            try:
                self._hear(phase)
            except BlockingIOError:
                self._lost(error, phase)
        self._close("closed by the peer after its response")

    def _receive(self, phase: str) -> p.Pdu:
        """The next PDU, complete before the deadline; what is already here counts, however late we come for it."""
        is_late = False
        while (found := self._decode()) is None:
            if is_late:  # trickled bytes do not extend the deadline
                self._time_out(phase)
            try:
                self._fill(phase)
            except BlockingIOError:
                self._wait(READ, phase)
            else:
                is_late = monotonic() > self._deadline
        return found

    def _decode(self) -> p.Pdu | None:
        if not self._received:
            return None
        try:
            found = p.next_pdu(self._received)
        except ProtocolError as error:
            self._fail(str(error))
        if found is None:
            return None
        del self._received[: found[1]]
        return found[0]

    def _fill(self, phase: str) -> None:
        """Take what the socket has; raises `BlockingIOError` when that is nothing."""
        self._quick_ack()
        try:
            data = self._sock.recv(1 << 16)
        except (BlockingIOError, InterruptedError):
            raise BlockingIOError from None
        except OSError as error:
            self._lost(error, phase)
        if not data:
            self._lost(None, phase)
        self._received += data

    def _quick_ack(self) -> None:
        """Have what comes next acknowledged at once.

        A peer with Nagle's algorithm on sends a response in two pieces and waits for our ACK between them, which the
        kernel delays by 40 ms unless told not to, and it forgets that it was told.
        """
        if _TCP_QUICKACK is not None:
            try:
                self._sock.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)
            except OSError:  # the connection is gone, which the read that follows reports better
                return

    def _start_clock(self) -> None:
        self._deadline = monotonic() + self.peer.timeout_seconds

    def _wait(self, events: int, phase: str) -> int:
        """READ and WRITE as far as ready before the deadline.

        What was handed to the socket may still wait here for a slow peer, megabytes of it. As long as the peer takes
        some, it is not silent, where the system can tell (Linux).
        """
        acked = None
        while True:
            remaining = self._deadline - monotonic()
            if remaining <= 0:
                self._time_out(phase)
            ready = self._poller.wait(events, min(remaining, SLICE_SECONDS, self.peer.timeout_seconds / 4))
            if ready > 0:
                return ready
            if ready < 0:
                doubt = self._doubt()
                self.abort()
                raise self._marked(Interrupted(f"cancelled by us during {phase}{doubt}"))
            before, acked = acked, _bytes_acked(self._sock)
            if before is not None and acked is not None and acked > before:
                self._start_clock()

    # ------------------------------------------------------------------------------------------ what came

    def _take(self, pdu: p.Pdu) -> p.Response | None:
        """The response that this PDU completes, checked against the request it should answer."""
        if isinstance(pdu, p.Abort):
            raise self._aborted_by_peer(pdu)
        if isinstance(pdu, p.ReleaseRequest):
            self._send_last(p.encode_release_reply())
            self._close("released by the peer")
            raise self._marked(
                AssociationAborted(
                    f"{self.peer} released the association instead of answering{self._doubt()}"
                )
            )
        if not isinstance(pdu, p.DataTransfer) or self._outstanding is None:
            self._fail(f"{self.peer} sent {_name(pdu)} where a response was due")
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
        return (
            "; it may have stored the instance: look there before sending it again"
            if self._last_byte_sent
            else ""
        )

    def _marked(self, error: WireError) -> WireError:
        error.may_be_stored = self._last_byte_sent
        return error

    def _without_data_set(self, response: p.Response) -> ProtocolError:
        """It answered, but its answer has no end; why the association ended matters less than that."""
        error = ProtocolError(
            f"{self.peer} answered with status 0x{response.status:04X} and announced a data set after that (a Command "
            f"Data Set Type other than 0x0101), which never came{self._doubt()}; report it to the maker of the peer"
        )
        error.may_pass = False
        error.may_be_stored = self._last_byte_sent
        return error

    def _aborted_by_peer(self, pdu: p.Abort) -> WireError:
        self._close(ABORTED_BY_PEER)
        source = p.ABORT_SOURCES.get(pdu.source, f"source {pdu.source}")
        reason = f": {p.ABORT_REASONS.get(pdu.reason, f'reason {pdu.reason}')}" if pdu.source == 2 else ""
        if not self._established:
            when = "instead of answering our association request"
        elif self._sending or self._is_transmitting:
            when = "while we were sending"
        else:
            when = "instead of answering our request"
        error = self._marked(
            AssociationAborted(
                f"{self.peer} sent A-ABORT ({source}{reason}) {when}{self._doubt()}; the peer's log says why"
            )
        )
        error.ended_request = not self._established
        return error

    def _fail(self, message: str) -> NoReturn:
        """The peer broke the protocol: say so to it and to the caller."""
        if not self._established:
            self._close("not established")
            remedy = (
                "it speaks TLS only: give TlsOptions (tls=, --tls), or RemotePort of its port without"
                if "sent TLS" in message and not self.tls_version
                else f"check RemotePort and that {self.peer} speaks DICOM"
            )
            raise ConnectionFailed(f"{message}; {remedy}")
        self._send_last(p.encode_abort(2, 2))  # provider, unexpected PDU: PS3.8 Table 9-26
        self._close("aborted by us: protocol error")
        raise self._marked(
            ProtocolError(f"{message}, so we aborted{self._doubt()}; report it to the maker of the peer")
        )

    def _lost(self, error: OSError | None, phase: str) -> NoReturn:
        """The connection ended beneath the association."""
        how = "closed the connection" if error is None else f"lost the connection ({os_reason(error)})"
        self._close(CLOSED_BY_PEER if error is None else "connection lost")
        if not self._established:
            if isinstance(error, TlsFailure):
                raise insecure(error, self.peer)
            tls = self.peer.tls
            reasons = [] if tls is not None else ["speak TLS only (then give TlsOptions: tls=, --tls)"]
            if tls is not None and not tls.has_certificate:
                reasons = ["require a client certificate"]
            reasons += ["be no DICOM SCP", f"not take calls from {self.peer.calling_aet!r}"]
            failed = ConnectionFailed(
                f"{self.peer} {how} during {phase}; it may {', or '.join(reasons)}: check RemotePort, and its log"
            )
            failed.ended_request = True
            raise failed
        raise self._marked(
            AssociationAborted(f"{self.peer} {how} during {phase}{self._doubt()}; the peer's log says why")
        )

    def _time_out(self, phase: str) -> NoReturn:
        self._send_last(p.encode_abort())
        self._close("aborted by us: timed out")
        raise self._marked(
            PeerTimedOut(
                f"timed out: {self.peer} was silent for {self.peer.timeout_seconds:g} s during {phase}"
                f"{self._doubt()}; see whether the peer is busy or hung, or raise TimeoutSeconds",
                phase=phase,
            )
        )


class _Outgoing:
    """An instance on its way: what is in the buffer and what the source still has."""

    __slots__ = ("chunk", "context_id", "message_id", "remaining", "source")

    def __init__(self, message_id: int, context_id: int, source: DataSource, remaining: int) -> None:
        self.message_id = message_id
        self.context_id = context_id
        self.source = source
        self.remaining = remaining
        self.chunk: memoryview | None = None


def _rejection(
    pdu: p.AssociateReject, peer: Peer, contexts: Sequence[p.ProposedContext]
) -> AssociationRejected:
    """The rejection in words (PS3.8 Table 9-21), with what to change."""
    no_reason = (
        f"the peer's log says why; it may take none of the proposed presentation contexts ({_in_words(contexts)}: "
        f"enable there what it should take), or not know {peer.calling_aet!r} or its address"
    )
    if peer.identity is None:
        no_reason += ", or want a user identity (identity=, --user)"
    else:
        no_reason += f", or not take the user identity ({peer.identity.kind_name})"
    result = p.REJECT_RESULTS.get(pdu.result, f"result {pdu.result}")
    source = p.REJECT_SOURCES.get(pdu.source, f"source {pdu.source}")
    reason = p.REJECT_REASONS.get(
        (pdu.source, pdu.reason), f"reason {pdu.reason}, which PS3.8 does not define"
    )
    remedy = {
        (1, 1): no_reason,
        (1, 2): "it is no storage SCP as PS3.7 describes one",
        (
            1,
            3,
        ): f"the peer does not know {peer.calling_aet!r}; set OurAET to a title it knows, or add ours to its list",
        (1, 7): f"the peer does not answer to {peer.called_aet!r}; set RemoteAET to its title",
        (2, 1): no_reason,
        (2, 2): "it does not speak version 1 of the DICOM upper layer protocol",
        (3, 1): "it is busy; send again later, or with fewer associations",
        (3, 2): "it has as many associations as it allows; send again later, or with fewer associations",
    }.get((pdu.source, pdu.reason), no_reason)
    return AssociationRejected(
        f"{reason}: {remedy} ({result} by the {source}: result {pdu.result}, source {pdu.source}, reason {pdu.reason})",
        result=pdu.result,
        source=pdu.source,
        reason=pdu.reason,
    )


def _in_words(contexts: Sequence[p.ProposedContext]) -> str:
    """The presentation contexts as a sentence names them: by SOP class, the first few."""
    syntaxes: dict[str, dict[str, None]] = {}
    for context in contexts:
        syntaxes.setdefault(context.abstract_syntax, {}).update(dict.fromkeys(context.transfer_syntaxes))
    named = [
        f"{uid_name(sop_class)} in {' or '.join(map(uid_name, syntaxes[sop_class]))}"
        for sop_class in list(syntaxes)[:CLASSES_NAMED]
    ]
    more = len(syntaxes) - len(named)
    return ", ".join(named) + (f", and {more} more SOP class{'es' if more > 1 else ''}" if more else "")


def _name(pdu: p.Pdu) -> str:
    return {
        p.AssociateAccept: "an A-ASSOCIATE-AC",
        p.AssociateReject: "an A-ASSOCIATE-RJ",
        p.DataTransfer: "a P-DATA-TF",
        p.ReleaseRequest: "an A-RELEASE-RQ",
        p.ReleaseReply: "an A-RELEASE-RP",
        p.Abort: "an A-ABORT",
    }[type(pdu)]


def _bytes_acked(sock: socket.socket | TlsSocket) -> int | None:
    if _TCP_INFO is None or not sys.platform.startswith("linux"):
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_ACKED.size)
    except OSError:
        return None
    return int(_BYTES_ACKED.unpack(info)[0]) if len(info) == _BYTES_ACKED.size else None
