"""Hugging Face's imagefolder: ``metadata.csv|jsonl|parquet`` beside the images, subfolders as splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from cutline.data.readers.cells import plain_name
from cutline.data.readers.jsonl import read_jsonl
from cutline.data.readers.parquet import read_parquet
from cutline.data.readers.rows import READERS, Reader, Row, Rows, Source
from cutline.data.readers.table import read_table
from cutline.data.splits import SPLIT_NAMES
from cutline.errors import DataError

_READERS: Final[dict[str, Reader]] = {
    "metadata.csv": read_table,
    "metadata.jsonl": read_jsonl,
    "metadata.parquet": read_parquet,
}


def metadata_files(folder: Path) -> list[Path]:
    """List the metadata files of a folder and its direct subfolders."""
    parents = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return [parent / name for parent in parents for name in _READERS if (parent / name).is_file()]


@READERS.register("imagefolder")
def read_imagefolder(source: Source) -> Rows:
    """Read every metadata file of a folder.

    Names in a metadata file are relative to its own folder; ids are relative to the whole. A split column
    wins; otherwise a folder called train, validation or test gives the split.

    Raises:
        DataError: There is no metadata file, or one cannot be read.
    """
    files = metadata_files(source.folder)
    if not files:
        raise DataError(
            f"{source.path}: no metadata.csv, metadata.jsonl or metadata.parquet here or one folder down"
        )
    for path in files:
        inner = path.parent.relative_to(source.folder).as_posix()
        prefix = "" if inner == "." else f"{inner}/"
        for row in _READERS[path.name](replace(source, path=path, prefix=prefix)):
            yield _with_folder_split(row) if isinstance(row, Row) else row


def folder_split(image: str) -> str | None:
    """Return the split that the first folder of a name stands for, if any.

    Example:
        >>> folder_split("validation/a.jpg"), folder_split("holiday/a.jpg"), folder_split("train.jpg")
        ('validation', None, None)
    """
    first, _, rest = image.replace("\\", "/").partition("/")
    return first if rest and first.lower() in SPLIT_NAMES else None


def _with_folder_split(row: Row) -> Row:
    split = folder_split(row.image)
    # A column that is not called "split" may mean something else; a folder called train does not.
    is_given = row.split and row.split.strip() and (split is None or plain_name(row.split_column) == "split")
    return row if is_given else replace(row, split=split, split_column="")
