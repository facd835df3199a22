"""``cutline check``: look a data set over before training on it."""

from __future__ import annotations

from cutline.cli.door import door
from cutline.cli.failures import DONE, SOME_FAILED
from cutline.cli.options import CaptionColumn, Data, Format, ImageColumn, Images, reading_overrides
from cutline.cli.screen import Screen, failed_items, visible
from cutline.errors import SplitError


@door()
def check(
    screen: Screen,
    data: Data,
    images: Images = None,
    format: Format = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
) -> int:
    """Look a data set over: what is in it, how it is split, what is wrong with it, what to do.

    The code is 1 when images or rows were lost, and 0 when there is nothing worse than advice. Images in two
    splits are listed, all of them, and the code is 2.
    """
    from cutline.recipes.check import check as run_check

    overrides = reading_overrides(format, image_column, caption_column)
    try:
        report = run_check(data, images=images, overrides=overrides, progress=screen.progress)
    except SplitError as error:
        _list_offenders(screen, error)
        raise
    failed = failed_items(report.problems)
    for line in report.lines():
        screen.lines(visible(line))
    screen.document(report.as_dict())
    # The report lists them, up to a few of each kind.
    screen.list_problems(failed, "the output" if screen.flags.json else "the output with --json", listed=True)
    return SOME_FAILED if failed else DONE


def _list_offenders(screen: Screen, error: SplitError) -> None:
    """Print every image in two splits; the error that follows names only the first few."""
    screen.lines(f"Images in two splits: {len(error.offenders):,}")
    for offender in error.offenders:
        screen.lines(visible(f"  {offender}"))
    screen.document({"images_in_two_splits": error.offenders})
