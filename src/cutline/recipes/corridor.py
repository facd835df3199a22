"""What one training run works on, from its data to its encoder, and the batches made of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.config import RunConfig
from cutline.data.batches import (
    CaptionTable,
    ImageBatches,
    ReadRows,
    caption_table,
    plan_batches,
    plan_together,
    teacher_forcing_batches,
)
from cutline.data.feature_store import FeatureStore
from cutline.data.mirrors import Mirrors
from cutline.data.text_vectorization import vectorization_layer
from cutline.errors import ConfigError
from cutline.models.encoders import Encoder
from cutline.recipes.starting import StartModel
from cutline.records import Dataset
from cutline.runtime.onnx_session import OnnxEncoder
from cutline.text import Vocabulary
from cutline.training.trainer import Batches


@dataclass(frozen=True)
class Corridor:
    """A run while it is trained.

    Attributes:
        folder: The run folder.
        options: As written to it.
        dataset: Readable images with their splits.
        vocabulary: Of the train captions.
        encoder: Made the features; a graph where training starts from a model without the encoder's weights.
        store: Holds the features of all images of the data set.
        mirrors: Holds those of mirrored train images, too; None where images are never mirrored.
        start: The model that training starts from; None where it starts from initial weights.
    """

    folder: Path
    options: RunConfig
    dataset: Dataset
    vocabulary: Vocabulary
    encoder: Encoder | OnnxEncoder
    store: FeatureStore
    mirrors: Mirrors | None = None
    start: StartModel | None = None

    @property
    def network(self) -> Encoder:
        """The encoder, to be trained; ConfigError where it is a graph."""
        if isinstance(self.encoder, Encoder):
            return self.encoder
        raise ConfigError(f"encoder {self.encoder.name}: is a graph, without weights that could be trained")

    def captions_of(self, split: str) -> CaptionTable:
        """Return the captions of a split, each pointing at the features of its image."""
        tokenizer, length = self.vocabulary.tokenizer, self.options.text.max_length
        return caption_table(self.dataset.of_split(split), self.store, tokenizer, length)

    @cached_property
    def layer(self) -> Any:
        """The layer from captions to token ids."""
        return vectorization_layer(self.vocabulary, self.options.text.max_length)

    def image_batches(self, table: CaptionTable, epoch: int) -> ImageBatches:
        """Return the batches of one self-critical epoch."""
        options, seed = self.options.self_critical, self.options.training.seed
        images, references = options.images, options.references
        return ImageBatches(
            table, self.store, self.layer, images, references, seed, epoch, self._reader(epoch)
        )

    def train_batches(self, table: CaptionTable, epoch: int) -> Batches:
        """Return the batches of one epoch of teacher forcing."""
        share = self.options.training.captions_together > 1
        plan = self._plan(table, epoch)
        return teacher_forcing_batches(table, self.store, self.layer, plan, self._reader(epoch), share)

    def steps_per_epoch(self, table: CaptionTable) -> int:
        """Count the batches of an epoch of teacher forcing: all epochs have as many."""
        return len(self._plan(table, 1))

    def _plan(self, table: CaptionTable, epoch: int) -> list[NDArray[np.int64]]:
        options = self.options.training
        if options.captions_together == 1:
            return plan_batches(table.lengths, options.batch_size, options.seed, epoch)
        return plan_together(table, options.captions_together, options.batch_size, options.seed, epoch)

    def measured_batches(self, table: CaptionTable) -> Batches:
        """Return the batches on which the teacher-forced figures are measured, in order of length."""
        plan = plan_batches(table.lengths, self.options.training.batch_size, None)
        return teacher_forcing_batches(table, self.store, self.layer, plan)

    def _reader(self, epoch: int) -> ReadRows | None:
        return None if self.mirrors is None else self.mirrors.reader(self.options.training.seed, epoch)
