"""Train a captioner: from a table of photos and captions to a run folder that captions."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from cutline.config import RunConfig
from cutline.data.batches import (
    CaptionTable,
    ImageBatches,
    caption_table,
    captions_by_image,
    plan_batches,
    teacher_forcing_batches,
)
from cutline.data.feature_store import FeatureStore
from cutline.data.text_vectorization import vectorization_layer
from cutline.evaluation import caption_examples, make_scorer, most_common_caption, texts_of
from cutline.metrics import unique_share
from cutline.models.decoders import Decoder, build_decoder
from cutline.models.encoders import Encoder, build_encoder
from cutline.models.sessions import DecoderSession, assign_arrays, decoder_arrays
from cutline.progress import Progress, Silent
from cutline.recipes import run_folder as layout
from cutline.recipes.confidence import keep_confidence
from cutline.recipes.extract import extract_features, feature_reader
from cutline.recipes.prepare import (
    load_dataset,
    long_captions,
    make_vocabulary,
    require_readable,
    split_dataset,
)
from cutline.recipes.run_options import Asked, new_options, resumed_options
from cutline.records import Dataset, EpochRecord, Example, Run
from cutline.report.curves import curves_png
from cutline.runtime import Bundle, load_bundle, save_bundle
from cutline.runtime.bundle import save_encoder
from cutline.text import Vocabulary
from cutline.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from cutline.training.determinism import make_deterministic
from cutline.training.history import save_history
from cutline.training.loop import (
    Hooks,
    Phase,
    Validation,
    is_phase_finished,
    phases_of,
    run_phase,
)
from cutline.training.precision import choose_precision
from cutline.training.rewards import CiderReward
from cutline.training.self_critical import SelfCriticalTrainer
from cutline.training.tensorboard import TensorBoardLog
from cutline.training.trainer import Batches, Trainer

_SAMPLES = 3
_MEASURED = 1000
_NEEDED = ("train", "val")


def train(
    data: Dataset | str | Path,
    preset: str | None = None,
    run: str | Path | None = None,
    *,
    images: str | Path | None = None,
    config: str | Path | None = None,
    assignments: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    resume: bool = False,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> Run:
    """Train a captioner on images and their captions.

    Args:
        data: A data set, or the file or folder to read one from.
        preset: Named options to start from, ``"show_tell"`` when None; a resumed run keeps its own.
        run: Folder of the run; the next free one under ``runs/`` when None.
        images: Folder of the images, when they do not lie beside the table.
        config: TOML file of options.
        assignments: ``"group.key=value"`` items, over the file.
        overrides: ``{"group.key": value}``, over everything; None values are skipped.
        resume: Go on with the run in ``run`` after its last whole epoch. The result is the same as that of a
            run that was never interrupted.
        progress: Told about every stage.

    Returns:
        The run. Its folder is a MODEL for captioning and evaluating. Ctrl-C while epochs run does not raise:
        the run comes back with ``interrupted`` set, kept up to its last whole epoch.

    Raises:
        ConfigError: Options are unknown or out of range.
        DataError: The data set cannot be used; SplitError when its splits cannot.
        WeightsError: The encoder's weights cannot be had.
        RunError: The folder is in the way, or ``resume`` would change the run.

    Example (with a table at hand)::

        run = cutline.train("captions.csv", images="photos/", preset="show_tell", run="runs/first")
        print(run.folder, run.history[-1].cider_d)
    """
    asked = Asked(preset, Path(config) if config is not None else None, assignments, overrides or {})
    if resume:
        folder = layout.choose_resumed(run)
        options = resumed_options(folder, asked)
    else:
        options = new_options(asked)
        folder = layout.choose_folder(run, data, options.preset)
        layout.require_free(folder)
    with layout.claimed(folder):
        if not resume:
            # Once more, now that nobody else can write to it.
            layout.require_free(folder)
        dataset = load_dataset(data, images, options.data, progress)
        return _train_on(dataset, folder, options, resume, progress)


def _train_on(dataset: Dataset, folder: Path, options: RunConfig, resume: bool, progress: Progress) -> Run:
    make_deterministic(options.training.seed)
    dataset = split_dataset(dataset, options.data, _NEEDED)
    vocabulary = make_vocabulary(dataset, options.text)
    dataset = replace(
        dataset, problems=(*dataset.problems, *long_captions(dataset, vocabulary, options.text.max_length))
    )
    _tell_data(dataset, vocabulary, progress)
    encoder = build_encoder(options.encoder, progress)
    if resume:
        layout.require_same_encoder(folder, encoder.fingerprint())
    store, readable = extract_features(encoder, dataset, progress)
    with store:
        require_readable(dataset, readable, _NEEDED)
        if resume:
            layout.require_same_data(folder, readable)
        if not (folder / layout.ENCODER).exists():
            save_encoder(folder / layout.ENCODER, encoder.weights())
        if not resume:
            layout.write_run(folder, options, readable, vocabulary, encoder.fingerprint())
            if readable.problems:
                count = f"{len(readable.problems):,} rows or images left out or mended"
                progress.warn(f"{count}; see {folder / layout.PROBLEMS}")
        return _train(_Corridor(folder, options, readable, vocabulary, encoder, store), resume, progress)


@dataclass(frozen=True)
class _Corridor:
    """What one run works on, from data to encoder."""

    folder: Path
    options: RunConfig
    dataset: Dataset
    vocabulary: Vocabulary
    encoder: Encoder
    store: FeatureStore

    def captions_of(self, split: str) -> CaptionTable:
        tokenizer, length = self.vocabulary.tokenizer, self.options.text.max_length
        return caption_table(self.dataset.of_split(split), self.store, tokenizer, length)

    @cached_property
    def layer(self) -> Any:
        return vectorization_layer(self.vocabulary, self.options.text.max_length)

    def image_batches(self, table: CaptionTable, epoch: int) -> ImageBatches:
        options, seed = self.options.self_critical, self.options.training.seed
        return ImageBatches(table, self.store, self.layer, options.images, options.references, seed, epoch)

    def batches(self, table: CaptionTable, seed: int | None, epoch: int = 0) -> Batches:
        plan = plan_batches(table.lengths, self.options.training.batch_size, seed, epoch)
        return teacher_forcing_batches(table, self.store, self.layer, plan)


def _tell_data(dataset: Dataset, vocabulary: Vocabulary, progress: Progress) -> None:
    counts = ", ".join(f"{split} {len(dataset.of_split(split)):,}" for split in ("train", "val", "test"))
    val = [caption for example in dataset.of_split("val") for caption in example.captions]
    progress.note(
        f"{len(dataset):,} images ({counts}), {dataset.count_captions():,} captions; vocabulary "
        f"{len(vocabulary):,} ({vocabulary.tokenizer.level} level, {vocabulary.coverage(val):.1%} of val)"
    )


def _train(corridor: _Corridor, resume: bool, progress: Progress) -> Run:
    options, folder = corridor.options.training, corridor.folder
    table = corridor.captions_of("train")
    decoder = build_decoder(
        corridor.options.decoder,
        len(corridor.vocabulary),
        corridor.encoder.feature_shape,
        options.seed,
        choose_precision(options.precision),
    )
    decoder.expect_frequencies(_frequencies(corridor, table))
    checkpoint = load_checkpoint(folder / layout.CHECKPOINT) if resume else None
    if checkpoint is None:
        checkpoint = Checkpoint((), 0, {})
    else:
        # A kill may have fallen between the checkpoint and the history.
        save_history(folder / layout.HISTORY, checkpoint.history)
        progress.note(f"going on after epoch {len(checkpoint.history)} of {folder}")
    kept = [checkpoint]
    log = TensorBoardLog(folder / "logs")
    keep = _Keeper(corridor, decoder, log, kept)
    val_table = corridor.captions_of("val")
    hooks = Hooks(
        train_batches=lambda epoch: corridor.batches(table, options.seed, epoch),
        val_batches=lambda: corridor.batches(val_table, None),
        validate=_validation(corridor, decoder, progress),
        keep=keep,
    )
    interrupted = False
    try:
        for phase in phases_of(corridor.options):
            checkpoint = _run_phase(phase, corridor, decoder, table, hooks, checkpoint, progress)
        keep_confidence(folder, corridor.dataset, feature_reader(corridor.store), progress)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        log.close()
    last = kept[-1]
    problems = corridor.dataset.problems
    epochs = sum(phase.epochs for phase in phases_of(corridor.options))
    return Run(str(folder), last.history, last.best_epoch, problems, interrupted, epochs)


def _run_phase(
    phase: Phase,
    corridor: _Corridor,
    decoder: Decoder,
    table: CaptionTable,
    hooks: Hooks,
    checkpoint: Checkpoint,
    progress: Progress,
) -> Checkpoint:
    """Train one phase, from where the checkpoint is; a phase that comes later starts from the best epoch."""
    last = checkpoint.history[-1].objective if checkpoint.history else phase.objective
    going_on = last == phase.objective
    if not going_on and is_phase_finished(checkpoint.history, phase):
        return checkpoint
    if phase.objective == "cross_entropy":
        options = corridor.options.training
        trainer: Trainer = Trainer(decoder, options, -(-len(table) // options.batch_size) * options.epochs)
    else:
        trainer = _self_critical_trainer(corridor, decoder, table)
        hooks = replace(hooks, train_batches=lambda epoch: corridor.image_batches(table, epoch))
    if going_on and checkpoint.history:
        trainer.restore(checkpoint.state)
    elif checkpoint.history:
        assign_arrays(decoder, load_bundle(corridor.folder / layout.BUNDLE).decoder_arrays)
        trainer.start_average()
        progress.note(f"from epoch {checkpoint.best_epoch} on: training on the score of its own captions")
    return run_phase(phase, trainer, hooks, checkpoint, progress)


def _self_critical_trainer(corridor: _Corridor, decoder: Decoder, table: CaptionTable) -> SelfCriticalTrainer:
    options = corridor.options.self_critical
    places = captions_by_image(table)
    references = {
        row: [table.texts[place].partition(" ")[2] for place in own.tolist()] for row, own in places.items()
    }
    some = plan_batches(table.lengths[:_MEASURED], corridor.options.training.batch_size, None)
    return SelfCriticalTrainer(
        decoder,
        corridor.options.training,
        options,
        -(-len(places) // options.images) * options.epochs,
        DecoderSession(decoder),
        corridor.vocabulary,
        CiderReward(references),
        lambda: teacher_forcing_batches(table, corridor.store, corridor.layer, some),
    )


def _frequencies(corridor: _Corridor, table: CaptionTable) -> list[int]:
    counts = [0] * len(corridor.vocabulary)
    for text in table.texts:
        # The start marker is never predicted.
        for token in text.split(" ")[1:]:
            counts[corridor.vocabulary.id_of(token)] += 1
    return counts


def _validation(corridor: _Corridor, decoder: Decoder, progress: Progress) -> Any:
    examples = _validation_examples(corridor)
    scorer = make_scorer(examples, corridor.vocabulary.tokenizer)
    session = DecoderSession(decoder)
    read = feature_reader(corridor.store)

    def validate() -> Validation:
        hypotheses = caption_examples(
            session, read, examples, corridor.vocabulary, corridor.options.decoding, progress
        )
        texts = texts_of(hypotheses)
        samples = [(example.image_id, texts[example.image_id]) for example in examples[:_SAMPLES]]
        return Validation(scorer.score(texts), unique_share(list(texts.values())), samples)

    return validate


def _validation_examples(corridor: _Corridor) -> list[Example]:
    examples = list(corridor.dataset.of_split("val"))
    limit = corridor.options.training.validation_images
    if len(examples) > limit:
        examples = random.Random(corridor.options.training.seed).sample(examples, limit)
    return examples


class _Keeper:
    """Saves what an epoch produced: the bundle when it is the best, then the checkpoint, then the pictures.

    In this order, because a kill after the bundle repeats the epoch and writes the same bundle again.
    """

    def __init__(
        self, corridor: _Corridor, decoder: Decoder, log: TensorBoardLog, kept: list[Checkpoint]
    ) -> None:
        self._corridor = corridor
        self._decoder = decoder
        self._log = log
        self._kept = kept
        self._details = _details(corridor)

    def __call__(self, checkpoint: Checkpoint, is_best: bool) -> None:
        folder, record = self._corridor.folder, checkpoint.history[-1]
        if is_best or not (folder / layout.BUNDLE).exists():
            encoder_file = folder / layout.ENCODER
            save_bundle(self._bundle(record), folder / layout.BUNDLE, encoder_file)
        save_checkpoint(folder / layout.CHECKPOINT, checkpoint)
        self._kept[:] = [checkpoint]
        save_history(folder / layout.HISTORY, checkpoint.history)
        layout.write_bytes(folder / "curves.png", curves_png(checkpoint.history))
        self._log.add(record)

    def _bundle(self, record: EpochRecord) -> Bundle:
        corridor = self._corridor
        return Bundle(
            encoder_spec=corridor.encoder.spec(),
            encoder_arrays={},
            decoder=corridor.options.decoder,
            decoder_arrays=decoder_arrays(self._decoder),
            feature_shape=corridor.encoder.feature_shape,
            vocabulary=corridor.vocabulary,
            decoding=corridor.options.decoding,
            details={**self._details, "epoch": record.epoch, "validation": _validation_facts(record)},
        )


def _validation_facts(record: EpochRecord) -> dict[str, float]:
    return {
        "loss": record.val_loss,
        "word_accuracy": record.val_accuracy,
        "bleu_4": record.bleu_4,
        "cider_d": record.cider_d,
        "unique_captions": record.unique_captions,
    }


def _details(corridor: _Corridor) -> dict[str, Any]:
    dataset = corridor.dataset
    return {
        **layout.environment(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": layout.data_facts(dataset),
        "data_options": corridor.options.data.model_dump(),
        "text_options": corridor.options.text.model_dump(),
        "encoder_fingerprint": corridor.encoder.fingerprint(),
        "most_common_caption": most_common_caption(dataset.of_split("train"), corridor.vocabulary.tokenizer),
    }
