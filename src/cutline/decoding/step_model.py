"""What decoding needs to know of a model: it starts from features and goes on token by token."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

State = TypeVar("State")


class StepModel(Protocol[State]):
    """A decoder seen from outside. The state belongs to the model: decoding only hands it back.

    A state holds one row for each caption being written; B is the number of rows.
    """

    def start(self, features: NDArray[Any]) -> State:
        """Return the state of B captions of which nothing is written yet.

        Args:
            features: What the encoder gave for B images, (B, ...).
        """
        ...

    def step(self, token_ids: NDArray[np.int32], state: State) -> tuple[NDArray[np.float32], State]:
        """Read one token per row and say what may come next.

        Args:
            token_ids: The token written last in each row, int32 (B,); the start marker at first.
            state: From :meth:`start`, :meth:`step` or :meth:`reorder`, B rows.

        Returns:
            Natural log-probabilities of the next token, float32 (B, V), each at most 0, and the new state.
        """
        ...

    def reorder(self, state: State, rows: NDArray[np.int64]) -> State:
        """Return the state whose row i is row ``rows[i]`` of the old one.

        Args:
            state: The old state, B rows.
            rows: int64 (B',); rows may be repeated, left out and in any order.
        """
        ...


@runtime_checkable
class Attentive(Protocol):
    """What a step model may offer beside the three methods that decoding needs."""

    def attention_weights(self, state: Any) -> NDArray[np.float32] | None:
        """Return how much each region was looked at for what the last step scored.

        Args:
            state: From :meth:`StepModel.step`, B rows.

        Returns:
            float32 (B, R), each row summing to 1, or with ``decoder.sentinel`` to less: the rest is the
            sentinel's share. None when the model looks at no regions.
        """
        ...


@runtime_checkable
class Shortlisting(Protocol):
    """What a step model may offer where only the most probable tokens are looked at.

    Finding them beside the model spares handing over, and looking through, what it says of all others.
    """

    def step_best(
        self, token_ids: NDArray[np.int32], state: Any, count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], Any]:
        """Read one token per row and say which may most probably come next.

        Args:
            token_ids: As for :meth:`StepModel.step`.
            state: As for :meth:`StepModel.step`.
            count: Tokens wanted, at least 1; when there are fewer, all are returned.

        Returns:
            The M most probable tokens of each row, where M is ``count``, or V if that is less; the most
            probable first and of equal ones the lowest id, int64 (B, M), their log-probabilities, float32
            (B, M), and the new state, which need not know where the model looked.
        """
        ...


@dataclass(frozen=True, slots=True)
class DecodeResult:
    """One decoded caption.

    Attributes:
        token_ids: Ids of the caption's tokens, without start and end marker.
        log_probability: Sum of ``token_log_probabilities``; at most 0.
        token_log_probabilities: Natural log-probability of each token and, when the caption was finished,
            of the end marker behind them.

    Example:
        >>> result = DecodeResult.of([5, 7], [-0.5, -1.0, -0.25])
        >>> result.log_probability, result.finished
        (-1.75, True)
    """

    token_ids: tuple[int, ...]
    log_probability: float
    token_log_probabilities: tuple[float, ...]

    @classmethod
    def of(cls, token_ids: Iterable[int], token_log_probabilities: Iterable[float]) -> DecodeResult:
        """Build the record of a caption and add up its log-probability."""
        logs = tuple(map(float, token_log_probabilities))
        return cls(tuple(map(int, token_ids)), sum(logs), logs)

    @property
    def finished(self) -> bool:
        """Whether the model ended the caption itself, before the maximum length."""
        return len(self.token_log_probabilities) > len(self.token_ids)
