"""A model as TensorFlow functions, what goes in and comes out named; SavedModel and LiteRT are made of them.

With B captions, one for each image:

======================  ==============================================================
start: ``features``     float32 (B, D) or (B, R, D)
``memory_*``            float32 (B, ...), what is known of the images, from start to every step
``state_*``             float32 (B, H), from start to the first step
step: ``token_ids``     int32 (B,), the tokens written last
``log_probabilities``   float32 (B, V), of the next token
``next_*``              float32 (B, H), the ``state_*`` of the next step
``attention``           float32 (B, R), how much each region was looked at; absent without attention
======================  ==============================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import tensorflow as tf

from cutline.models.sessions import KerasSession
from cutline.registry import require_known

Tensors = dict[str, Any]

MEMORY: Final = "memory_"
STATE: Final = "state_"
NEXT: Final = "next_"
SCORES: Final = "log_probabilities"
ATTENTION: Final = "attention"

STATES: Final = {
    "merge": ("image", "h", "c"),
    "show_tell": ("h", "c"),
    "attend": ("h", "c"),
    "up_down": ("h1", "c1", "h2", "c2"),
}
"""Name of a decoder → what its state consists of, in order."""

_MEMORY_OF_REGIONS: Final = ("values", "keys")


class Functions:
    """Encoder, start and step of a bundle's network, to be traced.

    Args:
        session: The network, built by Keras.

    Attributes:
        variables: Of both parts, so that whoever saves a function can keep them.
        memory: Names of what is remembered of images.
        states: Names of the parts of the state.
    """

    def __init__(self, session: KerasSession) -> None:
        """Look up how the state is made up; UnknownNameError for a decoder that is not in :data:`STATES`."""
        decoder = session.decoder
        require_known("decoder with named states", decoder.name, STATES)
        self._encoder, self._decoder = session.encoder, decoder
        self.memory = tuple(MEMORY + name for name in _MEMORY_OF_REGIONS) if decoder.needs_regions else ()
        self.states = tuple(STATE + name for name in STATES[decoder.name])
        self.variables = [variable.value for variable in (*self._encoder.model.variables, *decoder.variables)]

    def encode(self, images: Any) -> Any:
        """Images uint8 (B, H, W, 3) to features (B, ...)."""
        return self._encoder.model(images, training=False)

    def start(self, features: Any) -> Tensors:
        """Features to ``memory_*`` and ``state_*``."""
        # What follows the state tells of the last step, and there was none.
        return dict(zip((*self.memory, *self.states), self._decoder.start(features), strict=False))

    def step(self, token_ids: Any, known: Mapping[str, Any]) -> Tensors:
        """Token ids, ``memory_*`` and ``state_*`` to log-probabilities, ``next_*`` and ``attention``."""
        state = [known[name] for name in (*self.memory, *self.states)]
        if self.memory:
            # Context and weights of the last step, which this one replaces without reading them.
            state += [tf.zeros_like(state[-1]), tf.zeros_like(state[1][..., 0])]
        logits, after = self._decoder.step(token_ids, state)
        found = {SCORES: tf.nn.log_softmax(tf.cast(logits, tf.float32))}
        named = dict(zip((*self.memory, *self.states), after, strict=False))
        found |= {name.replace(STATE, NEXT, 1): named[name] for name in self.states}
        if self.memory:
            found[ATTENTION] = self._decoder.attention_weights(after)
        return found
