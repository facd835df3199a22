"""Rows of a captions file: as the readers of training data give them, and of layouts only scoring meets."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from cutline.data.readers.cells import caption_texts, wrong_type
from cutline.data.readers.coco import is_coco
from cutline.data.readers.columns import NoColumnError, rows_of_mappings
from cutline.data.readers.detect import detect
from cutline.data.readers.jsonl import json_objects
from cutline.data.readers.rows import READERS, Row, Rows, Source
from cutline.data.readers.text_file import read_json
from cutline.errors import DataError
from cutline.records import Problem

RANK: Final = "rank"
"""Column in which ``cutline caption`` numbers the hypotheses of an image, best first."""

_N_BEST: Final = "hypotheses"
_BARE: Final = "it has no line that names columns"
_NO_NAME: Final = "\x00"


def find_source(path: Path, image_column: str | None, caption_column: str | None) -> tuple[str, Source]:
    """Return the format of a file and what to read; DataError when it is missing or not recognised."""
    if not path.exists():
        raise DataError(f"{path}: no such file; give a file with images and captions")
    source = Source(path, None, image_column, caption_column)
    name, found = detect(source)
    return name, replace(source, path=found)


def read_rows(name: str, source: Source) -> list[Row | Problem]:
    """Read all rows of a file.

    Columns that the caller named need not be in every file: where they are not, the usual names count.

    Raises:
        DataError: The file is damaged, or image or caption is missing; about the columns that were named.
    """
    try:
        return list(_rows(name, source))
    except DataError:
        absent = _absent(name, source)
        if not absent:
            raise
        try:
            return list(_rows(name, _without(source, absent)))
        except DataError:
            pass
        raise


def unheeded_columns(name: str, source: Source) -> dict[str, str]:
    """Return the options that name a column this file does not have, each with what is there instead."""
    return {
        f"--{option.replace('_', '-')} {getattr(source, option)}": why
        for option, why in _absent(name, source).items()
    }


def _without(source: Source, absent: Container[str]) -> Source:
    return replace(
        source,
        image_column=None if "image_column" in absent else source.image_column,
        caption_column=None if "caption_column" in absent else source.caption_column,
    )


def _absent(name: str, source: Source) -> dict[str, str]:
    absent = {}
    for option in ("image_column", "caption_column"):
        wanted = getattr(source, option)
        if wanted is None:
            continue
        error = _refusal(name, source, option, wanted)
        if isinstance(error, NoColumnError):
            absent[option] = next((part for part in str(error).split("; ") if part.startswith("its ")), _BARE)
        elif error is None and _refusal(name, source, option, _NO_NAME) is None:
            absent[option] = "its format has no columns to name"
    return absent


def _refusal(name: str, source: Source, option: str, wanted: str) -> DataError | None:
    """Return the error of beginning to read with one column named, if there is one."""
    bare = replace(source, image_column=None, caption_column=None, group_column=None)
    is_image = option == "image_column"
    named = replace(bare, image_column=wanted) if is_image else replace(bare, caption_column=wanted)
    try:
        next(iter(_rows(name, named)), None)
    except DataError as error:
        return error
    return None


def read_ranked_rows(name: str, source: Source) -> list[Row | Problem]:
    """Read all rows of a file with the rank of each in place of its group; blank where there is none.

    Raises:
        DataError: As in :func:`read_rows`.
    """
    try:
        return read_rows(name, replace(source, group_column=RANK))
    except DataError:
        rows = read_rows(name, source)
    return [replace(row, group="") if isinstance(row, Row) else row for row in rows]


def _rows(name: str, source: Source) -> Rows:
    if name == "json" or (name == "coco" and source.path.is_file()):
        return _json_rows(name, source)
    return _jsonl_rows(source) if name == "jsonl" else READERS.get(name)(source)


def _json_rows(name: str, source: Source) -> Rows:
    value = read_json(source.path)
    if is_coco(value):
        return _coco_rows(value, source)
    if _is_indexed(value):
        items = [{"image": key, "caption": list(caption_texts(found))} for key, found in value.items()]
        return rows_of_mappings(enumerate(items, 1), f"{source.path.name} item", Source(source.path))
    return READERS.get(name)(source)


def _coco_rows(value: Mapping[str, Any], source: Source) -> Rows:
    """Yield captions by COCO's ids; unlike for training, images need no file name, nor to be listed."""
    images = {str(image.get("id")): image for image in value["images"] if isinstance(image, dict)}
    place = f"{source.path.name} annotation"
    for number, annotation in enumerate(value["annotations"], 1):
        has_id = isinstance(annotation, dict) and annotation.get("image_id") is not None
        if not has_id or not isinstance(annotation.get("caption"), str):
            message = "an object with an image_id and a text as caption was expected; left out"
            yield Problem("broken row", f"{place} {number}", message)
            continue
        key = str(annotation["image_id"])
        image = images.get(key, {})
        split = str(image.get("split") or "")
        yield Row(str(image.get("file_name") or key), annotation["caption"], place, number, split, key)


def _is_indexed(value: Any) -> bool:
    """Tell whether JSON is ``{image: [{"image_id": …, "caption": …}, …], …}``, as COCO's tools index it.

    A single such list may as well be the list of all images; that is left to the reader of lists.
    """
    return (
        isinstance(value, dict)
        and len(value) > 1
        and all(isinstance(found, list) and found and not wrong_type(found) for found in value.values())
    )


def _jsonl_rows(source: Source) -> Rows:
    """Yield rows of JSON Lines, with ranks where there are n-best lists; failed images become Problems."""
    place = f"{source.path.name} line"
    items: list[tuple[int, Any]] = []
    for number, item in json_objects(source):
        if isinstance(item, Mapping) and item.get("error") and not item.get("caption"):
            yield Problem("no caption", f"{place} {number}", f"not captioned: {item['error']}")
        else:
            items += ((number, one) for one in _by_rank(item, source.group_column == RANK))
    yield from rows_of_mappings(items, place, source)


def _by_rank(item: Any, wanted: bool) -> list[Any]:
    """Return an object for each hypothesis of an n-best list, with its rank; else the object alone."""
    listed = item.get(_N_BEST) if wanted and isinstance(item, Mapping) else None
    if not isinstance(listed, list):
        return [{RANK: 1, **item}] if wanted and isinstance(item, Mapping) else [item]
    return [{**item, "caption": caption, RANK: rank} for rank, caption in enumerate(caption_texts(listed), 1)]
