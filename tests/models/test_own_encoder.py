"""Somebody's own .keras file as an encoder: what is taken, what is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cutline.config import EncoderOptions
from cutline.errors import ConfigError, WeightsError
from cutline.models.encoders import build_encoder, encoder_from_spec

IMAGES = np.random.default_rng(2).integers(0, 256, (3, 12, 8, 3), np.uint8)


def own_network(*, pooled: bool = False, dtype: str = "float32") -> Any:
    """Return a small network that prepares pixels itself."""
    image = keras.Input((12, 8, 3), dtype=dtype)
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(5, 3, strides=4, padding="same", activation="relu", name="look")(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(image, keras.layers.GlobalMaxPooling2D()(x) if pooled else x)


@pytest.fixture
def save(tmp_path) -> Callable[[Any], str]:
    def save_network(network: Any) -> str:
        path = tmp_path / "mine.keras"
        network.save(path)
        return str(path)

    return save_network


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_an_activation_map_is_pooled_or_laid_in_regions(save, dtype):
    network = own_network(dtype=dtype)
    path = save(network)
    expected = np.asarray(network(IMAGES.astype(dtype), training=False))
    pooled = build_encoder(EncoderOptions(name=path))
    grid = build_encoder(EncoderOptions(name=path, features="grid"))
    assert (pooled.name, pooled.input_size, pooled.feature_shape) == ("mine.keras", (12, 8), (5,))
    np.testing.assert_allclose(pooled.encode(IMAGES), expected.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(grid.encode(IMAGES), expected.reshape(3, 6, 5), atol=1e-5)


def test_its_size_is_its_own(save):
    options = EncoderOptions(name=save(own_network()), input_size=96)
    with pytest.raises(
        ConfigError, match=r"encoder.input_size is 96, and .*mine.keras takes images of its own"
    ):
        build_encoder(options)


def test_features_that_are_pooled_already_pass(save):
    network = own_network(pooled=True)
    path = save(network)
    expected = np.asarray(network(IMAGES.astype("float32"), training=False))
    np.testing.assert_allclose(build_encoder(EncoderOptions(name=path)).encode(IMAGES), expected, atol=1e-6)
    with pytest.raises(WeightsError, match=r"mine\.keras: features 'grid' need an activation map"):
        build_encoder(EncoderOptions(name=path, features="grid"))


def test_nested_and_sequential_networks_are_taken(save):
    body = keras.Sequential([keras.Input((12, 8, 3)), keras.layers.Conv2D(4, 3), own_tail()])
    encoder = build_encoder(EncoderOptions(name=save(body)))
    assert encoder.encode(IMAGES).shape == (3, 2)


def own_tail() -> Any:
    x = keras.Input((10, 6, 4))
    return keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(x)))


def test_it_is_rebuilt_without_the_file(save):
    path = save(own_network())
    encoder = build_encoder(EncoderOptions(name=path, features="grid"))
    expected = encoder.encode(IMAGES)
    Path(path).unlink()
    rebuilt = encoder_from_spec(json.loads(json.dumps(encoder.spec())), encoder.weights())
    np.testing.assert_array_equal(rebuilt.encode(IMAGES), expected)
    assert rebuilt.fingerprint() == encoder.fingerprint()


def test_the_fingerprint_tells_networks_with_equal_weights_apart(save):
    network = own_network()
    first = build_encoder(EncoderOptions(name=save(network))).fingerprint()
    assert build_encoder(EncoderOptions(name=save(network))).fingerprint() == first
    config = network.get_config()
    scaling = next(layer for layer in config["layers"] if layer["class_name"] == "Rescaling")
    scaling["config"]["scale"] = 1 / 127
    other = keras.Model.from_config(config)
    other.set_weights(network.get_weights())
    second = build_encoder(EncoderOptions(name=save(other))).fingerprint()
    assert second["weights_sha256"] == first["weights_sha256"]
    assert second != first


def test_other_weights_may_be_put_in(save, tmp_path):
    network = own_network()
    path = save(network)
    network.set_weights([array * 0 + 2 for array in network.get_weights()])
    network.save_weights(tmp_path / "two.weights.h5")
    encoder = build_encoder(EncoderOptions(name=path, weights=str(tmp_path / "two.weights.h5")))
    assert all((array == 2).all() for array in encoder.weights().values())
    random = build_encoder(EncoderOptions(name=path, weights="random"))
    assert random.fingerprint() == build_encoder(EncoderOptions(name=path, weights="random")).fingerprint()


def test_a_lambda_layer_is_refused(save):
    image = keras.Input((12, 8, 3))
    network = keras.Model(image, keras.layers.Lambda(lambda x: x / 255)(image))
    with pytest.raises(WeightsError, match=r"mine\.keras: forbidden (Lambda|__lambda__), .* plain"):
        build_encoder(EncoderOptions(name=save(network)))


@keras.saving.register_keras_serializable("elsewhere")
class Doubling(keras.layers.Layer):
    """A layer that is not part of Keras."""

    def call(self, inputs: Any) -> Any:
        return inputs * 2


def test_a_layer_from_elsewhere_is_refused(save):
    image = keras.Input((12, 8, 3))
    path = save(keras.Model(image, Doubling()(image)))
    with pytest.raises(WeightsError, match=r"forbidden .*Doubling, which is not part of keras"):
        build_encoder(EncoderOptions(name=path))


def edit_description(path: str, old: str, new: str) -> None:
    """Rewrite a .keras file with other text in its description."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old.encode() in parts["config.json"]
    parts["config.json"] = parts["config.json"].replace(old.encode(), new.encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "module", ["os", "builtins", "keras.src.utils.file_utils", "keras.saving", "keras_hub.layers", "keras.."]
)
def test_a_description_that_names_other_code_is_refused(save, module):
    path = save(own_network())
    old, new = '"module": "keras.layers", "class_name": "Conv2D"', f'"module": "{module}", "class_name": "X"'
    edit_description(path, old, new)
    with pytest.raises(WeightsError, match=r"mine\.keras: forbidden .*not part of keras"):
        build_encoder(EncoderOptions(name=path))


@pytest.mark.parametrize("name", ["StringLookup", "TextVectorization", "TFSMLayer"])
def test_layers_that_read_files_are_refused_also_from_a_description(save, name):
    path = save(own_network())
    encoder = build_encoder(EncoderOptions(name=path))
    hostile = json.dumps(encoder.spec()).replace('"class_name": "Conv2D"', f'"class_name": "{name}"')
    with pytest.raises(WeightsError, match=f"forbidden {name}, which could run code or read files"):
        encoder_from_spec(json.loads(hostile), encoder.weights())
    edit_description(path, '"class_name": "Conv2D"', f'"class_name": "{name}"')
    with pytest.raises(WeightsError, match=f"forbidden {name}"):
        build_encoder(EncoderOptions(name=path))


def test_other_inputs_and_outputs_are_refused(save):
    grey, small = keras.Input((12, 8, 1)), keras.Input((12, 8, 3))
    unsized, words = keras.Input((None, None, 3)), keras.Input((9,))
    flatten, dense = keras.layers.Flatten, keras.layers.Dense(2)
    networks = [
        keras.Model(grey, flatten()(grey)),
        keras.Model(unsized, keras.layers.GlobalAveragePooling2D()(unsized)),
        keras.Model(words, dense(words)),
        keras.Model([small, words], keras.layers.Concatenate()([flatten()(small), words])),
        keras.Model(small, [flatten()(small), small]),
        keras.Model(small, keras.layers.Reshape((96, 3))(small)),
    ]
    for network in networks:
        with pytest.raises(WeightsError, match=r"mine\.keras: expected one input \(None, H, W, 3\) and"):
            build_encoder(EncoderOptions(name=save(network)))


def test_missing_damaged_and_bloated_files_are_refused_in_one_line(save, tmp_path):
    with pytest.raises(WeightsError, match=r"absent\.keras: no such encoder file"):
        build_encoder(EncoderOptions(name=str(tmp_path / "absent.keras")))
    path = Path(save(own_network()))
    whole = path.read_bytes()
    for content in (b"", b"not a zip", whole[: len(whole) // 2], whole[:-40]):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"mine\.keras: not a readable \.keras file") as caught:
            build_encoder(EncoderOptions(name=str(path)))
        assert "\n" not in str(caught.value)
    path.write_bytes(whole)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/filler", bytes(8 * 2**20))
    with pytest.raises(WeightsError, match="refused: it would unpack to"):
        build_encoder(EncoderOptions(name=str(path)))


def test_a_description_that_lies_about_its_weights_is_refused(save):
    path = save(own_network())
    edit_description(path, '"filters": 5', '"filters": 6')
    with pytest.raises(WeightsError, match=r"mine\.keras: cannot load this encoder file") as caught:
        build_encoder(EncoderOptions(name=path))
    assert "\n" not in str(caught.value)
