"""How each export is written, read back and compared.

TensorFlow is loaded here; :mod:`cutline.recipes.export` loads this module when all else is checked.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.data.feature_store import as_stored
from cutline.errors import ExportError
from cutline.exporting.litert import LITERT_FILES, LiteRtSession, write_litert
from cutline.exporting.parity import measure_parity
from cutline.exporting.saved_model import SAVED_MODEL_FILES, SavedCaptioner, write_saved_model
from cutline.exporting.web import (
    EXPORT,
    PAGE_FILES,
    PAGE_SETTINGS,
    page_settings,
    read_graphs,
    write_web,
)
from cutline.files import write_json
from cutline.models.sessions import KerasSession
from cutline.runtime import Bundle, Session
from cutline.runtime.bundle import GRAPHS
from cutline.runtime.onnx_session import OnnxSession
from cutline.writing import Writer

SETTINGS: Final = "settings.json"

_IMAGES: Final = 4
_LARGEST_DIFFERENCE: Final = 1e-3

Comparison = Callable[[], float]
"""Returns the largest difference of a log-probability; raises ExportError when it is too large."""

Write = Callable[[Bundle, Path, str | Path | None], Comparison]
"""Writes a bundle into a folder, and returns how to compare what is there with the bundle."""


def is_export(folder: Path) -> bool:
    """Tell whether exports wrote all that is in a folder."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    for settings, own in _OWN:
        if settings in files and files <= {settings, *own}:
            return EXPORT in (folder / settings).read_text("utf-8", errors="replace")[:200]
    return False


_OWN: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (SETTINGS, GRAPHS),
    (PAGE_SETTINGS, PAGE_FILES),
    (SETTINGS, SAVED_MODEL_FILES),
    (SETTINGS, LITERT_FILES),
)
"""For each format the file that names it an export, and the others."""


def _write_onnx_export(bundle: Bundle, folder: Path, _: str | Path | None) -> Comparison:
    session = OnnxSession(bundle)
    graphs = _write_onnx(bundle, session.input_size, folder)
    return lambda: _compare(bundle, session, OnnxSession(replace(bundle, graphs=graphs)))


def _write_onnx(bundle: Bundle, input_size: tuple[int, int], folder: Path) -> dict[str, Path | bytes]:
    for name in GRAPHS:
        graph = bundle.graphs[name]
        if isinstance(graph, Path):
            shutil.copyfile(graph, folder / name)
        else:
            (folder / name).write_bytes(graph)
    write_json(folder / SETTINGS, page_settings(bundle, input_size))
    return {name: folder / name for name in GRAPHS}


def _write_web_export(bundle: Bundle, folder: Path, runtime: str | Path | None) -> Comparison:
    session = OnnxSession(bundle)
    write_web(bundle, session.input_size, _runtime(runtime), folder)
    graphs = read_graphs(folder)
    return lambda: _compare(bundle, session, OnnxSession(replace(bundle, graphs=graphs)))


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


def _write_saved_model_export(bundle: Bundle, folder: Path, _: str | Path | None) -> Comparison:
    session = KerasSession(bundle)
    write_saved_model(bundle, session, folder)
    write_json(folder / SETTINGS, page_settings(bundle, session.input_size))
    return lambda: _compare_captions(bundle, session, SavedCaptioner(folder))


def _write_litert_export(bundle: Bundle, folder: Path, _: str | Path | None) -> Comparison:
    session = KerasSession(bundle)
    write_litert(session, folder)
    write_json(folder / SETTINGS, page_settings(bundle, session.input_size))
    return lambda: _compare(bundle, session, LiteRtSession(folder, session.encoder))


WRITERS: Final[Mapping[str, Write]] = {
    "onnx": _write_onnx_export,
    "web": _write_web_export,
    "saved_model": _write_saved_model_export,
    "litert": _write_litert_export,
}


def _compare(bundle: Bundle, session: Session, written: Session) -> float:
    """Let both caption made-up images, and read the same captions of them; ExportError when they differ."""
    options = bundle.decoding.model_copy(
        update={"consensus": 0, "temperature": 0.0, "beam_size": 2, "groups": 1}
    )
    parity = measure_parity(
        session, written, [_made_up_images(session.input_size)], bundle.vocabulary, options
    )
    captions = [(one, other) for _, one, other in parity.different]
    return _accepted(bundle, captions, parity.log_probability)


def _compare_captions(bundle: Bundle, session: Session, written: SavedCaptioner) -> float:
    """Let both caption made-up images greedily; ExportError when they differ."""
    images = _made_up_images(session.input_size)
    options = bundle.decoding.model_copy(
        update={"consensus": 0, "temperature": 0.0, "beam_size": 1, "groups": 1}
    )
    features = as_stored(session.encode(images)).astype(np.float32)
    own = [found[0] for found in Writer(session, bundle.vocabulary).write(features, options)]
    captions, logs = written.caption(images)
    pairs = zip((hypothesis.text for hypothesis in own), captions, strict=True)
    apart = np.abs(np.array([hypothesis.log_probability for hypothesis in own]) - logs)
    return _accepted(bundle, [(one, other) for one, other in pairs if one != other], float(apart.max()))


def _made_up_images(size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (_IMAGES, *size, 3), dtype=np.uint8)


def _accepted(bundle: Bundle, different: list[tuple[str, str]], difference: float) -> float:
    if not difference <= _LARGEST_DIFFERENCE:
        raise ExportError(
            f"what was written gives other log-probabilities than {bundle.folder}: they differ by up to "
            f"{difference:g}, allowed is {_LARGEST_DIFFERENCE:g}; nothing was kept"
        )
    if different:
        one, other = different[0]
        raise ExportError(
            f"what was written captions a made-up image as {other!r}, {bundle.folder} as {one!r}; nothing "
            "was kept"
        )
    return difference
