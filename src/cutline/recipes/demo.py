"""The whole way on drawn scenes, from drawing them to a report; then some photos."""

from __future__ import annotations

import contextlib
import csv
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cutline.captioner import Captioner
from cutline.data.sample import draw_sample
from cutline.data.store_folder import locked
from cutline.errors import FeatureStoreError, RunError
from cutline.files import write_json
from cutline.metrics import score
from cutline.progress import Progress, Silent
from cutline.recipes.check import check
from cutline.recipes.demo_photos import DemoPhotos, caption_photos
from cutline.recipes.evaluate import evaluate
from cutline.recipes.report import write_report
from cutline.recipes.train import train
from cutline.records import EvaluationResult, Scores

MARKER: Final = "demo.json"
"""Says that a folder was made by the demo, so that the next demo may use it again."""

OPTIONS: Final[dict[str, Any]] = {
    # The scenes are few and their language is small: more and smaller steps than for photos.
    "training.epochs": 16,
    "training.batch_size": 32,
    "decoder.embedding_units": 128,
    "decoder.lstm_units": 256,
}
_SHOWN = 4


@dataclass(frozen=True)
class Demo:
    """What the demo did.

    Attributes:
        lines: What to tell, line by line.
        report: Path of the report.
        test: Scores on the whole test split.
        held_out: Scores on test scenes whose combination of attributes training never saw.
        held_out_baseline: Scores of the most common training caption on the same scenes.
        seconds: Duration.
        photos: Sample photos of another package with captions of the model that comes along.
    """

    lines: tuple[str, ...]
    report: str
    test: Scores
    held_out: Scores
    held_out_baseline: Scores
    seconds: float
    photos: DemoPhotos


def demo(
    out: str | Path = "cutline-demo",
    *,
    images: int = 720,
    overrides: dict[str, Any] | None = None,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> Demo:
    """Show the main job on scenes that are drawn on the spot; needs no photos and no network.

    Then the model that comes with cutline captions the sample photos of scikit-image. Where one of both is
    absent, a line says so.

    Args:
        out: Folder for the scenes, the run and the report. One that an earlier demo made is used again.
        images: Scenes to draw.
        overrides: Options over those of the demo, e.g. ``{"training.epochs": 1}`` for a test.
        progress: Told about every stage.

    Raises:
        RunError: ``out`` holds something that no demo made, or another demo is at work in it.
    """
    folder = _own_folder(Path(out))
    with _claimed(folder):
        shutil.rmtree(folder / "run", ignore_errors=True)
        return _demo_in(folder, images, {**OPTIONS, **(overrides or {})}, progress)


def _demo_in(folder: Path, images: int, options: dict[str, Any], progress: Progress) -> Demo:
    started = time.perf_counter()
    table = draw_sample(folder / "data", images, progress=progress)
    looked_over = check(table, progress=progress)
    run = train(table, "show_tell", folder / "run", overrides=options, progress=progress)
    if run.interrupted:
        raise KeyboardInterrupt
    result = evaluate(run.folder, table, split="test", progress=progress)
    held_out = _held_out(table)
    scores, baseline = _scores_on(result, held_out)
    captions = _caption_some(run.folder, table.parent, [key for key in result.captions if key in held_out])
    report = write_report(run.folder, progress=progress)
    photos = caption_photos(folder, progress)
    seconds = time.perf_counter() - started
    common = result.most_common.scores
    lines = [
        f"Drew and checked {looked_over.images:,} scenes, {looked_over.captions:,} captions: {table.parent}",
        f"Trained show_tell on efficientnet_lite0 features for {len(run.history)} epochs: {run.folder}",
        f"Test split ({result.scores.images} scenes): CIDEr-D {result.scores.cider_d:.1f}, BLEU-4 "
        f"{result.scores.bleu_4:.1f}; the most common caption gets {common.cider_d:.1f} and "
        f"{common.bleu_4:.1f}",
        f"Combinations never seen in training ({scores.images} scenes): CIDEr-D {scores.cider_d:.1f}, BLEU-4 "
        f"{scores.bleu_4:.1f}; the most common caption gets {baseline.cider_d:.1f} and {baseline.bleu_4:.1f}",
        "Captions of scenes with such combinations:",
        *(f"  {image}: {caption}" for image, caption in captions),
        f"Report with curves and pictures: {report}",
        *photos.lines,
        f"Done in {seconds:.0f} s. Now your own photos:",
        "  cutline train captions.csv --images photos/ --run runs/first",
        "  cutline caption new.jpg --model runs/first",
    ]
    return Demo(tuple(lines), str(report), result.scores, scores, baseline, seconds, photos)


def _own_folder(folder: Path) -> Path:
    used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if used and not (folder / MARKER).exists():
        raise RunError(f"{folder}: exists and was not made by the demo; choose another folder with --out")
    write_json(folder / MARKER, {"made_by": "cutline demo"})
    return folder


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Keep other demos out of the folder while the block runs: they would remove what this one makes."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder))
        except FeatureStoreError:
            raise RunError(
                f"{folder}: another demo is at work in it; wait for it, or choose another folder with --out"
            ) from None
        yield


def _held_out(table: Path) -> set[str]:
    with table.open(encoding="utf-8", newline="") as stream:
        return {row["image"] for row in csv.DictReader(stream) if row["combination"] == "held-out"}


def _scores_on(result: EvaluationResult, images: set[str]) -> tuple[Scores, Scores]:
    references = {key: texts for key, texts in result.references.items() if key in images}
    model = score({key: result.captions[key] for key in references}, references)
    return model, score(dict.fromkeys(references, result.most_common.caption), references)


def _caption_some(model: str, folder: Path, images: list[str]) -> list[tuple[str, str]]:
    """Caption image files the way a user does, from the saved model and the file."""
    captioner = Captioner.load(model)
    return [(image, captioner.caption(folder / image)[0].text) for image in images[:_SHOWN]]
