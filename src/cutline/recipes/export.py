"""Export a model: to files for another runtime, each read back and compared before it is called done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from cutline.config import DecodingOptions
from cutline.errors import ConfigError, RunError
from cutline.files import replacing_folder
from cutline.progress import Progress, Silent
from cutline.recipes.export_bundle import BundleContent, export_bundle
from cutline.recipes.quantising import (
    MOST_LOST,
    PARTS,
    PRECISIONS,
    Part,
    PartPrecision,
    Precision,
    require_tensorflow,
    with_precisions,
)
from cutline.records import Dataset
from cutline.registry import require_known
from cutline.runtime import load_bundle
from cutline.runtime.bundle import find_bundle, require_weights
from cutline.runtime.bundle_files import ZIP

Format = Literal["bundle", "onnx", "web", "saved_model", "litert"]
FORMATS: Final[tuple[Format, ...]] = ("bundle", "onnx", "web", "saved_model", "litert")

_OF_GRAPHS: Final = ("bundle", "onnx", "web")
"""Formats that are made of a bundle's graphs; the others are made of its weights."""


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        out: The folder that was written.
        files: Path of each file below it → its size in bytes.
        log_probability: Largest difference of a token's log-probability (nats), for a SavedModel of a whole
            caption's, between the networks that were to be exported and what was read back, on made-up
            images; None for a bundle, which is compared byte for byte.
        encoder: What the encoder computes with, and why.
        decoder: What the decoder computes with, and why.
    """

    out: Path
    files: Mapping[str, int]
    log_probability: float | None
    encoder: PartPrecision = field(default_factory=PartPrecision)
    decoder: PartPrecision = field(default_factory=PartPrecision)


def export(
    model: str | Path,
    out: str | Path,
    format: Format = "onnx",
    *,
    runtime: str | Path | None = None,
    encoder_precision: Precision = "float32",
    decoder_precision: Precision = "float32",
    most_lost: float = MOST_LOST,
    content: BundleContent | None = None,
    data: Dataset | str | Path | None = None,
    images: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> Exported:
    """Write a model for another runtime.

    Args:
        model: A run folder or a bundle.
        out: Folder to write, for ``"bundle"`` also a file that ends in ``.zip``. One that this recipe wrote
            in such a format is replaced; it appears when everything is done.
        format: ``"bundle"``: a bundle with graphs, to be copied or given away. ``"onnx"``: the graphs, and
            what a program needs to caption with them. ``"web"``: a page that captions photos in the browser,
            offline. ``"saved_model"``: a TensorFlow SavedModel from image files to captions, greedily.
            ``"litert"``: encoder and decoder as ``.tflite`` files, and what a program needs to caption with
            them.
        runtime: For ``"web"``: the npm package ``onnxruntime-web``, as a folder or as a ``.tgz``; the one in
            ``node_modules`` when None.
        encoder_precision: For ``"bundle"``, ``"onnx"`` and ``"web"``: ``"int8"`` quantises the encoder, and
            keeps it in float32 all the same when val captions lose more than ``most_lost``.
        decoder_precision: Likewise for the decoder, which is judged with the encoder that was kept.
        most_lost: Points of CIDEr-D that val captions may lose by each part that is made int8, 0 or more.
        content: For ``"bundle"``: what it holds and says.
        data: For ``"int8"``: the data set that the model was trained on, for images to measure with.
        images: Folder of the images of ``data``.
        overwrite: Let ``out`` replace any folder.
        progress: Told about the work.

    Returns:
        Where it is, and how far it agrees with the bundle.

    Raises:
        BundleError: The model cannot be loaded.
        ConfigError: An option that does not go with the others; int8 without ``data``.
        DataError: ``data`` cannot be used.
        ExportError: The model cannot be written in this format, or does not agree with what was written.
        MissingDependencyError: TensorFlow is not installed.
        RunError: ``out`` is something else than an export, or holds, or lies in, what is read.
        UnknownNameError: There is no such format or precision.
    """
    require_known("format", format, FORMATS)
    require_known("encoder precision", encoder_precision, PRECISIONS)
    require_known("decoder precision", decoder_precision, PRECISIONS)
    if not most_lost >= 0:
        raise ConfigError(f"--most-lost is {most_lost:g}, allowed is 0 or more, in points of CIDEr-D")
    precisions: dict[Part, Precision] = {"encoder": encoder_precision, "decoder": decoder_precision}
    _require_that_options_fit(format, runtime, precisions, data, images)
    if content is not None and format != "bundle":
        raise ConfigError(
            "--no-captions, --no-weights, --vocabulary-size, --evaluation, --licence and --data-notes are "
            f"for --format bundle alone, found --format {format}; leave them out"
        )
    if format != "bundle" and Path(out).suffix.lower() == ZIP:
        raise ConfigError(
            f"--out {out}: only a bundle is written as a zip file, found --format {format}; name a folder, "
            "or add --format bundle"
        )
    folder = Path(out).resolve()
    _require_apart(folder, [model, *(given for given in (data, images, runtime) if given is not None)])
    if format == "bundle":
        content = content or BundleContent()
        sizes, found = export_bundle(
            Path(model), folder, content, precisions=precisions, data=data, images=images,
            overwrite=overwrite, progress=progress, most_lost=most_lost,
        )  # fmt: skip
        return Exported(Path(out), sizes, None, found["encoder"], found["decoder"])
    require_tensorflow(format)
    # Only now: it loads TensorFlow.
    from cutline.exporting import with_graphs
    from cutline.recipes.export_formats import WRITERS, is_export

    _require_free(folder, overwrite, is_export)
    with progress.stage(f"exporting to {format}", 2, "steps") as stage:
        bundle = load_bundle(find_bundle(Path(model)))
        if format != "onnx":
            require_weights(bundle, encoder=format not in _OF_GRAPHS)
        if format in _OF_GRAPHS and not bundle.graphs:
            bundle = with_graphs(bundle)
        # Weights are float32 also where the graphs that were made of them are not.
        found = {part: PartPrecision() for part in PARTS}
        if format in _OF_GRAPHS:
            # These formats have no consensus, so that captions are judged without one.
            plain = bundle.decoding.model_copy(update={"consensus": 0})
            small, found = with_precisions(
                replace(bundle, decoding=plain), precisions, Path(model), data, images, progress, most_lost
            )
            bundle = replace(small, decoding=bundle.decoding)
        if format == "saved_model":
            _tell_of_greed(bundle.decoding, progress)
        elif format == "web" and bundle.decoding.consensus:
            progress.note(
                f"the page takes the most probable caption of {bundle.decoding.beam_size} beams; it has no "
                "votes, by which the model chooses elsewhere "
                f"(decoding.consensus={bundle.decoding.consensus})"
            )
        with replacing_folder(folder) as temporary:
            compare = WRITERS[format](bundle, temporary, runtime)
            stage.advance(1)
            difference = compare()
            files = sorted(path for path in temporary.rglob("*") if path.is_file())
            sizes = {path.relative_to(temporary).as_posix(): path.stat().st_size for path in files}
        stage.advance(1)
    return Exported(Path(out), sizes, difference, found["encoder"], found["decoder"])


def _require_that_options_fit(
    format: Format, runtime: object, precisions: Mapping[Part, Precision], data: object, images: object
) -> None:
    """Refuse what would change nothing: who asks for it expects something else than they would get."""
    if runtime is not None and format != "web":
        raise ConfigError(
            f"--onnxruntime-web is for --format web alone, found --format {format}; leave it out"
        )
    small = [part for part, precision in precisions.items() if precision == "int8"]
    if small and format not in _OF_GRAPHS:
        raise ConfigError(
            f"--{small[0]}-precision int8 is for --format {', '.join(_OF_GRAPHS)}, found --format {format}; "
            "leave it out"
        )
    for name, given in (("--data", data), ("--images", images)):
        if given is not None and not small:
            raise ConfigError(
                f"{name} is read for an int8 encoder or decoder alone; add --encoder-precision int8 or "
                f"--decoder-precision int8, or leave {name} out"
            )


def _tell_of_greed(options: DecodingOptions, progress: Progress) -> None:
    greedy = {"beam_size": 1, "consensus": 0, "temperature": 0}
    unused = [
        f"decoding.{name}={getattr(options, name)}"
        for name, value in greedy.items()
        if getattr(options, name) != value
    ]
    if unused:
        progress.note(f"a SavedModel captions greedily, without the model's {' and '.join(unused)}")


def _require_apart(folder: Path, inputs: Sequence[Any]) -> None:
    """Refuse to replace what is read, or a folder that holds it."""
    for given in inputs:
        if isinstance(given, str | Path):
            path = Path(given).resolve()
            if folder == path or folder in path.parents or (path.is_dir() and path in folder.parents):
                raise RunError(f"{folder}: holds {given}, or lies in it; choose another --out")


def _require_free(folder: Path, overwrite: bool, is_export: Callable[[Path], bool]) -> None:
    if folder.is_file():
        raise RunError(f"{folder}: a file; name a folder with --out")
    if overwrite or not folder.exists() or not any(folder.iterdir()):
        return
    if not is_export(folder):
        raise RunError(
            f"{folder}: the folder holds something else than an export; choose another --out, or let it be "
            "replaced with --overwrite"
        )
