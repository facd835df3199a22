"""Flickr8k and Flickr30k: lines ``name.jpg#0<TAB>caption`` in ``token.txt``, and the official split lists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cutline.data.readers.rows import READERS, Row, Rows, Source
from cutline.data.readers.text_file import first_line, open_text
from cutline.data.splits import overlap_error, parse_split
from cutline.errors import DataError
from cutline.records import Problem

TOKEN_LINE: Final = re.compile(r"(?P<image>[^\t]+)#\d+\t(?P<caption>.*)", re.DOTALL)
_LIST_NAME: Final = re.compile(r"(?:^|.*[._-])(train|dev|val|test)(?:_?images)?\.txt", re.IGNORECASE)


@READERS.register("flickr")
def read_flickr(source: Source) -> Rows:
    """Read a token file; lists such as ``Flickr_8k.trainImages.txt`` beside it give the splits.

    When there are lists, images in none of them are left out with a Problem, as the official splits do.

    Raises:
        SplitError: An image is in two lists.
        DataError: No line has the format.
    """
    splits = read_split_lists(source.path.parent)
    unlisted: dict[str, tuple[int, list[str]]] = {}
    place, count = f"{source.path.name} line", 0
    with open_text(source.path) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            match = TOKEN_LINE.fullmatch(line)
            if match is None:
                message = "not name#number, tab, caption; left out"
                yield Problem("broken row", f"{place} {number}", message, (line.strip(),))
                continue
            count += 1
            image = match["image"].strip()
            split = splits.get(image) or splits.get(image.rsplit(".", 1)[0])
            if not splits or split:
                yield Row(image, match["caption"], place, number, split)
            else:
                unlisted.setdefault(image, (number, []))[1].append(match["caption"].strip())
    for image, (number, captions) in unlisted.items():
        message = f"{image} is in no split list, so it is in no split"
        yield Problem("in no split list", f"{place} {number}", message, tuple(captions))
    if not count:
        raise DataError(
            f"{source.path}: no line reads name.jpg#0, tab, caption; name the format with --format"
        )


def read_split_lists(folder: Path) -> dict[str, str]:
    """Return image name → split from the split lists in a folder, empty when there are none."""
    splits: dict[str, str] = {}
    offenders: list[str] = []
    for path in sorted(folder.glob("*.txt")):
        match = _LIST_NAME.fullmatch(path.name)
        # A table of captions may carry such a name, too; lists hold one name per line.
        if match is None or "\t" in first_line(path) or "," in first_line(path):
            continue
        split = parse_split(match[1], str(path)) or ""
        with open_text(path) as stream:
            for image in filter(None, map(str.strip, stream)):
                if splits.setdefault(image, split) != split:
                    offenders.append(f"{image} ({splits[image]}, {split})")
    if offenders:
        raise overlap_error(offenders, str(folder))
    return splits
