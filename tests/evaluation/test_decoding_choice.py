"""Choosing beam size and length penalty by the captions they lead to."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fakes import ActingProgress, ScriptedStepModel

from cutline.config import DecodingOptions
from cutline.evaluation import make_scorer
from cutline.evaluation.captioning import caption_examples
from cutline.evaluation.confidence import halves
from cutline.evaluation.decoding_choice import (
    BEAM_SIZES,
    LENGTH_PENALTIES,
    VOTED_SIZES,
    _compare,
    choose_decoding,
    setting_of,
)
from cutline.evaluation.scoring import texts_of
from cutline.records import Example
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import END_ID, SPECIALS, START_ID
from cutline.writing import Writer

WORDS = Vocabulary((*SPECIALS, "a", "dog", "runs", "cat", "sleeps"), Tokenizer())
A, DOG, RUNS, CAT, SLEEPS = range(4, 9)


def said(image: int) -> tuple[str, str]:
    return ("dog", "runs") if image % 2 else ("cat", "sleeps")


def examples(count: int) -> list[Example]:
    return [
        Example(f"{n}.png", "", (f"a {said(n)[0]} {said(n)[1]}", f"{said(n)[0]} {said(n)[1]}"), "val", f"{n}")
        for n in range(count)
    ]


def read(digests) -> np.ndarray:
    return np.array([[float(digest)] for digest in digests])


def garden_path(image: int, written: tuple[int, ...]) -> list[float]:
    """Greedy says "a" and nothing else; with two beams the whole caption is found."""
    first, second = (WORDS.id_of(word) for word in said(image))
    chances = np.full(len(WORDS), 1e-4)
    if not written:
        chances[[A, first]] = 0.55, 0.44
    elif written == (A,):
        chances[[END_ID, DOG, CAT, RUNS, SLEEPS]] = 0.3, 0.2, 0.2, 0.15, 0.15
    elif written == (first,):
        chances[second] = 1
    else:
        chances[END_ID] = 1
    return list(chances / chances.sum())


def choose(script, count: int = 8, progress=None, **options):
    writer = Writer(ScriptedStepModel(script, START_ID), WORDS)
    return choose_decoding(
        writer, read, examples(count), DecodingOptions(**options), progress or ActingProgress()
    )


def test_the_smallest_beam_that_is_as_good_as_the_best_is_chosen():
    choice = choose(garden_path)
    assert (choice.chosen.beam_size, choice.chosen.length_penalty) == (2, 0.0)
    assert choice.chosen.cider_d > choice.before.cider_d + 100
    assert choice.chosen.other_cider_d > choice.before.other_cider_d + 100
    assert (choice.before.beam_size, choice.before.chosen) == (1, False)
    assert (choice.images, choice.other_images) == (4, 4)
    assert sum(trial.chosen for trial in choice.trials) == 1


def test_every_setting_is_tried_once_and_progress_is_told_of_each_beam_size():
    progress = ActingProgress()
    choice = choose(garden_path, progress=progress, beam_size=4, length_penalty=0.3)
    settings = [(trial.beam_size, trial.length_penalty) for trial in choice.trials]
    sizes = sorted([*BEAM_SIZES, 4])
    expected = [(1, 0.0)] + [(k, p) for k in sizes[1:] for p in sorted([*LENGTH_PENALTIES, 0.3])]
    assert settings == expected
    assert (choice.before.beam_size, choice.before.length_penalty) == (4, 0.3)
    assert [total for _, total in progress.stages] == [8] * len(sizes)


def test_scores_are_those_of_captions_written_with_the_setting():
    def script(image, written):
        return np.random.default_rng([image, *written]).dirichlet(np.full(len(WORDS), 0.3)) + 1e-9

    options = DecodingOptions(max_length=5, no_repeat_ngram=2)
    choice = choose(script, 10, max_length=5, no_repeat_ngram=2)
    fit, other = halves(examples(10))
    scorer = make_scorer(examples(10), WORDS.tokenizer)
    for trial in choice.trials:
        setting = {"beam_size": trial.beam_size, "length_penalty": trial.length_penalty}
        found = caption_examples(
            Writer(ScriptedStepModel(script, START_ID), WORDS), read, examples(10),
            options.model_copy(update=setting), ActingProgress(),
        )  # fmt: skip
        scores = scorer.cider_d_per_image(texts_of(found))
        assert trial.cider_d == pytest.approx(np.mean([scores[e.image_id] for e in fit]))
        assert trial.other_cider_d == pytest.approx(np.mean([scores[e.image_id] for e in other]))


def test_with_groups_only_beams_they_divide_are_tried():
    choice = choose(garden_path, beam_size=4, groups=2)
    assert {trial.beam_size for trial in choice.trials} == {2, 4, 8}


def test_with_a_consensus_beam_sizes_alone_are_tried():
    choice = choose(garden_path, consensus=3, length_penalty=0.4)
    assert [(trial.beam_size, trial.length_penalty) for trial in choice.trials] == [
        (size, 0.4) for size in (1, *VOTED_SIZES)
    ]
    assert (choice.before.beam_size, choice.before.length_penalty) == (1, 0.4)


def test_with_a_consensus_it_is_the_beams_voted_on_that_are_chosen():
    choice = choose(garden_path, consensus=3, consensus_beams=7)
    assert [trial.beam_size for trial in choice.trials] == [5, 7, 10, 20, 40]
    assert choice.before.beam_size == 7
    options = DecodingOptions(beam_size=2, consensus=3, consensus_beams=7)
    chosen = options.model_copy(update=setting_of(options, 10))
    assert (chosen.beam_size, chosen.searched_beams) == (2, 10)


def compared(**scores: list[float]) -> dict[tuple[int, float], tuple[float, float, bool]]:
    settings = {(int(name[1]), float(name[3:]) / 10): np.array(found) for name, found in scores.items()}
    return {
        (trial.beam_size, trial.length_penalty): (trial.behind, trial.standard_error, trial.chosen)
        for trial in _compare(settings, settings)
    }


def test_a_gain_within_one_standard_error_is_not_paid_for():
    small, large = [10.0, 20.0, 30.0, 40.0], [14.0, 20.0, 26.0, 44.0]
    found = compared(k1p0=small, k3p0=large)
    assert found[1, 0.0] == (1.0, pytest.approx(np.std([4, 0, -4, 4], ddof=1) / 2), True)
    sure = compared(k1p0=small, k3p0=[11.0, 21.5, 31.0, 41.5])
    assert sure[3, 0.0][2], "1.25 ahead, with a standard error of 0.14"


def test_of_one_beam_size_the_best_penalty_is_taken_and_of_equal_ones_the_smallest():
    found = compared(k2p0=[10, 10, 10], k2p5=[12, 12, 11], k2p7=[12, 12, 11], k8p0=[9, 12, 14])
    assert [setting for setting, (_, _, chosen) in found.items() if chosen] == [(2, 0.5)]
