"""Many rows in little memory: packed by the thousand, since most of their values are those of the row before.

A row takes some 500 bytes as an object, and a tenth of that in a pack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicomkit.results import Row

ROWS_PER_PACK = 1000
FASTEST = 1  # zlib's level; a higher one saves little more


class PackedRows:
    """Rows in the order in which they were appended. One thread at a time may use it."""

    def __init__(self) -> None:
        self._packs: list[bytes] = []
        self._recent: list[Row] = []

    def append(self, row: Row) -> None:
        """Add one at the end."""
        self._recent.append(row)
        if len(self._recent) == ROWS_PER_PACK:
            # Imported here, since a short batch never comes so far.
            from pickle import HIGHEST_PROTOCOL, dumps
            from zlib import compress

            self._packs.append(compress(dumps(self._recent, HIGHEST_PROTOCOL), FASTEST))
            self._recent = []

    def __iter__(self) -> Iterator[Row]:
        from pickle import loads
        from zlib import decompress

        for pack in self._packs:
            yield from loads(decompress(pack))
        yield from self._recent

    def __len__(self) -> int:
        return len(self._packs) * ROWS_PER_PACK + len(self._recent)
