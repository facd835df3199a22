"""Every caption keeps to every filter, whichever way it is written."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import ScriptedStepModel

from cutline.decoding import CharacterBudget, DecodeResult, Filters, beam, greedy, sample
from cutline.errors import ConfigError

START, END = 0, 1
SIZE = 14
WORDS = range(2, SIZE)
LENGTHS = np.array([0, 0, *(1 + token % 5 for token in WORDS)])
WAYS = ["greedy", "beam", "sample"]


def random_table(seed: int):
    def chances(image: int, written: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng([seed, image, *written]).dirichlet(np.full(SIZE, 0.4)) + 1e-9

    return chances


def write(way: str, script, filters: Filters, max_length: int = 8, images: int = 2) -> list[DecodeResult]:
    model = ScriptedStepModel(script, START)
    features = np.arange(images, dtype=np.float32)[:, None]
    if way == "greedy":
        return greedy(model, features, START, END, max_length, (START,), filters)
    if way == "sample":
        lists = sample(model, features, START, END, max_length, 3, 0, (START,), filters)
    else:
        lists = beam(model, features, START, END, max_length, 4, 0.0, 3, (START,), filters)
    return [result for found in lists for result in found]


def holds(tokens: tuple[int, ...], part: tuple[int, ...]) -> bool:
    return any(tokens[at : at + len(part)] == part for at in range(len(tokens)))


def apart(before: int) -> np.ndarray:
    """Write a space between an even token and an odd one, and nowhere else."""
    return np.arange(SIZE) % 2 != before % 2


word = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(tuple)
seeds = st.integers(0, 10_000)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=40, deadline=None)
@given(
    seed=seeds,
    end_words=st.sets(st.sampled_from(WORDS), max_size=4),
    forbidden=st.lists(word, max_size=2),
    min_length=st.integers(0, 6),
    ngram=st.sampled_from([0, 2, 3]),
    characters=st.sampled_from([None, 30, 40]),
    spaces=st.sampled_from([None, apart]),
)
def test_every_caption_keeps_to_every_filter(
    way, seed, end_words, forbidden, min_length, ngram, characters, spaces
):
    budget = CharacterBudget(characters, LENGTHS, spaces) if characters else None
    filters = Filters(
        forbidden=tuple(forbidden),
        min_length=min_length,
        no_repeat_ngram=ngram,
        end_words=tuple(end_words),
        budget=budget,
    )
    for result in write(way, random_table(seed), filters):
        tokens = result.token_ids
        assert min_length <= len(tokens) <= 8
        assert not any(holds(tokens, never) for never in forbidden)
        assert not tokens or tokens[-1] not in end_words
        if ngram:
            ngrams = [tokens[at : at + ngram] for at in range(len(tokens) - ngram + 1)]
            assert len(ngrams) == len(set(ngrams))
        if characters:
            gaps = sum(True if spaces is None else apart(one)[two] for one, two in pairwise(tokens))
            assert LENGTHS[list(tokens)].sum() + gaps <= characters


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=60, deadline=None)
@given(
    seed=seeds,
    required=st.lists(word, min_size=1, max_size=3),
    end_words=st.sets(st.sampled_from(WORDS), max_size=4),
    ngram=st.sampled_from([0, 1, 2, 3]),
    tight=st.booleans(),
)
def test_every_caption_holds_the_required_words(way, seed, required, end_words, ngram, tight):
    filters = Filters(required=tuple(required), no_repeat_ngram=ngram, end_words=tuple(end_words))
    longest = sum(map(len, required)) + (1 if tight else 5)
    for result in write(way, random_table(seed), filters, max_length=longest):
        assert all(holds(result.token_ids, needed) for needed in required)
        assert result.token_ids[-1] not in end_words


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=60, deadline=None)
@given(seed=seeds, required=st.lists(word, min_size=1, max_size=2), spare=st.integers(0, 6))
def test_required_words_fit_into_the_length_budget(way, seed, required, spare):
    exact = sum(LENGTHS[list(needed)].sum() + len(needed) for needed in required) - 1
    filters = Filters(required=tuple(required), budget=CharacterBudget(int(exact) + spare, LENGTHS))
    for result in write(way, random_table(seed), filters, max_length=12):
        assert all(holds(result.token_ids, needed) for needed in required)
        assert LENGTHS[list(result.token_ids)].sum() + len(result.token_ids) - 1 <= exact + spare


def test_the_last_word_may_be_written_when_another_one_still_fits():
    """Word 3 must not be last: with room for two tokens it can be the first of them, never the second."""

    def likes_three(image, written):
        return [0, 0.01, 0.09, 0.9, *[0] * (SIZE - 4)]

    for way in WAYS:
        for result in write(way, likes_three, Filters(end_words=(3,), min_length=2), max_length=2):
            assert result.token_ids in {(3, 2), (2, 2)}


def test_an_ngram_is_not_repeated_and_its_words_may_be():
    def rambles(image, written):
        return [0, 0.01, 0.5, 0.49, *[0] * (SIZE - 4)]

    (result, _) = write("greedy", rambles, Filters(no_repeat_ngram=2), max_length=8)
    assert result.token_ids == (2, 2, 3, 2)


def test_two_required_words_may_share_an_ngram():
    filters = Filters(required=((2, 3, 4), (2, 3, 5)), no_repeat_ngram=2)
    for way in WAYS:
        for result in write(way, random_table(3), filters, max_length=9):
            assert holds(result.token_ids, (2, 3, 4))
            assert holds(result.token_ids, (2, 3, 5))


def test_a_required_word_within_another_needs_no_room_of_its_own():
    filters = Filters(required=((2, 3), (3,), (2, 3)))
    for result in write("beam", random_table(4), filters, max_length=2):
        assert result.token_ids == (2, 3)


def test_a_required_word_that_must_not_be_last_is_followed_by_another():
    filters = Filters(required=((2,),), end_words=(2,))
    for result in write("greedy", random_table(5), filters, max_length=2):
        assert result.token_ids[0] == 2
        assert len(result.token_ids) == 2


def test_what_cannot_go_on_is_cut_back_to_where_it_may_end():
    def only_of(image, written):
        return [0, 0.5, *([0.5, 0] if not written else [0, 0.5]), *[0] * (SIZE - 4)]

    filters = Filters(end_words=(3,), min_length=1)
    for way in WAYS:
        for result in write(way, only_of, filters, max_length=4):
            assert result.token_ids == (2,)


def test_without_filters_nothing_changes():
    for way in WAYS:
        assert write(way, random_table(6), Filters()) == write(way, random_table(6), Filters(min_length=0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_length": -1}, "min_length is -1"),
        ({"no_repeat_ngram": -2}, "no_repeat_ngram is -2"),
        ({"min_length": 9}, "min_length is 9, more than max_length, which is 8"),
        ({"required": ((),)}, "has no tokens"),
        ({"required": ((2, 3),), "forbidden": ((3,),)}, r"\(2, 3\) is required and \(3,\) forbidden"),
        ({"required": ((START,),)}, "holds a forbidden id"),
        ({"required": ((2, END),)}, "holds a forbidden id or the end marker"),
        ({"forbidden": ((END,),)}, "captions could not end"),
        ({"required": ((2, 3, 4, 5, 6), (7, 8, 9, 10))}, "take 9 tokens, max_length is 8"),
        ({"required": ((2, 3, 4, 5), (7, 8, 9, 2)), "end_words": (5, 2)}, "take 9 tokens"),
        (
            {"required": ((4,),), "budget": CharacterBudget(4, LENGTHS)},
            "budget of 4 characters does not hold",
        ),
        ({"min_length": 8, "budget": CharacterBudget(14, LENGTHS)}, "budget of 14 characters does not hold"),
    ],
)
def test_filters_that_cannot_be_kept_are_refused(options, message):
    for way in WAYS:
        with pytest.raises(ConfigError, match=message):
            write(way, random_table(0), Filters(**options))
