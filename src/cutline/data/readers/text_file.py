"""Opening text files that came from anywhere: UTF-8 or UTF-16, and a plain word when it is neither."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from cutline.errors import DataError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ADVICE: Final = "save the file as UTF-8"
_WINDOWS_ADVICE: Final = (
    "it looks like Windows-1252: in a spreadsheet save it as 'CSV UTF-8', or run: "
    "iconv -f cp1252 -t utf-8 OLD > NEW"
)


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a text file for reading, line ends as they are.

    The encoding is UTF-8 unless a byte order mark says UTF-8, UTF-16 or UTF-32.

    Raises:
        DataError: The file is missing, unreadable, or not in that encoding; the message has the byte
            offset and the line.
    """
    try:
        encoding = _encoding(path)
        with path.open(encoding=encoding, newline="") as stream:
            yield stream
    except UnicodeDecodeError:
        raise _wrong_encoding(path, encoding) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_json(path: Path) -> Any:
    """Parse a JSON file; raise DataError with line and column when it is not valid JSON."""
    with open_text(path) as stream:
        text = stream.read()
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: not valid JSON at line {error.lineno} column {error.colno} ({error.msg}); "
            "restore or correct the file"
        ) from None
    except RecursionError:
        raise DataError(f"{path}: JSON nested too deeply to be a data set") from None


def first_line(path: Path) -> str:
    """Return the first line that is not blank, without its end; empty when there is none."""
    with open_text(path) as stream:
        return next((line.strip("\r\n") for line in stream if line.strip()), "")


def _encoding(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(65_536)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    if b"\0" in start:
        offset = start.index(0)
        raise DataError(
            f"{path}: byte 0x00 at offset {offset} (line {_line(start[:offset], 'utf-8')}) is not text; "
            f"{_ADVICE} (UTF-16 needs a byte order mark)"
        )
    return "utf-8"


def _wrong_encoding(path: Path, encoding: str) -> DataError:
    # Decoding in chunks forgets the offset in the file, so it is looked for once more.
    data = path.read_bytes()
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
        # The mark is cut off before decoding, except in UTF-16 and UTF-32.
        start = error.start + (len(codecs.BOM_UTF8) if encoding == "utf-8-sig" else 0)
        line = _line(data[:start], encoding)
        advice = f"{_ADVICE}; {_WINDOWS_ADVICE}" if _looks_like_windows(data, encoding) else _ADVICE
        return DataError(
            f"{path}: byte 0x{data[start]:02x} at offset {start} (line {line}) is not {name}; {advice}"
        )
    return DataError(f"{path}: changed while it was read; try again")


def _looks_like_windows(data: bytes, encoding: str) -> bool:
    """Tell whether bytes without a byte order mark are all defined in Windows-1252."""
    if encoding != "utf-8":
        return False
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return True


def _line(before: bytes, encoding: str) -> int:
    text = before.decode(encoding, errors="replace").replace("\r\n", "\n")
    return 1 + text.count("\n") + text.count("\r")
