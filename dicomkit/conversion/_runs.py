"""Ordinary elements, one after the other, copied from Explicit to Implicit VR or back.

This is where the time of a conversion goes. A header with a 16-bit length has 8 bytes in Explicit as in Implicit VR, so
a run of such elements is copied as a whole, and 4 bytes of each header are written over.
"""

from __future__ import annotations

import struct

from dicomkit.conversion._elements import DEPENDED_ON, LENGTH, VR_LENGTH
from dicomkit.dictionary import known_vrs
from dicomkit.dictionary.vrs import SHORT_VRS, WORD_SIZES
from dicomkit.sources.elements import LITTLE_EXPLICIT, Encoding, Window

_UL = int.from_bytes(b"UL", "little")
_SHORT_BUT_UL = LITTLE_EXPLICIT.short_vrs - {_UL}


class Runs:
    """Copies runs of elements out of a window, in little endian."""

    __slots__ = ("_buffer", "_window", "_work")

    def __init__(self, window: Window) -> None:
        self._window = window
        self._buffer: bytes | None = None  # of the window, which `_work` is a copy of
        self._work = bytearray()

    def to_implicit(
        self, out: bytearray, position: int, limit: int, encoding: Encoding, *, large: int
    ) -> int:
        """Copy ordinary explicit elements without their VR; stop at what is not, or is `large`; return where."""
        window = self._window
        unpack, pack_length, unpack_length = VR_LENGTH.unpack_from, LENGTH.pack_into, LENGTH.unpack_from
        short, long, sequence = _SHORT_BUT_UL, encoding.long_vrs, encoding.sequence_vr
        if position + 12 > limit:
            return position
        at = window.offset_of(position, 12) + 4  # where the VR is, after the tag
        buffer, base = window.buffer, window.base
        work = self._copy_of(buffer)
        last = min(len(buffer), limit - base) + 4
        begin = at - 4
        try:
            while True:
                vr, length = unpack(buffer, at)
                if vr in short or (vr == _UL and buffer[at - 2 : at] != b"\0\0"):  # which is no group length
                    following = at + 8 + length
                    if following > last:
                        break
                    pack_length(work, at, length)
                elif vr in long and vr != sequence:
                    (length,) = unpack_length(buffer, at + 4)
                    following = at + 12 + length
                    if following > last or length >= large:
                        break
                    out += work[begin:at]  # and the length comes right before the value
                    begin = at + 4
                else:
                    break
                at = following
        except struct.error:  # the buffer ends here
            pass
        out += work[begin : at - 4]
        return base + at - 4

    def to_explicit(self, out: bytearray, position: int, limit: int, encoding: Encoding) -> int:
        """Copy ordinary implicit elements with a VR and a 16-bit length; stop at what is not; return where."""
        window = self._window
        unpack, pack = encoding.header.unpack_from, VR_LENGTH.pack_into
        ordinary = _ordinary_vrs()
        if position + 8 > limit:
            return position
        offset = window.offset_of(position, 8)
        buffer, base = window.buffer, window.base
        work = self._copy_of(buffer)
        size = min(len(buffer), limit - base)
        begin = offset
        try:
            while True:
                written, length = unpack(buffer, offset)
                vr = ordinary.get(written)
                end = offset + 8 + length
                if vr is None or end > size or length > 0xFFFF or length & vr[1]:
                    break
                pack(work, offset + 4, vr[0], length)
                offset = end
        except struct.error:
            pass
        out += work[begin:offset]
        return base + offset

    def _copy_of(self, buffer: bytes) -> bytearray:
        """The copy that headers are written over in; one is enough for all runs in a buffer."""
        if buffer is not self._buffer:
            self._buffer = buffer
            self._work = bytearray(buffer)
        return self._work


_ordinary: dict[int, tuple[int, int]] = {}


def _ordinary_vrs() -> dict[int, tuple[int, int]]:
    """The VRs of elements with a 16-bit length that nothing depends on, by their tags as written in little endian.

    Each as it is written, with the bits of a length that must not be set.
    """
    if not _ordinary:
        found = {}
        for tag, vr in known_vrs().items():
            name = vr.encode()
            if name in SHORT_VRS and tag & 0xFFFF and tag not in DEPENDED_ON:
                number = int.from_bytes(name, "little")
                found[(tag & 0xFFFF) << 16 | tag >> 16] = (number, WORD_SIZES.get(name, 1) - 1)
        _ordinary.update(found)
    return _ordinary
