from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes import made_up_evaluation, made_up_whole_evaluation

from cutline.report.gallery import choose_images, extremes, hang
from cutline.report.thumbnails import Thumbnail


def no_picture(path: str, large: bool) -> Thumbnail:
    return Thumbnail("large" if large else "small", 1, 1)


def test_best_and_worst_are_those_by_score_and_share_no_image(tmp_path: Path) -> None:
    result = made_up_whole_evaluation(tmp_path, 40)
    best, worst = extremes(result)
    ordered = sorted(result.image_scores.values())
    assert [result.image_scores[name] for name in best] == ordered[::-1][:12]
    assert [result.image_scores[name] for name in worst] == ordered[:12]
    assert not set(best) & set(worst)


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 1), (5, 2), (24, 12), (100, 12)])
def test_few_images_have_few_extremes(tmp_path: Path, count: int, expected: int) -> None:
    best, worst = extremes(made_up_whole_evaluation(tmp_path, count))
    assert len(best) == len(worst) == expected


def test_images_without_a_score_are_neither_best_nor_worst(tmp_path: Path) -> None:
    result = made_up_evaluation(tmp_path, 4, image_scores={"0.jpg": 5.0, "1.jpg": float("nan"), "3.jpg": 9.0})
    assert extremes(result) == (["3.jpg"], ["0.jpg"])


def test_all_images_are_shown_where_there_is_room(tmp_path: Path) -> None:
    result = made_up_evaluation(tmp_path, 30)
    assert choose_images([result], 30) == [tuple(result.captions)]


def test_of_too_many_a_fixed_choice_is_made_that_keeps_their_order(tmp_path: Path) -> None:
    result = made_up_evaluation(tmp_path, 50)
    (chosen,) = choose_images([result], 20)
    assert len(chosen) == 20
    assert list(chosen) == [name for name in result.captions if name in chosen]
    assert choose_images([result], 20) == [chosen]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((50, 50), [10, 10]), ((50, 4), [16, 4]), ((4, 50, 4), [4, 12, 4]), ((3, 5), [3, 5])],
)
def test_evaluations_share_the_page_and_leave_what_they_do_not_need(
    tmp_path: Path, counts: tuple[int, ...], expected: list[int]
) -> None:
    results = [made_up_evaluation(tmp_path, count) for count in counts]
    assert [len(chosen) for chosen in choose_images(results, 20)] == expected


def test_cards_hold_what_is_known_of_their_image(tmp_path: Path) -> None:
    result = made_up_whole_evaluation(tmp_path, 10)
    gallery = hang(result, list(result.captions)[:3], no_picture)
    assert [card.image_id for card in gallery.cards] == ["0.jpg", "1.jpg", "2.jpg"]
    first = gallery.cards[0]
    assert (first.score, first.confidence) == (result.image_scores["0.jpg"], result.confidences["0.jpg"])
    assert first.references == result.references["0.jpg"]
    assert first.parts == "1"
    assert {card.thumbnail.uri for card in gallery.cards if card.thumbnail} == {"small"}
    assert {card.thumbnail.uri for card in gallery.best + gallery.worst if card.thumbnail} == {"large"}


def test_a_card_without_figures_says_nothing_of_them(tmp_path: Path) -> None:
    result = made_up_evaluation(tmp_path, 2, image_scores={}, images={})
    gallery = hang(result, ["0.jpg"], no_picture)
    assert gallery.best == gallery.worst == ()
    (card,) = gallery.cards
    assert (card.thumbnail, card.score, card.confidence, card.parts) == (None, None, None, "")
