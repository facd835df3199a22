"""LiteRT files compute what Keras does, step by step, for any number of captions."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tests.fakes import pooling_encoder

from cutline.config import DecoderOptions, DecodingOptions
from cutline.errors import ExportError, UnknownNameError
from cutline.exporting.litert import LITERT_FILES, LiteRtSession, write_litert
from cutline.exporting.tf_functions import STATES, Functions
from cutline.models.decoders import DECODERS, build_decoder
from cutline.models.sessions import KerasSession, decoder_arrays
from cutline.runtime import Bundle
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS

WORDS = [*("a", "dog", "on", "the", "grass", "runs", "in", "snow", "two", "dogs")]
VOCABULARY = Vocabulary((*SPECIALS, *WORDS), Tokenizer())
WIDTHS = {"embedding_units": 4, "lstm_units": 7, "attention_units": 3}
OPTIONS = {
    "show_tell": DecoderOptions(name="show_tell", **WIDTHS),
    "merge": DecoderOptions(name="merge", **WIDTHS),
    "attend": DecoderOptions(name="attend", **WIDTHS),
    "attend with a sentinel": DecoderOptions(name="attend", sentinel=True, **WIDTHS),
    "up_down": DecoderOptions(name="up_down", **WIDTHS),
    "up_down with a sentinel": DecoderOptions(name="up_down", sentinel=True, **WIDTHS),
}
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), dtype=np.uint8)


def _slow_but(*names: str) -> list[Any]:
    """All decoders, most of them in the slow tests alone: what they share is tested by the others."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in OPTIONS]


def bundle_of(options: DecoderOptions, spread: float = 0.8) -> Bundle:
    """A model whose weights, biases too, are far from what training begins with."""
    encoder = pooling_encoder((8, 12), 4, 1 / 64)
    generator = np.random.default_rng(1)
    arrays = {
        name: generator.normal(0, spread, array.shape).astype(np.float32)
        for name, array in decoder_arrays(
            build_decoder(options, len(VOCABULARY), encoder.feature_shape)
        ).items()
    }
    return Bundle(
        encoder.spec(),
        encoder.weights(),
        options,
        arrays,
        encoder.feature_shape,
        VOCABULARY,
        DecodingOptions(max_length=6),
    )


def require_same_steps(keras: KerasSession, other: Any) -> None:
    """Read tokens with both, while captions are dropped and doubled."""
    features = keras.encode(IMAGES)
    np.testing.assert_allclose(other.encode(IMAGES), features, rtol=1e-4, atol=1e-5)
    states: list[Any] = [keras.start(features), other.start(features)]
    for tokens, rows in (
        ([2, 2, 2], [0, 0, 1, 2]),
        ([4, 5, 6, 7], [3, 1]),
        ([8, 9], [1, 1, 0]),
        ([1, 3, 13], [0]),
    ):
        found = []
        for place, session in enumerate((keras, other)):
            scores, state = session.step(np.array(tokens, np.int32), states[place])
            found.append((scores, session.attention_weights(state)))
            states[place] = session.reorder(state, np.array(rows))
        (expected, looked), (scores, looked_too) = found
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
        assert (looked is None) == (looked_too is None)
        if looked is not None:
            np.testing.assert_allclose(looked_too, looked, rtol=1e-4, atol=1e-5)


class FunctionsSession:
    """A step model over the functions themselves."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def encode(self, images: np.ndarray) -> np.ndarray:
        return self._functions.encode(tf.constant(images)).numpy()

    def start(self, features: np.ndarray) -> dict[str, Any]:
        return self._functions.start(tf.constant(features))

    def step(self, token_ids: np.ndarray, state: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
        found = self._functions.step(tf.constant(token_ids), state)
        after = {name.replace("next_", "state_"): tensor for name, tensor in found.items()}
        return after.pop("log_probabilities").numpy(), state | after

    def reorder(self, state: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
        return {name: tf.gather(tensor, rows) for name, tensor in state.items()}

    def attention_weights(self, state: dict[str, Any]) -> np.ndarray | None:
        return state["attention"].numpy() if "attention" in state else None


@pytest.mark.parametrize("name", _slow_but("show_tell", "merge", "attend with a sentinel"))
def test_functions_with_names_compute_what_the_decoder_does(name):
    keras = KerasSession(bundle_of(OPTIONS[name]))
    require_same_steps(keras, FunctionsSession(Functions(keras)))


def test_the_state_of_every_decoder_has_names():
    assert set(STATES) == set(DECODERS.names())


def test_a_decoder_without_names_is_refused():
    keras = KerasSession(bundle_of(OPTIONS["merge"]))
    keras.decoder.name = "mergers"
    with pytest.raises(UnknownNameError, match="did you mean 'merge'"):
        Functions(keras)


@pytest.mark.parametrize("name", _slow_but("up_down with a sentinel"))
def test_the_files_compute_what_keras_does(name, tmp_path):
    keras = KerasSession(bundle_of(OPTIONS[name]))
    write_litert(keras, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(LITERT_FILES)
    require_same_steps(keras, LiteRtSession(tmp_path, keras.encoder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = [tf.lite.Interpreter(str(tmp_path / name)) for name in LITERT_FILES]
    operators = {operator["op_name"] for file in files for operator in file._get_ops_details()}
    assert not [name for name in operators if name.startswith("Flex")]


def test_what_the_converter_cannot_write_is_told_in_one_line(tmp_path, monkeypatch):
    class Converter:
        @staticmethod
        def from_concrete_functions(*_: Any) -> Converter:
            return Converter()

        def convert(self) -> bytes:
            raise RuntimeError("Some ops are not supported\nand much more")

    monkeypatch.setattr(tf.lite, "TFLiteConverter", Converter)
    with pytest.raises(ExportError, match=r"encoder.tflite cannot be written.*Some ops are not supported\)"):
        write_litert(KerasSession(bundle_of(OPTIONS["merge"])), tmp_path)


def test_pooled_features_start_a_caption_too():
    options = OPTIONS["show_tell"]
    bundle = bundle_of(options)
    shape = bundle.feature_shape[1:]
    decoder = build_decoder(options, len(VOCABULARY), shape)
    arrays = decoder_arrays(decoder)
    spec = {**bundle.encoder_spec, "features": "pooled"}
    pooled = replace(bundle, encoder_spec=spec, decoder_arrays=arrays, feature_shape=shape)
    keras = KerasSession(pooled)
    require_same_steps(keras, FunctionsSession(Functions(keras)))
