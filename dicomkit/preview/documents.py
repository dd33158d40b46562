"""Objects that are no pictures, as something to read: structured reports, encapsulated PDF, waveforms.

The one idea: each becomes plain values, text and numbers, that any front end can lay out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.errors import UnreadableError
from dicomkit.uids import uid_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pydicom import Dataset

__all__ = ["ReportLine", "Waveform", "encapsulated_pdf", "report_lines", "waveforms"]

_DEEPEST = 64  # a report is a few levels deep; a file made to harm us might be thousands
_PDF_START = b"%PDF-"  # ISO 32000-1 7.5.2, anywhere in the first 1024 bytes by its annex H
_PDF_START_WITHIN = 1024


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
    """Return a structured report as lines, in reading order."""
    return list(_lines(dataset, 0))


def _lines(item: Dataset, depth: int) -> Iterator[ReportLine]:
    relation = str(item.get("RelationshipType", "")).lower()
    yield ReportLine(depth, relation, _meaning(item.get("ConceptNameCodeSequence")), _value(item))
    if depth < _DEEPEST:
        for below in item.get("ContentSequence") or []:
            yield from _lines(below, depth + 1)


def _meaning(codes: Any) -> str:
    for code in codes or []:
        for keyword in ("CodeMeaning", "CodeValue", "LongCodeValue", "URNCodeValue"):
            if code.get(keyword):
                return str(code.get(keyword))
    return ""


_TEXT_KEYWORDS = {
    "TEXT": "TextValue",
    "PNAME": "PersonName",
    "UIDREF": "UID",
    "DATE": "Date",
    "TIME": "Time",
    "DATETIME": "DateTime",
}


def _value(item: Dataset) -> str:
    kind = str(item.get("ValueType", ""))
    if kind in _TEXT_KEYWORDS:
        value = item.get(_TEXT_KEYWORDS[kind])
        return "" if value is None else str(value)
    if kind == "CODE":
        return _meaning(item.get("ConceptCodeSequence"))
    if kind == "NUM":
        return "; ".join(_measured(one) for one in item.get("MeasuredValueSequence") or [])
    if kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        return "; ".join(
            f"{uid_name(str(one.get('ReferencedSOPClassUID', '')))} {one.get('ReferencedSOPInstanceUID', '')}"
            for one in item.get("ReferencedSOPSequence") or []
        )
    if kind in ("SCOORD", "SCOORD3D"):
        points = item.get("GraphicData")
        return f"{item.get('GraphicType', '')} of {len(points) if points is not None else 0} numbers"
    if kind == "TCOORD":
        return str(item.get("TemporalRangeType", ""))
    return ""


def _measured(measurement: Dataset) -> str:
    """Return "42 mm": the unit by its code, which is the symbol people write (UCUM)."""
    units = measurement.get("MeasurementUnitsCodeSequence") or []
    unit = str(units[0].get("CodeValue", "")) if units else ""
    number = measurement.get("NumericValue", "")
    return f"{number} {'' if unit == '1' else unit}".strip()


def encapsulated_pdf(dataset: Dataset) -> bytes:
    """Return the PDF in a data set, without the byte that may have been added to make its length even.

    Raises
    ------
    UnreadableError
        It is no PDF.
    """
    document = bytes(dataset.get("EncapsulatedDocument") or b"")
    length = dataset.get("EncapsulatedDocumentLength")
    if isinstance(length, int) and 0 < length < len(document):
        document = document[:length]
    if _PDF_START not in document[:_PDF_START_WITHIN]:
        raise UnreadableError(
            f"the encapsulated document of {len(document)} bytes does not begin as a PDF does"
        )
    return document


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One multiplex group of a waveform object (PS3.3 C.10.9).

    Attributes
    ----------
    name : str
        Its label, may be empty.
    rate_hz : float
        Samples a second.
    channels : tuple of str
        What each channel is.
    units : tuple of str
        Of each channel's samples, may be empty.
    samples : array of float32
        Channels by samples, in those units.
    """

    name: str
    rate_hz: float
    channels: tuple[str, ...]
    units: tuple[str, ...]
    samples: NDArray[np.float32]

    def thinned(self, most: int) -> Waveform:
        """Return it with at most `most` samples a channel: of each stretch the smallest and the largest, so that no
        peak is lost.
        """
        count = self.samples.shape[1]
        if count <= most:
            return self
        stretch = -(-count // (most // 2))
        whole = np.pad(self.samples, ((0, 0), (0, -count % stretch)), mode="edge")
        stretches = whole.reshape(len(whole), -1, stretch)
        ends = np.stack([stretches.min(axis=2), stretches.max(axis=2)], axis=2)
        rate_hz = self.rate_hz * 2 / stretch
        return Waveform(self.name, rate_hz, self.channels, self.units, ends.reshape(len(whole), -1))


def waveforms(dataset: Dataset) -> list[Waveform]:
    """Return the curves of a data set: the multiplex groups whose samples can be decoded.

    Raises
    ------
    UnreadableError
        None of them can.
    """
    found, problem = [], None
    for index in range(len(dataset.get("WaveformSequence") or [])):
        try:
            found.append(_waveform(dataset, index))
        except UnreadableError as error:
            problem = error
    if problem is not None and not found:
        raise problem
    return found


def _waveform(dataset: Dataset, index: int) -> Waveform:
    from pydicom.waveforms.numpy_handler import multiplex_array

    group = dataset.WaveformSequence[index]
    channels = group.get("ChannelDefinitionSequence") or []
    try:
        samples = np.asarray(multiplex_array(dataset, index, as_raw=False), np.float32).T
        rate = float(group.SamplingFrequency)
    except Exception as error:  # noqa: BLE001 (pydicom raises whatever it meets, and may quote a patient)
        raise UnreadableError(
            f"waveform {index + 1} cannot be decoded ({type(error).__name__}); its description is at odds with its data"
        ) from None
    names = [
        str(
            channel.get("ChannelLabel")
            or _meaning(channel.get("ChannelSourceSequence"))
            or f"Channel {number}"
        )
        for number, channel in enumerate(channels, start=1)
    ]
    units = [_unit(channel.get("ChannelSensitivityUnitsSequence")) for channel in channels]
    return Waveform(str(group.get("MultiplexGroupLabel", "")), rate, tuple(names), tuple(units), samples)


def _unit(codes: Any) -> str:
    return str(codes[0].get("CodeValue", "")) if codes else ""
