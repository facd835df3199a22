"""Small pictures inside the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from cutline.data.images import decode_image, measure_image
from cutline.errors import ImageError

LARGEST: Final = 176
"""Longest side of a thumbnail in pixels: some 8 kB, so that sixty stay far below 5 MB."""


@dataclass(frozen=True)
class Thumbnail:
    """A picture that needs no file: a data URI, with width and height in pixels."""

    uri: str
    width: int
    height: int


def make_thumbnail(path: str, largest: int = LARGEST) -> Thumbnail | None:
    """Shrink an image file to a JPEG data URI.

    The image is decoded as for training: upright, on white, first frame. It is never enlarged.

    Args:
        path: An image file.
        largest: Longest side allowed, in pixels.

    Returns:
        The thumbnail, or None when the image cannot be read (any more): a report of an old run is still
        worth having when the photos have moved.
    """
    try:
        height, width = measure_image(path)
        scale = min(1.0, largest / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        pixels = decode_image(path, size)
    except ImageError:
        return None
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=80, optimize=True)
    return Thumbnail(data_uri(stream.getvalue(), "image/jpeg"), size[1], size[0])


def data_uri(content: bytes, media_type: str) -> str:
    """Write bytes as a data URI.

    Example:
        >>> data_uri(b"abc", "image/png")
        'data:image/png;base64,YWJj'
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
