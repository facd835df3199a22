"""Options and wishes in words, as they come out in captions."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.config import DecodingOptions, validate
from cutline.errors import ConfigError
from cutline.records import Hypothesis
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS
from cutline.wishes import Wishes, filters_of, function_word_ids
from cutline.writing import Writer

WORDS = Vocabulary(
    (
        *SPECIALS,
        *[
            "a",
            "on",
            "the",
            "in",
            "with",
            "dog",
            "brown",
            "grass",
            "ball",
            "runs",
            "of",
            "child",
            "and",
            "frisbee",
            "red",
        ],
    ),
    Tokenizer(),
)
CHINESE = Vocabulary((*SPECIALS, *"一只小狗在草地上跑", "bus", "t"), Tokenizer("character"))


def likes_to_ramble(size: int):
    def chances(image: int, written: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng([image, *written]).dirichlet(np.full(size, 0.3)) + 1e-6

    return chances


def captions(
    wishes: Wishes, vocabulary: Vocabulary = WORDS, images: int = 20, n_best: int = 1, **options
) -> list[Hypothesis]:
    model = ScriptedStepModel(likes_to_ramble(len(vocabulary)), start_id=2)
    features = np.arange(images, dtype=np.float32)[:, None]
    decoding = DecodingOptions(**{"max_length": 10, **options})
    return [
        one for found in Writer(model, vocabulary).write(features, decoding, n_best, wishes) for one in found
    ]


WAYS = [{"beam_size": 1}, {"beam_size": 3}, {"temperature": 1.0}, {"beam_size": 4, "groups": 2}]


@pytest.mark.parametrize("way", WAYS)
def test_required_words_are_in_every_caption_and_forbidden_ones_in_none(way):
    wishes = Wishes(require=("Frisbee", "brown dog"), forbid=("ball", "the red", "unheard"))
    for found in captions(wishes, **way):
        assert "brown dog" in found.text
        assert "frisbee" in found.tokens
        assert "ball" not in found.tokens
        assert "the red" not in found.text


@pytest.mark.parametrize("way", WAYS)
def test_lengths_repetitions_and_the_last_word_are_kept_to(way):
    wishes = Wishes(min_length=4, no_repeat_ngram=2)
    for found in captions(wishes, end_in_function_word=False, **way):
        pairs = list(zip(found.tokens, found.tokens[1:], strict=False))
        assert len(found.tokens) >= 4
        assert len(pairs) == len(set(pairs))
        assert found.tokens[-1] not in ["a", "on", "the", "in", "with", "of", "and"]


@pytest.mark.parametrize("way", WAYS)
def test_the_length_budget_counts_spaces_and_preferred_terms(way):
    wishes = Wishes(characters=24, min_length=3, glossary={"dog": "Labrador", "brown dog": "Rex"})
    found = captions(wishes, **way)
    assert max(len(one.text) for one in found) <= 24
    assert all(len(one.tokens) >= 3 for one in found)


def test_the_length_budget_knows_where_there_are_no_spaces():
    found = captions(Wishes(characters=5), CHINESE, images=60, beam_size=2)
    assert max(len(one.text) for one in found) == 5
    assert any(len(one.tokens) == 5 for one in found)
    found = captions(Wishes(characters=9, glossary={"狗": "big dog"}), CHINESE, images=60)
    assert max(len(one.text) for one in found) <= 9


def test_a_preferred_term_is_in_the_text_and_the_tokens_stay():
    wishes = Wishes(require=("brown dog",), glossary={"brown dog": "Rex"})
    for found in captions(wishes, beam_size=2):
        assert "Rex" in found.text.split()
        assert "dog" in found.tokens


def test_drawn_captions_come_best_first_and_the_same_for_the_same_seed():
    first = captions(Wishes(), images=1, n_best=8, temperature=1.0)
    logs = [one.log_probability for one in first]
    assert logs == sorted(logs, reverse=True)
    assert len({one.text for one in first}) > 1
    assert captions(Wishes(), images=1, n_best=8, temperature=1.0) == first
    assert captions(Wishes(), images=1, n_best=8, temperature=1.0, seed=1) != first


def test_function_words_are_those_of_english_vocabularies():
    german = Vocabulary(
        (
            *SPECIALS,
            *[
                "ein",
                "eine",
                "in",
                "auf",
                "und",
                "einem",
                "mann",
                "der",
                "die",
                "an",
                "mit",
                "am",
                "hund",
                "frau",
                "zwei",
                "das",
                "wasser",
                "rennt",
            ],
        ),
        Tokenizer(),
    )
    assert [WORDS.tokens[number] for number in function_word_ids(WORDS)] == [
        "a",
        "on",
        "the",
        "in",
        "with",
        "of",
        "and",
    ]
    assert function_word_ids(german) == function_word_ids(CHINESE) == ()


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (Wishes(require=("frisbees",)), "does not know what is required: 'frisbees' (nearest: 'frisbee')"),
        (Wishes(require=("a zzz", "dgo")), "'zzz' (none is near); 'dgo' (nearest: 'dog')"),
        (Wishes(require=("?",)), "required word '?' holds no letter or number"),
        (Wishes(require=("brown dog",), forbid=("Dog",)), "'brown dog' is required and forbidden"),
        (Wishes(require=("a dog on grass", "red ball")), "the required words take 6 tokens, max_length is 5"),
        (Wishes(require=("frisbee",), characters=6), "budget of 6 characters does not hold"),
        (Wishes(characters=0), "at least 1 is needed"),
        (Wishes(min_length=6), "min_length must be at most max_length, which is 5"),
        (Wishes(no_repeat_ngram=-1), "no_repeat_ngram: input should be greater than or equal to 0"),
    ],
)
def test_wishes_that_cannot_be_fulfilled_are_refused(wishes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        captions(wishes, max_length=5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_length": 41}, "min_length must be at most max_length, which is 40"),
        ({"beam_size": 4, "groups": 3}, "groups must divide beam_size, which is 4"),
        (
            {"beam_size": 4, "consensus_beams": 5, "groups": 2},
            "groups must divide consensus_beams, which is 5",
        ),
        ({"beam_size": 3, "temperature": 1}, "a temperature draws captions and a beam_size searches"),
        ({"top_k": 5}, "need a temperature"),
        ({"top_p": 0.9}, "need a temperature"),
    ],
)
def test_options_that_contradict_each_other_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        validate(DecodingOptions, values)


def test_without_options_nothing_is_filtered():
    filters = filters_of(DecodingOptions(), WORDS)
    assert (filters.forbidden, filters.required, filters.end_words, filters.budget) == ((), (), (), None)
