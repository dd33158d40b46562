"""A JSON object that is kept as the text it was written in.

Values are read from the text, and a change replaces the characters of one value and no others, so that everything JSON
can say (1.0, 1e400, lone surrogates, key order, layout) survives a round trip.
"""

from __future__ import annotations

import json
import re

from dicomkit._support.frozen import Frozen
from dicomkit.errors import Picklable

_WHITESPACE = " \t\n\r"  # RFC 8259 section 2: no other space counts
# Python itself gives up somewhere below 1000, depending on who calls; .NET's readers take 64.
_MAX_DEPTH = 200
_MAX_INTEGER_DIGITS = 4300  # beyond it Python itself refuses to make an int of a text


class JsonFault(Picklable, ValueError):
    """A text that is not the JSON it should be: at which line and column, from 1, what is the matter, what to do."""

    def __init__(self, line: int, column: int, fault: str, remedy: str) -> None:
        self.line = line
        self.column = column
        self.fault = fault
        self.remedy = remedy
        super().__init__(f"line {line}, column {column}: {fault}; {remedy}")


class _NotJson(ValueError):
    """NaN, Infinity or -Infinity: Python reads them, JSON does not have them."""


def _refuse_constant(name: str) -> object:
    raise _NotJson(name)


def _integer(literal: str) -> int | float:
    return int(literal) if len(literal) <= _MAX_INTEGER_DIGITS else float(literal)


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_refuse_constant)


class Property(Frozen):
    """One property of the object: its name, and offsets of its parts in the text."""

    name: str
    gap_start: int  # of the space before the name
    name_start: int
    name_end: int
    value_start: int
    value_end: int


class JsonDocument(Frozen):
    """A JSON object: its text, and its own properties in the order in which they are written."""

    text: str
    properties: tuple[Property, ...]

    @classmethod
    def parse(cls, text: str) -> JsonDocument:
        """Read `text`, one JSON object (RFC 8259), or raise JsonFault; a byte order mark at its start is left out."""
        text = text.removeprefix("\ufeff")
        return cls(text, tuple(_scan(text)))

    def find(self, name: str) -> Property | None:
        """The property called `name`, or None."""
        return next((found for found in self.properties if found.name == name), None)

    def value_of(self, found: Property) -> object:
        """The value of a property of this document, read afresh: changing it changes nothing here."""
        return _DECODER.raw_decode(self.text, found.value_start)[0]

    def duplicates(self) -> list[tuple[Property, Property]]:
        """Every property whose name came before, with the one before it."""
        first: dict[str, Property] = {}
        pairs = []
        for found in self.properties:
            if found.name in first:
                pairs.append((first[found.name], found))
            first.setdefault(found.name, found)
        return pairs

    def with_value(self, name: str, encoded: str, *, after: tuple[str, ...] = ()) -> JsonDocument:
        """The document in which `name` has the value `encoded` (JSON text), all else being as it is.

        A property that was absent follows the last of `after` that is present, laid out as that one is.
        """
        found = self.find(name)
        if found is not None:
            return self._splice(found.value_start, found.value_end, encoded)
        neighbour = next(found for found in map(self.find, reversed(after)) if found is not None)
        gap = self.text[neighbour.gap_start : neighbour.name_start]
        colon = self.text[neighbour.name_end : neighbour.value_start]
        end = neighbour.value_end
        return self._splice(end, end, f",{gap}{encode_value(name)}{colon}{encoded}")

    def _splice(self, start: int, end: int, replacement: str) -> JsonDocument:
        return JsonDocument.parse(self.text[:start] + replacement + self.text[end:])

    def writable_text(self) -> str:
        """The text with lone surrogates escaped, which no encoding could write (JSON strings alone can hold them)."""
        return escape_surrogates(self.text)

    def canonical(self) -> str:
        """A text that is the same for documents of the same JSON value; numbers count as they are written."""
        value = json.loads(self.text, parse_int=_tagged, parse_float=_tagged)
        return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _tagged(literal: str) -> str:
    return f"\0{literal}"  # keeps the number 1 apart from the text "1"


def decode_json(data: bytes) -> str:
    """The text of `data`: UTF-8, or UTF-16 or UTF-32 by byte order mark or zero bytes. May raise JsonFault."""
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        line, column = position(before, len(before))
        fault = f"the byte 0x{data[error.start]:02X} is not {encoding.upper()} text"
        raise JsonFault(line, column, fault, "save the file as UTF-8") from error


def encode_value(value: object, *, allow_nan: bool = False) -> str:
    """`value` as readable JSON on one line; TypeError or ValueError where JSON has no such value."""
    return escape_surrogates(json.dumps(value, ensure_ascii=False, allow_nan=allow_nan, default=_plain))


def escape_surrogates(text: str) -> str:
    """A text with its lone surrogates as JSON escapes, which every encoding can write."""
    if text.isascii():
        return text
    return "".join(f"\\u{ord(one):04x}" if "\ud800" <= one <= "\udfff" else one for one in text)


def _plain(value: object) -> object:
    """What json cannot write by itself but has one plain meaning: NumPy integers, UUIDs."""
    from uuid import UUID

    if isinstance(value, UUID):
        return str(value)
    if hasattr(value, "__index__"):
        return int(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def read_value(text: str) -> object:
    """The value of a text that is one JSON value; JsonFault when it is not."""
    start = _skip(text, 0)
    value, end = _decode(text, start)
    end = _skip(text, end)
    if end != len(text):
        raise _fault(text, end, "more follows after the value", "remove it")
    return value


class Places:
    """Lines and columns of offsets into a text, for many of them: the text is gone through once."""

    def __init__(self, text: str) -> None:
        self._breaks = [-1, *(found.start() for found in re.finditer("\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, as `position` has them."""
        from bisect import bisect_left

        line = bisect_left(self._breaks, offset)
        return line, offset - self._breaks[line - 1]


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset into `text`, both counted from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _fault(text: str, offset: int, fault: str, remedy: str) -> JsonFault:
    return JsonFault(*position(text, offset), fault, remedy)


def _skip(text: str, offset: int) -> int:
    while offset < len(text) and text[offset] in _WHITESPACE:
        offset += 1
    return offset


def _is_deep(value: object) -> bool:
    """Whether a value is nested more deeply than we take; level by level, so that no depth is too much for this."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        within = (
            one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)
        )
        level = [value for values in within for value in values]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)


def _decode(text: str, offset: int) -> tuple[object, int]:
    try:
        value, end = _DECODER.raw_decode(text, offset)
        if _is_deep(value):
            raise RecursionError
        return value, end
    except json.JSONDecodeError as error:
        raise _fault(text, error.pos, *_in_our_words(text, error)) from error
    except _NotJson as error:
        raise _fault(text, offset, f"JSON has no {error}", "write a number, null or a text") from error
    except RecursionError as error:
        deep = "the value is nested too deeply"
        raise _fault(text, offset, deep, "check that this is the right file") from error


def _in_our_words(text: str, error: json.JSONDecodeError) -> tuple[str, str]:
    rest = text[error.pos : error.pos + 20]
    for wrong, right in (("True", "true"), ("False", "false"), ("None", "null")):
        if rest.startswith(wrong):
            return f"JSON has no {wrong}", f"write {right}"
    if not rest:
        return "the text ends too early", "check that the file was written whole"
    if rest.startswith("'"):
        return "a text in single quotes", 'write it in double quotes: "..."'
    if rest.startswith("/"):
        return "a comment, which JSON does not have", "remove it"
    if error.msg.startswith("Unterminated string"):
        return "a text without its closing quote", 'add the closing "'
    if error.msg.startswith("Invalid control character"):
        return "a line break or control character inside a text", r"close the text, or write \n, \t or \u00XX"
    if error.msg.startswith("Invalid \\"):
        return "a backslash that begins no JSON escape", r"write \\ for a backslash"
    return error.msg[:1].lower() + error.msg[1:], "correct the JSON here"


def _scan(text: str) -> list[Property]:
    """The properties of the object that is all of `text`, in order; a fault where it is anything else."""
    offset = _skip(text, 0)
    if offset == len(text):
        raise _fault(text, 0, "the text is empty", "give one JSON object: { ... }")
    if text[offset] != "{":
        raise _fault(text, offset, "this is not a JSON object", "give one JSON object: { ... }")
    properties: list[Property] = []
    gap_start = offset + 1
    offset = _skip(text, gap_start)
    closed = text.startswith("}", offset)
    while not closed:
        found, offset = _scan_property(text, gap_start, after_comma=bool(properties))
        properties.append(found)
        if text.startswith(",", offset):
            gap_start = offset + 1
        elif text.startswith("}", offset):
            closed = True
        elif offset == len(text):
            raise _fault(text, offset, "the object is not closed", "add } and check that the file is whole")
        else:
            raise _fault(text, offset, f"a comma or }} is missing after {found.name!r}", "add it")
    end = _skip(text, offset + 1)
    if end != len(text):
        raise _fault(text, end, "more follows after the object", "remove it, or give one object only")
    return properties


def _scan_property(text: str, gap_start: int, *, after_comma: bool) -> tuple[Property, int]:
    name_start = _skip(text, gap_start)
    if after_comma and text.startswith("}", name_start):
        raise _fault(text, gap_start - 1, "a comma before the closing }", "remove the comma")
    if not text.startswith('"', name_start):
        raise _fault(text, name_start, "a property name in double quotes is missing", 'write "Name": value')
    name, name_end = _decode(text, name_start)
    colon = _skip(text, name_end)
    if not text.startswith(":", colon):
        raise _fault(text, colon, f"the colon after {name!r} is missing", "write a : between name and value")
    value_start = _skip(text, colon + 1)
    _, value_end = _decode(text, value_start)
    found = Property(str(name), gap_start, name_start, name_end, value_start, value_end)
    return found, _skip(text, value_end)
