"""A convolutional Keras network as an ONNX graph, layer by layer.

Every layer of the named encoders is known, and the usual ones of other networks. Maps (B, h, w, C) are laid
out channels first inside the graph, as ONNX's convolutions want them, so that nothing is transposed on the
way. TensorFlow's own converter takes any network, and most of a minute for ResNet-50; this takes a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from cutline.errors import ExportError
from cutline.exporting.activations import Value, activate, clipped
from cutline.exporting.graph import GraphBuilder
from cutline.registry import Registry

Rule = Callable[[GraphBuilder, Any, Value], Value]
_RULES: Registry[Rule] = Registry("layer")
_UNCHANGED: Final = frozenset(("Dropout", "SpatialDropout2D", "GaussianNoise", "ActivityRegularization"))


def write_network(graph: GraphBuilder, network: Any, image: Value) -> Value:
    """Write what a network computes when it is not trained.

    Args:
        graph: Gets the nodes.
        network: A keras.Model with one input and one output.
        image: What goes in: float32, channels first.

    Returns:
        What comes out.

    Raises:
        ExportError: There is no rule for a layer.
    """
    functional = getattr(network, "_functional", None) or network
    if not hasattr(functional, "_run_through_graph"):
        raise ExportError(f"{type(network).__name__} {network.name} is no graph of layers")

    def call(operation: Any, *values: Any, **_: Any) -> Value:
        return _write(graph, operation, values)

    written: Value = functional._run_through_graph([image], lambda operation: operation, call)
    return written[0] if isinstance(written, list) else written


def _write(graph: GraphBuilder, operation: Any, values: Sequence[Any]) -> Value:
    kind, first = type(operation).__name__, values[0]
    if isinstance(operation, keras.Model):
        return write_network(graph, operation, first)
    if getattr(operation, "data_format", None) == "channels_first":
        raise ExportError(f"{kind} {operation.name} has its channels first")
    if kind in _UNCHANGED:
        return first
    if kind in _JOINS:
        return _JOINS[kind](graph, operation, first if isinstance(first, list | tuple) else list(values))
    if kind == "Take":
        return _take(graph, operation, first, values[1])
    if kind not in _RULES.names():
        raise ExportError(f"no rule for {kind} {operation.name}")
    return activate(graph, operation, _RULES.get(kind)(graph, operation, first))


def _along_channels(values: Any, x: Value) -> NDArray[np.float32]:
    """Shape one number, or one for each channel, so that it meets the channels of ``x``."""
    flat = np.asarray(values, np.float32).reshape(-1)
    return flat.reshape(-1, 1, 1) if x.rank == 4 and flat.size > 1 else flat


def _scaled(graph: GraphBuilder, x: Value, scale: Any, offset: Any) -> Value:
    """Multiply and add, by one number or one for each channel; what changes nothing is left out."""
    name = x.name
    if np.any(np.asarray(scale) != 1):
        name = graph.add("Mul", name, graph.constant(_along_channels(scale, x), "scale"))
    if np.any(np.asarray(offset) != 0):
        name = graph.add("Add", name, graph.constant(_along_channels(offset, x), "offset"))
    return Value(name, x.rank)


def _array(variable: Any) -> NDArray[np.float32]:
    found: NDArray[np.float32] = keras.ops.convert_to_numpy(variable).astype(np.float32)
    return found


def last_channels(graph: GraphBuilder, x: Value) -> str:
    """Return a tensor with its channels last, as Keras has it."""
    return graph.add("Transpose", x.name, perm=[0, 2, 3, 1]) if x.rank == 4 else x.name


def first_channels(graph: GraphBuilder, name: str, rank: int) -> Value:
    """Take a tensor with its channels last."""
    return Value(graph.add("Transpose", name, perm=[0, 3, 1, 2]) if rank == 4 else name, rank)


@_RULES.register("Activation")
def _activation(_: GraphBuilder, __: Any, x: Value) -> Value:
    return x  # applied as the activation of any layer is


@_RULES.register("Cast")
def _cast(_: GraphBuilder, __: Any, x: Value) -> Value:
    return x  # everything is float32 from the beginning


@_RULES.register("ReLU")
def _relu(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    if layer.negative_slope or layer.threshold:
        raise ExportError(f"no rule for slope or threshold of {layer.name}")
    if layer.max_value is None:
        return Value(graph.add("Relu", x.name), x.rank)
    return clipped(graph, x, float(layer.max_value))


def _padding(layer: Any, kernel: Sequence[int] = (), dilations: Sequence[int] = (1, 1)) -> dict[str, Any]:
    # "Same" puts the odd row or column behind, as TensorFlow does.
    if layer.padding == "same" and max(dilations) > 1:
        # ONNX Runtime wants this padding spelt out; strides are 1 then.
        missing = [(length - 1) * step for length, step in zip(kernel, dilations, strict=True)]
        return {"pads": [*(total // 2 for total in missing), *(-(-total // 2) for total in missing)]}
    return {"auto_pad": "SAME_UPPER" if layer.padding == "same" else "VALID"}


def _convolve(
    graph: GraphBuilder, layer: Any, x: Value, kernel: NDArray[np.float32], groups: int, bias: Any
) -> Value:
    """Convolve with a kernel (height, width, inputs of a group, outputs)."""
    inputs = [x.name, graph.constant(kernel.transpose(3, 2, 0, 1), "kernel")]
    inputs += [] if bias is None else [graph.constant(_array(bias), "bias")]
    steps = list(layer.dilation_rate)
    facts = {"strides": list(layer.strides), "dilations": steps, "group": groups}
    return Value(graph.add("Conv", *inputs, **facts, **_padding(layer, kernel.shape[:2], steps)), 4)


def _by_depth(kernel: Any) -> NDArray[np.float32]:
    """Bring a depthwise kernel (height, width, C, multiplier) into the shape of a grouped one."""
    array = _array(kernel)
    return array.reshape(*array.shape[:2], 1, -1)


@_RULES.register("Conv2D")
def _convolution(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    return _convolve(graph, layer, x, _array(layer.kernel), layer.groups, layer.bias)


@_RULES.register("DepthwiseConv2D")
def _depthwise(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    channels = layer.kernel.shape[2]
    return _convolve(graph, layer, x, _by_depth(layer.kernel), channels, layer.bias)


@_RULES.register("SeparableConv2D")
def _separable(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    channels = layer.depthwise_kernel.shape[2]
    apart = _convolve(graph, layer, x, _by_depth(layer.depthwise_kernel), channels, None)
    mixing = graph.constant(_array(layer.pointwise_kernel).transpose(3, 2, 0, 1), "kernel")
    inputs = [apart.name, mixing] + ([] if layer.bias is None else [graph.constant(_array(layer.bias))])
    return Value(graph.add("Conv", *inputs), 4)


@_RULES.register("Dense")
def _dense(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    bias = None if layer.bias is None else _array(layer.bias)
    product = graph.dense(last_channels(graph, x), _array(layer.kernel), bias)
    return first_channels(graph, product, x.rank)


@_RULES.register("BatchNormalization")
def _batch_normalisation(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    _require_last_axis(layer, x)
    mean, variance = _array(layer.moving_mean), _array(layer.moving_variance)
    gamma = _array(layer.gamma) if layer.gamma is not None else np.ones_like(mean)
    beta = _array(layer.beta) if layer.beta is not None else np.zeros_like(mean)
    weights = [graph.constant(array, "normalisation") for array in (gamma, beta, mean, variance)]
    return Value(graph.add("BatchNormalization", x.name, *weights, epsilon=float(layer.epsilon)), x.rank)


@_RULES.register("LayerNormalization")
def _layer_normalisation(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    _require_last_axis(layer, x)
    gamma = _array(layer.gamma) if layer.gamma is not None else np.ones(layer.beta.shape, np.float32)
    beta = _array(layer.beta) if layer.beta is not None else np.zeros(gamma.shape, np.float32)
    weights = [graph.constant(array, "normalisation") for array in (gamma, beta)]
    facts = {"axis": -1, "epsilon": float(layer.epsilon)}
    normal = graph.add("LayerNormalization", last_channels(graph, x), *weights, **facts)
    return first_channels(graph, normal, x.rank)


def _require_last_axis(layer: Any, x: Value) -> None:
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if list(axes) not in ([-1], [x.rank - 1]):
        raise ExportError(f"{layer.name} normalises over {layer.axis}")


@_RULES.register("Rescaling")
def _rescaling(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    return _scaled(graph, x, layer.scale, layer.offset)


@_RULES.register("Normalization")
def _normalisation(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    if layer.invert:
        raise ExportError(f"{layer.name} undoes a normalisation")
    mean, variance = _array(layer.mean), _array(layer.variance)
    scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
    return _scaled(graph, x, scale, -mean * scale)


@_RULES.register("LayerScale")
def _layer_scale(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    return _scaled(graph, x, _array(layer.gamma), 0)


@_RULES.register("ZeroPadding2D")
def _zero_padding(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    (top, bottom), (left, right) = layer.padding
    return Value(graph.add("Pad", x.name, graph.constant([0, 0, top, left, 0, 0, bottom, right])), 4)


@_RULES.register("Cropping2D")
def _cropping(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    (top, bottom), (left, right) = layer.cropping
    last = np.iinfo(np.int64).max
    begin, end = [top, left], [-bottom or last, -right or last]
    parts = [graph.constant(numbers) for numbers in (begin, end, [2, 3])]
    return Value(graph.add("Slice", x.name, *parts), 4)


@_RULES.register("MaxPooling2D")
def _max_pooling(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    return _pool(graph, layer, x, "MaxPool")


@_RULES.register("AveragePooling2D")
def _average_pooling(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    return _pool(graph, layer, x, "AveragePool")


def _pool(graph: GraphBuilder, layer: Any, x: Value, operator: str) -> Value:
    facts = {"kernel_shape": list(layer.pool_size), "strides": list(layer.strides)}
    return Value(graph.add(operator, x.name, **facts, **_padding(layer)), 4)


@_RULES.register("GlobalAveragePooling2D")
def _global_average(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    return _globally(graph, layer, x, "ReduceMean")


@_RULES.register("GlobalMaxPooling2D")
def _global_maximum(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    return _globally(graph, layer, x, "ReduceMax")


def _globally(graph: GraphBuilder, layer: Any, x: Value, operator: str) -> Value:
    pooled = graph.add(operator, x.name, axes=[2, 3], keepdims=int(layer.keepdims))
    return Value(pooled, 4 if layer.keepdims else 2)


@_RULES.register("Reshape")
def _reshape(graph: GraphBuilder, layer: Any, x: Value) -> Value:
    shape = [0, *layer.target_shape]
    return first_channels(graph, graph.reshape(last_channels(graph, x), shape), len(shape))


@_RULES.register("Flatten")
def _flatten(graph: GraphBuilder, _: Any, x: Value) -> Value:
    return Value(graph.add("Flatten", last_channels(graph, x)), 2)


def _take(graph: GraphBuilder, operation: Any, x: Value, indices: Any) -> Value:
    if operation.axis not in (-1, x.rank - 1):
        raise ExportError(f"{operation.name} takes from axis {operation.axis}")
    places = graph.constant(np.asarray(indices, np.int64).tolist())
    return Value(graph.add("Gather", x.name, places, axis=1 if x.rank == 4 else -1), x.rank)


def _folded(operator: str) -> Callable[[GraphBuilder, Any, Sequence[Value]], Value]:
    def join(graph: GraphBuilder, operation: Any, values: Sequence[Any]) -> Value:
        first, *others = values
        total = first.name
        for value in others:
            if not isinstance(value, Value | int | float):
                raise ExportError(f"{operation.name} takes something else than tensors and numbers")
            name = value.name if isinstance(value, Value) else graph.constant(np.float32(value))
            total = graph.add(operator, total, name)
        return Value(total, first.rank)

    return join


def _concatenate(graph: GraphBuilder, layer: Any, values: Sequence[Value]) -> Value:
    rank = values[0].rank
    if layer.axis not in (-1, rank - 1):
        raise ExportError(f"{layer.name} joins along axis {layer.axis}")
    joined = graph.add("Concat", *(value.name for value in values), axis=1 if rank == 4 else -1)
    return Value(joined, rank)


def _scaled_sum(graph: GraphBuilder, layer: Any, values: Sequence[Value]) -> Value:
    """Write the residual connection of Inception-ResNet-v2."""
    first, second = values
    scaled = _scaled(graph, second, layer.scale, 0)
    return Value(graph.add("Add", first.name, scaled.name), first.rank)


_JOINS: Final[dict[str, Callable[[GraphBuilder, Any, Sequence[Value]], Value]]] = {
    "Add": _folded("Add"),
    "Multiply": _folded("Mul"),
    "Concatenate": _concatenate,
    "CustomScaleLayer": _scaled_sum,
}
