"""The page's scripts do what Python does: the same search, the same pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from tests.node import run_node

from cutline.decoding import Filters, beam

V, START, END = 9, 2, 3
NEVER = (0, 1, 2)

SEARCH = """
const { search } = page("search.js").cutlineSearch;
const step = (table) => ({
  start: () => ({}),
  step: (last, state) => ({ scores: last.map((id) => Float32Array.from(table[id])), looks: null, state }),
  reorder: (state) => state,
});
Promise.all(given.map(({ table, options }) => search(step(table), options))).then((all) =>
  answer(all.map((found) => found.map(({ tokens, total }) => [tokens, total]))));
"""


class Chain:
    """A step model whose next token depends on the last one alone."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    def start(self, features: np.ndarray) -> int:
        return len(features)

    def step(self, token_ids: np.ndarray, state: int) -> tuple[np.ndarray, int]:
        return self.table[token_ids], state

    def reorder(self, state: int, rows: np.ndarray) -> int:
        return len(rows)


def random_case(number: int) -> dict[str, Any]:
    """Scores are often equal or impossible, and limits often contradict each other."""
    generator = np.random.default_rng(number)
    chances = generator.random((V, V)) ** 3
    if number % 2:
        chances = np.ceil(chances * 3)  # equal ones
    chances[generator.random((V, V)) < 0.2] = 1e-30
    table = np.log(chances / chances.sum(axis=1, keepdims=True))
    # To the same digits on both sides.
    table = np.round(table * 64) / 64
    most = int(generator.integers(1, 9))
    return {
        "table": table.tolist(),
        "options": {
            "beam_size": int(generator.integers(1, 6)),
            "length_penalty": float(generator.choice([0.0, 0.5, 1.0])),
            "max_length": most,
            "min_length": int(generator.integers(0, min(most, 4))),
            "no_repeat_ngram": int(generator.integers(0, 3)),
            "end_words": [4, 5] if number % 3 == 0 else [],
            "never": list(NEVER),
            "start_id": START,
            "end_id": END,
        },
    }


def test_the_search_finds_the_captions_that_python_finds():
    cases = [random_case(number) for number in range(400)]
    different = []
    for case, found in zip(cases, run_node(SEARCH, cases), strict=True):
        # The search stops as soon as the best caption is certain: what else there is then may be anything.
        best = [(tokens, round(total, 6)) for tokens, total in found[:1]]
        expected = [(tokens, round(total, 6)) for tokens, total in in_python(case)]
        if best != expected:
            different.append((case["options"], expected, best))
    assert not different, different[0]


def in_python(case: dict[str, Any]) -> list[tuple[list[int], float]]:
    options = case["options"]
    filters = Filters(
        min_length=options["min_length"],
        no_repeat_ngram=options["no_repeat_ngram"],
        end_words=tuple(options["end_words"]),
    )
    (found,) = beam(
        Chain(np.array(case["table"], np.float32)),
        np.zeros((1, 1)),
        START,
        END,
        options["max_length"],
        beam_size=options["beam_size"],
        length_penalty=options["length_penalty"],
        forbidden=NEVER,
        filters=filters,
    )
    return [(list(result.token_ids), result.log_probability) for result in found]


RESIZE = """
const { resize } = page("pixels.js").cutlinePixels;
answer(given.map(({ rgba, from, to }) => Array.from(resize(Uint8Array.from(rgba), ...from, ...to))));
"""


def test_pixels_are_scaled_to_the_grey_level_as_pillow_scales_them():
    generator = np.random.default_rng(0)
    cases, expected = [], []
    for from_size, to_size in [
        ((40, 30), (16, 16)),
        ((9, 33), (16, 16)),
        ((5, 4), (12, 7)),
        ((16, 16), (16, 16)),
        ((64, 16), (16, 16)),
        ((16, 50), (16, 16)),
        ((33, 9), (16, 16)),
        ((24, 32), (12, 20)),
        ((20, 32), (12, 20)),
        ((17, 32), (12, 20)),
        ((30, 40), (16, 16)),
        ((30, 44), (16, 16)),
        ((30, 45), (16, 16)),
    ]:
        # Hard edges overshoot, so that values are cut at 0 and 255.
        pixels = generator.choice([0, 3, 128, 255], (from_size[1], from_size[0], 3)).astype(np.uint8)
        scaled = Image.fromarray(pixels).resize(to_size, Image.Resampling.BICUBIC)
        alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
        rgba = np.concatenate([pixels, alpha], axis=2)
        cases.append({"rgba": rgba.ravel().tolist(), "from": from_size, "to": to_size})
        expected.append(np.asarray(scaled).ravel().tolist())
    assert run_node(RESIZE, cases) == expected


def test_transparent_pixels_are_laid_on_white():
    rgba = [10, 20, 30, 0, 10, 20, 30, 255, 0, 100, 200, 128]
    ((*found,),) = run_node(RESIZE, [{"rgba": rgba, "from": [3, 1], "to": [3, 1]}])
    assert found == [255, 255, 255, 10, 20, 30, 127, 177, 227]
