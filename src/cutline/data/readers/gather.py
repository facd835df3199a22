"""Rows → Dataset: cleaning, judging and grouping by image, in one place for all formats."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from cutline.data.readers.cells import plain_name
from cutline.data.readers.rows import Row, Rows
from cutline.data.splits import IN_TWO_SPLITS, farthest_split, overlap_error, parse_split
from cutline.errors import DataError
from cutline.records import Dataset, Example, Problem
from cutline.text import Tokenizer

_JUDGE = Tokenizer("character")


@dataclass(slots=True)
class _Image:
    name: str
    where: str
    captions: dict[str, None] = field(default_factory=dict)
    split: str | None = None
    split_where: str = ""
    conflict: str = ""
    other_split: str = ""
    group: str = ""
    group_where: str = ""
    other_group: str = ""


def clean_caption(caption: str) -> str:
    """Return a caption in NFC without white space around it; halves of surrogate pairs become ``?``.

    Example:
        >>> clean_caption(" cafe\\u0301\\n") == "caf\\u00e9"
        True
    """
    caption = unicodedata.normalize("NFC", caption).strip().strip("\ufeff")
    return caption if caption.isascii() else caption.encode(errors="replace").decode()


def says_something(caption: str) -> bool:
    """Tell whether a caption holds a letter, a digit or a symbol such as an emoji.

    Example:
        >>> says_something("... !"), says_something("3"), says_something("\\U0001f436")
        (False, True, True)
    """
    return any(map(str.isalnum, caption)) or bool(_JUDGE.tokenise(caption))


class Gatherer:
    """Collects rows into one Example per image and keeps a Problem for everything it leaves out."""

    def __init__(self, source: str, find: Callable[[str], str], group_column: str | None = None) -> None:
        """Name the source for messages and give the function from image name to absolute path.

        Args:
            source: As the person wrote it.
            find: Image name → absolute path.
            group_column: The column that was asked for by name, if one was.
        """
        self._source = source
        self._find = find
        self._wanted_group = group_column
        self._group_column = ""
        self._images: dict[str, _Image] = {}
        self._problems: list[Problem] = []
        self._undecided: list[tuple[_Image, Row]] = []
        self._rows = 0

    def gather(self, rows: Rows, name: str, keep_overlaps: bool = False) -> Dataset:
        """Consume all rows and return the data set.

        Args:
            rows: What a reader yields.
            name: The reader's name, kept as the data set's format.
            keep_overlaps: Make a Problem of every image in two splits instead of an error.

        Raises:
            SplitError: An image is in two splits.
            DataError: A split name is unknown, an image_id stands for two images, it cannot be told which
                file an image is, there is no group column where one was asked for, or nothing is usable.
        """
        for row in rows:
            self._rows += 1
            if isinstance(row, Problem):
                self._problems.append(row)
            else:
                self._add(row)
        self._settle_undecided()
        self._settle_groups()
        self._settle_overlap(keep_overlaps)
        examples = tuple(self._examples())
        if not examples:
            raise self._nothing_usable()
        return Dataset(examples, self._source, name, tuple(self._problems), self._group_column)

    def _add(self, row: Row) -> None:
        try:
            row.image.encode()
        except UnicodeEncodeError:
            message = f"image name {row.image!r} is not valid Unicode"
            self._leave_out("unreadable name", row.where, message, clean_caption(row.caption))
            return
        name = row.image.replace("\\", "/")
        key = row.image_id or name
        image = self._images.get(key)
        if image is None:
            image = self._images[key] = _Image(name, row.where)
        if image.name != name:
            raise DataError(
                f"{row.where}: image_id {key!r} stands for {name!r} here and for {image.name!r} in "
                f"{image.where}; give each image its own id"
            )
        if row.split_column and plain_name(row.split_column) != "split":
            self._undecided.append((image, row))
        else:
            self._note_split(image, row)
        self._note_group(image, row)
        caption = clean_caption(row.caption)
        if not caption:
            self._leave_out("empty caption", row.where, f"{row.image} has no text here; row left out")
        elif not says_something(caption):
            message = f"found {caption!r}; row left out"
            self._leave_out("caption of only punctuation", row.where, message, caption)
        elif caption in image.captions:
            message = f"{row.image} has the caption {caption!r} already; kept once"
            self._leave_out("duplicate row", row.where, message, caption)
        else:
            image.captions[caption] = None

    def _leave_out(self, kind: str, where: str, message: str, caption: str = "", now: str = "") -> None:
        self._problems.append(Problem(kind, where, message, (caption,) if caption else (), now))

    def _settle_undecided(self) -> None:
        """Honour columns such as ``set`` when all of their values name splits."""
        for _, row in self._undecided:
            try:
                parse_split(row.split, row.where)
            except DataError:
                self._leave_out(
                    "column left out",
                    row.where,
                    f"column {row.split_column!r} holds {row.split!r}, which is no split; column ignored",
                )
                return
        for image, row in self._undecided:
            self._note_split(image, row)

    def _note_split(self, image: _Image, row: Row) -> None:
        column = f", column {row.split_column!r}" if row.split_column else ""
        split = parse_split(row.split, f"{row.where}{column}")
        if split is None or split == image.split:
            return
        if image.split is None:
            image.split, image.split_where = split, row.where
        elif not image.conflict:
            image.conflict = f"{image.name} ({image.split} in {image.split_where}, {split} in {row.where})"
            image.other_split = split

    def _note_group(self, image: _Image, row: Row) -> None:
        self._group_column = self._group_column or row.group_column
        if not row.group or row.group == image.group:
            return
        if not image.group:
            image.group, image.group_where = row.group, row.where
        elif not image.other_group:
            image.other_group = f"{image.group!r} in {image.group_where} and {row.group!r} in {row.where}"

    def _settle_groups(self) -> None:
        """Report images in two groups; a column that nobody asked for is then no group of images."""
        if self._wanted_group and self._rows and not self._group_column:
            raise DataError(
                f"{self._source}: nothing in it is called {self._wanted_group!r} (--group-column); name a "
                "column or key that it has, or leave the option out"
            )
        torn = [image for image in self._images.values() if image.other_group]
        for image in torn if self._wanted_group else torn[:1]:
            found = f"column {self._group_column!r} says {image.other_group}"
            if self._wanted_group:
                self._leave_out("two groups", image.name, f"{found}; the first counts")
            else:
                advice = "as it is not about images; should it be, name it with --group-column"
                self._leave_out("column left out", image.name, f"{found}; column ignored, {advice}")
        if torn and not self._wanted_group:
            self._group_column = ""
            for image in self._images.values():
                image.group = ""

    def _settle_overlap(self, keep: bool) -> None:
        torn = [image for image in self._images.values() if image.conflict]
        if torn and not keep:
            raise overlap_error([image.conflict for image in torn], self._source)
        for image in torn:
            image.split = farthest_split(filter(None, (image.split, image.other_split)))
            self._leave_out(IN_TWO_SPLITS, image.name, image.conflict, now=image.split or "")

    def _examples(self) -> list[Example]:
        examples = []
        for key, image in self._images.items():
            if image.captions:
                path, captions = self._located(image), tuple(image.captions)
                examples.append(Example(key, path, captions, image.split, group=image.group))
            else:
                self._leave_out(
                    "image without caption", image.where, f"{key} has no usable caption; left out"
                )
        return examples

    def _located(self, image: _Image) -> str:
        try:
            return self._find(image.name)
        except DataError as error:
            raise DataError(f"{image.where}: {error}") from None

    def _nothing_usable(self) -> DataError:
        if not self._rows:
            return DataError(f"{self._source}: no rows; give at least one image with a caption")
        kinds = Counter(problem.kind for problem in self._problems)
        found = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
        first = self._problems[0]
        return DataError(
            f"{self._source}: no usable caption in {self._rows:,} rows ({found}); "
            f"first: {first.where}: {first.message}"
        )
