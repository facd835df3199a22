"""Which column holds what: usual names are recognised, others are named by the caller."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cutline.data.images import IMAGE_SUFFIXES
from cutline.data.readers.rows import Row, Rows, Source
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
CAPTION_NAMES: Final = (
    "caption",
    "captions",
    "text",
    "sentence",
    "sentences",
    "description",
    "comment",
    "raw",
    "alt",
    "alt_text",
    "caption_text",
    "image_caption",
    "reference",
    "references",
)
SPLIT_COLUMNS: Final = ("split", "subset", "partition", "set")
ID_COLUMNS: Final = ("image_id", "imageid", "img_id", "photo_id")
_NUMBERED: Final = re.compile(r"(caption|text|sentence|description|comment|reference)_?\d+")


@dataclass(frozen=True, slots=True)
class Columns:
    """Positions of the columns that matter; ``captions`` are several when a table is wide."""

    image: int
    captions: tuple[int, ...]
    split: int | None = None
    image_id: int | None = None


def find_columns(names: Sequence[str], source: Source) -> Columns | None:
    """Find image, caption, split and image_id among column names; None when one of the first two is missing.

    Upper and lower case, spaces and hyphens make no difference. Columns such as ``caption_1`` …
    ``caption_5`` all hold captions. ``image_id`` also serves as image when nothing else does.

    Example:
        >>> from pathlib import Path
        >>> find_columns(["Image Name", "comment_number", "comment"], Source(Path("t.csv")))
        Columns(image=0, captions=(2,), split=None, image_id=None)
    """
    plain = [_plain(name) for name in names]
    image_id = _first(plain, ID_COLUMNS)
    image = _chosen(names, source.image_column) if source.image_column else _first(plain, IMAGE_NAMES)
    if image is None and not source.image_column:
        image = image_id
    captions = _caption_columns(names, plain, source)
    if image is None or not captions:
        return None
    return Columns(image, captions, _first(plain, SPLIT_COLUMNS), image_id)


def require_columns(names: Sequence[str], source: Source) -> Columns:
    """As :func:`find_columns`, but a missing column is a DataError that lists what there is."""
    columns = find_columns(names, source)
    if columns is not None:
        return columns
    there = ", ".join(repr(name[:40]) for name in names[:20]) + (", …" if len(names) > 20 else "")
    for option, wanted in (("image", source.image_column), ("caption", source.caption_column)):
        if wanted and _chosen(names, wanted) is None:
            raise DataError(
                f"{source.path}: no column {wanted!r} (--{option}-column); its columns are {there}"
            )
    plain = [_plain(name) for name in names]
    no_image = _first(plain, (*IMAGE_NAMES, *ID_COLUMNS)) is None and not source.image_column
    kind, usual = ("image", IMAGE_NAMES) if no_image else ("caption", CAPTION_NAMES)
    raise DataError(
        f"{source.path}: no {kind} column; its columns are {there}; usual names are {', '.join(usual[:8])}; "
        f"name it with --{kind}-column NAME"
    )


def headerless_columns(cells: Sequence[str]) -> Columns | None:
    """Return image, caption when a first row is clearly data: an image file name and one text.

    Example:
        >>> headerless_columns(["a.jpg", "a dog runs"]), headerless_columns(["picture name", "words"])
        (Columns(image=0, captions=(1,), split=None, image_id=None), None)
    """
    is_data = len(cells) == 2 and cells[0].strip().lower().endswith(IMAGE_SUFFIXES)
    return Columns(0, (1,)) if is_data else None


def rows_of(cells: Sequence[Any], columns: Columns, place: str, number: int, prefix: str = "") -> Rows:
    """Turn one record into rows, one per caption, or into a Problem when it names no image.

    ``prefix`` is put before the image's name.
    """
    image = _text(cells[columns.image])
    if not image.strip():
        yield Problem("no image named", f"{place} {number}", "the image cell is empty; row left out")
        return
    split = None if columns.split is None else _text(cells[columns.split])
    if prefix:
        image = prefix + image.strip()
    image_id = None if columns.image_id is None else _text(cells[columns.image_id]).strip()
    captions = [text for column in columns.captions for text in caption_texts(cells[column])]
    for caption in captions or [""]:
        yield Row(image.strip(), caption, place, number, split, image_id or None)


def rows_of_mappings(items: Iterable[tuple[int, Any]], place: str, source: Source) -> Rows:
    """Turn numbered JSON objects into rows; each may have keys of its own.

    Raises:
        DataError: The first object lacks image or caption.
    """
    known: dict[tuple[str, ...], Columns | None] = {}
    for number, item in items:
        if not isinstance(item, Mapping):
            found = type(item).__name__
            yield Problem(
                "broken row", f"{place} {number}", f"a JSON object was expected, found {found}; left out"
            )
            continue
        names = tuple(map(str, item))
        if names not in known:
            known[names] = find_columns(names, source) if known else require_columns(names, source)
        columns = known[names]
        if columns is None:
            message = f"no image or no caption among the keys {', '.join(map(repr, names))}; left out"
            yield Problem("broken row", f"{place} {number}", message)
        else:
            yield from rows_of(list(item.values()), columns, place, number, source.prefix)


def caption_texts(value: Any) -> Iterator[str]:
    """Yield the captions in a cell or field: a text, a list of them, a JSON list, or objects that hold one.

    Example:
        >>> list(caption_texts('["a dog", "a cat"]')), list(caption_texts([{"raw": "a bus"}]))
        (['a dog', 'a cat'], ['a bus'])
    """
    if isinstance(value, str):
        listed = _json_list(value)
        if listed is None:
            yield value
        else:
            yield from listed
    elif isinstance(value, Mapping):
        name = _first([_plain(str(key)) for key in value], ("raw", *CAPTION_NAMES))
        if name is not None:
            yield from caption_texts(list(value.values())[name])
    elif isinstance(value, Sequence):
        for part in value:
            if isinstance(part, str | Mapping):
                yield from caption_texts(part)


def _json_list(value: str) -> list[str] | None:
    if not (value.startswith('["') and value.endswith('"]')):
        return None
    try:
        listed = json.loads(value)
    except ValueError:
        return None
    return listed if all(isinstance(part, str) for part in listed) else None


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().strip("\ufeff").lower())


def _first(plain: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((plain.index(name) for name in wanted if name in plain), None)


def _chosen(names: Sequence[str], wanted: str) -> int | None:
    stripped = [name.strip() for name in names]
    if wanted in stripped:
        return stripped.index(wanted)
    return _first([_plain(name) for name in names], (_plain(wanted),))


def _caption_columns(names: Sequence[str], plain: Sequence[str], source: Source) -> tuple[int, ...]:
    if source.caption_column:
        chosen = _chosen(names, source.caption_column)
    else:
        chosen = _first(plain, CAPTION_NAMES)
        if chosen is None:
            return tuple(i for i, name in enumerate(plain) if _NUMBERED.fullmatch(name))
    return () if chosen is None else (chosen,)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
