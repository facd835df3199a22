"""A small summary of the training images' features, and their captions, to be carried in the bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np

from cutline.evaluation.captioning import ReadFeatures
from cutline.evaluation.neighbours import read_directions
from cutline.evaluation.scoring import plain_captions
from cutline.records import Example
from cutline.runtime.confidence import Directions, TrainingFeatures, scaled
from cutline.runtime.neighbours import Neighbours
from cutline.text import Tokenizer
from cutline.voters import frequencies_of

_IMAGES: Final = 4096
# Five captions each are 100,000 captions, some 10 MB.
_NEIGHBOURS: Final = 20_000
_AXES: Final = 64


def summarise_features(read: ReadFeatures, digests: Sequence[str]) -> TrainingFeatures:
    """Describe training images by a few numbers each, so that any image can be compared with them.

    The 64 principal components of the features' directions, and the places of at most 4,096 images along
    them, as float16: below 1 MB for every encoder. Which images are taken depends on their digests alone.

    Args:
        read: Digests to features, (N, D) or (N, R, D).
        digests: Of the training images, one at least.
    """
    return _summarise(read, sorted(digests, key=in_any_order)[:_IMAGES])


def collect_neighbours(
    read: ReadFeatures, examples: Sequence[Example], tokenizer: Tokenizer | None = None
) -> Neighbours:
    """Describe training images with what people wrote about them.

    At most 20,000 images are taken; which ones depends on their digests alone. Markers are stripped.

    Args:
        read: Digests to features, (N, D) or (N, R, D).
        examples: The training images, one at least, with their digests.
        tokenizer: Of the model: then the n-grams of the captions are counted beforehand.
    """
    by_digest = {example.digest: example for example in examples}
    chosen = sorted(by_digest, key=in_any_order)[:_NEIGHBOURS]
    found = [by_digest[digest] for digest in chosen]
    captions = tuple(map(plain_captions, found))
    frequencies = {}
    if tokenizer is not None:
        counted = frequencies_of(captions, tokenizer)
        frequencies = counted.without_singles().to_arrays()
    return Neighbours(
        tuple(example.image_id for example in found), captions, _summarise(read, chosen), frequencies
    )


def in_any_order(digest: str) -> bytes:
    """Return a key by which images come in an order that has nothing to do with what they show."""
    return hashlib.sha256(digest.encode()).digest()


def _summarise(read: ReadFeatures, digests: Sequence[str]) -> TrainingFeatures:
    found = read_directions(read, digests)
    mean = _as_stored(found.mean(axis=0))
    offsets = found - mean
    count = min(_AXES, *found.shape)
    # Eigenvectors come by rising variance.
    axes = _as_stored(np.linalg.eigh(offsets.T @ offsets)[1][:, -count:])
    return TrainingFeatures(mean, axes, _as_stored(scaled(offsets @ axes)))


def _as_stored(array: Directions) -> Directions:
    """Round to float16 now, so that what is fitted with these numbers fits those read back from a bundle."""
    return array.astype(np.float16).astype(np.float32)
