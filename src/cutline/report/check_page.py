"""What ``cutline check`` found as one HTML file that needs nothing else."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cutline.data.checks import CheckReport, Finding, Occurrence
from cutline.data.checks.kinds import SEVERITIES
from cutline.data.checks.languages import main_script, mixed_words, scripts_of
from cutline.progress import Progress
from cutline.records import SPLITS, Example
from cutline.report.charts import Axis, Chart, Series, axis, chart, percent_axis
from cutline.report.templating import render_page
from cutline.report.thumbnails import Album, Thumbnail

MARK: Final = "– cutline check</title>"
"""What a page begins with that this module wrote."""

_BYTES: Final = 4_000_000
_PLACES: Final = 12
_ROWS: Final = 20
_BESIDE: Final = 4
_CAPTIONS: Final = 5
_LONGEST: Final = 240
_FEW_ROWS: Final = 3
_MIXED: Final = "scripts mixed in a word"
# A folder of a machine: what stands before the last folder of an absolute path, but not of a link.
_FOLDERS: Final = re.compile(
    r"(?<![\w:/\\.])(?:[A-Za-z]:)?[/\\](?:[^\s/\\:'\"]+[/\\])+(?=[^\s/\\]+[/\\][^\s/\\])"
)
_LEVELS: Final = {"error": "poor", "warning": "fair", "note": "none"}


@dataclass(frozen=True)
class _Card:
    """One picture with what concerns it."""

    image_id: str
    thumbnail: Thumbnail | None
    alt: str
    badge: str
    headline: str
    detail: str
    captions: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    """One finding, ready to be written: single pictures, groups of pictures, or rows of a table."""

    number: int
    finding: Finding
    level: str
    cards: tuple[_Card, ...]
    groups: tuple[tuple[str, tuple[_Card, ...]], ...]
    rows: tuple[Occurrence, ...]

    @property
    def shown(self) -> int:
        """How many of the places are on the page."""
        return len(self.cards) + len(self.groups) + len(self.rows)

    @property
    def size(self) -> str:
        """How much room it needs beside others: ``"one"`` or ``"two"`` columns, or ``"all"``."""
        pictures = len(self.cards) + sum(len(cards) for _, cards in self.groups)
        if pictures > 2 or len(self.groups) > 1 or len(self.rows) > _FEW_ROWS:
            return "all"
        return "two" if self.rows or pictures == 2 else "one"


@dataclass(frozen=True)
class _Names:
    """Writes names of files without the folders of this machine, which are nobody's business elsewhere."""

    folders: tuple[str, ...]

    @classmethod
    def of(cls, examples: Iterable[Example]) -> _Names:
        """Find out in which folders the images lie."""
        found = set()
        for example in examples:
            if Path(example.image_id).is_absolute():
                found.add(str(Path(example.image_id).parent.parent) + os.sep)
            elif example.image.endswith(example.image_id):
                found.add(example.image.removesuffix(example.image_id))
        return cls(tuple(sorted((folder for folder in found if len(folder) > 1), key=len, reverse=True)))

    def __call__(self, text: str) -> str:
        """Return a text with paths below the folder of the images, or with their last folder only."""
        for folder in self.folders:
            text = text.replace(folder, "")
        return _FOLDERS.sub("", text)


def render_check(report: CheckReport, examples: Iterable[Example], progress: Progress) -> str:
    """Render a report as one HTML page with the pictures that show what was found.

    Of every kind the first 12 places are shown, or the first 20 where there is no picture; the terminal's
    JSON has all of them. The page loads nothing and runs no script; see
    :func:`cutline.report.templating.render_page`.

    Args:
        report: What was found.
        examples: The images, for their paths and captions; one that is gone leaves a gap.
        progress: Told about the pictures.

    Returns:
        The HTML text.
    """
    known = {example.image_id: example for example in examples}
    short = _Names.of(known.values())
    wanted = {image for finding in report.findings for place in _shown(finding) for image in _images(place)}
    album = Album(_BYTES, len(wanted))
    thumbnails: dict[str, Thumbnail | None] = {}
    with progress.stage("shrinking pictures", len(wanted), "images") as stage:
        for image_id in sorted(wanted):
            thumbnails[image_id] = album.take(known[image_id].image) if image_id in known else None
            stage.advance()
    parts = [
        _part(number, finding, known, thumbnails, short)
        for number, finding in enumerate(report.findings, start=1)
    ]
    return render_page(
        "check.html.j2",
        title=short(report.source),
        report=report,
        level=_LEVELS[report.findings[0].severity] if report.findings else "good",
        headline=_headline(report),
        parts=parts,
        charts=_charts(report),
        splits={name: counts for name, counts in report.splits.items() if name in SPLITS or counts[0]},
        gendered=_gendered_rows(report),
    )


def _headline(report: CheckReport) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    words = [
        f"{counts[severity]} {severity}{'s' if counts[severity] > 1 else ''}"
        for severity in SEVERITIES
        if counts[severity]
    ]
    return ", ".join(words) if words else "Nothing wrong was found"


def _shown(finding: Finding) -> tuple[Occurrence, ...]:
    pictured = [place for place in finding.occurrences if place.images]
    return tuple(pictured[:_PLACES] if pictured else finding.occurrences[:_ROWS])


def _images(place: Occurrence) -> tuple[str, ...]:
    return place.images[:_BESIDE]


def _part(
    number: int,
    finding: Finding,
    known: Mapping[str, Example],
    thumbnails: Mapping[str, Thumbnail | None],
    short: _Names,
) -> _Part:
    places = _shown(finding)

    def card(place: Occurrence, image_id: str) -> _Card:
        example = known.get(image_id)
        captions = example.captions if example else ()
        alone = len(place.images) == 1
        concerned = image_id == place.where and place.caption
        return _Card(
            image_id=short(image_id),
            thumbnail=thumbnails.get(image_id),
            alt=captions[0] if captions else short(image_id),
            badge=(example.split or "") if example else "",
            headline=_cut(place.caption) if concerned else "",
            detail=_detail(finding, place, short) if alone else "",
            captions=() if alone and place.caption else _others(captions, place.caption if concerned else ""),
        )

    single = [place for place in places if len(place.images) == 1]
    several = [place for place in places if len(place.images) > 1]
    return _Part(
        number=number,
        finding=finding,
        level=_LEVELS[finding.severity],
        cards=tuple(card(place, place.where) for place in single),
        groups=tuple(
            (_group_title(place, short), tuple(card(place, image_id) for image_id in _images(place)))
            for place in several
        ),
        rows=tuple(
            replace(place, where=short(place.where), detail=_detail(finding, place, short))
            for place in places
            if not place.images
        ),
    )


def _others(captions: tuple[str, ...], told: str) -> tuple[str, ...]:
    return tuple(caption for caption in captions if caption != told)[:_CAPTIONS]


def _cut(caption: str) -> str:
    """Return the beginning of a caption that is too long for a card."""
    return caption if len(caption) <= _LONGEST else f"{caption[:_LONGEST].rstrip()} …"


def _detail(finding: Finding, place: Occurrence, short: _Names) -> str:
    """Say what was found; of words in several scripts also which letters are foreign, for they look alike."""
    if finding.kind != _MIXED:
        return short(place.detail)
    told = [_foreign(word) for word in mixed_words(place.detail.split(", "))]
    return "; ".join(told) or short(place.detail)


def _foreign(word: str) -> str:
    """Name the letters of a word that are not of its main script.

    Example:
        >>> _foreign("d\\u043eg")
        'dоg: Cyrillic о as letter 2'
    """
    main = main_script(word)
    letters = [
        f"{', '.join(scripts_of(letter)).title()} {letter} as letter {place}"
        for place, letter in enumerate(word, 1)
        if letter.isalpha() and main not in scripts_of(letter)
    ]
    return f"{word}: {', '.join(letters)}"


def _group_title(place: Occurrence, short: _Names) -> str:
    left = len(place.images) - _BESIDE
    more = f" ({left:,} more images are not shown)" if left > 0 else ""
    return short(f"{place.where}: {place.detail}{more}")


def _charts(report: CheckReport) -> list[Chart]:
    charts = []
    if len(report.token_histogram) > 1:
        lengths = range(min(report.token_histogram), max(report.token_histogram) + 1)
        points = [(float(length), float(report.token_histogram.get(length, 0))) for length in lengths]
        across = axis("tokens per caption", (x for x, _ in points), zero=False, whole=True)
        charts.append(_curve("Length of captions", across, "captions", points))
    if len(report.vocabulary_growth) > 1:
        points = [(float(captions), float(tokens)) for captions, tokens in report.vocabulary_growth]
        across = axis("train captions read", (x for x, _ in points))
        charts.append(_curve("Growth of the vocabulary", across, "different tokens", points))
    if len(report.coverage_curve) > 1:
        points = [(float(kept), 100 * share) for kept, share in report.coverage_curve]
        across = axis("most frequent train tokens kept", (x for x, _ in points))
        charts.append(
            chart(
                "Coverage of held-out captions",
                across,
                percent_axis("% of the tokens known"),
                [Series("known", tuple(points))],
            )
        )
    return charts


def _curve(title: str, across: Axis, label: str, points: list[tuple[float, float]]) -> Chart:
    return chart(title, across, axis(label, (y for _, y in points)), [Series(label, tuple(points))])


def _gendered_rows(report: CheckReport) -> list[tuple[str, int, str]]:
    """Return (gender, captions, words with their counts); nothing when no word was found."""
    rows = [
        (name, captions, ", ".join(f"{word} {count:,}" for word, count in words))
        for name, (captions, words) in report.gendered_words.items()
    ]
    return rows if any(captions for _, captions, _ in rows) else []
