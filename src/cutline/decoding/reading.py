"""A caption read word by word: what the model would rather have said, and where it looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.step_model import Attentive, State, StepModel


@dataclass(frozen=True, slots=True)
class TokenReading:
    """What one step of the model says before a token that is already known.

    Attributes:
        token_id: The token that follows.
        log_probability: Its natural log-probability, at most 0.
        alternatives: Ids and log-probabilities of the most probable tokens, the most probable first; the
            token itself is among them when it is as probable as they are.
        attention_weights: How much each region was looked at for this step, float32 (R,), summing to 1, or
            with ``decoder.sentinel`` to less: the rest is the sentinel's share. None for a model without
            attention.
    """

    token_id: int
    log_probability: float
    alternatives: tuple[tuple[int, float], ...]
    attention_weights: NDArray[np.float32] | None


def read(
    model: StepModel[State],
    features: NDArray[Any],
    token_ids: Sequence[int],
    start_id: int,
    end_id: int,
    *,
    most: int = 5,
    hidden: Sequence[int] = (),
) -> tuple[TokenReading, ...]:
    """Read one caption of one image by teacher forcing.

    Args:
        model: The step model; attention weights are taken from one that is :class:`Attentive`.
        features: What the encoder gave for the image, (1, ...).
        token_ids: Ids of T tokens, without start and end marker.
        start_id: The token a caption starts from.
        end_id: The token that ends a caption, read behind the others.
        most: Alternatives per step, fewer where the vocabulary has not as many.
        hidden: Ids that are no alternatives, such as padding.

    Returns:
        T + 1 readings, the last of them of the end marker.

    Raises:
        ValueError: ``features`` are not of one image.
    """
    if len(features) != 1:
        raise ValueError(f"features of {len(features)} images; one image is read at a time")
    state = model.start(features)
    last = start_id
    readings = []
    for token_id in (*token_ids, end_id):
        log_probabilities, state = model.step(np.array([last], np.int32), state)
        weights = model.attention_weights(state) if isinstance(model, Attentive) else None
        readings.append(
            TokenReading(
                int(token_id),
                float(log_probabilities[0, token_id]),
                _most_probable(log_probabilities[0], most, hidden),
                None if weights is None else np.array(weights[0], np.float32),
            )
        )
        last = token_id
    return tuple(readings)


def _most_probable(
    log_probabilities: NDArray[np.float32], most: int, hidden: Sequence[int]
) -> tuple[tuple[int, float], ...]:
    # Stable, so that of equally probable tokens the one with the lower id comes first, everywhere.
    order = np.argsort(-log_probabilities, kind="stable")
    kept = order[~np.isin(order, list(hidden))][:most]
    return tuple((int(token_id), float(log_probabilities[token_id])) for token_id in kept)
