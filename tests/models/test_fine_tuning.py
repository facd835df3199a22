"""Which parts of an encoder are trained, by the size of their maps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from cutline.config import DecoderOptions, EncoderOptions
from cutline.errors import ConfigError
from cutline.models.decoders import build_decoder
from cutline.models.encoders import Encoder, build_encoder
from cutline.models.fine_tuning import WholeNetwork, choose_stages


def small_encoder() -> Encoder:
    """Three stages of a convolution and its normalisation; the last two are a network in the network."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.BatchNormalization(name="norm1")(keras.layers.Conv2D(2, 3, 2, "same", name="conv1")(x))
    inner = keras.Input((8, 8, 2))
    y = keras.layers.Conv2D(3, 3, 2, "same", name="conv2")(inner)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm2")(y))
    y = keras.layers.Conv2D(4, 3, 2, "same", name="conv3")(y)
    y = keras.layers.BatchNormalization(name="norm3")(y)
    return Encoder("small", keras.Model(image, keras.Model(inner, y, name="inside")(x)), "grid", 4)


def trained_layers(encoder: Encoder) -> set[str]:
    return {variable.path.split("/")[-2] for variable in encoder.model.trainable_variables}


@pytest.mark.parametrize(
    ("stages", "batch_norm", "expected"),
    [
        ("last", "frozen", {"conv3"}),
        ("last", "trained", {"conv3", "norm3"}),
        ("last_two", "frozen", {"conv2", "conv3"}),
        ("all", "frozen", {"conv1", "conv2", "conv3"}),
        ("all", "trained", {"conv1", "conv2", "conv3", "norm1", "norm2", "norm3"}),
    ],
)
def test_the_stages_asked_for_are_trained_and_no_others(stages, batch_norm, expected):
    encoder = small_encoder()
    choose_stages(encoder, "all", "trained")  # what was chosen before does not matter
    choose_stages(encoder, stages, batch_norm)
    assert trained_layers(encoder) == expected


def test_choosing_stages_keeps_the_order_of_weights_and_the_fingerprint():
    encoder = small_encoder()
    names, fingerprint = list(encoder.weights()), encoder.fingerprint()
    choose_stages(encoder, "last", "frozen")
    encoder.tell_change()
    assert list(encoder.weights()) == names
    assert encoder.fingerprint() == fingerprint


@pytest.mark.parametrize(
    ("name", "last", "before"),
    [
        ("efficientnet_lite0", {"block11_depthwise", "block15_project", "head"}, "block11_expand"),
        ("efficientnet_lite1", {"block15_depthwise", "block19_project", "head"}, "block15_expand"),
        ("efficientnet_lite2", {"block15_depthwise", "block20_project", "head"}, "block15_expand"),
        ("resnet50", {"conv5_block1_0_conv", "conv5_block3_3_conv"}, "conv4_block6_3_conv"),
        (
            "resnet50+efficientnet_lite0",
            {"conv5_block1_0_conv", "block11_depthwise", "head"},
            "block11_expand",
        ),
    ],
)
def test_the_last_stage_of_real_encoders_has_the_smallest_maps(name, last, before):
    encoder = build_encoder(EncoderOptions(name=name, weights="random", features="grid"))
    choose_stages(encoder, "last", "frozen")
    found = trained_layers(encoder)
    assert last <= found
    assert before not in found
    choose_stages(encoder, "last_two", "frozen")
    assert before in trained_layers(encoder)


def test_an_encoder_without_weights_is_refused():
    image = keras.Input((8, 8, 3), dtype="uint8")
    network = keras.Model(image, keras.layers.Rescaling(1 / 255)(image))
    with pytest.raises(ConfigError, match="no weights to train"):
        choose_stages(Encoder("none", network, "grid", 4), "all", "trained")


def gradients(batch_norm: Any, name: str) -> tuple[dict[str, bool], Encoder]:
    """Take one step through pixels; return which weights of the encoder moved."""
    encoder = small_encoder()
    choose_stages(encoder, "last", batch_norm)
    decoder = build_decoder(
        DecoderOptions(name=name, embedding_units=4, lstm_units=6, attention_units=4), 9, (4, 4)
    )
    whole = WholeNetwork(encoder.model, decoder, batch_norm == "trained")
    whole.compile(
        optimizer=keras.optimizers.SGD(1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    before = {key: array.copy() for key, array in encoder.weights().items()}
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    tokens = np.array([[2, 4, 5], [2, 6, 7], [2, 4, 8]], np.int32)
    whole.train_on_batch((pixels, tokens, np.array([0, 0, 1], np.int32)), tokens)
    after = encoder.weights()
    paths = [variable.path.split("/")[-2:] for variable in encoder.model.weights]
    return {
        "/".join(path): not np.array_equal(before[key], after[key])
        for path, key in zip(paths, before, strict=True)
    }, encoder


@pytest.mark.parametrize("name", ["attend", "show_tell"])
def test_gradients_reach_the_chosen_stage_alone_and_statistics_stay(name):
    moved, _ = gradients("frozen", name)
    assert {path for path, has_moved in moved.items() if has_moved} == {"conv3/kernel", "conv3/bias"}


def test_batch_normalisation_learns_in_the_trained_stage_alone_when_asked_to():
    moved, _ = gradients("trained", "attend")
    changed = {path for path, has_moved in moved.items() if has_moved}
    # The bias before a normalisation by the batch's own mean changes nothing.
    expected = {"conv3/kernel", *(f"norm3/{part}" for part in ("gamma", "beta", "moving_mean"))}
    assert expected <= changed | {"conv3/bias"}
    assert {path.split("/")[0] for path in changed} == {"conv3", "norm3"}


def test_an_encoder_tells_a_new_fingerprint_after_training():
    encoder = small_encoder()
    before = encoder.fingerprint()["weights_sha256"]
    encoder.model.weights[0].assign_add(np.ones(tuple(encoder.model.weights[0].shape), np.float32))
    encoder.tell_change()
    assert encoder.fingerprint()["weights_sha256"] != before
