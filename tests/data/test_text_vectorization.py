from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutline.data.text_vectorization import adapt_vocabulary, mark, vectorization_layer
from cutline.errors import DataError
from cutline.text import Tokenizer, Vocabulary, build_vocabulary

CAPTIONS = (
    "Two dogs don't bark, 2.5 m apart.",
    "two dogs run",
    "a dog 🐶 runs",
    "कुत्ता दौड़ रहा है",
    "كلب أسود يلعب",
    "两只狗在玩",
    "ผู้หญิงกำลังวิ่ง",
    "...",
)
captions_lists = st.lists(st.text(alphabet="abcdeE दौ़狗ก่ .,'🐶", max_size=24), min_size=1, max_size=8).filter(
    lambda captions: any(Tokenizer().tokenise(caption) for caption in captions)
)


@pytest.mark.parametrize("level", ["word", "character"])
@pytest.mark.parametrize(("min_count", "max_size"), [(1, None), (1, 12), (2, 20_000)])
def test_the_adapted_vocabulary_equals_the_counted_one(
    level: str, min_count: int, max_size: int | None
) -> None:
    tokenizer = Tokenizer(level)  # type: ignore[arg-type]
    assert adapt_vocabulary(CAPTIONS, tokenizer, min_count, max_size) == build_vocabulary(
        CAPTIONS, tokenizer, min_count, max_size
    )


@given(captions_lists)
@settings(max_examples=12, deadline=None)
def test_the_adapted_vocabulary_equals_the_counted_one_for_any_captions(captions: list[str]) -> None:
    assert adapt_vocabulary(captions, Tokenizer()) == build_vocabulary(captions, Tokenizer())


@given(captions_lists, captions_lists, st.sampled_from(["word", "character"]), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_the_layer_gives_the_ids_of_the_vocabulary(
    known: list[str], asked: list[str], level: str, max_length: int
) -> None:
    tokenizer = Tokenizer(level)  # type: ignore[arg-type]
    if not any(tokenizer.tokenise(caption) for caption in known):
        return
    vocabulary = build_vocabulary(known, tokenizer)
    layer = vectorization_layer(vocabulary, max_length)
    ids = np.asarray(layer([mark(caption, tokenizer, max_length) for caption in asked + known]))
    assert ids.shape == (len(asked + known), max_length + 2)
    for row, caption in zip(ids, asked + known, strict=True):
        expected = vocabulary.encode(caption, max_length)
        assert row.tolist() == expected + [0] * (max_length + 2 - len(expected))


def test_the_layer_is_rebuilt_from_the_saved_json() -> None:
    vocabulary = build_vocabulary(CAPTIONS, Tokenizer())
    rebuilt = Vocabulary.from_dict(vocabulary.to_dict())
    layer = vectorization_layer(rebuilt, 10)
    assert layer.get_vocabulary()[2:] == list(vocabulary.tokens[2:])
    assert layer.vocabulary_size() == len(vocabulary)


def test_nothing_to_adapt_to_is_refused() -> None:
    with pytest.raises(DataError, match="the vocabulary is empty: of 0 different tokens"):
        adapt_vocabulary(["...", " "], Tokenizer())


def test_nothing_left_after_filtering_is_refused() -> None:
    with pytest.raises(DataError, match=r"occurs 1 times, text\.min_count is 3"):
        adapt_vocabulary(["a dog"], Tokenizer(), min_count=3)
