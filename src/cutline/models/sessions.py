"""Keras as a step model: the decoder that is being trained, or one rebuilt from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from cutline.config import DecoderOptions
from cutline.errors import BundleError
from cutline.models.decoders import Decoder, build_decoder
from cutline.models.encoders import Encoder, encoder_from_spec


class BundleParts(Protocol):
    """The parts of a bundle that a session is built from; see :class:`cutline.runtime.Bundle`."""

    @property
    def encoder_spec(self) -> Mapping[str, Any]:
        """From which the encoder is rebuilt."""
        ...

    @property
    def encoder_arrays(self) -> Mapping[str, NDArray[Any]]:
        """Its weights."""
        ...

    @property
    def decoder(self) -> DecoderOptions:
        """Name and widths of the decoder."""
        ...

    @property
    def decoder_arrays(self) -> Mapping[str, NDArray[Any]]:
        """Its weights."""
        ...

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """(D,) or (R, D)."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """V."""
        ...


def decoder_arrays(decoder: Decoder) -> dict[str, NDArray[Any]]:
    """Return copies of a decoder's weights by name, e.g. ``"lstm/lstm_cell/kernel"``."""
    return {_name(variable): np.array(variable.numpy()) for variable in decoder.weights}


def load_decoder(
    options: DecoderOptions,
    vocabulary_size: int,
    feature_shape: tuple[int, ...],
    arrays: Mapping[str, NDArray[Any]],
) -> Decoder:
    """Rebuild a decoder from :func:`decoder_arrays`.

    Raises:
        BundleError: The arrays are of another decoder.
    """
    _refuse_other_widths(options, arrays)
    decoder = build_decoder(options, vocabulary_size, feature_shape)
    assign_arrays(decoder, arrays)
    return decoder


def assign_arrays(decoder: Decoder, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Give a decoder the weights that :func:`decoder_arrays` returned.

    Raises:
        BundleError: The arrays are of another decoder; nothing is assigned.
    """
    variables = {_name(variable): variable for variable in decoder.weights}
    if set(variables) != set(arrays):
        odd = sorted(set(variables) ^ set(arrays))[0]
        name = decoder.options.name
        raise BundleError(f"decoder weights do not fit the decoder {name!r} (differs at {odd})")
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise BundleError(
                f"decoder weight {name} has shape {arrays[name].shape}, expected {tuple(variable.shape)}"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _refuse_other_widths(options: DecoderOptions, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Compare widths before building: one changed digit in a manifest must not take all memory."""
    places = (
        ("lstm_units", "lstm/lstm_cell/recurrent_kernel", 0),
        ("lstm_units", "project_regions/kernel", 1),
        ("attention_units", "make_keys/kernel", 1),
        ("embedding_units", "embedding/embeddings", 1),
    )
    for key, name, axis in places:
        expected = getattr(options, key)
        shape = arrays[name].shape if name in arrays else ()
        if len(shape) == 2 and shape[axis] != expected:
            raise BundleError(
                f"decoder weights have {key} {shape[axis]}, the decoder's options say {expected}"
            )


def _name(variable: keras.Variable) -> str:
    return str(variable.path).split("/", 1)[1]


class DecoderSession:
    """A step model over the live weights of a decoder.

    Args:
        decoder: Built; later changes of its weights are seen.
    """

    def __init__(self, decoder: Decoder) -> None:
        """Compile start and step for any number of rows."""
        self._start = tf.function(decoder.start, reduce_retracing=True)
        self._attention_weights = getattr(decoder, "attention_weights", None)

        def scored(token_ids: tf.Tensor, state: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
            logits, state = decoder.step(token_ids, state)
            return ops.log_softmax(ops.cast(logits, "float32")), state

        self._step = tf.function(scored, reduce_retracing=True)

    def start(self, features: NDArray[Any]) -> list[tf.Tensor]:
        """Features (B, ...) to the state before the first token."""
        return self._start(tf.constant(features, tf.float32))

    def step(
        self, token_ids: NDArray[np.int32], state: list[tf.Tensor]
    ) -> tuple[NDArray[np.float32], list[tf.Tensor]]:
        """Token ids (B,) to log-probabilities (B, V) of the next token, and the next state."""
        log_probabilities, state = self._step(tf.constant(token_ids, tf.int32), state)
        return log_probabilities.numpy(), state

    def reorder(self, state: list[tf.Tensor], rows: NDArray[np.int64]) -> list[tf.Tensor]:
        """State whose row i is row ``rows[i]`` of the old one."""
        index = tf.constant(rows, tf.int64)
        return [tf.gather(part, index) for part in state]

    def attention_weights(self, state: list[tf.Tensor]) -> NDArray[np.float32] | None:
        """Weights of the regions (B, R) in the last step; None for a decoder that looks at none."""
        if self._attention_weights is None:
            return None
        return np.asarray(self._attention_weights(state), np.float32)


class KerasSession(DecoderSession):
    """A session over encoder and decoder, rebuilt from a bundle.

    Args:
        bundle: Loaded and checked.
    """

    def __init__(self, bundle: BundleParts) -> None:
        """Build both networks and load their weights; BundleError or WeightsError when they do not fit."""
        self.encoder: Encoder = encoder_from_spec(bundle.encoder_spec, bundle.encoder_arrays)
        self.input_size = self.encoder.input_size
        if self.encoder.feature_shape != tuple(bundle.feature_shape):
            raise BundleError(
                f"the encoder gives features {self.encoder.feature_shape}, the decoder needs "
                f"{tuple(bundle.feature_shape)}; copy the bundle again"
            )
        self.decoder = load_decoder(
            bundle.decoder, bundle.vocabulary_size, bundle.feature_shape, bundle.decoder_arrays
        )
        super().__init__(self.decoder)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (B, H, W, 3), 0..255, to features (B, *feature shape)."""
        return self.encoder.encode(images)
