"""A model for LiteRT, which was called TensorFlow Lite: encoder, start and step as three files.

They take any number of images or captions and compute in float32 with operators that every interpreter has;
:mod:`cutline.exporting.tf_functions` says what goes in and comes out. The search is left to the program.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cutline.errors import ExportError
from cutline.exporting.tf_functions import ATTENTION, NEXT, SCORES, STATE, Functions, Tensors
from cutline.models.encoders import Encoder
from cutline.models.sessions import KerasSession

ENCODER_FILE: Final = "encoder.tflite"
START_FILE: Final = "decoder_start.tflite"
STEP_FILE: Final = "decoder_step.tflite"
LITERT_FILES: Final = (ENCODER_FILE, START_FILE, STEP_FILE)

Arrays = dict[str, NDArray[Any]]


def write_litert(session: KerasSession, folder: Path) -> None:
    """Write the three files.

    Args:
        session: The networks.
        folder: There, and empty.

    Raises:
        ExportError: The encoder has a layer that LiteRT's own operators cannot compute.
        UnknownNameError: The decoder cannot be written.
    """
    functions, shape = Functions(session), session.encoder.feature_shape
    images = tf.TensorSpec((None, *session.input_size, 3), tf.uint8, "images")
    features = tf.TensorSpec((None, *shape), tf.float32, "features")
    known = {
        name: tf.TensorSpec((None, *tensor.shape[1:]), tf.float32, name)
        for name, tensor in functions.start(tf.zeros((1, *shape))).items()
    }
    token_ids = tf.TensorSpec((None,), tf.int32, "token_ids")

    def encode(images: Any) -> Tensors:
        return {"features": functions.encode(images)}

    def step(token_ids: Any, **known: Any) -> Tensors:
        return functions.step(token_ids, known)

    _write(folder / ENCODER_FILE, functions, encode, images)
    _write(folder / START_FILE, functions, functions.start, features)
    _write(folder / STEP_FILE, functions, step, token_ids, **known)


def _write(path: Path, functions: Functions, function: Callable[..., Any], *given: Any, **named: Any) -> None:
    module = tf.Module()
    module.network = functions.variables
    traced = tf.function(function).get_concrete_function(*given, **named)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], module)
    try:
        content = converter.convert()
    except Exception as error:  # of the converter's own kinds, which it does not document
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExportError(f"{path.name} cannot be written for LiteRT ({first}); try --format onnx") from error
    path.write_bytes(content)


class LiteRtSession:
    """A session over the three files: what was written, read back.

    Args:
        folder: Written by :func:`write_litert`.
        encoder: What the first of them was made of, for its name and sizes.
    """

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        """Open the files."""
        self.encoder, self.input_size = encoder, encoder.input_size
        self._encode, self._start, self._step = (_open(folder / name) for name in LITERT_FILES)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (B, H, W, 3), 0..255, to features (B, *feature shape)."""
        return self._encode(images=images)["features"]

    def start(self, features: NDArray[Any]) -> Arrays:
        """Features (B, ...) to the state before the first token."""
        return self._start(features=np.ascontiguousarray(features, np.float32))

    def step(self, token_ids: NDArray[np.int32], state: Arrays) -> tuple[NDArray[np.float32], Arrays]:
        """Token ids (B,) to log-probabilities (B, V) of the next token, and the next state."""
        given = {name: array for name, array in state.items() if name != ATTENTION}
        found = self._step(token_ids=np.ascontiguousarray(token_ids, np.int32), **given)
        scores = found.pop(SCORES)
        return scores, state | {name.replace(NEXT, STATE, 1): array for name, array in found.items()}

    def reorder(self, state: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> Arrays:
        """State whose row i is row ``rows[i]`` of the old one."""
        return {name: array[rows] for name, array in state.items()}

    def attention_weights(self, state: Mapping[str, NDArray[Any]]) -> NDArray[np.float32] | None:
        """Weights of the regions (B, R) in the last step; None for a decoder that looks at none."""
        return state.get(ATTENTION)


def _open(path: Path) -> Callable[..., Arrays]:
    with warnings.catch_warnings():
        # It recommends a package of its own for programs that only read; here TensorFlow is at hand.
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        # Without delegates, which are the device's own affair and speak up when they are made.
        plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = tf.lite.Interpreter(str(path), experimental_op_resolver_type=plain)
    runner: Callable[..., Arrays] = interpreter.get_signature_runner()
    return runner
