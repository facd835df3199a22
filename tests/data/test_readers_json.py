from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import CAPTIONS_IN_MANY_SCRIPTS, made_up_evaluation

from cutline.data.readers import read_dataset
from cutline.errors import DataError, SplitError
from cutline.recipes.results import save_evaluation
from cutline.records import Dataset

SPLITS = {"dog.jpg": "train", "कुत्ता.png": "val", "bus 3.jpeg": "test"}


def captions_of(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {example.image_id: example.captions for example in dataset.examples}


def splits_of(dataset: Dataset) -> dict[str, str | None]:
    return {example.image_id: example.split for example in dataset.examples}


def captions_by_name(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {Path(example.image).name: example.captions for example in dataset.examples}


def write(path: Path, value: Any, escaped: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=escaped), encoding="utf-8")
    return path


def write_lines(path: Path, items: list[Any]) -> Path:
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    return path


def coco(images: dict[str, tuple[str, ...]], first_id: int = 1) -> dict[str, Any]:
    ids = {name: number for number, name in enumerate(images, first_id)}
    return {
        "info": {"year": 2017},
        "images": [{"id": number, "file_name": name, "height": 4} for name, number in ids.items()],
        "annotations": [
            {"id": 900, "image_id": ids[name], "caption": caption}
            for name in images
            for caption in images[name]
        ],
    }


def test_json_lines_with_one_caption_each_come_back(tmp_path: Path) -> None:
    items = [
        {"image": image, "caption": caption, "split": SPLITS[image]}
        for image, captions in CAPTIONS_IN_MANY_SCRIPTS.items()
        for caption in captions
    ]
    data = read_dataset(write_lines(tmp_path / "captions.jsonl", items))
    assert (captions_of(data), splits_of(data)) == (CAPTIONS_IN_MANY_SCRIPTS, SPLITS)
    assert (data.format, data.problems) == ("jsonl", ())


def test_json_lines_with_lists_come_back_even_when_called_json(tmp_path: Path) -> None:
    items = [{"file_name": image, "text": captions} for image, captions in CAPTIONS_IN_MANY_SCRIPTS.items()]
    data = read_dataset(write_lines(tmp_path / "captions.json", items))
    assert captions_of(data) == CAPTIONS_IN_MANY_SCRIPTS
    assert data.format == "jsonl"


@pytest.mark.parametrize(("image_key", "caption_key"), [("file_path", "captions"), ("image", "caption")])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_json_list_comes_back(tmp_path: Path, image_key: str, caption_key: str, escaped: bool) -> None:
    items = [
        {image_key: image, caption_key: captions, "split": SPLITS[image]}
        for image, captions in CAPTIONS_IN_MANY_SCRIPTS.items()
    ]
    data = read_dataset(write(tmp_path / "data.json", items, escaped))
    assert (captions_of(data), splits_of(data)) == (CAPTIONS_IN_MANY_SCRIPTS, SPLITS)
    assert (data.format, data.problems) == ("json", ())


def test_an_object_from_image_to_captions_comes_back(tmp_path: Path) -> None:
    assert (
        captions_of(read_dataset(write(tmp_path / "a.json", CAPTIONS_IN_MANY_SCRIPTS)))
        == CAPTIONS_IN_MANY_SCRIPTS
    )


def test_items_may_differ_and_the_broken_ones_are_reported(tmp_path: Path) -> None:
    items = [
        {"image": "a.jpg", "caption": "a dog"},
        {"caption": ["a cat", {"raw": "a kitten"}, None], "image": "b.jpg"},
        {"image": "c.jpg"},
        "d.jpg",
    ]
    data = read_dataset(write(tmp_path / "a.json", items))
    assert captions_of(data) == {"a.jpg": ("a dog",), "b.jpg": ("a cat", "a kitten")}
    assert [(p.where, p.message) for p in data.problems] == [
        ("a.json item 3", "no image or no caption among the keys 'image'; left out"),
        ("a.json item 4", "a JSON object was expected, found str 'd.jpg'; left out"),
    ]


def test_half_a_surrogate_pair_neither_crashes_nor_survives(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        '[{"image": "a.jpg", "caption": "a \\ud83d dog"}, {"image": "\\ud83d.jpg", "caption": "x"}]'
    )
    data = read_dataset(path)
    assert captions_of(data) == {"a.jpg": ("a ? dog",)}
    assert data.problems[0].kind == "unreadable name"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '[{"image": "a.jpg",\n "caption" 3}]', "not valid JSON at line 2 column 12"),
        ("a.json", '{"a.jpg": "a dog"', "not valid JSON at line 1 column 18"),
        ("a.json", "", "the file is empty"),
        ("a.json", "[]", "the list is empty; give at least one image with a caption"),
        (
            "a.json",
            "3",
            "expected a list of {file_path, captions} or an object from image to captions; found 3",
        ),
        ("a.json", '{"info": {}, "licences": []}', "found an object with the keys 'info', 'licences'"),
        ("a.json", '[{"picture": "a.jpg"}]', "no caption column; its columns are 'picture'"),
        ("a.json", "[" * 100_000, "JSON nested too deeply to be a data set"),
        ("a.jsonl", '{"image": "a.jpg", "caption": "x"}\n{"image"\n', "line 2: not valid JSON"),
        ("a.jsonl", "\n", "the file is empty; give one JSON object per line"),
        ("a.jsonl", '{"x": 1}', "no image column; its columns are 'x'"),
    ],
)
def test_json_that_is_no_data_set_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert message in str(caught.value)


def test_coco_captions_come_back(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path / "captions_val2017.json", coco(CAPTIONS_IN_MANY_SCRIPTS)))
    assert captions_by_name(data) == CAPTIONS_IN_MANY_SCRIPTS
    assert splits_of(data) == {"1": None, "2": None, "3": None}
    assert (data.format, data.problems) == ("coco", ())


@pytest.mark.parametrize("inner", ["", "annotations"])
def test_coco_files_beside_each_other_give_the_splits(tmp_path: Path, inner: str) -> None:
    write(tmp_path / inner / "captions_train2017.json", coco({"a.jpg": ("a dog",)}))
    write(tmp_path / inner / "captions_val2017.json", coco({"b.jpg": ("a cat",)}))
    (tmp_path / "train2017").mkdir()
    (tmp_path / "train2017" / "a.jpg").touch()
    data = read_dataset(tmp_path)
    assert splits_of(data) == {"a.jpg": "train", "b.jpg": "val"}
    assert data.examples[0].image == str(tmp_path / "train2017" / "a.jpg")


def test_ids_that_mean_one_image_in_all_coco_files_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "captions_train2017.json", coco({"a.jpg": ("a dog",)}, first_id=391895))
    write(tmp_path / "captions_val2017.json", coco({"b.jpg": ("a cat",)}, first_id=522418))
    assert splits_of(read_dataset(tmp_path)) == {"391895": "train", "522418": "val"}


def test_one_coco_id_for_two_images_is_refused(tmp_path: Path) -> None:
    value = coco({"a.jpg": ("a dog",)})
    value["images"].append({"id": 1, "file_name": "b.jpg"})
    path = write(tmp_path / "captions.json", value)
    with pytest.raises(DataError) as caught:
        read_dataset(path)
    assert str(caught.value) == (
        f"{path}: image id 1 stands for 'a.jpg' and for 'b.jpg'; give each image its own id"
    )


def results_of(folder: Path, data: Dataset) -> list[dict[str, Any]]:
    captions = {example.image_id: "a dog" for example in data.examples}
    result = made_up_evaluation(folder, captions=captions)
    save_evaluation(folder, result, numeric_ids=data.format in ("coco", "karpathy"))
    results: list[dict[str, Any]] = json.loads((folder / "captions.json").read_text())
    return results


def test_results_have_the_ids_of_the_coco_file(tmp_path: Path) -> None:
    value = coco(CAPTIONS_IN_MANY_SCRIPTS, first_id=391895)
    data = read_dataset(write(tmp_path / "captions_val2017.json", value))
    results = results_of(tmp_path, data)
    assert [item["image_id"] for item in results] == [image["id"] for image in value["images"]]
    assert {item["image_id"] for item in results} == {item["image_id"] for item in value["annotations"]}


def test_results_have_the_cocoids_of_karpathys_file(tmp_path: Path) -> None:
    sentences = [{"raw": "a dog"}]
    images: list[dict[str, Any]] = [
        {"filename": "a.jpg", "imgid": 0, "cocoid": 391895, "sentences": sentences},
        {"filename": "007", "imgid": 1, "sentences": sentences},
    ]
    data = read_dataset(write(tmp_path / "dataset_coco.json", karpathy(images)))
    assert [item["image_id"] for item in results_of(tmp_path, data)] == [391895, "007"]


def test_coco_images_are_found_from_the_annotations_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "annotations" / "captions_train2017.json", coco({"a.jpg": ("a dog",)}))
    (tmp_path / "train2017").mkdir()
    (tmp_path / "train2017" / "a.jpg").touch()
    assert read_dataset(path).examples[0].image == str(tmp_path / "train2017" / "a.jpg")


def test_broken_coco_entries_are_reported(tmp_path: Path) -> None:
    value = coco({"a.jpg": ("a dog",), "b.jpg": ()})
    value["annotations"] += [{"image_id": 77, "caption": "lost"}, {"image_id": "1", "caption": None}, 3]
    data = read_dataset(write(tmp_path / "captions.json", value))
    assert captions_of(data) == {"1": ("a dog",)}
    assert [p.message for p in data.problems] == [
        "image_id 77 is in no entry of 'images'; left out",
        "'caption' must be a text, found None; left out",
        "an object was expected, found int; left out",
        "b.jpg has no caption; left out",
    ]


def test_a_forced_coco_reader_refuses_other_json(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [])
    with pytest.raises(DataError, match=r"a\.json: not COCO captions; expected .*'images' and 'annotations'"):
        read_dataset(path, format="coco")


def karpathy(images: list[dict[str, Any]]) -> dict[str, Any]:
    return {"dataset": "coco", "images": images}


def test_karpathys_format_comes_back(tmp_path: Path) -> None:
    images = [
        {
            "filename": image,
            "split": SPLITS[image],
            "imgid": number,
            "sentences": [{"raw": caption, "tokens": caption.split()} for caption in captions],
        }
        for number, (image, captions) in enumerate(CAPTIONS_IN_MANY_SCRIPTS.items())
    ]
    data = read_dataset(write(tmp_path / "dataset_flickr8k.json", karpathy(images)))
    assert (captions_of(data), splits_of(data)) == (CAPTIONS_IN_MANY_SCRIPTS, SPLITS)
    assert (data.format, data.problems) == ("karpathy", ())


def test_karpathys_restval_is_train_and_paths_are_joined(tmp_path: Path) -> None:
    images = [
        {
            "filepath": "val2014",
            "filename": "a.jpg",
            "split": "restval",
            "sentences": [{"tokens": ["a", "dog"]}],
        },
        {"filepath": "val2014", "filename": "b.jpg", "split": "test", "sentences": []},
        {"filename": "c.jpg"},
    ]
    write(tmp_path / "dataset_coco.json", karpathy(images))
    data = read_dataset(tmp_path, images=tmp_path)
    (example,) = data.examples
    assert (example.image_id, example.split, example.captions) == ("val2014/a.jpg", "train", ("a dog",))
    assert example.image == str(tmp_path / "val2014" / "a.jpg")
    assert [p.kind for p in data.problems] == ["empty caption", "broken row", "image without caption"]


def test_karpathys_unknown_split_is_refused(tmp_path: Path) -> None:
    images = [{"filename": "a.jpg", "split": "extra", "sentences": [{"raw": "a dog"}]}]
    path = write(tmp_path / "dataset.json", karpathy(images))
    with pytest.raises(DataError, match=r"dataset\.json image 1: split 'extra' is unknown"):
        read_dataset(path)


def test_karpathys_image_in_two_splits_is_refused(tmp_path: Path) -> None:
    images = [
        {"filename": "a.jpg", "split": split, "sentences": [{"raw": "dog"}]} for split in ("train", "test")
    ]
    path = write(tmp_path / "dataset.json", karpathy(images))
    with pytest.raises(
        SplitError, match=r"a\.jpg \(train in dataset\.json image 1, test in dataset\.json image 2\)"
    ):
        read_dataset(path)


def test_a_forced_karpathy_reader_refuses_other_json(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", {"images": []})
    with pytest.raises(DataError, match=r"a\.json: not Karpathy's format"):
        read_dataset(path, format="karpathy")
