"""Why a model says what it says of images, as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from PIL import Image

from cutline.explaining import strongest_region
from cutline.progress import Progress, Silent
from cutline.records import ExplainedToken, Explanation, SimilarImage
from cutline.report.heat import full_share, overlay
from cutline.report.templating import render_page
from cutline.report.thumbnails import Thumbnail, fit_picture, make_thumbnail, shrink

MARK: Final = "– cutline explain</title>"
"""What a page begins with that this module wrote."""

MOST_BYTES: Final = 5_000_000
"""Size of the file that the pictures are fitted into."""

FindImage = Callable[[str], str | None]
"""From the key of a training image to its file, or None where it cannot be found."""

_SIDE: Final = 300
_LARGE_SIDE: Final = 560
# A whole photo takes as much as four small ones.
_LARGE_SHARES: Final = 4
_MOST_PER_PICTURE: Final = 24_000


@dataclass(frozen=True)
class Choice:
    """One token that could have been written; ``own`` is the one that was."""

    text: str
    probability: float
    own: bool


@dataclass(frozen=True)
class Step:
    """One word of a caption, ready to be written.

    Attributes:
        text: The word.
        is_word: False for the end of the caption and for a word that the vocabulary lacks.
        probability: 0..1.
        choices: The most probable tokens; at their end the one that was written, if it is not among them.
        picture: Where the model looked.
        share: Of the region that was looked at most.
        place: Where it lies, in words.
    """

    text: str
    is_word: bool
    probability: float
    choices: tuple[Choice, ...]
    picture: Thumbnail | None
    share: float | None
    place: str


@dataclass(frozen=True)
class _Similar:
    image_id: str
    similarity: float
    captions: tuple[str, ...]
    thumbnail: Thumbnail | None


@dataclass(frozen=True)
class _Section:
    """One image with its explanation, ready to be written."""

    name: str
    caption: str
    confidence: float | None
    unlike: bool
    photo: Thumbnail | None
    steps: tuple[Step, ...]
    regions: int
    doubtful: Step | None
    sharpest: Step | None
    similar: tuple[_Similar, ...] | None
    pictured: bool


def render_explanations(
    explanations: Sequence[Explanation],
    *,
    find_image: FindImage = lambda _: None,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> str:
    """Render explanations as one HTML page of at most about 5 MB.

    The page loads nothing and runs no script; see :func:`cutline.report.templating.render_page`.

    Args:
        explanations: At least one; their images are read from where ``image`` says.
        find_image: Finds the files of training images, for their pictures.
        progress: Told about every image.

    Returns:
        The HTML text.
    """
    shares = sum(len(one.steps) * one.has_attention + len(one.similar or ()) for one in explanations)
    allowed = min(_MOST_PER_PICTURE, MOST_BYTES // (shares + _LARGE_SHARES * len(explanations)))
    sections = []
    with progress.stage("drawing the page", len(explanations), "images") as stage:
        for explanation in explanations:
            sections.append(_section(explanation, allowed, find_image))
            stage.advance()
    first = sections[0]
    title = first.name if len(sections) == 1 else f"{first.name} and {len(sections) - 1} more"
    return render_page("explain.html.j2", title=title, sections=sections)


def _section(explanation: Explanation, allowed: int, find_image: FindImage) -> _Section:
    large = shrink(explanation.image, _LARGE_SIDE)
    steps = lay_out_steps(explanation, allowed)
    words = [step for step in steps if step.is_word]
    looked = [step for step in words if step.share is not None]
    similar = explanation.similar
    cards = None if similar is None else tuple(_similar(one, allowed, find_image) for one in similar)
    return _Section(
        name=PurePath(explanation.image).name,
        caption=explanation.hypothesis.text,
        confidence=explanation.hypothesis.confidence,
        unlike=bool(explanation.hypothesis.unlike_training),
        photo=None if large is None else fit_picture(large, _LARGE_SHARES * allowed),
        steps=steps,
        regions=next((one.attention.size for one in explanation.steps if one.attention is not None), 0),
        doubtful=min(words, key=lambda step: step.probability, default=None),
        sharpest=max(looked, key=lambda step: step.share or 0.0, default=None),
        similar=cards,
        pictured=any(card.thumbnail for card in cards or ()),
    )


def lay_out_steps(explanation: Explanation, allowed: int) -> tuple[Step, ...]:
    """Return the words of a caption, each with its picture where the model has attention.

    Args:
        explanation: Of one image.
        allowed: Bytes that each picture may have.
    """
    small = shrink(explanation.image, _SIDE) if explanation.has_attention else None
    full = full_share(step.attention for step in explanation.steps if step.attention is not None)
    return tuple(_step(step, small, full, allowed) for step in explanation.steps)


def _step(token: ExplainedToken, photo: Image.Image | None, full: float, allowed: int) -> Step:
    attention = token.attention
    share, place = (None, "") if attention is None else strongest_region(attention)
    drawn = None if attention is None or photo is None else overlay(photo, attention, full)
    return Step(
        text=token.text,
        is_word=token.text == token.token,
        probability=token.probability,
        choices=choices_of(token),
        picture=None if drawn is None else fit_picture(drawn, allowed),
        share=share,
        place=place,
    )


def choices_of(token: ExplainedToken) -> tuple[Choice, ...]:
    """Return the most probable tokens of a step, and behind them what was written if it is none of them."""
    found = [Choice(one.text, one.probability, one.token == token.token) for one in token.alternatives]
    written = Choice(token.text, token.probability, own=True)
    return tuple(found) if any(choice.own for choice in found) else (*found, written)


def _similar(one: SimilarImage, allowed: int, find_image: FindImage) -> _Similar:
    path = find_image(one.image_id)
    thumbnail = None if path is None else make_thumbnail(path, _SIDE, allowed)
    return _Similar(one.image_id, one.similarity, one.captions, thumbnail)
