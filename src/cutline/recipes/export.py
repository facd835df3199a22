"""Export a model: to files for another runtime, each read back and compared before it is called done."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from cutline.errors import ExportError, RunError
from cutline.exporting.bundles import with_graphs
from cutline.exporting.parity import measure_parity
from cutline.exporting.web import (
    EXPORT,
    PAGE_FILES,
    PAGE_SETTINGS,
    page_settings,
    read_graphs,
    write_web,
)
from cutline.files import replacing_folder, write_json
from cutline.progress import Progress, Silent
from cutline.recipes.quantising import PRECISIONS, EncoderPrecision, Precision, with_int8_encoder
from cutline.records import Dataset
from cutline.registry import require_known
from cutline.runtime import Bundle, load_bundle
from cutline.runtime.bundle import GRAPHS, find_bundle
from cutline.runtime.onnx_session import OnnxSession

Format = Literal["onnx", "web"]
FORMATS: Final[tuple[Format, ...]] = ("onnx", "web")
SETTINGS: Final = "settings.json"

_IMAGES: Final = 4
_LARGEST_DIFFERENCE: Final = 1e-3


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        out: The folder that was written.
        files: Name of each file in it → its size in bytes.
        log_probability: Largest difference of a token's log-probability (nats) between the graphs that were
            to be exported and what was read back, on made-up images.
        encoder: What the encoder computes with, and why.
    """

    out: Path
    files: Mapping[str, int]
    log_probability: float
    encoder: EncoderPrecision = field(default_factory=EncoderPrecision)


def export(
    model: str | Path,
    out: str | Path,
    format: Format = "onnx",
    *,
    runtime: str | Path | None = None,
    encoder_precision: Precision = "float32",
    data: Dataset | str | Path | None = None,
    images: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> Exported:
    """Write a model for another runtime.

    Args:
        model: A run folder or a bundle.
        out: Folder to write. One that this recipe wrote is replaced; it appears when everything is done.
        format: ``"onnx"``: the graphs, and what a program needs to caption with them. ``"web"``: a page that
            captions photos in the browser, offline.
        runtime: For ``"web"``: the npm package ``onnxruntime-web``, as a folder or as a ``.tgz``; the one in
            ``node_modules`` when None.
        encoder_precision: ``"int8"`` quantises the encoder, and keeps it in float32 all the same when val
            captions lose more than :data:`cutline.recipes.quantising.MOST_LOST` points of CIDEr-D by that.
        data: For ``"int8"``: the data set that the model was trained on, for images to measure with.
        images: Folder of the images of ``data``.
        overwrite: Let ``out`` replace any folder.
        progress: Told about the work.

    Returns:
        Where it is, and how far it agrees with the bundle.

    Raises:
        BundleError: The model cannot be loaded.
        ConfigError: An int8 encoder without ``data``.
        DataError: ``data`` cannot be used.
        ExportError: The model cannot be written in this format, or does not agree with what was written.
        RunError: ``out`` is something else than an export, or holds, or lies in, what is read.
        UnknownNameError: There is no such format or precision.
    """
    require_known("format", format, FORMATS)
    require_known("encoder precision", encoder_precision, PRECISIONS)
    folder = Path(out).resolve()
    _require_apart(folder, [model, *(given for given in (data, images, runtime) if given is not None)])
    _require_free(folder, overwrite)
    with progress.stage(f"exporting to {format}", 2, "steps") as stage:
        bundle = load_bundle(find_bundle(Path(model)))
        if not bundle.graphs:
            bundle = with_graphs(bundle)
        precision = EncoderPrecision()
        if encoder_precision == "int8":
            bundle, precision = with_int8_encoder(bundle, Path(model), data, images, progress)
        session = OnnxSession(bundle)
        with replacing_folder(folder) as temporary:
            if format == "web":
                write_web(bundle, session.input_size, _runtime(runtime), temporary)
                graphs = read_graphs(temporary)
            else:
                graphs = _write_onnx(bundle, session.input_size, temporary)
            stage.advance(1)
            difference = _compare(bundle, session, replace(bundle, graphs=graphs))
            sizes = {path.name: path.stat().st_size for path in sorted(temporary.iterdir())}
        stage.advance(1)
    return Exported(Path(out), sizes, difference, precision)


def _require_apart(folder: Path, inputs: Sequence[Any]) -> None:
    """Refuse to replace what is read, or a folder that holds it."""
    for given in inputs:
        if isinstance(given, str | Path):
            path = Path(given).resolve()
            if folder == path or folder in path.parents or (path.is_dir() and path in folder.parents):
                raise RunError(f"{folder}: holds {given}, or lies in it; choose another --out")


def _require_free(folder: Path, overwrite: bool) -> None:
    if folder.is_file():
        raise RunError(f"{folder}: a file; name a folder with --out")
    if overwrite or not folder.exists() or not any(folder.iterdir()):
        return
    if not _is_export(folder):
        raise RunError(
            f"{folder}: the folder holds something else than an export; choose another --out, or let it be "
            "replaced with --overwrite"
        )


def _is_export(folder: Path) -> bool:
    """Tell whether this recipe wrote all that is in a folder."""
    names = {path.name for path in folder.iterdir()}
    settings = folder / (SETTINGS if SETTINGS in names else PAGE_SETTINGS)
    own = {*GRAPHS, SETTINGS} if settings.name == SETTINGS else set(PAGE_FILES)
    return (
        settings.is_file() and names <= own and EXPORT in settings.read_text("utf-8", errors="replace")[:200]
    )


def _runtime(given: str | Path | None) -> Path:
    if given is not None:
        return Path(given)
    installed = Path("node_modules") / "onnxruntime-web"
    if installed.exists():
        return installed
    raise ExportError(
        "the page needs onnxruntime-web, a package of npm; get it with: npm pack onnxruntime-web, and name "
        "the file with --onnxruntime-web FILE"
    )


def _write_onnx(bundle: Bundle, input_size: tuple[int, int], folder: Path) -> dict[str, Path | bytes]:
    for name in GRAPHS:
        graph = bundle.graphs[name]
        if isinstance(graph, Path):
            shutil.copyfile(graph, folder / name)
        else:
            (folder / name).write_bytes(graph)
    write_json(folder / SETTINGS, page_settings(bundle, input_size))
    return {name: folder / name for name in GRAPHS}


def _compare(bundle: Bundle, session: OnnxSession, written: Bundle) -> float:
    """Let both read the same captions of made-up images; ExportError when they differ."""
    height, width = session.input_size
    images = np.random.default_rng(0).integers(0, 256, (_IMAGES, height, width, 3), dtype=np.uint8)
    options = bundle.decoding.model_copy(
        update={"consensus": 0, "temperature": 0.0, "beam_size": 2, "groups": 1}
    )
    parity = measure_parity(session, OnnxSession(written), [images], bundle.vocabulary, options)
    difference = parity.log_probability
    if not difference <= _LARGEST_DIFFERENCE:
        raise ExportError(
            f"what was written gives other log-probabilities than {bundle.folder}: they differ by up to "
            f"{difference:g}, allowed is {_LARGEST_DIFFERENCE:g}; nothing was kept"
        )
    return difference
