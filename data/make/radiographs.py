"""A chest and a hand as plain radiographs.

Each part adds the length that a ray travels in it, and the stored values follow from the sum.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from data.make.drawing import (
    Field,
    Point,
    ball,
    blurred,
    capsule,
    clouds,
    ellipse,
    grain,
    grid,
    paint,
    ramp,
    to_integers,
    tube,
)

__all__ = ["CHEST_SPACING", "HAND_SPACING", "chest", "hand"]

CHEST_SPACING = 0.9
"""Millimetres between the pixels of the chest radiograph."""
HAND_SPACING = 0.5


def _dome(x: Field, y: Field, centre: Point, radii: Point, depth: float, turn: Point = (1.0, 0.0)) -> Field:
    """Length of a ray through an ellipsoid that is `depth` mm deep in its middle."""
    distance = ellipse(x, y, centre, radii, turn)
    return ball(distance, min(radii)) * (depth / (2.0 * min(radii)))


def chest() -> NDArray[np.int64]:
    """Return a chest seen from the front, 456 x 400, 12 bits, high values being dark (MONOCHROME1)."""
    x, y = grid(456, 400, CHEST_SPACING)
    # Soft tissue in mm of water: trunk, shoulders, neck, upper arms.
    trunk = capsule(x, y, (0.0, -60.0), (0.0, 260.0), 148.0, 152.0)
    depth = 190.0 * ramp(trunk, 4.0, -70.0)
    for side in (-1.0, 1.0):
        slope = capsule(x, y, (side * 28.0, -176.0), (side * 142.0, -118.0), 44.0, 46.0)
        arm = capsule(x, y, (side * 168.0, -112.0), (side * 206.0, 120.0), 42.0, 40.0)
        depth = np.maximum(depth, 120.0 * ramp(slope, 4.0, -50.0))
        depth = np.maximum(depth, 96.0 * ramp(arm, 2.0, -40.0))
    neck = capsule(x, y, (0.0, -280.0), (0.0, -150.0), 58.0, 66.0)
    depth = np.maximum(depth, 120.0 * ramp(neck, 3.0, -50.0)) + 6.0 * clouds(x, y, 50.0, seed=201)

    lungs = _lungs(x, y)
    middle = _mediastinum(x, y)
    depth = depth - lungs * (1.0 - 0.85 * middle) + 14.0 * middle + _vessels(x, y, lungs)
    # Below the domes: liver on the left of the image, spleen and the stomach's gas on the right.
    depth = depth - _dome(x, y, (62.0, 128.0), (26.0, 17.0), 62.0, (0.96, 0.28))
    depth = depth - 26.0 * ramp(ellipse(x, y, (0.0, -150.0), (8.0, 78.0)), 2.5, -2.5) * ramp(y, -55.0, -80.0)
    depth = depth + 1.3 * _spine_shadow(x, y) + 5.2 * _rib_cage(x, y) + 3.2 * _shoulder_girdle(x, y)

    signal = depth * 10.5
    image = 3650.0 - signal
    image = blurred(image, 1) + 16.0 * grain(x.shape, seed=202)
    # The collimated edge and a lead marker at the patient's left, both unexposed.
    field = np.maximum(np.abs(x) - 172.0, np.abs(y) - 197.0)
    image = paint(image, -field, 120.0)
    marker = np.minimum(
        capsule(x, y, (152.0, -184.0), (152.0, -166.0), 1.6),
        capsule(x, y, (152.0, -166.0), (162.0, -166.0), 1.6),
    )
    return to_integers(paint(image, marker, 260.0), 0, 4095)


def _lungs(x: Field, y: Field) -> Field:
    """Air of both lungs, in mm; the right dome of the diaphragm stands higher."""
    air = np.zeros_like(x)
    for side, floor in ((-1.0, 92.0), (1.0, 104.0)):
        outline = np.minimum(
            ellipse(x, y, (side * 74.0, -4.0), (58.0, 152.0), (0.9992, side * 0.04)),
            ellipse(x, y, (side * 78.0, 60.0), (59.0, 86.0)),
        )
        dome = ellipse(x, y, (side * 66.0, floor + 70.0), (84.0, 72.0))
        outline = np.maximum(np.maximum(outline, -dome), 17.0 - side * x)
        # Behind the dome some lung goes on, seen faintly through the belly.
        air = air + 118.0 * ramp(outline, 1.2, -32.0) * (0.75 + 0.25 * ramp(outline, 1.0, -2.5))
    return air


def _mediastinum(x: Field, y: Field) -> Field:
    """How much of the lung's place (0 to 1) heart, great vessels and the tissue about the spine take."""
    chambers = ramp(ellipse(x, y, (34.0, 62.0), (58.0, 46.0), (0.8, 0.6)), 1.5, -14.0)
    atrium = ramp(ellipse(x, y, (-6.0, 50.0), (34.0, 46.0)), 1.5, -12.0)
    column = ramp(capsule(x, y, (3.0, -150.0), (3.0, 90.0), 22.0, 25.0), 2.0, -12.0)
    arch = ramp(ellipse(x, y, (22.0, -46.0), (17.0, 16.0)), 1.5, -9.0)
    trunk = ramp(ellipse(x, y, (27.0, -8.0), (18.0, 18.0)), 2.0, -12.0)
    return np.maximum(np.maximum(chambers, np.maximum(atrium, column)), np.maximum(arch, trunk))


def _vessels(x: Field, y: Field, lungs: Field) -> Field:
    """Arteries that fan out of both hila, each forking twice, thinner each time."""
    shadow = np.zeros_like(x)
    fan: tuple[Point, ...] = (
        (0.28, -0.96),
        (0.6, -0.8),
        (0.96, -0.28),
        (0.96, 0.28),
        (0.8, 0.6),
        (0.6, 0.8),
        (0.28, 0.96),
    )
    for side in (-1.0, 1.0):
        root = (side * 32.0, 4.0 - side * 4.0)
        shadow = np.maximum(shadow, _dome(x, y, root, (12.0, 20.0), 14.0, (0.96, side * 0.28)))
        for number, (across, down) in enumerate(fan):
            reach = 34.0 + 5.0 * ((number * 3) % 4)
            fork = (root[0] + side * across * reach, root[1] + down * reach)
            shadow = np.maximum(shadow, ball(capsule(x, y, root, fork, 5.2, 3.2), 5.2))
            for bend in (-0.36, 0.30):
                turned = (across - bend * down, down + bend * across)
                tip = (fork[0] + side * turned[0] * reach, fork[1] + turned[1] * reach)
                shadow = np.maximum(shadow, ball(capsule(x, y, fork, tip, 3.2, 1.5), 3.2))
                for last in (-0.42, 0.38):
                    end = (
                        tip[0] + side * (turned[0] - last * turned[1]) * 24.0,
                        tip[1] + (turned[1] + last * turned[0]) * 24.0,
                    )
                    shadow = np.maximum(shadow, ball(capsule(x, y, tip, end, 1.8, 0.7), 1.8))
    haze = 4.0 * (clouds(x, y, 6.0, seed=203) + clouds(x, y, 3.0, seed=204))
    return (shadow * 1.9 + haze) * ramp(lungs, 4.0, 60.0)


def _spine_shadow(x: Field, y: Field) -> Field:
    bone = np.zeros_like(x)
    for number in range(17):
        height = 17.0 + 0.55 * number
        middle = -196.0 + 21.0 * number + 0.30 * number * number
        half = 12.5 + 0.4 * number
        box = np.maximum(np.abs(x) - half, np.abs(y - middle) - height / 2)
        bone = bone + 8.0 * ramp(box, 0.8, -1.0) + 4.0 * ramp(np.abs(box + 0.8), 1.2, 0.0)
        bone = bone + 5.0 * ramp(ellipse(x, y, (0.0, middle + 6.0), (3.0, 7.0)), 0.8, -0.8)
        for side in (-1.0, 1.0):
            bone = bone + 4.0 * ramp(
                np.abs(ellipse(x, y, (side * half * 0.6, middle - 2.0), (3.0, 4.0))), 1.0, 0.0
            )
            bone = bone + 3.0 * ramp(
                capsule(x, y, (side * half, middle - 4.0), (side * (half + 13.0), middle - 7.0), 3.4),
                0.8,
                -1.5,
            )
    return bone


def _rib_cage(x: Field, y: Field) -> Field:
    """Ten pairs: the back half runs outward and a little down, the front half inward and steeply down."""
    bone = np.zeros_like(x)
    for number in range(10):
        top = -150.0 + 25.5 * number
        reach = (70.0, 94.0, 108.0, 117.0, 123.0, 127.0, 130.0, 132.0, 133.0, 132.0)[number]
        for side in (-1.0, 1.0):
            u = side * x
            middle = reach * 0.5
            back = ellipse(u, y, (middle, top + 34.0), (middle, 25.0 + 1.0 * number), (0.96, 0.28))
            # The line of an ellipse, thickened; its upper half is the back part of the rib.
            tilt = (y - top - 34.0) * 0.96 - (u - middle) * 0.28
            upper = ramp(tilt, 5.0, -3.0)
            lower = ramp(tilt, -3.0, 5.0) * ramp(u, 34.0 + 2.5 * number, 60.0 + 2.5 * number)
            band = 5.8 - 0.08 * number
            rib = tube(np.abs(back) - band, band, 1.5, 0.42)
            bone = bone + rib * (0.72 * upper * ramp(u, 10.0, 16.0) + (0.62 if number < 8 else 0.0) * lower)
    return bone


def _shoulder_girdle(x: Field, y: Field) -> Field:
    bone = np.zeros_like(x)
    for side in (-1.0, 1.0):
        u = side * x
        inner = capsule(u, y, (17.0, -122.0), (66.0, -128.0), 6.4, 5.2)
        outer = capsule(u, y, (66.0, -128.0), (138.0, -152.0), 5.2, 6.6)
        bone = bone + tube(np.minimum(inner, outer), 6.4, 1.8, 0.35) * 0.95
        blade = np.maximum(
            capsule(u, y, (134.0, -128.0), (126.0, -12.0), 26.0, 7.0),
            -ellipse(u, y, (92.0, -70.0), (17.0, 52.0)),
        )
        bone = bone + 2.0 * ramp(blade, 1.0, -1.5) + 3.6 * ramp(np.abs(blade + 1.4), 1.8, 0.0)
        bone = bone + 4.0 * ramp(capsule(u, y, (112.0, -128.0), (150.0, -150.0), 4.0, 7.0), 1.0, -3.0)
        head = ellipse(u, y, (160.0, -124.0), (23.0, 23.0))
        shaft = capsule(u, y, (167.0, -108.0), (194.0, 130.0), 13.5, 11.5)
        bone = bone + 0.6 * tube(np.minimum(head, shaft), 23.0, 4.0, 0.5)
    return bone


# Each ray of the hand: the joints from the wrist to the tip, in mm, and the half width of its bones.
_FINGERS: tuple[tuple[tuple[Point, ...], float], ...] = (
    (((-22.0, 47.0), (-44.0, 14.0), (-56.0, -16.0), (-64.0, -39.0)), 4.6),
    (((-12.0, 36.0), (-22.0, -22.0), (-27.0, -61.0), (-29.5, -85.0), (-31.0, -104.0)), 4.2),
    (((-1.0, 34.0), (-1.0, -25.0), (-1.5, -69.0), (-2.0, -97.0), (-2.5, -117.0)), 4.3),
    (((9.0, 36.0), (17.0, -18.0), (23.0, -59.0), (26.5, -86.0), (28.5, -105.0)), 3.9),
    (((18.0, 40.0), (33.0, -8.0), (44.0, -41.0), (50.5, -60.0), (55.0, -76.0)), 3.5),
)
# Wrist bones: centre, radii, direction.
_CARPALS: tuple[tuple[Point, Point, Point], ...] = (
    ((-20.0, 55.0), (7.0, 6.0), (0.8, 0.6)),
    ((-11.0, 47.0), (6.0, 6.5), (1.0, 0.0)),
    ((0.0, 50.0), (7.0, 11.0), (0.992, -0.124)),
    ((12.0, 52.0), (7.5, 9.0), (0.8, 0.6)),
    ((-14.0, 66.0), (7.0, 11.0), (0.8, 0.6)),
    ((0.0, 70.0), (8.0, 6.5), (1.0, 0.0)),
    ((13.0, 67.0), (7.0, 6.0), (0.8, -0.6)),
    ((17.0, 62.0), (4.5, 4.5), (1.0, 0.0)),
)


def hand() -> NDArray[np.int64]:
    """Return a left hand seen from behind, 480 x 336, 12 bits, high values being bright (MONOCHROME2)."""
    x, y = grid(480, 336, HAND_SPACING)
    # The fingers' table has a right hand's places; a left one, seen from behind, has its thumb on the right.
    x, y = -x, y - 13.0
    skin = capsule(x, y, (-1.0, 6.0), (0.0, 54.0), 33.0, 28.0)
    skin = np.minimum(skin, capsule(x, y, (0.0, 40.0), (0.0, 190.0), 29.0, 27.0))
    skin = np.minimum(skin, capsule(x, y, (-16.0, 44.0), (-38.0, 18.0), 17.0, 12.0))
    bone = np.zeros_like(x)
    for joints, width in _FINGERS:
        for number, (start, end) in enumerate(pairwise(joints)):
            flesh = 9.6 - 0.7 * number + 0.5 * (width - 3.9)
            skin = np.minimum(skin, capsule(x, y, start, end, flesh + 0.6, flesh))
            bone = bone + _long_bone(
                x, y, start, end, width * (1.0 - 0.13 * number), last=number == len(joints) - 2
            )
    for centre, radii, turn in _CARPALS:
        outline = ellipse(x, y, centre, radii, turn) + 0.7 * clouds(x, y, 6.0, seed=211)
        bone = bone + 0.85 * tube(outline, min(radii), 1.1, 0.55)
    bone = bone + 0.7 * _long_bone(x, y, (-9.0, 81.0), (-13.0, 230.0), 8.0, last=False, flare=0.85)
    bone = bone + 0.9 * _long_bone(x, y, (19.0, 80.0), (15.0, 230.0), 6.0, last=False, flare=0.42)
    soft = ball(skin, 13.0) + 0.7 * clouds(x, y, 10.0, seed=212) * ramp(skin, 0.0, -3.0)
    grainy = 1.0 + 0.13 * clouds(x, y, 1.3, seed=213) + 0.10 * clouds(x, y, 3.1, seed=214)
    # A ring, as patients forget to take off: metal stops nearly everything.
    ring = np.maximum(np.abs((y + 34.0) * 0.992 - (x - 19.5) * 0.124) - 1.5, np.abs(x - 19.5) - 10.6)
    image = 190.0 + 34.0 * soft + 178.0 * bone * grainy
    image = paint(image, ring, 3500.0, blur=0.6)
    image = blurred(image, 1) + 7.0 * grain(x.shape, seed=215)
    marker = np.minimum(
        capsule(-x, y, (62.0, -116.0), (62.0, -102.0), 1.3),
        capsule(-x, y, (62.0, -102.0), (70.0, -102.0), 1.3),
    )
    image = paint(image, marker, 3700.0, blur=0.6)
    # Collimator blades: what they cover is nearly unexposed.
    blades = np.maximum(np.abs(x) - 79.0, np.abs(y + 13.0) - 115.0)
    return to_integers(paint(image, -blades, 3900.0), 0, 4095)


def _long_bone(
    x: Field, y: Field, start: Point, end: Point, width: float, *, last: bool, flare: float = 0.55
) -> Field:
    """A shaft with a thick wall, wider at both ends, stopping short of the joints."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = float(np.sqrt(dx * dx + dy * dy))
    ux, uy = dx / length, dy / length
    gap = width * (1.0 + flare) + 0.7
    base, tip = (start[0] + ux * gap, start[1] + uy * gap), (end[0] - ux * gap, end[1] - uy * gap)
    along = (x - start[0]) * ux + (y - start[1]) * uy
    from_end = np.minimum(along, length - along)
    outline = capsule(x, y, base, tip, width) - width * flare * ramp(from_end, width * 4.2, width * 0.8)
    if last:
        tuft = capsule(x, y, (tip[0] - ux, tip[1] - uy), (tip[0] + ux, tip[1] + uy), width * 0.95)
        outline = np.minimum(capsule(x, y, base, tip, width * 1.25, width * 0.55), tuft)
    return tube(outline, width * 1.15, width * 0.34, 0.36)
