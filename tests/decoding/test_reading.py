from __future__ import annotations

import math

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.decoding import read, rescore

PAD, UNK, START, END, A, DOG, RUNS = range(7)
FEATURES = np.array([[3.0]], np.float32)


def mixed(image: int, written: tuple[int, ...]) -> list[float]:
    """Answer each beginning differently."""
    return np.random.default_rng([image, *written]).dirichlet(np.ones(7)).tolist()


class Looking(ScriptedStepModel):
    """Looks at the region whose number is how many words were written."""

    def attention_weights(self, state: list[tuple[int, ...]]) -> np.ndarray:
        weights = np.zeros((len(state), 4), np.float64)
        weights[:, len(state[0]) - 2] = 1.0
        return weights


def test_each_word_has_the_probability_that_rescoring_gives_it():
    readings = read(ScriptedStepModel(mixed, START), FEATURES, (A, DOG), START, END)
    (scores,) = rescore(ScriptedStepModel(mixed, START), FEATURES, [(A, DOG)], START, END)
    assert [reading.token_id for reading in readings] == [A, DOG, END]
    assert [reading.log_probability for reading in readings] == pytest.approx(scores.log_probabilities)


def test_alternatives_are_the_most_probable_tokens_but_those_that_are_hidden():
    chances = [0.3, 0.02, 0.3, 0.08, 0.05, 0.15, 0.1]
    model = ScriptedStepModel(lambda image, written: chances, START)
    (reading,) = read(model, FEATURES, (), START, END, most=3, hidden=(PAD, START))
    assert [token for token, _ in reading.alternatives] == [DOG, RUNS, END]
    assert [math.exp(log) for _, log in reading.alternatives] == pytest.approx([0.15, 0.1, 0.08])


def test_a_small_vocabulary_gives_fewer_alternatives_and_equals_come_by_their_id():
    model = ScriptedStepModel(lambda image, written: [1 / 7] * 7, START)
    (reading,) = read(model, FEATURES, (), START, END, most=20, hidden=(PAD, START))
    assert [token for token, _ in reading.alternatives] == [UNK, END, A, DOG, RUNS]


def test_attention_is_that_of_the_step_that_scored_the_word():
    readings = read(Looking(mixed, START), FEATURES, (A, DOG), START, END)
    assert [reading.attention_weights.argmax() for reading in readings] == [0, 1, 2]
    assert all(reading.attention_weights.dtype == np.float32 for reading in readings)


def test_what_a_sentinel_takes_of_a_look_is_not_made_up_for():
    class HalfAway(Looking):
        def attention_weights(self, state: list[tuple[int, ...]]) -> np.ndarray:
            return super().attention_weights(state) / 2

    readings = read(HalfAway(mixed, START), FEATURES, (A, DOG), START, END)
    assert [reading.attention_weights.sum() for reading in readings] == [0.5, 0.5, 0.5]


def test_a_model_that_does_not_look_has_no_attention():
    assert read(ScriptedStepModel(mixed, START), FEATURES, (), START, END)[0].attention_weights is None


def test_features_of_several_images_are_refused():
    with pytest.raises(ValueError, match="2 images"):
        read(ScriptedStepModel(mixed, START), np.zeros((2, 1)), (), START, END)
