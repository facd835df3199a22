"""The photos of a page: which are shown, in which order, and how many bytes each may take."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cutline.records import EvaluationResult
from cutline.report.thumbnails import Thumbnail

MOST_IMAGES: Final = 1000
"""Images shown over all evaluations of a page."""
EXTREMES: Final = 12
"""Images shown as the best, and as the worst."""
_SEED: Final = 0

Take = Callable[[str, bool], Thumbnail | None]
"""From the path of an image, and whether it is shown large, to its thumbnail."""


@dataclass(frozen=True)
class Card:
    """One image with what the model and people wrote.

    Attributes:
        image_id: Key of the image.
        thumbnail: None when the image cannot be read any more.
        hypothesis: The model's caption, may be empty.
        references: People's captions.
        score: CIDEr-D of the caption, ×100; None when it is not known.
        confidence: Probability (0..1) that the caption is acceptable, or None.
        unlike: Whether the image is known to be unlike the training images.
        parts: Numbers of the slices that the image belongs to, 1-based, with spaces between.
    """

    image_id: str
    thumbnail: Thumbnail | None
    hypothesis: str
    references: tuple[str, ...]
    score: float | None
    confidence: float | None
    parts: str
    unlike: bool = False


@dataclass(frozen=True)
class Gallery:
    """The photos of one evaluation: the best (best first), the worst (worst first), and all or many."""

    best: tuple[Card, ...]
    worst: tuple[Card, ...]
    cards: tuple[Card, ...]


def choose_images(results: Sequence[EvaluationResult], most: int = MOST_IMAGES) -> list[tuple[str, ...]]:
    """Choose which images of each evaluation are shown, by lot where there are too many.

    Every evaluation gets the same share; what one does not need goes to those after it in size.

    Returns:
        For each evaluation its image ids, in its own order.
    """
    shares = [0] * len(results)
    left = most
    by_size = sorted(range(len(results)), key=lambda number: len(results[number].captions))
    for done, number in enumerate(by_size):
        shares[number] = min(len(results[number].captions), left // (len(results) - done))
        left -= shares[number]
    return [_draw(result, share) for result, share in zip(results, shares, strict=True)]


def _draw(result: EvaluationResult, share: int) -> tuple[str, ...]:
    image_ids = list(result.captions)
    if share >= len(image_ids):
        return tuple(image_ids)
    chosen = set(random.Random(_SEED).sample(sorted(image_ids), share))
    return tuple(image_id for image_id in image_ids if image_id in chosen)


def extremes(result: EvaluationResult, most: int = EXTREMES) -> tuple[list[str], list[str]]:
    """Return the images whose captions score highest (best first) and lowest (worst first), none in both.

    Images with equal scores keep the order of the evaluation. Without scores there are none.
    """
    scored = [image_id for image_id in result.captions if _is_known(result, image_id)]
    ordered = sorted(scored, key=lambda image_id: -result.image_scores[image_id])
    number = min(most, len(ordered) // 2)
    return ordered[:number], ordered[len(ordered) - number :][::-1]


def hang(result: EvaluationResult, image_ids: Sequence[str], take: Take) -> Gallery:
    """Make the cards of one evaluation, the best and the worst with large pictures."""
    parts: dict[str, list[str]] = {}
    unlike = set(result.unlike_training.image_ids if result.unlike_training else ())
    for number, part in enumerate(result.slices, 1):
        for image_id in part.image_ids:
            parts.setdefault(image_id, []).append(str(number))

    def card(image_id: str, large: bool = False) -> Card:
        path = result.images.get(image_id)
        return Card(
            image_id=image_id,
            thumbnail=take(path, large) if path is not None else None,
            hypothesis=result.captions[image_id],
            references=tuple(result.references.get(image_id, ())),
            score=result.image_scores[image_id] if _is_known(result, image_id) else None,
            confidence=result.confidences.get(image_id),
            parts=" ".join(parts.get(image_id, ())),
            unlike=image_id in unlike,
        )

    best, worst = extremes(result)
    return Gallery(
        best=tuple(card(image_id, large=True) for image_id in best),
        worst=tuple(card(image_id, large=True) for image_id in worst),
        cards=tuple(card(image_id) for image_id in image_ids),
    )


def _is_known(result: EvaluationResult, image_id: str) -> bool:
    return math.isfinite(result.image_scores.get(image_id, math.nan))
