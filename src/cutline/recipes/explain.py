"""Say why a model says what it says of images, as one page or one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cutline.captioner import Captioner
from cutline.data.image_paths import match_images
from cutline.errors import ConfigError, DataError, ImageError, RunError
from cutline.files import begins_with_mark, replacing, write_text
from cutline.progress import Progress, Silent
from cutline.records import CaptionedImage, Explanation
from cutline.report import draw_explanations, render_explanations
from cutline.report.explain_page import MARK
from cutline.report.explain_picture import MARK as PICTURE_MARK
from cutline.wishes import NO_WISHES, Wishes

MOST_IMAGES: Final = 50
"""Images explained at once; the pictures of more would not be worth looking at in one file."""

_PAGES: Final = (".html", ".htm")
_PICTURE: Final = ".png"


@dataclass(frozen=True)
class Explained:
    """What was explained, and where it can be seen.

    Attributes:
        explanations: One per image that could be read, in order.
        failed: The others, each with its error.
        out: The file that was written.
    """

    explanations: tuple[Explanation, ...]
    failed: tuple[CaptionedImage, ...]
    out: Path


def explain(
    paths: Sequence[str],
    model: str | Path,
    out: str | Path = "explain.html",
    *,
    images: str | Path | None = None,
    beam_size: int | None = None,
    wishes: Wishes = NO_WISHES,
    overwrite: bool = False,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> Explained:
    """Caption images and show why: where the model looked, what else it could have written, what it learned.

    Args:
        paths: Image files, folders (searched recursively) and glob patterns.
        model: A run folder or a bundle.
        out: ``.html`` for a page, ``.png`` for a picture. One that this recipe wrote is replaced. It appears
            when everything is done.
        images: Folder of the training images, to show those that resemble an image.
        beam_size: Beams kept; the model's default when None.
        wishes: Words that are asked for: why not this one?
        overwrite: Let ``out`` replace any file.
        progress: Told about every image.

    Returns:
        The explanations; an image that cannot be read is listed and does not stop the others.

    Raises:
        ConfigError: ``out`` has another ending or is a folder, more than :data:`MOST_IMAGES` images are
            named, ``images`` is no folder, ``beam_size`` is out of range or wishes cannot be fulfilled.
        RunError: ``out`` is a file that something else wrote.
        DataError: None of the paths stands for an image that can be read.
        BundleError: The model cannot be loaded.
        MissingDependencyError: A picture without matplotlib.
    """
    out = Path(out)
    check_out(out, overwrite)
    find_image = _finder(images)
    found = match_images(paths)
    if not found:
        raise DataError("no images were named; give files, folders or patterns")
    if len(found) > MOST_IMAGES:
        raise ConfigError(
            f"{len(found):,} images: at most {MOST_IMAGES} can be explained at once; name fewer"
        )
    if all(found.values()):
        raise DataError(next(filter(None, found.values())))
    captioner = Captioner.load(model)
    if wishes != NO_WISHES:
        captioner = captioner.with_wishes(wishes)
    explanations, failed = [], []
    with progress.stage("explaining", len(found), "images") as stage:
        for path, error in found.items():
            try:
                if error is not None:
                    raise ImageError(error)
                explanations.append(captioner.explain(path, beam_size))
            except ImageError as fault:
                failed.append(CaptionedImage(path, error=str(fault)))
            stage.advance()
    if not explanations:
        raise DataError(failed[0].error or "")
    _write(explanations, out, find_image, progress)
    return Explained(tuple(explanations), tuple(failed), out)


def check_out(out: Path, overwrite: bool = False) -> None:
    """Refuse a file that cannot or must not be written, before anything is done.

    Raises:
        ConfigError: Another ending, or a folder.
        RunError: A file that something else wrote is there.
    """
    suffix = out.suffix.lower()
    if suffix not in (*_PAGES, _PICTURE):
        raise ConfigError(
            f"{out}: unknown ending {out.suffix!r}; allowed: .html for a page, .png for a picture"
        )
    if out.is_dir():
        raise ConfigError(f"{out}: is a folder; name a file in it")
    own = MARK if suffix in _PAGES else PICTURE_MARK
    if out.exists() and not overwrite and not begins_with_mark(out, own):
        raise RunError(
            f"{out}: exists and was not written by cutline explain; name another file, or replace it with "
            "--overwrite"
        )


def _write(
    explanations: Sequence[Explanation],
    out: Path,
    find_image: Callable[[str], str | None],
    progress: Progress,
) -> None:
    if out.suffix.lower() in _PAGES:
        write_text(out, render_explanations(explanations, find_image=find_image, progress=progress))
        return
    picture = draw_explanations(explanations, find_image=find_image)
    with replacing(out, "wb") as stream:
        stream.write(picture)


def _finder(images: str | Path | None) -> Callable[[str], str | None]:
    """Return what finds the file of a training image: below the folder, by its key or by its name alone."""
    if images is None:
        return lambda _: None
    folder = Path(images)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder of training images; leave --images out, or name one")

    def find(image_id: str) -> str | None:
        places = (folder / image_id, folder / Path(image_id).name)
        return next((str(place) for place in places if place.is_file()), None)

    return find
