"""Time to find near-duplicates among many images, against comparing all with all.

    .venv/bin/python benchmarks/near_duplicates.py [--images 10000 30000 100000] [--photos FOLDER]
        [--frames 500 1000 2000 20000]

Codes are made up from a seed, each hundredth one a copy of another with up to ten bits changed; with photos
they are those of the photos, repeated with changed bits until there are enough, which is harder: codes of
photos crowd in some places. Features are made up likewise, 1,280 numbers per image. Of codes, all planted
pairs must be found. Comparing all with all is timed up to 30,000 images.

Frames of a film are the hard case, because every pair of them is near. They are made up as one picture with
noise of its own for each frame, which are all alike; and as a crowd of drawings that share one large form, so
that all hashes are near, and have a dot each at another place, so that hardly two are alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.data.checks.pictures import Pictures, alike_by_features, picture_findings
from cutline.data.images import decode_image, list_images
from cutline.data.near_duplicates import HASHED_SIZE, near_groups, perceptual_hashes
from cutline.records import Example

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
    return codes, rows


def all_with_all(codes: NDArray[np.uint64]) -> int:
    found = 0
    for row in range(len(codes) - 1):
        found += int((np.bitwise_count(codes[row + 1 :] ^ codes[row]) <= DISTANCE).sum())
    return found


def missing(expected: NDArray[np.int64], groups: NDArray[np.int64]) -> int:
    return int((groups[expected[:, 0]] != groups[expected[:, 1]]).sum())


def frames_of(kind: str, count: int) -> NDArray[np.uint8]:
    """Make up very small frames, uint8 (N, 32, 32, 3)."""
    chance = np.random.default_rng(count)
    if kind == "film":
        coarse = Image.fromarray(chance.integers(0, 256, (7, 9, 3), np.uint8))
        picture = np.asarray(coarse.resize(HASHED_SIZE, Image.Resampling.BICUBIC), np.int64)
        noise = chance.integers(-20, 21, (count, *picture.shape))
        return np.clip(picture + noise, 0, 255).astype(np.uint8)
    drawings = np.full((count, *HASHED_SIZE, 3), 255, np.uint8)
    drawings[:, 4:28, 4:16] = 0
    places = chance.integers(0, 29, (count, 2))
    shades = chance.integers(0, 256, (count, 3), np.uint8)
    for drawing, (row, column), shade in zip(drawings, places, shades, strict=True):
        drawing[row : row + 3, column : column + 3] = shade
    return drawings


def search_frames(counts: list[int]) -> None:
    print("frames of which nearly every pair is near, from hashes to findings")
    print(f"{'kind':>8}{'frames':>10}{'groups':>8}{'largest':>9}{'search':>10}")
    for kind in ("film", "crowd"):
        for count in counts:
            frames = frames_of(kind, count)
            pictures = Pictures(
                tuple(Example(f"{number}.png", f"{number}.png", ("",)) for number in range(count)),
                np.full((count, 2), 320),
                perceptual_hashes(frames),
                frames.reshape(count, 16, 2, 16, 2, 3).mean((2, 4)).astype(np.uint8),
                (),
            )
            seconds, findings = timed(lambda pictures=pictures: list(picture_findings(pictures)))
            sizes = [
                len(place.images) for each in findings for place in each.occurrences if len(place.images) > 1
            ]
            print(f"{kind:>8}{count:>10,}{len(sizes):>8,}{max(sizes, default=0):>9,}{seconds:>8.1f} s")


def codes_of(folder: Path) -> NDArray[np.uint64]:
    paths = list_images(folder)
    seconds, codes = timed(
        lambda: np.concatenate([perceptual_hashes(decode_image(path, HASHED_SIZE)[None]) for path in paths])
    )
    each = 1000 * seconds / len(paths)
    print(f"hashed {len(paths):,} photos in {seconds:.1f} s, {each:.2f} ms each, one thread")
    return codes


def search_codes(sizes: list[int], photos: NDArray[np.uint64] | None) -> None:
    print(f"{'images':>8}{'joined':>10}{'missed':>8}{'search':>10}{'all with all':>15}")
    for images in sizes:
        chance = np.random.default_rng(images)
        if photos is None:
            codes = chance.integers(0, 2**64, images, np.uint64)
        else:
            # Twenty bits or so apart from the photo, so that no repetition counts as its copy.
            spread = flipped(np.resize(photos, images), 32, chance)
            codes = np.where(np.arange(images) < len(photos), np.resize(photos, images), spread)
        codes, expected = planted(codes, chance)
        seconds, groups = timed(lambda codes=codes: near_groups(codes, DISTANCE))
        slow = (
            f"{timed(lambda codes=codes: all_with_all(codes))[0]:.1f} s"
            if images <= COMPARED_WITH_ALL
            else "–"
        )
        joined = int((groups != np.arange(images)).sum())
        print(f"{images:>8,}{joined:>10,}{missing(expected, groups):>8}{seconds:>8.1f} s{slow:>15}")


def search_features(sizes: list[int]) -> None:
    print(f"features of {DEPTH} numbers, cosine at least 0.95")
    print(f"{'images':>8}{'planted':>10}{'found':>8}{'search':>10}")
    for images in sizes:
        chance = np.random.default_rng(images)
        features = chance.standard_normal((images, DEPTH), np.float32).astype(np.float16)
        rows = chance.permutation(images)[: images // 100 * 2].reshape(-1, 2)
        noise = chance.standard_normal((len(rows), DEPTH), np.float32)
        features[rows[:, 1]] = features[rows[:, 0]] + (0.25 * noise).astype(np.float16)
        seconds, groups = timed(lambda features=features: alike_by_features(features))
        found = len(rows) - missing(rows, groups)
        print(f"{images:>8,}{len(rows):>10,}{found:>8,}{seconds:>8.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--frames", type=int, nargs="*", default=[500, 1000, 2000, 20_000])
    parser.add_argument("--photos", type=Path)
    arguments = parser.parse_args()
    photos = codes_of(arguments.photos) if arguments.photos else None
    search_codes(arguments.images, photos)
    search_features(arguments.images)
    search_frames(arguments.frames)


if __name__ == "__main__":
    main()
