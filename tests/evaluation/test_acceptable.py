"""The bar that a caption must reach."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

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


def plain_cider_d(one: str, others: Sequence[str], corpus: Mapping[str, Sequence[str]]) -> float:
    """Compute CIDEr-D of a caption of plain words by its formula, weights from all captions of a corpus."""

    def counted(caption: str, order: int) -> Counter:
        words = caption.split()
        return Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))

    total = 0.0
    for order in (1, 2, 3, 4):
        documents = [{n for text in texts for n in counted(text, order)} for texts in corpus.values()]

        def weighted(caption: str, order: int = order, documents: list[set] = documents) -> dict:
            return {
                ngram: number * math.log(len(documents) / sum(ngram in one for one in documents))
                for ngram, number in counted(caption, order).items()
            }

        mine = weighted(one)
        for other in others:
            theirs = weighted(other)
            lengths = math.hypot(*mine.values()) * math.hypot(*theirs.values())
            product = sum(min(weight, theirs.get(n, 0)) * theirs.get(n, 0) for n, weight in mine.items())
            gap = len(one.split()) - len(other.split())
            total += product / lengths * math.exp(-(gap**2) / 72) / len(others) if lengths else 0.0
    return 1000 * total / 4


def scores_of_people(references: Mapping[str, Sequence[str]]) -> list[float]:
    """Score each caption against the others of its image."""
    return [
        plain_cider_d(captions[place], [*captions[:place], *captions[place + 1 :]], references)
        for captions in references.values()
        for place in range(len(captions))
        if len(captions) > 1
    ]


def test_three_of_four_captions_by_people_reach_the_bar():
    references = people_who_agree()
    bar = define_acceptable(references)
    scores = scores_of_people(references)
    assert bar.definition == BY_PEOPLE
    assert bar.threshold == pytest.approx(np.percentile(scores, 25))
    assert np.mean(np.array(scores) >= bar.threshold) >= 0.75


def test_one_image_with_many_references_does_not_move_the_bar():
    references = people_who_agree()
    before = define_acceptable(references)
    references["0.jpg"] = references["0.jpg"] * 8
    after = define_acceptable(references)
    assert after.definition == before.definition == BY_PEOPLE
    assert after.threshold == pytest.approx(np.percentile(scores_of_people(references), 25))
    assert after.threshold == pytest.approx(before.threshold, rel=0.05)


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
