"""Sampling: the next token is drawn from the model's own distribution, or a narrower one.

The samples of an image are spread evenly: at each place of the caption, sample by sample, the random numbers
fall into S equal parts of 0..1, in random order (Latin hypercube sampling: McKay, Beckman and Conover, 1979).
Each sample alone is an honest draw; together they show its range with fewer of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.filters import NO_FILTERS, Filters
from cutline.decoding.narrowing import AS_IT_IS, Narrowing
from cutline.decoding.rules import Rules
from cutline.decoding.step_model import DecodeResult, State, StepModel
from cutline.decoding.written import Written
from cutline.errors import ConfigError

_BLOCK: Final = 64


def sample(
    model: StepModel[State],
    features: NDArray[Any],
    start_id: int,
    end_id: int,
    max_length: int,
    samples: int = 1,
    seed: int = 0,
    forbidden: Sequence[int] = (),
    filters: Filters = NO_FILTERS,
    narrowing: Narrowing = AS_IT_IS,
) -> list[list[DecodeResult]]:
    """Draw captions for each image, all images and samples side by side.

    The random numbers depend on the seed, the number of samples and the place in the caption, and not on the
    image: what is drawn for an image does not depend on the images beside it.

    Args:
        model: Gives log-probabilities; see :class:`StepModel`.
        features: What the encoder gave for B images, (B, ...); B may be 0.
        start_id: The token a caption starts from.
        end_id: The token that ends a caption.
        max_length: Most tokens in a caption; one that gets there is returned as it is, without the end
            marker in its log-probability.
        samples: Captions drawn for each image, 1 or more; the same one may come twice.
        seed: Of the random numbers, 0 or more.
        forbidden: Ids never drawn; the probabilities of the others are scaled up to sum to 1, and
            log-probabilities are those of the model all the same.
        filters: Further limits, in the same way; every caption keeps to them.
        narrowing: Temperature, and which of the tokens are drawn at all. Log-probabilities are those of the
            model all the same.

    Returns:
        For each image, in order, its samples in the order of their numbers.

    Raises:
        ConfigError: A number is out of range, the end marker is forbidden, or filters contradict each other.
    """
    rules = Rules(filters, end_id, max_length, forbidden)
    if samples < 1:
        raise ConfigError(f"samples is {samples}; it must be 1 or more")
    images = len(features)
    if images == 0:
        return []
    draws = _spread(samples, max_length, seed)
    captions = Written(images * samples, max_length)
    # The features are read once; the state of an image is then repeated for each of its samples.
    state = model.reorder(model.start(features), captions.rows // samples)
    last = np.full(len(captions.rows), start_id, np.int32)
    for place in range(max_length):
        log_probabilities, state = model.step(last, state)
        log_probabilities = np.array(log_probabilities, np.float32)
        rules.strike(log_probabilities, captions.tokens)
        drawn = _draw(narrowing.apply(log_probabilities), draws[captions.rows % samples, place])
        going_on = captions.add(drawn, log_probabilities[np.arange(len(drawn)), drawn], end_id)
        if not len(going_on):
            break
        # Captions that are done cost nothing from here on.
        if len(going_on) < len(last):
            state = model.reorder(state, going_on)
        last = captions.last
    found = captions.results(rules)
    return [found[at : at + samples] for at in range(0, len(found), samples)]


def _spread(samples: int, places: int, seed: int) -> NDArray[np.float64]:
    """Return random numbers (S, T), 0..1; those of a place lie in different S-ths of that range."""
    source = np.random.default_rng(seed)
    parts = np.stack([source.permutation(samples) for _ in range(places)], axis=1)
    return (parts + source.random((samples, places))) / samples


def _draw(log_probabilities: NDArray[np.float32], draws: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return per row the first id at which the summed probability passes ``draws`` (B,), 0 <= draw < 1."""
    count, size = log_probabilities.shape
    blocks = np.zeros((count, -(-size // _BLOCK) * _BLOCK), np.float32)
    blocks[:, :size] = np.exp(log_probabilities)
    # Adding up a whole row one by one is slow: first the block is found, then the token in it.
    blocks = blocks.reshape(count, -1, _BLOCK)
    rows, summed = np.arange(count), blocks.sum(axis=2, dtype=np.float64).cumsum(axis=1)
    wanted = draws * summed[:, -1]
    block = _first_above(summed, wanted)
    before = np.where(block > 0, summed[rows, block - 1], 0.0)
    inside = blocks[rows, block].cumsum(axis=1, dtype=np.float64)
    return block * _BLOCK + _first_above(inside, wanted - before)


def _first_above(summed: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return per row the first place above ``wanted``, and the last rise where rounding left none above."""
    places: NDArray[np.int64] = np.minimum((summed <= wanted[:, None]).sum(axis=1), summed.argmax(axis=1))
    return places
