"""Learning rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from cutline.config import TrainingOptions

FINAL_SHARE = 0.01
"""Where the cosine ends, as a share of the highest rate: not 0, so that the last steps still learn."""


def warmup_steps(options: TrainingOptions, total_steps: int) -> int:
    """Return over how many steps the rate rises: ``warmup_steps``, but at most a tenth of the run.

    A small data set has few steps; a warm-up meant for many would leave none at the highest rate.

    Example:
        >>> options = TrainingOptions(warmup_steps=100)
        >>> warmup_steps(options, 30_000), warmup_steps(options, 32), warmup_steps(options, 9)
        (100, 3, 0)
    """
    return min(options.warmup_steps, total_steps // 10)


def rate_at(step: int, options: TrainingOptions, total_steps: int) -> float:
    """Return the learning rate at a step.

    Args:
        step: Steps taken so far, from 0.
        options: ``learning_rate`` (the highest rate), ``warmup_steps`` and ``schedule``.
        total_steps: Steps of the whole run.

    Returns:
        Rising in a straight line over the warm-up (:func:`warmup_steps`), then constant or falling along
        half a cosine.

    Example:
        >>> options = TrainingOptions(learning_rate=0.5, warmup_steps=10)
        >>> rate_at(0, options, 100), rate_at(100, options, 100)
        (0.05, 0.005)
    """
    rising = warmup_steps(options, total_steps)
    warm = min(1.0, (step + 1) / rising) if rising else 1.0
    share = 1.0
    if options.schedule == "cosine":
        done = min(1.0, step / max(1, total_steps))
        share = FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * done))
    return options.learning_rate * warm * share


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """:func:`rate_at` as part of the compiled step, driven by the optimizer's own step counter.

    The counter is saved with every checkpoint, so a resumed run goes on where it stopped.
    """

    def __init__(self, options: TrainingOptions, total_steps: int) -> None:
        """Keep what :func:`rate_at` needs."""
        self.options = options
        self.total_steps = total_steps

    def __call__(self, step: object) -> object:
        """Return the rate at a step given as a tensor."""
        options = self.options
        position = ops.cast(step, "float32")
        rate = ops.convert_to_tensor(options.learning_rate, dtype="float32")
        rising = warmup_steps(options, self.total_steps)
        if rising:
            rate = rate * ops.minimum(1.0, (position + 1.0) / rising)
        if options.schedule == "cosine":
            done = ops.minimum(1.0, position / max(1, self.total_steps))
            rate = rate * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1.0 + ops.cos(math.pi * done)))
        return rate

    def get_config(self) -> dict[str, object]:
        """Return plain values, as Keras asks of a schedule."""
        return {"options": self.options.model_dump(), "total_steps": self.total_steps}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Schedule:
        """Build a schedule from what :meth:`get_config` gave."""
        return cls(TrainingOptions.model_validate(config["options"]), config["total_steps"])
