"""How good captions are, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final

SCORE_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bleu_1": "BLEU-1",
        "bleu_2": "BLEU-2",
        "bleu_3": "BLEU-3",
        "bleu_4": "BLEU-4",
        "rouge_l": "ROUGE-L",
        "cider": "CIDEr",
        "cider_d": "CIDEr-D",
        "meteor": "METEOR",
        "spice": "SPICE",
    }
)
"""Field of :class:`Scores` → what it is called, in the order in which scores are shown."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, on the scale of the score it belongs to."""

    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """Caption scores over a set of images, all ×100, markers stripped from both sides.

    Attributes:
        bleu_1: BLEU-1, corpus level, closest reference length. Likewise ``bleu_2`` to ``bleu_4``.
        rouge_l: ROUGE-L, mean over images.
        cider: CIDEr without clipping and length penalty, mean over images.
        cider_d: CIDEr-D, mean over images (what COCO's evaluation code prints as CIDEr).
        images: Number of images scored.
        references: Number of references over all images.
        tokenizer: Name of the tokenisation applied to both sides.
        meteor: METEOR, or None when it was not computed.
        spice: SPICE, or None when it was not computed.
        not_computed: Name of a score that is None → why, one line, where somebody said why.
        intervals: Name of a score above → its bootstrap interval over images; empty when not computed.
        signature: One line that says how the scores were computed, ``""`` when unknown.

    Example:
        >>> scores = Scores(60, 42, 28, 18, 44, 52, 46, images=10, references=50, tokenizer="ptb")
        >>> scores.as_dict()["cider_d"]
        46
    """

    bleu_1: float
    bleu_2: float
    bleu_3: float
    bleu_4: float
    rouge_l: float
    cider: float
    cider_d: float
    images: int
    references: int
    tokenizer: str
    meteor: float | None = None
    spice: float | None = None
    not_computed: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    signature: str = ""

    def computed(self) -> tuple[str, ...]:
        """Return the names (fields) of the scores that are there, in the order of :data:`SCORE_NAMES`."""
        return tuple(name for name in SCORE_NAMES if getattr(self, name) is not None)

    def left_out(self) -> str:
        """Say which scores nobody asked for and how they are had; ``""`` when there are none.

        Example:
            >>> Scores(60, 42, 28, 18, 44, 52, 46, images=10, references=50, tokenizer="ptb").left_out()
            'METEOR, SPICE: not computed; cutline score --java computes them'
        """
        known = {*self.computed(), *self.not_computed}
        names = ", ".join(shown for name, shown in SCORE_NAMES.items() if name not in known)
        if not names:
            return ""
        # Their programs are for English, and captions in English are cut as COCO does.
        if self.tokenizer != "ptb":
            return f"{names}: not computed; they are for English"
        return f"{names}: not computed; cutline score --java computes them"

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as a plain dictionary in a fixed order."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """The paired test between two sets of hypotheses for the same images, in one score.

    Attributes:
        metric: Name of the score, a field of :class:`Scores`.
        first: Score of the first set, ×100.
        second: Score of the second set, ×100.
        difference: ``second - first``.
        half_width: Half the width of the difference's 95 % bootstrap interval over images.
        p_value: Two-sided: how often a difference as large comes about when the two sets are exchanged at
            random, image by image.
    """

    metric: str
    first: float
    second: float
    difference: float
    half_width: float
    p_value: float


@dataclass(frozen=True)
class Diversity:
    """How varied a set of captions is.

    Attributes:
        distinct_1: Different words ÷ words, 0..1.
        distinct_2: Different pairs of neighbouring words ÷ pairs, 0..1.
        words: Number of different words.
        unique_captions: Different captions ÷ captions, 0..1.
        novel_captions: Share (0..1) of the captions that are not among the training captions; None when these
            are not known.
        mean_length: Words per caption.
        function_word_endings: Share (0..1) of the captions that stop at a function word, such as "on a";
            None for languages whose function words are not known.
        most_repeated: The captions given most often with their counts, those given once left out.
        self_cider: Self-CIDEr over the n-best list of each image, 0..1, mean over images; None without
            lists. 1 is a list of captions that share nothing.
        mbleu_4: BLEU-4 of each hypothesis of a list against the others of its image, ×100; None without
            lists. Low is varied.
    """

    distinct_1: float
    distinct_2: float
    words: int
    unique_captions: float
    novel_captions: float | None
    mean_length: float
    function_word_endings: float | None
    most_repeated: tuple[tuple[str, int], ...] = ()
    self_cider: float | None = None
    mbleu_4: float | None = None
