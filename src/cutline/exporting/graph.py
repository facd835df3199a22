"""Writing ONNX graphs by hand: one method call, one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET: Final = 17
"""Version of the operators: the first with layer normalisation, read by every ONNX Runtime since 1.12."""

_IR_VERSION: Final = 8

Shape = Sequence[int | str]
"""Lengths of the axes; a name stands for a length that is only known when the graph runs."""


class GraphBuilder:
    """Collects the nodes of one graph. Tensors are passed on by name.

    Example:
        >>> graph = GraphBuilder("twice")
        >>> x = graph.input("x", np.float32, ["B"])
        >>> graph.output("y", graph.add("Mul", x, graph.constant(np.float32(2))), np.float32, ["B"])
        >>> [node.op_type for node in graph.model().graph.node]
        ['Mul', 'Identity']
    """

    def __init__(self, name: str) -> None:
        """Begin an empty graph."""
        self._name = name
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, dtype: Any, shape: Shape) -> str:
        """Declare an input and return its name."""
        self._inputs.append(helper.make_tensor_value_info(name, _type_of(dtype), list(shape)))
        return name

    def output(self, name: str, tensor: str, dtype: Any, shape: Shape) -> None:
        """Declare ``tensor`` an output under a name of its own."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, _type_of(dtype), list(shape)))

    def constant(self, value: NDArray[Any] | np.generic | Sequence[int], name: str = "constant") -> str:
        """Store an array, or whole numbers such as axes and shapes (int64), and return its name."""
        array = np.asarray(value) if isinstance(value, np.ndarray | np.generic) else np.array(value, np.int64)
        name = f"{name}.{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        (output,) = self.add_many(operator, 1, *inputs, **attributes)
        return output

    def add_many(self, operator: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with several outputs and return their names."""
        at = len(self._nodes)
        names = [f"{operator.lower()}.{at}.{place}" for place in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def dense(self, x: str, kernel: NDArray[Any], bias: NDArray[Any] | None = None) -> str:
        """Multiply by a kernel (inputs, outputs) and add a bias: (..., inputs) → (..., outputs)."""
        product = self.add("MatMul", x, self.constant(kernel, "kernel"))
        return product if bias is None else self.add("Add", product, self.constant(bias, "bias"))

    def split(self, x: str, lengths: Sequence[int]) -> list[str]:
        """Cut the last axis into parts."""
        if len(lengths) == 1:
            return [x]
        return self.add_many("Split", len(lengths), x, self.constant(list(lengths)), axis=-1)

    def join(self, *parts: str) -> str:
        """Put tensors side by side along their last axis."""
        return self.add("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Give a tensor another shape: 0 keeps the length of that axis, one -1 takes what is left."""
        return self.add("Reshape", x, self.constant(list(shape)))

    def model(self, facts: Mapping[str, str] | None = None) -> Any:
        """Return the graph as a checked model, with ``facts`` for those who look into it."""
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="cutline",
        )
        helper.set_model_props(model, dict(facts or {}))
        onnx.checker.check_model(model)
        return model


def _type_of(dtype: Any) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
