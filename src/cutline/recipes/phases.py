"""Training phase after phase: cross-entropy, then the score of the model's own captions."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from cutline.data.batches import CaptionTable, captions_by_image, plan_batches, teacher_forcing_batches
from cutline.evaluation import caption_examples, make_scorer, texts_of
from cutline.metrics import unique_share
from cutline.models.decoders import Decoder, build_decoder
from cutline.models.sessions import DecoderSession, assign_arrays
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.recipes.confidence import keep_confidence, keep_neighbours
from cutline.recipes.corridor import Corridor
from cutline.recipes.decoding_choice import keep_decoding
from cutline.recipes.epoch_keeper import EpochKeeper
from cutline.recipes.extract import feature_reader
from cutline.records import Example, Run
from cutline.runtime import load_bundle
from cutline.training.checkpoints import Checkpoint, load_checkpoint
from cutline.training.history import save_history
from cutline.training.loop import Hooks, Phase, Validation, is_phase_finished, phases_of, run_phase
from cutline.training.precision import choose_precision
from cutline.training.rewards import CiderReward
from cutline.training.self_critical import SelfCriticalTrainer
from cutline.training.tensorboard import TensorBoardLog
from cutline.training.trainer import Trainer
from cutline.writing import Writer

_SAMPLES = 3
_MEASURED = 1000


def train_phases(corridor: Corridor, resume: bool, progress: Progress) -> Run:
    """Train every phase of the run's options, each epoch saved, then fit the confidence.

    Args:
        corridor: Data, vocabulary and features.
        resume: Go on after the last whole epoch.
        progress: Told about every stage.

    Returns:
        The run; ``interrupted`` after Ctrl-C.

    Raises:
        RunError: The checkpoint is of another model, or the loss is no longer a number.
    """
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
    log = TensorBoardLog(folder / "logs")
    keep = EpochKeeper(corridor, decoder, log, checkpoint)
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
        read = feature_reader(corridor.store)
        if options.keep_captions:
            keep_neighbours(folder, corridor.dataset, read, progress)
        if options.choose_decoding:
            # Before the confidence, which must be that of the captions that will be written.
            keep_decoding(folder, corridor.dataset, read, progress)
        keep_confidence(folder, corridor.dataset, read, progress)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        log.close()
    last = keep.last
    problems = corridor.dataset.problems
    epochs = sum(phase.epochs for phase in phases_of(corridor.options))
    return Run(str(folder), last.history, last.best_epoch, problems, interrupted, epochs)


def _run_phase(
    phase: Phase,
    corridor: Corridor,
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
    if not going_on:
        # Before the trainer is made, because its averaged weights begin at what it finds.
        assign_arrays(decoder, load_bundle(corridor.folder / layout.BUNDLE).decoder_arrays)
        progress.note(f"from epoch {checkpoint.best_epoch} on: training on the score of its own captions")
    if phase.objective == "cross_entropy":
        options = corridor.options.training
        trainer: Trainer = Trainer(decoder, options, -(-len(table) // options.batch_size) * options.epochs)
    else:
        trainer = _self_critical_trainer(corridor, decoder, table)
        hooks = replace(hooks, train_batches=lambda epoch: corridor.image_batches(table, epoch))
    if going_on and checkpoint.history:
        trainer.restore(checkpoint.state)
    return run_phase(phase, trainer, hooks, checkpoint, progress)


def _self_critical_trainer(corridor: Corridor, decoder: Decoder, table: CaptionTable) -> SelfCriticalTrainer:
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


def _frequencies(corridor: Corridor, table: CaptionTable) -> list[int]:
    counts = [0] * len(corridor.vocabulary)
    for text in table.texts:
        # The start marker is never predicted.
        for token in text.split(" ")[1:]:
            counts[corridor.vocabulary.id_of(token)] += 1
    return counts


def _validation(corridor: Corridor, decoder: Decoder, progress: Progress) -> Callable[[], Validation]:
    examples = _validation_examples(corridor)
    scorer = make_scorer(examples, corridor.vocabulary.tokenizer)
    # Without voters: an epoch is judged by what the model itself finds most probable.
    writer = Writer(DecoderSession(decoder), corridor.vocabulary)
    read = feature_reader(corridor.store)

    def validate() -> Validation:
        hypotheses = caption_examples(writer, read, examples, corridor.options.decoding, progress)
        texts = texts_of(hypotheses)
        samples = [(example.image_id, texts[example.image_id]) for example in examples[:_SAMPLES]]
        return Validation(scorer.score(texts), unique_share(list(texts.values())), samples)

    return validate


def _validation_examples(corridor: Corridor) -> list[Example]:
    examples = list(corridor.dataset.of_split("val"))
    limit = corridor.options.training.validation_images
    if len(examples) > limit:
        examples = random.Random(corridor.options.training.seed).sample(examples, limit)
    return examples
