"""From signals to a probability, and on disk and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.errors import BundleError
from cutline.runtime.confidence import (
    SIGNALS,
    WEIGHED,
    Confidence,
    TrainingFeatures,
    load_confidence,
    save_confidence,
)

DEPTH = 6


def training(images: int = 40, seed: int = 0) -> TrainingFeatures:
    """Images that differ along two directions of six."""
    chance = np.random.default_rng(seed)
    axes = np.linalg.qr(chance.normal(size=(DEPTH, 2)))[0]
    places = chance.normal(size=(images, 2))
    points = places / np.linalg.norm(places, axis=1, keepdims=True)
    rounded = [array.astype(np.float16).astype(np.float32) for array in (np.full(DEPTH, 0.3), axes, points)]
    return TrainingFeatures(*rounded)


CONFIDENCE = Confidence(
    definition="as near as people",
    threshold=33.25,
    means=np.array([-1.0, 2.5, 0.25, 0.75]),
    scales=np.array([0.25, 0.5, 0.125, 0.0625]),
    weights=np.array([0.5, -0.25, 0.5, -0.25]),
    bias=-0.5,
    usual_residual=0.5,
    largest_residual=0.75,
    training=training(),
    fitted_on=frozenset({"00000000000000ab", "ffffffffffffffff"}),
)
AVERAGE = np.array([[*CONFIDENCE.means, 0.5]])


def test_average_signals_give_the_probability_of_the_bias():
    assert CONFIDENCE.probabilities(AVERAGE) == pytest.approx(1 / (1 + np.exp(0.5)))


def test_log_odds_are_linear_in_standard_deviations():
    better = AVERAGE + np.array([[0.25, -0.5, 0.125, -0.0625, 0]])
    odds = CONFIDENCE.probabilities(better) / (1 - CONFIDENCE.probabilities(better))
    assert np.log(odds) == pytest.approx(-0.5 + 0.5 + 0.25 + 0.5 + 0.25)


def test_an_image_unlike_all_training_images_loses_confidence():
    usual, edge, beyond, far = (
        float(CONFIDENCE.probabilities(AVERAGE + np.array([[0, 0, 0, 0, more]]))[0])
        for more in (0.0, 0.25, 0.5, 5.0)
    )
    assert usual == edge
    assert np.log(beyond / (1 - beyond)) == pytest.approx(-0.5 - 3.0)
    assert far < 1e-6


@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=5))
def test_whatever_the_signals_it_is_a_probability(signals):
    (probability,) = CONFIDENCE.probabilities(np.array([signals]))
    assert 0 <= probability <= 1


def test_distance_is_the_mean_to_the_nearest_three_along_the_axes():
    features = training()
    images = np.random.default_rng(1).normal(size=(7, DEPTH)).astype(np.float32)
    distances, residuals = features.measure(images)
    for image, distance, residual in zip(images, distances, residuals, strict=True):
        offset = image / np.linalg.norm(image) - features.mean
        place = offset @ features.axes
        place /= np.linalg.norm(place)
        nearest = np.sort(np.linalg.norm(features.points - place, axis=1))[:3]
        assert distance == pytest.approx(nearest.mean(), abs=5e-3)  # the points are rounded
        left_over = offset - features.axes @ (features.axes.T @ offset)
        assert residual == pytest.approx(np.linalg.norm(left_over), abs=1e-3)


def test_grid_features_are_averaged_over_regions_and_their_length_does_not_matter():
    grid = np.random.default_rng(2).normal(size=(3, 5, DEPTH)).astype(np.float16)
    pooled = grid.mean(axis=1, dtype=np.float32)
    for one, other in zip(training().measure(grid), training().measure(8 * pooled), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_features_of_zeros_and_few_points_are_measured():
    distances, residuals = training(images=1).measure(np.zeros((2, DEPTH)))
    assert np.isfinite(distances).all()
    assert np.isfinite(residuals).all()


def test_it_knows_the_images_it_was_fitted_on():
    assert CONFIDENCE.knows("00000000000000ab" + "c" * 48)
    assert not CONFIDENCE.knows("00000000000000ac" + "c" * 48)


def saved(folder: Path) -> Path:
    save_confidence(CONFIDENCE, folder)
    return folder


def test_what_is_saved_comes_back(tmp_path):
    loaded = load_confidence(saved(tmp_path), DEPTH)
    signals = np.random.default_rng(3).normal(size=(20, len(SIGNALS)))
    assert loaded.probabilities(signals).tolist() == CONFIDENCE.probabilities(signals).tolist()
    images = np.random.default_rng(4).normal(size=(9, DEPTH))
    assert loaded.training.measure(images)[0].tolist() == CONFIDENCE.training.measure(images)[0].tolist()
    assert (loaded.definition, loaded.threshold) == (CONFIDENCE.definition, CONFIDENCE.threshold)
    assert loaded.fitted_on == CONFIDENCE.fitted_on


def test_people_can_read_the_weights(tmp_path):
    text = json.loads((saved(tmp_path) / "confidence.json").read_text())
    assert list(text["signals"]) == list(WEIGHED)
    assert text["signals"]["entropy"] == {"mean": 2.5, "scale": 0.5, "weight": -0.25}
    assert text["fitted_on"] == 2


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda text: text.pop("bias"), "'bias'"),
        (lambda text: text.update(threshold="high"), "'high' is not a number"),
        (lambda text: text["signals"].pop("entropy"), "'entropy'"),
        (lambda text: text["signals"]["entropy"].update(weight=float("nan")), "nan is not a number"),
        (lambda text: text["signals"]["entropy"].update(scale=0), "does not fit"),
    ],
)
def test_numbers_that_were_changed_are_refused_in_one_line(tmp_path, change, found):
    path = saved(tmp_path) / "confidence.json"
    text = json.loads(path.read_text())
    change(text)
    path.write_text(json.dumps(text))
    with pytest.raises(BundleError, match=r"confidence\.json: .*; copy the bundle again") as error:
        load_confidence(tmp_path, DEPTH)
    assert found in str(error.value)
    assert "\n" not in str(error.value)


def test_arrays_of_another_model_are_refused(tmp_path):
    saved(tmp_path)
    with pytest.raises(BundleError, match="does not fit the features of depth 7"):
        load_confidence(tmp_path, 7)
    points = np.zeros((0, 2), np.float32)
    save_confidence(replace(CONFIDENCE, training=replace(training(), points=points)), tmp_path)
    with pytest.raises(BundleError, match="does not fit"):
        load_confidence(tmp_path, DEPTH)
    (tmp_path / "confidence.npz").unlink()
    with pytest.raises(BundleError, match=r"confidence\.npz: cannot be read"):
        load_confidence(tmp_path, DEPTH)
