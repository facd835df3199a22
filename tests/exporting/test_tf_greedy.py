"""Greedy decoding in TensorFlow writes what greedy decoding in NumPy writes, whatever the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cutline.decoding import Filters, greedy
from cutline.exporting.tf_greedy import GreedyRules, write_greedily
from cutline.text.vocabulary import END_ID, START_ID
from cutline.wishes import NEVER_WRITTEN

V, IMAGES = 9, 7
A, ON = 4, 5
PLAIN = GreedyRules(V, 6, Filters())


class Chances:
    """The chance of a token depends on the image and on the token before, and some have none."""

    def __init__(self, seed: int, end: float = 0.0, impossible: float = 0.0) -> None:
        generator = np.random.default_rng(seed)
        logits = generator.normal(0, 2, (IMAGES, V, V))
        logits[..., END_ID] += end
        logits[generator.random(logits.shape) < impossible] = -np.inf
        logits[..., A] = np.maximum(logits[..., A], -9)  # something is always possible
        norms = np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        self.table = (logits - norms).astype(np.float32)

    def start(self, features: np.ndarray) -> np.ndarray:
        return features[:, 0].astype(int)

    def step(self, token_ids: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.table[state, token_ids], state

    def reorder(self, state: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return state[rows]

    def tf_step(self, token_ids: Any, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        rows = tf.stack([state["image"], token_ids], axis=1)
        return tf.gather_nd(tf.constant(self.table), rows), state


def both(chances: Chances, rules: GreedyRules, images: int = IMAGES) -> tuple[list[Any], list[Any]]:
    features = np.arange(images)[:, None]
    expected = greedy(chances, features, START_ID, END_ID, rules.max_length, NEVER_WRITTEN, rules.filters)
    state = {"image": tf.range(images)}
    token_ids, lengths, logs = write_greedily(chances.tf_step, state, tf.constant(images), rules)
    assert token_ids.shape == (images, rules.max_length)
    written = [
        (tuple(row[:length]), pytest.approx(log, abs=1e-4))
        for row, length, log in zip(
            token_ids.numpy().tolist(), lengths.numpy().tolist(), logs.numpy().tolist(), strict=True
        )
    ]
    return [(result.token_ids, result.log_probability) for result in expected], written


RULES = {
    "none": PLAIN,
    "one token": replace(PLAIN, max_length=1),
    "one token that may not be last": replace(PLAIN, max_length=1, filters=Filters(end_words=(A,))),
    "a shortest length": replace(PLAIN, filters=Filters(min_length=4)),
    "no word twice": replace(PLAIN, filters=Filters(no_repeat_ngram=1)),
    "no word twice, and more tokens than words": replace(
        PLAIN, max_length=9, filters=Filters(no_repeat_ngram=1, min_length=9)
    ),
    "no pair twice": replace(PLAIN, max_length=12, filters=Filters(no_repeat_ngram=2)),
    "no triple twice": replace(PLAIN, max_length=12, filters=Filters(no_repeat_ngram=3)),
    "n-grams longer than captions": replace(PLAIN, filters=Filters(no_repeat_ngram=7)),
    "words that are not last": replace(PLAIN, filters=Filters(end_words=(A, ON))),
    "all": replace(
        PLAIN, max_length=10, filters=Filters(min_length=3, no_repeat_ngram=2, end_words=(A, ON, 6))
    ),
    "only end words are left": replace(
        PLAIN, max_length=5, filters=Filters(no_repeat_ngram=1, end_words=(A, ON, 6, 7))
    ),
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize(("seed", "end", "impossible"), [(0, 0.0, 0.0), (1, 3.0, 0.0), (2, 0.0, 0.6)])
def test_captions_and_log_probabilities_are_those_of_numpy(rules, seed, end, impossible):
    expected, written = both(Chances(seed, end, impossible), rules)
    assert written == expected


def test_captions_of_different_length_stand_side_by_side():
    expected, written = both(Chances(3, 1.0), replace(PLAIN, max_length=8))
    assert len({len(tokens) for tokens, _ in written}) > 2
    assert written == expected


def test_no_image_gets_no_caption():
    assert both(Chances(0), PLAIN, images=0) == ([], [])


def test_it_is_the_same_inside_a_function_for_any_number_of_images():
    chances, rules = Chances(4, 1.0), RULES["all"]

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32)])
    def write(images: Any) -> Any:
        return write_greedily(chances.tf_step, {"image": images}, tf.shape(images)[0], rules)

    token_ids, lengths, logs = write_greedily(
        chances.tf_step, {"image": tf.range(IMAGES)}, tf.constant(IMAGES), rules
    )
    for count in (1, IMAGES):
        found = write(tf.range(count))
        for one, other in zip(found, (token_ids, lengths, logs), strict=True):
            np.testing.assert_allclose(one, other[:count], atol=1e-5)
