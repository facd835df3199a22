"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cutline.records import EpochRecord, EvaluationResult, Problem, Scores
from cutline.report.curves import best_epoch, panel_pngs
from cutline.report.templating import render_page
from cutline.report.thumbnails import Thumbnail, data_uri, make_thumbnail

MOST_IMAGES: Final = 60
"""Images shown over all evaluations, so that the file stays below 5 MB."""
_MOST_PROBLEMS: Final = 200
_SEED: Final = 0

SCORE_NAMES: Final = {
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "cider_d": "CIDEr-D",
}
"""Field of Scores → what it is called on the page, in the order of the columns."""


@dataclass(frozen=True)
class _Card:
    """One image of the grid."""

    image_id: str
    thumbnail: Thumbnail | None
    hypothesis: str
    references: tuple[str, ...]


def render_report(
    *,
    title: str,
    history: Sequence[EpochRecord] = (),
    evaluations: Sequence[EvaluationResult] = (),
    summary: Mapping[str, str] | None = None,
    problems: Sequence[Problem] = (),
) -> str:
    """Render a run as one HTML page.

    The page loads nothing, runs no script and forbids both by its content security policy: pictures are data
    URIs, the style is inside. Captions are shown in the direction of their script and escaped.

    Args:
        title: Heading of the page, usually the name of the run.
        history: One record per epoch; without any there are no curves.
        evaluations: Each with its own scores and images; without any the page says how to get one.
        summary: Settings and facts to list, name → value, in order.
        problems: Rows and images left out of training; those of the evaluations are added.

    Returns:
        The HTML text.

    Example:
        >>> page = render_report(title="runs/first")
        >>> page.startswith("<!doctype html>"), "<script" in page
        (True, False)
    """
    listed = tuple(dict.fromkeys([*problems, *(p for result in evaluations for p in result.problems)]))
    share = max(1, MOST_IMAGES // max(1, len(evaluations)))
    return render_page(
        "report.html.j2",
        title=title,
        verdict=verdict,
        history=history,
        best=next((record for record in history if record.epoch == best_epoch(history)), None),
        curves=_curves(history),
        evaluations=[(result, _cards(result, share)) for result in evaluations],
        score_names=SCORE_NAMES,
        summary=dict(summary or {}),
        problems=listed[:_MOST_PROBLEMS],
        problem_count=len(listed),
    )


def verdict(scores: Scores, baseline: Scores) -> str:
    """Say in words how far above the most common caption a model is, by CIDEr-D.

    Example:
        >>> poor = Scores(0, 0, 0, 0, 0, 9.0, 8.0, 10, 50, "ptb")
        >>> verdict(Scores(0, 0, 0, 0, 0, 41.0, 40.0, 10, 50, "ptb"), poor)
        '5.0 times as good by that score'
        >>> verdict(Scores(0, 0, 0, 0, 0, 9.0, 8.1, 10, 50, "ptb"), poor)
        'hardly better than the most common caption: it has not learnt to look at the images'
    """
    if scores.cider_d <= baseline.cider_d:
        return "no better than the most common caption: it has not learnt to look at the images"
    if scores.cider_d < 1.5 * baseline.cider_d:
        return "hardly better than the most common caption: it has not learnt to look at the images"
    if baseline.cider_d < 0.5:
        return "far better by that score"
    return f"{scores.cider_d / baseline.cider_d:.1f} times as good by that score"


def _curves(history: Sequence[EpochRecord]) -> dict[str, str]:
    pictures = panel_pngs(history) if history else {}
    return {title: data_uri(picture, "image/png") for title, picture in pictures.items()}


def _cards(result: EvaluationResult, most: int) -> list[_Card]:
    """Choose images by seed, in the order of the evaluation, and prepare what is shown of each."""
    image_ids = list(result.captions)
    chosen = set(random.Random(_SEED).sample(sorted(image_ids), min(most, len(image_ids))))
    return [
        _Card(
            image_id=image_id,
            thumbnail=make_thumbnail(result.images[image_id]) if image_id in result.images else None,
            hypothesis=result.captions[image_id],
            references=tuple(result.references.get(image_id, ())),
        )
        for image_id in image_ids
        if image_id in chosen
    ]
