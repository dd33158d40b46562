"""What loads, and will surprise: the pitfalls of a DicomSenderSetting, field by field.

An error means that send refuses the setting, a warning that something other than what was meant may happen, an info
that there is something to know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

from dicomkit._support.frozen import Frozen
from dicomkit.errors import Problem, Severity
from dicomkit.settings._fields import (
    ASSEMBLY,
    FIELD_OF,
    FIELDS,
    FROM_TYPES,
    TYPE_NAME,
    ZERO_GUID,
    MessageType,
    show,
)
from dicomkit.settings._values import SettingValues

_MIN_TIMEOUT_SECONDS = 1
_MAX_TIMEOUT_SECONDS = 2_147_483  # the system takes the wait in milliseconds, as a signed 32-bit number
_LONG_TIMEOUT_SECONDS = 3600
_DICOM_PORT = 104  # PS3.8 section 9.1.1: the well-known port; below 1024 an SCP needs privilege to listen
_KNOWN_VERSIONS = (2, 3)

# Patterns are compiled when they are first needed, by `re` itself.
_BINDING = (
    r"(?i)\$\{\s*([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\s+(inbound|outbound)\s*\}"
)

Found = tuple[Severity, str, str]


class Binding(Frozen):
    """A reference to another activity's message: `guid` in lower case, and which side of the activity."""

    guid: str
    direction: Literal["inbound", "outbound"]


def binding_of(template: str) -> Binding | None:
    """The binding that `template` is, or None when it is anything more or less than exactly one."""
    match = re.fullmatch(_BINDING, template)
    if match is None:
        return None
    return Binding(match[1].lower(), "inbound" if match[2].lower() == "inbound" else "outbound")


def pitfalls(setting: SettingValues) -> list[Problem]:
    """Every problem of `setting`, in the order of the fields; unknown properties come last."""
    problems = []
    for info in FIELDS:
        checks = _CHECKS.get(info.json_name)
        if checks is not None:
            problems += [Problem(found[0], info.json_name, found[1], found[2]) for found in checks(setting)]
    return problems + list(_unknown_properties(setting))


def timeout_pitfalls(timeout_seconds: int) -> list[Problem]:
    """What makes a timeout unusable (an error) or long (a warning)."""
    field, shown = "TimeoutSeconds", show(timeout_seconds)
    if timeout_seconds < _MIN_TIMEOUT_SECONDS:
        message = f"{shown} s leaves no time to send anything"
        return [Problem("error", field, message, "write 1 or more, such as 30")]
    if timeout_seconds > _MAX_TIMEOUT_SECONDS:
        remedy = f"write at most {_MAX_TIMEOUT_SECONDS}, such as 30"
        return [Problem("error", field, f"{shown} s is longer than a system can wait", remedy)]
    if timeout_seconds > _LONG_TIMEOUT_SECONDS:
        hours = f"{timeout_seconds / 3600:.1f} hours"
        message = f"{shown} s: a peer that falls silent holds the sending for {hours}"
        return [Problem("warning", field, message, "write the longest silence that is normal, such as 30")]
    return []


def _type(setting: SettingValues) -> Iterator[Found]:
    assembly = setting.type_name.partition(",")[2].partition(",")[0].strip()
    if not assembly:
        yield "warning", f"{show(setting.type_name)} names no assembly", f'write "{TYPE_NAME}, {ASSEMBLY}"'
    elif assembly != ASSEMBLY:
        yield "info", f"the assembly {show(assembly)} is not today's", f"nothing to do; today's is {ASSEMBLY}"
    if setting.property_names[0] != "$type":
        remedy = "move it to the top: .NET readers may look for it only there"
        yield "warning", "it is not the first property", remedy


def _id(setting: SettingValues) -> Iterator[Found]:
    remedy = "give it a GUID of its own if a workflow is to refer to it"
    if not setting.is_written("Id"):
        yield "warning", "there is none, so no other activity can refer to this one", remedy
    elif setting.id == ZERO_GUID:
        yield "warning", "it is null or all zeros, which means no activity at all", remedy


def _name(setting: SettingValues) -> Iterator[Found]:
    if not setting.name.strip():
        yield "info", "it is empty or missing", "name the activity after its peer, such as Send to PACS"


def _version(setting: SettingValues) -> Iterator[Found]:
    if setting.version not in _KNOWN_VERSIONS:
        yield "warning", f"{show(setting.version)} is none that is in use", "write 3 (or 2)"


def _message_type(setting: SettingValues) -> Iterator[Found]:
    number = setting.message_type
    if number == MessageType.DICOM:
        return
    if number in FROM_TYPES:
        what = f"{number} is the FromType {FROM_TYPES[number]}: how a binding reads its source, not a message type"
    elif isinstance(number, MessageType):
        what = f"{number:d} is {number.name}, not DICOM; the message must be a DicomMessage all the same"
    else:
        what = f"{show(number)} is no known message type"
    yield "warning", what, "write 16 (DICOM)"


def _message_type_options(setting: SettingValues) -> Iterator[Found]:
    if setting.message_type_options is not None:
        yield "info", "they have no effect in this sender", "leave them, or write null"


def _message_template(setting: SettingValues) -> Iterator[Found]:
    template = setting.message_template
    remedy = "write exactly one ${GUID inbound} (or outbound) of the activity that has the DICOM message"
    if not template:
        what = "it is empty or missing, so a workflow has nothing to send; send itself does not need it"
        yield "info", what, remedy
        return
    binding = binding_of(template)
    if binding is None:
        yield "warning", _why_text(template), remedy
    elif binding.guid == ZERO_GUID:
        yield "warning", f"{show(template)} refers to the all-zero GUID, which means no activity", remedy
    elif binding.guid == setting.id:
        yield "warning", f"{show(template)} refers to this activity itself, which has no message yet", remedy


def _why_text(template: str) -> str:
    bindings = len(re.findall(_BINDING, template))
    text = "yields text, and text cannot be sent as DICOM"
    if bindings > 1:
        return f"{show(template)} holds {bindings} bindings: together they are text; it {text}"
    if bindings == 1:
        return f"{show(template)} has text (or spaces) around its binding; it {text}"
    start = template.find("${")
    if start >= 0 and "}" in template[start:]:  # no pattern: it would search the end again from every ${
        return f"{show(template)} holds a variable, not a binding to an activity's message; it {text}"
    return f"{show(template)} holds no binding; it {text}"


def _remote_host(setting: SettingValues) -> Iterator[Found]:
    host = setting.remote_host
    shown = show(host)
    if host.lower().removesuffix(".") in ("localhost", "::1") or host.startswith("127."):
        remedy = "write the peer's name or address when it is another machine"
        yield "info", f"{shown} is this machine itself", remedy
    elif host in ("0.0.0.0", "::"):
        what = f"{shown} is an address to listen on, not one to send to"
        yield "warning", what, "write the peer's name or address"
    elif re.fullmatch(r"[0-9]+(\.[0-9]+){3}", host) and re.search(r"\b0[0-9]", host):
        plain = ".".join(str(int(part)) for part in host.split("."))
        what = f"{shown} has a leading zero, which some systems read as octal"
        yield "warning", what, f"write {show(plain)}"


def _remote_port(setting: SettingValues) -> Iterator[Found]:
    if setting.remote_port == _DICOM_PORT:
        remedy = "nothing to do here; a receiver without that privilege listens on 11112 as a rule"
        yield "info", "listening on 104 needs privilege on the receiving side", remedy


def _our_aet(setting: SettingValues) -> Iterator[Found]:
    if setting.our_aet == FIELD_OF["OurAET"].default:
        what = f"{show(setting.our_aet)} is the default, which tells a peer nothing of who is sending"
        yield "info", what, "agree on a title with the peer, which may have to list it as known"
    yield from _ae_title(setting, "OurAET", setting.our_aet)


def _remote_aet(setting: SettingValues) -> Iterator[Found]:
    if setting.remote_aet == FIELD_OF["RemoteAET"].default:
        what = (
            f"{show(setting.remote_aet)} is the default; a peer of another title may reject the association"
        )
        yield "warning", what, "write the peer's own AE title"
    if setting.remote_aet == setting.our_aet:
        what = f"{show(setting.remote_aet)} is also our own title (OurAET)"
        yield "warning", what, "write the peer's own AE title here, and ours in OurAET"
    yield from _ae_title(setting, "RemoteAET", setting.remote_aet)


def _ae_title(setting: SettingValues, field: str, title: str) -> Iterator[Found]:
    if title != title.upper():
        what = f"{show(title)} has lower-case letters, and peers compare titles by case"
        yield "info", what, "check that the peer has it written just so"
    written = setting.written_value(field)
    if isinstance(written, str) and written != title:
        what = f"the spaces around {show(written)} do not count (PS3.5 section 6.2)"
        yield "info", what, f"nothing to do; {show(title)} is the same title"


def _timeout_seconds(setting: SettingValues) -> Iterator[Found]:
    for problem in timeout_pitfalls(setting.timeout_seconds):
        yield problem.severity, problem.message, problem.remedy
    if not setting.is_written("TimeoutSeconds"):
        return
    default = FIELD_OF["TimeoutSeconds"].default
    enforced = f"{show(setting.timeout_seconds)} is enforced by dicomkit, not by the original"
    if setting.timeout_seconds == default:
        yield "info", f"{enforced}, whose dialog does not show it", "nothing to do"
    else:
        what = f"{enforced}; its dialog does not show it either, and puts {default} back on saving"
        yield "warning", what, "set it again after editing the setting there"


def _filters(setting: SettingValues) -> Iterator[Found]:
    if setting.filters != ZERO_GUID:
        what = f"the filters {setting.filters} are not applied by send"
        yield "info", what, "use run_workflow to have them applied"
    yield from _null_guid(setting, "Filters")


def _transformers(setting: SettingValues) -> Iterator[Found]:
    transformers = setting.transformers
    if transformers != ZERO_GUID and setting.transformers_not_available:
        what = f"{transformers} is set while TransformersNotAvailable is true, so they may never run"
        yield "warning", what, f"write {ZERO_GUID} here, or TransformersNotAvailable false"
    elif transformers != ZERO_GUID:
        what = f"the transformers {transformers} are not run by send, and one that makes another kind of message of"
        remedy = "use run_workflow to have them run, and keep the message DICOM"
        yield "info", f"{what} it breaks the sending", remedy
    yield from _null_guid(setting, "Transformers")


def _null_guid(setting: SettingValues, field: str) -> Iterator[Found]:
    if setting.is_written(field) and setting.written_value(field) is None:
        what = "null is read as none, which the original may not do"
        yield "warning", what, f"write {ZERO_GUID}, or leave it out"


def _disabled(setting: SettingValues) -> Iterator[Found]:
    if setting.disabled:
        yield "warning", "it is true, so nothing is sent and every outcome is skipped", "write false to send"


def _unknown_properties(setting: SettingValues) -> Iterator[Problem]:
    plain = {info.json_name.lower(): info.json_name for info in FIELDS}
    written = set(setting.property_names)
    for name in setting.unknown_properties:
        meant = plain.get(name.replace("_", "").replace("-", "").replace(" ", "").lower())
        if meant is not None:
            message = f"{show(name)} is not a field: names are compared by case, and {meant} has " + (
                "a value of its own" if meant in written else "its default"
            )
            yield Problem("warning", name, message, f"write it as {meant}")
        else:
            message = "it is not a field of this setting: kept, and without effect"
            yield Problem("info", name, message, "nothing to do")


_CHECKS: dict[str, Callable[[SettingValues], Iterator[Found]]] = {
    "$type": _type,
    "Id": _id,
    "Name": _name,
    "Version": _version,
    "MessageType": _message_type,
    "MessageTypeOptions": _message_type_options,
    "MessageTemplate": _message_template,
    "RemoteHost": _remote_host,
    "RemotePort": _remote_port,
    "OurAET": _our_aet,
    "RemoteAET": _remote_aet,
    "TimeoutSeconds": _timeout_seconds,
    "Filters": _filters,
    "Transformers": _transformers,
    "Disabled": _disabled,
}
