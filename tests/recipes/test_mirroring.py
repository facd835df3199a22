"""Which train images are mirrored, and that their features belong to them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from cutline.config import RunConfig
from cutline.data.images import digest_file
from cutline.errors import DataError
from cutline.models.encoders import Encoder
from cutline.progress import Silent
from cutline.recipes.corridor import Corridor
from cutline.recipes.extract import extract_features
from cutline.recipes.mirroring import with_mirrors
from cutline.records import Dataset, Example
from cutline.text import Tokenizer, build_vocabulary

ENGLISH = ["a dog on the grass", "a dog to the left of a tree", "a man with a hat is in the water"]


class LeftAndRight:
    """Encodes an image as the brightness of its left and of its right edge."""

    name, features, input_size, feature_shape, batch_size = "toy", "pooled", (4, 4), (2,), 2

    def fingerprint(self) -> dict[str, Any]:
        return {"encoder": "toy"}

    def encode(self, images: np.ndarray) -> np.ndarray:
        return images[:, 0, [0, -1], 0].astype(np.float32)


@pytest.fixture
def stack() -> Any:
    with ExitStack() as opened:
        yield opened


def make_corridor(folder: Path, captions: list[str], flip: str, stack: ExitStack) -> Corridor:
    examples = []
    for number, caption in enumerate(captions):
        path = folder / f"{number}.png"
        picture = Image.new("RGB", (4, 4), (number, 0, 0))
        picture.paste((200 + number, 0, 0), (2, 0, 4, 4))
        picture.save(path)
        # The last image is there to choose by.
        split = "val" if number == len(captions) - 1 else "train"
        examples.append(Example(path.name, str(path), (caption,), split, digest_file(path)))
    encoder = cast(Encoder, LeftAndRight())
    store, dataset = extract_features(encoder, Dataset(tuple(examples), "here", "table"), Silent())
    stack.enter_context(store)
    options = RunConfig()
    training = options.training.model_copy(update={"flip": flip})
    vocabulary = build_vocabulary(captions * 5, Tokenizer())
    return Corridor(
        folder, options.model_copy(update={"training": training}), dataset, vocabulary, encoder, store
    )


def test_train_images_whose_english_captions_name_no_side_have_a_mirrored_twin(tmp_path, monkeypatch, stack):
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "cache"))
    corridor = make_corridor(tmp_path, [*ENGLISH, "a dog in the grass"], "auto", stack)
    mirrors = with_mirrors(corridor, stack, Silent()).mirrors
    assert mirrors is not None
    assert [twin >= 0 for twin in mirrors.twins.tolist()] == [True, False, True, False]
    for row in (0, 2):
        assert corridor.store.read([row]).tolist() == [[row, 200 + row]]
        assert mirrors.mirrored.read([int(mirrors.twins[row])]).tolist() == [[200 + row, row]]


def test_nothing_is_mirrored_in_other_languages_or_when_it_was_not_asked_for(tmp_path, monkeypatch, stack):
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "cache"))
    for number, (captions, flip) in enumerate(
        [(["ein Hund im Gras", "ein Mann mit Hut", "zwei Hunde"], "auto"), (ENGLISH, "never")]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        corridor = make_corridor(folder, captions, flip, stack)
        assert with_mirrors(corridor, stack, Silent()) is corridor


def test_an_image_that_cannot_be_read_any_more_is_named(tmp_path, monkeypatch, stack):
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "cache"))
    corridor = make_corridor(tmp_path, [*ENGLISH, "a dog"], "auto", stack)
    Path(corridor.dataset.examples[2].image).unlink()
    with pytest.raises(DataError, match=r"2\.png.*put the image back"):
        with_mirrors(replace(corridor), stack, Silent())
