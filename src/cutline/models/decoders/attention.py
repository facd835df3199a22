"""What the decoders with attention share: looking at the regions of an image anew for every word.

Additive attention is Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and
Translate", 2015 (arXiv:1409.0473). Whatever does not depend on the word before is computed once per image
(values and keys of the regions) or once per caption (the words' part of the LSTM's gates); a step only does
what is left.

With ``decoder.sentinel`` attention may also rest on what the LSTM remembers, for words that no region shows:
the visual sentinel of Lu et al., "Knowing When to Look: Adaptive Attention via a Visual Sentinel for Image
Captioning", CVPR 2017 (arXiv:1612.01887).
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from cutline.models.decoders.base import Decoder, State, Tensor, of_rows, require_features

_TINY = 1e-6


class Memory(NamedTuple):
    """What is known of B images, each of R regions, before the first word.

    Attributes:
        values: (B, R, H), what is read from a region.
        keys: (B, R, A), by what a region is found.
        overview: (B, H), mean of the values.
    """

    values: Tensor
    keys: Tensor
    overview: Tensor


class RecurrentState(NamedTuple):
    """What a decoder carries from word to word.

    Attributes:
        lstm: ``h`` and ``c`` (B, H) of each LSTM, the lowest first.
        context: (B, H), what was read from the regions for the last word.
        weights: (B, R), how much each region was looked at for it; they sum to 1, or with a sentinel to 1
            less its share.
    """

    lstm: tuple[Tensor, ...]
    context: Tensor
    weights: Tensor


class AdditiveAttention(keras.layers.Layer):
    """Weights for regions: softmax over ``energy · tanh(key + query)``."""

    def __init__(self, units: int, seed: int, name: str, sentinel_seed: int | None = None) -> None:
        """Take the width A of keys and queries; with a seed for its key, a sentinel can be looked at too."""
        super().__init__(name=name)
        initial = keras.initializers.GlorotUniform
        self.query = keras.layers.Dense(
            units, use_bias=False, kernel_initializer=initial(seed=seed), name="query"
        )
        self.energy = keras.layers.Dense(
            1, use_bias=False, kernel_initializer=initial(seed=seed + 1), name="energy"
        )
        if sentinel_seed is not None:
            self.sentinel_key = keras.layers.Dense(
                units, kernel_initializer=initial(seed=sentinel_seed), name="sentinel_key"
            )

    def call(self, hidden: Tensor, memory: Memory, sentinel: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Hidden state (B, H), sentinel (B, H) → the context (B, H) and the weights of the regions (B, R)."""
        values, keys = memory.values, memory.keys
        if sentinel is not None:
            # To attention the sentinel is one more region, the last.
            values = ops.concatenate([values, ops.expand_dims(sentinel, axis=1)], axis=1)
            keys = ops.concatenate([keys, ops.expand_dims(self.sentinel_key(sentinel), axis=1)], axis=1)
        query = ops.expand_dims(self.query(hidden), axis=1)
        energies = ops.squeeze(self.energy(ops.tanh(keys + query)), axis=-1)
        weights = ops.softmax(energies, axis=-1)
        context = ops.squeeze(ops.matmul(ops.expand_dims(weights, axis=1), values), axis=1)
        return context, weights if sentinel is None else weights[:, :-1]


class AttentionDecoder(Decoder):
    """Base of the decoders with attention; subclasses say how the LSTMs are wired.

    Subclasses set ``lstms``, the number of LSTMs, and write :meth:`make_recurrence` and :meth:`advance`.
    """

    lstms: ClassVar[int]
    needs_regions = True

    def __init__(self, *arguments: Any) -> None:
        """Make the layers; arguments as :class:`Decoder`."""
        super().__init__(*arguments)
        require_features(self.options.name, "grid" if len(self.feature_shape) == 2 else "pooled")
        options, units = self.options, self.options.lstm_units
        self.project_regions = self.dense(units, "project_regions", use_bias=False)
        self.region_bias = self.add_weight(shape=(units,), initializer="zeros", name="region_bias")
        self.drop_features = self.dropout(options.feature_dropout, "drop_features")
        self.make_keys = self.dense(options.attention_units, "make_keys")
        self.attention = AdditiveAttention(
            options.attention_units,
            self.next_seed(),
            "attention",
            self.optional_seed() if options.sentinel else None,
        )
        self.next_seed()
        self.begin = self.dense(2 * self.lstms * units, "begin")
        self.embed = self.embedding()
        self.drop_words = self.dropout(options.embedding_dropout, "drop_words")
        self.word_gates = self.dense(4 * units, "word_gates")
        self.make_recurrence()
        if options.sentinel:
            self.sentinel_words = self.dense(units, "sentinel_words", seed=self.optional_seed())
            self.sentinel_state = self.dense(
                units, "sentinel_state", use_bias=False, seed=self.optional_seed()
            )
        self.drop_output = self.dropout(options.dropout, "drop_output")
        self.read_hidden = self.dense(options.embedding_units, "read_hidden")
        self.read_context = self.dense(options.embedding_units, "read_context", use_bias=False)
        self.predict_token = self.dense(self.vocabulary_size, "predict_token")

    def make_recurrence(self) -> None:
        """Make the layers that :meth:`advance` needs."""
        raise NotImplementedError

    def advance(self, word: Tensor, memory: Memory, state: RecurrentState) -> RecurrentState:
        """Read one word (what :meth:`read_words` made of it) and look at the image."""
        raise NotImplementedError

    def read_words(self, words: Tensor) -> Tensor:
        """Compute what follows from words alone: embeddings (..., E) → the words' part of all gates.

        Returns:
            (..., 4H) for the gates of the first LSTM; with a sentinel (..., 5H), its gate behind them. One
            tensor, because a loop over several needs to know how long captions are.
        """
        gates = self.word_gates(words)
        if not self.options.sentinel:
            return gates
        return ops.concatenate([gates, self.sentinel_words(words)], axis=-1)

    def lstm_part(self, word: Tensor) -> Tensor:
        """Return the word's part of the first LSTM's gates, (B, 4H)."""
        return word[..., : 4 * self.options.lstm_units] if self.options.sentinel else word

    def look(
        self, hidden: Tensor, memory: Memory, word: Tensor, before: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Look at the image, or away from it.

        Args:
            hidden: (B, H), what asks for a region.
            memory: Of B images.
            word: As :meth:`advance`.
            before: Hidden states before the word, side by side: the rest of the sentinel's gate.
            cell: (B, H), the memory that the sentinel shows a part of.

        Returns:
            The context (B, H) and the weights of the regions (B, R).
        """
        if not self.options.sentinel:
            return self.attention(hidden, memory)
        word_part = word[..., 4 * self.options.lstm_units :]
        gate = ops.sigmoid(word_part + self.sentinel_state(before))
        return self.attention(hidden, memory, gate * ops.tanh(cell))

    def remember(self, features: Tensor, training: bool = False) -> Memory:
        """Compute once per image what every step needs: features (B, R, D) → :class:`Memory`."""
        # Encoders differ in scale; making the whole image's length 1 keeps strong regions strong. It is done
        # behind the projection, which is linear, because there the numbers are fewer.
        size = ops.sqrt(ops.mean(ops.square(features), axis=(1, 2), keepdims=True) + _TINY)
        values = ops.relu(
            self.project_regions(features) / ops.cast(size, self.compute_dtype) + self.region_bias
        )
        values = self.drop_features(values, training=training)
        return Memory(values, self.make_keys(values), ops.mean(values, axis=1))

    def decode(self, memory: Memory, token_ids: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Teacher forcing from what is remembered of the images.

        Args:
            memory: Of B images.
            token_ids: int32 (B, T).
            training: Whether to drop.

        Returns:
            Logits (B, T, V) and weights of the regions (B, T, R).
        """
        tokens = self.drop_tokens(token_ids, training=training)
        words = self.drop_words(self.embed(tokens), training=training)
        read_words = ops.transpose(self.read_words(words), (1, 0, 2))

        def read(state: RecurrentState, word: Tensor) -> tuple[RecurrentState, RecurrentState]:
            state = self.advance(word, memory, state)
            return state, state

        _, states = ops.scan(read, self.first(memory), read_words)
        hidden = ops.transpose(states.lstm[-2], (1, 0, 2))
        context = ops.transpose(states.context, (1, 0, 2))
        return self.score(words, hidden, context, training), ops.transpose(states.weights, (1, 0, 2))

    def first(self, memory: Memory) -> RecurrentState:
        """Return the state before the first word."""
        parts = ops.split(self.begin(memory.overview), 2 * self.lstms, axis=-1)
        # Hidden states lie between -1 and 1, cells anywhere.
        lstm = tuple(ops.tanh(part) if place % 2 == 0 else part for place, part in enumerate(parts))
        return RecurrentState(lstm, ops.zeros_like(memory.overview), ops.zeros_like(memory.keys[..., 0]))

    def score(self, words: Tensor, hidden: Tensor, context: Tensor, training: bool = False) -> Tensor:
        """Score the next token by the word read, the LSTM's state and the context (the "deep output")."""
        hidden = self.drop_output(hidden, training=training)
        context = self.drop_output(context, training=training)
        mixed = self.read_hidden(hidden) + self.read_context(context) + words
        return self.predict_token(self.drop_output(mixed, training=training))

    def call(self, inputs: tuple[Tensor, ...], training: bool = False, with_weights: bool = False) -> Tensor:
        """Score every next token: features (B, R, D), token ids (B, T) → logits (B, T, V).

        With ``with_weights`` the weights of the regions (B, T, R) are returned beside the logits.
        """
        features, token_ids, *rows = inputs
        memory = Memory(*(of_rows(part, rows) for part in self.remember(features, training)))
        logits, weights = self.decode(memory, token_ids, training)
        return (logits, weights) if with_weights else logits

    def start(self, features: Tensor) -> State:
        """Remember the images: features (B, R, D) → values, keys, then the recurrent state."""
        memory = self.remember(features)
        first = self.first(memory)
        return [memory.values, memory.keys, *first.lstm, first.context, first.weights]

    def step(self, token_ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token: ids (B,) → logits (B, V) and the next state."""
        values, keys, *lstm, context, weights = state
        words = self.embed(token_ids)
        # The overview is only needed before the first word.
        memory = Memory(values, keys, context)
        next_state = self.advance(
            self.read_words(words), memory, RecurrentState(tuple(lstm), context, weights)
        )
        logits = self.score(words, next_state.lstm[-2], next_state.context)
        return logits, [values, keys, *next_state.lstm, next_state.context, next_state.weights]

    def attention_weights(self, state: State) -> Tensor:
        """Return how much each region was looked at for the word that the last step scored, (B, R).

        The weights sum to 1; with ``decoder.sentinel`` what is missing from 1 is the sentinel's share, by how
        much the decoder looked away.
        """
        return state[-1]


def lstm_gates(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Turn the summed inputs of the gates (B, 4H) and the cell (B, H) into the next ``h`` and ``c``.

    Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000; order as in Keras: input,
    forget, candidate, output. The forget gate starts open (bias 1).
    """
    enter, forget, candidate, leave = ops.split(gates, 4, axis=-1)
    c = ops.sigmoid(forget + 1.0) * c + ops.sigmoid(enter) * ops.tanh(candidate)
    return ops.sigmoid(leave) * ops.tanh(c), c
