"""What more captions would buy: a curve through the scores of runs on parts of the training images.

Over the few doublings that can be tried, scores of models grow about evenly with the logarithm of the data
(Sun et al., "Revisiting Unreasonable Effectiveness of Data in Deep Learning Era", 2017). A power law with an
end that it cannot pass (Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017) bends as
curves do in the end, but its three numbers go through any three points exactly and leave nothing to see the
error by; so two numbers are fitted here, and the bend goes into the range that is told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.errors import DataError
from cutline.metrics.significance import RESAMPLES, resampled_sums
from cutline.records import Example, Interval, LearningCurve, LearningPoint

SHARES: Final = (0.25, 0.5)
"""Shares of the training images that are trained on besides the whole: two doublings."""

MORE_CAPTIONS: Final = 500

LEARNT: Final = 1.0
"""CIDEr-D (×100) that one of the runs must reach; below it nothing was learnt that could grow."""

_NOTHING_LEARNT: Final = (
    f"no forecast: none of the runs reaches a CIDEr-D of {LEARNT:g}, so nothing was learnt yet that more "
    "captions could add to; train longer, or look for what is wrong first"
)

Floats = NDArray[np.float64]


def nested_subset(examples: Sequence[Example], share: float, seed: int) -> tuple[Example, ...]:
    """Draw a share of the images by seed; a smaller share is part of every larger one.

    The draw depends on the seed and the images alone, not on their order, which stays.

    Args:
        examples: With digests, or with image ids that tell them apart.
        share: Above 0, at most 1; at least one image is drawn.
        seed: Of the draw.

    Example:
        >>> examples = [Example(str(number), "", ("a dog",)) for number in range(8)]
        >>> quarter, half = nested_subset(examples, 0.25, 0), nested_subset(examples, 0.5, 0)
        >>> len(quarter), len(half), set(quarter) <= set(half)
        (2, 4, True)
    """

    def place(example: Example) -> bytes:
        return hashlib.sha256(f"{seed}:{example.digest or example.image_id}".encode()).digest()

    count = max(1, round(share * len(examples)))
    drawn = {id(example) for example in sorted(examples, key=place)[:count]}
    return tuple(example for example in examples if id(example) in drawn)


def fit_learning_curve(
    points: Sequence[LearningPoint], image_scores: Sequence[Floats], more_captions: int = MORE_CAPTIONS
) -> LearningCurve:
    """Fit CIDEr-D = a + b · ln(captions) by least squares and say what more captions would buy.

    How sure that is comes from 1,000 resamples of the scored images, the same images for all points; each
    gives the slope of every step between two neighbouring points, and the range holds the middle 95 % of all
    of them. So it is wide when few images were scored, when the curve bends, and when one run was lucky.

    Args:
        points: Two or more by rising number of captions, all scored on the same N images.
        image_scores: For each point the CIDEr-D of each image, ×100, (N,), in the same order of images.
        more_captions: The forecast is for so many more, but for no more than there are: it never goes
            beyond doubling what was measured.

    Returns:
        The curve; without gain, and with a sentence that says why, when no run scores :data:`LEARNT`.

    Raises:
        DataError: There are fewer than two points, or two with the same number of captions.

    Example:
        >>> points = [LearningPoint(s, int(80 * s), int(400 * s), 20 + 5 * np.log2(s)) for s in (0.5, 1.0)]
        >>> scores = [np.full(100, point.cider_d) for point in points]
        >>> curve = fit_learning_curve(points, scores, more_captions=400)
        >>> curve.forecast
        '400 more captions (twice as many) buy about +5.0 CIDEr-D (between +5.0 and +5.0)'
    """
    captions = np.array([point.captions for point in points], np.float64)
    if len(points) < 2 or not (np.diff(captions) > 0).all():
        found = ", ".join(f"{point.captions:,}" for point in points) or "none"
        raise DataError(
            f"a learning curve needs runs on rising numbers of captions, at least two; found {found}; "
            "add training images"
        )
    total = points[-1].captions
    more = min(more_captions, total)
    if max(point.cider_d for point in points) < LEARNT:
        return LearningCurve(tuple(points), None, more, _NOTHING_LEARNT)
    logs = np.log(captions)
    slope = float(np.polyfit(logs, [point.cider_d for point in points], 1)[0])
    means = resampled_sums(np.stack(image_scores, axis=1), RESAMPLES, seed=0) / len(image_scores[0])
    low, high = np.percentile(np.diff(means) / np.diff(logs), (2.5, 97.5)).tolist()
    step = float(np.log1p(more / total))
    interval = Interval(low * step, high * step)
    forecast = _sentence(more, total, slope, (low, high))
    return LearningCurve(tuple(points), slope * step, more, forecast, interval)


def _sentence(more: int, total: int, slope: float, ends: tuple[float, float]) -> str:
    doubling = f"; twice as many ({2 * total:,}) about {_gain(slope, ends, total, total)}"
    if more == total:
        doubling = ""
    noun = "caption" if more == 1 else "captions"
    twice = " (twice as many)" if more == total else ""
    doubt = "; that more of the same helps at all is not sure" if ends[0] <= 0 else ""
    return f"{more:,} more {noun}{twice} buy about {_gain(slope, ends, more, total)}{doubling}{doubt}"


def _gain(slope: float, ends: tuple[float, float], more: int, total: int) -> str:
    step = float(np.log1p(more / total))
    values = [value * step for value in (slope, *ends)]
    digits = 1 if max(map(abs, values)) >= 1 else 2
    # Adding 0 turns what would be written as -0.00 into +0.00.
    gain, low, high = (f"{round(value, digits) + 0.0:+.{digits}f}" for value in values)
    return f"{gain} CIDEr-D (between {low} and {high})"
