"""How sure a model is of a caption: signals of one caption in, one probability out. NumPy alone.

The probability comes from a logistic regression over four signals, fitted on val captions of which it is
known whether they are acceptable (see :mod:`cutline.evaluation.confidence`). It is lowered for images that
are unlike all of those: a model captions a drawing as fluently as the photos it has learned from.

In a bundle this is two files: ``confidence.json`` (numbers and words) and ``confidence.npz`` (arrays).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.errors import BundleError
from cutline.files import FileInMemory, write_json
from cutline.runtime.arrays import load_arrays, save_arrays
from cutline.runtime.bundle_files import BundleFiles

Floats = NDArray[np.float64]
Directions = NDArray[np.float32]

CONFIDENCE: Final = "confidence.json"
ARRAYS: Final = "confidence.npz"

SIGNALS: Final = ("log_probability", "entropy", "agreement", "distance", "residual")
"""Columns of the signals of a caption, float64 (B, 5):

``log_probability``: mean over tokens and end marker, nats, at most 0; ``entropy``: mean over the same steps
of how undecided the model was, nats; ``agreement``: of the caption with captions drawn from the model, 0..1;
``distance`` and ``residual``: of the image from the training images, see :class:`TrainingFeatures`.
"""

WEIGHED: Final = SIGNALS[:4]
"""The signals with a fitted weight; the residual only tells images that are unlike all training images."""

_NEAREST: Final = 3
_LOG_ODDS_LOST: Final = 3.0


@dataclass(frozen=True)
class TrainingFeatures:
    """A small summary of the features of training images.

    Features are averaged over regions, scaled to length 1 and described by P numbers, their places along the
    directions in which training images differ most (principal components).

    Attributes:
        mean: Mean of the training images' features, scaled to length 1, float32 (D,).
        axes: P directions, float32 (D, P), orthonormal but for rounding.
        points: N training images, float32 (N, P), each scaled to length 1.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    points: NDArray[np.float32]

    def measure(self, features: NDArray[Any]) -> tuple[Floats, Floats]:
        """Return how far images are from the training images, twice, float64 (B,) each.

        The distance is the mean distance to the nearest three points, 0..2. The residual is what the axes do
        not describe, the length of what is left of the features: small for whatever training images show in
        other combinations, large for images of another kind.

        Args:
            features: (B, D), or (B, R, D), of which the mean over regions is taken.
        """
        offset = directions(features) - self.mean
        places = offset @ self.axes
        cosines = scaled(places) @ self.points.T
        nearest = min(_NEAREST, len(self.points))
        highest = -np.partition(-cosines, nearest - 1, axis=1)[:, :nearest]
        distances = np.sqrt(np.maximum(2 - 2 * highest, 0)).mean(axis=1, dtype=np.float64)
        return distances, residuals_of(offset, places)


@dataclass(frozen=True)
class Confidence:
    """From the signals of a caption to the probability that it is acceptable.

    Attributes:
        definition: What "acceptable" means, in words.
        threshold: CIDEr-D (×100) from which a caption is acceptable.
        means: Of each signal of :data:`WEIGHED` over the captions it was fitted on, float64 (4,).
        scales: Their standard deviations, float64 (4,).
        weights: In log-odds per standard deviation, float64 (4,); 0 for a signal that did not help.
        bias: Log-odds of a caption whose signals are all average.
        usual_residual: Median of the residual over the same images.
        largest_residual: What 99 of 100 of them stay below. Beyond it, log-odds are lowered by 3 for every
            distance between the two.
        training: Summary of the training images' features.
        fitted_on: First 16 hexadecimal digits of the digest of each image it was fitted on.
    """

    definition: str
    threshold: float
    means: Floats
    scales: Floats
    weights: Floats
    bias: float
    usual_residual: float
    largest_residual: float
    training: TrainingFeatures
    fitted_on: frozenset[str]

    def probabilities(self, signals: Floats) -> Floats:
        """Return the probability that each caption is acceptable, float64 (B,), 0..1.

        Args:
            signals: (B, 5), columns as in :data:`SIGNALS`.
        """
        weighed = (signals[:, : len(WEIGHED)] - self.means) / self.scales
        lowered = lost_log_odds(signals[:, -1], self.usual_residual, self.largest_residual)
        return logistic(weighed @ self.weights + self.bias - lowered)

    def knows(self, digest: str) -> bool:
        """Tell whether it was fitted on the image with this digest: what it says of it proves nothing."""
        return digest[:16] in self.fitted_on


def directions(features: NDArray[Any]) -> Directions:
    """Return features as vectors of length 1, float32 (B, D), so that dot products are cosines.

    Args:
        features: (B, D), or (B, R, D), of which the mean over regions is taken. A row of zeros stays zero.

    Example:
        >>> directions(np.array([[3.0, 4.0], [0.0, 0.0]])).round(1).tolist()[1]
        [0.0, 0.0]
    """
    return scaled(pooled(features))


def pooled(features: NDArray[Any]) -> Directions:
    """Return the mean over regions of features (B, D) or (B, R, D), float32 (B, D)."""
    regions = features.reshape(len(features), -1, features.shape[-1])
    found: Directions = regions.mean(axis=1, dtype=np.float32)
    return found


def scaled(vectors: NDArray[Any]) -> Directions:
    """Return vectors (B, D) at length 1, float32; zeros stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Directions = (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
    return found


def residuals_of(offsets: NDArray[Any], places: NDArray[Any]) -> Floats:
    """Return what orthonormal axes do not describe of vectors, as a length, float64 (B,).

    Args:
        offsets: The vectors, (B, D).
        places: The same along the axes, (B, P).

    Example:
        >>> residuals_of(np.array([[3.0, 0.0, 4.0]]), np.array([[3.0, 0.0]])).tolist()
        [4.0]
    """
    squares = np.square(offsets).sum(axis=1) - np.square(places).sum(axis=1)
    found: Floats = np.sqrt(np.maximum(squares, 0)).astype(np.float64)
    return found


def logistic(log_odds: Floats) -> Floats:
    """Return probabilities for log-odds, without overflow.

    Example:
        >>> logistic(np.array([-1e9, 0.0, 1e9])).tolist()
        [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(log_odds))
    found: Floats = np.where(log_odds >= 0, 1 / (1 + small), small / (1 + small))
    return found


def lost_log_odds(residuals: Floats, usual: float, largest: float) -> Floats:
    """Return by how much images lower the log-odds of their captions for being unlike all training images.

    Example:
        >>> lost_log_odds(np.array([0.5, 0.7, 0.9]), 0.5, 0.7).round(6).tolist()
        [0.0, 0.0, 3.0]
    """
    found: Floats = _LOG_ODDS_LOST * np.maximum(residuals - largest, 0) / max(largest - usual, 1e-6)
    return found


def save_confidence(confidence: Confidence, folder: Path) -> None:
    """Write both files into a bundle's folder."""
    training = confidence.training
    numbers = np.array(sorted(int(digits, 16) for digits in confidence.fitted_on), np.uint64)
    save_arrays(
        folder / ARRAYS,
        {"mean": training.mean, "axes": training.axes, "points": training.points, "fitted_on": numbers},
    )
    columns = zip(confidence.means, confidence.scales, confidence.weights, strict=True)
    write_json(
        folder / CONFIDENCE,
        {
            "definition": confidence.definition,
            "threshold": confidence.threshold,
            "fitted_on": len(confidence.fitted_on),
            "bias": confidence.bias,
            "signals": {
                name: {"mean": float(mean), "scale": float(scale), "weight": float(weight)}
                for name, (mean, scale, weight) in zip(WEIGHED, columns, strict=True)
            },
            "residual": {"usual": confidence.usual_residual, "largest": confidence.largest_residual},
        },
    )


def load_confidence(folder: Path | BundleFiles, depth: int) -> Confidence:
    """Read what :func:`save_confidence` wrote.

    Args:
        folder: The bundle, or the files of one.
        depth: D, the depth of the bundle's features.

    Raises:
        BundleError: A file is damaged, or the arrays do not fit each other or the features.
    """
    path = folder / CONFIDENCE
    arrays = load_arrays(folder / ARRAYS)
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        signals = [saved["signals"][name] for name in WEIGHED]
        confidence = Confidence(
            definition=str(saved["definition"]),
            threshold=_number(saved["threshold"]),
            means=_column(signals, "mean"),
            scales=_column(signals, "scale"),
            weights=_column(signals, "weight"),
            bias=_number(saved["bias"]),
            usual_residual=_number(saved["residual"]["usual"]),
            largest_residual=_number(saved["residual"]["largest"]),
            training=TrainingFeatures(arrays["mean"], arrays["axes"], arrays["points"]),
            fitted_on=frozenset(f"{number:016x}" for number in arrays["fitted_on"].tolist()),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: cannot be read ({error}); copy the bundle again") from None
    _check(confidence, depth, path)
    return confidence


def _number(value: object) -> float:
    number = float(value) if isinstance(value, int | float) else math.nan
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number


def _column(signals: Iterable[Mapping[str, object]], key: str) -> Floats:
    return np.array([_number(signal[key]) for signal in signals])


def _check(confidence: Confidence, depth: int, path: Path | FileInMemory) -> None:
    training = confidence.training
    shapes = (training.mean.shape, training.axes.shape, training.points.shape)
    count = training.axes.shape[-1]
    fits = shapes == ((depth,), (depth, count), (len(training.points), count)) and len(training.points) > 0
    if not fits or not (confidence.scales > 0).all():
        raise BundleError(
            f"{path}: does not fit the features of depth {depth} (arrays {shapes}); copy the bundle again"
        )
