"""``cutline export``: a model for another runtime."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE
from cutline.cli.options import Images, Model
from cutline.cli.screen import Screen


class Target(StrEnum):
    """What can be written."""

    onnx = "onnx"
    web = "web"
    saved_model = "saved_model"
    litert = "litert"


class Precision(StrEnum):
    """What an encoder can compute with."""

    float32 = "float32"
    int8 = "int8"


Format = Annotated[
    Target,
    typer.Option(
        "--format",
        metavar="NAME",
        help="onnx: graphs for a program of yours; web: a page that captions photos; saved_model: for "
        "TensorFlow, from image files to captions; litert: .tflite files for a program on a device.",
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
EncoderPrecision = Annotated[
    Precision,
    typer.Option(
        metavar="NAME",
        help="float32, or int8, for onnx and web: kept if val captions lose no more than 0.5 CIDEr-D by it.",
    ),
]
ForInt8 = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="For int8: what the model was trained on, to measure with."),
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
    encoder_precision: EncoderPrecision = Precision.float32,
    data: ForInt8 = None,
    images: Images = None,
    overwrite: Overwrite = False,
) -> int:
    """Write a model for another runtime.

    What was written is read back and compared with the model before it is moved into place. The page
    captions photos in a browser, from disk and without a network; a SavedModel captions image files by
    itself, greedily.
    """
    from cutline.runtime.bundle import find_bundle

    # Before anything large is imported.
    find_bundle(Path(model))
    from cutline.recipes.export import export as recipe

    found = recipe(
        model,
        out,
        format.value,
        runtime=runtime,
        encoder_precision=encoder_precision.value,
        data=data,
        images=images,
        overwrite=overwrite,
        progress=screen.progress,
    )
    width = max(22, *(len(name) + 2 for name in found.files))
    for name, size in (*found.files.items(), ("in all", sum(found.files.values()))):
        screen.lines(f"{name:{width}}{size:>14,} bytes")
    screen.lines(f"log-probabilities differ from the model's by at most {found.log_probability:.1g}")
    if found.encoder.reason:
        screen.lines(found.encoder.reason)
    what = found.out / "index.html" if format is Target.web else found.out
    screen.lines(str(what))
    screen.document(
        {
            "out": found.out,
            "files": dict(found.files),
            "log_probability": found.log_probability,
            "encoder": found.encoder,
        }
    )
    return DONE
