"""Train on parts of a run's training images, score what comes out, and say what more captions would buy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.captioner import Captioner
from cutline.config import DecodingOptions, RunConfig
from cutline.data.splits import load_splits
from cutline.errors import RunError
from cutline.evaluation import caption_examples, make_scorer, texts_of
from cutline.evaluation.learning_curve import SHARES, fit_learning_curve, nested_subset
from cutline.metrics import Scorer, interval_of_mean
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.recipes.extract import extract_features, feature_reader
from cutline.recipes.train import train
from cutline.records import Dataset, EvaluationResult, Example, LearningCurve, LearningPoint
from cutline.runtime import load_bundle
from cutline.text import Vocabulary
from cutline.training.history import load_history
from cutline.training.loop import is_finished, phases_of

FOLDER: Final = "learning-curve"
"""Folder inside a run that holds the runs on parts of its images."""

SMALLEST: Final = 8
"""Training images that a quarter can be taken of: it must leave more than one to learn from."""


@dataclass(frozen=True)
class LearningPlan:
    """What a learning curve needs, looked over before hours are spent on it.

    Attributes:
        run: Folder of the run on all training images.
        config: Its options, which the runs on parts have, too.
        dataset: The images of the run with the splits it had, in the order of the table.
    """

    run: Path
    config: RunConfig
    dataset: Dataset

    def folder(self, share: float) -> Path:
        """Return the folder of the run on a share of the training images."""
        return self.run / FOLDER / f"{100 * share:g}"

    def part(self, share: float) -> Dataset:
        """Return what that run works on: part of the train images, and all val images to choose epochs by."""
        subset = set(nested_subset(self.dataset.of_split("train"), share, self.config.training.seed))
        kept = tuple(e for e in self.dataset.examples if e.split == "val" or e in subset)
        return replace(self.dataset, examples=kept, problems=())

    def is_finished(self, share: float) -> bool:
        """Tell whether that run has nothing left to train."""
        history = self.folder(share) / layout.HISTORY
        return history.exists() and is_finished(load_history(history), phases_of(self.config))


def plan_learning_curve(model: Path, dataset: Dataset, progress: Progress) -> LearningPlan:
    """Find the images a run was trained on, so that parts of them can be trained on.

    Args:
        model: A run folder, or the bundle inside one.
        dataset: Identified examples, those of training among them, whatever split they are in here.
        progress: Warned when captions or images are not quite those of training.

    Raises:
        RunError: The model is not in a run folder; the data set lacks images that it was trained on; or these
            are fewer than eight.
    """
    run = layout.run_of(model)
    if not (run / layout.CONFIG).exists() or not (run / layout.SPLIT).exists():
        raise RunError(
            f"{model}: a learning curve trains on parts of a run's images, and this is no run folder; name "
            "the folder that cutline train made, or leave --learning-curve out"
        )
    config = layout.require_run(run)
    known = load_splits(run / layout.SPLIT, key="digest")
    examples = (replace(e, split=known[e.digest]) for e in dataset.examples if e.digest in known)
    found = replace(dataset, examples=tuple(examples))
    _require_training_images(found, known, run)
    if found.fingerprint() != _fingerprint(run):
        progress.warn(
            f"{dataset.source}: its captions are not those that {run} was trained on; the learning curve "
            "compares that run with runs on the captions of now"
        )
    return LearningPlan(run, config, found)


def measure_learning_curve(
    plan: LearningPlan,
    examples: Sequence[Example],
    result: EvaluationResult,
    decoding: DecodingOptions,
    progress: Progress,
) -> LearningCurve:
    """Train on a quarter and on half of the training images, and fit a curve through the three scores.

    The parts are nested and drawn by ``training.seed``; options and val images are the run's. Each part is a
    run of its own in ``learning-curve`` of the run folder: one that was interrupted goes on, one that is
    finished is not trained again. All are scored on the same images and decoded in the same way.

    Args:
        plan: From :func:`plan_learning_curve`.
        examples: The images that were evaluated.
        result: The evaluation of the run on all training images.
        decoding: How its captions were decoded.
        progress: Told about every stage.

    Raises:
        RunError: A part cannot go on, because its data or options are not what they were.
        DataError: The captions of a part are too few for a vocabulary.
        KeyboardInterrupt: Ctrl-C; what was trained is kept.
    """
    _tell_work(plan, progress)
    vocabulary = Vocabulary.load(plan.run / "vocabulary.json")
    scorer = make_scorer(examples, vocabulary.tokenizer)
    image_scores: list[NDArray[np.float64]] = []
    for share in SHARES:
        _train_part(plan, share, progress)
        texts = _captions(plan.folder(share), examples, decoding, progress)
        image_scores.append(_in_order(scorer.cider_d_per_image(texts), scorer))
    image_scores.append(_in_order(result.image_scores, scorer))
    parts = [*(plan.part(share).of_split("train") for share in SHARES), plan.dataset.of_split("train")]
    points = [
        LearningPoint(
            share=share,
            images=len(part),
            captions=sum(len(example.captions) for example in part),
            cider_d=float(scores.mean()),
            interval=interval_of_mean(scores),
        )
        for share, part, scores in zip((*SHARES, 1.0), parts, image_scores, strict=True)
    ]
    return fit_learning_curve(points, image_scores)


def _require_training_images(found: Dataset, known: Mapping[str, str], run: Path) -> None:
    wanted = {split: sum(name == split for name in known.values()) for split in ("train", "val")}
    for split, count in wanted.items():
        there = len(found.of_split(split))
        if there < count:
            raise RunError(
                f"{found.source}: holds {there:,} of the {count:,} {split} images of {run}; a learning curve "
                "needs the table that the run was trained on"
            )
    if wanted["train"] < SMALLEST:
        raise RunError(
            f"{run}: was trained on {wanted['train']} images, too few to take a quarter of; a learning curve "
            f"needs {SMALLEST}"
        )


def _fingerprint(run: Path) -> Any:
    try:
        return json.loads((run / layout.DATA).read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _tell_work(plan: LearningPlan, progress: Progress) -> None:
    """Say what will be trained, and how long that takes by what the whole run took."""
    left = [share for share in SHARES if not plan.is_finished(share)]
    if left:
        seconds = sum(record.seconds for record in load_history(plan.run / layout.HISTORY)) * sum(left)
        parts = " and ".join(f"{share:.0%}" for share in left)
        images = len(plan.dataset.of_split("train"))
        progress.note(
            f"learning curve: training on {parts} of the {images:,} train images, for about "
            f"{max(1, round(seconds / 60)):,} min"
        )


def _train_part(plan: LearningPlan, share: float, progress: Progress) -> None:
    folder, data = plan.folder(share), plan.part(share)
    resume = (folder / layout.CONFIG).exists()
    try:
        if resume and plan.is_finished(share) and _has_its_voters(folder):
            layout.require_same_data(folder, data)
            progress.note(f"learning curve: {folder} is trained already")
            return
        progress.note(f"learning curve: {len(data.of_split('train')):,} train images, in {folder}")
        run = train(data, run=folder, config=plan.run / layout.CONFIG, resume=resume, progress=progress)
    except RunError as error:
        raise RunError(f"{error} (or remove {folder}, and it is trained anew)") from None
    if run.interrupted:
        raise KeyboardInterrupt


def _has_its_voters(folder: Path) -> bool:
    """Tell whether a finished run was not stopped before what votes was kept."""
    bundle = load_bundle(folder / layout.BUNDLE)
    return not bundle.decoding.consensus or bundle.has_voters


def _captions(
    folder: Path, examples: Sequence[Example], decoding: DecodingOptions, progress: Progress
) -> dict[str, str]:
    captioner = Captioner.load(folder)
    encoder = captioner.session.encoder
    store, readable = extract_features(encoder, Dataset(tuple(examples), str(folder), ""), progress)
    with store:
        read = feature_reader(store)
        return texts_of(caption_examples(captioner.writer, read, readable.examples, decoding, progress))


def _in_order(values: Mapping[str, float], scorer: Scorer) -> NDArray[np.float64]:
    return np.array([values[image_id] for image_id in scorer.references.image_ids])
