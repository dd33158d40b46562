"""The two sides of a settings form, the typed fields and the JSON text, kept in step.

The JSON text is the truth. What is typed in a field and taken by the settings model replaces that one value in it; what
is refused waits beside it, with its problem, until it is corrected on either side.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from unicodedata import combining, east_asian_width

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
    position,
)

JSON = "JSON"
"""The key in `Sides.errors` of a fault that is the whole text's, as in `SettingError.problems`."""

_ORDER = tuple(info.json_name for info in FIELDS)
_MOST_POINTERS = 100  # who corrects these sees the next
_SHOWN_WIDTH = 64  # characters of a long line that are shown around a fault
_BEFORE = 40


@dataclass(frozen=True, slots=True)
class _Typed:
    """What was typed in a field, and why the settings model does not take it."""

    text: str
    refusal: Problem | None
    written: str | None  # the field's JSON since then; another one means that the JSON was changed and counts


class Sides:
    """The state behind a form, from a JSON text with or without faults; not thread-safe."""

    text: str
    """The JSON side, lines ended by ``\\n``."""
    fault: JsonFault | None
    """Where `text` is no JSON object; the fields then show the last one that it was, and take nothing."""
    errors: dict[str, Problem]
    """What is invalid, by JSON name in the order of the fields; `JSON` stands for the text as a whole."""
    setting: DicomSenderSetting | None
    """The setting that both sides show, when nothing is invalid."""

    def __init__(self, text: str) -> None:
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._typed: dict[str, _Typed] = {}
        self._document: JsonDocument | None = None
        self.type_json(text)

    @classmethod
    def of(cls, setting: DicomSenderSetting) -> Sides:
        """Both sides showing `setting`."""
        sides = cls(setting.to_json())
        if sides.setting is not None:
            sides.setting = setting  # the very object, not an equal one
        return sides

    def type_json(self, text: str) -> None:
        """Take what the JSON side says now; fields whose JSON is as before keep what was typed in them."""
        self.text = normal_lines(text)
        try:
            document = JsonDocument.parse(self.text)
        except JsonFault as fault:
            self.fault = fault
            where = f"line {fault.line}, column {fault.column}: {fault.fault}"
            self._judge([Problem("error", JSON, where, fault.remedy)], None)
        else:
            self._take_document(document)

    def type_fields(self, texts: dict[str, str]) -> None:
        """Take what was typed, by JSON name; may raise KeyError, and SettingError when the JSON side is no
        JSON.
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
            self._typed[name] = _Typed(text, refusal, _written(document, name))
        self._take_document(document)

    # What is seen

    def field_text(self, name: str) -> str:
        """What a field's control holds: what was typed in it, or else what the JSON says, or else the default."""
        info = FIELD_OF[name]
        typed = self._typed.get(name)
        return typed.text if typed is not None else _showable(_projected(self._document, info))

    def state(self) -> dict[str, Any]:
        """What the browser is sent: both sides, with what is wrong or worth knowing, each where it belongs."""
        pointers = [point_at(self.text, one, self.fault) for one in self._json_problems[:_MOST_POINTERS]]
        return {
            "json": self.text,
            "is_json": self.fault is None,
            "fields": {name: self._field_state(name) for name in FIELD_OF},
            "others": [asdict(one) for one in self._notes if one.field not in FIELD_OF],
            "pointers": [asdict(one) for one in pointers],
            "behind": [name for name in FIELD_OF if name in self._typed and self._typed[name].refusal],
            "refusal": self._why_waiting(),
        }

    def _field_state(self, name: str) -> dict[str, Any]:
        error = self.errors.get(name)
        notes = [error] if error is not None else [one for one in self._notes if one.field == name]
        return {
            "text": self.field_text(name),
            "is_written": self._document is not None and self._document.find(name) is not None,
            "notes": [asdict(one) for one in notes],
        }

    def _why_waiting(self) -> str:
        """Why Echo, Send and Save wait, without an end; empty when they do not."""
        if not self.errors:
            return ""
        first = next(iter(self.errors.values()))
        where = "the JSON cannot be read" if first.field == JSON else first.field
        more = f", and {len(self.errors) - 1} more" if len(self.errors) > 1 else ""
        return f"{where}: {first.message}{more}"

    # How it comes about

    def _is_new(self, name: str, text: str) -> bool:
        is_faulty_in_json = name in self.errors and name not in self._typed  # "104" for 104, say
        return is_faulty_in_json or self.field_text(name) != text

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
        self._notes = [problem for problem in found if problem.severity != "error"]
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
    if document is None or found is None:
        value = info.default
    elif info.kind == "json":
        literal = _written(document, info.json_name) or ""
        return "" if literal == "null" else literal
    else:
        value = document.value_of(found)
    if value is None:
        return ""
    return value if isinstance(value, str) else encode_value(value, allow_nan=True)


def _showable(text: str) -> str:
    """`text` with lone surrogates replaced, which a message to a browser cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# Where a fault is


@dataclass(frozen=True, slots=True)
class Pointer:
    """A fault and its place in a JSON text: line, column, and a caret under the very place."""

    line: int  # from 1, as is the column, in characters
    column: int
    start: int  # what to mark, in UTF-16 code units, which is how a browser counts
    end: int
    excerpt: str  # the line, shortened where it is long
    caret: str  # a line to set under it
    message: str
    remedy: str


def point_at(text: str, problem: Problem, fault: JsonFault | None) -> Pointer:
    """Where `problem` is in `text`, which is not JSON when there is a `fault`; the beginning where it is nowhere."""
    if fault is not None:
        start = _offset(text, fault.line, fault.column)
        return _pointer(text, start, start + 1, fault.fault, fault.remedy)
    start, end = _place(text, problem.field)
    return _pointer(text, start, end, f"{problem.field}: {problem.message}", problem.remedy)


def _place(text: str, field: str) -> tuple[int, int]:
    """From where to where the value of a field is written; of one that is written twice, its second name."""
    document = JsonDocument.parse(text)
    for _, again in document.duplicates():
        if again.name == field:
            return again.name_start, again.name_end
    found = document.find(field)
    if found is None:
        brace = text.index("{")
        return brace, brace + 1
    return found.value_start, found.value_end


def _pointer(text: str, start: int, end: int, message: str, remedy: str) -> Pointer:
    line, column = position(text, start)
    whole = text.split("\n")[line - 1]
    cut = max(0, min(column - 1 - _BEFORE, len(whole) - _SHOWN_WIDTH)) if len(whole) > _SHOWN_WIDTH else 0
    excerpt = whole[cut : cut + _SHOWN_WIDTH]
    lead, tail = "…" if cut else "", "…" if cut + _SHOWN_WIDTH < len(whole) else ""
    before = lead + excerpt[: column - 1 - cut]
    width = max(1, min(end - start, len(excerpt) - (column - 1 - cut)))
    caret = "".join(map(_blank, before)) + "^" * width
    marked = _units(text, start), _units(text, min(end, len(text)))
    return Pointer(line, column, *marked, lead + excerpt + tail, caret, message, remedy)


def _offset(text: str, line: int, column: int) -> int:
    return sum(len(one) + 1 for one in text.split("\n")[: line - 1]) + column - 1


def _units(text: str, offset: int) -> int:
    return offset + sum(character > "\uffff" for character in text[:offset])


def _blank(character: str) -> str:
    """Nothing to see, of the width of `character` in a font of fixed width."""
    if character == "\t":
        return "\t"
    if combining(character):
        return ""
    return "\u3000" if east_asian_width(character) in "WF" else " "
