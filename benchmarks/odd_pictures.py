"""Pictures that are no photos, made by code: drawn scenes, scanned text, noise, and what resembles an X-ray.

Each is a function of its kind and number, and nothing is read from disk but the font that Pillow brings.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from cutline.data.scene_pictures import draw_scene
from cutline.data.scenes import Imagination

Pixels = NDArray[Any]

_TEXT: Final = (
    "the of and a in to it is was that for on with as at by from this which be are have not one had or an "
    "they were there their been has when who will more no if out so said what up its about into than them "
    "account balance chapter delivery invoice letter meeting number office payment report section total year"
)
_WORDS: Final = tuple(_TEXT.split(" "))


def odd_picture(kind: str, number: int) -> Image.Image:
    """Return a picture, RGB; equal arguments give equal pictures.

    Args:
        kind: One of :data:`KINDS`.
        number: Which one, from 0.
    """
    return KINDS[kind](random.Random(f"{kind} {number}"), np.random.default_rng([number, len(kind)]))


def _scene(chance: random.Random, _: np.random.Generator) -> Image.Image:
    return draw_scene(Imagination(held_out=chance.random() < 0.5, chance=chance).imagine())


def _page(chance: random.Random, numbers: np.random.Generator) -> Image.Image:
    """Lines of text on paper, somewhat askew, unevenly lit, grainy, scanned in grey or in colour."""
    width, height = chance.choice([(480, 640), (560, 720), (640, 480), (500, 500)])
    paper = np.array([chance.randint(222, 252)] * 3) - [0, chance.randint(0, 6), chance.randint(0, 22)]
    page = Image.new("RGB", (width, height), tuple(int(value) for value in paper))
    _write_lines(page, chance, ink=(chance.randint(5, 60),) * 3)
    page = page.rotate(
        chance.uniform(-4, 4), Image.Resampling.BICUBIC, fillcolor=tuple(int(value) for value in paper)
    )
    page = page.filter(ImageFilter.GaussianBlur(chance.uniform(0, 0.8)))
    pixels = np.asarray(page, np.float32)
    slope = np.linspace(1, 1 - chance.uniform(0, 0.15), width)[None, :, None]
    return _picture(pixels * slope + numbers.normal(0, chance.uniform(1, 7), (height, width, 1)))


def _write_lines(page: Image.Image, chance: random.Random, ink: tuple[int, int, int]) -> None:
    pen, size, margin = ImageDraw.Draw(page), chance.randint(11, 26), chance.randint(24, 60)
    font = ImageFont.load_default(size)
    columns = 2 if size < 15 and chance.random() < 0.4 else 1
    room = (page.width - margin * (columns + 1)) // columns
    for column in range(columns):
        left, top = margin + column * (room + margin), margin
        while top < page.height - margin - size:
            end = chance.uniform(0.3, 0.9) if chance.random() < 0.15 else 1.0
            line = chance.choice(_WORDS).capitalize()
            while pen.textlength(line, font) < room * end - 3 * size:
                line += " " + chance.choice(_WORDS)
            pen.text((left, top), line, ink, font)
            top += int(size * (2.6 if end < 1 else 1.4))


def _noise(chance: random.Random, numbers: np.random.Generator) -> Image.Image:
    """Return one of six: even, normal, grey, coarse squares, snow of dots, or large soft clouds."""
    height, width = chance.choice([(240, 320), (375, 500), (500, 375), (224, 224)])
    which = chance.randrange(6)
    if which == 0:
        return _picture(numbers.uniform(0, 256, (height, width, 3)))
    if which == 1:
        return _picture(numbers.normal(chance.uniform(70, 180), chance.uniform(20, 80), (height, width, 3)))
    if which == 2:
        return _picture(numbers.uniform(0, 256, (height, width, 1)))
    if which == 3:
        cell = chance.choice([4, 8, 16, 32])
        coarse = numbers.uniform(0, 256, (-(-height // cell), -(-width // cell), 3))
        return _picture(coarse.repeat(cell, 0).repeat(cell, 1)[:height, :width])
    if which == 4:
        dots = numbers.random((height, width, 1))
        share = chance.uniform(0.05, 0.5)
        return _picture(np.where(dots < share / 2, 0, np.where(dots < share, 255, chance.randint(60, 190))))
    return _picture(_clouds(numbers, (height, width)))


def _clouds(numbers: np.random.Generator, size: tuple[int, int]) -> Pixels:
    """Return noise whose power falls with the square of the frequency, in colour."""
    rows, columns = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None]
    falling = 1 / np.maximum(np.hypot(rows, columns), 1 / max(size))
    drawn = numbers.normal(0, 1, (3, *size))
    clouds = np.fft.irfft2(np.fft.rfft2(drawn) * falling, size)
    clouds = (clouds - clouds.mean((1, 2), keepdims=True)) / clouds.std((1, 2), keepdims=True)
    return np.moveaxis(128 + 55 * clouds, 0, -1)


def _x_ray(chance: random.Random, numbers: np.random.Generator) -> Image.Image:
    """Grey on black: a soft bright body with darker hollows, bones brightest at their edges."""
    height, width = chance.choice([(512, 512), (480, 400), (560, 440)])
    ys, xs = np.mgrid[:height, :width]
    grid = (xs / width - 0.5, ys / height - 0.5)
    light = np.full((height, width), chance.uniform(0, 12))
    draw = chance.choice([_chest, _hand, _skull])
    light = draw(light, grid, chance)
    soft = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
    soft = soft.filter(ImageFilter.GaussianBlur(chance.uniform(1.5, 4)))
    grain = numbers.normal(0, chance.uniform(1, 6), (height, width))
    pixels = np.asarray(soft, np.float32) + grain
    return _picture(pixels[..., None])


def _ellipse(
    grid: tuple[Pixels, Pixels],
    place: tuple[float, float],
    size: tuple[float, float],
    turn: float,
) -> Pixels:
    """Return the distance from the middle of an ellipse, 1 at its edge."""
    x, y = grid[0] - place[0], grid[1] - place[1]
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return np.hypot(along / size[0], across / size[1])


def _glow(distance: Pixels, sharpness: float = 6.0) -> Pixels:
    """Return 1 inside and 0 outside of a form, with a soft edge."""
    return 1 / (1 + np.exp(np.clip(sharpness * (distance - 1), -30, 30)))


def _bone(
    grid: tuple[Pixels, Pixels],
    place: tuple[float, float],
    size: tuple[float, float],
    turn: float,
) -> Pixels:
    """Return a rod that is brightest at its edges."""
    distance = _ellipse(grid, place, size, turn)
    return _glow(distance, 14) * (0.55 + 0.45 * np.clip(distance, 0, 1) ** 3)


def _chest(light: Pixels, grid: tuple[Pixels, Pixels], chance: random.Random) -> Pixels:
    about = chance.uniform
    light = light + about(120, 180) * _glow(_ellipse(grid, (0, about(0, 0.1)), (0.42, 0.52), 0))
    for side in (-1, 1):
        lung = _ellipse(
            grid, (side * about(0.16, 0.2), -0.02), (about(0.11, 0.15), about(0.24, 0.3)), side * 0.1
        )
        light = light - about(70, 110) * _glow(lung)
        for rib in range(chance.randint(6, 9)):
            place = (side * 0.19, -0.3 + rib * 0.075)
            arc = np.abs(_ellipse(grid, place, (0.22, 0.1), side * 0.35) - 1) * 7 + 3 * (grid[1] > place[1])
            light = light + about(15, 35) * _glow(arc)
    light = light + about(30, 60) * _bone(grid, (0, 0), (about(0.035, 0.05), 0.6), 0)
    heart = _ellipse(grid, (about(0.02, 0.08), 0.12), (about(0.12, 0.16), about(0.14, 0.18)), 0.5)
    return light + about(30, 70) * _glow(heart)


def _hand(light: Pixels, grid: tuple[Pixels, Pixels], chance: random.Random) -> Pixels:
    about = chance.uniform
    palm = _glow(_ellipse(grid, (0, 0.18), (about(0.2, 0.26), about(0.22, 0.28)), 0))
    light = light + about(50, 80) * palm
    for finger in range(5):
        turn = np.pi / 2 + (finger - 2) * about(0.13, 0.2)
        for joint in range(4):
            reach = 0.12 + joint * about(0.115, 0.135)
            place = (-np.cos(turn) * reach, 0.15 - np.sin(turn) * reach)
            light = light + about(35, 60) * _glow(_ellipse(grid, place, (0.085, 0.045), turn))
            light = light + about(70, 110) * _bone(grid, place, (0.058, about(0.014, 0.02)), turn)
    for _ in range(chance.randint(5, 8)):
        light = light + about(40, 80) * _bone(grid, (about(-0.12, 0.12), about(0.22, 0.34)), (0.04, 0.035), 0)
    return light


def _skull(light: Pixels, grid: tuple[Pixels, Pixels], chance: random.Random) -> Pixels:
    about = chance.uniform
    head = _ellipse(
        grid, (about(-0.05, 0.05), about(-0.1, 0)), (about(0.27, 0.36), about(0.3, 0.38)), about(-0.3, 0.3)
    )
    light = light + about(70, 120) * _glow(head, 20) + about(60, 100) * _glow(np.abs(head - 1) * 14)
    for _ in range(chance.randint(3, 7)):
        place, size = (about(-0.2, 0.2), about(-0.25, 0.25)), (about(0.03, 0.12), about(0.03, 0.1))
        light = light + about(-45, 45) * _glow(_ellipse(grid, place, size, about(0, 3))) * _glow(head, 20)
    jaw = _ellipse(grid, (about(-0.1, 0.1), 0.3), (about(0.14, 0.2), about(0.08, 0.14)), about(-0.3, 0.3))
    return light + about(40, 80) * _glow(jaw) + about(40, 70) * _bone(grid, (0, 0.42), (0.06, 0.3), 0)


def _picture(pixels: Pixels) -> Image.Image:
    """Return an RGB picture of numbers (H, W, 3), or (H, W, 1) for grey."""
    whole = np.clip(pixels, 0, 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(whole, (*whole.shape[:2], 3))))


KINDS: Final[dict[str, Callable[[random.Random, np.random.Generator], Image.Image]]] = {
    "drawn scenes": _scene,
    "text scans": _page,
    "noise": _noise,
    "X-ray-like pictures": _x_ray,
}
"""What each kind is called → what makes one."""
