"""The receiver on bare sockets: one thread for each connection, and every byte of an answer in our hands.

It speaks as much of PS3.7 and PS3.8 as a storage SCP needs and shares no code with `dicomkit.wire`, so that
each can be tested against the other. Where no fault strikes, it serves like any other receiver.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from random import Random
from typing import NoReturn

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_items import UserIdentitySubItemRQ

from dicomkit.scp._faults import (
    Abort,
    AcceptNothing,
    Break,
    Close,
    Delay,
    EarlyResponse,
    Fault,
    FaultPlan,
    Garbage,
    HugePDU,
    Occasion,
    OddFragments,
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
from dicomkit.scp._journal import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Arrival, Journal
from dicomkit.scp._lobby import ARTIM_SECONDS, Lobby
from dicomkit.scp._service import (
    ACCEPTED,
    UNDECODABLE,
    ClaimedIdentity,
    Service,
    answer_context,
    longest_pdu,
    refused_by,
)

__all__ = ["SocketServer"]

# PDU types, PS3.8 section 9.3.1
_ASSOCIATE_RQ, _ASSOCIATE_AC, _ASSOCIATE_RJ, _P_DATA = 0x01, 0x02, 0x03, 0x04
_RELEASE_RQ, _RELEASE_RP, _ABORT = 0x05, 0x06, 0x07
_HEADER = struct.Struct(">BxI")  # type, reserved, length: PS3.8 section 9.3.1
_HEADER_BYTES = 6
_PDV_HEADER = struct.Struct(
    ">IBB"
)  # item length, context, message control header: PS3.8 section 9.3.5.1, E.2
_PDV_HEADER_BYTES = 6
_PDV_OVERHEAD = 2  # of the item length: context and message control header
_COMMAND, _LAST = 0x01, 0x02  # message control header bits, PS3.8 E.2
_TITLE_BYTES = 16  # PS3.8 Table 9-11
_FIXED_BYTES = 68  # of an A-ASSOCIATE-RQ and -AC before the items, PS3.8 Table 9-11
_COMMAND_BYTES = 1 << 16  # a C-STORE-RQ command has some 200

_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1

_LOCAL_LIMIT_EXCEEDED = (2, 3, 2)  # result, source, reason of A-ASSOCIATE-RJ, PS3.8 Table 9-21

# A-ABORT by the provider, PS3.8 Table 9-26
_PROVIDER = 2
_UNRECOGNIZED_PDU, _UNEXPECTED_PDU, _INVALID_PARAMETER = 1, 2, 6

# Command elements of group 0000 and values of Command Field, PS3.7 E.1
_GROUP_LENGTH, _CLASS_UID, _COMMAND_FIELD, _MESSAGE_ID = 0x0000, 0x0002, 0x0100, 0x0110
_RESPONDED_TO, _DATA_SET_TYPE, _STATUS, _ERROR_COMMENT, _INSTANCE_UID = 0x0120, 0x0800, 0x0900, 0x0902, 0x1000
_C_STORE_RQ, _C_STORE_RSP, _C_ECHO_RQ, _C_ECHO_RSP, _C_CANCEL_RQ = 0x0001, 0x8001, 0x0030, 0x8030, 0x0FFF
_NO_DATA_SET = 0x0101

_PIECE_BYTES = 1 << 16  # the most that is read of a data set at once
_FRAGMENT_BYTES = 6  # of a command cut up by OddFragments: within each element's header, and even (PS3.8 E.1)
_SMALL_BUFFER_BYTES = 1 << 14  # receive buffer under StopReading, so that a sender stalls soon

_GARBAGE = {
    "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "tls": bytes.fromhex("15030100020246"),  # alert, fatal, protocol_version: RFC 8446 section 6
    "random": b"\xff" + Random(0).randbytes(63),
}


class SocketServer:
    """Listens, and gives each connection a thread; `stop` ends them all at once."""

    def __init__(self, host: str, port: int, service: Service, plan: FaultPlan, journal: Journal) -> None:
        self.service = service
        self.plan = plan
        self.journal = journal
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[_Connection, threading.Thread] = {}
        self._associations = 0
        self._listener = listen(host, port, small_buffer=any(isinstance(f, StopReading) for f in plan.faults))
        self.port: int = self._listener.getsockname()[1]
        self._lobby = Lobby(
            self._listener,
            lambda sock, _: self._receive(sock),
            lambda why: journal.note("closed", None, why),
            service.network_timeout_seconds,
        )

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self.stopping.set()
        self._lobby.stop()
        self._listener.close()
        with self._lock:
            remaining = dict(self._connections)
        for connection in remaining:
            connection.interrupt()
        for thread in remaining.values():
            if thread is not threading.current_thread():
                thread.join()

    def enter(self) -> bool:
        """Count an association; False when there are more than the service allows."""
        with self._lock:
            self._associations += 1
            return self._associations <= self.service.maximum_associations

    def leave(self) -> None:
        """An association that was counted is over."""
        with self._lock:
            self._associations -= 1

    def _receive(self, sock: socket.socket) -> None:
        connection = _Connection(self, sock)
        thread = threading.Thread(
            target=self._serve, args=(connection,), name="dicomkit-scp-connection", daemon=True
        )
        with self._lock:
            self._connections[connection] = thread
        try:
            thread.start()
        except RuntimeError:  # no thread can be started
            with self._lock:
                del self._connections[connection]
            raise

    def _serve(self, connection: _Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                del self._connections[connection]


def listen(host: str, port: int, *, small_buffer: bool = False) -> socket.socket:
    """A listening socket; the port may be bound again right after it is closed."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where SO_REUSEADDR would share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if small_buffer:  # inherited by what is accepted
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


class _EndedError(Exception):
    """The connection is to be closed; what there was to say has been said."""


@dataclass(slots=True)
class _Incoming:
    """A C-STORE on its way in."""

    context: int
    message_id: int
    occasion: Occasion
    arrival: Arrival
    ahead: list[int] = field(default_factory=list)  # faults of stage "data", the one due first last
    early_status: int | None = None


class _Connection:
    """One connection, from accept to close."""

    def __init__(self, server: SocketServer, sock: socket.socket) -> None:
        self._server = server
        self._plan = server.plan
        self._journal = server.journal
        self._sock = sock
        self._timeout_seconds = server.service.network_timeout_seconds
        self._sock.settimeout(self._timeout_seconds)
        # Until it has asked for an association (PS3.8 section 9.1.5), however it trickles.
        self._deadline: float | None = time.monotonic() + min(ARTIM_SECONDS, self._timeout_seconds)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader: BufferedReader | None = None
        self._entered = False
        self._trouble = ""
        self._number: int | None = None
        self._titles = ("", "")  # calling, called
        self._contexts: dict[int, tuple[str, str]] = {}
        self._command = bytearray()
        self._incoming: _Incoming | None = None

    def interrupt(self) -> None:
        """Make every wait of this connection end, from another thread."""
        with suppress(OSError):
            # The plain one, since that of an SSLSocket takes TLS away under the thread that reads.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def serve(self) -> None:
        """Everything that happens on the connection."""
        try:
            self._secure()
            self._reader = self._sock.makefile("rb")
            self._negotiate()
            while True:
                self._take_pdu()
        except (_EndedError, OSError):
            pass  # both are ordinary ends: the fault that was asked for, a release, or a peer that went away
        finally:
            if self._incoming is not None:
                self._incoming.arrival.drop()
            if self._entered:
                self._server.leave()
            if self._reader is not None:
                with suppress(OSError):
                    self._reader.close()
            self._sock.close()
            self._journal.note("closed", self._number, self._trouble)

    def _secure(self) -> None:
        """The TLS handshake, if there is to be one; on this thread, so that a silent caller holds up nobody."""
        context = self._server.service.tls
        if context is None:
            return
        self._sock = secured = context.wrap_socket(
            self._sock, server_side=True, do_handshake_on_connect=False
        )
        if self._server.stopping.is_set():  # its interrupt may have met the socket that is wrapped now
            raise _EndedError
        try:
            secured.do_handshake()
        except OSError as error:
            self._trouble = f"no TLS: {getattr(error, 'reason', None) or type(error).__name__}"
            raise

    # -- reading ---------------------------------------------------------------------------------

    def _read(self, count: int) -> bytes:
        assert self._reader is not None
        data = self._reader.read(count) if self._deadline is None else self._read_by(self._deadline, count)
        if len(data) < count:
            raise _EndedError
        return data

    def _read_by(self, deadline: float, count: int) -> bytes:
        assert self._reader is not None
        data = b""
        while len(data) < count:
            if (left := deadline - time.monotonic()) <= 0:
                raise _EndedError
            self._sock.settimeout(left)
            if not (piece := self._reader.read1(count - len(data))):
                break
            data += piece
        self._sock.settimeout(self._timeout_seconds)
        return data

    def _take_pdu(self) -> None:
        kind, length = _HEADER.unpack(self._read(_HEADER_BYTES))
        limit = longest_pdu(kind, self._server.service.maximum_pdu_size)
        if limit is not None and length > limit:
            what = "P-DATA-TF" if kind == _P_DATA else f"PDU of type {kind}"
            self._abort(_INVALID_PARAMETER, f"a {what} of {length} bytes, {limit} are allowed")
        if kind == _P_DATA:
            self._take_pdvs(length)
        elif kind == _RELEASE_RQ:
            self._read(length)
            self._journal.note("released", self._number)
            self._answer("release", self._occasion, [_HEADER.pack(_RELEASE_RP, 4) + bytes(4)])
            self._drain()
            raise _EndedError
        elif kind == _ABORT:
            self._read(length)
            self._journal.note("aborted", self._number)
            raise _EndedError
        elif kind in (_ASSOCIATE_RQ, _ASSOCIATE_AC, _ASSOCIATE_RJ, _RELEASE_RP):
            self._abort(_UNEXPECTED_PDU, f"a PDU of type {kind} on an established association")
        else:
            self._abort(_UNRECOGNIZED_PDU, f"a PDU of type {kind}")

    def _take_pdvs(self, remaining: int) -> None:
        while remaining:
            if remaining < _PDV_HEADER_BYTES:
                self._abort(_INVALID_PARAMETER, "a P-DATA-TF that ends inside the header of a PDV")
            length, context, control = _PDV_HEADER.unpack(self._read(_PDV_HEADER_BYTES))
            remaining -= _PDV_HEADER_BYTES
            length -= _PDV_OVERHEAD
            if not 0 <= length <= remaining:
                self._abort(_INVALID_PARAMETER, f"a PDV of {length} bytes in the {remaining} left of its PDU")
            remaining -= length
            if context not in self._contexts:
                self._abort(_INVALID_PARAMETER, f"a PDV on context {context}, which was not accepted")
            if control & _COMMAND:
                self._take_command(context, self._read_command(length), last=bool(control & _LAST))
            else:
                self._take_data(context, length, last=bool(control & _LAST))

    def _read_command(self, length: int) -> bytes:
        if self._incoming is not None or len(self._command) + length > _COMMAND_BYTES:
            self._abort(_INVALID_PARAMETER, "a command inside a data set, or an endless one")
        return self._read(length)

    def _take_command(self, context: int, fragment: bytes, *, last: bool) -> None:
        self._command += fragment
        if not last:
            return
        try:
            elements = _elements(bytes(self._command))
            command = _number(elements, _COMMAND_FIELD)
            message_id = _number(elements, _MESSAGE_ID) if command != _C_CANCEL_RQ else 0
            has_data_set = _number(elements, _DATA_SET_TYPE) != _NO_DATA_SET
        except (KeyError, struct.error) as error:
            self._abort(_INVALID_PARAMETER, f"a command that cannot be decoded ({type(error).__name__})")
        self._command.clear()
        if command == _C_STORE_RQ and has_data_set:
            self._begin(context, message_id, elements)
        elif command == _C_ECHO_RQ:
            self._echo(context, message_id, elements)
        elif command != _C_CANCEL_RQ:
            self._abort(_INVALID_PARAMETER, f"command 0x{command:04X}: only C-STORE and C-ECHO are served")

    def _begin(self, context: int, message_id: int, elements: dict[int, bytes]) -> None:
        sop_class, instance = _text(elements, _CLASS_UID), _text(elements, _INSTANCE_UID)
        assert self._number is not None
        occasion = Occasion(self._number, sop_class, instance)
        arrival = self._journal.arrival(
            calling_aet=self._titles[0],
            called_aet=self._titles[1],
            association=self._number,
            sop_class_uid=sop_class,
            sop_instance_uid=instance,
            transfer_syntax=self._contexts[context][1],
        )
        self._incoming = _Incoming(context, message_id, occasion, arrival)
        self._end_if_due("command", occasion)
        ahead = self._plan.ahead("data", occasion)
        self._incoming.ahead = sorted(ahead, key=lambda index: (self._threshold(index), index), reverse=True)
        # An early answer asked for before the first byte must not wait for that byte.
        self._strike_in_data(self._incoming, before_data=True)

    def _threshold(self, index: int) -> int:
        fault = self._plan.faults[index]
        return fault.after_bytes if isinstance(fault, Break | EarlyResponse | StopReading) else 0

    def _take_data(self, context: int, length: int, *, last: bool) -> None:
        incoming = self._incoming
        if incoming is None or context != incoming.context:
            self._abort(_INVALID_PARAMETER, "a data set that no command announced on this context")
        self._strike_in_data(incoming)
        while length:
            until_fault = (
                self._threshold(incoming.ahead[-1]) - incoming.arrival.size_bytes
                if incoming.ahead
                else length
            )
            piece = self._read(min(length, until_fault, _PIECE_BYTES))
            incoming.arrival.write(piece)
            length -= len(piece)
            self._strike_in_data(incoming)
        if last:
            self._incoming = None
            self._finish(incoming)

    def _strike_in_data(self, incoming: _Incoming, *, before_data: bool = False) -> None:
        while incoming.ahead and self._threshold(incoming.ahead[-1]) <= incoming.arrival.size_bytes:
            fault = self._plan.faults[incoming.ahead[-1]]
            if before_data and not isinstance(fault, EarlyResponse):
                return
            if not self._plan.strikes(incoming.ahead.pop()):
                continue
            self._note(fault, incoming.occasion)
            if isinstance(fault, EarlyResponse):
                if incoming.early_status is None:
                    incoming.early_status = fault.status
                    self._send(self._store_response(incoming, fault.status, fault.error_comment))
            else:
                self._end(fault)

    # -- answering -------------------------------------------------------------------------------

    def _negotiate(self) -> None:
        kind, length = _HEADER.unpack(header := self._read(_HEADER_BYTES))
        longest = longest_pdu(_ASSOCIATE_RQ, 0)
        assert longest is not None
        if kind != _ASSOCIATE_RQ or not _FIXED_BYTES <= length <= longest:
            self._abort(_UNEXPECTED_PDU, f"a PDU of type {kind} and {length} bytes before an association")
        body = self._read(length)
        self._deadline = None
        decoded = _decoded_request(header + body)
        if decoded is None:
            self._abort(_INVALID_PARAMETER, "an A-ASSOCIATE-RQ that cannot be decoded")
        proposed, claimed = decoded
        called, calling = (
            body[start : start + _TITLE_BYTES].decode("ascii", "replace").strip(" \0") for start in (4, 20)
        )
        self._titles = (calling, called)
        self._number = self._journal.next_association(
            calling, called, "" if claimed is None else repr(claimed)
        )
        self._entered = True
        within_limit = self._server.enter()
        service = self._server.service
        rejection = service.rejection(calling, called, claimed)
        if rejection is None and not within_limit:
            rejection = _LOCAL_LIMIT_EXCEEDED
        if (fault := self._plan.first(RejectAssociation, "association", self._occasion)) is not None:
            self._note(fault, self._occasion)
            rejection = (fault.result, fault.source, fault.reason)
        if (garbage := self._plan.first(Garbage, "association", self._occasion)) is not None:
            self._note(garbage, self._occasion)
            self._part(_GARBAGE[garbage.kind])
        if rejection is not None:
            self._journal.note("rejected", self._number, "result {}, source {}, reason {}".format(*rejection))
            answer = _HEADER.pack(_ASSOCIATE_RJ, 4) + bytes([0, *rejection])
            self._answer("association", self._occasion, [answer])
            self._part(b"")
        answers = self._answer_contexts(proposed)
        self._journal.note("accepted", self._number, f"{len(self._contexts)} of {len(proposed)} contexts")
        # Who is not asked for an identity does not confirm one (PS3.7 D.3.3.7).
        confirms = service.identities is not None and claimed is not None and claimed.is_response_requested
        accept = _associate_ac(body, answers, service.maximum_pdu_size, confirms_identity=confirms)
        self._answer("association", self._occasion, [accept])
        self._end_if_due("accepted", self._occasion)

    def _answer_contexts(self, proposed: dict[int, tuple[str, list[str]]]) -> dict[int, tuple[int, str]]:
        """Result and transfer syntax for each context; the accepted ones are remembered."""
        classes = frozenset(sop_class for sop_class, _ in proposed.values())
        offered = frozenset(syntax for _, syntaxes in proposed.values() for syntax in syntaxes)
        refused = refused_by(self._plan, self._occasion, classes, offered)
        if (nothing := self._plan.first(AcceptNothing, "association", self._occasion)) is not None:
            self._note(nothing, self._occasion)
            if nothing.answer == "omitted":
                return {}
            return {number: (nothing.result, syntaxes[0]) for number, (_, syntaxes) in proposed.items()}
        answers = {number: answer_context(*context, refused) for number, context in proposed.items()}
        self._contexts = {
            number: (proposed[number][0], syntax)
            for number, (result, syntax) in answers.items()
            if result == ACCEPTED
        }
        return answers

    def _echo(self, context: int, message_id: int, elements: dict[int, bytes]) -> None:
        response = _command(
            {
                _CLASS_UID: elements.get(_CLASS_UID, b""),
                _COMMAND_FIELD: _us(_C_ECHO_RSP),
                _RESPONDED_TO: _us(message_id),
                _DATA_SET_TYPE: _us(_NO_DATA_SET),
                _STATUS: _us(0),
            }
        )
        self._journal.note("echoed", self._number)
        self._answer("echo", self._occasion, [_p_data([_pdv(context, response, last=True)])])

    def _finish(self, incoming: _Incoming) -> None:
        """The data set is here: keep it, answer it, and do what is due instead or afterwards."""
        occasion = incoming.occasion
        if incoming.early_status is not None:
            incoming.arrival.finish(incoming.early_status)
        else:
            chosen = self._plan.first(Status, "response", occasion)
            if chosen is not None:
                self._note(chosen, occasion)
            self._delay("response", occasion)
            ending = self._plan.first(Break, "response", occasion)
            wanted = chosen.status if chosen is not None else 0
            status = incoming.arrival.finish(wanted, answered=ending is None)
            if ending is not None:
                self._note(ending, occasion)
                self._end(ending)
            comment = chosen.error_comment if chosen is not None else None
            self._write("response", occasion, self._store_response(incoming, status, comment))
        self._end_if_due("between", occasion)

    def _store_response(self, incoming: _Incoming, status: int, error_comment: str | None) -> list[bytes]:
        """The C-STORE response as the pieces to write, with the faults that twist it applied."""
        occasion = incoming.occasion
        context, message_id, command = incoming.context, incoming.message_id, _C_STORE_RSP
        if (wrong_id := self._plan.first(WrongMessageID, "response", occasion)) is not None:
            self._note(wrong_id, occasion)
            message_id = (message_id + 1) % 0x10000
        if (wrong_context := self._plan.first(WrongContext, "response", occasion)) is not None:
            self._note(wrong_context, occasion)
            context = (context + 2) % 256
        if (wrong_command := self._plan.first(WrongCommand, "response", occasion)) is not None:
            self._note(wrong_command, occasion)
            command = wrong_command.command_field
        elements = {
            _CLASS_UID: _ui(occasion.sop_class_uid or ""),
            _COMMAND_FIELD: _us(command),
            _RESPONDED_TO: _us(message_id),
            _DATA_SET_TYPE: _us(_NO_DATA_SET),
            _STATUS: _us(status),
            _INSTANCE_UID: _ui(occasion.sop_instance_uid or ""),
        }
        if error_comment is not None:
            text = error_comment.encode("ascii", "replace")
            elements[_ERROR_COMMENT] = text + b" " * (len(text) % 2)
        response = _command(elements)
        odd = self._plan.first(OddFragments, "response", occasion)
        if odd is None:
            return [_p_data([_pdv(context, response, last=True)])]
        self._note(odd, occasion)
        if odd.shape == "segments":
            whole = _p_data([_pdv(context, response, last=True)])
            return [whole[index : index + 1] for index in range(len(whole))]
        starts = range(0, len(response), _FRAGMENT_BYTES)
        pdvs = [
            _pdv(context, response[start : start + _FRAGMENT_BYTES], last=start == starts[-1])
            for start in starts
        ]
        return [_p_data(pdvs)] if odd.shape == "pdvs" else [_p_data([pdv]) for pdv in pdvs]

    @property
    def _occasion(self) -> Occasion:
        assert self._number is not None
        return Occasion(self._number)

    def _answer(self, stage: Stage, occasion: Occasion, pieces: list[bytes]) -> None:
        """Send an answer, or do what is due instead of it."""
        self._delay(stage, occasion)
        self._end_if_due(stage, occasion)
        self._write(stage, occasion, pieces)

    def _delay(self, stage: Stage, occasion: Occasion) -> None:
        if (delay := self._plan.first(Delay, stage, occasion)) is not None:
            self._note(delay, occasion)
            if self._server.stopping.wait(delay.seconds):
                raise _EndedError

    def _write(self, stage: Stage, occasion: Occasion, pieces: list[bytes]) -> None:
        trickle = self._plan.first(Trickle, stage, occasion)
        if trickle is None:
            self._send(pieces)
            return
        self._note(trickle, occasion)
        for byte in b"".join(pieces):
            self._sock.sendall(bytes([byte]))
            if self._server.stopping.wait(1 / trickle.bytes_per_second):
                raise _EndedError

    def _send(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._sock.sendall(piece)

    # -- ending ----------------------------------------------------------------------------------

    def _end_if_due(self, stage: Stage, occasion: Occasion) -> None:
        if (ending := self._plan.first(Break, stage, occasion)) is not None:
            self._note(ending, occasion)
            self._end(ending)

    def _end(self, fault: Fault) -> NoReturn:
        match fault:
            case Abort(source=source, reason=reason):
                self._part(_HEADER.pack(_ABORT, 4) + bytes([0, 0, source, reason]))
            case Close():
                self._part(b"")
            case HugePDU(stage=stage, announced=announced):
                kind = {"association": _ASSOCIATE_AC, "release": _RELEASE_RP}.get(stage, _P_DATA)
                self._sock.sendall(_HEADER.pack(kind, announced))
                self._drain()
            case Silence():
                self._drain()
            case StopReading():
                self._server.stopping.wait(self._server.service.network_timeout_seconds)
                self._reset()
            case Reset():
                self._reset()
        raise _EndedError

    def _abort(self, reason: int, why: str) -> NoReturn:
        """The peer broke the protocol: A-ABORT by the provider."""
        self._journal.note("fault", self._number, f"the peer sent {why}")
        self._part(_HEADER.pack(_ABORT, 4) + bytes([0, 0, _PROVIDER, reason]))

    def _part(self, last_words: bytes) -> NoReturn:
        """Say something, close our direction, and read the peer out.

        Closing with unread data would reset the connection, and the peer might never see the last words.
        """
        self._sock.sendall(last_words)
        socket.socket.shutdown(self._sock, socket.SHUT_WR)
        self._drain()
        raise _EndedError

    def _drain(self) -> None:
        """Read and drop until the peer closes, the server stops or the network timeout passes."""
        assert self._reader is not None
        while self._reader.read1(_PIECE_BYTES):
            pass

    def _reset(self) -> None:
        # Linger on, for no time at all: closing sends RST. Windows has the two fields as shorts.
        linger = struct.pack("hh" if hasattr(socket, "SO_EXCLUSIVEADDRUSE") else "ii", 1, 0)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _note(self, fault: Fault, occasion: Occasion) -> None:
        self._journal.note(
            "fault", occasion.association, f"{fault} {occasion.sop_instance_uid or ''}".rstrip()
        )


# -- coding --------------------------------------------------------------------------------------


def _decoded_request(
    request: bytes,
) -> tuple[dict[int, tuple[str, list[str]]], ClaimedIdentity | None] | None:
    """SOP class and transfer syntaxes by context number, and the identity; None when it is malformed."""
    pdu = A_ASSOCIATE_RQ()
    proposed: dict[int, tuple[str, list[str]]] = {}
    try:
        pdu.decode(request)
        for item in pdu.presentation_context:
            if item.presentation_context_id is None or not item.abstract_syntax or not item.transfer_syntax:
                return None
            proposed[item.presentation_context_id] = (
                str(item.abstract_syntax),
                [str(syntax) for syntax in item.transfer_syntax],
            )
        user = None if pdu.user_information is None else pdu.user_information.user_identity
        if not isinstance(user, UserIdentitySubItemRQ):
            return proposed, None
        claimed = ClaimedIdentity(
            user.user_identity_type or 0,
            user.primary_field or b"",
            user.secondary_field or b"",
            bool(user.positive_response_requested),
        )
    except UNDECODABLE:
        return None
    return proposed, claimed


def _item(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(payload)) + payload


def _associate_ac(
    request_body: bytes,
    answers: dict[int, tuple[int, str]],
    maximum_pdu_size: int,
    *,
    confirms_identity: bool,
) -> bytes:
    """A-ASSOCIATE-AC (PS3.8 Table 9-17); the fixed fields come back as they came (section 9.3.3)."""
    contexts = b"".join(
        _item(0x21, bytes([number, 0, result, 0]) + _item(0x40, syntax.encode("ascii", "replace")))
        for number, (result, syntax) in answers.items()
    )
    user_information = (
        _item(0x51, struct.pack(">I", maximum_pdu_size))
        + _item(0x52, IMPLEMENTATION_CLASS_UID.encode())
        + _item(0x55, IMPLEMENTATION_VERSION_NAME.encode())
        + (_item(0x59, bytes(2)) if confirms_identity else b"")  # an empty response, PS3.7 Table D.3-15
    )
    body = (
        struct.pack(">HH", 1, 0)
        + request_body[4:_FIXED_BYTES]
        + _item(0x10, _APPLICATION_CONTEXT)
        + contexts
        + _item(0x50, user_information)
    )
    return _HEADER.pack(_ASSOCIATE_AC, len(body)) + body


def _p_data(pdvs: list[bytes]) -> bytes:
    body = b"".join(pdvs)
    return _HEADER.pack(_P_DATA, len(body)) + body


def _pdv(context: int, fragment: bytes, *, last: bool) -> bytes:
    """A PDV that holds a piece of a command."""
    control = _COMMAND | (_LAST if last else 0)
    return _PDV_HEADER.pack(len(fragment) + _PDV_OVERHEAD, context, control) + fragment


def _command(elements: dict[int, bytes]) -> bytes:
    """A command set: Implicit VR Little Endian, in order, the group length first (PS3.7 section 6.3.1)."""
    encoded = b"".join(
        struct.pack("<HHI", 0, element, len(value)) + value for element, value in sorted(elements.items())
    )
    return struct.pack("<HHII", 0, _GROUP_LENGTH, 4, len(encoded)) + encoded


def _elements(command: bytes) -> dict[int, bytes]:
    """The elements of a command set; struct.error when it is cut short."""
    elements: dict[int, bytes] = {}
    position = 0
    while position < len(command):
        _, element, length = struct.unpack_from("<HHI", command, position)
        position += 8
        if position + length > len(command):
            raise struct.error("an element reaches beyond its command")
        elements[element] = command[position : position + length]
        position += length
    return elements


def _number(elements: dict[int, bytes], element: int) -> int:
    (value,) = struct.unpack("<H", elements[element])
    return int(value)


def _text(elements: dict[int, bytes], element: int) -> str:
    return elements.get(element, b"").decode("ascii", "replace").rstrip("\0 ")


def _us(value: int) -> bytes:
    return struct.pack("<H", value)


def _ui(uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    return value + b"\0" * (len(value) % 2)
