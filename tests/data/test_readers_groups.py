from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cutline.data.identity import identify
from cutline.data.readers import read_dataset
from cutline.data.readers.groups import GROUP_NAMES, group_text
from cutline.errors import DataError
from cutline.records import Dataset


def table(folder: Path, text: str, name: str = "captions.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def groups_of(data: Dataset) -> dict[str, str]:
    return {example.image_id: example.group for example in data.examples}


@pytest.mark.parametrize("name", ["group", "Category", " people ", "Number of People", "num-objects"])
def test_a_column_of_a_usual_name_puts_images_into_groups(tmp_path: Path, name: str) -> None:
    data = read_dataset(table(tmp_path, f"image,{name},caption\na.jpg,2,a dog\nb.jpg,,a cat\n"))
    assert groups_of(data) == {"a.jpg": "2", "b.jpg": ""}
    assert data.group_column == name.strip()
    assert data.problems == ()


def test_the_first_usual_name_counts_and_tables_without_one_have_no_groups(tmp_path: Path) -> None:
    both = read_dataset(table(tmp_path, "image,people,category,caption\na.jpg,2,street,a dog\n"))
    assert (groups_of(both), both.group_column) == ({"a.jpg": "street"}, "category")
    none = read_dataset(table(tmp_path, "image,colour,caption\na.jpg,red,a dog\n"))
    assert (groups_of(none), none.group_column) == ({"a.jpg": ""}, "")


@pytest.mark.parametrize("usual", GROUP_NAMES)
def test_a_column_that_holds_something_else_is_no_group(tmp_path: Path, usual: str) -> None:
    path = table(tmp_path, f"image,{usual}\na.jpg,a dog\nb.jpg,a cat\n")
    data = read_dataset(path, caption_column=usual)
    assert groups_of(data) == {"a.jpg": "", "b.jpg": ""}
    assert data.group_column == ""


def test_a_group_column_is_named_on_request_and_wins_over_usual_names(tmp_path: Path) -> None:
    path = table(tmp_path, "image,caption,category,Where It Is\na.jpg,a dog,pets,beach\n")
    data = read_dataset(path, group_column="where_it_is")
    assert (groups_of(data), data.group_column) == ({"a.jpg": "beach"}, "Where It Is")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("captions.csv", "image,caption\na.jpg,a dog\n"),
        ("captions.csv", "a.jpg,a dog\n"),
        ("lines.jsonl", '{"image": "a.jpg", "caption": "a dog"}\n'),
        ("coco.json", json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}],
                                  "annotations": [{"image_id": 1, "caption": "a dog"}]})),
        ("tokens.txt", "a.jpg#0\ta dog\n"),
    ],
)  # fmt: skip
def test_a_group_column_that_is_not_there_is_refused(tmp_path: Path, name: str, text: str) -> None:
    path = table(tmp_path, text, name)
    assert read_dataset(path).examples[0].captions == ("a dog",)
    with pytest.raises(DataError, match=r"^[^\n]*$") as error:
        read_dataset(path, group_column="place")
    assert "'place'" in str(error.value) or "no header" in str(error.value)


def test_json_layouts_give_groups_by_image(tmp_path: Path) -> None:
    lines = '{"image": "a.jpg", "caption": "a dog", "objects": ["dog", "ball"]}\n'
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "category": "pets"}],
        "annotations": [{"image_id": 1, "caption": "a dog"}, {"image_id": 1, "caption": "one dog"}],
    }
    karpathy = {"images": [{"filename": "a.jpg", "place": "beach", "sentences": [{"raw": "a dog"}]}]}
    assert groups_of(read_dataset(table(tmp_path, lines, "a.jsonl"))) == {"a.jpg": "2"}
    assert groups_of(read_dataset(table(tmp_path, json.dumps(coco), "a.json"))) == {"1": "pets"}
    path = table(tmp_path, json.dumps(karpathy), "b.json")
    assert groups_of(read_dataset(path, group_column="place")) == {"a.jpg": "beach"}


def test_later_objects_need_no_group(tmp_path: Path) -> None:
    lines = '{"image": "a.jpg", "caption": "a dog", "place": 1}\n{"image": "b.jpg", "caption": "a cat"}\n'
    data = read_dataset(table(tmp_path, lines, "a.jsonl"), group_column="place")
    assert groups_of(data) == {"a.jpg": "1", "b.jpg": ""}


def test_parquet_gives_groups(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"people": [1.0, None], "image": ["a.jpg", "b.jpg"], "caption": ["a dog", "a cat"]}
    parquet.write_table(arrow.table(columns), tmp_path / "a.parquet")
    data = read_dataset(tmp_path / "a.parquet")
    assert (groups_of(data), data.group_column) == ({"a.jpg": "1", "b.jpg": ""}, "people")


TORN = (
    "image,caption,category\na.jpg,a dog,x\na.jpg,one dog,y\nb.jpg,a cat,x\nc.jpg,a bus,x\nc.jpg,one bus,z\n"
)


def test_a_column_about_captions_is_left_alone_unless_it_was_asked_for(tmp_path: Path) -> None:
    data = read_dataset(table(tmp_path, TORN))
    assert (set(groups_of(data).values()), data.group_column) == ({""}, "")
    (problem,) = data.problems
    assert (problem.kind, problem.where) == ("column left out", "a.jpg")
    assert "'x' in captions.csv row 2 and 'y' in captions.csv row 3" in problem.message
    assert problem.message.endswith("name it with --group-column")


def test_an_image_in_two_groups_is_reported_and_stays_in_the_first(tmp_path: Path) -> None:
    data = read_dataset(table(tmp_path, TORN), group_column="category")
    assert groups_of(data) == {"a.jpg": "x", "b.jpg": "x", "c.jpg": "x"}
    assert [(p.kind, p.where) for p in data.problems] == [("two groups", "a.jpg"), ("two groups", "c.jpg")]
    assert data.problems[0].message.endswith("the first counts")


def test_the_same_file_twice_keeps_the_group_that_one_name_has(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4), "red").save(tmp_path / name)
    path = table(tmp_path, "image,caption,group\na.png,red,\nb.png,all red,flags\n")
    data = identify(read_dataset(path))
    assert (groups_of(data), data.group_column) == ({"a.png": "flags"}, "group")


def test_groups_do_not_change_what_is_trained_on(tmp_path: Path) -> None:
    with_groups = read_dataset(table(tmp_path, "image,caption,group\na.jpg,a dog,x\n"))
    without = read_dataset(table(tmp_path, "image,caption\na.jpg,a dog\n"))
    assert with_groups.fingerprint() == without.fingerprint()


@given(st.integers(-1000, 1000))
def test_whole_numbers_are_one_group_however_they_are_written(number: int) -> None:
    assert {group_text(value) for value in (number, float(number), f" {number}.0 ", f"{number}.")} == {
        str(number)
    }


@given(st.text())
def test_a_group_is_one_line_without_space_around_it(text: str) -> None:
    group = group_text(text)
    assert group == " ".join(group.split())
