"""What training leaves behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cutline.records.data import Problem


@dataclass(frozen=True)
class EpochRecord:
    """One row of ``history.csv``.

    Losses are nats per token over non-padding tokens, accuracies the share (0..1) of those tokens
    predicted right; both are teacher-forced. Scores are of generated captions, ×100. ``cider_d_error`` is
    the standard error of ``cider_d`` as a score of other images like these; 0 where it is not known.
    ``objective`` names the phase of training: ``"cross_entropy"`` on stored features, ``"fine_tune"`` with
    the encoder, on pixels, or ``"self_critical"``. ``learning_rate`` is that of the epoch's first step, in
    ``"fine_tune"`` epochs the decoder's. In ``"self_critical"`` epochs the train figures are measured on some
    train captions after the epoch, and ``reward`` is the mean of the captions drawn: CIDEr-D (0 to 10) and
    what options add; elsewhere it is 0.
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
    cider_d_error: float = 0.0


def best_epoch(history: Sequence[EpochRecord]) -> int:
    """Return the 1-based epoch whose captions are the best; 0 without any.

    An epoch is better than the best before it by its val CIDEr-D. Where the two differ by no more than half a
    standard error, which with few val images is much, the lower val loss decides, that of every word of the
    references: else the luck of a few captions would. Half, because captions of two epochs are much alike,
    and so is their luck. Self-critical training does not lower the loss: there scores alone decide, and the
    loss between equal ones.

    Example:
        >>> from dataclasses import replace
        >>> one = EpochRecord(1, 0.001, 3.0, 0.3, 3.2, 0.3, 9.0, 32.0, 0.5, 15.0, cider_d_error=5.0)
        >>> two = replace(one, epoch=2, val_loss=3.1, cider_d=31.0)
        >>> best_epoch([one, two]), best_epoch([one, replace(two, cider_d=29.0)])
        (2, 1)
    """
    best: EpochRecord | None = None
    for record in history:
        if not math.isnan(record.cider_d) and (best is None or _is_better(record, best)):
            best = record
    return best.epoch if best else 0


def _is_better(record: EpochRecord, best: EpochRecord) -> bool:
    gain = record.cider_d - best.cider_d
    by_scores = "self_critical" in (record.objective, best.objective)
    doubt = 0.0 if by_scores else max(record.cider_d_error, best.cider_d_error) / 2
    return record.val_loss < best.val_loss if abs(gain) <= doubt else gain > 0


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
