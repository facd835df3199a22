"""Where tokens that a trained decoder does not know begin: at what it would have said in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from keras import ops
from numpy.typing import NDArray

from cutline.models.decoders import Decoder
from cutline.models.new_tokens import with_blended_tokens
from cutline.models.sessions import assign_arrays, decoder_arrays
from cutline.text.vocabulary import SPECIALS
from cutline.training.trainer import Batches

_ROUNDS: Final = 2
"""In the second one, captions are read with the rows that new tokens have from the first."""
_STEPS: Final = 50
_TINY: Final = 1e-12

Floats = NDArray[np.float64]


def begin_new_tokens(
    decoder: Decoder, known: int, counts: Sequence[int], batches: Callable[[], Batches]
) -> None:
    """Give tokens that were added to a trained decoder rows that fit their places in the captions.

    The decoder reads captions. Where a new token comes next, it says which known ones it would have expected:
    their rows, weighted by the mean of these probabilities, are those of the new token. Biases are then such
    that new tokens are expected as often as they come.

    Args:
        decoder: With any rows for the V - ``known`` new tokens; they and nothing else are changed.
        known: Tokens that it was trained with, the first ones.
        counts: Occurrences of each of the V tokens as a target in all captions.
        batches: Gives batches of captions, one at least, as in teacher forcing: ``((features, inputs),
            targets, weights)``. Asked twice per round. Tokens that they do not hold keep their rows, and
            get a bias.
    """
    if len(counts) <= known:
        return
    for _ in range(_ROUNDS):
        shares = np.zeros((len(counts) - known, known))
        for logits, targets in _read(decoder, batches()):
            new = targets >= known
            # Markers and the unknown token are no words to be like.
            chances = _softmax(logits[new, len(SPECIALS) : known])
            np.add.at(shares[:, len(SPECIALS) :], targets[new] - known, chances)
        found = np.flatnonzero(shares.sum(axis=1))
        assign_arrays(decoder, with_blended_tokens(decoder_arrays(decoder), known + found, shares[found]))
        odds = np.concatenate([_odds(logits, known) for logits, _ in _read(decoder, batches())])
        missing = _missing_bias(odds, np.asarray(counts[known:], np.float64) / sum(counts))
        decoder.predict_token.bias.assign_add(np.append(np.zeros(known), missing).astype(np.float32))


def _read(decoder: Decoder, batches: Batches) -> Iterator[tuple[Floats, NDArray[np.int32]]]:
    """Yield logits (N, V) and targets (N,) of batches of captions, without padding."""
    for inputs, targets, weights in batches:
        words = np.asarray(weights) > 0
        logits = ops.convert_to_numpy(decoder(inputs, training=False))
        yield logits[words].astype(np.float64), np.asarray(targets)[words]


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _odds(logits: Floats, known: int) -> Floats:
    """Return the log of how probable each new token is, in proportion to all known ones: (N, V - known)."""
    highest = logits[:, :known].max(axis=1, keepdims=True)
    return np.asarray(
        logits[:, known:] - highest - np.log(np.exp(logits[:, :known] - highest).sum(axis=1, keepdims=True))
    )


def _missing_bias(odds: Floats, shares: Floats) -> Floats:
    """Return what to add to ``odds`` (N, M) for tokens to have the mean probabilities ``shares`` (M,).

    Generalised iterative scaling (Darroch and Ratcliff, "Generalized Iterative Scaling for Log-Linear
    Models", The Annals of Mathematical Statistics, 1972).
    """
    found = np.zeros(len(shares))
    for _ in range(_STEPS):
        scaled = np.exp(odds + found)
        mean = (scaled / (1 + scaled.sum(axis=1, keepdims=True))).mean(axis=0)
        found += np.log(np.maximum(shares, _TINY) / np.maximum(mean, _TINY))
    return found
