"""Fragments of encapsulated Pixel Data cut into frames (PS3.5 A.4), by the code streams that they hold.

Offset tables and Number of Frames are not believed: they are left wrong by whatever edits a file, and a frame that
they do not name is a frame all the same. A frame begins where a fragment begins as a code stream does, and a second
code stream within a fragment is a frame of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from dicomkit.conversion._codestreams import Codestream, find_codestream, read_codestream
from dicomkit.sources.elements import Fetch

Fragments = Sequence[tuple[int, int]]

_HEAD: Final = 64  # of an RLE header (PS3.5 G.5); other code streams show themselves in twelve bytes
_MOST_SEGMENTS: Final = 15


class Cut(Exception):
    """A fragment goes on where the source ends."""


def group_fragments(fetch: Fetch, fragments: Fragments, starts: Callable[[bytes], bool]) -> list[Fragments]:
    """The fragments of each frame; those before the first code stream belong to none and are left out."""
    groups: list[list[tuple[int, int]]] = []
    filled = [fragment for fragment in fragments if fragment[1]]
    for number, fragment in enumerate(filled):
        if starts(_head(fetch, filled, number)):
            groups.append([])
        if groups:
            groups[-1].append(fragment)
    return list(groups)


def _head(fetch: Fetch, fragments: Fragments, number: int) -> bytes:
    """The first bytes from a fragment on; where it is very short, those of the next ones are among them."""
    head = b""
    for offset, length in fragments[number : number + _HEAD]:
        head += fetch(offset, min(length, _HEAD - len(head)))
        if len(head) == _HEAD:
            break
    return head


def read_group(fetch: Fetch, group: Fragments) -> bytes:
    """The bytes of the fragments, one after the other; Cut where the source ends before them."""
    parts = [fetch(offset, length) for offset, length in group]
    if any(len(part) != length for part, (_, length) in zip(parts, group, strict=True)):
        raise Cut
    return parts[0] if len(parts) == 1 else b"".join(parts)


def codestreams_in(data: bytes) -> Iterator[Codestream]:
    """Every code stream in the bytes of a group; what is between them and after the last one is padding (PS3.5 A.4)."""
    start = 0
    while start >= 0:
        found = read_codestream(data, start)
        yield found
        start = find_codestream(data, found.end)


def rle_segments(head: bytes) -> list[int] | None:
    """The offsets of the segments of an RLE frame (PS3.5 G.5), or None where the bytes are no RLE header."""
    if len(head) < _HEAD:
        return None
    count, *offsets = struct.unpack_from("<16I", head)
    used = offsets[:count]
    if not 1 <= count <= _MOST_SEGMENTS or used[0] != _HEAD or any(offsets[count:]):
        return None
    return used if all(one < other for one, other in pairwise(used)) else None


def starts_rle(head: bytes) -> bool:
    """Whether bytes begin as an RLE frame does."""
    return rle_segments(head) is not None


def rle_frames_in(data: bytes) -> Iterator[bytes]:
    """Every RLE frame in the bytes of a group; for the most part that is one."""
    begin = data[:8]  # the number of segments and the first offset: another frame has the same
    start = 0
    while True:
        segments = rle_segments(data[start : start + _HEAD])
        last = start + (segments[-1] if segments else _HEAD)
        following = data.find(begin, last)
        while following >= 0 and not rle_segments(data[following : following + _HEAD]):
            following = data.find(begin, following + 1)
        if following < 0:
            yield data[start:] if start else data
            return
        yield data[start:following]
        start = following


def agrees(
    offset_table: bytes, extended: tuple[bytes, bytes] | None, groups: Sequence[Fragments], first: int
) -> bool:
    """Whether the offset tables, where there are any, name the frames that were found (PS3.5 A.4).

    An offset counts from the first byte of the item tag of the first fragment.
    """
    starts = [group[0][0] - first for group in groups]
    tables = ((offset_table, 4), (extended[0] if extended else b"", 8))
    return all(
        not table or table == b"".join((start % 256**width).to_bytes(width, "little") for start in starts)
        for table, width in tables
    )
