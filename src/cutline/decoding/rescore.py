"""What a model thinks of a caption that is already there: it is read token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.step_model import State, StepModel


@dataclass(frozen=True, slots=True)
class TokenScores:
    """One caption of T tokens as the model reads it, the end marker being its last token.

    Attributes:
        log_probabilities: Natural log-probability of each token and of the end marker, float64 (T + 1,).
        entropies: How undecided the model was before each of them, in nats, from 0 (sure) to the logarithm
            of the vocabulary's size (nothing known), float64 (T + 1,).
    """

    log_probabilities: NDArray[np.float64]
    entropies: NDArray[np.float64]


def rescore(
    model: StepModel[State],
    features: NDArray[Any],
    captions: Sequence[Sequence[int]],
    start_id: int,
    end_id: int,
) -> list[TokenScores]:
    """Read one caption per image, all images side by side.

    Args:
        model: Gives log-probabilities; see :class:`StepModel`.
        features: What the encoder gave for B images, (B, ...); B may be 0.
        captions: Token ids of B captions, without start and end marker; they may be empty.
        start_id: The token a caption starts from.
        end_id: The token that ends a caption; it is read behind every caption, also behind one that
            decoding cut off at its longest length, which the model then finds improbable.

    Returns:
        One record per image, in order.
    """
    if not len(captions):
        return []
    targets = [[*caption, end_id] for caption in captions]
    lengths = np.array([len(target) for target in targets])
    padded = np.full((len(targets), lengths.max()), end_id, np.int32)
    for row, target in enumerate(targets):
        padded[row, : len(target)] = target
    logs, entropies = np.zeros(padded.shape), np.zeros(padded.shape)
    rows = np.arange(len(targets))
    state = model.start(features)
    last = np.full(len(rows), start_id, np.int32)
    for place in range(padded.shape[1]):
        log_probabilities, state = model.step(last, state)
        last = padded[rows, place]
        logs[rows, place] = log_probabilities[np.arange(len(rows)), last]
        entropies[rows, place] = _entropies(log_probabilities)
        unread = np.flatnonzero(lengths[rows] > place + 1)
        if not len(unread):
            break
        # Captions that are read to their end cost nothing from here on.
        if len(unread) < len(rows):
            state = model.reorder(state, unread)
            rows, last = rows[unread], last[unread]
    return [TokenScores(logs[row, :end], entropies[row, :end]) for row, end in enumerate(lengths)]


def _entropies(log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    probabilities = np.exp(log_probabilities)
    # A token of probability 0 adds nothing, and its logarithm is infinite.
    products = np.multiply(
        probabilities, log_probabilities, out=np.zeros_like(probabilities), where=probabilities > 0
    )
    entropies: NDArray[np.float64] = -products.sum(axis=1, dtype=np.float64)
    return entropies
