"""Encoding into the store that all runs share."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from cutline.data.features import FeatureStore
from cutline.data.images import digest_file
from cutline.models.encoders import Encoder
from cutline.progress import Silent
from cutline.recipes.extract import extract_features, extract_mirrored, store_folder
from cutline.records import Dataset, Example


class MeanColour:
    """Encodes an image as its mean colour, and counts how many it was given."""

    name, features, input_size, feature_shape, batch_size = "toy", "pooled", (4, 4), (3,), 1

    def __init__(self) -> None:
        self.encoded = 0

    def fingerprint(self) -> dict[str, Any]:
        return {"encoder": "toy"}

    def encode(self, images: np.ndarray) -> np.ndarray:
        self.encoded += len(images)
        return images.mean(axis=(1, 2)).astype(np.float32)


class Notes(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, message: str) -> None:
        self.told.append(message)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    examples = []
    for number, colour in enumerate(("red", "green", "blue")):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 8), colour).save(path)
        examples.append(Example(str(path), str(path), ("a square",), digest=digest_file(path)))
    return Dataset(tuple(examples), str(tmp_path), "table")


class FirstColumn(MeanColour):
    """Encodes an image as the mean colour of its left edge."""

    def encode(self, images: np.ndarray) -> np.ndarray:
        self.encoded += len(images)
        return images[:, :, 0].mean(axis=1).astype(np.float32)


def test_mirrored_images_are_encoded_once_into_a_store_of_their_own(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "cache"))
    picture = Image.new("RGB", (8, 8), "red")
    picture.paste("blue", (4, 0, 8, 8))
    picture.save(dataset.examples[0].image)
    example = replace(dataset.examples[0], digest=digest_file(dataset.examples[0].image))
    counting = FirstColumn()
    encoder = cast(Encoder, counting)
    for _ in range(2):
        plain, _readable = extract_features(encoder, replace(dataset, examples=(example,)), Silent())
        mirrored, problems = extract_mirrored(encoder, [example], Silent())
        with plain, mirrored:
            assert not problems
            assert plain.read(plain.rows([example.digest])).tolist() == [[255.0, 0.0, 0.0]]
            assert mirrored.read(mirrored.rows([example.digest])).tolist() == [[0.0, 0.0, 255.0]]
            assert plain.folder != mirrored.folder
    assert counting.encoded == 2


@pytest.mark.skipif(sys.platform == "win32", reason="there is no lock")
def test_a_run_waits_for_another_one_and_encodes_only_what_that_one_has_not(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "cache"))
    counting = MeanColour()
    encoder = cast(Encoder, counting)
    other = FeatureStore.open(store_folder(encoder), encoder.fingerprint(), (3,))
    first = dataset.examples[0].digest

    class OtherEnds(Notes):
        def note(self, message: str) -> None:
            super().note(message)
            if message.startswith("waiting"):
                other.append([first], np.array([[1.0, 2.0, 3.0]]))
                threading.Timer(0.2, other.close).start()

    progress = OtherEnds()
    store, readable = extract_features(encoder, dataset, progress)
    with store:
        assert progress.told[-1] == "waiting for another run that is encoding images"
        assert counting.encoded == 2
        assert store.read(store.rows([first])).tolist() == [[1.0, 2.0, 3.0]]
        assert len(readable.examples) == len(store) == 3
        # Everything is known now: nobody needs the lock, so that nobody waits.
        with FeatureStore.open(store_folder(encoder), encoder.fingerprint(), (3,)):
            extract_features(encoder, dataset, Notes())[0].close()
    assert counting.encoded == 2
