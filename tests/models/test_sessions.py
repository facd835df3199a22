from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from cutline.config import DecoderOptions, EncoderOptions
from cutline.errors import BundleError
from cutline.models.decoders import build_decoder
from cutline.models.encoders import build_encoder
from cutline.models.sessions import DecoderSession, KerasSession, decoder_arrays, load_decoder

V, D = 9, 3
OPTIONS = {
    name: DecoderOptions(name=name, embedding_units=4, lstm_units=5) for name in ("merge", "show_tell")
}
FEATURES = np.random.default_rng(0).random((3, D), np.float32)


@pytest.fixture(params=sorted(OPTIONS))
def options(request) -> DecoderOptions:
    return OPTIONS[request.param]


def test_a_decoder_is_rebuilt_from_its_arrays(options):
    decoder = build_decoder(options, V, (D,), seed=3)
    arrays = decoder_arrays(decoder)
    rebuilt = load_decoder(options, V, (D,), arrays)
    tokens = np.array([[2, 4], [2, 5], [2, 6]], np.int32)
    np.testing.assert_array_equal(
        np.asarray(rebuilt((FEATURES, tokens))), np.asarray(decoder((FEATURES, tokens)))
    )
    assert sorted(decoder_arrays(rebuilt)) == sorted(arrays)


def test_arrays_are_copies(options):
    decoder = build_decoder(options, V, (D,))
    arrays = decoder_arrays(decoder)
    decoder.predict_token.bias.assign(np.ones(V, np.float32))
    assert not arrays["predict_token/bias"].any()


def test_names_of_arrays_are_the_same_in_every_process(options):
    first, second = (decoder_arrays(build_decoder(options, V, (D,))) for _ in range(2))
    assert list(first) == list(second)
    assert "lstm/lstm_cell/kernel" in first


def test_arrays_of_another_decoder_are_refused():
    arrays = decoder_arrays(build_decoder(OPTIONS["merge"], V, (D,)))
    with pytest.raises(BundleError, match=r"do not fit the decoder 'show_tell' \(differs at combine/bias\)"):
        load_decoder(OPTIONS["show_tell"], V, (D,), arrays)


@pytest.mark.parametrize(("vocabulary_size", "feature_depth"), [(V + 1, D), (V, D + 1)])
def test_arrays_of_another_shape_are_refused(options, vocabulary_size, feature_depth):
    arrays = decoder_arrays(build_decoder(options, V, (D,)))
    with pytest.raises(BundleError, match=r"decoder weight .* has shape \(.*\), expected \(.*\)$"):
        load_decoder(options, vocabulary_size, (feature_depth,), arrays)


def test_an_absurd_width_is_refused_before_memory_is_taken():
    arrays = decoder_arrays(build_decoder(OPTIONS["show_tell"], V, (D,)))
    absurd = OPTIONS["show_tell"].model_copy(update={"lstm_units": 10**9})
    with pytest.raises(BundleError, match=r"lstm_units.* 1000000000"):
        load_decoder(absurd, V, (D,), arrays)


def test_log_probabilities_sum_to_one(options):
    session = DecoderSession(build_decoder(options, V, (D,)))
    state = session.start(FEATURES)
    for token in (2, 4, 5):
        log_probabilities, state = session.step(np.full(3, token, np.int32), state)
        assert log_probabilities.shape == (3, V)
        assert log_probabilities.dtype == np.float32
        np.testing.assert_allclose(np.exp(log_probabilities.astype(np.float64)).sum(axis=1), 1, atol=1e-5)


def test_rows_are_reordered_repeated_and_dropped(options):
    session = DecoderSession(build_decoder(options, V, (D,), seed=1))
    _, state = session.step(np.array([2, 4, 5], np.int32), session.start(FEATURES))
    straight, _ = session.step(np.array([6, 7, 8], np.int32), state)
    rows = np.array([2, 0, 2, 1], np.int64)
    picked, _ = session.step(np.array([8, 6, 8, 7], np.int32), session.reorder(state, rows))
    np.testing.assert_allclose(picked, straight[rows], atol=1e-6)


def test_a_session_sees_weights_change(options):
    decoder = build_decoder(options, V, (D,))
    session = DecoderSession(decoder)
    session.step(np.full(3, 2, np.int32), session.start(FEATURES))
    certain = np.full(V, -30, np.float32)
    certain[6] = 30
    decoder.predict_token.bias.assign(certain)
    log_probabilities, _ = session.step(np.full(3, 2, np.int32), session.start(FEATURES))
    assert log_probabilities.argmax(axis=1).tolist() == [6, 6, 6]


@dataclass
class Parts:
    encoder_spec: dict[str, Any]
    encoder_arrays: dict[str, np.ndarray]
    decoder: DecoderOptions
    decoder_arrays: dict[str, np.ndarray]
    feature_shape: tuple[int, ...]
    vocabulary_size: int = V


def test_a_keras_session_encodes_and_refuses_a_decoder_of_another_encoder():
    encoder = build_encoder(EncoderOptions(name="efficientnet_lite0", weights="random"))
    depth = encoder.feature_shape[0]
    arrays = decoder_arrays(build_decoder(OPTIONS["merge"], V, (depth,)))
    parts = Parts(encoder.spec(), encoder.weights(), OPTIONS["merge"], arrays, (depth,))
    session = KerasSession(parts)
    images = np.random.default_rng(0).integers(0, 256, (1, *session.input_size, 3), np.uint8)
    np.testing.assert_array_equal(session.encode(images), encoder.encode(images))
    parts.feature_shape = (7, depth)
    with pytest.raises(
        BundleError, match=r"the encoder gives features \(1280,\), the decoder needs \(7, 1280\)"
    ):
        KerasSession(parts)


@pytest.mark.parametrize("name", ["attend", "up_down"])
def test_attention_weights_of_each_step_sum_to_one_and_change_with_the_words(name):
    looking = DecoderOptions(name=name, embedding_units=4, lstm_units=5, attention_units=3)
    session = DecoderSession(build_decoder(looking, V, (6, D), seed=1))
    state = session.start(np.random.default_rng(0).random((3, 6, D), np.float32))
    seen = []
    for token in (2, 4, 5):
        _, state = session.step(np.full(3, token, np.int32), state)
        weights = session.attention_weights(state)
        assert weights.shape == (3, 6)
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
        seen.append(weights)
    assert not np.allclose(seen[0], seen[2], atol=1e-6)


def test_a_decoder_without_attention_has_no_weights(options):
    session = DecoderSession(build_decoder(options, V, (D,)))
    _, state = session.step(np.full(3, 2, np.int32), session.start(FEATURES))
    assert session.attention_weights(state) is None
