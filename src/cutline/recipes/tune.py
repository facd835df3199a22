"""Choose beam size and length penalty of a trained model on val, and keep them in its bundle."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from cutline.captioner import Captioner
from cutline.errors import ConfigError, DataError
from cutline.evaluation.confidence import FEWEST_IMAGES
from cutline.evaluation.decoding_choice import DecodingChoice
from cutline.files import write_text
from cutline.progress import Progress, Silent
from cutline.recipes import run_folder as layout
from cutline.recipes.confidence import fit_on_val
from cutline.recipes.decoding_choice import TABLE, as_csv, choose_on_val, with_options
from cutline.recipes.evaluate import load_for_model
from cutline.recipes.extract import extract_features, feature_reader
from cutline.records import Dataset
from cutline.runtime.bundle import find_bundle
from cutline.runtime.released import refuse_released
from cutline.runtime.saving import update_bundle


def tune(
    model: str | Path,
    data: Dataset | str | Path,
    *,
    images: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> DecodingChoice:
    """Choose beam size and length penalty on the val images and write them into the bundle.

    Settings are compared on half of val; see :mod:`cutline.evaluation.decoding_choice`. Options of decoding
    that are named are kept in the bundle as they are; what they leave open is chosen. A confidence that the
    bundle carries is fitted anew when the setting changes, because it is that of other captions then. The
    bundle is replaced at the end, at once: whatever stops this leaves the old one.

    Args:
        model: A run folder or a bundle.
        data: A data set, or the file or folder to read one from; splits as for :func:`evaluate`.
        images: Folder of the images.
        overrides: ``{"data.KEY": value}``, over what the model was trained with, and ``{"decoding.KEY":
            value}``, to be kept.
        progress: Told about every stage.

    Returns:
        What was tried and chosen. It is also in ``decoding.csv`` of the run.

    Raises:
        BundleError: The model cannot be loaded, or comes with cutline.
        ConfigError: The model draws its captions at random, or an option is unknown or out of range, or asks
            for a consensus that the model cannot have.
        DataError: The data set cannot be used or has too few val images; SplitError when val is empty or
            holds images that the run was trained on.
        RunError: A training is working in the run.
    """
    folder, run = find_bundle(Path(model)), layout.run_of(Path(model))
    refuse_released(folder)
    is_run = (run / layout.CONFIG).exists()
    with ExitStack() as until_done:
        if is_run:
            until_done.enter_context(layout.claimed(run))
        captioner = Captioner.load(model)
        had_confidence, session = captioner.bundle.confidence, captioner.session
        named = _of_decoding(overrides or {})
        bundle = with_options(captioner.bundle, named)
        if bundle.decoding.temperature:
            raise ConfigError(f"{model}: draws captions, with a temperature; there is no beam to choose")
        dataset = load_for_model(model, data, images, overrides or {}, bundle, "val", progress)
        dataset = replace(dataset, examples=dataset.of_split("val"))
        store, dataset = extract_features(session.encoder, dataset, progress)
        read = feature_reader(until_done.enter_context(store))
        val = dataset.of_split("val")
        if len(val) < FEWEST_IMAGES:
            raise DataError(
                f"{dataset.source}: choosing takes {FEWEST_IMAGES} val images, found {len(val):,}; add some"
            )
        choice, tuned = choose_on_val(bundle, session, dataset, read, progress, frozenset(named))
        if had_confidence is not None and tuned.confidence is None:
            training = had_confidence.training
            fitted = fit_on_val(tuned, session, dataset, read, progress, training)
            tuned = replace(tuned, confidence=fitted)
        if is_run:
            write_text(run / TABLE, as_csv(choice))
        update_bundle(tuned, folder)
    return choice


def _of_decoding(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of decoding among those that are named, by their names alone."""
    group = "decoding."
    return {
        key.removeprefix(group): value
        for key, value in overrides.items()
        if key.startswith(group) and value is not None
    }
