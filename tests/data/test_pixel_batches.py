"""Batches of pixels: the image's number is its shade, and its left half is darker."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutline.data.augment import Augmentation
from cutline.data.batches import caption_table
from cutline.data.feature_store import FeatureStore
from cutline.data.pixel_batches import PixelBatches, PixelSource
from cutline.data.text_vectorization import vectorization_layer
from cutline.errors import ImageError
from cutline.records import Example
from cutline.text import Tokenizer, build_vocabulary

CAPTIONS = [("a dog", "one dog runs"), ("a cat", "a cat on the left"), ("three birds",), ("a tree", "trees")]
VOCABULARY = build_vocabulary([caption for some in CAPTIONS for caption in some], Tokenizer())


def make_source(folder: Path, mirrors: bool = True, augmentation: Augmentation | None = None) -> PixelSource:
    examples = []
    for number, captions in enumerate(CAPTIONS):
        pixels = np.full((8, 8, 3), 50 * number + 20, np.uint8)
        pixels[:, :4] -= 10
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        digest = hashlib.sha256(bytes([number])).hexdigest()
        examples.append(Example(path.name, str(path), captions, "train", digest))
    with FeatureStore.open(folder / "store", {"encoder": "toy"}, (1,)) as store:
        store.append([example.digest for example in examples], np.zeros((len(examples), 1)))
        table = caption_table(examples, store, VOCABULARY.tokenizer, 6)
    images = {row: example.image for row, example in enumerate(examples)}
    layer = vectorization_layer(VOCABULARY, 6)
    return PixelSource(table, images, layer, (8, 8), augmentation or Augmentation(1.0, 0.0), mirrors)


@pytest.fixture
def source(tmp_path: Path) -> PixelSource:
    return make_source(tmp_path)


def number_of(pixels: np.ndarray) -> int:
    return int(pixels.max() - 20) // 50


def test_every_image_comes_once_with_its_own_captions(source):
    batches = PixelBatches(source, 3, 5, seed=0, epoch=1)
    found = list(batches)
    assert len(batches) == len(found) == 2
    said = {}
    for batch in found:
        assert batch.pixels.shape[1:] == (8, 8, 3)
        for row, image in zip(batch.token_ids, batch.image_of, strict=True):
            words = " ".join(VOCABULARY.tokens[token] for token in row if token > 3)
            said.setdefault(number_of(batch.pixels[image]), set()).add(words)
    assert said == {number: set(captions) for number, captions in enumerate(CAPTIONS)}


def test_so_many_captions_are_drawn_as_were_asked_for(source):
    batch = next(iter(PixelBatches(source, 4, 1, seed=0, epoch=1)))
    assert sorted(batch.image_of.tolist()) == [0, 1, 2, 3]


def test_seed_and_epoch_decide_everything(tmp_path):
    source = make_source(tmp_path, augmentation=Augmentation(0.5, 0.3))

    def pixels(seed: int, epoch: int) -> np.ndarray:
        return np.concatenate([batch.pixels for batch in PixelBatches(source, 3, 1, seed, epoch)])

    assert np.array_equal(pixels(0, 1), pixels(0, 1))
    assert not np.array_equal(pixels(0, 1), pixels(0, 2))
    assert not np.array_equal(pixels(0, 1), pixels(1, 1))


def mirrored(source: PixelSource) -> set[int]:
    return {
        number_of(pixels)
        for epoch in range(12)
        for batch in PixelBatches(source, 4, 1, 0, epoch)
        for pixels in batch.pixels
        if pixels[0, 0, 0] > pixels[0, -1, 0]
    }


def test_an_image_is_mirrored_only_when_no_caption_names_a_side(source):
    assert mirrored(source) == {0, 2, 3}


def test_nothing_is_mirrored_where_the_words_for_sides_are_not_known(tmp_path):
    assert mirrored(make_source(tmp_path, mirrors=False)) == set()


def test_an_image_that_went_away_is_named(source):
    Path(source.images[2]).unlink()
    with pytest.raises(ImageError, match=r"2\.png"):
        list(PixelBatches(source, 4, 1, seed=0, epoch=1))
