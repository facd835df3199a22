from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutline.data.augment import Augmentation, draw_box, names_a_side

seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0.05, 1.0)


@given(shares, seeds)
@settings(deadline=None)
def test_a_crop_keeps_its_share_and_lies_inside(smallest, seed):
    left, top, right, bottom = draw_box(smallest, np.random.default_rng(seed))
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    assert (right - left) * (bottom - top) >= smallest - 1e-9
    assert 3 / 4 - 1e-9 <= (right - left) / (bottom - top) <= 4 / 3 + 1e-9


@given(shares, st.floats(0, 0.99), st.booleans(), seeds)
@settings(deadline=None, max_examples=50)
def test_any_image_keeps_size_and_kind_and_one_seed_gives_one_image(crop, colour, may_mirror, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    augmentation = Augmentation(crop, colour)
    first, second = (
        augmentation.apply(pixels, (8, 12), may_mirror, np.random.default_rng(seed)) for _ in range(2)
    )
    assert first.shape == (8, 12, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)


def test_an_image_is_mirrored_about_every_second_time_and_never_when_it_must_not():
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, :3] = 255
    still, generator = Augmentation(1.0, 0.0), np.random.default_rng(0)
    allowed = [still.apply(pixels, (4, 6), True, generator)[0, 0, 0] == 0 for _ in range(200)]
    forbidden = [still.apply(pixels, (4, 6), False, generator)[0, 0, 0] == 0 for _ in range(200)]
    assert 70 < sum(allowed) < 130
    assert not any(forbidden)


def test_colours_change_within_their_strength():
    grey = np.full((4, 4, 3), 100, np.uint8)
    generator = np.random.default_rng(0)
    means = [Augmentation(1.0, 0.2).apply(grey, (4, 4), False, generator).mean() for _ in range(50)]
    # Contrast and saturation leave a grey image as it is.
    assert 78 <= min(means) < 90
    assert 110 < max(means) <= 121


def test_images_are_decoded_large_enough_for_the_smallest_crop():
    height, width = Augmentation(0.5, 0).source_size((224, 200))
    assert height * width * 0.5 == pytest.approx(224 * 200, rel=0.02)


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("<start> a man on the LEFT <end>", True),
        ("<start> a right-handed pitcher <end>", True),
        ("<start> the leftmost dog <end>", True),
        ("<start> a bright light upright <end>", False),
    ],
)
def test_captions_that_name_a_side(caption, found):
    assert names_a_side(caption) is found
