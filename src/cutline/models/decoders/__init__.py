"""Decoders: LSTMs that turn features and the tokens so far into scores for the next token.

A decoder is a Keras model with three entry points that share every weight:

- ``decoder((features, token_ids))`` → logits (B, T, V): teacher forcing, all steps at once;
- ``decoder.start(features)`` → state: everything that is computed once per image;
- ``decoder.step(token_ids, state)`` → logits (B, V) and the next state: captioning.

Each is one file named after it; importing this package loads Keras.
"""

from __future__ import annotations

from cutline.models.decoders import attend, merge, show_tell, up_down
from cutline.models.decoders.base import DECODERS, Decoder, build_decoder, require_attention, require_features

__all__ = [
    "DECODERS",
    "Decoder",
    "attend",
    "build_decoder",
    "merge",
    "require_attention",
    "require_features",
    "show_tell",
    "up_down",
]
