from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cutline.data.identity import identify
from cutline.errors import DataError, SplitError
from cutline.records import Dataset, Example


def a_dataset(folder: Path, *rows: tuple[str, str | None]) -> Dataset:
    examples = [Example(name, str(folder / name), (f"a {name}",), split) for name, split in rows]
    return Dataset(tuple(examples), "table.csv", "table")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, content in {"a.jpg": b"one", "b.jpg": b"two", "c.jpg": b"one"}.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_each_file_gets_the_digest_of_its_bytes(photos: Path) -> None:
    found = identify(a_dataset(photos, ("a.jpg", None), ("b.jpg", None)))
    assert [len(example.digest) for example in found.examples] == [64, 64]
    assert found.examples[0].digest != found.examples[1].digest
    assert found.problems == ()


def test_equal_files_count_as_one_image_and_captions_are_united(photos: Path) -> None:
    found = identify(a_dataset(photos, ("c.jpg", None), ("b.jpg", None), ("a.jpg", "train")))
    assert [example.image_id for example in found.examples] == ["a.jpg", "b.jpg"]
    assert found.examples[0].captions == ("a c.jpg", "a a.jpg")
    assert found.examples[0].split == "train"
    (problem,) = found.problems
    assert (problem.kind, problem.where) == ("same image twice", "a.jpg")
    assert problem.message == (
        "the same file content under 2 names, counted as one image: c.jpg (undecided) = a.jpg (train)"
    )


def test_the_kept_name_does_not_depend_on_the_order_of_rows(photos: Path) -> None:
    rows = [("c.jpg", None), ("a.jpg", None), ("b.jpg", None)]
    one, other = (identify(a_dataset(photos, *order)) for order in (rows, rows[::-1]))
    assert {e.image_id for e in one.examples} == {e.image_id for e in other.examples} == {"a.jpg", "b.jpg"}


def test_equal_captions_of_merged_files_are_kept_once(photos: Path) -> None:
    same = ("a dog", "a cat")
    examples = tuple(Example(name, str(photos / name), same) for name in ("a.jpg", "c.jpg"))
    assert identify(Dataset(examples, "t.csv", "table")).examples[0].captions == same


def test_equal_files_in_two_splits_are_refused_with_their_names(photos: Path) -> None:
    with pytest.raises(SplitError) as caught:
        identify(a_dataset(photos, ("a.jpg", "train"), ("c.jpg", "val"), ("b.jpg", "train")))
    assert str(caught.value) == (
        "table.csv: 1 image is in two splits: a.jpg (train) = c.jpg (val); give each image one split"
    )


def test_many_offenders_are_counted_and_five_are_shown(tmp_path: Path) -> None:
    rows = []
    for number in range(7):
        for split in ("train", "test"):
            name = f"{split}{number}.jpg"
            (tmp_path / name).write_bytes(b"%d" % number)
            rows.append((name, split))
    with pytest.raises(
        SplitError, match=r"7 images are in two splits: train0.* train4.*; and 2 more; give"
    ) as caught:
        identify(a_dataset(tmp_path, *rows))
    assert "train5" not in str(caught.value)
    expected = [f"train{number}.jpg (train) = test{number}.jpg (test)" for number in range(7)]
    assert list(caught.value.offenders) == expected


def test_one_name_in_two_splits_is_refused(photos: Path) -> None:
    with pytest.raises(SplitError, match=r"a\.jpg \(test, train\)"):
        identify(a_dataset(photos, ("a.jpg", "train"), ("a.jpg", "test")))


def test_one_name_for_two_files_is_refused(photos: Path) -> None:
    examples = tuple(Example("x", str(photos / name), ("dog",)) for name in ("a.jpg", "b.jpg"))
    with pytest.raises(DataError, match="image_id 'x' stands for two different files"):
        identify(Dataset(examples, "t.csv", "table"))


def test_what_is_no_readable_file_is_left_out_and_named(photos: Path) -> None:
    (photos / "folder.jpg").mkdir()
    (photos / "empty.jpg").write_bytes(b"")
    data = a_dataset(photos, ("a.jpg", None), ("gone.jpg", None), ("folder.jpg", None), ("empty.jpg", None))
    found = identify(data)
    assert [example.image_id for example in found.examples] == ["a.jpg"]
    assert [(p.kind, p.where) for p in found.problems] == [
        ("missing image", "gone.jpg"),
        ("unreadable image", "folder.jpg"),
        ("unreadable image", "empty.jpg"),
    ]
    assert "no such file" in found.problems[0].message
    assert "a folder, not an image" in found.problems[1].message
    assert "empty (0 bytes)" in found.problems[2].message
    assert all(p.message.endswith("left out with its caption") for p in found.problems)


def test_empty_files_in_two_splits_are_not_taken_for_one_image(photos: Path) -> None:
    for name in ("x.jpg", "y.jpg"):
        (photos / name).write_bytes(b"")
    found = identify(a_dataset(photos, ("a.jpg", "train"), ("x.jpg", "train"), ("y.jpg", "val")))
    assert len(found) == 1


def test_a_file_without_permission_is_left_out(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def refuse(path: Path, *args: Any, **options: Any) -> Any:
        # Simulated, because the superuser may read every file.
        if path.name == "b.jpg":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    found = identify(a_dataset(photos, ("a.jpg", None), ("b.jpg", None)))
    assert [example.image_id for example in found.examples] == ["a.jpg"]
    assert "no permission" in found.problems[0].message


def test_a_wrong_images_folder_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        identify(a_dataset(tmp_path, ("a.jpg", None), ("b.jpg", None)))
    assert str(caught.value) == (
        f"table.csv: none of its 2 image files can be read; looked for {tmp_path / 'a.jpg'} and the like; "
        "give the folder that holds the images with --images DIR (in Python: images=...)"
    )


def test_no_example_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="the data set holds no image"):
        identify(Dataset((), "t.csv", "table"))
