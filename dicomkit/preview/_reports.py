"""A structured report as lines to read: what each content item is called, and what it says (PS3.3 C.17.3).

The one idea: an item says what a person has to know of it, with meanings for codes, and coordinates, frames and
references in full; nothing of the tree is left out, however deep it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dicomkit.dictionary.uids import uid_name
from dicomkit.tags import shortest_float, terms_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydicom import Dataset

__all__ = ["ReportLine", "read_report", "report_lines"]

_MOST_POINTS = 16  # of one graphic are listed; a contour has thousands
_NOTHING = "the report has no content items"
_CODE_KEYWORDS = ("CodeMeaning", "CodeValue", "LongCodeValue", "URNCodeValue")
_TEXT_KEYWORDS = {
    "TEXT": "TextValue",
    "PNAME": "PersonName",
    "UIDREF": "UID",
    "DATE": "Date",
    "TIME": "Time",
    "DATETIME": "DateTime",
}


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One content item of a structured report (PS3.3 C.17.3).

    Attributes
    ----------
    depth : int
        How deep in the tree, the title being 0.
    relation : str
        How it relates to the item above ("contains", "has concept mod", ...), empty for the title.
    name : str
        The meaning of its Concept Name, may be empty.
    value : str
        What it says, with its unit; empty for a container.
    """

    depth: int
    relation: str
    name: str
    value: str

    def __str__(self) -> str:
        return "  " * self.depth + ": ".join(part for part in (self.name, self.value) if part)


def report_lines(dataset: Dataset) -> list[ReportLine]:
    """Return a structured report as lines, in reading order; one without content says so."""
    return read_report(dataset)[0]


def read_report(dataset: Dataset) -> tuple[list[ReportLine], tuple[str, ...]]:
    """Return a structured report as lines, in reading order, and what is odd about its text."""
    lines: list[ReportLine] = []
    problems: dict[str, None] = {}
    waiting = [_Item(dataset, 0, (), problems)]
    while waiting:
        item = waiting.pop()
        lines.append(
            ReportLine(
                item.depth,
                item.text("RelationshipType").lower(),
                item.meaning("ConceptNameCodeSequence"),
                _value(item),
            )
        )
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

    def items(self, keyword: str) -> list[_Item]:
        found = self.dataset.get(keyword)
        if not found or isinstance(found, str | bytes):
            return []
        return [_Item(one, self.depth + 1, self.terms, self.problems) for one in found]

    def meaning(self, keyword: str) -> str:
        """Return the meaning of the first code of a sequence, its value where it has none."""
        for code in self.items(keyword):
            for one in _CODE_KEYWORDS:
                if code.text(one):
                    return code.text(one)
        return ""

    def numbers(self, keyword: str) -> list[Any]:
        value = self.dataset.get(keyword)
        if value is None or value == "":
            return []
        return [value] if isinstance(value, str | int | float) else list(value)


def _value(item: _Item) -> str:
    kind = item.text("ValueType")
    if kind in _TEXT_KEYWORDS:
        return _written_out(kind, item.text(_TEXT_KEYWORDS[kind]))
    if kind == "CODE":
        return item.meaning("ConceptCodeSequence")
    if kind == "NUM":
        return _measured(item)
    if kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        return "; ".join(_reference(one) for one in item.items("ReferencedSOPSequence"))
    if kind in ("SCOORD", "SCOORD3D"):
        return _graphic(item, 3 if kind == "SCOORD3D" else 2)
    if kind == "TCOORD":
        return _times(item)
    referred = item.numbers("ReferencedContentItemIdentifier")  # by-reference relationship, PS3.3 C.17.3.2.5
    return f"item {'.'.join(str(one) for one in referred)}" if referred else ""


def _written_out(kind: str, text: str) -> str:
    if kind == "UIDREF":
        name = uid_name(text)
        return text if name == text else f"{name} ({text})"
    if kind == "DATE":
        return _date(text)
    if kind == "TIME":
        return _time(text)
    return _date_and_time(text) if kind == "DATETIME" else text


def _date(text: str) -> str:
    """Return ``2025-03-14``; what is no date of PS3.5 6.2 as it is."""
    if not text.isdigit() or len(text) not in (4, 6, 8):
        return text
    return "-".join(part for part in (text[:4], text[4:6], text[6:8]) if part)


def _time(text: str) -> str:
    whole, point, fraction = text.partition(".")
    if not whole.isdigit() or len(whole) not in (2, 4, 6):
        return text
    return ":".join(part for part in (whole[:2], whole[2:4], whole[4:6]) if part) + point + fraction


def _date_and_time(text: str) -> str:
    place = max(text.find("+"), text.find("-"))
    moment, zone = (text[:place], text[place:]) if place >= 0 else (text, "")
    if len(zone) == 5:
        zone = f"{zone[:3]}:{zone[3:]}"
    parts = (_date(moment[:8]), _time(moment[8:]) if len(moment) > 8 else "", zone)
    return " ".join(part for part in parts if part)


def _measured(item: _Item) -> str:
    """Return "42 mm (millimeter)" and what qualifies it; a qualifier may stand in place of the number (C.18.1)."""
    numbers = "; ".join(filter(None, (_with_unit(one) for one in item.items("MeasuredValueSequence"))))
    qualifier = item.meaning("NumericValueQualifierCodeSequence")
    if numbers and qualifier:
        return f"{numbers} [{qualifier}]"
    return numbers or qualifier or "no value"


def _with_unit(measurement: _Item) -> str:
    """Return a number and its unit, which is none where UCUM says 1.

    The unit is its code where that is the symbol people write (UCUM), and its meaning where that says more.
    """
    number = measurement.text("NumericValue")
    for code in measurement.items("MeasurementUnitsCodeSequence")[:1]:
        symbol = next((code.text(one) for one in _CODE_KEYWORDS[1:] if code.text(one)), "")
        meaning = code.text("CodeMeaning")
        is_symbol = code.text("CodingSchemeDesignator") in ("UCUM", "") and not symbol.startswith("{")
        if symbol == "1" and is_symbol:
            return number
        if not is_symbol or not symbol:
            return f"{number} {meaning or symbol}".strip()
        return f"{number} {symbol}" + (f" ({meaning})" if meaning not in ("", symbol) else "")
    return number


def _reference(item: _Item) -> str:
    """Return the kind and UID of what is referred to, and which parts of it are meant (PS3.3 C.18.3 to C.18.5)."""
    said = [f"{uid_name(item.text('ReferencedSOPClassUID'))} {item.text('ReferencedSOPInstanceUID')}".strip()]
    frames, segments = item.numbers("ReferencedFrameNumber"), item.numbers("ReferencedSegmentNumber")
    channels = item.numbers("ReferencedWaveformChannels")
    if frames:
        said.append(_counted("frame", frames))
    if segments:
        said.append(_counted("segment", segments))
    if channels:  # pairs of multiplex group and channel
        pairs = zip(channels[::2], channels[1::2], strict=False)
        said.append(_counted("channel", [f"{group}/{channel}" for group, channel in pairs]))
    said.extend(f"shown by {_reference(one)}" for one in item.items("ReferencedSOPSequence"))
    return ", ".join(said)


def _counted(noun: str, numbers: Sequence[object]) -> str:
    return f"{noun}{'s' if len(numbers) > 1 else ''} {', '.join(str(one) for one in numbers)}"


def _graphic(item: _Item, dimensions: int) -> str:
    numbers = [_number(one) for one in item.numbers("GraphicData")]
    points = [numbers[at : at + dimensions] for at in range(0, len(numbers), dimensions)]
    said = [item.text("GraphicType"), *(f"({', '.join(point)})" for point in points[:_MOST_POINTS])]
    if len(points) > _MOST_POINTS:
        said.append(f"\u2026 ({len(points)} points)")
    frame = item.text("ReferencedFrameOfReferenceUID")
    return " ".join(filter(None, said)) + (f", frame of reference {frame}" if frame else "")


def _number(value: object) -> str:
    if isinstance(value, float):
        return shortest_float(value).removesuffix(".0")
    return str(value)


def _times(item: _Item) -> str:
    """Return a temporal range and its times: sample positions, seconds, or dates and times (PS3.3 C.18.7)."""
    samples = item.numbers("ReferencedSamplePositions")
    offsets = item.numbers("ReferencedTimeOffsets")
    moments = [_date_and_time(str(one)) for one in item.text("ReferencedDateTime").split("\\") if one]
    said: Iterable[str] = (
        _listed("samples" if len(samples) > 1 else "sample", samples),
        _listed("", offsets) + " s" if offsets else "",
        _listed("", moments),
    )
    return " ".join(filter(None, (item.text("TemporalRangeType"), *said)))


def _listed(noun: str, values: Sequence[object]) -> str:
    if not values:
        return ""
    shown = ", ".join(str(one) for one in values[:_MOST_POINTS])
    more = f", \u2026 ({len(values)} of them)" if len(values) > _MOST_POINTS else ""
    return f"{noun} {shown}{more}".strip()
