"""What people ask of captions, in words, and what it means to decoding, in ids."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.config import DecodingOptions, validate
from cutline.decoding import CharacterBudget, Filters, Rules
from cutline.decoding.filters import Word, contains
from cutline.errors import ConfigError
from cutline.metrics.function_words import function_words_of
from cutline.text import Vocabulary
from cutline.text.glossary import Glossary
from cutline.text.vocabulary import END_ID, PAD_ID, SPECIALS, START_ID, UNK_ID

NEVER_WRITTEN: Final = (PAD_ID, UNK_ID, START_ID)
"""Ids that are in no caption."""

# Enough to tell a language by; further down stand the nouns of the pictures.
_MOST_FREQUENT: Final = 20


@dataclass(frozen=True)
class Wishes:
    """What is asked for in one call, beside the options a model has.

    Attributes:
        require: Words that every caption holds, of one token or several in a row.
        forbid: Words that no caption holds.
        min_length: Fewest tokens; the model's own option when None.
        no_repeat_ngram: Tokens in a row that come once at the most; the model's own option when None.
        characters: Most characters of a caption, spaces and preferred terms counted.
        glossary: Term → what is written in its place, once the caption is done.
        decoding: Other decoding options by name, over the model's own.

    Example:
        >>> Wishes(min_length=5).options(DecodingOptions()).min_length
        5
    """

    require: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    min_length: int | None = None
    no_repeat_ngram: int | None = None
    characters: int | None = None
    glossary: Mapping[str, str] = field(default_factory=dict)
    decoding: Mapping[str, object] = field(default_factory=dict)

    def options(self, defaults: DecodingOptions) -> DecodingOptions:
        """Return options with what was asked for in their place; ConfigError when they do not fit."""
        asked = {"min_length": self.min_length, "no_repeat_ngram": self.no_repeat_ngram}
        changes = {**self.decoding, **{key: value for key, value in asked.items() if value is not None}}
        return validate(DecodingOptions, {**defaults.model_dump(), **changes}) if changes else defaults


NO_WISHES: Final = Wishes()
"""Captions as the model writes them."""


def filters_of(options: DecodingOptions, vocabulary: Vocabulary, wishes: Wishes = NO_WISHES) -> Filters:
    """Return what options and wishes mean to a vocabulary.

    Args:
        options: Minimum length, repeated n-grams and the last word.
        vocabulary: That of the model. A caption may end in any word unless it is an English one.
        wishes: Words and characters.

    Raises:
        ConfigError: A required word is not in the vocabulary, with the nearest ones that are; a word is
            required and forbidden; or a caption cannot be so short or so long as to hold what is asked for.
    """
    required = _known(wishes.require, vocabulary)
    forbidden = tuple(
        word for word in map(_ids(vocabulary), wishes.forbid) if word and UNK_ID not in word
    )  # what the model does not know it never writes
    for asked, word in zip(wishes.require, required, strict=True):
        if any(contains(word, never) for never in forbidden):
            raise ConfigError(f"{asked!r} is required and forbidden; leave one of them out")
    filters = Filters(
        forbidden,
        required,
        options.min_length,
        options.no_repeat_ngram,
        () if options.end_in_function_word else function_word_ids(vocabulary),
        None if wishes.characters is None else _budget(wishes.characters, vocabulary, wishes.glossary),
    )
    Rules(filters, END_ID, options.max_length, NEVER_WRITTEN)
    return filters


def function_word_ids(vocabulary: Vocabulary) -> tuple[int, ...]:
    """Return the ids of the function words of an English vocabulary; none for other languages.

    Example:
        >>> from cutline.text import Tokenizer
        >>> function_word_ids(Vocabulary((*SPECIALS, "a", "dog", "on", "grass"), Tokenizer()))
        (4, 6)
    """
    tokens = vocabulary.tokens[len(SPECIALS) :]
    words = function_words_of([tokens[:_MOST_FREQUENT]]) or ()
    return tuple(number for number, token in enumerate(tokens, len(SPECIALS)) if token in words)


def _ids(vocabulary: Vocabulary) -> Callable[[str], Word]:
    return lambda text: tuple(map(vocabulary.id_of, vocabulary.tokenizer.tokenise(text)))


def _known(words: Sequence[str], vocabulary: Vocabulary) -> tuple[Word, ...]:
    found = tuple(map(_ids(vocabulary), words))
    for asked, word in zip(words, found, strict=True):
        if not word:
            raise ConfigError(f"required word {asked!r} holds no letter or number; leave it out")
    unknown = [
        token
        for asked in words
        for token in vocabulary.tokenizer.tokenise(asked)
        if vocabulary.id_of(token) in range(len(SPECIALS))
    ]
    if unknown:
        told = "; ".join(_nearest(token, vocabulary) for token in dict.fromkeys(unknown))
        raise ConfigError(
            f"the model does not know what is required: {told}; it writes words it was trained on"
        )
    return found


def _nearest(token: str, vocabulary: Vocabulary) -> str:
    near = difflib.get_close_matches(token, vocabulary.tokens[len(SPECIALS) :], n=3)
    return f"{token!r} (nearest: {', '.join(map(repr, near))})" if near else f"{token!r} (none is near)"


def _budget(characters: int, vocabulary: Vocabulary, table: Mapping[str, str]) -> CharacterBudget:
    if characters < 1:
        raise ConfigError(f"a length budget of {characters} characters: at least 1 is needed")
    tokenizer, tokens = vocabulary.tokenizer, vocabulary.tokens
    lengths = np.array([0] * len(SPECIALS) + [len(token) for token in tokens[len(SPECIALS) :]])
    # What a preferred term has more than its word is counted where the word ends. Beside other scripts it
    # may get two spaces that the word had not.
    spaced = tokenizer.level == "word"
    longer = np.zeros_like(lengths)
    for term, preferred in Glossary(table, tokenizer).terms.items():
        last = vocabulary.id_of(term[-1])
        more = len(preferred) - len(tokenizer.detokenise(term)) + (0 if spaced else 2)
        longer[last] = max(longer[last], more)
    return CharacterBudget(characters, lengths + longer, None if spaced else _spaces(vocabulary))


def _spaces(vocabulary: Vocabulary) -> Callable[[int], NDArray[np.bool_]]:
    known: dict[int, NDArray[np.bool_]] = {}
    join, tokens = vocabulary.tokenizer.detokenise, vocabulary.tokens

    def spaces(before: int) -> NDArray[np.bool_]:
        if before not in known:
            first = tokens[before]
            sizes = [len(join([first, token])) - len(first) - len(token) for token in tokens]
            known[before] = np.array(sizes, np.bool_)
        return known[before]

    return spaces
