"""The phase that trains the encoder, too: its batches, its validation, and the features after it."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import replace

from cutline.data.augment import Augmentation
from cutline.data.batches import CaptionTable
from cutline.data.feature_store import FeatureStore
from cutline.data.features import extract
from cutline.data.pixel_batches import PixelBatches, PixelSource
from cutline.errors import DataError
from cutline.models.decoders import Decoder
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.recipes.corridor import Corridor
from cutline.recipes.extract import extract_features, feature_reader
from cutline.recipes.mirroring import knows_sides
from cutline.recipes.validation import Validator
from cutline.runtime import load_bundle
from cutline.runtime.bundle import require_weights
from cutline.training.fine_tuning import FineTuneTrainer
from cutline.training.loop import Hooks, Validation
from cutline.training.trainer import Batches

# Removed with everything else that a writer left behind when a run is begun again.
_SCRATCH = ".val-features.partial"


def fine_tune_trainer(corridor: Corridor, decoder: Decoder, table: CaptionTable) -> FineTuneTrainer:
    """Return the trainer of the phase; the encoder of the corridor changes with it."""
    options = corridor.options.fine_tune
    images = len(table.images[0])
    steps = -(-images // options.images) * options.epochs
    return FineTuneTrainer(corridor.network, decoder, corridor.options.training, options, steps)


def fine_tune_hooks(
    corridor: Corridor, hooks: Hooks, table: CaptionTable, validator: Validator, progress: Progress
) -> Hooks:
    """Return hooks that train on pixels and validate with the encoder as it is.

    Args:
        corridor: Its encoder is being trained.
        hooks: Those of the phase before; what is kept stays.
        table: Captions of the train split.
        validator: Scores captions of val images.
        progress: Told about every val image that is encoded.
    """
    options = corridor.options.fine_tune
    examples = corridor.dataset.of_split("train")
    rows = corridor.store.rows([example.digest for example in examples]).tolist()
    source = PixelSource(
        table,
        dict(zip(rows, (example.image for example in examples), strict=True)),
        corridor.layer,
        corridor.encoder.input_size,
        Augmentation(options.crop, options.colour),
        options.flip == "auto" and knows_sides(corridor.vocabulary),
    )
    seed, fresh = corridor.options.training.seed, _FreshFeatures(corridor, validator, progress)
    return replace(
        hooks,
        train_batches=lambda epoch: PixelBatches(source, options.images, options.captions, seed, epoch),
        val_batches=fresh.batches,
        validate=fresh.validate,
    )


class _FreshFeatures:
    """Val images as the encoder sees them at the moment, on disk because there may be many.

    They are stored, and so rounded, as features are for captioning afterwards.
    """

    def __init__(self, corridor: Corridor, validator: Validator, progress: Progress) -> None:
        self._corridor = corridor
        self._progress = progress
        self._validator = validator
        self._files = ExitStack()

    def batches(self) -> Batches:
        """Encode all val images and return their batches; :meth:`validate` must follow."""
        corridor, encoder = self._corridor, self._corridor.encoder
        folder = corridor.folder / _SCRATCH
        self._files.close()
        self._files.callback(shutil.rmtree, folder, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        store = FeatureStore.open(folder, {"encoder": "in training"}, encoder.feature_shape)
        self._store = self._files.enter_context(store)
        val = corridor.dataset.of_split("val")
        problems = extract(val, store, encoder.encode, encoder.input_size, encoder.batch_size, self._progress)
        if problems:
            raise DataError(f"{problems[0].message}; it could be read before: put the image back, and resume")
        now = replace(corridor, store=store)
        return now.measured_batches(now.captions_of("val"))

    def validate(self) -> Validation:
        """Caption the val images, then forget their features."""
        with self._files:
            return self._validator.validate(feature_reader(self._store))


def with_best_encoder(corridor: Corridor, stack: ExitStack, progress: Progress) -> Corridor:
    """Return the corridor with the encoder of the best epoch and its features of all images, none mirrored.

    Args:
        corridor: Its encoder gets the weights of the run's bundle.
        stack: Closes the features.
        progress: Told about every image that is encoded.

    Raises:
        BundleError: The bundle is missing or damaged.
        DataError: An image can no longer be read.
    """
    best = require_weights(load_bundle(corridor.folder / layout.BUNDLE))
    corridor.network.load_weights(best.encoder_arrays)
    store, readable = extract_features(corridor.encoder, replace(corridor.dataset, problems=()), progress)
    stack.enter_context(store)
    if readable.problems:
        message = readable.problems[0].message
        raise DataError(f"{message}; it could be read before: put the image back, and resume")
    return replace(corridor, store=store, mirrors=None)
