"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_READING = "How DATA is read"

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="Images with captions: a CSV, TSV, Parquet, JSON or JSONL file, or a folder that holds one.",
    ),
]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", show_default=False, help="A run folder, a bundle, or a name of cutline models."
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the images, when they do not lie beside DATA."),
]
Format = Annotated[
    str | None,
    typer.Option(metavar="NAME", rich_help_panel=_READING, help="Format of DATA; detected by default."),
]
ImageColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", rich_help_panel=_READING, help="Column with the image's file name."),
]
CaptionColumn = Annotated[
    str | None, typer.Option(metavar="NAME", rich_help_panel=_READING, help="Column with the caption.")
]

GroupColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=_READING, help="Column that puts images into groups, scored apart."
    ),
]


Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One option over the model's own, e.g. decoding.beam_size=5; may be repeated.",
    ),
]


def reading_overrides(
    format: str | None,
    image_column: str | None,
    caption_column: str | None,
    group_column: str | None = None,
) -> dict[str, str | None]:
    """Name the options of the data room that were given on the command line.

    Example:
        >>> reading_overrides("coco", None, None)["data.format"]
        'coco'
    """
    return {
        "data.format": format,
        "data.image_column": image_column,
        "data.caption_column": caption_column,
        "data.group_column": group_column,
    }
