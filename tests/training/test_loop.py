"""The loop over a scripted trainer: no learning, only its rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cutline.progress import Silent
from cutline.records import Scores
from cutline.training.checkpoints import Checkpoint
from cutline.training.loop import Hooks, Phase, Validation, is_phase_finished, run_phase
from cutline.training.trainer import TrainFigures


class ScriptedTrainer:
    """Its only state is how many epochs it was trained."""

    def __init__(self, interrupt_in: int | None = None) -> None:
        self.trained = 0
        self.lent = False
        self.interrupt_in = interrupt_in

    def learning_rate(self) -> float:
        return 0.5 / (1 + self.trained)

    def train_epoch(self, batches: Any, epoch: int, stage: Any) -> TrainFigures:
        assert batches == [f"epoch {epoch}"]
        if epoch == self.interrupt_in:
            raise KeyboardInterrupt
        self.trained += 1
        return TrainFigures(3.0 / epoch, 0.1 * epoch)

    def measure(self, batches: Any) -> tuple[float, float]:
        assert batches == ["val"]
        return 4.0 / self.trained, 0.05 * self.trained

    @contextmanager
    def averaged(self) -> Iterator[None]:
        self.lent = True
        yield
        self.lent = False

    def state(self) -> dict[str, np.ndarray]:
        assert not self.lent
        return {"model/000": np.array(self.trained)}


class Listener(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def run(
    scores: Sequence[float],
    epochs: int = 9,
    patience: int = 9,
    start: Checkpoint | None = None,
    interrupt_in: int | None = None,
    objective: str = "cross_entropy",
    error: float = 0.0,
) -> SimpleNamespace:
    """Run the loop with these val CIDEr-D scores, epoch by epoch."""
    trainer = ScriptedTrainer(interrupt_in)
    phase = Phase(objective, epochs, patience)
    start = start or Checkpoint((), 0, {})
    trainer.trained = len(start.history)
    kept: list[tuple[Checkpoint, bool]] = []
    listener = Listener()

    def validate() -> Validation:
        score = scores[trainer.trained - 1]
        return Validation(
            Scores(0, 0, 0, score / 4, 0, score, score, 2, 4, "ptb"),
            error,
            0.5,
            [("a.png", f"score {score}")],
        )

    hooks = Hooks(
        lambda epoch: [f"epoch {epoch}"],  # type: ignore[arg-type,return-value]
        lambda: ["val"],  # type: ignore[arg-type,return-value]
        validate,
        lambda checkpoint, best: kept.append((checkpoint, best)),
    )
    outcome = SimpleNamespace(kept=kept, notes=listener.notes, last=None)
    try:
        outcome.last = run_phase(phase, trainer, hooks, start, listener)
    except KeyboardInterrupt:
        outcome.interrupted = True
    return outcome


def test_every_epoch_is_trained_measured_and_kept():
    outcome = run([10, 20, 30], epochs=3)
    assert [len(checkpoint.history) for checkpoint, _ in outcome.kept] == [1, 2, 3]
    assert outcome.last == outcome.kept[-1][0]
    record = outcome.last.history[1]
    assert (record.epoch, record.learning_rate, record.train_loss, record.train_accuracy) == (
        2,
        0.25,
        1.5,
        0.2,
    )
    assert (record.val_loss, record.val_accuracy, record.bleu_4, record.cider_d) == (2.0, 0.1, 5.0, 20)
    assert record.unique_captions == 0.5
    assert record.seconds >= 0
    assert int(outcome.last.state["model/000"]) == 3


def test_the_best_epoch_has_the_highest_score():
    outcome = run([10, 30, 20, 29, 5], epochs=5)
    assert [best for _, best in outcome.kept] == [True, True, False, False, False]
    assert [checkpoint.best_epoch for checkpoint, _ in outcome.kept] == [1, 2, 2, 2, 2]


def test_among_equal_scores_the_lower_val_loss_is_better():
    # The scripted val loss falls from epoch to epoch.
    outcome = run([0, 0, 0, 1, 1, 0], epochs=6, patience=2)
    assert [best for _, best in outcome.kept] == [True, True, True, True, True, False]


def test_scores_that_differ_by_chance_leave_it_to_the_val_loss_which_epoch_is_kept():
    # The scripted val loss falls from epoch to epoch, and half of the error is 2.
    outcome = run([32, 25, 30, 31, 28, 34], epochs=6, error=4.0)
    assert [best for _, best in outcome.kept] == [True, False, True, True, False, True]
    assert outcome.last.history[0].cider_d_error == 4.0
    outcome = run([32, 25, 30, 31, 28, 34], epochs=6, error=4.0, objective="self_critical")
    assert [best for _, best in outcome.kept] == [True, False, False, False, False, True]


def test_it_stops_when_the_score_has_not_risen_for_so_many_epochs():
    outcome = run([10, 20, 19, 18, 50], epochs=5, patience=2)
    assert len(outcome.last.history) == 4
    assert outcome.last.best_epoch == 2
    assert outcome.notes[-1] == "stopped early: val captions have not got better since epoch 2 (patience 2)"
    assert len(run([10, 20, 19, 18, 50], epochs=5, patience=3).last.history) == 5


def test_it_goes_on_after_the_last_whole_epoch():
    scores = [10, 20, 19, 25]
    whole = run(scores, epochs=4)
    part = run(scores, epochs=4, interrupt_in=3)
    assert part.last is None
    resumed = run(scores, epochs=4, start=part.kept[-1][0])
    assert [record.epoch for record, _ in ((c.history[-1], b) for c, b in resumed.kept)] == [3, 4]
    strip = [(record.epoch, record.cider_d, record.train_loss) for record in resumed.last.history]
    assert strip == [(record.epoch, record.cider_d, record.train_loss) for record in whole.last.history]
    assert resumed.last.best_epoch == whole.last.best_epoch == 4


@pytest.mark.parametrize(("scores", "epochs", "patience"), [([10, 20], 2, 5), ([10, 9, 8], 9, 2)])
def test_a_run_that_is_over_stays_over(scores, epochs, patience):
    over = run(scores, epochs=epochs, patience=patience).last
    again = run(scores, epochs=epochs, patience=patience, start=over)
    assert again.kept == []
    assert again.last == over


def test_each_epoch_is_told_with_a_few_captions():
    notes = run([10, 20], epochs=2).notes
    assert notes[2].startswith(
        "epoch 2/2: loss 1.500, accuracy 0.200; val loss 2.000, accuracy 0.100; val captions "
    )
    assert "BLEU-4 5.0, CIDEr-D 20.0 (best so far)" in notes[2]
    assert notes[3].strip() == "a.png: score 20"


def test_a_second_phase_counts_its_own_epochs_and_keeps_the_best_of_all():
    first = run([10, 30, 20], epochs=3).last
    second = run([10, 30, 20, 25, 40, 35], epochs=3, start=first, objective="self_critical").last
    assert [record.objective for record in second.history] == ["cross_entropy"] * 3 + ["self_critical"] * 3
    assert [record.epoch for record in second.history] == [1, 2, 3, 4, 5, 6]
    assert second.best_epoch == 5


def test_a_second_phase_that_never_gets_better_stops_after_its_own_patience():
    first = run([10, 30, 20], epochs=3, patience=2).last
    outcome = run([10, 30, 20, 25, 26, 27, 28], epochs=4, patience=2, start=first, objective="self_critical")
    assert len(outcome.last.history) == 5
    assert outcome.last.best_epoch == 2


def test_a_phase_is_finished_by_its_epochs_or_its_patience_whatever_comes_after():
    first = run([10, 30, 20, 19], epochs=9, patience=2).last
    both = run([10, 30, 20, 19, 50], epochs=1, start=first, objective="self_critical").last
    for history in (first.history, both.history):
        assert is_phase_finished(history, Phase("cross_entropy", 9, 2))
        assert not is_phase_finished(history, Phase("cross_entropy", 9, 3))
    assert not is_phase_finished(first.history, Phase("self_critical", 1, 2))
    assert is_phase_finished(both.history, Phase("self_critical", 1, 2))
