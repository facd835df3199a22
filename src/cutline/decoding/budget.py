"""How many characters a caption may have, and how many it has so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class CharacterBudget:
    """The most characters of a caption, spaces between its tokens counted.

    Attributes:
        characters: Most characters.
        lengths: Characters of each token, whole numbers (V,), each 0 or more.
        spaces: Given a token id, says before which tokens (V,) a space is written when they follow it; None
            when there is one between any two.

    Example:
        >>> budget = CharacterBudget(9, np.array([0, 1, 3, 5]))
        >>> budget.used(np.array([[1, 2], [2, 3]])).tolist()
        [5, 9]
        >>> budget.next(np.array([[1, 2]])).tolist()
        [[1, 2, 4, 6]]
    """

    characters: int
    lengths: NDArray[np.int64]
    spaces: Callable[[int], NDArray[np.bool_]] | None = None

    def used(self, tokens: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the characters (R,) of R captions of T tokens, int32 (R, T)."""
        used: NDArray[np.int64] = self.lengths[tokens].sum(axis=1)
        if self.spaces is None:
            used += max(tokens.shape[1] - 1, 0)
            return used
        for row, written in enumerate(tokens.tolist()):
            used[row] += sum(self.spaces(before)[after] for before, after in pairwise(written))
        return used

    def next(self, tokens: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the characters (R, V) that each token would add to captions (R, T), its space counted."""
        rows, written = tokens.shape
        if self.spaces is None or not written:
            return np.broadcast_to(self.lengths + int(written > 0), (rows, len(self.lengths)))
        return self.lengths + np.stack([self.spaces(last) for last in tokens[:, -1].tolist()])
