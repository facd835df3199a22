"""The bundle: one folder that captions, with nothing else needed but cutline.

    manifest.json     format version, encoder, decoder, decoding defaults, scores, sizes and SHA-256 of files
    vocabulary.json   tokenisation rules and tokens
    encoder.npz       encoder weights
    decoder.npz       decoder weights
    encoder.onnx, decoder_start.onnx, decoder_step.onnx
                      the same networks as graphs, to caption without Keras; all three are absent where the
                      encoder could not be written as one
    confidence.json   how sure the model is of a caption, with arrays in confidence.npz; both may be absent
    neighbours.json   captions of training images, with arrays in neighbours.npz; both may be absent

Graphs are run by ONNX Runtime. Weights are for training on, and for captioning where there are no graphs: the
network is then rebuilt from cutline's own code, and nothing that is read from a bundle is executed. The one
exception is an encoder that a user brought as a ``.keras`` file, which Keras loads in its safe mode.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from cutline.config import DecoderOptions, DecodingOptions, validate
from cutline.errors import BundleError, ConfigError
from cutline.files import recover_folder, replacing_folder, write_json
from cutline.runtime.arrays import load_arrays, save_arrays
from cutline.runtime.confidence import CONFIDENCE, Confidence, load_confidence, save_confidence
from cutline.runtime.neighbours import NEIGHBOURS, Neighbours, load_neighbours, save_neighbours
from cutline.text import Vocabulary

FORMAT_VERSION: Final = 2
READ_VERSIONS: Final = (1, 2)
"""Version 1 has no graphs."""

MANIFEST: Final = "manifest.json"
VOCABULARY: Final = "vocabulary.json"
ENCODER: Final = "encoder.npz"
DECODER: Final = "decoder.npz"
ENCODER_GRAPH: Final = "encoder.onnx"
DECODER_START: Final = "decoder_start.onnx"
DECODER_STEP: Final = "decoder_step.onnx"
GRAPHS: Final = (ENCODER_GRAPH, DECODER_START, DECODER_STEP)
_TRIES: Final = 3


@dataclass(frozen=True)
class Bundle:
    """Everything that captions, in memory.

    Attributes:
        encoder_spec: JSON-able description from which the encoder is rebuilt.
        encoder_arrays: Its weights by name; empty when they were not to be loaded.
        decoder: Name and widths of the decoder.
        decoder_arrays: Its weights by name; empty when they were not to be loaded.
        feature_shape: (D,) pooled or (R, D) grid.
        vocabulary: Tokens and tokenisation rules.
        decoding: Defaults for captioning.
        confidence: Turns signals of a caption into the probability that it is acceptable; None when that was
            not fitted, as for small val splits.
        neighbours: Training images with their captions, to be found by likeness; None where they were not to
            be kept.
        graphs: Content of each graph, or its file in the folder; empty where the network has none.
        stamp: Of the manifest that it was loaded with, ``""`` before it is saved; see :func:`is_current`.
        details: Scores, fingerprints, package versions: shown to people, not needed to caption.
        folder: Where it was loaded from, ``""`` before it is saved.
    """

    encoder_spec: Mapping[str, Any]
    encoder_arrays: Mapping[str, NDArray[Any]]
    decoder: DecoderOptions
    decoder_arrays: Mapping[str, NDArray[Any]]
    feature_shape: tuple[int, ...]
    vocabulary: Vocabulary
    decoding: DecodingOptions
    confidence: Confidence | None = None
    neighbours: Neighbours | None = None
    graphs: Mapping[str, Path | bytes] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""
    stamp: str = ""

    @property
    def vocabulary_size(self) -> int:
        """V, markers included."""
        return len(self.vocabulary)


def save_bundle(
    bundle: Bundle, folder: Path, encoder_file: Path | None = None, decoder_file: Path | None = None
) -> None:
    """Write a bundle atomically, replacing the one that is there.

    Args:
        bundle: What to write. Graphs that are files are linked.
        folder: The bundle's folder.
        encoder_file: A file written by :func:`save_encoder` with the same weights: it is linked instead of
            written again, since the encoder stays the same while the decoder is trained.
        decoder_file: The same for the decoder's weights.
    """
    with replacing_folder(folder) as target:
        for name, arrays, file in (
            (ENCODER, bundle.encoder_arrays, encoder_file),
            (DECODER, bundle.decoder_arrays, decoder_file),
        ):
            if file is None:
                save_arrays(target / name, arrays)
            else:
                link_or_copy(file, target / name)
        for name, graph in bundle.graphs.items():
            if isinstance(graph, Path):
                link_or_copy(graph, target / name)
            else:
                (target / name).write_bytes(graph)
        bundle.vocabulary.save(target / VOCABULARY)
        if bundle.confidence is not None:
            save_confidence(bundle.confidence, target)
        if bundle.neighbours is not None:
            save_neighbours(bundle.neighbours, target)
        manifest = {
            "format": "cutline bundle",
            "format_version": FORMAT_VERSION,
            "encoder": dict(bundle.encoder_spec),
            "decoder": bundle.decoder.model_dump(),
            "feature_shape": list(bundle.feature_shape),
            "decoding": bundle.decoding.model_dump(),
            **bundle.details,
            "files": {
                path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
                for path in sorted(target.iterdir())
            },
        }
        write_json(target / MANIFEST, manifest)


def update_bundle(bundle: Bundle, folder: Path) -> None:
    """Replace the bundle in a folder by one with the same weights, whose files are not written again."""
    # Linked from the bundle itself: a run's first encoder may have been fine-tuned since.
    save_bundle(bundle, folder, folder / ENCODER, folder / DECODER)


def save_encoder(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write encoder weights once, to be linked into every bundle of a run."""
    save_arrays(path, arrays)


def load_bundle(folder: Path, weights: bool = True) -> Bundle:
    """Read a bundle after checking every file against the manifest.

    A training may replace the bundle meanwhile: then it is read again, so that all of what is returned
    belongs together. Files that file managers leave behind (hidden ones, ``Thumbs.db``) are ignored.

    Args:
        folder: The bundle.
        weights: Load arrays, too, where there are graphs that do without; captioning does not need them.

    Raises:
        BundleError: The folder is no bundle; a file is missing, damaged, or not named in the manifest; the
            format version is not known; the bundle was replaced each time it was read.
    """
    for _ in range(_TRIES):
        before = _manifest_bytes(folder)
        found = _load_or_refuse(folder, weights)
        # Both a refusal and a success may come from files of two bundles when the manifest has changed.
        if _manifest_bytes(folder) != before:
            continue
        if isinstance(found, BundleError):
            raise found
        return replace(found, stamp=_stamp(before))
    raise BundleError(f"{folder}: was replaced each of the {_TRIES} times it was read; try again")


def is_current(bundle: Bundle) -> bool:
    """Tell whether the folder of a loaded bundle holds it still: graphs are opened after the check."""
    return not bundle.stamp or _stamp(_manifest_bytes(Path(bundle.folder))) == bundle.stamp


def _stamp(manifest: bytes | None) -> str:
    return hashlib.sha256(manifest or b"").hexdigest()


def _manifest_bytes(folder: Path) -> bytes | None:
    recover_folder(folder)
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError:
        return None


def _load_or_refuse(folder: Path, weights: bool) -> Bundle | BundleError:
    try:
        return _load(folder, weights)
    except BundleError as error:
        return error
    except OSError as error:
        return BundleError(f"{folder}: cannot be read ({error}); copy the bundle again")


def _load(folder: Path, weights: bool) -> Bundle:
    manifest = _read_manifest(folder)
    _check_files(folder, manifest)
    graphs = {name: folder / name for name in GRAPHS if name in manifest["files"]}
    weights = weights or not graphs
    if not isinstance(manifest.get("encoder", {}), dict):
        raise BundleError(f"{folder / MANIFEST}: 'encoder' is no description; copy the bundle again")
    known = {"format", "format_version", "encoder", "decoder", "feature_shape", "decoding", "files"}
    try:
        shape = _feature_shape(manifest["feature_shape"])
        return Bundle(
            encoder_spec=manifest["encoder"],
            encoder_arrays=load_arrays(folder / ENCODER) if weights else {},
            decoder=validate(DecoderOptions, manifest["decoder"]),
            decoder_arrays=load_arrays(folder / DECODER) if weights else {},
            feature_shape=shape,
            vocabulary=Vocabulary.load(folder / VOCABULARY),
            decoding=validate(DecodingOptions, manifest["decoding"]),
            confidence=load_confidence(folder, shape[-1]) if CONFIDENCE in manifest["files"] else None,
            neighbours=load_neighbours(folder, shape[-1]) if NEIGHBOURS in manifest["files"] else None,
            graphs=graphs,
            details={key: value for key, value in manifest.items() if key not in known},
            folder=str(folder),
        )
    except KeyError as error:
        raise BundleError(f"{folder / MANIFEST}: has no {error}; copy the bundle again") from None
    except (ConfigError, ValueError) as error:
        raise BundleError(f"{folder / MANIFEST}: {error}") from None


def find_bundle(model: Path) -> Path:
    """Return the bundle folder of a MODEL: a bundle itself, or a run folder that holds one.

    Raises:
        BundleError: There is no such folder, or no bundle in it.
    """
    for folder in (model, model / "bundle"):
        for _ in range(_TRIES):  # a training may be between the two renames that replace the bundle
            recover_folder(folder)
            if (folder / MANIFEST).exists():
                return folder
    if not model.exists():
        raise BundleError(f"{model}: no such model; expected a run folder or a bundle")
    if (model / "config.toml").exists():
        raise BundleError(f"{model}: no epoch of this run was finished; train it with --resume")
    raise BundleError(f"{model}: neither a run folder nor a bundle (no {MANIFEST}); pass the folder of --run")


def _feature_shape(value: object) -> tuple[int, ...]:
    if isinstance(value, list) and len(value) in (1, 2) and all(type(n) is int and n > 0 for n in value):
        return tuple(value)
    raise ValueError(f"feature_shape is {value!r}, expected [D] or [R, D]; copy the bundle again")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{folder}: not a bundle: {MANIFEST} is missing") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read ({error}); copy the bundle again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != "cutline bundle":
        raise BundleError(f"{path}: not the manifest of a cutline bundle")
    version = manifest.get("format_version")
    if version not in READ_VERSIONS:
        readable = " and ".join(map(str, READ_VERSIONS))
        raise BundleError(
            f"{path}: bundle format version {version!r}, this cutline reads {readable}; "
            f"use the cutline that wrote it ({manifest.get('cutline', 'unknown version')})"
        )
    return manifest


def _check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    listed = manifest.get("files")
    known = isinstance(listed, dict) and all(isinstance(facts, dict) for facts in listed.values())
    if not isinstance(listed, dict) or not known or not {ENCODER, DECODER, VOCABULARY} <= set(listed):
        raise BundleError(f"{folder / MANIFEST}: does not list the bundle's files; copy the bundle again")
    if set(GRAPHS) & set(listed) not in (set(), set(GRAPHS)):
        raise BundleError(f"{folder / MANIFEST}: lists some graphs, not all; copy the bundle again")
    for name, facts in listed.items():
        path = folder / name
        if Path(name).name != name or name in ("", ".."):
            raise BundleError(f"{folder / MANIFEST}: refused the file name {name!r}: it leaves the bundle")
        if not path.is_file():
            raise BundleError(f"{folder}: the bundle is incomplete: {name} is missing; copy the bundle again")
        if path.stat().st_size != facts.get("bytes") or _sha256(path) != facts.get("sha256"):
            raise BundleError(f"{path}: damaged: it differs from the manifest; copy the bundle again")
    extra = sorted({path.name for path in folder.iterdir()} - set(listed) - {MANIFEST})
    # File managers leave such files in every folder that is looked at.
    extra = [name for name in extra if not name.startswith(".") and name != "Thumbs.db"]
    if extra:
        raise BundleError(f"{folder}: {extra[0]} does not belong to the bundle; remove it")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file under a second name, without taking its room twice where the disk knows how."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
