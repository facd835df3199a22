"""The bundle: one folder, or one zip file, that captions, with nothing else needed but cutline.

    manifest.json     format version, encoder, decoder, decoding defaults, scores, sizes and SHA-256 of files
    manifest.sha256   SHA-256 of the manifest
    card.md           what it is, for people
    vocabulary.json   tokenisation rules and tokens
    encoder.npz       encoder weights
    decoder.npz       decoder weights; where there are graphs the encoder's or both may be absent
    encoder.onnx, decoder_start.onnx, decoder_step.onnx
                      the same networks as graphs, to caption without Keras; all three are absent where the
                      encoder could not be written as one
    confidence.json   how sure the model is of a caption, with arrays in confidence.npz; both may be absent
    domain.json       what tells images unlike the training images, with arrays in domain.npz; likewise
    neighbours.json   captions of training images, with arrays in neighbours.npz; both may be absent
    ngrams.npz        what people would write about an image, n-gram by n-gram; may be absent

Graphs are run by ONNX Runtime. Weights are for training on, and for captioning where there are no graphs: the
network is then rebuilt from cutline's own code, and nothing that is read from a bundle is executed. The one
exception is an encoder that a user brought as a ``.keras`` file, which Keras loads in its safe mode.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from cutline.config import DecoderOptions, DecodingOptions, validate
from cutline.errors import BundleError, ConfigError
from cutline.files import recover_folder
from cutline.runtime.arrays import load_arrays
from cutline.runtime.bundle_files import MANIFEST, ZIP, BundleFiles, FolderFiles, not_a_zip, zip_files
from cutline.runtime.confidence import CONFIDENCE, Confidence, load_confidence
from cutline.runtime.domain import DOMAIN, TrainingDomain, load_domain
from cutline.runtime.expected_ngrams import NGRAMS, ExpectedNgrams, load_expected
from cutline.runtime.manifest import (
    DECODER_START,
    DECODER_STEP,
    ENCODER,
    ENCODER_GRAPH,
    GRAPHS,
    VOCABULARY,
    WEIGHTS,
    check_files,
    manifest_of,
    require_list,
)
from cutline.runtime.neighbours import NEIGHBOURS, Neighbours, load_neighbours
from cutline.runtime.released import released_names, released_path
from cutline.text import Vocabulary

__all__ = [
    "DECODER_START",
    "DECODER_STEP",
    "ENCODER_GRAPH",
    "GRAPHS",
    "MANIFEST",
    "Bundle",
    "find_bundle",
    "fingerprint_of",
    "is_current",
    "load_bundle",
    "read_manifest",
    "require_weights",
]

PRECISION: Final = "precision"
"""Key of a bundle's details: what its networks compute with, and what that costs."""

STARTED_FROM: Final = "started_from"
"""Key of a bundle's details: the model that its training started from."""

_TRIES: Final = 3


@dataclass(frozen=True)
class Bundle:
    """Everything that captions, in memory.

    Attributes:
        encoder_spec: JSON-able description from which the encoder is rebuilt.
        encoder_arrays: Its weights by name; empty when they were not to be loaded, or left out of the bundle.
        decoder: Name and widths of the decoder.
        decoder_arrays: Its weights by name; likewise.
        feature_shape: (D,) pooled or (R, D) grid.
        vocabulary: Tokens and tokenisation rules.
        decoding: Defaults for captioning.
        confidence: Turns signals of a caption into the probability that it is acceptable; None when that was
            not fitted, as for small val splits.
        domain: Tells images unlike the training images; None when that was not fitted, likewise.
        neighbours: Training images with their captions, to be found by likeness; None where they were not to
            be kept.
        expected: What n-grams people would use of an image; None where that was not learned.
        graphs: Content of each graph, or its file in the folder; empty where the network has none.
        licence: Under what it may be used, in words; ``""`` where nobody said so.
        data_notes: Where the training data come from and what to know of them; likewise.
        stamp: Of the manifest that it was loaded with, ``""`` before it is saved; see :func:`is_current`.
        details: Scores, fingerprints, package versions: shown to people, not needed to caption.
        folder: The folder or zip file it was loaded from, ``""`` before it is saved.
        encoder_weights: Whether it has, or is to have, weights of its encoder; False where a graph is all
            that there is of it.
    """

    encoder_spec: Mapping[str, Any]
    encoder_arrays: Mapping[str, NDArray[Any]]
    decoder: DecoderOptions
    decoder_arrays: Mapping[str, NDArray[Any]]
    feature_shape: tuple[int, ...]
    vocabulary: Vocabulary
    decoding: DecodingOptions
    confidence: Confidence | None = None
    domain: TrainingDomain | None = None
    neighbours: Neighbours | None = None
    expected: ExpectedNgrams | None = None
    graphs: Mapping[str, Path | bytes] = field(default_factory=dict)
    licence: str = ""
    data_notes: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""
    stamp: str = ""
    encoder_weights: bool = True

    @property
    def vocabulary_size(self) -> int:
        """V, markers included."""
        return len(self.vocabulary)

    @property
    def has_voters(self) -> bool:
        """Whether it carries what a consensus chooses by."""
        return self.neighbours is not None or self.expected is not None


def load_bundle(place: Path, weights: bool = True) -> Bundle:
    """Read a bundle after checking every file against the manifest.

    A training may replace a folder meanwhile: then it is read again, so that all of what is returned belongs
    together. Files that file managers leave behind (hidden ones, ``Thumbs.db``) are ignored.

    Args:
        place: The folder or zip file.
        weights: Load arrays, too, where there are graphs that do without; captioning does not need them.

    Raises:
        BundleError: The place holds no bundle; a file is missing, damaged, or not named in the manifest; the
            format version is not known; the bundle was replaced each time it was read.
    """
    if place.is_file():
        with zip_files(place) as packed:
            found = _load_or_refuse(packed, weights)
        if isinstance(found, BundleError):
            raise found
        return found
    for _ in range(_TRIES):
        before = _manifest_bytes(place)
        found = _load_or_refuse(FolderFiles(place), weights)
        # Both a refusal and a success may come from files of two bundles when the manifest has changed.
        if _manifest_bytes(place) != before:
            continue
        if isinstance(found, BundleError):
            raise found
        return replace(found, stamp=_stamp(before))
    raise BundleError(f"{place}: was replaced each of the {_TRIES} times it was read; try again")


def is_current(bundle: Bundle) -> bool:
    """Tell whether the folder of a loaded bundle holds it still: graphs are opened after the check.

    Those of a zip file are in memory.
    """
    return not bundle.stamp or _stamp(_manifest_bytes(Path(bundle.folder))) == bundle.stamp


def require_weights(bundle: Bundle, encoder: bool = True) -> Bundle:
    """Return a bundle that was loaded with its weights; raise BundleError where it has graphs alone.

    Args:
        bundle: Loaded.
        encoder: Whether the encoder's weights are needed, too, or only the decoder's.
    """
    if encoder and bundle.decoder_arrays and not bundle.encoder_weights:
        raise BundleError(
            f"{bundle.folder or 'the bundle'}: has its encoder as a graph, without weights: Keras, and "
            "exports for TensorFlow and LiteRT, cannot compute with it; take the model that it was made from"
        )
    if bundle.graphs and not bundle.decoder_arrays:
        raise BundleError(
            f"{bundle.folder or 'the bundle'}: has graphs and no weights: it captions and does nothing "
            "else; for training, Keras and other exports take the model that it was made from"
        )
    return bundle


def find_bundle(model: Path) -> Path:
    """Return the bundle of a MODEL: a bundle itself, folder or zip file, or a run folder that holds one.

    Where nothing lies under that path, MODEL may be the name of a model that comes with cutline.

    Raises:
        BundleError: There is no such folder, zip file or name, or no bundle in it.
    """
    if model.is_file() and (zipfile.is_zipfile(model) or model.suffix.lower() == ZIP):
        if not zipfile.is_zipfile(model):
            raise not_a_zip(model)
        return model
    for folder in (model, model / "bundle"):
        for _ in range(_TRIES):  # a training may be between the two renames that replace the bundle
            recover_folder(folder)
            if (folder / MANIFEST).exists():
                return folder
    if not model.exists():
        released = released_path(str(model))
        if released is not None:
            return released
        names = ", ".join(released_names()) or "none"
        raise BundleError(
            f"{model}: no such model; expected a run folder, a bundle, or a name that cutline models lists "
            f"({names})"
        )
    if (model / "config.toml").exists():
        raise BundleError(f"{model}: no epoch of this run was finished; train it with --resume")
    raise BundleError(f"{model}: neither a run folder nor a bundle (no {MANIFEST}); pass the folder of --run")


def read_manifest(place: Path) -> dict[str, Any]:
    """Return the manifest of a bundle without looking at the other files.

    Raises:
        BundleError: It is missing or damaged, or of a format version that is not known.
    """
    if place.is_file():
        with zip_files(place) as packed:
            return manifest_of(packed)
    return manifest_of(FolderFiles(place))


def fingerprint_of(place: Path) -> str:
    """Return the SHA-256 of a bundle's manifest: equal bundles, and no others, have equal ones.

    Raises:
        BundleError: The manifest is missing.
    """
    if place.is_file():
        with zip_files(place) as packed:
            manifest_of(packed)
            return _stamp(packed.read(MANIFEST))
    manifest_of(FolderFiles(place))
    return _stamp(_manifest_bytes(place))


def _stamp(manifest: bytes | None) -> str:
    return hashlib.sha256(manifest or b"").hexdigest()


def _manifest_bytes(folder: Path) -> bytes | None:
    recover_folder(folder)
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError:
        return None


def _load_or_refuse(files: BundleFiles, weights: bool) -> Bundle | BundleError:
    try:
        return _load(files, weights)
    except BundleError as error:
        return error
    except OSError as error:
        return BundleError(f"{files.place}: cannot be read ({error}); copy the bundle again")


def _load(files: BundleFiles, weights: bool) -> Bundle:
    manifest = manifest_of(files)
    path = files.named(MANIFEST)
    listed = require_list(path, manifest)
    weights = weights or ENCODER_GRAPH not in listed
    check_files(files, listed, () if weights else WEIGHTS)
    encoder, decoder = (load_arrays(files / n) if weights and n in listed else {} for n in WEIGHTS)
    if not isinstance(manifest.get("encoder", {}), dict):
        raise BundleError(f"{path}: 'encoder' is no description; copy the bundle again")
    known = {"format", "format_version", "encoder", "decoder", "feature_shape", "decoding", "files"}
    known |= {"licence", "data_notes"}
    try:
        shape = _feature_shape(manifest["feature_shape"])
        return Bundle(
            encoder_spec=manifest["encoder"],
            encoder_arrays=encoder,
            decoder=validate(DecoderOptions, manifest["decoder"]),
            decoder_arrays=decoder,
            feature_shape=shape,
            vocabulary=Vocabulary.load(files / VOCABULARY),
            decoding=validate(DecodingOptions, manifest["decoding"]),
            confidence=load_confidence(files, shape[-1]) if CONFIDENCE in listed else None,
            domain=load_domain(files, shape[-1]) if DOMAIN in listed else None,
            neighbours=load_neighbours(files, shape[-1]) if NEIGHBOURS in listed else None,
            expected=load_expected(files, shape[-1]) if NGRAMS in listed else None,
            graphs=_graphs(files, listed),
            licence=_text(manifest, "licence"),
            data_notes=_text(manifest, "data_notes"),
            details={key: value for key, value in manifest.items() if key not in known},
            folder=str(files.place),
            encoder_weights=ENCODER in listed,
        )
    except KeyError as error:
        raise BundleError(f"{path}: has no {error}; copy the bundle again") from None
    except (ConfigError, ValueError) as error:
        raise BundleError(f"{path}: {error}") from None


def _graphs(files: BundleFiles, listed: Mapping[str, Any]) -> dict[str, Path | bytes]:
    found = {name: files / name for name in GRAPHS if name in listed}
    return {name: graph if isinstance(graph, Path) else graph.content for name, graph in found.items()}


def _feature_shape(value: object) -> tuple[int, ...]:
    if isinstance(value, list) and len(value) in (1, 2) and all(type(n) is int and n > 0 for n in value):
        return tuple(value)
    raise ValueError(f"feature_shape is {value!r}, expected [D] or [R, D]; copy the bundle again")


def _text(manifest: Mapping[str, Any], key: str) -> str:
    value = manifest.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{key} is {value!r}, expected text; copy the bundle again")
    return value
