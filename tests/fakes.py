"""Stand-ins for parts that are slow or heavy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


class ScriptedStepModel:
    """A StepModel whose next-token probabilities are looked up, not computed.

    The state of a row is what was written in it, so a wrong reorder makes the script answer for the wrong
    beginning, and a state out of step with the tokens is noticed at once.

    Attributes:
        batches: Rows of each step so far, to see which captions were still being written.
    """

    def __init__(self, script: Callable[[int, tuple[int, ...]], Sequence[float]], start_id: int) -> None:
        """Take a function from (image number, ids written) to the probabilities of all V tokens."""
        self._script = script
        self._start_id = start_id
        self.batches: list[int] = []

    def start(self, features: np.ndarray) -> list[tuple[int, ...]]:
        """Read the image number from the first feature of each row."""
        return [(int(row[0]),) for row in features]

    def step(
        self, token_ids: np.ndarray, state: list[tuple[int, ...]]
    ) -> tuple[np.ndarray, list[tuple[int, ...]]]:
        """Look the next tokens up."""
        assert token_ids.dtype == np.int32
        assert token_ids.shape == (len(state),)
        self.batches.append(len(state))
        written = [(*row, int(token)) for row, token in zip(state, token_ids, strict=True)]
        assert all(row[1] == self._start_id for row in written), "captions begin with the start marker"
        with np.errstate(divide="ignore"):
            answers = np.log([self._script(row[0], row[2:]) for row in written])
        answers = answers.astype(np.float32)
        answers.setflags(write=False)  # as a framework's arrays may be
        return answers, written

    def reorder(self, state: list[tuple[int, ...]], rows: np.ndarray) -> list[tuple[int, ...]]:
        """Pick rows."""
        return [state[row] for row in rows]
