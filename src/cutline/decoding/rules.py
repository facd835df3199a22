"""Which tokens may come next: filters at work.

A token is struck out when the caption could not be brought to a good end behind it: within the tokens and the
characters that are left, with the words that are still required, and not ending in a word that must not be
last. So a caption on its way can always be finished, and no finished one has to be thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.budget import CharacterBudget
from cutline.decoding.filters import Filters, Word
from cutline.decoding.required import Plans, RequiredWords
from cutline.errors import ConfigError

_Places = tuple[NDArray[np.int64], NDArray[np.int64]]


class Rules:
    """Filters bound to a search: its end marker, its longest caption, the ids it never writes.

    Attributes:
        required: The words that captions must hold.

    Example:
        >>> rules = Rules(Filters(min_length=2, end_words=(3,)), end_id=0, max_length=3)
        >>> scores = np.zeros((2, 4))
        >>> rules.strike(scores, np.array([[1, 2], [1, 3]]))
        >>> scores.tolist()
        [[0.0, 0.0, 0.0, -inf], [-inf, 0.0, 0.0, -inf]]
    """

    def __init__(self, filters: Filters, end_id: int, max_length: int, forbidden: Sequence[int] = ()) -> None:
        """Take the filters and look whether they can be kept together.

        Args:
            filters: The limits.
            end_id: The token that ends a caption.
            max_length: Most tokens in a caption.
            forbidden: Further ids that are never written.

        Raises:
            ConfigError: ``max_length`` is below 1, or the end marker forbidden or required; ``min_length`` or
                the required words do not fit into ``max_length``, or into the length budget.
        """
        self._filters, self._end_id, self._max_length = filters, end_id, max_length
        self._never = [*forbidden, *(word[0] for word in filters.forbidden if len(word) == 1)]
        self._phrases = tuple(word for word in filters.forbidden if len(word) > 1)
        self._end_words = np.array(sorted(set(filters.end_words)), np.int64)
        budget = filters.budget
        self.required = RequiredWords(
            filters.required, frozenset(filters.end_words), budget.lengths if budget else None
        )
        self._plain = filters.min_length == 0 and not (
            self._phrases or filters.required or filters.no_repeat_ngram or filters.end_words or budget
        )
        self._check()
        self._last_word = 0 if budget is None else self._shortest_last_word(budget)
        self._check_room()

    @property
    def plain(self) -> bool:
        """Whether what may be written does not depend on what has been: only single ids are forbidden."""
        return self._plain

    def strike(self, scores: NDArray[Any], tokens: NDArray[np.int32]) -> None:
        """Set to -inf, in place, what may not be written next.

        Args:
            scores: Log-probabilities (R, V) of the next token, or sums of them.
            tokens: What is written in each row, (R, T), 0 <= T < ``max_length``.
        """
        scores[:, self._never] = -np.inf
        if self._plain:
            return
        ends = np.where(self.may_end(tokens), scores[:, self._end_id], -np.inf)
        states = self.required.states(tokens)
        self._strike_what_leads_nowhere(scores, tokens, states)
        scores[:, self._end_id] = ends
        self._strike_repeats(scores, tokens, states)

    def most_struck(self, written: int) -> int | None:
        """Return how many tokens are struck out of a row at the most, None where that is not bounded.

        Args:
            written: Tokens written so far, T.
        """
        filters = self._filters
        # At the last place every word is struck out that must not be last.
        if self.required.words or filters.budget or (filters.end_words and written + 1 == self._max_length):
            return None
        repeats = written if filters.no_repeat_ngram else 0
        return len(set(self._never)) + len(self._phrases) + repeats + (not self._plain)

    def strike_listed(
        self, scores: NDArray[Any], listed: NDArray[np.int64], tokens: NDArray[np.int32]
    ) -> None:
        """Do as :meth:`strike` where only some tokens are looked at, and :meth:`most_struck` is known.

        Args:
            scores: Log-probabilities (R, M) of the listed tokens, or sums of them.
            listed: Ids (R, M).
            tokens: What is written in each row, (R, T).
        """
        scores[np.isin(listed, self._never)] = -np.inf
        if self._plain:
            return
        scores[(listed == self._end_id) & ~self.may_end(tokens)[:, None]] = -np.inf
        rows, ids = self._repetitions(tokens, self.required.states(tokens))
        found, places = np.nonzero(listed[rows] == ids[:, None])
        scores[rows[found], places] = -np.inf

    def may_end(self, tokens: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Tell which captions (R, T) may be left as they are, (R,)."""
        rows, written = tokens.shape
        if written < self._filters.min_length:
            return np.zeros(rows, np.bool_)
        ends_well = ~self._must_go_on(tokens[:, -1]) if written else np.ones(rows, np.bool_)
        return ends_well & ~self.required.plans(self.required.states(tokens)).missing

    def cut_back(self, tokens: Sequence[int]) -> int:
        """Return how many tokens to keep of a caption that cannot go on: it must not stop at an end word.

        Example:
            >>> Rules(Filters(end_words=(3,)), end_id=0, max_length=9).cut_back([1, 3, 3])
            1
        """
        kept = len(tokens)
        while kept and self._must_go_on(np.array(tokens[kept - 1])):
            kept -= 1
        return kept

    def banks(self, tokens: NDArray[np.int32], size: int) -> NDArray[np.int64]:
        """Return how many tokens of required words are written after each next token, (R, V)."""
        after = self.required.done(self.required.after(self.required.states(tokens)))
        banks = np.repeat(after[:, -1:], size, axis=1)
        banks[:, self.required.token_ids] = after[:, :-1]
        # The end marker adds nothing, and takes nothing from a word that is begun: there is none.
        return banks

    def _must_go_on(self, tokens: NDArray[Any]) -> NDArray[np.bool_]:
        return np.isin(tokens, self._end_words)

    def _strike_what_leads_nowhere(
        self, scores: NDArray[Any], tokens: NDArray[np.int32], states: NDArray[np.int64]
    ) -> None:
        budget, known = self._filters.budget, self.required.token_ids
        room = self._room_after(tokens.shape[1], states)
        if budget is None and (room > -np.inf).all():
            return
        rooms = np.repeat(room[:, -2:-1], scores.shape[1], axis=1)
        rooms[:, self._end_words] = room[:, -1:]
        rooms[:, known] = room[:, :-2]
        if budget is None:
            scores[rooms == -np.inf] = -np.inf
        else:
            scores[budget.used(tokens)[:, None] + budget.next(tokens) > rooms] = -np.inf

    def _room_after(self, written: int, states: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the characters there may be once a token is written; -inf where it leads nowhere.

        The columns are those of the tokens of required words, then any other token, then any other token
        that must not be last: (R, P + 2).
        """
        after = self.required.after(states)
        after = np.concatenate([after, after[:, -1:]], axis=1)
        must_go_on = np.array([*self._must_go_on(self.required.token_ids), False, True])
        plans = self.required.plans(after)
        return self._room(plans, must_go_on, written + 1)

    def _room(self, plans: Plans, must_go_on: NDArray[np.bool_], written: int) -> NDArray[np.float64]:
        # Where nothing is required any more, the token itself says whether another one has to follow.
        one_more = plans.unending | (must_go_on & ~plans.missing)[..., None]
        tokens = plans.tokens + (one_more & ~plans.unending)
        possible = tokens <= self._max_length - written
        if self._filters.budget is None:
            return np.where(possible.any(axis=-1), np.inf, -np.inf)
        least = max(self._filters.min_length - written, 0)
        fillers = np.maximum(least - tokens, 0) + one_more
        needed = np.where(possible, plans.characters + fillers * (self._last_word + 1), np.inf)
        room: NDArray[np.float64] = self._filters.budget.characters - needed.min(axis=-1)
        return room

    def _strike_repeats(
        self, scores: NDArray[Any], tokens: NDArray[np.int32], states: NDArray[np.int64]
    ) -> None:
        rows, ids = self._repetitions(tokens, states)
        if not len(rows):
            return
        before = scores[rows, ids]
        scores[rows, ids] = -np.inf
        if self.required.words:
            missing = self.required.plans(states).missing
            # Required words come first: where only a repetition leads to them, there is one.
            given_way = (missing & (scores.max(axis=1) == -np.inf))[rows]
            scores[rows[given_way], ids[given_way]] = before[given_way]

    def _repetitions(self, tokens: NDArray[np.int32], states: NDArray[np.int64]) -> _Places:
        """Return rows and ids that would write an n-gram again, or complete a forbidden phrase."""
        places = [self._repeats(tokens, states), *(_completions(tokens, phrase) for phrase in self._phrases)]
        rows, ids = (np.concatenate(parts) for parts in zip(*places, strict=True))
        return rows, ids

    def _repeats(self, tokens: NDArray[np.int32], states: NDArray[np.int64]) -> _Places:
        """Return rows and ids that would write an n-gram again."""
        size = self._filters.no_repeat_ngram
        written = tokens.shape[1]
        if not size or written < size:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        followed = tokens[:, size - 1 :]
        if size == 1:
            rows = np.repeat(np.arange(len(tokens)), written)
            ids = tokens.reshape(-1).astype(np.int64)
        else:
            windows = np.lib.stride_tricks.sliding_window_view(tokens, size - 1, axis=1)
            same = (windows[:, :-1] == windows[:, -1:]).all(axis=2)
            rows, at = np.nonzero(same)
            ids = followed[rows, at].astype(np.int64)
        # Two required words may share an n-gram: inside one of them it is free.
        inside = np.where(states >= size - 1, self.required.awaited(states), -1)
        repeated = ~(inside[rows] == ids[:, None]).any(axis=1)
        return rows[repeated], ids[repeated]

    def _shortest_last_word(self, budget: CharacterBudget) -> int:
        """Return the characters of the shortest token that may end a caption."""
        allowed = np.ones(len(budget.lengths), np.bool_)
        allowed[[*self._never, *self._end_words.tolist(), self._end_id]] = False
        return int(budget.lengths[allowed].min(initial=budget.characters + 1))

    def _check(self) -> None:
        filters, longest = self._filters, self._max_length
        if longest < 1:
            raise ConfigError(f"max_length is {longest}; a caption needs room for at least 1 token")
        if self._end_id in self._never:
            raise ConfigError(
                f"end marker {self._end_id} is among the forbidden ids; captions could not end: allow it"
            )
        if filters.min_length > longest:
            raise ConfigError(f"min_length is {filters.min_length}, more than max_length, which is {longest}")
        for word in self.required.words:
            if {self._end_id, *self._never} & set(word):
                raise ConfigError(
                    f"required word {word} holds a forbidden id or the end marker; leave it out"
                )

    def _check_room(self) -> None:
        if self._plain:
            return
        plans = self.required.plans(np.zeros((1, len(self.required.words)), np.int64))
        needed = int(plans.tokens.min())
        if needed > self._max_length:
            raise ConfigError(
                f"the required words take {needed} tokens, max_length is {self._max_length}; "
                "require fewer of them or raise max_length"
            )
        budget = self._filters.budget
        # The first token has no space before it.
        room = self._room(plans, np.zeros(1, np.bool_), 0).item() + 1
        if (budget is not None and room < 0) or room == -np.inf:
            raise ConfigError(
                f"a length budget of {budget.characters if budget else 0} characters does not hold the "
                "required words and the minimum length; raise it or ask for less"
            )


def _completions(tokens: NDArray[np.int32], phrase: Word) -> _Places:
    """Return rows that end with all but the last token of a phrase, and for each its last token."""
    begun = len(phrase) - 1
    if tokens.shape[1] < begun:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows = np.flatnonzero((tokens[:, tokens.shape[1] - begun :] == phrase[:-1]).all(axis=1))
    return rows, np.full(len(rows), phrase[-1])
