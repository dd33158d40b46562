"""What an A-ASSOCIATE-RQ asks for, and what a receiver grants: the acceptor's half of PS3.8, without I/O."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from dicomkit.dictionary.uids import STORAGE_CLASSES, VERIFICATION
from dicomkit.errors import ProtocolError
from dicomkit.scp._journal import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomkit.wire.pdu import (
    APPLICATION_CONTEXT,
    ASSOCIATE_AC,
    ASSOCIATE_FIXED,
    CONTEXT_ACCEPTED,
    MAX_UID,
    PDU_HEADER,
    ContextReply,
    ProposedContext,
    decode_items,
    decode_text,
    encode_item,
)

if TYPE_CHECKING:
    import ssl

    from dicomkit.security import UserIdentity

# Results of a presentation context, PS3.8 Table 9-18
_CLASS_REFUSED, _SYNTAX_REFUSED = 3, 4

# Rejections as (result, source, reason), PS3.8 Table 9-21
_CALLED_TITLE_UNKNOWN = (1, 1, 7)
_CALLING_TITLE_UNKNOWN = (1, 1, 3)
_IDENTITY_UNKNOWN = (1, 1, 1)  # there is no reason for it

# User-Identity-Type, PS3.7 Table D.3-14
_USER, _USER_AND_PASSCODE = 1, 2
_NAMELESS = {3: "a Kerberos ticket", 4: "a SAML assertion", 5: "a JSON Web Token"}  # all of it is a secret


@dataclass(frozen=True, slots=True)
class ClaimedIdentity:
    """The user identity that came with a request (PS3.7 D.3.3.7), as its bytes; shown without its secrets."""

    kind: int
    is_response_requested: bool
    primary: bytes
    secondary: bytes

    def __repr__(self) -> str:
        if self.kind not in (_USER, _USER_AND_PASSCODE):
            return f"who has {_NAMELESS.get(self.kind, f'an identity of type {self.kind}')}"
        passcode = " with a passcode" if self.kind == _USER_AND_PASSCODE else ""
        # Where the length of the name is wrong, the length of the passcode and the passcode follow in it.
        name = "".join(takewhile(str.isprintable, self.primary.decode("utf-8", "replace")))
        return f"user {name!r}{passcode}"

    def is_of(self, identity: UserIdentity) -> bool:
        """Whether it names this user, with the same passcode or token."""
        return (
            self.kind == identity.kind
            and hmac.compare_digest(self.primary, identity.primary)
            and hmac.compare_digest(self.secondary, identity.secondary)
        )


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """A-ASSOCIATE-RQ, PS3.8 section 9.3.2; `fixed` are its bytes before the items."""

    fixed: bytes
    called_aet: str
    calling_aet: str
    contexts: tuple[ProposedContext, ...]
    identity: ClaimedIdentity | None

    def __str__(self) -> str:
        identity = "" if self.identity is None else f", {self.identity}"
        return f"{self.calling_aet} calls {self.called_aet}{identity}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a receiver is and whom it lets in."""

    aet: str
    check_called_aet: bool
    allowed_calling_aets: frozenset[str] | None
    maximum_pdu_size: int
    maximum_associations: int
    network_timeout_seconds: float
    tls: ssl.SSLContext | None
    identities: tuple[UserIdentity, ...] | None

    def rejection(self, request: AssociationRequest) -> tuple[int, int, int] | None:
        """Result, source and reason of A-ASSOCIATE-RJ when titles or identity do not fit, else None."""
        if self.check_called_aet and request.called_aet != self.aet:
            return _CALLED_TITLE_UNKNOWN
        if self.allowed_calling_aets is not None and request.calling_aet not in self.allowed_calling_aets:
            return _CALLING_TITLE_UNKNOWN
        claimed = request.identity
        if self.identities is not None and not (claimed and any(map(claimed.is_of, self.identities))):
            return _IDENTITY_UNKNOWN
        return None

    def confirms(self, request: AssociationRequest) -> bool:
        """Whether A-ASSOCIATE-AC confirms the user; who checks none does not confirm one (PS3.7 D.3.3.7)."""
        claimed = request.identity
        return self.identities is not None and claimed is not None and claimed.is_response_requested


def reply_to(context: ProposedContext, refused_classes: set[str], refused_syntaxes: set[str]) -> ContextReply:
    """The answer to one proposed context: the first proposed syntax that is not refused.

    Storage classes are taken, Verification, and whatever PS3.6 does not list, for it may be a private or new
    storage class. The classes of another service go in here.
    """
    offered = context.transfer_syntaxes
    if context.abstract_syntax in refused_classes or _is_of_another_service(context.abstract_syntax):
        return ContextReply(context.id, _CLASS_REFUSED, offered[0])
    for syntax in offered:
        if syntax not in refused_syntaxes:
            return ContextReply(context.id, CONTEXT_ACCEPTED, syntax)
    return ContextReply(context.id, _SYNTAX_REFUSED, offered[0])


def _is_of_another_service(sop_class_uid: str) -> bool:
    if sop_class_uid in STORAGE_CLASSES or sop_class_uid == VERIFICATION:
        return False
    from pydicom.config import IGNORE
    from pydicom.uid import UID

    return UID(sop_class_uid, IGNORE).type != ""  # no warning of an odd one


def decode_request(body: bytes) -> AssociationRequest:
    """An A-ASSOCIATE-RQ without its header; ProtocolError where that is cut short or proposes nothing."""
    if len(body) < ASSOCIATE_FIXED:
        raise ProtocolError("the peer sent an A-ASSOCIATE-RQ shorter than its fixed fields")
    contexts: list[ProposedContext] = []
    identity = None
    for kind, item in decode_items(body, ASSOCIATE_FIXED, "an A-ASSOCIATE-RQ"):
        if kind == 0x20:
            contexts.append(_decode_context(item))
        elif kind == 0x50:
            for sub_kind, value in decode_items(item, 0, "user information"):
                if sub_kind == 0x58:
                    identity = _decode_identity(value)
    called, calling = decode_text(body[4:20]), decode_text(body[20:36])  # PS3.8 Table 9-11
    return AssociationRequest(body[:ASSOCIATE_FIXED], called, calling, tuple(contexts), identity)


def _decode_context(item: bytes) -> ProposedContext:
    values = list(decode_items(item, 4, "a presentation context"))
    classes = [decode_text(value) for kind, value in values if kind == 0x30]
    syntaxes = tuple(decode_text(value) for kind, value in values if kind == 0x40)
    if len(classes) != 1 or not syntaxes or any(not 0 < len(value) <= MAX_UID for _, value in values):
        raise ProtocolError(
            "the peer sent a presentation context that is not a SOP class and transfer syntaxes"
        )
    return ProposedContext(item[0], classes[0], syntaxes)


def _decode_identity(item: bytes) -> ClaimedIdentity:
    """PS3.7 Table D.3-14: type, response requested, and two fields, each behind its length."""
    primary, rest = _decode_sized(item[2:])
    secondary, _ = _decode_sized(rest)
    return ClaimedIdentity(item[0], bool(item[1]), primary, secondary)


def _decode_sized(data: bytes) -> tuple[bytes, bytes]:
    end = 2 + int.from_bytes(data[:2], "big")
    if end > len(data):
        raise ProtocolError("the peer sent a user identity that is cut short")
    return data[2:end], data[end:]


def encode_accept(
    request: AssociationRequest, replies: Iterable[ContextReply], maximum_pdu_size: int, *, confirms: bool
) -> bytes:
    """A-ASSOCIATE-AC (PS3.8 section 9.3.3); the fixed fields come back as they came."""
    contexts = b"".join(
        encode_item(
            0x21, bytes([one.id, 0, one.result, 0]) + encode_item(0x40, one.transfer_syntax.encode("ascii"))
        )
        for one in replies
    )
    user_information = (
        encode_item(0x51, maximum_pdu_size.to_bytes(4, "big"))
        + encode_item(0x52, IMPLEMENTATION_CLASS_UID.encode("ascii"))
        + encode_item(0x55, IMPLEMENTATION_VERSION_NAME.encode("ascii"))
        + (encode_item(0x59, bytes(2)) if confirms else b"")  # an empty response, PS3.7 Table D.3-15
    )
    body = (
        b"\0\1\0\0"  # protocol version 1
        + request.fixed[4:]
        + encode_item(0x10, APPLICATION_CONTEXT)
        + contexts
        + encode_item(0x50, user_information)
    )
    return PDU_HEADER.pack(ASSOCIATE_AC, len(body)) + body
