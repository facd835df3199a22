"""Where the image file of a row lies."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

IMAGE_FOLDERS: Final = (
    "images",
    "Images",
    "photos",
    "Photos",
    "img",
    "Flicker8k_Dataset",
    "Flickr8k_Dataset",
    "flickr30k_images",
    "flickr30k-images",
    "train2014",
    "val2014",
    "test2014",
    "train2017",
    "val2017",
    "test2017",
    "train",
    "val",
    "test",
)
"""Folders that are looked into when an image is not directly where it should be."""


class Locator:
    """Turns file names as written into absolute paths, without opening any file.

    Names are looked for in ``images`` or, when that is not given, beside the annotations; then in the
    usual folders there; then by their last part alone, for tables made on another machine.
    """

    def __init__(self, folder: Path, images: Path | None) -> None:
        """Look in ``images``, or in ``folder``, that of the annotations, when it is None."""
        first = (images or folder).absolute()
        roots = [first]
        if images is None and first.name == "annotations":
            roots.append(first.parent)
        inner = [root / name for root in roots for name in IMAGE_FOLDERS]
        self._roots = [*roots, *(path for path in inner if path.is_dir())]

    def find(self, name: str) -> str:
        """Return the absolute path of an image; where it should be, when it is nowhere."""
        for candidate in self._candidates(name):
            # Path.is_file raises on names that are too long; such an image is simply not there.
            if os.path.isfile(candidate):  # noqa: PTH113
                return candidate
        return self._join(self._roots[0], name.replace("\\", "/"))

    def _candidates(self, name: str) -> Iterator[str]:
        slashed = name.replace("\\", "/")
        base = slashed.rsplit("/", 1)[-1]
        for spelling in dict.fromkeys((name, slashed, base)):
            # File systems differ in how they spell accents.
            forms = (spelling, unicodedata.normalize("NFC", spelling), unicodedata.normalize("NFD", spelling))
            for form in dict.fromkeys(forms):
                yield from (self._join(root, form) for root in self._roots)

    @staticmethod
    def _join(root: Path, name: str) -> str:
        return os.path.normpath(os.path.join(root, name))  # noqa: PTH118 (half the time of pathlib, per image)
