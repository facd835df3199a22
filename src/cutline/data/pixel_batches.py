"""Batches of augmented pixels with the captions of their images, decoded by threads a little ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.data.augment import Augmentation
from cutline.data.batches import CaptionTable, captions_by_image, draw_images, token_ids_of
from cutline.data.images import decode_image
from cutline.data.mirrors import rows_without_sides

_AHEAD = 2


@dataclass(frozen=True)
class PixelBatch:
    """Some images with some of their captions.

    Attributes:
        pixels: uint8 (N, H, W, 3), RGB, augmented.
        token_ids: int32 (M, T), captions with both markers, padded with 0.
        image_of: int32 (M,), which of the N images each caption is of.
    """

    pixels: NDArray[np.uint8]
    token_ids: NDArray[np.int32]
    image_of: NDArray[np.int32]


@dataclass(frozen=True)
class PixelSource:
    """Where pixels come from, the same in every epoch.

    Attributes:
        table: Captions of the split.
        images: Row of the table → image file.
        layer: The vocabulary's TextVectorization, from caption strings to token ids.
        size: (height, width) of the pixels.
        augmentation: How much an image may be changed.
        mirrors: Whether images are mirrored when none of their captions names a side.
    """

    table: CaptionTable
    images: Mapping[int, str]
    layer: Any
    size: tuple[int, int]
    augmentation: Augmentation
    mirrors: bool

    @cached_property
    def mirrored_rows(self) -> frozenset[int]:
        """Rows of the images that may be mirrored."""
        if not self.mirrors:
            return frozenset()
        return frozenset(rows_without_sides(self.table))

    def read(self, row: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """Decode and augment one image; ImageError when it cannot be read any more."""
        pixels = decode_image(self.images[row], self.augmentation.source_size(self.size))
        return self.augmentation.apply(pixels, self.size, row in self.mirrored_rows, generator)


@dataclass(frozen=True)
class PixelBatches:
    """Every image of a split once, in random order, each with a few of its captions.

    Everything is a function of seed and epoch, however many threads decode.

    Attributes:
        source: Captions and images.
        images: Images per batch, N; the last batch may be smaller.
        captions: Captions drawn for each image, all when it has fewer.
        seed: Seed of the order and of all draws.
        epoch: Each epoch shuffles and augments anew.
    """

    source: PixelSource
    images: int
    captions: int
    seed: int
    epoch: int

    def __len__(self) -> int:
        """Count batches."""
        return -(-len(self.source.table.images[0]) // self.images)

    def __iter__(self) -> Iterator[PixelBatch]:
        """Read one batch after the other; the same ones each time."""
        # Pillow decodes outside the interpreter lock, so that threads are enough.
        pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="augment")
        waiting: deque[tuple[list[Future[Any]], list[NDArray[np.int64]]]] = deque()
        table = self.source.table
        plan = draw_images(captions_by_image(table), self.images, self.captions, self.seed, self.epoch)
        try:
            for step, (rows, drawn) in enumerate(plan):
                waiting.append(([pool.submit(self._pixels, step, *item) for item in enumerate(rows)], drawn))
                if len(waiting) > _AHEAD:
                    yield self._batch(*waiting.popleft())
            while waiting:
                yield self._batch(*waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _pixels(self, step: int, place: int, row: int) -> NDArray[np.uint8]:
        return self.source.read(row, np.random.default_rng((self.seed, self.epoch, step, place)))

    def _batch(self, decoded: list[Future[Any]], drawn: list[NDArray[np.int64]]) -> PixelBatch:
        token_ids, image_of = token_ids_of(self.source.table, self.source.layer, drawn)
        return PixelBatch(np.stack([future.result() for future in decoded]), token_ids, image_of)
