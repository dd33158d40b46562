"""A whole body as a gamma camera counts it after a bone-seeking tracer.

Each part adds counts, and the noise is the square root of their sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data.make.drawing import (
    Field,
    blurred,
    capsule,
    ellipse,
    grain,
    grid,
    ramp,
    to_integers,
)

__all__ = ["SPACING", "bone_scan"]

SPACING = 4.8
"""Millimetres between the pixels."""


def bone_scan(*, posterior: bool) -> NDArray[np.int64]:
    """Return counts of a whole-body scan three hours after a bone-seeking tracer, 384 x 128.

    Parameters
    ----------
    posterior : bool
        From behind (spine, kidneys, shoulder blades near) rather than from the front.
    """
    x, y = grid(384, 128, SPACING)
    front = 0.0 if posterior else 1.0
    near = 1.0 - front
    counts = np.zeros_like(x)

    def add(distance: Field, amount: float, soft: float = 9.0) -> None:
        nonlocal counts
        counts = counts + amount * ramp(distance, soft, -soft)

    add(capsule(x, y, (0.0, -560.0), (0.0, -60.0), 132.0, 150.0), 3.2, 14.0)
    add(ellipse(x, y, (0.0, -770.0), (78.0, 100.0)), 3.0, 12.0)
    head = ellipse(x, y, (0.0, -778.0), (68.0, 88.0))
    add(np.abs(head + 6.0) - 6.0, 10.0)
    add(head, 8.0)
    if not posterior:
        for side in (-1.0, 1.0):
            add(ellipse(x, y, (side * 26.0, -752.0), (15.0, 12.0)), 7.0)
        add(capsule(x, y, (-26.0, -708.0), (26.0, -708.0), 16.0), 9.0)
    for number in range(21):
        middle = -672.0 + 24.0 * number + 0.25 * number * number
        add(ellipse(x, y, (0.0, middle), (15.0 + 0.45 * number, 11.0)), 9.0 + 15.0 * near, 7.0)
    add(ellipse(x, y, (0.0, -20.0), (38.0, 48.0)), 8.0 + 12.0 * near)
    if not posterior:
        add(capsule(x, y, (0.0, -575.0), (0.0, -440.0), 13.0, 10.0), 20.0)
        add(ellipse(x, y, (0.0, 42.0), (34.0, 26.0)), 95.0, 12.0)
    else:
        add(ellipse(x, y, (0.0, 44.0), (30.0, 22.0)), 38.0, 13.0)
    for side in (-1.0, 1.0):
        u = side * x
        for number in range(11):
            reach, top = (
                (74.0, 96.0, 110.0, 119.0, 125.0, 129.0, 131.0, 131.0, 129.0, 124.0, 112.0)[number],
                -600.0 + 30.0 * number,
            )
            band = ellipse(u, y, (reach * 0.5, top + 28.0), (reach * 0.52, 24.0), (0.96, 0.28))
            half = ramp((y - top - 28.0) * 0.96 - (u - reach * 0.5) * 0.28, 6.0, -6.0)
            seen = half if posterior else (1.0 - half) * ramp(u, 18.0, 40.0) * (1.0 if number < 8 else 0.3)
            counts = counts + 9.5 * ramp(np.abs(band) - 4.0, 6.0, -6.0) * seen
        add(capsule(u, y, (18.0, -598.0), (120.0, -622.0), 6.0), 6.0 + 7.0 * front)
        blade = np.maximum(
            capsule(u, y, (118.0, -590.0), (100.0, -480.0), 28.0, 10.0),
            -ellipse(u, y, (72.0, -535.0), (18.0, 50.0)),
        )
        add(blade, 4.0 + 9.0 * near)
        add(ellipse(u, y, (152.0, -592.0), (25.0, 25.0)), 16.0)
        add(capsule(u, y, (156.0, -590.0), (192.0, -330.0), 13.0, 11.0), 6.5)
        add(ellipse(u, y, (194.0, -322.0), (17.0, 17.0)), 8.0)
        add(capsule(u, y, (196.0, -316.0), (214.0, -90.0), 13.0, 10.0), 5.5)
        add(capsule(u, y, (216.0, -74.0), (226.0, 28.0), 19.0, 8.0), 6.5, 11.0)
        crest = np.maximum(
            ellipse(u, y, (66.0, -62.0), (62.0, 58.0), (0.8, 0.6)), -ellipse(u, y, (46.0, -6.0), (44.0, 46.0))
        )
        add(crest, 7.0 + 4.0 * near)
        add(np.abs(crest + 5.0) - 5.0, 6.0)
        if posterior:
            add(capsule(u, y, (34.0, -68.0), (30.0, -14.0), 9.0), 24.0)
            add(ellipse(u, y, (62.0, -232.0 + 6.0 * side), (24.0, 40.0), (0.96, -0.28)), 22.0, 10.0)
        add(np.abs(ellipse(u, y, (42.0, 52.0), (26.0, 32.0))) - 6.0, 8.0)
        add(ellipse(u, y, (98.0, 22.0), (27.0, 27.0)), 13.0)
        add(capsule(u, y, (90.0, 10.0), (122.0, 50.0), 17.0, 22.0), 8.0)
        add(capsule(u, y, (116.0, 50.0), (84.0, 380.0), 17.0, 15.0), 7.0)
        add(ellipse(u, y, (80.0, 404.0), (36.0, 28.0)), 12.0 + 4.0 * front)
        add(ellipse(u, y, (78.0, 440.0), (33.0, 17.0)), 10.0)
        add(capsule(u, y, (76.0, 440.0), (66.0, 772.0), 14.0, 11.0), 6.5)
        add(capsule(u, y, (64.0, 784.0), (70.0, 852.0), 19.0, 13.0), 9.0)
    # Three foci to find: a rib, a vertebra, the right femur.
    mirror = -1.0 if posterior else 1.0
    add(ellipse(x, y, (mirror * 106.0, -470.0), (9.0, 9.0)), 46.0, 7.0)
    add(ellipse(x, y, (mirror * 5.0, -246.0), (14.0, 12.0)), 26.0 + 40.0 * near, 7.0)
    add(capsule(x, y, (mirror * -108.0, 130.0), (mirror * -103.0, 172.0), 10.0), 42.0, 7.0)
    smooth = blurred(counts, 2) + 0.35
    noisy = smooth + np.sqrt(smooth) * grain(x.shape, seed=221 + int(posterior))
    return to_integers(noisy, 0, 32767)
