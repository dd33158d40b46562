"""A data set as PDUs in memory, with their headers in place, so that one `send` takes it without a copy.

The buffer is made once for an association. A source is read straight into the gaps between the headers, never parsed
and never held whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit.errors import UnreadableError
from dicomkit.wire import pdu as p
from dicomkit.wire.socket import os_reason

if TYPE_CHECKING:
    from dicomkit.sources import DataSource

__all__ = ["Layout"]

# The data sets' PDUs of one `send`. Large enough that a CT slice goes out whole, small enough to stay in the cache.
BUFFER_BYTES = 1 << 20
# preadv takes at most IOV_MAX (1024 on Linux) pieces.
MAX_PIECES = 1000
# A peer without a limit (PS3.8 D.1: 0) gets PDUs of DCMTK's largest size.
LARGEST_PDU = 131072
# The longest C-STORE-RQ: two UIDs, seven element headers and their other values come to 196 bytes.
MAX_STORE_REQUEST = 256
# Below this, packing the command and the data into one PDU is not worth its arithmetic.
LEAST_PDU_TO_PACK = 1024

HEADERS_SIZE = p.PDU_HEADER.size + p.PDV_HEADER.size
CONTEXT_ID_AT = p.PDU_HEADER.size + 4  # after the length of the PDV


class Layout:
    """The PDUs of a data set, laid out once for an association with their headers in place.

    ::

        | prefix: C-STORE-RQ, header | first fragment | header | fragment | header | fragment | ...
                          right-aligned ^ `_start`         12      `_room`

    The prefix is written for each instance so that it ends where the first fragment begins. The headers after
    it are those of full fragments; only the last fragment of a data set needs another, which is put back
    afterwards.
    """

    def __init__(self, max_pdu: int, *, packs: bool) -> None:
        self.max_pdu = min(max_pdu or LARGEST_PDU, LARGEST_PDU)
        self.taken = self.remaining = 0  # bytes of the data set in the chunk at hand, and after it
        self._source: DataSource | None = None
        self._packs = packs and self.max_pdu >= LEAST_PDU_TO_PACK
        self._room = p.even_room(self.max_pdu)
        self._first_room = self._room - (p.PDV_HEADER.size + MAX_STORE_REQUEST if self._packs else 0)
        self._stride = HEADERS_SIZE + self._room
        # Room for the C-STORE-RQ even where it takes several PDUs, each with its header, and the data's own.
        self._start = MAX_STORE_REQUEST + HEADERS_SIZE * (MAX_STORE_REQUEST // self._room + 3)
        count = max(1, min(MAX_PIECES, BUFFER_BYTES // self._stride))
        self._first_header = self._start + self._first_room
        self._end = self._first_header + count * self._stride
        self._buffer = bytearray(self._end)
        self._view = memoryview(self._buffer)
        starts = range(self._first_header, self._end, self._stride)
        self._fragments = [self._view[self._start : self._first_header]]
        self._fragments += [self._view[start + HEADERS_SIZE : start + self._stride] for start in starts]
        # Where each of them ends, as if they followed one another.
        self._ends = range(self._first_room, self._first_room + count * self._room + 1, self._room)
        self._context_id = 0
        for start in starts:
            self._write_headers(start, self._room, 0)
        self._patched: int | None = None

    def first_chunk(self, request: bytes, context_id: int, source: DataSource, length: int) -> memoryview:
        """The C-STORE-RQ and as much of the data set as fits."""
        fragment = min(length, self._first_room)
        header = p.PDV_HEADER.pack(fragment + 2, context_id, p.LAST if fragment == length else 0)
        if self._packs:
            command = p.PDV_HEADER.pack(len(request) + 2, context_id, p.COMMAND | p.LAST) + request
            prefix = p.PDU_HEADER.pack(p.P_DATA_TF, len(command) + len(header) + fragment) + command + header
        else:
            prefix = p.fragments_of(request, context_id, self.max_pdu)
            prefix += p.PDU_HEADER.pack(p.P_DATA_TF, len(header) + fragment) + header
        begin = self._start - len(prefix)
        self._buffer[begin : self._start] = prefix
        if context_id != self._context_id:
            self._context_id = context_id
            ids = slice(self._first_header + CONTEXT_ID_AT, self._end, self._stride)
            self._buffer[ids] = bytes([context_id]) * len(range(*ids.indices(self._end)))
        self._source, self.remaining = source, length
        return self._view[begin : self._fill(0)]

    def next_chunk(self) -> memoryview:
        """As much of the rest of the data set as fits."""
        return self._view[self._first_header : self._fill(1)]

    def _fill(self, first: int) -> int:
        """Read into the fragments from number `first` on; the end of what is to be sent."""
        source, remaining = self._source, self.remaining
        assert source is not None
        if self._patched is not None:
            self._write_headers(self._patched, self._room, 0)
            self._patched = None
        before = self._ends[first - 1] if first else 0
        wanted = min(remaining, self._ends[-1] - before)
        last = max(0, -((self._first_room - before - wanted) // self._room))  # rounded up
        pieces = self._fragments[first : last + 1]
        if surplus := self._ends[last] - before - wanted:
            pieces[-1] = pieces[-1][:-surplus]
        try:
            got = source.readv(pieces)
        except OSError as error:
            source.check_unchanged()
            raise UnreadableError(
                f"reading it failed ({os_reason(error)}); check the disk and send it again"
            ) from error
        is_last = wanted == remaining
        # Before the last fragment is in anybody's hands. Where bytes are missing, that it changed says more.
        if got < wanted or is_last:
            source.check_unchanged()
        if got < wanted:
            raise UnreadableError(
                f"it ended {wanted - got} bytes early while it was being read: it was truncated meanwhile; "
                "send it again once it is whole"
            )
        self.taken = wanted
        self.remaining = remaining - wanted
        if is_last:
            self._source = None
        if not last:  # no header lies before what was read
            return self._start + wanted
        start = self._first_header + (last - 1) * self._stride
        size = len(pieces[-1])
        if is_last:
            self._patched = start
            self._write_headers(start, size, p.LAST)
        return start + HEADERS_SIZE + size

    def _write_headers(self, start: int, size: int, control: int) -> None:
        """The headers of a PDU with one PDV, in front of a fragment of this size."""
        p.PDU_HEADER.pack_into(self._buffer, start, p.P_DATA_TF, size + p.PDV_HEADER.size)
        p.PDV_HEADER.pack_into(self._buffer, start + p.PDU_HEADER.size, size + 2, self._context_id, control)
