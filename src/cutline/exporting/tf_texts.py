"""Token ids to captions in a TensorFlow function, as :meth:`cutline.text.Tokenizer.detokenise` joins them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import tensorflow as tf

from cutline.text import Vocabulary

# One token of each kind that spaces depend on; what stands beside them tells of which kind another one is.
_WORD: Final = "a"
_IDEOGRAPH: Final = "一"
_CLUSTER: Final = "ก"


class TokenTexts:
    """The tokens of a vocabulary, and which of them have a space between them.

    Args:
        vocabulary: Its tokens and the level of its tokenizer.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Ask the tokenizer about every token."""
        self._tokens = list(vocabulary.tokens)
        self._spaced = vocabulary.tokenizer.level == "word"
        join = vocabulary.tokenizer.detokenise

        def joined(before: str | None, after: str | None) -> Any:
            pairs = [(before or token, after or token) for token in self._tokens]
            return np.array([join(pair) == "".join(pair) for pair in pairs])

        if not self._spaced:
            self._ideograph = joined(_WORD, None)
            self._cluster = joined(_CLUSTER, None) & ~self._ideograph
            self._swallows = ~joined(None, _IDEOGRAPH)

    def of(self, token_ids: Any, lengths: Any) -> Any:
        """Token ids int32 (B, T) and lengths (B,) to captions, string (B,)."""
        before = tf.concat([tf.zeros_like(token_ids[:, :1]), token_ids[:, :-1]], axis=1)
        columns = tf.range(tf.shape(token_ids)[1])[None]
        spaces = tf.where((columns > 0) & self._need_space(before, token_ids), " ", "")
        pieces = tf.strings.join([spaces, tf.gather(tf.constant(self._tokens), token_ids)])
        return tf.strings.reduce_join(tf.where(columns < lengths[:, None], pieces, ""), axis=1)

    def _need_space(self, before: Any, after: Any) -> Any:
        if self._spaced:
            return tf.ones_like(after, tf.bool)
        ideographs = tf.gather(self._ideograph, before) | tf.gather(self._ideograph, after)
        clusters = tf.gather(self._cluster, before) & tf.gather(self._cluster, after)
        return tf.gather(self._swallows, before) | ~(ideographs | clusters)
