"""The reward against COCO's CIDEr-D, written out for a few captions."""

from __future__ import annotations

import numpy as np
import pytest

from cutline.metrics import CiderD, DocumentFrequencies
from cutline.training.rewards import CaptionReward

REFERENCES = {
    4: ["a brown dog runs <end>", "the dog is running <end>"],
    9: ["two men on a bench <end>", "men sit <end>"],
    2: ["a red car <end>"],
}


def test_a_caption_is_worth_its_cider_d_with_the_end_marker_as_a_token():
    captions = {4: "a brown dog <end>", 9: "two men sit <end>", 2: "a dog"}
    expected = CiderD({str(image): texts for image, texts in REFERENCES.items()}, str.split)
    _, values = expected.score({str(image): text for image, text in captions.items()})
    found = CaptionReward(REFERENCES)(list(captions), list(captions.values()))
    np.testing.assert_allclose(found, values / 100, rtol=1e-12)
    assert found[0] > 1


def test_an_image_may_have_many_captions_in_any_order():
    reward = CaptionReward(REFERENCES)
    images, captions = [9, 4, 9, 2], ["men sit <end>", "a dog <end>", "a bench", "a red car <end>"]
    together = reward(images, captions)
    alone = [float(reward([image], [caption])[0]) for image, caption in zip(images, captions, strict=True)]
    assert together.tolist() == pytest.approx(alone)


def test_stopping_where_people_stop_pays():
    with_end, without = CaptionReward(REFERENCES)([2, 2], ["a red car <end>", "a red car"])
    assert with_end == pytest.approx(10.0)
    assert without < with_end


def test_bleu_adds_its_smoothed_value_for_a_single_caption():
    plain, mixed = CaptionReward(REFERENCES), CaptionReward(REFERENCES, bleu_4=2.0)
    images, captions = [4, 9, 2], ["a brown dog <end>", "two men sit <end>", "a red car <end>"]
    added = (mixed(images, captions) - plain(images, captions)) / 2
    # "a brown dog <end>": 4 of 4 words, then with one more of each (2 + 1) / (3 + 1) pairs, (1 + 1) / (2 + 1)
    # and (0 + 1) / (1 + 1); the closest reference has 5 tokens.
    first = (1 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25 * np.exp(1 - 5 / 4)
    # "two men sit <end>": "two men" and "sit <end>", "men sit <end>"; the closer one of 3 and 6 tokens is 3.
    second = (1 * 4 / 4 * 2 / 3 * 1 / 2) ** 0.25
    np.testing.assert_allclose(added, [first, second, 1.0], rtol=1e-6)


def test_captions_of_neighbours_add_their_cider_d_with_all_of_them():
    neighbours = {4: [9, 2], 9: [4], 2: [9]}
    plain = CaptionReward(REFERENCES)
    mixed = CaptionReward(REFERENCES, neighbours=neighbours, neighbours_weight=3.0)
    images = [4, 9, 4, 2]
    captions = ["two men on a car <end>", "a brown dog <end>", "a red car <end>", "a dog"]
    added = (mixed(images, captions) - plain(images, captions)) / 3
    frequencies = DocumentFrequencies.from_references(
        {str(image): texts for image, texts in REFERENCES.items()}, str.split
    )
    for image, caption, value in zip(images, captions, added.tolist(), strict=True):
        others = [text for other in neighbours[image] for text in REFERENCES[other]]
        expected = CiderD({"x": others}, str.split, frequencies).score({"x": caption})[0] / 100
        assert value == pytest.approx(expected, abs=1e-9)
    assert added[0] > 0.5


def test_without_weight_neighbours_change_nothing():
    mixed = CaptionReward(REFERENCES, neighbours={4: [9], 9: [4], 2: [4]}, neighbours_weight=0.0)
    assert (
        mixed([4], ["two men <end>"]).tolist() == CaptionReward(REFERENCES)([4], ["two men <end>"]).tolist()
    )


def test_an_image_like_no_other_is_judged_by_its_own_captions_alone():
    mixed = CaptionReward(REFERENCES, neighbours={4: [], 9: [4], 2: []}, neighbours_weight=3.0)
    plain = CaptionReward(REFERENCES)
    added = mixed([4, 9], ["a dog <end>"] * 2) - plain([4, 9], ["a dog <end>"] * 2)
    assert added[0] == 0 < added[1]
    assert mixed([4], ["a dog <end>"]).tolist() == plain([4], ["a dog <end>"]).tolist()
