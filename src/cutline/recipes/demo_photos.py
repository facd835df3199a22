"""Sample photos of scikit-image, captioned by the model that comes with cutline: the demo's second part."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from cutline.captioner import Captioner
from cutline.files import write_text
from cutline.progress import Progress
from cutline.report import CaptionedPhoto, render_demo_photos
from cutline.report.templating import chance
from cutline.runtime.released import DEFAULT, released_path

PAGE: Final = "photos.html"
_PACKAGE: Final = "scikit-image"
_FOLDER: Final = "skimage/data"


@dataclass(frozen=True)
class SamplePhoto:
    """A photo in the package, with what its documentation (``skimage.data``) says of it.

    Attributes:
        name: Of its file.
        credit: What it shows and who made it.
        licence: On what terms it may be shown.
    """

    name: str
    credit: str
    licence: str


SAMPLE_PHOTOS: Final = (
    SamplePhoto("astronaut.png", "Eileen Collins, astronaut; photo by NASA", "public domain"),
    SamplePhoto("camera.png", "A photographer; photo by Lav Varshney", "CC0"),
    SamplePhoto("chelsea.png", "Chelsea the cat; photo by Stefan van der Walt", "CC0"),
    SamplePhoto("coffee.png", "A cup of coffee; photo by Rachel Michetti, Pikolo Espresso Bar", "CC0"),
    SamplePhoto("rocket.jpg", "Launch of a Falcon 9; photo by SpaceX", "public domain"),
)


@dataclass(frozen=True)
class DemoPhotos:
    """What came of the photos.

    Attributes:
        lines: What to tell, line by line; one that says why where there are none.
        photos: With their captions.
        page: Path of the page, or None.
    """

    lines: tuple[str, ...]
    photos: tuple[CaptionedPhoto, ...] = ()
    page: str | None = None


def caption_photos(folder: Path, progress: Progress) -> DemoPhotos:
    """Caption the photos of the package and write a page about them.

    Nothing is fetched: where the model or the package is absent, the result says so.

    Args:
        folder: For the page.
        progress: Told about every photo.
    """
    if released_path(DEFAULT) is None:
        return DemoPhotos((f"No photos were captioned: this cutline comes without the model {DEFAULT}",))
    files, source = _sample_files()
    if not files:
        return DemoPhotos(
            (f"No photos were captioned: {_PACKAGE} has some; install it with: pip install 'cutline[demo]'",)
        )
    captioner = Captioner.load(DEFAULT)
    found = []
    with progress.stage("captioning photos", len(files), "images") as stage:
        for sample, path in files:
            best = captioner.caption(path)[0]
            said = (best.text, best.confidence, sample.credit, sample.licence, bool(best.unlike_training))
            found.append(CaptionedPhoto(sample.name, str(path), *said))
            stage.advance()
    write_text(folder / PAGE, render_demo_photos(found, DEFAULT, source))
    lines = (
        f"Photos of {source}, captioned by {DEFAULT}, which comes with cutline:",
        *(f"  {photo.name}: {photo.caption}{_sure(photo)}" for photo in found),
        f"Page with these photos and their credits: {folder / PAGE}",
    )
    return DemoPhotos(lines, tuple(found), str(folder / PAGE))


def _sure(photo: CaptionedPhoto) -> str:
    facts = [f"{chance(photo.confidence)} sure"] if photo.confidence is not None else []
    facts += ["unlike its training photos"] if photo.unlike_training else []
    return f" ({', '.join(facts)})" if facts else ""


def _sample_files() -> tuple[list[tuple[SamplePhoto, Path]], str]:
    """Return the photos that are there with their files, and the package's name and version."""
    try:
        package = distribution(_PACKAGE)
    except PackageNotFoundError:
        return [], ""
    # Read as files: importing the package would take longer than captioning its photos.
    files = [(sample, Path(str(package.locate_file(f"{_FOLDER}/{sample.name}")))) for sample in SAMPLE_PHOTOS]
    return [(sample, path) for sample, path in files if path.is_file()], f"{_PACKAGE} {package.version}"
