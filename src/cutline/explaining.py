"""Why a caption reads as it does: its steps, where the model looked, and the training images it resembles."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.decoding import StepModel, TokenReading, read
from cutline.records import Alternative, ExplainedToken, Explanation, Hypothesis, SimilarImage
from cutline.runtime.neighbours import Neighbours
from cutline.text import Vocabulary
from cutline.text.vocabulary import END_ID, PAD_ID, START_ID

ALTERNATIVES: Final = 5
"""Tokens shown per step."""
SIMILAR: Final = 4
"""Training images shown beside an image."""

_NEVER_NEXT: Final = (PAD_ID, START_ID)


def explain(
    model: StepModel[Any],
    features: NDArray[Any],
    hypothesis: Hypothesis,
    vocabulary: Vocabulary,
    input_size: tuple[int, int],
    *,
    image: str = "",
    neighbours: Neighbours | None = None,
) -> Explanation:
    """Let the model read a caption again that was written for an image.

    It is read by teacher forcing, so the steps are the same however it was searched for. Filters are not at
    work here: alternatives are what the model itself finds probable.

    Args:
        model: The step model.
        features: Of the image, (1, ...).
        hypothesis: The caption.
        vocabulary: Turns ids into tokens.
        input_size: Height and width of the images that the encoder takes: the shape of the grid of regions.
        image: Path of the image.
        neighbours: The training images, if the model carries them.
    """
    readings = read(
        model,
        np.asarray(features, np.float32),
        hypothesis.token_ids,
        START_ID,
        END_ID,
        most=ALTERNATIVES,
        hidden=_NEVER_NEXT,
    )
    return Explanation(
        image=image,
        hypothesis=hypothesis,
        steps=tuple(_step(reading, vocabulary, input_size) for reading in readings),
        similar=None if neighbours is None else _similar(features, neighbours),
    )


def _step(reading: TokenReading, vocabulary: Vocabulary, input_size: tuple[int, int]) -> ExplainedToken:
    weights = reading.attention_weights
    return ExplainedToken(
        token=vocabulary.tokens[reading.token_id],
        probability=math.exp(reading.log_probability),
        alternatives=tuple(
            Alternative(vocabulary.tokens[token_id], math.exp(log_probability))
            for token_id, log_probability in reading.alternatives
        ),
        attention=None if weights is None else weights.reshape(grid_of(len(weights), input_size)),
    )


def grid_of(regions: int, input_size: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the grid that an encoder's R regions came from.

    Encoders lay the rows of their activation map behind each other; it has the shape of the images they take.

    Args:
        regions: R, at least 1.
        input_size: Height and width of these images.

    Example:
        >>> grid_of(49, (224, 224)), grid_of(70, (224, 320))
        ((7, 7), (7, 10))
    """
    wanted = math.log(input_size[0] / input_size[1])
    rows = [rows for rows in range(1, regions + 1) if regions % rows == 0]
    best = min(rows, key=lambda number: abs(math.log(number * number / regions) - wanted))
    return best, regions // best


def _similar(features: NDArray[Any], neighbours: Neighbours) -> tuple[SimilarImage, ...]:
    places, likeness = neighbours.nearest(features, SIMILAR)
    return tuple(
        SimilarImage(neighbours.image_ids[place], float(similarity), neighbours.captions[place])
        for place, similarity in zip(places[0].tolist(), likeness[0].tolist(), strict=True)
        if math.isfinite(similarity)  # the image itself, when it was trained on, is no neighbour
    )


def strongest_region(attention: NDArray[np.float32]) -> tuple[float, str]:
    """Return the share of the region that was looked at most, and in words where it lies.

    Args:
        attention: Of one step, (h, w), summing to 1 at the most.

    Example:
        >>> strongest_region(np.array([[0.1, 0.1, 0.1], [0.1, 0.1, 0.4], [0.05, 0.025, 0.025]]))
        (0.4, 'right')
    """
    rows, columns = attention.shape
    row, column = divmod(int(attention.argmax()), columns)
    down = _third(row, rows, ("top", "", "bottom"))
    across = _third(column, columns, ("left", "", "right"))
    return float(attention.max()), " ".join(filter(None, (down, across))) or "middle"


def _third(number: int, count: int, names: tuple[str, str, str]) -> str:
    return names[min(2, int(3 * (number + 0.5) / count))]
