"""A theme that a model has never seen: trained from nothing, against going on from that model.

    .venv/bin/python benchmarks/start_from.py flickr8k/captions.csv --images flickr8k/images --out theme \\
        [--theme water] [--photos 250 1000] [--few 250] [--many 1000] [--tuned 8] [--critical 8]
        [--critical-from-nothing 8] [--seeds 3] [--rounds 3]

A base is trained on all photos whose captions never name the theme. Then, for rising numbers of photos of
which two captions at least name it, one model is trained from nothing and one from the base, on the same
photos. Both are scored on the theme's other photos, of the val and of the train split, which neither training
saw; which epoch is kept is decided on a hundred that are not scored. Scores are those of 3 beams without
consensus, and of the captions that are chosen as the preset does. p is that of ``cutline score --against``;
of several seeds an image counts with the mean, as in ``mean_of_seeds.py``. At last few photos from the base
are compared with many from nothing; ``--photos`` without a number leaves the rest out.

With ``--rounds``, all but the base is trained so many times: what one round scores is what the next one
trains on first. No photo is scored twice, nor by a model that was trained on it; the photos of all rounds are
compared as one set. At last every round is compared by itself, and those of all but the first together,
without the hundred that choose in the first: with the first, people decide how models are trained.

With ``--tuned``, both the base and the models from nothing have the last two stages of their encoder trained,
too, for so many epochs behind the others. A start keeps the encoder of its base: what the base learned of
captions is of its features. Trainings from the base have fewer epochs and a lower learning rate; with
``--critical`` they end with so many epochs on the score of their own captions, with
``--critical-from-nothing`` the others do. Both see every second photo mirrored; those from nothing with
``--tuned`` only while their encoder learns. The base has one seed, the first.

Everything lies in a folder of the theme's name in that of ``--out``, or of its name and the epochs of
``--tuned``; what is finished there is not trained again.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from cutline.files import write_text
from cutline.metrics import Scorer, compare_seeds
from cutline.models.presets import PRESETS
from cutline.recipes.evaluate import evaluate
from cutline.recipes.train import train
from cutline.records import Scores

THEMES: Final = {
    "water": re.compile(
        r"\b(waters?|ocean|sea|beach|pools?|swim\w*|waves?|surf\w*|lakes?|rivers?|streams?|creek|boat\w*|canoe\w*"
        r"|kayak\w*|raft\w*|splash\w*|puddle\w*|fountain\w*|pond|shore\w*|wet|sprinkler\w*|wad(?:e|es|ed|ing)"
        r"|div(?:e|es|ed|ing|er|ers)|wakeboard\w*|waterfall\w*|waterski\w*|snorkel\w*|hose)\b",
        re.IGNORECASE,
    ),
    "dogs": re.compile(
        r"\b(dogs?|pupp(?:y|ies)|pups?|canines?|hounds?|greyhounds?|retrievers?|terriers?|poodles?|labradors?"
        r"|collies?|husk(?:y|ies)|corgis?|bulldogs?|dalmatians?|spaniels?|beagles?|dachshunds?|pugs?)\b",
        re.IGNORECASE,
    ),
    "men": re.compile(
        r"\b(m[ae]n|guys?|males?|dudes?|gentlem[ae]n|fisherm[ae]n|policem[ae]n|firem[ae]n|cameram[ae]n|groomsm[ae]n"
        r"|businessm[ae]n|horsem[ae]n|sportsm[ae]n|batsm[ae]n|workm[ae]n|stuntm[ae]n)\b",
        re.IGNORECASE,
    ),
    "children": re.compile(r"\b(child|children|kids?|boys?|girls?|bab(?:y|ies)|toddlers?)\b", re.IGNORECASE),
}
EPOCHS: Final = {50: 30, 100: 30, 250: 20, 500: 15, 1000: 12}
"""Train photos of the theme → epochs of a training from nothing."""
_EPOCHS_OF_START: Final = 3
"""With 250 photos of men, at a rate of 2e-4, the loss on those that choose rose from the fourth epoch on."""
CHOOSING: Final = 100
"""Photos of the theme on which the epoch is chosen."""

Row = tuple[str, str, str]
Runs = list[list[Path]]
"""Runs by seed, then by round."""
WAYS: Final[Mapping[str, Mapping[str, Any] | None]] = {
    "3 beams": None,
    "voted on": PRESETS["attend"]["decoding"],
}
"""How captions are written → options of decoding; None for those of the run."""
_PLAIN: Final = {"self_critical.epochs": 0, "decoding.beam_size": 3, "decoding.consensus": 0}


def themed(rows: Iterable[Row], theme: re.Pattern[str], round_: int = 0) -> tuple[list[Row], list[Row]]:
    """Return the rows of images that never name the theme, and of those that do so in two captions.

    Args:
        rows: Image, caption and split (``"train"`` or ``"val"``).
        theme: What captions of the theme hold.
        round_: Number of the round, from 0.

    Returns:
        The first keep their splits. Of the second, train images by name and behind them val images, the first
        thousand are ``"train"``, the next hundred ``"val"``, all others ``"test"``. A further round begins
        with what the round before it scores, and leaves out what would be scored again.

    Raises:
        ValueError: The theme has too few images, or all of them were scored in the rounds before.
    """
    by_image: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_image[row[0]].append(row)
    named = {image: sum(bool(theme.search(row[1])) for row in own) for image, own in by_image.items()}
    without = [row for image, own in by_image.items() if not named[image] for row in own]
    images = sorted(
        (image for image, times in named.items() if times > 1),
        key=lambda image: (by_image[image][0][2] != "train", image),
    )
    needed = max(EPOCHS) + CHOOSING
    if len(images) < needed + CHOOSING:
        raise ValueError(f"{len(images)} photos of the theme; at least {needed + CHOOSING} are needed")
    begin = max(0, len(images) - round_ * (len(images) - needed))
    before = set(images[begin:])
    if begin < CHOOSING:
        raise ValueError(f"round {round_ + 1} has {begin} photos left to score; {CHOOSING} are needed")
    inside: list[Row] = []
    for place, image in enumerate(images[begin:] + images[:begin]):
        split = "train" if place < max(EPOCHS) else "val" if place < needed else "test"
        if split != "test" or image not in before:
            inside += [(image, caption, split) for _, caption, _ in by_image[image]]
    return without, inside


def fewer(rows: Iterable[Row], photos: int) -> list[Row]:
    """Return the rows with only the first ``photos`` train images."""
    rows = list(rows)
    kept = set(list(dict.fromkeys(row[0] for row in rows if row[2] == "train"))[:photos])
    return [row for row in rows if row[2] != "train" or row[0] in kept]


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write rows under a heading."""
    text = io.StringIO()
    csv.writer(text).writerows([("image", "caption", "split"), *rows])
    write_text(path, text.getvalue())


def trained(rows: list[Row], images: Path, run: Path, options: Mapping[str, Any]) -> None:
    """Train a run on rows unless it is there."""
    done, wanted = run / "options.json", json.dumps(dict(options), sort_keys=True)
    table = run.with_suffix(".csv")
    if done.exists():
        if done.read_text(encoding="utf-8") != wanted or sorted(_read(table)) != sorted(rows):
            raise SystemExit(
                f"{run}: was trained with other options or captions; delete it and what started from it, or "
                "name another --out"
            )
        return
    write_table(table, rows)
    found = train(
        table, "attend", run, images=images, overrides=dict(options), resume=(run / "config.toml").exists()
    )
    if found.interrupted:
        raise KeyboardInterrupt
    write_text(done, wanted)


def _read(table: Path) -> list[Row]:
    with table.open(newline="", encoding="utf-8") as stream:
        return [(row["image"], row["caption"], row["split"]) for row in csv.DictReader(stream)]


def scored(runs: list[Path], way: str) -> Scores:
    """Score captions of one of :data:`WAYS` for the theme's photos, those of all rounds."""
    references = _references(runs)
    return Scorer(references).score(_texts(runs, way, references))


def captioned(run: Path, table: Path, images: Path, out: Path | None = None) -> None:
    """Write captions in all :data:`WAYS`, unless they are there; into the run's folder, or another."""
    for way, values in WAYS.items():
        captions = _captions(run if out is None else out, way)
        if not captions.exists():
            overrides = {f"decoding.{key}": value for key, value in (values or {}).items()}
            evaluate(run, table, images=images, split="test", out=captions.parent, overrides=overrides)


def _captions(folder: Path, way: str) -> Path:
    return folder / f"evaluation-test{'' if WAYS[way] is None else '-voted'}" / "captions.json"


def main() -> None:
    """Train, score, print."""
    parser = _parser()
    asked = parser.parse_args()
    if min(asked.rounds, asked.seeds) < 1:
        parser.error("--rounds and --seeds are 1 or more")
    rows = _read(asked.table)
    try:
        rounds = [themed(rows, THEMES[asked.theme], number) for number in range(asked.rounds)]
    except ValueError as problem:
        parser.error(str(problem))
    without, tables = rounds[0][0], [inside for _, inside in rounds]
    base = _folder(asked) / "base"
    base.parent.mkdir(parents=True, exist_ok=True)
    trained(without, asked.images, base, {**_PLAIN, **_tuned(asked), "training.epochs": asked.base_epochs})
    unchanged = _unchanged(base, tables, asked.images)
    print("| photos | captions | from nothing | from the base | p |\n| --- | --- | --- | --- | --- |")
    for photos in asked.photos:
        pair = _trained_runs("nothing", photos, tables, asked), _trained_runs("base", photos, tables, asked)
        for way in WAYS:
            print(f"| {' | '.join((str(photos), way, *_against(*pair, way)))} |", flush=True)
    many = _trained_runs("nothing", asked.many, tables, asked)
    few = _trained_runs("base", asked.few, tables, asked)
    print(f"from the base with {asked.few}, against from nothing with {asked.many}:")
    _tell(many, few, tables)
    print("against the base as it is:")
    _tell(unchanged, few, tables)


def _folder(asked: argparse.Namespace) -> Path:
    return Path(asked.out) / (f"{asked.theme}-tuned-{asked.tuned}" if asked.tuned else asked.theme)


def _tuned(asked: argparse.Namespace) -> dict[str, Any]:
    # Runs that were begun without keep the options they have.
    return {"fine_tune.epochs": asked.tuned, "fine_tune.stages": "last_two"} if asked.tuned else {}


def _options_of(start: str, base: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Return the options of trainings from ``"nothing"`` or from the ``"base"``."""
    if start == "nothing":
        critical = {"self_critical.epochs": asked.critical_from_nothing}
        return {**(_tuned(asked) or {"training.flip": "auto"}), **critical}
    return {
        "start.model": str(base),
        "training.epochs": _EPOCHS_OF_START,
        "training.learning_rate": asked.learning_rate,
        "training.flip": "auto",
        "self_critical.epochs": asked.critical,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path, help="image, caption and split")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--theme", choices=THEMES, default="water")
    parser.add_argument("--base-epochs", type=int, default=6)
    parser.add_argument("--learning-rate", type=float, default=2e-4, help="of going on from the base")
    parser.add_argument("--tuned", type=int, default=0, help="epochs in which the encoder learns, too")
    parser.add_argument(
        "--critical", type=int, default=0, help="self-critical epochs behind those of a start"
    )
    parser.add_argument("--critical-from-nothing", type=int, default=0, help="and behind those from nothing")
    parser.add_argument("--photos", type=int, nargs="*", choices=EPOCHS, default=list(EPOCHS))
    parser.add_argument("--few", type=int, choices=EPOCHS, default=250)
    parser.add_argument("--many", type=int, choices=EPOCHS, default=1000)
    parser.add_argument("--seeds", type=int, default=1, help="of every training but the base's")
    parser.add_argument("--rounds", type=int, default=1, help="with other photos of the theme each")
    return parser


def _unchanged(base: Path, tables: list[list[Row]], images: Path) -> Runs:
    """Print the scores of the base as it is, and return where its captions lie."""
    places = [base / _numbered("unchanged", round=number) for number in range(len(tables))]
    for out, inside in zip(places, tables, strict=True):
        write_table(out.with_suffix(".csv"), inside)
        captioned(base, out.with_suffix(".csv"), images, out)
    found = [scored(places, way) for way in WAYS]
    told = "; ".join(f"{way}: {_told(scores)}" for way, scores in zip(WAYS, found, strict=True))
    print(f"base as it is, CIDEr-D / BLEU-4 of {found[0].images} photos: {told}")
    return [places]


def _trained_runs(start: str, photos: int, tables: list[list[Row]], asked: argparse.Namespace) -> Runs:
    """Return the runs of all seeds and rounds, which are trained and have captions."""
    folder = _folder(asked)
    options = _options_of(start, folder / "base", asked)
    found: Runs = []
    for seed in range(asked.seeds):
        common = {"training.epochs": EPOCHS[photos], "training.batch_size": 32, "training.seed": seed}
        found.append([])
        for number, inside in enumerate(tables):
            critical = int(options["self_critical.epochs"])
            name = _numbered(f"{start}-{photos}", critical=critical, seed=seed, round=number)
            trained(fewer(inside, photos), asked.images, folder / name, {**_PLAIN, **common, **options})
            captioned(folder / name, (folder / name).with_suffix(".csv"), asked.images)
            found[-1].append(folder / name)
    return found


def _numbered(name: str, **numbers: int) -> str:
    """Return the name of a folder with the numbers that are not 0."""
    return "-".join([name, *(f"{key}-{number}" for key, number in numbers.items() if number)])


def _tell(first: Runs, second: Runs, tables: list[list[Row]]) -> None:
    """Print how the second compares with the first: all rounds, each alone, and all but the first."""
    decided = {image for image, _, split in tables[0] if split == "val"}
    for way in WAYS:
        print(f"{way}: {_in_words(first, second, way)}")
        for number in range(len(tables)) if len(tables) > 1 else ():
            one, other = ([[runs[number]] for runs in side] for side in (first, second))
            print(f"{way}, round {number + 1} of {len(tables)}: {_in_words(one, other, way)}")
        one, other = ([runs[1:] for runs in side] for side in (first, second))
        if _references(one[0], decided):
            print(f"{way}, all but the first: {_in_words(one, other, way, decided)}", flush=True)


def _in_words(first: Runs, second: Runs, way: str, without: Collection[str] = ()) -> str:
    one, other, p = _against(first, second, way, without)
    return f"{other} against {one}, p = {p}, {len(_references(first[0], without))} photos"


def _against(first: Runs, second: Runs, way: str, without: Collection[str] = ()) -> tuple[str, str, str]:
    """Return the means over seeds of both sides, and p with the difference; some images may be left out."""
    references = _references(first[0], without)
    texts = [[_texts(runs, way, references) for runs in side] for side in (first, second)]
    found = compare_seeds(Scorer(references), *texts)
    cider_d, bleu_4 = found["cider_d"], found["bleu_4"]
    gap = f"{cider_d.difference:+.1f} ± {cider_d.half_width:.1f}"
    return (
        f"{cider_d.first:.1f} / {bleu_4.first:.1f}",
        f"{cider_d.second:.1f} / {bleu_4.second:.1f}",
        f"{cider_d.p_value:.4f} / {bleu_4.p_value:.4f} ({gap})",
    )


def _written(run: Path, way: str) -> dict[str, str]:
    rows = json.loads(_captions(run, way).read_text(encoding="utf-8"))
    return {row["image_id"]: row["caption"] for row in rows}


def _texts(runs: list[Path], way: str, images: Collection[str]) -> dict[str, str]:
    """Return the hypotheses of every round for some images."""
    found = {image: text for run in runs for image, text in _written(run, way).items()}
    return {image: text for image, text in found.items() if image in images}


def _references(runs: list[Path], without: Collection[str] = ()) -> dict[str, list[str]]:
    """Return the references of the photos that every round scores, but for some images."""
    found: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        # Of a file under two names only one has a caption.
        known = _written(run, next(iter(WAYS)))
        for image, caption, split in _read(run.with_suffix(".csv")):
            if split == "test" and image in known and image not in without:
                found[image].append(caption)
    return found


def _told(scores: Scores) -> str:
    return f"{scores.cider_d:.1f} / {scores.bleu_4:.1f}"


if __name__ == "__main__":
    main()
