"""Show and Tell: the image starts the LSTM, the caption goes on.

Vinyals et al., "Show and Tell: A Neural Image Caption Generator", CVPR 2015 (arXiv:1411.4555). As there, the
image is the first thing the LSTM reads. It also sets the LSTM's initial state: with the image as first
input alone, the first epochs learn the language and hardly look at the picture.

The features are normalised first: pooled ReLU features are all positive and of very different scale from one
encoder to the next.
"""

from __future__ import annotations

import keras
from keras import ops

from cutline.models.decoders.base import DECODERS, Decoder, State, Tensor, of_rows
from cutline.models.decoders.pooling import pool_regions


@DECODERS.register("show_tell")
class ShowTell(Decoder):
    """Embedding → LSTM → dense softmax, started by the image (see the module docstring)."""

    def __init__(self, *arguments: object) -> None:
        """Make the layers; arguments as :class:`Decoder`."""
        super().__init__(*arguments)  # type: ignore[arg-type]
        options = self.options
        self.normalise = keras.layers.LayerNormalization(name="normalise_features")
        self.drop_features = self.dropout(options.feature_dropout, "drop_features")
        self.image_token = self.dense(options.embedding_units, "image_token")
        self.image_hidden = self.dense(options.lstm_units, "image_hidden", activation="tanh")
        self.image_cell = self.dense(options.lstm_units, "image_cell")
        self.embed = self.embedding()
        self.recur = self.lstm()
        self.drop_output = self.dropout(options.dropout, "drop_output")
        self.predict_token = self.dense(self.vocabulary_size, "predict_token")

    def _look(self, features: Tensor, training: bool = False) -> tuple[Tensor, State]:
        image = self.drop_features(self.normalise(pool_regions(features)), training=training)
        return self.image_token(image), [self.image_hidden(image), self.image_cell(image)]

    def call(self, inputs: tuple[Tensor, ...], training: bool = False) -> Tensor:
        """Score every next token: features (B, D), token ids (B, T) → logits (B, T, V)."""
        features, token_ids, *rows = inputs
        image, state = self._look(features, training)
        image, state = of_rows(image, rows), [of_rows(part, rows) for part in state]
        words = self.embed(self.drop_tokens(token_ids, training=training))
        read = ops.concatenate([ops.expand_dims(image, axis=1), words], axis=1)
        outputs = self.recur(read, initial_state=state, training=training)
        return self.predict_token(self.drop_output(outputs[:, 1:], training=training))

    def start(self, features: Tensor) -> State:
        """Let the LSTM read the image: features (B, D) → state ``[h, c]``, each (B, H)."""
        image, state = self._look(features)
        _, state = self.recur.cell(image, state)
        return list(state)

    def step(self, token_ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token: ids (B,), ``[h, c]`` → logits (B, V), ``[h, c]``."""
        output, state = self.recur.cell(self.embed(token_ids), state)
        return self.predict_token(output), list(state)
