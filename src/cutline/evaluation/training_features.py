"""A small summary of the training images' features, to be carried in the bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np

from cutline.evaluation.captioning import ReadFeatures
from cutline.evaluation.neighbours import read_directions
from cutline.runtime.confidence import Directions, TrainingFeatures, scaled

_IMAGES: Final = 4096
_AXES: Final = 64


def summarise_features(read: ReadFeatures, digests: Sequence[str]) -> TrainingFeatures:
    """Describe training images by a few numbers each, so that any image can be compared with them.

    The 64 principal components of the features' directions, and the places of at most 4,096 images along
    them, as float16: below 1 MB for every encoder. Which images are taken depends on their digests alone.

    Args:
        read: Digests to features, (N, D) or (N, R, D).
        digests: Of the training images, one at least.
    """
    chosen = sorted(digests, key=lambda digest: hashlib.sha256(digest.encode()).digest())[:_IMAGES]
    found = read_directions(read, chosen)
    mean = _as_stored(found.mean(axis=0))
    offsets = found - mean
    count = min(_AXES, *found.shape)
    # Eigenvectors come by rising variance.
    axes = _as_stored(np.linalg.eigh(offsets.T @ offsets)[1][:, -count:])
    return TrainingFeatures(mean, axes, _as_stored(scaled(offsets @ axes)))


def _as_stored(array: Directions) -> Directions:
    """Round to float16 now, so that what is fitted with these numbers fits those read back from a bundle."""
    return array.astype(np.float16).astype(np.float32)
