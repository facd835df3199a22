"""Fitting the confidence of a model, and finding out how far it can be believed.

A logistic regression is fitted on one half of the val images. It is its own calibration: maximum likelihood
makes the mean probability equal the share of acceptable captions. A step function on top of it (isotonic
regression, Zadrozny and Elkan, 2002) would need thousands of images: with a few hundred its steps follow
chance.

More confidence must come from more probability, less entropy, more agreement and less distance. A weight that
comes out with the other sign is an accident of a small sample, or of two signals that say the same: that
signal is left out. So no photo gains confidence by being farther from the training images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.captioner import measure_signals
from cutline.config import DecodingOptions
from cutline.decoding import StepModel
from cutline.evaluation.acceptable import Acceptable
from cutline.evaluation.captioning import ReadFeatures
from cutline.progress import Progress
from cutline.records import Example, Hypothesis
from cutline.runtime.confidence import (
    WEIGHED,
    Confidence,
    TrainingFeatures,
    logistic,
    lost_log_odds,
)

Floats = NDArray[np.float64]

FEWEST_IMAGES: Final = 60
"""Val images below which no confidence is fitted: half of them could not tell a few weights from chance."""

_HELPS: Final = np.array([1.0, -1.0, 1.0, -1.0])  # the sign of each signal that makes a caption better
_PRIOR: Final = 1.0
_STEPS: Final = 100


def halves(examples: Sequence[Example]) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Part examples into those to fit on and those to measure on, by their digests alone.

    Example:
        >>> fit, measure = halves([Example(str(n), "", ("a dog",), "val", str(n)) for n in range(5)])
        >>> len(fit), len(measure)
        (2, 3)
    """
    drawn = sorted(examples, key=lambda example: hashlib.sha256(example.digest.encode()).digest())
    middle = len(drawn) // 2
    return tuple(drawn[:middle]), tuple(drawn[middle:])


def read_signals(
    model: StepModel[Any],
    read_features: ReadFeatures,
    hypotheses: Sequence[tuple[Example, Hypothesis]],
    training: TrainingFeatures,
    options: DecodingOptions,
    progress: Progress,
) -> Floats:
    """Measure the signals of many captions from stored features, a batch at a time, (N, 5)."""
    found = [np.zeros((0, len(WEIGHED) + 1))]
    with progress.stage("measuring confidence", len(hypotheses), "images") as stage:
        for at in range(0, len(hypotheses), options.batch_size):
            batch = hypotheses[at : at + options.batch_size]
            features = read_features([example.digest for example, _ in batch])
            captions = [hypothesis.token_ids for _, hypothesis in batch]
            found.append(measure_signals(model, features, captions, training, options.max_length))
            stage.advance(len(batch))
    return np.concatenate(found)


def confidences_of(
    confidence: Confidence,
    model: StepModel[Any],
    read_features: ReadFeatures,
    hypotheses: Sequence[tuple[Example, Hypothesis]],
    options: DecodingOptions,
    progress: Progress,
) -> dict[str, float]:
    """Return image_id → probability that its caption is acceptable, as ``Captioner`` would say it."""
    signals = read_signals(model, read_features, hypotheses, confidence.training, options, progress)
    probabilities = confidence.probabilities(signals).tolist()
    return {example.image_id: p for (example, _), p in zip(hypotheses, probabilities, strict=True)}


def fit_confidence(
    signals: Floats,
    examples: Sequence[Example],
    image_scores: Mapping[str, float],
    acceptable: Acceptable,
    training: TrainingFeatures,
) -> Confidence:
    """Fit the probability that a caption is acceptable.

    Weights have a Gaussian prior of one unit of log-odds per standard deviation of a signal: with hundreds of
    captions it hardly matters, with dozens it keeps the weights finite. The two outcomes are smoothed as in
    Platt (1999), so that a model none of whose captions was acceptable gets a low confidence and not none.

    Args:
        signals: Of the examples' captions, (N, 5).
        examples: The images to fit on.
        image_scores: image_id → CIDEr-D of its caption, ×100.
        acceptable: The bar.
        training: As used for the signals.
    """
    outcome = acceptable.judge(np.array([image_scores[example.image_id] for example in examples]))
    weighed, residuals = signals[:, :-1], signals[:, -1]
    means, scales = weighed.mean(axis=0), np.maximum(weighed.std(axis=0), 1e-6)
    usual, largest = np.percentile(residuals, (50, 99)).tolist()
    targets = np.where(outcome, 1 - 1 / (outcome.sum() + 2), 1 / ((~outcome).sum() + 2))
    lowered = lost_log_odds(residuals, usual, largest)
    weights, bias = _fit_signed((weighed - means) / scales, targets, lowered)
    return Confidence(
        definition=acceptable.definition,
        threshold=acceptable.threshold,
        means=means,
        scales=scales,
        weights=weights,
        bias=bias,
        usual_residual=usual,
        largest_residual=largest,
        training=training,
        fitted_on=frozenset(example.digest[:16] for example in examples),
    )


def _fit_signed(columns: Floats, targets: Floats, lowered: Floats) -> tuple[Floats, float]:
    """Fit with every signal, then again without the one whose sign is most wrong, until none is."""
    kept = np.arange(columns.shape[1])
    while True:
        found = _fit(columns[:, kept], targets, lowered)
        helpful = found[:-1] * _HELPS[kept]
        if not len(kept) or helpful.min() >= 0:
            break
        kept = np.delete(kept, helpful.argmin())
    weights = np.zeros(columns.shape[1])
    weights[kept] = found[:-1]
    return weights, float(found[-1])


def _fit(columns: Floats, targets: Floats, lowered: Floats) -> Floats:
    """Maximise the posterior by Newton's method; weights and, last, the bias, which has no prior."""
    design = np.column_stack([columns, np.ones(len(columns))])
    prior = np.diag([*np.full(columns.shape[1], _PRIOR), 1e-9])
    found = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        probabilities = logistic(design @ found - lowered)
        slope = design.T @ (targets - probabilities) - prior @ found
        curvature = (design * (probabilities * (1 - probabilities))[:, None]).T @ design + prior
        step = np.linalg.solve(curvature, slope)
        # Far from the top Newton's steps can overshoot it; the prior makes the top one and only.
        found = found + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    return found
