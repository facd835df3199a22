"""Reading references: one or more captions per image, by people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

from cutline.data.caption_files.contents import CaptionFile, first_problem
from cutline.data.caption_files.matching import some
from cutline.data.caption_files.rows import find_source, read_rows, unheeded_columns
from cutline.data.readers.gather import clean_caption
from cutline.data.readers.rows import Row
from cutline.data.splits import SPLIT_NAMES, overlap_error
from cutline.errors import DataError
from cutline.records import SPLITS, Problem


def read_references(
    path: Path, image_column: str | None = None, caption_column: str | None = None
) -> CaptionFile:
    """Read the captions that people gave.

    Formats are those of training data, and ``{image: [caption, …]}``. COCO captions need no file names here.
    All captions are kept, duplicates too, but for blank ones, as in the empty cells of a wide table.

    Args:
        path: File or folder.
        image_column: Column or key of the image, in a file that has it; usual names are known.
        caption_column: Likewise of the caption.

    Raises:
        DataError: The file is missing, damaged or empty, or lacks image or caption.
        SplitError: An image is in two splits.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "table.csv"
        >>> rows = ["image,caption,split", "a.jpg,a dog,dev", "a.jpg,A dog.,dev"]
        >>> _ = file.write_text("\\n".join(rows), encoding="utf-8")
        >>> found = read_references(file)
        >>> found.captions, found.splits
        ({'a.jpg': ('a dog', 'A dog.')}, {'a.jpg': 'val'})
    """
    name, source = find_source(path, image_column, caption_column)
    rows = read_rows(name, source)
    captions: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for row in (row for row in rows if isinstance(row, Row)):
        image = row.image.replace("\\", "/")
        text = clean_caption(row.caption)
        if text:
            captions.setdefault(row.image_id or image, []).append(text)
            names.setdefault(row.image_id or image, image)
    if not captions:
        first = first_problem(row for row in rows if isinstance(row, Problem))
        raise DataError(f"{path}: no references in it{first}; give at least one caption per image")
    splits = _splits(path, (row for row in rows if isinstance(row, Row)))
    return CaptionFile(
        str(path),
        {key: tuple(texts) for key, texts in captions.items()},
        names,
        {key: split for key, split in splits.items() if key in captions},
        tuple(row for row in rows if isinstance(row, Problem)),
        unheeded_columns(name, source),
        tuple(dict.fromkeys(row.split for row in rows if isinstance(row, Row) and _is_other(row.split))),
    )


def select_split(references: CaptionFile, split: str) -> CaptionFile:
    """Return the references of one split, all of them for ``"all"``.

    Raises:
        DataError: The split has another name, or no image.

    Example:
        >>> captions, names = {"a": ("a dog",), "b": ("a cat",)}, {"a": "a.jpg", "b": "b.jpg"}
        >>> list(select_split(CaptionFile("r.json", captions, names, {"a": "val"}), "val").captions)
        ['a']
    """
    if split not in (*SPLITS, "all"):
        raise DataError(f"--split {split!r}: allowed are {', '.join(SPLITS)} and all")
    if split == "all":
        return references
    chosen = {key: texts for key, texts in references.captions.items() if references.splits.get(key) == split}
    if not chosen:
        there = describe_splits(references)
        advice = "choose one of these, or leave" if references.splits else "leave"
        raise DataError(f"{references.source}: no image of split {split!r}; {there}; {advice} --split out")
    return replace(references, captions=chosen)


def describe_splits(references: CaptionFile) -> str:
    """Say how many images of which splits there are.

    Example:
        >>> describe_splits(CaptionFile("r.json", {"a": ("a dog",)}, {"a": "a"}, {"a": "val"}))
        'it has val 1'
    """
    counts = Counter(references.splits.get(key, "") for key in references.captions)
    if references.other_splits:
        others = f"it names {some(map(repr, references.other_splits))}, which are no splits of cutline"
    else:
        others = "it names no splits"
    if set(counts) == {""}:
        return others
    rest = f", and {counts['']:,} without" if counts[""] else ""
    return "it has " + ", ".join(f"{name} {counts[name]:,}" for name in SPLITS if counts[name]) + rest


def _is_other(split: str | None) -> TypeGuard[str]:
    return bool(split and split.strip()) and (split or "").strip().lower() not in SPLIT_NAMES


def _splits(path: Path, rows: Iterable[Row]) -> dict[str, str]:
    """Return key → split; what is no split, in a column called "set" for example, is passed over."""
    splits: dict[str, str] = {}
    offenders: dict[str, str] = {}
    for row in rows:
        split = SPLIT_NAMES.get((row.split or "").strip().lower())
        key = row.image_id or row.image.replace("\\", "/")
        if split is not None and splits.setdefault(key, split) != split:
            offenders.setdefault(key, f"{key} ({splits[key]}, {split} in {row.where})")
    if offenders:
        raise overlap_error(list(offenders.values()), str(path))
    return splits
