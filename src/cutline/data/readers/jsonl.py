"""JSON Lines: one object per line, its caption a text or a list of texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cutline.data.readers.columns import rows_of_mappings
from cutline.data.readers.rows import READERS, Rows, Source
from cutline.data.readers.text_file import open_text
from cutline.errors import DataError


@READERS.register("jsonl")
def read_jsonl(source: Source) -> Rows:
    """Read a JSON Lines file, line by line.

    Keys are recognised like the columns of a table.

    Raises:
        DataError: A line is not JSON, the first object lacks image or caption, or there is no line.
    """
    place = f"{source.prefix}{source.path.name} line"
    count = 0
    for row in rows_of_mappings(json_objects(source), place, source):
        count += 1
        yield row
    if not count:
        raise DataError(f"{source.path}: the file is empty; give one JSON object per line")


def json_objects(source: Source) -> Iterator[tuple[int, Any]]:
    """Yield the line number and the value of every line that is not blank; DataError for invalid JSON."""
    with open_text(source.path) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{source.path} line {number}: not valid JSON ({error}); give one object per line"
                ) from None
