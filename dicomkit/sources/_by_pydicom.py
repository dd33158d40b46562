"""pydicom, which forgives more, is asked for values where our walk cannot follow, or does not look."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import BinaryIO, cast

from dicomkit.sources.elements import HEAD_SIZE, Window

_ROWS, _COLUMNS, _BITS_ALLOCATED = 0x00280010, 0x00280011, 0x00280100
_SAMPLES, _FRAMES = 0x00280002, 0x00280008


class _WindowFile:
    """A content as a file that pydicom can read."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._position = 0

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._window.size - self._position)
        data = self._window.fetch(self._position, left if count < 0 else min(count, left))
        self._position += len(data)
        return data

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        self._position = (0, self._position, self._window.size)[whence] + position
        return self._position

    def tell(self) -> int:
        return self._position


def values_by_pydicom(window: Window, tags: Collection[int]) -> dict[int, bytes]:
    """Have pydicom read some values before the pixels; none where it cannot either."""
    from pydicom import dcmread

    from dicomkit._support.pydicom_quiet import PYDICOM_QUIET

    with PYDICOM_QUIET:
        try:
            dataset = dcmread(
                cast(BinaryIO, _WindowFile(window)),
                force=True,
                stop_before_pixels=True,
                defer_size=HEAD_SIZE,
                specific_tags=list(tags),
            )
            return {tag: str(dataset[tag].value or "").encode() for tag in tags if tag in dataset}
        except Exception:  # noqa: BLE001 (pydicom raises whatever its parts raise; it has no answer, then)
            return {}


def native_length(window: Window) -> int:
    """How many bytes the pixels have by the attributes that describe them (PS3.5 8.1); 0 where one is missing."""
    found = values_by_pydicom(window, (_ROWS, _COLUMNS, _BITS_ALLOCATED, _SAMPLES, _FRAMES))
    try:
        bits = int(found[_ROWS]) * int(found[_COLUMNS]) * int(found[_BITS_ALLOCATED])
        return (bits * int(found.get(_SAMPLES) or 1) * int(found.get(_FRAMES) or 1) + 7) // 8
    except (KeyError, ValueError):
        return 0
