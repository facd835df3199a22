"""What readers take and give: a Source goes in, Rows and Problems come out one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cutline.records import Problem
from cutline.registry import Registry


@dataclass(frozen=True, slots=True)
class Source:
    """What to read, and how the caller wants it read.

    Attributes:
        path: The annotation file, or a folder for formats that are folders.
        images: Folder of the images when it is not beside the annotations.
        image_column: Column or key with the image's file name; found by its usual names when None.
        caption_column: Likewise for the caption.
        group_column: Likewise for the group of the image, which few sources have.
        prefix: Put before each image name, e.g. ``"train/"``, when a folder holds several tables.
    """

    path: Path
    images: Path | None = None
    image_column: str | None = None
    caption_column: str | None = None
    group_column: str | None = None
    prefix: str = ""

    @property
    def folder(self) -> Path:
        """The folder that names of images are relative to."""
        return self.path if self.path.is_dir() else self.path.parent


@dataclass(frozen=True, slots=True)
class Row:
    """One caption of one image, as written in the source.

    Attributes:
        image: File name of the image as the source has it; backslashes between folders become ``/`` later,
            in one place for all formats.
        caption: Text as it stands; it is cleaned and judged later, in one place for all formats.
        place: Shared beginning of the row's address, e.g. ``"captions.csv row"``.
        number: 1-based number of the row at that place, counting the header.
        split: Name of the split in the source's own words, or None.
        image_id: Key of the image when the source gives one, or None.
        split_column: Name of the column that ``split`` is from, if it is from one. Columns that are called
            otherwise than ``split`` count only when all of their values name splits.
        group: What the source says the image belongs to, or ``""``.
        group_column: Name of the column or key that ``group`` is from, if there is one.
    """

    image: str
    caption: str
    place: str
    number: int
    split: str | None = None
    image_id: str | None = None
    split_column: str = ""
    group: str = ""
    group_column: str = ""

    @property
    def where(self) -> str:
        """The row's address for messages, e.g. ``"captions.csv row 7"``."""
        return f"{self.place} {self.number}"


Rows: TypeAlias = Iterator[Row | Problem]
Reader: TypeAlias = Callable[[Source], Rows]

READERS: Registry[Reader] = Registry("format")
"""Format name → reader."""
