"""Networks as ONNX graphs: the same features as Keras computes, or the layer that cannot be written."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from cutline.config import EncoderOptions
from cutline.errors import ExportError
from cutline.exporting import encoder_graph
from cutline.models.encoder_specs import encoder_names, find_spec
from cutline.models.encoders import Encoder, build_encoder

keras = pytest.importorskip("keras")
layers = keras.layers

SIZE = 18


def image() -> Any:
    return keras.Input((SIZE, SIZE, 3), dtype="uint8")


def unsettle(network: Any) -> None:
    """Give what training begins with as 0 or 1 other values, so that no bias or scale is left out unseen."""
    generator = np.random.default_rng(1)
    for variable in network.weights:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "beta", "bias", "moving_mean", "mean"):
            variable.assign(np.asarray(variable) + generator.uniform(-0.2, 0.2, shape))
        elif variable.name in ("moving_variance", "variance"):
            variable.assign(generator.uniform(0.5, 1.5, shape))


def difference(encoder: Encoder) -> float:
    """Return the largest difference, compared with the largest feature."""
    unsettle(encoder.model)
    session = onnxruntime.InferenceSession(encoder_graph(encoder).SerializeToString())
    pixels = np.random.default_rng(0).integers(0, 256, (2, *encoder.input_size, 3), dtype=np.uint8)
    (features,) = session.run(["features"], {"images": pixels})
    expected = encoder.encode(pixels)
    assert (features.dtype, features.shape) == (np.float32, expected.shape)
    return float(np.abs(features - expected).max() / np.abs(expected).max())


def of(network: Any, features: Any = "grid") -> Encoder:
    return Encoder("own", network, features, 2)


@pytest.mark.parametrize("features", ["grid", "pooled"])
@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v3_small+efficientnet_lite0"])
def test_small_encoders_give_the_features_of_keras(name, features):
    options = EncoderOptions(name=name, weights="random", features=features, input_size=96)
    assert difference(build_encoder(options)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", encoder_names())
def test_every_named_encoder_is_as_the_table_says_and_gives_the_features_of_keras(name):
    keras.backend.clear_session()
    encoder = build_encoder(EncoderOptions(name=name, weights="random", features="grid"))
    spec = find_spec(name)
    assert (encoder.input_size, encoder.feature_shape) == (spec.input_size, spec.grid_shape)
    # The largest ones repeat what their smaller sisters are made of, for minutes.
    if name.rpartition("_")[2] not in ("large", "xlarge", "l", "b6", "b7"):
        # Random weights drive some networks far out, where rounding is coarse.
        assert difference(encoder) < 1e-3


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(4, (3, 2), dilation_rate=2, padding="same", use_bias=False, activation="silu"),
        layers.Conv2D(6, 3, groups=3, activation="gelu"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, activation="hard_silu"),
        layers.SeparableConv2D(5, 3, strides=2, padding="same", activation="sigmoid"),
        layers.Dense(4, activation="tanh"),
        layers.BatchNormalization(),
        layers.BatchNormalization(scale=False, center=False),
        layers.LayerNormalization(),
        layers.LayerNormalization(scale=False),
        layers.LayerNormalization(center=False),
        layers.Normalization(),
        layers.Rescaling([0.1, 0.2, 0.3], offset=[1, 2, 3]),
        layers.ReLU(100.0),
        layers.Activation("relu6"),
        layers.Activation("hard_sigmoid"),
        layers.ZeroPadding2D(((1, 2), (3, 0))),
        layers.Cropping2D(((1, 2), (3, 0))),
        layers.MaxPooling2D(3, 2, padding="same"),
        layers.AveragePooling2D(3, 2, padding="same"),
        layers.AveragePooling2D((2, 3), 1),
        layers.Dropout(0.5),
        keras.Sequential([layers.Conv2D(4, 3), layers.ReLU()]),
    ],
    ids=lambda layer: layer.name,
)
def test_a_layer_computes_what_keras_computes(layer):
    pixels = image()
    assert difference(of(keras.Model(pixels, layer(layers.Rescaling(1 / 255)(pixels))))) < 1e-5


def test_branches_are_put_together_again():
    pixels = image()
    x = layers.Rescaling(1 / 255)(pixels)
    one, two = layers.Conv2D(4, 1)(x), layers.Conv2D(4, 1)(x)
    weights = layers.Reshape((1, 1, 4))(layers.GlobalMaxPooling2D()(two))
    joined = layers.Concatenate()([layers.Add()([one, two]), layers.Multiply()([one, weights])])
    assert difference(of(keras.Model(pixels, joined))) < 1e-5


def test_a_map_is_flattened_in_the_order_of_keras():
    pixels = image()
    flat = layers.Flatten()(layers.MaxPooling2D(6)(layers.Rescaling(1 / 255)(pixels)))
    assert difference(of(keras.Model(pixels, layers.Dense(3)(flat)), "pooled")) < 1e-5


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (layers.UnitNormalization(name="odd"), "no rule for UnitNormalization odd"),
        (layers.Activation("selu", name="odd"), "no rule for the activation selu of odd"),
        (layers.ReLU(negative_slope=0.1, name="odd"), "slope or threshold of odd"),
        (layers.BatchNormalization(axis=1, name="odd"), "odd normalises over 1"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_cannot_be_written_is_named(layer, told):
    pixels = image()
    with pytest.raises(ExportError, match=told):
        encoder_graph(of(keras.Model(pixels, layer(layers.Rescaling(1 / 255)(pixels)))))
