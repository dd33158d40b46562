"""A lower back for T2-weighted MR, cut near the midline.

A table of vertebrae with their tilt, from which discs, canal and nerves follow.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from data.make.drawing import (
    Field,
    Point,
    blurred,
    capsule,
    clouds,
    ellipse,
    grain,
    grid,
    paint,
    ramp,
    to_integers,
)

__all__ = ["SPACING", "spine"]

SPACING = 1.25
"""Millimetres between the pixels."""

# Middles of the vertebral bodies from T11 to L5 (x to the back, y downward, in mm) and their tilt.
_VERTEBRAE = (
    ((14.0, -124.0), (0.99, -0.1411)),
    ((8.0, -91.0), (0.99, -0.1411)),
    ((2.0, -56.0), (0.99, -0.1411)),
    ((-3.0, -19.0), (0.9968, -0.08)),
    ((-5.0, 19.0), (1.0, 0.0)),
    ((-2.0, 58.0), (0.98, 0.199)),
    ((8.0, 95.0), (0.92, 0.3919)),
)


def spine(offset: float) -> NDArray[np.int64]:
    """Return a T2-weighted sagittal slice of the lower back, 256 x 256, 12 bits; the patient faces left.

    Parameters
    ----------
    offset : float
        Distance from the midline in mm.
    """
    x, y = grid(256, 256, SPACING)
    layer = int(offset + 500)
    front = -112.0 + 16.0 * ramp(np.abs(y - 10.0), 150.0, 0.0) * -1.0
    back = 98.0 - 14.0 * ramp(np.abs(y - 20.0), 110.0, 0.0)
    body = np.maximum(front - x, x - back)
    image = paint(np.zeros_like(x), body, 1250.0 + 90.0 * clouds(x, y, 18.0, seed=101), blur=1.5)
    belly = np.maximum(front + 15.0 - x, x - 6.0)
    loops = clouds(x, y, 20.0, seed=102) + 0.6 * clouds(x, y, 10.0, seed=103)
    image = paint(image, belly, 620.0 + 260.0 * loops, blur=3.0)
    # Great vessels run fast, and so are black.
    image = paint(image, capsule(x, y, (-16.0, -170.0), (-28.0, 62.0), 8.5, 7.0), 90.0)
    image = paint(
        image,
        capsule(x, y, (34.0, -170.0), (62.0, 170.0), 25.0, 24.0),
        420.0 + 240.0 * clouds(x, y, 6.0, seed=104),
        3.0,
    )
    image = _canal(image, x, y, offset)
    centres = [centre for centre, _ in _VERTEBRAE]
    for (cx, cy), (ux, uy) in _VERTEBRAE:
        u, v = (x - cx) * ux + (y - cy) * uy, (y - cy) * ux - (x - cx) * uy
        waist = 2.0 * ramp(np.abs(v), 13.0, 0.0)
        box = np.maximum(np.abs(u) - 17.5 + waist, np.abs(v) - 13.5 + 1.2 * ramp(np.abs(u), 14.0, 0.0))
        box = np.maximum(box, (np.abs(u) + np.abs(v) - 28.0) * 0.7)
        image = paint(image, box - 1.6, 90.0)
        image = paint(image, box, 760.0 + 110.0 * clouds(x, y, 6.0, seed=105, z=layer))
        image = paint(image, np.maximum(np.abs(v) - 1.0, np.maximum(8.0 - u, u - 16.5)), 420.0, blur=1.5)
        spinous = capsule(
            x, y, (cx + 50.0, cy + 8.0 + uy * 40.0), (cx + 68.0, cy + 17.0 + uy * 58.0), 7.0, 8.0
        )
        image = paint(paint(image, spinous, 110.0), spinous + 1.8, 820.0)
    sacrum = capsule(x, y, (26.0, 128.0), (62.0, 168.0), 17.0, 12.0)
    image = paint(
        paint(image, sacrum - 1.6, 90.0), sacrum, 760.0 + 110.0 * clouds(x, y, 6.0, seed=105, z=layer)
    )
    for number, ((ax, ay), (bx, by)) in enumerate(zip(centres, [*centres[1:], (22.0, 128.0)], strict=True)):
        tilt = _VERTEBRAE[number][1]
        centre: Point = ((ax + bx) / 2, (ay + by) / 2)
        disc = ellipse(x, y, centre, (20.0, 5.6 if number < 6 else 6.4), tilt)
        image = paint(image, disc, 160.0)
        # The last but one is dry and bulges a little: what a reader is meant to find.
        if number == 5:
            image = paint(image, ellipse(x, y, (centre[0] + 20.0, centre[1] + 4.0), (5.5, 5.0)), 190.0)
        image = paint(
            image, ellipse(x, y, centre, (13.5, 3.6), tilt), 300.0 if number == 5 else 1450.0, blur=1.4
        )
    image = blurred(image, 1) * (0.55 + 0.5 * ramp(x, -150.0, 60.0))
    real = image + 20.0 * grain(image.shape, seed=layer)
    imaginary = 20.0 * grain(image.shape, seed=layer + 5000)
    return to_integers(np.sqrt(real * real + imaginary * imaginary), 0, 4095)


def _canal(image: Field, x: Field, y: Field, offset: float) -> Field:
    """The sac of fluid behind the vertebrae, the cord that ends at L1, and its roots below."""
    path = [(cx + 28.0 * ux, cy + 28.0 * uy) for (cx, cy), (ux, uy) in _VERTEBRAE]
    path = [(38.0, -165.0), *path, (50.0, 132.0)]
    sac = np.full(x.shape, 1e3)
    cord = np.full(x.shape, 1e3)
    roots = np.full(x.shape, 1e3)
    for number, (start, end) in enumerate(pairwise(path)):
        sac = np.minimum(sac, capsule(x, y, start, end, 7.0))
        if number < 3:
            cord = np.minimum(cord, capsule(x, y, start, end, 4.0, 4.0 if number < 2 else 1.4))
        else:
            for lag in (1.5, 4.5):
                roots = np.minimum(
                    roots, capsule(x, y, (start[0] + lag, start[1]), (end[0] + lag, end[1]), 0.7)
                )
    away = max(0.0, abs(offset) - 4.0)
    image = paint(image, sac - 3.5 + away, 900.0, blur=1.5)
    image = paint(image, sac + away, 1750.0)
    image = paint(image, roots + away, 800.0, blur=0.9)
    return paint(image, cord + away, 760.0)
