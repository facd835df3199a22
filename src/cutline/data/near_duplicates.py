"""Finding images that look alike among many, without comparing all with all.

Every image gets a code of 64 bits that hardly changes when the image is scaled, compressed again or made
brighter. Codes that differ in few bits are found by multi-index hashing (Norouzi, Punjani and Fleet, "Fast
Search in Hamming Space with Multi-Index Hashing", CVPR 2012): cut into four bands of 16 bits, two codes
that differ in at most ``d`` bits differ in at most ``d // 4`` bits of one band, so that only codes that share
such a band are compared.

What is wanted are groups, not pairs, of which a thousand frames of a film have half a million: the nearest
codes come first, and those that are in one group already are not compared again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

HASHED_SIZE: Final = (32, 32)
"""(height, width) in pixels of the pictures that :func:`perceptual_hashes` takes."""

_BITS: Final = 64
_BANDS: Final = 4
_BAND_BITS: Final = _BITS // _BANDS
_LOWEST: Final = 8
LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
"""Shares of red, green and blue in grey."""

_RADII: Final = (0, 3, 7, 11, 15)
_COMPARED_AT_ONCE: Final = 1 << 20
_ASKED_AT_ONCE: Final = 1 << 10
MOST_REFUSED: Final = 100
"""Refusals after which a code is no longer compared with others that had as many."""

_PROJECTION_SEED: Final = 0

Agree: TypeAlias = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
"""From P pairs of positions, int64 (P, 2), to whether the two are to be joined, bool (P,)."""


def _cosines() -> NDArray[np.float32]:
    """Return the first rows of the orthonormal type-II cosine transform, (8, 32)."""
    size = HASHED_SIZE[0]
    rows, columns = np.arange(_LOWEST)[:, None], np.arange(size)[None, :]
    table: NDArray[np.float64] = np.sqrt(2 / size) * np.cos(np.pi * (2 * columns + 1) * rows / (2 * size))
    table[0] /= np.sqrt(2)
    return table.astype(np.float32)


_COSINES: Final = _cosines()


def perceptual_hashes(pictures: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Describe each picture by 64 bits: which of its coarsest waves are stronger than their median.

    The pHash of Zauner ("Implementation and Benchmarking of Perceptual Image Hash Functions", 2010): the
    8 × 8 lowest frequencies of the cosine transform of the grey picture, each compared with their median.

    Args:
        pictures: uint8 (N, 32, 32, 3), RGB.

    Returns:
        uint64 (N,).

    Example:
        >>> picture = np.random.default_rng(0).integers(0, 200, (1, 32, 32, 3), np.uint8)
        >>> int(np.bitwise_count(perceptual_hashes(picture) ^ perceptual_hashes(picture + 40))[0])
        0
    """
    grey = pictures.astype(np.float32) @ LUMA
    waves = (_COSINES @ grey @ _COSINES.T).reshape(len(pictures), _BITS)
    # The first one is the brightness, which must not move the median.
    waves[:, 0] = 0
    return _packed(waves > np.median(waves, axis=1, keepdims=True))


def directions(features: NDArray[np.floating], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features seen from their mean, as vectors of length 1, so that dot products are cosines.

    Args:
        features: Numbers (N, D).
        mean: float32 (D,), the mean over all images, of which these may be a part.

    Returns:
        float32 (N, D); a row at the mean is all zeros.
    """
    centred: NDArray[np.float32] = np.asarray(features, np.float32) - mean
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return centred


def projection_hashes(features: NDArray[np.floating]) -> NDArray[np.uint64]:
    """Describe each row of features by the signs of 64 random projections (Charikar, STOC 2002).

    The expected number of bits in which two rows differ is 64 times their angle in half turns.

    Args:
        features: Numbers (N, D); centred, or else all of them lie in one direction.

    Returns:
        uint64 (N,), the same for the same features at any time.
    """
    chance = np.random.default_rng(_PROJECTION_SEED)
    directions = chance.standard_normal((features.shape[1], _BITS), np.float32)
    return _packed(np.asarray(features, np.float32) @ directions > 0)


def near_groups(
    codes: NDArray[np.uint64],
    distance: int,
    agree: Agree | None = None,
    known: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Join what has codes that differ in at most ``distance`` bits: all that is near the same is one group.

    The nearest come first, and two that are in the same group are not asked about. Where very many codes are
    near each other and ``agree`` refuses nearly all of them, no more is asked about two that were both
    refused :data:`MOST_REFUSED` times at about that distance; so the time grows with N, not with its square.

    Args:
        codes: uint64 (N,).
        distance: Bits, 0 to 15.
        agree: Looks closer at near pairs; all are joined without it.
        known: Groups that are there already, as this function returns them.

    Returns:
        int64 (N,): for each position the first one of its group, which is itself for those that are alone.

    Example:
        >>> near_groups(np.array([0b1111, 0b0000, 0b0111], np.uint64), 1).tolist()
        [0, 1, 0]
    """
    if not 0 <= distance < _BANDS * 4:
        raise ValueError(f"a distance of {distance} bits; allowed are 0 to {_BANDS * 4 - 1}")
    joining = _Joining(np.arange(len(codes)) if known is None else known.copy(), agree)
    nearer = -1
    for radius in sorted({min(radius, distance) for radius in _RADII}):
        joining.refused[:] = 0
        for pairs in _near_pairs(codes, (nearer, radius), joining):
            joining.settle(pairs)
        nearer = radius
    return joining.first


class _Joining:
    """Groups that grow, and how often joining was refused.

    Attributes:
        first: int64 (N,): the first position of each one's group.
        refused: int64 (N,): how often each one was refused lately.
        changes: Rises with every change of the two.
    """

    def __init__(self, first: NDArray[np.int64], agree: Agree | None) -> None:
        self.first = first
        self.refused = np.zeros(len(first), np.int64)
        self.changes = 0
        self._agree = agree

    def is_open(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which pairs are worth a look: neither joined nor hopeless."""
        hopeless = np.minimum(self.refused[left], self.refused[right]) >= MOST_REFUSED
        open_pairs: NDArray[np.bool_] = (self.first[left] != self.first[right]) & ~hopeless
        return open_pairs

    def settle(self, pairs: NDArray[np.int64]) -> None:
        """Look at pairs, some at a time, so that what the first of them join is not asked about again."""
        for at in range(0, len(pairs), _ASKED_AT_ONCE):
            some = pairs[at : at + _ASKED_AT_ONCE]
            some = some[self.is_open(*some.T)]
            if not len(some):
                continue
            agreed = np.ones(len(some), np.bool_) if self._agree is None else self._agree(some)
            self.refused += np.bincount(some[~agreed].ravel(), minlength=len(self.first))
            self._join(some[agreed])
            self.changes += 1

    def _join(self, pairs: NDArray[np.int64]) -> None:
        while (apart := self.first[pairs[:, 0]] != self.first[pairs[:, 1]]).any():
            pairs = pairs[apart]
            firsts = self.first[pairs]
            np.minimum.at(self.first, firsts, firsts.min(axis=1, keepdims=True))
            while ((further := self.first[self.first]) != self.first).any():
                self.first = further


def _near_pairs(
    codes: NDArray[np.uint64], ring: tuple[int, int], joining: _Joining
) -> Iterator[NDArray[np.int64]]:
    """Yield the pairs that differ in more bits than the first number and at most the second, each once.

    Args:
        codes: uint64 (N,).
        ring: The two numbers.
        joining: Which pairs need not be looked at; it may change from one result to the next.

    Yields:
        int64 (P, 2), the smaller position first.
    """
    nearer, radius = ring
    masks = _flips(radius // _BANDS)
    for band in range(_BANDS if radius else 1):
        buckets = _Buckets(_band(codes, band), joining)
        for mask in masks:
            for left, right in buckets.probe(mask):
                differing = codes[left] ^ codes[right]
                bits = np.bitwise_count(differing)
                near = (bits > nearer) & (bits <= radius) & joining.is_open(left, right)
                # A pair that shares several bands was found by the first of them.
                for earlier in range(band):
                    near[near] = np.bitwise_count(_band(differing[near], earlier)) > radius // _BANDS
                if near.any():
                    yield np.column_stack([left[near], right[near]])


def _band(codes: NDArray[np.uint64], band: int) -> NDArray[np.int64]:
    values: NDArray[np.int64] = ((codes >> np.uint64(band * _BAND_BITS)) & np.uint64(0xFFFF)).astype(np.int64)
    return values


class _Buckets:
    """Positions by the value of one band of their codes."""

    def __init__(self, values: NDArray[np.int64], joining: _Joining) -> None:
        self._values, self._joining = values, joining
        self._order = np.argsort(values, kind="stable")
        self._sizes = np.bincount(values, minlength=1 << _BAND_BITS)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._filled = np.flatnonzero(self._sizes)
        self._only_group = np.full(len(self._sizes), -1)
        self._hopeless = np.zeros(len(self._sizes), np.bool_)
        self._seen = -1

    def probe(self, mask: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield positions beside later ones whose values differ from theirs by a mask, some at a time."""
        probed = self._values ^ mask
        todo = self._with_open(np.arange(len(probed)), probed)
        while len(todo):
            ends = np.cumsum(self._sizes[probed[todo]])
            stop = max(1, int(np.searchsorted(ends, _COMPARED_AT_ONCE)))
            now, counts = todo[:stop], self._sizes[probed[todo[:stop]]]
            left = np.repeat(now, counts)
            within = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
            right = self._order[np.repeat(self._starts[probed[now]], counts) + within]
            later = right > left
            yield left[later], right[later]
            todo = self._with_open(todo[stop:], probed)

    def _with_open(self, positions: NDArray[np.int64], probed: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions that may have an open pair in the bucket that they probe."""
        if self._seen != self._joining.changes:
            self._look_again()
        bucket = probed[positions]
        joined = self._only_group[bucket] == self._joining.first[positions]
        hopeless = self._hopeless[bucket] & (self._joining.refused[positions] >= MOST_REFUSED)
        found: NDArray[np.int64] = positions[(self._sizes[bucket] > 0) & ~joined & ~hopeless]
        return found

    def _look_again(self) -> None:
        if len(self._filled):
            starts = self._starts[self._filled]
            groups, refused = self._joining.first[self._order], self._joining.refused[self._order]
            lowest = np.minimum.reduceat(groups, starts)
            alone = lowest == np.maximum.reduceat(groups, starts)
            self._only_group[self._filled] = np.where(alone, lowest, -1)
            self._hopeless[self._filled] = np.minimum.reduceat(refused, starts) >= MOST_REFUSED
        self._seen = self._joining.changes


def _flips(bits: int) -> list[int]:
    """Return all numbers of one band that have at most so many bits."""
    return [
        sum(1 << position for position in positions)
        for count in range(bits + 1)
        for positions in combinations(range(_BAND_BITS), count)
    ]


def _packed(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64).reshape(-1)


def members(first: NDArray[np.int64]) -> list[list[int]]:
    """Return the groups of two and more, given as :func:`near_groups` returns them.

    Example:
        >>> members(np.array([0, 1, 0, 1, 4]))
        [[0, 2], [1, 3]]
    """
    order = np.argsort(first, kind="stable")
    starts = np.flatnonzero(np.diff(first[order])) + 1
    return [group.tolist() for group in np.split(order, starts) if len(group) > 1]
