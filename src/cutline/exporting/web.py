"""A folder of static files that captions photos in a browser, with no server and no network.

The page runs the bundle's graphs in ONNX Runtime's WebAssembly build and searches with a script of its own,
the same search as in :mod:`cutline.decoding.beam`. A page opened from disk may read scripts and nothing
else: so graphs and runtime are written as scripts, in base64.
"""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from cutline.config import DecodingOptions
from cutline.errors import ExportError
from cutline.exporting.bundles import decoder_files
from cutline.files import DAMAGE
from cutline.runtime import Bundle
from cutline.runtime.bundle import DECODER_START, DECODER_STEP, ENCODER_GRAPH, PRECISION
from cutline.text.vocabulary import END_ID, START_ID
from cutline.wishes import NEVER_WRITTEN, filters_of

PAGE: Final = ("index.html", "page.js", "model.js", "search.js", "pixels.js")
RUNTIME_PACKAGE: Final = "onnxruntime-web"
_RUNTIME: Final = {
    "ort.js": "dist/ort.wasm.min.js",
    "ort.mjs": "dist/ort-wasm-simd-threaded.mjs",
    "ort.wasm": "dist/ort-wasm-simd-threaded.wasm",
}
_SCRIPT: Final = "ort.wasm.min.js"
PAGE_SETTINGS: Final = "settings.js"
PAGE_FILES: Final = (*PAGE, _SCRIPT, PAGE_SETTINGS, "files.js")
EXPORT: Final = "cutline export"
"""How the settings of an export name themselves."""


def write_web(bundle: Bundle, input_size: tuple[int, int], runtime: Path, folder: Path) -> None:
    """Write the page into a folder.

    Args:
        bundle: With graphs, and with the decoder's weights: its graphs are written once more, smaller. Its
            decoding options are the page's, without a consensus: the captions that would vote stay at home.
        input_size: (height, width) of the images that the encoder takes.
        runtime: The npm package ``onnxruntime-web``, as a folder or as the ``.tgz`` that ``npm pack`` gives.
        folder: There, and empty.

    Raises:
        ExportError: The runtime is not what it should be, or the bundle's options ask for what the page
            cannot do.
    """
    _require_plain(bundle.decoding)
    settings = page_settings(bundle, input_size)
    parts = read_runtime(runtime)
    content = {"ort.mjs": parts["ort.mjs"], "ort.wasm": parts["ort.wasm"], **small_graphs(bundle)}
    page = files("cutline.exporting") / "web_page"
    for name in PAGE:
        (folder / name).write_bytes((page / name).read_bytes())
    (folder / _SCRIPT).write_bytes(parts["ort.js"])
    _write_script(folder / PAGE_SETTINGS, "settings", settings)
    encoded = {name: base64.b64encode(data).decode("ascii") for name, data in content.items()}
    _write_script(folder / "files.js", "files", encoded)


def small_graphs(bundle: Bundle) -> dict[str, bytes]:
    """Return the graphs of a bundle without tables, under the names that they have in a bundle."""
    precision = bundle.details.get(PRECISION)
    int8 = isinstance(precision, Mapping) and precision.get("decoder") == "int8"
    decoder = decoder_files(
        bundle.decoder, bundle.decoder_arrays, bundle.feature_shape, largest_table=0, int8=int8
    )
    return {ENCODER_GRAPH: _content(bundle.graphs[ENCODER_GRAPH]), **decoder}


def read_graphs(folder: Path) -> dict[str, Path | bytes]:
    """Read the graphs back from a page that :func:`write_web` wrote."""
    text = (folder / "files.js").read_text(encoding="utf-8")
    encoded = json.loads(text.removeprefix(_script_head("files")).strip().removesuffix(";"))
    names = (ENCODER_GRAPH, DECODER_START, DECODER_STEP)
    return {name: base64.b64decode(encoded[name]) for name in names}


def page_settings(bundle: Bundle, input_size: tuple[int, int]) -> dict[str, Any]:
    """Return what the page, or another program, has to know of the model, as JSON values."""
    options, vocabulary = bundle.decoding, bundle.vocabulary
    return {
        "format": EXPORT,
        "tokens": list(vocabulary.tokens),
        "joint": " " if vocabulary.tokenizer.level == "word" else "",
        "input_size": {"height": input_size[0], "width": input_size[1]},
        "decoding": {
            "beam_size": options.beam_size,
            "length_penalty": options.length_penalty,
            "max_length": options.max_length,
            "min_length": options.min_length,
            "no_repeat_ngram": options.no_repeat_ngram,
            "end_words": list(filters_of(options, vocabulary).end_words),
            "never": list(NEVER_WRITTEN),
            "start_id": START_ID,
            "end_id": END_ID,
        },
    }


def read_runtime(package: Path) -> dict[str, bytes]:
    """Return the files of ONNX Runtime's WebAssembly build that a page needs.

    Args:
        package: The npm package, as a folder or a ``.tgz``.

    Raises:
        ExportError: It is neither, or files are missing in it.
    """
    hint = f"get it with: npm pack {RUNTIME_PACKAGE}"
    if not package.exists():
        raise ExportError(f"{package}: no such file or folder; it should be {RUNTIME_PACKAGE}: {hint}")
    try:
        found = _unpacked(package) if package.is_file() else _of_folder(package)
    except (*DAMAGE, tarfile.TarError) as error:
        raise ExportError(f"{package}: cannot be read ({error}); {hint}") from error
    missing = [_RUNTIME[name] for name in _RUNTIME if name not in found]
    if missing:
        raise ExportError(f"{package}: holds no {missing[0]}, so it is not {RUNTIME_PACKAGE}; {hint}")
    return found


def _of_folder(package: Path) -> dict[str, bytes]:
    return {
        name: (package / path).read_bytes() for name, path in _RUNTIME.items() if (package / path).is_file()
    }


def _unpacked(package: Path) -> dict[str, bytes]:
    """Read members by name: nothing is written, so no path in the archive can lead anywhere."""
    names = {f"package/{path}": name for name, path in _RUNTIME.items()}
    found = {}
    with tarfile.open(package, "r:*") as archive:
        for member in archive:
            if member.name in names and (stream := archive.extractfile(member)) is not None:
                found[names[member.name]] = stream.read()
    return found


def _require_plain(options: DecodingOptions) -> None:
    for name, value, plain in (("groups", options.groups, 1), ("temperature", options.temperature, 0.0)):
        if value != plain:
            raise ExportError(
                f"decoding.{name} is {value}, which the page cannot do; export a model with {name} {plain:g}"
            )


def _content(graph: Path | bytes) -> bytes:
    return graph if isinstance(graph, bytes) else graph.read_bytes()


def _write_script(path: Path, name: str, value: Mapping[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    path.write_text(f"{_script_head(name)}{text};\n", encoding="utf-8")


def _script_head(name: str) -> str:
    return f"(window.cutline ||= {{}}).{name} = "
