"""The graphs that a bundle carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnx
from numpy.typing import NDArray

from cutline.config import DecoderOptions
from cutline.errors import ExportError
from cutline.exporting.decoders import LARGEST_TABLE, DecoderParts, decoder_graphs
from cutline.exporting.encoder import encoder_graph
from cutline.models.encoders import Encoder, encoder_from_spec
from cutline.runtime import Bundle
from cutline.runtime.bundle import DECODER_START, DECODER_STEP, ENCODER_GRAPH


def encoder_file(encoder: Encoder) -> bytes:
    """Return the content of ``encoder.onnx``.

    Raises:
        ExportError: An own network has a layer for which there is no rule.
    """
    try:
        content: bytes = encoder_graph(encoder).SerializeToString()
    except (AttributeError, TypeError, ValueError, onnx.checker.ValidationError) as error:
        # An own network may hold anything; one that no rule foresaw captions through Keras.
        raise ExportError(f"encoder {encoder.name}: cannot be written as a graph ({error})") from error
    return content


def decoder_files(
    options: DecoderOptions,
    arrays: Mapping[str, NDArray[Any]],
    feature_shape: tuple[int, ...],
    largest_table: int = LARGEST_TABLE,
    int8: bool = False,
) -> dict[str, bytes]:
    """Return file name → content of both graphs of a decoder.

    Args:
        options: Name and widths.
        arrays: Weights, as in a bundle.
        feature_shape: (D,) or (R, D).
        largest_table: As in :class:`cutline.exporting.decoders.DecoderParts`.
        int8: As there.
    """
    start, step = decoder_graphs(DecoderParts(options, arrays, feature_shape, largest_table, int8))
    return {DECODER_START: start.SerializeToString(), DECODER_STEP: step.SerializeToString()}


def with_graphs(bundle: Bundle) -> Bundle:
    """Return a bundle with graphs made of its weights, which must be loaded.

    Raises:
        ExportError: The encoder is an own network with a layer for which there is no rule.
        WeightsError: The encoder's weights do not fit.
    """
    encoder = encoder_from_spec(bundle.encoder_spec, bundle.encoder_arrays)
    graphs = decoder_files(bundle.decoder, bundle.decoder_arrays, bundle.feature_shape)
    return replace(bundle, graphs={ENCODER_GRAPH: encoder_file(encoder), **graphs})
