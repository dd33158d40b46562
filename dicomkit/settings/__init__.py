"""The DicomSenderSetting of a workflow: its fields, its JSON kept to the letter, its problems."""

from __future__ import annotations

from dicomkit.settings._fields import FIELD_OF as FIELD_OF
from dicomkit.settings._fields import FIELDS as FIELDS
from dicomkit.settings._fields import FROM_TYPES as FROM_TYPES
from dicomkit.settings._fields import FieldInfo as FieldInfo
from dicomkit.settings._fields import MessageType as MessageType
from dicomkit.settings._fields import field_called as field_called
from dicomkit.settings._fields import parse_field_text as parse_field_text
from dicomkit.settings._json import JsonDocument as JsonDocument
from dicomkit.settings._json import JsonFault as JsonFault
from dicomkit.settings._json import decode_json as decode_json
from dicomkit.settings._json import encode_value as encode_value
from dicomkit.settings._json import position as position
from dicomkit.settings._problems import Binding as Binding
from dicomkit.settings._setting import DicomSenderSetting as DicomSenderSetting
from dicomkit.settings._setting import locator as locator
