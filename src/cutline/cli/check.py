"""``cutline check``: look a data set over before training on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE, SOME_FAILED
from cutline.cli.options import (
    CaptionColumn,
    Data,
    Format,
    GroupColumn,
    ImageColumn,
    Images,
    reading_overrides,
)
from cutline.cli.screen import Screen, failed_items, visible
from cutline.errors import SplitError

Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write what was found as a page with pictures.")
]
Fix = Annotated[
    Path | None,
    typer.Option("--fix", metavar="FILE.csv", help="Write a cleaned table, and beside it what was changed."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", metavar="", help="Let --html and --fix replace a file.")
]
Encoder = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Also use the features of this encoder, e.g. efficientnet_lite0: for more near-duplicates, and "
        "for captions unlike those of similar images.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Also list captions that this run or bundle finds unlikely, of images it was not trained on.",
    ),
]


@door()
def check(
    screen: Screen,
    data: Data,
    images: Images = None,
    html: Html = None,
    fix: Fix = None,
    overwrite: Overwrite = False,
    encoder: Encoder = None,
    model: Model = None,
    format: Format = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    group_column: GroupColumn = None,
) -> int:
    """Look a data set over: what is in it, how it is split, what is wrong with it, what to do.

    The code is 1 when images or rows were lost, and 0 when there is nothing worse than advice. Images in two
    splits are listed, all of them, and the code is 2.
    """
    from cutline.data.splits import overlap_error
    from cutline.recipes.check import check as run_check

    try:
        report = run_check(
            data,
            images=images,
            overrides=reading_overrides(format, image_column, caption_column, group_column),
            encoder=encoder,
            model=model,
            html=html,
            fix=fix,
            overwrite=overwrite,
            progress=screen.progress,
        )
    except SplitError as error:
        _list_offenders(screen, error.offenders)
        screen.document({"images_in_two_splits": error.offenders})
        raise
    failed = failed_items(report.problems)
    for line in report.lines():
        screen.lines(visible(line))
    if report.in_two_splits:
        _list_offenders(screen, report.in_two_splits)
    if html is not None:
        screen.lines(f"page: {html}")
    screen.document({**report.as_dict(), "images_in_two_splits": report.in_two_splits, "page": html})
    # The report lists them, up to a few of each kind.
    whole = screen.flags.json or report.lists_all_lost
    screen.list_problems(failed, "the output" if whole else "the output with --json", listed=True)
    if report.in_two_splits:
        torn = overlap_error(report.in_two_splits, report.source)
        if fix is not None:
            torn = SplitError(f"{torn}, or use {fix}, in which each has one", torn.offenders)
        raise torn
    return SOME_FAILED if failed else DONE


def _list_offenders(screen: Screen, offenders: Sequence[str]) -> None:
    """Print every image in two splits; the error that follows names only the first few."""
    screen.lines(f"Images in two splits: {len(offenders):,}")
    for offender in offenders:
        screen.lines(visible(f"  {offender}"))
