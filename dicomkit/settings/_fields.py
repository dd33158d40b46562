"""Every field of a DicomSenderSetting: its names, its default, what it means, and which values it takes.

`FIELDS` is the one table: parsing, defaults, `explain()` and a form's controls are all read from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import IntEnum
from math import isfinite
from typing import Literal, TypedDict

from dicomkit._support.frozen import Frozen
from dicomkit.errors import Picklable, Problem
from dicomkit.settings._json import JsonFault, encode_value, read_value

TYPE_NAME = "HL7Soup.Functions.Settings.Senders.DicomSenderSetting"
ASSEMBLY = "HL7SoupWorkflow"
ZERO_GUID = "00000000-0000-0000-0000-000000000000"

_MAX_AET_LENGTH = 16  # PS3.5 section 6.2, VR AE: 16 bytes at most
_MAX_PORT = 65535  # RFC 9293 section 3.1: ports have 16 bits; 0 names none
_MAX_HOST_LENGTH = 253  # RFC 1035 section 2.3.4: 255 octets on the wire, of which 253 are the written name
_MAX_LABEL_LENGTH = 63  # RFC 1035 section 2.3.4
_SHOWN_LENGTH = 60

Kind = Literal["type", "guid", "text", "integer", "boolean", "json"]


class MessageType(IntEnum):
    """What object a message is, as workflow JSON numbers it; the gaps 7 to 10 and 12 are kinds of binding."""

    UNKNOWN = 0
    HL7V2 = 1
    HL7V3 = 2
    FHIR = 3
    XML = 4
    CSV = 5
    SQL = 6
    JSON = 11
    TEXT = 13
    BINARY = 14
    MESSAGE_STRUCTURE = 15
    DICOM = 16


FROM_TYPES = {7: "TextWithVariables", 8: "HL7V2Path", 9: "XPath", 10: "CSVPath", 12: "JSONPath"}
"""Numbers of the same series that say how a binding reads its source, and are never a `MessageType`."""

_MESSAGE_TYPE_OF = {member.value: member for member in MessageType}
_NUMBER_OF_NAME = {member.name.replace("_", ""): member.value for member in MessageType} | {
    name.upper(): number for number, name in FROM_TYPES.items()
}


class _Refused(Picklable, ValueError):
    """A value that a field does not take; becomes a `Problem` once the field is known."""

    def __init__(self, message: str, remedy: str) -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message}; {remedy}")


def show(value: object) -> str:
    """`value` as it would stand in JSON, shortened."""
    if isinstance(value, float) and not isfinite(value):
        return "a number too large to read"
    text = encode_value(value, allow_nan=True)
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"


def _integer(value: object, example: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", value):
        raise _Refused(f"{show(value)} is text, not a number", f"write {int(value)} without quotes")
    if isinstance(value, float) and value.is_integer():
        raise _Refused(f"{show(value)} is not written as a whole number", f"write {int(value)}")
    raise _Refused(f"{show(value)} is not a whole number", f"write a whole number such as {example}")


def _any_integer(example: int) -> Callable[[object], object]:
    return lambda value: _integer(value, example)


def _port(value: object) -> int:
    port = _integer(value, 104)
    if not 1 <= port <= _MAX_PORT:
        raise _Refused(
            f"{show(port)} is not a TCP port",
            f"write a number from 1 to {_MAX_PORT}; DICOM's own are 104 and 11112",
        )
    return port


def _message_type(value: object) -> int:
    if isinstance(value, str):
        number = _NUMBER_OF_NAME.get(value.strip().replace("_", "").upper())
        if number is not None:
            raise _Refused(f"{show(value)} is the name of a message type", f"write its number, {number}")
    number = _integer(value, MessageType.DICOM.value)
    return _MESSAGE_TYPE_OF.get(number, number)


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    meant = value.strip().lower() if isinstance(value, str) else value
    if meant in ("true", "yes", "on", "1", 1):
        raise _Refused(f"{show(value)} is neither true nor false", "write true, without quotes")
    if meant in ("false", "no", "off", "0", 0):
        raise _Refused(f"{show(value)} is neither true nor false", "write false, without quotes")
    raise _Refused(f"{show(value)} is neither true nor false", "write true or false")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise _Refused(f"{show(value)} is not text", f"write it in double quotes: {encode_value(show(value))}")


_GUID_SHAPES = ([8, 4, 4, 4, 12], [32])
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def _guid(value: object) -> str:
    """The forms N, D, B and P of .NET: with or without hyphens, the hyphened one also in braces or parentheses."""
    if value is None:
        return ZERO_GUID
    if isinstance(value, str):
        bare = value.strip()
        if (bare[:1] + bare[-1:]) in ("{}", "()") and "-" in bare:
            bare = bare[1:-1]
        parts = bare.split("-")
        digits = "".join(parts).lower()
        if [len(part) for part in parts] in _GUID_SHAPES and _HEX_DIGITS.issuperset(digits):
            return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    raise _Refused(
        f"{show(value)} is not a GUID",
        f"write 32 hexadecimal digits as 8-4-4-4-12, or {ZERO_GUID} for none",
    )


def _ae_title(value: object) -> str:
    """The significant part of an AE title (PS3.5 section 6.2, VR AE): spaces at either end do not count."""
    if not isinstance(value, str):
        raise _Refused(
            f"{show(value)} is not an AE title", 'write a text of 1 to 16 characters, such as "ANY_SCP"'
        )
    title = value.strip(" ")
    if not title:
        raise _Refused(
            f"{show(value)} is an empty AE title", "write 1 to 16 characters that are not all spaces"
        )
    for character in title:
        if character == "\\":
            raise _Refused(f"{show(value)} holds a backslash, which separates values in DICOM", "remove it")
        if not " " <= character <= "~":  # the G0 set of the default repertoire, PS3.5 section 6.1.2.1
            raise _Refused(
                f"{show(value)} holds {show(character)} (U+{ord(character):04X}), which an AE title cannot",
                "use letters A to Z, digits, space and ASCII punctuation only",
            )
    if len(title) > _MAX_AET_LENGTH:
        raise _Refused(
            f"{show(value)} has {len(title)} characters, an AE title at most {_MAX_AET_LENGTH}",
            "shorten it here and in the peer's configuration",
        )
    return title


def _host(value: object) -> str:
    if not isinstance(value, str):
        raise _Refused(f"{show(value)} is not a host", 'write a name or an IP address, such as "127.0.0.1"')
    if not value.strip():
        raise _Refused(f"{show(value)} names no host", "write the name or IP address of the DICOM peer")
    if value != value.strip():
        raise _Refused(f"{show(value)} has spaces around it", f"write {show(value.strip())}")
    without_scheme = value.rpartition("://")[2].split("/")[0]
    if without_scheme != value:
        raise _Refused(f"{show(value)} is not only a host name", f"write {_host_and_port(without_scheme)}")
    if value.startswith("[") or value.count(":") == 1:
        raise _Refused(f"{show(value)} is not only a host name", f"write {_host_and_port(value)}")
    if ":" in value:
        return _ipv6(value)
    wrong = re.search(r"[\s\x00-\x1f\x7f\\@?#,;\"'<>()\[\]{}|^`]", value)
    if wrong:
        raise _Refused(
            f"{show(value)} holds {show(wrong[0])}, which no host name has", "write the host name alone"
        )
    return _host_name(value)


def _host_and_port(text: str) -> str:
    """What to write instead of "host:port", "[address]" and "[address]:port"."""
    host, port = text, ""
    bracketed = re.fullmatch(r"\[([^\]]*)\]:?([0-9]*)", text)
    if bracketed:
        host, port = bracketed[1], bracketed[2]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    return f"{encode_value(host)} here" + (
        f" and {port} as RemotePort" if port else ", and the port as RemotePort"
    )


def _ipv6(value: str) -> str:
    from ipaddress import IPv6Address

    try:
        IPv6Address(value)
    except ValueError as error:
        raise _Refused(
            f"{show(value)} is neither a host name nor an IPv6 address",
            "write the host alone; RemotePort is a field",
        ) from error
    return value


def _host_name(value: str) -> str:
    labels = value.removesuffix(".").split(".")
    if len(labels) == 4 and all(re.fullmatch("[0-9]+", label) for label in labels):
        if any(len(label) > 3 or int(label) > 255 for label in labels):
            raise _Refused(f"{show(value)} is not an IPv4 address", "write four numbers from 0 to 255")
        return value
    if not all(labels):
        raise _Refused(
            f"{show(value)} has an empty part between its dots", "write the host name as DNS knows it"
        )
    try:
        encoded = value if value.isascii() else value.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise _Refused(
            f"{show(value)} cannot be a host name", "write its IP address or its ASCII name"
        ) from error
    if len(encoded) > _MAX_HOST_LENGTH or any(len(label) > _MAX_LABEL_LENGTH for label in encoded.split(".")):
        raise _Refused(
            f"{show(value)} is too long for a host name",
            f"write its IP address; {_MAX_LABEL_LENGTH} between dots and {_MAX_HOST_LENGTH} in all are the most",
        )
    return value


def _type_name(value: object) -> str:
    wanted = f'"{TYPE_NAME}, {ASSEMBLY}"'
    if not isinstance(value, str):
        raise _Refused(f"{show(value)} is not a type name", f"write {wanted}")
    found = value.partition(",")[0].strip()
    if found != TYPE_NAME:
        raise _Refused(
            f"{encode_value(value)} is another kind of setting ({found.rpartition('.')[2] or 'none'})",
            f"give the object whose $type is {wanted}",
        )
    return value


class FieldInfo(Frozen):
    """One field of the setting."""

    json_name: str
    attribute: str  # its name in Python
    kind: Kind  # for a form to choose a control by
    default: object  # what an absent property reads as, and what a new setting is given
    parse: Callable[[object], object]  # from JSON value to attribute value: see `parse_field`
    meaning: str
    effect: str  # when something is sent
    new: str = ""  # what a new setting is given, in words, where that is not `default`


FIELDS: tuple[FieldInfo, ...] = (
    FieldInfo(
        *("$type", "type_name", "type", f"{TYPE_NAME}, {ASSEMBLY}", _type_name),
        "Full name of the .NET type, and the assembly it comes from.",
        "Tells what kind of setting the object is; another type is refused, an older assembly is not.",
    ),
    FieldInfo(
        *("Id", "id", "guid", ZERO_GUID, _guid),
        "GUID of this activity.",
        "Other activities refer to it; send does not look at it.",
        new="a new GUID",
    ),
    FieldInfo(
        *("Name", "name", "text", "", _text),
        "Name of the activity, for people.",
        "Nothing depends on it.",
    ),
    FieldInfo(
        *("Version", "version", "integer", 3, _any_integer(3)),
        "Version of the setting's format; 2 and 3 are in use.",
        "Nothing depends on it.",
    ),
    FieldInfo(
        *("MessageType", "message_type", "integer", MessageType.DICOM, _message_type),
        "Number of the message's kind; 16, DICOM, is the one that makes sense here.",
        "Nothing by itself: the message object decides. Anything but a DicomMessage cannot be sent, whatever it is.",
    ),
    FieldInfo(
        *("MessageTypeOptions", "message_type_options", "json", None, lambda value: value),
        "Options of the message type; null as a rule.",
        "This sender does not look at them.",
    ),
    FieldInfo(
        *("MessageTemplate", "message_template", "text", "", _text),
        "Where the message comes from: ${GUID inbound} or ${GUID outbound} of an activity.",
        "send sends the object it is given; only run_workflow resolves the template. Exactly one binding yields that "
        "activity's message object; with anything around it, text, and text cannot be sent.",
    ),
    FieldInfo(
        *("RemoteHost", "remote_host", "text", "127.0.0.1", _host),
        "Name or IP address of the DICOM peer (the SCP).",
        "The connection goes there.",
    ),
    FieldInfo(
        *("RemotePort", "remote_port", "integer", 104, _port),
        "TCP port of the DICOM peer, 1 to 65535.",
        "The connection goes there.",
    ),
    FieldInfo(
        *("OurAET", "our_aet", "text", "HL7SOUP_SCU", _ae_title),
        "Calling AE title: how we name ourselves, 1 to 16 characters.",
        "Sent in the association request; a peer that does not know it may reject the association.",
    ),
    FieldInfo(
        *("RemoteAET", "remote_aet", "text", "ANY_SCP", _ae_title),
        "Called AE title: how the peer is named, 1 to 16 characters.",
        "Sent in the association request; a peer of another title may reject the association though host and port "
        "are right. Its answer to each C-STORE is the result: success is stored, and a warning status counts as "
        "stored too (how the original treats a warning is not documented).",
    ),
    FieldInfo(
        *("TimeoutSeconds", "timeout_seconds", "integer", 30, _any_integer(30)),
        "Seconds the peer may be silent.",
        "dicomkit enforces it in every phase: connect, TLS handshake, association, response, release. The original "
        "does not, and saving in its dialog puts 30 back.",
    ),
    FieldInfo(
        *("Filters", "filters", "guid", ZERO_GUID, _guid),
        "GUID of the sender's filters; all zeros for none.",
        "Only run_workflow applies filters, and a false one skips this sender; send does not look at them.",
    ),
    FieldInfo(
        *("Transformers", "transformers", "guid", ZERO_GUID, _guid),
        "GUID of the sender's transformers; all zeros for none.",
        "Only run_workflow runs transformers; one that turns the message into another kind breaks the sending. "
        "send does not look at them.",
    ),
    FieldInfo(
        *("TransformersNotAvailable", "transformers_not_available", "boolean", False, _boolean),
        "Whether transformers are unavailable to this activity.",
        "send does not look at it.",
    ),
    FieldInfo(
        *("Disabled", "disabled", "boolean", False, _boolean),
        "Whether the activity is switched off.",
        "When true nothing is sent, and the outcome is skipped.",
    ),
)


class SettingFields(TypedDict, total=False):
    """The keywords of `DicomSenderSetting` and `replace`, for type checkers: `FIELDS` by both of their names."""

    type_name: str
    id: object
    Id: object
    name: str
    Name: str
    version: int
    Version: int
    message_type: int
    MessageType: int
    message_type_options: object
    MessageTypeOptions: object
    message_template: str
    MessageTemplate: str
    remote_host: str
    RemoteHost: str
    remote_port: int
    RemotePort: int
    our_aet: str
    OurAET: str
    remote_aet: str
    RemoteAET: str
    timeout_seconds: int
    TimeoutSeconds: int
    filters: object
    Filters: object
    transformers: object
    Transformers: object
    transformers_not_available: bool
    TransformersNotAvailable: bool
    disabled: bool
    Disabled: bool


FIELD_OF: dict[str, FieldInfo] = {info.json_name: info for info in FIELDS}
_FIELD_OF_ATTRIBUTE = {info.attribute: info for info in FIELDS}


def field_called(name: str) -> FieldInfo | None:
    """The field with this JSON or Python name, or None."""
    return FIELD_OF.get(name) or _FIELD_OF_ATTRIBUTE.get(name)


def _field(name: str) -> FieldInfo:
    info = field_called(name)
    if info is None:
        raise KeyError(f"{name!r} is not a field of a DicomSenderSetting; see FIELDS")
    return info


def parse_field(name: str, value: object) -> object:
    """The attribute value that the JSON value `value` gives a field, or the `Problem` that it is."""
    info = _field(name)
    try:
        return info.parse(value)
    except _Refused as refused:
        return Problem("error", info.json_name, refused.message, refused.remedy)


def parse_field_text(name: str, text: str) -> object:
    """What someone typed into a text box for a field: the value for `replace()`, or the `Problem` that it is.

    A message type may be typed by its name too, and ``MessageTypeOptions`` is JSON (nothing is null). Spaces around a
    value do not count, except in Name and MessageTemplate.
    """
    info = _field(name)
    typed = text.strip()
    value: object = text if info.parse is _text else typed
    if info.kind == "integer":
        number = _NUMBER_OF_NAME.get(typed.upper()) if info.json_name == "MessageType" else None
        is_number = re.fullmatch(r"[+-]?[0-9]{1,20}", typed)
        if number is None and not is_number:
            fault = f"{show(typed)} is not a whole number" if typed else "it is empty"
            return Problem("error", info.json_name, fault, f"type a number such as {info.default:d}")
        value = int(typed) if number is None else number
    elif info.kind == "boolean":
        value = {"true": True, "false": False}.get(typed.lower(), typed)
    elif info.kind == "json":
        try:
            return read_value(typed) if typed else None
        except JsonFault as fault:
            where = f"line {fault.line}, column {fault.column}: {fault.fault}"
            return Problem("error", info.json_name, where, fault.remedy)
    return parse_field(name, value)
