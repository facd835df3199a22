"""Tables of results: as Markdown for people, as JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_RULE = re.compile(r"^\|(\s*:?-+:?\s*\|)+\s*$")
_NUMBER = re.compile(r"^[~<>±+-]?\d[\d,. ×]*(e[+-]?\d+)?( ?%| ?×)?$|^$|^–$")


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: Its heading; empty for the only table of a topic.
        columns: Headings of the columns.
        rows: Cells as they are shown.
        note: What a reader has to know, a paragraph of Markdown.
        values: The figures by name, not rounded.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    values: Mapping[str, float] = field(default_factory=dict)

    def markdown(self) -> str:
        """Return the table with heading and note; columns of figures are set to the right."""
        right = [
            bool(self.rows) and all(_NUMBER.match(str(row[place])) for row in self.rows)
            for place in range(len(self.columns))
        ]
        lines = [
            _row(self.columns),
            _row(["---:" if figures else "---" for figures in right]),
            *map(_row, self.rows),
        ]
        parts = [f"#### {self.title}" if self.title else "", self.note, "\n".join(lines)]
        return "\n\n".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Table:
        """Return what :meth:`to_dict` was called on."""
        return cls(**values)


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def read_table(text: str) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the first Markdown table in what a script printed.

    Raises:
        ValueError: There is none.
    """
    lines = text.splitlines()
    for place in range(1, len(lines)):
        if not _RULE.match(lines[place]):
            continue
        rows = []
        for line in lines[place + 1 :]:
            if not line.startswith("|"):
                break
            rows.append(_cells(line))
        return _cells(lines[place - 1]), rows
    raise ValueError("no table was printed")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def spelt(value: float, digits: int = 3) -> str:
    """Write a figure with so many digits that count, and commas between thousands.

    Example:
        >>> [spelt(value) for value in (1234.5, 98.76, 0.01234, 0.0)]
        ['1,234', '98.8', '0.0123', '0']
    """
    if value == 0:
        return "0"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    if whole >= digits:
        return f"{value:,.0f}"
    if whole:
        return f"{value:,.{digits - whole}f}"
    return f"{value:.{digits}g}"
