"""Images with their captions, as they were read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

SPLITS: Final = ("train", "val", "test")
"""Names of the three splits, in the order in which they are shown."""

LOST_IMAGES: Final = ("missing image", "unreadable image", "image without caption")
"""Kinds of problems that each leave an image out."""

LOST_ROWS: Final = (
    *("unreadable name", "broken row", "no image named"),
    *("empty caption", "caption of only punctuation"),
)
"""Kinds of problems that each leave a row out. A duplicate is not lost: the caption is there once."""


@dataclass(frozen=True, slots=True)
class Example:
    """One image with everything people wrote about it.

    Attributes:
        image_id: Stable key of the image inside its data set (the file name unless the table has ids).
        image: Path of the image file, absolute.
        captions: One or more captions, NFC-normalised, never blank.
        split: ``"train"``, ``"val"``, ``"test"``, or None while undecided.
        digest: SHA-256 of the file's bytes in hexadecimal, or ``""`` while the file was not read.
        group: What a group column of the table says of the image, or ``""``; scores are given by group.

    Example:
        >>> Example("dog.jpg", "/photos/dog.jpg", ("a dog runs",)).split is None
        True
    """

    image_id: str
    image: str
    captions: tuple[str, ...]
    split: str | None = None
    digest: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one row or image that did not stop the rest.

    Attributes:
        kind: Short stable name, e.g. ``"missing image"`` or ``"empty caption"``.
        where: File with row, or the image_id.
        message: One line saying what was found and what was done about it.
        captions: The captions it is about, as they were, where they are known.
        now: What stands there instead, if anything does: a caption, a split, an image_id.
    """

    kind: str
    where: str
    message: str
    # Saved lists of problems are without these two.
    captions: tuple[str, ...] = field(default=(), compare=False, repr=False)
    now: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class Dataset:
    """All examples of one source, in the order of the source.

    Attributes:
        examples: One entry per image.
        source: The path that was read.
        format: Name of the reader that read it, e.g. ``"table"`` or ``"coco"``.
        problems: Rows and images that were left out or mended, each with the reason.
        group_column: Name of the column that the groups of the examples are from, or ``""``.

    Example:
        >>> data = Dataset((Example("a.png", "/a.png", ("red dot",), "train"),), "table.csv", "table")
        >>> len(data), data.count_captions(), [e.image_id for e in data.of_split("train")]
        (1, 1, ['a.png'])
    """

    examples: tuple[Example, ...]
    source: str
    format: str
    problems: tuple[Problem, ...] = ()
    group_column: str = ""

    def __len__(self) -> int:
        """Count images."""
        return len(self.examples)

    def of_split(self, split: str) -> tuple[Example, ...]:
        """Return the examples of one split, in order."""
        return tuple(example for example in self.examples if example.split == split)

    def count_captions(self) -> int:
        """Count captions over all images."""
        return sum(len(example.captions) for example in self.examples)

    def fingerprint(self) -> str:
        """Hash image contents, captions and splits: equal fingerprints mean equal training data.

        Returns:
            16 hexadecimal digits, independent of the order of the examples and of where files lie.
        """
        lines = sorted(
            "\x1f".join((example.digest or example.image_id, example.split or "", *example.captions))
            for example in self.examples
        )
        return hashlib.sha256("\x1e".join(lines).encode()).hexdigest()[:16]


def problem_lines(problems: Iterable[Problem]) -> list[str]:
    """Return one printable line per problem."""
    return [f"{problem.kind}: {problem.where}: {problem.message}" for problem in problems]
