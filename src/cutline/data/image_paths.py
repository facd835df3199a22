"""Which image files a list of files, folders and patterns stands for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cutline.errors import DataError

IMAGE_SUFFIXES: Final = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".mpo",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
)
"""File name endings, in lower case, that :func:`list_images` picks up inside folders."""


def list_images(paths: str | Path | Iterable[str | Path]) -> list[str]:
    """Name the images that files, folders and glob patterns stand for.

    Args:
        paths: Files (taken whatever they are called), folders (searched recursively, in sorted order,
            for names ending in one of :data:`IMAGE_SUFFIXES`; hidden files and folders are skipped), or
            patterns with ``*``, ``?``, ``[…]`` and ``**``, whose matches are treated like folders' contents.

    Returns:
        Paths in the order of the arguments, each once.

    Raises:
        DataError: One of the paths stands for no image.
    """
    found = match_images(paths)
    for error in found.values():
        if error is not None:
            raise DataError(error)
    return list(found)


def match_images(paths: str | Path | Iterable[str | Path]) -> dict[str, str | None]:
    """Name the images that paths stand for, and the paths that stand for none.

    Args:
        paths: As for :func:`list_images`.

    Returns:
        In the order of the arguments, each once: images with None, and paths that stand for no image with
        a line that says so.

    Example:
        >>> [(path, error[:22]) for path, error in match_images(["gone.jpg", "gone.jpg"]).items()]
        [('gone.jpg', 'gone.jpg: no such file')]
    """
    given = [paths] if isinstance(paths, str | Path) else [str(path) for path in paths]
    found: dict[str, str | None] = {}
    for path in map(str, given):
        images = _images_of(path)
        found.update(dict.fromkeys(images) if images else {path: _stands_for_none(path)})
    return found


def _stands_for_none(path: str) -> str:
    known = "no such file, folder or pattern match" if not Path(path).exists() else "holds no images"
    endings = " ".join(IMAGE_SUFFIXES)
    return f"{path}: {known}; give image files, a folder or a pattern of images ({endings})"


def _images_of(path: str) -> list[str]:
    # A file may be called photo[1].jpg: what exists is never read as a pattern.
    if Path(path).is_dir():
        return _images_below(path)
    if Path(path).exists():
        return [path]
    matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute patterns)
    images: list[str] = []
    for match in matches:
        if Path(match).is_dir():
            images += _images_below(match)
        elif match.lower().endswith(IMAGE_SUFFIXES):
            images.append(match)
    return images


def _images_below(folder: str) -> list[str]:
    images: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        images += [
            str(Path(parent, name))
            for name in names
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
        ]
    return sorted(images)
