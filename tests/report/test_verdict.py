from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import made_up_evaluation, made_up_scores, made_up_whole_evaluation

from cutline.records import (
    CoveragePoint,
    EvaluationResult,
    LookingTest,
    ReliabilityBin,
    Scores,
    UnlikeTraining,
)
from cutline.report.verdict import FAIR, GOOD, NONE, POOR, judge


@pytest.fixture
def whole(tmp_path: Path) -> EvaluationResult:
    return made_up_whole_evaluation(tmp_path, 200)


def scoring(result: EvaluationResult, model: float, half_width: float = 2.0) -> EvaluationResult:
    """Replace what the model scores, by all references and beside people."""
    scores = made_up_scores(model, 200, half_width=half_width)
    beside = tuple(
        replace(baseline, model_scores=scores) if baseline.model_scores else baseline
        for baseline in result.baselines
    )
    return replace(result, scores=scores, baselines=beside)


def without(result: EvaluationResult, *names: str) -> EvaluationResult:
    return replace(result, baselines=tuple(b for b in result.baselines if b.name not in names))


@pytest.mark.parametrize(
    ("model", "headline", "level"),
    [
        (5.0, "No better than one sentence for every picture", POOR),
        (9.0, "No better than one sentence for every picture", POOR),
        (20.0, "Worse than copying", POOR),
        (36.5, "Not clearly better than copying", FAIR),
        (45.0, "Better than copying captions of similar pictures; 54 % of what people score", FAIR),
        (75.0, "Close to people: 90 %", GOOD),
        (90.0, "By this score as good as captions by people", GOOD),
    ],
)
def test_the_headline_climbs_with_the_score(
    whole: EvaluationResult, model: float, headline: str, level: str
) -> None:
    verdict = judge(scoring(whole, model))
    assert verdict.headline.startswith(headline)
    assert verdict.level == verdict.answers[0].level == level


def test_scores_whose_intervals_meet_are_not_told_apart(whole: EvaluationResult) -> None:
    assert judge(scoring(whole, 45.0, half_width=2.0)).headline.startswith("Better than copying")
    assert judge(scoring(whole, 45.0, half_width=9.0)).headline.startswith("Not clearly better than")


def test_a_caption_drawn_by_lot_must_be_beaten_too(whole: EvaluationResult) -> None:
    lucky = tuple(
        replace(b, scores=made_up_scores(40.0, 200)) if b.name.startswith("random") else b
        for b in whole.baselines
    )
    assert (
        judge(scoring(replace(whole, baselines=lucky), 40.0)).headline
        == "No better than a caption drawn by lot"
    )


def test_many_images_unlike_the_training_images_are_a_caveat(whole: EvaluationResult) -> None:
    few, many = (
        judge(replace(whole, unlike_training=UnlikeTraining(100, tuple(map(str, range(count))), 0.03)))
        for count in (10, 41)
    )
    assert not [caveat for caveat in few.caveats if "unlike" in caveat]
    assert "41 % of these images are unlike those it was trained on: it knows little of them." in many.caveats


def test_a_model_that_does_not_look_is_told_first_with_its_causes(whole: EvaluationResult) -> None:
    blind = LookingTest(60.0, 57.0, looking=False, causes=("It was trained for one epoch.",))
    verdict = judge(replace(scoring(whole, 90.0), looking=blind))
    assert verdict.headline == "It is not looking at the picture"
    assert verdict.level == POOR
    found = verdict.answers[1]
    assert (found.short, found.level) == ("no", POOR)
    assert found.causes == ("It was trained for one epoch.",)
    assert "by 5 % only: 60.0 with its own image, 57.0 with another one" in found.text


def test_a_score_that_rises_with_other_images_is_told_without_a_negative_fall(
    whole: EvaluationResult,
) -> None:
    verdict = judge(replace(whole, looking=LookingTest(10.0, 11.0, looking=False)))
    assert "falls not at all" in verdict.answers[1].text
    assert "-" not in verdict.answers[1].text


def test_the_model_is_measured_with_the_references_that_people_were(whole: EvaluationResult) -> None:
    # 48.2 against all references would be 58 %; 45.0 against those of people is 54 %.
    assert "54 %" in judge(whole).headline
    assert "against the same references the model scores 45.0" in judge(whole).answers[0].text


@pytest.mark.parametrize(
    ("error", "answer", "level"), [(0.05, "yes", GOOD), (0.09, "roughly", FAIR), (0.3, "no", POOR)]
)
def test_confidences_are_believed_by_how_far_they_are_off(
    whole: EvaluationResult, error: float, answer: str, level: str
) -> None:
    assert whole.calibration is not None
    calibration = replace(whole.calibration, expected_calibration_error=error)
    found = judge(replace(whole, calibration=calibration)).answers[2]
    assert (found.short, found.level) == (answer, level)


def test_confidences_that_are_off_by_no_more_than_chance_are_believed(whole: EvaluationResult) -> None:
    assert whole.calibration is not None
    calibration = replace(whole.calibration, expected_calibration_error=0.09, error_by_chance=0.1)
    found = judge(replace(whole, calibration=calibration)).answers[2]
    assert (found.short, found.level) == ("yes", GOOD)
    assert "exactly right would be off by 10.0 percentage points" in found.text


def sure(result: EvaluationResult, **changes: Any) -> tuple[str, str]:
    assert result.calibration is not None
    found = judge(replace(result, calibration=replace(result.calibration, **changes))).answers[2]
    return found.short, found.level


@pytest.mark.parametrize("acceptable", [0.0, 0.02, 0.99])
def test_with_hardly_any_caption_of_one_kind_there_is_nothing_to_tell_apart(
    whole: EvaluationResult, acceptable: float
) -> None:
    alike = tuple(CoveragePoint(share, 0.03, 1.0, acceptable) for share in (1.0, 0.5))
    assert sure(whole, acceptable=acceptable, coverage=alike) == ("cannot be told", NONE)
    assert sure(whole, acceptable=acceptable, expected_calibration_error=0.4) == ("no", POOR)


def test_confidences_of_which_the_surer_half_is_no_better_tell_nothing(whole: EvaluationResult) -> None:
    for better, answer in ((0.0, FAIR), (0.05, FAIR), (0.1, GOOD)):
        halves = tuple(CoveragePoint(s, 1 - s, 40.0, 0.5 + better * (s < 1)) for s in (1.0, 0.5))
        assert sure(whole, acceptable=0.5, coverage=halves)[1] == answer
    assert sure(whole, acceptable=0.5, coverage=halves[:1]) == ("it cannot tell good from bad", FAIR)


def test_confidences_that_are_all_alike_tell_nothing(whole: EvaluationResult) -> None:
    bins = (ReliabilityBin(0.5, 0.5, 0.5, 0.4, 100), ReliabilityBin(0.5, 0.51, 0.505, 0.6, 100))
    assert sure(whole, acceptable=0.5, bins=bins) == ("it cannot tell good from bad", FAIR)


def test_what_was_not_measured_is_not_known(tmp_path: Path) -> None:
    verdict = judge(made_up_evaluation(tmp_path))
    assert [found.level for found in verdict.answers] == [FAIR, NONE, NONE]
    assert len(verdict.answers) == 3
    assert all(found.text for found in verdict.answers)


def test_without_people_copying_is_the_bar_and_without_copies_people_are(whole: EvaluationResult) -> None:
    copies = ("nearest neighbour", "consensus of neighbours")
    assert judge(without(whole, "human")).headline == "Better than copying captions of similar pictures"
    assert judge(without(whole, *copies)).headline == "54 % of what captions by people score"


@pytest.mark.parametrize(
    ("model", "baseline", "expected"),
    [
        (5.0, 8.0, "No better than one sentence"),
        (8.1, 8.0, "No better than one sentence"),
        (40.0, 8.0, "5.0 times the score of one sentence"),
        (40.0, 0.1, "Far better than one sentence"),
        (0.0, 0.0, "No better than one sentence"),
    ],
)
def test_with_nothing_but_the_most_common_caption_it_is_the_bar(
    tmp_path: Path, model: float, baseline: float, expected: str
) -> None:
    scores = Scores(0, 0, 0, 0, 0, model, model, 10, 50, "ptb")
    result = made_up_evaluation(tmp_path, scores=scores)
    common = replace(result.most_common, scores=replace(scores, cider_d=baseline))
    assert judge(replace(result, baselines=(common,))).headline.startswith(expected)


def test_images_it_was_trained_on_make_no_good_verdict(whole: EvaluationResult) -> None:
    excellent = scoring(whole, 90.0)
    assert judge(excellent).caveats == ()
    for split in ("train", "all"):
        verdict = judge(replace(excellent, split=split))
        assert verdict.level == FAIR
        assert len(verdict.caveats) == 1


def test_few_images_are_said_to_be_few(tmp_path: Path) -> None:
    assert "With 3 images all figures are rough." in judge(made_up_evaluation(tmp_path, 3)).caveats
    assert "With 1 image all figures are rough." in judge(made_up_evaluation(tmp_path, 1)).caveats
