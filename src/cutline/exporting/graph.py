"""Writing ONNX graphs by hand: one method call, one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 17
"""Version of the operators: the first with layer normalisation, read by every ONNX Runtime since 1.12."""

SMALLEST_INT8: Final = 32
"""Rows and columns that a kernel has at least to be stored in 8 bits: smaller ones would save nothing."""

_IR_VERSION: Final = 8
# ONNX Runtime's own operators.
_CONTRIB: Final = "com.microsoft"
_FLOAT: Final = TensorProto.FLOAT
_MOST: Final = 127
_TINY: Final = 1e-12

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

    def __init__(self, name: str, int8: bool = False) -> None:
        """Begin an empty graph.

        Args:
            name: For those who look into it.
            int8: Store large kernels and tables as whole numbers of 8 bits, and multiply by them so.
        """
        self._name = name
        self._int8 = int8
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        # A runtime may refuse a graph that names operators it does not have.
        self._operators = [("", OPSET), *([(_CONTRIB, 1)] if int8 else [])]

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
        if self._int8 and min(kernel.shape) >= SMALLEST_INT8:
            product = self._int8_product(x, kernel)
        else:
            product = self.add("MatMul", x, self.constant(kernel, "kernel"))
        return product if bias is None else self.add("Add", product, self.constant(bias, "bias"))

    def table(self, table: NDArray[Any], rows: str) -> str:
        """Look up rows of a table (V, W) by their numbers (B,): (B, W)."""
        if not self._int8:
            return self.add("Gather", self.constant(table, "table"), rows)
        rounded, scales = in_int8(table, axis=1)
        found = self.add("Cast", self.add("Gather", self.constant(rounded, "table"), rows), to=_FLOAT)
        return self.add("Mul", found, self.add("Gather", self.constant(scales, "scales"), rows))

    def _int8_product(self, x: str, kernel: NDArray[Any]) -> str:
        """Multiply whole numbers: every row of ``x`` is rounded by a scale of its own.

        So what a row becomes does not depend on the rows beside it, and no ranges have to be measured before.
        The way to do it is that of Zafrir et al., "Q8BERT", 2019 (arXiv:1910.06188), but for scales per row
        and per column.
        """
        largest = self.add("ReduceMax", self.add("Abs", x), axes=[-1], keepdims=1)
        largest = self.add("Max", largest, self.constant(np.float32(_TINY)))
        step, middle = self.constant(np.float32(1 / _MOST)), self.constant(np.uint8(128))
        rounded = self.add("QuantizeLinear", self.add("Div", x, largest), step, middle)
        weights, scales = in_int8(kernel, axis=0)
        product = self.add(
            "MatMulIntegerToFloat",
            rounded,
            self.constant(weights, "kernel"),
            step,
            self.constant(scales[0], "scales"),
            middle,
            domain=_CONTRIB,
        )
        return self.add("Mul", product, largest)

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
            opset_imports=[helper.make_opsetid(*operators) for operators in self._operators],
            ir_version=_IR_VERSION,
            producer_name="cutline",
        )
        helper.set_model_props(model, dict(facts or {}))
        onnx.checker.check_model(model)
        return model


def _type_of(dtype: Any) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def in_int8(array: NDArray[Any], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round an array to whole numbers of 8 bits, symmetrically.

    Args:
        array: Of two axes.
        axis: The axis along which numbers share a scale.

    Returns:
        int8 of the same shape, -127 to 127, and the scales to multiply it by, with that axis of length 1.

    Example:
        >>> rounded, scales = in_int8(np.array([[1.0, -2.0], [0.0, 0.0]]), axis=1)
        >>> rounded.tolist(), scales.shape
        ([[64, -127], [0, 0]], (2, 1))
    """
    largest = np.abs(array).max(axis=axis, keepdims=True)
    scales = np.where(largest > 0, largest / _MOST, 1).astype(np.float32)
    return np.rint(array / scales).astype(np.int8), scales
