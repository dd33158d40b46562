"""JPEG Lossless, Process 14 Selection Value 1 (ITU-T T.81 annex H): one component, 2 to 16 bits.

The difference to the left neighbour, Huffman-coded with the table for the differences at hand.
Ours, because library encoders change their bytes from version to version and the sample study must not.
"""

from __future__ import annotations

from struct import pack

import numpy as np
from numpy.typing import NDArray

__all__ = ["encode_lossless"]

# Marker codes, T.81 Table B.1.
_SOI, _EOI, _SOF3, _DHT, _SOS = b"\xff\xd8", b"\xff\xd9", b"\xff\xc3", b"\xff\xc4", b"\xff\xda"
# The 17 difference categories of T.81 Table H.2, from the commonest to the rarest; a code of length n for the
# nth would do, but sixteen bits bound a code (T.81 annex C), hence the lengths below.
_CODE_LENGTHS = (2, 2, 3, 3, 3, 5, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_PREDICTOR_LEFT = 1  # Ss of the scan header, T.81 Table H.1


def encode_lossless(image: NDArray[np.integer], precision: int) -> bytes:
    """Return the JPEG stream of a grey image.

    Parameters
    ----------
    image : array of integers, rows x columns
        Samples from 0 to ``2**precision - 1``.
    precision : int
        Bits in a sample, 2 to 16.
    """
    rows, columns = image.shape
    differences = _differences(image.astype(np.int64), precision)
    # Category n holds the differences of n significant bits (T.81 H.1.2.2); 0 is a category of its own.
    categories = np.searchsorted(2 ** np.arange(16, dtype=np.int64), np.abs(differences), side="right")
    order = np.argsort(-np.bincount(categories, minlength=len(_CODE_LENGTHS)), kind="stable")
    codes, lengths = _huffman_codes(order)
    # A negative difference is sent as its value minus one, low bits only (T.81 F.1.2.1).
    extra = np.where(categories == 16, 0, categories)
    tails = np.where(differences < 0, differences - 1, differences) & ((1 << extra) - 1)
    scan = _packed((codes[categories] << extra) | tails, lengths[categories] + extra)

    counts = bytes(_CODE_LENGTHS.count(length) for length in range(1, 17))
    table = b"\x00" + counts + bytes(order.tolist())
    frame = pack(">BHHB", precision, rows, columns, 1) + b"\x01\x11\x00"
    scan_header = b"\x01\x01\x00" + bytes((_PREDICTOR_LEFT, 0, 0))
    return (
        _SOI
        + _segment(_SOF3, frame)
        + _segment(_DHT, table)
        + _segment(_SOS, scan_header)
        + scan.replace(b"\xff", b"\xff\x00")  # byte stuffing, T.81 B.1.1.5
        + _EOI
    )


def _segment(marker: bytes, content: bytes) -> bytes:
    return marker + pack(">H", len(content) + 2) + content


def _differences(image: NDArray[np.int64], precision: int) -> NDArray[np.int64]:
    """Each sample less its prediction (T.81 H.1.2.1): the left one, in the first column the one above."""
    predicted = np.empty_like(image)
    predicted[:, 1:] = image[:, :-1]
    predicted[1:, 0] = image[:-1, 0]
    predicted[0, 0] = 1 << (precision - 1)
    # Differences are taken modulo 65536, T.81 H.1.2.2; 32768 has a category without extra bits.
    difference = (image - predicted) & 0xFFFF
    return np.where(difference > 0x8000, difference - 0x10000, difference).ravel()


def _huffman_codes(order: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the shortest code to the commonest category, counting upward as T.81 annex C does."""
    codes = np.zeros(len(_CODE_LENGTHS), dtype=np.int64)
    lengths = np.zeros(len(_CODE_LENGTHS), dtype=np.int64)
    code, before = 0, _CODE_LENGTHS[0]
    for category, length in zip(order.tolist(), _CODE_LENGTHS, strict=True):
        code <<= length - before
        codes[category], lengths[category] = code, length
        code, before = code + 1, length
    return codes, lengths


def _packed(words: NDArray[np.int64], lengths: NDArray[np.int64]) -> bytes:
    """Concatenate the low `lengths` bits of each word, and fill the last byte with ones (T.81 F.1.2.3)."""
    ends = np.cumsum(lengths)
    which = np.repeat(np.arange(len(words)), lengths)
    shift = ends[which] - 1 - np.arange(ends[-1])
    bits = ((words[which] >> shift) & 1).astype(np.uint8)
    return np.packbits(np.append(bits, np.ones(-len(bits) % 8, dtype=np.uint8))).tobytes()
