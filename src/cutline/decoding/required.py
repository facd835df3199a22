"""How far captions are with the words they must hold, and what is left to be written.

Each required word is a small automaton (Knuth, Morris and Pratt, 1977): its state is the number of its
tokens that the caption ends with, and stays at all of them once the word is written. The tokens of all words
together are few, so what any of V tokens would do is known from a few columns: one for each of those tokens,
and one for all others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.filters import Word, contains


@dataclass(frozen=True)
class Plans:
    """Ways to write what is still required: go on with one of C words that is begun, or begin them all anew.

    Each then writes the other words one after another, in an order that ends well if there is one. The true
    need may be smaller where words overlap; but who follows a plan gets nearer to its end with each token.

    Attributes:
        tokens: Tokens each plan takes, (..., C + 1); infinite where there is no such plan.
        characters: Characters of them, a space before each counted, (..., C + 1).
        unending: Whether the plan ends in a token that must not be the last, so that one more is counted in
            ``tokens`` and none for it in ``characters``, (..., C + 1).
        missing: Whether anything is still required, (...).
    """

    tokens: NDArray[np.float64]
    characters: NDArray[np.float64]
    unending: NDArray[np.bool_]
    missing: NDArray[np.bool_]


class RequiredWords:
    """Automata of C required words, words within other words left out.

    Attributes:
        words: The words.
        token_ids: The P different tokens in them, in rising order, (P,).
    """

    def __init__(
        self, words: Sequence[Word], end_words: Collection[int], lengths: NDArray[np.int64] | None
    ) -> None:
        """Build the automata.

        Args:
            words: Distinct or not, each of at least one token.
            end_words: Ids that must not be last in a caption.
            lengths: Characters of each token (V,), or None where they do not matter.
        """
        distinct = dict.fromkeys(words)
        self.words = tuple(
            word
            for word in distinct
            if not any(other != word and contains(other, word) for other in distinct)
        )
        self.token_ids = np.array(sorted({token for word in self.words for token in word}), np.int64)
        longest = max((len(word) for word in self.words), default=0)
        self._lengths = np.array([len(word) for word in self.words], np.int64)
        self._ends_well = np.array([word[-1] not in end_words for word in self.words], np.bool_)
        self._table = np.zeros((len(self.words), longest + 1, len(self.token_ids) + 1), np.int64)
        self._next = np.full((len(self.words), longest + 1), -1, np.int64)
        self._characters = np.zeros((len(self.words), longest + 1))
        for number, word in enumerate(self.words):
            self._table[number, len(word) :] = len(word)
            self._table[number, : len(word), :-1] = [
                [_longest_end(word, (*word[:state], token)) for token in self.token_ids.tolist()]
                for state in range(len(word))
            ]
            self._next[number, : len(word)] = word
            if lengths is not None:
                self._characters[number, 1 : len(word) + 1] = np.cumsum(lengths[list(word)] + 1)

    @property
    def size(self) -> int:
        """Tokens of all words together."""
        return int(self._lengths.sum())

    def states(self, tokens: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return how many tokens of each word captions (R, T) end with, (R, C); all once it is written."""
        states = np.zeros((len(tokens), len(self.words)), np.int64)
        if not self.words:
            return states
        places = np.minimum(np.searchsorted(self.token_ids, tokens), len(self.token_ids) - 1)
        columns = np.where(self.token_ids[places] == tokens, places, len(self.token_ids))
        words = np.arange(len(self.words))
        for place in range(tokens.shape[1]):
            states = self._table[words, states, columns[:, place, None]]
        return states

    def after(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the states (R, P + 1, C) after each token of the words, and last after any other token."""
        return np.swapaxes(self._table[np.arange(len(self.words)), states], 1, 2)

    def awaited(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the token each word goes on with, (R, C), -1 where it is written."""
        return self._next[np.arange(len(self.words)), states]

    def done(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many tokens of the words are written, (...); of words that are begun one counts."""
        missing = states < self._lengths
        written = np.where(missing, 0, self._lengths).sum(axis=-1)
        done: NDArray[np.int64] = written + np.where(missing, states, 0).max(axis=-1, initial=0)
        return done

    def plans(self, states: NDArray[np.int64]) -> Plans:
        """Return what is left to be written from states (..., C)."""
        missing = states < self._lengths
        well = missing & self._ends_well
        several = missing.sum(axis=-1, keepdims=True) > 1
        # With several words to go, some other word comes last; one that ends well, if there is any.
        others_end_well: NDArray[np.bool_] = np.where(
            several, well.sum(axis=-1, keepdims=True) - well > 0, self._ends_well
        )
        unending = np.concatenate(
            [~others_end_well, missing.any(axis=-1, keepdims=True) & ~well.any(axis=-1, keepdims=True)],
            axis=-1,
        )
        words = np.arange(len(self.words))
        whole = np.where(missing, self._lengths, 0).sum(axis=-1, keepdims=True)
        text = np.where(missing, self._characters[words, self._lengths], 0).sum(axis=-1, keepdims=True)
        tokens = np.concatenate([np.where(missing, whole - states, np.inf), whole], axis=-1) + unending
        characters = np.concatenate([text - self._characters[words, states], text], axis=-1)
        return Plans(tokens, characters, unending, np.asarray(missing.any(axis=-1)))


def _longest_end(word: Word, tokens: Word) -> int:
    """Return how many tokens of a word, at most, are the last of ``tokens``."""
    return next(
        size
        for size in range(min(len(word), len(tokens)), -1, -1)
        if tokens[len(tokens) - size :] == word[:size]
    )
