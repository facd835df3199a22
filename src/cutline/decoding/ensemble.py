"""Several models that write one caption together: at every step their probabilities are averaged.

The mean is that of probabilities, as is standard for ensembles of translation and caption models (Sutskever,
Vinyals and Le, 2014; Vinyals and others, "Show and Tell: Lessons Learned", 2016). It is the probability of
the next token when one of the models is drawn by lot, so it sums to 1 without further ado, and a token that
one model is sure of stays likely. The mean of log-probabilities would let each model alone rule a token out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.step_model import StepModel
from cutline.errors import ConfigError


@dataclass(frozen=True)
class View:
    """Where one member finds its features in a row of :func:`pack`: from ``start`` on, in this ``shape``."""

    start: int
    shape: tuple[int, ...]

    def of(self, packed: NDArray[Any]) -> NDArray[Any]:
        """Return the member's features (B, *shape) of packed ones (B, F)."""
        columns = packed[:, self.start : self.start + prod(self.shape)]
        return columns.reshape(len(packed), *self.shape)


def pack(features: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Lay the features of different encoders side by side, so that they travel as those of one do.

    Args:
        features: Of each encoder, (B, ...) of the same B images.

    Returns:
        (B, F), each row the flattened features of one image after another.

    Example:
        >>> packed = pack([np.ones((2, 3)), np.zeros((2, 4, 5))])
        >>> packed.shape, [view.of(packed).shape for view in views([(3,), (4, 5)])]
        ((2, 23), [(2, 3), (2, 4, 5)])
    """
    return np.concatenate([part.reshape(len(part), -1) for part in features], axis=1)


def views(shapes: Sequence[tuple[int, ...]]) -> list[View]:
    """Return where features of these shapes are once they are packed."""
    starts = np.cumsum([0, *map(prod, shapes)]).tolist()
    return [View(start, tuple(shape)) for start, shape in zip(starts, shapes, strict=False)]


class Ensemble:
    """A step model whose probabilities are the mean of those of its members.

    An ensemble of one gives what the member gives, bit for bit. Sums are taken in float64, so the order of
    the members does not matter beyond its last digits.

    Example (with two step models at hand)::

        beam(Ensemble([one, other]), features, start_id=2, end_id=3, max_length=20)
    """

    def __init__(self, members: Sequence[StepModel[Any]], views: Sequence[View] | None = None) -> None:
        """Put models together.

        Args:
            members: Step models over the same vocabulary, at least one.
            views: The features of each member in the rows of :func:`pack`; None when all read the same.

        Raises:
            ConfigError: There is no member.
        """
        if not members:
            raise ConfigError("an ensemble of no models; name at least one")
        self.members = tuple(members)
        self._views = tuple(views) if views is not None else None

    def start(self, features: NDArray[Any]) -> tuple[Any, ...]:
        """Features, (B, ...) or packed (B, F), to the states of all members before the first token."""
        if self._views is None:
            return tuple(member.start(features) for member in self.members)
        pairs = zip(self.members, self._views, strict=True)
        return tuple(member.start(view.of(features)) for member, view in pairs)

    def step(
        self, token_ids: NDArray[np.int32], state: tuple[Any, ...]
    ) -> tuple[NDArray[np.float32], tuple[Any, ...]]:
        """Token ids (B,) to the logarithm of the mean probability (B, V) of the next token, and new states.

        Raises:
            ConfigError: Members have vocabularies of different sizes.
        """
        pairs = zip(self.members, state, strict=True)
        answers, states = zip(*(member.step(token_ids, own) for member, own in pairs), strict=True)
        return _log_of_mean(answers), tuple(states)

    def reorder(self, state: tuple[Any, ...], rows: NDArray[np.int64]) -> tuple[Any, ...]:
        """States whose row i is row ``rows[i]`` of the old ones."""
        return tuple(member.reorder(own, rows) for member, own in zip(self.members, state, strict=True))


def _log_of_mean(answers: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    if len(answers) == 1:
        return answers[0]
    sizes = sorted({answer.shape[1] for answer in answers})
    if len(sizes) > 1:
        raise ConfigError(f"members of an ensemble have vocabularies of {sizes[0]} and {sizes[-1]} tokens")
    total = np.exp(answers[0], dtype=np.float64)
    for answer in answers[1:]:
        total += np.exp(answer, dtype=np.float64)
    with np.errstate(divide="ignore"):  # a token that is impossible for all
        logs = np.log(total / len(answers))
    # Rounding may take a sure token beyond probability 1.
    return np.minimum(logs, 0.0).astype(np.float32)
