"""Example settings: good ones, ones that load and will surprise, and ones that are refused.

Each differs from a plain setting in what it teaches, and is written as an author would write it.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["example_settings"]

_TYPE = "HL7Soup.Functions.Settings.Senders.DicomSenderSetting, HL7SoupWorkflow"
_ID = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
_ZERO = "00000000-0000-0000-0000-000000000000"
_INBOUND = "${11111111-1111-1111-1111-111111111111 inbound}"


def example_settings() -> dict[str, bytes]:
    """Return the content of every example file by its relative path."""
    settings: dict[str, dict[str, Any]] = {
        "send-to-pacs.json": _typical(),
        "basic-c-store.json": _basic(RemoteHost="10.0.0.25"),
        "alternate-ae-titles.json": _basic(
            Id="bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb",
            Name="Send to Archive Node",
            MessageTemplate="${22222222-2222-2222-2222-222222222222 outbound}",
            RemoteHost="dicom.archive.local",
            RemotePort=11112,
            RemoteAET="ARCHIVE_SCP",
        ),
        "local-scp.json": _typical(
            Id="cccccccc-cccc-cccc-cccc-cccccccccccc",
            Name="Send to the local SCP",
            RemotePort=11112,
            OurAET="DICOMKIT",
        ),
        "surprising/text-template.json": _typical(
            Name="Text template", MessageTemplate=f"Here it is: {_INBOUND}"
        ),
        "surprising/from-type-as-message-type.json": _typical(Name="FromType as MessageType", MessageType=12),
        "surprising/message-type-json.json": _typical(Name="JSON, they said", MessageType=11),
        "surprising/timeout-lost-on-save.json": _typical(Name="Patient sender", TimeoutSeconds=120),
        "surprising/timeout-zero.json": _typical(Name="No time at all", TimeoutSeconds=0),
        "surprising/transformers-not-available.json": _typical(
            Name="Transformers, or none",
            Transformers="33333333-3333-3333-3333-333333333333",
            TransformersNotAvailable=True,
        ),
        "surprising/zero-id.json": _typical(Name="Nobody can refer to me", Id=_ZERO),
        "surprising/disabled.json": _typical(Name="Switched off", Disabled=True),
        "surprising/misspelt-names.json": _misspelt(),
        "surprising/kept-whole.json": _kept_whole(),
        "faulty/wrong-type.json": _typical(
            **{"$type": "HL7Soup.Functions.Settings.Senders.MLLPSenderSetting, HL7SoupWorkflow"}
        ),
        "faulty/textual-enum.json": _typical(MessageType="DICOM"),
        "faulty/ae-title-too-long.json": _typical(RemoteAET="ARCHIVE_OF_THE_WHOLE_HOSPITAL"),
        "faulty/ae-title-backslash.json": _typical(OurAET="WARD\\3"),
        "faulty/port-out-of-range.json": _typical(RemotePort=70000),
        "faulty/not-a-guid.json": _typical(Filters="none"),
        "faulty/several-faults.json": _typical(RemotePort="104", OurAET="", TimeoutSeconds="soon"),
    }
    contents = {name: _as_bytes(setting) for name, setting in settings.items()}
    # As Windows' Notepad used to save: a byte order mark, and CRLF.
    notepad = _as_bytes(_typical(Name="An PACS senden · 画像保管"))
    contents["surprising/byte-order-mark.json"] = b"\xef\xbb\xbf" + notepad.replace(b"\n", b"\r\n")
    contents["faulty/not-json.json"] = contents["send-to-pacs.json"].replace(
        b'"RemotePort": 104,', b'"RemotePort": 104'
    )
    return contents


def _as_bytes(setting: dict[str, Any]) -> bytes:
    return (json.dumps(setting, indent=2, ensure_ascii=False) + "\n").encode()


def _typical(**changes: Any) -> dict[str, Any]:
    """The typical shape: every field, in the usual order."""
    return {
        "$type": _TYPE,
        "Id": _ID,
        "Name": "Send to PACS",
        "Version": 3,
        "MessageType": 16,
        "MessageTypeOptions": None,
        "MessageTemplate": _INBOUND,
        "RemoteHost": "127.0.0.1",
        "RemotePort": 104,
        "OurAET": "HL7SOUP_SCU",
        "RemoteAET": "ANY_SCP",
        "TimeoutSeconds": 30,
        "Filters": _ZERO,
        "Transformers": _ZERO,
        "TransformersNotAvailable": False,
        "Disabled": False,
    } | changes


def _basic(**changes: Any) -> dict[str, Any]:
    """Only the fields that a basic sender needs; the others are absent, and so have their defaults."""
    names = (
        "$type",
        "Id",
        "Name",
        "MessageType",
        "MessageTemplate",
        "RemoteHost",
        "RemotePort",
        "OurAET",
        "RemoteAET",
    )
    typical = _typical()
    return {name: typical[name] for name in names} | changes


def _misspelt() -> dict[str, Any]:
    names = {"RemoteHost": "remote_host", "RemotePort": "remotePort"}
    return {names.get(name, name): value for name, value in _basic(Name="Almost", RemotePort=11112).items()}


def _kept_whole() -> dict[str, Any]:
    """Everything that a careless reader would lose: order, unknown properties, nested types, an old assembly."""
    return {
        "$type": "HL7Soup.Functions.Settings.Senders.DicomSenderSetting, HL7Soup",
        "RemoteAET": "ARCHIVE_SCP",
        "RemotePort": 11112,
        "RemoteHost": "archive.example",
        "Name": "Zum Archiv · 保管庫へ",
        "Id": "DDDDDDDD-DDDD-DDDD-DDDD-DDDDDDDDDDDD",
        "MessageType": 16,
        "MessageTypeOptions": {
            "$type": "HL7Soup.Workflow.MessageTypeOptions.DicomMessageTypeOptions, HL7SoupWorkflow",
            "IncludeCommonFieldsNode": True,
            "IncludeTagsNode": False,
        },
        "MessageTemplate": _INBOUND,
        "OurAET": " HL7SOUP_SCU ",
        "X-Reviewed": {"by": "Zoë", "on": "2025-03-14", "scores": [1.0, 2e3, -0.5]},
    }
