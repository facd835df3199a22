"""Words that nearly all captions of a program end in: end markers under a name nobody knows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

_ENOUGH: Final = 20
_NEARLY_ALL: Final = 0.9
_WORD: Final = re.compile(r"[^\s.,;!?]+")


def ends_alike(captions: Iterable[str]) -> str | None:
    """Return the last word of at least nine in ten different captions, if they are twenty or more.

    A model that says the same about every image has few different captions, and is not suspected.

    Example:
        >>> ends_alike(f"{number} dogs xeos" for number in range(30))
        'xeos'
        >>> ends_alike(["a dog runs"] * 30) is None
        True
    """
    different = {tuple(_WORD.findall(caption)) for caption in captions} - {()}
    if len(different) < _ENOUGH:
        return None
    ((word, count),) = Counter(caption[-1] for caption in different).most_common(1)
    return word if count >= _NEARLY_ALL * len(different) else None
