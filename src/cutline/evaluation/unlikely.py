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
    max_length: int,
    progress: Progress,
) -> list[Likelihood]:
    """Compare how likely each caption is for its image and for :data:`DRAWN` others.

    Log-probabilities of one caption are compared with each other only, so that neither its length nor how
    common its words are counts; what is left is what the model sees of it in the picture.

    Args:
        model: Trained; on other images than these, or it only remembers.
        read_features: Digests of N images to their features (N, ...); asked for a few at a time.
        examples: Images with their captions, two at least.
        vocabulary: The model's.
        max_length: Most tokens of a caption that are read; what the model was trained with.
        progress: Told about every caption.
    """
    captions = [(position, text) for position, each in enumerate(examples) for text in each.captions]
    if len(examples) < 2:
        return []
    chance = np.random.default_rng(_SEED)
    drawn = chance.choice(len(examples), min(DRAWN + 1, len(examples)), replace=False)
    elsewhere = np.asarray(read_features([examples[position].digest for position in drawn]))
    result = []
    with progress.stage("asking the model", len(captions), "captions") as stage:
        for at in range(0, len(captions), _AT_ONCE):
            batch = captions[at : at + _AT_ONCE]
            positions, own = np.unique([position for position, _ in batch], return_inverse=True)
            features = np.asarray(read_features([examples[position].digest for position in positions]))
            token_ids = [vocabulary.encode(text, max_length)[1:-1] for _, text in batch]
            # Drawn images come first, behind them those whose captions are asked about.
            rows = [
                [len(drawn) + number, *np.flatnonzero(drawn != positions[number])[:DRAWN]] for number in own
            ]
            shares = _shares(model, np.concatenate([elsewhere, features]), rows, token_ids)
            for (position, text), share in zip(batch, shares, strict=True):
                result.append(Likelihood(examples[position], text, share))
            stage.advance(len(batch))
    return result


def _shares(
    model: StepModel[Any],
    features: NDArray[Any],
    rows: Sequence[Sequence[int]],
    token_ids: Sequence[Sequence[int]],
) -> list[float]:
    """Read every caption beside rows of the features, of which the first is its own image's."""
    repeated = [ids for ids, beside in zip(token_ids, rows, strict=True) for _ in beside]
    scored = rescore(model, features[np.concatenate(rows)], repeated, START_ID, END_ID)
    sums = np.array([each.log_probabilities.sum() for each in scored])
    shares, at = [], 0
    for beside in rows:
        own, elsewhere = sums[at], sums[at + 1 : at + len(beside)]
        shares.append(float((elsewhere < own).mean() + (elsewhere == own).mean() / 2))
        at += len(beside)
    return shares
