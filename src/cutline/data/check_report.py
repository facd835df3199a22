"""What looking a data set over found, as numbers and as lines for people."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from cutline.records import Problem
from cutline.text import SPECIALS

_SHOWN: Final = 5


@dataclass(frozen=True)
class Spread:
    """Where numbers lie.

    Example:
        >>> Spread.of([1, 2, 6])
        Spread(minimum=1, mean=3.0, median=2, maximum=6)
    """

    minimum: int
    mean: float
    median: float
    maximum: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Spread:
        """Measure numbers; of none at all, everything is 0."""
        if not numbers:
            return cls(0, 0.0, 0, 0)
        return cls(min(numbers), statistics.fmean(numbers), statistics.median(numbers), max(numbers))


@dataclass(frozen=True)
class CheckReport:
    """What is in a data set, and what is wrong with it.

    Attributes:
        source: What was read.
        format: Name of the reader that read it.
        images: Number of images that can be used.
        captions: Number of their captions.
        images_left_out: Number of images that are missing or cannot be read; in no other count.
        captions_per_image: Over images.
        splits: Split → (images, captions); undecided ones under ``"none"``.
        level: Unit of the vocabulary, ``"word"`` or ``"character"``.
        tokens: Tokens per caption.
        token_histogram: Length in tokens → number of captions, by rising length.
        distinct_tokens: Different tokens in the train captions.
        vocabulary_size: Those frequent enough to be kept, and the markers, as in training; 0 when none is.
        coverage: ``"val"`` and ``"test"`` → share (0..1) of their tokens the vocabulary knows.
        common_captions: The most frequent captions with their counts, those used once left out.
        distinct_captions: Different captions.
        shared_captions: Different captions that describe more than one image.
        widths: Upright widths of the readable images in pixels. Likewise ``heights``.
        problems: Left-out rows and images of the reader, and images that cannot be decoded.
        advice: What to do, one sentence each; empty when nothing is in the way.
    """

    source: str
    format: str
    images: int
    captions: int
    images_left_out: int
    captions_per_image: Spread
    splits: Mapping[str, tuple[int, int]]
    level: str
    tokens: Spread
    token_histogram: Mapping[int, int]
    distinct_tokens: int
    vocabulary_size: int
    coverage: Mapping[str, float]
    common_captions: tuple[tuple[str, int], ...]
    distinct_captions: int
    shared_captions: int
    widths: Spread
    heights: Spread
    problems: tuple[Problem, ...]
    advice: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        histogram = {str(length): count for length, count in self.token_histogram.items()}
        problems = [
            {"kind": problem.kind, "where": problem.where, "message": problem.message}
            for problem in self.problems
        ]
        splits = {
            split: {"images": images, "captions": captions}
            for split, (images, captions) in self.splits.items()
        }
        return {
            **asdict(self),
            "splits": splits,
            "token_histogram": histogram,
            "common_captions": [list(pair) for pair in self.common_captions],
            "problems": problems,
            "advice": list(self.advice),
        }

    def lines(self) -> list[str]:
        """Return the report as lines for people; each kind of problem is listed up to five times."""
        each, tokens = self.captions_per_image, self.tokens
        splits = [f"{name} {images:,} ({captions:,})" for name, (images, captions) in self.splits.items()]
        left_out = f"; {self.images_left_out:,} more images left out" if self.images_left_out else ""
        lines = [
            f"{self.source} (format {self.format}): {self.images:,} images, {self.captions:,} captions"
            f"{left_out}",
            f"Captions per image: {each.minimum} to {each.maximum}, mean {each.mean:.1f}",
            f"Images (captions) by split: {', '.join(splits)}",
            f"Tokens per caption ({self.level} level): {tokens.minimum} to {tokens.maximum}, "
            f"mean {tokens.mean:.1f}",
            *_bars(self.token_histogram),
            f"Vocabulary: {self._vocabulary()}{_known(self.coverage)}",
            f"Image sizes: {_pixels('width', self.widths)}, {_pixels('height', self.heights)}",
            f"Different captions: {self.distinct_captions:,}, of which {self.shared_captions:,} describe "
            "more than one image",
            *(f"  {count:,} × {caption}" for caption, count in self.common_captions),
        ]
        lines += _problem_lines(self.problems) or ["Problems: none"]
        return lines + [f"To do: {sentence}" for sentence in self.advice]

    def _vocabulary(self) -> str:
        kept = max(self.vocabulary_size - len(SPECIALS), 0)
        markers = f"{len(SPECIALS)} markers and " if kept else ""
        return (
            f"{self.vocabulary_size:,} ({markers}{kept:,} of {self.distinct_tokens:,} different tokens of "
            "the train captions, those frequent enough)"
        )


def _bars(histogram: Mapping[int, int]) -> list[str]:
    """Return up to ten lines, each with a range of lengths, a bar and a count."""
    if len(histogram) < 2:
        return []
    first, last = min(histogram), max(histogram)
    width = (last - first) // 10 + 1
    bins: Counter[int] = Counter()
    for length, count in histogram.items():
        bins[(length - first) // width] += count
    lines = []
    for number in range((last - first) // width + 1):
        low, high = first + number * width, min(first + (number + 1) * width - 1, last)
        name = str(low) if low == high else f"{low}-{high}"
        bar = "▇" * round(30 * bins[number] / max(bins.values()))
        lines.append(f"  {name:>7} {bar} {bins[number]:,}")
    return lines


def _known(coverage: Mapping[str, float]) -> str:
    parts = [f"{share * 100:.1f} % of the {split} tokens" for split, share in coverage.items()]
    return f"; it knows {' and '.join(parts)}" if parts else ""


def _pixels(name: str, spread: Spread) -> str:
    return f"{name} {spread.minimum:,} to {spread.maximum:,} (median {spread.median:,.0f})"


def _problem_lines(problems: Iterable[Problem]) -> list[str]:
    by_kind: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_kind[problem.kind].append(problem)
    lines = []
    for kind, found in by_kind.items():
        lines.append(f"Problem: {kind} ({len(found):,})")
        lines += [f"  {problem.where}: {problem.message}" for problem in found[:_SHOWN]]
        lines += [f"  and {len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else []
    return lines
