"""PDUs and commands, byte for byte: against pynetdicom both ways, against DCMTK's bytes, and against any bytes."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom import pdu as theirs
from pynetdicom.dimse_messages import C_ECHO_RQ, C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext

from dicomkit.errors import ProtocolError
from dicomkit.wire import pdu as p

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LE, IMPLICIT_LE, JPEG_LOSSLESS = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70"

uids = st.from_regex(r"\A[12](\.(0|[1-9][0-9]{0,9})){1,5}\Z")
titles = (
    st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\"),
        min_size=1,
        max_size=16,
    )
    .map(str.strip)
    .filter(bool)
)
context_ids = st.integers(0, 127).map(lambda index: 2 * index + 1)
message_ids = st.integers(0, 0xFFFF)
max_pdus = st.integers(0, 0xFFFFFFFF)
comments = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\"), max_size=64
).map(str.strip)


@st.composite
def proposals(draw: st.DrawFn) -> list[p.ProposedContext]:
    count = draw(st.integers(1, 8) | st.just(p.MAX_CONTEXTS))
    known = draw(st.lists(uids, min_size=4, max_size=4, unique=True))
    return [
        p.ProposedContext(2 * index + 1, known[index % 4], tuple(known[: 1 + index % 3]))
        for index in range(count)
    ]


def decoded(data: bytes) -> p.Pdu:
    """The only PDU in `data`, which it fills."""
    found = p.next_pdu(data)
    assert found is not None
    assert found[1] == len(data)
    return found[0]


def command_set(pdus: bytes) -> Any:
    """What pynetdicom reads from the command PDVs in these PDUs."""
    command = bytearray()
    position = 0
    while position < len(pdus):
        end = position + 6 + int.from_bytes(pdus[position + 2 : position + 6], "big")
        pdu = theirs.P_DATA_TF()
        pdu.decode(pdus[position:end])
        for item in pdu.presentation_data_value_items:
            command += (item.presentation_data_value or b"")[1:]
        position = end
    return decode(io.BytesIO(command), True, True)


# Ours to pynetdicom


@given(titles, titles, proposals(), st.integers(0, 0xFFFFFFFF))
@settings(max_examples=50, deadline=None)
def test_pynetdicom_reads_our_association_request_as_we_meant_it(
    calling: str, called: str, contexts: list[p.ProposedContext], max_pdu: int
) -> None:
    request = theirs.A_ASSOCIATE_RQ()
    request.decode(p.encode_associate_request(calling, called, contexts, max_pdu))
    assert (request.calling_ae_title.strip(), request.called_ae_title.strip()) == (calling, called)
    assert request.protocol_version == 1
    assert request.application_context_name == "1.2.840.10008.3.1.1.1"
    assert [
        (one.context_id, one.abstract_syntax, tuple(one.transfer_syntax))
        for one in request.presentation_context
    ] == [(one.id, one.abstract_syntax, one.transfer_syntaxes) for one in contexts]
    assert request.user_information is not None
    assert request.user_information.maximum_length == max_pdu
    assert request.user_information.implementation_class_uid == p.IMPLEMENTATION_CLASS_UID
    assert request.user_information.implementation_version_name == p.IMPLEMENTATION_VERSION_NAME


@pytest.mark.parametrize("count", [0, 129])
def test_an_association_request_has_1_to_128_contexts(count: int) -> None:
    contexts = [p.ProposedContext(1, CT, (EXPLICIT_LE,))] * count
    with pytest.raises(ValueError, match=f"1 to 128 presentation contexts, not {count}"):
        p.encode_associate_request("A", "B", contexts)


@given(message_ids, uids, uids, st.sampled_from([16, 17, 30, 128, 16384]), context_ids)
@settings(deadline=None)
def test_pynetdicom_reads_our_store_request_as_we_meant_it(
    message_id: int, sop_class: str, sop_instance: str, max_pdu: int, context_id: int
) -> None:
    command = p.encode_store_request(message_id, sop_class, sop_instance)
    assert len(command) % 2 == 0
    read = command_set(p.fragments_of(command, context_id, max_pdu))
    assert read.CommandGroupLength == len(command) - 12
    assert (read.CommandField, read.MessageID, read.Priority) == (0x0001, message_id, 0)
    assert (read.AffectedSOPClassUID, read.AffectedSOPInstanceUID) == (sop_class, sop_instance)
    assert read.CommandDataSetType != 0x0101


@given(message_ids)
def test_our_commands_are_those_that_pynetdicom_would_send(message_id: int) -> None:
    store = C_STORE()
    store.MessageID, store.Priority = message_id, 0
    store.AffectedSOPClassUID, store.AffectedSOPInstanceUID = CT, "1.2.3"
    store.DataSet = io.BytesIO(b"\0\0")
    request = C_STORE_RQ()
    request.primitive_to_message(store)
    theirs_read = request.command_set
    ours_read = decode(io.BytesIO(p.encode_store_request(message_id, CT, "1.2.3")), True, True)
    theirs_read.CommandDataSetType = ours_read.CommandDataSetType  # any value but 0x0101 says the same
    assert ours_read == theirs_read

    echo = C_ECHO()
    echo.MessageID, echo.AffectedSOPClassUID = message_id, "1.2.840.10008.1.1"
    echo_request = C_ECHO_RQ()
    echo_request.primitive_to_message(echo)
    assert decode(io.BytesIO(p.encode_echo_request(message_id)), True, True) == echo_request.command_set


@given(st.binary(min_size=2, max_size=600), st.integers(16, 300), context_ids)
@settings(deadline=None)
def test_fragments_are_even_and_fit_and_only_the_last_says_so(
    command: bytes, max_pdu: int, context_id: int
) -> None:
    rest = p.fragments_of(command, context_id, max_pdu)
    pieces: list[p.Pdv] = []
    while rest:
        found = p.next_pdu(rest)
        assert found is not None
        pdu, size = found
        assert size - 6 <= max_pdu
        assert isinstance(pdu, p.DataTransfer)
        pieces += pdu.pdvs
        rest = rest[size:]
    assert b"".join(piece.fragment for piece in pieces) == command
    assert all(piece.is_command and piece.context_id == context_id for piece in pieces)
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(piece.fragment) % 2 == 0 for piece in pieces[:-1])


def test_pynetdicom_reads_our_release_and_abort() -> None:
    request, reply, abort = theirs.A_RELEASE_RQ(), theirs.A_RELEASE_RP(), theirs.A_ABORT_RQ()
    for pdu, ours in (
        (request, p.encode_release_request()),
        (reply, p.encode_release_reply()),
        (abort, p.encode_abort(2, 6)),
    ):
        pdu.decode(ours)
        assert pdu.encode() == ours
    assert (abort.source, abort.reason_diagnostic) == (2, 6)


# pynetdicom's to us


def accept(answers: list[tuple[int, int, str]], max_pdu: int, class_uid: str, version: str) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "CALLING", "CALLED"
    primitive.result, primitive.result_source = 0, 1
    contexts = []
    for context_id, result, syntax in answers:
        context = PresentationContext()
        context.context_id, context.result = context_id, result
        context.add_transfer_syntax(syntax)
        contexts.append(context)
    primitive.presentation_context_definition_results_list = contexts
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = class_uid
    name = ImplementationVersionNameNotification()
    name.implementation_version_name = version
    primitive.user_information = [length, implementation, name]
    pdu = theirs.A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    encoded: bytes = pdu.encode()
    return encoded


@given(
    st.lists(st.tuples(context_ids, st.integers(0, 4), uids), max_size=128, unique_by=lambda one: one[0]),
    max_pdus,
    uids,
    titles,
)
@settings(max_examples=50, deadline=None)
def test_we_read_the_acceptance_of_pynetdicom(
    answers: list[tuple[int, int, str]], max_pdu: int, class_uid: str, version: str
) -> None:
    read = decoded(accept(answers, max_pdu, class_uid, version))
    assert isinstance(read, p.AssociateAccept)
    assert [(one.id, one.result) for one in read.replies] == [one[:2] for one in answers]
    assert [one.transfer_syntax for one in read.replies if one.result == 0] == [
        syntax for _, result, syntax in answers if result == 0
    ]
    assert (read.max_pdu, read.implementation_class_uid) == (max_pdu, class_uid)
    assert read.implementation_version == version


@given(st.sampled_from([1, 2]), st.sampled_from(sorted(p.REJECT_REASONS)))
def test_we_read_the_rejection_of_pynetdicom(result: int, source_and_reason: tuple[int, int]) -> None:
    pdu = theirs.A_ASSOCIATE_RJ()
    pdu.result, (pdu.source, pdu.reason_diagnostic) = result, source_and_reason
    assert decoded(pdu.encode()) == p.AssociateReject(result, *source_and_reason)


@pytest.mark.parametrize(("source", "reason"), [(0, 0), (2, 0), (2, 1), (2, 2), (2, 4), (2, 5), (2, 6)])
def test_we_read_the_abort_of_pynetdicom(source: int, reason: int) -> None:
    pdu = theirs.A_ABORT_RQ()
    pdu.source, pdu.reason_diagnostic = source, reason
    assert decoded(pdu.encode()) == p.Abort(source, reason)


def test_we_read_the_releases_of_pynetdicom() -> None:
    assert decoded(theirs.A_RELEASE_RQ().encode()) == p.ReleaseRequest()
    assert decoded(theirs.A_RELEASE_RP().encode()) == p.ReleaseReply()


@given(message_ids, message_ids, comments, uids, context_ids, st.sampled_from([0, 7, 8, 13, 50, 16384]))
@settings(deadline=None)
def test_we_read_the_responses_of_pynetdicom_however_they_are_cut(
    message_id: int, status: int, comment: str, uid: str, context_id: int, max_pdu: int
) -> None:
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo, primitive.Status = message_id, status
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = CT, uid
    primitive.ErrorComment = comment or None  # type: ignore[assignment]
    response = C_STORE_RSP()
    response.primitive_to_message(primitive)
    command = bytearray()
    for part in response.encode_msg(context_id, max_pdu):
        pdu = theirs.P_DATA_TF()
        pdu.from_primitive(part)
        read = decoded(pdu.encode())
        assert isinstance(read, p.DataTransfer)
        for pdv in read.pdvs:
            assert (pdv.context_id, pdv.is_command) == (context_id, True)
            command += pdv.fragment
    assert pdv.is_last
    assert p.decode_response(bytes(command)) == p.Response(
        0x8001, message_id, status, False, comment, CT.encode(), uid.encode()
    )


@given(message_ids)
def test_we_read_the_echo_response_of_pynetdicom(message_id: int) -> None:
    primitive = C_ECHO()
    primitive.MessageIDBeingRespondedTo, primitive.Status = message_id, 0
    response = C_ECHO_RSP()
    response.primitive_to_message(primitive)
    (part,) = response.encode_msg(1, 16384)
    pdu = theirs.P_DATA_TF()
    pdu.from_primitive(part)
    read = decoded(pdu.encode())
    assert isinstance(read, p.DataTransfer)
    assert p.decode_response(read.pdvs[0].fragment) == p.Response(0x8030, message_id, 0, False, "")


# DCMTK 3.6.7: captured on loopback from Debian 12's dcmtk 3.6.7-9, by a script that sent the request named and
# wrote down what one recv at a time returned. The titles are DICOMKIT (calling) and ANY (called).

# storescp, as installed, to contexts 1 (CT: explicit, implicit), 3 (Verification: implicit), 5 (a private class:
# implicit) and 7 (CT: JPEG 2000 lossless).
DCMTK_ACCEPT = bytes.fromhex(
    "02000000011100010000414e59202020202020202020202020204449434f4d4b495420202020202020200000000000000000"
    "00000000000000000000000000000000000000000000000010000015312e322e3834302e31303030382e332e312e312e3121"
    "00001b0100000040000013312e322e3834302e31303030382e312e322e31210000190300000040000011312e322e3834302e"
    "31303030382e312e32210000190500030040000011312e322e3834302e31303030382e312e32210000190700040040000011"
    "312e322e3834302e31303030382e312e325000003a51000004000040005200001b312e322e3237362e302e37323330303130"
    "2e332e302e332e362e375500000f4f464649535f44434d544b5f333637"
)
# storescp --refuse
DCMTK_REJECT = bytes.fromhex("03000000000400010101")
# dcmqrscp, called by a title that it does not have
DCMTK_REJECT_TITLE = bytes.fromhex("03000000000400010107")
# storescp without TCP_NODELAY to a C-STORE-RQ of message 1 on context 1, data of 8 x 8 pixels: in two segments
DCMTK_STORE_RESPONSE = (
    bytes.fromhex("0400000000920000008e0103"),
    bytes.fromhex(
        "000000000400000080000000000002001a000000312e322e3834302e31303030382e352e312e342e312e312e320000000001"
        "020000000180000020010200000001000000000802000000010100000009020000000000000000102e000000312e322e3832"
        "362e302e312e333638303034332e382e3439382e323032362e312e312e3130303030303030303000"
    ),
)
# storescp, then, to a C-ECHO-RQ of message 2 on context 3, and to an A-RELEASE-RQ
DCMTK_ECHO_RESPONSE = bytes.fromhex(
    "0400000000540000005003030000000004000000420000000000020012000000312e322e3834302e31303030382e312e3100"
    "00000001020000003080000020010200000002000000000802000000010100000009020000000000"
)
DCMTK_RELEASE_REPLY = bytes.fromhex("06000000000400000000")
# storescp --abort-after, and --abort-during: both the same
DCMTK_ABORT = bytes.fromhex("07000000000400000000")
# storescu -xe -R of one CT, to a socket that accepted everything: its A-ASSOCIATE-RQ, and the P-DATA-TF of its command
DCMTK_REQUEST = bytes.fromhex(
    "0100000001280001000053544f5245534350202020202020202053544f524553435520202020202020200000000000000000"
    "00000000000000000000000000000000000000000000000010000015312e322e3834302e31303030382e332e312e312e3120"
    "0000380100ff0030000019312e322e3834302e31303030382e352e312e342e312e312e3240000013312e322e3834302e3130"
    "3030382e312e322e312000004d0300ff0030000019312e322e3834302e31303030382e352e312e342e312e312e3240000013"
    "312e322e3834302e31303030382e312e322e3240000011312e322e3834302e31303030382e312e325000003a510000040000"
    "40005200001b312e322e3237362e302e373233303031302e332e302e332e362e375500000f4f464649535f44434d544b5f33"
    "3637"
)
DCMTK_STORE_REQUEST = bytes.fromhex(
    "0400000000920000008e0103000000000400000080000000000002001a000000312e322e3834302e31303030382e352e312e"
    "342e312e312e3200000000010200000001000000100102000000010000000007020000000000000000080200000001000000"
    "00102e000000312e322e3832362e302e312e333638303034332e382e3439382e323032362e312e312e313030303030303030"
    "3000"
)
DCMTK_INSTANCE = "1.2.826.0.1.3680043.8.498.2026.1.1.1000000000"


def test_the_acceptance_of_storescp() -> None:
    assert decoded(DCMTK_ACCEPT) == p.AssociateAccept(
        (
            p.ContextReply(1, 0, EXPLICIT_LE),
            p.ContextReply(3, 0, IMPLICIT_LE),
            p.ContextReply(5, 3, IMPLICIT_LE),
            p.ContextReply(7, 4, IMPLICIT_LE),
        ),
        16384,
        "1.2.276.0.7230010.3.0.3.6.7",
        "OFFIS_DCMTK_367",
    )


def test_the_rejections_of_dcmtk() -> None:
    assert decoded(DCMTK_REJECT) == p.AssociateReject(1, 1, 1)
    assert decoded(DCMTK_REJECT_TITLE) == p.AssociateReject(1, 1, 7)


def test_the_responses_of_storescp() -> None:
    first, second = DCMTK_STORE_RESPONSE
    assert p.next_pdu(first) is None
    for data, context_id, expected in (
        (
            first + second,
            1,
            p.Response(0x8001, 1, 0, False, "", CT.encode(), DCMTK_INSTANCE.encode()),
        ),
        (DCMTK_ECHO_RESPONSE, 3, p.Response(0x8030, 2, 0, False, "", VERIFICATION.encode())),
    ):
        pdu = decoded(data)
        assert isinstance(pdu, p.DataTransfer)
        (pdv,) = pdu.pdvs
        assert (pdv.context_id, pdv.is_command, pdv.is_last) == (context_id, True, True)
        assert p.decode_response(pdv.fragment) == expected


def test_the_release_and_the_abort_of_storescp() -> None:
    assert decoded(DCMTK_RELEASE_REPLY) == p.ReleaseReply()
    assert decoded(DCMTK_ABORT) == p.Abort(0, 0)


def test_our_association_request_is_that_of_storescu_but_for_who_we_are_and_its_reserved_bytes() -> None:
    ours = p.encode_associate_request(
        "STORESCU",
        "STORESCP",
        [
            p.ProposedContext(1, CT, (EXPLICIT_LE,)),
            p.ProposedContext(3, CT, ("1.2.840.10008.1.2.2", IMPLICIT_LE)),
        ],
    )
    user_information = DCMTK_REQUEST.index(b"\x50\x00\x00\x3a")
    without_reserved = DCMTK_REQUEST.replace(b"\x01\x00\xff\x00", bytes([1, 0, 0, 0]), 1)
    without_reserved = without_reserved.replace(b"\x03\x00\xff\x00", bytes([3, 0, 0, 0]), 1)
    assert ours[6:user_information] == without_reserved[6:user_information]


def test_our_store_request_is_that_of_storescu_but_for_its_kind_of_data_set_present() -> None:
    ours = p.fragments_of(p.encode_store_request(1, CT, DCMTK_INSTANCE), 1, 16384)
    assert ours == DCMTK_STORE_REQUEST


# Any bytes

VALID = {
    "acceptance": DCMTK_ACCEPT,
    "rejection": DCMTK_REJECT,
    "response": b"".join(DCMTK_STORE_RESPONSE),
    "two PDVs": p.encode_data_transfer([p.Pdv(1, True, False, b"ab"), p.Pdv(1, True, True, b"cd")]),
    "release request": p.encode_release_request(),
    "release reply": DCMTK_RELEASE_REPLY,
    "abort": DCMTK_ABORT,
}


@pytest.mark.parametrize("name", VALID)
def test_a_pdu_is_whole_at_its_last_byte_and_not_before(name: str) -> None:
    data = VALID[name]
    for end in range(len(data)):
        assert p.next_pdu(data[:end]) is None
    found = p.next_pdu(bytearray(data) + data)
    assert found is not None
    assert found[1] == len(data)


def read_all(data: bytes) -> None:
    """As a receiver does: PDUs until more is needed; only a ProtocolError may end it."""
    try:
        while (found := p.next_pdu(data)) is not None:
            assert 6 <= found[1] <= len(data)
            assert found[1] <= 6 + p.MAX_RECEIVED_PDU
            data = data[found[1] :]
    except ProtocolError as error:
        assert str(error)


@given(st.binary(max_size=400))
@settings(max_examples=500)
def test_any_bytes_are_a_pdu_or_incomplete_or_a_protocol_error(data: bytes) -> None:
    read_all(data)


@given(st.integers(2, 7), st.binary(max_size=300))
@settings(max_examples=500)
def test_any_body_of_a_known_type_is_a_pdu_or_a_protocol_error(kind: int, body: bytes) -> None:
    read_all(p.PDU_HEADER.pack(kind, len(body)) + body)


@given(
    st.sampled_from(sorted(VALID)),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 500),
)
@settings(max_examples=500)
def test_a_damaged_pdu_is_a_pdu_or_incomplete_or_a_protocol_error(
    name: str, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(VALID[name])
    for position, value in changes:
        data[position % len(data)] = value
    read_all(bytes(data))
    read_all(bytes(data[: cut % len(data)]) + VALID[name])


@pytest.mark.parametrize("kind", sorted(range(2, 8)))
def test_a_length_above_the_bound_is_refused_at_the_header(kind: int) -> None:
    assert p.next_pdu(p.PDU_HEADER.pack(kind, p.MAX_RECEIVED_PDU)) is None
    for length in (p.MAX_RECEIVED_PDU + 1, 0xFFFFFFFF):
        with pytest.raises(ProtocolError, match=str(length)):
            p.next_pdu(p.PDU_HEADER.pack(kind, length))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (b"<html>", "HTTP"),
        (bytes.fromhex("15030100020246"), "TLS"),
        (bytes.fromhex("160303007a"), "TLS"),
        (b"SSH-2.0-OpenSSH", "SSH"),
        (b"220 ready", "bytes beginning 0x3232302072"),
        (b"\x01\x00", "A-ASSOCIATE-RQ"),
    ],
)
def test_what_is_no_pdu_is_named(data: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        p.next_pdu(data)


def malformed_accept(*items: bytes) -> bytes:
    body = DCMTK_ACCEPT[6:74] + b"".join(items)
    return p.PDU_HEADER.pack(p.ASSOCIATE_AC, len(body)) + body


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (p.PDU_HEADER.pack(p.ASSOCIATE_AC, 3) + b"abc", "shorter than its fixed fields"),
        (malformed_accept(b"\x50\x00"), "ends within an item header"),
        (malformed_accept(b"\x50\x00\x00\x09abc"), r"item \(0x50\) longer than what holds it"),
        (
            malformed_accept(b"\x50\x00\x00\x05\x51\x00\x00\x01\x40"),
            "Maximum Length item that is not 4 bytes",
        ),
        (malformed_accept(b"\x21\x00\x00\x03\x01\x00\x00"), "presentation context reply shorter than 4"),
        (p.PDU_HEADER.pack(p.ASSOCIATE_RJ, 2) + b"ab", "A-ASSOCIATE-RJ that is not 4 bytes"),
        (p.PDU_HEADER.pack(p.ABORT, 0), "A-ABORT that is not 4 bytes"),
        (p.PDU_HEADER.pack(p.P_DATA_TF, 3) + b"abc", "within a PDV header"),
        (p.PDU_HEADER.pack(p.P_DATA_TF, 6) + p.PDV_HEADER.pack(1, 1, 3), "PDV of 1 bytes"),
        (p.PDU_HEADER.pack(p.P_DATA_TF, 6) + p.PDV_HEADER.pack(3, 1, 3), "PDV of 3 bytes"),
    ],
)
def test_a_malformed_pdu_says_where(data: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        p.next_pdu(data)


def test_a_transfer_syntax_is_read_whatever_it_is_padded_with() -> None:
    for padding in (b"\0", b" ", b""):
        syntax = EXPLICIT_LE.encode() + padding
        item = b"\x40\x00" + len(syntax).to_bytes(2, "big") + syntax
        reply = b"\x21\x00" + (4 + len(item)).to_bytes(2, "big") + b"\x01\x00\x00\x00" + item
        read = decoded(malformed_accept(reply))
        assert isinstance(read, p.AssociateAccept)
        assert read.replies == (p.ContextReply(1, 0, EXPLICIT_LE),)


@pytest.mark.parametrize(
    ("syntaxes", "read", "why"),
    [
        ([EXPLICIT_LE], p.ContextReply(1, 0, EXPLICIT_LE), ""),
        ([], p.ContextReply(1, 0, ""), "without a transfer syntax"),
        ([""], p.ContextReply(1, 0, ""), "without a transfer syntax"),
        (
            [EXPLICIT_LE, IMPLICIT_LE],
            p.ContextReply(1, 0, EXPLICIT_LE, (IMPLICIT_LE,)),
            "in 2 transfer syntaxes instead of one",
        ),
        (["1.2.840.10008.1.2.4.50"], p.ContextReply(1, 0, "1.2.840.10008.1.2.4.50"), "which was not offered"),
    ],
)
def test_a_context_accepted_in_no_way_to_use_it_is_read_and_says_why(
    syntaxes: list[str], read: p.ContextReply, why: str
) -> None:
    items = b"".join(b"\x40\x00" + len(one).to_bytes(2, "big") + one.encode() for one in syntaxes)
    reply = b"\x21\x00" + (4 + len(items)).to_bytes(2, "big") + b"\x01\x00\x00\x00" + items
    accepted = decoded(malformed_accept(reply))
    assert isinstance(accepted, p.AssociateAccept)
    assert accepted.replies == (read,)
    unusable = p.why_unusable(p.ProposedContext(1, CT, (EXPLICIT_LE, IMPLICIT_LE)), read)
    assert bool(unusable) == bool(why)
    assert why in unusable


# Commands


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_any_command_set_is_a_response_or_a_protocol_error(command: bytes) -> None:
    try:
        p.decode_response(command)
    except ProtocolError as error:
        assert str(error)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4), st.integers(0, 150))
@settings(max_examples=500)
def test_a_damaged_response_is_a_response_or_a_protocol_error(
    changes: list[tuple[int, int]], end: int
) -> None:
    command = bytearray(b"".join(DCMTK_STORE_RESPONSE)[12:])
    for position, value in changes:
        command[position % len(command)] = value
    for data in (command, command[:end]):
        try:
            p.decode_response(bytes(data))
        except ProtocolError as error:
            assert str(error)


def response(**changes: bytes) -> bytes:
    """Elements of group 0000, named e_0900 and so on."""
    elements = {
        "e_0100": b"\x01\x80",
        "e_0120": b"\x01\x00",
        "e_0800": b"\x01\x01",
        "e_0900": b"\x00\xa7",
        **changes,
    }
    return b"".join(
        p.ELEMENT_HEADER.pack(0, int(name[2:], 16), len(value)) + value for name, value in elements.items()
    )


@pytest.mark.parametrize(
    ("element", "name"),
    [
        ("0100", "Command Field"),
        ("0120", "Message ID Being Responded To"),
        ("0800", "Command Data Set Type"),
        ("0900", "Status"),
    ],
)
def test_a_response_without_what_it_must_have_names_it(element: str, name: str) -> None:
    for value in (b"", b"\x01", b"\x01\x00\x00\x00"):
        with pytest.raises(ProtocolError, match=rf"without a valid {name} \(0000,{element}\)"):
            p.decode_response(response(**{f"e_{element}": value}))


@pytest.mark.parametrize(
    ("comment", "read"),
    [
        (b"out of disk ", "out of disk"),
        (b"padded\0", "padded"),
        ("Müller".encode("latin-1"), r"M\xfcller"),
        (b"two\r\nlines\x1b[31m", r"two\r\nlines\x1b[31m"),
    ],
)
def test_an_error_comment_is_one_line_of_printable_text(comment: bytes, read: str) -> None:
    assert p.decode_response(response(e_0902=comment)).error_comment == read


def test_a_response_says_whether_a_data_set_follows() -> None:
    assert not p.decode_response(response()).has_data_set
    assert p.decode_response(response(e_0800=b"\x00\x00")).has_data_set
