"""One frame of a Dataset as something to look at: a grey picture with its transformations, or a coloured one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dicomkit._support.pydicom_quiet import PYDICOM_QUIET
from dicomkit.errors import DicomkitError, UnreadableError
from dicomkit.preview._attributes import (
    as_stored_of,
    modality_of,
    padding_of,
    pixel_aspect,
    pixel_presentation,
    unit_of,
    vois_of,
)
from dicomkit.preview._colours import Palette, palette_of, to_rgb
from dicomkit.preview._decoding import Pixels, decode
from dicomkit.preview._overlays import Overlay, overlays_of
from dicomkit.preview._shutters import Shutter, shutter_of
from dicomkit.preview._windows import (
    CT_WINDOWS,
    LookupTable,
    Modality,
    Rescale,
    Voi,
    Window,
    spanning,
    strips,
)
from dicomkit.sources.dataset_reader import reread_if_misread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pydicom import Dataset


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Grey:
    """A picture in shades of grey.

    Attributes
    ----------
    stored : array
        Rows by columns, as stored; of 8, 16 or 32 bits, or float.
    modality : Rescale or LookupTable
        What makes modality values of stored ones.
    vois : tuple of Window or LookupTable
        The looks on offer, the preferred one first; never empty. Two may have the same name (`labels_of` tells them
        apart). The full range among them is that of this frame; see `over` for that of a stack.
    inverse : bool
        Whether the smallest value is white (MONOCHROME1, or Presentation LUT Shape INVERSE).
    padding : tuple of float, or None
        Smallest and largest stored value that are no picture.
    unit : str
        Of the modality values, may be empty.
    aspect : float
        How many times as high as wide a pixel is.
    overlays : tuple of Overlay
    span : tuple of float, or None
        Smallest and largest modality value, padding left out: what the look "Full range" is over. None without one.
    notes : tuple of str
        What is odd about the object and was made up for, in words.
    shutter : Shutter or None
        What is not to be seen.
    palette : Palette or None
        The supplemental palette (PS3.3 C.7.6.19): stored values from its first on are its colours, and no greys.
    """

    stored: NDArray[Any]
    modality: Modality
    vois: tuple[Voi, ...]
    inverse: bool
    padding: tuple[float, float] | None
    unit: str
    aspect: float
    overlays: tuple[Overlay, ...]
    span: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    shutter: Shutter | None = None
    palette: Palette | None = None

    @property
    def is_coloured(self) -> bool:
        """Whether some of it may be seen in colours."""
        return self.palette is not None or (self.shutter is not None and not self.shutter.is_grey)

    @property
    def values(self) -> NDArray[np.float64]:
        """The modality values (HU for CT)."""
        return self.modality.values(self.stored)

    @property
    def range_at(self) -> int | None:
        """Which of `vois` is the full range, None where there is none."""
        if self.span is None:
            return None
        mine = spanning(*self.span)
        return next((at for at, voi in enumerate(self.vois) if voi == mine), None)

    def over(self, low: float, high: float) -> Grey:
        """Return the picture with its full range from `low` to `high`, such as that of a stack it belongs to."""
        at = self.range_at
        if at is None:
            return self
        wider = (*self.vois[:at], spanning(low, high), *self.vois[at + 1 :])
        return replace(self, vois=wider, span=(low, high))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Colour:
    """A picture in colours: `rgb` is rows by columns by 3, in bytes, its shutter closed; the rest as in `Grey`."""

    rgb: NDArray[np.uint8]
    aspect: float
    overlays: tuple[Overlay, ...]
    notes: tuple[str, ...] = ()


Picture = Grey | Colour


def to_8bit(picture: Picture, voi: Voi | None = None, *, invert: bool = False) -> NDArray[np.uint8]:
    """Return what to show of a picture.

    Parameters
    ----------
    picture : Grey or Colour
    voi : Window or LookupTable, optional
        How to look at a grey picture; by default as it prefers. Colours are shown as they are.
    invert : bool
        Whether black and white of a grey picture are swapped; its shutter is not.

    Returns
    -------
    array of uint8
        Rows by columns, 0 black and 255 white, rounded half up; or rows by columns by 3, also where a grey picture
        has a supplemental palette, or a coloured shutter.
    """
    if isinstance(picture, Colour):
        return picture.rgb
    look, modality, stored = voi or picture.vois[0], picture.modality, picture.stored
    levels = np.empty(stored.shape, np.uint8)
    for values, shown in zip(strips(stored), strips(levels), strict=True):
        shown[:] = look.to_8bit(modality.values(values))
    if picture.inverse != invert:
        np.subtract(255, levels, out=levels)
    if not picture.is_coloured:
        if picture.shutter is not None:
            levels[picture.shutter.hidden] = picture.shutter.colour[0]
        return levels
    rgb = np.repeat(levels[..., np.newaxis], 3, axis=-1)
    if picture.palette is not None:
        is_colour = stored >= picture.palette.first
        rgb[is_colour] = picture.palette.rgb(stored[is_colour])
    return _shut(rgb, picture.shutter)


def picture_of(dataset: Dataset, index: int = 0, path: str | Path | None = None) -> Picture:
    """Return a frame of a data set as a picture.

    Parameters
    ----------
    dataset : Dataset
        Is not changed. One that pydicom has misread, since its File Meta is wrong, is read again from where it came.
    index : int
        Which frame, from 0.
    path : path, optional
        Where the data set was read from; its frames are then read one by one from there.

    Returns
    -------
    Grey or Colour
        Stored values and how they are looked at, or colours; with overlays and shutters.

    Raises
    ------
    MissingExtraError
        It is compressed, and the package that decompresses it is not installed.
    UnreadableError
        The pixels are truncated, of a kind that is not known, or contradict their description; or there are none.
    """
    file = Path(path) if path is not None else None
    with PYDICOM_QUIET:  # what is odd shows in the picture
        try:
            dataset = reread_if_misread(dataset, file)
            return _picture(dataset, index, decode(dataset, index, file))
        except DicomkitError:
            raise
        except Exception as error:  # pydicom parses values when they are asked for, and raises what it likes
            raise UnreadableError(
                f"the description of frame {index + 1} cannot be read ({type(error).__name__})"
            ) from error


def _picture(dataset: Dataset, index: int, pixels: Pixels) -> Picture:
    stored, notes = pixels.stored, pixels.notes
    aspect, overlays = pixel_aspect(dataset, index), overlays_of(dataset, index, pixels)
    shutter = shutter_of(dataset, index, (stored.shape[0], stored.shape[1]), aspect)
    if pixels.kind == "PALETTE COLOR":
        palette, odd = palette_of(dataset)
        rgb, notes = palette.rgb(stored), (*notes, *odd)
    elif stored.ndim == 3:
        rgb = to_rgb(stored[..., :3], pixels.kind, pixels.bits.stored)
    else:
        return _grey(dataset, index, pixels, aspect=aspect, overlays=overlays, shutter=shutter)
    return Colour(rgb=_shut(rgb, shutter), aspect=aspect, overlays=overlays, notes=notes)


def _shut(rgb: NDArray[np.uint8], shutter: Shutter | None) -> NDArray[np.uint8]:
    if shutter is None:
        return rgb
    return np.where(shutter.hidden[..., np.newaxis], np.array(shutter.colour, np.uint8), rgb)


def _grey(dataset: Dataset, index: int, pixels: Pixels, **shared: Any) -> Grey:
    stored, modality, padding = pixels.stored, modality_of(dataset, index), padding_of(dataset)
    own = vois_of(dataset, index, modality)
    if not own and (as_stored := as_stored_of(dataset, modality)) is not None:
        own = [as_stored]
    unit = unit_of(dataset, index, modality)
    known = {(voi.center, voi.width) for voi in own if isinstance(voi, Window)}
    customary = [voi for voi in CT_WINDOWS if unit == "HU" and (voi.center, voi.width) not in known]
    # PS3.3 C.11.6: INVERSE says the same as MONOCHROME1, which an image may say as well.
    inverse = pixels.kind == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    palette, palette_notes = _supplemental_palette(dataset, index)
    # One bit is black or white, whatever the frame happens to hold.
    is_binary = 1 in (dataset.get("BitsAllocated"), dataset.get("BitsStored"))
    greys = stored if palette is None else stored[stored < palette.first]
    greys = np.array([0, 1], np.uint8) if is_binary else greys
    span = _span(greys, modality, padding) or _span(greys, modality, None) or (0.0, 0.0)
    return Grey(
        stored=stored,
        modality=modality,
        vois=(*own, spanning(*span), *customary),
        inverse=inverse,
        padding=padding,
        unit=unit,
        span=span,
        notes=(*pixels.notes, *_table_notes(modality, own), *palette_notes),
        palette=palette,
        **shared,
    )


def _supplemental_palette(dataset: Dataset, index: int) -> tuple[Palette | None, list[str]]:
    """Return the palette that a grey frame has beside its greys (PS3.3 C.7.6.19), and what is odd about it.

    Pixel Presentation says that it is to be used (C.8.16.2.1.1), of the image or of a frame where these are mixed; a
    palette without it is hardly there for nothing.
    """
    if "RedPaletteColorLookupTableDescriptor" not in dataset:
        return None, []
    presentation = pixel_presentation(dataset, index)
    if presentation in ("MONOCHROME", "TRUE_COLOR"):
        return None, [f"its Pixel Presentation is {presentation}, and its supplemental palette is not used"]
    try:
        return palette_of(dataset)
    except UnreadableError as error:
        return None, [f"the colours of its supplemental palette are not shown: {error}"]


def _table_notes(modality: Modality, own: list[Voi]) -> Iterator[str]:
    if isinstance(modality, LookupTable) and modality.note:
        yield f"the Modality LUT {modality.note}"
    for voi in own:
        if isinstance(voi, LookupTable) and voi.note:
            yield f"{'' if voi.name.startswith('VOI LUT') else 'the VOI LUT '}{voi.name} {voi.note}"


def _span(
    stored: NDArray[Any], modality: Modality, padding: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Return the smallest and the largest modality value, padding and what is no finite number left out."""
    lows, highs = [], []
    for strip in strips(stored):
        counted = strip if strip.dtype.kind in "iu" else strip[np.isfinite(strip)]
        if padding is not None:
            counted = counted[(counted < padding[0]) | (counted > padding[1])]
        if isinstance(modality, Rescale) and counted.size:
            counted = np.array([counted.min(), counted.max()])
        if counted.size:
            values = modality.values(counted)
            lows.append(float(values.min()))
            highs.append(float(values.max()))
    return (min(lows), max(highs)) if lows else None
