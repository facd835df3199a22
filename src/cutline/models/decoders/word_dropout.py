"""Hiding words from a decoder while it is trained, so that it must look at the picture.

Bowman et al., "Generating Sentences from a Continuous Space", 2016 (arXiv:1511.06349). As there, a hidden
word becomes ``<unk>`` and not zeros: the decoder is told that a word was there, nothing has to be rescaled,
and the embedding of ``<unk>``, which stands for every rare word that is read, gets more to learn from.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from cutline.text.vocabulary import END_ID, UNK_ID


class WordDropout(keras.layers.Layer):
    """Replaces whole words by ``<unk>`` in training, never a marker; at rest it changes nothing."""

    def __init__(self, rate: float, seed: int, name: str) -> None:
        """Take the share of words, 0 <= rate < 1; with 0 nothing is drawn."""
        super().__init__(name=name)
        self.rate = rate
        self.chance = keras.random.SeedGenerator(seed) if rate else None

    def call(self, token_ids: Any, training: bool = False) -> Any:
        """Token ids int32 (B, T) → the same, some words of them ``<unk>``."""
        if not training or self.chance is None:
            return token_ids
        drawn = keras.random.uniform(ops.shape(token_ids), dtype="float32", seed=self.chance)
        hidden = ops.logical_and(is_word(token_ids), drawn < self.rate)
        return ops.where(hidden, ops.full_like(token_ids, UNK_ID), token_ids)


def is_word(token_ids: Any) -> Any:
    """Tell which token ids are words and none of the four markers, which come first in every vocabulary."""
    return token_ids > END_ID
