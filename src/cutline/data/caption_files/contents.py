"""What one file of captions holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cutline.errors import DataError
from cutline.records import Problem

MENDED_ROW: Final = "mended row"
"""Kind of the problem of a row that was read after all."""


@dataclass(frozen=True)
class CaptionFile:
    """Captions by image, as one file has them.

    Attributes:
        source: The path that was read.
        captions: Key of the image in this file → its captions in NFC. References stand in the order of the
            file and are never blank; of hypotheses the best comes first, and they may be blank.
        names: Key → name of the image as the file writes it, with ``/`` between folders; the key itself where
            the file has no ids.
        splits: Key → ``"train"``, ``"val"`` or ``"test"``, for the images whose split the file names.
        problems: Rows that were left out.
        unheeded: Names of columns that the caller gave and that are not in this file → what is there.
        other_splits: What the file says where splits are named, and that is no split.
    """

    source: str
    captions: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    splits: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    unheeded: Mapping[str, str] = field(default_factory=dict)
    other_splits: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Count images."""
        return len(self.captions)


def first_problem(problems: Iterable[Problem]) -> str:
    """Return where and what the first problem is, to stand in an error; ``""`` without any.

    Example:
        >>> first_problem([Problem("broken row", "h.json item 1", "an object was expected, found int 1")])
        '; first: h.json item 1: an object was expected, found int 1'
    """
    first = next(iter(problems), None)
    return f"; first: {first.where}: {first.message}" if first else ""


def refuse_unheeded(files: Sequence[CaptionFile]) -> None:
    """Raise DataError when a column that the caller named is in none of the files.

    Example:
        >>> table = CaptionFile("h.csv", {}, {}, unheeded={"--image-column imgae": "its columns are 'image'"})
        >>> refuse_unheeded([table])
        Traceback (most recent call last):
        cutline.errors.DataError: --image-column imgae: no file has it; h.csv: its columns are 'image'; \
name one that is there, or leave the option out: usual names are known
    """
    first, *others = files
    for option in first.unheeded:
        if all(option in file.unheeded for file in others):
            there = "; ".join(f"{file.source}: {file.unheeded[option]}" for file in files)
            raise DataError(
                f"{option}: no file has it; {there}; name one that is there, or leave the option out: usual "
                "names are known"
            )
