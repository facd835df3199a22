"""Parquet tables; needs the optional pyarrow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cutline.data.readers.cells import plain_name
from cutline.data.readers.columns import ID_COLUMNS, IMAGE_NAMES, Columns, require_columns, rows_of
from cutline.data.readers.rows import READERS, Rows, Source
from cutline.errors import DataError, MissingDependencyError

_BATCH = 4096
_SAMPLES = 5


@READERS.register("parquet")
def read_parquet(source: Source) -> Rows:
    """Read a Parquet file batch by batch, only the columns that matter.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        DataError: The file is damaged, has no rows, lacks a column or holds images instead of names.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet
    except ImportError:
        raise MissingDependencyError(
            f"{source.path}: reading Parquet needs pyarrow; pip install 'cutline[parquet]'"
        ) from None
    place = f"{source.prefix}{source.path.name} row"
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(source.path) as file:
            names = file.schema_arrow.names
            samples = [tuple(row.values()) for row in _first_rows(file, names)]
            found = require_columns(names, source, samples)
            wanted = [
                found.image,
                *found.captions,
                *(i for i in (found.split, found.image_id, found.group) if i is not None),
            ]
            for batch in file.iter_batches(_BATCH, columns=[names[i] for i in dict.fromkeys(wanted)]):
                columns = _among(batch.schema.names, names, found)
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    _refuse_images(cells[columns.image], source)
                    yield from rows_of(cells, columns, place, number, source.prefix)
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{source.path}: cannot be read as Parquet ({reason}); restore the file") from None
    if not number:
        raise DataError(f"{source.path}: the table has no rows; add one row per caption")


def _first_rows(file: Any, names: list[str]) -> list[dict[str, Any]]:
    """Return the first rows, with None for columns that cannot name an image."""
    texts = [name for name in names if plain_name(name) in (*IMAGE_NAMES, *ID_COLUMNS)]
    if len(texts) < 2:
        return []
    batch = next(file.iter_batches(_SAMPLES, columns=texts), None)
    rows = [] if batch is None else batch.to_pylist()
    return [{name: row.get(name) for name in names} for row in rows]


def _among(there: list[str], names: list[str], found: Columns) -> Columns:
    """Return the same columns, by their positions among those that were read."""
    return replace(
        found,
        image=there.index(names[found.image]),
        captions=tuple(there.index(names[i]) for i in found.captions),
        split=None if found.split is None else there.index(names[found.split]),
        image_id=None if found.image_id is None else there.index(names[found.image_id]),
        group=None if found.group is None else there.index(names[found.group]),
    )


def _refuse_images(image: object, source: Source) -> None:
    if isinstance(image, bytes | dict):
        raise DataError(
            f"{source.path}: the image column holds images, not file names; save the images as files and "
            "give their names"
        )
