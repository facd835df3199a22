"""Captions that are written side by side, one token at a time, without looking back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.rules import Rules
from cutline.decoding.step_model import DecodeResult


class Written:
    """N captions, those that are not done yet being the rows of the next step.

    Attributes:
        rows: Numbers of the captions that are not done, rising, (R,).
    """

    def __init__(self, captions: int, max_length: int) -> None:
        """Begin so many captions, of so many tokens at the most."""
        self.rows = np.arange(captions)
        self._tokens = np.zeros((captions, max_length), np.int32)
        self._logs = np.zeros((captions, max_length))
        self._lengths = np.zeros(captions, np.int64)
        self._ended = np.zeros(captions, np.bool_)
        self._place = 0

    @property
    def tokens(self) -> NDArray[np.int32]:
        """What is written in each row, (R, T)."""
        return self._tokens[self.rows, : self._place]

    @property
    def last(self) -> NDArray[np.int32]:
        """The token written last in each row, (R,)."""
        last: NDArray[np.int32] = self._tokens[self.rows, self._place - 1]
        return last

    def add(self, tokens: NDArray[np.int64], logs: NDArray[np.float32], end_id: int) -> NDArray[np.int64]:
        """Write a token in each row; one of probability 0 is not written and ends its caption.

        Args:
            tokens: Ids (R,); an end marker is noted and ends the caption.
            logs: Their log-probabilities, (R,).
            end_id: The end marker.

        Returns:
            Places of the rows that go on, (R',).
        """
        possible, ends = logs > -np.inf, tokens == end_id
        self._logs[self.rows[possible], self._place] = logs[possible]
        self._ended[self.rows[possible & ends]] = True
        going_on = possible & ~ends
        self._tokens[self.rows[going_on], self._place] = tokens[going_on]
        self._lengths[self.rows[going_on]] += 1
        self._place += 1
        places = np.flatnonzero(going_on & (self._place < self._tokens.shape[1]))
        self.rows = self.rows[places]
        return places

    def results(self, rules: Rules) -> list[DecodeResult]:
        """Return all captions in order; one that could not go on is cut back to where it may end."""
        found = []
        for tokens, logs, length, ended in zip(
            self._tokens.tolist(),
            self._logs.tolist(),
            self._lengths.tolist(),
            self._ended.tolist(),
            strict=True,
        ):
            kept = length if ended else rules.cut_back(tokens[:length])
            found.append(DecodeResult.of(tokens[:kept], logs[: kept + ended]))
        return found
