"""Draws a scene with Pillow: coloured shapes with dark edges on light paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

from PIL import Image, ImageDraw

from cutline.data.scenes import Scene, Thing

SIDE: Final = 224
"""Width and height of a picture in pixels."""

Point: TypeAlias = tuple[float, float]
Colour: TypeAlias = tuple[int, int, int]

_OVERSAMPLING: Final = 3
# Chosen, with the dark edges and the almost white papers, by what an ImageNet network's pooled features keep:
# a linear rule names the colour of nine in ten things whose shape it never saw in that colour, and of half of
# them with orange and purple in place of pink and black, white edges, and papers of stronger tints.
_COLOURS: Final[dict[str, Colour]] = {
    "red": (225, 20, 30),
    "yellow": (255, 225, 0),
    "green": (20, 160, 50),
    "blue": (20, 80, 230),
    "pink": (250, 120, 190),
    "black": (25, 25, 25),
}
_TINTS: Final[dict[str, Colour]] = {
    "grey": (247, 248, 249),
    "cream": (253, 250, 243),
    "rose": (253, 246, 246),
    "mint": (244, 251, 247),
    "sky": (243, 248, 253),
}


def draw_scene(scene: Scene) -> Image.Image:
    """Return the picture of a scene, RGB, :data:`SIDE` pixels square, edges smoothed."""
    side = SIDE * _OVERSAMPLING
    paper = _TINTS[scene.tint]
    image = Image.new("RGB", (side, side), paper)
    pen = ImageDraw.Draw(image)
    _draw_pattern(pen, scene.pattern, _shaded(paper, 0.95), side)
    # What lies around another thing is drawn before it.
    for thing in sorted(scene.things, key=lambda thing: -thing.radius):
        outline = [(x * side, y * side) for x, y in outline_of(thing)]
        _draw_thing(pen, outline, _COLOURS[thing.colour], _shaded(paper, 0.8))
    return image.reduce(_OVERSAMPLING)


def box_of(thing: Thing) -> tuple[int, int, int, int]:
    """Return the smallest (left, top, right, bottom) in pixels around a thing, right and bottom exclusive."""
    xs, ys = zip(*outline_of(thing), strict=True)
    left, top = math.floor(min(xs) * SIDE), math.floor(min(ys) * SIDE)
    return left, top, math.ceil(max(xs) * SIDE), math.ceil(max(ys) * SIDE)


def outline_of(thing: Thing) -> list[Point]:
    """Return the corners of a thing's outline, 0..1 from the picture's top left corner."""
    turn = math.radians(thing.angle)
    cosine, sine = math.cos(turn) * thing.radius, math.sin(turn) * thing.radius
    (left, top) = thing.centre
    return [(left + x * cosine - y * sine, top + x * sine + y * cosine) for x, y in _OUTLINES[thing.shape]]


def _draw_pattern(pen: ImageDraw.ImageDraw, pattern: str, ink: Colour, side: int) -> None:
    step = side // 9
    if pattern == "striped":
        for start in range(-side, side, step):
            pen.line([(start, side), (start + side, 0)], fill=ink, width=step // 3)
    elif pattern == "dotted":
        for row, y in enumerate(range(step // 2, side, step)):
            for x in range(step // 2 - (row % 2) * step // 2, side + step, step):
                pen.circle((x, y), step / 7, fill=ink)


def _draw_thing(pen: ImageDraw.ImageDraw, outline: Sequence[Point], colour: Colour, shadow: Colour) -> None:
    edge, drop = 7 * _OVERSAMPLING // 3, 7 * _OVERSAMPLING // 3
    _fill(pen, [(x + drop, y + drop) for x, y in outline], shadow, edge)
    _fill(pen, outline, _shaded(colour, 0.5), edge)
    _fill(pen, outline, colour, 0)


def _fill(pen: ImageDraw.ImageDraw, outline: Sequence[Point], colour: Colour, edge: int) -> None:
    pen.polygon(outline, fill=colour)
    if edge:
        # Past the first corner again, so that it is rounded like the others.
        pen.line([*outline, *outline[:2]], fill=colour, width=2 * edge, joint="curve")


def _shaded(colour: Colour, share: float) -> Colour:
    red, green, blue = (round(part * share) for part in colour)
    return red, green, blue


def _round_corners(corners: int, radii: Sequence[float]) -> list[Point]:
    """Return a polygon around the middle, first corner up, its corners' distances cycling through radii."""
    angles = [2 * math.pi * corner / corners for corner in range(corners)]
    return [
        (radii[corner % len(radii)] * math.sin(angle), -radii[corner % len(radii)] * math.cos(angle))
        for corner, angle in enumerate(angles)
    ]


def _heart() -> list[Point]:
    """Return the classic heart curve, x = 16 sin³ t, scaled and centred."""
    steps = [2 * math.pi * step / 72 for step in range(72)]
    return [
        (
            16 * math.sin(t) ** 3 / 16,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t) + 2.5) / 16,
        )
        for t in steps
    ]


# Of about equal area, in units of the radius.
_OUTLINES: Final = {
    "circle": _round_corners(72, [0.95]),
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle": _round_corners(3, [1.15]),
    "star": _round_corners(10, [1.15, 0.5]),
    "heart": _heart(),
}
