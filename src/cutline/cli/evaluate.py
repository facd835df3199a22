"""``cutline evaluate``: caption a split and score the captions."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE, SOME_FAILED
from cutline.cli.options import (
    CaptionColumn,
    Data,
    Format,
    GroupColumn,
    ImageColumn,
    Images,
    Model,
    reading_overrides,
)
from cutline.cli.screen import Screen, failed_items
from cutline.records import EvaluationResult, LearningCurve, Scores

Split = Annotated[str, typer.Option(metavar="NAME", help="Split to evaluate on: train, val, test or all.")]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder for the results; evaluation-SPLIT in the run by default."),
]
AlsoParts = Annotated[
    bool,
    typer.Option(
        "--learning-curve",
        metavar="",
        help="Train on 25 % and 50 % of the training images, too, and say what more captions would buy.",
    ),
]
_IN_FILES_ONLY = ("captions", "references", "images")


@door()
def evaluate(
    screen: Screen,
    model: Model,
    data: Data,
    images: Images = None,
    split: Split = "test",
    out: Out = None,
    format: Format = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    group_column: GroupColumn = None,
    learning_curve: AlsoParts = False,
) -> int:
    """Caption one split of a data set and score the captions.

    Writes evaluation.json, captions.json (for COCO's tools) and report.html.
    """
    from cutline.recipes.evaluate import evaluate as run_evaluation
    from cutline.recipes.report import evaluation_folder

    folder = out if out is not None else evaluation_folder(model, split)
    result = run_evaluation(
        model,
        data,
        images=images,
        split=split,
        out=out,
        overrides=reading_overrides(format, image_column, caption_column, group_column),
        learning_curve=learning_curve,
        progress=screen.progress,
    )
    failed = failed_items(result.problems)
    screen.list_problems(failed, str(folder / "evaluation.json"))
    screen.lines(_table(result))
    if result.learning_curve is not None:
        screen.lines(_learning(result.learning_curve))
    screen.lines(f"report: {folder / 'report.html'}")
    # The captions of thousands of images are in the files; a terminal or a script gets the figures.
    figures = {
        field.name: getattr(result, field.name)
        for field in fields(result)
        if field.name not in _IN_FILES_ONLY
    }
    screen.document({**figures, "report": folder / "report.html"})
    return SOME_FAILED if failed else DONE


_COLUMNS = {
    "BLEU-1": "bleu_1",
    "BLEU-2": "bleu_2",
    "BLEU-3": "bleu_3",
    "BLEU-4": "bleu_4",
    "ROUGE-L": "rouge_l",
    "CIDEr": "cider",
    "CIDEr-D": "cider_d",
}


def _table(result: EvaluationResult) -> str:
    """Set the scores of the model beside those of everybody else, and add what else is to be known."""
    model = result.scores
    human = result.baseline("human")
    lines = [
        f"{model.images:,} {result.split} images, {model.references:,} references, "
        f"tokenizer {model.tokenizer}, {result.decoding}; scores ×100",
        f"{'':24}{''.join(f'{name:>9}' for name in _COLUMNS)}   95 % interval",
        _row("this model", model),
        *(_row(other.name, other.scores) for other in result.baselines if other is not human),
    ]
    if human is not None:
        count = f"{human.references_per_image:.3g}"
        lines.append(f"each reference against the others of its image, so {count} references per caption:")
        lines.append(_row("human", human.scores))
        lines += [_row("this model", human.model_scores)] if human.model_scores else []
    return "\n".join([*lines, *_facts(result)])


def _row(name: str, scores: Scores) -> str:
    interval = scores.intervals.get("cider_d")
    ends = f"   {interval.low:.1f} to {interval.high:.1f}" if interval else ""
    return f"{name:24}{''.join(f'{getattr(scores, field):9.1f}' for field in _COLUMNS.values())}{ends}"


def _facts(result: EvaluationResult) -> list[str]:
    diversity, looking = result.diversity, result.looking
    lines = [
        f"distinct captions {diversity.unique_captions:.0%}, different words {diversity.words:,}; "
        f"most common caption: {result.most_common.caption}",
    ]
    if looking is not None:
        answer = "it looks at the pictures" if looking.looking else "NOT LOOKING AT THE PICTURE"
        lines.append(
            f"looking test: CIDEr-D {looking.cider_d:.1f}, with the features of other images "
            f"{looking.shuffled_cider_d:.1f}: {answer}"
        )
        lines += [f"  likely cause: {cause}" for cause in looking.causes]
    return [
        *lines,
        f"with the reference as input (teacher forcing): loss {result.loss:.3f} nats per token, "
        f"perplexity {result.perplexity:.1f}, word accuracy {result.word_accuracy:.1%}",
        f"signature: {result.scores.signature}",
    ]


def _learning(curve: LearningCurve) -> str:
    """Write the points of a learning curve below each other, and the forecast."""
    lines = ["learning curve: CIDEr-D after training on"]
    for point in curve.points:
        ends = f" ({point.interval.low:.1f} to {point.interval.high:.1f})" if point.interval else ""
        part = f"{point.share:.0%}, {point.images:,} images, {point.captions:,} captions"
        lines.append(f"  {part:44}{point.cider_d:8.1f}{ends}")
    return "\n".join([*lines, curve.forecast])
