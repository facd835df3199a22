from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import made_up_captions

from cutline.errors import DataError
from cutline.metrics import Scorer, bootstrap_interval, compare, compare_seeds, interval_of_mean
from cutline.metrics.contributions import METRICS, corpus_scores
from cutline.metrics.significance import resampled_sums
from cutline.records import Interval


@pytest.mark.parametrize("draw", ["normal", "exponential", "standard_cauchy_clipped", "rare"])
def test_intervals_cover_the_true_mean_about_as_often_as_they_say(draw):
    rng = np.random.default_rng(3)

    def sample(size: int) -> np.ndarray:
        if draw == "rare":
            return (rng.random(size) < 0.2).astype(float)
        if draw == "standard_cauchy_clipped":
            return np.clip(rng.standard_cauchy(size), -5, 5)
        return getattr(rng, draw)(size=size)

    true_mean = {"normal": 0.0, "exponential": 1.0, "standard_cauchy_clipped": 0.0, "rare": 0.2}[draw]
    intervals = [interval_of_mean(sample(120), resamples=400, seed=seed) for seed in range(400)]
    covered = np.mean([found.low <= true_mean <= found.high for found in intervals])
    # binomial error of 400 tries is 0.011; percentile intervals of 120 values are a little too short
    assert 0.90 <= covered <= 0.985


def test_the_interval_of_bleu_covers_the_bleu_of_all_images():
    hypotheses, references = made_up_captions(1200, seed=1)
    scorer = Scorer(references)
    contributions = scorer.contributions(hypotheses)
    everything = corpus_scores(contributions.sum(0), len(contributions))
    rng = np.random.default_rng(0)
    covered = np.zeros(len(METRICS))
    for seed in range(100):
        some = contributions[rng.integers(0, len(contributions), 100)]
        scores = corpus_scores(resampled_sums(some, 300, seed), len(some))
        low, high = np.percentile(scores, [2.5, 97.5], axis=0)
        covered += (low <= everything) & (everything <= high)
    assert (covered >= 86).all()


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
def test_an_interval_stays_within_the_values_and_holds_their_mean_or_touches_it(values):
    found = interval_of_mean(np.array(values), resamples=200)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_a_single_value_has_an_interval_without_width():
    assert interval_of_mean(np.array([3.5])) == Interval(3.5, 3.5)


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_values_without_a_mean_are_refused(values):
    with pytest.raises(DataError, match="one finite value per image"):
        interval_of_mean(np.array(values))


def test_more_images_make_narrower_intervals():
    values = np.random.default_rng(0).normal(size=4000)
    few, many = (interval_of_mean(values[:count]) for count in (40, 4000))
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(10, rel=0.35)


def test_sums_do_not_depend_on_the_size_of_blocks(monkeypatch):
    values = np.random.default_rng(0).normal(size=(50, 3))
    expected = resampled_sums(values, 100, seed=7)
    monkeypatch.setattr("cutline.metrics.significance._BLOCK", 600)
    np.testing.assert_allclose(resampled_sums(values, 100, seed=7), expected, rtol=1e-12)


def test_an_interval_of_any_function_of_sums_can_be_had():
    values = np.array([[1.0, 2.0], [2.0, 2.0], [0.0, 4.0]] * 30)
    found = bootstrap_interval(values, lambda sums: sums[:, 0] / sums[:, 1])
    assert found.low < 3 / 8 < found.high


def test_scores_carry_intervals_when_asked():
    hypotheses, references = made_up_captions(60)
    scorer = Scorer(references)
    plain, sure = scorer.score(hypotheses), scorer.score(hypotheses, intervals=True)
    assert plain.intervals == {}
    assert list(sure.intervals) == list(METRICS)
    assert replace(sure, intervals={}) == plain
    for name, interval in sure.intervals.items():
        assert interval.low < getattr(sure, name) < interval.high
    alone = interval_of_mean(scorer.per_image(hypotheses)["cider_d"])
    assert asdict(sure.intervals["cider_d"]) == pytest.approx(asdict(alone), rel=1e-12)
    assert scorer.score(hypotheses, intervals=True) == sure


def test_the_contributions_of_some_images_give_the_scores_of_these():
    hypotheses, references = made_up_captions(30)
    some = list(references)[:12]
    sums = Scorer(references).contributions(hypotheses)[:12].sum(0)
    alone = Scorer({key: references[key] for key in some}).score({key: hypotheses[key] for key in some})
    # CIDEr is left out: document frequencies are those of all images on one side
    expected = [alone.bleu_1, alone.bleu_2, alone.bleu_3, alone.bleu_4, alone.rouge_l]
    np.testing.assert_allclose(corpus_scores(sums, 12)[:5], expected, rtol=1e-12)


def test_equal_hypotheses_do_not_differ():
    hypotheses, references = made_up_captions(40)
    for name, found in compare(Scorer(references), hypotheses, dict(hypotheses)).items():
        assert (found.metric, found.difference, found.half_width, found.p_value) == (name, 0, 0, 1)


def test_a_better_system_is_found_better_and_the_other_way_round():
    hypotheses, references = made_up_captions(80)
    human = {image_id: captions[0] for image_id, captions in references.items()}
    scorer = Scorer(references)
    there, back = compare(scorer, hypotheses, human), compare(scorer, human, hypotheses)
    assert list(there) == list(METRICS)
    for name, found in there.items():
        assert found.second == pytest.approx(getattr(scorer.score(human), name), rel=1e-12)
        assert found.difference == found.second - found.first == -back[name].difference
        assert found.difference > found.half_width > 0
        assert found.p_value <= 0.001
        assert found.p_value == pytest.approx(back[name].p_value, abs=2e-4)


def test_one_different_caption_is_no_evidence():
    hypotheses, references = made_up_captions(50)
    other = hypotheses | {"7.jpg": references["7.jpg"][0], "8.jpg": "zebra"}
    for found in compare(Scorer(references), hypotheses, other).values():
        assert found.p_value >= 0.4


def test_p_values_are_even_when_nothing_differs():
    _, references = made_up_captions(60, seed=2)
    scorer, rng = Scorer(references), np.random.default_rng(0)
    one, other = made_up_captions(60, seed=2)[0], {key: texts[-1] for key, texts in references.items()}
    p_values = []
    for _ in range(20):
        # which system wrote which caption is tossed, so neither is better
        heads = dict(zip(one, rng.random(len(one)) < 0.5, strict=True))
        first = {key: one[key] if heads[key] else other[key] for key in one}
        second = {key: other[key] if heads[key] else one[key] for key in one}
        p_values.append(compare(scorer, first, second)["rouge_l"].p_value)
    assert 0.3 < np.mean(p_values) < 0.7
    assert np.mean(np.array(p_values) < 0.05) <= 0.2


def test_the_randomisation_test_is_that_of_all_exchanges():
    references = {str(number): [f"a red dog runs on field {number}", "a dog"] for number in range(7)}
    rng = np.random.default_rng(5)
    cut = {key: " ".join(texts[0].split()[: rng.integers(1, 7)]) for key, texts in references.items()}
    other = {key: " ".join(texts[0].split()[rng.integers(0, 4) :]) for key, texts in references.items()}
    scorer = Scorer(references)
    first, second = scorer.per_image(cut)["rouge_l"], scorer.per_image(other)["rouge_l"]
    signs = 1 - 2 * ((np.arange(2**7)[:, None] >> np.arange(7)) & 1)
    gaps = np.abs(signs @ (second - first))
    exact = np.mean(gaps >= abs((second - first).sum()) - 1e-9)
    assert compare(scorer, cut, other)["rouge_l"].p_value == pytest.approx(exact, abs=0.02)


def test_seeds_that_all_say_the_same_compare_as_one_does():
    hypotheses, references = made_up_captions(60, seed=1)
    others, _ = made_up_captions(60, seed=2)
    others = dict(zip(references, others.values(), strict=True))
    scorer = Scorer(references)
    one = compare(scorer, hypotheses, others)
    several = compare_seeds(scorer, [hypotheses] * 3, [others] * 2)
    for name, found in several.items():
        assert found.difference == pytest.approx(one[name].difference)
        assert found.half_width == pytest.approx(one[name].half_width)
        assert found.p_value == one[name].p_value


def test_seeds_narrow_what_chance_of_training_blurs():
    """Each seed of the second side is better by the same little, and each strays on other images."""
    names = [f"{number}" for number in range(200)]
    references = {name: [f"a red dot lies on field {name}"] for name in names}
    scorer = Scorer(references)

    def seed_of(number: int, share: float) -> dict[str, str]:
        rng = np.random.default_rng(number)
        return {name: references[name][0] if rng.random() < share else "snow" for name in names}

    first = [seed_of(number, 0.5) for number in range(8)]
    second = [seed_of(number, 0.6) for number in range(50, 58)]
    alone = compare(scorer, first[0], second[0])["rouge_l"]
    together = compare_seeds(scorer, first, second)["rouge_l"]
    assert together.half_width < alone.half_width / 2
    assert together.first == pytest.approx(np.mean([scorer.score(one).rouge_l for one in first]))


def test_a_side_without_seeds_is_refused():
    hypotheses, references = made_up_captions(5, seed=1)
    with pytest.raises(DataError, match="one seed or more on each side"):
        compare_seeds(Scorer(references), [hypotheses], [])
