"""Epoch after epoch: train, measure, caption val images, keep the best, save, stop early."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from numpy.typing import NDArray

from cutline.config import RunConfig
from cutline.progress import Progress, Stage
from cutline.records import EpochRecord, Scores, best_epoch
from cutline.training.checkpoints import Checkpoint
from cutline.training.trainer import Batches, TrainFigures


@dataclass(frozen=True)
class Validation:
    """Scores of captions generated for val images, and a few of them to look at.

    Attributes:
        scores: Of all of them.
        cider_d_error: Standard error of their CIDEr-D.
        unique_captions: Share of captions that are different, 0 to 1.
        samples: Pairs of image_id and caption.
    """

    scores: Scores
    cider_d_error: float
    unique_captions: float
    samples: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Phase:
    """Some epochs of a run that have one objective.

    Attributes:
        objective: Its name, as in :class:`~cutline.records.EpochRecord`.
        epochs: At the most.
        patience: Epochs without a better one, as :func:`~cutline.records.best_epoch` says, before it ends.
    """

    objective: str
    epochs: int
    patience: int


def phases_of(config: RunConfig) -> tuple[Phase, ...]:
    """Return the phases of a run in their order.

    Example:
        >>> [phase.objective for phase in phases_of(RunConfig())]
        ['cross_entropy']
    """
    phases = (
        Phase("cross_entropy", config.training.epochs, config.training.patience),
        Phase("fine_tune", config.fine_tune.epochs, config.fine_tune.patience),
        Phase("self_critical", config.self_critical.epochs, config.self_critical.patience),
    )
    return tuple(phase for phase in phases if phase.epochs)


class PhaseTrainer(Protocol):
    """What the loop needs of a trainer."""

    def train_epoch(self, batches: Any, epoch: int, stage: Stage) -> TrainFigures:
        """Take one step per batch."""
        ...

    def measure(self, batches: Batches) -> tuple[float, float]:
        """Return teacher-forced loss and word accuracy."""
        ...

    def learning_rate(self) -> float:
        """Return the rate of the next step."""
        ...

    def averaged(self) -> AbstractContextManager[None]:
        """Let the decoder have its averaged weights for a while."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that changes while training."""
        ...


@dataclass(frozen=True)
class Hooks:
    """What the loop needs from outside.

    Attributes:
        train_batches: 1-based epoch → its batches, the same ones each time it is asked; they have a length.
        val_batches: → the val batches.
        validate: → scores of generated (not teacher-forced) val captions.
        keep: Called with the checkpoint after each epoch, and whether it is the best so far; the decoder has
            the weights that were validated then.
    """

    train_batches: Callable[[int], Any]
    val_batches: Callable[[], Batches]
    validate: Callable[[], Validation]
    keep: Callable[[Checkpoint, bool], None]


def run_phase(
    phase: Phase, trainer: PhaseTrainer, hooks: Hooks, checkpoint: Checkpoint, progress: Progress
) -> Checkpoint:
    """Train until the phase's last epoch, or until ``patience`` epochs were no better than the best before.

    Which epoch is the best is for :func:`~cutline.records.best_epoch` to say.

    Args:
        phase: Objective, epochs and patience.
        trainer: Holds the decoder.
        hooks: Data, validation and saving.
        checkpoint: Where to go on from; its state has been restored already.
        progress: Told of every batch and epoch.

    Returns:
        The last checkpoint. KeyboardInterrupt passes through; what was kept before it stays valid.
    """
    before = sum(record.objective != phase.objective for record in checkpoint.history)
    total = before + phase.epochs
    while (epoch := len(checkpoint.history) + 1) <= total:
        if _out_of_patience(checkpoint.history, phase):
            progress.note(
                f"stopped early: val captions have not got better since epoch {checkpoint.best_epoch} "
                f"(patience {phase.patience})"
            )
            break
        record, validation = _one_epoch(phase, trainer, hooks, epoch, total, progress)
        history = (*checkpoint.history, record)
        is_best = best_epoch(history) == epoch
        checkpoint = replace(
            checkpoint,
            history=history,
            best_epoch=epoch if is_best else checkpoint.best_epoch,
            state=trainer.state(),
            objective=phase.objective,
        )
        with trainer.averaged():
            hooks.keep(checkpoint, is_best)
        progress.note(_summary(record, total, is_best))
        for image_id, caption in validation.samples:
            progress.note(f"    {image_id}: {caption}")
    return checkpoint


def is_finished(history: Sequence[EpochRecord], phases: Sequence[Phase]) -> bool:
    """Tell whether a run with this history has nothing left to train."""
    return bool(history) and all(is_phase_finished(history, phase) for phase in phases)


def is_phase_finished(history: Sequence[EpochRecord], phase: Phase) -> bool:
    """Tell whether a run with this history has finished a phase."""
    done = sum(record.objective == phase.objective for record in history)
    return done >= phase.epochs or _out_of_patience(history, phase)


def _out_of_patience(history: Sequence[EpochRecord], phase: Phase) -> bool:
    """Count epochs of the phase since its last one that was better than all before it in the run."""
    own = [place for place, record in enumerate(history) if record.objective == phase.objective]
    if not own:
        return False
    upto = history[: own[-1] + 1]
    return len(upto) - max(best_epoch(upto), own[0]) >= phase.patience


def _one_epoch(
    phase: Phase, trainer: PhaseTrainer, hooks: Hooks, epoch: int, total: int, progress: Progress
) -> tuple[EpochRecord, Validation]:
    started = time.perf_counter()
    rate = trainer.learning_rate()
    batches = hooks.train_batches(epoch)
    with progress.stage(f"epoch {epoch}/{total}", len(batches), "batches") as stage:
        trained = trainer.train_epoch(batches, epoch, stage)
    with trainer.averaged():
        val_loss, val_accuracy = trainer.measure(hooks.val_batches())
        validation = hooks.validate()
    record = EpochRecord(
        epoch=epoch,
        learning_rate=rate,
        train_loss=trained.loss,
        train_accuracy=trained.accuracy,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        bleu_4=validation.scores.bleu_4,
        cider_d=validation.scores.cider_d,
        cider_d_error=validation.cider_d_error,
        unique_captions=validation.unique_captions,
        seconds=time.perf_counter() - started,
        objective=phase.objective,
        reward=trained.reward,
    )
    return record, validation


def _summary(record: EpochRecord, total: int, is_best: bool) -> str:
    reward = f", reward {record.reward:.3f}" if record.objective == "self_critical" else ""
    return (
        f"epoch {record.epoch}/{total}: loss {record.train_loss:.3f}, accuracy {record.train_accuracy:.3f}"
        f"{reward}; val loss {record.val_loss:.3f}, accuracy {record.val_accuracy:.3f}; "
        f"val captions BLEU-4 {record.bleu_4:.1f}, CIDEr-D {record.cider_d:.1f}"
        f"{' (best so far)' if is_best else ''}; {record.seconds:.0f} s"
    )
