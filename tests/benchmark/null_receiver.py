"""A storage SCP that looks at nothing it need not: what a sender costs, with a receiver that costs next to nothing.

It accepts every context in its first transfer syntax, reads PDU and PDV headers only, and answers each C-STORE
(and C-ECHO) with success. Run as a script: ``null_receiver.py PORT [MAX_PDU]``. At the end of each connection it
writes a line: how many instances, how many bytes of data sets.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading

# PDU types, PS3.8 section 9.3
ASSOCIATE_RQ, ASSOCIATE_AC, DATA_TF, RELEASE_RQ, RELEASE_RP = 0x01, 0x02, 0x04, 0x05, 0x06
# Items, PS3.8 sections 9.3.2 and 9.3.3, and annex D
APPLICATION_CONTEXT, CONTEXT_RQ, CONTEXT_AC, TRANSFER_SYNTAX, USER_INFORMATION = 0x10, 0x20, 0x21, 0x40, 0x50
MAXIMUM_LENGTH, IMPLEMENTATION_UID = 0x51, 0x52
FIXED_PART = 68  # of an association request or acceptance, after the PDU header: PS3.8 Table 9-11
# Message control header, PS3.8 annex E.2
IS_COMMAND, IS_LAST = 0x01, 0x02
PDU_HEADER, PDV_HEADER = struct.Struct(">BxI"), struct.Struct(">IBB")
# Commands, PS3.7 section 9.3 and annex E
AFFECTED_SOP_CLASS, COMMAND_FIELD, MESSAGE_ID, RESPONDED_ID = 0x0002, 0x0100, 0x0110, 0x0120
DATA_SET_TYPE, STATUS, AFFECTED_SOP_INSTANCE = 0x0800, 0x0900, 0x1000
NO_DATA_SET, RESPONSE = 0x0101, 0x8000
C_STORE_RQ = 0x0001
UID = b"1.2.826.0.1.3680043.8.498.2026.9"
BUFFER_BYTES = 1 << 20


class Connection:
    """One association, from accept to the end."""

    def __init__(self, peer: socket.socket, max_pdu: int) -> None:
        self._socket = peer
        self._max_pdu = max_pdu
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._command = b""
        self._request: dict[int, bytes] = {}
        self.instances = self.size_bytes = 0

    def serve(self) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while self._fill(PDU_HEADER.size):
            kind, length = PDU_HEADER.unpack_from(self._buffer, self._start)
            self._start += PDU_HEADER.size
            if kind == DATA_TF:
                self._take_data(length)
                continue
            self._fill(length)
            body = bytes(self._view[self._start : self._start + length])
            self._start += length
            if kind == ASSOCIATE_RQ:
                self._socket.sendall(_acceptance(body, self._max_pdu))
            elif kind == RELEASE_RQ:
                self._socket.sendall(PDU_HEADER.pack(RELEASE_RP, 4) + bytes(4))
            else:
                return

    def _fill(self, count: int) -> bool:
        """Have `count` bytes in the buffer; False at the end of the connection."""
        while self._end - self._start < count:
            if self._start:
                rest = self._end - self._start
                self._buffer[:rest] = self._buffer[self._start : self._end]
                self._start, self._end = 0, rest
            if self._end == len(self._buffer):
                raise ValueError("an item longer than the buffer")
            received = self._socket.recv_into(self._view[self._end :])
            if received == 0:
                return False
            self._end += received
        return True

    def _skip(self, count: int) -> None:
        while count > self._end - self._start:
            count -= self._end - self._start
            self._start, self._end = 0, self._socket.recv_into(self._view)
            if self._end == 0:
                raise ConnectionError("closed in the middle of a PDU")
        self._start += count

    def _take_data(self, length: int) -> None:
        while length:
            if not self._fill(PDV_HEADER.size):
                raise ConnectionError("closed in the middle of a PDU")
            pdv, context, control = PDV_HEADER.unpack_from(self._buffer, self._start)
            self._start += PDV_HEADER.size
            length -= 4 + pdv
            payload = pdv - 2
            if control & IS_COMMAND:
                self._fill(payload)
                self._command += self._view[self._start : self._start + payload]
                self._start += payload
                if control & IS_LAST:
                    self._request, self._command = _elements(self._command), b""
                    if self._request[DATA_SET_TYPE] == struct.pack("<H", NO_DATA_SET):
                        self._answer(context)
            else:
                self._skip(payload)
                self.size_bytes += payload
                if control & IS_LAST:
                    self._answer(context)

    def _answer(self, context: int) -> None:
        request = self._request
        (field,) = struct.unpack("<H", request[COMMAND_FIELD])
        if field == C_STORE_RQ:
            self.instances += 1
        body = b"".join(
            struct.pack("<HHI", 0, element, len(value)) + value
            for element, value in (
                (AFFECTED_SOP_CLASS, request[AFFECTED_SOP_CLASS]),
                (COMMAND_FIELD, struct.pack("<H", field | RESPONSE)),
                (RESPONDED_ID, request[MESSAGE_ID]),
                (DATA_SET_TYPE, struct.pack("<H", NO_DATA_SET)),
                (STATUS, bytes(2)),
                (AFFECTED_SOP_INSTANCE, request.get(AFFECTED_SOP_INSTANCE)),
            )
            if value is not None
        )
        command = struct.pack("<HHII", 0, 0, 4, len(body)) + body
        pdv = PDV_HEADER.pack(len(command) + 2, context, IS_COMMAND | IS_LAST) + command
        self._socket.sendall(PDU_HEADER.pack(DATA_TF, len(pdv)) + pdv)


def _elements(command: bytes) -> dict[int, bytes]:
    """Values of a command set by element number; it is always Implicit VR Little Endian (PS3.7 section 6.3.1)."""
    values, position = {}, 0
    while position < len(command):
        _, element, length = struct.unpack_from("<HHI", command, position)
        values[element] = command[position + 8 : position + 8 + length]
        position += 8 + length
    return values


def _items(content: bytes) -> list[tuple[int, bytes]]:
    found, position = [], 0
    while position < len(content):
        kind, length = struct.unpack_from(">BxH", content, position)
        found.append((kind, content[position + 4 : position + 4 + length]))
        position += 4 + length
    return found


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def _acceptance(request: bytes, max_pdu: int) -> bytes:
    parts = [request[:FIXED_PART]]
    for kind, content in _items(request[FIXED_PART:]):
        if kind == APPLICATION_CONTEXT:
            parts.append(_item(kind, content))
        elif kind == CONTEXT_RQ:
            first = next(body for sub, body in _items(content[4:]) if sub == TRANSFER_SYNTAX)
            parts.append(_item(CONTEXT_AC, content[:1] + bytes(3) + _item(TRANSFER_SYNTAX, first)))
    limits = _item(MAXIMUM_LENGTH, struct.pack(">I", max_pdu)) + _item(IMPLEMENTATION_UID, UID)
    body = b"".join(parts) + _item(USER_INFORMATION, limits)
    return PDU_HEADER.pack(ASSOCIATE_AC, len(body)) + body


def _serve(peer: socket.socket, max_pdu: int) -> None:
    connection = Connection(peer, max_pdu)
    try:
        with peer:
            connection.serve()
    except ConnectionError as error:
        print(f"lost: {error}", file=sys.stderr, flush=True)
    finally:
        print(connection.instances, connection.size_bytes, flush=True)


def main(port: int, max_pdu: int) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=128) as server:
        while True:
            peer, _ = server.accept()
            threading.Thread(target=_serve, args=(peer, max_pdu), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 16384)
