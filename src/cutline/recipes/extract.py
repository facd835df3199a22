"""Encoding the images of a data set once, into a feature store that all runs share."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cutline.data.features import FeatureStore, extract
from cutline.errors import FeatureStoreError
from cutline.progress import Progress
from cutline.records import Dataset, Example, Problem
from cutline.runtime.sessions import ImageEncoder


def cache_folder() -> Path:
    """Return where features are kept: ``$CUTLINE_CACHE``, else ``cutline`` in the user's cache folder."""
    own = os.environ.get("CUTLINE_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cutline"


def store_folder(encoder: ImageEncoder) -> Path:
    """Return the folder of an encoder's features; encoders that differ in anything never share one."""
    fingerprint = json.dumps(encoder.fingerprint(), sort_keys=True)
    key = hashlib.sha256(fingerprint.encode()).hexdigest()[:12]
    return cache_folder() / "features" / f"{Path(encoder.name).stem}-{encoder.features}-{key}"


def extract_features(
    encoder: ImageEncoder, dataset: Dataset, progress: Progress
) -> tuple[FeatureStore, Dataset]:
    """Encode the images that are not in the store yet.

    While another run encodes images with the same encoder, this waits; what that run has encoded is not
    encoded again.

    Args:
        encoder: Computes the features.
        dataset: Identified examples.
        progress: Told about every image.

    Returns:
        The store, open for reading, and the data set without the images that could not be decoded, each of
        which is a Problem of the data set.

    Raises:
        FeatureStoreError: The store is damaged, or the disk is full.
    """
    store, problems = _extract(encoder, dataset.examples, store_folder(encoder), progress)
    readable = tuple(example for example in dataset.examples if example.digest in store)
    return store, replace(dataset, examples=readable, problems=(*dataset.problems, *problems))


def extract_mirrored(
    encoder: ImageEncoder, examples: Sequence[Example], progress: Progress
) -> tuple[FeatureStore, list[Problem]]:
    """Encode images with left and right exchanged that are not in a store of their own yet.

    Args:
        encoder: Computes the features.
        examples: Identified examples.
        progress: Told about every image.

    Returns:
        The store, open for reading, and a Problem for each image that could not be decoded.

    Raises:
        FeatureStoreError: The store is damaged, or the disk is full.
    """
    folder = store_folder(encoder)
    folder = folder.with_name(f"{folder.name}-mirrored")
    return _extract(encoder, examples, folder, progress, mirrored=True)


def feature_reader(store: FeatureStore) -> Callable[[Sequence[str]], NDArray[Any]]:
    """Return the function from digests of N images to their features (N, ...)."""
    return lambda digests: store.read(store.rows(digests))


def _extract(
    encoder: ImageEncoder,
    examples: Sequence[Example],
    folder: Path,
    progress: Progress,
    mirrored: bool = False,
) -> tuple[FeatureStore, list[Problem]]:
    fingerprint, shape = _fingerprint(encoder, mirrored), encoder.feature_shape
    problems: list[Problem] = []
    if _missing(fingerprint, shape, folder, [example.digest for example in examples]):
        progress.note(f"features are kept in {folder}")

        def tell() -> None:
            progress.note("waiting for another run that is encoding images")

        size, count = encoder.input_size, encoder.batch_size
        with FeatureStore.open(folder, fingerprint, shape, mode="a", wait=tell) as store:
            problems = extract(examples, store, encoder.encode, size, count, progress, mirrored)
    return FeatureStore.open(folder, fingerprint, shape, mode="r"), problems


def _fingerprint(encoder: ImageEncoder, mirrored: bool) -> dict[str, Any]:
    return encoder.fingerprint() | ({"mirrored": True} if mirrored else {})


def _missing(
    fingerprint: Mapping[str, Any], shape: Sequence[int], folder: Path, digests: Sequence[str]
) -> bool:
    """Look without taking the writer's lock, so that runs over known images can start side by side."""
    if not folder.exists():
        return True
    try:
        with FeatureStore.open(folder, fingerprint, shape, mode="r") as store:
            return bool(store.missing(digests))
    except FeatureStoreError:
        return True
