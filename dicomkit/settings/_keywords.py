"""The keywords that a setting is made and changed with, for type checkers.

At run time the table in `setting_fields` says which there are; a test holds the two together.
"""

from __future__ import annotations

from typing import TypedDict

__all__ = ["SettingFields"]


class SettingFields(TypedDict, total=False):
    """The keywords of `DicomSenderSetting` and `replace`: each field by its Python or its JSON name."""

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
