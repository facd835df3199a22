"""The benchmark that goes on from a model: what is scored was never seen, and the base never met a theme."""

from __future__ import annotations

import re
from collections import defaultdict
from types import SimpleNamespace

import pytest
from benchmarks import start_from

from cutline.errors import DataError
from cutline.files import write_json, write_text

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


def images_by_split(rows: list[start_from.Row]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for image, _, split in rows:
        if image not in found[split]:
            found[split].append(image)
    return dict(found)


def test_a_further_round_trains_on_what_was_scored_and_scores_what_was_not(rows):
    first, second, third = (images_by_split(start_from.themed(rows, BOATS, number)[1]) for number in range(3))
    assert first == {
        "train": ["boat-0", "boat-1", "boat-2"],
        "val": ["boat-4", "boat-5"],
        "test": ["boat-6", "boat-7", "boat-3"],
    }
    assert second == {
        "train": ["boat-6", "boat-7", "boat-3"],
        "val": ["boat-0", "boat-1"],
        "test": ["boat-2", "boat-4", "boat-5"],
    }
    # Of the eight only two have not been scored.
    assert third == {
        "train": ["boat-2", "boat-4", "boat-5"],
        "val": ["boat-6", "boat-7"],
        "test": ["boat-0", "boat-1"],
    }


@pytest.mark.parametrize("boats", range(7, 20))
def test_no_photo_is_scored_twice_or_by_what_knows_it_and_all_are_in_the_end(monkeypatch, boats):
    monkeypatch.setattr(start_from, "EPOCHS", {3: 1})
    monkeypatch.setattr(start_from, "CHOOSING", 2)
    rows = [
        (f"{place:02}", "a boat", "train" if place < 6 else "val") for place in range(boats) for _ in "ab"
    ]
    seen: list[str] = []
    for number in range(boats):
        left = {row[0] for row in rows} - set(seen)
        if len(left) < 2:
            break
        found = images_by_split(start_from.themed(rows, BOATS, number)[1])
        assert (len(found["train"]), len(found["val"])) == (3, 2)
        assert not set(found["test"]) & set(found["train"] + found["val"])
        seen += found["test"]
    assert len(left) < 2
    assert len(seen) == len(set(seen))


def test_a_round_with_hardly_a_new_photo_to_score_is_refused(rows):
    with pytest.raises(ValueError, match="round 4 has 0 photos left to score; 2 are needed"):
        start_from.themed(rows, BOATS, 3)


def test_a_theme_of_few_photos_is_refused(rows):
    few = [row for row in rows if row[0] not in ("boat-0", "boat-1")]
    with pytest.raises(ValueError, match="6 photos of the theme; at least 7 are needed"):
        start_from.themed(few, BOATS)


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


@pytest.mark.parametrize(
    ("changed", "rows"),
    [({"training.learning_rate": 5e-4}, [("a.png", "a dot", "train")]), ({}, [("a.png", "dots", "train")])],
)
def test_a_run_with_other_options_or_captions_is_not_taken_for_one_with_these(tmp_path, changed, rows):
    run = tmp_path / "run"
    write_text(run / "options.json", "{}")
    start_from.write_table(run.with_suffix(".csv"), [("a.png", "a dot", "train")])
    start_from.trained([("a.png", "a dot", "train")], tmp_path, run, {})
    with pytest.raises(SystemExit, match="other options or captions"):
        start_from.trained(rows, tmp_path, run, changed)


def test_seeds_rounds_and_self_critical_epochs_lie_in_other_folders():
    names = [start_from._numbered("base-250", critical=critical, seed=1, round=2) for critical in (0, 8)]
    assert names == ["base-250-seed-1-round-2", "base-250-critical-8-seed-1-round-2"]
    assert start_from._numbered("base-250", critical=0, seed=0, round=0) == "base-250"


COLOURS = ("red", "blue", "green", "white")


@pytest.fixture
def runs(tmp_path) -> start_from.Runs:
    """Two seeds, two rounds; each caption says which seed wrote it."""
    found = [[tmp_path / f"run-{seed}-{number}" for number in range(2)] for seed in range(2)]
    for seed, own in enumerate(found):
        for number, run in enumerate(own):
            table = [(f"{number}-{place}.png", f"a {COLOURS[place]} dot", "test") for place in range(4)]
            table += [("train.png", "never scored", "train"), ("copy.png", "a file under two names", "test")]
            start_from.write_table(run.with_suffix(".csv"), table)
            for way in start_from.WAYS:
                texts = [
                    {"image_id": image, "caption": caption if seed == 0 else "snow"}
                    for image, caption, _ in table[:4]
                ]
                write_json(start_from._captions(run, way), texts)
    return found


def test_photos_of_all_rounds_are_one_set_and_some_can_be_left_out(runs):
    assert len(start_from._references(runs[0])) == 8
    left = start_from._references(runs[0], {"1-0.png", "0-1.png"})
    assert sorted(left) == ["0-0.png", "0-2.png", "0-3.png", "1-1.png", "1-2.png", "1-3.png"]
    assert start_from.scored(runs[0], "3 beams").images == 8
    texts = start_from._texts(runs[0], "3 beams", left)
    assert texts == {image: captions[0] for image, captions in left.items()}


def test_a_side_counts_with_the_mean_of_its_seeds(runs):
    good, bad = ([own] for own in runs)
    half, whole, _ = start_from._against(runs, good, "3 beams")
    none, _, p = start_from._against(bad, good, "3 beams")
    assert none.startswith("0.0 / 0.0")
    assert float(half.split(" / ")[0]) == pytest.approx(float(whole.split(" / ")[0]) / 2, abs=0.1)
    assert float(p.split(" / ")[0]) < 0.05


def test_sides_with_captions_of_other_images_are_not_compared(runs):
    with pytest.raises(DataError, match="not of the same images"):
        start_from._against([[runs[0][0]]], [[runs[0][1]]], "3 beams")


def test_all_rounds_are_trained_captioned_and_told(rows, tmp_path, monkeypatch, capsys):
    table, out = tmp_path / "captions.csv", tmp_path / "out"
    start_from.write_table(table, rows)
    trainings = []

    def train(table, preset, run, *, images, overrides, resume):
        trainings.append((run.name, overrides.get("training.seed")))
        return SimpleNamespace(interrupted=False)

    def evaluate(run, table, *, images, split, out, overrides):
        scored = [row for row in start_from._read(table) if row[2] == split]
        texts = {image: caption if run.name.startswith("base-") else "snow" for image, caption, _ in scored}
        write_json(
            out / "captions.json", [{"image_id": image, "caption": text} for image, text in texts.items()]
        )

    left_out = []
    against = start_from._against

    def spied(first, second, way, without=()):
        left_out.extend([without] if without else [])
        return against(first, second, way, without)

    monkeypatch.setattr(start_from, "_against", spied)
    monkeypatch.setattr(start_from, "train", train)
    monkeypatch.setattr(start_from, "evaluate", evaluate)
    monkeypatch.setitem(start_from.THEMES, "water", BOATS)
    asked = ["--photos", "--few", "1", "--many", "3", "--rounds", "3", "--seeds", "2"]
    monkeypatch.setattr("sys.argv", ["start_from.py", str(table), "--images", ".", "--out", str(out), *asked])
    start_from.main()
    names = ["", "-round-1", "-round-2", "-seed-1", "-seed-1-round-1", "-seed-1-round-2"]
    assert [name for name, _ in trainings] == [
        "base",
        *(f"nothing-3{name}" for name in names),
        *(f"base-1{name}" for name in names),
    ]
    assert [seed for _, seed in trainings] == [None, *2 * [0, 0, 0, 1, 1, 1]]
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("base as it is, CIDEr-D / BLEU-4 of 8 photos")
    # The two that choose in the first round are scored in the second.
    counts = {"": 8, ", round 1 of 3": 3, ", round 2 of 3": 3, ", round 3 of 3": 2, ", all but the first": 3}
    lines = [(f"{way}{part}", f"{count} photos") for way in start_from.WAYS for part, count in counts.items()]
    for found in (told[4:14], told[15:]):
        assert [(line.split(":")[0], line.rpartition(", ")[2]) for line in found] == lines
        # What starts from the base writes references, all others "snow".
        figures = [line.partition(": ")[2].replace(",", "").split() for line in found]
        assert all(float(one[2]) > 0 and one[3:7] == ["against", "0.0", "/", "0.0"] for one in figures)
    assert (told[3], told[14]) == (
        "from the base with 1, against from nothing with 3:",
        "against the base as it is:",
    )
    assert left_out == 4 * [{"boat-4", "boat-5"}]


@pytest.mark.parametrize("option", ["--rounds", "--seeds"])
def test_no_rounds_and_no_seeds_are_refused(tmp_path, monkeypatch, capsys, option):
    asked = [str(tmp_path / "captions.csv"), "--images", ".", "--out", str(tmp_path), option, "0"]
    monkeypatch.setattr("sys.argv", ["start_from.py", *asked])
    with pytest.raises(SystemExit):
        start_from.main()
    assert "--rounds and --seeds are 1 or more" in capsys.readouterr().err
