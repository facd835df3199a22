from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cutline.errors import BundleError
from cutline.text import Tokenizer, choose_level

WORDS = Tokenizer("word")
CHARACTERS = Tokenizer("character")
SCRIPTS = (
    "abcXYZ İΣßéñ .,;!?'’-\"<>() \n\t 0123456789"
    "कुत्ते दौड़ रहे हैं। क्‍ष"
    "كلب أسود وًكُ، ثلاثي"
    "เด็กผู้หญิงกำลังวิ่ง ๆ ๑๒"
    "ខ្មែរ မြန်မာ ລາວຳ"
    "两只狗。ひらがなカタカナー々が한국어"
    "🐶👩🏽‍🚀🇫🇷❤️"
    "\u0301\u200b\u200d\u200c\u202e\ufeff\u00ad\u2028\u3000"
)
texts = st.one_of(st.text(max_size=40), st.text(alphabet=SCRIPTS, max_size=40))
tokenizers = st.builds(Tokenizer, level=st.sampled_from(["word", "character"]), lowercase=st.booleans())


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("Two dogs don't bark.", ["two", "dogs", "don't", "bark"]),
        ("A man’s hat – rock'n'roll!", ["a", "man's", "hat", "rock'n'roll"]),
        ("'quoted' dogs' bones", ["quoted", "dogs", "bones"]),
        ("1,000 people, 2.5 m high, no. 3.", ["1,000", "people", "2.5", "m", "high", "no", "3"]),
        ("a t-shirt <end> & <start>", ["a", "t", "shirt", "end", "start"]),
        ("गुलाबी पोशाक में बच्चा।", ["गुलाबी", "पोशाक", "में", "बच्चा"]),
        ("كلبٌ أسودُ، يلعب؟", ["كلبٌ", "أسودُ", "يلعب"]),
        ("a dog 🐶 👩🏽‍🚀 🇫🇷 ❤️", ["a", "dog", "🐶", "👩🏽‍🚀", "🇫🇷", "❤️"]),
        ("cafe\u0301 \u202ered\u202c line\u2028two", ["café", "red", "line", "two"]),
        (" .,!? \n", []),
    ],
)
def test_words_are_cut_at_spaces_and_punctuation(caption: str, tokens: list[str]) -> None:
    assert WORDS.tokenise(caption) == tokens


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("两只狗在玩iPhone 13。", ["两", "只", "狗", "在", "玩", "iphone", "13"]),
        ("ガールが走る", ["ガ", "ー", "ル", "が", "走", "る"]),
        ("ผู้หญิงกำลังวิ่ง", ["ผู้", "ห", "ญิ", "ง", "กำ", "ลั", "ง", "วิ่", "ง"]),
        ("ខ្មែរ", ["ខ្មែ", "រ"]),
        ("मेरा कुत्ता", ["मेरा", "कुत्ता"]),
    ],
)
def test_characters_keep_their_marks_and_foreign_words_stay_whole(caption: str, tokens: list[str]) -> None:
    assert CHARACTERS.tokenise(caption) == tokens


@pytest.mark.parametrize(
    ("caption", "shown"),
    [
        ("两只狗在玩 iPhone。", "两只狗在玩iphone"),
        ("A red bus, 3 dogs", "a red bus 3 dogs"),
        ("ผู้หญิง 3 คน", "ผู้หญิง 3 คน"),
    ],
)
def test_character_tokens_are_joined_the_way_people_write(caption: str, shown: str) -> None:
    assert CHARACTERS.detokenise(CHARACTERS.tokenise(caption)) == shown


def test_case_is_kept_on_request() -> None:
    assert Tokenizer(lowercase=False).tokenise("A Dog") == ["A", "Dog"]


@given(tokenizers, texts)
def test_normalising_twice_changes_nothing(tokenizer: Tokenizer, text: str) -> None:
    once = tokenizer.normalise(text)
    assert tokenizer.normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)


@given(tokenizers, texts)
def test_joined_tokens_are_cut_into_the_same_tokens(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.tokenise(text)
    assert tokenizer.tokenise(tokenizer.detokenise(tokens)) == tokens


@given(tokenizers, st.lists(texts, max_size=6), st.randoms())
def test_tokens_in_any_order_survive_joining(
    tokenizer: Tokenizer, captions: list[str], random: object
) -> None:
    tokens = [token for caption in captions for token in tokenizer.tokenise(caption)]
    random.shuffle(tokens)  # type: ignore[attr-defined]
    assert tokenizer.tokenise(tokenizer.detokenise(tokens)) == tokens


AM_SIGNS = "\u0e33\u0eb3"
"""Thai and Lao: letters by name, marks by behaviour; without a letter before one, nothing of it counts."""


def marked_letters(text: str) -> int:
    return sum(
        unicodedata.category(first)[0] == "L"
        and first not in AM_SIGNS
        and unicodedata.category(second)[0] == "M"
        for first, second in pairwise(text)
    )


@given(tokenizers, texts)
@example(Tokenizer(level="word"), "\u0eb3\u0816")
@example(Tokenizer(level="character"), "\u0e81\u0eb3\u0ec8")
def test_marks_are_never_cut_from_their_letter(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.tokenise(text)
    assert not any(unicodedata.category(token[0]).startswith("M") for token in tokens)
    assert sum(map(marked_letters, tokens)) == marked_letters(tokenizer.normalise(text))


@given(tokenizers, texts)
def test_letters_and_digits_are_never_lost(tokenizer: Tokenizer, text: str) -> None:
    def solid(characters: str) -> list[str]:
        # Thai and Lao AM count as marks: without a letter before them there is nothing to carry them.
        return [c for c in characters if unicodedata.category(c)[0] in "LN" and c not in "\u0e33\u0eb3"]

    assert solid("".join(tokenizer.tokenise(text))) == solid(tokenizer.normalise(text))


@given(tokenizers, texts)
def test_tokens_hold_no_space_and_no_marker(tokenizer: Tokenizer, text: str) -> None:
    for token in tokenizer.tokenise(text):
        assert token
        assert token.split() == [token]
        assert "<" not in token


@pytest.mark.parametrize(
    ("captions", "level"),
    [
        (["两只狗", "a T恤"], "character"),
        (["ผู้หญิงกำลังวิ่ง"], "character"),
        (["犬が走る"], "character"),
        (["two dogs 狗"], "word"),
        (["두 마리의 개"], "word"),
        (["गुलाबी पोशाक"], "word"),
        (["طفلة صغيرة"], "word"),
        ([], "word"),
    ],
)
def test_level_follows_the_script(captions: list[str], level: str) -> None:
    assert choose_level(captions) == level


@given(tokenizers)
def test_settings_survive_as_plain_values(tokenizer: Tokenizer) -> None:
    assert Tokenizer.from_dict(tokenizer.to_dict()) == tokenizer


@pytest.mark.parametrize(
    "values", [{}, {"level": "syllable", "lowercase": True}, {"level": "word", "lowercase": 1}]
)
def test_foreign_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(BundleError, match=r"do not fit|'syllable' is unknown; allowed: word, character"):
        Tokenizer.from_dict(values)
