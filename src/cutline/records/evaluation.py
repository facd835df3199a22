"""What an evaluation finds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cutline.records.data import Problem
from cutline.records.scores import Diversity, Interval, Scores

HUMAN: Final = "human"
MOST_COMMON: Final = "most common caption"
RANDOM: Final = "random training caption"
NEAREST: Final = "nearest neighbour"
CONSENSUS: Final = "consensus of neighbours"


@dataclass(frozen=True)
class Baseline:
    """What somebody or something else scores on the same images.

    Attributes:
        name: :data:`HUMAN`, :data:`MOST_COMMON`, :data:`RANDOM`, :data:`NEAREST` or :data:`CONSENSUS`.
        scores: Of its captions.
        references_per_image: Mean number of references each of its captions was compared with.
        caption: The one caption it gives to every image, or ``""``.
        model_scores: The model's scores against exactly those references, where they are fewer than the
            evaluation's own (as for people, where each reference is scored against the others).
        note: One sentence on how it was made, for people.
    """

    name: str
    scores: Scores
    references_per_image: float
    caption: str = ""
    model_scores: Scores | None = None
    note: str = ""


@dataclass(frozen=True)
class LookingTest:
    """Does the model look at the picture? Its scores with the features of other images.

    Attributes:
        cider_d: CIDEr-D with each image's own features, ×100.
        shuffled_cider_d: CIDEr-D when every image gets the features of another one, ×100.
        looking: True when CIDEr-D falls by at least half.
        causes: Likely reasons when it does not, one sentence each.
    """

    cider_d: float
    shuffled_cider_d: float
    looking: bool
    causes: tuple[str, ...] = ()

    @property
    def fall(self) -> float:
        """Share of CIDEr-D that is lost with other images' features; 0 when there was none to lose."""
        return 1 - self.shuffled_cider_d / self.cider_d if self.cider_d > 0 else 0.0


BY_LENGTH: Final = "caption length"
BY_RARE_WORDS: Final = "rare words"
"""What the kinds of slices that every evaluation has begin with."""


@dataclass(frozen=True)
class Slice:
    """Scores over a part of the images.

    Attributes:
        kind: What the images are grouped by, e.g. ``"caption length"``.
        name: The part, e.g. ``"up to 8 words"``.
        images: Number of images in it.
        cider_d: Mean CIDEr-D over them, ×100, with the document frequencies of the whole evaluation.
        bleu_4: BLEU-4 over them, ×100.
        interval: Of ``cider_d``; None for a single image.
        image_ids: Which images; the report filters its photos by them. Empty when not kept.
    """

    kind: str
    name: str
    images: int
    cider_d: float
    bleu_4: float
    interval: Interval | None = None
    image_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReliabilityBin:
    """Captions of similar confidence.

    Attributes:
        low: Lowest confidence of the bin, 0..1.
        high: Highest confidence of the bin, 0..1.
        confidence: Mean confidence, 0..1.
        acceptable: Share that was acceptable, 0..1.
        images: How many.
    """

    low: float
    high: float
    confidence: float
    acceptable: float
    images: int


@dataclass(frozen=True)
class CoveragePoint:
    """What is left when only captions of at least some confidence are kept.

    Attributes:
        coverage: Share of the captions kept, 0..1.
        min_confidence: Lowest confidence kept, 0..1.
        cider_d: Mean CIDEr-D of those kept, ×100.
        acceptable: Share of those kept that were acceptable, 0..1.
    """

    coverage: float
    min_confidence: float
    cider_d: float
    acceptable: float


@dataclass(frozen=True)
class Calibration:
    """How far a confidence can be believed, measured on images it was not fitted on.

    Attributes:
        definition: What "acceptable" means, in words.
        threshold: CIDEr-D (×100) from which a caption is acceptable.
        acceptable: Share of the measured captions that were acceptable, 0..1.
        expected_calibration_error: Mean distance between confidence and share of acceptable captions,
            weighted by the images of each bin, 0..1.
        fitted_on: Number of images the confidence was fitted on.
        measured_on: Number of images it was measured on; none of the former.
        bins: By rising confidence.
        coverage: By falling coverage.
        error_by_chance: The calibration error that confidences which are exactly right would show on as many
            images, by chance alone, 0..1; None when not computed.
    """

    definition: str
    threshold: float
    acceptable: float
    expected_calibration_error: float
    fitted_on: int
    measured_on: int
    bins: tuple[ReliabilityBin, ...]
    coverage: tuple[CoveragePoint, ...]
    error_by_chance: float | None = None


@dataclass(frozen=True)
class UnlikeTraining:
    """Images of another kind than the training images, of which the model knows little.

    Attributes:
        images: Number of images looked at: those that the limit was not chosen on.
        image_ids: Which of them are unlike the training images.
        expected: Share of images like the training images that is called unlike them all the same, 0..1.
    """

    images: int
    image_ids: tuple[str, ...]
    expected: float

    @property
    def share(self) -> float:
        """Share of the images that is unlike the training images, 0..1."""
        return len(self.image_ids) / self.images


@dataclass(frozen=True)
class LearningPoint:
    """One training run of a learning curve.

    Attributes:
        share: Share of the training images it was trained on, 0..1.
        images: Number of them.
        captions: Number of their captions.
        cider_d: CIDEr-D on the split evaluated, ×100.
        interval: Of ``cider_d``; None when not computed.
    """

    share: float
    images: int
    captions: int
    cider_d: float
    interval: Interval | None = None


@dataclass(frozen=True)
class LearningCurve:
    """What more captions would buy.

    Attributes:
        points: By rising share; at least two.
        gain: CIDEr-D that ``more_captions`` more captions are expected to add, ×100; None when nothing was
            learnt yet.
        more_captions: How many.
        forecast: The same in a sentence, with how sure it is.
        interval: Of ``gain``; None when not computed.
    """

    points: tuple[LearningPoint, ...]
    gain: float | None
    more_captions: int
    forecast: str
    interval: Interval | None = None


@dataclass(frozen=True)
class EvaluationResult:
    """What ``cutline evaluate`` found on one split.

    Attributes:
        split: The split that was captioned.
        scores: Of the generated captions.
        baselines: What others score on the same images; the most common training caption is always there.
        diversity: Of the generated captions.
        loss: Teacher-forced, nats per non-padding token.
        word_accuracy: Teacher-forced, share of non-padding tokens predicted right, 0..1.
        captions: image_id → hypothesis text.
        references: image_id → reference captions.
        images: image_id → path of the image.
        image_scores: image_id → CIDEr-D of its caption, ×100.
        confidences: image_id → probability (0..1) that its caption is acceptable; empty when the model
            carries no confidence.
        looking: The looking test; None when it was not made, as for a single image.
        slices: Scores over parts of the images.
        calibration: How far the confidences can be believed; None without them.
        unlike_training: Images of another kind than the training images; None when the model cannot tell.
        learning_curve: What more captions would buy; None when it was not asked for.
        model: Where the model came from.
        data_fingerprint: Of the data set that was evaluated.
        decoding: One line naming the decoding options.
        notes: What could not be measured and why, one sentence each.
        problems: Images that could not be captioned.
    """

    split: str
    scores: Scores
    baselines: tuple[Baseline, ...]
    diversity: Diversity
    loss: float
    word_accuracy: float
    captions: Mapping[str, str]
    references: Mapping[str, tuple[str, ...]]
    images: Mapping[str, str]
    image_scores: Mapping[str, float]
    model: str
    data_fingerprint: str
    decoding: str
    confidences: Mapping[str, float] = field(default_factory=dict)
    looking: LookingTest | None = None
    slices: tuple[Slice, ...] = ()
    calibration: Calibration | None = None
    unlike_training: UnlikeTraining | None = None
    learning_curve: LearningCurve | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def groups(self) -> tuple[Slice, ...]:
        """Those slices that a column of the table makes."""
        return tuple(part for part in self.slices if not part.kind.startswith((BY_LENGTH, BY_RARE_WORDS)))

    def baseline(self, name: str) -> Baseline | None:
        """Return the baseline of that name, or None."""
        return next((baseline for baseline in self.baselines if baseline.name == name), None)

    @property
    def most_common(self) -> Baseline:
        """The most common training caption given to every image, which every evaluation has."""
        return next(baseline for baseline in self.baselines if baseline.name == MOST_COMMON)

    @property
    def perplexity(self) -> float:
        """Teacher-forced: e to the loss, how many tokens the model hesitates between."""
        return math.exp(self.loss)
