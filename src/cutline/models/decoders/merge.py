"""The merge design of the classic notebooks: the LSTM reads words only, the image joins before the softmax.

Tanti et al., "Where to put the image in an image caption generator", 2018 (arXiv:1703.09137).
"""

from __future__ import annotations

import keras
from keras import ops

from cutline.models.decoders.base import DECODERS, Decoder, State, Tensor, of_rows
from cutline.models.decoders.pooling import pool_regions


@DECODERS.register("merge")
class Merge(Decoder):
    """Pooled features and LSTM output, added before the softmax layer (see the module docstring)."""

    def __init__(self, *arguments: object) -> None:
        """Make the layers; arguments as :class:`Decoder`."""
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.normalise = keras.layers.LayerNormalization(name="normalise_features")
        self.drop_features = self.dropout(self.options.feature_dropout, "drop_features")
        self.project = self.dense(self.options.lstm_units, "project_features", activation="relu")
        self.embed = self.embedding()
        self.recur = self.lstm()
        self.drop_output = self.dropout(self.options.dropout, "drop_output")
        self.combine = self.dense(self.options.lstm_units, "combine", activation="relu")
        self.predict_token = self.dense(self.vocabulary_size, "predict_token")

    def _project_image(self, features: Tensor, training: bool = False) -> Tensor:
        pooled = self.normalise(pool_regions(features))
        return self.project(self.drop_features(pooled, training=training))

    def call(self, inputs: tuple[Tensor, ...], training: bool = False) -> Tensor:
        """Score every next token: features (B, D), token ids (B, T) → logits (B, T, V)."""
        features, token_ids, *rows = inputs
        image = ops.expand_dims(of_rows(self._project_image(features, training), rows), axis=1)
        outputs = self.recur(self.embed(self.drop_tokens(token_ids, training=training)), training=training)
        return self.predict_token(self.combine(self.drop_output(outputs, training=training) + image))

    def start(self, features: Tensor) -> State:
        """Project the image once: features (B, D) → ``[image, h, c]``, each (B, H)."""
        image = self._project_image(features)
        zeros = ops.zeros_like(image)
        return [image, zeros, zeros]

    def step(self, token_ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token: ids (B,), ``[image, h, c]`` → logits (B, V), ``[image, h, c]``."""
        image, h, c = state
        output, (h, c) = self.recur.cell(self.embed(token_ids), [h, c])
        return self.predict_token(self.combine(output + image)), [image, h, c]
