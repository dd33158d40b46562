"""How a settings form is laid out: which of the `FIELDS` stand together, and what people call them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dicomkit.settings import FIELD_OF, FIELDS, FROM_TYPES, FieldInfo, MessageType


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that stand together, by their JSON names; a group that `is_folded` opens on demand, or on a fault."""

    title: str
    hint: str
    fields: tuple[str, ...]
    is_folded: bool = True


GROUPS: tuple[Group, ...] = (
    Group("Where", "the machine that receives", ("RemoteHost", "RemotePort"), is_folded=False),
    Group("Who", "the names both sides go by", ("OurAET", "RemoteAET"), is_folded=False),
    Group("Message", "what is sent", ("MessageType", "MessageTemplate", "MessageTypeOptions")),
    Group(
        "Workflow links",
        "this activity among others",
        ("Name", "Id", "Filters", "Transformers", "TransformersNotAvailable"),
    ),
    Group("Advanced", "timeout, switch, format", ("TimeoutSeconds", "Disabled", "Version", "$type")),
)

# The labels that are not the words of the field's own name.
_LABELS = {
    "RemoteHost": "Host",
    "RemotePort": "Port",
    "OurAET": "Our AE title",
    "RemoteAET": "Remote AE title",
    "TimeoutSeconds": "Timeout in seconds",
    "$type": "Type",
}
LABELS = {
    info.json_name: _LABELS.get(info.json_name, info.attribute.replace("_", " ").capitalize())
    for info in FIELDS
}


def described() -> list[dict[str, Any]]:
    """Return the groups and their fields in plain values, as the browser is sent them once."""
    return [
        {**asdict(group), "fields": [_field(FIELD_OF[name]) for name in group.fields]} for group in GROUPS
    ]


def _field(info: FieldInfo) -> dict[str, Any]:
    return {
        "name": info.json_name,
        "label": LABELS[info.json_name],
        "kind": info.kind,
        "meaning": info.meaning,
        "effect": info.effect,
        "default": info.new or _default(info),
        "choices": _message_types() if info.json_name == "MessageType" else [],
    }


def _default(info: FieldInfo) -> str:
    if info.kind == "boolean":
        return "yes" if info.default else "no"
    if isinstance(info.default, int):
        return f"{info.default:d}"
    return "nothing" if info.default in (None, "") else str(info.default)


def _message_types() -> list[dict[str, str]]:
    """What may be typed as a message type; the FromTypes too, so that their numbers are explained."""
    names = {member.value: member.name for member in MessageType} | {
        number: f"{name} (a FromType, no message type)" for number, name in FROM_TYPES.items()
    }
    return [{"text": str(number), "name": names[number]} for number in sorted(names)]
