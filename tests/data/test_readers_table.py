from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import CAPTIONS_IN_MANY_SCRIPTS

from cutline.data.readers import read_dataset
from cutline.errors import DataError, MissingDependencyError
from cutline.records import Dataset

SPLITS = {"dog.jpg": "train", "कुत्ता.png": "val", "bus 3.jpeg": "test"}


def captions_of(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {example.image_id: example.captions for example in dataset.examples}


def splits_of(dataset: Dataset) -> dict[str, str | None]:
    return {example.image_id: example.split for example in dataset.examples}


def as_text(
    delimiter: str = ",", line_end: str = "\n", header: tuple[str, ...] = ("image", "caption", "split")
) -> str:
    stream = io.StringIO(newline="")
    # The writer quotes cells for the sake of their line ends only when those are its own.
    quoting = csv.QUOTE_ALL if line_end == "\r" else csv.QUOTE_MINIMAL
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerow(header)
    for image, captions in CAPTIONS_IN_MANY_SCRIPTS.items():
        writer.writerows((image, caption, SPLITS[image]) for caption in captions)
    return stream.getvalue()


def write(folder: Path, content: str | bytes, name: str = "captions.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_table_comes_back_as_written(tmp_path: Path, delimiter: str, line_end: str, encoding: str) -> None:
    data = read_dataset(write(tmp_path, as_text(delimiter, line_end).encode(encoding)))
    assert captions_of(data) == CAPTIONS_IN_MANY_SCRIPTS
    assert splits_of(data) == SPLITS
    assert (data.format, data.problems) == ("table", ())


@pytest.mark.parametrize(
    ("image", "caption"),
    [
        ("filename", "text"),
        ("File Name", "Sentence"),
        ("IMAGE_PATH", "description"),
        ("file", "comment"),
        ("img", "raw"),
        ("path", "alt"),
        ("image-name", "captions"),
        ("photo", "Caption"),
        ("image_id", "caption"),
    ],
)
def test_usual_column_names_are_recognised(tmp_path: Path, image: str, caption: str) -> None:
    data = read_dataset(write(tmp_path, as_text(header=(image, caption, "Split"))))
    assert captions_of(data) == CAPTIONS_IN_MANY_SCRIPTS
    assert splits_of(data) == SPLITS


def test_columns_are_named_on_request(tmp_path: Path) -> None:
    path = write(tmp_path, "id,image,words,caption\n1,wrong,a dog,wrong\n")
    data = read_dataset(path, image_column="id", caption_column="Words")
    assert captions_of(data) == {"1": ("a dog",)}


def test_rows_of_one_image_id_are_one_image(tmp_path: Path) -> None:
    data = read_dataset(
        write(tmp_path, "image_id,file,caption\n7,a.jpg,a dog\n8,b.jpg,a cat\n7,a.jpg,an animal\n")
    )
    assert captions_of(data) == {"7": ("a dog", "an animal"), "8": ("a cat",)}
    assert [Path(example.image).name for example in data.examples] == ["a.jpg", "b.jpg"]


def test_flickr30k_results_with_pipes_are_read(tmp_path: Path) -> None:
    text = (
        'image_name| comment_number| comment\n1.jpg| 0| Two men say "hi" .\n1.jpg| 1| "Men" talk, outside .\n'
    )
    data = read_dataset(write(tmp_path, text, "results.csv"))
    assert captions_of(data) == {"1.jpg": ('Two men say "hi" .', '"Men" talk, outside .')}


def test_a_table_without_header_is_read_when_its_first_row_is_data(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path, 'a.jpg;"a dog; ""good"""\nb.PNG;a cat\n'))
    assert captions_of(data) == {"a.jpg": ('a dog; "good"',), "b.PNG": ("a cat",)}


def test_mixed_line_ends_and_blank_lines_are_read(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path, "\r\nimage,caption\r\na.jpg,a dog\rb.jpg,a cat\n\n\r\nc.jpg,a bus"))
    assert captions_of(data) == {"a.jpg": ("a dog",), "b.jpg": ("a cat",), "c.jpg": ("a bus",)}


def test_a_wide_table_gives_one_caption_per_column(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path, "image,caption_1,caption_2\na.jpg,a dog,an animal\n"))
    assert captions_of(data) == {"a.jpg": ("a dog", "an animal")}


def test_blank_cells_of_a_wide_table_are_no_fault_as_long_as_one_is_filled(tmp_path: Path) -> None:
    text = "image,caption_1,caption_2\na.jpg,a dog,\nb.jpg,, \nc.jpg,,a cat\n"
    data = read_dataset(write(tmp_path, text))
    assert captions_of(data) == {"a.jpg": ("a dog",), "c.jpg": ("a cat",)}
    assert [p.kind for p in data.problems] == ["empty caption", "image without caption"]


def test_a_json_list_in_a_cell_gives_all_its_captions(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path, 'filename,raw\na.jpg,"[""a dog"", ""two, dogs""]"\n'))
    assert captions_of(data) == {"a.jpg": ("a dog", "two, dogs")}


def test_one_and_twenty_captions_may_be_mixed(tmp_path: Path) -> None:
    rows = "".join(f"a.jpg,dog {number}\n" for number in range(20)) + "b.jpg,a cat\n"
    data = read_dataset(write(tmp_path, "image,caption\n" + rows))
    assert [len(example.captions) for example in data.examples] == [20, 1]


def test_captions_are_normalised_to_nfc_and_ids_stay_as_written(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path, "image,caption\nsub/a.jpg,  cafe\u0301 \n"))
    assert captions_of(data) == {"sub/a.jpg": ("café",)}


def test_an_empty_split_cell_is_undecided_and_a_missing_one_too(tmp_path: Path) -> None:
    data = read_dataset(
        write(tmp_path, "image,caption,split\na.jpg,a dog,\nb.jpg,a cat\nb.jpg,a kitten,dev\n")
    )
    assert splits_of(data) == {"a.jpg": None, "b.jpg": "val"}


def test_unquoted_delimiters_in_the_last_column_are_mended_and_reported(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path, "image,caption\na.jpg,a dog, a cat,and a bus\nb.jpg,a cat,,\n"))
    assert captions_of(data) == {"a.jpg": ("a dog, a cat,and a bus",), "b.jpg": ("a cat",)}
    (problem,) = data.problems
    assert (problem.kind, problem.where) == ("mended row", "captions.csv row 2")
    assert problem.message == "4 cells where the header has 2; read as 'a.jpg | a dog, a cat,and a bus'"


def test_a_row_that_cannot_be_told_apart_is_left_out_and_reported(tmp_path: Path) -> None:
    text = "image,caption,split\na.jpg,a dog, a cat,train\nb.jpg\nc.jpg,a bus,train\n"
    data = read_dataset(write(tmp_path, text))
    assert list(captions_of(data)) == ["c.jpg"]
    assert [(p.kind, p.where, p.message) for p in data.problems] == [
        (
            "broken row",
            "captions.csv row 2",
            "4 cells where the header has 3; left out; put captions with ',' in quotes",
        ),
        (
            "broken row",
            "captions.csv row 3",
            "1 cell where the header has 3; left out; add what is missing",
        ),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the table is empty; give a header and one row per caption"),
        (" \n\n", "the table is empty; give a header and one row per caption"),
        ("\ufeff", "the table is empty; give a header and one row per caption"),
        ("image,caption\n", "only a header, no rows; add one row per caption below it"),
        (
            "picture file,words\na.jpg,dog\n",
            "no image column; its columns are 'picture file', 'words'; usual names are image, filename, "
            "file_name, image_path, file, img, path, image_name; name it with --image-column NAME",
        ),
        (
            "image;words\na.jpg;dog\n",
            "no caption column; its columns are 'image', 'words'; usual names are caption, captions, text, "
            "sentence, sentences, description, comment, raw; name it with --caption-column NAME",
        ),
        (
            "image_id,words\na.jpg,dog\n",
            "no caption column; its columns are 'image_id', 'words'; usual names are caption, captions, "
            "text, sentence, sentences, description, comment, raw; name it with --caption-column NAME",
        ),
    ],
)
def test_a_table_without_content_or_columns_says_so(tmp_path: Path, content: str, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_dataset(path)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize("option", ["image", "caption"])
def test_a_column_that_was_asked_for_and_is_not_there_is_named(tmp_path: Path, option: str) -> None:
    path = write(tmp_path, "image,caption\na.jpg,dog\n")
    with pytest.raises(DataError) as caught:
        read_dataset(path, **{f"{option}_column": "foto"})  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"{path}: no column 'foto' (--{option}-column); its columns are 'image', 'caption'"
    )


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ('image,caption\na.jpg,a dog\nb.jpg,"a cat\nc.jpg,a bus\n', 3),
        ('image,"caption\na.jpg,a dog\n', 1),
        ('image,caption\na.jpg,"' + "dog\n" * 50_000, 2),
    ],
)
def test_a_quote_that_stays_open_is_located(tmp_path: Path, content: str, row: int) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_dataset(path)
    assert str(caught.value) == (
        f'{path} row {row}: a quote (") opens a cell and is never closed; close it, or double quotes that '
        'belong to the text ("")'
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,caption\na.jpg,un café\n".encode("latin-1"), "byte 0xe9 at offset 26 (line 2) is not UTF-8"),
        (
            "\ufeffimage,caption\r\na,b\r\na.jpg,".encode() + b"\xff\n",
            "byte 0xff at offset 29 (line 3) is not UTF-8",
        ),
        (
            b"image,caption\n" + b"a.jpg,a dog\n" * 20_000 + b"b.jpg,\x80\n",
            "byte 0x80 at offset 240020 (line 20002) is not UTF-8",
        ),
        (
            "image,caption\n".encode("utf-16") + b"\x00\xd8a\x00",
            "byte 0x00 at offset 30 (line 2) is not UTF-16",
        ),
        ("image,caption\n".encode("utf-16-le"), "byte 0x00 at offset 1 (line 1) is not text"),
    ],
)
def test_a_wrong_encoding_gives_byte_offset_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_dataset(path)
    assert str(caught.value).startswith(f"{path}: {message}; save the file as UTF-8")


@pytest.mark.parametrize(
    ("content", "windows"),
    [
        ("image,caption\na.jpg,große Hunde\n".encode("cp1252"), True),
        (b"image,caption\na.jpg,\x81\x93\n", False),
        ("\ufeffimage,caption\na.jpg,".encode() + b"\xdf\n", False),
    ],
)
def test_windows_1252_is_recognised_and_its_conversion_told(
    tmp_path: Path, content: bytes, windows: bool
) -> None:
    with pytest.raises(DataError) as caught:
        read_dataset(write(tmp_path, content))
    advice = (
        "it looks like Windows-1252: in a spreadsheet save it as 'CSV UTF-8', or run: "
        "iconv -f cp1252 -t utf-8 OLD > NEW"
    )
    assert str(caught.value).endswith(f"; {advice}") is windows


def test_an_unknown_split_names_row_and_allowed_names(tmp_path: Path) -> None:
    path = write(tmp_path, "image,caption,split\na.jpg,a dog,train\nb.jpg,a cat,fold3\n")
    with pytest.raises(
        DataError,
        match=r"captions\.csv row 3, column 'split': split 'fold3' is unknown; allowed: train, training",
    ):
        read_dataset(path)


def parquet_of(folder: Path, columns: dict[str, list[Any]]) -> Path:
    arrow = pytest.importorskip("pyarrow", reason="needs the parquet extra")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the parquet extra")
    parquet.write_table(arrow.table(columns), folder / "captions.parquet")
    return folder / "captions.parquet"


def test_a_parquet_table_comes_back_as_written(tmp_path: Path) -> None:
    rows = [(image, caption) for image, captions in CAPTIONS_IN_MANY_SCRIPTS.items() for caption in captions]
    columns = {
        "width": [1] * len(rows),
        "caption": [caption for _, caption in rows],
        "image": [image for image, _ in rows],
        "split": [SPLITS[image] for image, _ in rows],
    }
    data = read_dataset(parquet_of(tmp_path, columns))
    assert captions_of(data) == CAPTIONS_IN_MANY_SCRIPTS
    assert splits_of(data) == SPLITS
    assert (data.format, data.problems) == ("parquet", ())


def test_parquet_cells_may_hold_lists_or_nothing(tmp_path: Path) -> None:
    columns = {"file_name": ["a.jpg", "b.jpg", None], "captions": [["a dog", "an animal"], None, ["x"]]}
    data = read_dataset(parquet_of(tmp_path, columns))
    assert captions_of(data) == {"a.jpg": ("a dog", "an animal")}
    assert [p.kind for p in data.problems] == ["empty caption", "no image named", "image without caption"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": ["x"], "b": ["y"]}, "no image column; its columns are 'a', 'b'"),
        ({"image": [b"\xff\xd8"], "caption": ["dog"]}, "the image column holds images, not file names"),
        (
            {"image": [{"bytes": b"\xff", "path": "a.jpg"}], "caption": ["dog"]},
            "the image column holds images",
        ),
    ],
)
def test_a_parquet_table_of_another_kind_is_refused(
    tmp_path: Path, columns: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_dataset(parquet_of(tmp_path, columns))


def test_a_parquet_table_without_rows_is_refused(tmp_path: Path) -> None:
    path = parquet_of(tmp_path, {"image": [], "caption": []})
    with pytest.raises(DataError, match=r"captions\.parquet: the table has no rows"):
        read_dataset(path)


def test_a_damaged_parquet_table_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the parquet extra")
    with pytest.raises(DataError, match=r"captions\.parquet: cannot be read as Parquet"):
        read_dataset(write(tmp_path, b"PAR1 not really", "captions.parquet"))


def test_a_parquet_table_with_broken_text_is_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="needs the parquet extra")
    broken = arrow.array([b"caf\xe9"], arrow.binary()).view(arrow.string())
    with pytest.raises(DataError, match=r"cannot be read as Parquet \('utf-8' codec can't decode byte 0xe9"):
        read_dataset(parquet_of(tmp_path, {"image": ["a.jpg"], "caption": broken}))


def test_long_lists_of_columns_are_cut(tmp_path: Path) -> None:
    path = write(tmp_path, ",".join(f"column{number}" * 9 for number in range(50)) + "\n")
    with pytest.raises(DataError, match=r"no image column; .*, …; usual names") as caught:
        read_dataset(path)
    assert len(str(caught.value)) < 1300


def test_parquet_without_pyarrow_gives_the_install_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = write(tmp_path, b"PAR1", "captions.parquet")
    with pytest.raises(MissingDependencyError) as caught:
        read_dataset(path)
    assert str(caught.value) == f"{path}: reading Parquet needs pyarrow; pip install 'cutline[parquet]'"
