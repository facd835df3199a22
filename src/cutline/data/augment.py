"""Showing an image a little differently each time: another crop, other colours, sometimes mirrored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

_STRETCH: Final = 4 / 3
_SIDES: Final = ("left", "right")
_ENHANCERS: Final = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


@dataclass(frozen=True)
class Augmentation:
    """How much an image may be changed.

    Attributes:
        crop: Smallest share of the area that a crop keeps, 0 < crop <= 1; 1 never crops.
        colour: Brightness, contrast and saturation are each multiplied by a factor between 1 - colour and
            1 + colour, 0 <= colour < 1.

    Example:
        >>> pixels = np.full((8, 8, 3), 200, np.uint8)
        >>> still = Augmentation(crop=1.0, colour=0.0)
        >>> bool((still.apply(pixels, (8, 8), False, np.random.default_rng(0)) == pixels).all())
        True
    """

    crop: float
    colour: float

    def source_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) to decode an image at; square crops are never enlarged then.

        Example:
            >>> Augmentation(crop=0.25, colour=0).source_size((224, 224))
            (448, 448)
        """
        return math.ceil(size[0] / math.sqrt(self.crop)), math.ceil(size[1] / math.sqrt(self.crop))

    def apply(
        self,
        pixels: NDArray[np.uint8],
        size: tuple[int, int],
        may_mirror: bool,
        generator: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Crop, mirror and colour an image.

        Args:
            pixels: uint8 (H, W, 3), RGB, of any size; best that of :meth:`source_size`.
            size: (height, width) wanted.
            may_mirror: Left and right may change places, which they do every second time.
            generator: Every draw comes from it; each call takes the same number of draws.

        Returns:
            uint8 (height, width, 3).
        """
        height, width = pixels.shape[:2]
        left, top, right, bottom = draw_box(self.crop, generator)
        mirrored = bool(generator.random() < 0.5)
        factors = generator.uniform(1 - self.colour, 1 + self.colour, len(_ENHANCERS))
        box = (left * width, top * height, right * width, bottom * height)
        image = Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BICUBIC, box)
        if may_mirror and mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.colour:
            for enhancer, factor in zip(_ENHANCERS, factors.tolist(), strict=True):
                image = enhancer(image).enhance(factor)
        return np.array(image, dtype=np.uint8)


def draw_box(smallest: float, generator: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw a part of an image by area, shape and place, as Szegedy et al. (2015, arXiv:1409.4842) do.

    Args:
        smallest: Smallest share of the area, 0 < smallest <= 1.
        generator: Takes four draws.

    Returns:
        left, top, right and bottom as shares 0..1 of width and height. The area is between ``smallest`` and
        1, and neither side is stretched more than 4/3 times against the other.
    """
    area = generator.uniform(smallest, 1.0)
    # A longer side than the whole would have to be cut, and the area with it.
    stretch = min(math.log(_STRETCH), 0.0 - math.log(area))
    ratio = math.exp(generator.uniform(-stretch, stretch))
    across, down = min(1.0, math.sqrt(area * ratio)), min(1.0, math.sqrt(area / ratio))
    left, top = generator.uniform(0.0, 1 - across), generator.uniform(0.0, 1 - down)
    return left, top, min(1.0, left + across), min(1.0, top + down)


def names_a_side(caption: str) -> bool:
    """Tell whether an English caption speaks of left or right, so that a mirror would make it wrong.

    "Left" and "right" have other meanings, too; these captions cost nothing but a mirror.

    Args:
        caption: Tokens between spaces.

    Example:
        >>> names_a_side("a dog to the left of a tree"), names_a_side("a left-handed pitcher")
        (True, True)
        >>> names_a_side("two dogs run upright")
        False
    """
    return any(token.casefold().startswith(_SIDES) for token in caption.split())
