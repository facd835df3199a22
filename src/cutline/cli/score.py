"""``cutline score``: how good captions of any program are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE, SOME_FAILED
from cutline.cli.screen import Screen, failed_items, visible
from cutline.errors import ImageMismatchError
from cutline.records import SCORE_NAMES, Comparison, ScoredCaptions, ScoreReport

_READING = "How files are read"
_SCORING = "How captions are scored"
_CLEAR: Final = 0.05

Hypotheses = Annotated[
    str,
    typer.Argument(
        metavar="HYPOTHESES",
        show_default=False,
        help="One caption per image: COCO results JSON, {image: caption}, CSV, JSONL, or what cutline "
        "caption wrote.",
    ),
]
References = Annotated[
    str,
    typer.Argument(
        metavar="REFERENCES",
        show_default=False,
        help="Captions by people: COCO or Karpathy JSON, CSV with several rows per image, JSONL, Flickr8k's "
        "token.txt, {image: list of captions}.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write everything to FILE.json, the scores of each image included."),
]
Against = Annotated[
    Path | None,
    typer.Option(metavar="OTHER", help="Other captions for the same images: which are better, how sure?"),
]
AllowMissing = Annotated[
    bool,
    typer.Option("--allow-missing", metavar="", help="Score the images that all files have, and say so."),
]
Split = Annotated[
    str,
    typer.Option(metavar="NAME", rich_help_panel=_READING, help="Split of REFERENCES: train, val or test."),
]
ImageColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=_READING, help="Column of the image, in files that have it."
    ),
]
CaptionColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=_READING, help="Column of the caption, in files that have it."
    ),
]
Tokenizer = Annotated[
    str,
    typer.Option(metavar="NAME", rich_help_panel=_SCORING, help="ptb (COCO's), word, character, or auto."),
]
Frequencies = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.npz",
        rich_help_panel=_SCORING,
        help="Document frequencies for CIDEr, saved from a larger corpus; those of REFERENCES by default.",
    ),
]
Java = Annotated[
    bool,
    typer.Option(
        "--java/--no-java",
        metavar="",
        rich_help_panel=_SCORING,
        help="Compute METEOR and SPICE too; needs Java and takes minutes.",
    ),
]


@door()
def score(
    screen: Screen,
    hypotheses: Hypotheses,
    references: References,
    output: Output = None,
    against: Against = None,
    allow_missing: AllowMissing = False,
    split: Split = "all",
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    tokenizer: Tokenizer = "auto",
    document_frequencies: Frequencies = None,
    java: Java = False,
) -> int:
    """Score captions of any program against captions by people; no image files and no model are needed.

    Scores are ×100, equal to those of COCO's evaluation code, each with a 95 % interval over images.
    """
    from cutline.recipes.score import ScoreOptions, score_files
    from cutline.recipes.score_output import check_score_output, save_scores

    if output is not None:
        check_score_output(output)
    options = ScoreOptions(
        split, allow_missing, tokenizer, document_frequencies, java, image_column, caption_column
    )
    try:
        report = score_files(hypotheses, references, against, options=options, progress=screen.progress)
    except ImageMismatchError as error:
        screen.document({"missing": error.missing, "extra": error.extra})
        raise
    if output is not None:
        save_scores(report, output)
        screen.progress.note(f"scores of every image: {output}")
    failed = failed_items(report.problems)
    screen.list_problems(failed, str(output) if output is not None else "the output with --json")
    screen.lines("\n".join(_lines(report)))
    screen.document(_without_images(report))
    return SOME_FAILED if failed else DONE


def _without_images(report: ScoreReport) -> ScoreReport:
    """Leave the scores of thousands of images to the file."""
    second = report.against
    return replace(
        report,
        hypotheses=replace(report.hypotheses, image_scores={}),
        against=None if second is None else replace(second, image_scores={}),
    )


def _lines(report: ScoreReport) -> Iterator[str]:
    scores = report.hypotheses.scores
    yield (
        f"{_count(scores.images, 'image')}, {_count(scores.references, 'reference')}, "
        f"tokenizer {scores.tokenizer}; scores ×100"
    )
    yield f"{'':9}{'score':>9}   95 % interval"
    yield from _table(report.hypotheses)
    yield from _describe(report.hypotheses)
    yield f"signature: {scores.signature}"
    if report.against is not None:
        yield ""
        yield f"A: {visible(report.hypotheses.source)}"
        yield f"B: {visible(report.against.source)}"
        yield f"{'':9}{'A':>9}{'B':>9}"
        yield from map(_compare, report.comparisons)


def _table(scored: ScoredCaptions) -> Iterator[str]:
    for name, shown in SCORE_NAMES.items():
        value = getattr(scored.scores, name)
        if value is None:
            yield f"{shown:9}   not computed: {scored.scores.not_computed[name]}"
            continue
        interval = scored.scores.intervals.get(name)
        ends = "" if interval is None else f"   {interval.low:.1f} to {interval.high:.1f}"
        yield f"{shown:9}{value:9.1f}{ends}"


def _describe(scored: ScoredCaptions) -> Iterator[str]:
    diversity = scored.diversity
    unit = "characters" if scored.scores.tokenizer == "character" else "words"
    facts = [
        f"{diversity.words:,} different {unit}",
        f"{diversity.mean_length:.1f} {unit} per caption",
        f"{diversity.unique_captions:.0%} of the captions are different",
    ]
    if diversity.novel_captions is not None:
        facts.append(f"{diversity.novel_captions:.0%} are no training captions")
    if diversity.function_word_endings is not None:
        facts.append(f"{diversity.function_word_endings:.0%} end in a function word")
    facts.append(f"distinct-1 {diversity.distinct_1:.3f}, distinct-2 {diversity.distinct_2:.3f}")
    if diversity.self_cider is not None:
        facts.append(f"Self-CIDEr {diversity.self_cider:.2f}")
    if diversity.mbleu_4 is not None:
        facts.append(f"mBLEU-4 {diversity.mbleu_4:.1f}")
    yield f"diversity: {'; '.join(facts)}"
    if diversity.most_repeated:
        repeated = "; ".join(
            f"{visible(caption)} ({count:,})" for caption, count in diversity.most_repeated[:3]
        )
        yield f"most repeated: {repeated}"


def _compare(one: Comparison) -> str:
    """Say which captions are better in one score.

    Example:
        >>> _compare(Comparison("cider_d", 50.3, 52.2, 1.9, 0.8, 0.002))
        'CIDEr-D       50.3     52.2   B is better by 1.9 ± 0.8 CIDEr-D, p = 0.002'
        >>> _compare(Comparison("bleu_4", 18.0, 17.9, -0.1, 0.6, 0.71))
        'BLEU-4        18.0     17.9   no clear difference: B − A is -0.1 ± 0.6 BLEU-4, p = 0.710'
    """
    name = SCORE_NAMES[one.metric]
    if one.p_value < _CLEAR:
        verdict = f"{'B' if one.difference > 0 else 'A'} is better by {abs(one.difference):.1f}"
    else:
        verdict = f"no clear difference: B − A is {one.difference:+.1f}"
    p_value = "p < 0.001" if one.p_value < 0.001 else f"p = {one.p_value:.3f}"
    scores = f"{name:9}{one.first:9.1f}{one.second:9.1f}"
    return f"{scores}   {verdict} ± {one.half_width:.1f} {name}, {p_value}"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
