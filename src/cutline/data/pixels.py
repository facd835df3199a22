"""Pixels of every kind become RGB: transparent on white, deep greyscale in 8 bits, huge images made small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LARGE: Final = 1 << 24
"""Images of more pixels are scaled while they become RGB: as RGB alone, this many take 64 MiB."""

_KEPT: Final = 4
_BAND_PIXELS: Final = 1 << 20


def to_rgb(image: Image.Image, wanted: tuple[int, int]) -> Image.Image:
    """Turn an image of any mode into RGB.

    Transparent pixels are laid on white; 16-bit greyscale, and greyscale of whole or floating-point numbers,
    is scaled to 8 bits. The size stays, except for images of more than :data:`LARGE` pixels: these come back
    in the size ``wanted``, averaged over whole pixels to at least four times of it and bicubic from there.
    That is done in bands of rows, so that hardly any room is needed beside the image's own.

    Args:
        image: A loaded image; it is not changed.
        wanted: (width, height) for large images, in pixels.

    Raises:
        ValueError: Floating-point pixels that are NaN or infinite.

    Example:
        >>> to_rgb(Image.new("LA", (2, 1), (0, 0)), (2, 1)).getpixel((0, 0))
        (255, 255, 255)
    """
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    return _flat(image) if image.width * image.height <= LARGE else _scaled(image, wanted)


def _scaled(image: Image.Image, wanted: tuple[int, int]) -> Image.Image:
    width, height = image.size
    across, down = max(1, width // (_KEPT * wanted[0])), max(1, height // (_KEPT * wanted[1]))
    small = Image.new("RGB", (-(-width // across), -(-height // down)))
    for top, band in _bands(image, down):
        small.paste(_flat(band).reduce((across, down)), (0, top // down))
    # The last column and row stand for fewer pixels than the others.
    return small.resize(wanted, Image.Resampling.BICUBIC, (0, 0, width / across, height / down))


def _bands(image: Image.Image, multiple: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """Yield an image in bands, each with the row it begins at, a multiple of ``multiple``."""
    rows = multiple * max(1, _BAND_PIXELS // (image.width * multiple))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _flat(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale deep greyscale to 0..255; Pillow's own conversion cuts everything above 255 to white."""
    black, white = _range(image)
    transparent = image.info.get("transparency")
    scaled = Image.new("L", image.size)
    for top, band in _bands(image):
        values = _numbers(band)
        shades = np.rint((values - black) * (255.0 / (white - black))).astype(np.uint8)
        if isinstance(transparent, int):
            shades[values == transparent] = 255
        scaled.paste(Image.fromarray(shades), (0, top))
    return scaled


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the numbers that stand for black and white."""
    ends = [(values.min(), values.max()) for values in (_numbers(band) for _, band in _bands(image))]
    darkest, brightest = float(np.min(ends)), float(np.max(ends))
    if not np.isfinite([darkest, brightest]).all():
        raise ValueError("pixels that are not finite numbers")
    # Only 16-bit modes say what white is; the others are taken for the narrowest usual range they fit.
    usual = (65535.0,) if image.mode.startswith("I;16") else (1.0, 255.0, 65535.0)
    return min(0.0, darkest), next((limit for limit in usual if brightest <= limit), brightest)


def _numbers(band: Image.Image) -> NDArray[Any]:
    return np.asarray(band, dtype=np.float64)
