from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import ScriptedStepModel

from cutline.decoding import Narrowing, greedy, sample
from cutline.errors import ConfigError

START, END = 2, 3
FIRST = [0.0, 0.0, 0.0, 0.1, 0.4, 0.3, 0.2]


def one_word(image: int, written: tuple[int, ...]) -> list[float]:
    return FIRST if not written else [0, 0, 0, 1.0, 0, 0, 0]


def draw(samples: int = 4000, **options) -> Counter[tuple[int, ...]]:
    model = ScriptedStepModel(one_word, START)
    (results,) = sample(
        model, np.zeros((1, 1)), START, END, 5, samples, forbidden=(0, 1, 2), narrowing=Narrowing(**options)
    )
    for result in results:
        first = result.token_ids[0] if result.token_ids else END
        assert result.token_log_probabilities[0] == pytest.approx(np.log(FIRST[first]), rel=1e-5)
    return Counter(result.token_ids for result in results)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {(): 0.1, (4,): 0.4, (5,): 0.3, (6,): 0.2}),
        ({"top_k": 2}, {(4,): 0.4, (5,): 0.3}),
        ({"top_k": 9}, {(): 0.1, (4,): 0.4, (5,): 0.3, (6,): 0.2}),
        ({"top_p": 0.65}, {(4,): 0.4, (5,): 0.3}),
        ({"top_p": 0.01}, {(4,): 1.0}),
        ({"top_k": 3, "top_p": 0.7}, {(4,): 0.4, (5,): 0.3}),
        ({"temperature": 0.5}, {(): 0.01, (4,): 0.16, (5,): 0.09, (6,): 0.04}),
        ({"temperature": 0.5, "top_p": 0.8}, {(4,): 0.16, (5,): 0.09}),
    ],
)
def test_tokens_come_as_often_as_the_narrowed_probabilities_say(options, expected):
    counts = draw(**options)
    assert set(counts) == set(expected)
    for caption, chance in expected.items():
        assert counts[caption] / 4000 == pytest.approx(chance / sum(expected.values()), abs=0.001)


def test_a_low_temperature_or_one_token_is_greedy_decoding():
    def mixed(image, written):
        return np.random.default_rng([image, *written]).dirichlet(np.ones(300))

    features = np.arange(20, dtype=np.float32)[:, None]
    best = greedy(ScriptedStepModel(mixed, START), features, START, END, 8, (0, 1, 2))
    for narrowing in (Narrowing(temperature=1e-3), Narrowing(top_k=1), Narrowing(top_p=1e-6)):
        model = ScriptedStepModel(mixed, START)
        drawn = sample(model, features, START, END, 8, forbidden=(0, 1, 2), narrowing=narrowing)
        assert [found for (found,) in drawn] == best


@given(
    seed=st.integers(0, 10_000),
    top_k=st.integers(0, 12),
    top_p=st.floats(0.01, 1),
    temperature=st.floats(0.05, 5),
)
def test_the_most_probable_tokens_are_kept_and_enough_of_them(seed, top_k, top_p, temperature):
    chances = np.random.default_rng(seed).dirichlet(np.full(10, 0.5), 3).astype(np.float32) + 1e-6
    kept = Narrowing(temperature, top_k, top_p).apply(np.log(chances)) > -np.inf
    for row, chosen in zip(chances, kept, strict=True):
        assert chosen[row.argmax()]
        assert row[chosen].min() > row[~chosen].max(initial=0)
        if top_k:
            assert chosen.sum() <= top_k
        elif temperature == 1:
            assert row[chosen].sum() >= top_p * row.sum() - 1e-5


def test_what_may_not_be_drawn_stays_so():
    drawn = Narrowing(2.0, 3, 0.9).apply(np.array([[-np.inf, -1, -2], [-np.inf] * 3], np.float32))
    assert (drawn == -np.inf).tolist() == [[True, False, False], [True, True, True]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0}, "temperature is 0; it must be above 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0}, "top_p is 0"),
        ({"top_p": 1.5}, "top_p is 1.5; it must be above 0 and at most 1"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Narrowing(**options)
