"""Captions that a model gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

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
        unlike_training: Whether the image is unlike the model's training images, so that the caption means
            little; None when the model cannot tell, and for all but the best hypothesis of an image.
        attention: Attention weights (T, R), float32, each row summing to 1, or with ``decoder.sentinel`` to
            less: the rest is the sentinel's share. None without attention.
    """

    text: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    log_probability: float
    confidence: float | None = None
    unlike_training: bool | None = None
    attention: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class CaptionedImage:
    """One line of ``cutline caption``: hypotheses for an image, or the reason there are none."""

    image: str
    hypotheses: tuple[Hypothesis, ...] = ()
    error: str | None = None

    @property
    def unlike_training(self) -> bool | None:
        """Whether the image is unlike the model's training images; None where that is not known."""
        return self.hypotheses[0].unlike_training if self.hypotheses else None


@dataclass(frozen=True)
class Alternative:
    """A token that the model could have written, with its probability.

    Attributes:
        token: As in the vocabulary; ``<end>`` for ending the caption, ``<unk>`` for a word it does not know.
        probability: 0..1.
    """

    token: str
    probability: float

    @property
    def text(self) -> str:
        """The token as a person reads it.

        Example:
            >>> Alternative("<end>", 0.5).text, Alternative("dog", 0.5).text
            ('end of caption', 'dog')
        """
        return spell_token(self.token)


@dataclass(frozen=True)
class ExplainedToken:
    """One step of a caption: what was written, what else was possible, and where the model looked.

    Attributes:
        token: As in the vocabulary; ``<end>`` in the last step.
        probability: What the model gave it, 0..1, knowing the image and the tokens before.
        alternatives: The most probable tokens of this step, the most probable first; that which was written
            is among them when it is one of them.
        attention: How much each region was looked at, float32 (h, w), the first row at the top of the image.
            They sum to 1, or with ``decoder.sentinel`` to less: the rest is the sentinel's share. None for a
            model without attention.
    """

    token: str
    probability: float
    alternatives: tuple[Alternative, ...]
    attention: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    @property
    def text(self) -> str:
        """The token as a person reads it."""
        return spell_token(self.token)


@dataclass(frozen=True)
class SimilarImage:
    """A training image that looks to the encoder like the one that is explained.

    Attributes:
        image_id: Its key in the data set.
        similarity: Cosine between the features of both, -1..1.
        captions: What people wrote about it.
    """

    image_id: str
    similarity: float
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """Why a model says what it says of an image.

    Attributes:
        image: Path of the image, or ``""`` for one that has none.
        hypothesis: The caption, as :meth:`cutline.Captioner.caption` gives it.
        steps: One per token and one for the end of the caption.
        similar: Training images like this one, the most similar first; None when the model does not carry
            them.
    """

    image: str
    hypothesis: Hypothesis
    steps: tuple[ExplainedToken, ...]
    similar: tuple[SimilarImage, ...] | None = None

    @property
    def has_attention(self) -> bool:
        """Whether the model looks at regions."""
        return any(step.attention is not None for step in self.steps)


_SPELLED: Final = {"<end>": "end of caption", "<unk>": "unknown word"}


def spell_token(token: str) -> str:
    """Return a token as a person reads it.

    Example:
        >>> spell_token("<unk>"), spell_token("dog")
        ('unknown word', 'dog')
    """
    return _SPELLED.get(token, token)
