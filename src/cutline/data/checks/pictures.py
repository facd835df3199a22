"""What the pictures themselves show: broken files, sizes, plain colours, nearly equal pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.data.checks.finding import Finding, Occurrence, found
from cutline.data.identity import beside_name
from cutline.data.images import decode_image, measure_image
from cutline.data.near_duplicates import (
    HASHED_SIZE,
    LUMA,
    Agree,
    directions,
    members,
    near_groups,
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
_SHOWN: Final = 5
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
                message = f"{beside_name(outcome, example)}; left out"
                broken.append(Problem("unreadable image", example.image_id, message, example.captions))
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
    by_pixels = _looking_alike(pictures, _is_plain(pictures.small))
    groups = by_pixels if features is None else alike_by_features(features, by_pixels)
    yield from _near_findings(pictures.examples, groups, by_pixels)


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
    """Return groups of images whose hashes are near and whose very small pictures agree.

    Hashes see grey and coarse forms alone: a red star and a blue one have the same. So the small pictures of
    near pairs are compared in colour. Drawings, logos and charts, which have few colours, agree in most
    of their pixels by nature, and are taken for equal only when they agree in all of them.
    """
    looked_at = np.flatnonzero(~plain)
    first = np.arange(len(plain))
    agree = _agreeing(pictures.small[looked_at])
    first[looked_at] = looked_at[near_groups(pictures.codes[looked_at], _NEAR_BITS, agree)]
    return first


def _agreeing(small: NDArray[np.uint8]) -> Agree:
    """Return what tells which pairs of very small pictures agree."""
    rich = np.array([_colour_bits(picture) >= _RICH_BITS for picture in small], np.bool_)
    chroma = (small.max(axis=3) - small.min(axis=3)).reshape(len(small), _KEPT * _KEPT)
    coloured: NDArray[np.bool_] = chroma.mean(axis=1) >= _COLOURLESS

    def agree(pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        agreed = np.zeros(len(pairs), np.bool_)
        in_colour, are_rich = (each[pairs[:, 0]] & each[pairs[:, 1]] for each in (coloured, rich))
        for which, to_grey in ((in_colour, False), (~in_colour, True)):
            if which.any():
                left, right = (small[side].astype(np.float32) for side in pairs[which].T)
                sides = (left @ LUMA, right @ LUMA) if to_grey else (left, right)
                agreed[which] = _agree(*sides, are_rich[which])
        return agreed

    return agree


def _agree(
    left: NDArray[np.float32], right: NDArray[np.float32], rich: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Compare P pictures with P others, both (P, ...), but for their brightness."""
    one, other = (side.reshape(len(side), -1) for side in (left, right))
    one, other = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    correlated = ((one * other).sum(axis=1) >= _ALIKE * norm) & (norm > 0)
    agreed: NDArray[np.bool_] = np.where(
        rich, correlated, np.abs(one - other).max(axis=1) <= _FLAT_DIFFERENCE
    )
    return agreed


def _colour_bits(picture: NDArray[np.uint8]) -> float:
    """Return the entropy of a small picture's colours, 16 levels each, in bits: 0 to 8."""
    levels = (picture >> 4).astype(np.int64)
    colours = levels[..., 0] << 8 | levels[..., 1] << 4 | levels[..., 2]
    shares = np.unique(colours, return_counts=True)[1] / colours.size
    return float(-(shares * np.log2(shares)).sum())


def alike_by_features(
    features: NDArray[np.floating], known: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Join rows that point in nearly the same direction, seen from the mean of all: cosine 0.95 or more.

    Args:
        features: Numbers (N, D).
        known: Groups that are there already.

    Returns:
        Groups as those of :func:`near_groups`, int64 (N,).
    """
    if not len(features):
        return np.arange(0)
    mean = features.mean(axis=0, dtype=np.float32)
    # In blocks, because features are kept in half the precision that products need.
    codes = [
        projection_hashes(directions(features[at : at + _BLOCK], mean))
        for at in range(0, len(features), _BLOCK)
    ]

    def agree(pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        left, right = (directions(features[rows], mean) for rows in pairs.T)
        agreed: NDArray[np.bool_] = (left * right).sum(axis=1) >= _SAME_FEATURES
        return agreed

    return near_groups(np.concatenate(codes), _NEAR_PROJECTED, agree, known)


def _near_findings(
    examples: Sequence[Example], groups: NDArray[np.int64], by_pixels: NDArray[np.int64]
) -> Iterator[Finding]:
    """Yield the groups, those in several splits first; what pixels did not join was joined by features."""
    across: list[Occurrence] = []
    within: list[Occurrence] = []
    for group in members(groups):
        parts = set(by_pixels[group].tolist())
        ways = ["by the encoder's features"] if len(parts) > 1 else []
        ways += ["by their pixels"] if len(parts) < len(group) else []
        alike = sorted((examples[position] for position in group), key=_changed_first)
        others = ", ".join(f"{each.image_id} ({each.split or 'undecided'})" for each in alike[1 : 1 + _SHOWN])
        more = f" and {len(alike) - 1 - _SHOWN:,} more" if len(alike) > 1 + _SHOWN else ""
        place = Occurrence(
            alike[0].image_id,
            f"in {alike[0].split or 'no split'}, nearly equal to {others}{more}, {' and '.join(ways)}",
            "",
            tuple(each.image_id for each in alike),
        )
        (across if len({each.split for each in alike}) > 1 else within).append(place)
    if across:
        yield found("near-duplicates across splits", across)
    if within:
        yield found("near-duplicates", within)


def _changed_first(example: Example) -> tuple[int, str]:
    split = example.split or "train"
    return -_KEEPS_FIRST.index(split) if split in _KEEPS_FIRST else 0, example.image_id
