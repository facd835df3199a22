"""Greedy decoding: the most probable token at every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.filters import NO_FILTERS, Filters
from cutline.decoding.next_tokens import next_tokens
from cutline.decoding.rules import Rules
from cutline.decoding.step_model import DecodeResult, State, StepModel
from cutline.decoding.written import Written


def greedy(
    model: StepModel[State],
    features: NDArray[Any],
    start_id: int,
    end_id: int,
    max_length: int,
    forbidden: Sequence[int] = (),
    filters: Filters = NO_FILTERS,
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
        filters: Further limits; every caption keeps to them.

    Returns:
        One result per image, in order. Should every allowed token have probability 0, the caption is
        returned as far as it got, or to the last place where it may end.

    Raises:
        ConfigError: ``max_length`` is below 1, the end marker is forbidden, or filters contradict each other.
    """
    rules = Rules(filters, end_id, max_length, forbidden)
    images = len(features)
    if images == 0:
        return []
    captions = Written(images, max_length)
    state = model.start(features)
    last = np.full(images, start_id, np.int32)
    while len(captions.rows):
        written = captions.tokens
        following, state = next_tokens(model, state, last, rules, written.shape[1], 1)
        scores = np.array(following.logs, np.float32)
        following.strike(rules, scores, written)
        rows, best = np.arange(len(scores)), scores.argmax(axis=1)
        going_on = captions.add(following.tokens_at(rows, best), scores[rows, best], end_id)
        # Captions that are done cost nothing from here on.
        if len(going_on) < len(last):
            state = model.reorder(state, going_on)
        last = captions.last
    return captions.results(rules)
