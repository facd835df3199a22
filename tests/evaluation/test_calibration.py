"""Reliability, coverage and the calibration error of confidences whose truth is drawn."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.evaluation.acceptable import Acceptable
from cutline.evaluation.calibration import (
    calibration_error,
    coverage_curve,
    measure_calibration,
    reliability,
)
from cutline.evaluation.confidence import fit_confidence
from cutline.records import Example
from cutline.runtime.confidence import Confidence, TrainingFeatures

NOTHING = TrainingFeatures(np.zeros(1, np.float32), np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32))


def honest(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    sure = chance.random(count)
    return sure, chance.random(count) < sure


def test_bins_hold_equally_many_images_by_rising_confidence():
    sure, acceptable = honest(1000)
    bins = reliability(sure, acceptable)
    assert [bin.images for bin in bins] == [100] * 10
    assert all(one.high <= other.low for one, other in pairwise(bins))
    order = np.argsort(sure)
    assert bins[3].confidence == pytest.approx(sure[order[300:400]].mean())
    assert bins[3].acceptable == pytest.approx(acceptable[order[300:400]].mean())


@pytest.mark.parametrize(("images", "bins"), [(20, 2), (199, 2), (500, 5), (999, 9), (5000, 10)])
def test_bins_are_as_many_as_the_images_allow(images, bins):
    assert len(reliability(*honest(images))) == bins


def test_the_error_is_the_mean_gap_weighted_by_images():
    sure = np.array([0.2] * 100 + [0.9] * 100)
    acceptable = np.array([True] * 50 + [False] * 50 + [True] * 80 + [False] * 20)
    assert calibration_error(reliability(sure, acceptable)) == pytest.approx((0.3 + 0.1) / 2)


def test_honest_confidences_have_a_small_error_and_boasting_ones_a_large_one():
    sure, acceptable = honest(4000)
    assert calibration_error(reliability(sure, acceptable)) < 0.03
    assert calibration_error(reliability(np.sqrt(sure), acceptable)) > 0.1


def test_coverage_falls_and_quality_rises_with_confidence():
    sure, acceptable = honest(4000)
    points = coverage_curve(sure, acceptable, np.where(acceptable, 90.0, 10.0))
    assert [point.coverage for point in points] == pytest.approx([n / 10 for n in range(10, 0, -1)])
    quality = [point.acceptable for point in points]
    assert quality == sorted(quality)
    assert points[0].cider_d == pytest.approx(np.where(acceptable, 90, 10).mean())
    for point in points:
        kept = sure >= point.min_confidence
        assert kept.mean() == pytest.approx(point.coverage, abs=1e-3)
        assert acceptable[kept].mean() == pytest.approx(point.acceptable)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_any_confidences_can_be_measured(pairs):
    sure = np.array([confidence for confidence, _ in pairs])
    acceptable = np.array([good for _, good in pairs])
    bins = reliability(sure, acceptable)
    assert sum(bin.images for bin in bins) == len(pairs)
    assert 0 <= calibration_error(bins) <= 1
    points = coverage_curve(sure, acceptable, acceptable * 100.0)
    assert points[0].coverage == 1
    assert points[0].acceptable == pytest.approx(acceptable.mean())


def example(number: int, split: str = "val") -> Example:
    return Example(str(number), "", ("a dog",), split, hashlib.sha256(str(number).encode()).hexdigest())


def fitted_on(images: int) -> Confidence:
    signals = np.random.default_rng(0).normal(size=(images, 5))
    some = [example(number) for number in range(images)]
    scores = {str(number): 60.0 * (number % 2) for number in range(images)}
    return fit_confidence(signals, some, scores, Acceptable(33.0, "good"), NOTHING)


def test_only_images_that_were_neither_fitted_nor_trained_on_are_measured():
    confidence = fitted_on(100)
    some = [example(number, "train" if number >= 160 else "val") for number in range(200)]
    sure = {str(number): 0.5 for number in range(200)}
    # Of the images left, 20 of 60 are acceptable; all others are, and must not count.
    scores = {str(n): 60.0 if not 100 <= n < 160 or n % 3 == 0 else 5.0 for n in range(200)}
    found = measure_calibration(confidence, some, sure, scores)
    assert found is not None
    assert (found.fitted_on, found.measured_on) == (100, 60)
    assert found.acceptable == pytest.approx(1 / 3)
    assert (found.definition, found.threshold) == ("good", 33.0)


def test_too_few_fresh_images_are_not_measured():
    confidence = fitted_on(100)
    some = [example(number) for number in range(119)]
    numbers = {str(number): 0.5 for number in range(119)}
    assert measure_calibration(confidence, some, numbers, numbers) is None


def test_the_error_by_chance_is_what_honest_confidences_show():
    confidence = fitted_on(60)
    some = [example(number) for number in range(1000, 1400)]
    errors, told = [], []
    for seed in range(30):
        sure, acceptable = honest(400, seed)
        scores = dict(zip((e.image_id for e in some), np.where(acceptable, 60.0, 5.0).tolist(), strict=True))
        found = measure_calibration(confidence, some, dict(zip(scores, sure.tolist(), strict=True)), scores)
        assert found is not None
        errors.append(found.expected_calibration_error)
        told.append(found.error_by_chance)
    assert np.mean(errors) == pytest.approx(np.mean(told), rel=0.2)
