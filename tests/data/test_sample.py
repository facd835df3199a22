"""The sample data set is deterministic, true in every caption, and honest about what training sees."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutline.data.images import digest_file
from cutline.data.sample import draw_sample
from cutline.data.scene_pictures import SIDE
from cutline.data.scenes import COLOURS, HELD_OUT_COUNTS, HELD_OUT_KINDS, SHAPES
from cutline.errors import ConfigError

Row = dict[str, str]
KIND = re.compile(rf"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})")
PLURAL = re.compile(rf"(two|three) ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})s")
ALL_OF_THEM = re.compile(rf"(two|three) ({'|'.join(SHAPES)})s and (?:both|all) of them are (\w+)")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_sample(tmp_path_factory.mktemp("sample"), images=720).parent


@pytest.fixture(scope="module")
def rows(sample: Path) -> list[Row]:
    with (sample / "captions.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def boxes(sample: Path) -> dict[str, list[dict]]:
    return json.loads((sample / "boxes.json").read_text("utf-8"))


def middle(box: list[int]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def kinds_in(caption: str) -> list[str]:
    return [" ".join(kind) for kind in KIND.findall(caption)]


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): digest_file(path) for path in folder.rglob("*") if path.is_file()}


def test_equal_seeds_give_equal_files_and_other_seeds_other_pictures(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        draw_sample(tmp_path / name, images=40, seed=seed)
    first, again, other = (contents(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert first.keys() == other.keys()
    assert not set(first.values()) & set(other.values())


def test_every_row_names_a_picture_of_the_right_size(sample: Path, rows: list[Row]) -> None:
    for name in {row["image"] for row in rows}:
        with Image.open(sample / name) as image:
            assert (image.size, image.mode) == ((SIDE, SIDE), "RGB")


def test_no_picture_is_drawn_twice(sample: Path) -> None:
    digests = [digest_file(path) for path in (sample / "images").iterdir()]
    assert len(set(digests)) == len(digests) == 720


def test_each_picture_has_five_different_captions(rows: list[Row]) -> None:
    captions = defaultdict(set)
    for row in rows:
        captions[row["image"]].add(row["caption"])
    assert len(rows) == 5 * 720
    assert {len(texts) for texts in captions.values()} == {5}


def test_splits_are_80_10_10_and_half_of_test_is_held_out(rows: list[Row]) -> None:
    images = {row["image"]: (row["split"], row["combination"]) for row in rows}
    assert Counter(images.values()) == {
        ("train", "seen"): 576,
        ("val", "seen"): 54,
        ("val", "held-out"): 18,
        ("test", "seen"): 36,
        ("test", "held-out"): 36,
    }


def test_training_captions_and_pictures_show_no_held_out_combination(rows: list[Row], boxes) -> None:
    held_out = {" ".join(kind) for kind in HELD_OUT_KINDS}
    counts = {(count, " ".join(kind)) for count, kind in HELD_OUT_COUNTS}
    for row in rows:
        names = [thing["name"] for thing in boxes[row["image"]]]
        shown = bool(held_out & {*names, *kinds_in(row["caption"])}) or (
            len(set(names)) == 1 and (len(names), names[0]) in counts
        )
        assert shown <= (row["combination"] == "held-out") <= (row["split"] != "train")
        if row["combination"] == "held-out":
            assert held_out & set(names) or (len(names), names[0]) in counts


def test_training_shows_every_word_and_every_kind_that_is_not_held_out(rows: list[Row]) -> None:
    words = {split: set() for split in ("train", "val", "test")}
    for row in rows:
        words[row["split"]].update(row["caption"].split())
    assert words["val"] | words["test"] <= words["train"]
    shown = Counter(kind for row in rows if row["split"] == "train" for kind in set(kinds_in(row["caption"])))
    kinds = {f"{colour} {shape}" for colour in COLOURS for shape in SHAPES}
    assert shown.keys() == kinds - {" ".join(kind) for kind in HELD_OUT_KINDS}
    assert max(shown.values()) < 2 * min(shown.values())


def test_captions_are_clean_english(rows: list[Row]) -> None:
    for caption in {row["caption"] for row in rows}:
        assert re.fullmatch(r"[a-z]+( [a-z]+)*", caption), caption
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", caption), caption
        assert not re.search(rf"\b(two|three) \w+ ({'|'.join(SHAPES)})\b(?!s)", caption), caption


def test_kinds_and_counts_in_captions_are_those_in_the_picture(rows: list[Row], boxes) -> None:
    numbers = {"two": 2, "three": 3}
    for row in rows:
        names, caption = [thing["name"] for thing in boxes[row["image"]]], row["caption"]
        plural = PLURAL.search(caption)
        alike = ALL_OF_THEM.search(caption)
        if plural:
            assert names == [f"{plural[2]} {plural[3]}"] * numbers[plural[1]], caption
        elif alike:
            assert names == [f"{alike[3]} {alike[2]}"] * numbers[alike[1]], caption
        elif caption.startswith("a pair of"):
            assert names == kinds_in(caption) * 2, caption
        else:
            assert set(kinds_in(caption)) == set(names), caption


def test_places_in_captions_are_where_the_thing_is(rows: list[Row], boxes) -> None:
    for row in rows:
        things, caption = boxes[row["image"]], row["caption"]
        if len(things) > 1:
            continue
        x, y = (part / SIDE - 0.5 for part in middle(things[0]["box"]))
        for word, offset in (("left", -x), ("right", x), ("top", -y), ("bottom", y)):
            if re.search(rf"\b{word}\b", caption):
                assert offset > 0.12, caption
        if "centre" in caption:
            assert max(abs(x), abs(y)) < 0.08, caption
        width = things[0]["box"][2] - things[0]["box"][0]
        if re.search(r"\b(small|little)\b", caption):
            assert width < SIDE * 0.3, caption
        if re.search(r"\b(large|big)\b", caption):
            assert width > SIDE * 0.35, caption


def test_relations_in_captions_hold_between_the_things(rows: list[Row], boxes) -> None:
    checked = Counter()
    for row in rows:
        things, caption = boxes[row["image"]], row["caption"]
        if len({thing["name"] for thing in things}) < 2:
            continue
        box = {thing["name"]: thing["box"] for thing in things}
        first, second = (box[name] for name in kinds_in(caption))
        for words, holds in {
            "to the left of": first[2] <= second[0],
            "to the right of": second[2] <= first[0],
            "above": first[3] <= second[1],
            "at the top and": first[3] <= second[1],
            "on the left and": first[2] <= second[0],
            "below": second[3] <= first[1],
            "under": second[3] <= first[1],
            "next to": first[2] <= second[0] or second[2] <= first[0],
            "inside it": first[0] < second[0] < second[2] < first[2],
            "around": first[0] < second[0] < second[2] < first[2],
            "inside a": second[0] < first[0] < first[2] < second[2],
            "inside the": second[0] < first[0] < first[2] < second[2],
        }.items():
            if re.search(rf"\b{words}n?\b", caption):
                assert holds, caption
                checked[words] += 1
    assert len(checked) == 12


def test_lines_and_backgrounds_in_captions_are_true(sample: Path, rows: list[Row], boxes) -> None:
    for row in rows:
        caption, (x, y) = row["caption"], zip(*(middle(t["box"]) for t in boxes[row["image"]]), strict=True)
        if re.search("side by side|in a row", caption):
            assert np.ptp(x) > 4 * np.ptp(y), caption
        if re.search("one above the other|in a column", caption):
            assert np.ptp(y) > 4 * np.ptp(x), caption
        if "background" in caption:
            with Image.open(sample / row["image"]) as image:
                border = np.asarray(image.crop((0, 0, SIDE, 40))).reshape(-1, 3)
            paper = border[(border.min(axis=1) > 195) & (border.min(axis=1) < 250)]
            inks = [share for share in Counter(map(tuple, paper.tolist())).values() if share > 300]
            assert (len(inks) == 1) == ("plain" in caption), caption


def test_boxes_fit_the_things_they_name(sample: Path, boxes) -> None:
    for name, things in boxes.items():
        with Image.open(sample / name) as image:
            pixels = np.asarray(image).astype(int)
        for thing in things:
            left, top, right, bottom = thing["box"]
            assert 0 <= left < right <= SIDE
            assert 0 <= top < bottom <= SIDE
            inside = pixels[top:bottom, left:right].reshape(-1, 3)
            # Paper is light and hardly tinted: whatever is not stands out.
            strong = (np.ptp(inside, axis=1) > 60) | (inside.max(axis=1) < 60)
            assert strong.mean() > 0.3, (name, thing)


def test_other_files_stay_and_drawing_again_replaces_its_own(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.png").write_bytes(b"mine")
    first = contents(draw_sample(tmp_path, images=40).parent)
    assert contents(draw_sample(tmp_path, images=40).parent) == first
    assert (tmp_path / "images" / "mine.png").read_bytes() == b"mine"


def test_an_interrupted_drawing_leaves_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_sample(tmp_path, images=40)

    def interrupted(scene: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cutline.data.sample.draw_scene", interrupted)
    with pytest.raises(KeyboardInterrupt):
        draw_sample(tmp_path, images=40)
    assert not (tmp_path / "captions.csv").exists()


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        draw_sample(tmp_path, images=12)
    assert str(caught.value) == "images: 12 is too few for three splits; draw at least 40"
