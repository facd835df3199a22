"""What is compared between two runtimes: captions of each image, and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.config import DecodingOptions
from cutline.exporting.parity import measure_parity
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import END_ID, SPECIALS, START_ID

VOCABULARY = Vocabulary((*SPECIALS, "dog", "cat"), Tokenizer())
DOG, CAT = 4, 5


class Scripted(ScriptedStepModel):
    """Numbers images by their first byte; an odd one shows a dog with the probability given."""

    input_size = (2, 2)

    def __init__(self, odd: float, off: float = 0.0) -> None:
        def script(image: int, written: tuple[int, ...]) -> Sequence[float]:
            chances = np.zeros(len(VOCABULARY))
            chances[END_ID] = float(bool(written))
            if not written:
                chances[[DOG, CAT]] = (odd, 1 - odd) if image % 2 else (0.9, 0.1)
            return [float(chance) for chance in chances]

        super().__init__(script, START_ID)
        self._off = off

    def encode(self, images: np.ndarray) -> np.ndarray:
        first = images[:, 0, 0, 0].astype(np.float32)
        return np.stack([first, np.full_like(first, 100 + self._off)], axis=1)


def measured(one: Any, other: Any) -> Any:
    pixels = np.zeros((5, 2, 2, 3), np.uint8)
    pixels[:, 0, 0, 0] = range(5)
    batches = [pixels[:2], pixels[2:]]
    return measure_parity(one, other, batches, VOCABULARY, DecodingOptions(beam_size=1))


def test_a_model_agrees_with_itself():
    found = measured(Scripted(0.8), Scripted(0.8))
    assert (found.images, found.same_share, found.features, found.log_probability) == (5, 1.0, 0.0, 0.0)


def test_other_captions_are_listed_with_their_image_and_counted():
    found = measured(Scripted(0.6), Scripted(0.4))
    assert found.different == ((1, "dog", "cat"), (3, "dog", "cat"))
    assert found.same_share == pytest.approx(0.6)
    # Both read what the first one wrote.
    assert found.log_probability == pytest.approx(np.log(0.6 / 0.4), rel=1e-5)


def test_differences_that_change_no_caption_are_told():
    found = measured(Scripted(0.8), Scripted(0.7, off=0.5))
    assert found.different == ()
    assert found.features == pytest.approx(0.005)
    assert found.log_probability == pytest.approx(np.log(0.8 / 0.7), rel=1e-5)


def test_without_images_nothing_differs():
    found = measure_parity(Scripted(0.5), Scripted(0.5), [], VOCABULARY, DecodingOptions())
    assert (found.images, found.same_share) == (0, 1.0)
