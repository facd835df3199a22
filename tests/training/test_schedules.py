from __future__ import annotations

import json

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutline.config import TrainingOptions
from cutline.training.schedules import FINAL_SHARE, Schedule, rate_at, warmup_steps

options = st.builds(
    TrainingOptions,
    learning_rate=st.floats(1e-5, 1.0),
    warmup_steps=st.sampled_from([0, 1, 7, 100]),
    schedule=st.sampled_from(["constant", "cosine"]),
)


@given(options, st.integers(0, 3000), st.integers(1, 2000))
@settings(deadline=None, max_examples=60)
def test_the_rate_in_the_graph_is_that_of_the_pure_function(options, step, total_steps):
    found = float(Schedule(options, total_steps)(keras.ops.convert_to_tensor(step, dtype="int64")))
    assert found == pytest.approx(rate_at(step, options, total_steps), rel=1e-4)


@given(options, st.integers(0, 3000), st.integers(1, 2000))
def test_the_rate_stays_between_its_ends(options, step, total_steps):
    assert 0 < rate_at(step, options, total_steps) <= options.learning_rate


def test_it_warms_up_in_a_line_then_falls_along_half_a_cosine():
    options = TrainingOptions(learning_rate=1.0, warmup_steps=10)
    total = 10_000
    assert [rate_at(step, options, total) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0], rel=1e-4)
    half = FINAL_SHARE + (1 - FINAL_SHARE) / 2
    assert rate_at(total // 2, options, total) == pytest.approx(half)
    assert rate_at(total, options, total) == rate_at(10 * total, options, total) == pytest.approx(FINAL_SHARE)


@given(options, st.integers(1, 2000))
def test_the_warm_up_takes_at_most_a_tenth_of_the_run(options, total_steps):
    rising = warmup_steps(options, total_steps)
    assert rising <= options.warmup_steps
    assert 10 * rising <= total_steps
    assert rising == options.warmup_steps or 10 * (rising + 1) > total_steps


def test_a_run_of_few_steps_still_reaches_the_highest_rate():
    options = TrainingOptions(learning_rate=1.0, warmup_steps=100, schedule="constant")
    rates = [rate_at(step, options, 32) for step in range(32)]
    assert rates[:4] == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0])
    assert set(rates[2:]) == {1.0}
    assert rate_at(0, options, 9) == 1.0


def test_constant_means_constant():
    options = TrainingOptions(learning_rate=0.3, warmup_steps=0, schedule="constant")
    assert {rate_at(step, options, 100) for step in (0, 50, 100, 1000)} == {0.3}


def test_its_description_is_plain_json():
    config = Schedule(TrainingOptions(), 7).get_config()
    assert json.loads(json.dumps(config))["total_steps"] == 7


@given(options, st.integers(1, 2000))
def test_a_schedule_comes_back_from_its_configuration(options, total_steps):
    schedule = Schedule(options, total_steps)
    plain = json.loads(json.dumps(schedule.get_config()))
    again = Schedule.from_config(plain)
    assert (again.options, again.total_steps) == (options, total_steps)
