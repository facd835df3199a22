from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fakes import made_up_explanation

from cutline.report import draw_explanations
from cutline.report.explain_picture import MARK


def opened(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture)).convert("RGB")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return draw_explanations([made_up_explanation(tmp_path_factory.mktemp("photos"))])


def test_the_picture_says_what_wrote_it_where_it_begins(picture: bytes) -> None:
    assert picture.startswith(b"\x89PNG")
    assert MARK.encode() in picture[:2000]


def test_nothing_is_drawn_over_the_margin(picture: bytes) -> None:
    pixels = np.asarray(opened(picture))
    assert pixels.shape[1] == 1300
    assert pixels.min() < 60
    for edge in (pixels[:20], pixels[-20:], pixels[:, :20], pixels[:, -20:]):
        assert edge.min() == 255


def test_equal_explanations_give_equal_bytes(picture: bytes, tmp_path: Path) -> None:
    assert draw_explanations([made_up_explanation(tmp_path)]) == picture


def test_several_images_stand_below_each_other_and_a_training_image_takes_room(
    picture: bytes, tmp_path: Path
) -> None:
    explanation = made_up_explanation(tmp_path)
    both = opened(draw_explanations([explanation] * 2))
    assert both.height > 1.8 * opened(picture).height
    found = opened(draw_explanations([explanation], find_image=lambda _: explanation.image))
    assert found.height > opened(picture).height + 100


def test_without_attention_and_without_a_photo_the_words_remain(tmp_path: Path) -> None:
    explanation = made_up_explanation(tmp_path)
    blind = replace(
        explanation,
        image="gone.jpg",
        steps=tuple(replace(step, attention=None) for step in explanation.steps),
        similar=None,
    )
    assert np.asarray(opened(draw_explanations([blind]))).min() < 60


def test_words_that_the_font_lacks_or_that_look_like_formulas_do_no_harm(tmp_path: Path) -> None:
    explanation = made_up_explanation(tmp_path)
    odd = replace(explanation.steps[0], token="$\\frac{$")
    text = replace(explanation.hypothesis, text="犬が走る $x_1^{$")
    draw_explanations([replace(explanation, hypothesis=text, steps=(odd, *explanation.steps))])
