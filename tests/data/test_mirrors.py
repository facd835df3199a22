from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from cutline.data.batches import CaptionTable
from cutline.data.feature_store import FeatureStore
from cutline.data.mirrors import Mirrors, rows_without_sides
from cutline.data.packed_texts import PackedTexts

IMAGES = 40


@pytest.fixture
def mirrors(tmp_path: Path) -> Iterator[Mirrors]:
    """Row i of the store holds i, its mirrored twin 100 + i; every fourth image has none."""
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(IMAGES)]
    with ExitStack() as stack:
        store, mirrored = (
            stack.enter_context(FeatureStore.open(tmp_path / name, {"encoder": name}, (1,)))
            for name in ("store", "mirrored")
        )
        store.append(digests, np.arange(IMAGES, dtype=np.float32)[:, None])
        chosen = [number for number in reversed(range(IMAGES)) if number % 4]
        mirrored.append([digests[number] for number in chosen], np.array([[100.0 + n] for n in chosen]))
        twins = np.full(IMAGES, -1, np.int64)
        twins[chosen] = np.arange(len(chosen))
        yield Mirrors(store, mirrored, twins)


def test_images_are_mirrored_every_second_time_and_never_those_without_a_twin(mirrors):
    rows = np.arange(IMAGES)
    times = np.zeros(IMAGES)
    for epoch in range(1, 201):
        features = mirrors.reader(seed=0, epoch=epoch)(0, rows)[:, 0]
        was_mirrored = features >= 100
        np.testing.assert_array_equal(features - 100 * was_mirrored, rows)
        times += was_mirrored
    assert not times[::4].any()
    with_twin = times[rows % 4 > 0] / 200
    assert abs(with_twin.mean() - 0.5) < 0.02
    assert 0.3 < with_twin.min() < with_twin.max() < 0.7


def test_what_is_mirrored_is_a_function_of_seed_epoch_and_batch(mirrors):
    rows = np.arange(IMAGES)[::-1]

    def read(seed: int = 0, epoch: int = 1, number: int = 0) -> list[float]:
        return mirrors.reader(seed, epoch)(number, rows)[:, 0].tolist()

    assert read() == read()
    assert read() != read(seed=1)
    assert read() != read(epoch=2)
    assert read() != read(number=1)


def test_an_image_has_no_twin_when_one_of_its_captions_names_a_side():
    texts = PackedTexts(["a dog", "the dog on the right", "two cats", "left by the sea", "a bird"])
    table = CaptionTable(np.array([9, 9, 4, 1, 7]), texts, np.array([2, 5, 2, 4, 2], np.int32))
    assert rows_without_sides(table) == [4, 7]
