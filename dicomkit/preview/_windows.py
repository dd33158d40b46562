"""From stored values to modality values, and from those to 8 bits: the arithmetic of PS3.3 C.11.1 and C.11.2.

The browser does the same, in the same order of operations and the same double precision (`widgets/image/pixels.js`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
# PS3.3 C.11.2.1.2 and C.11.2.1.3
WINDOW_FUNCTIONS: tuple[Function, ...] = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

WHITE = 255
_NARROWEST = float(np.finfo(np.float32).tiny)  # of a picture that is of one value
# Values that are computed at a time: double floats of them fit a cache, and colours are whole.
_STRIP = 3 << 17


def strips(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield an array's values in order, so many at a time that temporary ones take little memory."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, _STRIP):
        yield flat[start : start + _STRIP]


def round_half_up(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return grey levels in 0..255 as bytes; what is not a number becomes 0."""
    rounded = np.floor(np.nan_to_num(levels, nan=0.0, posinf=float(WHITE), neginf=0.0) + 0.5)
    return np.clip(rounded, 0, WHITE).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Rescale:
    """The linear modality transformation: ``slope * stored + intercept`` (PS3.3 C.11.1.1.2)."""

    slope: float = 1.0
    intercept: float = 0.0

    def values(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Return the modality values of stored ones."""
        values: NDArray[np.float64] = stored.astype(np.float64) * self.slope + self.intercept
        return values


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """A modality LUT or a VOI LUT (PS3.3 C.11.1.1 and C.11.2.1.1), its outputs of `bits` bits.

    Inputs below `first` take the first entry, too large ones the last. `name` is the LUT Explanation, and `note` says
    what is odd about the table.
    """

    first: int
    entries: NDArray[np.uint16]
    bits: int
    name: str = ""
    note: str = ""

    def values(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return the outputs for the inputs, which are rounded half up where they are no integers."""
        steps = np.floor(np.nan_to_num(inputs.astype(np.float64), nan=float(self.first)) + 0.5) - self.first
        index = np.clip(steps, 0, len(self.entries) - 1).astype(np.intp)
        outputs: NDArray[np.float64] = self.entries[index].astype(np.float64)
        return outputs

    def to_8bit(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the outputs, the largest that `bits` can hold becoming 255."""
        return round_half_up(self.values(values) * WHITE / (2**self.bits - 1))


@dataclass(frozen=True, slots=True)
class Window:
    """A window over modality values, in their unit (HU for CT), by a function of PS3.3 C.11.2.1.2 or C.11.2.1.3.

    Raises
    ------
    ValueError
        For a width that the function has no meaning for, or a function that the standard does not define.
    """

    center: float
    width: float
    function: Function = "LINEAR"
    name: str = ""

    def __post_init__(self) -> None:
        if self.function not in WINDOW_FUNCTIONS:
            raise ValueError(
                f"VOI LUT Function {self.function!r} is none of {', '.join(WINDOW_FUNCTIONS)} (PS3.3 C.11.2.1.2)"
            )
        if not np.isfinite(self.center) or not np.isfinite(self.width):
            raise ValueError(f"window center {self.center} and width {self.width} must be finite numbers")
        if self.function == "LINEAR" and self.width < 1:
            raise ValueError(f"window width {self.width:g} is below 1; use LINEAR_EXACT for narrower windows")
        if self.width <= 0:
            raise ValueError(f"window width {self.width:g} must be above 0")

    def to_8bit(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the grey levels 0..255 of modality values, rounded half up."""
        x = values.astype(np.float64)
        with np.errstate(all="ignore"):  # NaN and infinity among float pixels are given a level by rounding
            center, width = self.center, self.width
            if self.function == "SIGMOID":  # C.11.2.1.3.1
                return round_half_up(WHITE / (1 + np.exp(-4.0 * (x - center) / width)))
            if self.function == "LINEAR":  # C.11.2.1.2.1
                center, width = center - 0.5, width - 1.0
            levels = ((x - center) / width + 0.5) * WHITE if width else np.zeros_like(x)
            levels = np.where(x <= center - width / 2, 0.0, levels)
            levels = np.where(x > center + width / 2, float(WHITE), levels)
        return round_half_up(levels)


Modality = Rescale | LookupTable
Voi = Window | LookupTable

CT_WINDOWS = (
    Window(40, 400, name="CT soft tissue"),
    Window(-600, 1500, name="CT lung"),
    Window(50, 350, name="CT mediastinum"),
    Window(90, 150, name="CT liver"),
    Window(400, 1800, name="CT bone"),
    Window(40, 80, name="CT brain"),
)
"""Windows in HU that radiologists start from; custom, no standard."""


def labels_of(vois: Iterable[Voi]) -> list[str]:
    """Return a name for each look, no two alike.

    A look is what it is (a window or a table, the first or the second of its kind); what the data set calls it is free
    text, and may be said twice (PS3.3 C.11.2.1.1 and C.11.2.1.2). The first of a name keeps it; a later one gets its
    kind and its number among its kind, as in ``NORMAL (window 1)``.
    """
    labels: list[str] = []
    counts = {"window": 0, "VOI LUT": 0}
    for voi in vois:
        kind = "VOI LUT" if isinstance(voi, LookupTable) else "window"
        counts[kind] += 1
        place = f"{kind} {counts[kind]}"
        label = voi.name or place
        while label in labels:
            label = f"{label} ({place})"
        labels.append(label)
    return labels


def spanning(low: float, high: float, name: str = "Full range") -> Window:
    """Return the window that shows `low` as black and `high` as white."""
    low, high = float(low), float(high)
    if low.is_integer() and high.is_integer():
        return Window((low + high + 1) / 2, high - low + 1, name=name)
    return Window((low + high) / 2, max(high - low, _NARROWEST), "LINEAR_EXACT", name)
