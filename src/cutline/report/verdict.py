"""What an evaluation comes to, in words: is the model good, does it look, does it know when it is sure?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from cutline.records import (
    CONSENSUS,
    HUMAN,
    NEAREST,
    RANDOM,
    Baseline,
    Calibration,
    EvaluationResult,
    LookingTest,
    Scores,
)
from cutline.report.templating import count, percent, points, score

GOOD: Final = "good"
FAIR: Final = "fair"
POOR: Final = "poor"
NONE: Final = "none"

CLOSE_TO_PEOPLE: Final = 0.85
"""Share of people's CIDEr-D from which a model is called close to people."""
SURE_ENOUGH: Final = 0.05
"""Expected calibration error up to which confidences can be taken at their word."""
ROUGHLY_SURE: Final = 0.1
FEW_IMAGES: Final = 100
"""Below this number of images a warning is given that the figures are rough."""

_COPIES: Final = (NEAREST, CONSENSUS)
_CLEARLY: Final = 0.05
_NO_SCORE: Final = 0.5
_FEW_OF_A_KIND: Final = 5
_ALIKE: Final = 0.02
_BEYOND_CHANCE: Final = 2.0
_MANY_UNLIKE: Final = 0.1


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        question: As a person would ask it.
        short: In a word or two.
        level: ``"good"``, ``"fair"``, ``"poor"`` or ``"none"`` when it is not known.
        text: The figures behind the answer, in sentences.
        causes: Likely reasons, one sentence each.
    """

    question: str
    short: str
    level: str
    text: str
    causes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The conclusion of an evaluation.

    Attributes:
        headline: One sentence without a full stop.
        level: As of :class:`Answer`.
        answers: Good, looking, sure: always these three.
        caveats: What limits all of it, one sentence each.
    """

    headline: str
    level: str
    answers: tuple[Answer, ...]
    caveats: tuple[str, ...] = ()


def judge(result: EvaluationResult) -> Verdict:
    """Judge a model by its scores beside people's and beside those of simpler ways to get a caption.

    One score is *clearly* higher than another when their 95 % intervals do not meet or, without intervals,
    when it is higher by a twentieth. Being clearly higher than a copied caption is worth "fair"; for "good"
    it must also reach :data:`CLOSE_TO_PEOPLE` of what people score against the same references.
    """
    headline, short, level = _rank(result)
    quality = Answer("How good are the captions?", short, level, " ".join(_comparisons(result)))
    looking = _looking(result.looking)
    if looking.level == POOR:
        headline, level = "It is not looking at the picture", POOR
    elif level == GOOD and result.split in ("train", "all"):
        level = FAIR
    return Verdict(headline, level, (quality, looking, _sureness(result.calibration)), _caveats(result))


def _rank(result: EvaluationResult) -> tuple[str, str, str]:
    """Return headline, answer and level: those of the first rung that holds the model back."""
    model, copy = result.scores, _best_copy(result)
    drawn = result.baseline(RANDOM)
    if not _is_clearly_above(model, result.most_common.scores):
        return "No better than one sentence for every picture", "no better than one sentence", POOR
    if drawn and not _is_clearly_above(model, drawn.scores):
        return "No better than a caption drawn by lot", "no better than chance", POOR
    if copy and _is_clearly_above(copy.scores, model):
        return "Worse than copying captions of similar pictures", "worse than copying", POOR
    if copy and not _is_clearly_above(model, copy.scores):
        return (
            "Not clearly better than copying captions of similar pictures",
            "hardly better than copying",
            FAIR,
        )
    human = result.baseline(HUMAN)
    if human and human.scores.cider_d > _NO_SCORE:
        share = (human.model_scores or model).cider_d / human.scores.cider_d
        return _rank_beside_people(share, copied=copy is not None)
    if copy:
        return "Better than copying captions of similar pictures", "better than copying", FAIR
    times = _times(model, result.most_common.scores)
    return f"{times} one sentence for every picture", "better than one sentence", FAIR


def _rank_beside_people(share: float, copied: bool) -> tuple[str, str, str]:
    if share >= 1:
        return "By this score as good as captions by people", "as good as people", GOOD
    if share >= CLOSE_TO_PEOPLE:
        return f"Close to people: {percent(share, 0)} of what their captions score", "close to people", GOOD
    if copied:
        reached = percent(share, 0)
        headline = f"Better than copying captions of similar pictures; {reached} of what people score"
        return headline, "between copying and people", FAIR
    return f"{percent(share, 0)} of what captions by people score", "below people", FAIR


def _comparisons(result: EvaluationResult) -> list[str]:
    model, human, copy = result.scores, result.baseline(HUMAN), _best_copy(result)
    said = []
    if human:
        same = human.model_scores or model
        said.append(
            f"Captions by people score {score(human.scores.cider_d)} when each is compared with the others "
            f"of its image; against the same references the model scores {score(same.cider_d)}."
        )
    if copy:
        said.append(
            f"Copying captions of similar training images ({copy.name}) scores {score(copy.scores.cider_d)} "
            f"where the model scores {score(model.cider_d)}."
        )
    said.append(f"One sentence for every image scores {score(result.most_common.scores.cider_d)}.")
    return said


def _looking(test: LookingTest | None) -> Answer:
    question = "Does it look at the picture?"
    if test is None:
        return Answer(question, "not tested", NONE, "The test needs at least two different images.")
    figures = f"{score(test.cider_d)} with its own image, {score(test.shuffled_cider_d)} with another one"
    if test.looking:
        text = f"With the features of another image its score falls by {percent(test.fall, 0)}: {figures}."
        return Answer(question, "yes", GOOD, text, test.causes)
    fall = f"by {percent(test.fall, 0)} only" if test.fall > 0 else "not at all"
    text = f"With the features of another image its score falls {fall}: {figures}. At least half should go."
    return Answer(question, "no", POOR, text, test.causes)


def _sureness(calibration: Calibration | None) -> Answer:
    question = "Does it know when it is sure?"
    if calibration is None:
        return Answer(
            question,
            "not known",
            NONE,
            "This evaluation has no confidences: they are fitted at the end of training when there are "
            "enough val images.",
        )
    error = calibration.expected_calibration_error
    text = (
        f"Its confidence is off by {points(error)} on average, measured on "
        f"{calibration.measured_on:,} images it was not fitted on; {percent(calibration.acceptable, 0)} of "
        "their captions were acceptable."
    )
    if calibration.error_by_chance is not None:
        text += f" Confidences that are exactly right would be off by {points(calibration.error_by_chance)}."
    sure_enough = error <= max(SURE_ENOUGH, calibration.error_by_chance or 0.0)
    if not sure_enough and error > ROUGHLY_SURE:
        return Answer(question, "no", POOR, text)
    if min(_of_each_kind(calibration)) < _FEW_OF_A_KIND:
        good = round(calibration.acceptable * calibration.measured_on)
        text += f" With {good:,} good ones among {calibration.measured_on:,} there is nothing to tell apart."
        return Answer(question, "cannot be told", NONE, text)
    if not _tells_apart(calibration):
        text += " But the captions it is surest of are not clearly better than the others."
        return Answer(question, "it cannot tell good from bad", FAIR, text)
    return Answer(question, "yes", GOOD, text) if sure_enough else Answer(question, "roughly", FAIR, text)


def _of_each_kind(calibration: Calibration) -> tuple[float, float]:
    """Return how many captions were acceptable, and how many were not."""
    good = calibration.acceptable * calibration.measured_on
    return good, calibration.measured_on - good


def _tells_apart(calibration: Calibration) -> bool:
    """Tell whether the surer half has more acceptable captions than a half drawn by lot would have.

    Confidences that are all alike have their error at nothing: what they are worth shows in what is kept.
    """
    bins = [part.confidence for part in calibration.bins]
    if not calibration.coverage or not bins or max(bins) - min(bins) < _ALIKE:
        return False
    half = min(calibration.coverage, key=lambda point: abs(point.coverage - 0.5))
    share = calibration.acceptable
    by_lot = share * (1 - share) / calibration.measured_on * (1 / half.coverage - 1)
    return half.acceptable - share > _BEYOND_CHANCE * math.sqrt(by_lot)


def _caveats(result: EvaluationResult) -> tuple[str, ...]:
    said = []
    if result.split == "train":
        said.append("It was trained on these images, so this says little about new ones.")
    if result.split == "all":
        said.append("Some of these images may be images it was trained on, which flatters it.")
    unlike = result.unlike_training
    if unlike is not None and unlike.share > max(_MANY_UNLIKE, unlike.expected):
        share = percent(unlike.share, 0)
        said.append(f"{share} of these images are unlike those it was trained on: it knows little of them.")
    if result.scores.images < FEW_IMAGES:
        said.append(f"With {count(result.scores.images, 'image')} all figures are rough.")
    return tuple(said)


def _best_copy(result: EvaluationResult) -> Baseline | None:
    copies = [copy for name in _COPIES if (copy := result.baseline(name))]
    return max(copies, key=lambda copy: copy.scores.cider_d, default=None)


def _is_clearly_above(higher: Scores, lower: Scores) -> bool:
    one, other = higher.intervals.get("cider_d"), lower.intervals.get("cider_d")
    if one and other:
        return one.low > other.high
    return higher.cider_d > lower.cider_d * (1 + _CLEARLY)


def _times(model: Scores, baseline: Scores) -> str:
    if baseline.cider_d < _NO_SCORE:
        return "Far better than"
    return f"{model.cider_d / baseline.cider_d:.1f} times the score of"
