"""A cleaned table reads back as what is left, and every change is told."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from tests.data.faulty import Faulty, photo

from cutline.data.checks.cleaning import LEFT_OUT, MENDED
from cutline.data.readers import read_dataset
from cutline.errors import ConfigError, RunError
from cutline.recipes.check import check


@pytest.fixture(scope="module")
def fixed(faulty: Faulty) -> tuple[Faulty, Path]:
    clean = faulty.table.with_name("clean.csv")
    check(faulty.table, fix=clean, overwrite=True)
    return faulty, clean


def changes_of(path: Path) -> list[dict[str, str]]:
    with path.with_name(f"{path.stem}.changes.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


CURED = {
    *("missing image", "unreadable image", "broken row", "no image named", "image without caption"),
    *("same image twice", "image in two splits", "empty caption", "caption of only punctuation"),
    *("duplicate row", "same caption twice", "caption without a letter", "placeholder", "mended row"),
    *("file name as caption", "marker in a caption", "wrongly decoded text", "HTML in a caption"),
    *("escape in a caption", "invisible character", "link or address", "near-duplicates across splits"),
}


def test_what_can_be_cured_is_gone_and_the_rest_is_as_before(fixed: tuple[Faulty, Path]) -> None:
    faulty, clean = fixed
    left = {finding.kind for finding in check(clean).findings}
    assert left == faulty.planted.keys() - CURED


def test_every_row_and_image_that_is_missing_is_told(fixed: tuple[Faulty, Path]) -> None:
    faulty, clean = fixed
    told = changes_of(clean)
    before, after = read_dataset(faulty.table, keep_overlaps=True), read_dataset(clean)
    gone = {each.image_id for each in before.examples} - {each.image_id for each in after.examples}
    named = " ".join(f"{change['where']} {change['why']}" for change in told)
    assert gone
    assert [image_id for image_id in gone if image_id not in named] == []
    kept = {(each.image_id, text) for each in after.examples for text in each.captions}
    for change in told:
        if change["kind"] == "mended row":
            assert change["now"] in {text for _, text in kept}
        elif change["change"] == MENDED and change["caption"]:
            assert (change["where"], change["now"]) in kept
        elif change["change"] == LEFT_OUT and change["caption"]:
            assert (change["where"], change["caption"]) not in kept


def test_every_caption_that_was_removed_is_in_the_log(fixed: tuple[Faulty, Path]) -> None:
    faulty, clean = fixed
    changes = changes_of(clean)
    with faulty.table.open(encoding="utf-8", newline="") as stream:
        before = Counter(row["caption"] for row in csv.DictReader(stream) if row["caption"])
    after = Counter(text for each in read_dataset(clean).examples for text in each.captions)
    logged = Counter(change["caption"] for change in changes)
    unlogged = {text for text in (before - after) if before[text] - after[text] > logged[text]}
    assert unlogged == set()
    wordy = ("duplicate row", "caption of only punctuation", "missing image", "unreadable image")
    assert all(change["caption"] for change in changes if change["kind"] in wordy)
    assert all(change["why"] for change in changes)
    (moved,) = (change for change in changes if change["change"] == "moved")
    assert (moved["where"], moved["now"]) == ("images/a-leaked.png", "test")
    merged = [change for change in changes if change["change"] == "merged"]
    copies = {"images/a-copy.png", "images/a-leaked.png"}
    assert {change["where"] for change in merged} == {change["now"] for change in merged} == copies
    assert {change["kind"] for change in merged} == {"same image twice"}


def test_the_split_of_each_image_is_written(fixed: tuple[Faulty, Path]) -> None:
    _, clean = fixed
    splits = {each.image_id: each.split for each in read_dataset(clean).examples}
    assert splits["images/near-2.jpg"] == "val"
    assert splits["images/a-leaked.png"] == "test"
    assert "images/near-1.png" not in splits


def small_table(folder: Path) -> Path:
    (folder / "photos").mkdir(parents=True)
    rows = ["image,caption,category"]
    for number in range(6):
        photo(number, (90, 90)).save(folder / "photos" / f"{number}.png")
        rows.append(f"{number}.png,a dog number {number},{'pets' if number < 3 else 'farm'}")
    table = folder / "captions.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table


def test_names_are_read_by_the_same_command_as_before(tmp_path: Path) -> None:
    table = small_table(tmp_path / "in")
    out = tmp_path / "elsewhere" / "clean.csv"
    check(table, images=tmp_path / "in" / "photos", fix=out)
    again = check(out, images=tmp_path / "in" / "photos")
    assert (again.images, again.problems) == (6, ())
    beside = tmp_path / "in" / "clean.csv"
    check(table, fix=beside)
    assert check(beside).images == 6


def test_groups_and_ids_are_kept(tmp_path: Path) -> None:
    table = small_table(tmp_path)
    table.write_text(
        "image,image_id,caption,category\n0.png,17,a dog &amp; a cat,pets\n1.png,18,a cow,farm\n",
        encoding="utf-8",
    )
    check(table, fix=tmp_path / "clean.csv")
    examples = read_dataset(tmp_path / "clean.csv").examples
    assert [(each.image_id, each.group, each.captions) for each in examples] == [
        ("17", "pets", ("a dog & a cat",)),
        ("18", "farm", ("a cow",)),
    ]


def test_files_in_the_way_are_refused_before_the_work(tmp_path: Path) -> None:
    table = small_table(tmp_path)
    before = table.read_bytes()
    other = tmp_path / "other.csv"
    other.write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="--overwrite"):
        check(table, fix=other)
    with pytest.raises(RunError, match="is what is checked"):
        check(table, fix=table)
    with pytest.raises(ConfigError, match=r"ends in \.csv"):
        check(table, fix=tmp_path / "clean.txt")
    page = tmp_path / "page.html"
    page.write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="not written by cutline check"):
        check(table, html=page)
    assert (table.read_bytes(), page.read_text(encoding="utf-8")) == (before, "mine")
    check(table, html=page, overwrite=True)
    # A page of an earlier check may be replaced.
    check(table, html=page)
    assert "cutline check" in page.read_text(encoding="utf-8")
