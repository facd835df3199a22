"""Train a captioner: from a table of photos and captions to a run folder that captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cutline.config import RunConfig
from cutline.models.decoders import require_attention, require_features
from cutline.models.encoders import Encoder, build_encoder
from cutline.models.fine_tuning import choose_stages
from cutline.progress import Progress, Silent
from cutline.recipes import run_folder as layout
from cutline.recipes.asked import Asked
from cutline.recipes.corridor import Corridor
from cutline.recipes.epoch_keeper import keep_encoder
from cutline.recipes.extract import extract_features
from cutline.recipes.phases import train_phases
from cutline.recipes.prepare import (
    load_dataset,
    long_captions,
    make_vocabulary,
    require_readable,
    split_dataset,
)
from cutline.recipes.run_options import new_options, resumed_options
from cutline.recipes.starting import (
    StartModel,
    keep_start,
    load_start,
    reload_start,
    warn_of_known_images,
)
from cutline.records import Dataset, Run
from cutline.text import Vocabulary
from cutline.training.determinism import make_deterministic
from cutline.training.loop import phases_of

_NEEDED = ("train", "val")


def train(
    data: Dataset | str | Path,
    preset: str | None = None,
    run: str | Path | None = None,
    *,
    start: str | Path | None = None,
    images: str | Path | None = None,
    config: str | Path | None = None,
    assignments: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    resume: bool = False,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> Run:
    """Train a captioner on images and their captions.

    Args:
        data: A data set, or the file or folder to read one from.
        preset: Named options to start from. When None that of the decoder asked for, or of the model to start
            from; ``"attend"`` with ``encoder.features`` asked to be a grid; ``"pooled"`` with another encoder
            than the default one or with ``training.epochs`` asked for; else ``"fine_tuned"``, which trains
            the encoder, too. A resumed run keeps its own.
        run: Folder of the run; the next free one under ``runs/`` when None.
        start: Run folder or bundle whose encoder and decoder training starts from. Its vocabulary is extended
            by the frequent tokens of the train captions; its widths, encoder and tokenisation are kept.
        images: Folder of the images, when they do not lie beside the table.
        config: TOML file of options.
        assignments: ``"group.key=value"`` items, over the file.
        overrides: ``{"group.key": value}``, over everything; None values are skipped.
        resume: Go on with the run in ``run`` after its last whole epoch. The result is the same as that of a
            run that was never interrupted.
        progress: Told about every stage.

    Returns:
        The run. Its folder is a MODEL for captioning and evaluating. Ctrl-C while epochs run does not raise:
        the run comes back with ``interrupted`` set, kept up to its last whole epoch.

    Raises:
        BundleError: There is no model to start from, or it is damaged.
        ConfigError: Options are unknown or out of range, or are not those of the model to start from.
        ExportError: The model to start from has graphs alone, from which its weights cannot be read.
        DataError: The data set cannot be used; SplitError when its splits cannot.
        WeightsError: The encoder's weights cannot be had.
        RunError: The folder is in the way, or ``resume`` would change the run.

    Example (with a table at hand)::

        run = cutline.train("captions.csv", images="photos/", preset="show_tell", run="runs/first")
        print(run.folder, run.history[-1].cider_d)
    """
    overrides = {**(overrides or {}), **({} if start is None else {"start.model": str(start)})}
    asked = Asked(preset, Path(config) if config is not None else None, assignments, overrides)
    if resume:
        folder = layout.choose_resumed(run)
        options = resumed_options(folder, asked)
        model = reload_start(folder, options)
    else:
        options = new_options(asked)
        model = load_start(options)
        require_features(options.decoder.name, options.encoder.features)
        _require_attention(options)
        folder = layout.choose_folder(run, data, options.preset)
        layout.require_free(folder)
    with layout.claimed(folder):
        if not resume:
            # Once more, now that nobody else can write to it.
            layout.require_free(folder)
        dataset = load_dataset(data, images, options.data, progress)
        return _train_on(dataset, folder, options, model, resume, progress)


def _require_attention(options: RunConfig) -> None:
    for option, value in (
        ("decoder.sentinel", options.decoder.sentinel),
        ("training.attention_penalty", options.training.attention_penalty),
    ):
        if value:
            require_attention(options.decoder.name, option)


def _train_on(
    dataset: Dataset,
    folder: Path,
    options: RunConfig,
    start: StartModel | None,
    resume: bool,
    progress: Progress,
) -> Run:
    make_deterministic(options.training.seed)
    dataset = split_dataset(dataset, options.data, _NEEDED)
    vocabulary = (start.vocabulary if start else make_vocabulary)(dataset, options.text)
    dataset = replace(
        dataset, problems=(*dataset.problems, *long_captions(dataset, vocabulary, options.text.max_length))
    )
    _tell_data(dataset, vocabulary, progress)
    if not resume:
        _tell_plan(options, progress)
    if start:
        added = len(vocabulary) - len(start.bundle.vocabulary)
        warn_of_known_images(options.start.model, dataset, progress)
        progress.note(f"training starts from {options.start.model}; tokens new to it: {added:,}")
    encoder = start.encoder(options.encoder) if start else build_encoder(options.encoder, progress)
    if options.fine_tune.epochs and isinstance(encoder, Encoder):
        # Said now, not after the hours of the phase before it.
        choose_stages(encoder, options.fine_tune.stages, options.fine_tune.batch_norm)
    if resume:
        layout.require_same_encoder(folder, encoder.fingerprint())
    store, readable = extract_features(encoder, dataset, progress)
    with store:
        require_readable(dataset, readable, _NEEDED)
        if resume:
            layout.require_same_data(folder, readable)
        keep_encoder(folder, encoder, progress)
        if not resume:
            keep_start(folder, start)
            layout.write_run(folder, options, readable, vocabulary, encoder.fingerprint())
            if readable.problems:
                number = len(readable.problems)
                count = f"{number:,} {'row or image' if number == 1 else 'rows or images'} left out or mended"
                progress.warn(f"{count}; see {folder / layout.PROBLEMS}")
        corridor = Corridor(folder, options, readable, vocabulary, encoder, store, start=start)
        return train_phases(corridor, resume, progress)


def _tell_data(dataset: Dataset, vocabulary: Vocabulary, progress: Progress) -> None:
    counts = ", ".join(f"{split} {len(dataset.of_split(split)):,}" for split in ("train", "val", "test"))
    val = [caption for example in dataset.of_split("val") for caption in example.captions]
    progress.note(
        f"{len(dataset):,} images ({counts}), {dataset.count_captions():,} captions; vocabulary "
        f"{len(vocabulary):,} ({vocabulary.tokenizer.level} level, {vocabulary.coverage(val):.1%} of val)"
    )


_PLANNED = {
    "cross_entropy": "on stored features",
    "fine_tune": "that train the encoder, too",
    "self_critical": "of self-critical training",
}


def _tell_plan(options: RunConfig, progress: Progress) -> None:
    """Say which preset it is, which may have been chosen by other options, and what is to come."""
    planned = [f"{phase.epochs} {_PLANNED[phase.objective]}" for phase in phases_of(options)]
    progress.note(f"preset {options.preset}; epochs: {', then '.join(planned)}")
