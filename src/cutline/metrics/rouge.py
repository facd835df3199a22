"""ROUGE-L: how much of a caption stands, in order, in its references.

Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), in the variant of COCO's evaluation
server: best precision and best recall over the references, combined with beta 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from cutline.metrics.ngrams import SmallInts
from cutline.metrics.references import (
    CookedHypotheses,
    Floats,
    ReferenceSet,
    Tokenise,
    as_reference_set,
    cooked,
)

_BETA_SQUARED: Final = 1.2**2


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
        split_hypotheses = _split(given.captions.tokens, given.captions.lengths)
        references = _split(self.references.captions.tokens, self.references.captions.lengths)
        bounds = pairwise([*self.references.starts.tolist(), len(references)])
        per_image = np.array(
            [
                _rouge_l(hypothesis, references[start:end])
                for hypothesis, (start, end) in zip(split_hypotheses, bounds, strict=True)
            ]
        )
        return float(per_image.mean()), per_image


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


def _split(tokens: SmallInts, lengths: SmallInts) -> list[list[int]]:
    flat = tokens.tolist()
    ends = np.cumsum(lengths).tolist()
    return [flat[start:end] for start, end in pairwise([0, *ends])]


def _rouge_l(hypothesis: list[int], references: list[list[int]]) -> float:
    if not hypothesis:
        return 0.0
    # One bit per place of a token in the hypothesis: a whole row of the alignment table in one integer.
    places: dict[int, int] = {}
    for place, token in enumerate(hypothesis):
        places[token] = places.get(token, 0) | 1 << place
    common = [_longest_common(places, len(hypothesis), reference) for reference in references]
    recalls = [length / max(len(tokens), 1) for length, tokens in zip(common, references, strict=True)]
    precision, recall = max(common) / len(hypothesis), max(recalls)
    if not precision:
        return 0.0
    return 100.0 * (1 + _BETA_SQUARED) * precision * recall / (recall + _BETA_SQUARED * precision)


def _longest_common(places: Mapping[int, int], length: int, reference: list[int]) -> int:
    """Return the length of the longest common subsequence.

    Hyyrö, "Bit-Parallel LCS-length Computation Revisited" (2004): each zero bit of ``row`` is one step
    up in the table's current row.
    """
    full = (1 << length) - 1
    row = full
    for token in reference:
        hits = row & places.get(token, 0)
        row = ((row + hits) | (row - hits)) & full
    return length - row.bit_count()
