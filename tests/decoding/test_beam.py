from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import ScriptedStepModel

from cutline.decoding import DecodeResult, Groups, beam, greedy
from cutline.decoding.beam import Settings, beam_per_penalty
from cutline.errors import ConfigError

START, END, A, DOG, RUNS = range(5)
SIZE = 5

# Greedy takes "a", which leads nowhere good; the best caption begins with the second-best word.
GARDEN_PATH = {
    (): [0, 0.01, 0.55, 0.44, 0],
    (A,): [0, 0.4, 0.2, 0.2, 0.2],
    (DOG,): [0, 0.05, 0, 0, 0.95],
    (DOG, RUNS): [0, 0.98, 0.02, 0, 0],
}


def garden_path(image: int, written: tuple[int, ...]) -> list[float]:
    return GARDEN_PATH.get(written, [0, 0.9, 0.1, 0, 0])


def random_table(image: int, written: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Different probabilities for every beginning, the same ones at every call."""
    chances = np.random.default_rng([seed, image, *written]).dirichlet(np.full(SIZE, 0.6))
    return chances + 1e-6


def features_of(*images: int) -> np.ndarray:
    return np.array(images, np.float32)[:, None]


def search(script, *images: int, max_length: int = 4, forbidden=(START,), **options):
    model = ScriptedStepModel(script, START)
    return beam(model, features_of(*images), START, END, max_length, forbidden=forbidden, **options), model


def seeded(seed: int):
    return lambda image, written: random_table(image, written, seed)


def every_caption(script, max_length: int) -> dict[tuple[int, ...], tuple[float, int]]:
    """Log-probability and length (end marker counted) of all captions of one image, by brute force."""
    words = [token for token in range(SIZE) if token not in (START, END)]
    captions = {}
    for length in range(max_length + 1):
        for tokens in itertools.product(words, repeat=length):
            steps = [*tokens, END][:max_length]
            logs = [np.float32(np.log(script(0, tokens[:at])[token])) for at, token in enumerate(steps)]
            captions[tokens] = (float(np.sum(logs, dtype=np.float64)), len(steps))
    return captions


def test_finds_the_caption_that_greedy_misses():
    ((best,),), _ = search(garden_path, 0, beam_size=2)
    (first,) = greedy(ScriptedStepModel(garden_path, START), features_of(0), START, END, 4, (START,))
    assert first.token_ids == (A,)
    assert best.token_ids == (DOG, RUNS)
    assert best.log_probability == pytest.approx(np.log(0.44 * 0.95 * 0.98), rel=1e-6)
    assert best.finished


@settings(max_examples=5, deadline=None)
@given(size=st.integers(1, 6), sureness=st.sampled_from([0.05, 0.3, 1.0]))
def test_the_best_caption_is_never_less_probable_than_the_greedy_one(size, sureness):
    def chances(image, written):
        return np.random.default_rng([image, *written]).dirichlet(np.full(12, sureness)) + 1e-9

    found, _ = search(chances, *range(200), beam_size=size, max_length=6)
    model = ScriptedStepModel(chances, START)
    first = greedy(model, features_of(*range(200)), START, END, 6, (START,))
    gains = [
        best.log_probability - result.log_probability for (best,), result in zip(found, first, strict=True)
    ]
    assert min(gains) > -1e-6
    assert size == 1 or sum(gain > 0.01 for gain in gains) > 4


@given(seed=st.integers(0, 10_000), penalty=st.sampled_from([0.0, 0.7, 1.0]))
def test_one_beam_is_greedy_decoding(seed, penalty):
    found, _ = search(seeded(seed), 0, 1, 2, beam_size=1, length_penalty=penalty, max_length=6)
    model = ScriptedStepModel(seeded(seed), START)
    assert [result for (result,) in found] == greedy(model, features_of(0, 1, 2), START, END, 6, (START,))


def test_one_beam_is_greedy_decoding_when_tokens_are_equally_probable():
    def equal(image, written):
        return [0.2] * SIZE if len(written) % 2 else [0.1, 0.1, 0.1, 0.35, 0.35]

    ((found,),), _ = search(equal, 0, beam_size=1)
    assert [found] == greedy(ScriptedStepModel(equal, START), features_of(0), START, END, 4, (START,))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), max_length=st.integers(1, 4))
def test_a_full_beam_finds_the_best_of_all_captions(seed, max_length):
    script = seeded(seed)
    (found,), _ = search(script, 0, beam_size=3**max_length, n_best=3, max_length=max_length)
    captions = every_caption(script, max_length)
    expected = sorted(captions, key=lambda tokens: -captions[tokens][0])[:3]
    assert [result.token_ids for result in found] == expected
    assert found[0].log_probability == pytest.approx(captions[expected[0]][0], rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_full_beam_is_never_worse_than_greedy(seed):
    ((best,),), _ = search(seeded(seed), 0, beam_size=81)
    (first,) = greedy(ScriptedStepModel(seeded(seed), START), features_of(0), START, END, 4, (START,))
    assert best.log_probability >= first.log_probability


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 6), n_best=st.integers(1, 6))
def test_stopping_early_changes_nothing_without_length_penalty(seed, size, n_best):
    n_best = min(size, n_best)
    (found,), _ = search(seeded(seed), 0, beam_size=size, n_best=n_best, max_length=7)
    assert found == patient_search(seeded(seed), size, 7)[:n_best]


def patient_search(script, size: int, max_length: int) -> list[DecodeResult]:
    """Beam search for one image written as plainly as possible, never stopping before the maximum."""
    live, done, first = [((), ())], [], ()
    for _ in range(max_length):
        candidates = [
            ((*tokens, token), (*logs, float(np.float32(np.log(script(0, tokens)[token])))))
            for tokens, logs in live
            for token in range(SIZE)
            if token != START
        ]
        candidates.sort(key=lambda candidate: -sum(candidate[1]))
        done += [
            DecodeResult.of(tokens[:-1], logs) for tokens, logs in candidates[:size] if tokens[-1] == END
        ]
        live = [candidate for candidate in candidates if candidate[0][-1] != END][:size]
        # What greedy decoding would write is always followed.
        greedy_candidate = next((one for one in candidates if one[0][:-1] == first), None)
        if greedy_candidate is None or first[-1:] == (END,):
            continue
        first = greedy_candidate[0]
        if first[-1] == END and greedy_candidate not in candidates[:size]:
            done.append(DecodeResult.of(first[:-1], greedy_candidate[1]))
        if first[-1] != END and greedy_candidate not in live:
            live[-1] = greedy_candidate
    done += [DecodeResult.of(*candidate) for candidate in live]
    return sorted(done, key=lambda result: -result.log_probability)


def test_stops_as_soon_as_nothing_can_overtake():
    def sure(image, written):
        return [0.01, 0.01, 0.96, 0.01, 0.01] if not written else [0.01, 0.96, 0.01, 0.01, 0.01]

    _, model = search(sure, 0, beam_size=3, max_length=20)
    assert len(model.batches) == 2


def test_a_batch_gives_the_same_captions_as_one_image_at_a_time():
    images = [(7 * number) % 11 for number in range(64)]
    options = {"beam_size": 3, "n_best": 2, "length_penalty": 0.6, "max_length": 6}
    together, model = search(random_table, *images, **options)
    alone = [search(random_table, image, **options)[0][0] for image in images]
    assert together == alone
    assert model.batches[0] == 64  # there is one beginning at first, however many beams


def test_images_that_are_done_leave_the_batch():
    def ends_after(image, written):
        return [0, 0.9, 0.05, 0.05, 0] if len(written) == image else [0, 0.02, 0.9, 0.08, 0]

    _, model = search(ends_after, 0, 1, 2, beam_size=2, max_length=8)
    assert model.batches == [3, 4, 2]


def test_the_n_best_are_distinct_and_sorted():
    (found,), _ = search(random_table, 3, beam_size=8, n_best=8)
    assert len(found) == 8
    assert len({result.token_ids for result in found}) == 8
    logs = [result.log_probability for result in found]
    assert logs == sorted(logs, reverse=True)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_log_probabilities_are_those_the_model_gives(seed):
    (found,), _ = search(seeded(seed), 0, beam_size=4, n_best=4)
    for result in found:
        steps = [*result.token_ids, END][: len(result.token_log_probabilities)]
        given_logs = [
            np.log(random_table(0, tuple(steps[:at]), seed)[token]) for at, token in enumerate(steps)
        ]
        assert result.token_log_probabilities == pytest.approx(given_logs, rel=1e-5)
        assert result.log_probability == sum(result.token_log_probabilities)
        assert result.finished == (len(steps) == len(result.token_ids) + 1)


def test_a_length_penalty_favours_longer_captions():
    def two_lengths(image, written):
        if not written:
            return [0, 0.55, 0.45, 0, 0]
        return [0, 0.1, 0, 0.9, 0] if len(written) < 4 else [0, 1, 0, 0, 0]

    (plain,), _ = search(two_lengths, 0, beam_size=4, max_length=8)
    (favoured,), _ = search(two_lengths, 0, beam_size=4, max_length=8, length_penalty=1.0)
    assert plain[0].token_ids == ()
    assert len(favoured[0].token_ids) == 4


def test_the_length_that_is_divided_by_counts_the_end_marker():
    """Log-probabilities -1.0 over 1 step and -1.9 over 2: the second wins once divided by length."""
    chances = {(): [0, np.exp(-1.0), np.exp(-0.9), 0, 0]}

    (found,), _ = search(
        lambda image, written: chances.get(written, [0, np.exp(-1.0), 0, 0, 0]),
        0,
        beam_size=2,
        n_best=2,
        length_penalty=1.0,
        max_length=2,
    )
    assert [result.token_ids for result in found] == [(A,), ()]


def test_forbidden_tokens_are_never_written():
    (found,), _ = search(random_table, 5, beam_size=20, n_best=20, forbidden=(START, A))
    assert len(found) == 20
    assert not {START, A} & {token for result in found for token in result.token_ids}


def test_a_caption_that_reaches_the_maximum_is_returned_unfinished():
    def endless(image, written):
        return [0, 0, 0.1, 0.6, 0.3]

    (found,), model = search(endless, 0, beam_size=3, n_best=3, max_length=5)
    assert [len(result.token_ids) for result in found] == [5, 5, 5]
    assert not any(result.finished for result in found)
    assert found[0].log_probability == pytest.approx(5 * np.log(0.6), rel=1e-5)
    assert len(model.batches) == 5


def test_more_beams_than_there_are_captions_give_all_of_them():
    (found,), _ = search(random_table, 0, beam_size=50, n_best=50, max_length=2)
    assert sorted(result.token_ids for result in found) == sorted(every_caption(random_table, 2))


def test_without_an_allowed_token_captions_end_where_they_are():
    def dead_end(image, written):
        return [1, 0, 0, 0, 0] if written or image else [0, 0, 0.7, 0.3, 0]

    (found, nothing), _ = search(dead_end, 0, 1, beam_size=2, n_best=2, length_penalty=1.0)
    assert [result.token_ids for result in found] == [(A,), (DOG,)]
    assert [result.token_ids for result in nothing] == [()]


def test_no_image_gives_no_caption():
    assert beam(ScriptedStepModel(random_table, START), np.zeros((0, 4)), START, END, 4) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size is 0; it must be 1"),
        ({"beam_size": 2, "n_best": 3}, "n_best is 3; it must be 1 to beam_size, which is 2"),
        ({"n_best": 0}, "n_best is 0"),
        ({"length_penalty": -0.5}, "length_penalty is -0.5; it must be 0 or more"),
        ({"length_penalty": float("nan")}, "length_penalty is nan"),
        ({"max_length": 0}, "max_length is 0"),
        ({"forbidden": (END,)}, "end marker 1 is among the forbidden ids"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        search(random_table, 0, **options)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([1, 2, 4]), groups=st.sampled_from([1, 2]))
def test_one_search_for_several_penalties_equals_one_search_for_each(seed, size, groups):
    penalties = (0.0, 0.5, 1.0, 2.0)
    beams = Groups(groups, 0.5)
    asked = Settings(size * groups, size, (START,), groups=beams)
    model = ScriptedStepModel(seeded(seed), START)
    together = beam_per_penalty(model, features_of(*range(5)), START, END, 7, penalties, asked)
    alone = [
        search(
            seeded(seed), *range(5), max_length=7, beam_size=size * groups, n_best=size, groups=beams,
            length_penalty=penalty,
        )
        for penalty in penalties
    ]  # fmt: skip
    assert together == [found for found, _ in alone]
    assert len(model.batches) == max(len(other.batches) for _, other in alone)
