"""``cutline caption``: captions for images, on standard output or in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE, SOME_FAILED
from cutline.cli.progress import spell_count
from cutline.cli.screen import Screen, visible
from cutline.errors import ConfigError, RunError
from cutline.records import CaptionedImage

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...", show_default=False, help="Images, folders (searched to the bottom) or patterns."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="A run folder or a bundle; the newest run in runs/ by default."),
]
BeamSize = Annotated[
    int | None, typer.Option(metavar="K", help="Beams kept; 1 is greedy. The model's own by default.")
]
NBest = Annotated[int, typer.Option(metavar="N", help="Captions per image, best first.")]
Output = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write to FILE.jsonl, .csv or .parquet instead, or JSONL to standard output with -. "
        "FILE appears when all images are done.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", metavar="", help="Let --output replace a file.")]


@door(shares_terminal=True)
def caption(
    screen: Screen,
    paths: Paths,
    model: Model = None,
    beam_size: BeamSize = None,
    n_best: NBest = 1,
    output: Output = None,
    overwrite: Overwrite = False,
) -> int:
    """Write captions for images.

    Prints path, tab and caption, one line per image; with --n-best several lines per image, each with its
    log-probability behind another tab. Control characters in names are written as escapes. Images that
    cannot be read, and paths without images, are listed on standard error.
    """
    from cutline.recipes import caption as recipe

    file = Path(output) if output not in (None, "-") else None
    if file is not None:
        recipe.check_output(file, overwrite)
    if n_best < 1:
        raise ConfigError(f"--n-best {n_best}: at least 1 caption per image can be asked for")
    found = recipe.caption(
        paths, _chosen(model, screen), beam_size=beam_size, n_best=n_best, progress=screen.progress
    )
    records = recipe.Counted(_told(found, screen))
    if file is not None:
        recipe.write_captions(records, file)
        screen.progress.note(f"{spell_count(records.done, 'images')} captioned: {file}")
        screen.document({"output": file, "captioned": records.done, "failed": records.failed})
    elif output == "-" or screen.flags.json:
        for record in records:
            screen.json_line(recipe.as_json(record))
    else:
        for record in records:
            for line in _lines(record, n_best):
                screen.line(line)
    return SOME_FAILED if records.failed else DONE


def _chosen(model: str | None, screen: Screen) -> str:
    from cutline.recipes.caption import newest_run

    if model is not None:
        return model
    newest = newest_run()
    if newest is None:
        raise RunError(
            "no --model given and no trained run in ./runs; pass --model MODEL, or train one: cutline train"
        )
    screen.progress.note(f"model: {newest} (the newest run in runs/; choose another with --model)")
    return str(newest)


def _told(records: Iterable[CaptionedImage], screen: Screen) -> Iterator[CaptionedImage]:
    for record in records:
        if record.error is not None:
            screen.progress.warn(visible(record.error))
        yield record


def _lines(record: CaptionedImage, n_best: int) -> list[str]:
    image = visible(record.image)
    if n_best == 1:
        return [f"{image}\t{visible(one.text)}" for one in record.hypotheses]
    return [f"{image}\t{visible(one.text)}\t{one.log_probability:.4f}" for one in record.hypotheses]
