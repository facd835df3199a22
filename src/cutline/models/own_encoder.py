"""Somebody's own network as an encoder: a ``.keras`` file.

Such a file can do more than hold a network: it can name code to run and files to read, and unpack to far more
than its size. Its description is checked before Keras sees it; then Keras loads it in safe mode.
"""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import keras

from cutline.errors import WeightsError
from cutline.models.keras_applications import first_line, load_file

_MODULES: Final = frozenset((
    "activations", "constraints", "dtype_policies", "initializers", "layers", "losses", "metrics",
    "models", "ops", "optimizers", "quantizers", "regularizers",
))  # fmt: skip
# Layers that run code from the file, or that read files it names.
_FORBIDDEN_CLASSES: Final = frozenset((
    "Lambda", "__lambda__", "function", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer",
    "StringLookup", "IntegerLookup", "TextVectorization", "Hashing",
))  # fmt: skip
_ADVICE: Final = "save a network made of plain keras layers"


def load_network(path: Path, weights: Path | None = None) -> tuple[Any, dict[str, Any]]:
    """Load a ``.keras`` file.

    Args:
        path: A network from one image (H, W, 3), pixels 0..255, to features (B, D) or a map (B, h, w, D);
            preprocessing is its own affair.
        weights: A ``.h5`` or ``.weights.h5`` file whose weights take the place of the network's, or None.

    Returns:
        The network taking uint8 images, and its configuration for :func:`rebuild_network`.

    Raises:
        WeightsError: The file is missing, damaged, unsafe, or has other inputs or outputs.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such encoder file; expected a network saved by keras as .keras")
    _check(_read_description(path), str(path))
    try:
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(network)))
    except Exception as error:
        raise WeightsError(f"{path}: cannot load this encoder file: {first_line(error)}") from None
    config.pop("compile_config", None)
    if weights is not None:
        load_file(network, weights, path.name)
    return _take_bytes(network, str(path)), config


def rebuild_network(config: Mapping[str, Any], where: str) -> Any:
    """Rebuild a network, without its weights, from the configuration that :func:`load_network` returned.

    Raises:
        WeightsError: The configuration is damaged or unsafe; the message starts with ``where``.
    """
    _check(config, where)
    try:
        network = keras.saving.deserialize_keras_object(copy.deepcopy(dict(config)), safe_mode=True)
    except Exception as error:
        raise WeightsError(f"{where}: cannot rebuild the encoder: {first_line(error)}") from None
    return _take_bytes(network, where)


def _read_description(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            # Weights hardly compress: what unpacks to many times its size is a bomb, not a network.
            if unpacked > 20 * path.stat().st_size + 2**20:
                raise WeightsError(f"{path}: refused: it would unpack to {unpacked} bytes")
            description = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, RuntimeError) as error:
        raise WeightsError(f"{path}: not a readable .keras file: {first_line(error)}") from None
    if not isinstance(description, dict):
        raise WeightsError(f"{path}: not a readable .keras file: its config.json holds no network")
    description.pop("compile_config", None)
    return description


def _check(config: Mapping[str, Any], where: str) -> None:
    for part in _parts(config):
        name, module = part.get("class_name"), part.get("module")
        if name in _FORBIDDEN_CLASSES:
            raise WeightsError(f"{where}: forbidden {name}, which could run code or read files; {_ADVICE}")
        if isinstance(module, str) and not _is_of_keras(module):
            raise WeightsError(f"{where}: forbidden {module}.{name}, which is not part of keras; {_ADVICE}")


def _is_of_keras(module: str) -> bool:
    room = module.removeprefix("keras.src.").removeprefix("keras.").partition(".")[0]
    return module == "keras" or (module.startswith("keras.") and room in _MODULES)


def _parts(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping inside ``value``, without recursion: a hostile file may nest without end."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            yield item
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)


def _take_bytes(network: Any, where: str) -> Any:
    inputs, outputs = getattr(network, "inputs", None) or [], getattr(network, "outputs", None) or []
    shapes = [tuple(tensor.shape) for tensor in (*inputs, *outputs)]
    found = ", ".join(map(str, shapes)) or "nothing"
    allowed = "one input (None, H, W, 3) and one output (None, D) or (None, h, w, D)"
    expected = f"{where}: expected {allowed}, found {found}"
    if len(inputs) != 1 or len(outputs) != 1:
        raise WeightsError(expected)
    taken, given = shapes
    if len(taken) != 4 or taken[3] != 3 or len(given) not in (2, 4) or None in (*taken[1:], *given[1:]):
        raise WeightsError(expected)
    image = keras.Input(taken[1:], dtype="uint8", name="image")
    features = network(keras.ops.cast(image, inputs[0].dtype))
    return keras.Model(image, keras.ops.cast(features, "float32"), name="own_encoder")
