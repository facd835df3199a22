"""What a run folder holds, and the rules for making, resuming and never overwriting one."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import platform
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from cutline import __version__
from cutline.config import RunConfig, differences, read_toml, to_toml, validate
from cutline.data.splits import save_splits
from cutline.data.store_folder import locked
from cutline.errors import ConfigError, FeatureStoreError, RunError
from cutline.files import remove_partial, replacing, write_json, write_text
from cutline.records import Dataset, Problem
from cutline.runtime.bundle_files import MANIFEST
from cutline.text import Vocabulary

CONFIG: Final = "config.toml"
DATA: Final = "data.json"
SPLIT: Final = "split.csv"
PROBLEMS: Final = "problems.csv"
HISTORY: Final = "history.csv"
CHECKPOINT: Final = "checkpoint.npz"
BUNDLE: Final = "bundle"
ENCODER: Final = "encoder.npz"
ENCODER_GRAPH: Final = "encoder.onnx"
FINGERPRINT: Final = "encoder.json"
START: Final = "start.json"
LOCK: Final = ".lock"
_PACKAGES: Final = ("keras", "tensorflow-cpu", "tensorflow", "numpy", "pillow")


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run folder while the block runs.

    The folder is made when it is absent, and then removed again when nothing was written to it: what is
    refused leaves nothing behind.

    Raises:
        RunError: Another process works in this run, or the folder cannot be made.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be a run folder ({error.strerror}); choose another --run") from None
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder))
        except FeatureStoreError:
            raise RunError(f"{folder}: another cutline train is working in this run") from None
        remove_partial(folder)
        try:
            yield
        finally:
            if made and {path.name for path in folder.iterdir()} <= {LOCK}:
                shutil.rmtree(folder)


def choose_folder(run: str | Path | None, data: Dataset | str | Path, preset: str) -> Path:
    """Return the folder of a new run: the one asked for, else the next free ``runs/DATA-PRESET[-N]``."""
    if run is not None:
        return Path(run)
    source = data.source if isinstance(data, Dataset) else str(data)
    stem = re.sub(r"[^\w.-]+", "-", Path(source).resolve().stem) or "data"
    base = Path("runs") / f"{stem}-{preset}"
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder


def choose_resumed(run: str | Path | None) -> Path:
    """Return the folder to resume; RunError when none was named."""
    if run is None:
        raise RunError("--resume needs to know which run: name its folder with --run DIR")
    return Path(run)


def run_of(model: Path) -> Path:
    """Return the run folder of a model: the run around its bundle, or what was given.

    Example:
        >>> run_of(Path("a-bundle-alone")).as_posix()
        'a-bundle-alone'
    """
    bundle = model.resolve()
    if bundle.name != BUNDLE or not (bundle.parent / CONFIG).exists():
        return model
    # The name that people gave reads better, unless it is a link to a bundle elsewhere.
    return model.parent if model.parent.resolve() == bundle.parent else bundle.parent


def is_training_begun(folder: str | Path = "runs") -> bool:
    """Tell whether ``folder`` holds a run that has not finished an epoch, so that nothing captions there yet.

    Example:
        >>> is_training_begun("a-folder-that-is-not-there")
        False
    """
    begun = Path(folder).glob(f"*/{CONFIG}")
    return any(not (path.parent / BUNDLE / MANIFEST).exists() for path in begun)


def require_free(folder: Path) -> None:
    """Raise RunError when the folder exists and is not empty: a run never overwrites anything."""
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {LOCK}):
        raise RunError(
            f"{folder}: the run folder exists already; choose another --run, or go on with --resume"
        )


def require_run(folder: Path) -> RunConfig:
    """Return the configuration of the run in ``folder``; raise RunError when there is no run."""
    if not (folder / CONFIG).exists():
        advice = "leave --resume out to start one"
        if folder.exists():
            advice += "; should that be refused, remove the folder: training never began in it"
        raise RunError(f"{folder}: no run to resume here (no {CONFIG}); {advice}")
    try:
        return validate(RunConfig, read_toml(folder / CONFIG))
    except ConfigError as error:
        raise RunError(f"{folder / CONFIG}: {error}; restore the file or start a new run") from None


def require_same(folder: Path, before: RunConfig, after: RunConfig) -> None:
    """Raise RunError when resuming would change the configuration of a run."""
    changed = differences(before, after)
    if changed:
        raise RunError(
            f"{folder}: --resume cannot change the run: {'; '.join(changed)}; "
            "resume without these options, or start a new run (stored features are reused)"
        )


def require_same_data(folder: Path, dataset: Dataset) -> None:
    """Raise RunError when the data set is not the one the run was started with, row for row."""
    saved = saved_facts(folder / DATA)
    if saved.get("fingerprint") != dataset.fingerprint():
        raise RunError(
            f"{folder}: --resume with other data: the run has {saved.get('images')} images and "
            f"{saved.get('captions')} captions (fingerprint {saved.get('fingerprint')}), now there are "
            f"{len(dataset)} and {dataset.count_captions()} ({dataset.fingerprint()}); start a new run"
        )
    if saved.get("order") != _order(dataset):
        raise RunError(
            f"{folder}: --resume with the images in another order, which would change the batches; "
            "bring the rows back into their order, or start a new run"
        )


def require_same_encoder(folder: Path, fingerprint: Mapping[str, Any]) -> None:
    """Raise RunError when the encoder is not the one the run was started with."""
    saved = saved_facts(folder / FINGERPRINT)
    changed = sorted(key for key in fingerprint if fingerprint[key] != saved.get(key))
    if changed:
        raise RunError(
            f"{folder}: --resume with another encoder (differs in {', '.join(changed)}); "
            "put its file back as it was, or start a new run"
        )


def saved_facts(path: Path) -> dict[str, Any]:
    """Read a JSON object of a run; RunError when it cannot be read."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}); start a new run") from None
    if not isinstance(saved, dict):
        raise RunError(f"{path}: must hold an object, found {type(saved).__name__}; start a new run")
    return saved


def _order(dataset: Dataset) -> str:
    """Hash the order of images and captions, on which the batches depend."""
    lines = "\x1e".join("\x1f".join((e.image_id, *e.captions)) for e in dataset.examples)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def write_run(
    folder: Path,
    config: RunConfig,
    dataset: Dataset,
    vocabulary: Vocabulary,
    encoder_fingerprint: Mapping[str, Any],
) -> None:
    """Write what defines a run: configuration, versions, data, split, vocabulary, encoder, problems."""
    write_json(folder / "environment.json", environment())
    write_json(folder / DATA, {**data_facts(dataset), "order": _order(dataset)})
    write_json(folder / FINGERPRINT, dict(encoder_fingerprint))
    save_splits(dataset, folder / SPLIT)
    vocabulary.save(folder / "vocabulary.json")
    write_problems(folder / PROBLEMS, dataset.problems)
    # Last, because a folder with a configuration is a run.
    write_text(folder / CONFIG, to_toml(config))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file atomically."""
    with replacing(path, "wb") as stream:
        stream.write(content)


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write one CSV row per problem."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("kind", "where", "message"))
    writer.writerows((problem.kind, problem.where, problem.message) for problem in problems)
    write_text(path, text.getvalue())


def environment() -> dict[str, Any]:
    """Return the versions that a run depends on."""
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cutline": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": packages,
    }


def data_facts(dataset: Dataset) -> dict[str, Any]:
    """Return counts and fingerprint of a data set, without its place on this machine."""
    splits = {split: len(dataset.of_split(split)) for split in ("train", "val", "test")}
    return {
        "source": Path(dataset.source).name,
        "format": dataset.format,
        "images": len(dataset),
        "captions": dataset.count_captions(),
        "images_per_split": splits,
        "fingerprint": dataset.fingerprint(),
    }
