"""The reward against COCO's CIDEr-D, written out for a few captions."""

from __future__ import annotations

import numpy as np
import pytest

from cutline.metrics import CiderD
from cutline.training.rewards import CiderReward

REFERENCES = {
    4: ["a brown dog runs <end>", "the dog is running <end>"],
    9: ["two men on a bench <end>", "men sit <end>"],
    2: ["a red car <end>"],
}


def test_a_caption_is_worth_its_cider_d_with_the_end_marker_as_a_token():
    captions = {4: "a brown dog <end>", 9: "two men sit <end>", 2: "a dog"}
    expected = CiderD({str(image): texts for image, texts in REFERENCES.items()}, str.split)
    _, values = expected.score({str(image): text for image, text in captions.items()})
    found = CiderReward(REFERENCES)(list(captions), list(captions.values()))
    np.testing.assert_allclose(found, values / 100, rtol=1e-12)
    assert found[0] > 1


def test_an_image_may_have_many_captions_in_any_order():
    reward = CiderReward(REFERENCES)
    images, captions = [9, 4, 9, 2], ["men sit <end>", "a dog <end>", "a bench", "a red car <end>"]
    together = reward(images, captions)
    alone = [float(reward([image], [caption])[0]) for image, caption in zip(images, captions, strict=True)]
    assert together.tolist() == pytest.approx(alone)


def test_stopping_where_people_stop_pays():
    with_end, without = CiderReward(REFERENCES)([2, 2], ["a red car <end>", "a red car"])
    assert with_end == pytest.approx(10.0)
    assert without < with_end
