from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cutline.evaluation import ScoringTokens, Setting, compare_with_others, most_common_caption
from cutline.evaluation.baselines import human_baseline
from cutline.metrics import DocumentFrequencies, ReferenceSet, Scorer
from cutline.progress import Silent
from cutline.records import Example
from cutline.text import Tokenizer

WORD, CHARACTER = Tokenizer(level="word"), Tokenizer(level="character")


def example(key: str, *captions: str) -> Example:
    return Example(f"{key}.png", f"/x/{key}.png", captions, "val", key * 4)


def test_the_most_common_caption_is_compared_token_by_token():
    examples = [
        example("a", "A dog!", "two dots"),
        example("b", "a dog"),
        example("c", "a  cat", "two dots."),
    ]
    assert most_common_caption(examples, WORD) == "a dog"
    assert most_common_caption([example("a", "b", "a")], WORD) == "a"
    assert (
        most_common_caption([example("a", "两只狗", "一只猫"), example("b", "两只狗。")], CHARACTER)
        == "两只狗"
    )


def made_up(count: int = 12) -> list[Example]:
    """Images of three colours, with references that agree on the colour."""
    colours = ["red", "green", "blue"]
    return [
        Example(
            f"{n}.png",
            f"/{n}.png",
            (f"a {colours[n % 3]} square", f"one {colours[n % 3]} shape", f"a big {colours[n % 3]} square"),
            "val",
            digest=str(n),
        )
        for n in range(count)
    ]


def setting_of(examples: list[Example], training: list[Example]) -> Setting:
    # The colour is the direction of the features, so neighbours are images of the same colour.
    vectors = np.array([np.eye(3)[n % 3] + 0.01 * n for n in range(100)], np.float32)
    return Setting(
        examples,
        training,
        lambda digests: vectors[[int(digest) for digest in digests]],
        ScoringTokens("ptb", None),
        Scorer({e.image_id: e.captions for e in examples}),
        {"split": "val"},
    )


def test_people_are_scored_each_against_the_others():
    examples = made_up()
    texts = {e.image_id: e.captions[0] for e in examples}
    found = human_baseline(setting_of(examples, []), texts)
    frequencies = DocumentFrequencies.of(ReferenceSet({e.image_id: e.captions for e in examples}))
    rounds = [
        Scorer(
            {e.image_id: [c for at, c in enumerate(e.captions) if at != left_out] for e in examples},
            frequencies=frequencies,
        ).score({e.image_id: e.captions[left_out] for e in examples})
        for left_out in range(3)
    ]
    for name in ("rouge_l", "cider", "cider_d"):
        mean = sum(getattr(scores, name) for scores in rounds) / 3
        assert getattr(found.scores, name) == pytest.approx(mean)
    # Counted by hand over the three captions: 7 of 10 words and 2 of 7 pairs are in the other two.
    assert found.scores.bleu_2 == pytest.approx(100 * (7 / 10 * 2 / 7) ** 0.5)
    assert found.references_per_image == 2
    assert found.scores.images == 12
    assert (
        found.scores.intervals["cider_d"].low
        <= found.scores.cider_d
        <= found.scores.intervals["cider_d"].high
    )
    assert found.scores.references == found.model_scores.references == 36
    assert "decoding:human" in found.scores.signature
    assert "decoding" not in found.model_scores.signature
    # The model says what the first person said, so in two rounds of three it has that very reference.
    assert found.model_scores.cider_d > found.scores.cider_d


def test_people_with_different_numbers_of_references_take_part_as_often_as_they_can():
    examples = [*made_up(6), Example("lone.png", "/lone.png", ("a red square",), "val", digest="7")]
    found = human_baseline(setting_of(examples, []), {e.image_id: "a red square" for e in examples})
    assert found.scores.images == 6
    examples = [
        Example(f"{n}", "", ("a dot", "two dots")[: 1 + n % 2], "val", digest=str(n)) for n in range(4)
    ]
    texts = {e.image_id: "a dot" for e in examples}
    found = human_baseline(setting_of(examples, []), texts)
    assert (found.scores.images, found.references_per_image) == (2, 1)


def test_an_image_with_more_references_than_all_others_is_not_scored_as_if_it_were_alone():
    examples = made_up(6)
    more = [replace(examples[0], captions=(*examples[0].captions, "a red square")), *examples[1:]]
    texts = {e.image_id: e.captions[0] for e in examples}
    found = human_baseline(setting_of(more, []), texts)
    # Its fourth reference is that of a round of one image, in whose own references every word is common.
    assert found.scores.cider_d > human_baseline(setting_of(examples, []), texts).scores.cider_d


def test_one_reference_per_image_says_nothing_about_people():
    examples = [replace(e, captions=e.captions[:1]) for e in made_up()]
    assert human_baseline(setting_of(examples, []), {e.image_id: "a dot" for e in examples}) is None


def test_neighbours_beat_chance_and_chance_is_drawn_from_training():
    examples = made_up(12)
    training = [replace(e, digest=str(21 + n)) for n, e in enumerate(made_up(30))]
    texts = {e.image_id: "a red square" for e in examples}
    found = {
        b.name: b
        for b in compare_with_others(setting_of(examples, training), texts, "a red square", Silent())
    }
    assert list(found) == [
        "human",
        "most common caption",
        "random training caption",
        "nearest neighbour",
        "consensus of neighbours",
    ]
    assert found["most common caption"].caption == "a red square"
    chance, near = found["random training caption"].scores, found["nearest neighbour"].scores
    assert near.cider_d > 2 * chance.cider_d
    assert all(b.scores.intervals for b in found.values())
    assert "decoding:nearest neighbour" in near.signature


def test_without_training_images_there_is_nobody_to_copy_from():
    examples = made_up()
    found = compare_with_others(
        setting_of(examples, []), {e.image_id: "a dot" for e in examples}, "a dot", Silent()
    )
    assert [b.name for b in found] == ["human", "most common caption"]


def test_what_is_drawn_and_copied_does_not_depend_on_the_other_images():
    examples = made_up(12)
    training = [replace(e, digest=str(21 + n)) for n, e in enumerate(made_up(40))]
    texts = {e.image_id: "a red square" for e in examples}
    orders = [examples, examples[::-1]]
    found = [compare_with_others(setting_of(order, training), texts, "a dot", Silent()) for order in orders]
    for one, other in zip(*found, strict=True):
        assert one.scores.as_dict()["cider_d"] == pytest.approx(other.scores.cider_d)
        assert one.scores.bleu_1 == pytest.approx(other.scores.bleu_1)


def test_an_image_is_not_given_its_own_captions():
    examples = [replace(e, captions=(f"caption {e.digest}",)) for e in made_up(30)]
    found = compare_with_others(
        setting_of(examples, examples), {e.image_id: "a dot" for e in examples}, "a dot", Silent()
    )
    copied = {b.name: b.scores for b in found if b.name != "most common caption"}
    assert set(copied) == {"random training caption", "nearest neighbour", "consensus of neighbours"}
    assert all(scores.bleu_2 < 1 for scores in copied.values())
