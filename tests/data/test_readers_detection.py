from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from cutline.config import DataOptions
from cutline.data.readers import format_names, read_dataset
from cutline.errors import DataError, UnknownNameError
from cutline.text import choose_level

TABLE = "image,caption\na.jpg,a dog\n"


def write(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def test_every_format_has_a_name() -> None:
    assert format_names() == [
        "coco",
        "csv",
        "flickr",
        "imagefolder",
        "json",
        "jsonl",
        "karpathy",
        "parquet",
        "sidecars",
        "table",
        "tsv",
    ]


@pytest.mark.parametrize(("name", "near"), [("jsn", "json"), ("karpaty", "karpathy"), ("cocoo", "coco")])
def test_an_unknown_format_suggests_the_nearest(tmp_path: Path, name: str, near: str) -> None:
    with pytest.raises(
        UnknownNameError, match=rf"unknown format '{name}'; known: coco, .*; did you mean '{near}'\?"
    ):
        read_dataset(write(tmp_path / "a.csv", TABLE), format=name)


def test_format_and_columns_come_from_options_and_arguments_win(tmp_path: Path) -> None:
    path = write(tmp_path / "data.txt", "x\ty\na.jpg\ta dog\n")
    options = DataOptions(format="tsv", image_column="x", caption_column="wrong")
    data = read_dataset(path, options=options, caption_column="y")
    assert (data.format, data.examples[0].captions) == ("tsv", ("a dog",))


@pytest.mark.parametrize("name", ["captions.csv", "captions.txt", "photos.tsv"])
def test_a_folder_with_one_table_is_read(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, TABLE)
    data = read_dataset(str(tmp_path))
    assert (data.format, len(data)) == ("table", 1)


def test_of_several_tables_captions_is_preferred(tmp_path: Path) -> None:
    write(tmp_path / "captions.csv", TABLE)
    write(tmp_path / "extra.csv", "other,table\n")
    assert len(read_dataset(tmp_path)) == 1


def test_a_forced_format_finds_its_file_in_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "captions.csv", "other,table\n")
    write(tmp_path / "list.json", '[{"image": "a.jpg", "caption": "a dog"}]')
    assert read_dataset(tmp_path, format="json").examples[0].captions == ("a dog",)
    with pytest.raises(DataError, match=r"holds no file for format 'parquet' \(\*\.parquet\); name the file"):
        read_dataset(tmp_path, format="parquet")


def test_several_tables_are_listed(tmp_path: Path) -> None:
    write(tmp_path / "one.csv", TABLE)
    write(tmp_path / "two.jsonl", TABLE)
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path)
    assert str(caught.value) == f"{tmp_path}: holds several tables (one.csv, two.jsonl); name the one to read"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.xlsx", "a spreadsheet; save it as CSV and give that"),
        ("a.jpg", "an image; give a table with image names and captions, or a folder"),
    ],
)
def test_other_files_are_refused_with_advice(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_dataset(write(tmp_path / name, "x"))


def test_a_folder_without_captions_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"no captions found; looked for a table \(\.csv, .*name the file"):
        read_dataset(tmp_path)


def test_a_missing_source_and_a_missing_images_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: no such file or folder"):
        read_dataset(tmp_path / "absent.csv")
    with pytest.raises(DataError, match=r"absent: no such images folder; .* --images DIR"):
        read_dataset(write(tmp_path / "a.csv", TABLE), tmp_path / "absent")


@pytest.mark.parametrize("folder", ["", "images", "Images", "photos"])
def test_images_are_found_beside_the_table(tmp_path: Path, folder: str) -> None:
    path = write(tmp_path / "captions.csv", TABLE)
    image = write(tmp_path / folder / "a.jpg")
    assert read_dataset(path).examples[0].image == str(image)


@pytest.mark.parametrize("name", ["elsewhere/sub/a.jpg", "C:\\pictures\\a.jpg", "/not/here/a.jpg", "./a.jpg"])
def test_images_are_found_by_their_last_part(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "captions.csv", f"image,caption\n{name},a dog\n")
    image = write(tmp_path / "pictures" / "a.jpg")
    (example,) = read_dataset(path, tmp_path / "pictures").examples
    assert (example.image_id, example.image) == (name.replace("\\", "/"), str(image))


def test_the_path_in_the_table_wins_over_its_last_part(tmp_path: Path) -> None:
    path = write(tmp_path / "captions.csv", "image,caption\nsub/a.jpg,a dog\n")
    write(tmp_path / "a.jpg")
    image = write(tmp_path / "sub" / "a.jpg")
    assert read_dataset(path).examples[0].image == str(image)


def test_accents_are_found_however_the_file_system_spells_them(tmp_path: Path) -> None:
    path = write(tmp_path / "captions.csv", f"image,caption\n{unicodedata.normalize('NFC', 'é.jpg')},a dog\n")
    image = write(tmp_path / unicodedata.normalize("NFD", "é.jpg"))
    assert read_dataset(path).examples[0].image == str(image)


def test_a_missing_image_keeps_the_place_where_it_should_be(tmp_path: Path) -> None:
    path = write(tmp_path / "captions.csv", f"image,caption\na.jpg,a dog\n{'x' * 300}.jpg,a cat\n")
    first, second = read_dataset(path).examples
    assert first.image == str(tmp_path / "a.jpg")
    assert second.image.startswith(str(tmp_path / "xxx"))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "images", "captions", "duplicates", "level"),
    [
        ("captions.csv", 7000, 34991, 9, "word"),
        ("captions_zh.csv", 7000, 33307, 1693, "character"),
        ("captions_ar.csv", 7000, 20927, 73, "word"),
        ("captions_hi.csv", 6999, 6999, 0, "word"),
    ],
)
def test_the_shared_photos_have_captions_in_four_languages(
    shared_folder: Path, name: str, images: int, captions: int, duplicates: int, level: str
) -> None:
    data = read_dataset(shared_folder / "flickr8k" / name, shared_folder / "flickr8k" / "images")
    assert (len(data), data.count_captions(), len(data.problems)) == (images, captions, duplicates)
    assert {problem.kind for problem in data.problems} <= {"duplicate row"}
    assert len(data.of_split("train")) == 6000
    assert len(data.of_split("val")) == images - 6000
    assert all(Path(example.image).is_file() for example in data.examples)
    assert choose_level(caption for example in data.examples for caption in example.captions) == level
