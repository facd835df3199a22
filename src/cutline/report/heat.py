"""Where a model looked, drawn over the photo."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Lightness alone tells little from much, so that it is read alike with any kind of colour vision: a dim grey
# photo, brighter and yellower where the model looked.
_LITTLE: Final = np.array([232.0, 110.0, 20.0])
_MUCH: Final = np.array([255.0, 238.0, 110.0])
_DIMMED: Final = 0.6
_GREYED: Final = 0.85
_OPACITY: Final = 0.65
# Below 1, so that half of the strongest look is seen as such beside it.
_CURVE: Final = 0.7
_GREY: Final = np.array([0.299, 0.587, 0.114])
_EVEN_SHARES: Final = 4


def full_share(maps: Iterable[NDArray[Any]]) -> float:
    """Return the share of one region that is drawn in full strength, for all the words of one caption.

    It is the largest of the caption, so that its words can be compared; but not less than four times an even
    share, so that looking nearly everywhere does not look like looking hard.

    Args:
        maps: Attention weights of each word, (h, w), summing to 1, or to less where a sentinel has a share.

    Example:
        >>> full_share([np.full((2, 2), 0.25)]), full_share([np.full((7, 7), 1 / 49)]) < 0.1
        (1.0, True)
    """
    return max((max(float(one.max()), min(1.0, _EVEN_SHARES / one.size)) for one in maps), default=1.0)


def heat(attention: NDArray[Any], size: tuple[int, int], full: float) -> NDArray[np.float32]:
    """Spread the weights of a grid of regions over a picture, bilinearly.

    Args:
        attention: Weights (h, w), summing to 1, or to less where a sentinel has a share.
        size: (width, height) of the picture, in pixels.
        full: Share that becomes 1; an even share, 1 / (h · w), and less become 0.

    Returns:
        float32 (height, width), 0..1.
    """
    even = 1 / attention.size
    strength = np.clip((attention - even) / max(full - even, 1e-6), 0, 1).astype(np.float32)
    spread = Image.fromarray(strength).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(spread)


def overlay(picture: Image.Image, attention: NDArray[Any], full: float) -> Image.Image:
    """Draw where the model looked over a photo.

    The encoder sees the whole photo squashed to its own size, so the grid covers the photo from edge to edge.

    Args:
        picture: The photo, RGB.
        attention: Weights of the regions (h, w), summing to 1, or to less where a sentinel has a share.
        full: As for :func:`heat`.

    Returns:
        RGB, as large as ``picture``: grey and dim where it did not look, bright and yellow where it did.
    """
    strength = heat(attention, picture.size, full)[..., np.newaxis] ** _CURVE
    pixels = np.asarray(picture, np.float64)
    grey = (pixels @ _GREY)[..., np.newaxis]
    ground = (_GREYED * grey + (1 - _GREYED) * pixels) * (_DIMMED + (1 - _DIMMED) * strength)
    colour = _LITTLE + (_MUCH - _LITTLE) * strength
    opacity = _OPACITY * strength
    mixed = np.rint(ground * (1 - opacity) + colour * opacity)
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))
