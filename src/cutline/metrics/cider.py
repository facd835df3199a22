"""CIDEr-D: agreement with the consensus of the references, rare n-grams counting more.

Vedantam, Zitnick and Parikh, "CIDEr: Consensus-based Image Description Evaluation" (2015), in the variant
of COCO's evaluation server (printed there as CIDEr): n-grams to 4, clipped counts, Gaussian length penalty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cutline.metrics.document_frequencies import DocumentFrequencies
from cutline.metrics.ngrams import ORDERS, Ints, NgramCounts, SmallInts, find, pack
from cutline.metrics.references import (
    CookedHypotheses,
    Floats,
    ReferenceSet,
    Tokenise,
    as_reference_set,
    cooked,
)

_SIGMA: Final = 6.0
# The paper's factor of 10 times the house's ×100.
_SCALE: Final = 10.0 * 100.0


class CiderD:
    """CIDEr-D against fixed references, which are tokenised, counted and weighted once.

    Example:
        >>> references = {"a.png": ["a red dot", "one red dot"], "b.png": ["two blue squares"]}
        >>> cider = CiderD(references)
        >>> mean, per_image = cider.score({"a.png": "a red dot", "b.png": "a red dot"})
        >>> per_image.round().tolist()
        [521.0, 0.0]
    """

    _clipped = True

    def __init__(
        self,
        references: Mapping[str, Sequence[str]] | ReferenceSet,
        tokenise: Tokenise | None = None,
        frequencies: DocumentFrequencies | None = None,
    ) -> None:
        """Take references, as text or cooked.

        Args:
            references: One or more references for each of N images.
            tokenise: Applied to both sides; COCO's tokenisation when None.
            frequencies: In how many images of a corpus each n-gram stands; of these references when
                None, as COCO does. With a single image every n-gram is then in all images and the score is 0.

        Raises:
            DataError: As in :class:`ReferenceSet`.
        """
        self.references = as_reference_set(references, tokenise)
        self._frequencies = frequencies or DocumentFrequencies.of(self.references)
        inverse = self._frequencies.inverse(self.references.captions, self.references.index)
        self._weights = [
            counts.count * weights[counts.first]
            for counts, weights in zip(self.references.counts, inverse, strict=True)
        ]
        total = len(self.references.image_of)
        self._norms = [
            _norms(counts, weights, total)
            for counts, weights in zip(self.references.counts, self._weights, strict=True)
        ]

    def score(self, hypotheses: Mapping[str, str] | CookedHypotheses) -> tuple[float, Floats]:
        """Compare one hypothesis per image.

        Returns:
            The mean over images and the per-image values, float64 (N,) in the order of the references;
            both 100 times what COCO prints, so from 0 to 1000. A blank hypothesis scores 0.
        """
        hypotheses = cooked(self.references, hypotheses)
        image_of = self.references.image_of
        similarity = self._similarity(hypotheses)
        sizes = np.bincount(image_of, minlength=len(self.references))
        per_image = _SCALE * np.bincount(image_of, similarity, len(self.references)) / sizes
        return float(per_image.mean()), per_image

    def _similarity(self, hypotheses: CookedHypotheses) -> Floats:
        """Return how near each reference is to the hypothesis of its image, 0..1, (R,)."""
        image_of = self.references.image_of
        inverse = self._frequencies.inverse(hypotheses.captions, self.references.index)
        similarity = np.zeros(len(image_of))
        for order in range(ORDERS):
            counts = hypotheses.counts[order]
            weights = counts.count * inverse[order][counts.first]
            norms = _norms(counts, weights, len(self.references))[image_of] * self._norms[order]
            overlap = self._overlap(order, counts.keys(), weights)
            similarity += np.divide(overlap, norms, out=np.zeros_like(overlap), where=norms > 0)
        if not self._clipped:
            return similarity / ORDERS
        # COCO measures length in bigrams, so captions of no and of one token are equally long.
        lengths = np.maximum(hypotheses.captions.lengths - 1, 0)
        reference_lengths = np.maximum(self.references.captions.lengths - 1, 0)
        gap = lengths[image_of] - reference_lengths
        return similarity * np.exp(-(gap.astype(np.float64) ** 2) / (2 * _SIGMA**2)) / ORDERS

    def _overlap(self, order: int, keys: Ints, weights: Floats) -> Floats:
        """Return the dot product of each reference with the hypothesis of its image, (R,)."""
        counts = self.references.counts[order]
        own = self._weights[order]
        positions, found = find(keys, pack(self.references.image_of[counts.owner], counts.ngram))
        theirs = weights[positions[found]]
        products = (np.minimum(theirs, own[found]) if self._clipped else theirs) * own[found]
        return _sums(counts.owner[found], products, len(self.references.image_of))


class Cider(CiderD):
    """CIDEr as in section 3 of the paper: plain cosines, neither clipped nor weighted by length; no stemming.

    Example:
        >>> references = {"a.png": ["a red dot"], "b.png": ["two blue squares"]}
        >>> Cider(references).score({"a.png": "a red dot", "b.png": ""})[1].tolist()
        [750.0, 0.0]
    """

    _clipped = False


def cider_d(
    hypotheses: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    tokenise: Tokenise | None = None,
    frequencies: DocumentFrequencies | None = None,
) -> tuple[float, Floats]:
    """Return the mean CIDEr-D and the per-image values (N,), 100 times what COCO prints; see :class:`CiderD`.

    Example:
        >>> references = {"a.png": ["a red dot"], "b.png": ["two blue squares"]}
        >>> cider_d({"a.png": "two", "b.png": ""}, references)[0]
        0.0
    """
    return CiderD(references, tokenise, frequencies).score(hypotheses)


def _norms(counts: NgramCounts, weights: Floats, owners: int) -> Floats:
    return np.sqrt(_sums(counts.owner, weights**2, owners))


def _sums(owner: SmallInts, values: Floats, owners: int) -> Floats:
    # bincount answers in integers when there is nothing to add up
    return np.bincount(owner, values, owners).astype(np.float64)
