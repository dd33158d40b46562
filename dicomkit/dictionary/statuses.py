"""What the status of a C-STORE response means, and what a PACS engineer does next.

PS3.4 B.2.3 gives the storage statuses; PS3.7 Annex C gives the general ones and sorts the rest into classes.
A status in neither is a failure, since nothing says that the instance was stored.
"""

from __future__ import annotations

__all__ = [
    "SUCCESS",
    "PROCESSING_FAILURE",
    "RESOURCE_LIMITATION",
    "COERCION",
    "PENDING",
    "NOT_A_STORE_STATUS",
    "status_advice",
    "query_status_meaning",
    "status_category",
    "status_meaning",
    "status_remedy",
]

SUCCESS = 0x0000  # PS3.7 C.1.1
PROCESSING_FAILURE = 0x0110  # PS3.7 C.5
RESOURCE_LIMITATION = 0x0213  # PS3.7 C.5
COERCION = 0xB000  # Coercion of Data Elements, PS3.4 Table B.2-1

NOT_A_STORE_STATUS = "not a C-STORE status"

_CANCEL = 0xFE00  # PS3.7 Annex C, the Cancel class
PENDING = (0xFF00, 0xFF01)  # PS3.7 Annex C, the Pending class

# Warnings outside 0xBxxx (PS3.7 Annex C, the Warning class).
_GENERAL_WARNINGS = frozenset({0x0001, 0x0107, 0x0116})

_SEND_AGAIN_LATER = "Free space or load at the peer, then send the instance again."
_PEER_LOG = "Read the peer's log for this SOP Instance UID"
_KEPT_WITH_CARE = "It is stored; compare the peer's copy with the source if the difference matters."
_PEER_AT_FAULT = (
    "C-STORE has no use for this status, so the peer's software is at fault: ask its vendor, with the "
    "peer's log of this association."
)
_WAS_IT_KEPT = "look in the peer's log whether it kept the instance, and ask its vendor about the code."
_PENDING = f"The peer answered as if the store were a query that goes on (pending): {_WAS_IT_KEPT}"
_CHECK_OBJECT = "Validate the file (dciodvfy, for one), correct it at its origin, and send it again."

# PS3.4 Table B.2-1 and PS3.7 C.1 to C.5: the codes that stand for themselves.
_STATUSES: dict[int, tuple[str, str]] = {
    SUCCESS: ("Success", "Nothing to do."),
    0x0001: ("Requested optional Attributes are not supported", _KEPT_WITH_CARE),
    0x0105: ("No such Attribute", "The peer does not know an attribute of the instance. " + _CHECK_OBJECT),
    0x0106: (
        "Invalid Attribute value",
        "The peer does not accept the value of an attribute. " + _CHECK_OBJECT,
    ),
    0x0107: ("Attribute list error", "The peer did not recognise some attributes. " + _KEPT_WITH_CARE),
    PROCESSING_FAILURE: (
        "Processing failure",
        f"{_PEER_LOG}: its database, disk or rules failed; once that works again, send the instance again.",
    ),
    0x0111: (
        "Duplicate SOP Instance",
        "The peer holds this SOP Instance UID and does not overwrite: nothing to do when the content is "
        "the same, else delete its copy or send under a new UID.",
    ),
    0x0112: (
        "No such SOP Instance",
        "The peer misses something that the instance refers to: send that first, then this again.",
    ),
    0x0113: ("No such event type", _PEER_AT_FAULT),
    0x0114: ("No such argument", _PEER_AT_FAULT),
    0x0115: ("Invalid argument value", _PEER_AT_FAULT),
    0x0116: ("Attribute value out of range", "The peer found a value out of range. " + _KEPT_WITH_CARE),
    0x0117: (
        "Invalid SOP Instance",
        "The SOP Instance UID breaks the rules for UIDs, or the peer's (PS3.5 9.1). " + _CHECK_OBJECT,
    ),
    0x0118: (
        "No such SOP Class",
        "The peer does not know the SOP Class, though it accepted it when the association was opened: "
        "switch it on in the peer's configuration.",
    ),
    0x0119: (
        "Class-Instance conflict",
        "The peer knows this SOP Instance UID as an instance of another SOP Class: find out which of the "
        "two is wrong.",
    ),
    0x0120: ("Missing Attribute", "The peer needs an attribute that the instance lacks. " + _CHECK_OBJECT),
    0x0121: (
        "Missing Attribute Value",
        "The peer needs a value where the instance has none. " + _CHECK_OBJECT,
    ),
    0x0122: (
        "Refused: SOP Class not supported",
        "Switch this SOP Class on in the peer's configuration, or send it to a peer that takes it.",
    ),
    0x0123: ("No such action", _PEER_AT_FAULT),
    0x0124: (
        "Refused: Not authorized",
        "Have the peer's administrator allow storage for this calling AE title (OurAET), address and user.",
    ),
    0x0210: (
        "Duplicate invocation",
        "The peer believes that this Message ID is in use: open a new association and send again; if it "
        "stays, ask the peer's vendor.",
    ),
    0x0211: (
        "Unrecognized operation",
        "The peer does not take C-STORE here: check that host, port and called AE title are those of its "
        "storage service.",
    ),
    0x0212: (
        "Mistyped argument",
        "The peer could not read a parameter of the C-STORE request: check the SOP Class and SOP Instance "
        "UIDs of the file, then ask the peer's vendor.",
    ),
    RESOURCE_LIMITATION: ("Resource limitation", _SEND_AGAIN_LATER),
    COERCION: (
        "Coercion of Data Elements",
        "The peer changed attributes (patient identity, most often) to agree with its records. "
        + _KEPT_WITH_CARE,
    ),
    0xB006: ("Elements Discarded", "The peer left out some elements. " + _KEPT_WITH_CARE),
    0xB007: (
        "Data Set does not match SOP Class",
        "It is stored, though it breaks the rules of its SOP Class: validate the file (dciodvfy, for "
        "one), since other systems may not read it.",
    ),
    # PS3.7 Annex C: the Cancel and the Pending class
    0xFE00: (
        NOT_A_STORE_STATUS,
        f"The peer says that the store was cancelled, which C-STORE cannot be: {_WAS_IT_KEPT}",
    ),
    0xFF00: (NOT_A_STORE_STATUS, _PENDING),
    0xFF01: (NOT_A_STORE_STATUS, _PENDING),
}

# PS3.4 Table B.2-1: the codes of which only the first digits are fixed, as (mask, code, meaning, remedy).
_RANGES: tuple[tuple[int, int, str, str], ...] = (
    (0xFF00, 0xA700, "Refused: Out of Resources", "The peer's storage is full or busy. " + _SEND_AGAIN_LATER),
    (
        0xFF00,
        0xA900,
        "Error: Data Set does not match SOP Class",
        "The data set is not what its SOP Class UID promises. " + _CHECK_OBJECT,
    ),
    (
        0xF000,
        0xB000,
        "Warning particular to the peer",
        "It is stored; the peer's conformance statement says what it warns of.",
    ),
    (
        0xF000,
        0xC000,
        "Error: Cannot understand",
        f"{_PEER_LOG}: it could not take the data set in; if that points at the file, validate and "
        "correct it.",
    ),
)

# PS3.4 Tables C.4-1 to C.4-3: what these mean to a query or retrieval.
_QUERY_STATUSES: dict[int, str] = {
    0xA700: "Refused: Out of Resources",
    0xA701: "Refused: Out of Resources, unable to calculate number of matches",
    0xA702: "Refused: Out of Resources, unable to perform sub-operations",
    0xA801: "Refused: Move Destination unknown",
    0xA900: "Identifier does not match SOP Class",
    0xB000: "Sub-operations complete, one or more failures",
    _CANCEL: "Cancel",
}


def status_category(status: int) -> str:
    """Return how a status counts for a C-STORE (PS3.7 Annex C): ``"Success"``, ``"Warning"`` (stored),
    ``"Failure"``.

    Cancel, pending and codes that the standard does not give are failures: nothing says that the instance is
    stored.
    """
    if status == SUCCESS:
        return "Success"
    if status in _GENERAL_WARNINGS or 0xB000 <= status <= 0xBFFF:
        return "Warning"
    return "Failure"


def status_meaning(status: int) -> str:
    """Return what a status says in PS3.4 Table B.2-1 or PS3.7 Annex C, or that it is no C-STORE status."""
    return _meaning_and_remedy(status)[0]


def query_status_meaning(status: int) -> str:
    """Return what a status says of a query or retrieval (PS3.4 C.4), or else as `status_meaning`."""
    if status & 0xF000 == 0xC000:
        return "Unable to process"
    return _QUERY_STATUSES.get(status) or status_meaning(status)


def status_remedy(status: int) -> str:
    """Return what a PACS engineer does upon a status: one sentence, or two."""
    return _meaning_and_remedy(status)[1]


def status_advice(status: int) -> str:
    """Return the meaning and the remedy in one line, as a row's `detail` has them."""
    return ": ".join(_meaning_and_remedy(status))


def _meaning_and_remedy(status: int) -> tuple[str, str]:
    known = _STATUSES.get(status)
    if known is not None:
        return known
    for mask, code, meaning, remedy in _RANGES:
        if status & mask == code:
            return meaning, remedy
    return NOT_A_STORE_STATUS, f"The standard gives this code no meaning for C-STORE: {_WAS_IT_KEPT}"
