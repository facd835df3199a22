"""What ``cutline score`` finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cutline.records.data import Problem
from cutline.records.scores import Comparison, Diversity, Scores


@dataclass(frozen=True)
class ScoredCaptions:
    """One file of hypotheses and how good they are.

    Attributes:
        source: The file.
        scores: With intervals and signature.
        diversity: How varied the captions are.
        image_scores: image_id → name of a score → its value for this image alone, ×100.
        blank: Number of captions that say nothing; they score 0.
        marked: Number of captions that start or end markers were stripped from.
    """

    source: str
    scores: Scores
    diversity: Diversity
    image_scores: Mapping[str, Mapping[str, float]]
    blank: int = 0
    marked: int = 0


@dataclass(frozen=True)
class ScoreReport:
    """Captions of any program, scored against references.

    Attributes:
        hypotheses: The captions that were scored.
        references: The file of the references.
        split: Split of the references that was scored, ``"all"`` without one.
        against: Other captions for the same images, if any were given.
        comparisons: The paired test of ``against`` (second) with ``hypotheses`` (first), by score.
        missing: Images with references and without a hypothesis, which were left out.
        extra: Images with a hypothesis and without references, which were left out.
        notes: What a reader of the scores should know, one sentence each.
        problems: Rows of the files that could not be used.
    """

    hypotheses: ScoredCaptions
    references: str
    split: str
    against: ScoredCaptions | None = None
    comparisons: tuple[Comparison, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
