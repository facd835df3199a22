from __future__ import annotations

from dataclasses import replace

import pytest

from cutline.evaluation import fingerprint_of, make_scorer, references_of, scoring_tokens, texts_of
from cutline.records import Example, Hypothesis
from cutline.text import Tokenizer

WORD, CHARACTER = Tokenizer(level="word"), Tokenizer(level="character")


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


def test_markers_are_stripped_from_both_sides():
    marked = [example("a", "<start> a dog runs <end>", "startseq one dog endseq"), example("b", "a cat")]
    plain = [example("a", "a dog runs", "one dog"), example("b", "a cat")]
    assert references_of(marked) == references_of(plain)
    texts = texts_of({"a.png": Hypothesis("startseq a dog endseq", (), (), -1.0)})
    assert texts == {"a.png": "a dog"}
    scores = make_scorer(marked, WORD).score({**texts, "b.png": "a cat sits"})
    assert scores == make_scorer(plain, WORD).score({"a.png": "a dog", "b.png": "a cat sits"})
    assert "|markers:stripped|" in scores.signature


def test_the_fingerprint_is_that_of_what_scores_depend_on():
    examples = [example("a", "one", "two"), example("b", "three")]
    others = [example("b", "<start> three <end>"), replace(example("a", "two", "one"), split="test")]
    assert fingerprint_of(examples) == fingerprint_of(others)
    assert fingerprint_of(examples) != fingerprint_of([example("a", "one", "two"), example("b", "four")])
    assert fingerprint_of(examples) != fingerprint_of([example("a", "one"), example("b", "three", "two")])
