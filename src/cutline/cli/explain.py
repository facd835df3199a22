"""``cutline explain``: why a caption reads as it does, as a page or a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cutline.cli.caption import BeamSize, Forbid, Model, Paths, Require, chosen_model
from cutline.cli.door import door
from cutline.cli.failures import DONE, SOME_FAILED
from cutline.cli.screen import Screen, visible
from cutline.records import ExplainedToken, Explanation

Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Page (.html) or picture (.png) to write.")]
Images = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the training images, to show those that look alike."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", metavar="", help="Let --out replace a file that something else wrote.")
]


@door(captions=True)
def explain(
    screen: Screen,
    paths: Paths,
    model: Model = None,
    out: Out = Path("explain.html"),
    images: Images = None,
    beam_size: BeamSize = None,
    require: Require = None,
    forbid: Forbid = None,
    overwrite: Overwrite = False,
) -> int:
    """Show why a model writes the caption it writes.

    For each image the caption, word by word: how probable the word was, where the model looked, and what it
    could have written instead; and training images that look alike. All of it is printed; the page or
    picture has it with the photo.
    """
    from cutline.recipes.explain import explain as recipe
    from cutline.wishes import Wishes

    found = recipe(
        paths,
        chosen_model(model, screen),
        out,
        images=images,
        beam_size=beam_size,
        wishes=Wishes(require=tuple(require or ()), forbid=tuple(forbid or ())),
        overwrite=overwrite,
        progress=screen.progress,
    )
    for record in found.failed:
        screen.progress.warn(visible(record.error or ""))
    for explanation in found.explanations:
        for line in _lines(explanation):
            screen.lines(visible(line))
        screen.lines("")
    screen.lines(str(found.out))
    screen.document({"out": found.out, "explanations": [_facts(one) for one in found.explanations]})
    return SOME_FAILED if found.failed else DONE


def _lines(explanation: Explanation) -> Iterator[str]:
    from cutline.report.templating import chance

    yield f"{explanation.image}: {explanation.hypothesis.text}"
    if explanation.hypothesis.confidence is not None:
        yield f"confidence {explanation.hypothesis.confidence:.2f}"
    if explanation.hypothesis.unlike_training:
        yield "unlike the training images: the caption means little"
    if not explanation.has_attention:
        yield (
            "this model sees the picture as a whole: nothing is known of where it looked "
            "(of models trained with --preset attend it is)"
        )
    rows = [("word", "probability", "looked most at" if explanation.has_attention else "", "instead")]
    rows += [
        (step.text, chance(step.probability), _looked(step), _instead(step)) for step in explanation.steps
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for word, probability, looked, instead in rows:
        cells = [f"{word:{widths[0]}}", f"{probability:>{widths[1]}}"]
        cells += [f"{looked:{widths[2]}}"] if explanation.has_attention else []
        yield "  " + "  ".join([*cells, instead]).rstrip()
    for one in explanation.similar or ():
        yield f"  like {one.image_id} ({one.similarity:.2f}): {next(iter(one.captions), '')}"


def _looked(step: ExplainedToken) -> str:
    from cutline.explaining import strongest_region

    if step.attention is None:
        return ""
    share, place = strongest_region(step.attention)
    return f"{100 * share:3.0f} % {place}"


def _instead(step: ExplainedToken) -> str:
    from cutline.report.templating import chance

    others = [one for one in step.alternatives if one.token != step.token]
    return ", ".join(f"{one.text} {chance(one.probability)}" for one in others)


def _facts(explanation: Explanation) -> dict[str, Any]:
    hypothesis = explanation.hypothesis
    return {
        "image": explanation.image,
        "caption": hypothesis.text,
        "confidence": hypothesis.confidence,
        "unlike_training": hypothesis.unlike_training,
        "log_probability": hypothesis.log_probability,
        "steps": [
            {
                "token": step.token,
                "probability": step.probability,
                "alternatives": {one.token: one.probability for one in step.alternatives},
                "attention": None if step.attention is None else step.attention.round(4).tolist(),
            }
            for step in explanation.steps
        ],
        "similar": explanation.similar,
    }
