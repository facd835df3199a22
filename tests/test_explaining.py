from __future__ import annotations

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.explaining import explain, grid_of, strongest_region
from cutline.records import Hypothesis
from cutline.runtime.confidence import TrainingFeatures
from cutline.runtime.neighbours import Neighbours
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS

WORDS = Vocabulary((*SPECIALS, "red", "dot"), Tokenizer())


@pytest.mark.parametrize(
    ("regions", "size", "grid"),
    [
        (1, (224, 224), (1, 1)),
        (49, (224, 224), (7, 7)),
        (196, (260, 260), (14, 14)),
        (70, (320, 224), (10, 7)),
    ],
)
def test_the_grid_has_the_shape_of_what_the_encoder_sees(regions, size, grid):
    assert grid_of(regions, size) == grid


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [(0, 0, "top left"), (0, 3, "top"), (3, 3, "middle"), (6, 6, "bottom right"), (3, 0, "left")],
)
def test_the_strongest_region_is_named_by_where_it_lies(row, column, place):
    attention = np.full((7, 7), 0.5 / 48, np.float32)
    attention[row, column] = 0.5
    assert strongest_region(attention) == (0.5, place)


def test_similar_training_images_come_with_their_captions_and_never_the_image_itself():
    axes = np.eye(2, dtype=np.float32)
    points = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    training = TrainingFeatures(np.zeros(2, np.float32), axes, points)
    captions = (("a red dot",), ("dots", "two dots"), ("nothing",))
    neighbours = Neighbours(("a.jpg", "b.jpg", "c.jpg"), captions, training)
    model = ScriptedStepModel(lambda image, written: [1 / 6] * 6, 2)
    caption = Hypothesis("red", ("red",), (4,), -1.0)
    features = np.array([[0.0, 3.0]], np.float32)
    first, second = explain(model, features, caption, WORDS, (4, 4), neighbours=neighbours).similar
    assert (first.image_id, first.captions) == ("b.jpg", ("dots", "two dots"))
    assert first.similarity == pytest.approx(0.8)
    assert second.image_id == "a.jpg"
    assert explain(model, features, caption, WORDS, (4, 4)).similar is None
