from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.data.readers import read_dataset
from cutline.data.readers.gather import Gatherer, clean_caption
from cutline.data.readers.rows import Row
from cutline.errors import DataError, SplitError
from cutline.records import Dataset


def read(folder: Path, rows: str) -> Dataset:
    path = folder / "captions.csv"
    path.write_text("image,caption,split\n" + rows, encoding="utf-8")
    return read_dataset(path)


@pytest.mark.parametrize(
    ("caption", "kind", "message"),
    [
        ("", "empty caption", "b.jpg has no text here; row left out"),
        ("  ", "empty caption", "b.jpg has no text here; row left out"),
        ("\u3000\u2003", "empty caption", "b.jpg has no text here; row left out"),
        ("...", "caption of only punctuation", "found '...'; row left out"),
        ("。！ - ؟", "caption of only punctuation", "found '。！ - ؟'; row left out"),
    ],
)
def test_captions_that_say_nothing_are_dropped_and_reported(
    tmp_path: Path, caption: str, kind: str, message: str
) -> None:
    data = read(tmp_path, f'a.jpg,a dog,\nb.jpg,"{caption}",\nb.jpg,a cat,\n')
    assert [example.captions for example in data.examples] == [("a dog",), ("a cat",)]
    (problem,) = data.problems
    assert (problem.kind, problem.where, problem.message) == (kind, "captions.csv row 3", message)


def test_a_caption_of_one_emoji_or_number_says_something(tmp_path: Path) -> None:
    data = read(tmp_path, "a.jpg,🐶,\na.jpg,3,\n")
    assert data.examples[0].captions == ("🐶", "3")


def test_an_image_left_without_caption_is_dropped_and_reported(tmp_path: Path) -> None:
    data = read(tmp_path, "a.jpg,a dog,\nb.jpg,...,\n")
    assert [example.image_id for example in data.examples] == ["a.jpg"]
    assert data.problems[-1].kind == "image without caption"
    assert data.problems[-1].message == "b.jpg has no usable caption; left out"


def test_duplicate_rows_are_kept_once_and_reported(tmp_path: Path) -> None:
    data = read(tmp_path, "a.jpg,un cafe\u0301,\na.jpg,un caf\u00e9,\nb.jpg,un café,\n")
    assert [example.captions for example in data.examples] == [("un café",), ("un café",)]
    (problem,) = data.problems
    assert (problem.kind, problem.where) == ("duplicate row", "captions.csv row 3")
    assert problem.message == "a.jpg has the caption 'un café' already; kept once"


def test_a_row_without_image_is_reported(tmp_path: Path) -> None:
    data = read(tmp_path, "a.jpg,a dog,\n ,a cat,\n")
    assert [(p.kind, p.where) for p in data.problems] == [("no image named", "captions.csv row 3")]


def test_an_image_in_two_splits_is_refused_with_both_rows(tmp_path: Path) -> None:
    with pytest.raises(SplitError) as caught:
        read(tmp_path, "a.jpg,a dog,train\nb.jpg,a cat,\na.jpg,an animal,test\na.jpg,a hound,val\n")
    assert str(caught.value) == (
        f"{tmp_path / 'captions.csv'}: 1 image is in two splits: a.jpg (train in captions.csv row 2, test in "
        "captions.csv row 4); give each image one split"
    )


def test_many_images_in_two_splits_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"{n}.jpg,a dog,train\n{n}.jpg,a cat,test\n" for n in range(8))
    with pytest.raises(SplitError, match=r"8 images are in two splits: 0\.jpg .*4\.jpg .*; and 3 more; give"):
        read(tmp_path, rows)


def test_one_id_for_two_images_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text("image_id,image,caption\n1,a.jpg,a dog\n1,b.jpg,a cat\n")
    with pytest.raises(DataError) as caught:
        read_dataset(path)
    assert str(caught.value) == (
        "captions.csv row 3: image_id '1' stands for 'b.jpg' here and for 'a.jpg' in captions.csv row 2; "
        "give each image its own id"
    )


def test_nothing_usable_counts_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a.jpg,...,\na.jpg,,\nb.jpg,?!,\n")
    assert str(caught.value) == (
        f"{tmp_path / 'captions.csv'}: no usable caption in 3 rows (caption of only punctuation 2, image "
        "without caption 2, empty caption 1); first: captions.csv row 2: found '...'; row left out"
    )


def test_no_rows_at_all_is_refused() -> None:
    with pytest.raises(DataError, match=r"t\.csv: no rows; give at least one image with a caption"):
        Gatherer("t.csv", str).gather(iter(()), "table")


rows_strategy = st.lists(
    st.builds(
        Row,
        image=st.sampled_from(["a.jpg", "b.jpg", "狗.png"]),
        caption=st.text(alphabet="ab é\u0301狗.\n", max_size=6),
        place=st.just("t.csv row"),
        number=st.integers(1, 99),
    ),
    max_size=12,
)


@given(rows_strategy)
def test_every_row_is_kept_or_reported(rows: list[Row]) -> None:
    try:
        data = Gatherer("t.csv", str).gather(iter(rows), "table")
    except DataError:
        assert all(
            clean_caption(row.caption) in ("", *".\u0301") or not row.caption.strip(" \n.\u0301")
            for row in rows
        )
        return
    reported = [problem for problem in data.problems if problem.kind != "image without caption"]
    assert data.count_captions() + len(reported) == len(rows)
    assert len({example.image_id for example in data.examples}) == len(data)
    assert all(clean_caption(caption) == caption for example in data.examples for caption in example.captions)
