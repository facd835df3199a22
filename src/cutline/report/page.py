"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cutline.progress import Progress, Silent
from cutline.records import Calibration, EpochRecord, EvaluationResult, Problem, best_epoch
from cutline.report.charts import Chart
from cutline.report.figures import (
    Fact,
    Part,
    calibration_charts,
    diversity_facts,
    learning_chart,
    marker_words,
    missing_figures,
    part_scores,
    parts_by_kind,
    score_columns,
    training_charts,
)
from cutline.report.gallery import Gallery, Take, choose_images, hang
from cutline.report.standings import Group, Scale, Standing, groups_of, scale_of
from cutline.report.templating import render_page, score
from cutline.report.thumbnails import Album, Thumbnail
from cutline.report.verdict import Verdict, judge

MOST_BYTES: Final = 5_000_000
"""Size of the file that the pictures are fitted into."""
_LEAST_PER_PICTURE: Final = 1000
_MOST_PROBLEMS: Final = 200


@dataclass(frozen=True)
class _Section:
    """Everything about one evaluation, ready to be written."""

    result: EvaluationResult
    verdict: Verdict
    columns: Mapping[str, str]
    groups: tuple[Group, ...]
    notes: tuple[Standing, ...]
    markers: str
    missing: tuple[str, ...]
    scale: Scale
    parts: Mapping[str, tuple[Part, ...]]
    filtered: Mapping[str, tuple[Part, ...]]
    parts_scale: Scale
    diversity: tuple[Fact, ...]
    calibration: tuple[Chart, ...]
    threshold_told: bool
    learning: Chart | None
    gallery: Gallery


def render_report(
    *,
    title: str,
    history: Sequence[EpochRecord] = (),
    evaluations: Sequence[EvaluationResult] = (),
    summary: Mapping[str, str] | None = None,
    problems: Sequence[Problem] = (),
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> str:
    """Render a run as one HTML page of at most 5 MB for 1,000 images.

    The page loads nothing and forbids it by its content security policy: pictures are data URIs, style and
    script are inside and allowed by their hashes. Without the script everything is shown; the script only
    searches, filters and orders. Captions are shown in the direction of their script and escaped.

    Args:
        title: Heading of the page, usually the name of the run.
        history: One record per epoch; without any there are no curves.
        evaluations: Each with its own scores and images, the most important first: the page opens with what
            it comes to. Without any the page says how to get one.
        summary: Settings and facts to list, name → value, in order.
        problems: Rows and images left out of training; those of the evaluations are added.
        progress: Told about the pictures.

    Returns:
        The HTML text.

    Example:
        >>> page = render_report(title="runs/first")
        >>> page.startswith("<!doctype html>"), "has not been evaluated yet" in page
        (True, True)
    """
    listed = tuple(dict.fromkeys([*problems, *(p for result in evaluations for p in result.problems)]))
    chosen = choose_images(evaluations)

    def render(take: Take) -> str:
        sections = [_section(result, ids, take) for result, ids in zip(evaluations, chosen, strict=True)]
        return render_page(
            "report.html.j2",
            script="report.js" if sections else "",
            title=title,
            history=history,
            best=next((record for record in history if record.epoch == best_epoch(history)), None),
            curves=training_charts(history),
            sections=sections,
            summary=dict(summary or {}),
            problems=listed[:_MOST_PROBLEMS],
            problem_count=len(listed),
        )

    return _with_pictures(render, progress)


def _with_pictures(render: Callable[[Take], str], progress: Progress) -> str:
    """Render a page twice: without its pictures, which tells how many bytes are left for them, and with."""
    taken: list[bool] = []
    bare = render(_counting(taken))
    if not taken:
        return bare
    large = sum(taken)
    allowed = MOST_BYTES - len(bare.encode())
    album = Album(max(allowed, _LEAST_PER_PICTURE * len(taken)), len(taken) - large, large)
    with progress.stage("drawing the report", len(taken), "pictures") as stage:

        def take(path: str, large: bool) -> Thumbnail | None:
            thumbnail = album.take(path, large)
            stage.advance()
            return thumbnail

        return render(take)


def _counting(taken: list[bool]) -> Take:
    """Return a stand-in that notes for each picture asked for whether it is large."""

    def take(_: str, large: bool) -> Thumbnail:
        taken.append(large)
        return Thumbnail("", 999, 999)

    return take


def _kept(members: Sequence[Part]) -> tuple[Part, ...]:
    """Return the parts of which it is known which images are in them."""
    return tuple(member for member in members if member.part.image_ids)


def _tells_threshold(calibration: Calibration | None) -> bool:
    """Tell whether the definition names the number itself, as those of older bundles do."""
    return calibration is not None and score(calibration.threshold) in calibration.definition


def _section(result: EvaluationResult, image_ids: Sequence[str], take: Take) -> _Section:
    groups = groups_of(result)
    parts = parts_by_kind(result.slices)
    return _Section(
        result=result,
        verdict=judge(result),
        columns=score_columns(result),
        groups=groups,
        notes=tuple(s for group in groups for s in group.standings if s.note),
        markers=marker_words(result.scores),
        missing=missing_figures(result),
        scale=scale_of((s.scores.cider_d, s.interval) for group in groups for s in group.standings),
        parts=parts,
        filtered={kind: kept for kind, members in parts.items() if (kept := _kept(members))},
        parts_scale=scale_of([*part_scores(result.slices), (result.scores.cider_d, None)]),
        diversity=diversity_facts(result.diversity),
        calibration=calibration_charts(result.calibration),
        threshold_told=_tells_threshold(result.calibration),
        learning=learning_chart(result.learning_curve),
        gallery=hang(result, image_ids, take),
    )
