"""Captions do not depend on how many images are written for at once."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.config import DecodingOptions
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS, START_ID
from cutline.writing import Writer

WORDS = Vocabulary((*SPECIALS, "a", "dog", "runs", "cat", "sleeps"), Tokenizer())


def by_image(image: int, written: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng([image, *written]).dirichlet(np.full(len(WORDS), 0.3)) + 1e-9


@pytest.mark.parametrize("beams", [20, 100])
def test_many_images_with_many_beams_are_written_for_as_one_by_one(beams: int) -> None:
    writer = Writer(ScriptedStepModel(by_image, START_ID), WORDS)
    images = np.arange(40.0)[:, None]
    options = DecodingOptions(beam_size=beams, max_length=3)
    together = writer.write(images, options, n_best=2)
    alone = [found for image in images for found in writer.write(image[None], options, n_best=2)]
    assert [[one.token_ids for one in found] for found in together] == [
        [one.token_ids for one in found] for found in alone
    ]
    assert len({found[0].text for found in together}) > 10
