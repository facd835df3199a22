from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.fakes import made_up_evaluation, made_up_whole_evaluation

from cutline.records import Interval
from cutline.report.standings import Scale, groups_of, scale_of


def test_only_what_was_compared_with_the_same_references_stands_together(tmp_path: Path) -> None:
    everyone, beside_people = groups_of(made_up_whole_evaluation(tmp_path))
    assert [standing.name for standing in everyone.standings] == [
        "this model",
        "consensus of neighbours",
        "nearest neighbour",
        "most common caption",
        "random training caption",
    ]
    assert [(s.name, s.scores.cider_d) for s in beside_people.standings] == [
        ("people", 83.0),
        ("this model", 45.0),
    ]
    assert everyone.model == 48.2
    assert beside_people.model == 45.0
    assert "4 references" in beside_people.title


def test_the_model_is_marked_once_in_every_group(tmp_path: Path) -> None:
    for group in groups_of(made_up_whole_evaluation(tmp_path)):
        assert [standing.name for standing in group.standings if standing.own] == ["this model"]


def test_with_the_most_common_caption_alone_there_is_one_group(tmp_path: Path) -> None:
    (group,) = groups_of(made_up_evaluation(tmp_path))
    assert len(group.standings) == 2


def test_the_best_stands_first(tmp_path: Path) -> None:
    result = made_up_whole_evaluation(tmp_path)
    poor = replace(result, scores=replace(result.scores, cider_d=7.0))
    assert groups_of(poor)[0].standings[-1].name == "random training caption"
    assert groups_of(poor)[0].standings[-2].own


def test_a_scale_holds_scores_and_intervals() -> None:
    scale = scale_of([(40.0, Interval(30.0, 50.0)), (10.0, None)])
    assert scale == Scale(50.0)
    assert scale.at(50.0) == "100.00%"
    assert scale_of([]).at(0.0) == scale_of([(0.0, None)]).at(0.0) == "0.00%"
