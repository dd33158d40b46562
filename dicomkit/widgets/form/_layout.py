"""How a settings form is laid out: which fields stand together, and what people call them.

The one idea: `FIELDS` says what a field is; here is only where it stands and what is written before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dicomkit.settings import FIELD_OF, FROM_TYPES, FieldInfo, MessageType

__all__ = ["Group", "GROUPS", "LABELS", "described"]


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that stand together, by their JSON names; a group that `is_folded` opens on demand, or on a fault."""

    title: str
    hint: str
    fields: tuple[str, ...]
    is_folded: bool = False


GROUPS: tuple[Group, ...] = (
    Group("Where", "the machine that receives", ("RemoteHost", "RemotePort")),
    Group("Who", "the names both sides go by", ("OurAET", "RemoteAET")),
    Group(
        "Message", "what is sent", ("MessageType", "MessageTemplate", "MessageTypeOptions"), is_folded=True
    ),
    Group(
        "Workflow links",
        "this activity among others",
        ("Name", "Id", "Filters", "Transformers", "TransformersNotAvailable"),
        is_folded=True,
    ),
    Group(
        "Advanced",
        "timeout, switch, format",
        ("TimeoutSeconds", "Disabled", "Version", "$type"),
        is_folded=True,
    ),
)

LABELS: dict[str, str] = {
    "RemoteHost": "Host",
    "RemotePort": "Port",
    "OurAET": "Our AE title",
    "RemoteAET": "Remote AE title",
    "MessageType": "Message type",
    "MessageTemplate": "Message template",
    "MessageTypeOptions": "Message type options",
    "Name": "Name",
    "Id": "Id",
    "Filters": "Filters",
    "Transformers": "Transformers",
    "TransformersNotAvailable": "Transformers not available",
    "TimeoutSeconds": "Timeout in seconds",
    "Disabled": "Disabled",
    "Version": "Version",
    "$type": "Type",
}


def described() -> list[dict[str, Any]]:
    """Return the groups and their fields in plain values, as the browser is told them once."""
    return [
        {
            "title": group.title,
            "hint": group.hint,
            "is_folded": group.is_folded,
            "fields": [_field(FIELD_OF[name]) for name in group.fields],
        }
        for group in GROUPS
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
