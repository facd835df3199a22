"""Encoders of 8 bits are smaller and see nearly the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from cutline.errors import ExportError
from cutline.exporting.bundles import encoder_file
from cutline.exporting.quantising import quantise_encoder
from cutline.models.encoders import Encoder
from cutline.runtime.onnx_session import open_graph

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def graph() -> bytes:
    """An encoder of three convolutions."""
    keras.utils.set_random_seed(0)
    image = keras.Input((24, 24, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    for depth in (16, 32, 48):
        x = keras.layers.Conv2D(depth, 3, 2, padding="same", activation="relu")(x)
    return encoder_file(Encoder("three", keras.Model(image, x), "grid", 4))


def batches(count: int, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (4, 24, 24, 3), dtype=np.uint8) for _ in range(count)]


def test_a_quantised_encoder_is_smaller_and_gives_nearly_the_same_features(graph):
    small = quantise_encoder(graph, batches(8))
    assert len(small) < 0.5 * len(graph)
    kinds = {node.op_type for node in onnx.load_from_string(small).graph.node}
    assert "QuantizeLinear" in kinds
    (images,) = batches(1, seed=1)
    one, other = (open_graph(content).run(None, {"images": images})[0] for content in (graph, small))
    assert one.shape == other.shape
    assert other.dtype == np.float32
    flat, near = one.reshape(4, -1), other.reshape(4, -1)
    cosines = (flat * near).sum(axis=1) / np.linalg.norm(flat, axis=1) / np.linalg.norm(near, axis=1)
    assert cosines.min() > 0.99
    assert not np.array_equal(one, other)


def test_a_batch_normalisation_becomes_part_of_its_convolution():
    image = keras.Input((24, 24, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(image)
    for depth in (16, 32):
        x = keras.layers.Conv2D(depth, 3, 2, padding="same")(x)
        x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
    small = quantise_encoder(encoder_file(Encoder("two", keras.Model(image, x), "grid", 4)), batches(2))
    kinds = [node.op_type for node in onnx.load_from_string(small).graph.node]
    assert kinds.count("Conv") == 2
    assert "BatchNormalization" not in kinds


def test_without_images_nothing_can_be_measured(graph):
    with pytest.raises(ExportError, match="cannot be quantised"):
        quantise_encoder(graph, [])
