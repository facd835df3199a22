"""How many captions of another image `cutline check` finds, and how many right ones it lists.

    .venv/bin/python benchmarks/swapped_captions.py captions.csv [--images photos] [--model runs/first]

Captions are swapped between images drawn by seed: all captions of some images, the first caption of some
others. Then all captions are compared with those of similar images, by the features of an encoder or of the
model's own, and captions of held-out images with what the model expects, if one is named. The share of
swapped ones that is found stands beside the share of right ones that is listed, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from cutline.config import resolve
from cutline.data.checks import Finding
from cutline.data.checks.misfits import misfit_findings
from cutline.data.checks.sentences import cut_sentences
from cutline.data.loading import load
from cutline.data.splits import assign_splits
from cutline.progress import Silent
from cutline.recipes.seeing import seeing, unlikely_captions
from cutline.records import Dataset

SHARE = 0.05
Caption = tuple[str, str]


def swapped(dataset: Dataset, seed: int = 0) -> tuple[Dataset, set[Caption], set[Caption]]:
    """Swap captions inside each split; return what was moved: with all its image's captions, or alone."""
    chance = np.random.default_rng(seed)
    examples = list(dataset.examples)
    whole: set[Caption] = set()
    single: set[Caption] = set()
    for split in ("train", "val", "test"):
        rows = chance.permutation([row for row, each in enumerate(examples) if each.split == split])
        count = round(SHARE * len(rows))
        for chosen, moved, first in ((rows[:count], whole, False), (rows[count : 2 * count], single, True)):
            before = {row: examples[row].captions for row in chosen}
            for row, other in zip(chosen, np.roll(chosen, 1), strict=True):
                captions = (before[other][0], *before[row][1:]) if first else before[other]
                examples[row] = replace(examples[row], captions=captions)
                moved |= {(examples[row].image_id, text) for text in (captions[:1] if first else captions)}
    return replace(dataset, examples=tuple(examples)), whole, single


def listed(findings: Iterable[Finding]) -> tuple[set[str], set[Caption]]:
    """Return the images whose captions are all listed, and single captions that are."""
    places = [place for finding in findings for place in finding.occurrences]
    whole = {place.where for place in places if "fit other images as well" in place.detail}
    return whole, {(place.where, place.caption) for place in places if place.where not in whole}


def tell(
    name: str, dataset: Dataset, findings: list[Finding], sets: tuple[set[Caption], set[Caption]]
) -> None:
    images, captions = listed(findings)
    every = {(each.image_id, text) for each in dataset.examples for text in each.captions}
    found = captions | {caption for caption in every if caption[0] in images}
    whole, single = (moved & every for moved in sets)
    right = every - whole - single
    shares = [len(found & part) / max(1, len(part)) for part in (whole, single, right)]
    print(f"{name:32}{shares[0]:>16.1%}{shares[1]:>16.1%}{shares[2]:>16.2%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--images")
    parser.add_argument("--model")
    parser.add_argument("--encoder", default="efficientnet_lite0")
    arguments = parser.parse_args()
    options = resolve("", {}, overrides={"encoder.name": arguments.encoder})
    dataset = load(arguments.data, arguments.images, options.data, Silent())
    dataset = assign_splits(dataset, options.data, needed=())
    dataset, *sets = swapped(dataset)
    encoder = None if arguments.model else arguments.encoder
    print(f"{'':32}{'all swapped':>16}{'one swapped':>16}{'right, listed':>16}")
    with seeing(encoder, arguments.model, dataset, options, Silent()) as eyes:
        assert eyes.read_features is not None
        features = eyes.read_features([each.digest for each in eyes.dataset.examples])
        features = features.mean(axis=1) if features.ndim == 3 else features
        sentences = cut_sentences(eyes.dataset, eyes.dataset.examples, options.text)
        tell("unlike its neighbours", eyes.dataset, misfit_findings(sentences, features, Silent()), sets)
        if arguments.model:
            held_out = tuple(each for each in eyes.dataset.examples if each.split in ("val", "test"))
            asked = replace(eyes.dataset, examples=held_out)
            tell(
                "unlikely caption (held out)",
                asked,
                unlikely_captions(Path(arguments.model), eyes, Silent()),
                sets,
            )


if __name__ == "__main__":
    main()
