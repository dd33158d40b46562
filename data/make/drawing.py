"""Shapes, noise and projections to draw phantoms with; the same numbers on every machine.

Only operations that IEEE 754 rounds exactly (add, subtract, multiply, divide, square root) and
integer hashing, element by element. No sine, exponential, random generator, sum or matrix product, whose last
bit differs among processors and versions.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Field",
    "Point",
    "grid",
    "ramp",
    "paint",
    "ellipse",
    "ellipsoid",
    "capsule",
    "ball",
    "tube",
    "grain",
    "clouds",
    "blurred",
    "to_integers",
]

Field: TypeAlias = NDArray[np.float64]
Point: TypeAlias = tuple[float, float]

# Odd multipliers with well mixed bits, and shifts between them, spread neighbouring lattice points apart.
_MIX_X, _MIX_Y, _MIX_Z, _MIX_SEED = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F
_MIX_AFTER = 0x2C1B3C6D


def grid(rows: int, columns: int, spacing: float) -> tuple[Field, Field]:
    """Return x (to the right) and y (downward) of the pixel centres, 0 in the middle of the image.

    Parameters
    ----------
    rows, columns : int
        Size of the image in pixels.
    spacing : float
        Millimetres from pixel to pixel.
    """
    y, x = np.indices((rows, columns), dtype=np.float64)
    return (x - (columns - 1) / 2) * spacing, (y - (rows - 1) / 2) * spacing


def ramp(values: Field, low: float, high: float) -> Field:
    """Return 0 below `low`, 1 above `high`, and a smooth step between; `low` above `high` falls instead."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def paint(
    image: Field, distance: Field, value: Field | float, blur: float = 1.0, strength: float = 1.0
) -> Field:
    """Return `image` with `value` wherever `distance` is negative, the edge being `blur` mm soft."""
    cover = ramp(distance, blur, -blur) * strength
    return image + (value - image) * cover


def ellipse(x: Field, y: Field, centre: Point, radii: Point, turn: Point = (1.0, 0.0)) -> Field:
    """Return about how far outside (positive) or inside (negative) an ellipse each point lies, in mm.

    Parameters
    ----------
    turn : tuple
        Direction of the first axis; given as numbers of length 1 (3/5 and 4/5, say), since a sine is not exact.
    """
    dx, dy = x - centre[0], y - centre[1]
    u, v = dx * turn[0] + dy * turn[1], dy * turn[0] - dx * turn[1]
    return (np.sqrt((u / radii[0]) ** 2 + (v / radii[1]) ** 2) - 1.0) * min(radii)


def ellipsoid(
    x: Field,
    y: Field,
    z: float,
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    turn: Point = (1.0, 0.0),
) -> Field:
    """Return the distance as `ellipse` does, to an ellipsoid cut at the height `z`."""
    dx, dy = x - centre[0], y - centre[1]
    u, v, w = dx * turn[0] + dy * turn[1], dy * turn[0] - dx * turn[1], (z - centre[2]) / radii[2]
    return (np.sqrt((u / radii[0]) ** 2 + (v / radii[1]) ** 2 + w * w) - 1.0) * min(radii[0], radii[1])


def capsule(
    x: Field, y: Field, start: Point, end: Point, radius: float, end_radius: float | None = None
) -> Field:
    """Return the distance to a thick line from `start` to `end`, its radius changing on the way."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    away = np.sqrt((x - start[0] - along * dx) ** 2 + (y - start[1] - along * dy) ** 2)
    return away - (radius + ((radius if end_radius is None else end_radius) - radius) * along)


def ball(distance: Field, radius: float) -> Field:
    """Return how much of a body with a round cross-section a ray passes, in mm, from the distance to its outline."""
    inward = np.clip(-distance, 0.0, radius)
    return 2.0 * np.sqrt(inward * (2.0 * radius - inward))


def tube(distance: Field, radius: float, wall: float, filling: float) -> Field:
    """Return what a ray sees of a long bone: a dense wall around a lighter `filling` (0 to 1)."""
    return ball(distance, radius) - (1.0 - filling) * ball(distance + wall, radius - wall)


def _hashed(x: NDArray[np.int64], y: NDArray[np.int64], z: int, seed: int) -> Field:
    """Return numbers from 0 to 1 that depend on whole coordinates and the seed, and look like chance."""
    bits = (x.astype(np.uint64) * np.uint64(_MIX_X)) ^ (y.astype(np.uint64) * np.uint64(_MIX_Y))
    bits = bits ^ np.uint64((z * _MIX_Z + seed * _MIX_SEED) & 0xFFFFFFFF)
    for shift in (15, 13, 16):
        bits = bits & np.uint64(0xFFFFFFFF)
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(_MIX_AFTER)
    return ((bits >> np.uint64(7)) & np.uint64(0xFFFFFF)).astype(np.float64) / float(0xFFFFFF)


def grain(shape: tuple[int, ...], seed: int) -> Field:
    """Return pixel noise with mean 0 and standard deviation 1, bell-shaped (a sum of four hashed numbers)."""
    y, x = np.indices(shape, dtype=np.int64)
    # Four numbers even between 0 and 1 have mean 2 and variance 4/12 in sum.
    total = _hashed(x, y, 1, seed) + _hashed(x, y, 2, seed) + _hashed(x, y, 3, seed) + _hashed(x, y, 4, seed)
    return (total - 2.0) * 1.7320508075688772


def clouds(x: Field, y: Field, size: float, seed: int, z: int = 0) -> Field:
    """Return smooth blotches from -1 to 1, about `size` mm across."""
    u, v = x / size, y / size
    column, row = np.floor(u), np.floor(v)
    s, t = u - column, v - row
    s, t = s * s * (3.0 - 2.0 * s), t * t * (3.0 - 2.0 * t)
    # Moved into the positive, so that the conversion to unsigned is the same everywhere.
    i, j = column.astype(np.int64) + 4096, row.astype(np.int64) + 4096
    near = _hashed(i, j, z, seed) * (1.0 - s) + _hashed(i + 1, j, z, seed) * s
    far = _hashed(i, j + 1, z, seed) * (1.0 - s) + _hashed(i + 1, j + 1, z, seed) * s
    return (near * (1.0 - t) + far * t) * 2.0 - 1.0


def blurred(image: Field, passes: int = 1) -> Field:
    """Return the image after `passes` of a 3 x 3 filter with weights 1, 2, 1 each way; the edge is repeated."""
    for _ in range(passes):
        wide = np.pad(image, 1, mode="edge")
        wide = (wide[:-2] + 2.0 * wide[1:-1] + wide[2:]) / 4.0
        image = (wide[:, :-2] + 2.0 * wide[:, 1:-1] + wide[:, 2:]) / 4.0
    return image


def to_integers(image: Field, low: int, high: int) -> NDArray[np.int64]:
    """Return whole numbers from `low` to `high`, a half going up."""
    return np.clip(np.floor(image + 0.5), low, high).astype(np.int64)
