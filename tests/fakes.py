"""Stand-ins for parts that are slow or heavy."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np


class ScriptedStepModel:
    """A StepModel whose next-token probabilities are looked up, not computed.

    The state of a row is what was written in it, so a wrong reorder makes the script answer for the wrong
    beginning, and a state out of step with the tokens is noticed at once.

    Attributes:
        batches: Rows of each step so far, to see which captions were still being written.
    """

    def __init__(self, script: Callable[[int, tuple[int, ...]], Sequence[float]], start_id: int) -> None:
        """Take a function from (image number, ids written) to the probabilities of all V tokens."""
        self._script = script
        self._start_id = start_id
        self.batches: list[int] = []

    def start(self, features: np.ndarray) -> list[tuple[int, ...]]:
        """Read the image number from the first feature of each row."""
        return [(int(row[0]),) for row in features]

    def step(
        self, token_ids: np.ndarray, state: list[tuple[int, ...]]
    ) -> tuple[np.ndarray, list[tuple[int, ...]]]:
        """Look the next tokens up."""
        assert token_ids.dtype == np.int32
        assert token_ids.shape == (len(state),)
        self.batches.append(len(state))
        written = [(*row, int(token)) for row, token in zip(state, token_ids, strict=True)]
        assert all(row[1] == self._start_id for row in written), "captions begin with the start marker"
        with np.errstate(divide="ignore"):
            answers = np.log([self._script(row[0], row[2:]) for row in written])
        answers = answers.astype(np.float32)
        answers.setflags(write=False)  # as a framework's arrays may be
        return answers, written

    def reorder(self, state: list[tuple[int, ...]], rows: np.ndarray) -> list[tuple[int, ...]]:
        """Pick rows."""
        return [state[row] for row in rows]


def made_up_captions(images: int, seed: int = 0) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Make hypotheses and 1 to 5 references per image that share words and some word order."""
    rng = random.Random(seed)
    openings = ["a dog", "two dogs", "a small red ball", "the man", "a man and a woman", "three kids"]
    actions = ["runs", "is running", "jumps over a log", "sits", "are playing", "holds the small ball"]
    places = [
        "on the grass",
        "in the water",
        "near a big red car",
        "at night",
        "",
        "on the grass in the park",
    ]

    def sentence() -> str:
        return " ".join(rng.choice(part) for part in (openings, actions, places)).strip()

    references = {f"{number}.jpg": [sentence() for _ in range(rng.randint(1, 5))] for number in range(images)}
    hypotheses = {}
    for image_id, captions in references.items():
        tokens = rng.choice([*captions, sentence()]).split()
        change = rng.random()
        if change < 0.2:
            rng.shuffle(tokens)
        elif change < 0.5:
            tokens = [token for token in tokens if rng.random() > 0.3]
        elif change < 0.6:
            tokens = [*tokens, "zebra", *tokens[:2], "zebra"]
        hypotheses[image_id] = " ".join(tokens)
    return hypotheses, references


CAPTIONS_IN_MANY_SCRIPTS = {
    "dog.jpg": (
        "A dog, a \"good\" one; it runs | 'fast'",
        "Two lines:\na dog\nin the snow",
        "كلبٌ أسودُ، يلعب؟",
    ),
    "कुत्ता.png": ("काला कुत्ता और चित्तीदार कुत्ता लड़ रहे हैं।",),
    "bus 3.jpeg": ("รถบัสสีแดง 3 คัน", "一辆红色的巴士，停在路边。", "a bus 🚌👩🏽‍🚀🇫🇷", "un café"),
}
"""Image name → captions with what readers get wrong: scripts, quotes, delimiters, line ends, emoji."""
