"""What looking a data set over found, as numbers and as lines for people."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from cutline.data.checks.finding import Finding, by_severity
from cutline.data.checks.kinds import SEVERITIES
from cutline.records import LOST_IMAGES, LOST_ROWS, Problem
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
        images_left_out: Number of images that are missing, cannot be read or have no usable caption; in no
            other count.
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
        findings: What is wrong, errors first; empty when nothing is.
        language: Language of most captions, where it is one of a few that are known, else ``""``.
        scripts: Script, e.g. ``"LATIN"`` → captions mostly written in it.
        common_words: Words said of most images, with the number of images.
        common_openings: Frequent first three tokens, with the number of captions.
        gendered_words: ``"female"`` and ``"male"`` → (captions with such a word, words with their counts);
            English only, empty otherwise.
        vocabulary_growth: (train captions read, different tokens in them), rising.
        coverage_curve: (most frequent train tokens kept, share 0..1 of the val tokens they make up), rising.
        fixed: What was written to a cleaned table, as lines for people; empty when none was asked for.
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
    findings: tuple[Finding, ...] = ()
    language: str = ""
    scripts: Mapping[str, int] = field(default_factory=dict)
    common_words: tuple[tuple[str, int], ...] = ()
    common_openings: tuple[tuple[str, int], ...] = ()
    gendered_words: Mapping[str, tuple[int, tuple[tuple[str, int], ...]]] = field(default_factory=dict)
    vocabulary_growth: tuple[tuple[int, int], ...] = ()
    coverage_curve: tuple[tuple[int, float], ...] = ()
    fixed: tuple[str, ...] = ()

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do, one sentence for each finding."""
        return tuple(f"{finding.kind}: {finding.to_do}" for finding in self.findings)

    @property
    def rows_left_out(self) -> int:
        """Number of rows that are broken or say nothing."""
        return sum(problem.kind in LOST_ROWS for problem in self.problems)

    @property
    def lists_all_lost(self) -> bool:
        """Whether :meth:`lines` names every image and row that was left out."""
        counts = Counter(problem.kind for problem in self.problems)
        return all(counts[kind] <= _SHOWN for kind in (*LOST_IMAGES, *LOST_ROWS))

    @property
    def in_two_splits(self) -> tuple[str, ...]:
        """The images that are in two splits, each with those splits; training refuses them."""
        return tuple(
            place.detail
            for finding in self.findings
            if finding.kind == "image in two splits"
            for place in finding.occurrences
        )

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
        gendered = {
            name: {"captions": captions, "words": dict(words)}
            for name, (captions, words) in self.gendered_words.items()
        }
        return {
            **asdict(replace(self, findings=(), problems=())),
            "rows_left_out": self.rows_left_out,
            "splits": splits,
            "token_histogram": histogram,
            "problems": problems,
            "findings": [finding.as_dict() for finding in self.findings],
            "gendered_words": gendered,
            "advice": list(self.advice),
        }

    def lines(self) -> list[str]:
        """Return the report as lines for people; each kind of fault is listed up to five times."""
        each, tokens = self.captions_per_image, self.tokens
        splits = [f"{name} {images:,} ({captions:,})" for name, (images, captions) in self.splits.items()]
        left_out = _left_out(self.images_left_out, self.rows_left_out)
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
        lines += self._more_about_captions()
        return [*lines, *finding_lines(self.findings), *self.fixed]

    def _more_about_captions(self) -> list[str]:
        lines = []
        if self.language:
            lines.append(f"Language: {self.language}")
        if len(self.scripts) > 1:
            counts = ", ".join(f"{name.lower()} {count:,}" for name, count in self.scripts.items())
            lines.append(f"Captions by script: {counts}")
        if self.common_words:
            words = ", ".join(f"{word} {count:,}" for word, count in self.common_words)
            lines.append(f"Words of most images: {words}")
        if self.common_openings:
            openings = ", ".join(f"{text!r} {count:,}" for text, count in self.common_openings[:_SHOWN])
            lines.append(f"Captions begin with: {openings}")
        if any(captions for captions, _ in self.gendered_words.values()):
            counts = ", ".join(f"{name} {captions:,}" for name, (captions, _) in self.gendered_words.items())
            lines.append(f"Captions with a gendered word (English): {counts}")
        return lines

    def _vocabulary(self) -> str:
        kept = max(self.vocabulary_size - len(SPECIALS), 0)
        markers = f"{len(SPECIALS)} markers and " if kept else ""
        return (
            f"{self.vocabulary_size:,} ({markers}{kept:,} of {self.distinct_tokens:,} different tokens of "
            "the train captions, those frequent enough)"
        )


def _left_out(images: int, rows: int) -> str:
    """Say how many images and rows were left out.

    Example:
        >>> _left_out(1, 0), _left_out(2, 1), _left_out(0, 3), _left_out(0, 0)
        ('; 1 more image left out', '; 2 more images and 1 row left out', '; 3 rows left out', '')
    """
    parts = [f"{images:,} more image{'s' * (images > 1)}"] if images else []
    parts += [f"{rows:,} row{'s' * (rows > 1)}"] if rows else []
    return f"; {' and '.join(parts)} left out" if parts else ""


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


def with_findings(report: CheckReport, findings: Iterable[Finding]) -> CheckReport:
    """Return the report with findings added, in order of severity."""
    return replace(report, findings=by_severity((*report.findings, *findings)))


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Return findings as lines for people: a count, then each kind with up to five places and what to do."""
    if not findings:
        return ["Findings: none"]
    counts = Counter(finding.severity for finding in findings)
    summary = [
        f"{counts[severity]} {severity}{'s' if counts[severity] > 1 else ''}"
        for severity in SEVERITIES
        if counts[severity]
    ]
    lines = [f"Findings: {', '.join(summary)}"]
    for finding in findings:
        number = f" ({len(finding.occurrences):,})" if finding.occurrences else ""
        lines.append(f"{finding.severity}: {finding.kind}{number}: {finding.message}")
        lines += [f"  {place.line()}" for place in finding.occurrences[:_SHOWN]]
        left = len(finding.occurrences) - _SHOWN
        lines += [f"  and {left:,} more"] if left > 0 else []
        lines.append(f"  to do: {finding.to_do}")
    return lines
