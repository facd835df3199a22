"""Which images a model knows nothing about: those unlike all of its training images. NumPy alone.

A model captions a scanned page as fluently as the photos that it has learned from. To the encoder the page
looks unlike any of them, though: described along the directions in which features of training images differ
most, more of its features is left over than of a photo's. That remainder is the reconstruction error of a
principal component analysis (Jackson and Mudholkar, 1979; for networks Wang et al., 2022, "ViM").

In a bundle this is two files: ``domain.json`` (numbers and words) and ``domain.npz`` (arrays).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.errors import BundleError
from cutline.files import write_json
from cutline.runtime.arrays import load_arrays, save_arrays
from cutline.runtime.bundle_files import BundleFiles
from cutline.runtime.confidence import directions, residuals_of

DOMAIN: Final = "domain.json"
ARRAYS: Final = "domain.npz"


@dataclass(frozen=True)
class TrainingDomain:
    """What the features of images like the training images are like.

    Attributes:
        mean: Mean of the training images' features, scaled to length 1, float32 (D,).
        axes: P directions in which they differ most, float32 (D, P), orthonormal but for rounding.
        limit: Residual above which an image is unlike the training images.
        share: Of images like the training images how many are expected above it all the same, 0..1.
        chosen_on: First 16 hexadecimal digits of the digest of each image that the limit was chosen on.

    Example:
        >>> mean, axes = np.zeros(3, np.float32), np.eye(3, 2, dtype=np.float32)
        >>> domain = TrainingDomain(mean, axes, limit=0.5, share=0.03, chosen_on=frozenset())
        >>> domain.unlike(np.array([[3.0, 4.0, 0.5], [3.0, 4.0, 5.0]])).tolist()
        [False, True]
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    limit: float
    share: float
    chosen_on: frozenset[str]

    def residuals(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the length of what the axes leave over of features, float64 (B,), 0..2.

        Args:
            features: (B, D), or (B, R, D), of which the mean over regions is taken; scaled to length 1 first.
        """
        offsets = directions(features) - self.mean
        return residuals_of(offsets, offsets @ self.axes)

    def unlike(self, features: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell for each image whether it is unlike the training images, bool (B,); arguments as above."""
        found: NDArray[np.bool_] = self.residuals(features) > self.limit
        return found

    def knows(self, digest: str) -> bool:
        """Tell whether the limit was chosen on the image with this digest: its own flag proves nothing."""
        return digest[:16] in self.chosen_on


def save_domain(domain: TrainingDomain, folder: Path) -> None:
    """Write both files into a bundle's folder."""
    numbers = np.array(sorted(int(digits, 16) for digits in domain.chosen_on), np.uint64)
    save_arrays(folder / ARRAYS, {"mean": domain.mean, "axes": domain.axes, "chosen_on": numbers})
    write_json(
        folder / DOMAIN,
        {
            "definition": "an image is unlike the training images when of its features, scaled to length 1, "
            "more than the limit lies beyond the directions in which those of training images differ most",
            "limit": domain.limit,
            "expected_share": domain.share,
            "directions": domain.axes.shape[1],
            "chosen_on": len(domain.chosen_on),
        },
    )


def load_domain(folder: Path | BundleFiles, depth: int) -> TrainingDomain:
    """Read what :func:`save_domain` wrote.

    Args:
        folder: The bundle, or the files of one.
        depth: D, the depth of the bundle's features.

    Raises:
        BundleError: A file is damaged, or the arrays do not fit each other or the features.
    """
    path = folder / DOMAIN
    arrays = load_arrays(folder / ARRAYS)
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        limit, share = (float(saved[key]) for key in ("limit", "expected_share"))
        mean, axes = arrays["mean"], arrays["axes"]
        chosen_on = frozenset(f"{number:016x}" for number in arrays["chosen_on"].tolist())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: cannot be read ({error}); copy the bundle again") from None
    if not (math.isfinite(limit) and limit >= 0 and 0 <= share <= 1):
        raise BundleError(
            f"{path}: limit {limit} and expected_share {share}, expected none below 0 and a share of 1 at "
            "most; copy the bundle again"
        )
    if axes.ndim != 2 or (mean.shape, len(axes)) != ((depth,), depth):
        raise BundleError(
            f"{path}: does not fit the features of depth {depth} (arrays {mean.shape} and {axes.shape}); "
            "copy the bundle again"
        )
    return TrainingDomain(mean, axes, limit, share, chosen_on)
