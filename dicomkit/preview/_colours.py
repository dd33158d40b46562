"""Colours as stored to red, green and blue in bytes (PS3.3 C.7.6.3.1.2 and C.7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.errors import UnreadableError
from dicomkit.preview._attributes import BITS_MEANT, descriptor_of, table_entries, words_of
from dicomkit.preview._windows import LookupTable, round_half_up, strips

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset

# PS3.3 C.7.6.3.1.2: what black is, and the inverse of the matrix. Of YBR_PARTIAL, Y is 16..235, CB and CR are 16..240.
_YBR = {
    "YBR_PARTIAL": (
        np.array([16.0, 128.0, 128.0]),
        np.linalg.inv([[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]]).T,
    ),
    "YBR_FULL": (
        np.array([0.0, 128.0, 128.0]),
        np.linalg.inv([[0.2990, 0.5870, 0.1140], [-0.1687, -0.3313, 0.5000], [0.5000, -0.4187, -0.0813]]).T,
    ),
}
_CHANNELS = ("Red", "Green", "Blue")
_BYTE = 8
_MOST_WORD = 65535
_D50_WHITE = np.array([0.96422, 1.0, 0.82521])
# IEC 61966-2-1 with the white point adapted by Bradford; its rows are made to give white of white exactly.
_D50_TO_RGB = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)
_D50_TO_RGB /= (_D50_TO_RGB @ _D50_WHITE)[:, np.newaxis]
_DISCRETE, _LINEAR, _INDIRECT = range(3)  # opcodes of segments, PS3.3 table C.7-24


def to_rgb(samples: NDArray[Any], kind: str, bits: int) -> NDArray[np.uint8]:
    """Return samples of `bits` bits, rows by columns by 3, as red, green and blue.

    `kind` is their Photometric Interpretation: RGB, or a YBR that is not subsampled any more (PS3.3 C.7.6.3.1.2).
    """
    if bits == _BYTE and not kind.startswith("YBR"):
        return samples.astype(np.uint8)
    rgb = np.empty(samples.shape, np.uint8)
    for some, shown in zip(strips(samples), strips(rgb), strict=True):
        shown[:] = _rgb(some.reshape(-1, 3), kind, bits).reshape(-1)
    return rgb


def _rgb(samples: NDArray[Any], kind: str, bits: int) -> NDArray[np.uint8]:
    if kind.startswith("YBR_FULL") and bits == _BYTE:
        from pydicom.pixels.processing import convert_color_space

        converted: NDArray[np.uint8] = convert_color_space(samples.astype(np.uint8), "YBR_FULL", "RGB")
        return converted
    scaled = samples.astype(np.float64) * 255 / (2**bits - 1)  # the largest that `bits` can hold becomes 255
    for start, (offset, matrix) in _YBR.items():
        if kind.startswith(start):
            return round_half_up((scaled - offset) @ matrix)
    return round_half_up(scaled)


def cielab_to_rgb(encoded: Sequence[float]) -> tuple[int, int, int]:
    """Return red, green and blue in bytes (sRGB) of a CIELab value in three words (PS3.3 C.10.7.1.1).

    L* is 0..100, and a* and b* are -128..127; the white point is D50, and that of sRGB is D65.
    """
    words = np.clip(np.array(encoded[:3], np.float64), 0, _MOST_WORD)
    light = words[0] * 100 / _MOST_WORD
    a, b = words[1:] * 255 / _MOST_WORD - 128
    middle = (light + 16) / 116
    cubed = np.array([middle + a / 500, middle, middle - b / 200])
    xyz = np.where(cubed > 6 / 29, cubed**3, 3 * (6 / 29) ** 2 * (cubed - 4 / 29))  # of white
    linear = np.clip(_D50_TO_RGB @ (xyz * _D50_WHITE), 0, 1)
    encoded_levels = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = round_half_up(encoded_levels * 255).tolist()
    return red, green, blue


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """Colours of stored values (PS3.3 C.7.6.3.1.5): `colours`, entries by 3, in bytes, begin with that of `first`.

    Smaller values have the first colour, and larger ones the last; those of a supplemental palette are grey below
    `first`.
    """

    first: int
    colours: NDArray[np.uint8]

    def rgb(self, stored: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the colours of stored values, with another axis of 3."""
        rgb = np.empty((stored.size, 3), np.uint8)
        start = 0
        for strip in strips(stored):
            places = np.clip(strip.astype(np.int64) - self.first, 0, len(self.colours) - 1)
            rgb[start : start + strip.size] = self.colours[places]
            start += strip.size
        return rgb.reshape(*stored.shape, 3)


def palette_of(dataset: Dataset) -> tuple[Palette, list[str]]:
    """Return the palette of a data set, and what is odd about it; UnreadableError where it is empty or not there."""
    tables, notes = [], []
    is_signed = dataset.get("PixelRepresentation") == 1
    for channel in _CHANNELS:
        descriptor = dataset.get(f"{channel}PaletteColorLookupTableDescriptor")
        try:
            count, first, bits = descriptor_of(descriptor, dataset, signed=is_signed)
        except ValueError as error:
            raise UnreadableError(
                f"PALETTE COLOR pixels need a {channel} Palette Color Lookup Table Descriptor of 3 values "
                f"(PS3.3 C.7.9): {error}"
            ) from error
        keyword = f"{channel}PaletteColorLookupTableData"
        try:
            if keyword not in dataset and f"Segmented{keyword}" in dataset:
                entries = expanded(_words_of_segments(dataset, f"Segmented{keyword}", bits), count, bits)
            else:
                entries = table_entries(dataset, keyword, count, bits, dataset)
        except ValueError as error:
            raise UnreadableError(f"the palette's {channel.lower()} channel is empty") from error
        if len(entries) < count:
            notes.append(f"the {channel.lower()} palette has {len(entries)} of {count} entries")
        tables.append(LookupTable(first, entries, bits))
    said = max(table.bits for table in tables)
    used = _bits_used(said, max(int(table.entries.max()) for table in tables), is_whole=not notes)
    if used != max(said, _BYTE):
        notes.append(f"the palette says {said} bits and uses {used}")
    first = min(table.first for table in tables)
    inputs = np.arange(first, max(table.first + len(table.entries) for table in tables))
    # Only the high byte counts on a screen of 8 bits, PS3.3 C.7.6.3.1.6.
    channels = [table.values(inputs).astype(np.uint16) >> (used - _BYTE) for table in tables]
    return Palette(first, np.stack(channels, axis=-1).astype(np.uint8)), notes


def _bits_used(said: int, largest: int, *, is_whole: bool) -> int:
    """Return of how many bits the entries of a palette are: some writers say 16 and mean 8 or 12, or the
    reverse.
    """
    used = max(largest.bit_length(), _BYTE)
    if used > max(said, _BYTE):
        return 2 * _BYTE  # of which the standard has palettes
    is_meant = used == _BYTE or is_whole
    return used if is_meant and used <= said - BITS_MEANT else max(said, _BYTE)


def _words_of_segments(dataset: Dataset, keyword: str, bits: int) -> NDArray[np.uint16]:
    """Return what segments are made of: words, or bytes where entries have 8 bits, the first in a word's low half."""
    data = words_of(dataset, keyword, dataset)
    if bits <= _BYTE and isinstance(dataset[keyword].value, (bytes, bytearray)):
        return np.frombuffer(data, np.uint8).astype(np.uint16)
    return np.frombuffer(data[: len(data) // 2 * 2], "<u2").astype(np.uint16)


def expanded(words: NDArray[np.uint16], count: int, bits: int) -> NDArray[np.uint16]:
    """Return the entries of a segmented palette (PS3.3 C.7.9.2), as many as its segments have and at most `count`.

    `words` are opcodes, lengths and values of segments, one each; `bits` are those of a value, and offsets of indirect
    segments are two words, or four bytes. ValueError where there are no entries.
    """
    width = _BYTE if bits <= _BYTE else 2 * _BYTE
    entries: list[int] = []
    for opcode, length, values in _segments(words, width):
        if opcode == _DISCRETE:
            entries.extend(values)
        elif opcode == _LINEAR and values and entries:
            # From the entry before it, which is not part of it, to the one that it ends with.
            steps = np.linspace(entries[-1], values[0], length + 1)[1:]
            entries.extend(np.around(steps).astype(int).tolist())
        else:
            break
        if len(entries) >= count:
            break
    if not entries:
        raise ValueError("the segments have no entries")
    return np.array(entries[:count], np.uint16)


def _segments(
    words: NDArray[np.uint16], width: int, *, is_copy: bool = False
) -> Iterator[tuple[int, int, list[int]]]:
    """Yield opcode, length and values of segments, with those that an indirect one copies in its place."""
    at = 0
    while at + 2 <= len(words):
        opcode, length = int(words[at]), int(words[at + 1])
        size = {_DISCRETE: length, _LINEAR: 1, _INDIRECT: 4 * _BYTE // width}.get(opcode, 0)
        values = words[at + 2 : at + 2 + size].tolist()
        if opcode != _INDIRECT:
            yield opcode, length, values
        elif is_copy:  # what is copied has no references
            return
        else:
            # How many bytes from the beginning, the least significant part first.
            target = sum(value << (width * part) for part, value in enumerate(values)) * _BYTE // width
            yield from islice(_segments(words[target:at], width, is_copy=True), length)
        at += 2 + size
