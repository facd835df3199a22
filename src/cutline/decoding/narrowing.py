"""Which tokens samples are drawn from, and how boldly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.errors import ConfigError


@dataclass(frozen=True)
class Narrowing:
    """Changes of the distribution that tokens are drawn from, applied in the order of the attributes.

    Of tokens that are as probable as the last one kept, all are kept.

    Attributes:
        temperature: Log-probabilities are divided by it: below 1 the probable tokens get more probable, above
            1 all get more alike.
        top_k: Only the k most probable tokens are drawn; 0 for all.
        top_p: Only the most probable tokens are drawn, as many as are needed for this share of the
            probability (nucleus sampling: Holtzman and others, 2020); 1 for all.

    Example:
        >>> drawn = Narrowing(top_k=2).apply(np.log(np.array([[0.5, 0.3, 0.2]], np.float32)))
        >>> drawn.astype(float).round(2).tolist()
        [[0.0, -0.51, -inf]]
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        if not 0 < self.temperature < np.inf:
            raise ConfigError(f"temperature is {self.temperature}; it must be above 0")
        if self.top_k < 0:
            raise ConfigError(f"top_k is {self.top_k}; it must be 0 (all tokens) or more")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p}; it must be above 0 and at most 1")

    def apply(self, log_probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logarithms, up to a number per row, of the probabilities to draw with, (R, V).

        Args:
            log_probabilities: The model's, (R, V); -inf for what may not be drawn.
        """
        if self == AS_IT_IS:
            return log_probabilities
        best = log_probabilities.max(axis=1, keepdims=True)
        # Without the best at 0, a low temperature would turn all probabilities of a row into 0.
        drawn = (log_probabilities - np.where(best > -np.inf, best, 0)) / np.float32(self.temperature)
        if 0 < self.top_k < drawn.shape[1]:
            least = np.partition(drawn, -self.top_k, axis=1)[:, -self.top_k, None]
            drawn[drawn < least] = -np.inf
        if self.top_p < 1:
            falling = -np.sort(-drawn, axis=1)
            shares = np.exp(falling, dtype=np.float64).cumsum(axis=1)
            before = shares - np.exp(falling)
            kept = np.maximum((before < self.top_p * shares[:, -1:]).sum(axis=1), 1)
            drawn[drawn < falling[np.arange(len(drawn)), kept - 1][:, None]] = -np.inf
        narrowed: NDArray[np.float32] = drawn
        return narrowed


AS_IT_IS: Final = Narrowing()
"""The model's own distribution."""
