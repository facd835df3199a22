"""Words that a caption should not stop at, because they call for another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

_ENGLISH: Final = (
    "a an the this these those some any every each no its his their our my your "
    "of in on at by for from with without into onto over under near behind between among against across "
    "along around beside below above beneath through toward towards during before after about to as upon "
    "and or but nor while because if than when where who whose which that "
    "is are am was were be been being has have had do does did can could will would should may might must"
)

ENGLISH_FUNCTION_WORDS: Final = frozenset(_ENGLISH.split())
"""Articles and the like, prepositions, conjunctions, auxiliary verbs.

Pronouns are missing: "holding him" is a good ending. Some, such as "on" in "looks on", are now and then right
at the end, in what people write, too.
"""

# About four of ten tokens of English captions are such words; of German, French or Spanish ones, which share
# a few of them ("in", "an", "a"), hardly one of ten.
_ENGLISH_ENOUGH: Final = 0.2


def function_words_of(captions: Iterable[Sequence[str]]) -> frozenset[str] | None:
    """Return the function words of the language of tokenised captions; None unless it is English.

    Example:
        >>> "the" in (function_words_of([["a", "dog", "on", "grass"]]) or ())
        True
        >>> function_words_of([["ein", "hund", "auf", "gras"]]) is None
        True
    """
    counts = Counter(token for caption in captions for token in caption)
    found = sum(counts[word] for word in ENGLISH_FUNCTION_WORDS)
    english = bool(counts) and found >= _ENGLISH_ENOUGH * counts.total()
    return ENGLISH_FUNCTION_WORDS if english else None
