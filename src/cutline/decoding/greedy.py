"""Greedy decoding: the most probable token at every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.filters import check_limits, forbid
from cutline.decoding.step_model import DecodeResult, State, StepModel


def greedy(
    model: StepModel[State],
    features: NDArray[Any],
    start_id: int,
    end_id: int,
    max_length: int,
    forbidden: Sequence[int] = (),
) -> list[DecodeResult]:
    """Write one caption for each image, all images side by side.

    Args:
        model: Gives log-probabilities; see :class:`StepModel`.
        features: What the encoder gave for B images, (B, ...); B may be 0.
        start_id: The token a caption starts from.
        end_id: The token that ends a caption; of equally probable tokens the lowest id is taken.
        max_length: Most tokens in a caption; one that gets there is returned as it is, without the end
            marker in its log-probability.
        forbidden: Ids never written.

    Returns:
        One result per image, in order. Should every allowed token have probability 0, the caption is
        returned as far as it got.

    Raises:
        ConfigError: ``max_length`` is below 1, or the end marker is forbidden.
    """
    check_limits(max_length, end_id, forbidden)
    images = len(features)
    tokens: list[list[int]] = [[] for _ in range(images)]
    logs: list[list[float]] = [[] for _ in range(images)]
    if images == 0:
        return []
    rows = np.arange(images)
    state = model.start(features)
    last = np.full(images, start_id, np.int32)
    for _ in range(max_length):
        log_probabilities, state = model.step(last, state)
        log_probabilities = forbid(log_probabilities, forbidden)
        last = log_probabilities.argmax(axis=1).astype(np.int32)
        best = log_probabilities[np.arange(len(rows)), last]
        for row, token, log in zip(rows.tolist(), last.tolist(), best.tolist(), strict=True):
            if log > -np.inf:
                logs[row].append(log)
            if log > -np.inf and token != end_id:
                tokens[row].append(token)
        unfinished = np.flatnonzero((last != end_id) & (best > -np.inf))
        if not len(unfinished):
            break
        # Captions that are done cost nothing from here on.
        if len(unfinished) < len(rows):
            state = model.reorder(state, unfinished)
            rows, last = rows[unfinished], last[unfinished]
    return [DecodeResult.of(*caption) for caption in zip(tokens, logs, strict=True)]
