"""Parquet tables; needs the optional pyarrow."""

from __future__ import annotations

from cutline.data.readers.columns import require_columns, rows_of
from cutline.data.readers.rows import READERS, Rows, Source
from cutline.errors import DataError, MissingDependencyError

_BATCH = 4096


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
            found = require_columns(names, source)
            wanted = [
                found.image,
                *found.captions,
                *(i for i in (found.split, found.image_id) if i is not None),
            ]
            for batch in file.iter_batches(_BATCH, columns=[names[i] for i in dict.fromkeys(wanted)]):
                columns = require_columns(batch.schema.names, source)
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    _refuse_images(cells[columns.image], source)
                    yield from rows_of(cells, columns, place, number, source.prefix)
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{source.path}: cannot be read as Parquet ({reason}); restore the file") from None
    if not number:
        raise DataError(f"{source.path}: the table has no rows; add one row per caption")


def _refuse_images(image: object, source: Source) -> None:
    if isinstance(image, bytes | dict):
        raise DataError(
            f"{source.path}: the image column holds images, not file names; save the images as files and "
            "give their names"
        )
