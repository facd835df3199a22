"""The training images of a model, to be found again by likeness, with what people wrote about them.

In a bundle this is two files: ``neighbours.json`` (image ids and captions) and ``neighbours.npz`` (arrays).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.errors import BundleError
from cutline.files import write_json
from cutline.runtime.arrays import load_arrays, save_arrays
from cutline.runtime.bundle_files import BundleFiles
from cutline.runtime.confidence import Directions, TrainingFeatures, directions, scaled

NEIGHBOURS: Final = "neighbours.json"
ARRAYS: Final = "neighbours.npz"

_FREQUENCIES: Final = "frequencies."
# Two photos are never so alike; what is left of 1 comes from rounding.
_SAME: Final = 0.9999


@dataclass(frozen=True)
class Neighbours:
    """Training images: where they lie among each other, and their captions.

    Attributes:
        image_ids: Names of N images.
        captions: At least one caption for each of them.
        training: Their features in short; its points stand in the same order.
        frequencies: In how many of the images each n-gram of the captions stands, as arrays of
            ``cutline.metrics.DocumentFrequencies``; empty where that was not counted beforehand.

    Example:
        >>> training = TrainingFeatures(np.zeros(2, np.float32), np.eye(2, dtype=np.float32),
        ...                             np.eye(2, dtype=np.float32))
        >>> found = Neighbours(("dog.png", "cat.png"), (("a dog",), ("a cat",)), training)
        >>> places, likeness = found.nearest(np.array([[0.1, 0.9]]), 1)
        >>> found.image_ids[places[0, 0]], likeness.astype(float).round(2).tolist()
        ('cat.png', [[0.99]])
    """

    image_ids: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]
    training: TrainingFeatures
    frequencies: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def nearest(self, features: NDArray[Any], count: int) -> tuple[NDArray[np.int64], Directions]:
        """Return the training images most like some images.

        An image that is itself a training image is not its own neighbour: what people wrote about it would
        be taken for what is usual with pictures like it.

        Args:
            features: Of B images, (B, D), or (B, R, D), of which the mean over regions is taken.
            count: Images wanted for each of them, at least 1.

        Returns:
            Their places, int64 (B, K), most similar first, and how similar they are, float32 (B, K): cosines
            along the axes of ``training``, at most 1. K is ``count`` or the number of training images, if
            that is less. An image left out for being the same comes last, with a similarity of -inf.
        """
        training = self.training
        found = scaled((directions(features) - training.mean) @ training.axes) @ training.points.T
        found = np.where(found > _SAME, np.float32(-np.inf), found)
        # Stable, so that of equally similar images the earlier one stays in front.
        places = np.argsort(-found, axis=1, kind="stable")[:, :count].astype(np.int64)
        return places, np.take_along_axis(found, places, axis=1)


def save_neighbours(neighbours: Neighbours, folder: Path) -> None:
    """Write both files into a bundle's folder."""
    training = neighbours.training
    arrays = {"mean": training.mean, "axes": training.axes, "points": training.points}
    counted = {_FREQUENCIES + name: array for name, array in neighbours.frequencies.items()}
    save_arrays(folder / ARRAYS, {**arrays, **counted})
    rows = zip(neighbours.image_ids, neighbours.captions, strict=True)
    write_json(
        folder / NEIGHBOURS,
        {"images": [{"image": image_id, "captions": list(captions)} for image_id, captions in rows]},
    )


def load_neighbours(folder: Path | BundleFiles, depth: int) -> Neighbours:
    """Read what :func:`save_neighbours` wrote.

    Args:
        folder: The bundle, or the files of one.
        depth: D, the depth of the bundle's features.

    Raises:
        BundleError: A file is damaged, or the arrays do not fit each other or the features.
    """
    path, arrays = folder / NEIGHBOURS, load_arrays(folder / ARRAYS)
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["images"]
        image_ids = tuple(str(row["image"]) for row in rows)
        captions = tuple(tuple(map(str, row["captions"])) for row in rows)
        training = TrainingFeatures(arrays["mean"], arrays["axes"], arrays["points"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: cannot be read ({error}); copy the bundle again") from None
    shapes = (training.mean.shape, training.axes.shape, training.points.shape)
    axes = training.axes.shape[-1]
    if shapes != ((depth,), (depth, axes), (len(rows), axes)) or not rows or not all(captions):
        raise BundleError(
            f"{path}: {len(rows)} images do not fit the arrays {shapes} and features of depth {depth}; "
            "copy the bundle again"
        )
    counted = {
        name.removeprefix(_FREQUENCIES): array
        for name, array in arrays.items()
        if name.startswith(_FREQUENCIES)
    }
    return Neighbours(image_ids, captions, training, counted)
