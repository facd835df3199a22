"""The training images that look most like an image to the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.evaluation.captioning import ReadFeatures
from cutline.progress import Progress
from cutline.runtime.confidence import Directions, directions

# A block of grid features, 256 x 49 x 2048 numbers, is 50 MB as it is stored.
_ROWS_READ: Final = 256
_QUERIES: Final = 2048


def read_directions(read: ReadFeatures, digests: Sequence[str]) -> Directions:
    """Return the directions of images, (N, D), never holding more than a block of their features."""
    blocks = [directions(read(digests[at : at + _ROWS_READ])) for at in range(0, len(digests), _ROWS_READ)]
    return np.concatenate(blocks)


def nearest(
    read: ReadFeatures, queries: Sequence[str], among: Sequence[str], k: int, progress: Progress
) -> NDArray[np.int64]:
    """Find the images most similar to each query, by the cosine between their features.

    Memory is that of some thousand feature vectors, however many images there are on either side.

    Args:
        read: Gives features by digest, pooled or grid.
        queries: Digests of N images.
        among: Digests of the images to choose from, each once. An image is never its own neighbour.
        k: Neighbours wanted, at least 1.
        progress: Told about every image compared.

    Returns:
        Positions in ``among``, (N, K), most similar first, equally similar ones in the order of ``among``;
        K is ``k``, or less when there are not as many others. It may be 0.
    """
    position = {digest: index for index, digest in enumerate(among)}
    own = np.array([position.get(digest, -1) for digest in queries], np.int64)
    k = min(k, len(among) - bool((own >= 0).any()))
    if k < 1:
        return np.zeros((len(queries), 0), np.int64)
    blocks = -(-len(queries) // _QUERIES)
    with progress.stage("finding similar images", blocks * len(among), "images") as stage:
        found = []
        for at in range(0, len(queries), _QUERIES):
            block = read_directions(read, queries[at : at + _QUERIES])
            best = _Best(block, own[at : at + _QUERIES], k)
            for start in range(0, len(among), _ROWS_READ):
                others = directions(read(among[start : start + _ROWS_READ]))
                best.consider(others, start)
                stage.advance(len(others))
            found.append(best.positions)
    return np.concatenate(found)


class _Best:
    """The k best neighbours of some queries among all that were considered so far."""

    def __init__(self, queries: Directions, own: NDArray[np.int64], k: int) -> None:
        self._queries, self._own, self._k = queries, own, k
        self._similarities = np.zeros((len(queries), 0), np.float32)
        self.positions = np.zeros((len(queries), 0), np.int64)

    def consider(self, others: Directions, start: int) -> None:
        """Take vectors that stand at ``start`` and after."""
        positions = np.arange(start, start + len(others))
        similarities = self._queries @ others.T
        similarities[self._own[:, None] == positions] = -np.inf
        similarities = np.hstack([self._similarities, similarities])
        every = np.broadcast_to(positions, (len(self._queries), len(others)))
        positions = np.hstack([self.positions, every])
        # Stable, so that of equally similar images the earlier one stays in front.
        best = np.argsort(-similarities, axis=1, kind="stable")[:, : self._k]
        self._similarities = np.take_along_axis(similarities, best, axis=1)
        self.positions = np.take_along_axis(positions, best, axis=1)
