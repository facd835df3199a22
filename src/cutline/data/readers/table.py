"""Tables as text: CSV, TSV, semicolons or pipes, with or without a header.

Flickr30k's ``results.csv`` (``image_name| comment_number| comment``) is one of them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final, Literal

from cutline.data.readers.cells import is_image_name
from cutline.data.readers.columns import (
    Columns,
    NoColumnError,
    find_columns,
    headerless_columns,
    require_columns,
    rows_of,
)
from cutline.data.readers.rows import READERS, Rows, Source
from cutline.data.readers.text_file import first_line, open_text
from cutline.errors import DataError
from cutline.records import Problem

DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLES: Final = 5
# Excel takes the delimiter from such a line, and some programs write it for Excel.
_EXCEL_LINE: Final = re.compile(r'sep=([^\w\s"]|\t)', re.IGNORECASE)
# A line that no table holds: when it does not come back alone, a quote before it was never closed.
_AFTER_THE_END: Final = "\x00after the end\x00"


@READERS.register("table")
@READERS.register("csv")
@READERS.register("tsv")
def read_table(source: Source) -> Rows:
    """Read a delimited text file, record by record.

    The delimiter is the one that makes the first record a header with an image and a caption column, or
    an image file name and a text; a line ``sep=;`` before that names it. Cells may be quoted and then hold
    delimiters, quotes and line ends; lines may end in any way. Captions in the last column, or without a
    header, may hold unquoted delimiters; such rows are reported.

    Raises:
        DataError: The file is empty, has only a header, lacks a column, is not text, or a quote stays open or
            runs over other rows. (With tabs, such quotes are taken for text.)
    """
    layout = _layout(source)
    place = f"{source.prefix}{source.path.name} row"
    count = 0
    for number, cells in _filled_records(source.path, layout):
        count += 1
        fitted = _fit(cells, layout)
        if fitted is None or "".join(cells[layout.width :]).strip():
            yield _broken(cells, fitted, layout, f"{place} {number}")
        if fitted is not None:
            yield from rows_of(fitted, layout.columns, place, number, source.prefix)
    if not count:
        raise DataError(f"{source.path}: only a header, no rows; add one row per caption below it")


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a table is written: ``width`` is the number of cells in a row that has all of them."""

    delimiter: str
    columns: Columns
    width: int
    header: bool = True
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL


def _layout(source: Source) -> _Layout:
    """Find delimiter and columns in the first records."""
    named = _EXCEL_LINE.fullmatch(first_line(source.path))
    delimiters = (named[1],) if named else DELIMITERS
    firsts = {delimiter: _first_records(source.path, delimiter) for delimiter in delimiters}
    if not any(firsts.values()):
        raise DataError(f"{source.path}: the table is empty; give a header and one row per caption")
    for delimiter, (names, *samples) in ((key, value) for key, value in firsts.items() if value):
        columns = find_columns(names, source, samples)
        if columns is not None:
            columns = require_columns(names, source, samples)  # a group column that is not there
            return _with_quoting(_Layout(delimiter, columns, len(names)), source.path)
    for delimiter, (cells, *_) in ((key, value) for key, value in firsts.items() if value):
        found = headerless_columns(cells)
        if found is not None and not (source.image_column or source.caption_column or source.group_column):
            return _with_quoting(_Layout(delimiter, *found, header=False), source.path)
    widest = max(firsts, key=lambda delimiter: len(next(iter(firsts[delimiter]), ())))
    # Read again without leniency: a quote that stays open in the header must be said first.
    names = next(
        cells for number, cells in _records(source.path, widest) if _is_record(number, cells, widest)
    )
    if any(map(is_image_name, names)):
        raise NoColumnError(
            f"{source.path}: no header; its first line begins with {names[0][:40]!r}; add a first line that "
            "names the columns, such as 'image,caption'"
        )
    columns = require_columns(names, source)
    return _Layout(widest, columns, len(names))


def _with_quoting(layout: _Layout, path: Path) -> _Layout:
    """Take quotes for text where a table with tabs does not use them as quotes."""
    if layout.delimiter != "\t" or first_line(path).startswith('"'):
        return layout
    try:
        for _ in _filled_records(path, layout):
            pass
    except DataError:
        return replace(layout, quoting=csv.QUOTE_NONE)
    return layout


def _first_records(path: Path, delimiter: str) -> list[list[str]]:
    # With the wrong delimiter a quote may seem to stay open; here that only means "no header".
    records: list[list[str]] = []
    with open_text(path) as stream, suppress(csv.Error):
        for number, cells in enumerate(csv.reader(stream, delimiter=delimiter), 1):
            if _is_record(number, cells, delimiter):
                records.append(cells)
            if len(records) > _SAMPLES:
                break
    return records


def _filled_records(path: Path, layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield the records below the header with their numbers, blank ones left out."""
    header_is_next = layout.header
    for number, cells in _records(path, layout.delimiter, layout.quoting):
        if not _is_record(number, cells, layout.delimiter):
            continue
        swallowed = _swallowed(cells, layout.delimiter)
        if swallowed:
            raise DataError(
                f'{path} row {number}: a quote (") opens a cell that runs on over the line {swallowed!r}; '
                'close it, or double quotes that belong to the text ("")'
            )
        if not header_is_next:
            yield number, cells
        header_is_next = False


def _swallowed(cells: list[str], delimiter: str) -> str | None:
    """Return a line inside a cell that looks like a row of its own."""
    for cell in cells:
        for line in re.split(r"[\r\n]+", cell)[1:]:
            name, found, _ = line.partition(delimiter)
            if found and is_image_name(name.strip(' "')):
                return line[:80]
    return None


def _is_record(number: int, cells: list[str], delimiter: str) -> bool:
    return any(map(str.strip, cells)) and not (
        number == 1 and _EXCEL_LINE.fullmatch(delimiter.join(cells)) is not None
    )


def _records(path: Path, delimiter: str, quoting: Literal[0, 3] = 0) -> Iterator[tuple[int, list[str]]]:
    number = 0
    with open_text(path) as stream:
        lines = chain(stream, ("\n", _AFTER_THE_END))
        reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
        try:
            for number, cells in enumerate(reader, 1):
                if cells == [_AFTER_THE_END]:
                    return
                if cells and cells[-1].endswith(_AFTER_THE_END):
                    raise _open_quote(path, number)
                yield number, cells
        except csv.Error:
            raise _open_quote(path, number + 1) from None


def _open_quote(path: Path, number: int) -> DataError:
    return DataError(
        f'{path} row {number}: a quote (") opens a cell and is never closed; close it, or double quotes that '
        'belong to the text ("")'
    )


def _fit(cells: list[str], layout: _Layout) -> list[str] | None:
    """Return as many cells as a row should have; None when they cannot be told apart."""
    width, columns = layout.width, layout.columns
    extra = len(cells) - width
    if extra > 0:
        if not any(map(str.strip, cells[width:])):
            return cells[:width]
        caption = columns.captions[-1]
        if caption == width - 1 or not layout.header:
            end = caption + extra + 1
            return [*cells[:caption], layout.delimiter.join(cells[caption:end]), *cells[end:]]
        return None
    needed = max(columns.image, *columns.captions)
    return [*cells, *[""] * -extra] if len(cells) > needed else None


def _broken(cells: list[str], fitted: list[str] | None, layout: _Layout, where: str) -> Problem:
    whole = "the header has" if layout.header else "rows have"
    found = f"{len(cells)} cell{'' if len(cells) == 1 else 's'} where {whole} {layout.width}"
    if fitted is None:
        too_many = len(cells) > layout.width
        advice = f"put captions with {layout.delimiter!r} in quotes" if too_many else "add what is missing"
        row = layout.delimiter.join(cells)
        return Problem("broken row", where, f"{found}; left out; {advice}", (row,) if row.strip() else ())
    message = f"{found}; read as {' | '.join(fitted)[:200]!r}"
    caption = layout.columns.captions[-1]
    return Problem("mended row", where, message, (cells[caption].strip(),), fitted[caption].strip())
