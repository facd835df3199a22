"""Keep in a trained model what tells images unlike its training images, and count such images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cutline.evaluation import ReadFeatures
from cutline.evaluation.domain import FEWEST_TRAIN, FEWEST_VAL, fit_domain, measure_unlike
from cutline.evaluation.training_features import summarise_features
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.records import Dataset, EvaluationResult, Example
from cutline.runtime import Bundle, load_bundle
from cutline.runtime.domain import TrainingDomain
from cutline.runtime.saving import update_bundle


def keep_domain(folder: Path, dataset: Dataset, read: ReadFeatures, progress: Progress) -> None:
    """Keep in the best bundle of a run what tells images unlike the training images.

    A bundle that carries it is left as it is; so is one with too few train or val images.

    Args:
        folder: The run.
        dataset: All examples, with splits and digests.
        read: Their features.
        progress: Told about the work, and when nothing is kept.

    Raises:
        BundleError: The bundle is missing or damaged.
    """
    bundle = load_bundle(folder / layout.BUNDLE)
    if bundle.domain is not None:
        return
    domain = domain_of(bundle, dataset, read, progress)
    if domain is not None:
        update_bundle(replace(bundle, domain=domain), folder / layout.BUNDLE)


def domain_of(
    bundle: Bundle, dataset: Dataset, read: ReadFeatures, progress: Progress
) -> TrainingDomain | None:
    """Return what tells images unlike the training images of a bundle, or None where these are too few.

    Args:
        bundle: The model; a summary of the training features that it carries is used again.
        dataset: With train and val images and their digests.
        read: Their features.
        progress: Told about the work, and when there is nothing to return.
    """
    train, val = dataset.of_split("train"), dataset.of_split("val")
    if len(train) < FEWEST_TRAIN or len(val) < FEWEST_VAL:
        progress.note(
            f"images unlike the training images are not told apart: that takes {FEWEST_TRAIN} train and "
            f"{FEWEST_VAL} val images, found {len(train):,} and {len(val):,}"
        )
        return None
    with progress.stage("learning what training images look like", 1, "bundle") as stage:
        if bundle.confidence is not None:
            training = bundle.confidence.training
        else:
            training = summarise_features(read, [example.digest for example in train])
        domain = fit_domain(training, read, val)
        stage.advance(1)
    return domain


def add_unlike(
    result: EvaluationResult, bundle: Bundle, read: ReadFeatures, examples: Sequence[Example]
) -> EvaluationResult:
    """Return an evaluation with the images unlike the training images, as it is where a bundle cannot tell.

    Args:
        result: Of the examples.
        bundle: The model.
        read: The examples' features.
        examples: The images.
    """
    if bundle.domain is None:
        return result
    return replace(result, unlike_training=measure_unlike(bundle.domain, read, examples))
