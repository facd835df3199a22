"""Look a data set over before training on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cutline.config import resolve
from cutline.data.checks import CheckReport, check_dataset
from cutline.data.identity import identify
from cutline.data.readers import read_dataset
from cutline.data.splits import assign_splits
from cutline.progress import Progress, Silent
from cutline.records import Dataset


def check(
    data: Dataset | str | Path,
    *,
    images: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> CheckReport:
    """Look a data set over: read it, find its image files, split it as training would, and count.

    Splits may be empty here, and images may be few: what training would refuse is reported, not refused.

    Args:
        data: A data set, or the file or folder to read one from.
        images: Folder of the images.
        overrides: ``{"data.KEY": value}`` and ``{"text.KEY": value}``; None values are skipped.
        progress: Told about every stage.

    Raises:
        ConfigError: An override is unknown or out of range.
        DataError: The data cannot be read at all; SplitError when images are in two splits, with all of
            them as its ``offenders``.
    """
    options = resolve("", {}, overrides=overrides)
    dataset = data if isinstance(data, Dataset) else read_dataset(data, images, options=options.data)
    if not all(example.digest for example in dataset.examples):
        dataset = identify(dataset, progress)
    return check_dataset(assign_splits(dataset, options.data, needed=()), progress, options.text)
