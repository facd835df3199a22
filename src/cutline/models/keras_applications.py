"""The encoders of keras.applications, with their pixel preprocessing put inside the graph."""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from cutline.errors import WeightsError
from cutline.models.encoder_specs import EncoderSpec

_SILENT_SECONDS: Final = 15.0
# Per channel, as keras.applications.imagenet_utils has them in its modes "caffe" and "torch".
_BGR_MEAN: Final = (103.939, 116.779, 123.68)
_RGB_MEAN: Final = (0.485, 0.456, 0.406)
_RGB_DEVIATION: Final = (0.229, 0.224, 0.225)


def preprocess(spec: EncoderSpec, image: Any) -> Any:
    """Return ``image``, a Keras tensor of RGB pixels 0..255 (B, H, W, 3), as float32 in the network's scale.

    The same numbers as the family's ``preprocess_input``, from operations that every export target knows.
    """
    x = keras.ops.cast(image, "float32")
    match spec.pixels:
        case "signed":
            return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")(x)
        case "bgr_mean":
            x = keras.ops.take(x, [2, 1, 0], axis=-1)
            offset = [-mean for mean in _BGR_MEAN]
            return keras.layers.Rescaling(1.0, offset=offset, name="preprocessing")(x)
        case "imagenet":
            scale = [1 / 255 / deviation for deviation in _RGB_DEVIATION]
            offset = [-mean / deviation for mean, deviation in zip(_RGB_MEAN, _RGB_DEVIATION, strict=True)]
            return keras.layers.Rescaling(scale, offset=offset, name="preprocessing")(x)
        case _:
            return x


def build_network(spec: EncoderSpec, weights: str, input_size: tuple[int, int] | None = None) -> Any:
    """Build a network of keras.applications without its classifier.

    Args:
        spec: Of the family ``keras_applications``.
        weights: ``"imagenet"`` (downloaded unless Keras has them), ``"random"``, or a ``.h5`` or
            ``.weights.h5`` file of this network without its classifier.
        input_size: (height, width) of the images it takes; None for what it was trained on.

    Returns:
        A keras.Model from images uint8 (B, H, W, 3) to the activation map float32 (B, h, w, D).

    Raises:
        WeightsError: The weights cannot be downloaded or read, or do not fit.
    """
    if weights not in ("imagenet", "random"):
        require_file(Path(weights), spec.name)
    builder = getattr(keras.applications, spec.builder)
    shape = (*(input_size or spec.input_size), 3)
    if weights != "imagenet" or input_size is not None:
        # Where weights are fetched a size that cannot be is told first, and not as a failed download.
        try:
            network = builder(include_top=False, weights=None, input_shape=shape)
        except ValueError as error:
            raise WeightsError(
                f"encoder {spec.name}: cannot take images of {shape[0]} × {shape[1]} pixels: "
                f"{first_line(error)}"
            ) from None
    if weights == "imagenet":
        with _one_line_when_download_fails(spec), warnings.catch_warnings():
            # Keras has some weights for several sizes of images, and warns when it takes those of another.
            warnings.simplefilter("ignore", UserWarning)
            network = builder(include_top=False, weights="imagenet", input_shape=shape)
    if weights not in ("imagenet", "random"):
        load_file(network, Path(weights), spec.name)
    image = keras.Input(shape, dtype="uint8", name="image")
    return keras.Model(image, network(preprocess(spec, image)), name=spec.name)


def require_file(path: Path, name: str) -> None:
    """Raise WeightsError unless ``path`` is a file of a kind that :func:`load_file` reads."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file; expected .weights.h5 or .h5 weights of {name}")
    if path.suffix != ".h5":
        raise WeightsError(f"{path}: expected a .weights.h5 or .h5 file with weights of {name}")


def load_file(network: Any, path: Path, name: str) -> None:
    """Load a ``.h5`` weights file into ``network``, in place.

    Raises:
        WeightsError: The file is missing, is no weights file or belongs to another network.
    """
    require_file(path, name)
    # Keras only warns about layers that a file says nothing of: what stays NaN was not loaded.
    for variable in network.weights:
        if "float" in variable.dtype:
            variable.assign(np.full(tuple(variable.shape), np.nan, np.float32))
    expected = f"{path}: expected weights of {name} (without a classifier)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            network.load_weights(path)
    except Exception as error:
        raise WeightsError(f"{expected}; {first_line(error)}") from None
    for variable in network.weights:
        if np.isnan(np.asarray(variable)).any():
            raise WeightsError(f"{expected}; it has none, or damaged ones, for {variable.path}")


def first_line(error: Exception) -> str:
    """Return the first line of what Keras says, which may go on for pages; the error's name if it is silent.

    Example:
        >>> first_line(ValueError("a layer is missing\\nTraceback")), first_line(KeyError())
        ('a layer is missing', 'KeyError')
    """
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]


@contextlib.contextmanager
def _one_line_when_download_fails(spec: EncoderSpec) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    # Without a limit a network that swallows packets holds the download for minutes before it fails.
    socket.setdefaulttimeout(_SILENT_SECONDS)
    try:
        # Keras writes a progress bar to standard output, which belongs to the command line.
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except Exception as error:
        raise WeightsError(_explain_download(spec, error)) from None
    finally:
        socket.setdefaulttimeout(before)


def _explain_download(spec: EncoderSpec, error: Exception) -> str:
    folder = Path(os.environ.get("KERAS_HOME") or "~/.keras") / "models"
    ways_out = "pass --encoder-weights PATH, or use --encoder efficientnet_lite0, which works offline"
    address = re.search(r"https?://[^\s:]+", str(error))
    if address is None:
        return f"encoder {spec.name}: cannot load its ImageNet weights: {first_line(error)}; {ways_out}"
    file = address.group().rpartition("/")[2]
    return f"encoder {spec.name}: cannot download {file}; put that file into {folder}, or {ways_out}"
