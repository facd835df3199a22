"""A JSON list of ``{file_path, captions}``, or an object from image name to captions."""

from __future__ import annotations

from cutline.data.readers.columns import rows_of_mappings
from cutline.data.readers.rows import READERS, Rows, Source
from cutline.data.readers.text_file import read_json
from cutline.errors import DataError


@READERS.register("json")
def read_json_list(source: Source) -> Rows:
    """Read a JSON file that lists images with their captions.

    Accepted are a list of objects, whose keys are recognised like the columns of a table, and one
    object ``{"dog.jpg": ["a dog", …], …}``.

    Raises:
        DataError: The file is not JSON, is empty, or has another layout.
    """
    value = read_json(source.path)
    if isinstance(value, dict) and value and all(isinstance(item, str | list) for item in value.values()):
        value = [{"image": name, "captions": captions} for name, captions in value.items()]
    if not isinstance(value, list):
        found = (
            f"an object with the keys {', '.join(map(repr, value))}"
            if isinstance(value, dict)
            else repr(value)
        )
        raise DataError(
            f"{source.path}: expected a list of {{file_path, captions}} or an object from image to captions; "
            f"found {found[:200]}"
        )
    if not value:
        raise DataError(f"{source.path}: the list is empty; give at least one image with a caption")
    yield from rows_of_mappings(enumerate(value, 1), f"{source.path.name} item", source)
