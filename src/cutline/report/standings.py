"""Who scores what on the same images: the model beside people and beside simpler ways to get a caption."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cutline.records import HUMAN, EvaluationResult, Interval, Scores

MODEL: Final = "this model"
_SHOWN_AS: Final = {HUMAN: "people"}


@dataclass(frozen=True)
class Standing:
    """One line of the comparison; ``own`` marks the model that the page is about."""

    name: str
    scores: Scores
    own: bool = False
    note: str = ""

    @property
    def interval(self) -> Interval | None:
        """Of CIDEr-D."""
        return self.scores.intervals.get("cider_d")


@dataclass(frozen=True)
class Group:
    """Standings that were compared with the same references and so may be compared with each other.

    Attributes:
        title: Which references.
        standings: By falling CIDEr-D.
        model: CIDEr-D of the model against these references, ×100.
    """

    title: str
    standings: tuple[Standing, ...]
    model: float


@dataclass(frozen=True)
class Scale:
    """From a score to its place on a bar."""

    highest: float

    def at(self, value: float) -> str:
        """Return the place of a score as a percentage of the bar's length, held within it.

        Example:
            >>> Scale(50.0).at(20.0), Scale(50.0).at(-1.0)
            ('40.00%', '0.00%')
        """
        return f"{100 * min(max(value / self.highest, 0.0), 1.0):.2f}%"


def groups_of(result: EvaluationResult) -> tuple[Group, ...]:
    """Sort the model and its baselines into groups with the same references.

    A human caption is compared with the *other* captions of its image; so the model stands twice, once
    against all references and once against exactly those.
    """
    alike = [Standing(b.name, b.scores, note=b.note) for b in result.baselines if b.model_scores is None]
    groups = [_group("against all references", result.scores, alike)]
    for baseline in result.baselines:
        if baseline.model_scores is not None:
            name = _SHOWN_AS.get(baseline.name, baseline.name)
            other = Standing(name, baseline.scores, note=baseline.note)
            title = f"against {baseline.references_per_image:.3g} references per image"
            groups.append(_group(title, baseline.model_scores, [other]))
    return tuple(groups)


def scale_of(scores: Iterable[tuple[float, Interval | None]]) -> Scale:
    """Return a scale that holds all scores and their intervals."""
    highest = max((max(value, interval.high if interval else value) for value, interval in scores), default=0)
    return Scale(highest if highest > 0 else 1.0)


def _group(title: str, model: Scores, others: list[Standing]) -> Group:
    everyone = [Standing(MODEL, model, own=True), *others]
    ordered = sorted(everyone, key=lambda standing: -standing.scores.cider_d)
    return Group(title, tuple(ordered), model.cider_d)
