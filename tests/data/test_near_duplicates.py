"""Codes that differ in few bits are found without comparing all with all."""

from __future__ import annotations

import io
from itertools import combinations, pairwise

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
    MOST_REFUSED,
    members,
    near_groups,
    perceptual_hashes,
    projection_hashes,
)

CODES = st.lists(st.integers(0, 2**64 - 1), max_size=12)
FLIPS = st.lists(st.tuples(st.integers(0, 11), st.sets(st.integers(0, 63), max_size=14)), max_size=12)


def joined_one_by_one(codes: NDArray[np.uint64], distance: int, odd: bool) -> list[int]:
    """Compare all with all, and join until nothing changes."""
    first = list(range(len(codes)))
    near = [
        (one, other)
        for one, other in combinations(range(len(codes)), 2)
        if (int(codes[one]) ^ int(codes[other])).bit_count() <= distance and not (odd and (one + other) % 3)
    ]
    for _ in codes:
        for one, other in near:
            first[one] = first[other] = min(first[one], first[other])
    return first


def every_third(pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    return pairs.sum(axis=1) % 3 == 0


@given(CODES, FLIPS, st.integers(0, 15), st.booleans())
def test_the_same_groups_are_found_as_by_comparing_all(
    codes: list[int], flips: list[tuple[int, set[int]]], distance: int, odd: bool
) -> None:
    for number, bits in flips:
        if number < len(codes):
            codes.append(codes[number] ^ sum(1 << bit for bit in bits))
    array = np.array(codes, np.uint64)
    first = near_groups(array, distance, every_third if odd else None)
    assert first.tolist() == joined_one_by_one(array, distance, odd)


def test_what_is_joined_already_stays_joined_and_is_not_asked_about() -> None:
    codes = np.array([0, 1, 3, 2**40, 2**60 + 7, 2**63], np.uint64)
    known = np.array([0, 1, 0, 3, 4, 3])
    assert members(near_groups(codes, 1, known=known)) == [[0, 1, 2, 3, 5]]
    assert known.tolist() == [0, 1, 0, 3, 4, 3]
    asked = Asked(apart=len(codes))
    assert members(near_groups(codes[:3], 2, asked, np.zeros(3, np.int64))) == [[0, 1, 2]]
    assert asked.pairs == 0


class Asked:
    """Agrees to pairs that are near in a film, and counts what it is asked."""

    def __init__(self, apart: int) -> None:
        self.apart, self.pairs, self.twice = apart, 0, 0
        self._seen: set[tuple[int, ...]] = set()

    def __call__(self, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        new = set(map(tuple, pairs.tolist()))
        self.pairs += len(pairs)
        self.twice += len(new & self._seen)
        self._seen |= new
        agreed: NDArray[np.bool_] = np.abs(pairs[:, 0] - pairs[:, 1]) < self.apart
        return agreed


def film(frames: int) -> NDArray[np.uint64]:
    """Make up codes of frames that all differ, each pair in a few bits at most."""
    chance = np.random.default_rng(frames)
    bits = [chance.choice(64, chance.integers(0, 5), replace=False) for _ in range(frames)]
    return np.array([0xABCD_1234_5678_9F0E ^ sum(1 << int(bit) for bit in each) for each in bits], np.uint64)


@pytest.mark.parametrize("frames", [500, 2000])
def test_frames_of_a_film_cost_a_few_questions_each(frames: int) -> None:
    asked = Asked(apart=frames)
    (group,) = members(near_groups(film(frames), 10, asked))
    assert group == [*range(frames)]
    assert asked.pairs <= 10 * frames


@pytest.mark.parametrize("frames", [500, 2000])
def test_a_crowd_that_only_looks_alike_costs_a_bounded_number_of_questions_each(frames: int) -> None:
    asked = Asked(apart=0)
    assert members(near_groups(film(frames), 10, asked)) == []
    # At each of the four distances that are tried one after the other, and what is asked at once.
    assert asked.pairs <= frames * 4 * (MOST_REFUSED + 2)
    assert asked.twice == 0


def test_thousands_of_equal_codes_are_joined_at_once() -> None:
    codes = np.array([5] * 3000 + [7, 2**63], np.uint64)
    asked = Asked(apart=len(codes))
    (group,) = members(near_groups(codes, 1, asked))
    assert group == list(range(3001))
    assert asked.pairs <= 3 * len(codes)


@pytest.mark.parametrize("distance", [-1, 16])
def test_distances_that_bands_cannot_promise_are_refused(distance: int) -> None:
    with pytest.raises(ValueError, match="0 to 15"):
        near_groups(np.zeros(2, np.uint64), distance)


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
