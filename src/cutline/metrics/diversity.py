"""How much the captions of a model differ from each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable


def unique_share(captions: Collection[str]) -> float:
    """Return the number of distinct captions divided by the number of captions, 0..1; 0 for none.

    Example:
        >>> unique_share(["a dog", "a dog", "a cat", "a red dot"])
        0.75
    """
    return len(set(captions)) / len(captions) if captions else 0.0


def most_common(captions: Iterable[str], n: int = 1) -> list[tuple[str, int]]:
    """Return the ``n`` most frequent captions with their counts; ties in alphabetical order.

    Example:
        >>> most_common(["a dog", "two dots", "a dog", "a cat"], 2)
        [('a dog', 2), ('a cat', 1)]
    """
    return sorted(Counter(captions).items(), key=lambda item: (-item[1], item[0]))[:n]
