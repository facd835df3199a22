"""What a caption must hold and must not hold; :mod:`cutline.decoding.rules` sees to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cutline.decoding.budget import CharacterBudget
from cutline.errors import ConfigError

Word = tuple[int, ...]
"""The ids of a word or of a few words in a row: one token, or several."""


@dataclass(frozen=True, eq=False)
class Filters:
    """Limits on captions. Greedy decoding, sampling and beam search write none that breaks them.

    Where limits contradict each other, required words come first, then the length budget and the end; last
    come the rule about repeated n-grams and forbidden words of several tokens, which give way when nothing
    else is left to write. A minimum length gives way to all of them: a caption ends early, at the last place
    where it may end, when no token is left for it.

    Attributes:
        forbidden: Words never written.
        required: Words that every caption holds; they may overlap in it.
        min_length: Fewest tokens.
        no_repeat_ngram: Number of tokens in a row that never come twice, required words excepted; 0 for
            no such rule.
        end_words: Ids that are never the last of a caption; the end marker does not follow them.
        budget: Most characters, if there is such a limit.

    Example:
        >>> Filters(forbidden=((7,), (4, 5)), min_length=3).min_length
        3
    """

    forbidden: tuple[Word, ...] = ()
    required: tuple[Word, ...] = ()
    min_length: int = 0
    no_repeat_ngram: int = 0
    end_words: tuple[int, ...] = ()
    budget: CharacterBudget | None = None

    def __post_init__(self) -> None:
        """Refuse numbers out of range and empty words."""
        if self.min_length < 0:
            raise ConfigError(f"min_length is {self.min_length}; it must be 0 or more")
        if self.no_repeat_ngram < 0:
            raise ConfigError(f"no_repeat_ngram is {self.no_repeat_ngram}; it must be 0 (no rule) or more")
        if not all((*self.forbidden, *self.required)):
            raise ConfigError("a forbidden or required word has no tokens; each needs at least 1")
        for word in self.required:
            for never in self.forbidden:
                if contains(word, never):
                    raise ConfigError(f"{word} is required and {never} forbidden; leave one of them out")


NO_FILTERS: Final = Filters()
"""Every caption may be written."""


def contains(tokens: Word, part: Word) -> bool:
    """Tell whether tokens hold a part, in one piece.

    Example:
        >>> contains((4, 5, 6), (5, 6)), contains((4, 5, 6), (4, 6))
        (True, False)
    """
    return any(tokens[at : at + len(part)] == part for at in range(len(tokens) - len(part) + 1))
