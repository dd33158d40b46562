"""What the head of the first JPEG, JPEG-LS or JPEG 2000 codestream says of its samples.

The encoder knew what it encoded, and wrote it beside the pixels; a header may be by somebody who did not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicomkit.dictionary.codestreams import (
    FRAME_MARKERS,
    SIZ,
    SOC_SIZ,
    SOI,
    declared_colours,
    marker_segments,
)
from dicomkit.dictionary.vrs import ITEM_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

_HEAD_BYTES = 1 << 18  # marker segments before the first scan; profiles and comments may be long
_SSIZ = 38  # ISO 15444-1 A.5.1: where in SIZ the depth of the first component is


@dataclass(frozen=True, slots=True)
class Codestream:
    """What a codestream says of itself: bits of a sample, 0 where it does not say; "RGB" or "YBR_FULL" or None."""

    precision: int = 0
    colours: str | None = None


def codestream_of(dataset: Dataset, file: Path | None) -> Codestream:
    """Return what the first frame of encapsulated Pixel Data (PS3.5 A.4) says of itself."""
    head = _head(dataset, file)
    if head[:4] != ITEM_BYTES:
        return Codestream()
    fragment = 8 + int.from_bytes(head[4:8], "little")  # behind the Basic Offset Table
    return parsed(head[fragment + 8 :] if head[fragment : fragment + 4] == ITEM_BYTES else b"")


def _head(dataset: Dataset, file: Path | None) -> bytes:
    from pydicom.dataelem import RawDataElement

    element = dataset.get_item("PixelData")
    if isinstance(element, RawDataElement) and element.value is None:  # left in the file
        if file is None:
            return bytes(dataset.PixelData or b"")[:_HEAD_BYTES]
        with file.open("rb") as opened:
            opened.seek(element.value_tell)
            return opened.read(_HEAD_BYTES)
    return bytes((element.value or b"")[:_HEAD_BYTES]) if element is not None else b""


def parsed(head: bytes) -> Codestream:
    """Return what a codestream that begins so says of itself."""
    segments = marker_segments(head)
    if head.startswith(SOC_SIZ):
        size = dict(segments).get(SIZ, b"")
        return Codestream((size[_SSIZ] & 0x7F) + 1 if len(size) > _SSIZ else 0)
    if not head.startswith(SOI):
        return Codestream()
    frame = next((it for marker, it in segments if marker in FRAME_MARKERS and len(it) >= 8), b"\0" * 3)
    return Codestream(frame[2], declared_colours(segments) or None)
