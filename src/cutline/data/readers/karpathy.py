"""Karpathy's ``dataset_*.json`` for COCO, Flickr8k and Flickr30k: images with sentences and splits."""

from __future__ import annotations

from typing import Any

from cutline.data.readers.groups import group_of
from cutline.data.readers.rows import READERS, Row, Rows, Source
from cutline.data.readers.text_file import read_json
from cutline.errors import DataError
from cutline.records import Problem


@READERS.register("karpathy")
def read_karpathy(source: Source) -> Rows:
    """Read a ``dataset_*.json``; its splits are honoured, ``restval`` is train, ``filepath`` is joined.

    COCO's ids (``cocoid``) become the image ids, as COCO's evaluation tools want them; images of other
    data sets go by their file names.

    Raises:
        DataError: The file is not JSON or has another layout.
    """
    value = read_json(source.path)
    if not is_karpathy(value):
        raise DataError(
            f"{source.path}: not Karpathy's format; expected 'images' with 'filename' and 'sentences'"
        )
    place = f"{source.path.name} image"
    for number, image in enumerate(value["images"], 1):
        if (
            not isinstance(image, dict)
            or not image.get("filename")
            or not isinstance(image.get("sentences"), list)
        ):
            message = "no 'filename' or no list 'sentences'; left out"
            yield Problem("broken row", f"{place} {number}", message, (str(image),))
            continue
        folder = str(image.get("filepath") or "").strip("/")
        name = f"{folder}/{image['filename']}" if folder else str(image["filename"])
        split = str(image.get("split") or "")
        image_id = None if image.get("cocoid") is None else str(image["cocoid"])
        group, column = group_of(image, source)
        for caption in [_raw(sentence) for sentence in image["sentences"]] or [""]:
            yield Row(name, caption, place, number, split, image_id, group=group, group_column=column)


def is_karpathy(value: Any) -> bool:
    """Tell whether parsed JSON has the layout of Karpathy's files."""
    images = value.get("images") if isinstance(value, dict) else None
    return isinstance(images, list) and any(
        isinstance(image, dict) and "sentences" in image for image in images
    )


def _raw(sentence: Any) -> str:
    if not isinstance(sentence, dict):
        return str(sentence or "")
    return str(sentence.get("raw") or " ".join(map(str, sentence.get("tokens") or ())))
