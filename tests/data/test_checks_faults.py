"""The doctor finds every planted fault where it was planted, and nothing where there is none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.faulty import Faulty, photo

from cutline.config import TextOptions
from cutline.data.checks import KINDS, CheckReport, check_dataset
from cutline.data.checks.pictures import Pictures, alike_by_features, picture_findings
from cutline.data.near_duplicates import members, perceptual_hashes
from cutline.data.sample import draw_sample
from cutline.recipes.check import check
from cutline.records import Dataset, Example

Rows = Sequence[tuple[str, Sequence[str]]]
"""Split and captions of each image."""

SENTENCE = (
    ("a", "the", "one"),
    ("small", "large", "brown", "white", "young", "old", "happy", "wet"),
    ("dog", "cat", "bird", "horse", "boat", "tree", "car", "child"),
    ("runs", "stands", "jumps", "rests", "waits", "turns", "falls", "moves"),
    ("on the grass", "in the water", "at the wall", "by the road", "on the sand", "in the snow"),
    ("today", "alone", "slowly", "again", "outside", "early"),
)


@pytest.fixture(scope="session")
def looked_over(faulty: Faulty) -> CheckReport:
    return check(faulty.table)


def found_in(report: CheckReport) -> dict[str, set[str]]:
    return {finding.kind: {place.where for place in finding.occurrences} for finding in report.findings}


def test_every_planted_fault_is_found_where_it_is_and_nothing_else(
    faulty: Faulty, looked_over: CheckReport
) -> None:
    assert len(faulty.planted) >= 30
    assert found_in(looked_over) == faulty.planted


def test_nothing_is_wrong_with_the_sample_set(tmp_path: Path) -> None:
    assert check(draw_sample(tmp_path)).findings == ()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(8):
        photo(100 + number, (80, 80)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def look_over(pictures: Path) -> Callable[..., CheckReport]:
    """Return the function that checks made-up captions; all images have one of a few pictures."""

    def look(rows: Rows, groups: Sequence[str] = (), text: TextOptions | None = None) -> CheckReport:
        examples = [
            Example(
                f"{number}.png",
                str(pictures / f"{number % 8}.png"),
                tuple(captions),
                split,
                f"{number:064x}",
                groups[number] if groups else "",
            )
            for number, (split, captions) in enumerate(rows)
        ]
        return check_dataset(Dataset(tuple(examples), "made-up.csv", "table"), text=text)

    return look


def sound(count: int, split: str = "train") -> list[tuple[str, list[str]]]:
    """Make images with two captions each that nothing is wrong with."""
    chance = random.Random(split)

    def sentence() -> str:
        return " ".join(chance.choice(words) for words in SENTENCE)

    return [(split, [sentence(), sentence()]) for _ in range(count)]


def balanced(train: int = 120, held_out: int = 50) -> list[tuple[str, list[str]]]:
    return sound(train) + sound(held_out, "val") + sound(held_out, "test")


NEAR = {"near-duplicates across splits", "near-duplicates"}
EXPECTED = NEAR | {"few images"}
"""The made-up images are few, and share their pictures."""


def test_a_sound_set_of_captions_has_no_fault(look_over: Callable[..., CheckReport]) -> None:
    assert found_in(look_over(balanced())).keys() == EXPECTED - {"near-duplicates"}


def test_five_hundred_images_are_not_few(look_over: Callable[..., CheckReport]) -> None:
    assert "few images" not in found_in(look_over(balanced(500)))


def opening(rows: Rows) -> Rows:
    return [(split, ["there is a " + captions[0].split(" ", 1)[1], captions[1]]) for split, captions in rows]


def everywhere(rows: Rows) -> Rows:
    return [(split, [f"{captions[0]} outdoors", captions[1]]) for split, captions in rows]


def gendered(rows: Rows) -> Rows:
    people = ["a man", "a boy", "two men", "the man", "a woman"]
    return [
        (split, [f"{captions[0]} beside {people[number % 5]}", captions[1]] if number % 8 < 5 else captions)
        for number, (split, captions) in enumerate(rows)
    ]


def alone(rows: Rows) -> Rows:
    return [(split, captions[:1]) for split, captions in rows]


def wordy(rows: Rows) -> Rows:
    return [
        (split, [f"{text} w{number}x w{number}y" for text in captions])
        for number, (split, captions) in enumerate(rows)
    ]


def foreign_test(rows: Rows) -> Rows:
    """Say of test images what train never says: two words of each caption."""

    def changed(text: str, number: int) -> str:
        article, *words = text.split()
        return " ".join([article, f"t{number % 50}", *words[1:-1], f"u{number % 50}"])

    return [
        (split, [changed(captions[0], number), captions[1]] if split == "test" else captions)
        for number, (split, captions) in enumerate(rows)
    ]


def long_test(rows: Rows) -> Rows:
    return [
        (split, [" and ".join([text] * 2) if split == "test" else text for text in captions])
        for split, captions in rows
    ]


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("same opening", opening),
        ("word in nearly all images", everywhere),
        ("uneven gendered words", gendered),
        ("one caption per image", alone),
        ("rare words", wordy),
        ("unknown words", foreign_test),
        ("splits differ", long_test),
        ("small split", lambda rows: rows[:-20]),
        ("empty split", lambda rows: rows[:-50]),
    ],
)
def test_faults_of_a_whole_set_are_found(
    look_over: Callable[..., CheckReport], kind: str, spoil: Callable[[Rows], Rows]
) -> None:
    assert found_in(look_over(spoil(balanced()))).keys() - EXPECTED == {kind}


def test_a_vocabulary_that_nothing_is_frequent_enough_for_is_an_error(
    look_over: Callable[..., CheckReport],
) -> None:
    report = look_over(balanced(), text=TextOptions(min_count=100_000))
    assert report.findings[0].kind == "no vocabulary"
    assert report.findings[0].severity == "error"


def test_groups_with_hardly_an_image_are_found(look_over: Callable[..., CheckReport]) -> None:
    rows = balanced()
    report = look_over(rows, ["rare" if number < 3 else "usual" for number in range(len(rows))])
    assert found_in(report)["uneven groups"] == {"rare"}
    even = look_over(rows, ["one" if number % 2 else "two" for number in range(len(rows))])
    assert "uneven groups" not in found_in(even)


def table_of(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(4):
        photo(number, (90, 90)).save(folder / f"{number}.png")
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_what_readers_leave_out_is_found(tmp_path: Path) -> None:
    odd_name = json.dumps(
        [{"image": "0.png", "caption": "a dog"}, {"image": "\ud800.png", "caption": "a cat"}]
    )
    assert "unreadable name" in found_in(check(table_of(tmp_path / "a", "captions.json", odd_name)))
    no_split = "image,set,caption\n0.png,toys,a dog\n1.png,pets,a cat\n"
    assert "column left out" in found_in(check(table_of(tmp_path / "b", "captions.csv", no_split)))
    torn = "image,kind,caption\n0.png,toys,a dog\n0.png,pets,a cat\n1.png,pets,a bird\n"
    report = check(table_of(tmp_path / "c", "captions.csv", torn), overrides={"data.group_column": "kind"})
    assert found_in(report)["two groups"] == {"0.png"}
    tokens = table_of(tmp_path / "d", "Flickr8k.token.txt", "0.png#0\ta dog\n1.png#0\ta cat\n")
    (tmp_path / "d" / "Flickr_8k.trainImages.txt").write_text("0.png\n", encoding="utf-8")
    assert "in no split list" in found_in(check(tokens))


def test_every_kind_is_planted_somewhere(faulty: Faulty) -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    elsewhere = {"unlike its neighbours", "unlikely caption"}  # test_checks_misfits.py, tests/evaluation
    assert [
        kind
        for kind in KINDS
        if kind not in faulty.planted and f'"{kind}"' not in here and kind not in elsewhere
    ] == []


def test_an_image_in_two_splits_stays_in_the_one_farthest_from_training(tmp_path: Path) -> None:
    table = table_of(
        tmp_path / "t",
        "captions.csv",
        "image,split,caption\n0.png,train,a dog\n0.png,test,a cat\n1.png,val,a bird\n2.png,train,a bird\n",
    )
    report = check(table)
    assert found_in(report)["image in two splits"] == {"0.png"}
    assert report.splits["test"] == (1, 2)
    assert report.in_two_splits == ("0.png (train in captions.csv row 2, test in captions.csv row 3)",)


def test_features_show_near_duplicates_that_pixels_do_not(pictures: Path) -> None:
    chance = np.random.default_rng(0)
    features = chance.standard_normal((300, 64)).astype(np.float16)
    features[7] = features[250] * 1.5 + 0.05 * chance.standard_normal(64)
    assert members(alike_by_features(features)) == [[7, 250]]


def test_equal_drawings_in_other_colours_are_no_near_duplicates(tmp_path: Path) -> None:
    rows = ["image,caption"]
    for number, colour in enumerate(("red", "blue", "green", "black")):
        picture = Image.new("RGB", (100, 100), "white")
        picture.paste(colour, (30, 30, 70, 70))
        picture.save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,the {colour} square")
    table = tmp_path / "captions.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert found_in(check(table)).keys().isdisjoint(NEAR)


def alike(count: int) -> Pictures:
    """Return as many nearly equal pictures, half of them train images and half of them test images."""
    noise = np.random.default_rng(0).integers(0, 5, (count, 32, 32, 3), np.uint8)
    frames = np.asarray(photo(0, (32, 32)), np.uint8) // 2 + noise
    return Pictures(
        tuple(
            Example(f"{number:04}.png", "", ("",), ("train", "test")[number % 2]) for number in range(count)
        ),
        np.full((count, 2), 200),
        perceptual_hashes(frames),
        frames[:, ::2, ::2],
        (),
    )


def test_a_large_group_of_nearly_equal_images_is_told_in_a_line() -> None:
    (finding,) = picture_findings(alike(300))
    (place,) = finding.occurrences
    assert finding.kind == "near-duplicates across splits"
    assert sorted(place.images) == [f"{number:04}.png" for number in range(300)]
    assert place.detail.startswith("in train, nearly equal to 0002.png (train), 0004.png (train), ")
    assert place.detail.endswith("0010.png (train) and 294 more, by their pixels")


def test_it_is_told_whether_pixels_or_features_made_images_nearly_equal() -> None:
    pictures = alike(6)
    features = np.random.default_rng(0).standard_normal((6, 64))
    (finding,) = picture_findings(pictures, features)
    assert finding.occurrences[0].detail.endswith(", by their pixels")
    apart = replace(
        pictures, codes=pictures.codes ^ np.array([0, 0, 0, 2**40 - 1, 2**40 - 1, 2**64 - 1], np.uint64)
    )
    features[3] = features[2]
    (finding,) = picture_findings(apart, features)
    (place,) = finding.occurrences
    assert len(place.images) == 5
    assert place.detail.endswith(", by the encoder's features and by their pixels")
