"""The caption of a pool that the others agree with most.

Devlin, Gupta, Girshick, Mitchell and Zitnick, "Exploring Nearest Neighbor Approaches for Image Captioning"
(2015): the captions of the most similar training images vote for one of themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.metrics import DocumentFrequencies, ReferenceSet
from cutline.metrics.ngrams import NgramCounts, count_ngrams

Floats = NDArray[np.float64]

_SIGMA: Final = 6.0


class Consensus:
    """Captions of many images, ready to be compared with each other.

    Two captions are as similar as CIDEr-D says but for its clipping of repeated n-grams: the cosine of their
    n-grams to 4, each weighted by how rare it is among these images, less for captions of other lengths.

    Example:
        >>> captions = {"a.png": ["a dog runs", "a brown dog runs"], "b.png": ["a dog runs fast"],
        ...             "c.png": ["two people"]}
        >>> Consensus(captions).choose(["a.png", "b.png", "c.png"])
        'a dog runs'
    """

    def __init__(
        self,
        captions: Mapping[str, Sequence[str]],
        tokenise: Callable[[str], list[str]] | None = None,
    ) -> None:
        """Tokenise, count and weight.

        Args:
            captions: image_id → its captions, at least one.
            tokenise: COCO's tokenisation when None.

        Raises:
            DataError: There is no image, or one without a caption.
        """
        cooked = ReferenceSet(captions, tokenise)
        sizes = np.bincount(cooked.image_of)
        self._texts = [text for texts in captions.values() for text in texts]
        self._captions_of = {
            image_id: np.arange(start, start + size)
            for image_id, start, size in zip(cooked.image_ids, cooked.starts, sizes, strict=True)
        }
        self._lengths, self._length_of = np.unique(cooked.captions.lengths, return_inverse=True)
        gaps = self._lengths[:, None] - self._lengths.astype(np.float64)
        self._nearness = np.exp(-(gaps**2) / (2 * _SIGMA**2))
        inverse = DocumentFrequencies.of(cooked).inverse(cooked.captions, cooked.index)
        self._orders = [
            _Order(count_ngrams(cooked.captions, order), weights, len(self._texts))
            for order, weights in enumerate(inverse, start=1)
        ]

    def choose(self, image_ids: Sequence[str]) -> str:
        """Return the caption of these images with the highest mean similarity to their other captions.

        Of equally good ones the first is taken, in the order of ``image_ids``, which is not empty.
        """
        pool = np.concatenate([self._captions_of[image_id] for image_id in image_ids])
        used, length = np.unique(self._length_of[pool], return_inverse=True)
        nearness = self._nearness[np.ix_(used, used)]
        votes = sum(order.votes(pool, length, nearness) for order in self._orders)
        # Equal sums may differ in their last digits by the order of adding.
        winner = int(np.argmax(votes >= np.max(votes) - 1e-9))
        return str(self._texts[int(pool[winner])])


class _Order:
    """Weighted n-grams of one order, caption by caption, each caption of length 1."""

    def __init__(self, counts: NgramCounts, inverse: Floats, captions: int) -> None:
        weights = counts.count * inverse[counts.first]
        norms = np.sqrt(np.bincount(counts.owner, weights**2, captions))[counts.owner]
        self._weights = np.divide(weights, norms, out=np.zeros_like(weights), where=norms > 0)
        self._ngrams = counts.ngram
        self._bounds = np.searchsorted(counts.owner, np.arange(captions + 1))

    def votes(self, pool: NDArray[np.int64], length: NDArray[np.int64], nearness: Floats) -> Floats:
        """Return for each caption of the pool the sum of its similarities to the others, (C,).

        Captions of one length are added up first, so that no caption is compared with any single other one:
        the work grows with the size of the pool and not with its square.

        Args:
            pool: Numbers of C captions.
            length: Which of L lengths each of them has, (C,).
            nearness: By how much similarity counts between captions of two lengths, (L, L).
        """
        starts, sizes = self._bounds[pool], np.diff(self._bounds)[pool]
        owner = np.repeat(np.arange(len(pool)), sizes)
        at = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(starts, sizes)
        ngrams, ngram, captions = np.unique(self._ngrams[at], return_inverse=True, return_counts=True)
        # An n-gram of one caption says nothing about how near it is to others, and most are of that kind.
        shared = captions[ngram] > 1
        owner, ngram, weights = owner[shared], ngram[shared], self._weights[at[shared]]
        cells = length[owner] * len(ngrams) + ngram
        by_length = np.bincount(cells, weights, len(nearness) * len(ngrams)).reshape(len(nearness), -1)
        together = nearness @ by_length
        with_itself = weights**2
        found = np.bincount(owner, weights * together[length[owner], ngram] - with_itself, len(pool))
        return found.astype(np.float64)
