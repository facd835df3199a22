"""Show a run as one HTML page, made from what its folder holds."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cutline.config import RunConfig, read_toml, validate
from cutline.errors import BundleError, ConfigError, DataError, RunError
from cutline.files import write_text
from cutline.progress import Progress, Silent
from cutline.recipes import run_folder as layout
from cutline.recipes.results import EVALUATION, load_evaluation
from cutline.records import EpochRecord, EvaluationResult, Problem
from cutline.report import render_report
from cutline.runtime.bundle import MANIFEST, read_manifest
from cutline.runtime.released import released_path
from cutline.training.history import load_history

REPORT: Final = "report.html"
_UNSEEN_FIRST: Final = ("test", "val", "all", "train")


def evaluation_folder(model: str | Path, split: str) -> Path:
    """Return where the evaluation of a model goes by default: into its run, or here for a bundle alone.

    Example:
        >>> evaluation_folder("a-bundle-alone", "test").as_posix()
        'evaluation-test'
    """
    run = layout.run_of(Path(model))
    return (run if (run / layout.CONFIG).exists() else Path()) / f"evaluation-{split}"


@dataclass(frozen=True)
class RunReport:
    """The page about a run; ``unread`` are evaluations that it lacks because they cannot be read."""

    path: Path
    unread: tuple[Path, ...] = ()


def write_report(
    run: str | Path,
    *,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> Path:
    """Write ``report.html`` into a run folder: what every evaluation found, its images, curves, settings.

    Args:
        run: The run folder. Its ``history.csv`` and ``evaluation-*/evaluation.json`` are read; either may be
            missing. An existing report is replaced.
        progress: Warned about evaluations that cannot be read, told about the pictures.

    Returns:
        Path of the report.

    Raises:
        RunError: There is no such folder, it is a bundle, or nothing was trained or evaluated in it.
    """
    return report_run(run, progress=progress).path


def report_run(run: str | Path, *, progress: Progress) -> RunReport:
    """Do as :func:`write_report`, and return what the page lacks as well."""
    folder = Path(run)
    _require_run(folder)
    history = _history(folder)
    evaluations, unread = _evaluations(folder, progress)
    if not history and not evaluations:
        found = "no evaluation can be read" if unread else "nothing evaluated"
        raise RunError(f"{folder}: nothing to report yet: no epoch was finished and {found}")
    page = render_report(
        title=folder.resolve().name,
        history=history,
        evaluations=evaluations,
        summary=summarise(folder),
        problems=_problems(folder / layout.PROBLEMS),
        progress=progress,
    )
    write_text(folder / REPORT, page)
    return RunReport(folder / REPORT, unread)


def write_evaluation_report(
    folder: Path,
    result: EvaluationResult,
    *,
    model: Path,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> Path:
    """Write ``report.html`` about one evaluation beside its other files.

    Args:
        folder: The evaluation's folder.
        result: What was found.
        model: The run folder or bundle that was evaluated; curves are shown when it is a run, or in
            one.
        progress: Told about the pictures.

    Returns:
        Path of the report.
    """
    model = layout.run_of(model)
    page = render_report(
        title=f"{model.resolve().name}: {result.split} split",
        history=_history(model),
        evaluations=[result],
        summary={**summarise(model), "evaluated data": f"fingerprint {result.data_fingerprint}"},
        progress=progress,
    )
    write_text(folder / REPORT, page)
    return folder / REPORT


def summarise(model: Path) -> dict[str, str]:
    """List what a run or bundle was made from and with, name → value; unknown things are left out."""
    manifest = _manifest(model) or _manifest(model / layout.BUNDLE)
    data = _read_json(model / layout.DATA) or manifest.get("data", {})
    environment = _read_json(model / "environment.json") or manifest
    return {**_data_lines(data), **_option_lines(model, manifest), **_version_lines(environment)}


def _require_run(folder: Path) -> None:
    if not folder.is_dir():
        raise RunError(f"{folder}: no such run folder; pass the folder of cutline train --run")
    if (folder / MANIFEST).exists():
        # One more file would make the bundle incomplete in the eyes of its own manifest.
        raise RunError(f"{folder}: a bundle, not a run; pass the run folder around it")


def _history(folder: Path) -> tuple[EpochRecord, ...]:
    path = folder / layout.HISTORY
    return load_history(path) if path.exists() else ()


def _evaluations(folder: Path, progress: Progress) -> tuple[list[EvaluationResult], tuple[Path, ...]]:
    results, unread = [], []
    for path in sorted(folder.glob(f"evaluation-*/{EVALUATION}")):
        try:
            results.append(load_evaluation(path))
        except DataError as error:
            progress.warn(str(error))
            unread.append(path)
    return sorted(results, key=_order), tuple(unread)


def _order(result: EvaluationResult) -> int:
    return _UNSEEN_FIRST.index(result.split) if result.split in _UNSEEN_FIRST else len(_UNSEEN_FIRST)


def _problems(path: Path) -> list[Problem]:
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [Problem(row["kind"], row["where"], row["message"]) for row in csv.DictReader(stream)]
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise RunError(f"{path}: not a list of problems ({error}); restore or remove the file") from None


def _manifest(place: Path) -> dict[str, Any]:
    if not place.exists():
        place = released_path(str(place)) or place
    if not place.is_file():
        return _read_json(place / MANIFEST)
    try:
        return read_manifest(place)
    except BundleError:
        return {}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _data_lines(data: Mapping[str, Any]) -> dict[str, str]:
    if not data:
        return {}
    splits = ", ".join(f"{name} {count:,}" for name, count in data.get("images_per_split", {}).items())
    counts = f"{data.get('images', 0):,} images ({splits}), {data.get('captions', 0):,} captions"
    return {
        "data": f"{data.get('source')} ({data.get('format')}): {counts}",
        "data fingerprint": str(data.get("fingerprint")),
    }


def _option_lines(model: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return all options of a run, or those that a bundle alone still knows."""
    try:
        options = validate(RunConfig, read_toml(model / layout.CONFIG)).model_dump()
    except ConfigError:
        options = {key: manifest[key] for key in ("encoder", "decoder", "decoding") if key in manifest}
    lines = {}
    for group, values in options.items():
        for key, value in values.items() if isinstance(values, Mapping) else ():
            if isinstance(value, str | int | float | bool):
                lines[f"{group}.{key}"] = _without_folder(str(value))
    return {**({"preset": str(options["preset"])} if "preset" in options else {}), **lines}


def _version_lines(environment: Mapping[str, Any]) -> dict[str, str]:
    if "cutline" not in environment:
        return {}
    packages = {"python": environment.get("python"), **environment.get("packages", {})}
    others = ", ".join(f"{name} {version}" for name, version in packages.items())
    return {"versions": f"cutline {environment['cutline']}, {others}"}


def _without_folder(value: str) -> str:
    """Name a file without its folder: where weights lie on one machine is nobody's business elsewhere."""
    return Path(value).name if Path(value).is_absolute() else value
