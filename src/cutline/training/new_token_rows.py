"""Where tokens that a trained decoder does not know begin: at what it would have said in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from keras import ops
from numpy.typing import NDArray

from cutline.data.batches import CaptionTable
from cutline.models.decoders import Decoder
from cutline.models.new_tokens import with_blended_tokens
from cutline.models.sessions import assign_arrays, decoder_arrays
from cutline.progress import Stage
from cutline.text import Vocabulary
from cutline.text.vocabulary import SPECIALS
from cutline.training.trainer import Batches, plain_errors

PASSES: Final = 4
"""How often captions are read: twice in each of two rounds."""

_SAMPLE: Final = 2000
_EACH: Final = 5
_STEPS: Final = 50
_TINY: Final = 1e-12
_CELLS: Final = 8_000_000
"""Places times new tokens whose odds are kept at once, 64 MB; of more places some are left out."""

Floats = NDArray[np.float64]


def captions_to_read(
    table: CaptionTable, vocabulary: Vocabulary, known: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose captions that tell where the tokens from ``known`` on belong.

    Args:
        table: The train captions.
        vocabulary: With the new tokens.
        known: How many tokens are not new.
        seed: Of the choice.

    Returns:
        2,000 captions at random, or all; and those beside them that new tokens need to come in five captions,
        or in all that hold them.
    """
    order = np.random.default_rng(seed).permutation(len(table))
    seen: dict[int, int] = {}
    more = []
    for count, place in enumerate(order.tolist()):
        new = {one for token in table.texts[place].split(" ") if (one := vocabulary.id_of(token)) >= known}
        if count < _SAMPLE or any(seen.get(one, 0) < _EACH for one in new):
            for one in new:
                seen[one] = seen.get(one, 0) + 1
            if count >= _SAMPLE:
                more.append(place)
    return order[:_SAMPLE], np.array(more, np.int64)


def begin_new_tokens(
    decoder: Decoder,
    known: int,
    counts: Sequence[int],
    batches: Callable[[], Batches],
    sample: Callable[[], Batches],
    stage: Stage,
) -> None:
    """Give tokens that were added to a trained decoder rows that fit their places in captions.

    The decoder reads captions. Where a new token comes next, it says which known ones it would have expected,
    markers and the unknown token aside: their rows, weighted by the mean of these probabilities, are those of
    the new token. Biases are then such that new tokens are expected as often as they come. A second round
    reads the captions with the rows of the first.

    Args:
        decoder: With any rows for the V - ``known`` new tokens; they and nothing else are changed.
        known: Tokens that it was trained with, the first ones.
        counts: Occurrences of each of the V tokens as a target in all captions.
        batches: Gives batches of captions as in teacher forcing: ``((features, inputs), targets, weights)``.
            Tokens that they do not hold keep their rows, and get a bias.
        sample: Gives batches of captions, one at least, in which tokens are as frequent as in all.
        stage: Advanced once per batch.

    Raises:
        FeatureStoreError: The features cannot be read.
        MemoryError: A batch does not fit.
    """
    added = len(counts) - known
    with plain_errors():
        places = sum(int(np.count_nonzero(weights)) for _, _, weights in sample())
    for _ in range(PASSES // 2):
        shares = np.zeros((added, known), np.float32)
        for logits, targets in _read(decoder, batches(), stage):
            new = targets >= known
            chances = _softmax(logits[new, len(SPECIALS) : known])
            np.add.at(shares[:, len(SPECIALS) :], targets[new] - known, chances)
        found = np.flatnonzero(shares.sum(axis=1))
        assign_arrays(decoder, with_blended_tokens(decoder_arrays(decoder), known + found, shares[found]))
        # Drawn: of captions of one length every so-manieth place would always be the same word of each.
        chance, kept = np.random.default_rng(0), min(1.0, _CELLS / (places * added))
        odds = [
            _odds(logits[chance.random(len(logits)) < kept], known)
            for logits, _ in _read(decoder, sample(), stage)
        ]
        missing = _missing_bias(np.concatenate(odds), np.asarray(counts[known:], np.float64) / sum(counts))
        decoder.predict_token.bias.assign_add(np.append(np.zeros(known), missing).astype(np.float32))


def _read(decoder: Decoder, batches: Batches, stage: Stage) -> Iterator[tuple[Floats, NDArray[np.int32]]]:
    """Yield logits (N, V) and targets (N,) of batches of captions, without padding."""
    with plain_errors():
        for inputs, targets, weights in batches:
            words = np.asarray(weights) > 0
            logits = ops.convert_to_numpy(ops.cast(decoder(inputs, training=False), "float32"))
            yield logits[words].astype(np.float64), np.asarray(targets)[words]
            stage.advance(1)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _odds(logits: Floats, known: int) -> Floats:
    """Return the log of how probable each new token is, in proportion to all known ones: (N, V - known)."""
    old, new = np.split(logits, [known], axis=1)
    highest = old.max(axis=1, keepdims=True)
    return np.asarray(new - highest - np.log(np.exp(old - highest).sum(axis=1, keepdims=True)))


def _missing_bias(odds: Floats, shares: Floats) -> Floats:
    """Return what to add to ``odds`` (N, M) for tokens to have the mean probabilities ``shares`` (M,).

    Iterative scaling as in Darroch and Ratcliff ("Generalized Iterative Scaling for Log-Linear Models", The
    Annals of Mathematical Statistics, 1972), known tokens being what stays as it is. The error shrinks with
    each of the 50 steps to about the share of all new tokens together.
    """
    found = np.zeros(len(shares))
    for _ in range(_STEPS):
        scaled = np.exp(odds + found)
        mean = (scaled / (1 + scaled.sum(axis=1, keepdims=True))).mean(axis=0)
        found += np.log(np.maximum(shares, _TINY) / np.maximum(mean, _TINY))
    return found
