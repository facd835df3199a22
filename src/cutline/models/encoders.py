"""Encoders: from images to features, pixel preprocessing inside the graph.

An encoder is named (:mod:`cutline.models.encoder_specs`) or somebody's own ``.keras`` file. Whatever it is,
it takes uint8 images of its own input size and returns float32 features, so that training and captioning
cannot prepare pixels differently.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cutline.config import EncoderOptions
from cutline.errors import WeightsError
from cutline.models import own_encoder
from cutline.models.encoder_specs import (
    DECODE_VERSION,
    ENCODERS,
    PREPROCESSING_VERSION,
    EncoderSpec,
    described_size,
    encoder_names,
    is_own_file,
    refuse_input_size,
)
from cutline.models.named_networks import build_named
from cutline.progress import Progress, Silent

__all__ = ["ENCODERS", "Encoder", "EncoderSpec", "build_encoder", "encoder_from_spec", "encoder_names"]

Features = Literal["pooled", "grid"]
_SILENT: Final = Silent()


class Encoder:
    """A network that turns images into features.

    Attributes:
        name: Its name in the registry, or the file name of an own network.
        input_size: (height, width) of the images it takes.
        features: ``"pooled"``, one vector per image, or ``"grid"``, one per region.
        feature_shape: (D,) or (R, D).
        batch_size: Images encoded at once.
        model: keras.Model from images uint8 (B, H, W, 3), RGB, to features float32 (B, *feature_shape).
    """

    def __init__(
        self,
        name: str,
        network: Any,
        features: Features,
        batch_size: int,
        own_network: Mapping[str, Any] | None = None,
    ) -> None:
        """Put pooling, or regions, behind ``network``: uint8 (B, H, W, 3) → (B, h, w, D) or (B, D).

        ``own_network`` is the configuration of a network that no registry knows.
        """
        self.name = name
        self.features: Features = features
        self.batch_size = batch_size
        self.model = _finish(network, features, name)
        self.input_size: tuple[int, int] = tuple(self.model.input_shape[1:3])
        self.feature_shape: tuple[int, ...] = tuple(self.model.output_shape[1:])
        self._own_network = own_network
        self._digest: str | None = None
        self._compiled: Any = None

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode images.

        Args:
            images: uint8 (N, H, W, 3), RGB, H and W as in ``input_size``; N may be 0.

        Returns:
            float32 (N, *feature_shape); a row does not depend on the other rows beyond float noise.

        Raises:
            ValueError: Another dtype or shape, which is a fault of the caller.
        """
        if images.dtype != np.uint8 or images.shape[1:] != (*self.input_size, 3):
            expected = f"uint8 (N, {self.input_size[0]}, {self.input_size[1]}, 3)"
            raise ValueError(f"{self.name}: expected images {expected}, found {images.dtype} {images.shape}")
        rows = np.empty((len(images), *self.feature_shape), np.float32)
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            rows[start : start + len(batch)] = self._compile()(tf.constant(batch)).numpy()
        return rows

    def fingerprint(self) -> dict[str, Any]:
        """Describe everything features depend on except the image, as plain JSON values."""
        if self._digest is None:
            self._digest = _hash_arrays(self.weights())
        own_network = json.dumps(self._own_network, sort_keys=True).encode()
        return {
            "encoder": self.name,
            "input_size": list(self.input_size),
            "features": self.features,
            "preprocessing_version": PREPROCESSING_VERSION,
            "decode_version": DECODE_VERSION,
            "weights_sha256": self._digest,
            "own_network_sha256": hashlib.sha256(own_network).hexdigest() if self._own_network else None,
        }

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return all weights by a key that is the same in every process: position and kind."""
        return {key: np.asarray(variable) for key, variable in self._variables().items()}

    def load_weights(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put back what :meth:`weights` returned.

        Raises:
            WeightsError: A weight is missing, unknown, of another shape or not finite; nothing is loaded.
        """
        variables = self._variables()
        for key in sorted(variables.keys() ^ arrays.keys()):
            fault = "missing" if key in variables else "not one of its weights"
            raise WeightsError(f"encoder {self.name}: {key} is {fault}; expected {len(variables)} weights")
        for key, variable in variables.items():
            _require_fit(f"encoder {self.name}: {key}", arrays[key], tuple(variable.shape))
        for key, variable in variables.items():
            variable.assign(arrays[key])
        self.tell_change()

    def tell_change(self) -> None:
        """Say that weights were changed in place: the next fingerprint is computed anew."""
        self._digest = None

    def spec(self) -> dict[str, Any]:
        """Return plain JSON values from which :func:`encoder_from_spec` rebuilds the network."""
        return {
            "name": self.name,
            "features": self.features,
            "input_size": list(self.input_size),
            "batch_size": self.batch_size,
            "preprocessing_version": PREPROCESSING_VERSION,
            "own_network": self._own_network,
        }

    def _compile(self) -> Any:
        """Return the network as one graph, traced once for any number of images."""
        if self._compiled is None:
            images = tf.TensorSpec((None, *self.input_size, 3), tf.uint8)
            graph = tf.function(lambda batch: self.model(batch, training=False))
            self._compiled = graph.get_concrete_function(images)
        return self._compiled

    def _variables(self) -> dict[str, Any]:
        # Paths of Keras hold counters that differ from process to process; the order does not.
        return {f"{index:04d}/{variable.name}": variable for index, variable in enumerate(self.model.weights)}


def build_encoder(options: EncoderOptions, progress: Progress = _SILENT) -> Encoder:
    """Build the encoder that ``options`` name, with weights.

    Args:
        options: ``name`` is an encoder's name, several joined by ``+``, or the path of a ``.keras`` file.
            ``weights`` is ``"imagenet"``, ``"random"`` (seeded: the same in every process) or a path:
            ``.pth`` for EfficientNet-Lite, ``.h5`` or ``.weights.h5`` for all others; for several encoders
            one of the first two, or one for each, joined by ``+``. A ``.keras`` file keeps its own weights
            under ``"imagenet"``. An ``input_size`` other than 0 is the side of the images it takes.
        progress: Told when weights are looked for that may have to be downloaded.

    Raises:
        ConfigError: An ``input_size`` for a ``.keras`` file.
        UnknownNameError: No such encoder; the nearest name is suggested.
        MissingDependencyError: The package with the weights is not installed; the install line is given.
        WeightsError: Weights or the ``.keras`` file are missing, unsafe, damaged or do not fit;
            or the encoder cannot take images of that size.
    """
    own_network = None
    if is_own_file(options.name):
        name = Path(options.name).name
        refuse_input_size(options.name, options.input_size)
        weights = None if options.weights in ("imagenet", "random") else Path(options.weights)
        network, own_network = own_encoder.load_network(Path(options.name), weights)
    else:
        name = options.name
        size = (options.input_size, options.input_size) if options.input_size else None
        network = build_named(name, options.features, options.weights, progress, size)
    if options.weights == "random":
        _randomise(network)
    for variable in network.weights:
        _require_fit(f"encoder {name}: {variable.path}", np.asarray(variable), tuple(variable.shape))
    return Encoder(name, network, options.features, options.batch_size, own_network)


def encoder_from_spec(spec: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Encoder:
    """Rebuild an encoder from :meth:`Encoder.spec` and :meth:`Encoder.weights`; nothing else is needed.

    Raises:
        UnknownNameError: No such encoder.
        WeightsError: The weights do not fit, or the encoder prepares pixels in a way unknown here.
    """
    absent = {"name", "features", "batch_size", "preprocessing_version", "own_network"} - spec.keys()
    if absent or spec["features"] not in ("pooled", "grid"):
        raise WeightsError(
            f"encoder description: damaged: {min(absent, default='features')!r} is missing or wrong"
        )
    name, version = spec["name"], spec["preprocessing_version"]
    if version != PREPROCESSING_VERSION:
        raise WeightsError(
            f"encoder {name}: pixel preprocessing version {version}, expected {PREPROCESSING_VERSION}; "
            "train again, or use the cutline that wrote it"
        )
    if spec["own_network"] is not None:
        network = own_encoder.rebuild_network(spec["own_network"], f"encoder {name}")
    else:
        network = build_named(name, spec["features"], "random", _SILENT, described_size(spec))
    encoder = Encoder(name, network, spec["features"], spec["batch_size"], spec["own_network"])
    encoder.load_weights(arrays)
    return encoder


def _finish(network: Any, features: Features, name: str) -> Any:
    """Pool the activation map, or lay its regions in a row; features already pooled pass."""
    shape = tuple(network.output_shape[1:])
    if features == "grid" and len(shape) != 3:
        raise WeightsError(
            f"encoder {name}: features 'grid' need an activation map (h, w, D), it gives {shape}; "
            "ask for one vector per image with --set encoder.features=pooled"
        )
    x = network.output
    if features == "grid":
        x = keras.layers.Reshape((shape[0] * shape[1], shape[2]), name="regions")(x)
    elif len(shape) == 3:
        x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    return keras.Model(network.input, x, name="encoder")


def _randomise(network: Any) -> None:
    """Give every kernel seeded values that keep activations in range (He et al., 2015)."""
    generator = np.random.default_rng(0)
    for variable in network.weights:
        if len(variable.shape) > 1:
            inputs = variable.shape[:2] if "depthwise" in variable.path else variable.shape[:-1]
            fan_in = max(1, int(np.prod(inputs)))
            values = generator.standard_normal(tuple(variable.shape), dtype=np.float32)
            variable.assign(values * np.float32(np.sqrt(2 / fan_in)))


def _require_fit(what: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype.kind not in "fiu":
        raise WeightsError(f"{what} is {array.dtype} {array.shape}, expected numbers {shape}")
    if not np.isfinite(array).all():
        raise WeightsError(f"{what} holds values that are not finite: the weights are damaged")


def _hash_arrays(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for key, array in arrays.items():
        digest.update(f"{key} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
