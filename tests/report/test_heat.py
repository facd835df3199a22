from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cutline.report.heat import full_share, heat, overlay


def pointing(row: int, column: int, share: float = 0.5) -> np.ndarray:
    attention = np.full((7, 7), (1 - share) / 48, np.float32)
    attention[row, column] = share
    return attention


@pytest.mark.parametrize("size", [(140, 70), (70, 140), (7, 7)])
def test_the_strongest_place_of_the_picture_is_the_middle_of_the_region(size):
    width, height = size
    strength = heat(pointing(1, 5), size, 0.5)
    assert strength.shape == (height, width)
    down, across = np.argwhere(strength == strength.max()).mean(axis=0) + 0.5
    assert (across, down) == pytest.approx((5.5 * width / 7, 1.5 * height / 7), abs=0.51)


def test_strength_falls_evenly_from_the_middle_of_a_region_to_that_of_its_neighbour():
    strength = heat(pointing(3, 3), (700, 700), 0.5)[350]
    assert strength[350] == pytest.approx(1, abs=0.01)
    assert strength[400] == pytest.approx(0.5, abs=0.01)
    assert strength[450] == pytest.approx(0, abs=0.01)


def test_an_even_look_is_not_drawn_at_all():
    even = np.full((7, 7), 1 / 49, np.float32)
    assert heat(even, (14, 14), full_share([even])).max() < 1e-3


def test_a_look_that_a_sentinel_took_half_of_is_drawn_half_as_strong():
    whole = pointing(3, 3, 0.6)
    full = full_share([whole, whole / 2])
    assert full == pytest.approx(0.6)
    assert heat(whole / 2, (7, 7), full).max() == pytest.approx((0.3 - 1 / 49) / (0.6 - 1 / 49))
    # Below an even share nothing is drawn, however little is left for the regions.
    assert heat(np.full((7, 7), 0.5 / 49, np.float32), (7, 7), full).max() == 0


def test_words_of_a_caption_share_one_scale_and_looking_nearly_everywhere_is_faint():
    assert full_share([pointing(0, 0, 0.1), pointing(0, 0, 0.6)]) == pytest.approx(0.6)
    nearly = pointing(3, 3, 0.04)
    assert 0 < heat(nearly, (7, 7), full_share([nearly])).max() < 0.4


def test_the_photo_is_brighter_where_the_model_looked_and_grey_where_it_did_not():
    photo = Image.new("RGB", (70, 70), (40, 90, 160))
    drawn = np.asarray(overlay(photo, pointing(0, 0), 0.5)).astype(int)
    looked, elsewhere = drawn[5, 5], drawn[60, 60]
    assert looked.sum() > 2 * elsewhere.sum()
    assert np.ptp(elsewhere) < 25
