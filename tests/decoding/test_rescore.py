from __future__ import annotations

import math

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.decoding import greedy, rescore

START, END, A, DOG, RUNS = 2, 3, 4, 5, 6
FORBIDDEN = (0, 1, 2)


def features_of(*images: int) -> np.ndarray:
    return np.array(images, np.float32)[:, None]


def mixed(image: int, written: tuple[int, ...]) -> list[float]:
    """Answer each beginning differently, so that a row out of place is noticed."""
    weights = np.random.default_rng([image, *written]).dirichlet(np.ones(7))
    return weights.tolist()


def test_reading_a_greedy_caption_gives_the_probabilities_it_was_written_with():
    features = features_of(*range(20))
    written = greedy(ScriptedStepModel(mixed, START), features, START, END, 8, FORBIDDEN)
    read = rescore(ScriptedStepModel(mixed, START), features, [r.token_ids for r in written], START, END)
    for result, scores in zip(written, read, strict=True):
        known = result.token_log_probabilities
        assert scores.log_probabilities[: len(known)] == pytest.approx(known)
        assert len(scores.log_probabilities) == len(result.token_ids) + 1


def test_the_end_marker_is_read_behind_every_caption():
    (scores,) = rescore(ScriptedStepModel(mixed, START), features_of(3), [(A, DOG)], START, END)
    expected = [mixed(3, ())[A], mixed(3, (A,))[DOG], mixed(3, (A, DOG))[END]]
    assert scores.log_probabilities == pytest.approx(np.log(expected), rel=1e-5)


def test_entropy_is_that_of_each_step_in_nats():
    def half_and_half(image, written):
        return [0, 0, 0, 0.5, 0.5, 0, 0] if not written else [0, 0, 0, 1.0, 0, 0, 0]

    (scores,) = rescore(ScriptedStepModel(half_and_half, START), features_of(0), [(A,)], START, END)
    assert scores.entropies == pytest.approx([math.log(2), 0.0])


def test_an_impossible_token_has_log_probability_minus_infinity():
    def ends_at_once(image, written):
        return [0, 0, 0, 1.0, 0, 0, 0]

    (scores,) = rescore(ScriptedStepModel(ends_at_once, START), features_of(0), [(A,)], START, END)
    assert scores.log_probabilities.tolist() == [-np.inf, 0.0]


def test_captions_that_are_read_leave_the_batch():
    model = ScriptedStepModel(mixed, START)
    rescore(model, features_of(0, 1, 2), [(A, DOG, RUNS), (), (A,)], START, END)
    assert model.batches == [3, 2, 1, 1]


def test_no_images_give_no_scores():
    assert rescore(ScriptedStepModel(mixed, START), np.zeros((0, 1), np.float32), [], START, END) == []
