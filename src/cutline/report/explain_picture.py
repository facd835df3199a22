"""Why a model says what it says of images, as one picture."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

from PIL import Image

from cutline.errors import MissingDependencyError
from cutline.explaining import strongest_region
from cutline.records import ExplainedToken, Explanation, SimilarImage
from cutline.report.explain_page import choices_of
from cutline.report.heat import full_share, overlay
from cutline.report.templating import chance, percent
from cutline.report.thumbnails import shrink

MARK: Final = "cutline explain"
"""What the picture says of itself in its metadata."""

_WIDTH: Final = 13.0
_MARGIN: Final = 0.35
_COLUMNS: Final = 6
_GAP: Final = 0.16
_LINE: Final = 0.17
_TILE: Final = (_WIDTH - 2 * _MARGIN - (_COLUMNS - 1) * _GAP) / _COLUMNS
_PHOTO: Final = 2 * _TILE + _GAP
_INK, _SOFT, _BLUE = "#1b1b19", "#6b6b66", "#0b5cad"
_SIDE: Final = 300
_LONGEST: Final = 15
_CAPTIONS: Final = 2


class _Sheet:
    """A white sheet that things are put on from the top down, in inches; it is as long as it must be.

    What is to be drawn is kept until :meth:`png`, because places are shares of a length that is known last.
    """

    def __init__(self) -> None:
        self.end = _MARGIN
        self._drawn: list[Callable[[Any, float], object]] = []

    def picture(self, image: Image.Image, left: float, top: float, width: float) -> float:
        """Put a picture; return where it ends."""
        height = width * image.height / image.width

        def draw(figure: Any, length: float) -> None:
            bottom = 1 - (top + height) / length
            axes = figure.add_axes((left / _WIDTH, bottom, width / _WIDTH, height / length))
            axes.imshow(image, aspect="auto", interpolation="bilinear")
            axes.set_axis_off()

        self._drawn.append(draw)
        return top + height

    def text(self, words: str, left: float, top: float, size: float, **style: Any) -> None:
        """Put text with its upper left corner at a place, or its upper right with ``ha="right"``."""

        def draw(figure: Any, length: float) -> None:
            style_of = {"color": _INK, "va": "top", "fontsize": size, "parse_math": False, **style}
            figure.text(left / _WIDTH, 1 - top / length, words, **style_of)

        self._drawn.append(draw)

    def png(self) -> bytes:
        """Draw everything."""
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError:
            raise MissingDependencyError(
                "a picture needs matplotlib; install it with: pip install 'cutline[train]'; a page (.html) "
                "does without"
            ) from None
        length = self.end + _MARGIN
        figure = Figure(figsize=(_WIDTH, length), dpi=100, facecolor="white")
        stream = io.BytesIO()
        with warnings.catch_warnings():
            # Letters that the font lacks are drawn as boxes; the page has them all.
            warnings.filterwarnings("ignore", message="Glyph")
            for draw in self._drawn:
                draw(figure, length)
            figure.savefig(stream, format="png", metadata={"Software": MARK})
        return stream.getvalue()


def draw_explanations(
    explanations: Sequence[Explanation], *, find_image: Callable[[str], str | None] = lambda _: None
) -> bytes:
    """Draw explanations below each other.

    Args:
        explanations: At least one; their images are read from where ``image`` says.
        find_image: Finds the files of training images, for their pictures.

    Returns:
        A PNG, 1300 pixels wide, on white. Equal explanations give equal bytes.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    sheet = _Sheet()
    for number, explanation in enumerate(explanations):
        sheet.end += 0.5 * (number > 0)
        photo = shrink(explanation.image, 2 * _SIDE)
        _put_heading(sheet, explanation, photo)
        _put_steps(sheet, explanation, photo)
        _put_similar(sheet, explanation.similar or (), find_image)
    return sheet.png()


def _put_heading(sheet: _Sheet, explanation: Explanation, photo: Image.Image | None) -> None:
    top, left, end = sheet.end, _MARGIN, sheet.end
    if photo is not None:
        # A tall photo would take the whole sheet.
        width = min(_PHOTO, 4.0 * photo.width / photo.height)
        end = sheet.picture(photo, left, top, width)
        left += width + 2 * _GAP
    letters = int(5.6 * (_WIDTH - _MARGIN - left))
    lines = textwrap.wrap(explanation.hypothesis.text, letters) or ["no caption"]
    sheet.text("\n".join(lines), left, top, 20, weight="bold", linespacing=1.25)
    below = top + 0.42 * len(lines) + 0.1
    confidence = explanation.hypothesis.confidence
    if confidence is not None:
        sheet.text(f"{percent(confidence, 0)} sure that this caption is acceptable", left, below, 12)
        below += 0.32
    told = (
        "Bright and yellow: where the model looked before it wrote the word, one scale for all words.\n"
        if explanation.has_attention
        else "This model sees the picture as a whole: there is no map of where it looked.\n"
    )
    sheet.text(
        f"{told}Below each word: what it could have written there, and how probable that was.",
        left,
        below,
        10.5,
        color=_SOFT,
        linespacing=1.4,
    )
    sheet.end = max(end, below + 0.5) + 2 * _GAP


def _put_steps(sheet: _Sheet, explanation: Explanation, photo: Image.Image | None) -> None:
    steps = explanation.steps
    full = full_share(step.attention for step in steps if step.attention is not None)
    for start in range(0, len(steps), _COLUMNS):
        top = sheet.end
        for column, step in enumerate(steps[start : start + _COLUMNS]):
            left = _MARGIN + column * (_TILE + _GAP)
            below = top
            if photo is not None and step.attention is not None:
                below = sheet.picture(overlay(photo, step.attention, full), left, top, _TILE) + 0.07
            sheet.end = max(sheet.end, _put_word(sheet, step, left, below))
        sheet.end += _GAP


def _put_word(sheet: _Sheet, step: ExplainedToken, left: float, top: float) -> float:
    marker = step.text != step.token
    sheet.text(_cut(step.text), left, top, 13, weight="bold", fontstyle="italic" if marker else "normal")
    top += 0.27
    if step.attention is not None:
        share, place = strongest_region(step.attention)
        sheet.text(f"most at the {place}: {percent(share, 0)}", left, top, 8.5, color=_SOFT)
        top += 0.21
    for choice in choices_of(step):
        style = {"color": _BLUE, "weight": "bold"} if choice.own else {"color": _SOFT}
        sheet.text(_cut(choice.text), left, top, 9.5, **style)
        sheet.text(chance(choice.probability), left + _TILE, top, 9.5, ha="right", **style)
        top += _LINE
    return top


def _put_similar(
    sheet: _Sheet, similar: Sequence[SimilarImage], find_image: Callable[[str], str | None]
) -> None:
    if not similar:
        return
    sheet.text("Training images like this one, and what people wrote about them", _MARGIN, sheet.end, 13)
    top, width = sheet.end + 0.35, (_WIDTH - 2 * _MARGIN + 2 * _GAP) / len(similar) - 2 * _GAP
    for column, one in enumerate(similar):
        left = _MARGIN + column * (width + 2 * _GAP)
        path = find_image(one.image_id)
        picture = None if path is None else shrink(path, _SIDE)
        below = top
        if picture is not None:
            below = sheet.picture(picture, left, top, min(width, 1.9 * picture.width / picture.height)) + 0.07
        sheet.text(f"{percent(one.similarity, 0)} alike", left, below, 9.5, weight="bold")
        lines = [line for text in one.captions[:_CAPTIONS] for line in textwrap.wrap(text, int(12 * width))]
        sheet.text("\n".join(lines), left, below + 0.22, 9.5, color=_SOFT, linespacing=1.3)
        sheet.end = max(sheet.end, below + 0.22 + 0.19 * len(lines))


def _cut(word: str) -> str:
    return word if len(word) <= _LONGEST else f"{word[: _LONGEST - 1]}…"
