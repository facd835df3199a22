"""Which train images judge the draws of another one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from cutline.config import RunConfig
from cutline.data.feature_store import FeatureStore
from cutline.models.encoders import Encoder
from cutline.recipes.corridor import Corridor
from cutline.recipes.rewarding import caption_reward, neighbours_of
from cutline.records import Dataset, Example
from cutline.text import Tokenizer, build_vocabulary


def make_corridor(store: FeatureStore, angles: dict[str, float], **self_critical: Any) -> Corridor:
    """Return one whose images lie on a circle; those that begin with "v" are val images."""
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in angles}
    for name, angle in angles.items():
        store.append([digests[name]], np.array([[np.cos(angle), np.sin(angle)]]))
    examples = tuple(
        Example(name, name, (f"picture {name}",), "val" if name[0] == "v" else "train", digest)
        for name, digest in digests.items()
    )
    options = RunConfig()
    critical = options.self_critical.model_copy(update=self_critical)
    vocabulary = build_vocabulary([example.captions[0] for example in examples] * 5, Tokenizer())
    return Corridor(
        Path("run"),
        options.model_copy(update={"self_critical": critical}),
        Dataset(examples, "here", "table"),
        vocabulary,
        cast(Encoder, None),
        store,
    )


ANGLES = {"a": 0.0, "va": 0.05, "b": 0.2, "c": 0.5, "far": 3.0, "away": 3.3}


def test_the_train_images_most_like_an_image_judge_and_it_does_not_judge_itself(tmp_path):
    with FeatureStore.open(tmp_path / "store", {"encoder": "toy"}, (2,)) as store:
        found = neighbours_of(make_corridor(store, ANGLES), 1)
        names = dict(enumerate(ANGLES))
        assert {names[row]: [names[other] for other in others] for row, others in found.items()} == {
            "a": ["b"],
            "b": ["a"],
            "c": ["b"],
            "far": ["away"],
            "away": ["far"],
        }


def test_there_are_no_more_judges_than_other_images(tmp_path):
    with FeatureStore.open(tmp_path / "store", {"encoder": "toy"}, (2,)) as store:
        found = neighbours_of(make_corridor(store, ANGLES), 99)
        assert {row: len(others) for row, others in found.items()} == dict.fromkeys((0, 2, 3, 4, 5), 4)


def test_the_reward_asks_neighbours_when_the_options_do(tmp_path):
    for neighbours in (0, 1):
        with FeatureStore.open(tmp_path / f"store{neighbours}", {"encoder": "toy"}, (2,)) as store:
            corridor = make_corridor(store, ANGLES, neighbours=neighbours)
            reward = caption_reward(corridor, corridor.captions_of("train"))
            # What is said of its neighbour is worth more than what is said of others only if it is asked.
            other, away = reward([0, 0], ["picture b <end>", "picture away <end>"])
            assert (other > away + 1) == bool(neighbours)


def test_the_schedule_counts_the_steps_that_are_taken(tmp_path):
    with FeatureStore.open(tmp_path / "store", {"encoder": "toy"}, (2,)) as store:
        corridor = make_corridor(store, ANGLES)
        examples = tuple(
            replace(
                example, captions=("one", "two words", "three words here", "four of them here", "a b c d e")
            )
            for example in corridor.dataset.examples
        )
        corridor = replace(corridor, dataset=replace(corridor.dataset, examples=examples))
        table = corridor.captions_of("train")
        for together, steps in ((1, 7), (2, 8)):
            training = corridor.options.training.model_copy(
                update={"captions_together": together, "batch_size": 4}
            )
            now = replace(corridor, options=corridor.options.model_copy(update={"training": training}))
            assert now.steps_per_epoch(table) == len(now.train_batches(table, 3)) == steps
