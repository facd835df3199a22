from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import ScriptedStepModel

from cutline.decoding import Filters, Groups, beam, greedy

START, END = 0, 1
SIZE = 6
WORDS = range(2, SIZE)


def random_table(seed: int, size: int = SIZE):
    def chances(image: int, written: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng([seed, image, *written]).dirichlet(np.full(size, 0.5)) + 1e-9

    return chances


def features_of(images: int) -> np.ndarray:
    return np.arange(images, dtype=np.float32)[:, None]


def holds(tokens: tuple[int, ...], part: tuple[int, ...]) -> bool:
    return any(tokens[at : at + len(part)] == part for at in range(len(tokens)))


def best_by_brute_force(script, required, max_length: int) -> float:
    best = -np.inf
    for length in range(max_length + 1):
        for tokens in itertools.product(WORDS, repeat=length):
            if all(holds(tokens, word) for word in required):
                steps = [*tokens, END][:max_length]
                logs = [np.log(script(0, tokens[:at])[token]) for at, token in enumerate(steps)]
                best = max(best, sum(logs))
    return best


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tokens=st.permutations(WORDS),
    sizes=st.sampled_from([(1,), (2,), (1, 1), (1, 2)]),
)
def test_with_enough_beams_the_best_of_all_captions_with_the_words_is_found(seed, tokens, sizes):
    required = [tuple(tokens[at * 2 : at * 2 + size]) for at, size in enumerate(sizes)]
    script, longest = random_table(seed), sum(map(len, required)) + 1
    found = beam(
        ScriptedStepModel(script, START),
        features_of(1),
        START,
        END,
        longest,
        beam_size=4**longest,
        forbidden=(START,),
        filters=Filters(required=tuple(required)),
    )
    best = best_by_brute_force(script, required, longest)
    assert found[0][0].log_probability == pytest.approx(best, rel=1e-5)


def test_a_hundred_images_have_two_required_words_in_every_caption():
    filters = Filters(required=((3,), (17, 9)), end_words=(4,), no_repeat_ngram=2)
    lists = beam(
        ScriptedStepModel(random_table(1, 30), START),
        features_of(100),
        START,
        END,
        10,
        beam_size=3,
        n_best=3,
        forbidden=(START,),
        filters=filters,
    )
    assert [len(found) for found in lists] == [3] * 100
    for result in itertools.chain.from_iterable(lists):
        assert 3 in result.token_ids
        assert holds(result.token_ids, (17, 9))


def test_a_word_stands_where_it_fits_and_not_where_room_ends():
    """The model likes "8 2" and otherwise 5: the word that it never begins with by itself is followed up."""

    def fluent(image: int, written: tuple[int, ...]) -> list[float]:
        if not written:
            return [0, 0.01, 0.02, 0, 0, 0.9, 0.07]
        if len(written) > 3:
            return [0, 0.9, 0.02, 0.02, 0.02, 0.02, 0.02]
        if written[-1] == 6:
            return [0, 0.04, 0.9, 0.02, 0.02, 0.01, 0.01]
        if 2 in written:
            return [0, 0.9, 0.02, 0.02, 0.02, 0.02, 0.02]
        return [0, 0.1, 0.01, 0.02, 0.02, 0.45, 0.4]

    filters = Filters(required=((2,),))
    model = ScriptedStepModel(fluent, START)
    ((best,),) = beam(model, features_of(1), START, END, 12, 2, forbidden=(START,), filters=filters)
    (first,) = greedy(ScriptedStepModel(fluent, START), features_of(1), START, END, 12, (START,), filters)
    assert best.token_ids == (5, 6, 2)
    assert best.finished
    assert first.log_probability < best.log_probability


@pytest.mark.parametrize("groups", [Groups(), Groups(2, 0.5)])
def test_a_batch_gives_the_same_captions_as_one_image_at_a_time(groups):
    filters = Filters(required=((3,), (4, 2)), no_repeat_ngram=2)

    def captions(*images: int):
        model = ScriptedStepModel(random_table(2, 9), START)
        features = np.array(images, np.float32)[:, None]
        return beam(model, features, START, END, 7, 4, 0.6, 2, (START,), filters, groups)

    assert captions(*range(64)) == [captions(image)[0] for image in range(64)]


def test_banks_cost_rows_only_while_they_hold_beginnings():
    model = ScriptedStepModel(random_table(3), START)
    beam(model, features_of(1), START, END, 4, 2, forbidden=(START,), filters=Filters(required=((2, 3),)))
    assert model.batches[0] == 1
    assert max(model.batches) <= 6
