"""How alike captions are, token by token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

_Unit = TypeVar("_Unit", bound=Hashable)


def agreement(caption: Sequence[int], others: Sequence[Sequence[int]]) -> float:
    """Return how much a caption has in common with others, 0 (nothing) to 1 (all are the same).

    Dice's coefficient (1945) of tokens and of pairs of neighbouring tokens: twice the number found in both
    captions, divided by the number in either; mean of the two over the other captions, 0 when there is none.
    Markers around a caption would make captions alike that are not: leave them out.

    Example:
        >>> round(agreement([5, 6, 7], [[5, 6, 7], [5, 6, 8]]), 3)
        0.792
    """
    if not others:
        return 0.0
    return sum(_likeness(caption, other) for other in others) / len(others)


def _likeness(caption: Sequence[int], other: Sequence[int]) -> float:
    tokens = _dice(caption, other)
    if len(caption) < 2 and len(other) < 2:
        return tokens  # neither has pairs
    return (tokens + _dice(pairwise(caption), pairwise(other))) / 2


def _dice(first: Iterable[_Unit], second: Iterable[_Unit]) -> float:
    one, two = Counter(first), Counter(second)
    size = one.total() + two.total()
    return 2 * (one & two).total() / size if size else 1.0
