"""What the kernel answers when the browser asks for a frame: a message, and binary buffers beside it.

All that a picture needs travels in one custom message, and never as a synced trait; so no pixel and no name gets into a
saved notebook.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.errors import DicomkitError, UnreadableError
from dicomkit.preview import (
    Colour,
    Grey,
    Kind,
    LookupTable,
    Overlay,
    ReportLine,
    Waveform,
    Window,
    encapsulated_pdf,
    kind_of,
    labels_of,
    picture_of,
    read_report,
    read_waveforms,
    why_no_picture,
)
from dicomkit.sources.dataset_reader import syntax_of, why_unread

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

Buffers = list[memoryview]

_DEEPEST_LIST = 100  # lists within lists; a browser lays them out by recursion
_MOST_SAMPLES = 16384  # a channel of a waveform; a screen has a few thousand columns


@dataclass(frozen=True, slots=True)
class Report:
    """A structured report, line by line."""

    lines: tuple[ReportLine, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pdf:
    """A PDF document."""

    document: bytes
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Curves:
    """The waveforms of an object."""

    groups: tuple[Waveform, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence in place of a picture; an error where there should have been one."""

    text: str
    is_error: bool


Shown = Grey | Colour | Report | Pdf | Curves | Notice


def shown_of(dataset: Dataset, index: int, file: Path | None) -> Shown:
    """Return what a viewer shows of a frame; what cannot be shown is a `Notice` that says why."""
    try:
        kind = kind_of(dataset)
        if kind is Kind.IMAGE:
            return picture_of(dataset, index, file)
        contradiction = syntax_of(dataset).note
        notes = (contradiction,) if contradiction else ()
        if kind is Kind.PDF:
            return Pdf(encapsulated_pdf(dataset), notes)
        if kind is Kind.WAVEFORM:
            groups, problems = read_waveforms(dataset)
            return Curves(tuple(groups), (*notes, *problems))
        if kind is Kind.REPORT:
            lines, problems = read_report(dataset)
            return Report(tuple(lines), (*notes, *problems))
        if why_unread(dataset):
            raise UnreadableError(why_unread(dataset))
        return Notice(why_no_picture(dataset), is_error=False)
    except DicomkitError as error:
        return Notice(_sentence(str(error)), is_error=True)
    except Exception as error:  # noqa: BLE001  pydicom parses values when asked, and raises what it likes
        wrong = UnreadableError(
            f"the object cannot be shown: pydicom stumbled over it ({type(error).__name__})"
        )
        return Notice(_sentence(str(wrong)), is_error=True)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "'", ")")) else ".")


def size_of(shown: Shown) -> int:
    """Return about how many bytes something takes in memory."""
    overlays = sum(one.bitmap.nbytes for one in shown.overlays) if isinstance(shown, (Grey, Colour)) else 0
    match shown:
        case Grey():
            shutter = shown.shutter.hidden.nbytes if shown.shutter is not None else 0
            return shown.stored.nbytes + overlays + shutter
        case Colour():
            return shown.rgb.nbytes + overlays
        case Pdf():
            return len(shown.document)
        case Curves():
            return sum(group.samples.nbytes for group in shown.groups)
        case Report():
            return sum(len(line.name) + len(line.value) for line in shown.lines)
        case Notice():
            return len(shown.text)


def message_of(shown: Shown) -> tuple[dict[str, Any], Buffers]:
    """Return the message for a browser, and its buffers; what needs one carries its number as ``buffer``."""
    buffers: Buffers = []
    match shown:
        case Grey():
            return _grey(shown, buffers), buffers
        case Colour():
            return _colour(shown, buffers), buffers
        case Report():
            lines = [
                {
                    "depth": min(one.depth, _DEEPEST_LIST),
                    "relation": one.relation,
                    "name": one.name,
                    "value": one.value,
                }
                for one in shown.lines
            ]
            return {"kind": "report", "lines": lines, "notes": list(shown.notes)}, buffers
        case Pdf():
            buffer = _add(buffers, memoryview(shown.document))
            return {"kind": "pdf", "buffer": buffer, "notes": list(shown.notes)}, buffers
        case Curves():
            groups = [_curves(group.thinned(_MOST_SAMPLES), buffers) for group in shown.groups]
            return {"kind": "waveform", "groups": groups, "notes": list(shown.notes)}, buffers
        case Notice():
            return {"kind": "notice", "text": shown.text, "is_error": shown.is_error}, buffers


def window_message(window: Window) -> dict[str, Any]:
    """Return a window's numbers, as a message has them."""
    return {"center": window.center, "width": window.width, "function": window.function}


def _add(buffers: Buffers, data: memoryview) -> int:
    buffers.append(data)
    return len(buffers) - 1


def _bytes(array: np.ndarray[Any, Any]) -> memoryview:
    """Return an array's bytes, little-endian, as every browser's typed arrays are."""
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    return memoryview(little.reshape(-1).view(np.uint8).data)


def _grey(picture: Grey, buffers: Buffers) -> dict[str, Any]:
    rows, columns = picture.stored.shape
    message = {
        "kind": "grey",
        "rows": rows,
        "columns": columns,
        "dtype": picture.stored.dtype.name,
        "buffer": _add(buffers, _bytes(picture.stored)),
        "inverse": picture.inverse,
        "padding": picture.padding,
        "unit": picture.unit,
        "aspect": picture.aspect,
    }
    modality = picture.modality
    if isinstance(modality, LookupTable):
        message["modality"] = _table(modality, buffers)
    else:
        message["modality"] = {"slope": modality.slope, "intercept": modality.intercept}
    message["vois"] = [
        {"name": label, **_table(voi, buffers)}
        if isinstance(voi, LookupTable)
        else {"name": label, **window_message(voi)}
        for label, voi in zip(labels_of(picture.vois), picture.vois, strict=True)
    ]
    message["range_at"] = picture.range_at
    if picture.shutter is not None:
        hidden = np.packbits(picture.shutter.hidden.reshape(-1), bitorder="little")
        message["shutter"] = {"colour": picture.shutter.colour, "buffer": _add(buffers, _bytes(hidden))}
    if picture.palette is not None:
        colours = _opaque(picture.palette.colours)
        message["palette"] = {"first": picture.palette.first, "buffer": _add(buffers, _bytes(colours))}
    message["overlays"] = [_overlay(overlay, buffers) for overlay in picture.overlays]
    message["notes"] = list(picture.notes)
    return message


def _colour(picture: Colour, buffers: Buffers) -> dict[str, Any]:
    rows, columns, _ = picture.rgb.shape
    return {
        "kind": "colour",
        "rows": rows,
        "columns": columns,
        "buffer": _add(buffers, _bytes(_opaque(picture.rgb))),
        "aspect": picture.aspect,
        "overlays": [_overlay(overlay, buffers) for overlay in picture.overlays],
        "notes": list(picture.notes),
    }


def _opaque(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return colours with alpha, as a canvas has them."""
    opaque = np.full((*rgb.shape[:-1], 4), 255, np.uint8)
    opaque[..., :3] = rgb
    return opaque


def _table(table: LookupTable, buffers: Buffers) -> dict[str, Any]:
    buffer = _add(buffers, _bytes(table.entries))
    return {"first": table.first, "bits": table.bits, "buffer": buffer}


def _overlay(overlay: Overlay, buffers: Buffers) -> dict[str, Any]:
    rows, columns = overlay.bitmap.shape
    return {
        "name": overlay.name,
        "row": overlay.row,
        "column": overlay.column,
        "rows": rows,
        "columns": columns,
        "buffer": _add(buffers, _bytes(np.packbits(overlay.bitmap.reshape(-1), bitorder="little"))),
    }


def _curves(group: Waveform, buffers: Buffers) -> dict[str, Any]:
    return {
        "name": group.name,
        "rate_hz": group.rate_hz,
        "channels": list(group.channels),
        "units": list(group.units),
        "buffer": _add(buffers, _bytes(group.samples)),
    }
