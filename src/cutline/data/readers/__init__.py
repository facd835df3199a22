"""Reading what people have: one module per annotation format, detected or named.

Formats: ``table`` (CSV, TSV, pipes, semicolons), ``parquet``, ``jsonl``, ``json`` (a list of images with
captions), ``flickr`` (``token.txt``), ``coco``, ``karpathy``, ``imagefolder`` and ``sidecars``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cutline.config import DataOptions
from cutline.data.readers import (  # noqa: F401 (readers register themselves)
    coco,
    flickr,
    imagefolder,
    json_list,
    jsonl,
    karpathy,
    parquet,
    sidecars,
    table,
)
from cutline.data.readers.detect import detect, file_for
from cutline.data.readers.gather import Gatherer
from cutline.data.readers.locate import Locator
from cutline.data.readers.rows import READERS, Source
from cutline.errors import DataError
from cutline.records import Dataset

__all__ = ["format_names", "read_dataset"]


def format_names() -> list[str]:
    """Return the formats that can be named, sorted."""
    return READERS.names()


def read_dataset(
    source: str | Path,
    images: str | Path | None = None,
    *,
    options: DataOptions | None = None,
    format: str | None = None,
    image_column: str | None = None,
    caption_column: str | None = None,
    group_column: str | None = None,
    keep_overlaps: bool = False,
) -> Dataset:
    """Read images and captions from a file or folder in any known format.

    One Example per image comes back, captions NFC-normalised and in the order of the source. Exact
    duplicates, empty captions, captions of only punctuation and images left without a caption are dropped,
    each with a Problem. Image files are looked for but not opened.

    Args:
        source: An annotation file, or a folder that holds one.
        images: Folder of the images; by default that of the annotations and the usual folders in it
            (``images``, ``Images``, ``photos``, …).
        options: Options of the data room; those below win over it.
        format: Name of the format; detected when None.
        image_column: Column with the image's file name; known by its usual names when None.
        caption_column: Likewise for the caption.
        group_column: Likewise for the group of the image, by which scores are given apart.
        keep_overlaps: Make a Problem of every image in two splits instead of an error; it stays in the one
            that is farthest from training.

    Raises:
        DataError: The source or the images folder is missing, damaged, or holds nothing usable.
        SplitError: An image is in two splits.
        UnknownNameError: The format is unknown.
        MissingDependencyError: Parquet without pyarrow.
    """
    options = options or DataOptions()
    folder = Path(images) if images is not None else None
    columns = (
        image_column or options.image_column,
        caption_column or options.caption_column,
        group_column or options.group_column,
    )
    given = _existing(Source(Path(source), folder, *columns))
    name, path = format or options.format, given.path
    if name is None:
        name, path = detect(given)
    reader = READERS.get(name)
    given = replace(given, path=file_for(name, path))
    locator = Locator(given.folder, given.images)
    gatherer = Gatherer(str(source), locator.find, given.group_column)
    return gatherer.gather(reader(given), name, keep_overlaps)


def _existing(source: Source) -> Source:
    if not source.path.exists():
        raise DataError(f"{source.path}: no such file or folder; give a table with images and captions")
    if source.images is not None and not source.images.is_dir():
        raise DataError(f"{source.images}: no such images folder; give an existing one with --images DIR")
    return source
