"""COCO captions: images with ids in one list, captions with image ids in another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from cutline.data.readers.groups import group_of
from cutline.data.readers.rows import READERS, Row, Rows, Source
from cutline.data.readers.text_file import read_json
from cutline.errors import DataError
from cutline.records import Problem

_SPLIT_IN_NAME: Final = re.compile(r"captions_(train|val|test)", re.IGNORECASE)
_Images: TypeAlias = dict[str, Mapping[str, Any]]


def coco_files(folder: Path) -> list[Path]:
    """List the caption files in a folder or in its ``annotations``."""
    return sorted(folder.glob("captions_*.json")) or sorted(folder.glob("annotations/captions_*.json"))


@READERS.register("coco")
def read_coco(source: Source) -> Rows:
    """Read one COCO captions file, or a folder of them.

    In a folder, ``captions_train2017.json`` and ``captions_val2017.json`` are the train and the val split; in
    a single file images are undecided unless they have a ``split`` of their own. COCO's ids become the
    image ids, as its evaluation tools want them; where files number their images alike, file names do.

    Raises:
        DataError: The file is not JSON, has another layout, or gives one id to two images.
    """
    files = coco_files(source.path) if source.path.is_dir() else [source.path]
    if not files:
        raise DataError(f"{source.path}: no captions_*.json here or in annotations/; name the file")
    values = {path: _load(path) for path in files}
    images = {path: _images(path, value) for path, value in values.items()}
    ids = _ids_are_shared(images.values())
    for path, value in values.items():
        match = _SPLIT_IN_NAME.match(path.name) if len(files) > 1 else None
        yield from _rows(replace(source, path=path), value, images[path], match[1] if match else None, ids)


def _load(path: Path) -> Any:
    value = read_json(path)
    if not is_coco(value):
        raise DataError(
            f"{path}: not COCO captions; expected an object with the lists 'images' and 'annotations'"
        )
    return value


def _images(path: Path, value: Any) -> _Images:
    images: dict[str, Mapping[str, Any]] = {}
    for image in value["images"]:
        if not isinstance(image, dict) or not image.get("file_name") or image.get("id") is None:
            continue
        other = images.setdefault(_key(image), image)
        if other["file_name"] != image["file_name"]:
            raise DataError(
                f"{path}: image id {image['id']!r} stands for {other['file_name']!r} and for "
                f"{image['file_name']!r}; give each image its own id"
            )
    return images


def _ids_are_shared(files: Iterable[_Images]) -> bool:
    """Tell whether an id means the same image in every file."""
    names: dict[str, Any] = {}
    return all(
        names.setdefault(key, image["file_name"]) == image["file_name"]
        for images in files
        for key, image in images.items()
    )


def _rows(source: Source, value: Any, images: _Images, split: str | None, ids: bool) -> Rows:
    described = set()
    file = source.path.name
    for number, annotation in enumerate(value["annotations"], 1):
        place = f"{file} annotation"
        image = images.get(_key(annotation, "image_id")) if isinstance(annotation, dict) else None
        if image is None or not isinstance(annotation.get("caption"), str):
            told = annotation.get("caption") if isinstance(annotation, dict) else annotation
            texts = () if told is None else (str(told),)
            yield Problem("broken row", f"{place} {number}", _what_is_wrong(annotation, image), texts)
            continue
        key = _key(image)
        described.add(key)
        name, caption = str(image["file_name"]), annotation["caption"]
        row = Row(name, caption, place, number, image.get("split") or split, key if ids else None)
        group, column = group_of(image, source)
        yield replace(row, group=group, group_column=column)
    for key, image in images.items():
        if key not in described:
            message = f"{image['file_name']} has no caption; left out"
            yield Problem("image without caption", f"{file} image {key}", message)


def is_coco(value: Any) -> bool:
    """Tell whether parsed JSON has the layout of COCO captions."""
    return isinstance(value, dict) and all(
        isinstance(value.get(key), list) for key in ("images", "annotations")
    )


def _key(item: Mapping[str, Any], name: str = "id") -> str:
    # Some exporters write ids as numbers in one list and as strings in the other.
    return str(item.get(name))


def _what_is_wrong(annotation: Any, image: Mapping[str, Any] | None) -> str:
    if not isinstance(annotation, dict):
        return f"an object was expected, found {type(annotation).__name__}; left out"
    if image is None:
        return f"image_id {annotation.get('image_id')!r} is in no entry of 'images'; left out"
    return f"'caption' must be a text, found {annotation.get('caption')!r}; left out"
