"""What a source says an image belongs to: a category, a place, how many people are in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from cutline.data.readers.cells import first_position, plain_name
from cutline.data.readers.rows import Source

GROUP_NAMES: Final = (
    "group",
    "category",
    "class",
    "scene",
    "domain",
    "topic",
    "people",
    "persons",
    "number_of_people",
    "num_people",
    "n_people",
    "people_count",
    "objects",
    "number_of_objects",
    "num_objects",
    "n_objects",
    "object_count",
)
"""Usual names of columns and keys that put images into groups, the first one that is there counting."""


def group_position(names: Sequence[str], source: Source, taken: Collection[int] = ()) -> int | None:
    """Return the position of the group column among names: the one asked for, else a usual one.

    Args:
        names: Names of columns or keys, as written.
        source: May name the column.
        taken: Positions that hold something else; a usual name is no group there.

    Example:
        >>> from pathlib import Path
        >>> group_position(["image", "Category", "caption"], Source(Path("t.csv")))
        1
        >>> group_position(["class", "caption"], Source(Path("t.csv")), taken=(0, 1)) is None
        True
    """
    if source.group_column is not None:
        return named_position(names, source.group_column)
    free = ["" if position in taken else plain_name(name) for position, name in enumerate(names)]
    return first_position(free, GROUP_NAMES)


def named_position(names: Sequence[str], wanted: str) -> int | None:
    """Return the position of a name that a person gave: as written, else whatever its case and spaces."""
    stripped = [name.strip() for name in names]
    if wanted in stripped:
        return stripped.index(wanted)
    return first_position([plain_name(name) for name in names], (plain_name(wanted),))


def group_of(item: Mapping[str, Any], source: Source) -> tuple[str, str]:
    """Return the group that a JSON object gives its image, and the key it is from; both empty without one."""
    names = list(map(str, item))
    position = group_position(names, source)
    if position is None:
        return "", ""
    return group_text(list(item.values())[position]), names[position].strip()


def group_text(value: Any) -> str:
    """Return the name of a group; a list, as of the objects in an image, stands for how many they are.

    Whole numbers are written without a point, as spreadsheets and pandas add one to columns with gaps.

    Example:
        >>> group_text(" street  scene "), group_text(2.0), group_text("3.0"), group_text(["dog", "ball"])
        ('street scene', '2', '3', '2')
        >>> group_text(None), group_text(float("nan")), group_text({"a": 1})
        ('', '', '')
    """
    if isinstance(value, list | tuple):
        return str(len(value))
    if value is None or isinstance(value, Mapping | bytes) or value != value:
        return ""
    text = " ".join(str(value).split())
    whole, point, rest = text.partition(".")
    return whole if point and whole.lstrip("+-").isdecimal() and not rest.strip("0") else text
