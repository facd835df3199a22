"""Looks a data set over before hours are spent on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cutline.config import TextOptions
from cutline.data.checks.captions import caption_findings
from cutline.data.checks.corpus import (
    common_openings,
    common_words,
    corpus_findings,
    coverage,
    coverage_curve,
    gendered_words,
    vocabulary_growth,
)
from cutline.data.checks.finding import Finding, by_severity, from_problems
from cutline.data.checks.misfits import misfit_findings
from cutline.data.checks.pictures import Pictures, look_at_pictures, picture_findings
from cutline.data.checks.report import CheckReport, Spread
from cutline.data.checks.sentences import Sentences, cut_sentences
from cutline.progress import Progress, Silent
from cutline.records import LOST_IMAGES, SPLITS, Dataset, Example

ReadFeatures: TypeAlias = Callable[[Sequence[str]], NDArray[Any]]
"""From digests of N images to their features, (N, D) or (N, R, D)."""

_SHOWN: Final = 5
_READ_AT_ONCE: Final = 256


def check_dataset(
    dataset: Dataset,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
    text: TextOptions | None = None,
    read_features: ReadFeatures | None = None,
) -> CheckReport:
    """Decode every image once, at small size, read every caption, and tell what is there and what is wrong.

    Args:
        dataset: Identified (see :mod:`cutline.data.identity`) and, for what concerns splits, split.
        progress: Told about every stage.
        text: Rules of the vocabulary; the usual ones when absent.
        read_features: Features of the images by an encoder. With them, near-duplicates are looked for by
            what the encoder sees, too, and captions are compared with those of similar images.

    Returns:
        The report; a broken image or an empty split is listed in it, not raised. Broken images are not
        counted, as training leaves them out; only the vocabulary has their captions, as in training.
    """
    pictures = look_at_pictures(dataset.examples, progress)
    usable = pictures.examples
    sentences = cut_sentences(dataset, usable, text or TextOptions())
    features = read_features and _pooled(read_features, [example.digest for example in usable])
    problems = (*dataset.problems, *pictures.broken)
    findings = [
        *from_problems(problems),
        *picture_findings(pictures, features),
        *caption_findings(sentences),
        *corpus_findings(usable, sentences),
    ]
    if features is not None:
        findings += misfit_findings(sentences, features, progress)
    return _report(dataset, pictures, sentences, by_severity(_united(findings)))


def _pooled(read_features: ReadFeatures, digests: Sequence[str]) -> NDArray[Any]:
    """Return one vector per image, (N, D); of a grid, the mean over its regions.

    Grids are read a few at a time: those of a large data set do not fit into memory.
    """
    blocks = []
    for at in range(0, max(1, len(digests)), _READ_AT_ONCE):
        features = read_features(digests[at : at + _READ_AT_ONCE])
        blocks.append(features.mean(axis=1) if features.ndim == 3 else features)
    return np.concatenate(blocks)


def _united(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Make one finding of those of one kind, as readers and checks may both see a fault."""
    by_kind: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_kind[finding.kind].append(finding)
    for first, *others in by_kind.values():
        places = tuple(place for finding in (first, *others) for place in finding.occurrences)
        yield Finding(first.kind, first.severity, first.message, first.to_do, places)


def _report(
    dataset: Dataset, pictures: Pictures, sentences: Sentences, findings: tuple[Finding, ...]
) -> CheckReport:
    usable = pictures.examples
    lengths = [len(sentence.tokens) for sentence in sentences.all]
    train = sentences.of_split("train")
    common, distinct_captions, shared = _repeated(sentences)
    problems = (*dataset.problems, *pictures.broken)
    lost = [problem for problem in problems if problem.kind in LOST_IMAGES]
    return CheckReport(
        source=dataset.source,
        format=dataset.format,
        images=len(usable),
        captions=len(lengths),
        images_left_out=len(lost),
        captions_per_image=Spread.of([len(example.captions) for example in usable]),
        splits=_count_splits(usable),
        level=sentences.tokenizer.level,
        tokens=Spread.of(lengths),
        token_histogram=dict(sorted(Counter(lengths).items())),
        distinct_tokens=len({token for sentence in train for token in sentence.tokens}),
        vocabulary_size=len(sentences.vocabulary) if sentences.vocabulary else 0,
        coverage=coverage(sentences),
        common_captions=common,
        distinct_captions=distinct_captions,
        shared_captions=shared,
        widths=Spread.of(pictures.sizes[:, 1].tolist()),
        heights=Spread.of(pictures.sizes[:, 0].tolist()),
        problems=problems,
        findings=findings,
        language=sentences.language,
        scripts=sentences.scripts,
        common_words=tuple(common_words(sentences)),
        common_openings=tuple(common_openings(sentences.all)),
        gendered_words=gendered_words(sentences),
        vocabulary_growth=tuple(vocabulary_growth(sentences)),
        coverage_curve=tuple(coverage_curve(sentences)),
    )


def _count_splits(examples: Iterable[Example]) -> dict[str, tuple[int, int]]:
    counts = dict.fromkeys(SPLITS, (0, 0))
    for example in examples:
        images, captions = counts.get(example.split or "none", (0, 0))
        counts[example.split or "none"] = images + 1, captions + len(example.captions)
    return counts


def _repeated(sentences: Sentences) -> tuple[tuple[tuple[str, int], ...], int, int]:
    """Return the most common captions, how many differ, and how many describe several images."""
    uses: Counter[str] = Counter()
    images: dict[str, set[str]] = defaultdict(set)
    for sentence in sentences.all:
        caption = sentences.tokenizer.normalise(sentence.caption)
        uses[caption] += 1
        images[caption].add(sentence.example.image_id)
    common = tuple((caption, count) for caption, count in uses.most_common(_SHOWN) if count > 1)
    return common, len(uses), sum(len(where) > 1 for where in images.values())
