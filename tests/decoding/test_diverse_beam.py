from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.decoding import Groups, agreement, beam
from cutline.errors import ConfigError

START, END = 0, 1
SIZE = 12


def random_table(image: int, written: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng([image, *written]).dirichlet(np.full(SIZE, 0.3)) + 1e-9


def search(
    *images: int, count: int, diversity: float, n_best: int = 4, beam_size: int = 4, script=random_table
):
    model, features = ScriptedStepModel(script, START), np.array(images, np.float32)[:, None]
    groups = Groups(count, diversity)
    return beam(model, features, START, END, 6, beam_size, 0.0, n_best, (START,), groups=groups)


def likeness(lists) -> float:
    pairs = [
        agreement(one.token_ids, [two.token_ids]) for found in lists for one, two in combinations(found, 2)
    ]
    return float(np.mean(pairs))


def test_the_first_group_searches_as_if_it_were_alone():
    together = search(*range(20), count=4, diversity=1.0)
    alone = search(*range(20), count=1, diversity=0.0, n_best=1, beam_size=1)
    for found, (first,) in zip(together, alone, strict=True):
        assert first in found


def test_groups_are_more_diverse_than_one_beam_and_the_more_the_stronger():
    images = range(40)
    plain = likeness(search(*images, count=1, diversity=0.0))
    weak = likeness(search(*images, count=4, diversity=0.5))
    strong = likeness(search(*images, count=4, diversity=5.0))
    assert strong < weak < plain


def test_a_strong_group_begins_with_another_word():
    (found,) = search(0, count=4, diversity=50.0)
    assert len({result.token_ids[:1] for result in found if result.token_ids}) >= 3


def test_log_probabilities_stay_those_of_the_model():
    for found in search(*range(5), count=2, diversity=2.0):
        for result in found:
            steps = [*result.token_ids, END][: len(result.token_log_probabilities)]
            place = next(image for image in range(5) if found in [search(image, count=2, diversity=2.0)[0]])
            logs = [np.log(random_table(place, tuple(steps[:at]))[token]) for at, token in enumerate(steps)]
            assert result.token_log_probabilities == pytest.approx(logs, rel=1e-4)


def test_captions_come_in_turn_and_none_twice():
    for found in search(*range(20), count=2, diversity=0.5):
        assert len({result.token_ids for result in found}) == len(found)
    for found in search(*range(20), count=2, diversity=0.0):  # both groups find the same
        assert len({result.token_ids for result in found}) == len(found) == 2


def test_a_batch_gives_the_same_captions_as_one_image_at_a_time():
    together = search(*range(64), count=2, diversity=0.7)
    assert together == [search(image, count=2, diversity=0.7)[0] for image in range(64)]


def test_groups_that_do_not_divide_the_beams_are_refused():
    with pytest.raises(
        ConfigError, match="groups is 3; it must be 1 or more and divide the beam size, which is 4"
    ):
        search(0, count=3, diversity=0.5)
    with pytest.raises(ConfigError, match="groups is 0"):
        search(0, count=0, diversity=0.5)
    with pytest.raises(ConfigError, match="diversity is -1"):
        search(0, count=2, diversity=-1)
