"""Captions are joined in TensorFlow as the tokenizer joins them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tests.fakes import CAPTIONS_IN_MANY_SCRIPTS

from cutline.exporting.tf_texts import TokenTexts
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS

# Letters that end in a mark which would stack, or in a joiner, need a space that others do not.
_HARD = ["က္", "ည\u200d", "ແລະ", "3", "red", "狗", "かも", "é", "บ", "ກໍ"]


@pytest.mark.parametrize("level", ["word", "character"])
def test_any_tokens_are_joined_as_the_tokenizer_does(level):
    tokenizer = Tokenizer(level)
    captions = [caption for own in CAPTIONS_IN_MANY_SCRIPTS.values() for caption in own]
    found = [token for caption in captions for token in tokenizer.tokenise(caption)]
    tokens = tuple(dict.fromkeys([*found, *(_HARD if level == "character" else [])]))
    vocabulary = Vocabulary((*SPECIALS, *tokens), tokenizer)
    generator = np.random.default_rng(0)
    token_ids = generator.integers(len(SPECIALS), len(vocabulary), (200, 7)).astype(np.int32)
    lengths = generator.integers(0, 8, 200).astype(np.int32)
    texts = TokenTexts(vocabulary).of(tf.constant(token_ids), tf.constant(lengths)).numpy()
    expected = [vocabulary.text(row[:length]) for row, length in zip(token_ids, lengths, strict=True)]
    assert [text.decode("utf-8") for text in texts] == expected
    assert any(" " not in text for text, length in zip(expected, lengths, strict=True) if length > 2) == (
        level == "character"
    )
