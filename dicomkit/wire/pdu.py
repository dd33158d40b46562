"""PDUs (PS3.8 section 9.3) and DIMSE commands (PS3.7 section 6.3) as a storage SCU needs them. No I/O here.

`next_pdu` looks at the bytes received so far and returns a PDU and its size, or None for "need more",
or raises `ProtocolError`. Every length is checked before it is believed, and nothing longer than
`MAX_RECEIVED_PDU` is ever waited for. Encoders return bytes, ready for the socket.

A PDU has a header of 6 bytes (type 1, reserved 1, length 4, big endian). Inside a P-DATA-TF each presentation
data value (PDV) has 6 bytes more (length 4, context ID 1, message control header 1), in front of its fragment of
a command or a data set. Commands themselves are always Implicit VR Little Endian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import Struct
from typing import TYPE_CHECKING

from dicomkit import __version__
from dicomkit._support.frozen import Frozen
from dicomkit.dictionary.uids import VERIFICATION, uid_name
from dicomkit.errors import ProtocolError

if TYPE_CHECKING:
    from dicomkit.security import UserIdentity

IMPLEMENTATION_CLASS_UID = "2.25.141061381241272915705404684193389943818"
IMPLEMENTATION_VERSION_NAME = f"DICOMKIT_{__version__}"[:16]  # PS3.7 D.3.3.2.3: 1 to 16 characters

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1
MAX_CONTEXTS = 128  # odd IDs from 1 to 255, PS3.8 section 9.3.2.2
MAX_UID = 64  # PS3.5 section 9.1

PDU_HEADER = Struct(">BxI")
PDV_HEADER = Struct(">IBB")
ITEM_HEADER = Struct(">BxH")
ELEMENT_HEADER = Struct("<HHI")
US = Struct("<H")
# Of an A-ASSOCIATE-RQ and -AC before the items: protocol version 2, reserved 2, titles 16 + 16, reserved 32
ASSOCIATE_FIXED = 68

# PDU types, PS3.8 sections 9.3.2 to 9.3.8
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA_TF, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

# What we announce as the largest P-DATA-TF we take (PS3.8 D.1), and the most we believe of any PDU: an
# A-ASSOCIATE-AC with 128 contexts and long names stays well below.
MAX_ANNOUNCED_PDU = 16384
MAX_RECEIVED_PDU = 1 << 17
# A response's command set has a dozen short elements; what is longer than this is not one.
MAX_COMMAND = 1 << 15

# Message control header, PS3.8 E.2
COMMAND = 0b01
LAST = 0b10

# Command fields, PS3.7 E.1
C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
SUCCESS = 0x0000  # PS3.7 Annex C
NO_DATA_SET = 0x0101  # PS3.7 E.1, Command Data Set Type; anything else says that a data set follows
DATA_SET_PRESENT = 0x0001
PRIORITY_MEDIUM = 0x0000  # PS3.7 section 9.1.1.1.5

# Result of a presentation context in A-ASSOCIATE-AC, PS3.8 Table 9-18
CONTEXT_ACCEPTED = 0
CONTEXT_RESULTS = {
    0: "accepted",
    1: "rejected by the user of the service",
    2: "no reason given",
    3: "the SOP class is not supported",
    4: "none of the transfer syntaxes is supported",
}

# PS3.8 Table 9-21
REJECT_RESULTS = {1: "rejected permanently", 2: "rejected for now"}
REJECT_SOURCES = {1: "service user", 2: "service provider (ACSE)", 3: "service provider (presentation)"}
REJECT_REASONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}

# PS3.8 Table 9-26
ABORT_SOURCES = {0: "service user", 2: "service provider"}
ABORT_REASONS = {
    0: "reason not specified",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}


def reject_words(result: int, source: int, reason: int) -> tuple[str, str]:
    """What an A-ASSOCIATE-RJ says (PS3.8 Table 9-21): the reason, and how final and by whom, with the numbers."""
    said = REJECT_REASONS.get((source, reason), f"reason {reason}, which PS3.8 does not define")
    how = REJECT_RESULTS.get(result, f"result {result}")
    who = REJECT_SOURCES.get(source, f"source {source}")
    return said, f"{how} by the {who}: result {result}, source {source}, reason {reason}"


def abort_words(source: int, reason: int) -> str:
    """What an A-ABORT says (PS3.8 Table 9-26); the reason of a service user is not significant."""
    who = ABORT_SOURCES.get(source, f"source {source}")
    return f"{who}: {ABORT_REASONS.get(reason, f'reason {reason}')}" if source == 2 else who


class ProposedContext(Frozen):
    """One SOP class with the transfer syntaxes it is offered in; `id` is odd, 1 to 255."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class ContextReply(Frozen):
    """The peer's answer to one proposed context; `transfer_syntax` counts only when it is accepted.

    `more_syntaxes` has what an answer names beside the one transfer syntax that it should (PS3.8 section 9.3.3.2);
    an answer that names none has an empty `transfer_syntax`.
    """

    id: int
    result: int
    transfer_syntax: str
    more_syntaxes: tuple[str, ...] = ()


class AssociateAccept(Frozen):
    """A-ASSOCIATE-AC: the answer to each context, and what the peer tells of itself."""

    title = "an A-ASSOCIATE-AC"

    replies: tuple[ContextReply, ...]
    max_pdu: int  # of a P-DATA-TF, in bytes after its header; 0 for no limit (PS3.8 D.1)
    implementation_class_uid: str
    implementation_version: str
    identity_confirmed: bool = False  # the positive response to a user identity (PS3.7 D.3.3.7.2)


class AssociateReject(Frozen):
    """A-ASSOCIATE-RJ, PS3.8 section 9.3.4."""

    title = "an A-ASSOCIATE-RJ"

    result: int
    source: int
    reason: int


def why_unusable(context: ProposedContext, reply: ContextReply) -> str:
    """What is wrong with the answer to an accepted context, which then carries nothing; empty for a right one."""
    if not reply.transfer_syntax:
        return "accepted without a transfer syntax"
    if reply.more_syntaxes:
        return f"accepted in {1 + len(reply.more_syntaxes)} transfer syntaxes instead of one"
    if reply.transfer_syntax not in context.transfer_syntaxes:
        return f"accepted in {uid_name(reply.transfer_syntax)}, which was not offered"
    return ""


class Pdv(Frozen):
    """One presentation data value: a fragment of a command or of a data set."""

    context_id: int
    is_command: bool
    is_last: bool
    fragment: bytes


class DataTransfer(Frozen):
    """P-DATA-TF: one or more PDVs."""

    title = "a P-DATA-TF"

    pdvs: tuple[Pdv, ...]


class ReleaseRequest(Frozen):
    """A-RELEASE-RQ."""

    title = "an A-RELEASE-RQ"


class ReleaseReply(Frozen):
    """A-RELEASE-RP."""

    title = "an A-RELEASE-RP"


class Abort(Frozen):
    """A-ABORT, PS3.8 section 9.3.8."""

    title = "an A-ABORT"

    source: int
    reason: int


Pdu = AssociateAccept | AssociateReject | DataTransfer | ReleaseRequest | ReleaseReply | Abort


class Response(Frozen):
    """The command set of a DIMSE response, PS3.7 sections 9.3.1.2 and 9.3.5.2.

    `error_comment` is text of the peer; it may name a patient, so it belongs in a row and never in a log. The UIDs
    of what it answers for, which need not be there, are left as bytes: nobody needs them unless they are others.
    """

    command_field: int
    message_id: int
    status: int
    has_data_set: bool
    error_comment: str
    affected_class: bytes = b""
    affected_instance: bytes = b""


# ---------------------------------------------------------------------------------------------- encoding


def encode_associate_request(
    calling_aet: str,
    called_aet: str,
    contexts: Sequence[ProposedContext],
    max_pdu: int = MAX_ANNOUNCED_PDU,
    identity: UserIdentity | None = None,
) -> bytes:
    """A-ASSOCIATE-RQ, PS3.8 section 9.3.2, with a user identity (PS3.7 D.3.3.7) if there is one."""
    if not 0 < len(contexts) <= MAX_CONTEXTS:
        raise ValueError(
            f"an association carries 1 to {MAX_CONTEXTS} presentation contexts, not {len(contexts)}"
        )
    body = bytearray(Struct(">H2x16s16s32x").pack(1, _padded(called_aet), _padded(calling_aet)))
    body += encode_item(0x10, APPLICATION_CONTEXT)
    for context in contexts:
        sub_items = encode_item(0x30, context.abstract_syntax.encode("ascii"))
        for syntax in context.transfer_syntaxes:
            sub_items += encode_item(0x40, syntax.encode("ascii"))
        body += encode_item(0x20, bytes([context.id, 0, 0, 0]) + sub_items)
    user_information = encode_item(0x51, max_pdu.to_bytes(4, "big"))
    user_information += encode_item(0x52, IMPLEMENTATION_CLASS_UID.encode("ascii"))
    user_information += encode_item(0x55, IMPLEMENTATION_VERSION_NAME.encode("ascii"))
    if identity is not None:
        head = bytes([identity.kind, identity.positive_response_requested])
        fields = _sized(identity.primary) + _sized(identity.secondary)
        user_information += encode_item(0x58, head + fields)  # PS3.7 Table D.3-14
    body += encode_item(0x50, user_information)
    return PDU_HEADER.pack(ASSOCIATE_RQ, len(body)) + bytes(body)


def encode_release_request() -> bytes:
    """A-RELEASE-RQ, PS3.8 section 9.3.6."""
    return PDU_HEADER.pack(RELEASE_RQ, 4) + bytes(4)


def encode_release_reply() -> bytes:
    """A-RELEASE-RP, PS3.8 section 9.3.7."""
    return PDU_HEADER.pack(RELEASE_RP, 4) + bytes(4)


def encode_abort(source: int = 0, reason: int = 0) -> bytes:
    """A-ABORT, PS3.8 section 9.3.8; by default from the service user, whose reason is not significant."""
    return PDU_HEADER.pack(ABORT, 4) + bytes([0, 0, source, reason])


def encode_data_transfer(pdvs: Iterable[Pdv]) -> bytes:
    """P-DATA-TF with these PDVs, PS3.8 section 9.3.5."""
    body = b"".join(
        PDV_HEADER.pack(len(pdv.fragment) + 2, pdv.context_id, pdv.is_command * COMMAND | pdv.is_last * LAST)
        + pdv.fragment
        for pdv in pdvs
    )
    return PDU_HEADER.pack(P_DATA_TF, len(body)) + body


def encode_store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """The command set of a C-STORE-RQ, PS3.7 section 9.3.1.1 and E.1."""
    return encode_command(
        (0x0002, _uid(sop_class_uid)),
        (0x0100, US.pack(C_STORE_RQ)),
        (0x0110, US.pack(message_id)),
        (0x0700, US.pack(PRIORITY_MEDIUM)),
        (0x0800, US.pack(DATA_SET_PRESENT)),
        (0x1000, _uid(sop_instance_uid)),
    )


def encode_echo_request(message_id: int) -> bytes:
    """The command set of a C-ECHO-RQ, PS3.7 section 9.3.5.1."""
    return encode_command(
        (0x0002, _uid(VERIFICATION)),
        (0x0100, US.pack(C_ECHO_RQ)),
        (0x0110, US.pack(message_id)),
        (0x0800, US.pack(NO_DATA_SET)),
    )


def even_room(max_pdu: int) -> int:
    """The longest fragment that a PDU of `max_pdu` bytes holds beside its PDV header; even, as all of DICOM is."""
    return (max_pdu - PDV_HEADER.size) & ~1


def fragments_of(command: bytes, context_id: int, max_pdu: int) -> bytes:
    """A command set as P-DATA-TFs, one PDV each, none longer than `max_pdu` bytes after its header."""
    room = even_room(max_pdu)
    pieces = [command[start : start + room] for start in range(0, len(command), room)]
    last = len(pieces) - 1
    return b"".join(
        encode_data_transfer([Pdv(context_id, True, index == last, piece)])
        for index, piece in enumerate(pieces)
    )


def data_bytes_in(sent: bytes | memoryview) -> int:
    """How many bytes of data set lie in the beginning of what was encoded as P-DATA-TFs."""
    count = 0
    start = 0
    while start + PDU_HEADER.size < len(sent):
        end = start + PDU_HEADER.size + PDU_HEADER.unpack_from(sent, start)[1]
        start += PDU_HEADER.size
        while start + PDV_HEADER.size <= min(end, len(sent)):
            length, _, control = PDV_HEADER.unpack_from(sent, start)
            if not control & COMMAND:
                count += min(length - 2, len(sent) - start - PDV_HEADER.size)
            start += 4 + length
        start = end
    return count


def _padded(aet: str) -> bytes:
    return aet.encode("ascii").ljust(16)


def encode_item(kind: int, value: bytes) -> bytes:
    """An item or sub-item of an A-ASSOCIATE-RQ or -AC, PS3.8 section 9.3.2."""
    return ITEM_HEADER.pack(kind, len(value)) + value


def _sized(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def _uid(uid: str) -> bytes:
    value = uid.encode("ascii")
    return value + b"\0" * (len(value) % 2)  # PS3.5 section 9.1: padded to even length with NULL


def encode_command(*elements: tuple[int, bytes]) -> bytes:
    """A command set of elements in ascending order, behind its group length, PS3.7 section 6.3.1."""
    body = b"".join([ELEMENT_HEADER.pack(0x0000, element, len(value)) + value for element, value in elements])
    return ELEMENT_HEADER.pack(0x0000, 0x0000, 4) + len(body).to_bytes(4, "little") + body


# ---------------------------------------------------------------------------------------------- decoding


def next_pdu(data: bytes | bytearray) -> tuple[Pdu, int] | None:
    """The first PDU in `data` and its size, None while it is incomplete; ProtocolError for what can be none."""
    if not data:
        return None
    kind = data[0]
    if kind not in _DECODERS:
        what = "an A-ASSOCIATE-RQ, which only we may send" if kind == ASSOCIATE_RQ else looks_like(data)
        error = ProtocolError(f"the peer sent {what} where a DICOM PDU was due")
        error.received = what
        raise error
    if len(data) < PDU_HEADER.size:
        return None
    length = PDU_HEADER.unpack_from(data)[1]
    if length > MAX_RECEIVED_PDU:
        raise ProtocolError(f"the peer announced a PDU of {length} bytes; we take {MAX_ANNOUNCED_PDU}")
    end = PDU_HEADER.size + length
    if len(data) < end:
        return None
    return _DECODERS[kind](bytes(data[PDU_HEADER.size : end])), end


def looks_like(data: bytes | bytearray) -> str:
    """What bytes that are no PDU seem to be, in words."""
    start = bytes(data[:5])
    if start.startswith((b"HTTP", b"<", b"GET", b"POST")):
        return "HTTP"
    if start[:2] in (b"\x15\x03", b"\x16\x03"):  # alert and handshake records, RFC 8446 section 5.1
        return "TLS"
    if start.startswith(b"SSH-"):
        return "SSH"
    if start[:1] in (b"\3", b"\7") and start[1:5] == b"\0\0\0\0":  # A-ASSOCIATE-RJ, A-ABORT
        return "a DICOM PDU"
    return f"bytes beginning 0x{start.hex()}"


def decode_command(command: bytes) -> dict[int, bytes]:
    """The values of a command set by element of group 0000; ProtocolError where a length does not fit."""
    values: dict[int, bytes] = {}
    position, size = 0, len(command)
    while position < size:
        if position + ELEMENT_HEADER.size > size:
            raise ProtocolError("the peer sent a command set that ends within an element")
        group, element, length = ELEMENT_HEADER.unpack_from(command, position)
        position += ELEMENT_HEADER.size
        if length > size - position:
            raise ProtocolError(
                f"the peer sent a command element ({group:04X},{element:04X}) longer than its command set"
            )
        if group == 0x0000:
            values[element] = command[position : position + length]
        position += length
    return values


def decode_response(command: bytes) -> Response:
    """The command set of a DIMSE response; ProtocolError where it, or a mandatory element, is not there."""
    values = decode_command(command)
    return Response(
        command_field=_us(values, 0x0100, "Command Field"),
        message_id=_us(values, 0x0120, "Message ID Being Responded To"),
        status=_us(values, 0x0900, "Status"),
        has_data_set=_us(values, 0x0800, "Command Data Set Type") != NO_DATA_SET,
        error_comment=decode_text(values[0x0902]) if 0x0902 in values else "",
        affected_class=values.get(0x0002, b"").rstrip(b"\0 "),
        affected_instance=values.get(0x1000, b"").rstrip(b"\0 "),
    )


def _us(values: dict[int, bytes], element: int, name: str) -> int:
    value = values.get(element)
    if value is None or len(value) != US.size:
        raise ProtocolError(f"the peer sent a response without a valid {name} (0000,{element:04X})")
    number: int = US.unpack(value)[0]
    return number


def decode_text(value: bytes) -> str:
    """Text of the peer in the default repertoire, with anything else made visible rather than lost."""
    text = value.decode("ascii", "backslashreplace").strip(" \0")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def decode_items(body: bytes, start: int, where: str) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item from `start`; ProtocolError, naming `where`, when one is cut short."""
    position = start
    while position < len(body):
        if position + ITEM_HEADER.size > len(body):
            raise ProtocolError(f"the peer sent {where} that ends within an item header")
        kind, length = ITEM_HEADER.unpack_from(body, position)
        position += ITEM_HEADER.size
        if length > len(body) - position:
            raise ProtocolError(
                f"the peer sent {where} with an item (0x{kind:02X}) longer than what holds it"
            )
        yield kind, body[position : position + length]
        position += length


def _decode_accept(body: bytes) -> AssociateAccept:
    if len(body) < ASSOCIATE_FIXED:
        raise ProtocolError("the peer sent an A-ASSOCIATE-AC shorter than its fixed fields")
    replies: list[ContextReply] = []
    max_pdu = 0
    class_uid = version = ""
    identity_confirmed = False
    for kind, item in decode_items(body, ASSOCIATE_FIXED, "an A-ASSOCIATE-AC"):
        if kind == 0x21:
            replies.append(_decode_context_reply(item))
        elif kind == 0x50:
            for sub_kind, value in decode_items(item, 0, "user information"):
                if sub_kind == 0x51:
                    if len(value) != 4:
                        raise ProtocolError("the peer sent a Maximum Length item that is not 4 bytes long")
                    max_pdu = int.from_bytes(value, "big")
                elif sub_kind == 0x52:
                    class_uid = decode_text(value)
                elif sub_kind == 0x55:
                    version = decode_text(value)
                elif sub_kind == 0x59:
                    # PS3.7 Table D.3-15: a server response and its length. It may be a ticket, so it is not kept.
                    if len(value) < 2 or int.from_bytes(value[:2], "big") != len(value) - 2:
                        raise ProtocolError("the peer sent a user identity response of the wrong length")
                    identity_confirmed = True
    return AssociateAccept(tuple(replies), max_pdu, class_uid, version, identity_confirmed)


def _decode_context_reply(item: bytes) -> ContextReply:
    if len(item) < 4:
        raise ProtocolError("the peer sent a presentation context reply shorter than 4 bytes")
    syntaxes = [
        decode_text(value)
        for kind, value in decode_items(item, 4, "a presentation context reply")
        if kind == 0x40
    ]
    return ContextReply(item[0], item[2], syntaxes[0] if syntaxes else "", tuple(syntaxes[1:]))


def _decode_reject(body: bytes) -> AssociateReject:
    if len(body) != 4:
        raise ProtocolError("the peer sent an A-ASSOCIATE-RJ that is not 4 bytes long")
    return AssociateReject(body[1], body[2], body[3])


def _decode_data_transfer(body: bytes) -> DataTransfer:
    pdvs: list[Pdv] = []
    position = 0
    while position < len(body):
        if position + PDV_HEADER.size > len(body):
            raise ProtocolError("the peer sent a P-DATA-TF that ends within a PDV header")
        length, context_id, control = PDV_HEADER.unpack_from(body, position)
        end = position + 4 + length
        if length < 2 or end > len(body):
            raise ProtocolError(f"the peer sent a PDV of {length} bytes that does not fit its P-DATA-TF")
        fragment = body[position + PDV_HEADER.size : end]
        pdvs.append(Pdv(context_id, bool(control & COMMAND), bool(control & LAST), fragment))
        position = end
    return DataTransfer(tuple(pdvs))


def _decode_abort(body: bytes) -> Abort:
    if len(body) != 4:
        raise ProtocolError("the peer sent an A-ABORT that is not 4 bytes long")
    return Abort(body[2], body[3])


_DECODERS: dict[int, Callable[[bytes], Pdu]] = {
    ASSOCIATE_AC: _decode_accept,
    ASSOCIATE_RJ: _decode_reject,
    P_DATA_TF: _decode_data_transfer,
    RELEASE_RQ: lambda body: ReleaseRequest(),
    RELEASE_RP: lambda body: ReleaseReply(),
    ABORT: _decode_abort,
}
