"""A folder of images with text files beside them: ``dog.jpg`` and ``dog.txt``, one caption per line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cutline.data.images import IMAGE_SUFFIXES
from cutline.data.readers.imagefolder import folder_split
from cutline.data.readers.rows import READERS, Row, Rows, Source
from cutline.data.readers.text_file import open_text
from cutline.errors import DataError
from cutline.records import Problem


@READERS.register("sidecars")
def read_sidecars(source: Source) -> Rows:
    """Read images and their text files, folders below included.

    ``dog.txt`` or ``dog.jpg.txt`` belongs to ``dog.jpg``. A first folder called train, val or test gives the
    split. With ``images``, the images lie there and the text files in the same places below the source.

    Raises:
        DataError: No image has a text file.
    """
    found = False
    for image in image_names(source.images or source.folder):
        sidecar = find_sidecar(source.folder, image)
        if sidecar is None:
            yield Problem("image without caption", image, "no text file beside it; left out")
            continue
        found = True
        yield from _captions(image, sidecar, source.folder)
    if not found:
        raise DataError(
            f"{source.path}: no image has a text file of the same name beside it (dog.jpg, dog.txt)"
        )


def image_names(folder: Path) -> Iterator[str]:
    """Yield the images below a folder, relative to it, sorted folder by folder."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                yield (Path(parent) / name).relative_to(folder).as_posix()


def find_sidecar(folder: Path, image: str) -> Path | None:
    """Return the text file of an image, None when there is none."""
    path = folder / image
    candidates = (path.with_suffix(".txt"), path.with_name(path.name + ".txt"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _captions(image: str, sidecar: Path, folder: Path) -> Rows:
    place, split = f"{sidecar.relative_to(folder).as_posix()} line", folder_split(image)
    blank = True
    with open_text(sidecar) as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                blank = False
                yield Row(image, line, place, number, split)
    if blank:
        yield Row(image, "", place, 1, split)
