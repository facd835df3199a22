"""Limits on what a caption may hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cutline.errors import ConfigError


def forbid(log_probabilities: NDArray[np.float32], token_ids: Sequence[int]) -> NDArray[np.float32]:
    """Return a copy of log-probabilities (B, V) in which some tokens cannot be chosen (-inf).

    Example:
        >>> forbid(np.log(np.array([[0.5, 0.25, 0.25]], np.float32)), [0]).round(2).tolist()[0][0]
        -inf
    """
    limited = np.array(log_probabilities, np.float32)
    limited[:, list(token_ids)] = -np.inf
    return limited


def check_limits(max_length: int, end_id: int, forbidden: Sequence[int]) -> None:
    """Raise ConfigError unless captions can have a token and an end.

    Example:
        >>> check_limits(20, 3, [0, 1, 2])
    """
    if max_length < 1:
        raise ConfigError(f"max_length is {max_length}; a caption needs room for at least 1 token")
    if end_id in forbidden:
        raise ConfigError(f"end marker {end_id} is among the forbidden ids; captions could not end: allow it")
