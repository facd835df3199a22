"""Filling a feature store: images are decoded by threads while the encoder computes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cutline.data.feature_store import FeatureStore
from cutline.data.images import decode_image
from cutline.errors import ImageError
from cutline.progress import Progress, Silent, Stage
from cutline.records import Example, Problem

__all__ = ["Encode", "FeatureStore", "extract"]

Encode: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[Any]]
"""From images, uint8 (N, H, W, 3), to features, numbers (N, *shape)."""


def extract(
    examples: Sequence[Example],
    store: FeatureStore,
    encode: Encode,
    size: tuple[int, int],
    batch_size: int = 32,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
    mirrored: bool = False,
) -> list[Problem]:
    """Encode the images that are not in the store yet, each digest once, and append their features.

    A broken image is reported and the others go on. Whatever interrupts the work (Ctrl-C included), the
    batches finished before it are stored and the next call continues after them.

    Args:
        examples: Images whose digest is known (see :mod:`cutline.data.identity`).
        store: Open for writing.
        encode: Always called with ``batch_size`` images, the last batch being filled up by repeating
            its last image, so that a compiled encoder is compiled for one shape.
        size: (height, width) the encoder wants.
        batch_size: Images encoded at once.
        progress: Shown as "encoding images"; images already stored count as done.
        mirrored: Show the encoder every image with left and right exchanged.

    Returns:
        One problem of kind "unreadable image" per image that could not be decoded, in order.

    Raises:
        FeatureStoreError: The disk is full, or the encoder gave NaN.
        ValueError: An example has no digest.
    """
    by_digest: dict[str, Example] = {}
    for example in examples:
        if not example.digest:
            raise ValueError(f"{example.image} has no digest: identify the data set first")
        by_digest.setdefault(example.digest, example)
    todo = [by_digest[digest] for digest in store.missing(by_digest)]
    problems: list[Problem] = []
    title = "encoding mirrored images" if mirrored else "encoding images"
    with progress.stage(title, len(by_digest), "images") as stage:
        stage.advance(len(by_digest) - len(todo))
        # Closed at once when something is raised, so that no thread decodes on.
        with closing(_decoded_ahead(todo, size, batch_size)) as decoding:
            images = _without_broken(decoding, problems, stage)
            while batch := list(islice(images, batch_size)):
                pixels = np.stack([decoded[:, ::-1] if mirrored else decoded for _, decoded in batch])
                rows = _encode_padded(encode, pixels, batch_size)
                store.append([example.digest for example, _ in batch], rows)
                stage.advance(len(batch))
    return problems


def _encode_padded(encode: Encode, pixels: NDArray[np.uint8], batch_size: int) -> NDArray[Any]:
    count = len(pixels)
    filled = np.concatenate([pixels, np.repeat(pixels[-1:], batch_size - count, axis=0)])
    return np.asarray(encode(filled))[:count]


def _without_broken(
    decoding: Iterator[tuple[Example, Future[NDArray[np.uint8]]]], problems: list[Problem], stage: Stage
) -> Iterator[tuple[Example, NDArray[np.uint8]]]:
    for example, future in decoding:
        try:
            yield example, future.result()
        except ImageError as error:
            problems.append(Problem("unreadable image", example.image_id, str(error)))
            stage.advance()


def _decoded_ahead(
    examples: Sequence[Example], size: tuple[int, int], batch_size: int
) -> Generator[tuple[Example, Future[NDArray[np.uint8]]], None, None]:
    """Yield images in order while threads decode the next ones, at most two batches ahead."""
    # Pillow decodes outside the interpreter lock, so that threads are enough.
    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="decode")
    waiting: deque[tuple[Example, Future[NDArray[np.uint8]]]] = deque()
    try:
        for example in examples:
            waiting.append((example, pool.submit(decode_image, example.image, size)))
            if len(waiting) > 2 * batch_size:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
