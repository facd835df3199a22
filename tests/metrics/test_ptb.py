from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.metrics import ptb, tokenise_ptb

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "ptb_tokens.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("caption", GOLDEN["tokens"])
def test_tokens_are_those_of_the_java_tokenizer(caption):
    assert tokenise_ptb(caption) == GOLDEN["tokens"][caption]


@pytest.mark.parametrize(
    "line_break", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"]
)
def test_every_line_break_is_a_blank(line_break):
    assert tokenise_ptb(f"a dog{line_break}runs") == ["a", "dog", "runs"]


@pytest.mark.parametrize(
    "text", ["", "   ", ".", "...", "?", " , ; : - -- — – … “” ‘’ '' \" `", "\u200b", "\ufeff"]
)
def test_punctuation_alone_gives_no_token(text):
    assert tokenise_ptb(text) == []


@given(st.text(max_size=60))
def test_tokens_are_lower_case_and_hold_no_blank(text):
    for token in tokenise_ptb(text):
        assert token
        assert token.split() == [token]
        assert token == token.lower()


@given(st.lists(st.sampled_from(["a", "dog", "t-shirt", "u.s.", "(", "don't", "mr.", "5", "!"]), max_size=8))
def test_captions_of_words_are_the_same_in_capitals(words):
    caption = " ".join(words)
    assert tokenise_ptb(caption.upper()) == tokenise_ptb(caption)


plain_words = st.sampled_from(
    ["a", "Dog", "st", "Mr", "cannot", "gonna", "x", "no", "runs", ",", " ", "  ", ".", "co", "US"]
)


@given(st.lists(plain_words, max_size=8), st.sampled_from(["", ".", " .", ". ", ",.", "..", " , . "]))
def test_captions_of_words_and_commas_take_no_other_road_than_the_rules(words, end):
    caption = " ".join(words) + end
    # a dash is dropped and no rule looks past the blank before it, but with it the caption is not plain
    assert tokenise_ptb(caption) == tokenise_ptb(caption + " -- ")


@pytest.mark.parametrize(
    "caption", ["कुत्ता पानी में है", "كلب يركض", "café naïve", "ภาษาไทย", "русский текст", "狗在跑"]
)
def test_letters_of_any_script_stay_with_their_marks(caption):
    assert tokenise_ptb(caption + ".") == caption.split()


@pytest.mark.shared
@pytest.mark.parametrize("spacing", ["as written", "no blank before punctuation"])
def test_tokens_of_real_captions_are_those_of_the_java_tokenizer(shared_folder, spacing):
    if not shutil.which("java"):
        pytest.skip("needs java to run the tokenizer that is compared with")
    ptbtokenizer = pytest.importorskip("pycocoevalcap.tokenizer.ptbtokenizer")
    with (shared_folder / "flickr8k" / "captions.csv").open(encoding="utf-8", newline="") as stream:
        captions = [row["caption"] for row in csv.DictReader(stream)][::7]
    if spacing != "as written":
        captions = [re.sub(r"\s+([.,;:!?'\")])", r"\1", caption) for caption in captions]
    numbered = {number: [{"caption": caption}] for number, caption in enumerate(captions)}
    expected = ptbtokenizer.PTBTokenizer().tokenize(numbered)
    differing = [
        caption
        for number, caption in enumerate(captions)
        if tokenise_ptb(caption) != expected[number][0].split()
    ]
    assert len(captions) > 4000
    assert differing == []


def test_no_text_leaves_anything_behind_in_the_module():
    before = len(ptb._SHAPE_OF)
    assert tokenise_ptb("чёрная собака, 狗 क्ष 🚌") == ["чёрная", "собака", "狗", "क्ष"]
    assert len(ptb._SHAPE_OF) == before
