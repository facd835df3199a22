"""The benchmark that goes on from a model: what is scored was never seen, and the base never met a theme."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from benchmarks import start_from

BOATS = re.compile(r"\bboats?\b")


@pytest.fixture
def rows(monkeypatch) -> list[start_from.Row]:
    monkeypatch.setattr(start_from, "EPOCHS", {1: 2, 3: 1})
    monkeypatch.setattr(start_from, "CHOOSING", 2)
    images = {
        "inland": ["a dog", "a cat"],
        "once": ["a boat", "a man", "a lake"],
        **{f"boat-{number}": ["a boat", "two boats", "a sail"] for number in range(8)},
    }
    return [
        (image, caption, "val" if image in ("inland", "boat-3") else "train")
        for image, captions in images.items()
        for caption in captions
    ]


def test_a_base_sees_no_photo_whose_captions_ever_name_the_theme(rows):
    without, _ = start_from.themed(rows, BOATS)
    assert without == [("inland", "a dog", "val"), ("inland", "a cat", "val")]


def test_photos_of_the_theme_are_trained_on_chosen_by_or_scored(rows):
    _, inside = start_from.themed(rows, BOATS)
    split_of = defaultdict(set)
    for image, _, split in inside:
        split_of[split].add(image)
    assert split_of == {
        "train": {"boat-0", "boat-1", "boat-2"},
        "val": {"boat-4", "boat-5"},
        "test": {"boat-3", "boat-6", "boat-7"},
    }
    assert len(inside) == 8 * 3


def test_fewer_photos_change_nothing_but_what_is_trained_on(rows):
    _, inside = start_from.themed(rows, BOATS)
    few = start_from.fewer(inside, 1)
    assert {row[0] for row in few if row[2] == "train"} == {"boat-0"}
    assert [row for row in few if row[2] != "train"] == [row for row in inside if row[2] != "train"]


@pytest.mark.parametrize(
    ("theme", "named", "not_named"),
    [
        ("water", ["A dog wades into the Sea .", "surfers"], ["a watermelon", "a seat"]),
        ("men", ["A Man rides", "two guys", "firemen"], ["a woman", "a german shepherd", "a human", "women"]),
        ("children", ["Two Boys run", "a baby", "kids"], ["a cowboy", "a babysitter", "a kidney"]),
    ],
)
def test_a_theme_is_named_by_whole_words(theme, named, not_named):
    found = start_from.THEMES[theme]
    assert all(found.search(caption) for caption in named)
    assert not any(found.search(caption) for caption in not_named)
