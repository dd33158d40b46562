"""The DicomSenderSetting of a workflow: its fields, its JSON kept to the letter, its problems."""

from __future__ import annotations

from dicomkit.settings._fields import (
    FIELD_OF,
    FIELDS,
    FROM_TYPES,
    FieldInfo,
    MessageType,
    field_called,
    parse_field_text,
)
from dicomkit.settings._json import JsonDocument, JsonFault, decode_json, encode_value, position
from dicomkit.settings._problems import Binding
from dicomkit.settings._setting import DicomSenderSetting, locator

__all__ = [
    "Binding",
    "DicomSenderSetting",
    "FIELDS",
    "FIELD_OF",
    "FROM_TYPES",
    "FieldInfo",
    "JsonDocument",
    "JsonFault",
    "MessageType",
    "decode_json",
    "encode_value",
    "field_called",
    "locator",
    "parse_field_text",
    "position",
]
