"""Choosing the limit above which images are unlike the training images, with features that are drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest

from cutline.evaluation.confidence import halves
from cutline.evaluation.domain import FEWEST_VAL, SHARE, fit_domain, measure_unlike
from cutline.evaluation.training_features import summarise_features
from cutline.records import Example

DEPTH, KINDS = 96, 12


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


class Photos:
    """Features of images by digest: each a mixture of some kinds of things, with noise of its own."""

    def __init__(self, seed: int = 0, regions: int = 0) -> None:
        self._kinds = np.abs(np.random.default_rng(seed).normal(size=(KINDS, DEPTH)))
        self._regions = regions

    def read(self, digests: Sequence[str]) -> np.ndarray:
        return np.stack([self._features(one) for one in digests]).astype(np.float16)

    def _features(self, one: str) -> np.ndarray:
        chance = np.random.default_rng(int(one[:8], 16))
        shape = (self._regions, DEPTH) if self._regions else (DEPTH,)
        return chance.gamma(1.0, size=KINDS) @ self._kinds + chance.gamma(1.0, 0.3, size=shape)


def examples(numbers: range) -> list[Example]:
    return [Example(f"{number}.jpg", "", ("a dog",), "val", digest(number)) for number in numbers]


def training(photos: Photos, images: int = 400):
    return summarise_features(photos.read, [digest(number) for number in range(images)])


@pytest.mark.parametrize("regions", [0, 3])
def test_few_images_like_the_training_images_are_flagged_and_nearly_all_others(regions):
    photos, val = Photos(regions=regions), examples(range(10_000, 12_000))
    domain = fit_domain(training(photos), photos.read, val)
    found = measure_unlike(domain, photos.read, val)
    assert found is not None
    assert found.images == 1000
    assert found.share == pytest.approx(SHARE, abs=0.02)
    assert found.expected == SHARE
    others = measure_unlike(domain, Photos(seed=1, regions=regions).read, examples(range(20_000, 20_200)))
    assert others is not None
    assert others.share > 0.95


def test_images_that_the_limit_was_chosen_on_are_not_counted():
    photos, val = Photos(), examples(range(10_000, 10_200))
    domain = fit_domain(training(photos), photos.read, val)
    chosen, new = halves(val)
    assert measure_unlike(domain, photos.read, chosen) is None
    # Read as another kind, every image that is looked at is found.
    found = measure_unlike(domain, Photos(seed=1).read, val)
    assert found is not None
    assert set(found.image_ids) <= {example.image_id for example in new}
    assert found.images == len(new)


def test_on_the_fewest_val_images_none_of_the_half_is_above_the_limit():
    photos, val = Photos(), examples(range(10_000, 10_000 + FEWEST_VAL))
    domain = fit_domain(training(photos), photos.read, val)
    residuals = domain.residuals(photos.read([example.digest for example in halves(val)[0]]))
    assert domain.limit == residuals.max()


def test_on_average_over_small_val_splits_no_more_than_the_share_are_above_the_limit():
    photos = Photos()
    known = training(photos)
    shares = []
    for start in range(30_000, 34_000, 100):
        val = examples(range(start, start + 100))
        found = measure_unlike(fit_domain(known, photos.read, val), photos.read, val)
        assert found is not None
        shares.append(found.share)
    assert 0 < np.mean(shares) < SHARE + 0.01


def test_features_that_are_hardly_deeper_than_there_are_axes_leave_something_over():
    chance = np.random.default_rng(5)
    table = {digest(number): row for number, row in enumerate(chance.gamma(1.0, size=(300, 4)))}

    def read(digests: Sequence[str]) -> np.ndarray:
        return np.stack([table[one] for one in digests]).astype(np.float16)

    known = summarise_features(read, [digest(number) for number in range(200)])
    domain = fit_domain(known, read, examples(range(200, 300)))
    assert domain.axes.shape == (4, 2)
    assert domain.limit > 0.05
