"""Where in a JSON text a fault is: line, column, and a caret under the very place.

The one idea: a fault of grammar knows its place, and one of meaning is where the value of its field is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from unicodedata import combining, east_asian_width

from dicomkit.errors import Problem
from dicomkit.settings import JsonDocument, JsonFault, locate, position

__all__ = ["Pointer", "point_at"]

_SHOWN_WIDTH = 64  # characters of a long line that are shown around the fault
_BEFORE = 40


@dataclass(frozen=True, slots=True)
class Pointer:
    """A fault and its place.

    Attributes
    ----------
    line, column : int
        Counted from 1, in characters.
    start, end : int
        What to mark, as offsets in UTF-16 code units, which is how a browser counts.
    excerpt, caret : str
        The line, shortened where it is long, and a line to set under it.
    message, remedy : str
    """

    line: int
    column: int
    start: int
    end: int
    excerpt: str
    caret: str
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
    place, found = locate(text, field), document.find(field)
    if place is None or found is None:
        brace = text.index("{")
        return brace, brace + 1
    start = _offset(text, *place)
    return start, start + found.value_end - found.value_start


def _pointer(text: str, start: int, end: int, message: str, remedy: str) -> Pointer:
    line, column = position(text, start)
    whole = text.split("\n")[line - 1]
    cut = max(0, min(column - 1 - _BEFORE, len(whole) - _SHOWN_WIDTH)) if len(whole) > _SHOWN_WIDTH else 0
    excerpt = whole[cut : cut + _SHOWN_WIDTH]
    lead, tail = "…" if cut else "", "…" if cut + _SHOWN_WIDTH < len(whole) else ""
    before = lead + excerpt[: column - 1 - cut]
    width = max(1, min(end - start, len(excerpt) - (column - 1 - cut)))
    return Pointer(
        line,
        column,
        _units(text, start),
        _units(text, min(end, len(text))),
        lead + excerpt + tail,
        "".join(map(_blank, before)) + "^" * width,
        message,
        remedy,
    )


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.index("\n", start) + 1
    return start + column - 1


def _units(text: str, offset: int) -> int:
    return offset + sum(character > "\uffff" for character in text[:offset])


def _blank(character: str) -> str:
    """Nothing to see, of the width of `character` in a font of fixed width."""
    if character == "\t":
        return "\t"
    if combining(character):
        return ""
    return "\u3000" if east_asian_width(character) in "WF" else " "
