"""Look a data set over before training on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from cutline.config import resolve
from cutline.data.checks import CheckReport, check_dataset
from cutline.data.checks.cleaning import Cleaned, changes_beside, clean, write_cleaned
from cutline.data.checks.report import with_findings
from cutline.data.checks.sentences import tokenizer_for
from cutline.data.loading import load
from cutline.data.splits import assign_splits
from cutline.errors import ConfigError, RunError
from cutline.files import begins_with_mark, write_text
from cutline.progress import Progress, Silent
from cutline.recipes.seeing import refuse_unknown, seeing, unlikely_captions
from cutline.records import Dataset
from cutline.report.check_page import MARK, render_check

_PAGES: Final = (".html", ".htm")


def check(
    data: Dataset | str | Path,
    *,
    images: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    encoder: str | None = None,
    model: str | Path | None = None,
    html: str | Path | None = None,
    fix: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> CheckReport:
    """Look a data set over: read it, find its image files, split it as training would, and examine all of it.

    What training would refuse is reported, not refused: empty splits, few images, images in two splits.

    Args:
        data: A data set, or the file or folder to read one from.
        images: Folder of the images.
        overrides: ``{"data.KEY": value}`` and ``{"text.KEY": value}``; None values are skipped.
        encoder: Name of an encoder whose features are to be used as well: for near-duplicates that pixels do
            not show, and for captions unlike those of similar images. Images it has not seen yet are
            encoded, which takes longer than everything else; so this is done when asked for only.
        model: A run folder or a bundle. Captions that it finds less likely for their own image than for most
            others are listed, of images that its run was not trained on; of the val and test images of this
            table where the run cannot be asked. Its encoder is used as ``encoder`` would be.
        html: File to write the report to, with pictures. One that a check wrote is replaced.
        fix: CSV file to write a cleaned table to, with ``NAME.changes.csv`` beside it.
        overwrite: Let ``html`` and ``fix`` replace any file but ``data`` itself, or one in it.
        progress: Told about every stage.

    Raises:
        ConfigError: An override is unknown or out of range, both ``encoder`` and ``model`` are given,
            ``fix`` is no CSV or ``html`` no HTML; UnknownNameError when the encoder is unknown.
        WeightsError: The encoder's weights cannot be loaded.
        BundleError: The model is missing or cannot be loaded.
        FeatureStoreError: Features cannot be kept.
        DataError: The data cannot be read at all; SplitError when all it has are images in two splits, with
            all of them as its ``offenders``.
        RunError: A file that is not to be replaced is in the way; what is checked never is.
    """
    options = resolve("", {}, overrides={**(overrides or {}), "encoder.name": encoder})
    refuse_unknown(encoder, model)
    outputs = _Outputs(Path(html) if html else None, Path(fix) if fix else None)
    outputs.refuse_source(data.source if isinstance(data, Dataset) else str(data))
    outputs.refuse_others(overwrite)
    dataset = load(data, images, options.data, progress, keep_overlaps=True)
    dataset = assign_splits(dataset, options.data, needed=())
    with seeing(encoder, model, dataset, options, progress) as eyes:
        report = check_dataset(eyes.dataset, progress, options.text, eyes.read_features)
        if model is not None:
            report = with_findings(report, unlikely_captions(Path(model), eyes, progress))
    if outputs.fix:
        tokenizer = tokenizer_for(dataset, options.text)
        cleaned = clean(dataset, report.findings, report.problems, tokenizer)
        changes = write_cleaned(cleaned, outputs.fix, Path(images) if images is not None else None)
        report = replace(report, fixed=_told(cleaned, outputs.fix, changes))
    if outputs.html:
        write_text(outputs.html, render_check(report, dataset.examples, progress))
    return report


@dataclass(frozen=True)
class _Outputs:
    html: Path | None
    fix: Path | None

    def refuse_source(self, source: str) -> None:
        """Raise RunError when what is checked would be replaced: it may be the only copy."""
        for path in self._paths():
            if source and path.exists() and _is_source(path, Path(source)):
                raise RunError(
                    f"{path}: is what is checked, or in it; a check never writes over its data; name another "
                    "file"
                )

    def _paths(self) -> list[Path]:
        changes = changes_beside(self.fix) if self.fix else None
        return [path for path in (self.html, self.fix, changes) if path]

    def refuse_others(self, overwrite: bool) -> None:
        """Raise RunError when a file is in the way; asked before the work, not after it."""
        if self.fix and self.fix.suffix.lower() != ".csv":
            raise ConfigError(f"{self.fix}: a cleaned table is written as CSV; give a name that ends in .csv")
        if self.html and self.html.suffix.lower() not in _PAGES:
            raise ConfigError(f"{self.html}: a page is written as HTML; give a name that ends in .html")
        if overwrite:
            return
        if self.html and self.html.exists() and not begins_with_mark(self.html, MARK):
            raise RunError(
                f"{self.html}: exists and was not written by cutline check; name another file, or replace it "
                "with --overwrite"
            )
        for path in (self.fix, changes_beside(self.fix)) if self.fix else ():
            if path.exists():
                raise RunError(f"{path}: exists; name another file, or replace it with --overwrite")


def _is_source(path: Path, source: Path) -> bool:
    if source.is_dir():
        # Pages that checks wrote there are no data.
        return source.resolve() in path.resolve().parents and not begins_with_mark(path, MARK)
    return source.exists() and path.samefile(source)


def _told(cleaned: Cleaned, path: Path, changes: Path) -> tuple[str, ...]:
    captions = sum(len(example.captions) for example in cleaned.examples)
    return (
        f"Cleaned table: {path}: {len(cleaned.examples):,} images, {captions:,} captions; every change is in "
        f"{changes}",
        *(
            f"  {done} {count:,}{_of_captions(count, texts)}: {kind}"
            for (done, kind), (count, texts) in cleaned.counts().items()
        ),
    )


def _of_captions(changes: int, captions: int) -> str:
    """Say that changes are of captions where all of them are."""
    return "" if captions < changes else " caption" if captions == 1 else " captions"
