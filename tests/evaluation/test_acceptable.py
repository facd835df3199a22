"""The bar that a caption must reach."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fakes import made_up_captions

from cutline.evaluation.acceptable import ABOVE_CHANCE, BY_PEOPLE, Acceptable, define_acceptable
from cutline.metrics import cider_d


def people_who_agree(images: int = 60) -> dict[str, list[str]]:
    """Three captions per image that share their object and the rest of the sentence in pairs."""
    return {
        f"{n}.jpg": [f"a thing{n} on grass", f"one thing{n} on grass", f"a thing{n} in water"]
        for n in range(images)
    }


def test_three_of_four_captions_by_people_reach_the_bar():
    references = people_who_agree()
    bar = define_acceptable(references)
    scores = []
    for place in range(3):
        others = {image: captions[:place] + captions[place + 1 :] for image, captions in references.items()}
        scores += cider_d({i: c[place] for i, c in references.items()}, others)[1].tolist()
    assert bar.definition == BY_PEOPLE
    assert bar.threshold == pytest.approx(np.percentile(scores, 25))
    assert np.mean(np.array(scores) >= bar.threshold) >= 0.75


def test_images_with_different_numbers_of_references_count_with_each_of_them():
    references = people_who_agree()
    references["0.jpg"] = references["0.jpg"][:1]
    references["1.jpg"] = [*references["1.jpg"], "a thing1"]
    assert define_acceptable(references).definition == BY_PEOPLE


def test_with_one_reference_per_image_the_bar_is_what_few_captions_of_other_images_reach():
    references = {image: captions[:1] for image, captions in made_up_captions(400)[1].items()}
    bar = define_acceptable(references)
    assert bar.definition == ABOVE_CHANCE
    shifted = dict(
        zip(references, [*list(references.values())[7:], *list(references.values())[:7]], strict=True)
    )
    scores = cider_d({image: captions[0] for image, captions in shifted.items()}, references)[1]
    assert np.mean(scores >= bar.threshold) < 0.12
    assert bar.threshold > 0


def test_people_who_never_agree_do_not_lower_the_bar_to_nothing():
    references = {f"{n}.jpg": [f"left{n} up", f"right{n} down"] for n in range(50)}
    bar = define_acceptable(references)
    assert bar.definition == ABOVE_CHANCE
    assert not bar.judge(np.zeros(3)).any()


def test_the_bar_itself_is_acceptable_and_a_score_of_nothing_never_is():
    assert Acceptable(30.0, "").judge(np.array([29.9, 30.0, 80.0])).tolist() == [False, True, True]
    assert Acceptable(0.0, "").judge(np.array([0.0, 0.1])).tolist() == [False, True]
