"""``cutline train``: from a table of photos and captions to a run folder that captions."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Final

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE, INTERRUPTED, SOME_FAILED, tell_error
from cutline.cli.options import (
    CaptionColumn,
    Data,
    Format,
    GroupColumn,
    ImageColumn,
    Images,
    reading_overrides,
)
from cutline.cli.screen import Screen, failed_items
from cutline.errors import RunError
from cutline.records import Run

RunFolder = Annotated[
    Path | None,
    typer.Option("--run", metavar="DIR", help="Folder of the run; a new one below runs/ by default."),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Named options to start from: fine_tuned (default), pooled (default with another encoder, and "
        "with --epochs), attend, up_down, show_tell, merge.",
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="MODEL",
        help="Model to start from (a run, a bundle, a name of cutline models): its encoder and decoder are "
        "kept, its vocabulary is extended.",
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="CNN that looks at the images; efficientnet_lite0 needs no network. A+B takes both.",
    ),
]
EncoderWeights = Annotated[
    str | None,
    typer.Option(
        metavar="imagenet|PATH",
        help="Weights of the encoder, by name or from a file; of two, joined as their names are.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Passes over the captions at the most; the encoder is trained behind them where "
        "--preset fine_tuned or fine_tune.epochs asks for it.",
    ),
]
Config = Annotated[Path | None, typer.Option(metavar="FILE.toml", help="File of options, over the preset.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One option, e.g. training.seed=1; may be repeated."),
]
Resume = Annotated[
    bool, typer.Option("--resume", metavar="", help="Go on with the run in --run after its last whole epoch.")
]

_FEW_UNIQUE: Final = 0.05
_LOW_CIDER_D: Final = 5.0
_ADVICE: Final = (
    "the captions hardly differ from each other, or from nonsense: too few captions or epochs; see "
    "docs/how_to/troubleshooting.md"
)


@door()
def train(
    screen: Screen,
    data: Data,
    images: Images = None,
    run: RunFolder = None,
    preset: Preset = None,
    start: Start = None,
    encoder: Encoder = None,
    encoder_weights: EncoderWeights = None,
    epochs: Epochs = None,
    config: Config = None,
    assignments: Assignments = None,
    resume: Resume = False,
    format: Format = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    group_column: GroupColumn = None,
) -> int:
    """Train a captioner on your own images and captions.

    Ctrl-C leaves a run that --resume goes on with, and that captions once an epoch was finished.
    """
    from cutline.recipes.asked import Asked

    overrides = {
        "encoder.name": encoder,
        "encoder.weights": encoder_weights,
        "training.epochs": epochs,
        **reading_overrides(format, image_column, caption_column, group_column),
    }
    if start is None and not resume:
        # A slip is told at once: importing TensorFlow takes seconds.
        Asked(preset, config, assignments or (), overrides).require_valid()
    from cutline.recipes.train import train as run_training

    finished = run_training(
        data,
        preset,
        run,
        start=start,
        images=images,
        config=config,
        assignments=assignments or (),
        overrides=overrides,
        resume=resume,
        progress=screen.progress,
    )
    # A resumed run listed them when it was started.
    screen.list_problems(failed_items(finished.problems), f"{finished.folder}/problems.csv", listed=resume)
    return _show(screen, finished, data, images)


def _show(screen: Screen, run: Run, data: str, images: Path | None) -> int:
    screen.lines(_summary(run))
    screen.document(run)
    where = ["--images", str(images)] if images else []
    if run.interrupted:
        command = shlex.join(["cutline", "train", data, *where, "--run", run.folder, "--resume"])
        tell_error(f"interrupted; go on with: {command}")
        return INTERRUPTED
    if _hardly_differ(run):
        screen.progress.note(_ADVICE)
    scoring = shlex.join(["cutline", "evaluate", run.folder, data, *where, *_split_to_score(run)])
    screen.progress.note(f"next: {scoring}")
    screen.progress.note(f"then: cutline caption PHOTO... --model {shlex.quote(run.folder)}")
    return SOME_FAILED if failed_items(run.problems) else DONE


def _split_to_score(run: Run) -> list[str]:
    """Name the val split where there are no test images."""
    from cutline.recipes import run_folder as layout

    try:
        splits = layout.saved_facts(Path(run.folder) / layout.DATA).get("images_per_split", {})
    except RunError:
        return []
    return [] if splits.get("test", 1) else ["--split", "val"]


def _hardly_differ(run: Run) -> bool:
    """Tell whether the best epoch says nearly the same for every image."""
    if not run.best_epoch:
        return False
    best = run.history[run.best_epoch - 1]
    return best.unique_captions < _FEW_UNIQUE or best.cider_d < _LOW_CIDER_D


def _summary(run: Run) -> str:
    if not run.history or not run.best_epoch:
        return f"{run.folder}: no epoch was finished"
    best = run.history[run.best_epoch - 1]
    epochs = f"best epoch {run.best_epoch} of {len(run.history)}"
    if run.interrupted and run.epochs:
        epochs = f"stopped after {len(run.history)} of {run.epochs} epochs, best epoch {run.best_epoch}"
    return (
        f"{run.folder}: {epochs}, val CIDEr-D {best.cider_d:.1f}, "
        f"BLEU-4 {best.bleu_4:.1f}, val loss {best.val_loss:.3f}"
    )
