"""Captions that a model gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Hypothesis:
    """A caption the model gives.

    Attributes:
        text: The caption as a person reads it.
        tokens: Its tokens, without start and end markers.
        token_ids: Their ids in the vocabulary.
        log_probability: Natural log, summed over the tokens and the end marker; ≤ 0.
        confidence: Calibrated probability (0..1) that the caption is acceptable (see
            :class:`~cutline.records.Calibration`); None when the model carries no confidence, and for all
            but the best hypothesis of an image.
        attention: Attention weights (T, R), float32, each row summing to 1; None without attention.
    """

    text: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    log_probability: float
    confidence: float | None = None
    attention: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class CaptionedImage:
    """One line of ``cutline caption``: hypotheses for an image, or the reason there are none."""

    image: str
    hypotheses: tuple[Hypothesis, ...] = ()
    error: str | None = None
