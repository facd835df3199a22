"""Activations as ONNX nodes, and what all rules for layers pass on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from cutline.errors import ExportError
from cutline.exporting.graph import GraphBuilder

_ACTIVATIONS: Final = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "hard_silu": "HardSwish"}


@dataclass(frozen=True)
class Value:
    """A tensor on its way through the graph.

    Attributes:
        name: In the graph.
        rank: Axes, the batch counted; with 4 of them channels stand second, else last.
    """

    name: str
    rank: int


def activate(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    """Apply the activation of a layer that has one."""
    function = getattr(layer, "activation", None)
    kind = getattr(function, "__name__", "linear" if function is None else str(function))
    if kind == "linear":
        return x
    if kind == "relu6":
        return clipped(graph, x, 6.0)
    if kind == "silu":
        return Value(graph.add("Mul", x.name, graph.add("Sigmoid", x.name)), x.rank)
    if kind == "gelu":
        # Half of x, times 1 + erf(x / sqrt 2).
        root = graph.constant(np.float32(np.sqrt(0.5)))
        bent = graph.add("Erf", graph.add("Mul", x.name, root))
        share = graph.add("Add", bent, graph.constant(np.float32(1)))
        half = graph.add("Mul", x.name, graph.constant(np.float32(0.5)))
        return Value(graph.add("Mul", half, share), x.rank)
    if kind == "hard_sigmoid":
        return Value(graph.add("HardSigmoid", x.name, alpha=1 / 6, beta=0.5), x.rank)
    if kind not in _ACTIVATIONS:
        raise ExportError(f"no rule for the activation {kind} of {layer.name}")
    return Value(graph.add(_ACTIVATIONS[kind], x.name), x.rank)


def clipped(graph: GraphBuilder, x: Value, highest: float) -> Value:
    """Cut values off below 0 and above ``highest``."""
    bounds = (graph.constant(np.float32(0)), graph.constant(np.float32(highest)))
    return Value(graph.add("Clip", x.name, *bounds), x.rank)
