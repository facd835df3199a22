"""What people would write about an image, n-gram by n-gram, foretold from its features. NumPy alone.

In a bundle this is one file of arrays, ``ngrams.npz``. It holds no captions: an n-gram is kept when it stands
in those of several images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.errors import BundleError
from cutline.runtime.arrays import load_arrays, save_arrays
from cutline.runtime.bundle_files import BundleFiles
from cutline.runtime.confidence import pooled, scaled

NGRAMS: Final = "ngrams.npz"

_FREQUENCIES: Final = "frequencies."
_PARTS: Final = ("mean", "scale", "axes", "weights", "steps")


@dataclass(frozen=True)
class ExpectedNgrams:
    """A linear model from the features of an image to the weights of n-grams in its references.

    Attributes:
        mean: Of the training images' features, averaged over regions, float32 (D,). After a start from
            another model they are the images of that one.
        scale: Their standard deviation, float32 (D,), above 0.
        axes: Directions of features that tell n-grams, int8 (D, P).
        weights: What each of M n-grams weighs along them, int8 (M, P), shorter n-grams first.
        steps: What 1 along each axis is worth, axes and weights taken together, float32 (P,).
        frequencies: Which n-grams these are and in how many training images each stands, as arrays of
            ``cutline.metrics.DocumentFrequencies``. After a start from another model its images are among
            them, and the new ones are counted several times where they are fewer.

    Example:
        >>> two = ExpectedNgrams(np.zeros(2, np.float32), np.ones(2, np.float32), np.eye(2, dtype=np.int8),
        ...                      np.array([[1, 0], [0, 2]], np.int8), np.ones(2, np.float32), {})
        >>> (two.weights @ two.places(np.array([[0.0, 9.0]]))[0]).tolist()
        [0.0, 2.0]
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    axes: NDArray[np.int8]
    weights: NDArray[np.int8]
    steps: NDArray[np.float32]
    frequencies: Mapping[str, NDArray[Any]]

    def places(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Return where images lie along the axes, float32 (B, P): times ``weights``, n-grams' weights.

        Args:
            features: (B, D), or (B, R, D), of which the mean over regions is taken.
        """
        images = standardised(features, self.mean, self.scale)
        found: NDArray[np.float32] = images @ self.axes.astype(np.float32) * self.steps
        return found


def standardised(
    features: NDArray[Any], mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return features less their mean, in standard deviations, at length 1: float32 (B, D).

    Args:
        features: (B, D), or (B, R, D), of which the mean over regions is taken.
        mean: (D,).
        scale: (D,), above 0.
    """
    return scaled((pooled(features) - mean) / scale)


def save_expected(expected: ExpectedNgrams, folder: Path) -> None:
    """Write the file into a bundle's folder."""
    counted = {_FREQUENCIES + name: array for name, array in expected.frequencies.items()}
    save_arrays(folder / NGRAMS, {**{name: getattr(expected, name) for name in _PARTS}, **counted})


def load_expected(folder: Path | BundleFiles, depth: int) -> ExpectedNgrams:
    """Read what :func:`save_expected` wrote.

    Args:
        folder: The bundle, or the files of one.
        depth: D, the depth of the bundle's features.

    Raises:
        BundleError: The file is damaged, or the arrays do not fit each other or the features.
    """
    path = folder / NGRAMS
    arrays = load_arrays(path)
    counted = {
        name.removeprefix(_FREQUENCIES): array
        for name, array in arrays.items()
        if name.startswith(_FREQUENCIES)
    }
    absent = [name for name in _PARTS if name not in arrays]
    if absent:
        raise BundleError(f"{path}: has no {absent[0]!r}; copy the bundle again")
    mean, scale, axes, weights, steps = (arrays[name] for name in _PARTS)
    expected = ExpectedNgrams(mean, scale, axes, weights, steps, counted)
    number = sum(len(array) for name, array in counted.items() if name.startswith("counts"))
    shapes = [getattr(expected, name).shape for name in _PARTS]
    rank = steps.size
    if shapes != [(depth,), (depth,), (depth, rank), (number, rank), (rank,)]:
        raise BundleError(
            f"{path}: arrays {shapes} do not fit {number} n-grams and features of depth {depth}; "
            "copy the bundle again"
        )
    return expected
