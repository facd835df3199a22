from __future__ import annotations

from pathlib import Path

import pytest

from cutline.data.readers import read_dataset
from cutline.data.readers.locate import Locator
from cutline.errors import DataError


def write(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "name",
    ["photos/a/1.png", "old/photos/a/1.png", "C:\\x\\photos\\a\\1.png", "/archive/a/1.png", "a/1.png"],
)
def test_as_much_of_a_path_counts_as_there_is(tmp_path: Path, name: str) -> None:
    image = write(tmp_path / "a" / "1.png")
    write(tmp_path / "b" / "1.png")
    write(tmp_path / "1.png")
    assert Locator(tmp_path, tmp_path).find(name) == str(image)


def test_two_names_that_shrink_to_one_file_are_refused(tmp_path: Path) -> None:
    table = write(tmp_path / "captions.csv", "image,caption\na/1.png,dog runs\nb/1.png,cat sleeps\n")
    image = write(tmp_path / "photos" / "a" / "1.png")
    write(tmp_path / "photos" / "b" / "1.png", "another")
    with pytest.raises(DataError) as caught:
        read_dataset(table, image.parent)
    assert str(caught.value) == (
        f"captions.csv row 3: images 'a/1.png' and 'b/1.png' both lead to {image}; give the folder that "
        "these names start from with --images DIR, or correct the names"
    )
    data = read_dataset(table, tmp_path / "photos")
    assert [example.captions for example in data.examples] == [("dog runs",), ("cat sleeps",)]


@pytest.mark.parametrize("names", [("1.png", "b/1.png"), ("b/1.png", "1.png")])
def test_a_shortened_name_never_takes_the_file_of_another(tmp_path: Path, names: tuple[str, str]) -> None:
    write(tmp_path / "1.png")
    locator = Locator(tmp_path, None)
    locator.find(names[0])
    with pytest.raises(DataError, match=f"images '{names[0]}' and '{names[1]}' both lead to"):
        locator.find(names[1])


def test_a_name_in_several_usual_folders_is_refused_unless_they_hold_the_same(tmp_path: Path) -> None:
    first = write(tmp_path / "train" / "1.png", "a dog")
    second = write(tmp_path / "val" / "1.png", "a cat")
    for name in ("1.png", "elsewhere/1.png", "1", "1.PNG"):
        with pytest.raises(DataError) as caught:
            Locator(tmp_path, None).find(name)
        assert str(caught.value).startswith(
            f"image {name!r} may be {first} or {second}; write more of its path"
        )
    assert Locator(tmp_path, None).find("val/1.png") == str(second)
    assert Locator(tmp_path, tmp_path / "val").find("1.png") == str(second)
    write(second, "a dog")
    assert Locator(tmp_path, None).find("1.png") == str(first)


def test_linked_folders_are_one_folder(tmp_path: Path) -> None:
    image = write(tmp_path / "images" / "1.png")
    (tmp_path / "train").symlink_to(tmp_path / "images", target_is_directory=True)
    assert Locator(tmp_path, None).find("1.png") == str(image)


@pytest.mark.parametrize("name", ["1.PNG", "1", "Images/1.Png", "C:\\IMAGES\\1.PNG", "images/1"])
def test_case_and_a_missing_ending_do_not_hide_an_image(tmp_path: Path, name: str) -> None:
    image = write(tmp_path / "images" / "1.png")
    write(tmp_path / "images" / "11.png")
    assert Locator(tmp_path, None).find(name) == str(image)


def test_spellings_of_one_name_may_lead_to_one_file(tmp_path: Path) -> None:
    image = write(tmp_path / "a.png")
    locator = Locator(tmp_path, None)
    assert {locator.find(name) for name in ("./a.png", "a.png", "A.PNG")} == {str(image)}


def test_another_ending_is_another_image(tmp_path: Path) -> None:
    write(tmp_path / "1.png")
    assert Locator(tmp_path, None).find("1.jpg") == str(tmp_path / "1.jpg")


def test_two_files_of_one_stem_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "1.png", "x")
    write(tmp_path / "1.jpg", "y")
    with pytest.raises(DataError, match=r"image '1' may be .*1\.jpg or .*1\.png"):
        Locator(tmp_path, None).find("1")


def test_file_names_with_backslashes_are_found(tmp_path: Path) -> None:
    image = write(tmp_path / "images\\1.png")
    assert Locator(tmp_path, None).find("images/1.png") == str(image)


def test_backslashes_and_slashes_name_one_image(tmp_path: Path) -> None:
    table = write(tmp_path / "captions.csv", "image,caption\na\\1.png,a dog\na/1.png,a hound\n")
    write(tmp_path / "a" / "1.png")
    (example,) = read_dataset(table).examples
    assert (example.image_id, example.captions) == ("a/1.png", ("a dog", "a hound"))
