"""What beam search promises, counted on real photos.

    .venv/bin/python benchmarks/beam_on_photos.py MODEL captions.csv --images photos [--split val]

MODEL is a run folder or a bundle. Counted are: captions less probable than the greedy one; captions that
differ between a batch of 64 photos and one photo at a time, and by how much their log-probabilities do;
captions without a word that was required, for words that are frequent, rare and of two tokens; and toy
vocabularies of which a beam as wide as there are captions (K = V^T) does not find the best. All should be 0;
that batches give the same is up to the framework's rounding, too, for tokens that are all but equally likely.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_REQUIRED = (("dog",), ("camera",), ("in", "front"))
_TOYS = 50


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--count", type=int, default=1000)
    asked = parser.parse_args()
    print("| what | photos | count |\n| --- | ---: | ---: |", flush=True)
    _print("toy vocabularies where the best of all captions is missed", _TOYS, _toys_missed())
    session, vocabulary, features, options = _open(asked)

    def write(wishes: Any = None, **changes: int) -> list[Any]:
        from cutline.wishes import NO_WISHES
        from cutline.writing import Writer

        own = options.model_copy(update=changes)
        lists = Writer(session, vocabulary).write(features, own, wishes=wishes or NO_WISHES)
        return [found[0] for found in lists]

    greedy = write(beam_size=1)
    for size in (2, 3, 5, 8):
        gains = [
            b.log_probability - g.log_probability for b, g in zip(write(beam_size=size), greedy, strict=True)
        ]
        worse = sum(gain < -1e-4 for gain in gains)
        better = sum(gain > 1e-4 for gain in gains)
        _print(f"{size} beams: less probable than greedy ({better:,} are more probable)", len(gains), worse)
    _count_batches(write, len(features))
    _count_required(write)


def _print(what: str, photos: int, count: int) -> None:
    print(f"| {what} | {photos:,} | {count:,} |", flush=True)


def _open(asked: argparse.Namespace) -> tuple[Any, Any, np.ndarray, Any]:
    from cutline.captioner import Captioner
    from cutline.progress import Silent
    from cutline.recipes.evaluate import load_for_model
    from cutline.recipes.extract import extract_features, feature_reader

    captioner = Captioner.load(asked.model)
    data = load_for_model(asked.model, asked.data, asked.images, {}, captioner.bundle, asked.split, Silent())
    chosen = data.of_split(asked.split)[: asked.count]
    store, readable = extract_features(captioner.session.encoder, replace(data, examples=chosen), Silent())
    with store:
        features = feature_reader(store)([example.digest for example in readable.examples])
    # The plain search: what a model brings along must not stand between the two.
    plain = {"length_penalty": 0.0, "min_length": 0, "no_repeat_ngram": 0, "groups": 1}
    return (
        captioner.session,
        captioner.vocabulary,
        features,
        captioner.bundle.decoding.model_copy(update={**plain, "end_in_function_word": True}),
    )


def _count_batches(write: Callable[..., list[Any]], photos: int) -> None:
    together = write(beam_size=3, batch_size=64)
    alone = write(beam_size=3, batch_size=1)
    pairs = list(zip(together, alone, strict=True))
    differing = sum(one.token_ids != other.token_ids for one, other in pairs)
    gap = max(abs(one.log_probability - other.log_probability) for one, other in pairs)
    _print(
        f"3 beams, 64 photos at once or one by one: other captions (log-probabilities to {gap:.0e})",
        photos,
        differing,
    )


def _count_required(write: Callable[..., list[Any]]) -> None:
    from cutline.wishes import Wishes

    for word in _REQUIRED:
        found = write(Wishes(require=(" ".join(word),)), beam_size=3)
        without = sum(not _holds(one.tokens, word) for one in found)
        _print(f"3 beams, required '{' '.join(word)}': captions without it", len(found), without)


def _holds(tokens: Sequence[str], word: tuple[str, ...]) -> bool:
    return any(tuple(tokens[at : at + len(word)]) == word for at in range(len(tokens)))


class _Toy:
    """A step model over 5 tokens, 0 the start and 1 the end marker, with chances of its own everywhere."""

    size, longest = 5, 4

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def logs(self, written: tuple[int, ...]) -> np.ndarray:
        chances = np.random.default_rng([self.seed, *written]).dirichlet(np.full(self.size, 0.6)) + 1e-6
        return np.log(chances).astype(np.float32)

    def start(self, features: np.ndarray) -> list[tuple[int, ...]]:
        return [()] * len(features)

    def step(
        self, token_ids: np.ndarray, state: list[tuple[int, ...]]
    ) -> tuple[np.ndarray, list[tuple[int, ...]]]:
        written = [(*row, int(token)) for row, token in zip(state, token_ids, strict=True)]
        return np.array([np.minimum(self.logs(row[1:]), 0) for row in written]), written

    def reorder(self, state: list[tuple[int, ...]], rows: np.ndarray) -> list[tuple[int, ...]]:
        return [state[row] for row in rows]

    def best(self) -> float:
        """Return the log-probability of the best of all captions."""
        found = []
        for length in range(self.longest + 1):
            for tokens in itertools.product(range(2, self.size), repeat=length):
                steps = [*tokens, 1][: self.longest]
                found.append(sum(float(self.logs(tokens[:at])[token]) for at, token in enumerate(steps)))
        return max(found)


def _toys_missed() -> int:
    from cutline.decoding import beam

    missed = 0
    for seed in range(_TOYS):
        toy = _Toy(seed)
        width = _Toy.size**_Toy.longest
        ((found,),) = beam(toy, np.zeros((1, 1)), 0, 1, _Toy.longest, width, forbidden=(0,))
        missed += found.log_probability < toy.best() - 1e-4
    return missed


if __name__ == "__main__":
    main()
