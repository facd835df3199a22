"""``cutline caption``: captions for images, on standard output or in a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from math import floor
from pathlib import Path
from typing import Annotated, Final

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE, SOME_FAILED
from cutline.cli.options import Assignments
from cutline.cli.progress import spell_count
from cutline.cli.screen import Screen, visible
from cutline.errors import ConfigError, RunError
from cutline.records import CaptionedImage

_MODEL: Final = (
    "A run folder, a bundle, or a name of cutline models; by default the newest run in runs/, "
    "else the model that comes along."
)

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...", show_default=False, help="Images, folders (searched to the bottom) or patterns."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="MODEL", show_default=False, help=_MODEL),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        show_default=False,
        help=f"{_MODEL} Given again: both together.",
    ),
]
BeamSize = Annotated[
    int | None, typer.Option(metavar="K", help="Beams kept; 1 is greedy. The model's own by default.")
]
NBest = Annotated[int, typer.Option(metavar="N", help="Captions per image, best first.")]
MinConfidence = Annotated[
    str | None,
    typer.Option(
        metavar="P",
        help="Mark captions whose confidence, 0 to 1, is below P: they need a person.",
    ),
]
NoConfidence = Annotated[
    bool, typer.Option("--no-confidence", metavar="", help="Do not say how sure the model is: faster.")
]
Require = Annotated[
    list[str] | None,
    typer.Option(metavar="WORD", show_default=False, help="Write captions with WORD; can be given again."),
]
Forbid = Annotated[
    list[str] | None,
    typer.Option(metavar="WORD", show_default=False, help="Never write WORD; can be given again."),
]
MinLength = Annotated[
    int | None, typer.Option(metavar="N", help="Fewest tokens of a caption. The model's own by default.")
]
NoRepeat = Annotated[
    int | None,
    typer.Option(
        "--no-repeat-ngram",
        metavar="N",
        help="Write no N tokens in a row twice; 0 allows it. The model's own by default.",
    ),
]
Characters = Annotated[int | None, typer.Option(metavar="N", help="Most characters of a caption.")]
Glossary = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Preferred terms: FILE.toml or .csv, a word and what to write for it."),
]
Output = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write to FILE.jsonl, .csv or .parquet instead, or JSONL to standard output with -. "
        "FILE appears when all images are done.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", metavar="", help="Let --output replace a file.")]


@door(shares_terminal=True, captions=True)
def caption(
    screen: Screen,
    paths: Paths,
    model: Models = None,
    beam_size: BeamSize = None,
    n_best: NBest = 1,
    min_confidence: MinConfidence = None,
    no_confidence: NoConfidence = False,
    require: Require = None,
    forbid: Forbid = None,
    min_length: MinLength = None,
    no_repeat_ngram: NoRepeat = None,
    characters: Characters = None,
    glossary: Glossary = None,
    assignments: Assignments = None,
    output: Output = None,
    overwrite: Overwrite = False,
) -> int:
    """Write captions for images.

    Prints path, tab and caption, one line per image; behind another tab how sure the model is, as the
    probability that the caption is acceptable; with --n-best several lines per image, each with its
    log-probability behind the caption. With --min-confidence, captions below it are marked at the end of
    their line; so are those of images unlike the images that the model was trained on. Control characters
    in names are written as escapes. Images that cannot be read, and paths without images, are listed on
    standard error.
    """
    from cutline.recipes import caption as recipe
    from cutline.text.glossary import read_glossary
    from cutline.wishes import Wishes

    file = Path(output) if output not in (None, "-") else None
    if file is not None:
        recipe.check_output(file, overwrite)
    least = _probability(min_confidence)
    if n_best < 1:
        raise ConfigError(f"--n-best {n_best}: at least 1 caption per image can be asked for")
    wishes = Wishes(
        require=tuple(require or ()),
        forbid=tuple(forbid or ()),
        min_length=min_length,
        no_repeat_ngram=no_repeat_ngram,
        characters=characters,
        glossary={} if glossary is None else read_glossary(glossary),
        decoding=_decoding(assignments or ()),
    )
    found = recipe.caption(
        paths,
        model or [chosen_model(None, screen)],
        beam_size=beam_size,
        n_best=n_best,
        min_confidence=least,
        confidence=not no_confidence,
        wishes=wishes,
        progress=screen.progress,
    )
    records = recipe.Counted(_told(found, screen), least)
    if file is not None:
        recipe.write_captions(records, file, least)
        screen.progress.note(f"{spell_count(records.done, 'images')} captioned: {file}")
        counts = {"captioned": records.done, "failed": records.failed}
        if least is not None:
            counts["need_person"] = records.need_person
        if records.unlike is not None:
            counts["unlike_training"] = records.unlike
        screen.document({"output": file, **counts})
    else:
        _print(records, screen, n_best, least, as_json=output == "-" or screen.flags.json)
    if records.need_person:
        verb = "needs" if records.need_person == 1 else "need"
        count = f"{records.need_person:,} of {spell_count(records.done, 'captions')}"
        screen.progress.note(f"{count} {verb} a person (confidence below {least:g})")
    if records.unlike:
        verb = "is" if records.unlike == 1 else "are"
        count = f"{records.unlike:,} of {spell_count(records.done, 'images')}"
        screen.progress.note(
            f"{count} {verb} unlike those the model was trained on: captions mean little there"
        )
    return SOME_FAILED if records.failed else DONE


def _decoding(assignments: Sequence[str]) -> dict[str, object]:
    from cutline.config import read_assignments

    found = {}
    for key, value in read_assignments(assignments).items():
        group, _, name = key.rpartition(".")
        if group != "decoding":
            raise ConfigError(f"--set {key}: a finished model has options of decoding alone; see decoding.*")
        found[name] = value
    return found


def _probability(value: str | None) -> float | None:
    """Return what ``--min-confidence`` says.

    Example:
        >>> _probability("0.5"), _probability(None)
        (0.5, None)
        >>> _probability("1.5")
        Traceback (most recent call last):
        cutline.errors.ConfigError: --min-confidence 1.5: a probability from 0 to 1 is allowed, such as 0.5
    """
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        if 0 <= float(value) <= 1:
            return float(value)
    raise ConfigError(f"--min-confidence {value}: a probability from 0 to 1 is allowed, such as 0.5")


def _print(
    records: Iterable[CaptionedImage],
    screen: Screen,
    n_best: int,
    min_confidence: float | None,
    *,
    as_json: bool,
) -> None:
    from cutline.recipes.caption import as_json as spell

    for record in records:
        if as_json:
            screen.json_line(spell(record, min_confidence))
            continue
        for line in _lines(record, n_best, min_confidence):
            screen.line(line)


def chosen_model(model: str | None, screen: Screen) -> str:
    """Return the model that was named, or the newest run here, or the one that comes with cutline.

    Raises:
        RunError: There is none of them.
    """
    from cutline.recipes.caption import newest_run
    from cutline.runtime.released import DEFAULT, released_path

    if model is not None:
        return model
    newest = newest_run()
    if newest is not None:
        screen.progress.note(f"model: {newest} (the newest run in runs/; choose another with --model)")
        return str(newest)
    released = released_path(DEFAULT)
    if released is not None:
        # Only here: most captions are written with a model that was named or trained.
        from cutline.recipes.run_folder import is_training_begun

        why = "; no run in runs/ has finished an epoch yet" if is_training_begun() else ""
        screen.progress.note(f"model: {DEFAULT}, which comes with cutline (choose another with --model){why}")
        # Not its name: a folder here may be called so.
        return str(released)
    raise RunError(
        "no --model given and no trained run in ./runs; pass --model MODEL, or train one: cutline train"
    )


def _told(records: Iterable[CaptionedImage], screen: Screen) -> Iterator[CaptionedImage]:
    for record in records:
        if record.error is not None:
            screen.progress.warn(visible(record.error))
        yield record


def _lines(record: CaptionedImage, n_best: int, min_confidence: float | None) -> Iterator[str]:
    from cutline.recipes.caption import needs_person

    for one in record.hypotheses:
        columns = [visible(record.image), visible(one.text)]
        if n_best > 1:
            columns.append(f"{one.log_probability:.4f}")
        if one.confidence is not None:
            # Never rounded up: 0.499 printed as 0.50 would look enough for --min-confidence 0.5.
            columns.append(f"{floor(one.confidence * 100) / 100:.2f}")
        if needs_person(one, min_confidence):
            columns.append("needs a person")
        if one.unlike_training:
            columns.append("unlike the training images")
        yield "\t".join(columns)
