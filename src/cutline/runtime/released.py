"""Models that come with cutline: bundles as zip files beside the code, called by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

from cutline.errors import BundleError
from cutline.runtime.bundle_files import ZIP, zip_files
from cutline.runtime.manifest import manifest_of

DEFAULT: Final = "flickr8k-lite0"
"""The model that captions where none is named and none was trained."""


@dataclass(frozen=True)
class ReleasedModel:
    """A model that comes with cutline.

    Attributes:
        name: By which it is called wherever a model is asked for.
        path: Its bundle, a zip file.
        bytes: Size of the bundle.
        licence: On what terms it may be used; empty where none was stated.
        encoder: Name of the encoder.
        scores: Split → what was measured there: ``cider_d``, ``cider_d_interval`` with ``low`` and ``high``,
            ``bleu_4``, ``images``, ``signature`` and more, ×100.
    """

    name: str
    path: Path
    bytes: int
    licence: str
    encoder: str
    scores: Mapping[str, Mapping[str, Any]]


def folder_of_released() -> Path:
    """Return the folder of the models that come with this cutline; it may be absent."""
    # A path that lasts: cutline is installed as files, never run from inside an archive.
    with as_file(files("cutline") / "released") as folder:
        return folder


def released_path(name: str) -> Path | None:
    """Return the bundle of the released model of that name; None when there is none.

    Example:
        >>> released_path("a-model-that-was-never-released") is None
        True
    """
    return _paths().get(name)


def released_names() -> list[str]:
    """Return the names of the models that come with this cutline, sorted."""
    return list(_paths())


def released_models() -> list[ReleasedModel]:
    """Return what is known of every released model, by name.

    Raises:
        BundleError: A bundle is damaged.
    """
    found = []
    for name, path in _paths().items():
        with zip_files(path) as packed:
            manifest = manifest_of(packed)
        found.append(
            ReleasedModel(
                name=name,
                path=path,
                bytes=path.stat().st_size,
                licence=str(manifest.get("licence", "")),
                encoder=str(manifest["encoder"].get("name", "")),
                scores=manifest.get("scores", {}),
            )
        )
    return found


def refuse_released(bundle: Path) -> None:
    """Raise BundleError for a bundle that comes with cutline: it is the same for everyone, and stays so."""
    place = bundle.resolve()
    name = place.stem
    known = released_path(name)
    if known is not None and known.resolve() == place:
        raise BundleError(
            f"{name}: comes with cutline and is not changed; change a copy, written with: "
            f"cutline export {name} --format bundle --out my-{name}.zip"
        )


def _paths() -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder_of_released().glob(f"*{ZIP}"))}
