"""An abdomen for CT, in Hounsfield units, from the lung bases down to the kidneys.

Organs are shapes in space painted one over another, each slice asking where it cuts them.
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
    ellipsoid,
    grain,
    grid,
    paint,
    ramp,
    to_integers,
)

__all__ = ["CYST_DIAMETER", "PADDING", "SPACING", "abdomen"]

SPACING = 1.5
"""Millimetres between the pixels."""
PADDING = -2000
"""Stored value outside the round field of view."""
CYST_DIAMETER = 24.0
"""How wide the cyst of the liver is where it is widest, in mm; the structured report measures it."""

_CYST_CENTRE = (-92.0, -12.0, 18.0)  # its middle lies in the fifth slice
_AIR, _LUNG, _FAT, _MUSCLE, _FLUID, _MARROW, _CORTEX = -1000.0, -840.0, -102.0, 58.0, 8.0, 190.0, 640.0

# The vessels of the liver: start, end (x, y, z each), radius; all in mm.
_LIVER_VESSELS = (
    ((-24.0, -4.0, 8.0), (-60.0, -14.0, 14.0), 6.5),
    ((-60.0, -14.0, 14.0), (-92.0, -44.0, 20.0), 4.2),
    ((-60.0, -14.0, 14.0), (-104.0, 22.0, 4.0), 4.4),
    ((-38.0, -8.0, 10.0), (-34.0, -58.0, 22.0), 3.8),
    ((-92.0, -44.0, 20.0), (-96.0, -68.0, 34.0), 2.6),
    ((-104.0, 22.0, 4.0), (-126.0, 32.0, -14.0), 2.8),
    ((-30.0, 22.0, 52.0), (-70.0, -20.0, 40.0), 5.0),
    ((-70.0, -20.0, 40.0), (-110.0, -22.0, 26.0), 3.4),
    ((-30.0, 22.0, 52.0), (-96.0, 34.0, 36.0), 4.6),
    ((-30.0, 22.0, 52.0), (-12.0, -46.0, 38.0), 4.2),
)


def _vessel(
    x: Field,
    y: Field,
    z: float,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: float,
) -> Field:
    """Distance to a line in space with a round cross-section, at the height `z`."""
    dx, dy, dz = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    along = ((x - start[0]) * dx + (y - start[1]) * dy + (z - start[2]) * dz) / (dx * dx + dy * dy + dz * dz)
    along = np.clip(along, 0.0, 1.0)
    ax, ay, az = x - start[0] - along * dx, y - start[1] - along * dy, z - start[2] - along * dz
    return np.sqrt(ax * ax + ay * ay + az * az) - radius * (1.0 - 0.25 * along)


def abdomen(z: float) -> NDArray[np.int64]:
    """Return the stored values (HU + 1024) of a contrast-enhanced slice, 256 x 256.

    Parameters
    ----------
    z : float
        Height of the slice in mm, -70 (kidneys) to 70 (lung bases).
    """
    x, y = grid(256, 256, SPACING)
    layer = int(z + 1000)
    image = np.full(x.shape, _AIR)
    # The couch: a shell of carbon fibre about foam.
    couch = np.maximum(ellipse(x, y, (0.0, -170.0), (330.0, 312.0)), 132.0 - y)
    image = paint(paint(image, couch, -60.0), couch + 4.0, -930.0)

    skin = ellipse(x, y, (0.0, 0.0), (164.0, 118.0 - 0.03 * z))
    skin = skin + 2.0 * clouds(x, y, 70.0, seed=11)
    image = paint(image, skin, 30.0)
    image = paint(image, skin + 2.5, _FAT + 8.0 * clouds(x, y, 9.0, seed=12, z=layer))
    wall = ellipse(x, y, (0.0, 2.0), (146.0, 99.0 - 0.03 * z)) + 2.0 * clouds(x, y, 60.0, seed=13)
    image = paint(image, wall, _MUSCLE + 14.0 * clouds(x, y, 5.0, seed=14, z=layer), blur=1.4)
    # Thin sheets of fat part the layers of muscle.
    image = paint(image, np.abs(wall + 5.5) - 0.7, -40.0, strength=0.6)
    cavity = ellipse(x, y, (0.0, -4.0), (133.0, 85.0 - 0.03 * z)) + 1.5 * clouds(x, y, 40.0, seed=15)
    image = paint(image, cavity, _FAT + 6.0 * clouds(x, y, 14.0, seed=16, z=layer), blur=1.4)
    image = _bowel(image, x, y, z, cavity)
    image = _lung_bases(image, x, y, z, cavity)
    image = _organs(image, x, y, z, cavity)
    image = _back(image, x, y, z)
    image = _ribs(image, x, y, z)

    # Scanner noise is smooth at a scale of two pixels, and stronger in the middle of the body.
    noise = blurred(grain(image.shape, seed=layer), 1) * (14.0 + 12.0 * ramp(skin, 0.0, -110.0))
    stored = to_integers(blurred(image, 1) + noise + 1024.0, 0, 3071)
    outside = x * x + y * y > (127.5 * SPACING) ** 2
    return np.where(outside, PADDING, stored)


def _organs(image: Field, x: Field, y: Field, z: float, cavity: Field) -> Field:
    layer = int(z + 1000)
    wobble = 3.0 * clouds(x, y, 26.0, seed=21, z=3)
    parenchyma = 5.0 * clouds(x, y, 6.0, seed=22, z=layer)

    # Liver: a large right lobe and a left one across the midline, cut off by the wall.
    right = ellipsoid(x, y, z, (-76.0, -4.0, 22.0), (62.0, 76.0, 92.0), (0.96, 0.28))
    left = ellipsoid(x, y, z, (-22.0, -46.0, 30.0), (62.0, 29.0, 46.0), (0.96, 0.28))
    liver = np.maximum(np.minimum(right, left) + wobble, cavity + 2.5)
    image = paint(image, liver, 112.0 + parenchyma)
    for start, end, radius in _LIVER_VESSELS:
        image = paint(image, np.maximum(_vessel(x, y, z, start, end, radius), liver + 2.0), 172.0, blur=1.5)
    cyst = ellipsoid(x, y, z, _CYST_CENTRE, (CYST_DIAMETER / 2,) * 3)
    image = paint(image, cyst, _FLUID)
    gallbladder = ellipsoid(x, y, z, (-52.0, -38.0, -26.0), (15.0, 24.0, 27.0), (0.8, 0.6))
    image = paint(paint(image, gallbladder - 1.5, 70.0), gallbladder, 12.0)

    spleen = np.maximum(
        ellipsoid(x, y, z, (102.0, 34.0, 26.0), (30.0, 50.0, 56.0), (0.96, -0.28)),
        -ellipse(x, y, (66.0, 24.0), (34.0, 44.0)),
    )
    image = paint(image, np.maximum(spleen + wobble * 0.5, cavity + 2.5), 124.0 + parenchyma)

    # Stomach: contents settle, so gas lies in front (the patient is supine) with a level.
    stomach = ellipsoid(x, y, z, (58.0, -34.0, 24.0), (46.0, 32.0, 52.0), (0.8, 0.6)) + wobble
    stomach = np.maximum(stomach, cavity + 3.0)
    image = paint(image, stomach, 76.0)
    lumen = stomach + 4.5
    image = paint(image, lumen, 26.0 + 16.0 * clouds(x, y, 7.0, seed=24, z=layer))
    image = paint(image, np.maximum(lumen, y + 42.0), _AIR)

    pancreas = capsule(x, y, (-16.0, -2.0 + 0.2 * z), (66.0, 12.0), 10.0, 7.0) + 2.5 * clouds(
        x, y, 7.0, seed=25
    )
    image = paint(image, pancreas + abs(z + 6.0) * 0.55, 92.0 + parenchyma)

    for side, drop in ((-1.0, -6.0), (1.0, 4.0)):
        centre = (side * 66.0, 44.0, drop - 24.0)
        kidney = ellipsoid(x, y, z, centre, (25.0, 33.0, 58.0), (0.96, side * -0.28)) + 0.4 * wobble
        hilum = ellipsoid(x, y, z, (side * 46.0, 36.0, drop - 24.0), (15.0, 12.0, 22.0))
        image = paint(image, kidney, 196.0)
        pyramids = np.maximum(
            np.abs(kidney + 11.5) - 5.0, -clouds(x, y, 13.0, seed=27, z=int(side) + 2) - 0.35
        )
        image = paint(image, np.maximum(pyramids, kidney + 6.0), 128.0, blur=1.6)
        sinus = ellipsoid(x, y, z, (side * 60.0, 42.0, drop - 24.0), (10.0, 15.0, 34.0), (0.96, side * -0.28))
        image = paint(image, np.minimum(sinus, np.maximum(hilum, kidney - 3.0)), _FAT, blur=1.5)
        image = paint(
            image,
            _vessel(x, y, z, (side * 8.0, 30.0, drop - 22.0), (side * 56.0, 40.0, drop - 22.0), 4.0),
            185.0,
        )
        adrenal = np.minimum(
            capsule(x, y, (side * 34.0, 24.0), (side * 46.0, 44.0), 1.8),
            capsule(x, y, (side * 34.0, 24.0), (side * 34.0, 46.0), 1.8),
        )
        image = paint(image, adrenal + abs(z - 38.0) * 0.15, 66.0)

    image = paint(image, ellipse(x, y, (-25.0, 27.0), (12.5, 9.5)), 148.0)
    aorta = ellipse(x, y, (9.0, 30.0), (11.0, 11.0))
    image = paint(paint(image, aorta - 1.2, 60.0), aorta, 224.0)
    # A fleck of calcium in the wall of the aorta.
    image = paint(
        image,
        np.maximum(np.abs(aorta - 0.4) - 1.0, ellipse(x, y, (17.0, 37.0), (5.0, 5.0))),
        420.0,
        strength=0.8,
    )
    artery = ellipse(x, y, (7.0, 12.0 + 0.10 * abs(z)), (4.0, 4.0))
    return paint(image, artery + max(0.0, z - 18.0), 214.0)


def _bowel(image: Field, x: Field, y: Field, z: float, cavity: Field) -> Field:
    """Loops in front and at the left, more of them further down; some with gas."""
    layer = int((z + 100) // 16)
    for number in range(11):
        centre = (-64.0 + 15.0 * number, -50.0 + 13.0 * ((number * 5 + layer * 3) % 4))
        radius = 9.0 + 1.5 * ((number * 3 + layer) % 4)
        depth = max(0.0, (z + 8.0) * 0.5)
        loop = (
            ellipse(x, y, centre, (radius * 1.3, radius), (0.8, 0.6) if number % 2 else (0.8, -0.6)) + depth
        )
        loop = np.maximum(loop + 2.0 * clouds(x, y, 9.0, seed=30 + number, z=layer), cavity + 3.0)
        image = paint(image, loop, 68.0)
        image = paint(image, loop + 3.0, 24.0 if number % 3 else 190.0)
        if number % 4 == 1:
            image = paint(image, np.maximum(loop + 3.0, y - centre[1] + 1.0), _AIR)
    # The descending colon, at the back on the left, with its stool and gas.
    colon = np.maximum(ellipse(x, y, (106.0, 22.0), (17.0, 19.0)) + max(0.0, (z + 4.0) * 0.6), cavity + 2.0)
    image = paint(image, colon, 60.0)
    return paint(image, colon + 3.0, -180.0 + 420.0 * clouds(x, y, 7.0, seed=45, z=layer))


def _lung_bases(image: Field, x: Field, y: Field, z: float, cavity: Field) -> Field:
    """The sinuses behind liver and spleen, which reach down at the back; widest at the top."""
    for side in (-1.0, 1.0):
        dome = ellipsoid(x, y, z, (side * 64.0, -14.0, -14.0), (66.0, 78.0, 104.0 - 6.0 * side))
        lung = np.maximum(np.maximum(cavity - 1.0, -dome), 10.0 - side * x)
        lung = lung + max(0.0, 26.0 - z) * 1.2 + ramp(y, 40.0, -40.0) * (18.0 + max(0.0, 74.0 - z))
        vessels = 190.0 * np.maximum(clouds(x, y, 5.0, seed=52, z=int(z + 100)) - 0.35, 0.0)
        image = paint(image, lung, _LUNG + vessels, blur=1.6)
    return image


def _back(image: Field, x: Field, y: Field, z: float) -> Field:
    """Muscles of the back and a vertebra, which is a disc every 34 mm."""
    layer = int(z + 1000)
    for side in (-1.0, 1.0):
        muscle = 60.0 + 16.0 * clouds(x, y, 4.0, seed=61, z=layer)
        image = paint(image, ellipse(x, y, (side * 33.0, 88.0), (27.0, 17.0), (0.96, side * 0.28)), muscle)
        image = paint(image, ellipse(x, y, (side * 34.0, 58.0), (14.0, 17.0 - 0.06 * z)), muscle)
    phase = (z + 340.0) % 34.0
    disc = phase < 6.0
    body = np.maximum(ellipse(x, y, (0.0, 58.0), (25.0, 19.0)), ellipse(x, y, (0.0, 56.0), (30.0, 19.5)))
    canal = ellipse(x, y, (0.0, 82.0), (10.5, 8.5))
    arch = np.minimum(
        capsule(x, y, (-13.0, 76.0), (0.0, 96.0), 4.2), capsule(x, y, (13.0, 76.0), (0.0, 96.0), 4.2)
    )
    spinous = capsule(x, y, (0.0, 95.0), (0.0, 108.0), 3.2, 4.2)
    wings = np.minimum(
        capsule(x, y, (-14.0, 76.0), (-44.0, 80.0), 4.6, 3.4),
        capsule(x, y, (14.0, 76.0), (44.0, 80.0), 4.6, 3.4),
    )
    joints = np.minimum(ellipse(x, y, (-17.0, 85.0), (6.5, 8.0)), ellipse(x, y, (17.0, 85.0), (6.5, 8.0)))
    if disc:
        image = paint(image, body, 92.0)
        parts = np.minimum(joints, spinous)
    else:
        image = paint(image, body, _CORTEX)
        marrow = _MARROW + 70.0 * clouds(x, y, 2.6, seed=62, z=layer)
        image = paint(image, body + 2.0, marrow)
        parts = np.minimum(np.minimum(arch, spinous), np.minimum(wings, joints) if phase < 22.0 else arch)
    image = paint(image, parts, _CORTEX)
    image = paint(image, parts + 2.4, _MARROW + 40.0)
    image = paint(image, canal, -30.0)
    image = paint(image, ellipse(x, y, (0.0, 82.0), (8.0, 7.0)), 18.0)
    return paint(image, ellipse(x, y, (0.0, 82.0), (4.6, 3.8)), 44.0)


# Points about the chest wall where ribs may be cut, as directions of length 1 from the middle.
_RIB_DIRECTIONS = (
    (0.28, 0.96),
    (0.6, 0.8),
    (0.8, 0.6),
    (0.96, 0.28),
    (0.992, -0.124),
    (0.936, -0.352),
    (0.8, -0.6),
)


def _ribs(image: Field, x: Field, y: Field, z: float) -> Field:
    """Cuts through ribs, which slope forward and down: further down, fewer are met in front."""
    for side in (-1.0, 1.0):
        for number, (across, back) in enumerate(_RIB_DIRECTIONS):
            if z < -78.0 + 24.0 * number:
                continue
            slide = ((z + 70.0) / 140.0 - 0.5) * 0.10
            centre = (side * 140.0 * (across - slide * back), 4.0 + 93.0 * (back + slide * across))
            rib = ellipse(x, y, centre, (11.0, 4.4), (-back, side * across))
            image = paint(image, rib, _CORTEX)
            image = paint(image, rib + 1.9, _MARROW + 30.0)
    return image
