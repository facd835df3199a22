"""The pictures of the out-of-domain benchmark are made by code, and always the same."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.odd_pictures import KINDS, odd_picture


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_depends_on_kind_and_number_alone(kind):
    first, again, other = (np.asarray(odd_picture(kind, number)) for number in (0, 0, 1))
    assert first.dtype == np.uint8
    assert first.shape[2] == 3
    assert min(first.shape[:2]) >= 224
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_each_kind_looks_as_it_is_called():
    page, x_ray = (
        np.asarray(odd_picture(kind, 3), np.float32) for kind in ("text scans", "X-ray-like pictures")
    )
    assert np.median(page) > 180, "paper"
    assert page.min() < 100, "ink"
    assert np.ptp(x_ray, axis=2).max() == 0, "grey"
    assert np.median(x_ray[:20]) < 60, "dark around"
