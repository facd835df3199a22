"""Writing bundles: as a folder or as one zip file, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from cutline.files import replacing, replacing_folder, write_json, write_text
from cutline.runtime.arrays import save_arrays
from cutline.runtime.bundle import Bundle, load_bundle
from cutline.runtime.bundle_files import CHECKSUM, MANIFEST, checksum_of, is_zip, sha256_of, write_zip
from cutline.runtime.card import card_of
from cutline.runtime.confidence import save_confidence
from cutline.runtime.domain import save_domain
from cutline.runtime.expected_ngrams import save_expected
from cutline.runtime.manifest import CARD, DECODER, ENCODER, FORMAT, FORMAT_VERSION, VOCABULARY
from cutline.runtime.neighbours import save_neighbours


def save_bundle(
    bundle: Bundle, place: Path, encoder_file: Path | None = None, decoder_file: Path | None = None
) -> None:
    """Write a bundle atomically, replacing the one that is there.

    Equal bundles give equal files, in a zip file byte by byte as long as zlib is the same.

    Args:
        bundle: What to write. Graphs that are files are linked. Weights are left out when there are graphs,
            and neither arrays nor files of weights; those of the encoder when the bundle says so.
        place: The bundle's folder, or a file whose name ends in ``.zip``.
        encoder_file: A file written by :func:`save_encoder` with the same weights: it is linked instead of
            written again, since the encoder stays the same while the decoder is trained.
        decoder_file: The same for the decoder's weights.
    """
    if not is_zip(place):
        with replacing_folder(place) as target:
            write_files(bundle, target, encoder_file, decoder_file)
        return
    with replacing(place, "wb") as stream:
        write_zipped(bundle, stream, place.parent, encoder_file, decoder_file)


def write_zipped(
    bundle: Bundle,
    stream: IO[bytes],
    folder: Path,
    encoder_file: Path | None = None,
    decoder_file: Path | None = None,
) -> None:
    """Write a bundle as one zip file; ``folder`` has room for it meanwhile. See :func:`save_bundle`."""
    # The system's own folder for such files may lie in memory.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".partial") as scratch:
        write_files(bundle, Path(scratch), encoder_file, decoder_file)
        write_zip(Path(scratch), stream)


def write_files(
    bundle: Bundle, target: Path, encoder_file: Path | None = None, decoder_file: Path | None = None
) -> None:
    """Write the files of a bundle into a folder that is there, and empty; see :func:`save_bundle`."""
    if bundle.decoder_arrays or decoder_file is not None or not bundle.graphs:
        if bundle.encoder_weights:
            _write_weights(target / ENCODER, bundle.encoder_arrays, encoder_file)
        _write_weights(target / DECODER, bundle.decoder_arrays, decoder_file)
    for name, graph in bundle.graphs.items():
        if isinstance(graph, Path):
            link_or_copy(graph, target / name)
        else:
            (target / name).write_bytes(graph)
    bundle.vocabulary.save(target / VOCABULARY)
    if bundle.confidence is not None:
        save_confidence(bundle.confidence, target)
    if bundle.domain is not None:
        save_domain(bundle.domain, target)
    if bundle.neighbours is not None:
        save_neighbours(bundle.neighbours, target)
    if bundle.expected is not None:
        save_expected(bundle.expected, target)
    write_text(target / CARD, card_of(bundle))
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "encoder": dict(bundle.encoder_spec),
        "decoder": bundle.decoder.model_dump(),
        "feature_shape": list(bundle.feature_shape),
        "decoding": bundle.decoding.model_dump(),
        "licence": bundle.licence,
        "data_notes": bundle.data_notes,
        **bundle.details,
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for path in sorted(target.iterdir())
        },
    }
    write_json(target / MANIFEST, manifest)
    write_text(target / CHECKSUM, checksum_of((target / MANIFEST).read_bytes()))


def update_bundle(bundle: Bundle, place: Path) -> None:
    """Replace the bundle at a place by one with the same weights; those of a folder are not written again."""
    if is_zip(place):
        whole = load_bundle(place)
        encoder_arrays, decoder_arrays = whole.encoder_arrays, whole.decoder_arrays
        save_bundle(replace(bundle, encoder_arrays=encoder_arrays, decoder_arrays=decoder_arrays), place)
        return
    # Linked from the bundle itself: a run's first encoder may have been fine-tuned since.
    encoder, decoder = (file if file.exists() else None for file in (place / ENCODER, place / DECODER))
    save_bundle(bundle, place, encoder, decoder)


def save_encoder(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write encoder weights once, to be linked into every bundle of a run."""
    save_arrays(path, arrays)


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file under a second name, without taking its room twice where the disk knows how."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write_weights(path: Path, arrays: Mapping[str, NDArray[Any]], file: Path | None) -> None:
    if file is None:
        save_arrays(path, arrays)
    else:
        link_or_copy(file, path)
