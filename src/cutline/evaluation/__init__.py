"""Captioning a split, scoring what came out, and finding out what the scores mean. NumPy alone."""

from cutline.evaluation.baselines import Setting, compare_with_others, most_common_caption
from cutline.evaluation.captioning import ReadFeatures, caption_examples, caption_lists
from cutline.evaluation.looking import Circumstances, looking_test
from cutline.evaluation.scoring import (
    ScoringTokens,
    fingerprint_of,
    make_scorer,
    plain_captions,
    references_of,
    scoring_tokens,
    texts_of,
)

__all__ = [
    "Circumstances",
    "ReadFeatures",
    "ScoringTokens",
    "Setting",
    "caption_examples",
    "caption_lists",
    "compare_with_others",
    "fingerprint_of",
    "looking_test",
    "make_scorer",
    "most_common_caption",
    "plain_captions",
    "references_of",
    "scoring_tokens",
    "texts_of",
]
