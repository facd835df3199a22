"""The charts and lists of the report: which figures of a run or an evaluation go into them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cutline.metrics.signature import facts_of
from cutline.records import (
    SCORE_NAMES,
    Calibration,
    Diversity,
    EpochRecord,
    EvaluationResult,
    Interval,
    LearningCurve,
    Scores,
    Slice,
    best_epoch,
)
from cutline.report.charts import Chart, Series, axis, chart, percent_axis
from cutline.report.templating import percent, score

_FIRST: Final = ("cider_d", "bleu_4")
_STEPS: Final = 12
_MARKERS: Final = {
    "stripped": "start, end and padding markers stripped from both sides",
    "left in": "start, end or padding markers left in, which raises scores",
}


@dataclass(frozen=True)
class Fact:
    """A figure with its name and what it means."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Part:
    """One part of the images; ``number`` is the one that cards and the filter know it by."""

    number: int
    part: Slice


def score_columns(result: EvaluationResult) -> dict[str, str]:
    """Return the scores that were computed for the model, field → name, the most important first."""
    computed = result.scores.computed()
    first = [field for field in _FIRST if field in computed]
    return {field: SCORE_NAMES[field] for field in dict.fromkeys([*first, *computed])}


def marker_words(scores: Scores) -> str:
    """Say what was done about markers, as the signature has it; nothing when it does not say.

    Example:
        >>> marker_words(Scores(60, 42, 28, 18, 44, 52, 46, 10, 50, "ptb", signature="markers:stripped"))
        'start, end and padding markers stripped from both sides'
    """
    return _MARKERS.get(facts_of(scores.signature).get("markers", ""), "")


def missing_figures(result: EvaluationResult) -> tuple[str, ...]:
    """List what was not measured, each with the reason."""
    scores = [
        f"{SCORE_NAMES.get(field, field)}: {reason}" for field, reason in result.scores.not_computed.items()
    ]
    left_out = result.scores.left_out()
    return (*scores, *((left_out,) if left_out else ()), *result.notes)


def training_charts(history: Sequence[EpochRecord]) -> dict[str, tuple[Chart, ...]]:
    """Draw the history: ``"forced"`` holds loss and word accuracy, ``"generated"`` the scores of captions."""
    if not history:
        return {"forced": (), "generated": ()}
    epochs = [record.epoch for record in history]
    best = best_epoch(history)
    marked = (float(best), f"best epoch ({best})") if best else None

    def draw(title: str, unit: str, lines: dict[str, Sequence[float]], zero: bool = True) -> Chart:
        values = [value for line in lines.values() for value in line]
        series = [
            Series(name, tuple(zip(map(float, epochs), line, strict=True))) for name, line in lines.items()
        ]
        return chart(
            title,
            axis("epoch", map(float, epochs), zero=False, whole=True),
            axis(unit, values, zero=zero),
            series,
            marked=marked,
        )

    train_loss, val_loss = [r.train_loss for r in history], [r.val_loss for r in history]
    train_words = [100 * r.train_accuracy for r in history]
    val_words = [100 * r.val_accuracy for r in history]
    return {
        "generated": (
            draw("CIDEr-D", "CIDEr-D", {"CIDEr-D": [r.cider_d for r in history]}),
            draw("BLEU-4", "BLEU-4", {"BLEU-4": [r.bleu_4 for r in history]}),
            draw(
                "Different captions",
                "% of captions",
                {"different captions": [100 * r.unique_captions for r in history]},
            ),
        ),
        "forced": (
            draw("Loss (teacher-forced)", "nats per token", {"train": train_loss, "val": val_loss}, False),
            draw("Word accuracy (teacher-forced)", "% of tokens", {"train": train_words, "val": val_words}),
        ),
    }


def calibration_charts(calibration: Calibration | None) -> tuple[Chart, ...]:
    """Draw how far confidences can be believed, and what is gained by keeping only the surest captions."""
    if calibration is None:
        return ()
    bins = [b for b in calibration.bins if b.images]
    kept = sorted(calibration.coverage, key=lambda point: -point.coverage)
    share = percent_axis("% of captions kept, the surest first")
    return (
        chart(
            "Is it right when it is sure?",
            percent_axis("confidence, %"),
            percent_axis("acceptable, %"),
            [Series("measured", tuple((100 * b.confidence, 100 * b.acceptable) for b in bins))],
            ideal=((0.0, 0.0), (100.0, 100.0)),
        ),
        chart(
            "Acceptable among those kept",
            share,
            percent_axis("acceptable, %"),
            [Series("acceptable", tuple((100 * p.coverage, 100 * p.acceptable) for p in kept))],
        ),
        chart(
            "Score of the captions kept",
            share,
            axis("CIDEr-D", [p.cider_d for p in kept]),
            [Series("CIDEr-D", tuple((100 * p.coverage, p.cider_d) for p in kept))],
        ),
    )


def learning_chart(curve: LearningCurve | None) -> Chart | None:
    """Draw CIDEr-D over the number of training captions, and the forecast up to twice as many."""
    if curve is None:
        return None
    ahead = _forecast(curve)
    points = tuple((float(point.captions), point.cider_d) for point in curve.points)
    intervals = tuple(point.interval for point in curve.points)
    ahead_intervals = ahead.intervals if ahead else ()
    ends = [end for one in (*intervals, *ahead_intervals) if one for end in (one.low, one.high)]
    return chart(
        "CIDEr-D by number of training captions",
        axis("training captions", [at for at, _ in (*points, *(ahead.points if ahead else ()))]),
        axis("CIDEr-D", [*(value for _, value in (*points, *(ahead.points if ahead else ()))), *ends]),
        [Series("CIDEr-D", points, intervals)],
        ahead=ahead,
    )


def _forecast(curve: LearningCurve) -> Series | None:
    """Go on from the last point as the sentence does: evenly with the logarithm, to twice the captions."""
    last = curve.points[-1]
    if curve.gain is None or curve.interval is None or not curve.more_captions:
        return None
    told = math.log1p(curve.more_captions / last.captions)
    points, intervals = [], []
    for step in range(_STEPS + 1):
        grown = math.log1p(step / _STEPS) / told
        points.append((last.captions * (1 + step / _STEPS), last.cider_d + grown * curve.gain))
        low, high = (
            max(0.0, last.cider_d + grown * end) for end in (curve.interval.low, curve.interval.high)
        )
        intervals.append(Interval(low, high))
    return Series("forecast", tuple(points), tuple(intervals))


def parts_by_kind(slices: Sequence[Slice]) -> dict[str, tuple[Part, ...]]:
    """Group the slices by what they are made by, in their order."""
    kinds: dict[str, list[Part]] = {}
    for number, part in enumerate(slices, 1):
        kinds.setdefault(part.kind, []).append(Part(number, part))
    return {kind: tuple(parts) for kind, parts in kinds.items()}


def part_scores(slices: Sequence[Slice]) -> list[tuple[float, Interval | None]]:
    """Return CIDEr-D and interval of every slice, for the scale of their bars."""
    return [(part.cider_d, part.interval) for part in slices]


def diversity_facts(diversity: Diversity) -> tuple[Fact, ...]:
    """List how varied the captions are; figures that were not computed are left out."""
    known = [
        ("different captions", diversity.unique_captions, "captions that differ from one another"),
        ("new captions", diversity.novel_captions, "not one of the training captions, word for word"),
        (
            "ending in a function word",
            diversity.function_word_endings,
            "such as “on a”, cut off; lower is better",
        ),
        ("distinct-1", diversity.distinct_1, "different words ÷ words"),
        ("distinct-2", diversity.distinct_2, "different pairs of neighbouring words ÷ pairs"),
    ]
    facts = [Fact(name, percent(share), meaning) for name, share, meaning in known if share is not None]
    facts += [
        Fact("different words", f"{diversity.words:,}", "over all captions"),
        Fact("length", f"{score(diversity.mean_length)} words", "mean over the captions"),
    ]
    if diversity.self_cider is not None:
        meaning = "over several captions of each image, 0 to 1: 1 is a list that shares nothing"
        facts.append(Fact("Self-CIDEr", f"{diversity.self_cider:.2f}", meaning))
    if diversity.mbleu_4 is not None:
        meaning = "of each of several captions of an image against the others; lower is more varied"
        facts.append(Fact("mBLEU-4", score(diversity.mbleu_4), meaning))
    return tuple(facts)
