"""What to do, in words: about an error of the wire, and about an instance that the peer does not accept.

The wire's errors have facts alone. These are the sentences that follow them in the `detail` of a row, and they name
what a reader may have in hand: fields of the setting, parameters of Python, and options of the command line.
"""

from __future__ import annotations

from errno import ECONNREFUSED
from typing import TYPE_CHECKING, TypeGuard

from dicomkit.dictionary.uids import uid_name
from dicomkit.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectionFailed,
    IdentityNotConfirmed,
    PeerTimedOut,
    ProtocolError,
    TlsFailure,
    WireError,
)
from dicomkit.wire.pdu import (
    CONTEXT_ACCEPTED,
    CONTEXT_RESULTS,
    MAX_UID,
    Response,
    reject_words,
    why_unusable,
)

if TYPE_CHECKING:
    from dicomkit.security import TlsClient
    from dicomkit.sources import Instance
    from dicomkit.wire.association import Association
    from dicomkit.wire.socket import Peer

# A sentence on a proposal names so many of its SOP classes.
CLASSES_NAMED = 3

LOOK_THERE = "look there before sending it again"
REPORT_IT = "report it to the maker of the peer"
ITS_LOG = "the peer's log says why"
GIVE_TLS = "give TlsOptions (tls=, --tls)"
GIVE_CERTIFICATE = "give ours and its key (cert_file and key_file, --cert and --key)"
GIVE_NAME = "(server_name, --server-name)"
NO_TLS_HERE = "it may speak DICOM without TLS at this port: check RemotePort, or leave TLS out"

# By the phase that timed out
_TIMED_OUT = {
    "name resolution": "check RemoteHost and the name server",
    "connect": "check RemoteHost and RemotePort, and that no firewall drops the connection",
    "TLS handshake": NO_TLS_HERE,
}

# By the source and reason of an A-ASSOCIATE-RJ, PS3.8 Table 9-21
_REJECTED = {
    (1, 2): "it is no storage SCP as PS3.7 describes one",
    (1, 3): "the peer does not know {peer.calling_aet!r}; set OurAET to a title it knows, or "
    "add ours to its list",
    (1, 7): "the peer does not answer to {peer.called_aet!r}; set RemoteAET to its title",
    (2, 2): "it does not speak version 1 of the DICOM upper layer protocol",
    (3, 1): "it is busy; send again later, or with fewer associations",
    (3, 2): "it has as many associations as it allows; send again later, or with fewer associations",
}

_OTHER_NAME = f"use the name that it is made out to as RemoteHost, or give that name {GIVE_NAME}"
# By the X509_V_ERR_ code of OpenSSL
_CERTIFICATE = {
    9: "check the clock of this machine, and the peer's",
    10: "have it renewed, and check the clock of this machine",
    18: "if its administrator confirms that it is the peer's own, give it as trusted (ca_file, --ca)",
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
_UNKNOWN_ISSUER = (2, 19, 20, 21)

# By the alert with which the peer refused our certificate, RFC 8446 section 6.2
_OUR_CERTIFICATE = {
    "UNKNOWN_CA": "have the CA that signed it added to those that the peer trusts",
    "CERTIFICATE_EXPIRED": "have it renewed",
    "CERTIFICATE_REVOKED": "have another one issued",
    "UNSUPPORTED_CERTIFICATE": "have one issued for client authentication, with an RSA key",
    "ACCESS_DENIED": "have it entered at the peer as one that may connect",
    "DECRYPT_ERROR": "check that the key belongs to it",
}

# By `TlsFailure.fault`
_TLS = {
    "name": f"give the name that it is made out to {GIVE_NAME}",
    "no certificate of ours": GIVE_CERTIFICATE,
    "version": "have that enabled at the peer",
    "not TLS": "check RemotePort, or leave TLS out",
    "unknown name": f"give its name {GIVE_NAME}",
    "closed": NO_TLS_HERE,
}


def explained(error: WireError, peer: Peer) -> str:
    """What happened, and what to do about it, as the `detail` of a row has them."""
    if _is_rejection(error):
        numbers = reject_words(error.result, error.source, error.reason)[1]
        return f"{': '.join(cause_and_remedy(error, peer))} ({numbers})"
    doubt = f": {LOOK_THERE}" if error.may_be_stored else ""
    cause, remedy = cause_and_remedy(error, peer)
    return f"{cause}{doubt}; {remedy}" if remedy else f"{cause}{doubt}"


def cause_and_remedy(error: WireError, peer: Peer) -> tuple[str, str]:
    """What happened, and what to do about it, which may be empty, of a peer that is waited for."""
    if _is_rejection(error):
        return reject_words(error.result, error.source, error.reason)[0], _of_rejection(error, peer)
    return str(error), _remedy(error, peer)


def _is_rejection(error: WireError) -> TypeGuard[AssociationRejected]:
    return isinstance(error, AssociationRejected) and not isinstance(error, IdentityNotConfirmed)


def _remedy(error: WireError, peer: Peer) -> str:
    match error:
        case PeerTimedOut():
            default = "see whether the peer is busy or hung, or raise TimeoutSeconds"
            return _TIMED_OUT.get(error.phase, default)
        case ConnectionFailed():
            return _of_connection(error, peer)
        case IdentityNotConfirmed():
            return (
                "it may not support user identities: have that enabled at the peer, or do without "
                "positive_response_requested"
            )
        case ProtocolError():
            return REPORT_IT
        case AssociationAborted():
            return ITS_LOG
    return ""


def _of_connection(error: ConnectionFailed, peer: Peer) -> str:
    if error.is_shortage:
        return ""  # which the message says
    if error.tls is not None:
        return _of_tls(error.tls, peer.tls)
    match error.phase:
        case "socket":
            return "see to the network of this system"
        case "name resolution":
            return "check RemoteHost"
        case "connect" if error.errno == ECONNREFUSED:
            return "check RemoteHost and RemotePort, and that the SCP runs"
        case "connect":
            return "check RemoteHost, RemotePort and the network"
    if error.received == "TLS" and peer.tls is None:
        return f"it speaks TLS only: {GIVE_TLS}, or RemotePort of its port without"
    if error.received:
        return f"check RemotePort and that {peer} speaks DICOM"
    # It hung up on our request.
    may = ["be no DICOM SCP", f"not take calls from {peer.calling_aet!r}"]
    if peer.tls is None:
        may.insert(0, "speak TLS only (then give TlsOptions: tls=, --tls)")
    elif not peer.tls.has_certificate:
        may.insert(0, "require a client certificate")
    return f"it may {', or '.join(may)}: check RemotePort, and its log"


def _of_tls(failure: TlsFailure, client: TlsClient | None) -> str:
    if failure.fault == "certificate":
        if failure.verify_code not in _UNKNOWN_ISSUER:
            return _CERTIFICATE.get(failure.verify_code, "have another one issued for the peer")
        if client is not None and client.has_ca_file:
            return (
                "the CA's certificate in ca_file (--ca) is another one, or the peer keeps back one in between"
            )
        return "give the CA's certificate (ca_file, --ca)"
    if failure.fault == "handshake":
        has_certificate = client is not None and client.has_certificate
        what = (
            "another client certificate" if has_certificate else f"a client certificate: {GIVE_CERTIFICATE}"
        )
        return f"it may require {what}, or share no cipher suite with us: its log says why"
    if failure.fault == "our certificate":
        return _OUR_CERTIFICATE.get(failure.alert, ITS_LOG)
    return _TLS.get(failure.fault, ITS_LOG)


def _of_rejection(error: AssociationRejected, peer: Peer) -> str:
    remedy = _REJECTED.get((error.source, error.reason))
    if remedy is not None:
        return remedy.format(peer=peer)
    if peer.identity is None:
        identity = "or want a user identity (identity=, --user)"
    else:
        identity = f"or not take the user identity ({peer.identity.kind_name})"
    return (
        f"{ITS_LOG}; it may take none of the proposed presentation contexts ({_proposed_by(error)}: enable there what "
        f"it should take), or not know {peer.calling_aet!r} or its address, {identity}"
    )


def _proposed_by(error: AssociationRejected) -> str:
    """The proposed presentation contexts as a sentence names them: by SOP class, the first few."""
    syntaxes: dict[str, dict[str, None]] = {}
    for sop_class, offered in error.proposed:
        syntaxes.setdefault(sop_class, {}).update(dict.fromkeys(offered))
    named = [
        f"{uid_name(sop_class)} in {' or '.join(map(uid_name, syntaxes[sop_class]))}"
        for sop_class in list(syntaxes)[:CLASSES_NAMED]
    ]
    more = len(syntaxes) - len(named)
    return ", ".join(named) + (f", and {more} more SOP class{'es' if more > 1 else ''}" if more else "")


def not_a_dicom_message(message: object) -> str:
    """The detail of a message that is of another kind; the pitfall of MessageType 16."""
    return (
        f"the message is a {type(message).__name__}, not a DicomMessage: its type decides, whatever MessageType says; "
        "make a DicomMessage of the DICOM bytes, or remove the transformer that turned it into something else"
    )


def why_not_accepted(association: Association, instance: Instance, *, transcode: bool) -> str:
    """Why no accepted context carries this instance, and what the peer would have taken (PS3.8 Table 9-18)."""
    sop_class, syntax = instance.sop_class_uid, instance.transfer_syntax
    replies = [pair for pair in association.contexts.values() if pair[0].abstract_syntax == sop_class]
    oddities = [  # PS3.8 section 9.3.3.2
        f"the peer answered presentation context {context.id}, {uid_name(sop_class)} in "
        f"{' or '.join(map(uid_name, context.transfer_syntaxes))}, with {why}"
        for context, reply in replies
        if reply.result == CONTEXT_ACCEPTED and (why := why_unusable(context, reply))
    ]
    if oddities:
        return f"{' and '.join(oddities)}, so that it cannot be sent; {REPORT_IT}"
    if association.accepted_syntaxes(sop_class):
        return (
            f"{takes_only(association, sop_class)}, and not in {uid_name(syntax)} as it is stored; have the peer "
            "accept that transfer syntax, or convert the file first"
            f"{'' if transcode else ': transcode=True does where it can be done without loss'}"
        )
    results = {reply.result for context, reply in replies if context.transfer_syntaxes == (syntax,)}
    why = ", ".join(CONTEXT_RESULTS.get(result, f"result {result}") for result in sorted(results))
    return (
        f"the peer takes {uid_name(sop_class)} in no transfer syntax that we offered"
        f"{f' ({why})' if why else ''}; enable the SOP class for {association.peer.calling_aet!r} at the peer"
    )


def takes_only(association: Association, sop_class: str) -> str:
    """In what the peer takes a SOP class."""
    accepted = " or ".join(uid_name(syntax) for syntax in association.accepted_syntaxes(sop_class))
    return f"the peer takes {uid_name(sop_class)} only in {accepted}"


def other_uids(response: Response, sop_class_uid: str, sop_instance_uid: str) -> str:
    """What the response says it is for, where that is another instance than the one sent (PS3.7 section 9.3.1.2)."""
    if response.affected_instance == sop_instance_uid.encode() and (
        response.affected_class == sop_class_uid.encode()
    ):
        return ""
    answered = (
        ("SOP Class UID", response.affected_class, sop_class_uid),
        ("SOP Instance UID", response.affected_instance, sop_instance_uid),
    )
    others = []
    for name, uid, sent in answered:
        if uid and uid != sent.encode():
            is_uid = len(uid) <= MAX_UID and not uid.strip(b"0123456789.")
            others.append(f"{name} {uid.decode()}" if is_uid else f"{name} that is no UID")
    if not others:
        return ""
    return f"; its response names another {' and another '.join(others)}: look there under which it has the instance"
