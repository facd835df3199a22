"""How far a confidence can be believed: reliability and the quality of what is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.evaluation.acceptable import Acceptable
from cutline.records import Calibration, CoveragePoint, Example, ReliabilityBin
from cutline.runtime.confidence import Confidence

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

FEWEST_IMAGES: Final = 20
"""Images below which calibration is not measured: it would show chance."""

_MOST_BINS: Final = 10
_IMAGES_PER_BIN: Final = 100
_COVERAGES: Final = tuple(tenth / 10 for tenth in range(10, 0, -1))
_TRIALS: Final = 1000


def measure_calibration(
    confidence: Confidence,
    examples: Sequence[Example],
    confidences: Mapping[str, float],
    image_scores: Mapping[str, float],
) -> Calibration | None:
    """Compare confidences with what turned out, on images that were neither trained nor fitted on.

    Args:
        confidence: Which images it was fitted on, and what acceptable means.
        examples: The images that were captioned; those of split train and those fitted on are left out.
        confidences: image_id → confidence.
        image_scores: image_id → CIDEr-D of its caption, ×100.

    Returns:
        None when fewer than 20 images are left.
    """
    fresh = [e.image_id for e in examples if e.split != "train" and not confidence.knows(e.digest)]
    if len(fresh) < FEWEST_IMAGES:
        return None
    scores = np.array([image_scores[image_id] for image_id in fresh])
    acceptable = Acceptable(confidence.threshold, confidence.definition).judge(scores)
    sure = np.array([confidences[image_id] for image_id in fresh])
    bins = reliability(sure, acceptable)
    return Calibration(
        definition=confidence.definition,
        threshold=confidence.threshold,
        acceptable=float(acceptable.mean()),
        expected_calibration_error=calibration_error(bins),
        error_by_chance=_error_by_chance(sure),
        fitted_on=len(confidence.fitted_on),
        measured_on=len(fresh),
        bins=bins,
        coverage=coverage_curve(sure, acceptable, scores),
    )


def reliability(confidences: Floats, acceptable: Truths) -> tuple[ReliabilityBin, ...]:
    """Group captions of similar confidence, equally many in each group: 2 to 10 groups of 100 or more.

    With 100 captions the share of acceptable ones is known to within 0.1; smaller groups show chance, not
    calibration.

    Args:
        confidences: (N,), 0..1.
        acceptable: (N,).

    Example:
        >>> bins = reliability(np.array([0.1, 0.9, 0.3, 0.7]), np.array([False, True, False, True]))
        >>> [(bin.confidence, bin.acceptable, bin.images) for bin in bins]
        [(0.2, 0.0, 2), (0.8, 1.0, 2)]
    """
    order = np.argsort(confidences, kind="stable")
    return tuple(
        ReliabilityBin(
            low=float(confidences[part[0]]),
            high=float(confidences[part[-1]]),
            confidence=float(confidences[part].mean()),
            acceptable=float(acceptable[part].mean()),
            images=len(part),
        )
        for part in np.array_split(order, _bins(len(order)))
        if len(part)
    )


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the expected calibration error (Naeini, Cooper and Hauskrecht, 2015), 0..1."""
    images = sum(bin.images for bin in bins)
    return sum(bin.images * abs(bin.confidence - bin.acceptable) for bin in bins) / images


def coverage_curve(confidences: Floats, acceptable: Truths, scores: Floats) -> tuple[CoveragePoint, ...]:
    """Return how good captions are when the least sure tenth, two tenths and so on are left out.

    Args:
        confidences: (N,), 0..1.
        acceptable: (N,).
        scores: CIDEr-D of each caption, ×100, (N,).
    """
    order = np.argsort(-confidences, kind="stable")
    points = []
    for coverage in _COVERAGES:
        kept = order[: max(1, round(coverage * len(order)))]
        points.append(
            CoveragePoint(
                coverage=len(kept) / len(order),
                min_confidence=float(confidences[kept[-1]]),
                cider_d=float(scores[kept].mean()),
                acceptable=float(acceptable[kept].mean()),
            )
        )
    return tuple(points)


def _bins(images: int) -> int:
    return min(max(images // _IMAGES_PER_BIN, 2), _MOST_BINS)


def _error_by_chance(confidences: Floats) -> float:
    """Return the mean error if every confidence were exactly right, outcomes drawn 1,000 times with them."""
    source = np.random.default_rng(0)
    parts = np.array_split(np.sort(confidences), _bins(len(confidences)))
    gaps = [
        len(part) * np.abs((source.random((_TRIALS, len(part))) < part).mean(axis=1) - part.mean())
        for part in parts
    ]
    return float(np.sum(gaps, axis=0).mean() / len(confidences))
