"""Which column holds what: usual names are recognised, others are named by the caller."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cutline.data.readers.cells import (
    CAPTION_NAMES,
    caption_texts,
    first_position,
    image_name,
    is_image_name,
    plain_name,
    wrong_type,
)
from cutline.data.readers.groups import group_position, group_text, named_position
from cutline.data.readers.rows import Row, Rows, Source
from cutline.data.splits import SPLIT_NAMES
from cutline.errors import DataError
from cutline.records import Problem

IMAGE_NAMES: Final = (
    "image",
    "filename",
    "file_name",
    "image_path",
    "file",
    "img",
    "path",
    "image_name",
    "photo",
    "image_file",
    "image_filename",
    "filepath",
    "file_path",
    "img_path",
    "img_name",
    "imagename",
    "photo_path",
    "picture",
)
SPLIT_COLUMNS: Final = ("split", "subset", "partition", "set")
ID_COLUMNS: Final = ("image_id", "imageid", "img_id", "photo_id")
_NUMBERED: Final = re.compile(r"(caption|text|sentence|description|comment|reference)_?\d+")


class NoColumnError(DataError):
    """A column that the caller named is not in the file."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Positions of the columns that matter; ``captions`` are several when a table is wide."""

    image: int
    captions: tuple[int, ...]
    split: int | None = None
    image_id: int | None = None
    split_name: str = field(default="", repr=False)
    group: int | None = field(default=None, repr=False)
    group_name: str = field(default="", repr=False)


def find_columns(
    names: Sequence[str], source: Source, samples: Sequence[Sequence[Any]] = ()
) -> Columns | None:
    """Find image, caption, split, image_id and group among column names; None without the first two.

    Upper and lower case, spaces and hyphens make no difference. Columns such as ``caption_1`` …
    ``caption_5`` all hold captions. ``image_id`` also serves as image when nothing else does. Of several
    columns that may name the image, the one whose cells in ``samples``, the first records, look most like
    file names of images is taken.

    Example:
        >>> from pathlib import Path
        >>> find_columns(["Image Name", "comment_number", "comment"], Source(Path("t.csv")))
        Columns(image=0, captions=(2,), split=None, image_id=None)
    """
    plain = [plain_name(name) for name in names]
    image_id = first_position(plain, ID_COLUMNS)
    image = (
        named_position(names, source.image_column) if source.image_column else _image_column(plain, samples)
    )
    captions = _caption_columns(names, plain, source)
    if image is None or not captions:
        return None
    split = first_position(plain, SPLIT_COLUMNS)
    taken = {position for position in (image, *captions, split, image_id) if position is not None}
    group = group_position(names, source, taken)
    return Columns(
        image,
        captions,
        split,
        image_id,
        split_name="" if split is None else names[split].strip(),
        group=group,
        group_name="" if group is None else names[group].strip(),
    )


def require_columns(names: Sequence[str], source: Source, samples: Sequence[Sequence[Any]] = ()) -> Columns:
    """As :func:`find_columns`, but a missing column is a DataError that lists what there is."""
    columns = find_columns(names, source, samples)
    if columns is not None and (columns.group is not None or not source.group_column):
        return columns
    there = ", ".join(repr(name[:40]) for name in names[:20]) + (", …" if len(names) > 20 else "")
    options = (
        ("image", source.image_column),
        ("caption", source.caption_column),
        ("group", source.group_column),
    )
    for option, wanted in options:
        if wanted and named_position(names, wanted) is None:
            raise NoColumnError(
                f"{source.path}: no column {wanted!r} (--{option}-column); its columns are {there}"
            )
    plain = [plain_name(name) for name in names]
    no_image = first_position(plain, (*IMAGE_NAMES, *ID_COLUMNS)) is None and not source.image_column
    kind, usual = ("image", IMAGE_NAMES) if no_image else ("caption", CAPTION_NAMES)
    raise DataError(
        f"{source.path}: no {kind} column; its columns are {there}; usual names are {', '.join(usual[:8])}; "
        f"name it with --{kind}-column NAME"
    )


def headerless_columns(cells: Sequence[str]) -> tuple[Columns, int] | None:
    """Return columns and width when a first row is clearly data: an image file name, then a text.

    A bare number in the second place is the number of the caption; a last cell that names a split is that.
    What is between may be more than one cell, of a caption with unquoted delimiters.

    Example:
        >>> headerless_columns(["a.jpg", "a dog", " running"])
        (Columns(image=0, captions=(1,), split=None, image_id=None), 2)
        >>> headerless_columns(["a.jpg", "0", "a dog", "train"])
        (Columns(image=0, captions=(2,), split=3, image_id=None), 4)
        >>> headerless_columns(["picture name", "words"]) is None
        True
    """
    if len(cells) < 2 or not is_image_name(cells[0]):
        return None
    caption = 2 if len(cells) > 2 and cells[1].strip().isdecimal() else 1
    has_split = len(cells) > caption + 1 and cells[-1].strip().lower() in SPLIT_NAMES
    return Columns(0, (caption,), caption + 1 if has_split else None), caption + 1 + has_split


def rows_of(cells: Sequence[Any], columns: Columns, place: str, number: int, prefix: str = "") -> Rows:
    """Turn one record into rows, one per caption, or into a Problem when it names no image.

    ``prefix`` is put before the image's name and its id.
    """
    image = image_name(cells[columns.image]).strip()
    if not image:
        value = cells[columns.image]
        message = "the image cell is empty"
        if value and not isinstance(value, str):
            message = f"the image must be a file name, found {type(value).__name__} {str(value)[:80]}"
        texts = tuple(text for column in columns.captions for text in caption_texts(cells[column]) if text)
        yield Problem("no image named", f"{place} {number}", f"{message}; row left out", texts)
        return
    split = None if columns.split is None else _text(cells[columns.split])
    image_id = "" if columns.image_id is None else _text(cells[columns.image_id]).strip()
    group = "" if columns.group is None else group_text(cells[columns.group])
    captions: list[str] = []
    found = None
    for column in columns.captions:
        found = wrong_type(cells[column])
        if found:
            message = f"{image}: a caption must be a text, found {found}; left out"
            yield Problem("broken row", f"{place} {number}", message, (str(cells[column]),))
        captions += caption_texts(cells[column])
    if len(columns.captions) > 1:
        # Images of a wide table need not all have as many captions.
        captions = list(filter(str.strip, captions))
    for caption in captions or ([] if found else [""]):
        key = f"{prefix}{image_id}" if image_id else None
        yield Row(
            f"{prefix}{image}",
            caption,
            place,
            number,
            split,
            key,
            split_column=columns.split_name,
            group=group,
            group_column=columns.group_name,
        )


def rows_of_mappings(items: Iterable[tuple[int, Any]], place: str, source: Source) -> Rows:
    """Turn numbered JSON objects into rows; each may have keys of its own.

    Raises:
        DataError: The first object lacks image or caption.
    """
    known: dict[tuple[str, ...], Columns | None] = {}
    for number, item in items:
        if not isinstance(item, Mapping):
            found = type(item).__name__
            message = f"a JSON object was expected, found {found} {repr(item)[:40]}; left out"
            yield Problem("broken row", f"{place} {number}", message, (str(item),))
            continue
        names = tuple(map(str, item))
        if names not in known:
            find = find_columns if known else require_columns
            known[names] = find(names, source, [list(item.values())])
        columns = known[names]
        if columns is None:
            message = f"no image or no caption among the keys {', '.join(map(repr, names))}; left out"
            yield Problem("broken row", f"{place} {number}", message, (str(item),))
        else:
            yield from rows_of(list(item.values()), columns, place, number, source.prefix)


def _image_column(plain: Sequence[str], samples: Sequence[Sequence[Any]]) -> int | None:
    fitting = [plain.index(name) for name in (*IMAGE_NAMES, *ID_COLUMNS) if name in plain]

    def named_images(column: int) -> int:
        return sum(is_image_name(cells[column]) for cells in samples if column < len(cells))

    return max(fitting, key=named_images, default=None)


def _caption_columns(names: Sequence[str], plain: Sequence[str], source: Source) -> tuple[int, ...]:
    if source.caption_column:
        chosen = named_position(names, source.caption_column)
    else:
        chosen = first_position(plain, CAPTION_NAMES)
        if chosen is None:
            return tuple(i for i, name in enumerate(plain) if _NUMBERED.fullmatch(name))
    return () if chosen is None else (chosen,)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
