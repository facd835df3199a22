"""The page of the demo: sample photos of another package with captions and credits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cutline.report.templating import render_page
from cutline.report.thumbnails import make_thumbnail

_SIDE: Final = 480
_MOST_BYTES: Final = 120_000


@dataclass(frozen=True)
class CaptionedPhoto:
    """A photo of somebody else with what a model says of it.

    Attributes:
        name: Of its file.
        path: Its file.
        caption: By the model.
        confidence: 0..1, that the caption is acceptable; None where the model does not say.
        credit: What it shows and who made it.
        licence: On what terms it may be shown.
        unlike_training: Whether the model says that it was trained on images of another kind.
    """

    name: str
    path: str
    caption: str
    confidence: float | None
    credit: str
    licence: str
    unlike_training: bool = False


def render_demo_photos(photos: Sequence[CaptionedPhoto], model: str, source: str) -> str:
    """Render captioned photos as one HTML page that loads nothing and runs no script.

    Args:
        photos: At least one; their files are read.
        model: Name of the released model.
        source: Of the photos: a package and its version.

    Returns:
        The HTML text.
    """
    cards = [(photo, make_thumbnail(photo.path, _SIDE, _MOST_BYTES)) for photo in photos]
    return render_page("demo.html.j2", title="Photos of the demo", cards=cards, model=model, source=source)
