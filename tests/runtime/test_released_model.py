"""The model that comes with cutline: small, complete, without anybody's captions, and able to caption."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from cutline.captioner import Captioner
from cutline.runtime import load_bundle
from cutline.runtime.released import DEFAULT, released_models, released_path

LARGEST = 12 * 2**20


@pytest.fixture(scope="module")
def path() -> Path:
    found = released_path(DEFAULT)
    assert found is not None
    return found


def test_it_is_small_and_holds_no_captions_of_training_photos(path: Path) -> None:
    assert path.stat().st_size <= LARGEST
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if name.startswith(("neighbours", "encoder.npz"))]


def test_it_says_what_it_is(path: Path) -> None:
    (model,) = (one for one in released_models() if one.name == DEFAULT)
    assert model.bytes == path.stat().st_size
    assert "non-commercial" in model.licence
    assert "Apache" in model.licence
    val = model.scores["val"]
    assert val["exact"], "the scores are those of the model as it is shipped"
    assert val["cider_d_interval"]["low"] < val["cider_d"] < val["cider_d_interval"]["high"]
    bundle = load_bundle(path)
    assert bundle.details["precision"]["encoder"] == bundle.details["precision"]["decoder"] == "int8"
    assert "Flickr8k" in bundle.data_notes


def test_it_captions_and_knows_what_it_has_never_seen() -> None:
    captioner = Captioner.load(DEFAULT)
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    (found,) = captioner.caption(noise)
    assert found.unlike_training
    assert len(found.tokens) >= 3
    assert set(found.tokens) <= set(captioner.vocabulary.tokens)
    assert 0 <= found.confidence <= 1
