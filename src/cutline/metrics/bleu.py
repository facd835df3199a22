"""BLEU-1 to BLEU-4 over a corpus, with the closest reference length.

Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (2002), in the variant
of COCO's evaluation server: no smoothing beyond two constants that keep divisions finite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cutline.metrics.ngrams import ORDERS, Ints, pack
from cutline.metrics.references import (
    CookedHypotheses,
    Floats,
    ReferenceSet,
    Tokenise,
    as_reference_set,
    cooked,
)

# COCO adds these to numerator and denominator; they show in the per-image values of short captions.
_TINY: Final = 1e-15
_SMALL: Final = 1e-9


class Bleu:
    """BLEU against fixed references.

    Example:
        >>> bleu = Bleu({"a.png": ["a red dot on a blue field"]})
        >>> [round(value) for value in bleu.score({"a.png": "a red dot on a blue field"})[0]]
        [100, 100, 100, 100]
    """

    def __init__(
        self, references: Mapping[str, Sequence[str]] | ReferenceSet, tokenise: Tokenise | None = None
    ) -> None:
        """Take references, as text or cooked; DataError as in :class:`ReferenceSet`."""
        self.references = as_reference_set(references, tokenise)

    def score(self, hypotheses: Mapping[str, str] | CookedHypotheses) -> tuple[Floats, Floats]:
        """Compare one hypothesis per image.

        Returns:
            Corpus BLEU-1..4, float64 (4,), and per-image BLEU-1..4, float64 (4, N) in the order of the
            references; all ×100. The corpus value is not the mean of the per-image ones.
        """
        statistics = self.statistics(hypotheses)
        return bleu_of(statistics.sum(1)), bleu_of(statistics)

    def statistics(self, hypotheses: Mapping[str, str] | CookedHypotheses) -> Ints:
        """Count what BLEU is made of, image by image.

        Returns:
            int64 (10, N): for 1- to 4-grams those found in the references, then for 1- to 4-grams those
            there are, then the length of the hypothesis and of the closest reference. Sums over any images
            give those images' BLEU, with :func:`bleu_of`.
        """
        hypotheses = cooked(self.references, hypotheses)
        lengths = hypotheses.captions.lengths.astype(np.int64)
        possible = np.maximum(lengths - np.arange(ORDERS)[:, None], 0)
        matched = [self._matched(hypotheses, order) for order in range(ORDERS)]
        return np.vstack([*matched, possible, lengths, self._closest_lengths(lengths)])

    def _matched(self, hypotheses: CookedHypotheses, order: int) -> Ints:
        """Count, per image, the n-grams found in its references, each at most as often as in one of them."""
        counts = hypotheses.counts[order]
        places, found = hypotheses.places[order]
        kept = np.minimum(counts.count[found], self.references.ngrams[order].ceiling[places[found]])
        return np.bincount(counts.owner[found], kept, len(self.references)).astype(np.int64)

    def _closest_lengths(self, lengths: Ints) -> Ints:
        """Return, per image, the reference length closest to the hypothesis's; the shorter of two."""
        reference_lengths = self.references.captions.lengths.astype(np.int64)
        distances = np.abs(reference_lengths - lengths[self.references.image_of])
        nearest = np.minimum.reduceat(pack(distances, reference_lengths), self.references.starts)
        return nearest & 0xFFFFFFFF


def bleu(
    hypotheses: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    tokenise: Tokenise | None = None,
) -> tuple[Floats, Floats]:
    """Return corpus BLEU-1..4 (4,) and per-image BLEU-1..4 (4, N), ×100; see :class:`Bleu`.

    Example:
        >>> corpus, per_image = bleu({"a.png": "a red dot"}, {"a.png": ["a red ring", "one dot"]})
        >>> [round(float(value), 1) for value in corpus[:2]]
        [100.0, 70.7]
    """
    return Bleu(references, tokenise).score(hypotheses)


def bleu_of(statistics: Ints | Floats) -> Floats:
    """Return BLEU-1..4, (4, ...), ×100, from the statistics (10, ...) that :meth:`Bleu.statistics` counts.

    It is the geometric mean of the precisions times the brevity penalty.
    """
    matched, possible = statistics[:ORDERS], statistics[ORDERS : 2 * ORDERS]
    lengths, closest = statistics[2 * ORDERS], statistics[2 * ORDERS + 1]
    precisions = np.cumprod((matched + _TINY) / (possible + _SMALL), axis=0)
    exponents = 1.0 / np.arange(1, ORDERS + 1).reshape(-1, *[1] * lengths.ndim)
    ratio = (lengths + _TINY) / (closest + _SMALL)
    bleu: Floats = 100.0 * precisions**exponents * np.exp(np.minimum(1.0 - 1.0 / ratio, 0.0))
    return bleu
