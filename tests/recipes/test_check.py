from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.recipes.conftest import COLOURS, World

from cutline.config import resolve
from cutline.data.readers import read_dataset
from cutline.data.splits import load_splits
from cutline.errors import (
    BundleError,
    ConfigError,
    DataError,
    RunError,
    SplitError,
    UnknownNameError,
    WeightsError,
)
from cutline.progress import Silent
from cutline.recipes.check import check
from cutline.records import Run
from cutline.text import Vocabulary


class Stages(Silent):
    """A progress that remembers how much there was to do in each stage."""

    def __init__(self) -> None:
        self.totals: dict[str, int | None] = {}

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str) -> Iterator[Stages]:
        self.totals[name] = total
        yield self

    def advance(self, count: int = 1, **values: float) -> None:
        pass


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


def test_a_page_and_a_cleaned_table_are_written_on_demand(table: Path, tmp_path: Path) -> None:
    report = check(table, html=tmp_path / "out" / "check.html", fix=tmp_path / "out" / "clean.csv")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("check.html", "clean.changes.csv", "clean.csv")
    ]
    assert report.fixed[0].startswith(f"Cleaned table: {tmp_path / 'out' / 'clean.csv'}: 20 images")
    assert report.fixed[0] in report.lines()


def test_a_page_has_the_ending_of_one(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"out\.txt: a page is written as HTML; give a name that ends in"):
        check(table, html=tmp_path / "out.txt")


@pytest.mark.parametrize("output", ["fix", "html"])
@pytest.mark.parametrize("name", ["captions.csv", "linked.csv", "up/../captions.csv"])
def test_what_is_checked_is_never_written_over(table: Path, output: str, name: str) -> None:
    before = table.read_bytes()
    (table.parent / "up").mkdir()
    (table.parent / "linked.csv").hardlink_to(table)
    with pytest.raises(RunError, match="is what is checked"):
        check(table, **{output: table.parent / name}, overwrite=True)
    with pytest.raises(RunError, match="is what is checked"):
        check(read_dataset(table), **{output: table.parent / name}, overwrite=True)
    assert table.read_bytes() == before


def test_what_lies_in_a_folder_that_is_checked_is_not_written_over(table: Path) -> None:
    folder = table.parent
    for name in ("captions.csv", "captions.changes.csv"):
        table.rename(folder / name)
        with pytest.raises(RunError, match="is what is checked, or in it"):
            check(folder, fix=folder / "captions.csv", overwrite=True)
        (folder / name).rename(table)
    for _ in range(2):
        check(folder, html=folder / "check.html", fix=folder.parent / f"{folder.name}.csv", overwrite=True)


def test_misspelt_names_are_told_before_anything_is_read(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cutline.recipes.check.load", lambda *_, **__: pytest.fail("the data were read"))
    with pytest.raises(UnknownNameError, match="did you mean 'resnet50'"):
        check(table, encoder="resnet5O")
    with pytest.raises(WeightsError, match=r"nets/mine\.keras: no such encoder file"):
        check(table, encoder="nets/mine.keras")
    with pytest.raises(BundleError, match="runs/frist: no such model"):
        check(table, model="runs/frist")
    with pytest.raises(ConfigError, match="give one of them"):
        check(table, encoder="resnet50", model="runs/first")


def test_an_encoder_is_asked_only_when_it_is_named(world: World, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    rows = ["image,caption"]
    for name, colour in COLOURS.items():
        # The encoder sees the mean colour alone, which stays when its pixels change places.
        picture = chance.integers(0, 256, (64, 64, 3)) // 4 + np.array(colour) // 2
        for part, turned in enumerate(
            (picture, chance.permutation(picture.reshape(-1, 3)).reshape(64, 64, 3))
        ):
            Image.fromarray(turned.astype(np.uint8)).save(tmp_path / f"{name}-{part}.png")
            rows.append(f"{name}-{part}.png,a {name} picture")
    (tmp_path / "captions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")

    def told(encoder: str | None) -> set[str]:
        report = check(tmp_path / "captions.csv", encoder=encoder)
        near = [finding for finding in report.findings if finding.kind.startswith("near-duplicates")]
        return {f"{place.where}: {place.detail}" for finding in near for place in finding.occurrences}

    assert told(None) == set()
    found = told(world.options["encoder.name"])
    assert len(found) == len(COLOURS)
    assert all(detail.endswith(", by the encoder's features") for detail in found)


def test_a_model_is_asked_about_captions_it_was_not_trained_on(world: World, trained: Run) -> None:
    dataset = read_dataset(world.table)
    splits = load_splits(Path(trained.folder) / "split.csv")
    unseen = {image_id for image_id, split in splits.items() if split != "train"}
    swapped = tuple(
        replace(example, captions=("a blue square",) if "red" in example.captions[0] else example.captions)
        for example in dataset.examples
    )
    progress = Stages()
    report = check(replace(dataset, examples=swapped), model=trained.folder, progress=progress)
    captions = sum(len(example.captions) for example in swapped if example.image_id in unseen)
    assert progress.totals["asking the model"] == captions > 0
    asked = [each for each in report.findings if each.kind == "unlikely caption"]
    assert {place.where for each in asked for place in each.occurrences} <= unseen


def test_the_run_says_what_it_was_trained_on_and_not_the_table(world: World, trained: Run) -> None:
    dataset = read_dataset(world.table)
    all_train = tuple(replace(example, split="train") for example in dataset.examples)
    progress = Stages()
    check(replace(dataset, examples=all_train), model=trained.folder, progress=progress)
    splits = load_splits(Path(trained.folder) / "split.csv")
    unseen = [example for example in all_train if splits[example.image_id] != "train"]
    assert progress.totals["asking the model"] == sum(len(example.captions) for example in unseen) > 0


@pytest.mark.parametrize("part", ["", "bundle"])
def test_captions_are_asked_about_as_far_as_the_model_was_trained(
    world: World, trained: Run, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    encode = Vocabulary.encode

    def spy(self: Vocabulary, caption: str, max_length: int) -> list[int]:
        lengths.append(max_length)
        return encode(self, caption, max_length)

    monkeypatch.setattr(
        "cutline.recipes.run_folder.require_run", lambda _: resolve("", {}, overrides={"text.max_length": 77})
    )
    monkeypatch.setattr(Vocabulary, "encode", spy)
    check(world.table, model=Path(trained.folder) / part)
    assert {*lengths} == {77}
