"""Which format a file or folder has."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from cutline.data.images import IMAGE_SUFFIXES
from cutline.data.readers.coco import coco_files, is_coco
from cutline.data.readers.flickr import TOKEN_LINE
from cutline.data.readers.imagefolder import metadata_files
from cutline.data.readers.karpathy import is_karpathy
from cutline.data.readers.rows import READERS, Source
from cutline.data.readers.sidecars import find_sidecar, image_names
from cutline.data.readers.text_file import first_line, read_json
from cutline.errors import DataError

_TABLES: Final = ("*.csv", "*.tsv")
_PATTERNS: Final[dict[str, tuple[str, ...]]] = {
    "karpathy": ("dataset_*.json", "dataset.json"),
    "flickr": ("*token.txt", "*.token"),
    "table": (*_TABLES, "captions.txt"),
    "csv": (*_TABLES, "*.txt"),
    "tsv": (*_TABLES, "*.txt"),
    "parquet": ("*.parquet",),
    "jsonl": ("*.jsonl", "*.ndjson"),
    "json": ("*.json",),
}
"""Format of a single file → names that it has inside a folder."""

_PREFERRED: Final = ("captions", "results", "metadata")
_SPREADSHEETS: Final = (".xlsx", ".xls", ".ods", ".numbers")


def detect(source: Source) -> tuple[str, Path]:
    """Return the format of a source and the file to read (the folder itself for folder formats).

    In a folder, a table without columns for image and caption does not hide another format.

    Raises:
        DataError: The format cannot be told, or a folder holds several tables.
    """
    return _detect_folder(source) if source.path.is_dir() else (_detect_file(source.path), source.path)


def file_for(name: str, path: Path) -> Path:
    """Return the file to read in a forced format; a folder is searched for one with a fitting name."""
    if name not in _PATTERNS or not path.is_dir():
        return path
    found = _matching(path, _PATTERNS[name])
    if not found:
        raise DataError(
            f"{path}: holds no file for format {name!r} ({', '.join(_PATTERNS[name])}); name the file"
        )
    return _only(path, found)


def _detect_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in _SPREADSHEETS:
        raise DataError(f"{path}: a spreadsheet; save it as CSV and give that")
    if suffix in IMAGE_SUFFIXES:
        raise DataError(f"{path}: an image; give a table with image names and captions, or a folder")
    if suffix == ".parquet":
        return "parquet"
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix == ".json":
        return _detect_json(path)
    return "flickr" if TOKEN_LINE.fullmatch(first_line(path)) else "table"


def _detect_json(path: Path) -> str:
    start = first_line(path).strip()
    if not start:
        raise DataError(f"{path}: the file is empty; give at least one image with a caption")
    try:
        value = read_json(path)
    except DataError:
        # One object per line is JSON Lines, whatever the file is called.
        if _is_object(start):
            return "jsonl"
        raise
    if is_karpathy(value):
        return "karpathy"
    return "coco" if is_coco(value) else "json"


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _detect_folder(source: Source) -> tuple[str, Path]:
    folder = source.path
    if metadata_files(folder):
        return "imagefolder", folder
    if coco_files(folder):
        return "coco", folder
    for names in ("karpathy", "flickr"):
        found = _matching(folder, _PATTERNS[names])
        if found:
            return names, _only(folder, found)
    tables = _matching(folder, (*_PATTERNS["table"], *_PATTERNS["parquet"], *_PATTERNS["jsonl"]))
    table = _only(folder, tables) if tables else None
    if table is not None and not _is_stray(table, source):
        return _detect_file(table), table
    if any(find_sidecar(folder, image) for image in image_names(folder)):
        return "sidecars", folder
    lists = _matching(folder, _PATTERNS["json"])
    rest = _only(folder, lists) if lists else table
    if rest is not None:
        # A stray table alone is read after all, for the message that it gives.
        return _detect_file(rest), rest
    raise DataError(
        f"{folder}: no captions found; looked for a table (.csv, .tsv, .parquet, .jsonl), metadata.csv, "
        "captions_*.json, dataset_*.json, *token.txt, .json, and .txt files beside images; name the file"
    )


def _is_stray(table: Path, source: Source) -> bool:
    """Tell whether a table is about something else than images and captions."""
    if table.stem in _PREFERRED:
        return False
    try:
        next(READERS.get(_detect_file(table))(replace(source, path=table)), None)
    except DataError:
        return True
    return False


def _matching(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    # Flickr8k comes with a lemmatised copy of its captions that nobody trains on.
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(path for path in found if not path.name.startswith(".") and ".lemma." not in path.name)


def _only(folder: Path, found: list[Path]) -> Path:
    preferred = [path for path in found if path.stem in _PREFERRED]
    for choice in (found, preferred):
        if len(choice) == 1:
            return choice[0]
    names = ", ".join(path.name for path in found[:5]) + (" …" if len(found) > 5 else "")
    raise DataError(f"{folder}: holds several tables ({names}); name the one to read")
