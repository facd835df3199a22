from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from tests.fakes import CAPTIONS_IN_MANY_SCRIPTS

from cutline.data.readers import read_dataset
from cutline.errors import DataError, SplitError
from cutline.records import Dataset

ONE_LINERS = {
    image: tuple(caption.replace("\n", " ") for caption in captions)
    for image, captions in CAPTIONS_IN_MANY_SCRIPTS.items()
}


def captions_of(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {example.image_id: example.captions for example in dataset.examples}


def splits_of(dataset: Dataset) -> dict[str, str | None]:
    return {example.image_id: example.split for example in dataset.examples}


def write(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="")
    return path


def write_tokens(path: Path, images: dict[str, tuple[str, ...]], end: str = "\n") -> Path:
    lines = [
        f"{name}#{n}\t{text}{end}" for name, captions in images.items() for n, text in enumerate(captions)
    ]
    return write(path, "".join(lines))


@pytest.mark.parametrize("name", ["Flickr8k.token.txt", "token.txt", "results_20130124.token", "mine.txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_flickr_token_file_comes_back(tmp_path: Path, name: str, end: str) -> None:
    data = read_dataset(write_tokens(tmp_path / name, ONE_LINERS, end))
    assert captions_of(data) == ONE_LINERS
    assert splits_of(data) == dict.fromkeys(ONE_LINERS)
    assert (data.format, data.problems) == ("flickr", ())


def test_flickrs_official_lists_give_the_splits(tmp_path: Path) -> None:
    write_tokens(tmp_path / "Flickr8k.token.txt", {**ONE_LINERS, "unlisted.jpg": ("a cat", "a kitten")})
    write_tokens(tmp_path / "Flickr8k.lemma.token.txt", ONE_LINERS)
    write(tmp_path / "Flickr_8k.trainImages.txt", "dog.jpg\r\n")
    write(tmp_path / "Flickr_8k.devImages.txt", "कुत्ता.png\n")
    write(tmp_path / "Flickr_8k.testImages.txt", "bus 3\n\n")
    write(tmp_path / "captions_test.txt", "image,caption\nunlisted.jpg,a cat\n")
    data = read_dataset(tmp_path / "Flickr8k.token.txt")
    assert splits_of(data) == {"dog.jpg": "train", "कुत्ता.png": "val", "bus 3.jpeg": "test"}
    assert captions_of(data) == ONE_LINERS
    assert [p.message for p in data.problems] == ["unlisted.jpg is in no split list, so it is in no split"]


def test_a_flickr_folder_is_recognised(tmp_path: Path) -> None:
    write_tokens(tmp_path / "Flickr8k.token.txt", ONE_LINERS)
    write_tokens(tmp_path / "Flickr8k.lemma.token.txt", {"dog.jpg": ("a dog run",)})
    write(tmp_path / "Flicker8k_Dataset" / "dog.jpg")
    data = read_dataset(tmp_path)
    assert captions_of(data) == ONE_LINERS
    assert data.examples[0].image == str(tmp_path / "Flicker8k_Dataset" / "dog.jpg")


def test_overlapping_flickr_lists_are_refused(tmp_path: Path) -> None:
    path = write_tokens(tmp_path / "token.txt", {"a.jpg": ("a dog",)})
    write(tmp_path / "Flickr_8k.trainImages.txt", "a.jpg\n")
    write(tmp_path / "Flickr_8k.testImages.txt", "a.jpg\n")
    with pytest.raises(SplitError, match=r"1 image is in two splits: a\.jpg \(test, train\)"):
        read_dataset(path)


def test_broken_flickr_lines_are_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "token.txt", "a.jpg#0\ta dog\n\nb.jpg a cat\n")
    data = read_dataset(path)
    assert captions_of(data) == {"a.jpg": ("a dog",)}
    assert [(p.where, p.message) for p in data.problems] == [
        ("token.txt line 3", "not name#number, tab, caption; left out")
    ]


def test_a_forced_flickr_reader_refuses_other_text(tmp_path: Path) -> None:
    path = write(tmp_path / "captions.txt", "image,caption\na.jpg,a dog\n")
    with pytest.raises(DataError, match=r"captions\.txt: no line reads name\.jpg#0, tab, caption"):
        read_dataset(path, format="flickr")


def write_metadata(folder: Path, images: dict[str, tuple[str, ...]], kind: str) -> None:
    rows = [{"file_name": image, "text": caption} for image in images for caption in images[image]]
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "jsonl":
        write(folder / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        return
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ("file_name", "text"))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_imagefolder_comes_back(tmp_path: Path, kind: str) -> None:
    write_metadata(tmp_path, CAPTIONS_IN_MANY_SCRIPTS, kind)
    data = read_dataset(tmp_path)
    assert captions_of(data) == CAPTIONS_IN_MANY_SCRIPTS
    assert (data.format, data.problems) == ("imagefolder", ())


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_subfolders_of_an_imagefolder_are_its_splits(tmp_path: Path, kind: str) -> None:
    for folder, name in (("train", "0.jpg"), ("validation", "0.jpg"), ("test", "1.jpg"), ("extra", "2.jpg")):
        write_metadata(tmp_path / folder, {name: (f"a dog in {folder}",)}, kind)
        write(tmp_path / folder / name)
    data = read_dataset(tmp_path)
    expected = {"extra/2.jpg": None, "test/1.jpg": "test", "train/0.jpg": "train", "validation/0.jpg": "val"}
    assert splits_of(data) == expected
    assert [example.image for example in data.examples] == [str(tmp_path / name) for name in expected]


def test_one_metadata_file_above_split_folders_is_enough(tmp_path: Path) -> None:
    write_metadata(tmp_path, {"train/0.jpg": ("a dog",), "test/0.jpg": ("a cat",)}, "csv")
    assert splits_of(read_dataset(tmp_path)) == {"train/0.jpg": "train", "test/0.jpg": "test"}


def test_a_forced_imagefolder_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no metadata\.csv, metadata\.jsonl or metadata\.parquet here"):
        read_dataset(tmp_path, format="imagefolder")


def test_sidecars_come_back(tmp_path: Path) -> None:
    for image, captions in ONE_LINERS.items():
        write(tmp_path / image)
        write((tmp_path / image).with_suffix(".txt"), "\r\n".join(captions) + "\n\n")
    data = read_dataset(tmp_path)
    assert captions_of(data) == ONE_LINERS
    assert {example.image for example in data.examples} == {str(tmp_path / image) for image in ONE_LINERS}
    assert (data.format, data.problems) == ("sidecars", ())


def test_sidecars_below_split_folders_and_with_full_names_are_read(tmp_path: Path) -> None:
    write(tmp_path / "train" / "a.jpg")
    write(tmp_path / "train" / "a.txt", "a dog")
    write(tmp_path / "dev" / "b.jpg")
    write(tmp_path / "dev" / "b.jpg.txt", "a cat")
    assert splits_of(read_dataset(tmp_path)) == {"dev/b.jpg": "val", "train/a.jpg": "train"}


def test_sidecars_may_lie_apart_from_the_images(tmp_path: Path) -> None:
    write(tmp_path / "texts" / "a.txt", "a dog")
    write(tmp_path / "pictures" / "a.jpg")
    data = read_dataset(tmp_path / "texts", tmp_path / "pictures", format="sidecars")
    assert data.examples[0].image == str(tmp_path / "pictures" / "a.jpg")


def test_images_without_or_with_blank_sidecars_are_reported(tmp_path: Path) -> None:
    for name, text in (("a", "a dog"), ("b", " \n"), ("c", "")):
        write(tmp_path / f"{name}.jpg")
        write(tmp_path / f"{name}.txt", text)
    write(tmp_path / "d.jpg")
    data = read_dataset(tmp_path)
    assert captions_of(data) == {"a.jpg": ("a dog",)}
    assert [(p.kind, p.where) for p in data.problems] == [
        ("empty caption", "b.txt line 1"),
        ("empty caption", "c.txt line 1"),
        ("image without caption", "d.jpg"),
        ("image without caption", "b.txt line 1"),
        ("image without caption", "c.txt line 1"),
    ]


def test_a_forced_sidecar_reader_without_text_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="no image has a text file of the same name beside it"):
        read_dataset(tmp_path, format="sidecars")
