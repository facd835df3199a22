"""Caption a split with a trained model, score the captions, save everything, show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from cutline.captioner import Captioner
from cutline.config import DataOptions, DecodingOptions, TextOptions, TrainingOptions, validate
from cutline.data.batches import caption_table, plan_batches, teacher_forcing_batches
from cutline.data.feature_store import FeatureStore
from cutline.data.readers import read_dataset
from cutline.data.splits import load_splits, require_split
from cutline.data.text_vectorization import vectorization_layer
from cutline.errors import ConfigError, DataError, RunError, SplitError
from cutline.evaluation import (
    Circumstances,
    Setting,
    caption_examples,
    compare_with_others,
    looking_test,
    make_scorer,
    most_common_caption,
    references_of,
    scoring_tokens,
    texts_of,
)
from cutline.evaluation.slices import slices
from cutline.metrics import measure_diversity
from cutline.models.sessions import KerasSession
from cutline.progress import Progress, Silent
from cutline.recipes import run_folder as layout
from cutline.recipes.extract import extract_features, feature_reader
from cutline.recipes.learning_curve import measure_learning_curve, plan_learning_curve
from cutline.recipes.prepare import load_dataset, split_dataset
from cutline.recipes.report import evaluation_folder, write_evaluation_report
from cutline.recipes.results import EVALUATION, save_evaluation
from cutline.records import SPLITS, Dataset, EvaluationResult, Example, Hypothesis
from cutline.runtime import Bundle
from cutline.training.trainer import Trainer

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
            more captions would buy. The result is saved before that begins.
        progress: Told about every stage.

    Returns:
        Scores of the generated captions, start and end markers stripped from both sides, and of the most
        common training caption on the same images.

    Raises:
        BundleError: The model cannot be loaded.
        ConfigError: An override is unknown or out of range.
        DataError: The data set cannot be used; SplitError when the split is empty, or when images of
            ``"val"`` or ``"test"`` are images that the run was trained on.
        RunError: ``out`` is a folder that holds something else, or there is nothing for a learning curve.
    """
    if split not in (*SPLITS, "all"):
        raise DataError(f"--split {split!r}: allowed are {', '.join(SPLITS)} and all")
    folder = _output_folder(Path(model), split, Path(out) if out is not None else None)
    captioner = Captioner.load(model)
    groups = _groups(captioner.bundle, overrides or {})
    if not isinstance(data, Dataset):
        data = _read(Path(data), images, groups.data, overrides or {}, captioner.bundle)
    dataset = load_dataset(data, images, groups.data, progress)
    dataset = _with_splits(dataset, Path(model), groups.data, split, progress)
    session = cast("KerasSession", captioner.session)
    plan = plan_learning_curve(Path(model), dataset, progress) if learning_curve else None
    chosen = replace(dataset, examples=_chosen(dataset, split))
    store, chosen = extract_features(session.encoder, chosen, progress)
    with store:
        result = _evaluate(captioner, chosen, store, groups, split, progress, train=dataset.of_split("train"))
    numeric_ids = dataset.format in ("coco", "karpathy")
    save_evaluation(folder, result, numeric_ids)
    if plan is not None:
        curve = measure_learning_curve(plan, chosen.examples, result, groups.decoding, progress)
        result = replace(result, learning_curve=curve)
        save_evaluation(folder, result, numeric_ids)
    write_evaluation_report(folder, result, model=Path(model))
    return result


@dataclass(frozen=True)
class _Groups:
    """The option groups that matter here, as the model was trained with, plus overrides."""

    data: DataOptions
    text: TextOptions
    decoding: DecodingOptions


def _groups(bundle: Bundle, overrides: Mapping[str, Any]) -> _Groups:
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
    return _Groups(
        validate(DataOptions, values["data"]),
        validate(TextOptions, values["text"]),
        validate(DecodingOptions, values["decoding"]),
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


def _with_splits(
    dataset: Dataset, model: Path, options: DataOptions, split: str, progress: Progress
) -> Dataset:
    # The bundle inside a run knows as well as the run itself what was trained on.
    run = model.resolve().parent if model.resolve().name == layout.BUNDLE else model
    known = load_splits(run / layout.SPLIT, key="digest") if (run / layout.SPLIT).exists() else None
    if known is None and split != "all" and not any(example.split for example in dataset.examples):
        progress.warn(
            "neither the table nor the model says which images it was trained on, so the split is drawn as "
            "for training: right for the table it was trained on; for other images use --split all"
        )
    dataset = split_dataset(dataset, options, () if split == "all" else (split,), known)
    if split in ("val", "test"):
        _refuse_trained_on(dataset, split, known or {})
    return dataset


def _refuse_trained_on(dataset: Dataset, split: str, known: Mapping[str, str]) -> None:
    offenders = [e.image_id for e in dataset.of_split(split) if known.get(e.digest) == "train"]
    if offenders:
        shown = ", ".join(offenders[:5]) + (f" and {len(offenders) - 5:,} more" if len(offenders) > 5 else "")
        raise SplitError(
            f"{dataset.source}: {len(offenders):,} images of split {split!r} are images this run was trained "
            f"on: {shown}; evaluate on others, or say so with --split all"
        )


def _chosen(dataset: Dataset, split: str) -> tuple[Example, ...]:
    return dataset.examples if split == "all" else require_split(dataset, split)


def _evaluate(
    captioner: Captioner,
    dataset: Dataset,
    store: FeatureStore,
    groups: _Groups,
    split: str,
    progress: Progress,
    *,
    train: tuple[Example, ...],
) -> EvaluationResult:
    examples, vocabulary = dataset.examples, captioner.vocabulary
    if not examples:
        raise DataError(f"{dataset.source}: none of the images of split {split!r} can be read")
    read = feature_reader(store)

    def hypotheses_of(some: Sequence[Example]) -> dict[str, Hypothesis]:
        return caption_examples(captioner.session, read, some, vocabulary, groups.decoding, progress)

    hypotheses = hypotheses_of(examples)
    texts = texts_of(hypotheses)
    tokens = scoring_tokens(vocabulary.tokenizer, (text for e in examples for text in e.captions))
    scorer = make_scorer(examples, vocabulary.tokenizer)
    common = captioner.bundle.details.get("most_common_caption") or most_common_caption(
        train or examples, vocabulary.tokenizer
    )
    facts = {"decoding": _describe(groups.decoding), "split": split, "data": dataset.fingerprint()}
    # Images nobody encoded yet are not worth minutes of work for a comparison.
    seen = [example for example in train if example.digest in store]
    setting = Setting(examples, seen, read, tokens, scorer, facts)
    training = [caption for example in train for caption in example.captions]
    diversity = measure_diversity(list(texts.values()), tokens.tokenise, training or None)
    circumstances = Circumstances(diversity, captioner.bundle.details.get("epoch", 0))
    looking = looking_test(
        examples, texts, lambda some: texts_of(hypotheses_of(some)), scorer, read, circumstances
    )
    loss, accuracy = _teacher_forced(captioner, dataset, store, groups)
    return EvaluationResult(
        split=split,
        scores=scorer.score(texts, intervals=True, facts=facts),
        baselines=compare_with_others(setting, texts, common, progress),
        diversity=diversity,
        looking=looking,
        slices=slices(examples, texts, scorer, vocabulary, training=training),
        loss=loss,
        word_accuracy=accuracy,
        captions=texts,
        references=references_of(examples),
        images={example.image_id: example.image for example in examples},
        model=captioner.bundle.folder,
        data_fingerprint=dataset.fingerprint(),
        image_scores=scorer.cider_d_per_image(texts),
        decoding=_describe(groups.decoding),
        problems=dataset.problems,
    )


def _teacher_forced(
    captioner: Captioner, dataset: Dataset, store: FeatureStore, groups: _Groups
) -> tuple[float, float]:
    """Return loss (nats per token) and word accuracy with the reference token as the next input."""
    length = groups.text.max_length
    table = caption_table(dataset.examples, store, captioner.vocabulary.tokenizer, length)
    layer = vectorization_layer(captioner.vocabulary, length)
    options = TrainingOptions()
    plan = plan_batches(table.lengths, options.batch_size, seed=None)
    decoder = cast("KerasSession", captioner.session).decoder
    return Trainer(decoder, options, 1).measure(teacher_forcing_batches(table, store, layer, plan))


def _describe(options: DecodingOptions) -> str:
    if options.beam_size == 1:
        return f"greedy, at most {options.max_length} tokens"
    penalty = f"length penalty {options.length_penalty:g}"
    return f"beam search, beam size {options.beam_size}, {penalty}, at most {options.max_length} tokens"
