"""What the pictures themselves show: broken files, sizes, plain colours, nearly equal pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.data.checks.finding import Finding, Occurrence, found
from cutline.data.images import decode_image, measure_image
from cutline.data.near_duplicates import (
    HASHED_SIZE,
    LUMA,
    clusters,
    directions,
    near_pairs,
    perceptual_hashes,
    projection_hashes,
)
from cutline.errors import ImageError
from cutline.progress import Progress
from cutline.records import Example, Problem

_AHEAD: Final = 256
_FEW_PIXELS: Final = 64
_THIN: Final = 4.0
_KEPT: Final = 16
_PLAIN: Final = 2.0
_NEAR_BITS: Final = 10
_ALIKE: Final = 0.93
_RICH_BITS: Final = 4.0
_FLAT_DIFFERENCE: Final = 14.0
_COLOURLESS: Final = 3.0
_NEAR_PROJECTED: Final = 11
_BLOCK: Final = 4096
_SAME_FEATURES: Final = 0.95
_KEEPS_FIRST: Final = ("test", "val", "train")
"""Of nearly equal images in several splits, the one in the first of these is kept: scores stay comparable."""


@dataclass(frozen=True)
class Pictures:
    """Every image that could be decoded, in order, as far as the checks need it.

    Attributes:
        examples: N images.
        sizes: int64 (N, 2): height and width in pixels, upright.
        codes: uint64 (N,): perceptual hashes.
        small: uint8 (N, 16, 16, 3): the pictures, very small.
        broken: The images that could not be decoded.
    """

    examples: tuple[Example, ...]
    sizes: NDArray[np.int64]
    codes: NDArray[np.uint64]
    small: NDArray[np.uint8]
    broken: tuple[Problem, ...]


def look_at_pictures(examples: Sequence[Example], progress: Progress) -> Pictures:
    """Decode every image once, at small size; a broken one is listed and the others go on."""
    kept: list[Example] = []
    broken: list[Problem] = []
    sizes: list[tuple[int, int]] = []
    codes: list[NDArray[np.uint64]] = []
    small: list[NDArray[np.uint8]] = []
    with progress.stage("checking images", len(examples), "images") as stage:
        for example, outcome in _probed(examples):
            stage.advance()
            if isinstance(outcome, ImageError):
                broken.append(Problem("unreadable image", example.image_id, str(outcome)))
                continue
            size, pixels = outcome
            kept.append(example)
            sizes.append(size)
            codes.append(perceptual_hashes(pixels[None]))
            small.append(_smaller(pixels))
    return Pictures(
        tuple(kept),
        np.array(sizes, np.int64).reshape(-1, 2),
        np.concatenate([np.empty(0, np.uint64), *codes]),
        np.array(small, np.uint8).reshape(-1, _KEPT, _KEPT, 3),
        tuple(broken),
    )


def _probed(
    examples: Iterable[Example],
) -> Iterator[tuple[Example, tuple[tuple[int, int], NDArray[np.uint8]] | ImageError]]:
    remaining = iter(examples)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        # In portions, so that neither Ctrl-C nor memory has to deal with a hundred thousand tasks.
        while portion := list(islice(remaining, _AHEAD)):
            yield from zip(portion, pool.map(_probe, [example.image for example in portion]), strict=True)


def _probe(path: str) -> tuple[tuple[int, int], NDArray[np.uint8]] | ImageError:
    try:
        pixels = decode_image(path, HASHED_SIZE)
        return measure_image(path), pixels
    except ImageError as error:
        return error


def _smaller(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    step = HASHED_SIZE[0] // _KEPT
    mean: NDArray[np.uint8] = pixels.reshape(_KEPT, step, _KEPT, step, 3).mean((1, 3)).astype(np.uint8)
    return mean


def picture_findings(pictures: Pictures, features: NDArray[np.floating] | None = None) -> Iterator[Finding]:
    """Yield what is wrong with single pictures, then nearly equal ones.

    Args:
        pictures: All of them.
        features: Numbers (N, D), the encoder's pooled features of the same images; images whose features are
            nearly equal count as nearly equal, too.
    """
    yield from _single(pictures)
    plain = _is_plain(pictures.small)
    pairs = _looking_alike(pictures, plain)
    told = {tuple(pair): "by their pixels" for pair in pairs.tolist()}
    if features is not None and len(features):
        for pair in alike_by_features(features).tolist():
            told.setdefault(tuple(pair), "by the encoder's features")
    yield from _near_findings(pictures.examples, told)


def _single(pictures: Pictures) -> Iterator[Finding]:
    small, thin, plain = [], [], []
    for example, (height, width), is_plain in zip(
        pictures.examples, pictures.sizes.tolist(), _is_plain(pictures.small), strict=True
    ):
        place = Occurrence(example.image_id, f"{width} × {height} pixels", "", (example.image_id,))
        if min(height, width) < _FEW_PIXELS:
            small.append(place)
        if max(height, width) > _THIN * min(height, width):
            thin.append(place)
        if is_plain:
            plain.append(place)
    for kind, places in (("small image", small), ("long thin image", thin), ("plain image", plain)):
        if places:
            yield found(kind, places)


def _is_plain(small: NDArray[np.uint8]) -> NDArray[np.bool_]:
    plain: NDArray[np.bool_] = small.reshape(len(small), _KEPT * _KEPT, 3).std(axis=1).max(axis=1) < _PLAIN
    return plain


def _looking_alike(pictures: Pictures, plain: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return pairs of positions whose hashes are near and whose very small pictures agree.

    Hashes see grey and coarse forms alone: a red star and a blue one have the same. So the small pictures of
    every near pair are compared in colour. Drawings, logos and charts, which have few colours, agree in most
    of their pixels by nature, and are taken for equal only when they agree in all of them.
    """
    looked_at = np.flatnonzero(~plain)
    pairs: NDArray[np.int64] = looked_at[near_pairs(pictures.codes[looked_at], _NEAR_BITS)]
    if not len(pairs):
        return pairs
    rich = np.array([_colour_bits(picture) >= _RICH_BITS for picture in pictures.small])
    alike = [
        _agree(pictures.small[left], pictures.small[right], bool(rich[left] and rich[right]))
        for left, right in pairs.tolist()
    ]
    kept: NDArray[np.int64] = pairs[np.array(alike)]
    return kept


def _agree(left: NDArray[np.uint8], right: NDArray[np.uint8], rich: bool) -> bool:
    one, other = left.astype(np.float32), right.astype(np.float32)
    if min(_chroma(one), _chroma(other)) < _COLOURLESS:
        one, other = one @ LUMA, other @ LUMA
    one, other = one - one.mean(), other - other.mean()
    if not rich:
        return bool(np.abs(one - other).max() <= _FLAT_DIFFERENCE)
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) >= _ALIKE * norm > 0


def _chroma(picture: NDArray[np.float32]) -> float:
    return float((picture.max(2) - picture.min(2)).mean())


def _colour_bits(picture: NDArray[np.uint8]) -> float:
    """Return the entropy of a small picture's colours, 16 levels each, in bits: 0 to 8."""
    levels = (picture >> 4).astype(np.int64)
    colours = levels[..., 0] << 8 | levels[..., 1] << 4 | levels[..., 2]
    shares = np.unique(colours, return_counts=True)[1] / colours.size
    return float(-(shares * np.log2(shares)).sum())


def alike_by_features(features: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return pairs of rows that point in nearly the same direction, seen from the mean of all.

    Args:
        features: Numbers (N, D).

    Returns:
        int64 (P, 2): pairs with a cosine of at least 0.95.
    """
    mean = features.mean(axis=0, dtype=np.float32)
    # In blocks, because features are kept in half the precision that products need.
    codes = [
        projection_hashes(directions(features[at : at + _BLOCK], mean))
        for at in range(0, len(features), _BLOCK)
    ]
    pairs = near_pairs(np.concatenate(codes), _NEAR_PROJECTED)
    near = [_share_direction(features, mean, pairs[at : at + _BLOCK]) for at in range(0, len(pairs), _BLOCK)]
    return np.concatenate([pairs[:0], *near])


def _share_direction(
    features: NDArray[np.floating], mean: NDArray[np.float32], pairs: NDArray[np.int64]
) -> NDArray[np.int64]:
    left, right = (directions(features[rows], mean) for rows in pairs.T)
    kept: NDArray[np.int64] = pairs[(left * right).sum(axis=1) >= _SAME_FEATURES]
    return kept


def _near_findings(examples: Sequence[Example], told: Mapping[tuple[int, ...], str]) -> Iterator[Finding]:
    across: list[Occurrence] = []
    within: list[Occurrence] = []
    for group in clusters(np.array(list(told), np.int64).reshape(-1, 2)):
        members = sorted((examples[position] for position in group), key=_changed_first)
        ids = tuple(member.image_id for member in members)
        ways = sorted({way for pair, way in told.items() if pair[0] in group})
        splits = {member.split for member in members}
        others = ", ".join(f"{member.image_id} ({member.split or 'undecided'})" for member in members[1:])
        place = Occurrence(
            members[0].image_id,
            f"in {members[0].split or 'no split'}, nearly equal to {others}, {' and '.join(ways)}",
            "",
            ids,
        )
        (across if len(splits) > 1 else within).append(place)
    if across:
        yield found("near-duplicates across splits", across)
    if within:
        yield found("near-duplicates", within)


def _changed_first(example: Example) -> tuple[int, str]:
    split = example.split or "train"
    return -_KEEPS_FIRST.index(split) if split in _KEEPS_FIRST else 0, example.image_id
