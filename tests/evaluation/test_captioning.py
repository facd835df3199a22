from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tests.fakes import ScriptedStepModel

from cutline.config import DecodingOptions
from cutline.evaluation import caption_examples, caption_lists, texts_of
from cutline.progress import Silent
from cutline.records import Example
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS
from cutline.writing import Writer

WORDS = Vocabulary((*SPECIALS, *(f"w{number}" for number in range(9))), Tokenizer(level="word"))


def example(key: str, *captions: str) -> Example:
    return Example(f"{key}.png", f"/x/{key}.png", captions, "val", key * 4)


def test_examples_are_captioned_from_their_features_in_order():
    asked: list[list[str]] = []

    def features(digests: Sequence[str]) -> np.ndarray:
        asked.append(list(digests))
        return np.array([[int(digest[0])] for digest in digests], np.float16)

    def name_the_image(image: int, written: tuple[int, ...]) -> list[float]:
        chances = np.full(len(WORDS), 1e-6)
        chances[3 if written else 4 + image] = 1
        return list(chances / chances.sum())

    examples = [example(str(number), "any") for number in (7, 1, 4, 0, 8)]
    hypotheses = caption_examples(
        Writer(ScriptedStepModel(name_the_image, start_id=2), WORDS),
        features,
        examples,
        DecodingOptions(batch_size=2),
        Silent(),
    )
    assert texts_of(hypotheses) == {
        "7.png": "w7", "1.png": "w1", "4.png": "w4", "0.png": "w0", "8.png": "w8",
    }  # fmt: skip
    assert list(hypotheses) == [item.image_id for item in examples]
    assert [len(batch) for batch in asked] == [2, 2, 1]


def test_a_beam_is_kept_whole_and_its_first_is_the_caption():
    def two_ways(image: int, written: tuple[int, ...]) -> list[float]:
        chances = np.full(len(WORDS), 1e-6)
        chances[3 if written else [4 + image, 5 + image]] = [0.6, 0.4] if not written else 1
        return list(chances / chances.sum())

    def run(function, beam_size):
        model, options = ScriptedStepModel(two_ways, start_id=2), DecodingOptions(beam_size=beam_size)
        examples = [example(str(number), "any") for number in (7, 1)]
        read = lambda digests: np.array([[int(digest[0])] for digest in digests], np.float16)  # noqa: E731
        return function(Writer(model, WORDS), read, examples, options, Silent())

    lists = run(caption_lists, 2)
    assert {key: [h.text for h in found] for key, found in lists.items()} == {
        "7.png": ["w7", "w8"],
        "1.png": ["w1", "w2"],
    }
    assert {key: found[0] for key, found in lists.items()} == run(caption_examples, 2)
    assert [len(found) for found in run(caption_lists, 1).values()] == [1, 1]
