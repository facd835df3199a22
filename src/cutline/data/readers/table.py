"""Tables as text: CSV, TSV, semicolons or pipes, with or without a header.

Flickr30k's ``results.csv`` (``image_name| comment_number| comment``) is one of them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final

from cutline.data.readers.columns import (
    Columns,
    find_columns,
    headerless_columns,
    require_columns,
    rows_of,
)
from cutline.data.readers.rows import READERS, Rows, Source
from cutline.data.readers.text_file import open_text
from cutline.errors import DataError
from cutline.records import Problem

DELIMITERS: Final = (",", ";", "\t", "|")
# A line that no table holds: when it does not come back alone, a quote before it was never closed.
_AFTER_THE_END: Final = "\x00after the end\x00"


@READERS.register("table")
@READERS.register("csv")
@READERS.register("tsv")
def read_table(source: Source) -> Rows:
    """Read a delimited text file, record by record.

    The delimiter is the one that makes the first record a header with an image and a caption column, or
    an image file name and a text. Cells may be quoted and then hold delimiters, quotes and line ends; lines
    may end in any way. Captions in the last column may hold unquoted delimiters; such rows are reported.

    Raises:
        DataError: The file is empty, has only a header, lacks a column, is not text, or a quote stays open.
    """
    delimiter, columns, width = _layout(source)
    place = f"{source.prefix}{source.path.name} row"
    count, header_is_next = 0, width > 0
    for number, cells in enumerate(_records(source.path, delimiter), 1):
        if not _holds_text(cells):
            continue
        if header_is_next:
            header_is_next = False
            continue
        count += 1
        fitted = _fit(cells, columns, width or 2, delimiter)
        if fitted is None or "".join(cells[width or 2 :]).strip():
            yield _broken(cells, fitted, width or 2, f"{place} {number}", delimiter)
        if fitted is not None:
            yield from rows_of(fitted, columns, place, number, source.prefix)
    if not count:
        raise DataError(f"{source.path}: only a header, no rows; add one row per caption below it")


def _layout(source: Source) -> tuple[str, Columns, int]:
    """Return delimiter, columns, and the number of header cells (0 without a header)."""
    firsts = {delimiter: _first_record(source.path, delimiter) for delimiter in DELIMITERS}
    if not any(firsts.values()):
        raise DataError(f"{source.path}: the table is empty; give a header and one row per caption")
    for delimiter, cells in firsts.items():
        columns = find_columns(cells, source)
        if columns is not None:
            return delimiter, columns, len(cells)
    for delimiter, cells in firsts.items():
        columns = headerless_columns(cells)
        if columns is not None and not (source.image_column or source.caption_column):
            return delimiter, columns, 0
    widest = max(DELIMITERS, key=lambda delimiter: len(firsts[delimiter]))
    # Read again without leniency: a quote that stays open in the header must be said first.
    names = next(filter(_holds_text, _records(source.path, widest)))
    return widest, require_columns(names, source), len(names)


def _first_record(path: Path, delimiter: str) -> list[str]:
    # With the wrong delimiter a quote may seem to stay open; here that only means "no header".
    with open_text(path) as stream, suppress(csv.Error):
        return next(filter(_holds_text, csv.reader(stream, delimiter=delimiter)), [])
    return []


def _holds_text(cells: list[str]) -> bool:
    return any(map(str.strip, cells))


def _records(path: Path, delimiter: str) -> Iterator[list[str]]:
    number = 0
    with open_text(path) as stream:
        reader = csv.reader(chain(stream, ("\n", _AFTER_THE_END)), delimiter=delimiter)
        try:
            for number, cells in enumerate(reader, 1):
                if cells == [_AFTER_THE_END]:
                    return
                if cells and cells[-1].endswith(_AFTER_THE_END):
                    raise _open_quote(path, number)
                yield cells
        except csv.Error:
            raise _open_quote(path, number + 1) from None


def _open_quote(path: Path, number: int) -> DataError:
    return DataError(
        f'{path} row {number}: a quote (") opens a cell and is never closed; close it, or double quotes that '
        'belong to the text ("")'
    )


def _fit(cells: list[str], columns: Columns, width: int, delimiter: str) -> list[str] | None:
    """Return as many cells as the header has; None when they cannot be told apart."""
    if len(cells) == width:
        return cells
    last = width - 1
    if len(cells) > width:
        if not any(map(str.strip, cells[width:])):
            return cells[:width]
        if last in columns.captions:
            return [*cells[:last], delimiter.join(cells[last:])]
        return None
    needed = max(columns.image, *columns.captions)
    return [*cells, *[""] * (width - len(cells))] if len(cells) > needed else None


def _broken(cells: list[str], fitted: list[str] | None, width: int, where: str, delimiter: str) -> Problem:
    found = f"{len(cells)} cells where the header has {width}"
    if fitted is None:
        return Problem("broken row", where, f"{found}; left out; put captions with {delimiter!r} in quotes")
    return Problem("mended row", where, f"{found}; read as {' | '.join(fitted)[:200]!r}")
