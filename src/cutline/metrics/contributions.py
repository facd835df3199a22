"""What each image adds to the scores of a corpus.

Every corpus score here is a function of sums over images: BLEU of ten counts, the others of one value each.
So the scores of a bootstrap sample, of a slice or of two runs with some captions exchanged come from adding
up, without comparing any caption again.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cutline.metrics.bleu import bleu_of
from cutline.metrics.references import Floats

METRICS: Final = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "cider_d")
"""Names of the scores in the order of every array here; fields of :class:`~cutline.records.Scores`."""

BLEU_STATISTICS: Final = 10
MEANS: Final = 3


def corpus_scores(sums: Floats, images: int) -> Floats:
    """Return the scores of ``images`` images from the sums of their contributions.

    Args:
        sums: float64 (..., 13): the ten counts of :meth:`~cutline.metrics.Bleu.statistics`, then ROUGE-L,
            CIDEr and CIDEr-D, each summed over the images.
        images: How many images were summed over.

    Returns:
        float64 (..., 7), ×100, in the order of :data:`METRICS`.

    Example:
        >>> counts = [4, 3, 2, 1, 4, 3, 2, 1, 4, 4]  # four tokens, all n-grams found
        >>> corpus_scores(np.array([*counts, 100.0, 500.0, 600.0]), images=1).round(3).tolist()
        [100.0, 100.0, 100.0, 100.0, 100.0, 500.0, 600.0]
    """
    bleu = np.moveaxis(bleu_of(np.moveaxis(sums[..., :BLEU_STATISTICS], -1, 0)), 0, -1)
    return np.concatenate([bleu, sums[..., BLEU_STATISTICS:] / images], axis=-1)
