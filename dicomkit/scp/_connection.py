"""One connection of the receiver, from accept to close.

Each has a thread that reads PDU by PDU, and a data set piece by piece as it comes. `_SERVICES` at the end
says what is done upon each request of PS3.7, and at each stage the fault plan is asked what goes wrong
there. Whatever ends the connection raises `_EndedError`, once the last bytes are sent; `ProtocolError` is
answered with A-ABORT.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from random import Random
from typing import NoReturn, TypeVar

from dicomkit.dictionary.statuses import SUCCESS
from dicomkit.errors import ProtocolError
from dicomkit.scp import _faults as faults
from dicomkit.scp._faults import Fault, FaultPlan, Occasion, Stage
from dicomkit.scp._journal import Announced, Arrival, Journal
from dicomkit.scp._negotiation import AssociationRequest, Service, decode_request, encode_accept, reply_to
from dicomkit.wire import pdu as p

_MOST_REQUEST = 1 << 20  # bytes of an A-ASSOCIATE-RQ: more than 128 contexts can fill
_MOST_COMMAND = 1 << 16  # a C-STORE-RQ command has some 200
_PIECE_BYTES = 1 << 16  # the most that is read of a data set at once
_FRAGMENT_BYTES = 6  # of a command cut up by OddFragments: within each element's header, and even (PS3.8 E.1)

_LOCAL_LIMIT_EXCEEDED = (2, 3, 2)  # result, source, reason of A-ASSOCIATE-RJ, PS3.8 Table 9-21

# A-ABORT by the provider, PS3.8 Table 9-26
_PROVIDER = 2
_UNRECOGNIZED_PDU, _UNEXPECTED_PDU, _INVALID_PARAMETER = 1, 2, 6

# Elements of a command, PS3.7 E.1
_CLASS_UID, _COMMAND_FIELD, _MESSAGE_ID, _RESPONDED_TO = 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _ERROR_COMMENT, _INSTANCE_UID = 0x0800, 0x0900, 0x0902, 0x1000
_C_CANCEL_RQ = 0x0FFF

_GARBAGE = {
    "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "tls": bytes.fromhex("15030100020246"),  # alert, fatal, protocol_version: RFC 8446 section 6
    "random": b"\xff" + Random(0).randbytes(63),
}

_F = TypeVar("_F", bound=Fault)


class _EndedError(Exception):
    """The connection is to be closed."""


@dataclass(frozen=True, slots=True)
class _Request:
    """The command of a request, and the presentation context it came on."""

    context: int
    elements: dict[int, bytes]

    def number(self, element: int) -> int:
        """The value of an element of VR US, which has to be there."""
        value = self.elements.get(element, b"")
        if len(value) != p.US.size:
            raise ProtocolError(f"the peer sent a command without a valid element (0000,{element:04X})")
        return int.from_bytes(value, "little")

    def text(self, element: int) -> str:
        return p.decode_text(self.elements.get(element, b""))


@dataclass(slots=True)
class _Incoming:
    """A C-STORE on its way in."""

    request: _Request
    arrival: Arrival
    # Faults of stage "data": after how many bytes, and their number in the plan; the one due first last
    ahead: list[tuple[int, int]] = field(default_factory=list)
    early_status: int | None = None


class Connection:
    """One connection.

    `enter` counts an association when it is asked for, and is False when there are too many; `stopping` is
    set when the receiver stops, before `interrupt`.
    """

    def __init__(
        self,
        sock: socket.socket,
        service: Service,
        plan: FaultPlan,
        journal: Journal,
        enter: Callable[[Connection], bool],
        stopping: threading.Event,
    ) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number: int | None = None  # of its association, once that is asked for
        self._occasion = Occasion(-1)  # for the fault plan
        self._sock = sock
        self._service = service
        self._plan = plan
        self._journal = journal
        self._enter = enter
        self._stopping = stopping
        self._reader: BufferedReader = sock.makefile("rb")
        self._trouble = ""
        self._request: AssociationRequest
        self._syntaxes: dict[int, str] = {}  # of the accepted contexts
        self._command = bytearray()
        self._incoming: _Incoming | None = None

    def interrupt(self, why: str = "") -> None:
        """Make every wait of this connection end, from another thread."""
        self._trouble = why
        with suppress(OSError):
            # The plain one, since that of an SSLSocket takes TLS away under the thread that reads.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def serve(self) -> None:
        """Everything that happens on the connection."""
        try:
            self._shake_hands()
            try:
                self._negotiate()
                while True:
                    self._take_pdu()
            except ProtocolError as error:
                self._abort(_INVALID_PARAMETER, str(error))
        except (_EndedError, OSError):
            pass  # both are ordinary ends: the fault that was asked for, a release, or a peer that went away
        finally:
            if self._incoming is not None:
                self._incoming.arrival.drop()
            self.close()

    def close(self) -> None:
        """Close the socket, on the thread that reads or before there is one."""
        with suppress(OSError):
            self._reader.close()
        self._sock.close()

    def note_closed(self) -> None:
        """Write down that it is over."""
        self._journal.note("closed", self.number, self._trouble)

    def _shake_hands(self) -> None:
        """The TLS handshake, if there is one; on this thread, so that a silent caller holds up nobody."""
        if self._service.tls is None:
            return
        try:
            self._sock.do_handshake()  # type: ignore[attr-defined]
        except OSError as error:
            why = getattr(error, "reason", None) or type(error).__name__
            self._trouble = self._trouble or f"no TLS: {why}"
            raise

    # -- reading ---------------------------------------------------------------------------------

    def _read(self, count: int) -> bytes:
        data = self._reader.read(count)
        if len(data) < count:
            raise _EndedError
        return data

    def _take_pdu(self) -> None:
        kind, length = p.PDU_HEADER.unpack(self._read(p.PDU_HEADER.size))
        # A P-DATA-TF is as long as we announced to take, or of any length when we set no limit (PS3.8 D.1).
        most = {p.P_DATA_TF: self._service.maximum_pdu_size or length, p.RELEASE_RQ: 4, p.ABORT: 4}
        if kind not in most:
            reason = _UNEXPECTED_PDU if p.ASSOCIATE_RQ <= kind <= p.ABORT else _UNRECOGNIZED_PDU
            self._abort(reason, f"the peer sent a PDU of type {kind} on an established association")
        if length > most[kind]:
            raise ProtocolError(
                f"the peer sent a PDU of type {kind} and {length} bytes; {most[kind]} are allowed"
            )
        if kind == p.P_DATA_TF:
            self._take_pdvs(length)
            return
        self._read(length)
        self._journal.note("released" if kind == p.RELEASE_RQ else "aborted", self.number)
        if kind == p.RELEASE_RQ:
            self._answer("release", [p.encode_release_reply()])
            self._drain()
        raise _EndedError

    def _take_pdvs(self, remaining: int) -> None:
        while remaining:
            if remaining < p.PDV_HEADER.size:
                raise ProtocolError("the peer sent a P-DATA-TF that ends within a PDV header")
            length, context, control = p.PDV_HEADER.unpack(self._read(p.PDV_HEADER.size))
            remaining -= p.PDV_HEADER.size
            length -= 2  # context and control are counted in
            if not 0 <= length <= remaining:
                raise ProtocolError(
                    f"the peer sent a PDV of {length} bytes in the {remaining} left of its PDU"
                )
            if context not in self._syntaxes:
                raise ProtocolError(f"the peer sent a PDV on context {context}, which was not accepted")
            remaining -= length
            if control & p.COMMAND:
                self._take_command(context, length, is_last=bool(control & p.LAST))
            else:
                self._take_data(context, length, is_last=bool(control & p.LAST))

    def _take_command(self, context: int, length: int, *, is_last: bool) -> None:
        if self._incoming is not None or len(self._command) + length > _MOST_COMMAND:
            raise ProtocolError("the peer sent a command inside a data set, or an endless one")
        self._command += self._read(length)
        if not is_last:
            return
        request = _Request(context, p.decode_command(bytes(self._command)))
        self._command.clear()
        command = request.number(_COMMAND_FIELD)
        if command not in _SERVICES:
            raise ProtocolError(f"the peer sent command 0x{command:04X}: only C-STORE and C-ECHO are served")
        _SERVICES[command](self, request)

    def _take_data(self, context: int, length: int, *, is_last: bool) -> None:
        incoming = self._incoming
        if incoming is None or context != incoming.request.context:
            raise ProtocolError("the peer sent a data set that no command announced on this context")
        self._strike_in_data(incoming)
        while length:
            # No byte after the one that a fault waits for.
            until_fault = incoming.ahead[-1][0] - incoming.arrival.size_bytes if incoming.ahead else length
            piece = self._read(min(length, until_fault, _PIECE_BYTES))
            incoming.arrival.write(piece)
            length -= len(piece)
            self._strike_in_data(incoming)
        if is_last:
            self._finish_store(incoming)

    # -- negotiating -----------------------------------------------------------------------------

    def _negotiate(self) -> None:
        # Whoever takes too long with the request is interrupted by the server.
        kind, length = p.PDU_HEADER.unpack(self._read(p.PDU_HEADER.size))
        if kind != p.ASSOCIATE_RQ or length > _MOST_REQUEST:
            self._abort(
                _UNEXPECTED_PDU,
                f"the peer sent a PDU of type {kind} and {length} bytes before an association",
            )
        self._request = request = decode_request(self._read(length))
        is_within_limit = self._enter(self)
        self._sock.settimeout(self._service.network_timeout_seconds)
        self.number = self._journal.next_association(str(request))
        self._occasion = Occasion(self.number)
        rejection = self._service.rejection(request)
        if rejection is None and not is_within_limit:
            rejection = _LOCAL_LIMIT_EXCEEDED
        if (fault := self._due(faults.RejectAssociation, "association")) is not None:
            rejection = (fault.result, fault.source, fault.reason)
        if (garbage := self._due(faults.Garbage, "association")) is not None:
            self._leave(_GARBAGE[garbage.kind])
        if rejection is not None:
            self._journal.note("rejected", self.number, "result {}, source {}, reason {}".format(*rejection))
            answer = p.PDU_HEADER.pack(p.ASSOCIATE_RJ, 4) + bytes([0, *rejection])
            self._answer("association", [answer])
            self._leave(b"")
        replies = self._replies(request)
        accepted = f"{len(self._syntaxes)} of {len(request.contexts)} contexts"
        self._journal.note("accepted", self.number, accepted)
        confirms = self._service.confirms(request)
        accept = encode_accept(request, replies, self._service.maximum_pdu_size, confirms=confirms)
        self._answer("association", [accept])
        self._end_if_due("accepted")

    def _replies(self, request: AssociationRequest) -> list[p.ContextReply]:
        """The answer to each context; the accepted ones are remembered."""
        proposed = request.contexts
        classes = {one.abstract_syntax for one in proposed}
        syntaxes = {syntax for one in proposed for syntax in one.transfer_syntaxes}
        no_class = self._plan.refused(faults.RefuseClass, classes, self._occasion)
        no_syntax = self._plan.refused(faults.RefuseSyntax, syntaxes, self._occasion)
        if (nothing := self._due(faults.AcceptNothing, "association")) is not None:
            refused = [p.ContextReply(one.id, nothing.result, one.transfer_syntaxes[0]) for one in proposed]
            return refused if nothing.answer == "refused" else []
        replies = [reply_to(one, no_class, no_syntax) for one in proposed]
        self._syntaxes = {one.id: one.transfer_syntax for one in replies if one.result == p.CONTEXT_ACCEPTED}
        return replies

    # -- services --------------------------------------------------------------------------------

    def _echo(self, request: _Request) -> None:
        self._journal.note("echoed", self.number)
        response = self._response(request, p.C_ECHO_RSP, request.number(_MESSAGE_ID), SUCCESS)
        self._answer("echo", [_p_data(request.context, response)])

    def _begin_store(self, request: _Request) -> None:
        assert self.number is not None
        request.number(_MESSAGE_ID)
        if request.number(_DATA_SET_TYPE) == p.NO_DATA_SET:
            raise ProtocolError("the peer sent a C-STORE without a data set")
        sop_class, instance = request.text(_CLASS_UID), request.text(_INSTANCE_UID)
        titles = self._request.calling_aet, self._request.called_aet
        announced = Announced(*titles, self.number, sop_class, instance, self._syntaxes[request.context])
        self._incoming = incoming = _Incoming(request, Arrival(self._journal, announced))
        self._occasion = Occasion(self.number, sop_class, instance)
        self._end_if_due("command")
        ahead = self._plan.candidates("data", self._occasion)
        incoming.ahead = sorted(((self._plan.faults[n].after_bytes, n) for n in ahead), reverse=True)
        # An early answer asked for before the first byte must not wait for that byte.
        self._strike_in_data(incoming, before_data=True)

    def _finish_store(self, incoming: _Incoming) -> None:
        """The data set is here: keep it, answer it, and do what is due instead or afterwards."""
        if incoming.early_status is not None:
            incoming.arrival.finish(incoming.early_status)
        else:
            chosen = self._due(faults.Status, "response")
            status, comment = (SUCCESS, None) if chosen is None else (chosen.status, chosen.error_comment)
            self._delay("response")
            ending = self._due(faults.Break, "response")
            status = incoming.arrival.finish(status, answered=ending is None)
            if ending is not None:
                self._end(ending)
            self._write("response", self._store_response(incoming.request, status, comment))
        self._incoming = None
        self._end_if_due("between")
        self._occasion = Occasion(self._occasion.association)

    def _store_response(self, request: _Request, status: int, error_comment: str | None) -> list[bytes]:
        """The C-STORE response as the pieces to write, with the faults that twist it applied."""
        context, message_id, command = request.context, request.number(_MESSAGE_ID), p.C_STORE_RSP
        if self._due(faults.WrongMessageID, "response") is not None:
            message_id = (message_id + 1) % 0x10000
        if self._due(faults.WrongContext, "response") is not None:
            context = (context + 2) % 256
        if (wrong_command := self._due(faults.WrongCommand, "response")) is not None:
            command = wrong_command.command_field
        comment = b"" if error_comment is None else error_comment.encode("ascii", "replace")
        response = self._response(request, command, message_id, status, comment)
        if (odd := self._due(faults.OddFragments, "response")) is None:
            return [_p_data(context, response)]
        if odd.shape == "segments":
            return [bytes([byte]) for byte in _p_data(context, response)]
        starts = range(0, len(response), _FRAGMENT_BYTES)
        pdvs = [
            p.Pdv(context, True, start == starts[-1], response[start : start + _FRAGMENT_BYTES])
            for start in starts
        ]
        if odd.shape == "pdvs":
            return [p.encode_data_transfer(pdvs)]
        return [p.encode_data_transfer([pdv]) for pdv in pdvs]

    @staticmethod
    def _response(
        request: _Request, command_field: int, message_id: int, status: int, error_comment: bytes = b""
    ) -> bytes:
        """The command set of a response; the UIDs go back as they came."""
        elements = {
            _CLASS_UID: request.elements.get(_CLASS_UID, b""),
            _COMMAND_FIELD: p.US.pack(command_field),
            _RESPONDED_TO: p.US.pack(message_id),
            _DATA_SET_TYPE: p.US.pack(p.NO_DATA_SET),
            _STATUS: p.US.pack(status),
        }
        if error_comment:
            elements[_ERROR_COMMENT] = error_comment + b" " * (len(error_comment) % 2)
        if _INSTANCE_UID in request.elements:
            elements[_INSTANCE_UID] = request.elements[_INSTANCE_UID]
        return p.encode_command(*elements.items())

    # -- answering, or what is due instead -------------------------------------------------------

    def _due(self, kind: type[_F], stage: Stage) -> _F | None:
        """The fault of a kind that is due, if one is; it is written down."""
        fault = self._plan.first(kind, stage, self._occasion)
        if fault is not None:
            self._note(fault)
        return fault

    def _note(self, fault: Fault) -> None:
        detail = f"{fault} {self._occasion.sop_instance_uid or ''}"
        self._journal.note("fault", self.number, detail.rstrip())

    def _answer(self, stage: Stage, pieces: list[bytes]) -> None:
        """Send an answer, or do what is due instead of it."""
        self._delay(stage)
        self._end_if_due(stage)
        self._write(stage, pieces)

    def _delay(self, stage: Stage) -> None:
        if (delay := self._due(faults.Delay, stage)) is not None and self._stopping.wait(delay.seconds):
            raise _EndedError

    def _write(self, stage: Stage, pieces: list[bytes]) -> None:
        if (trickle := self._due(faults.Trickle, stage)) is None:
            for piece in pieces:
                self._sock.sendall(piece)
            return
        for byte in b"".join(pieces):
            self._sock.sendall(bytes([byte]))
            if self._stopping.wait(1 / trickle.bytes_per_second):
                raise _EndedError

    def _strike_in_data(self, incoming: _Incoming, *, before_data: bool = False) -> None:
        while incoming.ahead and incoming.ahead[-1][0] <= incoming.arrival.size_bytes:
            number = incoming.ahead[-1][1]
            fault = self._plan.faults[number]
            if before_data and not isinstance(fault, faults.EarlyResponse):
                return
            incoming.ahead.pop()
            if not self._plan.strikes(number):
                continue
            self._note(fault)
            if not isinstance(fault, faults.EarlyResponse):
                self._end(fault)
            if incoming.early_status is None:
                incoming.early_status = fault.status
                for piece in self._store_response(incoming.request, fault.status, fault.error_comment):
                    self._sock.sendall(piece)

    # -- ending ----------------------------------------------------------------------------------

    def _end_if_due(self, stage: Stage) -> None:
        if (ending := self._due(faults.Break, stage)) is not None:
            self._end(ending)

    def _end(self, fault: Fault) -> NoReturn:
        match fault:
            case faults.Abort(source=source, reason=reason):
                self._leave(p.encode_abort(source, reason))
            case faults.Close():
                self._leave(b"")
            case faults.HugePDU(stage=stage, announced=announced):
                kind = {"association": p.ASSOCIATE_AC, "release": p.RELEASE_RP}.get(stage, p.P_DATA_TF)
                self._sock.sendall(p.PDU_HEADER.pack(kind, announced))
                self._drain()
            case faults.Silence():
                self._drain()
            case faults.StopReading():
                self._stopping.wait(self._service.network_timeout_seconds)
                self._reset()
            case faults.Reset():
                self._reset()
        raise _EndedError

    def _abort(self, reason: int, why: str) -> NoReturn:
        """The peer broke the protocol: A-ABORT by the provider."""
        self._journal.note("fault", self.number, why)
        self._leave(p.encode_abort(_PROVIDER, reason))

    def _leave(self, last_words: bytes) -> NoReturn:
        """Say something, close our direction, and read the peer out: unread data would make the close a
        reset.
        """
        self._sock.sendall(last_words)
        socket.socket.shutdown(self._sock, socket.SHUT_WR)
        self._drain()
        raise _EndedError

    def _drain(self) -> None:
        """Read and drop until the peer closes, the server stops or the network timeout passes."""
        while self._reader.read1(_PIECE_BYTES):
            pass

    def _reset(self) -> None:
        # Linger on, for no time at all: closing sends RST. Windows has the two fields as shorts.
        linger = struct.pack("hh" if hasattr(socket, "SO_EXCLUSIVEADDRUSE") else "ii", 1, 0)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _p_data(context: int, command: bytes) -> bytes:
    return p.encode_data_transfer([p.Pdv(context, True, True, command)])


# What is done upon each request, by its Command Field (PS3.7 E.1); one with a data set is begun here and
# finished by `_take_data`. Another service is an entry here, and its SOP classes in
# `_negotiation.reply_to`.
_SERVICES: dict[int, Callable[[Connection, _Request], None]] = {
    p.C_STORE_RQ: Connection._begin_store,
    p.C_ECHO_RQ: Connection._echo,
    _C_CANCEL_RQ: lambda connection, request: None,  # what it would cancel has been answered
}
