"""Caption a split with a trained model, score the captions, save everything, show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cutline.captioner import Captioner, require_voters, with_its_voters
from cutline.config import DataOptions, DecodingOptions, TextOptions, validate
from cutline.data.readers import read_dataset
from cutline.data.splits import load_splits, require_split
from cutline.ensembles import encoding_sessions
from cutline.errors import ConfigError, DataError, RunError, SplitError
from cutline.progress import Progress, Silent
from cutline.recipes import run_folder as layout
from cutline.recipes.extract import extract_features
from cutline.recipes.measure import ModelOptions, Subject, measure
from cutline.recipes.prepare import load_dataset, split_dataset
from cutline.recipes.report import evaluation_folder, write_evaluation_report
from cutline.recipes.results import EVALUATION, save_evaluation
from cutline.records import SPLITS, Dataset, EvaluationResult, Example
from cutline.runtime import Bundle
from cutline.runtime.sessions import ImageEncoder

if TYPE_CHECKING:
    from cutline.recipes.learning_curve import LearningPlan

_OF_ONE_TABLE: Final = ("format", "image_column", "caption_column", "group_column")


def evaluate(
    model: str | Path,
    data: Dataset | str | Path,
    *,
    images: str | Path | None = None,
    split: str = "test",
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    learning_curve: bool = False,
    together_with: Sequence[str | Path] = (),
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> EvaluationResult:
    """Caption one split of a data set and score the captions against their references.

    Splits of the data set itself are honoured; for images without one, the model's run says which images it
    was trained on, and all others are test images. A bundle that was taken out of its run does not know:
    the split is then drawn as for training, with a warning.

    Args:
        model: A run folder or a bundle.
        data: A data set, or the file or folder to read one from.
        images: Folder of the images.
        split: ``"train"``, ``"val"``, ``"test"``, or ``"all"`` for every image.
        out: Folder for ``evaluation.json``, ``captions.json`` and ``report.html``; when None,
            ``evaluation-SPLIT`` in the run.
        overrides: ``{"data.KEY": value}`` and ``{"decoding.KEY": value}``, over what the model has. The
            columns it was trained with are read where the table has them, else detected; so is the format
            of a table of the same name.
        learning_curve: Train on a quarter and on half of the run's training images as well, and say what
            more captions would buy. The result is saved, and its page written, before that begins.
        together_with: Further models over the same vocabulary: what is evaluated are the captions that all
            write together, with the options of ``model``. ``out`` must then be named.
        progress: Told about every stage.

    Returns:
        Scores of the generated captions, start and end markers stripped from both sides, with intervals;
        those of people, of the most common and a random training caption and of the most similar training
        images on the same images; whether the model looks at the picture; and the rest of
        :class:`~cutline.records.EvaluationResult`. What cannot be measured is left out, and ``notes`` say
        why.

    Raises:
        BundleError: The model cannot be loaded, or models have different vocabularies.
        ConfigError: An override is unknown or out of range; several models without ``out``, or with a
            learning curve.
        DataError: The data set cannot be used; SplitError when the split is empty, or when images of
            ``"val"`` or ``"test"`` are images that a run was trained on.
        RunError: ``out`` is a folder that holds something else, or there is nothing for a learning curve.
    """
    if split not in (*SPLITS, "all"):
        raise DataError(f"--split {split!r}: allowed are {', '.join(SPLITS)} and all")
    if together_with:
        _check_ensemble(out, learning_curve)
    folder = _output_folder(Path(model), split, Path(out) if out is not None else None)
    captioner = Captioner.load([model, *together_with])
    options = _options(captioner.bundle, overrides or {})
    dataset = load_for_model(model, data, images, overrides or {}, captioner.bundle, split, progress)
    known = _known_splits(Path(model))
    for other in together_with:
        _refuse_trained_on(dataset, split, _known_splits(Path(other)) or {})
    plan = _plan(Path(model), dataset, progress) if learning_curve else None
    chosen = replace(dataset, examples=_chosen(dataset, split))
    encoders = [one.encoder for one in encoding_sessions(captioner.session)]
    training, notes = _training_images(dataset, known, captioner.bundle)
    if captioner.bundle.decoding.consensus and not captioner.bundle.has_voters:
        notes = (
            *notes,
            "no consensus: the model carries no captions of training images, nor what was learned from them",
        )
    training = _encoded(encoders[0], replace(dataset, examples=training), progress)
    with ExitStack() as open_stores:
        stores = []
        for encoder in encoders:
            store, chosen = extract_features(encoder, chosen, progress)
            stores.append(open_stores.enter_context(store))
        if not chosen.examples:
            raise DataError(f"{chosen.source}: none of the images of split {split!r} can be read")
        _warn_of_groups(chosen, overrides or {}, progress)
        result = measure(Subject(captioner, options, split, chosen, training, stores, notes), progress)
    numeric_ids = dataset.format in ("coco", "karpathy")
    _keep(folder, result, Path(model), numeric_ids, progress)
    if plan is not None:
        from cutline.recipes.learning_curve import measure_learning_curve

        curve = measure_learning_curve(plan, chosen.examples, result, options.decoding, progress)
        result = replace(result, learning_curve=curve)
        _keep(folder, result, Path(model), numeric_ids, progress)
    return result


def load_for_model(
    model: str | Path,
    data: Dataset | str | Path,
    images: str | Path | None,
    overrides: Mapping[str, Any],
    bundle: Bundle,
    split: str,
    progress: Progress,
) -> Dataset:
    """Read a data set as a model was trained on it, with the splits that its run knows.

    Args:
        model: The run or bundle.
        data: As for :func:`evaluate`, and so are ``images`` and ``overrides``.
        images: Folder of the images.
        overrides: Over the model's options.
        bundle: The model's.
        split: The one that will be used; its images must not be such as the run was trained on.
        progress: Told about every image file.

    Raises:
        ConfigError: An override is unknown or out of range.
        DataError: The data set cannot be used; SplitError when its splits cannot.
    """
    options = _options(bundle, overrides).data
    if not isinstance(data, Dataset):
        data = _read(Path(data), images, options, overrides, bundle)
    dataset = load_dataset(data, images, options, progress)
    return _with_splits(dataset, _known_splits(Path(model)), options, split, progress)


def _plan(model: Path, dataset: Dataset, progress: Progress) -> LearningPlan:
    # Imported when it is needed: a learning curve trains, and so loads TensorFlow.
    from cutline.recipes.learning_curve import plan_learning_curve

    return plan_learning_curve(model, dataset, progress)


def _check_ensemble(out: str | Path | None, learning_curve: bool) -> None:
    if out is None:
        raise ConfigError("an evaluation of several models belongs to none of them; name its folder (--out)")
    if learning_curve:
        raise ConfigError("a learning curve is that of one model; leave out the others, or the curve")


def _keep(folder: Path, result: EvaluationResult, model: Path, numeric_ids: bool, progress: Progress) -> None:
    save_evaluation(folder, result, numeric_ids)
    write_evaluation_report(folder, result, model=model, progress=progress)


def _options(bundle: Bundle, overrides: Mapping[str, Any]) -> ModelOptions:
    values: dict[str, dict[str, Any]] = {
        "data": dict(bundle.details.get("data_options", {})),
        "text": dict(bundle.details.get("text_options", {})),
        "decoding": bundle.decoding.model_dump(),
    }
    for key, value in overrides.items():
        group, _, name = key.partition(".")
        if group not in values:
            raise ConfigError(f"unknown option {key}; evaluating knows those of {', '.join(values)}")
        if value is not None:
            values[group][name] = value
    decoding = validate(DecodingOptions, values["decoding"])
    if overrides.get("decoding.consensus") or overrides.get("decoding.consensus_by"):
        require_voters(bundle, decoding)
    decoding = with_its_voters(bundle, decoding)
    return ModelOptions(
        validate(DataOptions, values["data"]), validate(TextOptions, values["text"]), decoding
    )


def _read(
    path: Path,
    images: str | Path | None,
    options: DataOptions,
    overrides: Mapping[str, Any],
    bundle: Bundle,
) -> Dataset:
    """Read a table by the names the model was trained with, or find them out when it has others."""
    forgotten = {name: None for name in _OF_ONE_TABLE if overrides.get(f"data.{name}") is None}
    detected = options.model_copy(update=forgotten)
    if path.name != bundle.details.get("data", {}).get("source"):
        # A reader may take a file of another format for its own and find nonsense in it.
        options = options.model_copy(update={"format": detected.format})
    try:
        return read_dataset(path, images, options=options)
    except SplitError:
        raise
    except DataError as error:
        try:
            return read_dataset(path, images, options=detected)
        except SplitError:
            raise
        except DataError:
            raise error from None


def _output_folder(model: Path, split: str, out: Path | None) -> Path:
    out = evaluation_folder(model, split) if out is None else out
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / EVALUATION).exists())):
        raise RunError(f"{out}: exists and is not an evaluation; choose another folder with --out")
    return out


def _known_splits(model: Path) -> Mapping[str, str] | None:
    """Return digest → split as the model was trained, or None for a bundle out of its run."""
    # The bundle inside a run knows as well as the run itself what was trained on.
    path = layout.run_of(model) / layout.SPLIT
    return load_splits(path, key="digest") if path.exists() else None


def _training_images(
    dataset: Dataset, known: Mapping[str, str] | None, bundle: Bundle
) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Return the images that the model was trained on, or none and why their captions are not at hand."""
    if known is None:
        is_that_of_training = bundle.details.get("data", {}).get("fingerprint") == dataset.fingerprint()
        training = dataset.of_split("train") if is_that_of_training else ()
    else:
        training = tuple(example for example in dataset.examples if known.get(example.digest) == "train")
    if training:
        # Neighbours that are equally near, and draws, then do not depend on the order of the table.
        return tuple(sorted(training, key=lambda example: example.digest)), ()
    name = Path(dataset.source).name
    why = f"{name} holds none of the images that the model was trained on"
    if known is None:
        why = f"{name} is not the table that the model was trained on, as far as a bundle alone can tell"
    return (), (f"no random training caption and no neighbours: {why}",)


def _encoded(encoder: ImageEncoder, dataset: Dataset, progress: Progress) -> tuple[Example, ...]:
    """Encode what is not in the store yet, and return the examples that could be."""
    if not dataset.examples:
        return ()
    store, readable = extract_features(encoder, dataset, progress)
    store.close()
    return readable.examples


def _with_splits(
    dataset: Dataset, known: Mapping[str, str] | None, options: DataOptions, split: str, progress: Progress
) -> Dataset:
    if known is None and split != "all" and not any(example.split for example in dataset.examples):
        progress.warn(
            "neither the table nor the model says which images it was trained on, so the split is drawn as "
            "for training: right for the table it was trained on; for other images use --split all"
        )
    dataset = split_dataset(dataset, options, () if split == "all" else (split,), known)
    _refuse_trained_on(dataset, split, known or {})
    return dataset


def _refuse_trained_on(dataset: Dataset, split: str, known: Mapping[str, str]) -> None:
    if split not in ("val", "test"):
        return
    offenders = [e.image_id for e in dataset.of_split(split) if known.get(e.digest) == "train"]
    if offenders:
        shown = ", ".join(offenders[:5]) + (f" and {len(offenders) - 5:,} more" if len(offenders) > 5 else "")
        raise SplitError(
            f"{dataset.source}: {len(offenders):,} images of split {split!r} are images this run was trained "
            f"on: {shown}; evaluate on others, or say so with --split all"
        )


def _warn_of_groups(dataset: Dataset, overrides: Mapping[str, Any], progress: Progress) -> None:
    """Say why a column that was asked for makes no parts, which would else just not be there."""
    wanted = overrides.get("data.group_column")
    if wanted is None:
        return
    groups = {example.group for example in dataset.examples}
    images = f"{len(dataset.examples):,} images evaluated"
    if groups == {""}:
        progress.warn(f"--group-column {wanted}: says nothing about the {images}; no group is scored apart")
    elif len(groups) == 1:
        progress.warn(
            f"--group-column {wanted}: says {groups.pop()!r} about all {images}; no group is scored apart"
        )
    elif 2 * len(groups - {""}) > len(dataset.examples):
        progress.warn(
            f"--group-column {wanted}: most groups are of one image ({len(groups):,} groups, {images}); "
            "none is scored apart"
        )


def _chosen(dataset: Dataset, split: str) -> tuple[Example, ...]:
    return dataset.examples if split == "all" else require_split(dataset, split)
