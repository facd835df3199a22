from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.config import DecodingOptions
from cutline.evaluation import (
    caption_examples,
    make_scorer,
    most_common_caption,
    references_of,
    scoring_tokens,
    texts_of,
)
from cutline.progress import Silent
from cutline.records import Example
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS

WORD, CHARACTER = Tokenizer(level="word"), Tokenizer(level="character")
WORDS = Vocabulary((*SPECIALS, *(f"w{number}" for number in range(9))), WORD)


def example(key: str, *captions: str) -> Example:
    return Example(f"{key}.png", f"/x/{key}.png", captions, "val", key * 4)


@pytest.mark.parametrize(
    ("tokenizer", "captions", "name"),
    [
        (WORD, ["A dog's ball."], "ptb"),
        (WORD, ["Ein Hund läuft über Ödland"], "ptb"),
        (CHARACTER, ["一辆红色的巴士"], "character"),
        (WORD, ["كلب أسود يلعب"], "word"),
        (WORD, ["काला कुत्ता दौड़ रहा है"], "word"),
        (WORD, ["собака бежит"], "word"),
        (WORD, ["собака бежит", "a dog runs over there"], "ptb"),
        (CHARACTER, ["a dog"], "character"),
        (WORD, ["123 ..."], "ptb"),
    ],
)
def test_the_script_chooses_how_captions_are_cut_for_scoring(tokenizer, captions, name):
    tokens = scoring_tokens(tokenizer, captions)
    assert tokens.name == name
    assert (tokens.tokenise is None) == (name == "ptb")


def test_scores_name_their_tokens_and_reach_one_hundred():
    for tokenizer, captions, name in [
        (WORD, ("A dog runs over the hill.", "A cat sleeps in the sun."), "ptb"),
        (CHARACTER, ("一辆红色的巴士停着", "两只狗在雪地里玩耍"), "character"),
        (WORD, ("काला कुत्ता दौड़ रहा है", "एक बच्चा पानी में खेल"), "word"),
    ]:
        examples = [example("a", captions[0]), example("b", captions[1])]
        scores = make_scorer(examples, tokenizer).score({"a.png": captions[0], "b.png": captions[1]})
        assert scores.tokenizer == name
        assert scores.bleu_4 == pytest.approx(100)
        assert (scores.images, scores.references) == (2, 2)


def test_references_keep_every_caption():
    assert references_of([example("a", "one", "two"), example("b", "three")]) == {
        "a.png": ("one", "two"),
        "b.png": ("three",),
    }


def test_the_most_common_caption_is_compared_token_by_token():
    examples = [
        example("a", "A dog!", "two dots"),
        example("b", "a dog"),
        example("c", "a  cat", "two dots."),
    ]
    assert most_common_caption(examples, WORD) == "a dog"
    assert most_common_caption([example("a", "b", "a")], WORD) == "a"
    assert (
        most_common_caption([example("a", "两只狗", "一只猫"), example("b", "两只狗。")], CHARACTER)
        == "两只狗"
    )


def test_examples_are_captioned_from_their_features_in_order():
    asked: list[list[str]] = []

    def features(digests: Sequence[str]) -> np.ndarray:
        asked.append(list(digests))
        return np.array([[int(digest[0])] for digest in digests], np.float16)

    def name_the_image(image: int, written: tuple[int, ...]) -> list[float]:
        chances = np.full(len(WORDS), 1e-6)
        chances[3 if written else 4 + image] = 1
        return list(chances / chances.sum())

    examples = [example(str(number), "any") for number in (7, 1, 4, 0, 8)]
    hypotheses = caption_examples(
        ScriptedStepModel(name_the_image, start_id=2),
        features,
        examples,
        WORDS,
        DecodingOptions(batch_size=2),
        Silent(),
    )
    assert texts_of(hypotheses) == {
        "7.png": "w7", "1.png": "w1", "4.png": "w4", "0.png": "w0", "8.png": "w8",
    }  # fmt: skip
    assert list(hypotheses) == [item.image_id for item in examples]
    assert [len(batch) for batch in asked] == [2, 2, 1]
