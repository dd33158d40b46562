"""What the kernel answers when the browser asks for a frame: a message, and binary buffers beside it.

All that a picture needs travels in one custom message, and never as a synced trait; so no pixel and no name gets
into a saved notebook.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
        said = str(error)
    except Exception as error:  # noqa: BLE001  pydicom parses values when asked, and raises what it likes
        said = f"the object cannot be shown: pydicom stumbled over it ({type(error).__name__})"
    said = said[:1].upper() + said[1:] + ("" if said.endswith((".", "'", ")")) else ".")
    return Notice(said, is_error=True)


def size_of(shown: Shown) -> int:
    """Return about how many bytes something takes in memory."""
    match shown:
        case Grey() | Colour():
            pixels = shown.stored if isinstance(shown, Grey) else shown.rgb
            shutter = shown.shutter.hidden.nbytes if isinstance(shown, Grey) and shown.shutter else 0
            return pixels.nbytes + shutter + sum(one.bitmap.nbytes for one in shown.overlays)
        case Pdf():
            return len(shown.document)
        case Curves():
            return sum(group.samples.nbytes for group in shown.groups)
        case Report():
            return sum(len(line.name) + len(line.value) for line in shown.lines)
        case Notice():
            return len(shown.text)


def window_message(window: Window) -> dict[str, Any]:
    """Return a window's numbers, as a message has them."""
    return {"center": window.center, "width": window.width, "function": window.function}


class _Buffers(list[memoryview]):
    """The buffers of a message; each method adds one, and returns its number."""

    def put(self, array: np.ndarray[Any, Any]) -> int:
        """Add an array's bytes, little-endian, as every browser's typed arrays are."""
        little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        self.append(memoryview(little.reshape(-1).view(np.uint8).data))
        return len(self) - 1

    def put_bits(self, bitmap: NDArray[np.bool_]) -> int:
        return self.put(np.packbits(bitmap.reshape(-1), bitorder="little"))

    def put_colours(self, rgb: NDArray[np.uint8]) -> int:
        """Add colours with alpha, as a canvas has them."""
        rgba = np.full((*rgb.shape[:-1], 4), 255, np.uint8)
        rgba[..., :3] = rgb
        return self.put(rgba)


def message_of(shown: Shown) -> tuple[dict[str, Any], list[memoryview]]:
    """Return the message for a browser, and its buffers; what needs one carries its number as ``buffer``."""
    buffers = _Buffers()
    match shown:
        case Grey():
            message = _grey(shown, buffers)
        case Colour():
            colours = buffers.put_colours(shown.rgb)
            message = {"kind": "colour", "buffer": colours, **_shape(shown, shown.rgb, buffers)}
        case Report():
            lines = [{**asdict(line), "depth": min(line.depth, _DEEPEST_LIST)} for line in shown.lines]
            message = {"kind": "report", "lines": lines}
        case Pdf():
            message = {"kind": "pdf", "buffer": buffers.put(np.frombuffer(shown.document, np.uint8))}
        case Curves():
            message = {"kind": "waveform", "groups": [_curves(group, buffers) for group in shown.groups]}
        case Notice():
            return {"kind": "notice", **asdict(shown)}, buffers
    return {**message, "notes": list(shown.notes)}, buffers


def _shape(picture: Grey | Colour, array: NDArray[Any], buffers: _Buffers) -> dict[str, Any]:
    rows, columns = array.shape[:2]
    overlays = [_overlay(overlay, buffers) for overlay in picture.overlays]
    return {"rows": rows, "columns": columns, "aspect": picture.aspect, "overlays": overlays}


def _grey(picture: Grey, buffers: _Buffers) -> dict[str, Any]:
    modality, shutter, palette = picture.modality, picture.shutter, picture.palette
    looks = [
        {"name": label, **(_table(voi, buffers) if isinstance(voi, LookupTable) else window_message(voi))}
        for label, voi in zip(labels_of(picture.vois), picture.vois, strict=True)
    ]
    message = {
        "kind": "grey",
        "dtype": picture.stored.dtype.name,
        "buffer": buffers.put(picture.stored),
        **_shape(picture, picture.stored, buffers),
        "inverse": picture.inverse,
        "padding": picture.padding,
        "unit": picture.unit,
        "modality": _table(modality, buffers) if isinstance(modality, LookupTable) else asdict(modality),
        "vois": looks,
        "range_at": picture.range_at,
    }
    if shutter is not None:
        message["shutter"] = {"colour": shutter.colour, "buffer": buffers.put_bits(shutter.hidden)}
    if palette is not None:
        message["palette"] = {"first": palette.first, "buffer": buffers.put_colours(palette.colours)}
    return message


def _table(table: LookupTable, buffers: _Buffers) -> dict[str, Any]:
    return {"first": table.first, "bits": table.bits, "buffer": buffers.put(table.entries)}


def _overlay(overlay: Overlay, buffers: _Buffers) -> dict[str, Any]:
    rows, columns = overlay.bitmap.shape
    place = {"row": overlay.row, "column": overlay.column, "rows": rows, "columns": columns}
    return {"name": overlay.name, "buffer": buffers.put_bits(overlay.bitmap), **place}


def _curves(group: Waveform, buffers: _Buffers) -> dict[str, Any]:
    thinned = group.thinned(_MOST_SAMPLES)
    return {
        "name": thinned.name,
        "rate_hz": thinned.rate_hz,
        "channels": list(thinned.channels),
        "units": list(thinned.units),
        "buffer": buffers.put(thinned.samples),
    }
