from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import made_up_history

from cutline.records import (
    CaptionedImage,
    Dataset,
    Example,
    Hypothesis,
    Problem,
    Scores,
    best_epoch,
    problem_lines,
)

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


def changed(**columns: list[float]) -> list[Any]:
    """Make a history, each of whose epochs has the next value of each column."""
    history = made_up_history(len(next(iter(columns.values()))))
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    return [dataclasses.replace(record, **row) for record, row in zip(history, rows, strict=True)]


def test_the_best_epoch_is_that_of_the_best_score_as_long_as_chance_does_not_explain_it():
    scores = [30.0, 26.0, 29.0, 34.0, 33.0]
    losses = [3.3, 3.2, 3.1, 3.0, 3.1]
    assert best_epoch(changed(cider_d=scores, val_loss=losses)) == 4
    assert best_epoch(changed(cider_d=scores[:3], val_loss=losses[:3])) == 1
    # Half of an error is too little for four points, but enough for one.
    assert best_epoch(changed(cider_d=scores[:3], val_loss=losses[:3], cider_d_error=[3.0] * 3)) == 3
    assert best_epoch(changed(cider_d=scores, val_loss=losses, cider_d_error=[100.0] * 5)) == 4


def test_of_equal_scores_the_lower_loss_is_the_best_and_then_the_first():
    assert best_epoch(changed(cider_d=[30.0] * 3, val_loss=[3.3, 3.1, 3.2])) == 2
    assert best_epoch(changed(cider_d=[30.0] * 3, val_loss=[3.1] * 3)) == 1


def test_an_epoch_without_a_score_is_never_the_best():
    nan = float("nan")
    assert best_epoch(changed(cider_d=[nan, 30.0, nan])) == 2
    assert best_epoch(changed(cider_d=[nan, nan])) == 0


def test_the_loss_decides_nothing_where_training_does_not_lower_it():
    history = changed(cider_d=[50.0, 50.5, 50.4], val_loss=[2.8, 2.9, 2.7], cider_d_error=[2.0] * 3)
    history[1:] = [dataclasses.replace(record, objective="self_critical") for record in history[1:]]
    assert best_epoch(history) == 2
