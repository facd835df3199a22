"""``cutline export``: a model for another runtime."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE
from cutline.cli.options import Images, Model
from cutline.cli.screen import Screen

if TYPE_CHECKING:
    from cutline.recipes.export_bundle import BundleContent


class Target(StrEnum):
    """What can be written."""

    bundle = "bundle"
    onnx = "onnx"
    web = "web"
    saved_model = "saved_model"
    litert = "litert"


class Precision(StrEnum):
    """What a part of a model can compute with."""

    float32 = "float32"
    int8 = "int8"


Format = Annotated[
    Target,
    typer.Option(
        "--format",
        metavar="NAME",
        help="bundle: a copy to give away; onnx: graphs for a program of yours; web: a page that captions "
        "photos; saved_model: for TensorFlow, from image files to captions; litert: .tflite files for a "
        "program on a device.",
    ),
]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder to write; for bundle also a file: NAME.zip.")
]
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
        help="float32, or int8, for bundle, onnx and web: kept if val captions lose no more than --most-lost "
        "by it.",
    ),
]
DecoderPrecision = Annotated[
    Precision, typer.Option(metavar="NAME", help="The same for the decoder: faster where it is int8.")
]
MostLost = Annotated[
    float,
    typer.Option(metavar="POINTS", help="For int8: CIDEr-D that val captions may lose by each part."),
]
ForInt8 = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="For int8: what the model was trained on, to measure with."),
]
_GIVEN_AWAY = "For --format bundle"
NoCaptions = Annotated[
    bool,
    typer.Option(
        "--no-captions", metavar="", rich_help_panel=_GIVEN_AWAY, help="Leave out the training captions."
    ),
]
NoWeights = Annotated[
    bool,
    typer.Option(
        "--no-weights",
        metavar="",
        rich_help_panel=_GIVEN_AWAY,
        help="Leave out what training needs: it captions and does nothing else.",
    ),
]
VocabularySize = Annotated[
    int | None,
    typer.Option(metavar="N", rich_help_panel=_GIVEN_AWAY, help="Keep the N most frequent tokens alone."),
]
Evaluations = Annotated[
    list[Path] | None,
    typer.Option(
        "--evaluation",
        metavar="DIR",
        rich_help_panel=_GIVEN_AWAY,
        help="Folder of an evaluation of this model, to tell its scores; may be repeated.",
    ),
]
Licence = Annotated[
    str | None,
    typer.Option(metavar="TEXT", rich_help_panel=_GIVEN_AWAY, help="Under what the model may be used."),
]
DataNotes = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT", rich_help_panel=_GIVEN_AWAY, help="What people should know of the training data."
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
    encoder_precision: EncoderPrecision = Precision.float32,
    decoder_precision: DecoderPrecision = Precision.float32,
    most_lost: MostLost = 0.5,
    data: ForInt8 = None,
    images: Images = None,
    overwrite: Overwrite = False,
    no_captions: NoCaptions = False,
    no_weights: NoWeights = False,
    vocabulary_size: VocabularySize = None,
    evaluation: Evaluations = None,
    licence: Licence = None,
    data_notes: DataNotes = None,
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
        decoder_precision=decoder_precision.value,
        most_lost=most_lost,
        content=_content(no_captions, no_weights, licence, data_notes, vocabulary_size, evaluation),
        data=data,
        images=images,
        overwrite=overwrite,
        progress=screen.progress,
    )
    width = max(22, *(len(name) + 2 for name in found.files))
    for name, size in (*found.files.items(), ("in all", sum(found.files.values()))):
        screen.lines(f"{name:{width}}{size:>14,} bytes")
    if found.log_probability is not None:
        small = "int8" in (found.encoder.name, found.decoder.name)
        other = "what was to be written" if small else "the model's"
        screen.lines(f"log-probabilities differ from {other} by at most {found.log_probability:.1g}")
    for part in (found.encoder, found.decoder):
        if part.reason:
            screen.lines(part.reason)
    what = found.out / "index.html" if format is Target.web else found.out
    screen.lines(str(what))
    screen.document(
        {
            "out": found.out,
            "files": dict(found.files),
            "log_probability": found.log_probability,
            "encoder": found.encoder,
            "decoder": found.decoder,
        }
    )
    return DONE


def _content(
    no_captions: bool,
    no_weights: bool,
    licence: str | None,
    data_notes: str | None,
    vocabulary_size: int | None,
    evaluations: list[Path] | None,
) -> BundleContent | None:
    """Return what was asked for of a bundle; None where nothing was."""
    from cutline.recipes.export_bundle import BundleContent

    own = tuple(evaluations or ())
    content = BundleContent(not no_captions, not no_weights, licence, data_notes, vocabulary_size, own)
    return None if content == BundleContent() else content
