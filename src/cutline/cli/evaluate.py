"""``cutline evaluate``: caption a split and score the captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE, SOME_FAILED
from cutline.cli.options import (
    Assignments,
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
from cutline.records import (
    HUMAN,
    SCORE_NAMES,
    Baseline,
    Calibration,
    EvaluationResult,
    LearningCurve,
    Scores,
    Slice,
    UnlikeTraining,
)

Split = Annotated[str, typer.Option(metavar="NAME", help="Split to evaluate on: train, val, test or all.")]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder for the results; evaluation-SPLIT in the run by default."),
]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="MODEL",
        show_default=False,
        help="Evaluate what MODEL and this one write together; can be given again.",
    ),
]
AlsoParts = Annotated[
    bool,
    typer.Option(
        "--learning-curve",
        metavar="",
        help="Train on 25 % and 50 % of the training images, too, and say what more captions would buy.",
    ),
]
_IN_FILES_ONLY = ("captions", "references", "images", "image_scores", "confidences")


@door(captions=True)
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
    assignments: Assignments = None,
    together_with: With = None,
) -> int:
    """Caption one split of a data set and score the captions.

    Writes evaluation.json, captions.json (for COCO's tools) and report.html.
    """
    from cutline.config import read_assignments
    from cutline.runtime.bundle import find_bundle

    # Before TensorFlow, which takes seconds to import, is asked for.
    for one in (model, *(together_with or ())):
        find_bundle(Path(one))
    from cutline.recipes.evaluate import evaluate as run_evaluation
    from cutline.recipes.report import evaluation_folder

    folder = out if out is not None else evaluation_folder(model, split)
    result = run_evaluation(
        model,
        data,
        images=images,
        split=split,
        out=out,
        overrides={
            **reading_overrides(format, image_column, caption_column, group_column),
            **read_assignments(assignments or ()),
        },
        learning_curve=learning_curve,
        together_with=together_with or (),
        progress=screen.progress,
    )
    failed = failed_items(result.problems)
    screen.list_problems(failed, str(folder / "evaluation.json"))
    screen.lines(_table(result))
    if result.learning_curve is not None:
        screen.lines(_learning(result.learning_curve))
    screen.lines(f"report: {folder / 'report.html'}")
    screen.document({**_figures(result), "report": folder / "report.html"})
    return SOME_FAILED if failed else DONE


def _figures(result: EvaluationResult) -> dict[str, object]:
    """Leave the captions of thousands of images to the files."""
    names = (field.name for field in fields(result) if field.name not in _IN_FILES_ONLY)
    found = {name: getattr(result, name) for name in names}
    found["slices"] = [replace(part, image_ids=()) for part in result.slices]
    unlike = result.unlike_training
    if unlike is not None:
        found["unlike_training"] = {
            "images": unlike.images,
            "share": unlike.share,
            "expected": unlike.expected,
        }
    return found


_COMPARED = ("bleu_4", "cider_d")


def _table(result: EvaluationResult) -> str:
    """Write the scores of the model, then what others score on the same images, then the rest."""
    model = result.scores
    lines = [
        f"{model.images:,} {result.split} images, {model.references:,} references, "
        f"tokenizer {model.tokenizer}, {result.decoding}",
        f"{'scores ×100':14}{'':8}   95 % interval",
        *(f"{SCORE_NAMES[field]:14}{_score(model, field)}" for field in model.computed()),
        *([model.left_out()] if model.left_out() else []),
        "",
        *_comparison(result),
        "",
        *_groups(result.groups),
        *_facts(result),
    ]
    return "\n".join(lines)


def _score(scores: Scores, field: str) -> str:
    interval = scores.intervals.get(field)
    ends = f"   {interval.low:5.1f} to {interval.high:5.1f}" if interval else ""
    return f"{getattr(scores, field):8.1f}{ends}"


def _comparison(result: EvaluationResult) -> list[str]:
    """Set the model beside everybody else, the best first."""
    human = result.baseline(HUMAN)
    others = [(other.name, other.scores) for other in result.baselines if other is not human]
    ranked = sorted([("this model", result.scores), *others], key=lambda row: -row[1].cider_d)
    head = f"{'on the same images':26}" + "".join(
        f"{SCORE_NAMES[field]:>8}{'95 % interval':>17}" for field in _COMPARED
    )
    return [head, *(_row(*row) for row in ranked), *(_with_people(human) if human else [])]


def _row(name: str, scores: Scores) -> str:
    return f"{name:26}" + "".join(f"{_score(scores, field):25}" for field in _COMPARED).rstrip()


def _groups(groups: Sequence[Slice]) -> list[str]:
    """Write the parts that a column of the table makes, in the order of the page."""
    if not groups:
        return []
    head = f"{'by ' + groups[0].kind:26}{'images':>8}{SCORE_NAMES['cider_d']:>8}{'95 % interval':>17}"
    rows = []
    for part in groups:
        ends = f"   {part.interval.low:5.1f} to {part.interval.high:5.1f}" if part.interval else ""
        rows.append(f"{part.name:26}{part.images:8,}{part.cider_d:8.1f}{ends}")
    return [head, *rows, ""]


def _with_people(human: Baseline) -> list[str]:
    rows = [(HUMAN, human.scores), ("this model", human.model_scores)]
    count = f"{human.references_per_image:.3g}"
    return [
        f"a person's caption against the other {count} of its image, and the model likewise:",
        *(_row(name, scores) for name, scores in rows if scores is not None),
    ]


def _facts(result: EvaluationResult) -> list[str]:
    diversity = result.diversity
    novel = diversity.novel_captions
    return [
        *_looking(result),
        f"distinct captions {diversity.unique_captions:.0%}, different words {diversity.words:,}"
        + ("" if novel is None else f", captions not seen in training {novel:.0%}"),
        f"most common caption of training: {result.most_common.caption}",
        *(_certainty(result.calibration) if result.calibration else []),
        *(_unlike(result.unlike_training) if result.unlike_training else []),
        f"with the reference as input (teacher forcing): loss {result.loss:.3f} nats per token, "
        f"perplexity {result.perplexity:.1f}, word accuracy {result.word_accuracy:.1%}",
        f"signature: {result.scores.signature}",
        *(f"note: {note}" for note in result.notes),
    ]


def _looking(result: EvaluationResult) -> list[str]:
    looking = result.looking
    if looking is None:
        return []
    answer = "it looks at the pictures" if looking.looking else "NOT LOOKING AT THE PICTURE"
    return [
        f"looking test: CIDEr-D {looking.cider_d:.1f}, with the features of other images "
        f"{looking.shuffled_cider_d:.1f}: {answer}",
        *(f"  likely cause: {cause}" for cause in looking.causes),
    ]


def _certainty(calibration: Calibration) -> list[str]:
    chance = calibration.error_by_chance
    points = calibration.coverage[::2]
    return [
        f"confidence: {calibration.acceptable:.0%} of {calibration.measured_on:,} captions are acceptable, "
        f"expected calibration error {calibration.expected_calibration_error:.3f}"
        + ("" if chance is None else f" ({chance:.3f} by chance alone)"),
        "  the surest      " + "".join(f"{point.coverage:8.0%}" for point in points),
        "  CIDEr-D         " + "".join(f"{point.cider_d:8.1f}" for point in points),
        "  acceptable      " + "".join(f"{point.acceptable:8.0%}" for point in points),
        "  confidence from " + "".join(f"{point.min_confidence:8.2f}" for point in points),
    ]


def _unlike(unlike: UnlikeTraining) -> list[str]:
    return [
        f"unlike the training images: {unlike.share:.1%} of {unlike.images:,} images "
        f"({unlike.expected:.0%} of images like those would be)"
    ]


def _learning(curve: LearningCurve) -> str:
    """Write the points of a learning curve below each other, and the forecast."""
    lines = ["learning curve: CIDEr-D after training on"]
    for point in curve.points:
        ends = f" ({point.interval.low:.1f} to {point.interval.high:.1f})" if point.interval else ""
        part = f"{point.share:.0%}, {point.images:,} images, {point.captions:,} captions"
        lines.append(f"  {part:44}{point.cider_d:8.1f}{ends}")
    return "\n".join([*lines, curve.forecast])
