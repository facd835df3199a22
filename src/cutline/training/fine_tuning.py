"""Training the encoder together with the decoder, by teacher forcing on pixels."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from cutline.config import FineTuneOptions, TrainingOptions
from cutline.data.pixel_batches import PixelBatch
from cutline.errors import RunError
from cutline.models.decoders import Decoder
from cutline.models.encoders import Encoder
from cutline.models.fine_tuning import WholeNetwork, choose_stages
from cutline.progress import Stage
from cutline.text.vocabulary import PAD_ID
from cutline.training.optimizers import AveragingAdamW
from cutline.training.trainer import UNDECAYED, Trainer, TrainFigures, plain_errors


class FineTuneTrainer(Trainer):
    """Trains a decoder and the chosen stages of its encoder, each at its own rate.

    What an image goes through in the encoder is computed once for all of its captions. The encoder's weights
    do not decay: they start from what they learned on millions of photos, not from 0.

    Args:
        encoder: Its weights change in place, and so does which of its layers are trainable.
        decoder: Trained on the encoder's features before.
        options: Decay, clipping, averaging, label smoothing, schedule.
        fine_tune: Stages and rates.
        total_steps: Steps of this phase; the schedule ends there.

    Raises:
        ConfigError: The encoder has no weights to train.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        options: TrainingOptions,
        fine_tune: FineTuneOptions,
        total_steps: int,
    ) -> None:
        """Compile the training step."""
        self.fine_tune = fine_tune
        self._encoder = encoder
        self._changing = choose_stages(encoder, fine_tune.stages, fine_tune.batch_norm)
        self._whole = WholeNetwork(encoder.model, decoder, fine_tune.batch_norm == "trained")
        super().__init__(
            decoder,
            options.model_copy(
                update={
                    "learning_rate": fine_tune.decoder_learning_rate,
                    "scheduled_sampling": 0.0,
                    "attention_penalty": 0.0,
                }
            ),
            total_steps,
        )

    def _begin(self, optimizer: AveragingAdamW) -> None:
        of_encoder = self._encoder.model.trainable_variables
        optimizer.exclude_from_weight_decay(var_list=of_encoder, var_names=UNDECAYED)
        optimizer.build(self._whole.trainable_variables)
        optimizer.slow_down(of_encoder, self.fine_tune.learning_rate / self.fine_tune.decoder_learning_rate)
        self.compile(self._whole, optimizer)
        # To be measured on features; it never steps.
        self.compile(self.decoder, optimizer)

    def train_epoch(self, batches: Iterable[PixelBatch], epoch: int, stage: Stage) -> TrainFigures:
        """Take one step per batch of images.

        Args:
            batches: One pass over the images.
            epoch: 1-based, for messages.
            stage: Advanced once per batch with the running loss and accuracy.

        Returns:
            Mean loss (nats per token) and word accuracy (0..1) over the epoch's non-padding tokens.

        Raises:
            RunError: The loss is no longer a number.
        """
        losses, right, tokens = 0.0, 0.0, 0.0
        for batch in batches:
            inputs, targets = batch.token_ids[:, :-1], batch.token_ids[:, 1:]
            weights = (targets != PAD_ID).astype(np.float32)
            with plain_errors():
                values = self._whole.train_on_batch(
                    (batch.pixels, inputs, batch.image_of), targets, weights, return_dict=True
                )
            # Keras forgets its metrics with every call, so these are of one batch.
            loss, count = float(values["loss_per_token"]), float(weights.sum())
            losses += count * loss
            right += count * float(values["word_accuracy"])
            tokens += count
            if not math.isfinite(loss):
                raise RunError(
                    f"the training loss became {loss} in epoch {epoch}; lower fine_tune.learning_rate (now "
                    f"{self.fine_tune.learning_rate}) and train again"
                )
            stage.advance(1, loss=losses / tokens, accuracy=right / tokens)
        self._encoder.tell_change()
        return TrainFigures(losses / tokens, right / tokens)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Let encoder and decoder have their averaged weights for a while."""
        self._encoder.tell_change()
        try:
            with super().averaged():
                yield
        finally:
            self._encoder.tell_change()

    def _variables(self) -> dict[str, keras.Variable]:
        of_encoder: dict[str, Any] = {
            f"encoder/{index:04d}": value for index, value in enumerate(self._changing)
        }
        return super()._variables() | of_encoder
