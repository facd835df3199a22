"""Learning what people would write about an image, n-gram by n-gram, from the features of training images.

Ridge regression (Hoerl and Kennard, 1970) from features to the n-grams of references as CIDEr weighs them
(Vedantam et al., CVPR 2015), cut to the directions that matter for the predictions: reduced-rank regression
(Izenman, 1975). Closed form: nothing is drawn, and nothing has to converge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.evaluation.captioning import ReadFeatures
from cutline.evaluation.scoring import plain_captions
from cutline.evaluation.training_features import in_any_order
from cutline.metrics import DocumentFrequencies
from cutline.metrics.ngrams import ORDERS
from cutline.progress import Progress, Stage
from cutline.records import Example
from cutline.runtime.confidence import pooled
from cutline.runtime.expected_ngrams import ExpectedNgrams, standardised
from cutline.text import Tokenizer
from cutline.voters import frequencies_of, weighed_ngrams

FEWEST_EXPECTED: Final = 100
"""Training images that are needed at least."""

Floats = NDArray[np.float32]

# Images whose n-grams are held at once: 20 MB with as many n-grams as there may be.
_BLOCK: Final = 256
_NGRAMS: Final = 20_000
_IMAGES: Final = 20_000
_LEAST: Final = 3
AXES: Final = 256
# Of features of length 1. Chosen on the val captions of Flickr8k; half or twice of it changes little.
RIDGE: Final = 1.0
_LEAST_SPREAD: Final = 0.1
_LARGEST: Final = 127
# Of the weights' root mean square: captions stay the same, and a packed file takes half the room.
_COARSE: Final = 0.5
_TINY: Final = 1e-6


def learn_expected(
    read: ReadFeatures, examples: Sequence[Example], tokenizer: Tokenizer, progress: Progress
) -> ExpectedNgrams | None:
    """Learn to foretell the n-grams of references.

    N-grams of at least three images are learned, at most 20,000: the most frequent ones. What they weigh on
    average is left out: captions that fit every image would else be favoured. Of more than 20,000 images as
    many are taken; which ones depends on their digests alone.

    Args:
        read: Digests to features, (N, D) or (N, R, D).
        examples: The training images, with their digests; markers in captions are stripped.
        tokenizer: Of the model.
        progress: Told about every image, twice.

    Returns:
        The model; None where no n-gram stands in three images, or all images look the same.
    """
    examples = some_of(examples)
    frequencies = frequent(frequencies_of(list(map(plain_captions, examples)), tokenizer))
    number = sum(map(len, frequencies.counts()))
    if not number:
        return None
    with progress.stage("learning what is usually written", 2 * len(examples), "images") as stage:
        data = CaptionedFeatures.read(read, examples, tokenizer, stage)
        mean, spread = data.features.mean(axis=0), data.features.std(axis=0)
        # A feature that hardly varies here would outweigh all others in an image where it does.
        scale = np.maximum(spread, max(_TINY, _LEAST_SPREAD * float(np.median(spread))))
        images = standardised(data.features, mean, scale)
        products = np.zeros((images.shape[1], number), np.float32)
        for part, weights in data.weights(frequencies):
            products += images[part].T @ weights
    axes, weights = regression(images.T @ images, products, len(images), RIDGE)
    if not axes.size or not np.abs(weights).max() > _TINY:
        return None
    return ExpectedNgrams(mean, scale.astype(np.float32), *rounded(axes, weights), frequencies.to_arrays())


@dataclass(frozen=True)
class CaptionedFeatures:
    """Training images to learn from.

    Attributes:
        features: Their features, averaged over regions, float32 (N, D).
        captions: Those of each image, without markers.
        tokenizer: Parts them.
        stage: Told about every image of :meth:`weights`.
    """

    features: Floats
    captions: Sequence[Sequence[str]]
    tokenizer: Tokenizer
    stage: Stage

    @classmethod
    def read(
        cls, read: ReadFeatures, examples: Sequence[Example], tokenizer: Tokenizer, stage: Stage
    ) -> CaptionedFeatures:
        """Read the features of examples, telling ``stage`` of each."""
        vectors = []
        for at in range(0, len(examples), _BLOCK):
            vectors.append(pooled(read([example.digest for example in examples[at : at + _BLOCK]])))
            stage.advance(len(vectors[-1]))
        return cls(np.concatenate(vectors), list(map(plain_captions, examples)), tokenizer, stage)

    def weights(self, frequencies: DocumentFrequencies) -> Iterator[tuple[slice, Floats]]:
        """Yield for block after block of images the mean weight of each n-gram in their captions, (B, M)."""
        number = sum(map(len, frequencies.counts()))
        for at in range(0, len(self.captions), _BLOCK):
            part = slice(at, at + _BLOCK)
            weights = _weights(self.captions[part], frequencies, number, self.tokenizer)
            yield part, weights
            self.stage.advance(len(weights))


def some_of(examples: Sequence[Example]) -> list[Example]:
    """Return examples in an order that their digests alone decide, no more than there may be."""
    return sorted(examples, key=lambda example: in_any_order(example.digest))[:_IMAGES]


def frequent(frequencies: DocumentFrequencies) -> DocumentFrequencies:
    """Leave out rare n-grams until what is left is no more than may be."""
    counts = np.sort(np.concatenate(frequencies.counts()))[::-1]
    least = int(counts[_NGRAMS]) + 1 if len(counts) > _NGRAMS else 0
    return frequencies.without_rare(max(_LEAST, least))


def _weights(
    captions: Sequence[Sequence[str]], frequencies: DocumentFrequencies, number: int, tokenizer: Tokenizer
) -> Floats:
    """Return for each image the mean weight of each n-gram in its captions, (B, M)."""
    tokens = [tokenizer.tokenise(caption) for own in captions for caption in own]
    sizes = np.array([len(own) for own in captions])
    image_of = np.repeat(np.arange(len(captions)), sizes)
    rows, values, owners = weighed_ngrams(tokens, frequencies)
    images = image_of[owners]
    # Those of candidates are already divided by the orders and times 10: that must not be done twice.
    shares = values / sizes[images] * (ORDERS / 10)
    found = np.bincount(images * number + rows, shares, len(captions) * number)
    return found.reshape(-1, number).astype(np.float32)


def regression(squares: Floats, products: Floats, number: int, ridge: float) -> tuple[Floats, Floats]:
    """Return axes (D, P) and weights (M, P) whose product foretells best among all of that rank.

    Along each axis the mean square of the places of the ``number`` training images is 1, so that weights
    along different axes can be compared.

    Args:
        squares: Features' products with each other, summed over the images, (D, D).
        products: Their products with the weights of n-grams, summed likewise, (D, M).
        number: Of the images.
        ridge: The penalty.
    """
    size = len(squares)
    wide = squares.astype(np.float64)
    coefficients = np.linalg.solve(wide + ridge * np.eye(size), products.astype(np.float64))
    # Predictions for the training images have the singular vectors of root @ coefficients, which is smaller.
    values, vectors = np.linalg.eigh(wide)
    root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    predicted = root @ coefficients
    lengths, left = np.linalg.eigh(predicted @ predicted.T)
    kept = np.flatnonzero(lengths > lengths[-1] * _TINY)[::-1][:AXES]
    weights = predicted.T @ left[:, kept] / np.sqrt(lengths[kept])
    spread = np.sqrt(lengths[kept] / number)
    return (coefficients @ weights / spread).astype(np.float32), (weights * spread).astype(np.float32)


def rounded(axes: Floats, weights: Floats) -> tuple[NDArray[np.int8], NDArray[np.int8], Floats]:
    """Round axes and weights; return them with what 1 along each axis is worth, both taken together."""
    small_axes, own = _rounded(axes)
    small_weights, others = _rounded(weights, _COARSE * float(np.sqrt(np.mean(np.square(weights)))))
    return small_axes, small_weights, own * others


def _rounded(matrix: Floats, least: float = _TINY) -> tuple[NDArray[np.int8], Floats]:
    """Round each column to whole numbers of 8 bits; return them with what 1 is worth in each, (P,).

    1 is worth ``least`` at least: noise that is the same along all axes takes the least room for its effect.
    """
    steps = np.maximum(np.abs(matrix).max(axis=0) / _LARGEST, least).astype(np.float32)
    return np.rint(matrix / steps).astype(np.int8), steps
