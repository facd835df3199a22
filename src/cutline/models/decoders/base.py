"""What every decoder offers, and the registry that builds one by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import keras
import numpy as np

from cutline.config import DecoderOptions
from cutline.errors import ConfigError
from cutline.models.decoders.word_dropout import WordDropout
from cutline.registry import Registry

Tensor = Any
State = list[Tensor]


class Decoder(keras.Model):
    """Base of the decoders; see the package docstring for the three entry points.

    Subclasses name their output layer ``predict_token``. Inputs of ``call`` may have a third part, int32
    (B,): the row of the features that each caption is of. What depends on the image alone is then computed
    once, however many captions it has.

    Args:
        options: Widths and dropout.
        vocabulary_size: V.
        feature_shape: (D,) for pooled features, (R, D) for a grid.
        seed: Seed of the initial weights and of dropout; each layer draws its own from it.
    """

    needs_regions: ClassVar[bool] = False
    """Whether it looks at regions, so that one vector per image is not enough."""

    def __init__(
        self, options: DecoderOptions, vocabulary_size: int, feature_shape: tuple[int, ...], seed: int
    ) -> None:
        """Keep the options; subclasses make their layers."""
        super().__init__(name=options.name)
        self.options = options
        self.vocabulary_size = vocabulary_size
        self.feature_shape = feature_shape
        self._seeds = iter(range(seed * 1000, seed * 1000 + 900))
        self._optional_seeds = iter(range(seed * 1000 + 900, seed * 1000 + 1000))
        self.drop_tokens = WordDropout(options.word_dropout, self.optional_seed(), "drop_tokens")

    def next_seed(self) -> int:
        """Return a seed that no other layer of this decoder has."""
        return next(self._seeds)

    def optional_seed(self) -> int:
        """Return such a seed for a layer that options add, so that all other layers begin as without it."""
        return next(self._optional_seeds)

    def dense(
        self,
        units: int,
        name: str,
        activation: str | None = None,
        use_bias: bool = True,
        seed: int | None = None,
    ) -> keras.layers.Dense:
        """Return a seeded dense layer; the seed is the next one when it is None."""
        seed = self.next_seed() if seed is None else seed
        return keras.layers.Dense(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
            name=name,
        )

    def dropout(self, rate: float, name: str) -> keras.layers.Dropout:
        """Return a seeded dropout layer."""
        return keras.layers.Dropout(rate, seed=self.next_seed(), name=name)

    def embedding(self) -> keras.layers.Embedding:
        """Return the seeded token embedding (V, E)."""
        return keras.layers.Embedding(
            self.vocabulary_size,
            self.options.embedding_units,
            embeddings_initializer=keras.initializers.RandomUniform(-0.1, 0.1, seed=self.next_seed()),
            name="embedding",
        )

    def lstm(self) -> keras.layers.LSTM:
        """Return the seeded LSTM; its ``cell`` is what a step calls, so both share their weights."""
        return keras.layers.LSTM(
            self.options.lstm_units,
            return_sequences=True,
            kernel_initializer=keras.initializers.GlorotUniform(seed=self.next_seed()),
            recurrent_initializer=keras.initializers.Orthogonal(seed=self.next_seed()),
            name="lstm",
        )

    def expect_frequencies(self, counts: Sequence[int]) -> None:
        """Start from the token frequencies of the train split instead of from equal chances.

        The output bias becomes the log-frequency of each token (add-one smoothed), so that the first epoch is
        not spent on learning which words are common.

        Args:
            counts: Occurrences of each of the V tokens as a target.
        """
        smoothed = np.asarray(counts, np.float64) + 1.0
        self.predict_token.bias.assign(np.log(smoothed / smoothed.sum()).astype(np.float32))

    def start(self, features: Tensor) -> State:
        """Compute the state before the first token.

        Args:
            features: float32 (B, *feature_shape).

        Returns:
            Tensors whose first axis is B.
        """
        raise NotImplementedError

    def step(self, token_ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token per row and score the next.

        Args:
            token_ids: int32 (B,), the tokens just emitted, the start marker at first.
            state: As returned by :meth:`start` or the last step.

        Returns:
            Logits float32 (B, V) and the next state.
        """
        raise NotImplementedError


def of_rows(tensor: Tensor, rows: Sequence[Tensor]) -> Tensor:
    """Return what is known of the image of each caption: (N, ...) → (B, ...).

    Args:
        tensor: One row per image.
        rows: Empty when captions and images are the same rows, else int32 (B,), the image of each caption.
    """
    return keras.ops.take(tensor, rows[0], axis=0) if rows else tensor


DECODERS: Registry[type[Decoder]] = Registry("decoder")


def require_features(name: str, features: Literal["pooled", "grid"]) -> None:
    """Raise ConfigError when a decoder needs regions and the encoder gives one vector per image.

    Example:
        >>> require_features("show_tell", "pooled")
    """
    if DECODERS.get(name).needs_regions and features != "grid":
        raise ConfigError(
            f"decoder {name} looks at regions, and encoder.features={features} gives one vector per image; "
            "set encoder.features=grid"
        )


def require_attention(name: str, option: str) -> None:
    """Raise ConfigError when an option of attention is set for a decoder without any.

    Example:
        >>> require_attention("attend", "decoder.sentinel")
    """
    if not DECODERS.get(name).needs_regions:
        able = " or ".join(other for other in DECODERS.names() if DECODERS.get(other).needs_regions)
        raise ConfigError(
            f"{option} needs attention, and decoder {name} has none; set decoder.name={able}, or leave "
            f"{option} out"
        )


def build_decoder(
    options: DecoderOptions,
    vocabulary_size: int,
    feature_shape: tuple[int, ...],
    seed: int = 0,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> Decoder:
    """Build the decoder named in the options, with its weights initialised from the seed.

    Args:
        options: Name, widths and dropout.
        vocabulary_size: V.
        feature_shape: (D,) for pooled features, (R, D) for a grid.
        seed: Seed of the initial weights and of dropout.
        precision: What products are computed in; weights and logits that leave the decoder for a loss or a
            search are float32 in any case.

    Raises:
        UnknownNameError: No decoder has that name.
        ConfigError: The decoder cannot use features of that shape, or has no attention for a sentinel.
    """
    if options.sentinel:
        require_attention(options.name, "decoder.sentinel")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        decoder = DECODERS.get(options.name)(options, vocabulary_size, feature_shape, seed)
    finally:
        keras.config.set_dtype_policy(before)
    features = keras.ops.zeros((1, *feature_shape))
    decoder((features, keras.ops.zeros((1, 2), dtype="int32")))
    return decoder
