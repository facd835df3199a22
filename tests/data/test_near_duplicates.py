"""Codes that differ in few bits are found without comparing all with all."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.data.faulty import photo

from cutline.data.images import decode_image
from cutline.data.near_duplicates import (
    HASHED_SIZE,
    clusters,
    near_pairs,
    perceptual_hashes,
    projection_hashes,
)

CODES = st.lists(st.integers(0, 2**64 - 1), max_size=12)
FLIPS = st.lists(st.tuples(st.integers(0, 11), st.sets(st.integers(0, 63), max_size=14)), max_size=12)


def compared_one_by_one(codes: NDArray[np.uint64], distance: int) -> list[list[int]]:
    return [
        [one, other]
        for one in range(len(codes))
        for other in range(one + 1, len(codes))
        if (int(codes[one]) ^ int(codes[other])).bit_count() <= distance
    ]


@given(CODES, FLIPS, st.integers(0, 15))
def test_the_same_pairs_are_found_as_by_comparing_all(
    codes: list[int], flips: list[tuple[int, set[int]]], distance: int
) -> None:
    for number, bits in flips:
        if number < len(codes):
            codes.append(codes[number] ^ sum(1 << bit for bit in bits))
    array = np.array(codes, np.uint64)
    assert near_pairs(array, distance).tolist() == compared_one_by_one(array, distance)


def test_pairs_grow_with_the_number_of_equal_codes_and_not_with_its_square() -> None:
    codes = np.array([5] * 1000 + [7, 2**63], np.uint64)
    pairs = near_pairs(codes, 1)
    assert len(pairs) == 999 + 1000
    (group,) = clusters(pairs)
    assert group == list(range(1001))


@pytest.mark.parametrize("distance", [-1, 16])
def test_distances_that_bands_cannot_promise_are_refused(distance: int) -> None:
    with pytest.raises(ValueError, match="0 to 15"):
        near_pairs(np.zeros(2, np.uint64), distance)


def hashed(picture: Image.Image) -> np.uint64:
    return np.uint64(perceptual_hashes(decode_image(picture, HASHED_SIZE)[None])[0])


def as_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: as_jpeg(picture, 30),
        lambda picture: picture.resize((100, 75)),
        lambda picture: picture.convert("L"),
        lambda picture: picture.point(lambda shade: min(255, int(shade * 1.15))),
        lambda picture: picture.crop((2, 2, picture.width - 2, picture.height - 2)),
    ],
    ids=["compressed", "scaled", "grey", "brighter", "cropped"],
)
def test_a_photo_keeps_its_code_through_usual_changes(change: object) -> None:
    photos = [photo(number) for number in range(10)]
    distances = [np.bitwise_count(hashed(each) ^ hashed(change(each))) for each in photos]  # type: ignore[operator]
    assert max(distances) <= 10
    others = [np.bitwise_count(hashed(one) ^ hashed(other)) for one, other in pairwise(photos)]
    assert min(others) > 10


def test_codes_of_features_differ_by_their_angle() -> None:
    chance = np.random.default_rng(0)
    rows = chance.standard_normal((2000, 32))
    turned = np.cos(0.3) * rows + np.sin(0.3) * np.linalg.norm(rows, axis=1, keepdims=True) * _square_to(rows)
    bits = np.bitwise_count(projection_hashes(rows) ^ projection_hashes(turned))
    assert bits.mean() == pytest.approx(64 * 0.3 / np.pi, rel=0.05)


def _square_to(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit vectors at right angles to the rows."""
    other = np.roll(rows, 1, axis=0)
    other -= rows * ((rows * other).sum(1) / (rows * rows).sum(1))[:, None]
    unit: NDArray[np.float64] = other / np.linalg.norm(other, axis=1, keepdims=True)
    return unit
