"""A DICOM peer on a bare socket, played by a script: for bytes that no well-behaved peer would send.

A script is a function of a `Conversation`; it runs in a thread for each connection, of which there is one
unless more are asked for. It shares no code with `dicomkit.wire`: pynetdicom takes apart what we sent.
"""

from __future__ import annotations

import io
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from pynetdicom.dsutils import decode
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF

__all__ = [
    "BarePeer",
    "Conversation",
    "Left",
    "ReceivedInstance",
    "accept_pdu",
    "data_pdu",
    "response_command",
]

HOST = "127.0.0.1"
PATIENCE_SECONDS = 10.0

ASSOCIATE_AC, P_DATA, ABORT = 2, 4, 7
COMMAND, LAST = 1, 2
NO_DATA_SET = 0x0101
ABORT_PDU = bytes.fromhex("07000000000400000000")
RELEASE_RQ_PDU = bytes.fromhex("05000000000400000000")
RELEASE_RP_PDU = bytes.fromhex("06000000000400000000")


class Left(Exception):
    """The other side closed or reset the connection."""


def accept_pdu(contexts: Iterable[tuple[int, int, str]], *, max_pdu: int = 16384) -> bytes:
    """A-ASSOCIATE-AC with (context ID, result, transfer syntax) for each context, PS3.8 section 9.3.3."""

    def item(kind: int, value: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(value)) + value

    body = struct.pack(">H2x16s16s32x", 1, b"PEER", b"DICOMKIT") + item(0x10, b"1.2.840.10008.3.1.1.1")
    for context_id, result, syntax in contexts:
        body += item(0x21, bytes([context_id, 0, result, 0]) + item(0x40, syntax.encode()))
    body += item(
        0x50, item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"2.25.1") + item(0x55, b"BARE_PEER")
    )
    return struct.pack(">BxI", ASSOCIATE_AC, len(body)) + body


def response_command(
    message_id: int, status: int = 0, *, command_field: int = 0x8001, data_set_type: int = 0x0101
) -> bytes:
    """The command set of a response, PS3.7 section 9.3.1.2."""
    body = b"".join(
        struct.pack("<HHIH", 0, element, 2, value)
        for element, value in (
            (0x0100, command_field),
            (0x0120, message_id),
            (0x0800, data_set_type),
            (0x0900, status),
        )
    )
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def data_pdu(*pdvs: tuple[int, int, bytes]) -> bytes:
    """P-DATA-TF with (context ID, message control header, fragment) for each PDV, PS3.8 section 9.3.5."""
    body = b"".join(
        struct.pack(">IBB", len(fragment) + 2, context_id, control) + fragment
        for context_id, control, fragment in pdvs
    )
    return struct.pack(">BxI", P_DATA, len(body)) + body


@dataclass
class ReceivedInstance:
    """A C-STORE-RQ with its data set, and how they were cut up."""

    command: Any
    data_set: bytes
    pdu_lengths: list[int] = field(default_factory=list)
    context_ids: set[int] = field(default_factory=set)
    controls: list[int] = field(default_factory=list)
    fragment_lengths: list[int] = field(default_factory=list)

    @property
    def message_id(self) -> int:
        return int(self.command.MessageID)


class Conversation:
    """The peer's side of one connection.

    Attributes
    ----------
    request : A_ASSOCIATE_RQ or None
        As pynetdicom decodes it, once `accept` was called.
    instances : list of ReceivedInstance
        All that `read_instance` returned.
    """

    def __init__(self, sock: socket.socket, over: threading.Event) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(PATIENCE_SECONDS)
        self.sock = sock
        self.over = over
        self.request: A_ASSOCIATE_RQ | None = None
        self.instances: list[ReceivedInstance] = []
        self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except (ConnectionError, BrokenPipeError) as error:
            raise Left from error

    def take(self, at_once: int = 1 << 20) -> int:
        """Take what the socket has, for a later `read`; how many bytes are there by now."""
        try:
            data = self.sock.recv(at_once)
        except ConnectionError as error:
            raise Left from error
        if not data:
            raise Left
        self._buffer += data
        return len(self._buffer)

    def read(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self.take()
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken

    def read_pdu(self) -> bytes:
        header = self.read(6)
        return header + self.read(int.from_bytes(header[2:], "big"))

    def read_request(self) -> A_ASSOCIATE_RQ:
        self.request = A_ASSOCIATE_RQ()
        self.request.decode(self.read_pdu())
        return self.request

    def accept(self, *, max_pdu: int = 16384) -> None:
        """Read the A-ASSOCIATE-RQ and accept every context in its first transfer syntax."""
        offered = self.read_request().presentation_context
        contexts = [(one.context_id or 0, 0, str(one.transfer_syntax[0])) for one in offered]
        self.send(accept_pdu(contexts, max_pdu=max_pdu))

    def read_instance(self) -> ReceivedInstance:
        """Read PDUs up to the end of a data set, or of a command that has none."""
        command = bytearray()
        data_set = bytearray()
        received = ReceivedInstance(None, b"")
        is_over = False
        while not is_over:
            raw = self.read_pdu()
            if raw[0] != P_DATA:
                raise Left
            pdu = P_DATA_TF()
            pdu.decode(raw)
            received.pdu_lengths.append(len(raw) - 6)
            for item in pdu.presentation_data_value_items:
                value = item.presentation_data_value
                assert value is not None and item.presentation_context_id is not None
                control = value[0]
                received.context_ids.add(item.presentation_context_id)
                received.controls.append(control)
                received.fragment_lengths.append(len(value) - 1)
                (command if control & COMMAND else data_set).extend(value[1:])
                is_over = control == LAST
                if control == COMMAND | LAST:
                    received.command = decode(io.BytesIO(command), True, True)
                    is_over = received.command.CommandDataSetType == NO_DATA_SET
        received.data_set = bytes(data_set)
        self.instances.append(received)
        return received

    def answer(self, to: ReceivedInstance, status: int = 0, **changes: int) -> None:
        command_field = int(to.command.CommandField) | 0x8000
        command = response_command(to.message_id, status, **{"command_field": command_field, **changes})
        self.send(data_pdu((min(to.context_ids), COMMAND | LAST, command)))

    def serve(self) -> None:
        """Answer whatever comes with success, until the release."""
        while self._next_kind() == P_DATA:
            self.answer(self.read_instance())
        self.read_pdu()
        self.send(RELEASE_RP_PDU)

    def _next_kind(self) -> int:
        if not self._buffer:
            self.take()
        return self._buffer[0]

    def read_to_the_end(self) -> bytes:
        """All that still comes, until the other side closes."""
        with suppress(Left):
            while True:
                self.take()
        return bytes(self._buffer)

    def is_left_within(self, seconds: float) -> bool:
        """Wait; at once True when the other side sends or closes."""
        return bool(select.select([self.sock], [], [], seconds)[0])

    def until_over(self) -> None:
        """Say nothing and read nothing more, until the test leaves the peer's block."""
        self.over.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()


class BarePeer:
    """Listens on loopback and plays a script; what goes wrong in it is raised when the block ends.

    Parameters
    ----------
    connections : int or None
        How many are accepted, each with a script and a thread of its own; None for all that come.
    receive_buffer : int, optional
        SO_RCVBUF in bytes, for a sender that is to notice soon that nobody reads.
    """

    def __init__(
        self,
        script: Callable[[Conversation], None],
        *,
        connections: int | None = 1,
        receive_buffer: int | None = None,
    ) -> None:
        self._script = script
        self._connections = connections
        self._listener = socket.socket()
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind((HOST, 0))
        self._listener.listen(50)
        self.port: int = self._listener.getsockname()[1]
        self.conversations: list[Conversation] = []
        self._over = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._listen, name="bare peer", daemon=True)]

    @property
    def instances(self) -> Sequence[ReceivedInstance]:
        return [one for conversation in self.conversations for one in conversation.instances]

    def _listen(self) -> None:
        while len(self.conversations) != self._connections:
            sock, _ = self._listener.accept()
            if self._over.is_set():  # it was `__exit__`
                sock.close()
                return
            self.conversations.append(Conversation(sock, self._over))
            play = threading.Thread(target=self._play, args=self.conversations[-1:], daemon=True)
            self._threads.append(play)
            play.start()

    def _play(self, conversation: Conversation) -> None:
        try:
            self._script(conversation)
        except Left:
            return
        except (AssertionError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            self._errors.append(error)
        finally:
            conversation.close()

    def finished(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        while self._threads[0].is_alive():  # it waits for another connection
            with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1.0):
                self._threads[0].join(PATIENCE_SECONDS)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        if error is None:
            assert self.finished(), "a script of the peer has not come to its end"
            for one in self._errors:
                raise one
        else:
            for one in self._errors:
                error.add_note(f"In the script of the peer: {one!r}")
