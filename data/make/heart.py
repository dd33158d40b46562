"""A beating heart for ultrasound, four chambers with the blood's flow in colour.

One number a frame, how far the ventricles are contracted, moves everything.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.make.drawing import (
    Field,
    capsule,
    clouds,
    ellipse,
    grain,
    grid,
    paint,
    ramp,
    to_integers,
)

__all__ = ["DEPTH", "FRAMES", "MILLIMETRES_PER_PIXEL", "heart"]

DEPTH = 150.0
"""Depth that the image shows, in mm."""
MILLIMETRES_PER_PIXEL = DEPTH / 152.0

# How far the ventricles are contracted in each frame of one beat (0 at rest, 1 at most).
_CONTRACTION = (0.0, 0.12, 0.42, 0.78, 1.0, 0.92, 0.62, 0.34, 0.16, 0.05)
FRAMES = len(_CONTRACTION)


def heart(frame: int) -> NDArray[np.uint8]:
    """Return one frame of an apical four-chamber view with colour Doppler, 160 x 208 x RGB.

    Parameters
    ----------
    frame : int
        0 to ``FRAMES - 1``, one heart beat.
    """
    squeeze = _CONTRACTION[frame]
    rows, columns, spacing = 160, 208, MILLIMETRES_PER_PIXEL
    x, y = grid(rows, columns, spacing)
    y = y - y[0, 0] - 4.0 * spacing
    depth = np.sqrt(x * x + np.maximum(y, 0.0) ** 2)
    slope = x / np.maximum(y, 0.5)
    sector = np.maximum(np.maximum(np.abs(slope) - 0.84, (depth - DEPTH) / 60.0), (6.0 - y) / 10.0)

    # Tissue: muscle around two ventricles (near the probe, above) and two atria, moving with the beat.
    pull = 9.0 * squeeze
    outer = np.minimum(
        ellipse(x, y, (2.0, 78.0), (48.0 - 2.0 * squeeze, 56.0)),
        ellipse(x, y, (0.0, 118.0), (42.0, 27.0)),
    )
    left = ellipse(
        x, y, (21.0, 62.0 + 0.5 * pull), (18.0 - 7.5 * squeeze, 33.0 - 7.0 * squeeze), (0.992, -0.124)
    )
    right = ellipse(
        x, y, (-20.0, 66.0 + 0.5 * pull), (14.0 - 5.5 * squeeze, 27.0 - 5.0 * squeeze), (0.992, 0.124)
    )
    left_atrium = ellipse(x, y, (19.0, 117.0), (16.0 + 3.0 * squeeze, 14.0 + 3.0 * squeeze))
    right_atrium = ellipse(x, y, (-20.0, 116.0), (15.0 + 2.5 * squeeze, 14.0 + 2.5 * squeeze))
    blood = np.minimum(np.minimum(left, right), np.minimum(left_atrium, right_atrium))
    opened = 1.0 - min(1.0, squeeze * 1.6)
    for middle in (20.0, -20.0):
        inflow = capsule(x, y, (middle, 88.0 + pull), (middle, 104.0), 8.5)
        blood = np.minimum(blood, inflow)

    echo = np.full(x.shape, 30.0) + 16.0 * clouds(x, y, 16.0, seed=111)
    echo = paint(echo, outer, 92.0 + 24.0 * clouds(x, y, 7.0, seed=112), blur=2.5)
    echo = paint(echo, np.abs(outer) - 1.6, 178.0, blur=2.0, strength=0.8)
    echo = paint(echo, np.abs(blood) - 1.2, 150.0, blur=1.5, strength=0.7)
    echo = paint(echo, blood, 6.0, blur=1.4)
    for middle in (20.0, -20.0):
        for side in (-1.0, 1.0):
            hinge = (middle + side * 9.5, 97.0 + pull * 0.6)
            tip = (middle + side * (1.0 + 7.0 * opened), 97.0 + pull * 0.6 - 3.0 - 11.0 * opened)
            echo = paint(echo, capsule(x, y, hinge, tip, 1.3, 0.9), 205.0, blur=1.1)

    # Speckle: fine along the beam, broad across it, and riding on the beat.
    along, across = depth - 3.0 * squeeze * ramp(outer, 8.0, -8.0), slope * 150.0
    speckle = clouds(across, along * 3.2, 5.0, seed=113, z=frame // 5) + 0.7 * clouds(
        across, along * 3.2, 2.6, seed=114, z=frame
    )
    gain = 0.80 + 0.5 * ramp(depth, 20.0, 120.0) - 0.35 * ramp(depth, 125.0, 150.0)
    echo = echo * gain * (1.0 + 0.62 * speckle) + 2.5 * grain(x.shape, seed=900 + frame)
    # A dropout where a rib shadows the beam.
    echo = echo * (1.0 - 0.55 * ramp(np.abs(slope + 0.66), 0.09, 0.02))
    grey = np.where(sector < 0.0, np.clip(echo, 0.0, 235.0), 0.0)

    red, green, blue = grey.copy(), grey.copy(), grey.copy()
    # Colour: filling runs toward the probe (red), a leak of the mitral valve away from it (blue).
    box = np.maximum((np.abs(slope - 0.2) - 0.2) * depth * 0.9, np.abs(depth - 92.0) - 38.0)
    filling = capsule(x, y, (19.0, 112.0), (20.0, 62.0), 6.5, 9.0)
    leak = capsule(x, y, (20.0, 98.0), (17.0, 124.0), 2.2, 6.5)
    for flow, strength, towards in (
        (filling, opened * (0.55 if frame else 0.8), True),
        (leak, min(1.0, squeeze * 1.1), False),
    ):
        inside = np.maximum(np.maximum(flow + 2.0 * clouds(x, y, 5.0, seed=115, z=frame), blood + 0.8), box)
        speed = ramp(flow, 1.0, -6.0) * strength
        shown = (inside < 0.0) & (speed > 0.12)
        ripple = 0.86 + 0.14 * clouds(x, y, 3.0, seed=116, z=frame)
        warm, pale = (150.0 + 105.0 * speed) * ripple, 210.0 * speed * speed * ripple
        red = np.where(shown, warm if towards else 20.0 * ripple, red)
        green = np.where(shown, pale if towards else pale * 0.9, green)
        blue = np.where(shown, 15.0 if towards else warm, blue)
    edge = np.abs(box) < 0.5 * spacing
    for channel in (red, green, blue):
        channel[edge] = 225.0
    picture = np.stack([red, green, blue], axis=-1)
    _scales(picture, frame)
    return to_integers(picture, 0, 255).astype(np.uint8)


def _scales(picture: Field, frame: int) -> None:
    """Draw what stands beside the sector: depth ticks, a grey bar, a colour bar, and how far the beat is."""
    rows, columns = picture.shape[:2]
    for tick in range(16):
        row = 4 + int(tick * 152 / 15)
        picture[row, columns - (9 if tick % 5 == 0 else 5) : columns - 3] = 190.0
    for step in range(64):
        picture[8 + step // 2, 4:10] = 252.0 - 4.0 * step
        share = step / 63.0
        up = share < 0.5
        strength = abs(share - 0.5) * 2.0
        picture[48 + step // 2, 4:10] = (
            (90.0 + 165.0 * strength, 200.0 * strength * strength, 10.0)
            if up
            else (15.0, 190.0 * strength * strength, 90.0 + 165.0 * strength)
        )
    picture[63:65, 4:10] = 0.0
    # A trace like an ECG along the foot, its part already played being bright.
    trace = (0, 0, 1, 2, 1, 0, 0, -2, 10, -3, 0, 0, 0, 1, 2, 3, 3, 2, 1, 0)
    for column in range(60):
        height, following = trace[column // 3], trace[min(column + 1, 59) // 3]
        played = column * FRAMES < (frame + 1) * 60
        top, foot = rows - 8 - max(height, following), rows - 7 - min(height, following)
        picture[top:foot, 4 + column] = (90.0, 235.0, 120.0) if played else (35.0, 85.0, 45.0)
