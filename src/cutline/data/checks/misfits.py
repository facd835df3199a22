"""Captions that share nothing with those of similar images: they may belong to another image.

No model is needed. What is to be expected of an image's captions is told by the captions of the images
most like it, by the encoder's features. A caption is asked whether it fits there better than elsewhere:
better than among the neighbours of images drawn by lot. A caption of another image fits the lot as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cutline.data.checks.finding import Finding, Occurrence, found
from cutline.data.checks.sentences import Sentence, Sentences
from cutline.data.near_duplicates import directions
from cutline.progress import Progress

NEIGHBOURS: Final = 20
DRAWN: Final = 100
_FEWEST: Final = 60
_MOST_COMPARED: Final = 20_000
_AT_ONCE: Final = 512
_SEED: Final = 0
_FITS_BADLY: Final = 0.4
_SINGLE_FITS_BADLY: Final = 0.3

_Weighted: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Numbers of a caption's tokens, and their weights: unit length."""


@dataclass(frozen=True)
class Fit:
    """How well the captions of one image fit it.

    Attributes:
        image: Share (0..1) of the drawn images that its captions fit worse, mean over captions, by the
            captions of its neighbours alone.
        captions: The same for each caption, by its neighbours' captions and the image's other captions.
    """

    image: float
    captions: tuple[float, ...]


def misfit_findings(
    sentences: Sentences, features: NDArray[np.floating], progress: Progress
) -> Iterator[Finding]:
    """Yield the images, and the single captions, that fit their image better than only a few of the others.

    Args:
        sentences: All captions; those of one image follow each other.
        features: Numbers (N, D), one row per image, in the order in which the captions name them.
        progress: Told about every image.
    """
    images = [list(group) for _, group in groupby(sentences.all, key=lambda each: each.example.image_id)]
    if len(images) < _FEWEST:
        return
    places = []
    neighbours = nearest(features)
    for captions, near, fit in zip(images, neighbours, fits(images, neighbours, progress), strict=True):
        ids = tuple(images[other][0].example.image_id for other in near[:3])
        places += [(fitting, _place(captions, place, ids)) for place, fitting in _odd(fit)]
    if places:
        yield found("unlike its neighbours", [place for _, place in sorted(places, key=lambda each: each[0])])


def _odd(fit: Fit) -> Iterator[tuple[int | None, float]]:
    """Yield the number of each caption that fits badly, None when all of them do."""
    alone = len(fit.captions) == 1
    if fit.image < (_SINGLE_FITS_BADLY if alone else _FITS_BADLY):
        yield None, fit.image
        return
    if not alone:
        yield from ((number, share) for number, share in enumerate(fit.captions) if share < _FITS_BADLY)


def _place(captions: Sequence[Sentence], number: int | None, near: tuple[str, ...]) -> Occurrence:
    image_id = captions[0].example.image_id
    detail = f"most like {', '.join(near)}"
    if number is None:
        what = "its caption fits" if len(captions) == 1 else "its captions fit"
        return Occurrence(
            image_id, f"{what} other images as well; {detail}", captions[0].caption, (image_id, *near)
        )
    return Occurrence(
        image_id, f"unlike its other captions; {detail}", captions[number].caption, (image_id, *near)
    )


def nearest(features: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the most similar images of each by the cosine of centred features, int64 (N, 20), nearest first.

    Above 20,000 images only so many, drawn by seed, are compared with, so that the time grows with N.
    """
    chance = np.random.default_rng(_SEED)
    count = len(features)
    drawn = np.arange(count)
    if count > _MOST_COMPARED:
        drawn = np.sort(chance.choice(count, _MOST_COMPARED, replace=False))
    mean = features.mean(axis=0, dtype=np.float32)
    pool = directions(features[drawn], mean)
    most = min(NEIGHBOURS, len(drawn) - 1)
    found_rows = []
    for at in range(0, count, _AT_ONCE):
        cosines = directions(features[at : at + _AT_ONCE], mean) @ pool.T
        cosines[np.arange(at, at + len(cosines))[:, None] == drawn[None, :]] = -2
        best = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
        order = np.argsort(-np.take_along_axis(cosines, best, axis=1), axis=1, kind="stable")
        found_rows.append(drawn[np.take_along_axis(best, order, axis=1)])
    return np.concatenate(found_rows)


def fits(
    images: Sequence[Sequence[Sentence]], neighbours: NDArray[np.int64], progress: Progress
) -> list[Fit]:
    """Measure how well captions fit their images, with words weighted by how few images they are said of."""
    vectors, size = _weighted(images)
    drawn = np.random.default_rng(_SEED).choice(len(images), min(DRAWN, len(images)), replace=False)
    around = np.stack([_sum([c for near in neighbours[i] for c in vectors[near]], size) for i in drawn])
    with_own = around + np.stack([_sum(vectors[i], size) for i in drawn])
    result = []
    with progress.stage("comparing captions of similar images", len(images), "images") as stage:
        for number, captions in enumerate(vectors):
            near = _sum([caption for other in neighbours[number] for caption in vectors[other]], size)
            alone = [_share_worse(near, around, caption) for caption in captions]
            beside = [
                _share_worse(near + _sum(captions[:at] + captions[at + 1 :], size), with_own, caption)
                for at, caption in enumerate(captions)
            ]
            result.append(Fit(float(np.mean(alone)), tuple(beside)))
            stage.advance()
    return result


def _weighted(images: Sequence[Sequence[Sentence]]) -> tuple[list[list[_Weighted]], int]:
    # In the order of the captions, so that equal runs add up in equal order.
    spoken = Counter(
        token
        for captions in images
        for token in dict.fromkeys(token for each in captions for token in each.tokens)
    )
    numbers = {token: number for number, token in enumerate(spoken)}
    weights = np.log(len(images) / np.array(list(spoken.values()), np.float32))

    def weigh(sentence: Sentence) -> _Weighted:
        counts = Counter(numbers[token] for token in sentence.tokens)
        rows = np.fromiter(counts, np.int64, len(counts))
        values = (1 + np.log(np.fromiter(counts.values(), np.float32, len(counts)))) * weights[rows]
        return rows, (values / max(float(np.linalg.norm(values)), 1e-9)).astype(np.float32)

    return [[weigh(sentence) for sentence in captions] for captions in images], len(numbers)


def _sum(captions: Sequence[_Weighted], size: int) -> NDArray[np.float32]:
    """Add captions up to one vector (V,) of unit length."""
    total = np.zeros(size, np.float32)
    if captions:
        rows, values = (np.concatenate(parts) for parts in zip(*captions, strict=True))
        total += np.bincount(rows, values, size)
    return total / max(float(np.linalg.norm(total)), 1e-9)


def _share_worse(own: NDArray[np.float32], others: NDArray[np.float32], caption: _Weighted) -> float:
    """Return which share of the others fits a caption worse than the own one; equal ones count half."""
    rows, values = caption
    fit, elsewhere = own[rows] @ values, others[:, rows] @ values
    return float((elsewhere < fit).mean() + (elsewhere == fit).mean() / 2)
