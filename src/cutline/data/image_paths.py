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
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found: dict[str, None] = {}
    for path in given:
        images = _images_of(str(path))
        if not images:
            endings = " ".join(IMAGE_SUFFIXES)
            known = "no such file, folder or pattern match" if not Path(path).exists() else "holds no images"
            raise DataError(f"{path}: {known}; give image files, a folder or a pattern of images ({endings})")
        found.update(dict.fromkeys(images))
    return list(found)


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
