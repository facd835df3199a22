"""An encoder as ONNX: images in, features out, the pixel preprocessing inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from cutline.exporting.activations import Value
from cutline.exporting.graph import GraphBuilder
from cutline.exporting.networks import last_channels, write_network
from cutline.models.encoders import Encoder


def encoder_graph(encoder: Encoder) -> Any:
    """Write an encoder as an ONNX model.

    Args:
        encoder: With its weights.

    Returns:
        An onnx.ModelProto from ``images`` uint8 (B, H, W, 3) to ``features`` float32 (B, *feature shape).

    Raises:
        ExportError: An own network has a layer for which there is no rule.
    """
    graph = GraphBuilder("encoder")
    image = graph.input("images", np.uint8, ["B", *encoder.input_size, 3])
    turned = graph.add("Transpose", image, perm=[0, 3, 1, 2])  # bytes are moved faster than floats
    pixels = Value(graph.add("Cast", turned, to=1), 4)
    features = write_network(graph, encoder.model, pixels)
    graph.output("features", last_channels(graph, features), np.float32, ["B", *encoder.feature_shape])
    return graph.model({"encoder": encoder.name})
