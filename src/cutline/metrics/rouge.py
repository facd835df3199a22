"""ROUGE-L: how much of a caption stands, in order, in its references.

Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), in the variant of COCO's evaluation
server: best precision and best recall over the references, combined with beta 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.metrics.ngrams import EncodedCaptions, Ints, run_starts, sort_pairs
from cutline.metrics.references import (
    CookedHypotheses,
    Floats,
    ReferenceSet,
    Tokenise,
    as_reference_set,
    cooked,
)

_BETA_SQUARED: Final = 1.2**2
_WORD: Final = 64


class RougeL:
    """ROUGE-L against fixed references.

    Example:
        >>> rouge = RougeL({"a.png": ["a red dot", "two dots"]})
        >>> rouge.score({"a.png": "a red dot"})[0]
        100.0
    """

    def __init__(
        self, references: Mapping[str, Sequence[str]] | ReferenceSet, tokenise: Tokenise | None = None
    ) -> None:
        """Take references, as text or cooked; DataError as in :class:`ReferenceSet`."""
        self.references = as_reference_set(references, tokenise)

    def score(self, hypotheses: Mapping[str, str] | CookedHypotheses) -> tuple[float, Floats]:
        """Compare one hypothesis per image.

        Returns:
            The mean over images and the per-image values, float64 (N,) in the order of the references;
            both ×100, from 0 to 100. A blank hypothesis scores 0.
        """
        given = cooked(self.references, hypotheses)
        starts, lengths = self.references.starts, given.captions.lengths
        common = self._common_lengths(given)
        recalls = common / np.maximum(self.references.captions.lengths, 1)
        precision = np.maximum.reduceat(common, starts) / np.maximum(lengths, 1)
        recall = np.maximum.reduceat(recalls, starts)
        weighted = (1 + _BETA_SQUARED) * precision * recall
        per_image: Floats = 100.0 * weighted / np.where(recall > 0, recall + _BETA_SQUARED * precision, 1.0)
        return float(per_image.mean()), per_image

    def _common_lengths(self, given: CookedHypotheses) -> Ints:
        """Return the length of the longest common subsequence of each reference with its hypothesis, (R,)."""
        lengths = given.captions.lengths[self.references.image_of]
        common = np.zeros(len(lengths), np.int64)
        short = lengths <= _WORD
        common[short] = _common_of_short(given, self.references, short)
        for reference in np.flatnonzero(~short).tolist():
            image = int(self.references.image_of[reference])
            common[reference] = _common_of_long(
                _tokens(given.captions, image), _tokens(self.references.captions, reference)
            )
        return common


def rouge_l(
    hypotheses: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    tokenise: Tokenise | None = None,
) -> tuple[float, Floats]:
    """Return the mean ROUGE-L and the per-image values (N,), ×100; see :class:`RougeL`.

    Example:
        >>> round(rouge_l({"a.png": "a dot"}, {"a.png": ["a red dot"]})[0], 1)
        77.2
    """
    return RougeL(references, tokenise).score(hypotheses)


def _common_of_short(given: CookedHypotheses, references: ReferenceSet, chosen: NDArray[np.bool_]) -> Ints:
    """Return the common lengths of the chosen references, whose hypotheses fit into one machine word.

    Hyyrö, "Bit-Parallel LCS-length Computation Revisited" (2004): each zero bit of ``row`` is one step up in
    a row of the alignment table. Here all references go through their tokens together, the long ones last.
    """
    lengths = references.captions.lengths
    order = np.flatnonzero(chosen)
    order = order[np.argsort(-lengths[order], kind="stable")]
    starts = (np.cumsum(lengths) - lengths)[order]
    places_in_hypothesis = _bits_of_places(given, references)[references.token_places]
    rows = np.full(len(order), ~np.uint64(0))
    # still_going[t]: how many references have a token number t
    still_going = len(order) - np.cumsum(np.bincount(lengths[order]))
    for step, going in enumerate(still_going[:-1].tolist()):
        row = rows[:going]
        hits = row & places_in_hypothesis[starts[:going] + step]
        rows[:going] = (row + hits) | (row - hits)
    own = given.captions.lengths[references.image_of[order]].astype(np.uint64)
    # a shift by all 64 bits is not defined
    used = np.where(own > 0, ~np.uint64(0) >> (np.uint64(_WORD) - np.maximum(own, 1)), np.uint64(0))
    common = np.empty(len(lengths), np.int64)
    common[order] = np.bitwise_count(~rows & used)
    return common[chosen]


def _bits_of_places(given: CookedHypotheses, references: ReferenceSet) -> NDArray[np.uint64]:
    """Return, for each image and token of its references, at which bits the hypothesis has it."""
    captions = given.captions
    places, found = given.places[0]
    starts = np.cumsum(captions.lengths) - captions.lengths
    within = np.arange(len(captions.tokens)) - np.repeat(starts, captions.lengths)
    keys, positions = sort_pairs(captions.owners[0], captions.tokens)
    bits = np.uint64(1) << (within[positions] % _WORD).astype(np.uint64)
    together = np.bitwise_or.reduceat(bits, run_starts(keys)) if len(bits) else bits
    of_place = np.zeros(len(references.ngrams[0].keys), np.uint64)
    of_place[places[found]] = together[found]
    return of_place


def _tokens(captions: EncodedCaptions, caption: int) -> list[int]:
    start = int(captions.lengths[:caption].sum())
    return list(map(int, captions.tokens[start : start + int(captions.lengths[caption])]))


def _common_of_long(hypothesis: list[int], reference: list[int]) -> int:
    """Return the length of the longest common subsequence, for a hypothesis of any length."""
    places: dict[int, int] = {}
    for place, token in enumerate(hypothesis):
        places[token] = places.get(token, 0) | 1 << place
    row = full = (1 << len(hypothesis)) - 1
    for token in reference:
        hits = row & places.get(token, 0)
        row = ((row + hits) | (row - hits)) & full
    return len(hypothesis) - row.bit_count()
