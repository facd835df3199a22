"""Captions that got to the wrong image are unlike those of similar images."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from cutline.config import TextOptions
from cutline.data.checks import Finding
from cutline.data.checks.misfits import misfit_findings, nearest
from cutline.data.checks.sentences import cut_sentences
from cutline.progress import Silent
from cutline.records import Dataset, Example

TOPICS = (
    ("dog", "puppy", "hound", "runs", "barks", "grass", "ball", "leash"),
    ("surfer", "man", "board", "wave", "rides", "ocean", "water", "sea"),
    ("child", "girl", "swing", "plays", "park", "slide", "laughs", "sand"),
    ("car", "truck", "road", "drives", "street", "red", "race", "wheel"),
)
IMAGES = 120


def caption(topic: int, chance: random.Random) -> str:
    return "a " + " ".join(chance.sample(TOPICS[topic], 4))


def world(wrong: dict[int, int], per_image: int = 4, topics: int = 4) -> tuple[Dataset, NDArray[np.float32]]:
    """Make images of four topics; image → topic whose first caption (all of a single one) it wrongly has."""
    chance, noise = random.Random(0), np.random.default_rng(0)
    centres = noise.standard_normal((4, 32))
    examples, rows = [], []
    for number in range(IMAGES):
        topic = number % topics
        captions = [caption(topic, chance) for _ in range(per_image)]
        if number in wrong:
            captions[0] = caption(wrong[number], chance)
        examples.append(Example(f"{number}.jpg", f"/{number}.jpg", tuple(dict.fromkeys(captions)), "train"))
        rows.append(centres[topic] + 0.3 * noise.standard_normal(32))
    return Dataset(tuple(examples), "made-up.csv", "table"), np.array(rows, np.float32)


def findings(dataset: Dataset, features: NDArray[np.float32]) -> list[Finding]:
    sentences = cut_sentences(dataset, dataset.examples, TextOptions())
    return list(misfit_findings(sentences, features, Silent()))


def test_nothing_is_found_where_captions_fit() -> None:
    assert findings(*world({})) == []


def test_one_wrong_caption_among_right_ones_is_found() -> None:
    dataset, features = world({8: 1, 17: 3})
    (finding,) = findings(dataset, features)
    assert {(place.where, place.caption) for place in finding.occurrences} == {
        ("8.jpg", dataset.examples[8].captions[0]),
        ("17.jpg", dataset.examples[17].captions[0]),
    }


def test_wrong_captions_of_single_caption_images_are_found() -> None:
    (finding,) = findings(*world({8: 1}, per_image=1, topics=2))
    assert "8.jpg" in {place.where for place in finding.occurrences}
    assert len(finding.occurrences) <= 3


def test_all_captions_of_an_image_may_be_wrong() -> None:
    dataset, features = world({})
    swapped = features.copy()
    swapped[[4, 5]] = features[[5, 4]]
    (finding,) = findings(dataset, swapped)
    assert {place.where for place in finding.occurrences} == {"4.jpg", "5.jpg"}
    assert all("its captions fit other images as well" in place.detail for place in finding.occurrences)


def test_few_images_are_not_compared() -> None:
    dataset, features = world({8: 1})
    few = Dataset(dataset.examples[:40], dataset.source, dataset.format)
    assert findings(few, features[:40]) == []


def test_neighbours_are_nearest_first_and_never_the_image_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).standard_normal((90, 8)).astype(np.float32)
    centred = features - features.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = centred @ centred.T
    np.fill_diagonal(cosines, -2)
    expected = np.argsort(-cosines, axis=1)[:, :20]
    assert np.array_equal(nearest(features), expected)
    monkeypatch.setattr("cutline.data.checks.misfits._MOST_COMPARED", 50)
    drawn = nearest(features)
    assert len(np.unique(drawn)) <= 50
    assert not (drawn == np.arange(90)[:, None]).any()
