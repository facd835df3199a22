from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.errors import DataError
from cutline.evaluation.learning_curve import SHARES, fit_learning_curve, nested_subset
from cutline.records import Example, LearningCurve, LearningPoint


def examples(count: int) -> list[Example]:
    return [Example(f"{n}.jpg", f"/{n}.jpg", ("a dog",), digest=f"{n:064x}") for n in range(count)]


def curve(
    scores: list[float], captions: int = 8000, images: int = 500, noise: float = 0.0, more: int = 500
) -> LearningCurve:
    """Fit a curve through runs on 25, 50 and 100 % whose images score around ``scores``."""
    rng = np.random.default_rng(0)
    shares = (*SHARES, 1.0)
    drawn = [np.maximum(rng.normal(score, noise, images), 0) if noise else np.full(images, score)
             for score in scores]  # fmt: skip
    points = [
        LearningPoint(share, int(captions * share / 5), int(captions * share), float(values.mean()))
        for share, values in zip(shares, drawn, strict=True)
    ]
    return fit_learning_curve(points, drawn, more)


@given(st.integers(1, 60), st.integers(0, 5))
def test_smaller_parts_are_inside_larger_ones_whatever_the_order(count, seed):
    images = examples(count)
    parts = [nested_subset(images, share, seed) for share in (*SHARES, 1.0)]
    assert [len(part) for part in parts] == [max(1, round(share * count)) for share in (*SHARES, 1.0)]
    assert set(parts[0]) <= set(parts[1]) <= set(parts[2])
    shuffled = random.Random(seed).sample(images, count)
    assert set(nested_subset(shuffled, 0.5, seed)) == set(parts[1])
    assert list(parts[1]) == [image for image in images if image in parts[1]]


def test_the_seed_decides_which_images_are_drawn():
    images = examples(40)
    assert nested_subset(images, 0.5, 0) != nested_subset(images, 0.5, 1)


def test_points_on_a_line_in_the_logarithm_are_continued_on_it():
    fitted = curve([20.0, 25.0, 30.0])
    assert fitted.gain == pytest.approx(5 * math.log2(8500 / 8000))
    assert fitted.more_captions == 500
    assert fitted.interval is not None
    assert fitted.interval.low == pytest.approx(fitted.gain)
    assert fitted.interval.high == pytest.approx(fitted.gain)
    assert fitted.forecast == (
        "500 more captions buy about +0.44 CIDEr-D (between +0.44 and +0.44); "
        "twice as many (16,000) about +5.0 CIDEr-D (between +5.0 and +5.0)"
    )


def test_a_bend_is_inside_the_range_that_is_told():
    fitted = curve([20.0, 29.0, 32.0], more=8000)
    # The two doublings gained 9 and 3; the fit says 6.
    assert fitted.gain == pytest.approx(6)
    assert fitted.interval is not None
    assert (fitted.interval.low, fitted.interval.high) == (pytest.approx(3), pytest.approx(9))


def test_fewer_scored_images_make_the_range_wider():
    few, many = (curve([20.0, 25.0, 30.0], images=images, noise=20.0).interval for images in (30, 3000))
    assert few is not None
    assert many is not None
    assert few.high - few.low > 3 * (many.high - many.low)


def test_the_range_belongs_to_the_same_images_for_all_points():
    """What images have in common, easy or hard, does not blur the gain."""
    rng = np.random.default_rng(0)
    easy = rng.uniform(0, 200, 200)
    scores = [easy, easy + 5, easy + 10]
    points = [
        LearningPoint(share, 0, int(1000 * share), float(values.mean()))
        for share, values in zip((0.25, 0.5, 1.0), scores, strict=True)
    ]
    interval = fit_learning_curve(points, scores, 1000).interval
    assert interval is not None
    assert (interval.low, interval.high) == (pytest.approx(5), pytest.approx(5))


@pytest.mark.parametrize("noise", [0.0, 25.0])
@given(scores=st.lists(st.floats(2, 120), min_size=3, max_size=3))
def test_the_gain_lies_in_its_range(noise, scores):
    fitted = curve(scores, images=40, noise=noise)
    assert fitted.gain is not None
    assert fitted.interval is not None
    assert fitted.interval.low - 1e-9 <= fitted.gain <= fitted.interval.high + 1e-9


def test_the_range_covers_a_true_doubling():
    """Of 200 made-up experiments on a straight line, about 95 % tell a range that holds its slope."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        images = rng.uniform(0, 40, 150)
        scores = [images + rng.normal(gain, 15, 150) for gain in (20, 25, 30)]
        points = [LearningPoint(s, 0, int(800 * s), float(v.mean())) for s, v in zip((0.25, 0.5, 1), scores)]  # noqa: B905
        interval = fit_learning_curve(points, scores, 800).interval
        assert interval is not None
        hits += interval.low <= 5 <= interval.high
    assert hits >= 185


def test_the_forecast_never_goes_beyond_twice_the_captions():
    fitted = curve([20.0, 25.0, 30.0], captions=200)
    assert fitted.more_captions == 200
    assert fitted.forecast == (
        "200 more captions (twice as many) buy about +5.0 CIDEr-D (between +5.0 and +5.0)"
    )


@pytest.mark.parametrize("scores", [[30.0, 30.0, 30.0], [31.0, 30.0, 29.0], [25.0, 31.0, 30.0]])
def test_a_gain_that_is_not_sure_is_said_to_be_so(scores):
    forecast = curve(scores).forecast
    assert forecast.endswith("; that more of the same helps at all is not sure")
    assert "-0.00" not in forecast


def test_runs_that_learnt_nothing_promise_nothing():
    fitted = curve([0.0, 0.0, 0.01], captions=599)
    assert (fitted.gain, fitted.interval) == (None, None)
    assert fitted.forecast.startswith("no forecast: none of the runs reaches a CIDEr-D of 1")
    assert curve([0.0, 0.0, 2.0]).gain is not None


def test_the_same_runs_give_the_same_forecast():
    assert curve([20.0, 26.0, 30.0], noise=10.0) == curve([20.0, 26.0, 30.0], noise=10.0)


@pytest.mark.parametrize("captions", [[], [100], [100, 100], [200, 100]])
def test_points_that_make_no_curve_are_refused(captions):
    points = [LearningPoint(1.0, 10, count, 30.0) for count in captions]
    with pytest.raises(DataError, match=r"rising numbers of captions, at least two; found") as error:
        fit_learning_curve(points, [np.ones(5)] * len(points))
    assert "\n" not in str(error.value)
