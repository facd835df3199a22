"""The folder a feature store lies in: who may write to it, and whether it is the one that is wanted."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cutline.errors import FeatureStoreError
from cutline.files import write_json

FORMAT_VERSION: Final = 1
START_ANEW: Final = "delete the folder to encode the images again"


@contextlib.contextmanager
def locked(folder: Path, wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the folder's lock while the block runs; the system releases it when the process ends, too.

    Args:
        folder: An existing folder.
        wait: Called once, before waiting until the lock is free; None to refuse at once.

    Raises:
        FeatureStoreError: Another process, or another store in this one, holds it, and ``wait`` is None.
    """
    with (folder / ".lock").open("ab") as stream:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if wait is None:
                    raise FeatureStoreError(
                        f"{folder}: another process is writing to this feature store; "
                        "wait until it has finished or choose another folder"
                    ) from error
                wait()
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def make_if_absent(folder: Path, described: Mapping[str, Any]) -> None:
    """Write the manifest and empty files of a new store; an existing one stays as it is.

    Args:
        folder: An existing folder, locked.
        described: The fingerprint, JSON-able, with the shape of a row.

    Raises:
        FeatureStoreError: There are features without a manifest.
    """
    manifest = folder / "manifest.json"
    if not manifest.exists():
        if (folder / "features.bin").exists():
            raise FeatureStoreError(f"{folder}: damaged: manifest.json is missing; {START_ANEW}")
        write_json(manifest, {"format": FORMAT_VERSION, "dtype": "float16", "fingerprint": described})
    # A kill may have fallen between the manifest and these.
    for name in ("features.bin", "digests.bin"):
        (folder / name).touch()


def check_manifest(folder: Path, described: Mapping[str, Any]) -> None:
    """Raise FeatureStoreError unless the folder holds a store made with this fingerprint."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        version, stored = manifest["format"], dict(manifest["fingerprint"])
    except FileNotFoundError as error:
        raise FeatureStoreError(f"{folder}: no feature store here; encode the images first") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FeatureStoreError(f"{folder}: damaged: manifest.json is not readable; {START_ANEW}") from error
    if version != FORMAT_VERSION:
        raise FeatureStoreError(
            f"{folder}: feature store of format {version!r}, this version reads {FORMAT_VERSION}; "
            f"{START_ANEW}"
        )
    # Through JSON once, because that is how the stored one came back: tuples are lists there.
    described = json.loads(json.dumps(described))
    keys = [key for key in sorted({*stored, *described}) if stored.get(key) != described.get(key)]
    if keys:
        changes = ", ".join(f"{key} {stored.get(key)!r} there, {described.get(key)!r} now" for key in keys)
        raise FeatureStoreError(
            f"{folder}: stale: made by another encoder or setting ({changes}); "
            "choose another folder or delete this one"
        )
