"""Going on from what another model learned of its captions: new images teach what it did not foretell.

Ridge regression on residuals, in the space of the features that the start learned in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.evaluation.captioning import ReadFeatures
from cutline.evaluation.expected_ngrams import (
    AXES,
    RIDGE,
    CaptionedFeatures,
    Floats,
    frequent,
    regression,
    rounded,
    some_of,
)
from cutline.evaluation.scoring import plain_captions
from cutline.metrics import DocumentFrequencies
from cutline.progress import Progress
from cutline.records import Example
from cutline.runtime.expected_ngrams import ExpectedNgrams, standardised
from cutline.text import Tokenizer
from cutline.voters import frequencies_of, restored_frequencies

# Of the residuals: the better the start foretells, the less there is to learn beside noise.
_PENALTIES: Final = (1.0, 4.0, 16.0, 64.0)
# With fewer images nothing can be said against a start.
_FEW: Final = 10
_TINY: Final = 1e-6


@dataclass(frozen=True)
class LearnedBefore:
    """What a model learned of its training captions.

    Attributes:
        expected: To go on from.
        digests: Images that it was learned from, as far as is known: a bundle without its run cannot tell.
    """

    expected: ExpectedNgrams
    digests: frozenset[str]


def adapt_expected(
    start: ExpectedNgrams,
    read: ReadFeatures,
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    progress: Progress,
) -> ExpectedNgrams | None:
    """Learn from more images what ``start`` does not foretell of their n-grams, and keep what it knows.

    The penalty is that of four with the least squares of leave-one-out residuals (PRESS: Allen, "The
    Relationship between Variable Selection and Data Augmentation and a Method for Prediction", 1974). N-grams
    of both are foretold, those of at least three images, at most 20,000; in at most 512 directions. How rare
    they are is counted with the new images repeated until they are about as many as those of the start, where
    they are fewer.

    Args:
        start: Learned before, with the same encoder.
        read: Digests to features, (N, D) or (N, R, D).
        examples: Images that ``start`` was not learned from, one at least, with their digests; markers in
            captions are stripped.
        tokenizer: Of the model.
        progress: Told about every image, three times.

    Returns:
        The model, whose features are centred on those of the start's images. None where it is no help to go
        on from ``start``: among captions of other images, those of an image that is left out stand out more
        without it. Of fewer than ten images that is not asked.

    Raises:
        BundleError: The start's counts of n-grams cannot be read.
    """
    before = restored_frequencies(start.frequencies)
    examples = some_of(examples)
    counted = frequencies_of(list(map(plain_captions, examples)), tokenizer)
    frequencies = frequent(before.joined(counted))
    # The captions to come are those of images like these: what all of them show tells none from another,
    # however rare it was among many more images of the start.
    more = max(round(before.images / counted.images) - 1, 0)
    frequencies = frequencies.with_images_repeated(counted, more)
    known = moved_rows(start.weights, before, frequencies)
    if not known.size:
        return None
    with progress.stage("learning what is usually written", 3 * len(examples), "images") as stage:
        data = CaptionedFeatures.read(read, examples, tokenizer, stage)
        images, places = standardised(data.features, start.mean, start.scale), start.places(data.features)
        squares = images.T @ images
        plain = np.zeros((images.shape[1], len(known)), np.float32)
        for part, weights in data.weights(frequencies):
            plain += images[part].T @ weights
        foretold = known.T.astype(np.float32)
        products: Floats = (plain - (images.T @ places) @ foretold).astype(np.float32)
        ridge = _penalty(data, frequencies, images, (places, foretold), (products, plain))
        del plain
    if ridge is None:
        return None
    axes, weights = regression(squares, products, len(images), ridge)
    if not axes.size:
        return replace(start, weights=known, frequencies=frequencies.to_arrays())
    small, others, steps = rounded(axes, weights)
    found = replace(
        start,
        axes=np.hstack([start.axes, small]),
        weights=np.hstack([known, others]),
        steps=np.concatenate([start.steps, steps]),
        frequencies=frequencies.to_arrays(),
    )
    return _strongest(found, data.features)


def _penalty(
    data: CaptionedFeatures,
    frequencies: DocumentFrequencies,
    images: Floats,
    start: tuple[Floats, Floats],
    products: tuple[Floats, Floats],
) -> float | None:
    """Return the best penalty for what the start does not foretell; None where images are better off without.

    Args:
        data: The images.
        frequencies: Say which n-grams are meant.
        images: Standardised features.
        start: Places of the images along its axes, (N, P), and what n-grams weigh along these, (P, M).
        products: Of features with residuals and with weights, both (D, M).
    """
    values, vectors = np.linalg.eigh((images.T @ images).astype(np.float64))
    turned = images @ vectors.astype(np.float32)
    lengths = np.maximum(values, 0).astype(np.float32)
    residuals, plain = (vectors.T.astype(np.float32) @ one for one in products)
    errors, fits, without = np.zeros(len(_PENALTIES)), np.zeros(len(_PENALTIES)), 0.0
    for part, weights in data.weights(frequencies):
        left_out = leave_one_out(weights, turned[part], plain, lengths + np.float32(RIDGE))
        without += _told_apart(weights - left_out, weights)
        targets = weights - start[0][part] @ start[1]
        for place, penalty in enumerate(_PENALTIES):
            left_out = leave_one_out(targets, turned[part], residuals, lengths + np.float32(penalty))
            errors[place] += float(np.square(left_out).sum(dtype=np.float64))
            fits[place] += _told_apart(weights - left_out, weights)
    best = int(np.argmin(errors))
    return _PENALTIES[best] if len(images) < _FEW or fits[best] >= without else None


def leave_one_out(targets: Floats, images: Floats, products: Floats, lengths: Floats) -> Floats:
    """Return what ridge regression on all other images leaves of each image's targets, (B, M).

    Args:
        targets: Of B of the images, (B, M).
        images: Their features along the eigenvectors of all images' squares, (B, D).
        products: Features' products with targets, summed over all images, along the same vectors, (D, M).
        lengths: Eigenvalues plus the penalty, (D,).
    """
    scaled = images / lengths
    leverage = np.einsum("nd,nd->n", scaled, images)
    residuals: Floats = (targets - scaled @ products) / (1 - leverage)[:, None]
    return residuals


def _told_apart(foretold: Floats, weights: Floats) -> float:
    """Return how far images' own captions fit better than those of the others: the sum, in deviations."""
    fit = foretold @ weights.T
    spread = fit.std(axis=1)
    above = np.diagonal(fit) - fit.mean(axis=1)
    return float((above / np.maximum(spread, _TINY)).sum())


def moved_rows(
    weights: NDArray[np.int8], before: DocumentFrequencies, after: DocumentFrequencies
) -> NDArray[np.int8]:
    """Return the rows of weights where ``after`` has their n-grams, and 0 for its others.

    Args:
        weights: A row for each n-gram of ``before``, (M, P).
        before: The n-grams they are of.
        after: Those that are wanted.
    """
    counts = after.counts()
    found = np.zeros((sum(map(len, counts)), weights.shape[1]), np.int8)
    row = base = 0
    for own, numbers in zip(counts, before.index.numbers_in(after.index), strict=True):
        kept = numbers < len(own)
        found[base + numbers[kept]] = weights[row : row + len(numbers)][kept]
        row, base = row + len(numbers), base + len(own)
    return found


def _strongest(found: ExpectedNgrams, features: Floats) -> ExpectedNgrams:
    """Keep the directions along which these images' n-grams differ most, so that files do not grow on."""
    if len(found.steps) <= 2 * AXES:
        return found
    spread = np.sqrt(np.mean(np.square(found.places(features)), axis=0))
    strength = spread * np.linalg.norm(found.weights.astype(np.float32), axis=0)
    kept = np.sort(np.argsort(-strength, kind="stable")[: 2 * AXES])
    return replace(found, axes=found.axes[:, kept], weights=found.weights[:, kept], steps=found.steps[kept])
