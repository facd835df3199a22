"""Reading hypotheses: one caption per image, or an n-best list whose order the file tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cutline.data.caption_files.contents import MENDED_ROW, CaptionFile, first_problem
from cutline.data.caption_files.rows import find_source, read_ranked_rows, unheeded_columns
from cutline.data.readers.gather import clean_caption
from cutline.data.readers.rows import Row
from cutline.errors import DataError
from cutline.records import Problem


def read_hypotheses(
    path: Path, image_column: str | None = None, caption_column: str | None = None
) -> CaptionFile:
    """Read the captions that a program gave.

    Formats are those of training data, and COCO results JSON, ``{image: caption}``, and all that ``cutline
    caption`` writes and prints. Several captions of an image must be ranked by a column ``rank`` or stand in
    a list ``hypotheses``. Images that the program could not caption are left out with a Problem; a blank
    caption is one that says nothing.

    Args:
        path: File or folder.
        image_column: Column or key of the image, in a file that has it; usual names are known.
        caption_column: Likewise of the caption.

    Raises:
        DataError: The file is missing, damaged or empty, lacks image or caption, or has several captions for
            an image without saying which is the best.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "results.json"
        >>> _ = file.write_text('[{"image_id": 7, "caption": "a dog"}]', encoding="utf-8")
        >>> read_hypotheses(file).captions
        {'7': ('a dog',)}
    """
    name, source = find_source(path, image_column, caption_column)
    rows = _without_confidence(read_ranked_rows(name, source))
    ranked = any(isinstance(row, Row) and row.group for row in rows)
    problems = [row for row in rows if isinstance(row, Problem)]
    found: dict[str, list[Row]] = {}
    for row in (row for row in rows if isinstance(row, Row)):
        if ranked and not row.group and not row.caption.strip():
            problems.append(Problem("no caption", row.where, f"{row.image} was not captioned"))
        else:
            found.setdefault(row.image_id or _name(row), []).append(row)
    if not found:
        raise DataError(f"{path}: no captions in it{first_problem(problems)}; give one per image")
    captions = {key: _best_first(ours) for key, ours in found.items()}
    torn = [key for key, texts in captions.items() if len(texts) > 1 and not _are_ranked(found[key])]
    if torn:
        raise _several(path, torn, found)
    return CaptionFile(
        str(path),
        captions,
        {key: _name(ours[0]) for key, ours in found.items()},
        problems=tuple(problems),
        unheeded=unheeded_columns(name, source),
    )


def _name(row: Row) -> str:
    return row.image.replace("\\", "/")


def _without_confidence(rows: Sequence[Row | Problem]) -> list[Row | Problem]:
    """Cut off what ``cutline caption`` prints behind a second tab, which is not meant to be mended."""
    mended = {row.where for row in rows if isinstance(row, Problem) and row.kind == MENDED_ROW}
    printed = {row.where for row in rows if isinstance(row, Row) and "\t" in row.caption} & mended
    kept = [row for row in rows if isinstance(row, Row) or row.where not in printed]
    return [_without_tab(row) if isinstance(row, Row) and row.where in printed else row for row in kept]


def _without_tab(row: Row) -> Row:
    return replace(row, caption=row.caption.partition("\t")[0])


def _best_first(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the captions of rows by rank; the different ones where ranks are equal."""
    texts = tuple(clean_caption(row.caption) for row in sorted(rows, key=_rank))
    return texts if _are_ranked(rows) else tuple(dict.fromkeys(texts))


def _are_ranked(rows: Sequence[Row]) -> bool:
    return len(set(map(_rank, rows))) == len(rows)


def _rank(row: Row) -> int:
    return int(row.group) if row.group.isdecimal() else 1


def _several(path: Path, torn: Sequence[str], found: Mapping[str, Sequence[Row]]) -> DataError:
    """Make the error for images with captions among which nothing says which is the best."""
    rows = found[torn[0]]
    where = " and ".join(dict.fromkeys(row.where for row in rows[:2]))
    others = f", and {len(torn) - 1:,} more images have several" if len(torn) > 1 else ""
    return DataError(
        f"{path}: image {torn[0]!r} has {len(rows)} captions ({where}){others}; hypotheses are one per "
        "image, or numbered in a column 'rank'; references are given second, behind the hypotheses"
    )
