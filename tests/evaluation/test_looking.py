from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.evaluation.looking import Circumstances, exchanged, looking_test
from cutline.metrics import Scorer, measure_diversity
from cutline.records import Example

COLOURS = ["red", "green", "blue", "white", "black", "pink"]


def made_up() -> list[Example]:
    return [
        Example(f"{n}.png", f"/{n}.png", (f"a {colour} square",), "val", digest=str(n))
        for n, colour in enumerate(COLOURS)
    ]


def outcome(caption, features=None, epoch=10, loss=0.3):
    examples = made_up()
    texts = caption(examples)
    vectors = np.eye(len(examples)) if features is None else features
    read = lambda digests: vectors[[int(digest) for digest in digests]]  # noqa: E731
    scorer = Scorer({e.image_id: e.captions for e in examples})
    circumstances = Circumstances(measure_diversity(list(texts.values())), epoch, loss)
    return looking_test(examples, texts, caption, scorer, read, circumstances)


def looks(examples):
    return {e.image_id: f"a {COLOURS[int(e.digest)]} square" for e in examples}


def guesses(examples):
    return {e.image_id: looks(made_up())[e.image_id] for e in examples}


@given(st.integers(2, 50))
def test_every_image_gets_the_features_of_another_one(count):
    examples = [Example(str(n), "", ("x",), digest=str(n)) for n in range(count)]
    found = exchanged(examples)
    assert [e.image_id for e in found] == [e.image_id for e in examples]
    assert sorted(e.digest for e in found) == sorted(e.digest for e in examples)
    assert all(one.digest != other.digest for one, other in zip(found, examples, strict=True))


@given(st.lists(st.sampled_from("abcde"), min_size=2, max_size=40))
def test_images_that_are_the_same_file_do_not_get_their_own_features_back(digests):
    examples = [Example(str(n), "", ("x",), digest=digest) for n, digest in enumerate(digests)]
    found = exchanged(examples)
    assert sorted(e.digest for e in found) == sorted(digests)
    kept = sum(one.digest == other for one, other in zip(found, digests, strict=True))
    largest = max(map(digests.count, digests))
    assert kept <= max(0, 2 * largest - len(digests))


def test_a_captioner_that_follows_the_features_passes():
    found = outcome(looks)
    assert found.looking
    assert found.fall > 0.5
    assert found.causes == ()


def test_captions_that_do_not_depend_on_the_features_are_caught():
    found = outcome(guesses)
    assert not found.looking
    assert found.fall == 0
    assert found.shuffled_cider_d == found.cider_d > 0


def test_no_caption_right_is_not_looking_either():
    found = outcome(lambda examples: {e.image_id: "nothing of that" for e in examples})
    assert (found.looking, found.cider_d, found.fall) == (False, 0, 0)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("epoch 1: trained too short", {"epoch": 1}),
        ("loss is 71% of that of a model that knows nothing", {"loss": 0.71}),
        ("nearly equal (mean cosine 1.000)", {"features": np.ones((6, 3)) + 0.001 * np.eye(6)[:, :3]}),
    ],
)
def test_causes_are_those_that_are_there(words, options):
    assert words in " ".join(outcome(guesses, **options).causes)
    others = outcome(guesses).causes
    assert not [cause for cause in others if words in cause]
    assert "other images than the table says" in others[-1]


def test_few_different_captions_are_counted():
    examples = [replace(e, image_id=f"{e.image_id}{n}") for n in range(4) for e in made_up()]
    same = {e.image_id: "a red square" for e in examples}
    scorer = Scorer({e.image_id: e.captions for e in examples})
    circumstances = Circumstances(measure_diversity(list(same.values())))
    causes = looking_test(
        examples, same, lambda _: same, scorer, lambda digests: np.eye(6)[[int(d) for d in digests]],
        circumstances,
    ).causes  # fmt: skip
    assert causes[0].startswith("only 1 different caption for 24 images")


def test_one_image_cannot_be_tested():
    examples = made_up()[:1]
    scorer = Scorer({"0.png": ["a red square"]})
    circumstances = Circumstances(measure_diversity(["a red square"]))
    assert (
        looking_test(examples, looks(examples), looks, scorer, lambda digests: np.eye(1), circumstances)
        is None
    )
