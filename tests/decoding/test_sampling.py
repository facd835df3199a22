from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.decoding import sample
from cutline.errors import ConfigError

START, END = 2, 3
FORBIDDEN = (0, 1, 2)
FIRST = [0.1, 0.1, 0.0, 0.1, 0.4, 0.3]


def features_of(*images: int) -> np.ndarray:
    return np.array(images, np.float32)[:, None]


def one_word(image: int, written: tuple[int, ...]) -> list[float]:
    return FIRST if not written else [0, 0, 0, 1.0, 0, 0]


def mixed(image: int, written: tuple[int, ...]) -> list[float]:
    return np.random.default_rng([image, *written]).dirichlet(np.ones(200)).tolist()


def draw(script, *images: int, samples: int = 1, seed: int = 0, max_length: int = 6):
    model = ScriptedStepModel(script, START)
    return sample(model, features_of(*images), START, END, max_length, samples, seed, FORBIDDEN)


def test_tokens_come_as_often_as_their_probability_says():
    (results,) = draw(one_word, 0, samples=4000)
    counts = Counter(result.token_ids for result in results)
    allowed = {(): 0.1, (4,): 0.4, (5,): 0.3}
    for caption, probability in allowed.items():
        assert counts[caption] / 4000 == pytest.approx(probability / sum(allowed.values()), abs=0.001)


def test_each_sample_alone_is_an_honest_draw():
    firsts = Counter(draw(one_word, 0, samples=3, seed=seed)[0][0].token_ids for seed in range(3000))
    assert firsts[(4,)] / 3000 == pytest.approx(0.5, abs=0.03)
    assert firsts[(5,)] / 3000 == pytest.approx(0.375, abs=0.03)


def test_samples_are_spread_over_what_the_model_may_say():
    def even(image, written):
        return [0, 0, 0, 0, *[1 / 8] * 8] if not written else [0, 0, 0, 1.0, *[0] * 8]

    for seed in range(20):
        (results,) = draw(even, 0, samples=8, seed=seed)
        assert len({result.token_ids for result in results}) == 8


def test_a_batch_gives_the_same_samples_as_one_image_at_a_time():
    together = draw(mixed, *range(12), samples=3)
    assert together == [draw(mixed, image, samples=3)[0] for image in range(12)]


def test_another_seed_gives_other_samples():
    assert draw(mixed, 0, samples=3) == draw(mixed, 0, samples=3)
    assert draw(mixed, 0, samples=3) != draw(mixed, 0, samples=3, seed=1)


def test_log_probabilities_are_those_of_the_model():
    (results,) = draw(mixed, 5, samples=4)
    for result in results:
        written: tuple[int, ...] = ()
        for token, log in zip((*result.token_ids, END), result.token_log_probabilities, strict=False):
            assert log == pytest.approx(np.log(mixed(5, written)[token]), rel=1e-4)
            written = (*written, token)


def test_forbidden_and_impossible_tokens_are_never_drawn():
    (results,) = draw(mixed, 1, samples=50, max_length=30)
    assert all(token > END for result in results for token in result.token_ids)

    def last_only(image, written):
        return [0.5, 0.5, 0, 0, *[0] * 190, 1e-9]

    (results,) = draw(last_only, 0, samples=20, max_length=3)
    assert {result.token_ids for result in results} == {(194, 194, 194)}


def test_without_an_allowed_token_the_caption_ends_where_it_is():
    def stuck(image, written):
        return [0, 0, 0, 0, 1.0, 0] if not written else [1.0, 0, 0, 0, 0, 0]

    ((result,),) = draw(stuck, 0)
    assert result.token_ids == (4,)
    assert not result.finished


def test_captions_that_are_done_leave_the_batch():
    model = ScriptedStepModel(
        lambda image, written: [0, 0, 0, 1.0] if len(written) >= image else [1.0] * 4, 2
    )
    sample(model, features_of(0, 0, 0), START, END, 6, samples=2, forbidden=(0, 1))
    assert model.batches == [6]


def test_bad_numbers_are_refused():
    with pytest.raises(ConfigError, match="samples is 0; it must be 1 or more"):
        draw(mixed, 0, samples=0)
    with pytest.raises(ConfigError, match="max_length"):
        draw(mixed, 0, max_length=0)


def test_no_images_give_no_samples():
    assert sample(ScriptedStepModel(mixed, START), np.zeros((0, 1)), START, END, 5) == []
