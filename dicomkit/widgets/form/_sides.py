"""The two sides of a settings form, the typed fields and the JSON text, kept in step.

The one idea: the JSON text is the truth. What is typed in a field and taken by the settings model replaces that one
value in it; what is refused waits beside it, with its problem, until it is corrected on either side.
"""

from __future__ import annotations

from dataclasses import dataclass

from dicomkit.errors import Problem, SettingError
from dicomkit.settings import (
    FIELD_OF,
    FIELDS,
    DicomSenderSetting,
    FieldInfo,
    JsonDocument,
    JsonFault,
    encode_value,
    parse_field_text,
)

__all__ = ["JSON", "Sides", "Typed", "normal_lines"]

JSON = "JSON"
"""The key in `Sides.errors` of a fault that is the whole text's, as in `SettingError.problems`."""

_ORDER = tuple(info.json_name for info in FIELDS)


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed in a field.

    Attributes
    ----------
    text : str
        As typed.
    refusal : Problem or None
        Why the settings model does not take it.
    written : str or None
        The field's JSON since then; another one means that the JSON was changed and counts.
    """

    text: str
    refusal: Problem | None
    written: str | None


class Sides:
    """The state behind a form, from a JSON text with or without faults; not thread-safe.

    Attributes
    ----------
    text : str
        The JSON side, lines ended by ``\\n``.
    fault : JsonFault or None
        Where `text` is no JSON object; the fields then show the last one that it was, and take nothing.
    errors : dict of str to Problem
        What is invalid, by JSON name in the order of the fields; `JSON` stands for the text as a whole.
    notes : list of Problem
        Warnings and infos about the setting that the JSON is, when it is one.
    setting : DicomSenderSetting or None
        The setting that both sides show, when nothing is invalid.
    """

    text: str
    fault: JsonFault | None
    errors: dict[str, Problem]
    notes: list[Problem]
    setting: DicomSenderSetting | None

    def __init__(self, text: str) -> None:
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._typed: dict[str, Typed] = {}
        self._document: JsonDocument | None = None
        self._take_text(normal_lines(text))

    @classmethod
    def of(cls, setting: DicomSenderSetting) -> Sides:
        """Both sides showing `setting`."""
        sides = cls(setting.to_json())
        if sides.setting is not None:
            sides.setting = setting  # the very object, not an equal one
        return sides

    def type_json(self, text: str) -> None:
        """Take what the JSON side says now; fields whose JSON is as before keep what was typed in them."""
        self._take_text(normal_lines(text))

    def type_fields(self, texts: dict[str, str]) -> None:
        """Take what was typed in fields, by JSON name; a field whose text is not new is left alone.

        Raises
        ------
        KeyError
            When there is no such field.
        SettingError
            When the JSON side is not JSON, so that nothing can be changed in it.
        """
        new = {name: text for name, text in texts.items() if self._is_new(name, text)}
        if not new:
            return
        if self._document is None or self.fault is not None:
            raise SettingError(list(self.errors.values()))
        document = self._document
        for name, text in new.items():
            value = parse_field_text(name, text)
            refusal = value if isinstance(value, Problem) else None
            if refusal is None:
                # A json field goes in as typed: 1.0 and 1e400 would not survive being read and written.
                as_typed = FIELD_OF[name].kind == "json" and text.strip()
                document = _with_value(document, name, as_typed or encode_value(value))
            self._typed[name] = Typed(text, refusal, _written(document, name))
        self._take_document(document)

    # What is seen

    def field_text(self, name: str) -> str:
        """What a field's control holds: what was typed in it, or else what the JSON says, or else the default."""
        info = FIELD_OF[name]
        typed = self._typed.get(name)
        return typed.text if typed is not None else _showable(_projected(self._document, info))

    def is_written(self, name: str) -> bool:
        """Whether the JSON has the field; its default counts otherwise."""
        return self._document is not None and self._document.find(name) is not None

    def is_refused(self, name: str) -> bool:
        """Whether the field holds a text that the JSON does not have, because the settings model refuses it."""
        typed = self._typed.get(name)
        return typed is not None and typed.refusal is not None

    def json_problems(self) -> list[Problem]:
        """What is wrong with the JSON side, in the order of its text where that is known."""
        return list(self._json_problems)

    # How it comes about

    def _is_new(self, name: str, text: str) -> bool:
        is_faulty_in_json = name in self.errors and name not in self._typed  # "104" for 104, say
        return is_faulty_in_json or self.field_text(name) != text

    def _take_text(self, text: str) -> None:
        self.text = text
        try:
            document = JsonDocument.parse(text)
        except JsonFault as fault:
            self.fault = fault
            where = f"line {fault.line}, column {fault.column}: {fault.fault}"
            self._judge([Problem("error", JSON, where, fault.remedy)], None)
        else:
            self._take_document(document)

    def _take_document(self, document: JsonDocument) -> None:
        self.fault = None
        self.text = document.writable_text()
        self._document = document
        self._typed = {
            name: typed for name, typed in self._typed.items() if typed.written == _written(document, name)
        }
        try:
            setting = DicomSenderSetting.from_json(self.text.replace("\n", self._newline))
        except SettingError as error:
            self._judge(list(error.problems), None)
        else:
            self._judge([], setting)

    def _judge(self, problems: list[Problem], setting: DicomSenderSetting | None) -> None:
        """Set the errors, the notes and the setting, of what is wrong with the JSON and of what waits beside it."""
        found = [] if setting is None else setting.problems()
        self.notes = [problem for problem in found if problem.severity != "error"]
        self._json_problems = problems + [problem for problem in found if problem.severity == "error"]
        errors: dict[str, Problem] = {}
        for problem in self._json_problems:
            errors.setdefault(problem.field, problem)
        errors |= {name: typed.refusal for name, typed in self._typed.items() if typed.refusal is not None}
        names = (JSON, *_ORDER)
        self.errors = {name: errors.pop(name) for name in names if name in errors} | errors
        self.setting = None if self.errors else setting


def normal_lines(text: str) -> str:
    """`text` without byte order mark, its lines ended as a browser ends them: JSON has no line break in its values."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _written(document: JsonDocument, name: str) -> str | None:
    found = document.find(name)
    return None if found is None else document.text[found.value_start : found.value_end]


def _with_value(document: JsonDocument, name: str, encoded: str) -> JsonDocument:
    """The document with one value changed or added, where it belongs in the usual order."""
    before = _ORDER[: _ORDER.index(name)]
    if document.find(name) or any(document.find(other) for other in before):
        return document.with_value(name, encoded, after=before)
    text, written = document.text, f"{encode_value(name)}: {encoded}"
    if not document.properties:
        start = text.index("{") + 1
        return JsonDocument.parse(text[:start] + written + text[start:])
    first = document.properties[0]
    gap = text[first.gap_start : first.name_start] or " "
    return JsonDocument.parse(text[: first.name_start] + written + "," + gap + text[first.name_start :])


def _projected(document: JsonDocument | None, info: FieldInfo) -> str:
    """What the JSON says of a field, as it would be typed."""
    found = None if document is None else document.find(info.json_name)
    value = info.default if document is None or found is None else document.value_of(found)
    if value is None:
        return ""
    if info.kind == "json" and document is not None and found is not None:
        return document.text[found.value_start : found.value_end]
    return value if isinstance(value, str) else encode_value(value, allow_nan=True)


def _showable(text: str) -> str:
    """`text` with lone surrogates replaced, which a message to a browser cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
