from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.records import CaptionedImage, Dataset, Example, Hypothesis, Problem, Scores, problem_lines

A = Example("a.png", "/x/a.png", ("a dot", "one dot"), "train", "aa")
B = Example("b.png", "/x/b.png", ("two dots",), "val", "bb")
C = Example("c.png", "/x/c.png", ("three dots",), None, "cc")


def dataset(*examples: Example) -> Dataset:
    return Dataset(examples, "table.csv", "table")


def test_a_dataset_counts_images_captions_and_splits():
    data = dataset(A, B, C)
    assert (len(data), data.count_captions()) == (3, 4)
    assert data.of_split("train") == (A,)
    assert data.of_split("test") == ()


def test_the_fingerprint_depends_on_neither_order_nor_place():
    moved = dataclasses.replace(A, image="/elsewhere/a.png")
    elsewhere = Dataset((C, B, moved), "/elsewhere/table.csv", "coco")
    assert elsewhere.fingerprint() == dataset(A, B, C).fingerprint()
    assert len(dataset(A).fingerprint()) == 16


@pytest.mark.parametrize(
    "change",
    [{"captions": ("a dot",)}, {"captions": ("one dot", "a dot")}, {"split": "val"}, {"digest": "ab"}],
)
def test_the_fingerprint_sees_captions_splits_and_contents(change):
    assert dataset(dataclasses.replace(A, **change), B).fingerprint() != dataset(A, B).fingerprint()


@given(st.lists(st.text(max_size=6), min_size=2, max_size=4), st.data())
def test_moving_a_caption_to_another_image_changes_the_fingerprint(captions, data):
    cut = data.draw(st.integers(1, len(captions) - 1))
    one = dataset(
        Example("a", "a", tuple(captions[:cut]), "train", "aa"),
        Example("b", "b", tuple(captions[cut:]), "train", "bb"),
    )
    other = dataset(Example("a", "a", tuple(captions), "train", "aa"), Example("b", "b", (), "train", "bb"))
    assert one.fingerprint() != other.fingerprint()


def test_records_are_frozen():
    for record in (A, dataset(A), CaptionedImage("a.png"), Problem("kind", "where", "message")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, dataclasses.fields(record)[0].name, "other")


def test_hypotheses_are_compared_without_their_attention():
    plain = Hypothesis("a dot", ("a", "dot"), (4, 5), -1.0)
    assert dataclasses.replace(plain, attention=object()) == plain


def test_scores_as_a_dictionary_keep_their_order():
    scores = Scores(1, 2, 3, 4, 5, 6, 6.5, 7, 8, "ptb")
    assert list(scores.as_dict()) == [
        "bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "cider_d",
        "images", "references", "tokenizer", "meteor", "spice", "not_computed", "intervals", "signature",
    ]  # fmt: skip
    assert Scores(**scores.as_dict()) == scores


def test_a_problem_is_one_line():
    assert problem_lines([Problem("missing image", "a.png", "not there; left out")]) == [
        "missing image: a.png: not there; left out"
    ]
