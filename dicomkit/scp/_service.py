"""Whom a receiver lets in and what it takes: decided here, without I/O, for both of its servers."""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from pydicom.uid import UID

from dicomkit.dictionary.uids import STORAGE_CLASSES, VERIFICATION
from dicomkit.scp._faults import FaultPlan, Occasion, RefuseClass, RefuseSyntax

if TYPE_CHECKING:
    import ssl

    from dicomkit.security import UserIdentity

__all__ = [
    "ACCEPTED",
    "CLASS_REFUSED",
    "UNDECODABLE",
    "ClaimedIdentity",
    "Refused",
    "Service",
    "answer_context",
    "longest_pdu",
    "refused_by",
]

# Results of a presentation context, PS3.8 Table 9-18
ACCEPTED = 0
CLASS_REFUSED, _SYNTAX_REFUSED = 3, 4

# Rejections as (result, source, reason), PS3.8 Table 9-21
_CALLED_TITLE_UNKNOWN = (1, 1, 7)
_CALLING_TITLE_UNKNOWN = (1, 1, 3)
_IDENTITY_UNKNOWN = (1, 1, 1)  # there is no reason for it

# User-Identity-Type, PS3.7 Table D.3-14
_USER, _USER_AND_PASSCODE = 1, 2
_NAMELESS = {3: "a Kerberos ticket", 4: "a SAML assertion", 5: "a JSON Web Token"}  # all of it is a secret


class ClaimedIdentity(NamedTuple):
    """The user identity that came with a request (PS3.7 D.3.3.7), as its bytes."""

    kind: int
    primary: bytes
    secondary: bytes
    is_response_requested: bool

    def __repr__(self) -> str:
        if self.kind not in (_USER, _USER_AND_PASSCODE):
            return f"who has {_NAMELESS.get(self.kind, f'an identity of type {self.kind}')}"
        passcode = " with a passcode" if self.kind == _USER_AND_PASSCODE else ""
        # Where the length of the name is wrong, the length of the passcode and the passcode follow in it.
        name = "".join(takewhile(str.isprintable, self.primary.decode("utf-8", "replace")))
        return f"user {name!r}{passcode}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a receiver is and whom it serves; the same for both servers."""

    aet: str
    check_called_aet: bool
    allowed_calling_aets: frozenset[str] | None
    maximum_pdu_size: int
    maximum_associations: int
    network_timeout_seconds: float
    tls: ssl.SSLContext | None
    identities: tuple[UserIdentity, ...] | None

    def rejection(
        self, calling_aet: str, called_aet: str, claimed: ClaimedIdentity | None = None
    ) -> tuple[int, int, int] | None:
        """Result, source and reason of A-ASSOCIATE-RJ when titles or identity do not fit, else None."""
        if self.check_called_aet and called_aet != self.aet:
            return _CALLED_TITLE_UNKNOWN
        if self.allowed_calling_aets is not None and calling_aet not in self.allowed_calling_aets:
            return _CALLING_TITLE_UNKNOWN
        if self.identities is not None and not any(_is_same(one, claimed) for one in self.identities):
            return _IDENTITY_UNKNOWN
        return None


def _is_same(identity: UserIdentity, claimed: ClaimedIdentity | None) -> bool:
    return (
        claimed is not None
        and claimed.kind == identity.kind
        and hmac.compare_digest(claimed.primary, identity.primary)
        and hmac.compare_digest(claimed.secondary, identity.secondary)
    )


@dataclass(frozen=True, slots=True)
class Refused:
    """What one association is not given."""

    classes: frozenset[str] = frozenset()
    syntaxes: frozenset[str] = frozenset()


def refused_by(
    plan: FaultPlan, occasion: Occasion, classes: frozenset[str], syntaxes: frozenset[str]
) -> Refused:
    """The SOP classes and transfer syntaxes, of those proposed, that faults refuse on this association."""
    return Refused(
        frozenset(fault.uid for fault in plan.all_due(RefuseClass, occasion, lambda one: one.uid in classes)),
        frozenset(
            fault.uid for fault in plan.all_due(RefuseSyntax, occasion, lambda one: one.uid in syntaxes)
        ),
    )


UNDECODABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pynetdicom's decoder of a request stumbles over."""

_P_DATA_TF = 0x04
# An A-ASSOCIATE-RQ or -AC: more than 128 contexts can fill, and no more than that is believed.
_NEGOTIATION_BYTES = 1 << 20
# By PDU type, PS3.8 section 9.3: all others are four bytes after their header.
_LONGEST = {0x01: _NEGOTIATION_BYTES, 0x02: _NEGOTIATION_BYTES, 0x03: 4, 0x05: 4, 0x06: 4, 0x07: 4}


def longest_pdu(kind: int, maximum_pdu_size: int) -> int | None:
    """How many bytes may follow the header of a PDU of this type; None for no limit.

    A P-DATA-TF is as long as we announced to take, and of any length where we announced no limit (PS3.8 D.1).
    """
    if kind == _P_DATA_TF:
        return maximum_pdu_size or None
    return _LONGEST.get(kind, 0)


def answer_context(sop_class: str, syntaxes: list[str], refused: Refused) -> tuple[int, str]:
    """Result and transfer syntax for one proposed context: the first proposed syntax that is not refused.

    Storage classes are taken, Verification, and whatever PS3.6 does not list, for it may be a private or new
    storage class.
    """
    known_as_other = UID(sop_class).type != "" and sop_class not in STORAGE_CLASSES
    if sop_class in refused.classes or (known_as_other and sop_class != VERIFICATION):
        return CLASS_REFUSED, syntaxes[0]
    left = [syntax for syntax in syntaxes if syntax not in refused.syntaxes]
    return (ACCEPTED, left[0]) if left else (_SYNTAX_REFUSED, syntaxes[0])
