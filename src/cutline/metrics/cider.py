"""CIDEr-D: agreement with the consensus of the references, rare n-grams counting more.

Vedantam, Zitnick and Parikh, "CIDEr: Consensus-based Image Description Evaluation" (2015), in the variant
of COCO's evaluation server (printed there as CIDEr): n-grams to 4, clipped counts, Gaussian length penalty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cutline.metrics.document_frequencies import DocumentFrequencies
from cutline.metrics.ngrams import ORDERS, SmallInts
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
        inverse = self._frequencies.inverse_of(self.references.index)
        self._weights = [
            ngrams.count * values[ngrams.ngram][ngrams.place]
            for ngrams, values in zip(self.references.ngrams, inverse, strict=True)
        ]
        total = len(self.references.image_of)
        self._norms = [
            _norms(ngrams.owner, weights, total)
            for ngrams, weights in zip(self.references.ngrams, self._weights, strict=True)
        ]

    def score(self, hypotheses: Mapping[str, str] | CookedHypotheses) -> tuple[float, Floats]:
        """Compare one hypothesis per image.

        Returns:
            The mean over images and the per-image values, float64 (N,) in the order of the references;
            both 100 times what COCO prints, so from 0 to 1000. A blank hypothesis scores 0.
        """
        per_image = self.both(hypotheses)[self._clipped]
        return float(per_image.mean()), per_image

    def both(self, hypotheses: Mapping[str, str] | CookedHypotheses) -> tuple[Floats, Floats]:
        """Return the per-image values of CIDEr and of CIDEr-D, which have all but the last step in common."""
        hypotheses = cooked(self.references, hypotheses)
        image_of = self.references.image_of
        inverse = self._frequencies.inverse(hypotheses.captions, self.references.index)
        plain, clipped = np.zeros(len(image_of)), np.zeros(len(image_of))
        for order in range(ORDERS):
            counts = hypotheses.counts[order]
            weights = counts.count * inverse[order][counts.first]
            norms = _norms(counts.owner, weights, len(self.references))[image_of] * self._norms[order]
            scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
            for total, overlap in zip(
                (plain, clipped), self._overlaps(hypotheses, order, weights), strict=True
            ):
                total += overlap * scale
        # COCO measures length in bigrams, so captions of no and of one token are equally long.
        lengths = np.maximum(hypotheses.captions.lengths - 1, 0)
        gap = lengths[image_of] - np.maximum(self.references.captions.lengths - 1, 0)
        clipped *= np.exp(-(gap.astype(np.float64) ** 2) / (2 * _SIGMA**2))
        return self._per_image(plain), self._per_image(clipped)

    def similarities(self) -> list[Floats]:
        """Return how near the references of each image are to each other in CIDEr, 0..1: N arrays (K, K)."""
        references, sizes = (
            self.references,
            np.diff(self.references.starts, append=len(self.references.image_of)),
        )
        kernels = [np.zeros((size, size)) for size in sizes.tolist()]
        for ngrams, weights, norms in zip(references.ngrams, self._weights, self._norms, strict=True):
            scaled = np.divide(
                weights, norms[ngrams.owner], out=np.zeros_like(weights), where=norms[ngrams.owner] > 0
            )
            bounds = np.searchsorted(ngrams.keys >> 32, np.arange(len(sizes) + 1))
            rows = np.searchsorted(ngrams.place, bounds)
            for image, kernel in enumerate(kernels):
                here = slice(rows[image], rows[image + 1])
                vectors = np.zeros((len(kernel), bounds[image + 1] - bounds[image]))
                own = ngrams.owner[here] - references.starts[image]
                vectors[own, ngrams.place[here] - bounds[image]] = scaled[here]
                kernel += vectors @ vectors.T / ORDERS
        return kernels

    def _overlaps(self, hypotheses: CookedHypotheses, order: int, weights: Floats) -> tuple[Floats, Floats]:
        """Return the dot product of each reference with the hypothesis of its image, (R,); also clipped."""
        ngrams, own = self.references.ngrams[order], self._weights[order]
        places, found = hypotheses.places[order]
        of_place = np.zeros(len(ngrams.keys))
        of_place[places[found]] = weights[found]
        theirs = of_place[ngrams.place]
        shared = np.flatnonzero(theirs)
        owner, theirs, own = ngrams.owner[shared], theirs[shared], own[shared]
        total = len(self.references.image_of)
        return _sums(owner, theirs * own, total), _sums(owner, np.minimum(theirs, own) * own, total)

    def _per_image(self, similarity: Floats) -> Floats:
        """Return the mean over the references of each image, (N,), scaled."""
        sums = np.add.reduceat(similarity, self.references.starts)
        means: Floats = _SCALE / ORDERS * sums / np.diff(self.references.starts, append=len(similarity))
        return means


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


def _norms(owner: SmallInts, weights: Floats, owners: int) -> Floats:
    return np.sqrt(_sums(owner, weights**2, owners))


def _sums(owner: SmallInts, values: Floats, owners: int) -> Floats:
    # bincount answers in integers when there is nothing to add up
    return np.bincount(owner, values, owners).astype(np.float64, copy=False)
