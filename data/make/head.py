"""A head for T1-weighted MR: scalp, skull, cortex and the deep nuclei, or the eyes and the cerebellum lower down.

Every layer is a distance inward from the scalp, and furrows push the cortex's surface in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.make.drawing import (
    Field,
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

__all__ = ["SPACING", "head"]

SPACING = 1.3
"""Millimetres between the pixels."""


def head(z: float) -> NDArray[np.int64]:
    """Return a T1-weighted slice, 176 x 176, 12 bits.

    Parameters
    ----------
    z : float
        Height in mm: -32 is at the eyes, 0 at the basal ganglia, 62 near the vertex.
    """
    x, y = grid(176, 176, SPACING)
    layer = int(z + 1000)
    # How much narrower the head is at this height than at its widest.
    shrink = float(np.sqrt(1.0 - (z / 92.0) ** 2)) if z > 0 else float(np.sqrt(1.0 - (z / 150.0) ** 2))
    wide, long = 78.0 * shrink, 97.0 * shrink
    scalp = ellipse(x, y, (0.0, 0.0), (wide, long)) + 1.2 * clouds(x, y, 45.0, seed=71)
    image = np.zeros_like(x)
    image = paint(image, scalp, 620.0)
    image = paint(image, scalp + 2.0, 1500.0 + 160.0 * clouds(x, y, 7.0, seed=72, z=layer))
    skull = scalp + 6.5
    image = paint(image, skull, 110.0)
    # Fatty marrow between the tables of the skull.
    image = paint(image, np.abs(skull + 3.6) - 1.1, 760.0 + 220.0 * clouds(x, y, 9.0, seed=73), blur=1.3)
    dura = skull + 7.0
    image = paint(image, dura, 210.0)
    if z < -20.0:
        return _finished_head(_skull_base(image, x, y, dura), scalp, layer)

    brain = dura + 2.2
    cortex = _folds(x, y, brain, layer)
    grey, white = (
        740.0 + 40.0 * clouds(x, y, 6.0, seed=74, z=layer),
        1180.0 + 45.0 * clouds(x, y, 14.0, seed=75, z=layer),
    )
    image = paint(image, cortex, grey)
    image = paint(image, cortex + 6.0, white, blur=1.2)
    # The gap between the hemispheres, with its own grey banks, except where the corpus callosum crosses.
    gap = np.abs(x + 1.6 * clouds(x, y, 22.0, seed=76))
    crossing = ellipse(x, y, (0.0, 0.0), (26.0, 46.0)) + max(0.0, z - 22.0) * 4.0
    image = paint(image, np.maximum(np.maximum(gap - 5.5, brain), -crossing), grey, blur=1.2)
    image = paint(image, np.maximum(np.maximum(gap - 1.2, brain - 1.0), -crossing), 250.0)
    image = _deep_nuclei(image, x, y, z, grey)
    sinus = ellipse(x, y, (0.0, long - 13.5), (5.0, 4.0))
    return _finished_head(paint(image, sinus, 190.0), scalp, layer)


def _folds(x: Field, y: Field, brain: Field, layer: int) -> Field:
    """The surface of the cortex: furrows run inward where slow noise crosses zero."""
    wind = clouds(x, y, 15.0, seed=83, z=layer // 12) + 0.6 * clouds(x, y, 8.0, seed=84, z=layer // 12)
    furrow = 1.0 - ramp(np.abs(wind), 0.0, 0.36)
    depth = (5.0 - 1.15 * np.minimum(brain, 0.0)) * ramp(brain, -24.0, -14.0)
    return brain + furrow * depth


def _deep_nuclei(image: Field, x: Field, y: Field, z: float, grey: Field) -> Field:
    """Ventricles, caudate, putamen and thalamus, which end some way up."""
    fluid, up = 215.0, max(0.0, z - 14.0) * 0.42
    for side in (-1.0, 1.0):
        putamen = (
            ellipse(x, y, (side * 26.0, -8.0), (6.5, 16.5), (0.96, side * 0.28)) + max(0.0, z - 6.0) * 0.9
        )
        image = paint(image, putamen, grey + 60.0, blur=1.4)
        insula = np.abs(ellipse(x, y, (side * 25.0, -6.0), (14.0, 25.0))) - 2.4
        image = paint(image, np.maximum(insula, 31.0 - side * x) + max(0.0, z - 12.0), grey, blur=1.2)
        thalamus = (
            ellipse(x, y, (side * 10.5, 8.0), (9.0, 13.0), (0.96, side * 0.28)) + max(0.0, z - 9.0) * 0.9
        )
        image = paint(image, thalamus, grey + 110.0, blur=1.4)
        caudate = ellipse(x, y, (side * 13.0, -22.0), (5.5, 10.0), (0.96, side * -0.28)) + up
        image = paint(image, caudate, grey + 40.0, blur=1.2)
        if z < 34.0:
            rise = min(1.0, z / 18.0)
            front = capsule(x, y, (side * 4.0, -18.0 + 6.0 * rise), (side * 12.5, -36.0), 3.4, 4.2)
            body = capsule(
                x, y, (side * 6.0, -18.0), (side * 13.0, 22.0), 3.0 * rise + 0.01, 4.5 * rise + 0.01
            )
            trigone = capsule(x, y, (side * 15.0, 20.0), (side * 25.0, 40.0), 3.2, 5.2)
            ventricle = np.minimum(np.minimum(front, trigone), body if rise > 0.4 else front)
            image = paint(image, ventricle + up * 0.55, fluid, blur=1.1)
            plexus = ellipse(x, y, (side * 21.0, 31.0), (2.4, 4.2))
            image = paint(image, plexus + up, 620.0)
    if z < 8.0:
        image = paint(image, ellipse(x, y, (0.0, 6.0), (1.8, 11.0)), fluid)
        image = paint(image, ellipse(x, y, (0.0, 26.0), (3.6, 2.8)), 940.0)
    return image


def _skull_base(image: Field, x: Field, y: Field, dura: Field) -> Field:
    """The level of the eyes: orbits, temporal lobes, brain stem, cerebellum."""
    bone = np.maximum(dura, y + 8.0)
    image = paint(image, bone, 300.0 + 130.0 * clouds(x, y, 8.0, seed=91))
    for side in (-1.0, 1.0):
        orbit = np.maximum(capsule(x, y, (side * 33.0, -66.0), (side * 13.0, -24.0), 19.0, 5.0), dura - 8.0)
        image = paint(image, orbit - 1.6, 120.0)
        image = paint(image, orbit, 1620.0)
        image = paint(image, capsule(x, y, (side * 31.0, -56.0), (side * 13.0, -20.0), 2.2), 760.0)
        for shift in (-11.0, 11.0):
            muscle = capsule(x, y, (side * 33.0 + shift, -58.0), (side * 14.0 + shift * 0.3, -26.0), 1.9)
            image = paint(image, muscle, 700.0)
        image = paint(image, ellipse(x, y, (side * 33.0, -68.0), (12.4, 12.4)), 640.0)
        image = paint(image, ellipse(x, y, (side * 33.0, -68.0), (11.2, 11.2)), 260.0)
        image = paint(image, ellipse(x, y, (side * 33.5, -77.0), (5.0, 2.8)), 520.0)
        lobe = ellipse(x, y, (side * 40.0, -4.0), (22.0, 25.0), (0.96, side * -0.28))
        folded = np.maximum(_folds(x, y, lobe, 7), dura + 2.0)
        image = paint(image, folded - 2.5, 210.0)
        image = paint(image, folded, 810.0)
        image = paint(image, folded + 4.4, 1160.0, blur=1.2)
        petrous = capsule(x, y, (side * 15.0, 10.0), (side * 58.0, 30.0), 3.0, 8.0)
        image = paint(image, np.maximum(petrous, dura + 1.0), 140.0 + 120.0 * clouds(x, y, 5.0, seed=92))
    # The nose: thin walls in air.
    nose = np.maximum(capsule(x, y, (0.0, -78.0), (0.0, -34.0), 10.0, 9.0), dura - 4.0)
    image = paint(image, nose, 40.0)
    image = paint(image, np.maximum(np.abs(x) - 1.2, nose), 560.0)
    for side in (-1.0, 1.0):
        image = paint(image, np.maximum(np.abs(x - side * 5.5) - 0.9, nose + 1.0), 480.0)
    cerebellum = np.maximum(ellipse(x, y, (0.0, 48.0), (50.0, 32.0)), dura + 3.0)
    # Leaves of the cerebellum follow its outline, one every 5 mm.
    image = paint(image, cerebellum - 3.0, 210.0)
    folds = np.abs(((ellipse(x, y, (0.0, 34.0), (50.0, 44.0)) + 200.0) / 5.0) % 1.0 - 0.5)
    image = paint(image, cerebellum, 560.0 + 620.0 * folds)
    image = paint(image, ellipse(x, y, (-21.0, 44.0), (19.0, 13.0), (0.8, -0.6)), 1140.0, blur=3.0)
    image = paint(image, ellipse(x, y, (21.0, 44.0), (19.0, 13.0), (0.8, 0.6)), 1140.0, blur=3.0)
    image = paint(image, ellipse(x, y, (0.0, 14.0), (20.0, 13.0)), 210.0)
    image = paint(image, ellipse(x, y, (0.0, 15.0), (16.0, 11.5)), 1080.0)
    image = paint(image, ellipse(x, y, (0.0, 31.0), (8.0, 4.0)), 215.0)
    return paint(image, ellipse(x, y, (0.0, 2.5), (2.6, 2.2)), 90.0)


def _finished_head(image: Field, scalp: Field, layer: int) -> NDArray[np.int64]:
    """Add what the coil and the receiver do: brighter near the surface, and noise that is never negative."""
    image = blurred(image, 1) * (0.90 + 0.22 * ramp(scalp, -70.0, 0.0))
    real = image + 22.0 * grain(image.shape, seed=layer)
    imaginary = 22.0 * grain(image.shape, seed=layer + 5000)
    return to_integers(np.sqrt(real * real + imaginary * imaginary), 0, 4095)
