"""``cutline export``: a model for another runtime."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE
from cutline.cli.options import Model
from cutline.cli.screen import Screen


class Target(StrEnum):
    """What can be written."""

    onnx = "onnx"
    web = "web"


Format = Annotated[
    Target,
    typer.Option(
        "--format",
        metavar="NAME",
        help="onnx: graphs for a program of yours; web: a page that captions photos.",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write.")]
Runtime = Annotated[
    Path | None,
    typer.Option(
        "--onnxruntime-web",
        metavar="PATH",
        help="For web: the npm package of that name, a folder or a .tgz; by default that in node_modules.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", metavar="", help="Let --out replace a folder that is no export.")
]


@door()
def export(
    screen: Screen,
    model: Model,
    out: Out,
    format: Format = Target.onnx,
    runtime: Runtime = None,
    overwrite: Overwrite = False,
) -> int:
    """Write a model for another runtime.

    What was written is read back and compared with the model before it is moved into place. The page captions
    photos in any browser, from disk and without a network.
    """
    from cutline.runtime.bundle import find_bundle

    # Before anything large is imported.
    find_bundle(Path(model))
    from cutline.recipes.export import export as recipe

    found = recipe(model, out, format.value, runtime=runtime, overwrite=overwrite, progress=screen.progress)
    for name, size in found.files.items():
        screen.lines(f"{name:22}{size:>14,} bytes")
    total = sum(found.files.values())
    screen.lines(f"{'in all':22}{total:>14,} bytes")
    screen.lines(f"log-probabilities differ from the model's by at most {found.log_probability:.1g}")
    what = found.out / "index.html" if format is Target.web else found.out
    screen.lines(str(what))
    screen.document({"out": found.out, "files": dict(found.files), "log_probability": found.log_probability})
    return DONE
