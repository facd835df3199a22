"""A model tells a caption of another image by what it finds likelier elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.evaluation.unlikely import measure_likelihoods
from cutline.progress import Silent
from cutline.records import Example
from cutline.text import START_ID, Tokenizer, build_vocabulary

COLOURS = ("red", "blue", "green")
VOCABULARY = build_vocabulary([f"a {colour} star here" for colour in COLOURS], Tokenizer())


def script(image: int, _: tuple[int, ...]) -> list[float]:
    """Expect the colour of the image three times as much as every other token."""
    weights = np.ones(len(VOCABULARY))
    weights[VOCABULARY.tokens.index(COLOURS[image % 3])] = 3
    return list(weights / weights.sum())


def read_features(digests: Sequence[str]) -> np.ndarray:
    return np.array([[float(digest)] for digest in digests])


def examples(count: int, wrong: int) -> list[Example]:
    return [
        Example(
            f"{number}.png",
            f"/{number}.png",
            (
                f"a {COLOURS[(number + (number == wrong)) % 3]} star",
                f"here a {COLOURS[number % 3]} star",
            ),
            "val",
            str(number),
        )
        for number in range(count)
    ]


def test_a_caption_of_another_image_fits_others_better() -> None:
    model = ScriptedStepModel(script, START_ID)
    measured = measure_likelihoods(model, read_features, examples(60, wrong=7), VOCABULARY, 40, Silent())
    assert len(measured) == 120
    odd = [(each.example.image_id, each.caption) for each in measured if each.fits_worse < 0.5]
    assert odd == [("7.png", "a green star")]
    right = [each.fits_worse for each in measured if (each.example.image_id, each.caption) not in odd]
    # Two thirds of the others are of another colour, and a third ties.
    assert np.mean(right) == pytest.approx(2 / 3 + 1 / 6, abs=0.1)


def test_the_length_of_a_caption_does_not_count() -> None:
    model = ScriptedStepModel(script, START_ID)
    long = Example("0.png", "/0.png", ("a red star " + "here " * 20,), "val", "0")
    measured = measure_likelihoods(
        model, read_features, [long, *examples(30, wrong=-1)[1:]], VOCABULARY, 40, Silent()
    )
    assert measured[0].fits_worse > 0.7


def test_captions_are_read_as_far_as_the_model_was_trained() -> None:
    model = ScriptedStepModel(script, START_ID)
    late = "here " * 50 + "a red star"
    shares = {}
    for length in (40, 60):
        first = Example("0.png", "/0.png", (late,), "val", "0")
        measured = measure_likelihoods(
            model, read_features, [first, *examples(30, wrong=-1)[1:]], VOCABULARY, length, Silent()
        )
        shares[length] = measured[0].fits_worse
    assert shares[40] == 0.5
    assert shares[60] > 0.7


def test_features_are_read_a_few_at_a_time() -> None:
    asked: list[int] = []

    def read(digests: Sequence[str]) -> np.ndarray:
        asked.append(len(digests))
        return read_features(digests)

    model = ScriptedStepModel(script, START_ID)
    measured = measure_likelihoods(model, read, examples(200, wrong=7), VOCABULARY, 40, Silent())
    assert max(asked) <= 48
    assert [(each.example.image_id, each.caption) for each in measured if each.fits_worse < 0.5] == [
        ("7.png", "a green star")
    ]


def test_a_single_image_has_nothing_to_be_compared_with() -> None:
    model = ScriptedStepModel(script, START_ID)
    assert measure_likelihoods(model, read_features, examples(1, wrong=-1), VOCABULARY, 40, Silent()) == []
