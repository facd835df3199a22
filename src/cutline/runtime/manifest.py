"""The manifest of a bundle: which files make one, and that they are as they were written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from cutline.errors import BundleError
from cutline.runtime.bundle_files import CHECKSUM, MANIFEST, BundleFiles, checksum_of, leaves

FORMAT: Final = "cutline bundle"
FORMAT_VERSION: Final = 3
READ_VERSIONS: Final = (1, 2, 3)
"""Version 1 has no graphs; 1 and 2 have no card and no checksum of the manifest."""

VOCABULARY: Final = "vocabulary.json"
CARD: Final = "card.md"
ENCODER: Final = "encoder.npz"
DECODER: Final = "decoder.npz"
ENCODER_GRAPH: Final = "encoder.onnx"
DECODER_START: Final = "decoder_start.onnx"
DECODER_STEP: Final = "decoder_step.onnx"
GRAPHS: Final = (ENCODER_GRAPH, DECODER_START, DECODER_STEP)
WEIGHTS: Final = (ENCODER, DECODER)

_WITH_CHECKSUM: Final = 3


def manifest_of(files: BundleFiles) -> dict[str, Any]:
    """Return the manifest of a bundle, compared with its checksum.

    Raises:
        BundleError: It is missing or damaged, or of a format version that is not known.
    """
    path = files.named(MANIFEST)
    try:
        content = files.read(MANIFEST)
        checked = _is_as_written(files, content)
        manifest = json.loads(content.decode("utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{files.place}: not a bundle: {MANIFEST} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: cannot be read ({error}); copy the bundle again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path}: not the manifest of a cutline bundle")
    version = manifest.get("format_version")
    if version not in READ_VERSIONS:
        readable = f"{', '.join(map(str, READ_VERSIONS[:-1]))} and {READ_VERSIONS[-1]}"
        raise BundleError(
            f"{path}: bundle format version {version!r}, this cutline reads {readable}; "
            f"use the cutline that wrote it ({manifest.get('cutline', 'unknown version')})"
        )
    if not checked and version >= _WITH_CHECKSUM:
        raise BundleError(
            f"{files.place}: the bundle is incomplete: {CHECKSUM} is missing; copy the bundle again"
        )
    return manifest


def _is_as_written(files: BundleFiles, content: bytes) -> bool:
    """Compare a manifest with its checksum; BundleError when it differs, False when there is none."""
    try:
        checksum = files.read(CHECKSUM)
    except FileNotFoundError:
        return False
    if checksum != checksum_of(content).encode():
        raise BundleError(
            f"{files.named(MANIFEST)}: damaged: it differs from {CHECKSUM}, or that is; copy the bundle again"
        )
    return True


def require_list(path: str, manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the files that a manifest lists, name → bytes and SHA-256.

    Raises:
        BundleError: They make no bundle, or a name leaves it.
    """
    listed = manifest.get("files")
    known = isinstance(listed, dict) and all(isinstance(facts, dict) for facts in listed.values())
    if not isinstance(listed, dict) or not known or VOCABULARY not in listed:
        raise BundleError(f"{path}: does not list the bundle's files; copy the bundle again")
    weights, graphs = ({name for name in names if name in listed} for names in (WEIGHTS, GRAPHS))
    if len(graphs) not in (0, len(GRAPHS)):
        raise BundleError(f"{path}: lists some graphs, not all; copy the bundle again")
    # Where there are graphs those of the encoder, or both, may be left out.
    if len(weights) != len(WEIGHTS) and (ENCODER in weights or not graphs):
        raise BundleError(f"{path}: does not list the bundle's files; copy the bundle again")
    for name in listed:
        if leaves(name):
            raise BundleError(f"{path}: refused the file name {name!r}: it leaves the bundle")
    return listed


def check_files(
    files: BundleFiles, listed: Mapping[str, Mapping[str, Any]], unwanted: tuple[str, ...]
) -> None:
    """Compare all files with what a manifest lists.

    Args:
        files: Of the bundle.
        listed: From :func:`require_list`.
        unwanted: Files that nobody will read, so that they need no room in memory.

    Raises:
        BundleError: One is missing, damaged, or not listed.
    """
    for name, facts in listed.items():
        files.check(name, facts, keep=name not in unwanted)
    extra = [name for name in files.names() if name not in (*listed, MANIFEST, CHECKSUM)]
    if extra:
        raise BundleError(f"{files.place}: {extra[0]} does not belong to the bundle; remove it")
