"""The graphs that a bundle carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from cutline.config import DecoderOptions
from cutline.exporting.decoders import DecoderParts, decoder_graphs
from cutline.exporting.encoder import encoder_graph
from cutline.models.encoders import Encoder
from cutline.runtime.bundle import DECODER_START, DECODER_STEP


def encoder_file(encoder: Encoder) -> bytes:
    """Return the content of ``encoder.onnx``.

    Raises:
        ExportError: An own network has a layer for which there is no rule.
    """
    content: bytes = encoder_graph(encoder).SerializeToString()
    return content


def decoder_files(
    options: DecoderOptions, arrays: Mapping[str, NDArray[Any]], feature_shape: tuple[int, ...]
) -> dict[str, bytes]:
    """Return file name → content of both graphs of a decoder.

    Args:
        options: Name and widths.
        arrays: Weights, as in a bundle.
        feature_shape: (D,) or (R, D).
    """
    start, step = decoder_graphs(DecoderParts(options, arrays, feature_shape))
    return {DECODER_START: start.SerializeToString(), DECODER_STEP: step.SerializeToString()}
