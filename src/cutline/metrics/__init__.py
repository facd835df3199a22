"""How good captions are: BLEU-1..4, ROUGE-L and CIDEr-D as COCO's evaluation computes them, without Java.

Every score is ×100; per-image values come in the order of the references. Beside the scores: how sure they
are, one line that says how they were computed, and how much captions differ from each other.
"""

from cutline.metrics.bleu import Bleu, bleu
from cutline.metrics.cider import Cider, CiderD, cider_d
from cutline.metrics.diversity import measure_diversity, most_common, unique_share
from cutline.metrics.document_frequencies import DocumentFrequencies
from cutline.metrics.function_words import ENGLISH_FUNCTION_WORDS
from cutline.metrics.java import JavaScores, java_scores
from cutline.metrics.lists import mutual_bleu_4, self_cider
from cutline.metrics.ptb import tokenise_ptb
from cutline.metrics.references import ReferenceSet
from cutline.metrics.rouge import RougeL, rouge_l
from cutline.metrics.score import Scorer, score
from cutline.metrics.signature import signature
from cutline.metrics.significance import (
    bootstrap_interval,
    compare,
    compare_seeds,
    interval_of_mean,
    standard_error,
)
from cutline.text.markers import strip_markers

__all__ = [
    "ENGLISH_FUNCTION_WORDS",
    "Bleu",
    "Cider",
    "CiderD",
    "DocumentFrequencies",
    "JavaScores",
    "ReferenceSet",
    "RougeL",
    "Scorer",
    "bleu",
    "bootstrap_interval",
    "cider_d",
    "compare",
    "compare_seeds",
    "interval_of_mean",
    "java_scores",
    "measure_diversity",
    "most_common",
    "mutual_bleu_4",
    "rouge_l",
    "score",
    "self_cider",
    "signature",
    "standard_error",
    "strip_markers",
    "tokenise_ptb",
    "unique_share",
]
