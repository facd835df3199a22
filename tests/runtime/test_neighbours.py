"""Training images found by likeness, in memory and on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cutline.errors import BundleError
from cutline.runtime.confidence import TrainingFeatures, scaled
from cutline.runtime.neighbours import Neighbours, load_neighbours, save_neighbours

DEPTH = 6
IMAGES = 30


def neighbours() -> Neighbours:
    chance = np.random.default_rng(0)
    mean = np.full(DEPTH, 0.25, np.float32)
    training = TrainingFeatures(
        mean, np.eye(DEPTH, dtype=np.float32), scaled(chance.normal(size=(IMAGES, DEPTH)) - mean)
    )
    names = tuple(f"{number}.png" for number in range(IMAGES))
    return Neighbours(names, tuple((f"caption {name}", "another") for name in names), training)


def test_the_most_similar_come_first_and_similarity_is_a_cosine_around_the_mean():
    found, images = neighbours(), np.random.default_rng(1).normal(size=(5, DEPTH))
    places, likeness = found.nearest(images, 4)
    assert places.shape == likeness.shape == (5, 4)
    for image, own, values in zip(images, places, likeness, strict=True):
        offset = image / np.linalg.norm(image) - found.training.mean
        cosines = found.training.points @ (offset / np.linalg.norm(offset))
        assert own.tolist() == np.argsort(-cosines)[:4].tolist()
        assert values == pytest.approx(np.sort(cosines)[::-1][:4], abs=1e-5)


def test_more_than_there_are_gives_all():
    places, _ = neighbours().nearest(np.ones((1, DEPTH)), 99)
    assert sorted(places[0].tolist()) == list(range(IMAGES))


def test_a_training_image_is_not_its_own_neighbour():
    found = neighbours()
    # Directions whose offset from the mean lies along the point of image 3.
    point = found.training.points[3].astype(np.float64)
    product = float(found.training.mean @ point)
    length = -product + np.sqrt(product**2 + 1 - float(np.sum(found.training.mean**2)))
    image = (found.training.mean + length * point)[None]
    places, likeness = found.nearest(image, IMAGES)
    assert places[0, -1] == 3
    assert likeness[0, -1] == -np.inf
    assert 3 not in found.nearest(image, 5)[0]


def test_counted_n_grams_come_back(tmp_path: Path):
    counted = {"images": np.array(7), "keys_2": np.array([1, 2**40])}
    save_neighbours(replace(neighbours(), frequencies=counted), tmp_path)
    found = load_neighbours(tmp_path, DEPTH).frequencies
    assert {name: array.tolist() for name, array in found.items()} == {"images": 7, "keys_2": [1, 2**40]}


def test_what_is_saved_comes_back(tmp_path: Path):
    save_neighbours(neighbours(), tmp_path)
    loaded, images = load_neighbours(tmp_path, DEPTH), np.random.default_rng(2).normal(size=(9, DEPTH))
    assert (loaded.image_ids, loaded.captions) == (neighbours().image_ids, neighbours().captions)
    assert loaded.nearest(images, 3)[0].tolist() == neighbours().nearest(images, 3)[0].tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.pop("images"),
        lambda text: text["images"].pop(),
        lambda text: text["images"][3].pop("captions"),
        lambda text: text["images"][3].update(captions=[]),
    ],
)
def test_a_changed_file_is_refused_in_one_line(tmp_path, change):
    save_neighbours(neighbours(), tmp_path)
    path = tmp_path / "neighbours.json"
    text = json.loads(path.read_text())
    change(text)
    path.write_text(json.dumps(text))
    with pytest.raises(BundleError, match=r"neighbours\.json: .*; copy the bundle again") as error:
        load_neighbours(tmp_path, DEPTH)
    assert "\n" not in str(error.value)


def test_arrays_of_another_model_are_refused(tmp_path):
    save_neighbours(neighbours(), tmp_path)
    with pytest.raises(BundleError, match="features of depth 7"):
        load_neighbours(tmp_path, 7)
