"""Decoders against their equations, written out in NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from cutline.config import DecoderOptions
from cutline.errors import ConfigError, UnknownNameError
from cutline.models.decoders import DECODERS, Decoder, build_decoder
from cutline.models.decoders.word_dropout import WordDropout

V, D, E, H, A = 7, 3, 4, 5, 6
WITHOUT_ATTENTION = ("merge", "show_tell")
WITH_ATTENTION = ("attend", "up_down")
NAMES = (*WITHOUT_ATTENTION, *WITH_ATTENTION)
POOLED = np.array([[0.5, 2.0, 1.0], [3.0, 0.0, 1.5]], np.float32)
GRID = np.array([[[0.5, 2.0, 1.0], [4.0, 0.1, 0.0]], [[3.0, 0.0, 1.5], [0.2, 0.3, 0.9]]], np.float32)
FEATURES = dict.fromkeys(WITHOUT_ATTENTION, POOLED) | dict.fromkeys(WITH_ATTENTION, GRID)
TOKENS = np.array([[2, 4, 5, 3], [2, 6, 3, 0]], np.int32)

Arrays = dict[str, np.ndarray]


def small(name: str, feature_shape: tuple[int, ...] | None = None, seed: int = 0, **options: Any) -> Decoder:
    return build_decoder(
        DecoderOptions(name=name, embedding_units=E, lstm_units=H, attention_units=A, **options),
        V,
        feature_shape or FEATURES[name].shape[1:],
        seed,
    )


def set_weights(decoder: Decoder) -> Arrays:
    """Give every weight values that follow from its place alone; return them by path."""
    weights = {}
    for place, variable in enumerate(decoder.trainable_variables):
        count = int(np.prod(variable.shape))
        values = 0.4 * np.sin(1.0 + 0.7 * place + 1.3 * np.arange(count)).reshape(variable.shape)
        variable.assign(values.astype(np.float32))
        weights[variable.path.split("/", 1)[1]] = values
    return weights


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm_step(w: Arrays, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z = x @ w["lstm/lstm_cell/kernel"] + h @ w["lstm/lstm_cell/recurrent_kernel"] + w["lstm/lstm_cell/bias"]
    i, f, g, o = np.split(z, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def normalise(w: Arrays, x: np.ndarray) -> np.ndarray:
    spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-3)
    return (x - x.mean(axis=1, keepdims=True)) / spread * w["normalise_features/gamma"] + w[
        "normalise_features/beta"
    ]


def dense(w: Arrays, name: str, x: np.ndarray) -> np.ndarray:
    return x @ w[f"{name}/kernel"] + w[f"{name}/bias"]


def show_tell_logits(w: Arrays, features: np.ndarray, token_ids: np.ndarray) -> np.ndarray:
    image = normalise(w, features)
    h, c = np.tanh(dense(w, "image_hidden", image)), dense(w, "image_cell", image)
    h, c = lstm_step(w, dense(w, "image_token", image), h, c)
    logits = []
    for column in token_ids.T:
        h, c = lstm_step(w, w["embedding/embeddings"][column], h, c)
        logits.append(dense(w, "predict_token", h))
    return np.stack(logits, axis=1)


def merge_logits(w: Arrays, features: np.ndarray, token_ids: np.ndarray) -> np.ndarray:
    image = np.maximum(dense(w, "project_features", normalise(w, features)), 0)
    h = c = np.zeros((len(features), H))
    logits = []
    for column in token_ids.T:
        h, c = lstm_step(w, w["embedding/embeddings"][column], h, c)
        combined = np.maximum(dense(w, "combine", h + image), 0)
        logits.append(dense(w, "predict_token", combined))
    return np.stack(logits, axis=1)


def lstm_cell(gates: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    i, f, g, o = np.split(gates, 4, axis=1)
    c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def regions(w: Arrays, features: np.ndarray) -> np.ndarray:
    size = np.sqrt((features.astype(np.float64) ** 2).mean(axis=(1, 2), keepdims=True) + 1e-6)
    return np.maximum((features / size) @ w["project_regions/kernel"] + w["region_bias"], 0)


def look(w: Arrays, values: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    keys = dense(w, "make_keys", values)
    energies = np.tanh(keys + (h @ w["attention/query/kernel"])[:, None]) @ w["attention/energy/kernel"]
    weights = softmax(energies[..., 0])
    return np.einsum("br,brh->bh", weights, values), weights


def look_or_not(
    w: Arrays, values: np.ndarray, h: np.ndarray, word: np.ndarray, before: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lu et al. (2017), equations 8 to 13: the sentinel is one more region, with a key of its own."""
    gate = sigmoid(dense(w, "sentinel_words", word) + before @ w["sentinel_state/kernel"])
    sentinel = gate * np.tanh(c)
    keys = np.concatenate(
        [dense(w, "make_keys", values), dense(w, "attention/sentinel_key", sentinel)[:, None]], axis=1
    )
    energies = np.tanh(keys + (h @ w["attention/query/kernel"])[:, None]) @ w["attention/energy/kernel"]
    weights = softmax(energies[..., 0])
    read = np.concatenate([values, sentinel[:, None]], axis=1)
    return np.einsum("br,brh->bh", weights, read), weights


def deep_output(w: Arrays, word: np.ndarray, h: np.ndarray, context: np.ndarray) -> np.ndarray:
    mixed = dense(w, "read_hidden", h) + context @ w["read_context/kernel"] + word
    return dense(w, "predict_token", mixed)


def attend_logits(w: Arrays, features: np.ndarray, token_ids: np.ndarray) -> np.ndarray:
    values = regions(w, features)
    h, c = np.split(dense(w, "begin", values.mean(axis=1)), 2, axis=1)
    h = np.tanh(h)
    logits = []
    for column in token_ids.T:
        word = w["embedding/embeddings"][column]
        if "sentinel_words/kernel" in w:
            context, _ = look_or_not(w, values, h, word, h, c)
        else:
            context, _ = look(w, values, h)
        context = context * sigmoid(dense(w, "gate", h))
        state = np.concatenate([context, h], axis=1) @ w["state_gates/kernel"]
        h, c = lstm_cell(dense(w, "word_gates", word) + state, c)
        logits.append(deep_output(w, word, h, context))
    return np.stack(logits, axis=1)


def up_down_logits(w: Arrays, features: np.ndarray, token_ids: np.ndarray) -> np.ndarray:
    values = regions(w, features)
    h1, c1, h2, c2 = np.split(dense(w, "begin", values.mean(axis=1)), 4, axis=1)
    h1, h2 = np.tanh(h1), np.tanh(h2)
    logits = []
    for column in token_ids.T:
        word = w["embedding/embeddings"][column]
        before = np.concatenate([h2, h1], axis=1)
        h1, c1 = lstm_cell(dense(w, "word_gates", word) + before @ w["attention_gates/kernel"], c1)
        if "sentinel_words/kernel" in w:
            context, _ = look_or_not(w, values, h1, word, before, c1)
        else:
            context, _ = look(w, values, h1)
        h2, c2 = lstm_cell(dense(w, "language_gates", np.concatenate([context, h1, h2], axis=1)), c2)
        logits.append(deep_output(w, word, h2, context))
    return np.stack(logits, axis=1)


EQUATIONS = {
    "show_tell": show_tell_logits,
    "merge": merge_logits,
    "attend": attend_logits,
    "up_down": up_down_logits,
}


def stepped(decoder: Decoder, features: np.ndarray, token_ids: np.ndarray) -> np.ndarray:
    state = decoder.start(keras.ops.convert_to_tensor(features))
    logits = []
    for column in token_ids.T:
        scores, state = decoder.step(keras.ops.convert_to_tensor(column), state)
        logits.append(np.asarray(scores))
    return np.stack(logits, axis=1)


@pytest.mark.parametrize("name", NAMES)
def test_logits_follow_the_equations(name):
    decoder = small(name)
    weights = set_weights(decoder)
    found = np.asarray(decoder((FEATURES[name], TOKENS)))
    assert found.shape == (2, 4, V)
    np.testing.assert_allclose(found, EQUATIONS[name](weights, FEATURES[name], TOKENS), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_one_step_after_the_other_gives_the_same_as_all_at_once(name):
    decoder = small(name)
    set_weights(decoder)
    np.testing.assert_allclose(
        stepped(decoder, FEATURES[name], TOKENS), np.asarray(decoder((FEATURES[name], TOKENS))), atol=1e-5
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_logit_depends_on_earlier_tokens_only(name):
    decoder = small(name)
    set_weights(decoder)
    changed = TOKENS.copy()
    changed[:, 2:] = 1
    before, after = (
        np.asarray(decoder((FEATURES[name], TOKENS))),
        np.asarray(decoder((FEATURES[name], changed))),
    )
    np.testing.assert_allclose(before[:, :2], after[:, :2], atol=1e-6)
    assert np.abs(before[:, 2:] - after[:, 2:]).max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_padding_and_neighbours_do_not_change_a_caption(name):
    decoder = small(name)
    set_weights(decoder)
    alone = np.asarray(decoder((FEATURES[name][1:], TOKENS[1:, :3])))
    np.testing.assert_allclose(alone, np.asarray(decoder((FEATURES[name], TOKENS)))[1:, :3], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_image_matters(name):
    decoder = small(name)
    set_weights(decoder)
    one, other = np.asarray(decoder((FEATURES[name], np.array([[2, 4], [2, 4]], np.int32))))
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("name", WITHOUT_ATTENTION)
def test_a_grid_counts_as_the_mean_of_its_regions(name):
    pooled, grid = small(name), small(name, feature_shape=(4, D))
    set_weights(pooled)
    set_weights(grid)
    features = np.random.default_rng(0).random((2, 4, D), np.float32)
    expected = np.asarray(pooled((features.mean(axis=1), TOKENS)))
    np.testing.assert_allclose(np.asarray(grid((features, TOKENS))), expected, atol=1e-5)
    np.testing.assert_allclose(stepped(grid, features, TOKENS), expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_makes_the_weights(name):
    weights = [small(name, seed=seed).get_weights() for seed in (3, 3, 4)]
    for one, other in zip(weights[0], weights[1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(not np.array_equal(one, other) for one, other in zip(weights[0], weights[2], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_dropout_is_for_training_only(name):
    decoder = small(name, dropout=0.5, feature_dropout=0.5)
    set_weights(decoder)
    at_rest = np.asarray(decoder((FEATURES[name], TOKENS)))
    np.testing.assert_array_equal(np.asarray(decoder((FEATURES[name], TOKENS), training=False)), at_rest)
    assert np.abs(np.asarray(decoder((FEATURES[name], TOKENS), training=True)) - at_rest).max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_an_untrained_decoder_expects_the_frequencies_it_was_told(name):
    decoder = small(name)
    for variable in decoder.trainable_variables:
        variable.assign(np.zeros(variable.shape, np.float32))
    decoder.expect_frequencies([0, 0, 0, 10, 5, 4, 2])
    logits = np.asarray(decoder((FEATURES[name], TOKENS)))[0, 0]
    np.testing.assert_allclose(np.exp(logits), np.array([1, 1, 1, 11, 6, 5, 3]) / 28, atol=1e-6)


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_the_weights_of_the_regions_sum_to_one_and_follow_the_picture(name):
    decoder = small(name)
    weights = set_weights(decoder)
    values = regions(weights, GRID)
    state = decoder.start(keras.ops.convert_to_tensor(GRID))
    hidden = np.asarray(state[2])
    for column in TOKENS.T:
        _, state = decoder.step(keras.ops.convert_to_tensor(column), state)
        if name == "up_down":
            hidden = np.asarray(state[2])  # the attention LSTM looks with what it has just read
        found = np.asarray(decoder.attention_weights(state))
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(found, look(weights, values, hidden)[1], atol=1e-5)
        hidden = np.asarray(state[2])


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_with_a_sentinel_logits_follow_the_equations_at_once_and_step_by_step(name):
    decoder = small(name, sentinel=True)
    weights = set_weights(decoder)
    expected = EQUATIONS[name](weights, GRID, TOKENS)
    np.testing.assert_allclose(np.asarray(decoder((GRID, TOKENS))), expected, atol=1e-5)
    np.testing.assert_allclose(stepped(decoder, GRID, TOKENS), expected, atol=1e-5)
    without = small(name)
    for variable, value in zip(without.trainable_variables, shared(without, weights), strict=True):
        variable.assign(value)
    assert np.abs(np.asarray(without((GRID, TOKENS))) - expected).max() > 1e-3


def shared(decoder: Decoder, weights: Arrays) -> list[np.ndarray]:
    return [weights[variable.path.split("/", 1)[1]] for variable in decoder.trainable_variables]


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_what_the_weights_of_the_regions_lack_is_the_share_of_the_sentinel(name):
    decoder = small(name, sentinel=True)
    weights = set_weights(decoder)
    values = regions(weights, GRID)
    state = decoder.start(keras.ops.convert_to_tensor(GRID))
    for column in TOKENS.T:
        h, c, *others = (np.asarray(part) for part in state[2:-2])
        _, state = decoder.step(keras.ops.convert_to_tensor(column), state)
        asking, before = h, h
        if name == "up_down":
            asking, c = np.asarray(state[2]), np.asarray(state[3])
            before = np.concatenate([others[0], h], axis=1)
        word = weights["embedding/embeddings"][column]
        expected = look_or_not(weights, values, asking, word, before, c)[1]
        found = np.asarray(decoder.attention_weights(state))
        assert found.shape == (2, 2)
        np.testing.assert_allclose(found, expected[:, :2], atol=1e-5)
        np.testing.assert_allclose(1 - found.sum(axis=1), expected[:, 2], atol=1e-5)
        assert (found.sum(axis=1) < 0.99).all()


@pytest.mark.parametrize("name", WITHOUT_ATTENTION)
def test_a_sentinel_needs_attention(name):
    message = f"sentinel needs attention, and decoder {name} has none; set decoder.name=attend or up_down,"
    with pytest.raises(ConfigError, match=message):
        small(name, sentinel=True)


@pytest.mark.parametrize("name", NAMES)
def test_options_that_are_off_add_nothing_and_those_that_are_on_leave_the_rest_as_it_was(name):
    def arrays(decoder: Decoder) -> Arrays:
        return {variable.path: np.asarray(variable) for variable in decoder.trainable_variables}

    on = {"word_dropout": 0.5} | ({"sentinel": True} if name in WITH_ATTENTION else {})
    plain, full = small(name, seed=3), small(name, seed=3, **on)
    assert not [variable.path for variable in plain.variables if "sentinel" in variable.path]
    assert len(full.variables) - len(full.trainable_variables) == 1 + len(plain.variables) - len(
        plain.trainable_variables
    )
    for path, value in arrays(plain).items():
        np.testing.assert_array_equal(arrays(full)[path], value)


@pytest.mark.parametrize("name", NAMES)
def test_words_are_hidden_in_training_only(name):
    off = {"dropout": 0, "feature_dropout": 0, "embedding_dropout": 0}
    decoder = small(name, word_dropout=0.9999, **off)
    set_weights(decoder)
    hidden = np.where(TOKENS > 3, 1, TOKENS)
    found = np.asarray(decoder((FEATURES[name], TOKENS), training=True))
    np.testing.assert_array_equal(found, np.asarray(decoder((FEATURES[name], hidden))))
    assert np.abs(found - np.asarray(decoder((FEATURES[name], TOKENS)))).max() > 1e-3


def test_the_share_of_hidden_words_is_as_asked_and_markers_stay():
    layer = WordDropout(0.3, 0, "drop_tokens")
    token_ids = np.tile(np.array([2, 5, 6, 1, 4, 3, 0], np.int32), (2000, 1))
    found = np.asarray(layer(token_ids, training=True))
    changed = found != token_ids
    assert set(found[changed]) == {1}
    assert not changed[:, [0, 3, 5, 6]].any()
    assert changed[:, [1, 2, 4]].mean() == pytest.approx(0.3, abs=0.02)
    again = np.asarray(layer(token_ids, training=True))
    assert (again != found).any()


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_the_scale_of_the_features_does_not_matter_to_attention(name):
    decoder = small(name)
    set_weights(decoder)
    before, after = np.asarray(decoder((GRID, TOKENS))), np.asarray(decoder((GRID * 50, TOKENS)))
    np.testing.assert_allclose(before, after, atol=1e-4)


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_attention_needs_regions(name):
    with pytest.raises(ConfigError, match=r"encoder\.features=grid"):
        small(name, feature_shape=(D,))


def test_an_unknown_decoder_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown decoder 'show_tel'.*did you mean 'show_tell'\?"):
        small("show_tel", (D,))
    assert set(NAMES) <= set(DECODERS.names())
