"""Fitting a confidence to captions whose quality is known because it was drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest

from cutline.evaluation.acceptable import Acceptable
from cutline.evaluation.confidence import fit_confidence, halves
from cutline.evaluation.training_features import summarise_features
from cutline.records import Example
from cutline.runtime.confidence import SIGNALS, WEIGHED, Confidence, TrainingFeatures

BAR = Acceptable(50.0, "drawn")
NOTHING = TrainingFeatures(np.zeros(1, np.float32), np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32))
TRUE_WEIGHTS = np.array([1.5, -0.5, 0.75, -0.25])


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def examples(count: int) -> list[Example]:
    return [Example(f"{number}.jpg", "", ("a dog",), "val", digest(number)) for number in range(count)]


def drawn(count: int, weights: Sequence[float] = TRUE_WEIGHTS, seed: int = 0):
    """Draw signals, the true probabilities and, with them, scores on either side of the bar."""
    chance = np.random.default_rng(seed)
    signals = chance.normal(size=(count, len(SIGNALS)))
    signals[:, -1] = np.abs(signals[:, -1])
    truth = 1 / (1 + np.exp(0.5 - signals[:, : len(WEIGHED)] @ np.array(weights)))
    scores = np.where(chance.random(count) < truth, 80.0, 10.0)
    return signals, truth, {f"{number}.jpg": score for number, score in enumerate(scores.tolist())}


def fit(count: int, weights: Sequence[float] = TRUE_WEIGHTS, seed: int = 0) -> Confidence:
    signals, _, scores = drawn(count, weights, seed)
    return fit_confidence(signals, examples(count), scores, BAR, NOTHING)


def test_true_probabilities_are_found_again():
    confidence = fit(20_000)
    assert confidence.weights / confidence.scales == pytest.approx(TRUE_WEIGHTS, abs=0.1)
    signals, truth, _ = drawn(5000, seed=1)
    usual = signals[:, -1] < 2  # beyond, confidence is lowered on purpose
    assert np.abs(confidence.probabilities(signals) - truth)[usual].mean() < 0.01


def test_the_mean_probability_is_the_share_of_acceptable_captions():
    signals, _, scores = drawn(400)
    confidence = fit(400)
    share = np.mean([score >= 50 for score in scores.values()])
    assert confidence.probabilities(signals).mean() == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize("seed", range(5))
def test_no_signal_ever_counts_the_wrong_way(seed):
    confidence = fit(80, weights=(1.0, 0.5, -0.5, 0.5), seed=seed)
    assert (confidence.weights * [1, -1, 1, -1] >= 0).all()
    assert confidence.weights[0] > 0
    assert (confidence.weights == 0).any()


@pytest.mark.parametrize(("score", "low", "high"), [(10.0, 0.0, 0.1), (80.0, 0.9, 1.0)])
def test_when_all_captions_turned_out_alike_it_is_nearly_sure(score, low, high):
    signals = drawn(60)[0]
    scores = {example.image_id: score for example in examples(60)}
    probabilities = fit_confidence(signals, examples(60), scores, BAR, NOTHING).probabilities(signals)
    assert low < probabilities.min() <= probabilities.max() < high


def test_signals_that_tell_good_from_bad_perfectly_do_not_give_certainty():
    signals, _, scores = drawn(60)
    signals[:, 0] = [1.0 if score >= 50 else -1.0 for score in scores.values()]
    confidence = fit_confidence(signals, examples(60), scores, BAR, NOTHING)
    probabilities = confidence.probabilities(signals)
    assert np.isfinite(confidence.weights).all()
    assert 0.001 < probabilities.min() < probabilities.max() < 0.999


def test_a_signal_that_never_changes_is_no_obstacle():
    signals, _, scores = drawn(100)
    signals[:, 2] = 0.0
    confidence = fit_confidence(signals, examples(100), scores, BAR, NOTHING)
    assert np.isfinite(confidence.probabilities(signals)).all()


def test_it_remembers_what_it_was_fitted_on_and_what_acceptable_means():
    confidence = fit(60)
    assert all(confidence.knows(digest(number)) for number in range(60))
    assert not confidence.knows(digest(60))
    assert (confidence.threshold, confidence.definition) == (50.0, "drawn")


def test_halves_depend_on_the_images_and_not_on_their_order():
    some = examples(101)
    fitted, measured = halves(some)
    assert (len(fitted), len(measured)) == (50, 51)
    assert {e.image_id for e in fitted} | {e.image_id for e in measured} == {e.image_id for e in some}
    assert halves(some[::-1]) == (fitted, measured)


def test_training_features_are_told_from_others():
    chance = np.random.default_rng(0)
    plane = chance.normal(size=(3, 40))
    seen = chance.normal(size=(300, 3)) @ plane + 5
    store = {digest(number): row.astype(np.float16) for number, row in enumerate(seen)}

    def read(digests: Sequence[str]) -> np.ndarray:
        return np.stack([store[one] for one in digests])

    summary = summarise_features(read, list(store))
    assert summary.axes.shape == (40, 40)
    assert summary.axes.T @ summary.axes == pytest.approx(np.eye(40), abs=0.01)
    near, _ = summary.measure(seen[:50])
    new, _ = summary.measure(chance.normal(size=(50, 3)) @ plane + 5)
    assert near.mean() < new.mean()
    # Asked in another order, the same images give the same summary.
    again = summarise_features(read, list(store)[::-1])
    assert again.points.tolist() == summary.points.tolist()


def test_a_summary_of_many_training_images_stays_small():
    chance = np.random.default_rng(0)
    seen = (chance.normal(size=(5000, 100)) @ np.diag(np.linspace(3, 0.01, 100))).astype(np.float16)
    row_of = {digest(number): number for number in range(len(seen))}
    summary = summarise_features(lambda digests: seen[[row_of[one] for one in digests]], list(row_of))
    assert summary.points.shape == (4096, 64)
    assert summary.axes.shape == (100, 64)
    rounded = summary.points.astype(np.float16).astype(np.float32)
    assert rounded.tolist() == summary.points.tolist(), "kept as float16 without loss"
    # 64 axes hold what varies most; the rest is what the residual measures.
    unlike = chance.normal(size=(20, 100)) @ np.diag(np.linspace(0.01, 3, 100))
    assert summary.measure(seen[:20])[1].max() < summary.measure(unlike)[1].min()
