from __future__ import annotations

import math

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.decoding import greedy
from cutline.errors import ConfigError

PAD, UNK, START, END, A, RED, DOT, DOG, RUNS = range(9)
FORBIDDEN = (PAD, UNK, START)
CAPTIONS = [(A, RED, DOT), (A, DOG, RUNS), (DOT,), (), (A, RED, RED, DOG, RUNS)]


def features_of(*images: int) -> np.ndarray:
    return np.array(images, np.float32)[:, None]


def spelling(image: int, written: tuple[int, ...]) -> list[float]:
    """Spell the caption of an image with probability 0.6 a token, then end it."""
    caption = CAPTIONS[image % len(CAPTIONS)]
    wanted = (
        caption[len(written)] if written == caption[: len(written)] and len(written) < len(caption) else END
    )
    return [0.6 if token == wanted else 0.05 for token in range(9)]


def decode(*images: int, max_length: int = 8, forbidden=FORBIDDEN):
    model = ScriptedStepModel(spelling, START)
    return greedy(model, features_of(*images), START, END, max_length, forbidden), model


def test_writes_the_most_probable_words_and_stops_at_the_end_marker():
    results, _ = decode(0, 1, 2, 3)
    assert [result.token_ids for result in results] == CAPTIONS[:4]
    assert all(result.finished for result in results)


def test_log_probability_is_the_sum_over_tokens_and_end_marker():
    (result,), _ = decode(1)
    assert result.log_probability == pytest.approx(4 * math.log(0.6), rel=1e-6)
    assert len(result.token_log_probabilities) == 4
    assert sum(result.token_log_probabilities) == result.log_probability


def test_a_caption_that_reaches_the_maximum_is_returned_unfinished():
    (result,), model = decode(1, max_length=2)
    assert result.token_ids == (A, DOG)
    assert not result.finished
    assert result.log_probability == pytest.approx(2 * math.log(0.6), rel=1e-6)
    assert len(model.batches) == 2


def test_finished_captions_leave_the_batch():
    _, model = decode(0, 2, 3, 4)
    assert model.batches == [4, 3, 2, 2, 1, 1]


def test_a_batch_gives_the_same_captions_as_one_image_at_a_time():
    images = [(7 * number) % 5 for number in range(64)]
    together, _ = decode(*images)
    assert together == [decode(image)[0][0] for image in images]


def test_forbidden_tokens_are_never_written():
    def prefers_markers(image, written):
        return (
            [0.4, 0.3, 0.2, 0.04, 0.06, 0, 0, 0, 0]
            if len(written) < 3
            else [0.4, 0.3, 0.2, 0.06, 0.04, 0, 0, 0, 0]
        )

    (result,) = greedy(ScriptedStepModel(prefers_markers, START), features_of(0), START, END, 8, FORBIDDEN)
    assert result.token_ids == (A, A, A)


def test_without_an_allowed_token_the_caption_ends_where_it_is():
    def only_padding(image, written):
        return [1, 0, 0, 0, 0] if written else [0, 0, 0, 0, 1]

    (result,) = greedy(ScriptedStepModel(only_padding, START), features_of(0), START, END, 8, FORBIDDEN)
    assert result.token_ids == (A,)
    assert result.log_probability == 0


def test_no_image_gives_no_caption():
    assert greedy(ScriptedStepModel(spelling, START), np.zeros((0, 4)), START, END, 8) == []


@pytest.mark.parametrize(
    ("max_length", "forbidden", "message"),
    [(0, (), "max_length is 0; .* at least 1"), (5, (END,), "end marker 3 is among the forbidden ids")],
)
def test_limits_that_allow_no_caption_are_refused(max_length, forbidden, message):
    with pytest.raises(ConfigError, match=message):
        decode(0, max_length=max_length, forbidden=forbidden)
