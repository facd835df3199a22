"""What training leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from cutline.records.data import Problem


@dataclass(frozen=True)
class EpochRecord:
    """One row of ``history.csv``.

    Losses are nats per token over non-padding tokens, accuracies the share (0..1) of those tokens
    predicted right; both are teacher-forced. Scores are of generated captions, ×100. ``objective`` names the
    phase of training: ``"cross_entropy"`` on stored features, ``"fine_tune"`` with the encoder, on pixels, or
    ``"self_critical"``. ``learning_rate`` is that of the epoch's first step, in ``"fine_tune"`` epochs the
    decoder's. In ``"self_critical"`` epochs the train figures are measured on some train captions after the
    epoch, and ``reward`` is the mean of the captions drawn: CIDEr-D (0 to 10) and what options add; elsewhere
    it is 0.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    bleu_4: float
    cider_d: float
    unique_captions: float
    seconds: float
    objective: str = "cross_entropy"
    reward: float = 0.0


@dataclass(frozen=True)
class Run:
    """A finished or interrupted training run on disk.

    Attributes:
        folder: The run folder; pass it wherever a MODEL is asked for.
        history: One record per finished epoch.
        best_epoch: 1-based epoch whose bundle is kept, 0 before the first one.
        problems: Rows and images that were left out.
        interrupted: True when Ctrl-C ended it early.
        epochs: Epochs that were asked for, 0 when unknown.
    """

    folder: str
    history: tuple[EpochRecord, ...]
    best_epoch: int
    problems: tuple[Problem, ...] = ()
    interrupted: bool = False
    epochs: int = 0
