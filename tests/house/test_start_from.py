"""The benchmark that goes on from a model: what is scored was never seen, and the base never met a theme."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from benchmarks import start_from

from cutline.files import write_json

SPLITS = ("train", "val", "test")
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


def test_a_further_fold_trains_on_what_was_scored_and_scores_other_photos(rows):
    folds = [start_from.themed(rows, BOATS, fold)[1] for fold in (0, 1)]
    images = [{split: [row[0] for row in fold if row[2] == split] for split in SPLITS} for fold in folds]
    first, second = ({split: list(dict.fromkeys(own)) for split, own in found.items()} for found in images)
    assert second == {
        "train": first["test"],
        "val": ["boat-0", "boat-1"],
        "test": ["boat-2", "boat-4", "boat-5"],
    }
    assert first["test"] == ["boat-6", "boat-7", "boat-3"]
    assert sorted(folds[0]) != sorted(folds[1])
    assert sorted(row[:2] for row in folds[0]) == sorted(row[:2] for row in folds[1])


def test_more_folds_than_score_every_photo_once_are_refused(rows):
    with pytest.raises(ValueError, match="fold 2: of 8 photos of the theme each fold scores 3"):
        start_from.themed(rows, BOATS, 2)


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


def test_a_run_with_other_options_is_not_taken_for_one_with_these(tmp_path):
    run = tmp_path / "run"
    write_json(run / "options.json", {})
    with pytest.raises(SystemExit, match="other options"):
        start_from.trained([], tmp_path, run, {"training.learning_rate": 5e-4})


def test_seeds_passes_and_folds_lie_in_other_folders():
    found = [start_from._name("base", 250, critical, seed) for critical in (0, 8) for seed in (0, 1)]
    found += [start_from._name("base", 250, 0, 1, 1), start_from._name("unchanged", fold=1)]
    assert found == [
        "base-250",
        "base-250-seed-1",
        "base-250-critical-8",
        "base-250-critical-8-seed-1",
        "base-250-seed-1-fold-1",
        "unchanged-fold-1",
    ]


@pytest.mark.parametrize(("seeds", "folds"), [(1, 1), (2, 1), (2, 2)])
def test_two_sides_are_compared_over_all_photos_of_the_theme_that_are_scored(tmp_path, seeds, folds):
    sides = ("good", "bad")
    runs = {
        side: [
            [tmp_path / start_from._name(side, 1, 0, seed, fold) for fold in range(folds)]
            for seed in range(seeds)
        ]
        for side in sides
    }
    for side, own in runs.items():
        for fold, run in ((fold, run) for of_seed in own for fold, run in enumerate(of_seed)):
            rows = [(f"{fold}-{number}.png", f"a red dot on field {number}", "test") for number in range(20)]
            not_scored = [("other.png", "a train image", "train"), ("copy.png", "the same file", "test")]
            start_from.write_table(run.with_suffix(".csv"), [*rows, *not_scored])
            texts = [
                {"image_id": image, "caption": caption if side == "good" else "snow"}
                for image, caption, _ in rows
            ]
            for way in start_from.WAYS:
                write_json(start_from._captions(run, way), texts)
    assert len(start_from._references(runs["good"][0])) == 20 * folds
    bad, good, p = start_from._against(runs["bad"], runs["good"], "3 beams")
    assert bad.startswith("0.0 / 0.0")
    assert float(good.split(" / ")[0]) > 50
    assert p.startswith("0.000")
    assert start_from.scored(runs["good"][0], "3 beams").images == 20 * folds
