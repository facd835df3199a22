"""A JSON list of ``{file_path, captions}``, or an object from image name to captions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cutline.data.readers.cells import is_image_name, wrong_type
from cutline.data.readers.columns import find_columns, rows_of_mappings
from cutline.data.readers.rows import READERS, Rows, Source
from cutline.data.readers.text_file import read_json
from cutline.errors import DataError


@READERS.register("json")
def read_json_list(source: Source) -> Rows:
    """Read a JSON file that lists images with their captions.

    Accepted are a list of objects, whose keys are recognised like the columns of a table, and one
    object ``{"dog.jpg": ["a dog", …], …}``. A list of objects may also be the one list in an object, such as
    ``{"version": 1, "data": [{"image": "dog.jpg", "caption": "a dog"}]}``.

    Raises:
        DataError: The file is not JSON, is empty, or has another layout.
    """
    whole = read_json(source.path)
    value = _items(whole, source)
    if isinstance(whole, dict) and _is_indexed(whole):
        # There are no columns to name: the names of these keys are ours.
        source = replace(source, image_column=None, caption_column=None)
    if not isinstance(value, list):
        found = (
            f"an object with the keys {', '.join(map(repr, value))}"
            if isinstance(value, dict)
            else repr(value)
        )
        odd = _odd_entry(value)
        if odd:
            raise DataError(f"{source.path}: {odd}; a caption must be a text")
        raise DataError(
            f"{source.path}: expected a list of {{file_path, captions}} or an object from image to captions; "
            f"found {found[:200]}"
        )
    if not value:
        raise DataError(f"{source.path}: the list is empty; give at least one image with a caption")
    yield from rows_of_mappings(enumerate(value, 1), f"{source.path.name} item", source)


def _odd_entry(value: Any) -> str:
    """Name the first entry that is no caption, in an object whose keys are image files."""
    if not isinstance(value, dict) or not all(map(is_image_name, value)):
        return ""
    odd = ((name, wrong_type(item) or item) for name, item in value.items() if not isinstance(item, str))
    return next((f"{name!r} has {found}" for name, found in odd), "")


def _items(value: Any, source: Source) -> Any:
    """Return the list of objects that a layout stands for; the value itself when it has no known layout."""
    if not isinstance(value, dict) or not value:
        return value
    lists = [item for item in value.values() if isinstance(item, list)]
    if any(_holds_objects(item, source) for item in lists):
        return lists[0] if len(lists) == 1 else value
    if _is_indexed(value):
        return [{"image": name, "captions": captions} for name, captions in value.items()]
    return value


def _is_indexed(value: dict[str, Any]) -> bool:
    """Tell whether an object goes from image to captions: most of its values are texts, and none an object.

    The few that are none, such as numbers, are left to be told one by one.
    """
    known = [item for item in value.values() if item is not None]
    texts = sum(isinstance(item, str | list) and not wrong_type(item) for item in known)
    return 2 * texts > len(known) and not any(isinstance(item, dict) for item in known)


def _holds_objects(items: list[Any], source: Source) -> bool:
    first = next((item for item in items if isinstance(item, dict)), {})
    return find_columns(tuple(map(str, first)), source) is not None
