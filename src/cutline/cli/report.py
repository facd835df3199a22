"""``cutline report``: show a run as one HTML page."""

from __future__ import annotations

from typing import Annotated

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE, SOME_FAILED
from cutline.cli.screen import Screen

RunFolder = Annotated[
    str,
    typer.Argument(
        metavar="RUN", show_default=False, help="A run folder with what was trained and evaluated."
    ),
]


@door()
def report(screen: Screen, run: RunFolder) -> int:
    """Write report.html into a run folder: curves, scores and captions on one page.

    The page needs no network and no other file. It is made anew from what the run folder holds.
    """
    from cutline.recipes.report import report_run

    written = report_run(run, progress=screen.progress)
    screen.lines(str(written.path))
    screen.document({"report": written.path, "unread": written.unread})
    return SOME_FAILED if written.unread else DONE
