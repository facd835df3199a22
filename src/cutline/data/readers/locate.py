"""Where the image file of a row lies."""

from __future__ import annotations

import filecmp
import os
import posixpath
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cutline.data.images import IMAGE_SUFFIXES
from cutline.errors import DataError

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


@dataclass(slots=True)
class _Listing:
    """Names in one folder, by what is left of them without upper case, accents' spelling and ending."""

    names: dict[str, list[str]] = field(default_factory=dict)
    stems: dict[str, list[str]] = field(default_factory=dict)


class Locator:
    """Turns file names as written into absolute paths; files are opened only to compare two that both fit.

    Names are looked for in ``images`` or, when that is not given, beside the annotations; then in the
    usual folders there. Tables made on another machine are served, too: upper and lower case may differ,
    the ending of an image may be missing, and ever shorter ends of a path are tried (``photos/a/1.png``,
    ``a/1.png``, ``1.png``). What that finds must be beyond doubt, or it is refused.
    """

    def __init__(self, folder: Path, images: Path | None) -> None:
        """Look in ``images``, or in ``folder``, that of the annotations, when it is None."""
        first = (images or folder).absolute()
        self._direct = [first]
        if images is None and first.name == "annotations":
            self._direct.append(first.parent)
        inner = [root / name for root in self._direct for name in IMAGE_FOLDERS]
        # "images" and "Images" are one folder on some file systems, and links make more of them.
        there = {os.path.realpath(path): path for path in reversed(inner) if path.is_dir()}
        self._roots = [*self._direct, *reversed(there.values())]
        self._listings: dict[str, _Listing] = {}
        self._owners: dict[str, tuple[str, bool]] = {}

    def find(self, name: str) -> str:
        """Return the absolute path of an image; where it should be, when it is nowhere.

        Raises:
            DataError: Several files fit the name, or a shortened name leads to the file of another one.
        """
        name = name.replace("\\", "/")
        for root in self._direct:
            candidate = _join(root, name)
            if _is_file(candidate):
                return self._own(candidate, name, shortened=False)
        parts = [part for part in name.split("/") if part not in ("", ".")]
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        for spelling in dict.fromkeys((name, *ends)):
            found = self._fitting(spelling)
            if len(found) > 1:
                raise DataError(
                    f"image {name!r} may be {found[0]} or {found[1]}; write more of its path in the table, "
                    "or give the folder that is meant with --images DIR"
                )
            if found:
                return self._own(found[0], name, shortened=spelling != name)
        return _join(self._direct[0], name)

    def _own(self, path: str, name: str, shortened: bool) -> str:
        other, other_shortened = self._owners.setdefault(path, (name, shortened))
        same = _fold(posixpath.normpath(other)) == _fold(posixpath.normpath(name))
        if (shortened or other_shortened) and not same:
            raise DataError(
                f"images {other!r} and {name!r} both lead to {path}; give the folder that these names start "
                "from with --images DIR, or correct the names"
            )
        return path

    def _fitting(self, spelling: str) -> list[str]:
        found = [path for path in (_join(root, spelling) for root in self._roots) if _is_file(path)]
        found = found or [path for root in self._roots for path in self._loosely(str(root), spelling)]
        distinct: list[str] = []
        for path in found:
            if not any(_same_content(path, other) for other in distinct):
                distinct.append(path)
        return distinct

    def _loosely(self, root: str, spelling: str) -> Iterator[str]:
        *inner, last = spelling.split("/")
        folders = [root]
        for part in inner:
            folders = [
                os.path.join(folder, name)  # noqa: PTH118
                for folder in folders
                for name in self._listing(folder).names.get(_fold(part), ())
            ]
        places = [(folder, last) for folder in folders]
        # Archives unpacked badly leave files whose names hold the folders: "a\1.png".
        for folder, wanted in [*places, (root, spelling)] if inner else places:
            listing = self._listing(folder)
            names = listing.names.get(_fold(wanted), [])
            if not wanted.lower().endswith(IMAGE_SUFFIXES):
                names = names + listing.stems.get(_fold(wanted), [])
            paths = (os.path.join(folder, name) for name in names)  # noqa: PTH118
            yield from filter(_is_file, paths)

    def _listing(self, folder: str) -> _Listing:
        listing = self._listings.get(folder)
        if listing is not None:
            return listing
        listing = self._listings[folder] = _Listing()
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 (names only: no Path per file)
        except OSError:
            return listing
        for name in names:
            listing.names.setdefault(_fold(name), []).append(name)
            if name.lower().endswith(IMAGE_SUFFIXES):
                listing.stems.setdefault(_fold(name.rpartition(".")[0]), []).append(name)
        return listing


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/").casefold())


def _is_file(path: str) -> bool:
    # Path.is_file raises on names that are too long; such an image is simply not there.
    return os.path.isfile(path)  # noqa: PTH113


def _same_content(path: str, other: str) -> bool:
    try:
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False


def _join(root: Path, name: str) -> str:
    return os.path.normpath(os.path.join(root, name))  # noqa: PTH118 (half the time of pathlib, per image)
