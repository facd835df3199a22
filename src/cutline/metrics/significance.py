"""How sure scores and differences are: bootstrap intervals over images, and the test between two systems.

Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979); Koehn, "Statistical Significance Tests for
Machine Translation Evaluation" (2004) for resampling test sets; Noreen, "Computer-Intensive Methods for
Testing Hypotheses" (1989) for the paired randomisation test. Images are what is drawn: document frequencies
stay those of all images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from cutline.errors import DataError
from cutline.metrics.contributions import METRICS, corpus_scores
from cutline.metrics.references import Floats
from cutline.records import Comparison, Interval

if TYPE_CHECKING:
    from cutline.metrics.score import Scorer

RESAMPLES: Final = 1_000
EXCHANGES: Final = 10_000
_LEVELS: Final = (2.5, 97.5)
# Values of one block of draws: 8 MB of float64, whatever the number of images.
_BLOCK: Final = 1_000_000
# Two ways of adding up the same numbers differ by about this.
_ROUNDING: Final = 1e-9


def interval_of_mean(values: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Return the 95 % percentile bootstrap interval of the mean of one value per image.

    Args:
        values: (N,), at least one; with a single one the interval has no width.
        resamples: Number of bootstrap samples.
        seed: Of the samples; the same seed and N draw the same images.

    Raises:
        DataError: There is no value, or one that is not finite.

    Example:
        >>> interval_of_mean(np.array([0.0, 100.0] * 50))
        Interval(low=40.0, high=60.0)
    """
    return bootstrap_interval(values, resamples=resamples, seed=seed)


def standard_error(values: Floats) -> float:
    """Return that of the mean of one value per image; 0 for a single one, from which it cannot be told.

    Args:
        values: (N,), at least one.

    Example:
        >>> round(standard_error(np.array([1.0, 3.0, 1.0, 3.0, 2.0])), 3)
        0.447
    """
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def bootstrap_interval(
    values: Floats,
    statistic: Callable[[Floats], Floats] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the 95 % percentile bootstrap interval of a function of sums over images.

    Args:
        values: One value (N,) or S values (N, S) per image.
        statistic: From sums over the N images of each sample, (B, S), to the B values of the statistic;
            the mean of one value per image when None.
        resamples: Number of bootstrap samples B.
        seed: Of the samples.

    Raises:
        DataError: There is no image, or a value that is not finite.

    Example:
        >>> hits_and_tries = np.array([[1.0, 2.0], [2.0, 2.0], [0.0, 1.0]] * 20)
        >>> interval = bootstrap_interval(hits_and_tries, lambda sums: sums[:, 0] / sums[:, 1])
        >>> round(interval.low, 1), round(interval.high, 1)
        (0.5, 0.7)
    """
    values = np.asarray(values, np.float64)
    if not len(values) or not np.isfinite(values).all():
        found = "none" if not len(values) else "one that is not a finite number"
        raise DataError(f"an interval needs one finite value per image or more; found {found}")
    sums = resampled_sums(values.reshape(len(values), -1), resamples, seed)
    found_values = sums[:, 0] / len(values) if statistic is None else statistic(sums)
    low, high = np.percentile(found_values, _LEVELS)
    return Interval(float(low), float(high))


def intervals_of_scores(contributions: Floats) -> dict[str, Interval]:
    """Return score → interval from what :meth:`~cutline.metrics.Scorer.contributions` returns."""
    images = len(contributions)
    scores = corpus_scores(resampled_sums(contributions, RESAMPLES, seed=0), images)
    low, high = np.percentile(scores, _LEVELS, axis=0).tolist()
    return {name: Interval(*ends) for name, *ends in zip(METRICS, low, high, strict=True)}


def resampled_sums(values: Floats, resamples: int, seed: int) -> Floats:
    """Return (B, S): the sums of values (N, S) over N images drawn with replacement, B times."""
    return np.concatenate([times @ values for times in _times_drawn(len(values), resamples, seed)])


def compare(scorer: Scorer, first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, Comparison]:
    """Test whether a second set of hypotheses scores differently from a first one on the same images.

    The same images are drawn for both sets, so what images have in common does not blur the difference. The
    p-value is that of the paired randomisation test: (1 + exchanges with a difference as large) ÷
    (1 + exchanges), so at least 0.0001.

    Args:
        scorer: Holds the references.
        first: image_id → hypothesis.
        second: image_id → hypothesis; the difference is the second's score minus the first's.

    Returns:
        Name of the score → comparison, for BLEU-1..4, ROUGE-L, CIDEr and CIDEr-D.

    Raises:
        DataError: Hypotheses and references are not of the same images.

    Example:
        >>> from cutline.metrics import Scorer
        >>> references = {str(number): [f"a red dot on field {number}"] for number in range(20)}
        >>> good = {image_id: captions[0] for image_id, captions in references.items()}
        >>> found = compare(Scorer(references), dict.fromkeys(references, "a dot"), good)["rouge_l"]
        >>> found.second, round(found.difference, 1), found.p_value < 0.001
        (100.0, 54.1, True)
    """
    return _compared(scorer.contributions(first), scorer.contributions(second))


def compare_seeds(
    scorer: Scorer, first: Sequence[Mapping[str, str]], second: Sequence[Mapping[str, str]]
) -> dict[str, Comparison]:
    """Test like :func:`compare` whether two configs differ, each with runs from several seeds.

    An image counts with the mean over the seeds of what its hypotheses add to the sums, and all of an image's
    hypotheses change sides together. So images are drawn and seeds are not: what is tested is whether these
    models differ on other images. How far other seeds would fall is for the deviation over seeds to say.

    Args:
        scorer: Holds the references.
        first: For each seed, image_id → hypothesis; one at least.
        second: Likewise; the numbers of seeds may differ.

    Returns:
        As :func:`compare`. BLEU is that of the hypotheses of all seeds as one corpus, the others are means.

    Raises:
        DataError: Hypotheses and references are not of the same images, or a side has no seed.

    Example:
        >>> from cutline.metrics import Scorer
        >>> references = {str(number): [f"a red dot on field {number}"] for number in range(20)}
        >>> good = {image_id: captions[0] for image_id, captions in references.items()}
        >>> bad = dict.fromkeys(references, "snow")
        >>> found = compare_seeds(Scorer(references), [bad, good], [good])["rouge_l"]
        >>> found.first, found.second, found.p_value < 0.001
        (50.0, 100.0, True)
    """
    if not first or not second:
        raise DataError("a comparison of seeds needs hypotheses of one seed or more on each side; found none")
    one, other = (np.mean([scorer.contributions(seed) for seed in side], axis=0) for side in (first, second))
    return _compared(one, other)


def _compared(one: Floats, other: Floats) -> dict[str, Comparison]:
    images = len(one)
    scores = corpus_scores(one.sum(0), images), corpus_scores(other.sum(0), images)
    half_widths = _half_widths(one, other)
    p_values = _p_values(one, other)
    rows = zip(METRICS, *(array.tolist() for array in (*scores, half_widths, p_values)), strict=True)
    return {
        name: Comparison(name, before, after, after - before, half_width, p_value)
        for name, before, after, half_width, p_value in rows
    }


def _half_widths(one: Floats, other: Floats) -> Floats:
    """Return half the width of each score difference's interval; both sides get the same images."""
    images = len(one)
    sums = resampled_sums(np.hstack([one, other]), RESAMPLES, seed=0)
    differences = corpus_scores(sums[:, one.shape[1] :], images) - corpus_scores(
        sums[:, : one.shape[1]], images
    )
    low, high = np.percentile(differences, _LEVELS, axis=0)
    half_widths: Floats = (high - low) / 2
    return half_widths


def _p_values(one: Floats, other: Floats) -> Floats:
    images = len(one)
    total, other_total, gap = one.sum(0), other.sum(0), other - one
    observed = np.abs(corpus_scores(other_total, images) - corpus_scores(total, images))
    as_large = np.zeros(len(METRICS))
    for exchanged in _exchanged(images, EXCHANGES, seed=0):
        moved = exchanged @ gap
        found = corpus_scores(other_total - moved, images) - corpus_scores(total + moved, images)
        as_large += (np.abs(found) >= observed - _ROUNDING).sum(0)
    return (1 + as_large) / (1 + EXCHANGES)


def _times_drawn(images: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield blocks (b, N): how often each image is in each bootstrap sample."""
    rng = np.random.default_rng(seed)
    for rows in _block_sizes(images, resamples):
        drawn = rng.integers(0, images, (rows, images))
        drawn += np.arange(rows)[:, None] * images
        yield np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images).astype(np.float64)


def _exchanged(images: int, exchanges: int, seed: int) -> Iterator[Floats]:
    """Yield blocks (b, N): 1 where an image's two hypotheses change sides, by the toss of a coin."""
    rng = np.random.default_rng(seed)
    for rows in _block_sizes(images, exchanges):
        coins = np.unpackbits(rng.integers(0, 256, (rows, -(-images // 8)), np.uint8), axis=1, count=images)
        yield coins.astype(np.float64)


def _block_sizes(images: int, wanted: int) -> Iterator[int]:
    size = max(1, _BLOCK // images)
    for at in range(0, wanted, size):
        yield min(size, wanted - at)
