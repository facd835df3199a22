"""Epoch after epoch: train, measure, caption val images, keep the best, save, stop early."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cutline.config import TrainingOptions
from cutline.progress import Progress
from cutline.records import EpochRecord, Scores
from cutline.training.checkpoints import Checkpoint
from cutline.training.trainer import Batches, Trainer


@dataclass(frozen=True)
class Validation:
    """Scores of captions generated for val images, and a few of them to look at."""

    scores: Scores
    unique_captions: float
    samples: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Hooks:
    """What the loop needs from outside.

    Attributes:
        train_batches: 1-based epoch → its batches, the same ones each time it is asked.
        val_batches: → the val batches.
        validate: → scores of generated (not teacher-forced) val captions.
        keep: Called with the checkpoint after each epoch, and whether it is the best so far; the decoder has
            the weights that were validated then.
    """

    train_batches: Callable[[int], Batches]
    val_batches: Callable[[], Batches]
    validate: Callable[[], Validation]
    keep: Callable[[Checkpoint, bool], None]


def run_epochs(trainer: Trainer, hooks: Hooks, checkpoint: Checkpoint, progress: Progress) -> Checkpoint:
    """Train until the last epoch or until ``patience`` epochs were no better than the best before them.

    The best epoch has the highest val CIDEr-D, and among equals the lowest val loss.

    Args:
        trainer: Holds the decoder.
        hooks: Data, validation and saving.
        checkpoint: Where to go on from; its state has been restored already.
        progress: Told of every batch and epoch.

    Returns:
        The last checkpoint. KeyboardInterrupt passes through; what was kept before it stays valid.
    """
    options = trainer.options
    while (epoch := len(checkpoint.history) + 1) <= options.epochs:
        if _out_of_patience(checkpoint.history, checkpoint.best_epoch, options):
            progress.note(
                f"stopped early: val captions have not got better since epoch {checkpoint.best_epoch} "
                f"(patience {options.patience})"
            )
            break
        record, validation = _one_epoch(trainer, hooks, epoch, progress)
        is_best = not checkpoint.history or _rank(record) > max(map(_rank, checkpoint.history))
        checkpoint = replace(
            checkpoint,
            history=(*checkpoint.history, record),
            best_epoch=epoch if is_best else checkpoint.best_epoch,
            state=trainer.state(),
        )
        with trainer.averaged():
            hooks.keep(checkpoint, is_best)
        progress.note(_summary(record, options.epochs, is_best))
        for image_id, caption in validation.samples:
            progress.note(f"    {image_id}: {caption}")
    return checkpoint


def is_finished(history: Sequence[EpochRecord], options: TrainingOptions) -> bool:
    """Tell whether a run with this history has nothing left to train."""
    if not history:
        return False
    best = max(history, key=_rank)  # the first of equals, as in training
    return len(history) >= options.epochs or _out_of_patience(history, best.epoch, options)


def _out_of_patience(history: Sequence[EpochRecord], best_epoch: int, options: TrainingOptions) -> bool:
    return bool(history) and len(history) - best_epoch >= options.patience


def _rank(record: EpochRecord) -> tuple[float, float]:
    """Order epochs by val CIDEr-D, ties by val loss: few or hard val images may leave all scores at 0."""
    return record.cider_d, -record.val_loss


def _one_epoch(
    trainer: Trainer, hooks: Hooks, epoch: int, progress: Progress
) -> tuple[EpochRecord, Validation]:
    started = time.perf_counter()
    rate = trainer.learning_rate()
    batches = hooks.train_batches(epoch)
    with progress.stage(f"epoch {epoch}/{trainer.options.epochs}", len(batches), "batches") as stage:
        train_loss, train_accuracy = trainer.train_epoch(batches, epoch, stage)
    with trainer.averaged():
        val_loss, val_accuracy = trainer.measure(hooks.val_batches())
        validation = hooks.validate()
    record = EpochRecord(
        epoch=epoch,
        learning_rate=rate,
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        bleu_4=validation.scores.bleu_4,
        cider_d=validation.scores.cider_d,
        unique_captions=validation.unique_captions,
        seconds=time.perf_counter() - started,
    )
    return record, validation


def _summary(record: EpochRecord, epochs: int, is_best: bool) -> str:
    return (
        f"epoch {record.epoch}/{epochs}: loss {record.train_loss:.3f}, accuracy {record.train_accuracy:.3f}; "
        f"val loss {record.val_loss:.3f}, accuracy {record.val_accuracy:.3f}; "
        f"val captions BLEU-4 {record.bleu_4:.1f}, CIDEr-D {record.cider_d:.1f}"
        f"{' (best so far)' if is_best else ''}; {record.seconds:.0f} s"
    )
