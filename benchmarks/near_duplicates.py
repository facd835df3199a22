"""Time to find near-duplicates among many images, against comparing all with all.

    .venv/bin/python benchmarks/near_duplicates.py [--images 10000 30000 100000] [--photos FOLDER]

Codes are made up from a seed, each hundredth one a copy of another with up to ten bits changed; with photos
they are those of the photos, repeated with changed bits until there are enough, which is harder: codes of
photos crowd in some places. Features are made up likewise, 1,280 numbers per image. Of codes, all planted
pairs must be found. Comparing all with all is timed up to 30,000 images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cutline.data.checks.pictures import alike_by_features
from cutline.data.images import decode_image, list_images
from cutline.data.near_duplicates import HASHED_SIZE, near_pairs, perceptual_hashes

DISTANCE = 10
COMPARED_WITH_ALL = 30_000
DEPTH = 1280
Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def flipped(codes: NDArray[np.uint64], most: int, chance: np.random.Generator) -> NDArray[np.uint64]:
    """Change up to ``most`` bits of every code."""
    changed = codes.copy()
    for row in range(len(codes)):
        for bit in chance.choice(64, chance.integers(0, most + 1), replace=False):
            changed[row] ^= np.uint64(1 << int(bit))
    return changed


def planted(
    codes: NDArray[np.uint64], chance: np.random.Generator
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Make each hundredth code a near copy of another; return the codes and the pairs."""
    rows = chance.permutation(len(codes))[: len(codes) // 100 * 2].reshape(-1, 2)
    codes[rows[:, 1]] = flipped(codes[rows[:, 0]], DISTANCE, chance)
    return codes, np.sort(rows, axis=1)


def all_with_all(codes: NDArray[np.uint64]) -> int:
    found = 0
    for row in range(len(codes) - 1):
        found += int((np.bitwise_count(codes[row + 1 :] ^ codes[row]) <= DISTANCE).sum())
    return found


def missing(expected: NDArray[np.int64], pairs: NDArray[np.int64], images: int) -> int:
    return len(np.setdiff1d(expected[:, 0] * images + expected[:, 1], pairs[:, 0] * images + pairs[:, 1]))


def codes_of(folder: Path) -> NDArray[np.uint64]:
    paths = list_images(folder)
    seconds, codes = timed(
        lambda: np.concatenate([perceptual_hashes(decode_image(path, HASHED_SIZE)[None]) for path in paths])
    )
    each = 1000 * seconds / len(paths)
    print(f"hashed {len(paths):,} photos in {seconds:.1f} s, {each:.2f} ms each, one thread")
    return codes


def search_codes(sizes: list[int], photos: NDArray[np.uint64] | None) -> None:
    print(f"{'images':>8}{'pairs':>10}{'missed':>8}{'search':>10}{'all with all':>15}")
    for images in sizes:
        chance = np.random.default_rng(images)
        if photos is None:
            codes = chance.integers(0, 2**64, images, np.uint64)
        else:
            # Twenty bits or so apart from the photo, so that no repetition counts as its copy.
            spread = flipped(np.resize(photos, images), 32, chance)
            codes = np.where(np.arange(images) < len(photos), np.resize(photos, images), spread)
        codes, expected = planted(codes, chance)
        seconds, pairs = timed(lambda codes=codes: near_pairs(codes, DISTANCE))
        slow = (
            f"{timed(lambda codes=codes: all_with_all(codes))[0]:.1f} s"
            if images <= COMPARED_WITH_ALL
            else "–"
        )
        gone = missing(expected, pairs, images)
        print(f"{images:>8,}{len(pairs):>10,}{gone:>8}{seconds:>8.1f} s{slow:>15}")


def search_features(sizes: list[int]) -> None:
    print(f"features of {DEPTH} numbers, cosine at least 0.95")
    print(f"{'images':>8}{'planted':>10}{'found':>8}{'search':>10}")
    for images in sizes:
        chance = np.random.default_rng(images)
        features = chance.standard_normal((images, DEPTH), np.float32).astype(np.float16)
        rows = chance.permutation(images)[: images // 100 * 2].reshape(-1, 2)
        noise = chance.standard_normal((len(rows), DEPTH), np.float32)
        features[rows[:, 1]] = features[rows[:, 0]] + (0.25 * noise).astype(np.float16)
        seconds, pairs = timed(lambda features=features: alike_by_features(features))
        found = len(rows) - missing(np.sort(rows, axis=1), pairs, images)
        print(f"{images:>8,}{len(rows):>10,}{found:>8,}{seconds:>8.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--photos", type=Path)
    arguments = parser.parse_args()
    photos = codes_of(arguments.photos) if arguments.photos else None
    search_codes(arguments.images, photos)
    search_features(arguments.images)


if __name__ == "__main__":
    main()
