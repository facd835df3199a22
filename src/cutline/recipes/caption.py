"""Caption images that are named on a command line, and write what was found."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from cutline.captioner import Captioner
from cutline.data.image_paths import match_images
from cutline.errors import ConfigError, DataError, MissingDependencyError
from cutline.files import replacing
from cutline.progress import Progress, Silent
from cutline.records import CaptionedImage, Hypothesis
from cutline.wishes import NO_WISHES, Wishes

_COLUMNS: Final = (
    *("image", "rank", "caption", "log_probability", "tokens", "error"),
    *("confidence", "needs_person", "unlike_training"),
)
_FLAGS: Final = ("needs_person", "unlike_training")
_ROWS_AT_ONCE: Final = 10_000


def caption(
    paths: Sequence[str],
    model: str | Path | Sequence[str | Path],
    *,
    beam_size: int | None = None,
    n_best: int = 1,
    min_confidence: float | None = None,
    confidence: bool = True,
    wishes: Wishes = NO_WISHES,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> Iterator[CaptionedImage]:
    """Caption images, a batch on each core at a time.

    Args:
        paths: Image files, folders (searched recursively) and glob patterns.
        model: A run folder or a bundle; several caption together, see :meth:`Captioner.load`.
        beam_size: Beams kept; the model's default when None.
        n_best: Hypotheses per image.
        min_confidence: The confidence below which captions will be marked; the model must carry one then.
        confidence: Say how sure the model is of each caption, where it can; False is faster.
        wishes: Words, lengths and terms that are asked for.
        progress: Told about every image.

    Returns:
        An iterator over one record per image, in order; an image that cannot be read, and a path that stands
        for no image, has an error instead of hypotheses. Paths and model are looked at before it is returned.

    Raises:
        DataError: None of the paths stands for an image.
        BundleError: The model cannot be loaded, or models have different vocabularies.
        ConfigError: ``beam_size``, ``n_best`` or ``min_confidence`` is out of range, a confidence is asked
            for and the model carries none, or wishes cannot be fulfilled.
    """
    _check_confidence(min_confidence, confidence)
    found = match_images(paths)
    images = [path for path, error in found.items() if error is None]
    if not images:
        raise DataError(
            next(filter(None, found.values()), "no images were named; give files, folders or patterns")
        )
    models = [model] if isinstance(model, (str, Path)) else list(model)
    if min_confidence is not None and len(models) > 1:
        raise ConfigError(
            f"min_confidence is {min_confidence:g}, but the captions of several models have no confidence; "
            "name one model"
        )
    captioner = Captioner.load(models)
    if min_confidence is not None and captioner.bundle.confidence is None:
        raise ConfigError(
            f"{models[0]}: carries no confidence to compare with {min_confidence:g}; cutline train fits it "
            "at its end when there are enough val images: go on with the run with --resume, or train again"
        )
    if not confidence:
        captioner = captioner.without_confidence()
    if wishes != NO_WISHES:
        captioner = captioner.with_wishes(wishes)
    captioned = captioner.caption_all(images, beam_size, n_best)
    return _followed(_in_order(found, captioned), len(found), progress)


def _check_confidence(min_confidence: float | None, confidence: bool) -> None:
    if min_confidence is not None and not confidence:
        raise ConfigError(
            f"min_confidence is {min_confidence}, but no confidence is to be measured; leave one of them out"
        )
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise ConfigError(f"min_confidence is {min_confidence}; a probability from 0 to 1 is allowed")


def _in_order(
    found: Mapping[str, str | None], captioned: Iterator[CaptionedImage]
) -> Iterator[CaptionedImage]:
    for path, error in found.items():
        yield next(captioned) if error is None else CaptionedImage(path, error=error)


def _followed(records: Iterable[CaptionedImage], total: int, progress: Progress) -> Iterator[CaptionedImage]:
    with progress.stage("captioning", total, "images") as stage:
        for record in records:
            stage.advance()
            yield record


def newest_run(folder: str | Path = "runs") -> Path | None:
    """Return the run in ``folder`` whose bundle was written last, or None when there is none.

    Example:
        >>> newest_run("a-folder-that-is-not-there") is None
        True
    """
    manifests = Path(folder).glob("*/bundle/manifest.json")
    newest = max(manifests, key=lambda path: path.stat().st_mtime_ns, default=None)
    return newest.parent.parent if newest is not None else None


def as_json(record: CaptionedImage, min_confidence: float | None = None) -> dict[str, Any]:
    """Return one line of JSONL: image, caption, log_probability, confidence and tokens, or image and error.

    The confidence is left out where the model carries none; so is ``unlike_training``, whether the image is
    unlike the training images, where it cannot tell. With a ``min_confidence``, ``needs_person`` tells
    whether the best caption is below it. With more than one hypothesis the best is followed by
    ``hypotheses``, the list of all of them.

    Example:
        >>> as_json(CaptionedImage("a.jpg", error="a.jpg: the file is empty"))
        {'image': 'a.jpg', 'error': 'a.jpg: the file is empty'}
    """
    image = _unicode(record.image)
    if record.error is not None or not record.hypotheses:
        return {"image": image, "error": _unicode(record.error or "no caption was found")}
    found = [_facts(hypothesis, min_confidence) for hypothesis in record.hypotheses]
    return {
        "image": image,
        **found[0],
        **_told(record),
        **({"hypotheses": found} if len(found) > 1 else {}),
    }


def _told(record: CaptionedImage) -> dict[str, bool]:
    unlike = record.unlike_training
    return {} if unlike is None else {"unlike_training": unlike}


def needs_person(hypothesis: Hypothesis, min_confidence: float | None) -> bool | None:
    """Tell whether a caption's confidence is below the least wanted; None where either is not known.

    Example:
        >>> needs_person(Hypothesis("a dog", ("a", "dog"), (4, 5), -1.0, confidence=0.4), 0.5)
        True
    """
    if hypothesis.confidence is None or min_confidence is None:
        return None
    return _rounded(hypothesis.confidence) < min_confidence


def _rounded(confidence: float) -> float:
    """Round as in files, so that what is marked is what a reader of the file would mark."""
    return round(confidence, 4)


def check_output(output: Path, overwrite: bool = False) -> None:
    """Raise ConfigError unless captions can be written to a file of this name.

    Args:
        output: Where captions are to go.
        overwrite: Whether a file that exists may be replaced.

    Raises:
        ConfigError: Unknown ending; a folder; or a file that exists and may not be replaced.
        MissingDependencyError: Parquet without pyarrow.
    """
    if output.suffix.lower() not in _WRITERS:
        allowed = ", ".join(_WRITERS)
        raise ConfigError(
            f"--output {output}: unknown ending {output.suffix!r}; allowed: {allowed}, or - for stdout"
        )
    if output.is_dir():
        raise ConfigError(f"--output {output}: is a folder; name a file")
    if not overwrite and os.path.lexists(output):
        raise ConfigError(
            f"--output {output}: exists already; choose another name, or replace it with --overwrite"
        )
    if output.suffix.lower() == ".parquet":
        _pyarrow()


def write_captions(
    records: Iterable[CaptionedImage], output: Path, min_confidence: float | None = None
) -> tuple[int, int]:
    """Write captions as JSONL, CSV or Parquet, by the ending of the file's name.

    JSONL has one line per image (see :func:`as_json`). CSV and Parquet have one row per hypothesis with the
    columns image, rank (1 is best), caption, log_probability, tokens (in CSV parted by spaces), error,
    confidence, needs_person and unlike_training (both true or false; the last three for the best caption
    alone, as far as they are known); an image that could not be read has one row with its error. The file
    appears after the last record and takes the place of an existing one: call :func:`check_output` first to
    refuse that. Memory does not grow with the number of images.

    Args:
        records: Consumed one by one.
        output: File ending in ``.jsonl``, ``.csv`` or ``.parquet``.
        min_confidence: Captions below it need a person.

    Returns:
        Number of images captioned and of images that failed.

    Raises:
        ConfigError: Another ending.
        MissingDependencyError: Parquet without pyarrow.
    """
    check_output(output, overwrite=True)
    counted = Counted(records)
    _WRITERS[output.suffix.lower()](counted, output, min_confidence)
    return counted.done, counted.failed


class Counted:
    """Passes captioned images on and counts them.

    Attributes:
        done: Images captioned so far.
        failed: Images so far that could not be captioned.
        need_person: Images so far whose best caption is below the least confidence.
        unlike: Images so far that are unlike the training images; None while no model has told.

    Example:
        >>> counted = Counted([CaptionedImage("a.jpg", error="a.jpg: the file is empty")])
        >>> [record.image for record in counted], counted.done, counted.failed
        (['a.jpg'], 0, 1)
    """

    def __init__(self, records: Iterable[CaptionedImage], min_confidence: float | None = None) -> None:
        """Pass ``records`` on, one by one."""
        self._records = records
        self._min_confidence = min_confidence
        self.done = self.failed = self.need_person = 0
        self.unlike: int | None = None

    def __iter__(self) -> Iterator[CaptionedImage]:
        """Yield the records."""
        for record in self._records:
            if record.error is None:
                self.done += 1
            else:
                self.failed += 1
            if any(needs_person(hypothesis, self._min_confidence) for hypothesis in record.hypotheses):
                self.need_person += 1
            if record.unlike_training is not None:
                self.unlike = (self.unlike or 0) + record.unlike_training
            yield record


def _write_jsonl(records: Iterable[CaptionedImage], output: Path, min_confidence: float | None) -> None:
    with replacing(output) as stream:
        for record in records:
            stream.write(json.dumps(as_json(record, min_confidence), ensure_ascii=False) + "\n")


def _write_csv(records: Iterable[CaptionedImage], output: Path, min_confidence: float | None) -> None:
    with replacing(output) as stream:
        writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in _rows(records, min_confidence):
            tokens = row["tokens"]
            spelt = {key: str(row[key]).lower() for key in _FLAGS if row[key] is not None}
            if tokens is not None:
                spelt["tokens"] = " ".join(tokens)
            writer.writerow({**row, **spelt})


def _write_parquet(records: Iterable[CaptionedImage], output: Path, min_confidence: float | None) -> None:
    arrow = _pyarrow()
    types = (
        arrow.string(),
        arrow.int32(),
        arrow.string(),
        arrow.float64(),
        arrow.list_(arrow.string()),
        arrow.string(),
        arrow.float64(),
        arrow.bool_(),
        arrow.bool_(),
    )
    schema = arrow.schema(list(zip(_COLUMNS, types, strict=True)))
    rows = iter(_rows(records, min_confidence))
    with replacing(output, "wb") as stream, arrow.parquet.ParquetWriter(stream, schema) as writer:
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))


_WRITERS: Final[dict[str, Callable[[Iterable[CaptionedImage], Path, float | None], None]]] = {
    ".jsonl": _write_jsonl,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "writing Parquet needs pyarrow; install it with: pip install 'cutline[parquet]'"
        ) from None
    return pyarrow


def _rows(records: Iterable[CaptionedImage], min_confidence: float | None) -> Iterator[dict[str, Any]]:
    nothing = dict.fromkeys(_COLUMNS)
    for record in records:
        line = as_json(record)
        if "error" in line:
            yield {**nothing, **line}
            continue
        for rank, hypothesis in enumerate(record.hypotheses, start=1):
            told = _told(record) if rank == 1 else {}
            yield {
                **nothing,
                "image": line["image"],
                "rank": rank,
                **_facts(hypothesis, min_confidence),
                **told,
            }


def _facts(hypothesis: Hypothesis, min_confidence: float | None) -> dict[str, Any]:
    sure = hypothesis.confidence
    marked = needs_person(hypothesis, min_confidence)
    return {
        "caption": hypothesis.text,
        "log_probability": round(hypothesis.log_probability, 6),
        **({"confidence": _rounded(sure)} if sure is not None else {}),
        **({"needs_person": marked} if marked is not None else {}),
        "tokens": list(hypothesis.tokens),
    }


def _unicode(text: str) -> str:
    """Write bytes of a file name that are not UTF-8 as escapes, since no output format can hold them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
