"""Choosing what is called unlike the training images, and counting it.

Training images cannot tell: the axes were made for them, so less is left over of them than of new photos of
the same kind. The limit is therefore chosen on val images, on one half of them, and can be measured on the
other. It is the smallest that keeps the promise of conformal prediction (Vovk, Gammerman and Shafer, 2005):
of images like those of val no more than the share wanted are above it, on average over the draw of the half.
A share of 3 % takes 33 images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.evaluation.captioning import ReadFeatures
from cutline.evaluation.confidence import halves
from cutline.records import Example, UnlikeTraining
from cutline.runtime.confidence import TrainingFeatures
from cutline.runtime.domain import TrainingDomain

SHARE: Final = 0.03
"""Images like the training images that are flagged all the same."""

FEWEST_TRAIN: Final = 100
"""Train images below which nothing is said: their directions would describe them and not their kind."""

FEWEST_VAL: Final = 66
"""Val images below which nothing is said: no limit chosen on half of fewer would keep the share."""

# Pooled as they are read: a block of grid features, 256 x 49 x 2048 numbers, is 50 MB.
_ROWS_READ: Final = 256


def fit_domain(training: TrainingFeatures, read: ReadFeatures, val: Sequence[Example]) -> TrainingDomain:
    """Choose the limit above which images are unlike the training images, on one half of val.

    Args:
        training: Summary of the training images' features; its points are not needed.
        read: Digests to features, (N, D) or (N, R, D).
        val: At least :data:`FEWEST_VAL` examples with digests, none of which was trained on.
    """
    chosen = halves(val)[0]
    # As many axes as the features are deep would leave nothing over of anything.
    axes = training.axes[:, -max(1, len(training.axes) // 2) :]
    domain = TrainingDomain(
        training.mean, axes, math.inf, SHARE, frozenset(example.digest[:16] for example in chosen)
    )
    residuals = np.sort(np.concatenate([domain.residuals(block) for block in _blocks(read, chosen)]))
    place = math.ceil((1 - SHARE) * (len(chosen) + 1))
    return replace(domain, limit=float(residuals[min(place, len(chosen)) - 1]))


def measure_unlike(
    domain: TrainingDomain, read: ReadFeatures, examples: Sequence[Example]
) -> UnlikeTraining | None:
    """Find the images unlike the training images among those that the limit was not chosen on.

    Args:
        domain: Of the model.
        read: Digests to features.
        examples: With digests.

    Returns:
        Which they are; None when the limit was chosen on every one of the examples.
    """
    new = [example for example in examples if not domain.knows(example.digest)]
    if not new:
        return None
    flags = np.concatenate([domain.unlike(block) for block in _blocks(read, new)]).tolist()
    found = tuple(example.image_id for example, unlike in zip(new, flags, strict=True) if unlike)
    return UnlikeTraining(len(new), found, domain.share)


def _blocks(read: ReadFeatures, examples: Sequence[Example]) -> Iterator[NDArray[Any]]:
    digests = [example.digest for example in examples]
    for at in range(0, len(digests), _ROWS_READ):
        yield read(digests[at : at + _ROWS_READ])
