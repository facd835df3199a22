"""Captions that a trained model finds less likely for their own image than for most others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.decoding import StepModel
from cutline.decoding.rescore import rescore
from cutline.evaluation.captioning import ReadFeatures
from cutline.progress import Progress
from cutline.records import Example
from cutline.text import END_ID, START_ID, Vocabulary

DRAWN: Final = 20
_AT_ONCE: Final = 48
_LONGEST: Final = 40
_SEED: Final = 0


@dataclass(frozen=True)
class Likelihood:
    """How well one caption fits its image in the eyes of a model.

    Attributes:
        example: The image.
        caption: One of its captions.
        fits_worse: Share (0..1) of other images, drawn by lot, for which the model finds the caption less
            likely; near 1 for a caption that belongs to its image, around a half for one that does not.
    """

    example: Example
    caption: str
    fits_worse: float


def measure_likelihoods(
    model: StepModel[Any],
    read_features: ReadFeatures,
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    progress: Progress,
) -> list[Likelihood]:
    """Compare how likely each caption is for its image and for :data:`DRAWN` others.

    Log-probabilities of one caption are compared with each other only, so that neither its length nor how
    common its words are counts; what is left is what the model sees of it in the picture.

    Args:
        model: Trained; on other images than these, or it only remembers.
        read_features: Digests of N images to their features (N, ...).
        examples: Images with their captions, two at least.
        vocabulary: The model's.
        progress: Told about every caption.
    """
    captions = [(position, text) for position, each in enumerate(examples) for text in each.captions]
    if len(examples) < 2:
        return []
    chance = np.random.default_rng(_SEED)
    drawn = chance.choice(len(examples), min(DRAWN + 1, len(examples)), replace=False)
    features = np.asarray(read_features([example.digest for example in examples]))
    result = []
    with progress.stage("asking the model", len(captions), "captions") as stage:
        for at in range(0, len(captions), _AT_ONCE):
            batch = captions[at : at + _AT_ONCE]
            for (position, text), share in zip(
                batch, _shares(model, features, drawn, batch, vocabulary), strict=True
            ):
                result.append(Likelihood(examples[position], text, share))
            stage.advance(len(batch))
    return result


def _shares(
    model: StepModel[Any],
    features: NDArray[Any],
    drawn: NDArray[np.int64],
    batch: Sequence[tuple[int, str]],
    vocabulary: Vocabulary,
) -> list[float]:
    """Read every caption of a batch beside its own image and beside the drawn ones."""
    others = [drawn[drawn != position][:DRAWN] for position, _ in batch]
    rows = np.concatenate([[position, *other] for (position, _), other in zip(batch, others, strict=True)])
    token_ids = [vocabulary.encode(text, _LONGEST)[1:-1] for _, text in batch]
    repeated = [ids for ids, other in zip(token_ids, others, strict=True) for _ in range(len(other) + 1)]
    scored = rescore(model, features[rows], repeated, START_ID, END_ID)
    sums = np.array([each.log_probabilities.sum() for each in scored])
    shares, at = [], 0
    for other in others:
        own, elsewhere = sums[at], sums[at + 1 : at + 1 + len(other)]
        shares.append(float((elsewhere < own).mean() + (elsewhere == own).mean() / 2))
        at += len(other) + 1
    return shares
