"""Small pictures inside the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from cutline.data.images import decode_image, measure_image
from cutline.errors import ImageError

LARGEST: Final = 240
"""Longest side of a thumbnail in pixels where there is room for it."""

_SIDES: Final = ((120, 240), (400, 192))
_SIDE_OF_MANY: Final = 160
_SIDE_OF_LARGE: Final = 288
_SHARES_OF_LARGE: Final = 3
_QUALITIES: Final = (75, 60, 45, 30, 20)
_SMALLEST: Final = 16


@dataclass(frozen=True)
class Thumbnail:
    """A picture that needs no file: a data URI, with width and height in pixels."""

    uri: str
    width: int
    height: int


class Album:
    """Makes the thumbnails of a page and shares the bytes it may have between them.

    A picture that needs fewer bytes than its share leaves the rest to those after it, so the sum stays
    within what is allowed whatever the pictures show.

    Example:
        >>> Album(4_000_000, 1000).largest, Album(4_000_000, 60).largest
        (160, 240)
    """

    def __init__(self, allowed: int, pictures: int, large: int = 0) -> None:
        """Share bytes.

        Args:
            allowed: Length of all data URIs together, in bytes.
            pictures: How many ordinary pictures there will be.
            large: How many large ones, each of which may take as much as three others.
        """
        self.largest = next((side for most, side in _SIDES if pictures <= most), _SIDE_OF_MANY)
        self._left = allowed
        self._shares = pictures + _SHARES_OF_LARGE * large
        self._step = 0

    def take(self, path: str, large: bool = False) -> Thumbnail | None:
        """Return the thumbnail of an image file, or None when it cannot be read (any more)."""
        shares = _SHARES_OF_LARGE if large else 1
        allowed = self._left * shares // max(shares, self._shares)
        picture = shrink(path, _SIDE_OF_LARGE if large else self.largest)
        thumbnail = None
        if picture is not None:
            # Beginning at the best quality would encode every picture of a full page four times.
            thumbnail, self._step = _fit(picture, allowed, max(0, self._step - 1))
        self._shares -= shares
        self._left -= len(thumbnail.uri) if thumbnail else 0
        return thumbnail


def make_thumbnail(path: str, largest: int = LARGEST, most_bytes: int = 20_000) -> Thumbnail | None:
    """Shrink an image file to a WebP data URI.

    The image is decoded as for training: upright, on white, first frame. It is never enlarged. The best
    quality that fits is taken; an image that does not fit in the lowest one is made smaller.

    Args:
        path: An image file.
        largest: Longest side allowed, in pixels.
        most_bytes: Length of the data URI allowed.

    Returns:
        The thumbnail, or None when the image cannot be read (any more): a report of an old run is still
        worth having when the photos have moved. Also None when not even a speck fits.
    """
    picture = shrink(path, largest)
    return None if picture is None else fit_picture(picture, most_bytes)


def shrink(path: str, largest: int) -> Image.Image | None:
    """Return an image file as RGB, its longest side at most ``largest`` pixels; None if it is unreadable."""
    try:
        height, width = measure_image(path)
        scale = min(1.0, largest / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        return Image.fromarray(decode_image(path, size))
    except ImageError:
        return None


def fit_picture(picture: Image.Image, most_bytes: int) -> Thumbnail | None:
    """Return a picture as a data URI of at most ``most_bytes``, as :func:`make_thumbnail` does for a file."""
    return _fit(picture, most_bytes, 0)[0]


def _fit(picture: Image.Image, most_bytes: int, step: int) -> tuple[Thumbnail | None, int]:
    """Encode with the first quality from ``step`` on that fits; return it with its step."""
    for at, quality in enumerate(_QUALITIES[step:], step):
        thumbnail = _encode(picture, quality)
        if len(thumbnail.uri) <= most_bytes:
            return thumbnail, at
    while max(picture.size) > _SMALLEST:
        picture = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)))
        thumbnail = _encode(picture, _QUALITIES[-1])
        if len(thumbnail.uri) <= most_bytes:
            return thumbnail, len(_QUALITIES) - 1
    return None, len(_QUALITIES) - 1


def _encode(picture: Image.Image, quality: int) -> Thumbnail:
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=quality)
    return Thumbnail(data_uri(stream.getvalue(), "image/webp"), *picture.size)


def data_uri(content: bytes, media_type: str) -> str:
    """Write bytes as a data URI.

    Example:
        >>> data_uri(b"abc", "image/png")
        'data:image/png;base64,YWJj'
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
