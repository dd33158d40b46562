"""The values of a setting, and the JSON that they stand in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicomkit._support.frozen import Frozen
from dicomkit.errors import Problem, SettingError
from dicomkit.settings._fields import FIELD_OF, FIELDS, parse_field
from dicomkit.settings._json import JsonDocument, Places

if TYPE_CHECKING:
    from typing import Self


class SettingValues(Frozen):
    """The fields of a setting as a JSON document has them; raises SettingError where it has no such setting."""

    type_name: str
    id: str
    name: str
    version: int
    message_type: int
    message_template: str
    remote_host: str
    remote_port: int
    our_aet: str
    remote_aet: str
    timeout_seconds: int
    filters: str
    transformers: str
    transformers_not_available: bool
    disabled: bool
    _document: JsonDocument

    def __init__(self, document: JsonDocument) -> None:
        problems = _duplicates(document)
        for info in FIELDS:
            found = document.find(info.json_name)
            if found is not None:
                value = parse_field(info.json_name, document.value_of(found))
            elif info.json_name == "$type":
                value = _missing_type(document)
            else:
                value = info.default
            if isinstance(value, Problem):
                problems.append(value)
            elif info.kind != "json":  # a property reads that one afresh, since it might be changed
                object.__setattr__(self, info.attribute, value)
        if problems:
            raise SettingError(problems)
        object.__setattr__(self, "_document", document)

    @classmethod
    def _of(cls, document: JsonDocument) -> Self:
        """A setting of this class, whose own constructor takes fields."""
        setting = cls.__new__(cls)
        SettingValues.__init__(setting, document)
        return setting

    @property
    def message_type_options(self) -> Any:
        """The options of the message type as a JSON value, None as a rule; a copy, so changing it changes nothing."""
        return self.written_value("MessageTypeOptions")

    @property
    def property_names(self) -> tuple[str, ...]:
        """The JSON names that are written, in their order."""
        return tuple(found.name for found in self._document.properties)

    @property
    def unknown_properties(self) -> dict[str, Any]:
        """The properties that are no field of this setting, with their values; a copy."""
        unknown = (found for found in self._document.properties if found.name not in FIELD_OF)
        return {found.name: self._document.value_of(found) for found in unknown}

    def is_written(self, json_name: str) -> bool:
        """Whether the JSON has this property; an absent field reads as its default."""
        return self._document.find(json_name) is not None

    def written_value(self, json_name: str) -> Any:
        """The value of a property as the JSON has it (an AE title with its spaces, say), None when absent."""
        found = self._document.find(json_name)
        return None if found is None else self._document.value_of(found)


def _duplicates(document: JsonDocument) -> list[Problem]:
    problems: list[Problem] = []
    pairs = document.duplicates()
    if not pairs:
        return problems
    places = Places(document.text)
    for first, again in pairs:
        lines = [places.at(found.name_start)[0] for found in (first, again)]
        message = f"it is written twice, at line {lines[0]} and at line {lines[1]}"
        problems.append(Problem("error", again.name, message, "keep the one that is meant"))
    return problems


def _missing_type(document: JsonDocument) -> Problem:
    if document.find("WorkflowPattern") is not None:
        remedy = "give the object in its WorkflowPattern whose $type names DicomSenderSetting"
        return Problem("error", "$type", "this is a whole workflow, not one setting", remedy)
    name = FIELD_OF["$type"].default
    remedy = f'write "$type": "{name}" as the first property, if it is a DicomSenderSetting'
    return Problem("error", "$type", "it is missing, so this could be any object", remedy)
