"""Stored features of mirrored images, mixed into those of the images as they are.

To a CNN a mirrored photo is nearly another photo: its features differ, what it shows does not. Half of the
time a decoder then sees features that it has not seen in the epoch before, and learns fewer photos by heart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutline.data.augment import names_a_side
from cutline.data.batches import CaptionTable, ReadRows
from cutline.data.feature_store import FeatureStore


@dataclass(frozen=True)
class Mirrors:
    """Features of images, and of some of them mirrored.

    Attributes:
        store: Features of the images as they are.
        mirrored: Features of mirrored images.
        twins: int64 (N,), for each row of ``store`` that of the same image in ``mirrored``, -1 for none.
    """

    store: FeatureStore
    mirrored: FeatureStore
    twins: NDArray[np.int64]

    def reader(self, seed: int, epoch: int) -> ReadRows:
        """Return what reads the batches of an epoch: each image mirrored every second time.

        Args:
            seed: Seed of the draws.
            epoch: Each epoch draws anew.
        """

        def read(number: int, rows: NDArray[np.int64]) -> NDArray[np.float16]:
            drawn = np.random.default_rng((seed, epoch, number)).random(len(rows)) < 0.5
            twins = np.where(drawn, self.twins[rows], -1)
            features = np.empty((len(rows), *self.store.shape), np.float16)
            features[twins < 0] = self.store.read(rows[twins < 0])
            features[twins >= 0] = self.mirrored.read(twins[twins >= 0])
            return features

        return read


def rows_without_sides(table: CaptionTable) -> list[int]:
    """Return the rows of images none of whose captions speaks of left or right, in order.

    Example:
        >>> from cutline.data.packed_texts import PackedTexts
        >>> texts = PackedTexts(["a dog", "a dog on the left", "a cat"])
        >>> rows_without_sides(CaptionTable(np.array([5, 5, 2]), texts, np.array([2, 5, 2], np.int32)))
        [2]
    """
    rows = table.rows.tolist()
    with_sides = {row for row, text in zip(rows, table.texts, strict=True) if names_a_side(text)}
    return sorted(set(rows) - with_sides)
