"""Captioning a split, scoring what came out, and finding out what the scores mean. NumPy alone."""

from cutline.evaluation.baselines import most_common_caption
from cutline.evaluation.captioning import ReadFeatures, caption_examples
from cutline.evaluation.scoring import (
    ScoringTokens,
    make_scorer,
    references_of,
    scoring_tokens,
    texts_of,
)

__all__ = [
    "ReadFeatures",
    "ScoringTokens",
    "caption_examples",
    "make_scorer",
    "most_common_caption",
    "references_of",
    "scoring_tokens",
    "texts_of",
]
