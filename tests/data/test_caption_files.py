"""Files of captions to be scored: every layout gives the same captions, and nothing is guessed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cutline.data.caption_files import ends_alike, read_hypotheses, read_references, select_split
from cutline.errors import DataError, SplitError

References = Mapping[str, Sequence[str]]
Write = Callable[[Path, References], Path]

REFERENCES = {
    "7.jpg": ("A dog runs.", "a brown dog, running", "A dog runs."),
    "8.jpg": ("two cats", "a cat and a cat"),
}
SPLITS = {"7.jpg": "val", "8.jpg": "test"}
BEST = {"7.jpg": "a dog", "8.jpg": ""}


def dump(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def dump_lines(path: Path, values: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([header, *rows])
    return path


def pairs(references: References) -> list[tuple[str, str]]:
    return [(image, caption) for image, captions in references.items() for caption in captions]


def as_coco(folder: Path, references: References) -> Path:
    images = [
        {"id": number, "file_name": image, "split": SPLITS[image]}
        for number, image in enumerate(references, 1)
    ]
    ids = {image["file_name"]: image["id"] for image in images}
    annotations = [
        {"id": number, "image_id": ids[image], "caption": caption}
        for number, (image, caption) in enumerate(pairs(references))
    ]
    return dump(folder / "captions.json", {"images": images, "annotations": annotations})


def as_karpathy(folder: Path, references: References) -> Path:
    images = [
        {"filename": image, "split": SPLITS[image], "sentences": [{"raw": caption} for caption in captions]}
        for image, captions in references.items()
    ]
    return dump(folder / "dataset_photos.json", {"images": images, "dataset": "photos"})


def as_csv(folder: Path, references: References) -> Path:
    rows = [(image, caption, SPLITS[image]) for image, caption in pairs(references)]
    return table(folder / "captions.csv", ("image", "caption", "split"), rows)


def as_wide_tsv(folder: Path, references: References) -> Path:
    rows = [
        (image, *captions, *[""] * (3 - len(captions)), SPLITS[image])
        for image, captions in references.items()
    ]
    header = ("image", "caption_1", "caption_2", "caption_3", "split")
    return table(folder / "captions.tsv", header, rows, delimiter="\t")


def as_jsonl(folder: Path, references: References) -> Path:
    return dump_lines(
        folder / "captions.jsonl",
        [{"image": i, "captions": list(c), "split": SPLITS[i]} for i, c in references.items()],
    )


def as_token_file(folder: Path, references: References) -> Path:
    for split in ("dev", "test"):
        images = [image for image in references if SPLITS[image] == {"dev": "val"}.get(split, split)]
        (folder / f"Flickr_8k.{split}Images.txt").write_text("\n".join(images), encoding="utf-8")
    lines = [
        f"{image}#{number}\t{caption}\n"
        for image, captions in references.items()
        for number, caption in enumerate(captions)
    ]
    path = folder / "Flickr8k.token.txt"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def as_parquet(folder: Path, references: References) -> Path:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    rows = [{"image": i, "caption": c, "split": SPLITS[i]} for i, c in pairs(references)]
    pyarrow.parquet.write_table(arrow.Table.from_pylist(rows), folder / "captions.parquet")
    return folder / "captions.parquet"


@pytest.mark.parametrize(
    "write", [as_coco, as_karpathy, as_csv, as_wide_tsv, as_jsonl, as_token_file, as_parquet]
)
def test_references_are_the_same_in_every_layout_duplicates_and_splits_included(
    write: Write, tmp_path: Path
) -> None:
    found = read_references(write(tmp_path, REFERENCES))
    assert {found.names[key]: captions for key, captions in found.captions.items()} == REFERENCES
    assert {found.names[key]: split for key, split in found.splits.items()} == SPLITS
    assert found.problems == ()


def as_object(folder: Path, references: References) -> Path:
    return dump(folder / "references.json", references)


def as_index_of_annotations(folder: Path, references: References) -> Path:
    indexed = {
        i: [{"image_id": i, "id": n, "caption": c} for n, c in enumerate(captions)]
        for i, captions in references.items()
    }
    return dump(folder / "references.json", indexed)


def as_coco_without_names(folder: Path, references: References) -> Path:
    annotations = [{"image_id": image, "caption": caption} for image, caption in pairs(references)]
    return dump(
        folder / "references.json", {"images": [{"id": i} for i in references], "annotations": annotations}
    )


@pytest.mark.parametrize("write", [as_object, as_index_of_annotations, as_coco_without_names])
def test_layouts_that_name_no_files_are_references_too(write: Write, tmp_path: Path) -> None:
    found = read_references(write(tmp_path, REFERENCES))
    assert found.captions == REFERENCES
    assert list(found.names) == list(found.names.values())


def test_blank_references_are_left_out_and_others_are_composed(tmp_path: Path) -> None:
    rows = [("a.jpg", "cafe\u0301"), ("a.jpg", " "), ("b.jpg", "")]
    found = read_references(table(tmp_path / "t.csv", ("image", "caption"), rows))
    assert found.captions == {"a.jpg": ("caf\u00e9",)}


def test_an_image_in_two_splits_is_refused(tmp_path: Path) -> None:
    rows = [("a.jpg", "a dog", "val"), ("a.jpg", "the dog", "test")]
    path = table(tmp_path / "t.csv", ("image", "caption", "split"), rows)
    with pytest.raises(SplitError, match=r"1 image is in two splits: a.jpg \(val, test in t.csv row 3\)"):
        read_references(path)


def test_a_split_is_chosen_by_name(tmp_path: Path) -> None:
    references = read_references(as_csv(tmp_path, REFERENCES))
    assert list(select_split(references, "val").captions) == ["7.jpg"]
    assert select_split(references, "all") is references
    with pytest.raises(DataError, match="no image of split 'train'; it has val 1, test 1; choose one"):
        select_split(references, "train")
    with pytest.raises(DataError, match="'dev': allowed are train, val, test and all"):
        select_split(references, "dev")
    plain = read_references(as_object(tmp_path, REFERENCES))
    with pytest.raises(DataError, match="it names no splits"):
        select_split(plain, "val")


def test_broken_rows_are_reported(tmp_path: Path) -> None:
    value = {"images": [], "annotations": [{"image_id": 1, "caption": "a dog"}, {"image_id": 2}, "a cat"]}
    found = read_references(dump(tmp_path / "captions.json", value))
    assert found.captions == {"1": ("a dog",)}
    assert [problem.where for problem in found.problems] == [
        "captions.json annotation 2",
        "captions.json annotation 3",
    ]


def results(folder: Path) -> Path:
    return dump(folder / "r.json", [{"image_id": image, "caption": text} for image, text in BEST.items()])


def object_of_captions(folder: Path) -> Path:
    return dump(folder / "r.json", BEST)


def object_of_lists(folder: Path) -> Path:
    return dump(folder / "r.json", {image: [text] for image, text in BEST.items()})


def plain_table(folder: Path) -> Path:
    return table(folder / "r.csv", ("file_name", "caption"), list(BEST.items()))


def plain_lines(folder: Path) -> Path:
    return dump_lines(folder / "r.jsonl", [{"image": image, "caption": c} for image, c in BEST.items()])


def twice_the_same(folder: Path) -> Path:
    return table(folder / "r.csv", ("image", "caption"), [*BEST.items(), *BEST.items()])


@pytest.mark.parametrize(
    "write", [results, object_of_captions, object_of_lists, plain_table, plain_lines, twice_the_same]
)
def test_hypotheses_are_the_same_in_every_layout_blank_ones_included(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    assert read_hypotheses(write(tmp_path)).captions == {image: (text,) for image, text in BEST.items()}


N_BEST = {"a.jpg": ("a dog", "two dogs"), "b.jpg": ("a cat", "the cat")}


def ranked_csv(folder: Path) -> Path:
    rows = [(i, rank, c, "") for i, captions in N_BEST.items() for rank, c in enumerate(captions, 1)]
    rows += [("broken.jpg", "", "", "damaged")]
    return table(folder / "n.csv", ("image", "rank", "caption", "error"), rows[::-1])


def ranked_lines(folder: Path) -> Path:
    lines: list[dict[str, Any]] = [{"image": "broken.jpg", "error": "broken.jpg: damaged"}]
    lines += [
        {"image": i, "caption": c[0], "log_probability": -1.0, "hypotheses": [{"caption": t} for t in c]}
        for i, c in N_BEST.items()
    ]
    return dump_lines(folder / "n.jsonl", lines)


def ranked_parquet(folder: Path) -> Path:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    rows: list[dict[str, Any]] = [{"image": "broken.jpg", "rank": None, "caption": None, "error": "damaged"}]
    rows += [{"image": i, "rank": r, "caption": c} for i, cs in N_BEST.items() for r, c in enumerate(cs, 1)]
    schema = arrow.schema([("image", arrow.string()), ("rank", arrow.int32()), ("caption", arrow.string())])
    pyarrow.parquet.write_table(arrow.Table.from_pylist(rows, schema), folder / "n.parquet")
    return folder / "n.parquet"


@pytest.mark.parametrize("write", [ranked_csv, ranked_lines, ranked_parquet])
def test_the_best_of_ranked_captions_comes_first_and_failed_images_have_none(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    found = read_hypotheses(write(tmp_path))
    assert found.captions == {image: N_BEST[image] for image in found.captions}
    assert set(found.captions) == set(N_BEST)
    assert [problem.kind for problem in found.problems] == ["no caption"]


@pytest.mark.parametrize("write", [as_csv, as_object, as_wide_tsv, as_jsonl])
def test_references_in_the_place_of_hypotheses_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"image '7.jpg' has .* captions .* references are given second"):
        read_hypotheses(write(tmp_path, REFERENCES))


def test_two_best_captions_of_one_image_are_refused(tmp_path: Path) -> None:
    rows = [("a.jpg", 1, "a dog"), ("a.jpg", 1, "a cat"), ("b.jpg", 1, "a cat")]
    with pytest.raises(DataError, match=r"'a.jpg' has 2 captions \(n.csv row 2 and n.csv row 3\); hypoth"):
        read_hypotheses(table(tmp_path / "n.csv", ("image", "rank", "caption"), rows))


def test_no_other_column_of_numbers_is_taken_for_ranks(tmp_path: Path) -> None:
    rows = [("a.jpg", 1, "a dog"), ("a.jpg", 2, "a cat")]
    with pytest.raises(DataError, match=r"'a\.jpg' has 2 captions"):
        read_hypotheses(table(tmp_path / "n.csv", ("image", "people", "caption"), rows))


def test_equal_captions_of_an_n_best_list_stay_in_it(tmp_path: Path) -> None:
    rows = [("a.jpg", 2, "a dog"), ("a.jpg", 1, "a dog"), ("a.jpg", 3, "a cat")]
    path = table(tmp_path / "n.csv", ("image", "rank", "caption"), rows)
    assert read_hypotheses(path).captions == {"a.jpg": ("a dog", "a dog", "a cat")}


def test_a_tab_in_a_quoted_caption_is_part_of_it(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", ("image", "caption"), [("a.jpg", "a dog\tand a cat")])
    assert read_hypotheses(path).captions == {"a.jpg": ("a dog\tand a cat",)}


def test_what_the_command_prints_is_read_confidence_left_out(tmp_path: Path) -> None:
    path = tmp_path / "printed.tsv"
    path.write_text("in/a.jpg\ta dog, running\t0.83\nin/b.jpg\ta cat\t0.21\n", encoding="utf-8")
    found = read_hypotheses(path)
    assert found.captions == {"in/a.jpg": ("a dog, running",), "in/b.jpg": ("a cat",)}
    assert found.problems == ()


def test_columns_are_named_where_they_are(tmp_path: Path) -> None:
    odd = table(tmp_path / "odd.csv", ("photo_of", "words"), [("a.jpg", "a dog")])
    assert read_hypotheses(odd, "photo_of", "words").captions == {"a.jpg": ("a dog",)}
    assert read_hypotheses(results(tmp_path), "photo_of", "words").captions.keys() == BEST.keys()
    with pytest.raises(DataError, match=r"no column 'gone' \(--caption-column\)"):
        read_hypotheses(odd, "photo_of", "gone")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.json", None, "gone.json: no such file; give a file with images and captions"),
        ("h.json", "[]", "the list is empty"),
        ("h.json", "{", "not valid JSON at line 1"),
        (
            "h.jsonl",
            '{"image": "a.jpg", "error": "damaged"}\n',
            "in it; first: h.jsonl line 1: not captioned: damaged; give",
        ),
        ("h.json", "[1, 2]", "h.json item 1: a JSON object was expected, found int 1; left out; give one"),
        ("h.json", '[{"image_id": 1, "caption": 17}]', "item 1: 1: a caption must be a text, found int 17"),
        ("h.json", '{"a.jpg": 17}', "h.json: 'a.jpg' has int 17; a caption must be a text"),
        ("h.csv", "image,rating\na.jpg,3\n", "no caption column; its columns are 'image', 'rating'"),
    ],
)
def test_what_is_no_file_of_captions_is_refused(
    name: str, text: str | None, message: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_hypotheses(tmp_path / name)


def test_an_unknown_end_marker_is_noticed_in_many_different_captions() -> None:
    captions = [f"{number} dogs" for number in range(30)]
    assert ends_alike(f"{caption} xeos ." for caption in captions) == "xeos"
    assert (
        ends_alike(caption + (" xeos" if number % 2 else "") for number, caption in enumerate(captions))
        is None
    )
    assert ends_alike(["one caption for every image"] * 1000) is None
    assert ends_alike([""] * 100) is None


def test_an_entry_that_is_no_text_is_named_and_null_is_blank(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    path.write_text('{"a.jpg": "a dog", "b.jpg": null, "c.jpg": 17, "d.jpg": "a cat"}', encoding="utf-8")
    found = read_hypotheses(path)
    assert found.captions == {"a.jpg": ("a dog",), "b.jpg": ("",), "d.jpg": ("a cat",)}
    (problem,) = found.problems
    assert problem.where == "h.json item 3"
    assert problem.message == "c.jpg: a caption must be a text, found int 17; left out"
