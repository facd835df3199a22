"""A model that hands over its most probable tokens alone is searched to the same captions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import ScriptedStepModel

from cutline.decoding import CharacterBudget, Filters, Groups, Shortlisting, beam, greedy

START, END, SIZE, LONGEST = 0, 1, 9, 6


class ListingModel(ScriptedStepModel):
    """A scripted model that offers its most probable tokens, and notes how many were asked for."""

    def __init__(self, script: Any) -> None:
        super().__init__(script, START)
        self.asked: list[int] = []

    def step_best(self, token_ids: Any, state: Any, count: int) -> tuple[Any, Any, Any]:
        self.asked.append(count)
        logs, state = self.step(token_ids, state)
        listed = np.argsort(-logs, axis=1, kind="stable")[:, :count].astype(np.int64)
        return listed, np.take_along_axis(logs, listed, axis=1), state


def chances(seed: int, ties: bool) -> Any:
    """Probabilities of every beginning; with ties many are equal, and some 0."""

    def script(image: int, written: tuple[int, ...]) -> np.ndarray:
        found = np.random.default_rng([seed, image, *written]).dirichlet(np.full(SIZE, 0.5))
        found = np.round(found * 4) if ties else found + 1e-6
        return np.asarray(found + 1e-30 * (found.sum() == 0))

    return script


FILTERS = {
    "none": Filters(),
    "forbidden": Filters(forbidden=((3,), (4, 5))),
    "minimum length": Filters(min_length=3),
    "no repetition": Filters(no_repeat_ngram=2),
    "no word twice": Filters(no_repeat_ngram=1),
    "end words": Filters(end_words=(2, 3, 4)),
    "everything": Filters(forbidden=((3,), (4, 5)), min_length=2, no_repeat_ngram=2, end_words=(2, 6)),
}


@pytest.mark.parametrize("name", FILTERS)
@given(seed=st.integers(0, 10_000), ties=st.booleans(), beam_size=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_captions_are_the_same_from_a_list_as_from_all_tokens(name, seed, ties, beam_size):
    script = chances(seed, ties)
    whole, listing = ScriptedStepModel(script, START), ListingModel(script)
    images = np.arange(3, dtype=np.float32)[:, None]
    given = (images, START, END, LONGEST)
    limits: dict[str, Any] = {"forbidden": (START,), "filters": FILTERS[name]}
    with np.errstate(divide="ignore"):
        assert greedy(listing, *given, **limits) == greedy(whole, *given, **limits)
        wide = {**limits, "beam_size": beam_size, "n_best": beam_size}
        assert beam(listing, *given, **wide) == beam(whole, *given, **wide)
    assert listing.asked


def test_no_more_tokens_are_asked_for_than_may_be_needed():
    model = ListingModel(chances(1, False))
    greedy(model, np.zeros((1, 1), np.float32), START, END, LONGEST, forbidden=(START, 2))
    assert set(model.asked) == {3}
    model.asked.clear()
    beam(model, np.zeros((1, 1), np.float32), START, END, LONGEST, beam_size=2, forbidden=(START,))
    assert set(model.asked) == {5}


@pytest.mark.parametrize(
    "limits",
    [
        {"filters": Filters(required=((3,),))},
        {"filters": Filters(budget=CharacterBudget(9, np.full(SIZE, 2)))},
        {"groups": Groups(2)},
    ],
    ids=["required words", "length budget", "groups"],
)
def test_a_search_that_needs_all_tokens_asks_for_no_list(limits):
    model = ListingModel(chances(1, False))
    assert isinstance(model, Shortlisting)
    beam(model, np.zeros((1, 1), np.float32), START, END, LONGEST, beam_size=2, forbidden=(START,), **limits)
    assert not model.asked
