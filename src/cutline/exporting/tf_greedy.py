"""Greedy decoding inside a TensorFlow function: what :mod:`cutline.decoding.greedy` does, by the same rules.

A word is struck out before the most probable one is taken: markers, the end before its time, a word that
must not be last in the last place, and a word that would write an n-gram again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf

from cutline.config import DecodingOptions
from cutline.decoding import Filters
from cutline.text.vocabulary import END_ID, START_ID
from cutline.wishes import NEVER_WRITTEN

Step = Callable[[Any, dict[str, Any]], tuple[Any, dict[str, Any]]]
"""Token ids (B,) and state to log-probabilities (B, V) and the next state."""

_NEVER: Final = -np.inf


@dataclass(frozen=True)
class GreedyRules:
    """What may be written, of what decoding options ask for.

    Attributes:
        vocabulary_size: V.
        max_length: Most tokens.
        filters: Their shortest length, repeated n-grams and end words are kept to; wishes are not known here.
    """

    vocabulary_size: int
    max_length: int
    filters: Filters

    @classmethod
    def of(cls, options: DecodingOptions, filters: Filters, vocabulary_size: int) -> GreedyRules:
        """Take what concerns greedy decoding."""
        return cls(vocabulary_size, options.max_length, filters)

    def ends_badly(self, token_ids: Any) -> Any:
        """Tell which tokens must not be the last: ids of any shape → bool of that shape."""
        return tf.gather(self._column(self.filters.end_words), token_ids)

    def strike(self, scores: Any, token_ids: Any, place: Any, last: Any) -> Any:
        """Set to -inf what may not be written next.

        Args:
            scores: Log-probabilities (B, V).
            token_ids: What is written, (B, T), filled with 0 from ``place`` on.
            place: Number of tokens written, int32 ().
            last: The token before, (B,).
        """
        may_end = tf.logical_and(place >= self.filters.min_length, ~self.ends_badly(last))
        struck = tf.logical_or(
            self._column(NEVER_WRITTEN)[None],
            tf.logical_and(self._column((END_ID,))[None], ~may_end[:, None]),
        )
        if self.filters.end_words:
            in_last_place = tf.equal(place, self.max_length - 1)
            struck = tf.logical_or(
                struck, tf.logical_and(in_last_place, self._column(self.filters.end_words))
            )
        return self._strike_repeats(tf.where(struck, np.float32(_NEVER), scores), token_ids, place)

    def _strike_repeats(self, scores: Any, token_ids: Any, place: Any) -> Any:
        size = self.filters.no_repeat_ngram
        places = self.max_length - size + 1  # at which an n-gram can begin
        if not size or places < 1:
            return scores
        last_token = token_ids[:, size - 1 :]
        repeated = tf.range(places)[None] + (size - 1) < place
        begun = tf.maximum(place - (size - 1), 0)
        for offset in range(size - 1):
            now = tf.gather(token_ids, tf.minimum(begun + offset, self.max_length - 1), axis=1)[:, None]
            repeated = tf.logical_and(repeated, tf.equal(token_ids[:, offset : offset + places], now))
        rows = tf.broadcast_to(tf.range(tf.shape(token_ids)[0])[:, None], tf.shape(last_token))
        limits = tf.where(
            tf.broadcast_to(repeated, tf.shape(last_token)), np.float32(_NEVER), np.float32(np.inf)
        )
        return tf.tensor_scatter_nd_min(scores, tf.stack([rows, last_token], axis=-1), limits)

    def _column(self, token_ids: Any) -> Any:
        known = np.zeros(self.vocabulary_size, np.bool_)
        known[list(token_ids)] = True
        return tf.constant(known)


def write_greedily(
    step: Step, state: dict[str, Any], images: Any, rules: GreedyRules
) -> tuple[Any, Any, Any]:
    """Write a caption for each image.

    Args:
        step: The decoder.
        state: Before the first token, name → (B, ...).
        images: B, int32 ().
        rules: What may be written.

    Returns:
        Token ids int32 (B, ``max_length``), filled with 0; lengths int32 (B,); log-probabilities of the
        captions, float32 (B,), with that of the end marker where it was written.
    """
    columns = tf.range(rules.max_length)[None]

    def go_on(place: Any, _: Any, written: dict[str, Any], __: Any) -> Any:
        return tf.logical_and(place < rules.max_length, tf.reduce_any(written["going_on"]))

    def write(place: Any, last: Any, written: dict[str, Any], state: Any) -> Any:
        scores, state = step(last, state)
        scores = rules.strike(scores, written["token_ids"], place, last)
        chosen = tf.argmax(scores, axis=-1, output_type=tf.int32)
        logs = tf.gather(scores, chosen, batch_dims=1)
        possible = tf.logical_and(written["going_on"], logs > _NEVER)
        ends = tf.logical_and(possible, tf.equal(chosen, END_ID))
        going_on = tf.logical_and(possible, ~ends)
        here = tf.equal(columns, place)
        after = {
            "token_ids": tf.where(here & going_on[:, None], chosen[:, None], written["token_ids"]),
            "logs": tf.where(here & possible[:, None], logs[:, None], written["logs"]),
            "lengths": written["lengths"] + tf.cast(going_on, tf.int32),
            "ended": written["ended"] | ends,
            "going_on": going_on,
        }
        return place + 1, tf.where(going_on, chosen, END_ID), after, state

    nothing = {
        "token_ids": tf.zeros((images, rules.max_length), tf.int32),
        "logs": tf.zeros((images, rules.max_length)),
        "lengths": tf.zeros((images,), tf.int32),
        "ended": tf.zeros((images,), tf.bool),
        "going_on": tf.ones((images,), tf.bool),
    }
    begun = (tf.constant(0), tf.fill((images,), START_ID), nothing, state)
    _, _, written, _ = tf.while_loop(go_on, write, begun)
    lengths = tf.where(written["ended"], written["lengths"], _cut_back(written, rules))
    token_ids = tf.where(columns < lengths[:, None], written["token_ids"], 0)
    counted = columns < (lengths + tf.cast(written["ended"], tf.int32))[:, None]
    return token_ids, lengths, tf.reduce_sum(tf.where(counted, written["logs"], 0.0), axis=1)


def _cut_back(written: dict[str, Any], rules: GreedyRules) -> Any:
    """Return how much to keep of captions that could not go on: they must not stop at an end word."""
    columns = tf.range(rules.max_length)[None]
    good = (columns < written["lengths"][:, None]) & ~rules.ends_badly(written["token_ids"])
    return tf.reduce_max(tf.where(good, columns + 1, 0), axis=1)
