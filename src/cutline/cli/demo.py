"""``cutline demo``: see the whole thing work on drawn scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE
from cutline.cli.screen import Screen

Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for everything the demo makes.")]


@door()
def demo(screen: Screen, out: Out = Path("cutline-demo")) -> int:
    """See it work: draw scenes, learn to caption them, and show what was learnt.

    Needs no photos, no network and a few minutes. The model that comes with cutline captions some photos,
    too, where scikit-image is installed, which ships them.
    """
    from cutline.recipes.demo import demo as run_demo

    shown = run_demo(out, progress=screen.progress)
    for line in shown.lines:
        screen.lines(line)
    screen.document(shown)
    return DONE
