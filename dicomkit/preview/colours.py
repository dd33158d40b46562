"""Colours as stored to red, green and blue in bytes (PS3.3 C.7.6.3.1.2 and C.7.9).

The one idea: samples of any width become bytes first, by their largest value, and then red, green and blue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit.errors import UnreadableError
from dicomkit.preview.attributes import descriptor_of, is_little_endian, numbers, table_entries
from dicomkit.preview.windows import LookupTable, round_half_up

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

__all__ = ["palette_to_rgb", "to_rgb"]

# PS3.3 C.7.6.3.1.2, YBR_FULL; the inverse of its matrix.
_FULL_OFFSET = np.array([0.0, 128.0, 128.0])
_FULL_TO_RGB = np.linalg.inv(
    np.array([[0.2990, 0.5870, 0.1140], [-0.1687, -0.3313, 0.5000], [0.5000, -0.4187, -0.0813]])
).T
_CHANNELS = ("Red", "Green", "Blue")

# PS3.3 C.7.6.3.1.2, YBR_PARTIAL_422: Y in 16..235, CB and CR in 16..240 around 128; the inverse of its matrix.
_PARTIAL_OFFSET = np.array([16.0, 128.0, 128.0])
_PARTIAL_TO_RGB = np.linalg.inv(
    np.array([[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]])
).T


def to_rgb(samples: NDArray[Any], kind: str, bits: int) -> NDArray[np.uint8]:
    """Return samples of `bits` bits, rows by columns by 3, as red, green and blue.

    Parameters
    ----------
    kind : str
        Their Photometric Interpretation: RGB, or a YBR that is not subsampled any more (PS3.3 C.7.6.3.1.2).
    """
    if kind.startswith("YBR_PARTIAL"):
        return round_half_up((_scaled(samples, bits) - _PARTIAL_OFFSET) @ _PARTIAL_TO_RGB)
    if kind.startswith("YBR_FULL"):
        from pydicom.pixels.processing import convert_color_space

        if bits == 8:
            converted: NDArray[np.uint8] = convert_color_space(samples.astype(np.uint8), "YBR_FULL", "RGB")
            return converted
        return round_half_up((_scaled(samples, bits) - _FULL_OFFSET) @ _FULL_TO_RGB)
    return samples.astype(np.uint8) if bits == 8 else round_half_up(_scaled(samples, bits))


def _scaled(samples: NDArray[Any], bits: int) -> NDArray[np.float64]:
    """Return samples by the scale 0..255, the largest that `bits` can tell becoming 255."""
    scaled: NDArray[np.float64] = samples.astype(np.float64) * 255 / (2**bits - 1)
    return scaled


def palette_to_rgb(stored: NDArray[Any], dataset: Dataset) -> tuple[NDArray[np.uint8], list[str]]:
    """Return the colours that the palette of a data set gives to stored values, and what is odd about it.

    Raises
    ------
    UnreadableError
        There is no palette.
    """
    tables, notes = [], []
    for channel in _CHANNELS:
        descriptor = dataset.get(f"{channel}PaletteColorLookupTableDescriptor")
        try:
            count, first, bits = descriptor_of(
                descriptor, dataset, signed=dataset.get("PixelRepresentation") == 1
            )
        except ValueError as error:
            raise UnreadableError(
                f"PALETTE COLOR pixels need a {channel} Palette Color Lookup Table Descriptor of 3 values "
                f"(PS3.3 C.7.9): {error}"
            ) from error
        entries = _channel_entries(dataset, channel, count, bits)
        if len(entries) < count:
            notes.append(f"the {channel.lower()} palette has {len(entries)} of {count} entries")
        tables.append(LookupTable(first, entries, bits))
    # Some writers say 16 bits and mean 8, and the other way round: the entries know better, of all channels together.
    most = max(int(table.entries.max()) for table in tables)
    used = 16 if most > 255 else 8
    if any(used != max(8, table.bits) for table in tables):
        notes.append(f"the palette says {max(table.bits for table in tables)} bits and uses {used}")
    # Only the high byte counts on a screen of 8 bits, PS3.3 C.7.6.3.1.6.
    high = [LookupTable(table.first, (table.entries >> (used - 8)).astype(np.uint16), 8) for table in tables]
    return np.stack([table.to_8bit(stored) for table in high], axis=-1), notes


def _channel_entries(dataset: Dataset, channel: str, count: int, bits: int) -> NDArray[np.uint16]:
    keyword = f"{channel}PaletteColorLookupTableData"
    if keyword not in dataset and f"Segmented{keyword}" in dataset:
        return _expanded_segments(dataset, channel, count)
    try:
        return table_entries(dataset, keyword, count, bits, is_little_endian(dataset))
    except ValueError as error:
        raise UnreadableError(f"the palette's {channel.lower()} channel is empty") from error


def _expanded_segments(dataset: Dataset, channel: str, count: int) -> NDArray[np.uint16]:
    """Return a segmented palette (PS3.3 C.7.9.2) as pydicom expands it: the colours of every input in turn."""
    from pydicom.pixels.processing import apply_color_lut

    first = int(numbers(dataset.RedPaletteColorLookupTableDescriptor)[1])
    colours = apply_color_lut(np.arange(first, first + count), dataset)
    entries: NDArray[np.uint16] = colours[:, _CHANNELS.index(channel)].astype(np.uint16)
    return entries
