from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cutline.data.readers import read_dataset
from cutline.data.readers.cells import caption_texts
from cutline.errors import DataError
from cutline.records import Dataset


def captions_of(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {example.image_id: example.captions for example in dataset.examples}


def splits_of(dataset: Dataset) -> dict[str, str | None]:
    return {example.image_id: example.split for example in dataset.examples}


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    ("cell", "captions"),
    [
        ("['a dog', 'a cat']", ["a dog", "a cat"]),
        ("['a dog' 'a cat'\n 'a bus']", ["a dog", "a cat", "a bus"]),
        ("""["it's a dog", 'a "cat"']""", ["it's a dog", 'a "cat"']),
        ('["a dog", "a cat"]', ["a dog", "a cat"]),
        ("['dog'] on a sign, 'cat' too]", ["['dog'] on a sign, 'cat' too]"]),
        ("['half a dog]", ["['half a dog]"]),
        ("['a', print('x')]", ["['a', print('x')]"]),
        ("[a dog]", ["[a dog]"]),
    ],
)
def test_lists_written_as_text_are_several_captions(cell: str, captions: list[str]) -> None:
    assert list(caption_texts(cell)) == captions


def test_a_table_written_by_pandas_gives_all_captions(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path / "a.csv", "image,captions\na.jpg,\"['a dog', 'a cat']\"\n"))
    assert captions_of(data) == {"a.jpg": ("a dog", "a cat")}


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        (5, "int 5"),
        (True, "bool True"),
        (["a cat", 3.5], "float 3.5"),
        ({"id": 3}, "an object with the keys 'id'"),
    ],
)
def test_captions_that_are_no_text_are_reported_with_their_type(
    tmp_path: Path, caption: Any, found: str
) -> None:
    items = [{"image": "a.jpg", "caption": "a dog"}, {"image": "b.jpg", "caption": caption}]
    data = read_dataset(write(tmp_path / "a.json", json.dumps(items)))
    (problem,) = data.problems
    assert (problem.kind, problem.where) == ("broken row", "a.json item 2")
    assert problem.message == f"b.jpg: a caption must be a text, found {found}; left out"
    assert ("b.jpg" in captions_of(data)) == isinstance(caption, list)


@pytest.mark.parametrize("key", ["path", "file_name"])
def test_an_object_may_name_the_image(tmp_path: Path, key: str) -> None:
    line = json.dumps({"image": {key: "a.jpg", "bytes": None}, "caption": "a dog"})
    assert captions_of(read_dataset(write(tmp_path / "a.jsonl", line))) == {"a.jpg": ("a dog",)}


@pytest.mark.parametrize(
    ("image", "found"),
    [({"url": "x"}, "dict {'url': 'x'}"), (["a.jpg"], "list ['a.jpg']")],
)
def test_an_image_that_is_no_name_is_reported(tmp_path: Path, image: Any, found: str) -> None:
    items = [{"image": "a.jpg", "caption": "a dog"}, {"image": image, "caption": "a cat"}]
    data = read_dataset(write(tmp_path / "a.json", json.dumps(items)))
    assert [p.message for p in data.problems] == [
        f"the image must be a file name, found {found}; row left out"
    ]


@pytest.mark.parametrize(
    ("content", "captions", "split"),
    [
        ("a.jpg,a dog, running\n", "a dog, running", None),
        ("a.jpg,a dog,train\n", "a dog", "train"),
        ("a.jpg,a dog, running,Train\n", "a dog, running", "train"),
        ("a.jpg| 0| a dog\n", "a dog", None),
        ("a.jpg;0;a dog; running;val\n", "a dog; running", "val"),
        ("a.jpg,3 dogs\n", "3 dogs", None),
        ("a.jpg,3\n", "3", None),
    ],
)
def test_tables_without_header_are_understood(
    tmp_path: Path, content: str, captions: str, split: str | None
) -> None:
    data = read_dataset(write(tmp_path / "a.csv", content))
    assert (captions_of(data), splits_of(data)) == ({"a.jpg": (captions,)}, {"a.jpg": split})


def test_rows_without_header_are_mended_and_reported(tmp_path: Path) -> None:
    text = "a.jpg,0,a dog,train\nb.jpg,1,a cat, asleep,val\nc.jpg,0,a bus\nd.jpg\n"
    data = read_dataset(write(tmp_path / "a.csv", text))
    assert captions_of(data) == {"a.jpg": ("a dog",), "b.jpg": ("a cat, asleep",), "c.jpg": ("a bus",)}
    assert splits_of(data) == {"a.jpg": "train", "b.jpg": "val", "c.jpg": None}
    assert [(p.kind, p.message[:30]) for p in data.problems] == [
        ("mended row", "5 cells where rows have 4; rea"),
        ("broken row", "1 cell where rows have 4; left"),
    ]


@pytest.mark.parametrize("content", ["a dog,a.jpg\n", "7,a.jpg,a dog\n"])
def test_a_missing_header_is_named(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(DataError) as caught:
        read_dataset(path)
    assert str(caught.value) == (
        f"{path}: no header; its first line begins with {content.split(',')[0]!r}; add a first line that "
        "names the columns, such as 'image,caption'"
    )


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_ids_of_split_folders_are_kept_apart(tmp_path: Path, name: str) -> None:
    for folder in ("train", "test"):
        row = {"image_id": 0, "file_name": "0.jpg", "text": f"a dog in {folder}"}
        as_csv = ",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n"
        write(tmp_path / folder / name, as_csv if name.endswith("csv") else json.dumps(row))
    assert splits_of(read_dataset(tmp_path)) == {"test/0": "test", "train/0": "train"}


@pytest.mark.parametrize(
    "text",
    [
        'a.jpg,"hello there\nb.jpg,a dog\nc.jpg,"x\n',
        'a.jpg,"hello there\r\nb.jpg,a dog\r\nc.jpg,a "cat"\r\n',
    ],
)
def test_a_quote_that_swallows_rows_is_located(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.csv", "image,caption\n" + text)
    with pytest.raises(DataError) as caught:
        read_dataset(path)
    assert str(caught.value) == (
        f"{path} row 2: a quote (\") opens a cell that runs on over the line 'b.jpg,a dog'; close it, or "
        'double quotes that belong to the text ("")'
    )


@pytest.mark.parametrize("header", ["", "image\tcaption\n"])
@pytest.mark.parametrize("end", ["a bus", '"x', 'a "bus"'])
def test_quotes_in_a_table_with_tabs_may_be_text(tmp_path: Path, header: str, end: str) -> None:
    path = write(tmp_path / "a.tsv", f'{header}a.jpg\t"hello there\nb.jpg\ta dog\nc.jpg\t{end}\n')
    assert captions_of(read_dataset(path)) == {
        "a.jpg": ('"hello there',),
        "b.jpg": ("a dog",),
        "c.jpg": (end,),
    }


def test_quotes_in_a_table_with_tabs_are_honoured_when_they_close(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'image\tcaption\na.jpg\t"a dog\nand ""a"" cat"\n')
    assert captions_of(read_dataset(path)) == {"a.jpg": ('a dog\nand "a" cat',)}


@pytest.mark.parametrize(
    "value",
    [
        {"data": [{"image": "a.jpg", "caption": "a dog"}]},
        {"info": {"year": 1}, "version": "1", "annotations": [{"file_name": "a.jpg", "captions": ["a dog"]}]},
    ],
)
def test_a_list_inside_an_object_is_read(tmp_path: Path, value: Any) -> None:
    assert captions_of(read_dataset(write(tmp_path / "a.json", json.dumps(value)))) == {"a.jpg": ("a dog",)}


@pytest.mark.parametrize(
    "value",
    [
        {"data": [{"name": "a.jpg", "words": "a dog"}]},
        {"a": [{"image": "a.jpg", "caption": "a dog"}], "b": [{"image": "b.jpg", "caption": "a cat"}]},
    ],
)
def test_other_objects_are_refused_with_the_layout(tmp_path: Path, value: Any) -> None:
    with pytest.raises(
        DataError, match=r"expected a list of \{file_path, captions\} or an object from image"
    ):
        read_dataset(write(tmp_path / "a.json", json.dumps(value)))


@pytest.mark.parametrize("header", ["image,filename,caption", "image_id,image,caption"])
def test_the_column_with_file_names_is_the_image(tmp_path: Path, header: str) -> None:
    data = read_dataset(write(tmp_path / "a.csv", f"{header}\n0,a.jpg,a dog\n1,b.jpg,a cat\n"))
    assert [Path(example.image).name for example in data.examples] == ["a.jpg", "b.jpg"]
    line = json.dumps({"image": 0, "filename": "a.jpg", "caption": "a dog"})
    assert captions_of(read_dataset(write(tmp_path / "a.jsonl", line))) == {"a.jpg": ("a dog",)}


def test_the_parquet_column_with_file_names_is_the_image(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="needs the parquet extra")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the parquet extra")
    table = {"caption": ["a dog", "a cat"], "image": [0, 1], "width": [9, 9], "filename": ["a.jpg", "b.jpg"]}
    parquet.write_table(arrow.table(table), tmp_path / "a.parquet")
    data = read_dataset(tmp_path / "a.parquet")
    assert captions_of(data) == {"a.jpg": ("a dog",), "b.jpg": ("a cat",)}


def test_a_set_column_of_another_meaning_is_reported_and_ignored(tmp_path: Path) -> None:
    text = "image,caption,Set\na.jpg,a dog,train\nb.jpg,a cat,holiday\n"
    data = read_dataset(write(tmp_path / "a.csv", text))
    assert splits_of(data) == {"a.jpg": None, "b.jpg": None}
    (problem,) = data.problems
    assert (problem.kind, problem.where) == ("column left out", "a.csv row 3")
    assert problem.message == "column 'Set' holds 'holiday', which is no split; column ignored"


@pytest.mark.parametrize("column", ["set", "subset", "Partition"])
def test_a_set_column_of_splits_is_honoured(tmp_path: Path, column: str) -> None:
    text = f"image,caption,{column}\na.jpg,a dog,train\nb.jpg,a cat,dev\nc.jpg,a bus,\n"
    data = read_dataset(write(tmp_path / "a.csv", text))
    assert splits_of(data) == {"a.jpg": "train", "b.jpg": "val", "c.jpg": None}


def test_folders_called_train_win_over_a_set_column(tmp_path: Path) -> None:
    write(tmp_path / "train" / "metadata.csv", "file_name,text,set\n0.jpg,a dog,holiday\n")
    data = read_dataset(tmp_path)
    assert (splits_of(data), data.problems) == ({"train/0.jpg": "train"}, ())


def test_a_stray_table_does_not_hide_another_format(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", "")
    write(tmp_path / "a.txt", "a dog")
    stray = write(tmp_path / "prices.csv", "item,price\nlens,3\n")
    assert read_dataset(tmp_path).format == "sidecars"
    (tmp_path / "a.txt").unlink()
    with pytest.raises(DataError, match=r"prices\.csv: no image column; its columns are 'item', 'price'"):
        read_dataset(tmp_path)
    data = read_dataset(tmp_path, image_column="item", caption_column="price")
    assert (data.format, captions_of(data)) == ("table", {"lens": ("3",)})
    write(tmp_path / "list.json", '[{"image": "a.jpg", "caption": "a dog"}]')
    assert read_dataset(tmp_path).format == "json"
    assert stray.is_file()


def test_a_captions_table_is_never_stray(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", "")
    write(tmp_path / "a.txt", "a dog")
    write(tmp_path / "captions.csv", "foto,words\na.jpg,a dog\n")
    with pytest.raises(DataError, match=r"captions\.csv: no image column"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(("delimiter", "start"), [(";", ""), (",", "\ufeff"), ("\t", ""), (";", "\ufeff")])
@pytest.mark.parametrize("header", [True, False])
def test_excels_first_line_names_the_delimiter(
    tmp_path: Path, delimiter: str, start: str, header: bool
) -> None:
    names = f"image{delimiter}caption\r\n" if header else ""
    text = f"{start}sep={delimiter}\r\n{names}a.jpg{delimiter}a dog\r\n"
    data = read_dataset(write(tmp_path / "a.csv", text))
    assert (captions_of(data), data.problems) == ({"a.jpg": ("a dog",)}, ())
