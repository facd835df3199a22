"""The network of a named encoder, or those of several joined, whose features stand one after the other.

Networks that were trained apart see different things; together they cost the sum of their work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import keras

from cutline.errors import WeightsError
from cutline.models import efficientnet_lite, keras_applications
from cutline.models.encoder_specs import EncoderSpec, find_specs, weights_of
from cutline.models.torch_weights import read_state_dict
from cutline.progress import Progress


def build_named(
    name: str,
    features: Literal["pooled", "grid"],
    weights: str,
    progress: Progress,
    input_size: tuple[int, int] | None = None,
) -> Any:
    """Build the network of an encoder, or those of several, as one.

    Args:
        name: Of the registry, or several of them joined by ``+``.
        features: Whether vectors or maps are wanted, where several are to be joined.
        weights: ``"imagenet"``, ``"random"`` (of the library; to be given values) or a path; for several
            encoders one of the first two, or as many as there are encoders, joined by ``+``.
        progress: Told when weights may be downloaded.
        input_size: (height, width) of the images; None for the usual one, of several the largest.

    Returns:
        A keras.Model from images uint8 (B, H, W, 3) to the activation map (B, h, w, D), D being the sum of
        all depths; of several encoders pooled features are (B, D).

    Raises:
        UnknownNameError: No such encoder.
        MissingDependencyError: The package with the weights is not installed.
        WeightsError: Weights are missing, too few or too many, damaged or of another network; an encoder
            cannot take images of that size; or maps are of different sizes.
    """
    specs, own_weights = find_specs(name), weights_of(name, weights)
    if len(specs) == 1:
        return _build(specs[0], own_weights[0], progress, input_size)
    size = input_size or max(spec.input_size for spec in specs)
    networks = [_build(spec, own, progress, size) for spec, own in zip(specs, own_weights, strict=True)]
    image = keras.Input((*size, 3), dtype="uint8", name="image")
    maps = [network(image) for network in networks]
    if features == "pooled":
        maps = [
            keras.layers.GlobalAveragePooling2D(name=f"pooling_{spec.name}")(x)
            for spec, x in zip(specs, maps, strict=True)
        ]
    elif len({x.shape[1:3] for x in maps}) > 1:
        found = ", ".join(
            f"{spec.name} {x.shape[1]} × {x.shape[2]}" for spec, x in zip(specs, maps, strict=True)
        )
        raise WeightsError(
            f"encoder {name}: on images of {size[0]} × {size[1]} pixels their maps differ: {found} regions; "
            "try another --set encoder.input_size, or --set encoder.features=pooled"
        )
    return keras.Model(image, keras.layers.Concatenate(name="joined")(maps), name="joined")


def _build(spec: EncoderSpec, weights: str, progress: Progress, input_size: tuple[int, int] | None) -> Any:
    if spec.family == "keras_applications":
        if weights == "imagenet":
            progress.note(f"encoder {spec.name}: fetching ImageNet weights unless Keras has them already")
        return keras_applications.build_network(spec, weights, input_size)
    network = efficientnet_lite.build_network(spec.name, input_size=input_size)
    if weights != "random":
        path = efficientnet_lite.find_weights(spec.name) if weights == "imagenet" else Path(weights)
        efficientnet_lite.load_state_dict(network, read_state_dict(path), str(path))
    return network
