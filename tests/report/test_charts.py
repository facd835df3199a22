from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cutline.records import Interval
from cutline.report.charts import HEIGHT, WIDTH, Series, axis, chart, percent_axis

finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(finite, min_size=1, max_size=20), st.booleans(), st.booleans())
@example([0.0, 5e-324], True, False)
@example([0.0, 5e-324], False, True)
@example([1.0, 1.0 + 2**-52], False, False)
@example([1e20, 1e20], False, False)
def test_an_axis_holds_its_values_and_has_few_round_ticks(
    values: list[float], zero: bool, whole: bool
) -> None:
    made = axis("x", values, zero=zero, whole=whole)
    slack = 1e-6 * max(1.0, *(abs(value) for value in values))
    assert made.low <= min(values) + slack
    assert made.high >= max(values) - slack
    assert made.low < made.high
    assert 1 <= len(made.ticks) <= 8
    assert list(made.ticks) == sorted(set(made.ticks))


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=20))
@example([(0.0, 5e-324), (5e-324, 0.0)])
def test_every_mark_lies_inside_the_chart(points: list[tuple[float, float]]) -> None:
    across, up = axis("x", [x for x, _ in points]), axis("y", [y for _, y in points])
    drawn = chart("t", across, up, [Series("s", tuple(points))])
    for mark in drawn.lines[0].marks:
        assert drawn.left - 0.1 <= float(mark[0]) <= drawn.right + 0.1
        assert drawn.top - 0.1 <= float(mark[1]) <= drawn.bottom + 0.1
    assert (drawn.width, drawn.height) == (WIDTH, HEIGHT)


def test_larger_values_stand_higher_and_further_right() -> None:
    drawn = chart("t", percent_axis("x"), percent_axis("y"), [Series("s", ((0.0, 0.0), (100.0, 100.0)))])
    (left, bottom), (right, top) = drawn.lines[0].marks
    assert (float(left), float(bottom)) == (drawn.left, drawn.bottom)
    assert (float(right), float(top)) == (drawn.right, drawn.top)
    assert drawn.lines[0].paths == (f"M{left} {bottom}L{right} {top}",)


def test_a_value_that_is_not_a_number_leaves_a_gap() -> None:
    values = [1.0, 2.0, math.nan, 4.0, 5.0, math.nan, 7.0]
    points = tuple((float(at), value) for at, value in enumerate(values))
    drawn = chart("t", axis("x", [0, 6]), axis("y", values), [Series("s", points)])
    assert len(drawn.lines[0].paths) == 2
    assert len(drawn.lines[0].marks) == 5


def test_nothing_but_gaps_can_be_drawn_and_says_so() -> None:
    drawn = chart("t", axis("x", [1, 2]), axis("y", [math.nan]), [Series("s", ((1.0, math.nan),))])
    assert drawn.lines[0].paths == drawn.lines[0].marks == ()
    assert drawn.description == "t: nothing to draw."


def test_a_long_line_has_no_marks() -> None:
    points = tuple((float(at), float(at)) for at in range(100))
    drawn = chart("t", axis("x", range(100)), axis("y", range(100)), [Series("s", points)])
    assert drawn.lines[0].marks == ()
    assert drawn.lines[0].paths[0].count("L") == 99


def test_intervals_are_whiskers_around_their_points() -> None:
    series = Series("s", ((1.0, 50.0), (2.0, 60.0)), (Interval(40.0, 70.0), None))
    drawn = chart("t", axis("x", [1, 2]), percent_axis("y"), [series])
    ((across, low, high),) = drawn.lines[0].whiskers
    place = drawn.lines[0].marks[0]
    assert across == place[0]
    assert float(low) > float(place[1]) > float(high)


def test_the_description_tells_the_first_and_last_value() -> None:
    drawn = chart("Loss", axis("epoch", [1, 3]), axis("y", [4, 2]), [Series("val", ((1.0, 4.0), (3.0, 2.5)))])
    assert drawn.description == "Loss, over epoch. val: 4 at 1, 2.5 at 3."


@pytest.mark.parametrize(
    ("values", "ticks"), [([1, 22], (5, 10, 15, 20)), ([1], (1,)), ([1, 4], (1, 2, 3, 4))]
)
def test_epochs_have_whole_ticks(values: list[int], ticks: tuple[int, ...]) -> None:
    assert axis("epoch", values, zero=False, whole=True).ticks == ticks
