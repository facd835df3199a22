"""Several step models that write together."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.decoding import DecodeResult, Ensemble, beam, greedy
from cutline.decoding.ensemble import pack, views
from cutline.errors import ConfigError

START, END, A, DOG, CAT = range(5)
SIZE = 5

Script = Callable[[int, tuple[int, ...]], np.ndarray]


def scripted(seed: int) -> ScriptedStepModel:
    def script(image: int, written: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng([seed, image, *written]).dirichlet(np.full(SIZE, 0.6)) + 1e-6

    return ScriptedStepModel(script, START)


def saying(*chances: float) -> ScriptedStepModel:
    return ScriptedStepModel(lambda image, written: chances, START)


def images(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float32)[:, None]


def written_by(model) -> list[list[DecodeResult]]:
    return beam(model, images(20), START, END, 6, 3, 0.7, 3, (START,))


def first_step(*members: ScriptedStepModel) -> np.ndarray:
    model = Ensemble(members)
    logs, _ = model.step(np.array([START], np.int32), model.start(images(1)))
    return logs


def test_an_ensemble_of_one_is_the_model_bit_for_bit():
    assert written_by(Ensemble([scripted(0)])) == written_by(scripted(0))
    np.testing.assert_array_equal(first_step(saying(0, 0.3, 0.3, 0.3, 0.1))[0], np.log(
        np.array([0, 0.3, 0.3, 0.3, 0.1]), where=[False, True, True, True, True], out=np.full(5, -np.inf)
    ).astype(np.float32))  # fmt: skip


def test_two_copies_of_a_model_write_what_it_writes():
    alone, twice = written_by(scripted(1)), written_by(Ensemble([scripted(1), scripted(1)]))
    for one, other in zip(itertools.chain(*alone), itertools.chain(*twice), strict=True):
        assert one.token_ids == other.token_ids
        assert one.log_probability == pytest.approx(other.log_probability, rel=1e-6)


def test_probabilities_are_averaged_and_not_their_logarithms():
    logs = first_step(saying(0, 0.1, 0.9, 0.0, 0.0), saying(0, 0.1, 0.3, 0.6, 0.0))
    assert np.exp(logs[0]) == pytest.approx([0, 0.1, 0.6, 0.3, 0], abs=1e-6)
    assert logs.dtype == np.float32
    assert logs[0, CAT] == -np.inf, "impossible for both"


def test_together_they_may_write_what_neither_would_alone():
    one, other = (0.0, 0.0, 0.5, 0.1, 0.4), (0.0, 0.0, 0.1, 0.5, 0.4)

    def first(*members: tuple[float, ...]) -> tuple[int, ...]:
        model = Ensemble([saying(*chances) for chances in members])
        return greedy(model, images(1), START, END, 1, (START,))[0].token_ids

    assert (first(one), first(other), first(one, other)) == ((A,), (DOG,), (CAT,))


def test_the_order_of_members_does_not_matter():
    orders = list(itertools.permutations(range(3)))
    found = [written_by(Ensemble([scripted(seed) for seed in order])) for order in orders]
    for other in found[1:]:
        assert [[one.token_ids for one in results] for results in other] == [
            [one.token_ids for one in results] for results in found[0]
        ]
    assert found[0] != written_by(scripted(0))


def test_a_batch_gives_the_same_captions_as_one_image_at_a_time():
    def captions(features: np.ndarray) -> list[list[DecodeResult]]:
        return beam(Ensemble([scripted(4), scripted(5)]), features, START, END, 6, 4, 0.0, 2, (START,))

    assert captions(images(64)) == [captions(images(64)[at : at + 1])[0] for at in range(64)]


def test_no_probability_is_above_one():
    sure = [saying(0, 0, 1 + 1e-7, 0, 0)] * 3
    assert first_step(*sure).max() <= 0


def test_each_member_gets_the_features_of_its_own_encoder():
    pooled, grid = np.arange(6.0).reshape(2, 3), np.arange(16.0).reshape(2, 2, 4)
    packed = pack([pooled, grid])
    seen: list[np.ndarray] = []

    class Looking(ScriptedStepModel):
        def start(self, features: np.ndarray) -> list[tuple[int, ...]]:
            seen.append(features)
            return [(0,)] * len(features)

    def look(image: int, written: tuple[int, ...]) -> list[float]:
        return [0.0, 1.0, 0.0, 0.0, 0.0]

    of_pooled, of_grid = views([(3,), (2, 4)])
    Ensemble([Looking(look, START) for _ in range(3)], [of_grid, of_pooled, of_grid]).start(packed)
    for found, expected in zip(seen, (grid, pooled, grid), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_vocabularies_of_other_sizes_and_no_model_at_all_are_refused():
    with pytest.raises(ConfigError, match="vocabularies of 5 and 6 tokens"):
        first_step(saying(0, 0.2, 0.2, 0.2, 0.4), saying(0, 0.2, 0.2, 0.2, 0.2, 0.2))
    with pytest.raises(ConfigError, match="an ensemble of no models"):
        Ensemble([])
