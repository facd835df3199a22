"""Finding images that look alike among many, without comparing all with all.

Every image gets a code of 64 bits that hardly changes when the image is scaled, compressed again or made
brighter. Codes that differ in few bits are found by multi-index hashing (Norouzi, Punjani and Fleet, "Fast
Search in Hamming Space with Multi-Index Hashing", CVPR 2012): cut into four bands of 16 bits, two codes
that differ in at most ``d`` bits differ in at most ``d // 4`` bits of one band, so that only codes that share
such a band are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

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

_COMPARED_AT_ONCE: Final = 1 << 22
_EQUAL_PAIRED: Final = 40
_PROJECTION_SEED: Final = 0


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


def near_pairs(codes: NDArray[np.uint64], distance: int) -> NDArray[np.int64]:
    """Return all pairs of codes that differ in at most ``distance`` bits.

    Where more than :data:`_EQUAL_PAIRED` codes are equal, each of them is paired with the first alone, so
    that a thousand copies give a thousand pairs and not half a million.

    Args:
        codes: uint64 (N,).
        distance: Bits, 0 to 15.

    Returns:
        int64 (P, 2), each row two positions in ``codes``, the smaller one first; rows in rising order.

    Example:
        >>> near_pairs(np.array([0b1111, 0b0000, 0b0111], np.uint64), 1).tolist()
        [[0, 2]]
    """
    if not 0 <= distance < _BANDS * 4:
        raise ValueError(f"a distance of {distance} bits; allowed are 0 to {_BANDS * 4 - 1}")
    different, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    found = [first[pairs] for pairs in _near_among(different, distance)]
    groups: list[NDArray[np.int64]] = np.split(
        np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse, minlength=len(different)))[:-1]
    )
    equal = [pairs for group in groups if len(group) > 1 for pairs in [_paired(group)]]
    crossing = [_crossed(pair, groups, inverse) for pairs in found for pair in pairs]
    pairs = np.concatenate([np.empty((0, 2), np.int64), *equal, *crossing])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def _paired(group: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(group) <= _EQUAL_PAIRED:
        return np.array(list(combinations(group.tolist(), 2)), np.int64)
    return np.column_stack([np.full(len(group) - 1, group[0]), group[1:]])


def _crossed(
    pair: NDArray[np.int64], groups: Sequence[NDArray[np.int64]], inverse: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Pair what shares one of two near codes with what shares the other."""
    left, right = (groups[inverse[position]] for position in pair)
    if len(left) * len(right) > _EQUAL_PAIRED**2:
        left = left[:1]
    return np.array([(one, other) for one in left for other in right], np.int64).reshape(-1, 2)


def _near_among(codes: NDArray[np.uint64], distance: int) -> Iterator[NDArray[np.int64]]:
    """Yield pairs of positions in different codes, (P, 2); a pair that shares several bands comes again."""
    masks = _flips(distance // _BANDS)
    for band in range(_BANDS):
        shift = np.uint64(band * _BAND_BITS)
        values = ((codes >> shift) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(values, kind="stable")
        sizes = np.bincount(values, minlength=1 << _BAND_BITS)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        for mask in masks:
            probed = values ^ mask
            yield from _compared(codes, (order, starts[probed], sizes[probed]), distance)


def _flips(bits: int) -> list[int]:
    """Return all numbers of one band that have at most so many bits."""
    return [
        sum(1 << position for position in positions)
        for count in range(bits + 1)
        for positions in combinations(range(_BAND_BITS), count)
    ]


def _compared(
    codes: NDArray[np.uint64],
    bucket: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    distance: int,
) -> Iterator[NDArray[np.int64]]:
    """Compare every code with those in its bucket, given as order, start and size per code."""
    order, starts, sizes = bucket
    ends = np.cumsum(sizes)
    at = 0
    while at < len(codes):
        done = ends[at - 1] if at else 0
        stop = max(at + 1, int(np.searchsorted(ends, done + _COMPARED_AT_ONCE)))
        counts = sizes[at:stop]
        left = np.repeat(np.arange(at, at + len(counts)), counts)
        within = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
        right = order[np.repeat(starts[at:stop], counts) + within]
        later = right > left
        left, right = left[later], right[later]
        near = np.bitwise_count(codes[left] ^ codes[right]) <= distance
        if near.any():
            yield np.column_stack([left[near], right[near]])
        at = stop


def _packed(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64).reshape(-1)


def clusters(pairs: NDArray[np.int64]) -> list[list[int]]:
    """Join pairs into groups: whatever is near the same thing is in the same group.

    Example:
        >>> clusters(np.array([[0, 2], [2, 5], [1, 3]]))
        [[0, 2, 5], [1, 3]]
    """
    leader: dict[int, int] = {}

    def lead(member: int) -> int:
        while leader.setdefault(member, member) != member:
            leader[member] = leader[leader[member]]
            member = leader[member]
        return member

    for left, right in pairs.tolist():
        first, second = sorted((lead(left), lead(right)))
        leader[second] = first
    groups: dict[int, list[int]] = {}
    for member in sorted(leader):
        groups.setdefault(lead(member), []).append(member)
    return list(groups.values())
