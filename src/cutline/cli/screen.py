"""What a command writes on: results on standard output, everything else on standard error."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TextIO

from cutline.cli.progress import choose_progress
from cutline.cli.streams import lasting
from cutline.records import LOST_IMAGES, LOST_ROWS, Problem, problem_lines

_LISTED: Final = 10


@dataclass(frozen=True)
class Flags:
    """Options that every command has.

    Attributes:
        debug: Show tracebacks and what libraries log.
        quiet: Show neither progress nor notes; warnings, errors and results stay.
        json: Print results as JSON.
    """

    debug: bool = False
    quiet: bool = False
    json: bool = False

    def or_else(self, other: Flags) -> Flags:
        """Return what either side asks for."""
        return Flags(self.debug or other.debug, self.quiet or other.quiet, self.json or other.json)


class Screen:
    """Standard output and standard error as one command sees them.

    Attributes:
        flags: What the person asked for.
        progress: To be given to recipes.
    """

    def __init__(self, flags: Flags, *, shares_terminal: bool = False) -> None:
        """Open the screen.

        Args:
            flags: What the person asked for.
            shares_terminal: The command prints results while it works: no bars are drawn when results go to
                a terminal, because both would be written over each other; and BrokenPipeError is raised when
                nobody reads the results any more, while other commands go on and do the rest of their work.
        """
        self.flags = flags
        self._out = _tolerant(sys.stdout if shares_terminal else lasting(sys.stdout))
        err = _tolerant(lasting(sys.stderr))
        bars = not (shares_terminal and self._out.isatty())
        self.progress = choose_progress(err, quiet=flags.quiet, stages=bars)

    def line(self, text: str) -> None:
        """Print one line of results for people; it is on its way when this returns."""
        self._out.write(text + "\n")
        self._out.flush()

    def lines(self, text: str) -> None:
        """Print results of several lines for people, unless JSON was asked for."""
        if not self.flags.json:
            self.line(text)

    def document(self, value: object) -> None:
        """Print one JSON document, if JSON was asked for."""
        if self.flags.json:
            self.line(to_json(value, ascii_only=not _is_unicode(self._out), indent=2))

    def json_line(self, value: object) -> None:
        """Print one JSON document on one line, asked for or not."""
        self.line(to_json(value, ascii_only=not _is_unicode(self._out)))

    def list_problems(self, problems: Sequence[Problem], place: str, *, listed: bool = False) -> None:
        """List lost images and rows on standard error, or their number when they are more than ten.

        Args:
            problems: What was lost.
            place: Where all of it can be read.
            listed: The person has seen the list, so that the number is enough.
        """
        if problems and (listed or len(problems) > _LISTED):
            count = "1 image or row was" if len(problems) == 1 else f"{len(problems):,} images or rows were"
            self.progress.warn(f"{count} left out; see {place}")
        else:
            for line in problem_lines(problems):
                self.progress.warn(line)


def visible(text: str) -> str:
    """Return text that stays on one line and in one column: control characters are written as escapes.

    Example:
        >>> visible("a\\tb\\nc")
        'a\\\\tb\\\\nc'
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Zl", "Zp")
        else character
        for character in text
    )


def to_json(value: object, *, ascii_only: bool = False, indent: int | None = None) -> str:
    """Write records as JSON; numbers that JSON does not have become null.

    Example:
        >>> from pathlib import Path
        >>> to_json({"loss": float("nan"), "run": Path("runs")})
        '{"loss": null, "run": "runs"}'
    """
    return json.dumps(_plain(value), ensure_ascii=ascii_only, indent=indent, allow_nan=False)


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)


def _tolerant(stream: TextIO) -> TextIO:
    """Make a stream write what its encoding lacks as escapes instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def failed_items(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems that lost an image or a row, not those that were mended or merely counted once.

    Example:
        >>> lost = Problem("missing image", "a.jpg", "no such file")
        >>> failed_items([lost, Problem("duplicate row", "table.csv row 3", "kept once")]) == [lost]
        True
    """
    return [problem for problem in problems if problem.kind in (*LOST_IMAGES, *LOST_ROWS)]
