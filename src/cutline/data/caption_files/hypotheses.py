"""Reading hypotheses: one caption per image, or an n-best list whose order the file tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cutline.data.caption_files.contents import CaptionFile
from cutline.data.caption_files.rows import find_source, read_ranked_rows
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
    rows, ranked = read_ranked_rows(*find_source(path, image_column, caption_column))
    problems = [row for row in rows if isinstance(row, Problem)]
    found: dict[str, list[Row]] = {}
    for row in (row for row in rows if isinstance(row, Row)):
        if ranked and not row.group and not row.caption.strip():
            problems.append(Problem("no caption", row.where, f"{row.image} was not captioned"))
        else:
            found.setdefault(row.image_id or _name(row), []).append(row)
    if not found:
        raise DataError(f"{path}: no captions in it; give one per image")
    captions = {key: _best_first(ours, ranked) for key, ours in found.items()}
    torn = [key for key, texts in captions.items() if len(texts) > 1 and not _is_ranked(found[key], ranked)]
    if torn:
        raise _several(path, torn, found)
    return CaptionFile(
        str(path),
        captions,
        {key: _name(ours[0]) for key, ours in found.items()},
        problems=tuple(_without_tabs(problems, rows)),
    )


def _name(row: Row) -> str:
    return row.image.replace("\\", "/")


def _best_first(rows: Iterable[Row], ranked: bool) -> tuple[str, ...]:
    """Return the different captions of rows, in their order or, better, by rank."""
    return tuple(dict.fromkeys(map(_text, sorted(rows, key=_rank) if ranked else rows)))


def _text(row: Row) -> str:
    # What cutline caption prints behind a second tab is how sure it is.
    return clean_caption(row.caption.partition("\t")[0])


def _is_ranked(rows: Sequence[Row], ranked: bool) -> bool:
    return ranked and len(set(map(_rank, rows))) == len(rows)


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


def _without_tabs(problems: Iterable[Problem], rows: Iterable[Row | Problem]) -> list[Problem]:
    """Leave out that rows with a second tab were mended, as they are meant to be."""
    tabbed = {row.where for row in rows if isinstance(row, Row) and "\t" in row.caption}
    return [problem for problem in problems if problem.kind != "mended row" or problem.where not in tabbed]
