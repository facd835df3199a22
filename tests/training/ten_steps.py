"""Take ten training steps with every decoder under the backend of KERAS_BACKEND; print what they showed.

Run by ``test_backends`` in a fresh process, because Keras chooses its backend once, when it is imported.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import keras
import numpy as np

from cutline.config import DecoderOptions, TrainingOptions
from cutline.models.decoders import build_decoder
from cutline.progress import Silent
from cutline.training.determinism import make_deterministic
from cutline.training.trainer import Trainer

STEPS = 10
V, T, B = 11, 6, 8
FEATURES = {"show_tell": (5,), "merge": (5,), "attend": (4, 5), "up_down": (4, 5)}
# Gradients stay below the clipping norm: where they do not, TensorFlow takes the norm of the embedding's
# gradient over the tokens read and not over the vocabulary, and the scale of a step differs a little.
OPTIONS = TrainingOptions(learning_rate=0.01, warmup_steps=2, label_smoothing=0.1, weight_average=0.9)


class OneBatch(keras.utils.PyDataset):
    """Features, inputs, targets and weights of one step; captions have several lengths."""

    def __init__(self, shape: tuple[int, ...], step: int) -> None:
        super().__init__()
        chance = np.random.default_rng((7, step))
        ids = chance.integers(4, V, (B, T + 1)).astype(np.int32)
        ids[:, 0] = 2
        ids[np.arange(T + 1) > chance.integers(2, T + 1, B)[:, None]] = 0
        features = chance.random((B, *shape), np.float32)
        targets = ids[:, 1:]
        self._batch = (features, ids[:, :-1]), targets, (targets != 0).astype(np.float32)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _: int) -> Any:
        return self._batch


def shown(name: str) -> dict[str, Any]:
    """Train one decoder; return the loss before each step, and the last batch's under averaged weights."""
    shape = FEATURES[name]
    options = DecoderOptions(
        name=name,
        embedding_units=8,
        lstm_units=8,
        attention_units=8,
        dropout=0,
        feature_dropout=0,
        embedding_dropout=0,
    )
    decoder = build_decoder(options, V, shape)
    # Backends draw different numbers from one seed, so the weights to begin with come from NumPy.
    chance = np.random.default_rng(3)
    for variable in decoder.trainable_variables:
        variable.assign(chance.normal(0, 0.3, variable.shape).astype(np.float32))
    trainer = Trainer(decoder, OPTIONS, STEPS)
    losses = []
    for step in range(STEPS):
        with Silent().stage("step", 1, "batches") as stage:
            losses.append(trainer.train_epoch(OneBatch(shape, step), step + 1, stage).loss)
    with trainer.averaged():
        averaged, _ = trainer.measure(OneBatch(shape, STEPS))
    return {"losses": losses, "averaged": averaged}


if __name__ == "__main__":
    make_deterministic(0)
    found = {name: shown(name) for name in sys.argv[1:] or FEATURES}
    print(json.dumps({"backend": keras.backend.backend(), "decoders": found}))
