"""What the head of a JPEG, JPEG-LS or JPEG 2000 codestream says of its samples.

The one idea: the encoder knew what it encoded, and wrote it beside the pixels; a header may have been written by
somebody who did not. Only the head of the first frame is read, also where its file is large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

__all__ = ["Codestream", "codestream_of", "parsed"]

_HEAD_BYTES = 1 << 18  # marker segments before the first scan; profiles and comments may be long
_ITEM = b"\xfe\xff\x00\xe0"
_START_OF_JPEG, _START_OF_JPEG_2000 = b"\xff\xd8", b"\xff\x4f\xff\x51"
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # ISO 10918-1 table B.1; 0xF7 is JPEG-LS
_START_OF_SCAN, _APP0, _APP14 = 0xDA, 0xE0, 0xEE
_SSIZ = 42  # ISO 15444-1 A.5.1: where the depth of the first component is


@dataclass(frozen=True, slots=True)
class Codestream:
    """What a codestream says of itself.

    Attributes
    ----------
    precision : int
        Bits of a sample, 0 where it does not say.
    component_ids : bytes
        One each; encoders of RGB call them so.
    adobe_transform : int or None
        Of an Adobe marker: 0 for none (RGB), 1 for YCbCr; None without a marker.
    is_jfif : bool
        Whether it has a JFIF marker, whose colours are YCbCr.
    """

    precision: int = 0
    component_ids: bytes = b""
    adobe_transform: int | None = None
    is_jfif: bool = False

    @property
    def colours(self) -> str | None:
        """RGB or YBR_FULL, None where the codestream does not say."""
        if self.component_ids in (b"RGB", b"rgb") or self.adobe_transform == 0:
            return "RGB"
        return "YBR_FULL" if self.adobe_transform == 1 or self.is_jfif else None


def codestream_of(dataset: Dataset, file: Path | None) -> Codestream:
    """Return what the first frame of encapsulated Pixel Data (PS3.5 A.4) says of itself."""
    head = _head(dataset, file)
    if head[:4] != _ITEM:
        return Codestream()
    fragment = 8 + int.from_bytes(head[4:8], "little")  # behind the Basic Offset Table
    return parsed(head[fragment + 8 :] if head[fragment : fragment + 4] == _ITEM else b"")


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
    if head.startswith(_START_OF_JPEG_2000):
        return Codestream((head[_SSIZ] & 0x7F) + 1 if len(head) > _SSIZ else 0)
    if not head.startswith(_START_OF_JPEG):
        return Codestream()
    adobe_transform, is_jfif, at = None, False, 2
    while at + 4 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        segment = head[at + 4 : at + 2 + length]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _START_OF_FRAME and len(segment) >= 6:
            ids = segment[6 : 6 + 3 * segment[5] : 3]
            return Codestream(segment[0], ids, adobe_transform, is_jfif)
        if marker == _START_OF_SCAN:
            break
        if marker == _APP14 and segment.startswith(b"Adobe") and len(segment) >= 12:
            adobe_transform = segment[11]
        is_jfif |= marker == _APP0 and segment.startswith(b"JFIF")
        at += 2 + length
    return Codestream(0, b"", adobe_transform, is_jfif)
