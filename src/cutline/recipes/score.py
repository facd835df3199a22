"""Score captions that any program made against references that people wrote."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final

from cutline.data.caption_files import (
    MENDED_ROW,
    CaptionFile,
    ends_alike,
    read_hypotheses,
    read_references,
    refuse_unheeded,
    select_split,
)
from cutline.errors import ConfigError, DataError
from cutline.evaluation import ScoringTokens, fingerprint_of, scoring_tokens
from cutline.metrics import DocumentFrequencies, Scorer, compare, measure_diversity, strip_markers
from cutline.progress import Progress, Silent
from cutline.recipes.same_images import SameImages, same_images
from cutline.records import Comparison, Example, Problem, ScoredCaptions, ScoreReport
from cutline.text import Tokenizer, choose_level

_SHOWN: Final = 5
_JAVA: Final = ("meteor", "spice")
_NOT_ASKED: Final = "it needs Java; ask for it with --java"
TOKENIZERS: Final = ("auto", "ptb", "word", "character")


@dataclass(frozen=True)
class ScoreOptions:
    """How files are read and captions scored.

    Attributes:
        split: Score against the references of this split: ``"train"``, ``"val"``, ``"test"``, or ``"all"``.
        allow_missing: Score the images that all files have, instead of refusing files of other images.
        tokenizer: ``"ptb"`` as COCO's evaluation does; ``"word"`` or ``"character"`` for languages that it
            does not fit; ``"auto"`` chooses by the script of the references.
        document_frequencies: File that :meth:`DocumentFrequencies.save` wrote, for CIDEr and CIDEr-D;
            taken from the references when None.
        java: Compute METEOR and SPICE too, where they are installed.
        image_column: Column or key of the image, in files that have it; usual names are known.
        caption_column: Likewise of the caption.
    """

    split: str = "all"
    allow_missing: bool = False
    tokenizer: str = "auto"
    document_frequencies: str | Path | None = None
    java: bool = False
    image_column: str | None = None
    caption_column: str | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown tokenizer."""
        if self.tokenizer not in TOKENIZERS:
            raise ConfigError(f"--tokenizer {self.tokenizer!r}: allowed are {', '.join(TOKENIZERS)}")


def score_files(
    hypotheses: str | Path,
    references: str | Path,
    against: str | Path | None = None,
    *,
    options: ScoreOptions = ScoreOptions(),
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> ScoreReport:
    """Score one caption per image against all references of the image.

    Start and end markers are stripped from both sides, and texts brought to NFC; references are otherwise
    scored as they stand, duplicates included, so that the scores are those of COCO's evaluation code.

    Args:
        hypotheses: COCO results JSON, ``{image: caption}``, a table, JSON Lines, or what ``cutline caption``
            wrote. Images are recognised by id, by name, or by the last part of the path.
        references: COCO captions, Karpathy's JSON, a table with one row per caption, JSON Lines, Flickr8k's
            token file, ``{image: [caption, …]}``.
        against: Other captions for the same images, to be compared with the first.
        options: How to read and to score.
        progress: Told about every stage.

    Raises:
        DataError: A file cannot be used; ImageMismatchError when the files are not of the same images, which
            ``options.allow_missing`` permits as long as they have images in common.
    """
    columns = (options.image_column, options.caption_column)
    known = read_references(Path(references), *columns)
    paths = [hypotheses] if against is None else [hypotheses, against]
    files = [read_hypotheses(Path(path), *columns) for path in paths]
    refuse_unheeded([*files, known])
    chosen = select_split(known, options.split)
    problems = tuple(chain.from_iterable(file.problems for file in (*files, known)))
    mended = _mended(problems)
    for note in mended:
        progress.warn(note)
    common = same_images(files, chosen, options.allow_missing)
    scorer = _Scoring(common, options, _training(known, options.split))
    scored = []
    with progress.stage("scoring", len(files) * len(common.references), "captions") as stage:
        for file, texts in zip(files, common.texts, strict=True):
            scored.append(scorer.score(file, texts))
            stage.advance(len(texts))
    notes = (*common.notes, *_notes(common, scored, scorer.marked_references))
    for note in notes:
        progress.warn(note)
    return ScoreReport(
        hypotheses=scored[0],
        references=str(references),
        split=options.split,
        against=scored[1] if len(files) > 1 else None,
        comparisons=_compared(scorer, common, progress) if len(files) > 1 else (),
        missing=common.missing,
        extra=common.extra,
        notes=(*mended, *notes),
        problems=problems,
    )


class _Scoring:
    """The references of the images that are scored, and everything all files are scored with."""

    def __init__(self, common: SameImages, options: ScoreOptions, training: Sequence[str] | None) -> None:
        stripped = {key: tuple(map(strip_markers, texts)) for key, texts in common.references.items()}
        self.marked_references = _changed(
            chain.from_iterable(common.references.values()), chain.from_iterable(stripped.values())
        )
        self._tokens = _tokens(options.tokenizer, list(chain.from_iterable(stripped.values())))
        self._java, self._training = options.java, training
        path = options.document_frequencies
        frequencies = None if path is None else _frequencies(Path(path))
        self.scorer = Scorer(stripped, self._tokens.tokenise, self._tokens.name, frequencies)
        self._facts = {
            "split": "" if options.split == "all" else options.split,
            "images": common.share,
            "data": fingerprint_of(Example(key, "", texts) for key, texts in stripped.items()),
        }

    def stripped(self, texts: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
        """Return image_id → best caption without markers."""
        return {key: strip_markers(captions[0]) for key, captions in texts.items()}

    def score(self, file: CaptionFile, texts: Mapping[str, tuple[str, ...]]) -> ScoredCaptions:
        """Score the captions of one file."""
        captions = self.stripped(texts)
        scores = self.scorer.score(captions, intervals=True, java=self._java, facts=self._facts)
        if not self._java:
            scores = replace(scores, not_computed=dict.fromkeys(_JAVA, _NOT_ASKED) | {**scores.not_computed})
        per_image = self.scorer.per_image(captions)
        rows = zip(*(values.tolist() for values in per_image.values()), strict=True)
        found = list(captions.values())
        lists = {key: list(map(strip_markers, several)) for key, several in texts.items() if len(several) > 1}
        return ScoredCaptions(
            source=file.source,
            scores=scores,
            diversity=measure_diversity(found, self._tokens.tokenise, self._training, lists),
            image_scores={
                image: dict(zip(per_image, row, strict=True))
                for image, row in zip(self.scorer.references.image_ids, rows, strict=True)
            },
            blank=sum(not caption for caption in found),
            marked=_changed((one[0] for one in texts.values()), found),
        )


def _frequencies(path: Path) -> DocumentFrequencies:
    if not path.is_file():
        raise DataError(f"--document-frequencies {path}: no such file; name one, or leave the option out")
    if not zipfile.is_zipfile(path):
        raise DataError(
            f"--document-frequencies {path}: no archive of document frequencies; name a file that "
            "DocumentFrequencies.save wrote, or leave the option out"
        )
    return DocumentFrequencies.load(path)


def _compared(scorer: _Scoring, common: SameImages, progress: Progress) -> tuple[Comparison, ...]:
    images = len(common.references)
    with progress.stage("comparing", images, "images") as stage:
        found = compare(scorer.scorer, *map(scorer.stripped, common.texts))
        stage.advance(images)
    return tuple(found.values())


def _tokens(name: str, captions: Sequence[str]) -> ScoringTokens:
    if name == "auto":
        return scoring_tokens(Tokenizer(choose_level(captions)), captions)
    if name == "ptb":
        return ScoringTokens("ptb", None)
    return ScoringTokens(name, Tokenizer("word" if name == "word" else "character").tokenise)


def _training(references: CaptionFile, split: str) -> list[str] | None:
    """Return the captions of the train split, when the file has one and others are scored."""
    if split not in ("val", "test") or "train" not in references.splits.values():
        return None
    train = select_split(references, "train")
    return list(chain.from_iterable(train.captions.values()))


def _changed(before: Iterable[str], after: Iterable[str]) -> int:
    return sum(one != other for one, other in zip(before, after, strict=True))


def _mended(problems: Iterable[Problem]) -> list[str]:
    """Tell of rows that were read as they were not written: five, and the number of the others."""
    told = [f"{one.kind}: {one.where}: {one.message}" for one in problems if one.kind == MENDED_ROW]
    more = [f"mended row: {len(told) - _SHOWN:,} more"] if len(told) > _SHOWN else []
    return [*told[:_SHOWN], *more]


def _notes(common: SameImages, scored: Sequence[ScoredCaptions], marked_references: int) -> list[str]:
    notes = []
    if marked_references:
        notes.append(f"start and end markers were stripped from {_count(marked_references, 'reference')}")
    for one, texts in zip(scored, common.texts, strict=True):
        if one.marked:
            notes.append(f"{one.source}: start and end markers were stripped from {_captions(one.marked)}")
        if one.blank:
            score = "they score" if one.blank > 1 else "it scores"
            notes.append(f"{one.source}: {_captions(one.blank)} without words; {score} 0")
        ending = ends_alike(strip_markers(captions[0]) for captions in texts.values())
        if ending is not None:
            notes.append(
                f"{one.source}: nearly all captions end in {ending!r}; if that is an end marker, remove it "
                "from all files: it raises the scores"
            )
    if len(common.references) == 1:
        notes.append("with a single image CIDEr and CIDEr-D are 0, and no interval means anything")
    return notes


def _captions(count: int) -> str:
    return _count(count, "caption")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
