"""A structured report as lines to read: what each content item is called, and what it says (PS3.3 C.17.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dicomkit.dictionary.uids import uid_name
from dicomkit.tags import shortest_float, terms_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydicom import Dataset

_MOST_POINTS = 16  # of one graphic are listed; a contour has thousands
_NOTHING = "the report has no content items"
_CODE_KEYWORDS = ("CodeMeaning", "CodeValue", "LongCodeValue", "URNCodeValue")


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One content item of a structured report (PS3.3 C.17.3): what its Concept Name means, and what it says.

    The title has depth 0, and no relation to an item above ("contains", ...); a container has no value.
    """

    depth: int
    relation: str
    name: str
    value: str

    def __str__(self) -> str:
        return "  " * self.depth + ": ".join(part for part in (self.name, self.value) if part)


def read_report(dataset: Dataset) -> tuple[list[ReportLine], tuple[str, ...]]:
    """Return a structured report as lines, in reading order, and what is odd about its text.

    Returns
    -------
    tuple of list of ReportLine, and tuple of str
    """
    lines: list[ReportLine] = []
    problems: dict[str, None] = {}
    waiting = [_Item(dataset, 0, (), problems)]
    while waiting:
        item = waiting.pop()
        relation, name = item.text("RelationshipType").lower(), item.meaning("ConceptNameCodeSequence")
        lines.append(ReportLine(item.depth, relation, name, _value(item)))
        waiting.extend(reversed(item.items("ContentSequence")))
    if len(lines) == 1 and not lines[0].value:
        lines.append(ReportLine(1, "", "", _NOTHING))
    return lines, tuple(f"its text {problem}" for problem in problems)


@dataclass(frozen=True, slots=True)
class _Item:
    """A content item, or another item in one, with the character set that is in force in it."""

    dataset: Dataset
    depth: int
    inherited: tuple[str, ...]
    problems: dict[str, None]
    terms: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", terms_of(self.dataset) or self.inherited)

    def text(self, keyword: str) -> str:
        from pydicom.tag import Tag

        tag = Tag(keyword)
        said = text_of(self.dataset, tag, self.terms) if tag in self.dataset else None
        if said is None:
            return str(self.dataset.get(keyword) or "")
        if said[1]:
            self.problems[said[1]] = None
        return "\\".join(said[0])

    def first_text(self, *keywords: str) -> str:
        return next(filter(None, map(self.text, keywords)), "")

    def items(self, keyword: str) -> list[_Item]:
        found = self.dataset.get(keyword)
        if not found or isinstance(found, str | bytes):
            return []
        return [_Item(one, self.depth + 1, self.terms, self.problems) for one in found]

    def meaning(self, keyword: str) -> str:
        """Return the meaning of the first code of a sequence, its value where it has none."""
        return next(filter(None, (code.first_text(*_CODE_KEYWORDS) for code in self.items(keyword))), "")

    def values(self, keyword: str) -> list[Any]:
        value = self.dataset.get(keyword)
        if value is None or value == "":
            return []
        return [value] if isinstance(value, str | int | float) else list(value)


def _value(item: _Item) -> str:
    kind = item.text("ValueType")
    if kind in _VALUES:
        return _VALUES[kind](item)
    referred = item.values("ReferencedContentItemIdentifier")  # by-reference relationship, PS3.3 C.17.3.2.5
    return f"item {'.'.join(map(str, referred))}" if referred else ""


def _uid(text: str) -> str:
    name = uid_name(text)
    return text if name == text else f"{name} ({text})"


def _date(text: str) -> str:
    """Return ``2025-03-14``; what is no date of PS3.5 6.2 as it is."""
    if not text.isdigit() or len(text) not in (4, 6, 8):
        return text
    return "-".join(filter(None, (text[:4], text[4:6], text[6:8])))


def _time(text: str) -> str:
    whole, point, fraction = text.partition(".")
    if not whole.isdigit() or len(whole) not in (2, 4, 6):
        return text
    return ":".join(filter(None, (whole[:2], whole[2:4], whole[4:6]))) + point + fraction


def _date_and_time(text: str) -> str:
    place = max(text.find("+"), text.find("-"))
    moment, zone = (text[:place], text[place:]) if place >= 0 else (text, "")
    if len(zone) == 5:
        zone = f"{zone[:3]}:{zone[3:]}"
    return _joined(_date(moment[:8]), _time(moment[8:]) if len(moment) > 8 else "", zone)


def _measured(item: _Item) -> str:
    """Return "42 mm (millimeter)" and what qualifies it; a qualifier may stand in place of the number (C.18.1)."""
    numbers = "; ".join(filter(None, map(_with_unit, item.items("MeasuredValueSequence"))))
    qualifier = item.meaning("NumericValueQualifierCodeSequence")
    if numbers and qualifier:
        return f"{numbers} [{qualifier}]"
    return numbers or qualifier or "no value"


def _with_unit(measurement: _Item) -> str:
    """Return a number and its unit (none where UCUM says 1): its symbol, or its meaning where that says more."""
    number = measurement.text("NumericValue")
    for code in measurement.items("MeasurementUnitsCodeSequence")[:1]:
        symbol, meaning = code.first_text(*_CODE_KEYWORDS[1:]), code.text("CodeMeaning")
        is_symbol = code.text("CodingSchemeDesignator") in ("UCUM", "") and not symbol.startswith("{")
        if symbol == "1" and is_symbol:
            return number
        if not is_symbol or not symbol:
            return f"{number} {meaning or symbol}".strip()
        return f"{number} {symbol}" + (f" ({meaning})" if meaning not in ("", symbol) else "")
    return number


def _references(item: _Item) -> str:
    return "; ".join(map(_reference, item.items("ReferencedSOPSequence")))


def _reference(item: _Item) -> str:
    """Return the kind and UID of what is referred to, and which parts of it are meant (PS3.3 C.18.3 to C.18.5)."""
    said = [f"{uid_name(item.text('ReferencedSOPClassUID'))} {item.text('ReferencedSOPInstanceUID')}".strip()]
    channels = item.values("ReferencedWaveformChannels")  # pairs of multiplex group and channel
    for noun, meant in (
        ("frame", item.values("ReferencedFrameNumber")),
        ("segment", item.values("ReferencedSegmentNumber")),
        ("channel", [f"{one}/{two}" for one, two in zip(channels[::2], channels[1::2], strict=False)]),
    ):
        if meant:
            said.append(f"{noun}{'s' if len(meant) > 1 else ''} {', '.join(map(str, meant))}")
    said.extend(f"shown by {_reference(one)}" for one in item.items("ReferencedSOPSequence"))
    return ", ".join(said)


def _graphic(item: _Item, dimensions: int) -> str:
    numbers = [_number(one) for one in item.values("GraphicData")]
    points = [numbers[at : at + dimensions] for at in range(0, len(numbers), dimensions)]
    shown = [f"({', '.join(point)})" for point in points[:_MOST_POINTS]]
    more = f"\u2026 ({len(points)} points)" if len(points) > _MOST_POINTS else ""
    frame = item.text("ReferencedFrameOfReferenceUID")
    said = _joined(item.text("GraphicType"), *shown, more)
    return f"{said}, frame of reference {frame}" if frame else said


def _number(value: object) -> str:
    return shortest_float(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _times(item: _Item) -> str:
    """Return a temporal range and its times: sample positions, seconds, or dates and times (PS3.3 C.18.7)."""
    samples, offsets = item.values("ReferencedSamplePositions"), item.values("ReferencedTimeOffsets")
    moments = [_date_and_time(one) for one in item.text("ReferencedDateTime").split("\\") if one]
    return _joined(
        item.text("TemporalRangeType"),
        _joined("samples" if len(samples) > 1 else "sample", _listed(samples)) if samples else "",
        f"{_listed(offsets)} s" if offsets else "",
        _listed(moments),
    )


def _listed(values: Sequence[object]) -> str:
    shown = ", ".join(map(str, values[:_MOST_POINTS]))
    return f"{shown}, \u2026 ({len(values)} of them)" if len(values) > _MOST_POINTS else shown


def _joined(*parts: str) -> str:
    return " ".join(filter(None, parts))


# What an item says, by its Value Type (PS3.3 table C.17.3-7).
_VALUES: dict[str, Callable[[_Item], str]] = {
    "TEXT": lambda item: item.text("TextValue"),
    "PNAME": lambda item: item.text("PersonName"),
    "UIDREF": lambda item: _uid(item.text("UID")),
    "DATE": lambda item: _date(item.text("Date")),
    "TIME": lambda item: _time(item.text("Time")),
    "DATETIME": lambda item: _date_and_time(item.text("DateTime")),
    "CODE": lambda item: item.meaning("ConceptCodeSequence"),
    "NUM": _measured,
    "IMAGE": _references,
    "COMPOSITE": _references,
    "WAVEFORM": _references,
    "SCOORD": lambda item: _graphic(item, 2),
    "SCOORD3D": lambda item: _graphic(item, 3),
    "TCOORD": _times,
}
