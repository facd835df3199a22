"""An encoder and a decoder as one network, part of whose encoder is trained.

A *stage* of a convolutional network is what computes maps of one size; the next stage halves them. The last
stage is the nearest to words, and the cheapest to train: nothing flows back through what stands before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, Literal

import keras

from cutline.errors import ConfigError
from cutline.models.decoders import Decoder
from cutline.models.encoders import Encoder

Stages = Literal["last", "last_two", "last_three", "all"]

_COUNTS: Final = {"last": 1, "last_two": 2, "last_three": 3}


class WholeNetwork(keras.Model):
    """From pixels to logits.

    Args:
        encoder: From images uint8 (N, H, W, 3) to features.
        decoder: From features and tokens to logits.
        batch_statistics: Normalise batches by their own statistics in training, in the layers that are
            trained; else by those the encoder came with, as in captioning.
    """

    def __init__(self, encoder: keras.Model, decoder: Decoder, batch_statistics: bool) -> None:
        """Keep both networks, which share their weights with this one."""
        super().__init__(name="whole")
        self.encoder = encoder
        self.decoder = decoder
        self.batch_statistics = batch_statistics

    def call(self, inputs: tuple[Any, Any, Any], training: bool = False) -> Any:
        """Images uint8 (N, H, W, 3), token ids (M, T), image of each caption (M,) → logits (M, T, V)."""
        images, token_ids, rows = inputs
        features = self.encoder(images, training=training and self.batch_statistics)
        return self.decoder((features, token_ids, rows), training=training)


def choose_stages(encoder: Encoder, stages: Stages, batch_norm: Literal["frozen", "trained"]) -> list[Any]:
    """Make some stages of an encoder trainable and all others not.

    Args:
        encoder: Its layers are marked.
        stages: Which of the stages that have weights.
        batch_norm: Whether batch normalisation in them is trained.

    Returns:
        The variables that training may change, statistics of batches included, in the network's order.

    Raises:
        ConfigError: The encoder has no weights that could be trained.
    """
    placed = _stages_of(encoder.model)
    for layer, _ in placed:
        layer.trainable = True
    numbers = sorted({stage for layer, stage in placed if layer.trainable_weights})
    chosen = set(numbers[-_COUNTS.get(stages, len(numbers)) :])
    changing: list[Any] = []
    for layer, stage in placed:
        is_kept = batch_norm == "frozen" and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = stage in chosen and not is_kept
        fixed = set() if layer.trainable else {id(variable) for variable in layer.weights}
        # Layers that are not trained may draw at random, and the state of that changes, too.
        changing += [variable for variable in layer.variables if id(variable) not in fixed]
    if not encoder.model.trainable_weights:
        raise ConfigError(
            f"fine_tune.epochs: the encoder {encoder.name} has no weights to train; set it to 0, or use "
            "another encoder"
        )
    return changing


def _stages_of(network: keras.Model) -> list[tuple[Any, int]]:
    """Return every layer with its stage: how often the side of the image was halved before its output."""
    side = network.input_shape[1]
    stage = 0
    placed = []
    for layer in _layers(network):
        shape = _output_shape(layer)
        if len(shape) == 4 and shape[1]:
            stage = max(0, round(math.log2(side / shape[1])))
        placed.append((layer, stage))
    return placed


def _layers(network: keras.Model) -> Iterator[Any]:
    """Yield the layers inside all networks inside a network, in the order they compute."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _output_shape(layer: Any) -> tuple[int | None, ...]:
    """Return the shape of what a layer gives; nothing for one that is used twice or gives several things."""
    try:
        return tuple(layer.output.shape)
    except (AttributeError, ValueError):
        return ()
