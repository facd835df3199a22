from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cutline.errors import ConfigError, DataError, SplitError
from cutline.recipes.check import check


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = ["image,caption"]
    for number in range(20):
        name = f"{number}.png"
        Image.new("RGB", (30, 20), (12 * number, 0, 0)).save(tmp_path / name)
        rows += [f"{name},a red picture", f"{name},picture number {number}"]
    path = tmp_path / "captions.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_table_is_read_identified_split_and_counted(table: Path) -> None:
    report = check(table)
    assert (report.images, report.captions) == (20, 40)
    assert {split: images for split, (images, _) in report.splits.items()} == {
        "train": 16,
        "val": 2,
        "test": 2,
    }
    assert report.problems == ()


def test_images_that_are_lost_or_broken_are_reported_not_refused(table: Path) -> None:
    (table.parent / "3.png").unlink()
    (table.parent / "4.png").write_bytes((table.parent / "5.png").read_bytes()[:60])
    report = check(table)
    assert sorted(problem.kind for problem in report.problems) == ["missing image", "unreadable image"]


def test_too_few_images_to_train_on_can_still_be_looked_at(table: Path) -> None:
    table.write_text("image,caption\n0.png,a red picture\n", encoding="utf-8")
    assert check(table).images == 1


def test_options_of_reading_and_of_the_vocabulary_are_followed(table: Path) -> None:
    report = check(
        table, overrides={"data.train_fraction": 0.5, "text.level": "character", "data.format": None}
    )
    assert report.splits["train"][0] == 10
    assert report.level == "character"


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        ({"data.formt": "coco"}, ConfigError, "did you mean data.format"),
        ({"data.caption_column": "words"}, DataError, "words"),
    ],
)
def test_wrong_options_are_errors(
    table: Path, overrides: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check(table, overrides=overrides)


def test_an_image_in_two_splits_is_reported_and_the_rest_looked_at(table: Path) -> None:
    rows = "image,caption,split\n0.png,a dog,train\n0.png,a cat,test\n1.png,a bird,train\n"
    table.write_text(rows, encoding="utf-8")
    report = check(table)
    assert report.images == 2
    assert [text.partition(" ")[0] for text in report.in_two_splits] == ["0.png"]


def test_images_in_two_splits_without_a_file_are_an_error(table: Path) -> None:
    table.write_text("image,caption,split\ngone.png,a dog,train\ngone.png,a cat,test\n", encoding="utf-8")
    with pytest.raises(SplitError, match=r"gone\.png"):
        check(table)


def test_looking_changes_no_file(table: Path) -> None:
    before = {path.name: path.read_bytes() for path in table.parent.iterdir()}
    check(table)
    assert {path.name: path.read_bytes() for path in table.parent.iterdir()} == before
