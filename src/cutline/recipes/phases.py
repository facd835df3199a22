"""Training phase after phase: cross-entropy, then the encoder, too, then the score of its own captions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from cutline.data.batches import CaptionTable, plan_batches, teacher_forcing_batches
from cutline.models.decoders import Decoder, build_decoder
from cutline.models.sessions import DecoderSession, assign_arrays
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.recipes.confidence import keep_confidence, keep_expected, keep_neighbours
from cutline.recipes.corridor import Corridor
from cutline.recipes.decoding_choice import keep_decoding
from cutline.recipes.domain import keep_domain
from cutline.recipes.epoch_keeper import EpochKeeper, keep_graphs
from cutline.recipes.extract import feature_reader
from cutline.recipes.fine_tuning import fine_tune_hooks, fine_tune_trainer, with_best_encoder
from cutline.recipes.mirroring import with_mirrors
from cutline.recipes.rewarding import caption_reward
from cutline.recipes.starting import StartModel, learned_before
from cutline.recipes.validation import Validator, tell_gain, validate_start
from cutline.records import Run, best_epoch
from cutline.runtime import load_bundle
from cutline.runtime.bundle import require_weights
from cutline.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from cutline.training.history import save_history
from cutline.training.loop import Hooks, Phase, is_phase_finished, phases_of, run_phase
from cutline.training.new_token_rows import PASSES, begin_new_tokens, captions_to_read
from cutline.training.precision import choose_precision
from cutline.training.self_critical import SelfCriticalTrainer, longest_draw
from cutline.training.tensorboard import TensorBoardLog
from cutline.training.trainer import Trainer, restore_decoder

_MEASURED = 1000
_NOTES = {
    "fine_tune": "training the encoder, too ({stages} of its stages)",
    "self_critical": "training on the score of its own captions",
}


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
    decoder = build_decoder(
        corridor.options.decoder,
        len(corridor.vocabulary),
        corridor.encoder.feature_shape,
        options.seed,
        choose_precision(options.precision),
    )
    counts = _frequencies(corridor, corridor.captions_of("train"))
    decoder.expect_frequencies(counts)
    if corridor.start is not None:
        assign_arrays(decoder, corridor.start.decoder_arrays(counts, options.seed))
    checkpoint = load_checkpoint(folder / layout.CHECKPOINT) if resume else None
    if checkpoint is None:
        checkpoint = Checkpoint((), 0, {})
        if corridor.start is not None:
            _begin_new_tokens(corridor, corridor.start, decoder, counts, progress)
    else:
        # A kill may have fallen between the checkpoint and the history.
        save_history(folder / layout.HISTORY, checkpoint.history)
        progress.note(f"going on after epoch {len(checkpoint.history)} of {folder}")
    log = TensorBoardLog(folder / "logs")
    keep = EpochKeeper(corridor, decoder, log, checkpoint)
    validator = Validator(corridor, decoder, progress)
    interrupted = False
    with ExitStack() as stack:
        try:
            before = validate_start(corridor, validator, progress)
            for phase in phases_of(corridor.options):
                if not _is_over(phase, checkpoint):
                    work = _Work(_for_phase(phase, corridor, stack, progress), decoder, validator, keep)
                    checkpoint = work.run(phase, checkpoint, progress)
            tell_gain(before, keep.last.history, progress)
            if corridor.options.fine_tune.epochs:
                _tell_encoder(keep.last, progress)
                corridor = with_best_encoder(corridor, stack, progress)
            read = feature_reader(corridor.store)
            keep_graphs(folder)
            if options.keep_captions:
                keep_neighbours(folder, corridor.dataset, read, progress)
            known = learned_before(corridor.start, corridor.options)
            keep_expected(folder, corridor.dataset, read, progress, known)
            if options.choose_decoding:
                # Before the confidence, which must be that of the captions that will be written.
                keep_decoding(folder, corridor.dataset, read, progress)
            keep_confidence(folder, corridor.dataset, read, progress)
            keep_domain(folder, corridor.dataset, read, progress)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            log.close()
    last = keep.last
    problems = corridor.dataset.problems
    epochs = sum(phase.epochs for phase in phases_of(corridor.options))
    return Run(str(folder), last.history, last.best_epoch, problems, interrupted, epochs)


def _tell_encoder(last: Checkpoint, progress: Progress) -> None:
    """Say so where the epochs that took longest changed nothing."""
    # A self-critical pass goes on from the best epoch before it, with the encoder of that one.
    before = [record for record in last.history if record.objective != "self_critical"]
    best = best_epoch(before)
    tried = any(record.objective == "fine_tune" for record in before)
    if tried and best and before[best - 1].objective == "cross_entropy":
        progress.note(
            f"no epoch that trained the encoder was better than epoch {best}: the model has the "
            "encoder as it came"
        )


def _is_over(phase: Phase, checkpoint: Checkpoint) -> bool:
    """Tell whether a later phase has begun, or could."""
    return checkpoint.objective not in ("", phase.objective) and is_phase_finished(checkpoint.history, phase)


def _for_phase(phase: Phase, corridor: Corridor, stack: ExitStack, progress: Progress) -> Corridor:
    """Return the corridor with the features that a phase trains on."""
    if phase.objective == "fine_tune":
        return corridor
    if phase.objective == "self_critical" and corridor.options.fine_tune.epochs:
        corridor = with_best_encoder(corridor, stack, progress)
    return with_mirrors(corridor, stack, progress)


@dataclass(frozen=True)
class _Work:
    """What a phase works with."""

    corridor: Corridor
    decoder: Decoder
    validator: Validator
    keep: EpochKeeper

    def run(self, phase: Phase, checkpoint: Checkpoint, progress: Progress) -> Checkpoint:
        """Train a phase, from where the checkpoint is; one that comes later starts from the best epoch."""
        going_on = checkpoint.objective == phase.objective
        if checkpoint.objective and not going_on:
            # Random seeds go on from the last epoch, weights from the best one; before the trainer is made,
            # because its averaged weights begin at what it finds.
            restore_decoder(self.decoder, checkpoint.state)
            best = require_weights(load_bundle(self.corridor.folder / layout.BUNDLE), encoder=False)
            assign_arrays(self.decoder, best.decoder_arrays)
            note = _NOTES[phase.objective].format(stages=self.corridor.options.fine_tune.stages)
            progress.note(f"from epoch {checkpoint.best_epoch} on: {note}")
        table = self.corridor.captions_of("train")
        trainer, hooks = self._trainer(phase, table), self._hooks(phase, table, progress)
        if going_on:
            trainer.restore(checkpoint.state)
        elif checkpoint.objective:
            # A kill behind the first epoch's bundle must not make the phase start from that one.
            checkpoint = replace(checkpoint, state=trainer.state(), objective=phase.objective)
            save_checkpoint(self.corridor.folder / layout.CHECKPOINT, checkpoint)
        return run_phase(phase, trainer, hooks, checkpoint, progress)

    def _trainer(self, phase: Phase, table: CaptionTable) -> Trainer:
        if phase.objective == "fine_tune":
            return fine_tune_trainer(self.corridor, self.decoder, table)
        if phase.objective == "self_critical":
            return _self_critical_trainer(self.corridor, self.decoder, table)
        options = self.corridor.options.training
        return Trainer(self.decoder, options, self.corridor.steps_per_epoch(table) * options.epochs)

    def _hooks(self, phase: Phase, table: CaptionTable, progress: Progress) -> Hooks:
        corridor = self.corridor
        val_table = corridor.captions_of("val")
        hooks = Hooks(
            train_batches=lambda epoch: corridor.train_batches(table, epoch),
            val_batches=lambda: corridor.measured_batches(val_table),
            validate=lambda: self.validator.validate(feature_reader(corridor.store)),
            keep=self.keep,
        )
        if phase.objective == "fine_tune":
            return fine_tune_hooks(corridor, hooks, table, self.validator, progress)
        if phase.objective == "self_critical":
            return replace(hooks, train_batches=lambda epoch: corridor.image_batches(table, epoch))
        return hooks


def _self_critical_trainer(corridor: Corridor, decoder: Decoder, table: CaptionTable) -> SelfCriticalTrainer:
    options = corridor.options.self_critical
    if not options.max_length:
        longest = max(longest_draw(table.lengths), options.min_length)
        options = options.model_copy(update={"max_length": longest})
    images = len(table.images[0])
    some = plan_batches(table.lengths[:_MEASURED], corridor.options.training.batch_size, None)
    return SelfCriticalTrainer(
        decoder,
        corridor.options.training,
        options,
        -(-images // options.images) * options.epochs,
        DecoderSession(decoder),
        corridor.vocabulary,
        caption_reward(corridor, table),
        lambda: teacher_forcing_batches(table, corridor.store, corridor.layer, some),
    )


def _begin_new_tokens(
    corridor: Corridor, start: StartModel, decoder: Decoder, counts: Sequence[int], progress: Progress
) -> None:
    """Place tokens that the start model does not know by what it expects in train captions."""
    known, options = len(start.bundle.vocabulary), corridor.options.training
    if len(counts) == known:
        return
    table = corridor.captions_of("train")
    drawn, more = captions_to_read(table, corridor.vocabulary, known, options.seed)
    plans = [
        [chosen[own] for own in plan_batches(table.lengths[chosen], options.batch_size, None)]
        for chosen in (np.concatenate([drawn, more]), drawn)
    ]
    every, sample = (
        partial(teacher_forcing_batches, table, corridor.store, corridor.layer, plan) for plan in plans
    )
    steps = PASSES // 2 * sum(map(len, plans))
    with progress.stage("reading captions with new tokens", steps, "batches") as stage:
        begin_new_tokens(decoder, known, counts, every, sample, stage)


def _frequencies(corridor: Corridor, table: CaptionTable) -> list[int]:
    counts = [0] * len(corridor.vocabulary)
    for text in table.texts:
        # The start marker is never predicted.
        for token in text.split(" ")[1:]:
            counts[corridor.vocabulary.id_of(token)] += 1
    return counts
