"""A decoder with a larger vocabulary knows what it knew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.config import DecoderOptions
from cutline.models.decoders import build_decoder
from cutline.models.new_tokens import with_blended_tokens, with_new_tokens
from cutline.models.sessions import assign_arrays, decoder_arrays

V, ADDED, R, D = 11, 4, 3, 5
WIDTHS = {"embedding_units": 4, "lstm_units": 6, "attention_units": 3}


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("name", ["show_tell", "merge", "attend", "up_down"])
def test_among_old_tokens_nothing_is_more_or_less_probable_than_before(name):
    options, chance = DecoderOptions(name=name, **WIDTHS), np.random.default_rng(3)
    old = build_decoder(options, V, (R, D))
    arrays = {
        part: chance.normal(0, 0.8, array.shape).astype(np.float32)
        for part, array in decoder_arrays(old).items()
    }
    assign_arrays(old, arrays)
    new = build_decoder(options, V + ADDED, (R, D))
    assign_arrays(new, with_new_tokens(arrays, range(V + ADDED)))
    grid = chance.random((2, R, D), np.float32)
    states = [decoder.start(grid) for decoder in (old, new)]
    for tokens in ([2, 2], [4, 9], [10, 1]):
        found = []
        for place, decoder in enumerate((old, new)):
            logits, states[place] = decoder.step(np.array(tokens, np.int32), states[place])
            found.append(np.asarray(logits))
        before, after = found
        assert after.shape == (2, V + ADDED)
        np.testing.assert_allclose(log_softmax(after[:, :V]), log_softmax(before), atol=1e-5)


def made_up(chance: np.random.Generator, size: int) -> dict[str, np.ndarray]:
    shapes = {
        "embedding/embeddings": (size, 3),
        "predict_token/kernel": (4, size),
        "predict_token/bias": size,
    }
    return {
        name: chance.normal(2, 1, shape).astype(np.float32) for name, shape in {**shapes, "other": 2}.items()
    }


@given(st.integers(5, 30), st.integers(0, 10), st.integers(0, 2**16))
def test_old_rows_stay_what_they_are_and_only_they_that_know_tokens_grow(size, added, seed):
    chance = np.random.default_rng(seed)
    arrays, counts = made_up(chance, size), chance.integers(0, 9, size + added)
    found = with_new_tokens(arrays, counts, seed)
    assert found.keys() == arrays.keys()
    np.testing.assert_array_equal(found["embedding/embeddings"][:size], arrays["embedding/embeddings"])
    np.testing.assert_array_equal(found["predict_token/kernel"][:, :size], arrays["predict_token/kernel"])
    np.testing.assert_array_equal(found["predict_token/bias"][:size], arrays["predict_token/bias"])
    np.testing.assert_array_equal(found["other"], arrays["other"])
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in found.values())
    assert found["predict_token/bias"].shape == (size + added,)
    again = with_new_tokens(arrays, counts, seed)
    assert all(np.array_equal(again[name], found[name]) for name in found)


def test_new_biases_are_log_frequencies_on_the_scale_of_the_old_ones():
    arrays = made_up(np.random.default_rng(0), 8)
    counts = np.array([0, 3, 0, 9, 9, 5, 2, 1, 4, 1])
    logs = np.log((counts + 1) / (counts + 1).sum())
    arrays["predict_token/bias"] = (logs[:8] + 7).astype(np.float32)
    # Neither how often a token was unknown nor one that never comes tells of the scale.
    arrays["predict_token/bias"][[0, 1, 2]] = -50
    np.testing.assert_allclose(with_new_tokens(arrays, counts)["predict_token/bias"][8:], logs[8:] + 7, 1e-5)


@given(st.integers(5, 30), st.integers(1, 4), st.integers(0, 2**16))
def test_a_blend_of_one_token_is_that_token_and_one_of_equals_their_mean(size, added, seed):
    chance = np.random.default_rng(seed)
    arrays = made_up(chance, size + added)
    ids, one = np.arange(size, size + added), int(chance.integers(size))
    shares = np.zeros((added, size))
    shares[:, one] = 0.3
    alone = with_blended_tokens(arrays, ids, shares)
    mean = with_blended_tokens(arrays, ids, np.full((added, size), 2.0))
    for name, axis in (("embedding/embeddings", 0), ("predict_token/kernel", 1), ("predict_token/bias", 0)):
        known, new = np.split(np.moveaxis(arrays[name], axis, 0), [size])
        for found, expected in ((alone, known[one]), (mean, known.mean(axis=0))):
            own = np.moveaxis(found[name], axis, 0)
            np.testing.assert_array_equal(own[:size], known)
            np.testing.assert_allclose(own[size:], np.broadcast_to(expected, new.shape), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(alone["other"], arrays["other"])
