"""``cutline check``: look a data set over before training on it."""

from __future__ import annotations

from cutline.cli.door import door
from cutline.cli.failures import DONE, SOME_FAILED
from cutline.cli.options import CaptionColumn, Data, Format, ImageColumn, Images, reading_overrides
from cutline.cli.screen import Screen, failed_items


@door()
def check(
    screen: Screen,
    data: Data,
    images: Images = None,
    format: Format = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
) -> int:
    """Look a data set over: what is in it, how it is split, what is wrong with it."""
    from cutline.recipes.check import check as run_check

    report = run_check(
        data,
        images=images,
        overrides=reading_overrides(format, image_column, caption_column),
        progress=screen.progress,
    )
    screen.document(report)
    return SOME_FAILED if failed_items(report.problems) else DONE
