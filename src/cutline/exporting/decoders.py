"""Decoders as ONNX: one graph that starts from features, one that reads a token and scores the next.

The graphs are written from a bundle's arrays, without the framework that trained them, because a converter
would repeat what a search can share:

* What depends on an image alone (``memory.*``) has one row for each image; all its captions look at it
  together. Captions stand image by image, equally many for each.
* What the words of a vocabulary do to the gates is a table, looked up instead of multiplied out, unless it
  would be larger than :data:`LARGEST_TABLE` numbers, or than it may be.
* Products of the same state are one product.
* Log-probabilities and the most probable tokens are taken in the graph.

Names of tensors, with N images, K captions of each and B = N x K:

======================  ==============================================================
start: ``features``     float32 (N, D) or (N, R, D)
``memory.*``            float32 (N, ...), from start to every step
``state.*``             float32 (B, ...), from start (K = 1) or the last step to a step
step: ``token_ids``     int32 (B,), the tokens written last
``count``               int64 (1,), how many of the most probable tokens are wanted
``log_probabilities``   float32 (B, V), of the next token
``best.token_ids``      int64 (B, count), the most probable first
``best.values``         float32 (B, count), their log-probabilities
``next.*``              the next state
``attention``           float32 (B, R), how much each region was looked at; absent without attention
======================  ==============================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.config import DecoderOptions
from cutline.exporting.graph import GraphBuilder
from cutline.registry import Registry

Arrays = Mapping[str, NDArray[Any]]

LARGEST_TABLE: Final = 8 * 2**20
"""Numbers in the largest table of a vocabulary's gates: 32 MiB."""

# As of cutline.models.decoders.attention, and of Keras' layer normalisation.
_TINY: Final = 1e-6
_LAYER_EPSILON: Final = 1e-3
# The forget gate's place among the gates, where 1 is added to open it.
_OPEN: Final = np.array([0, 1, 0, 0], np.float32)


@dataclass(frozen=True)
class DecoderParts:
    """What a decoder's graphs are written from.

    Attributes:
        options: Name and widths.
        arrays: Weights by name, as in a bundle.
        feature_shape: (D,) pooled or (R, D) grid.
        largest_table: Numbers in the largest table of a vocabulary's gates; 0 makes files small, and steps
            slower.
        int8: Write large kernels and tables as whole numbers of 8 bits: a quarter of the size, and products
            in a fraction of the time on processors that multiply such numbers. Only ONNX Runtime reads it.
    """

    options: DecoderOptions
    arrays: Arrays
    feature_shape: tuple[int, ...]
    largest_table: int = LARGEST_TABLE
    int8: bool = False

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return int(self.arrays["embedding/embeddings"].shape[0])


def decoder_graphs(parts: DecoderParts) -> tuple[Any, Any]:
    """Write both graphs of a decoder.

    Returns:
        The start and the step as onnx.ModelProto; see the module's docstring.

    Raises:
        UnknownNameError: There are no graphs for a decoder of that name.
    """
    start, step = _WRITERS.get(parts.options.name)(parts)
    facts = {"decoder": parts.options.name}
    return start.model(facts), step.model(facts)


Written = tuple[GraphBuilder, GraphBuilder]
_WRITERS: Registry[Callable[[DecoderParts], Written]] = Registry("decoder with ONNX graphs")


class Step:
    """What the steps of all decoders have in common."""

    def __init__(self, parts: DecoderParts) -> None:
        """Begin a graph that reads one token per row."""
        self.graph = GraphBuilder("step", parts.int8)
        self._arrays = parts.arrays
        self.token_ids = self.graph.input("token_ids", np.int32, ["B"])
        self._vocabulary_size, self._largest_table = parts.vocabulary_size, parts.largest_table
        self._words = ""

    def looked_up(self, table: NDArray[Any]) -> str:
        """Return the rows (B, ...) that a table has for the tokens."""
        return self.graph.table(table, self.token_ids)

    def words(self) -> str:
        """Return the embeddings of the tokens, (B, E); however often they are used, they are stored once."""
        if not self._words:
            self._words = self.looked_up(self._arrays["embedding/embeddings"])
        return self._words

    def gates(self, kernel: NDArray[Any], bias: NDArray[Any]) -> str:
        """Return what the words do to gates, (B, G), from a table unless that would be too large."""
        if self._vocabulary_size * kernel.shape[1] > self._largest_table:
            return self.graph.dense(self.words(), kernel, bias)
        return self.looked_up(self._arrays["embedding/embeddings"] @ kernel + bias)

    def finish(self, mixed: str, states: Mapping[str, str], units: int) -> None:
        """Score the next token and hand on the state.

        Args:
            mixed: Input of the output layer, (B, ...).
            states: Name of each part of the state → the next one, (B, H).
            units: H.
        """
        graph, size = self.graph, self._vocabulary_size
        logits = graph.dense(mixed, self._arrays["predict_token/kernel"], self._arrays["predict_token/bias"])
        scores = graph.add("LogSoftmax", logits, axis=-1)
        graph.output("log_probabilities", scores, np.float32, ["B", size])
        values, tokens = graph.add_many("TopK", 2, scores, graph.input("count", np.int64, [1]), axis=-1)
        graph.output("best.values", values, np.float32, ["B", "M"])
        graph.output("best.token_ids", tokens, np.int64, ["B", "M"])
        for name, tensor in states.items():
            graph.output(f"next.{name}", tensor, np.float32, ["B", units])


def lstm(graph: GraphBuilder, gates: str, c: str, units: int) -> tuple[str, str]:
    """Turn the summed inputs of the gates (B, 4H) and the cell (B, H) into the next ``h`` and ``c``."""
    enter, forget, candidate, leave = graph.split(gates, [units] * 4)
    kept = graph.add("Mul", graph.add("Sigmoid", forget), c)
    new = graph.add("Mul", graph.add("Sigmoid", enter), graph.add("Tanh", candidate))
    c = graph.add("Add", kept, new)
    return graph.add("Mul", graph.add("Sigmoid", leave), graph.add("Tanh", c)), c


def normalised(graph: GraphBuilder, parts: DecoderParts) -> str:
    """Declare the features, average them over regions, and normalise them: (N, D)."""
    features = graph.input("features", np.float32, ["N", *parts.feature_shape])
    if len(parts.feature_shape) == 2:
        features = graph.add("ReduceMean", features, axes=[1], keepdims=0)
    weights = [graph.constant(parts.arrays[f"normalise_features/{name}"]) for name in ("gamma", "beta")]
    return graph.add("LayerNormalization", features, *weights, axis=-1, epsilon=_LAYER_EPSILON)


def dense(graph: GraphBuilder, arrays: Arrays, name: str, x: str) -> str:
    """Apply a dense layer by name: (..., inputs) → (..., outputs)."""
    return graph.dense(x, arrays[f"{name}/kernel"], arrays.get(f"{name}/bias"))


@_WRITERS.register("show_tell")
def _show_tell(parts: DecoderParts) -> Written:
    arrays, units = parts.arrays, parts.options.lstm_units
    kernel, recurrent, bias = (
        arrays[f"lstm/lstm_cell/{name}"] for name in ("kernel", "recurrent_kernel", "bias")
    )
    start = GraphBuilder("start", parts.int8)
    image = normalised(start, parts)
    hidden = start.add("Tanh", dense(start, arrays, "image_hidden", image))
    read = start.dense(dense(start, arrays, "image_token", image), kernel, bias)
    gates = start.add("Add", read, start.dense(hidden, recurrent))
    h, c = lstm(start, gates, dense(start, arrays, "image_cell", image), units)
    for name, tensor in (("h", h), ("c", c)):
        start.output(f"state.{name}", tensor, np.float32, ["N", units])
    step = Step(parts)
    h, c = (step.graph.input(f"state.{name}", np.float32, ["B", units]) for name in ("h", "c"))
    gates = step.graph.add("Add", step.gates(kernel, bias), step.graph.dense(h, recurrent))
    h, c = lstm(step.graph, gates, c, units)
    step.finish(h, {"h": h, "c": c}, units)
    return start, step.graph


@_WRITERS.register("merge")
def _merge(parts: DecoderParts) -> Written:
    arrays, units = parts.arrays, parts.options.lstm_units
    start = GraphBuilder("start", parts.int8)
    image = start.add("Relu", dense(start, arrays, "project_features", normalised(start, parts)))
    zeros = start.add("Mul", image, start.constant(np.float32(0)))
    for name, tensor in (("image", image), ("h", zeros), ("c", zeros)):
        start.output(f"state.{name}", tensor, np.float32, ["N", units])
    step = Step(parts)
    graph = step.graph
    image, h, c = (graph.input(f"state.{name}", np.float32, ["B", units]) for name in ("image", "h", "c"))
    words = step.gates(arrays["lstm/lstm_cell/kernel"], arrays["lstm/lstm_cell/bias"])
    gates = graph.add("Add", words, graph.dense(h, arrays["lstm/lstm_cell/recurrent_kernel"]))
    h, c = lstm(graph, gates, c, units)
    combined = graph.add("Relu", dense(graph, arrays, "combine", graph.add("Add", h, image)))
    step.finish(combined, {"image": image, "h": h, "c": c}, units)
    return start, graph


class AttentionStep(Step):
    """The step of a decoder that looks at regions."""

    def __init__(self, parts: DecoderParts, states: tuple[str, ...]) -> None:
        """Declare what is remembered of the images and the named parts of the state."""
        super().__init__(parts)
        self._options = parts.options
        units, regions = parts.options.lstm_units, parts.feature_shape[0]
        self.units, self._regions, self._width = units, regions, parts.options.attention_units
        self._values = self.graph.input("memory.values", np.float32, ["N", regions, units])
        self._keys = self.graph.input("memory.keys", np.float32, ["N", regions, self._width])
        self.states = tuple(self.graph.input(f"state.{name}", np.float32, ["B", units]) for name in states)
        # Of an image's captions there are as many as it takes.
        images = self.graph.add("Shape", self._keys, start=0, end=1)
        self._per_image = self.graph.add("Concat", images, self.graph.constant([-1]), axis=0)
        kernel, bias = arrays_of(parts.arrays, "word_gates")
        bias = bias + np.repeat(_OPEN, units)
        if parts.options.sentinel:
            more, of_more = arrays_of(parts.arrays, "sentinel_words")
            kernel, bias = np.concatenate([kernel, more], axis=1), np.concatenate([bias, of_more])
        gates = self.gates(kernel, bias)
        self.word_gates, self._sentinel_words = gates, ""
        if parts.options.sentinel:
            self.word_gates, self._sentinel_words = self.graph.split(gates, [4 * units, units])

    def products(self, x: str, *kernels: NDArray[Any]) -> list[str]:
        """Multiply by several kernels at once."""
        found = self.graph.dense(x, np.concatenate(kernels, axis=1))
        return (
            self.graph.split(found, [kernel.shape[1] for kernel in kernels]) if len(kernels) > 1 else [found]
        )

    def look(self, query: str, gate: str, cell: str) -> str:
        """Look at the regions, and with a sentinel away from them.

        Args:
            query: (B, A), what is looked for.
            gate: (B, H), the state's part of the sentinel's gate; unused without one.
            cell: (B, H), what the sentinel shows a part of; unused without one.

        Returns:
            The context, (B, H).
        """
        graph, width = self.graph, self._width
        asked = self._by_image(query, width)
        keys = graph.add("Unsqueeze", self._keys, graph.constant([1]))
        energies = self._energies(graph.add("Add", keys, graph.add("Unsqueeze", asked, graph.constant([2]))))
        if self._options.sentinel:
            shown = graph.add("Sigmoid", graph.add("Add", self._sentinel_words, gate))
            sentinel = self._by_image(graph.add("Mul", shown, graph.add("Tanh", cell)), self.units)
            key = dense(graph, self._arrays, "attention/sentinel_key", sentinel)
            rest = self._energies(graph.add("Add", key, asked), regions=False)
            energies = graph.join(energies, rest)
        weights = graph.add("Softmax", energies, axis=-1)
        if self._options.sentinel:
            weights, share = graph.split(weights, [self._regions, 1])
        context = graph.add("MatMul", weights, self._values)
        if self._options.sentinel:
            context = graph.add("Add", context, graph.add("Mul", share, sentinel))
        looked = graph.reshape(weights, [-1, self._regions])
        graph.output("attention", looked, np.float32, ["B", self._regions])
        return graph.reshape(context, [-1, self.units])

    def _by_image(self, x: str, width: int) -> str:
        shape = self.graph.add("Concat", self._per_image, self.graph.constant([width]), axis=0)
        return self.graph.add("Reshape", x, shape)

    def _energies(self, x: str, regions: bool = True) -> str:
        """Return ``energy · tanh(x)`` over the last axis; without regions one energy keeps its axis."""
        found = self.graph.dense(self.graph.add("Tanh", x), self._arrays["attention/energy/kernel"])
        return self.graph.add("Squeeze", found, self.graph.constant([-1])) if regions else found

    def score(self, hidden: str, context: str, states: Mapping[str, str]) -> None:
        """Score the next token by the word read, the LSTM's state and the context."""
        kernel, bias = arrays_of(self._arrays, "read_hidden")
        kernel = np.concatenate([kernel, self._arrays["read_context/kernel"]])
        read = self.graph.dense(self.graph.join(hidden, context), kernel, bias)
        self.finish(self.graph.add("Add", read, self.words()), states, self.units)


def arrays_of(arrays: Arrays, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return kernel and bias of a dense layer."""
    return arrays[f"{name}/kernel"], arrays[f"{name}/bias"]


def _remember(parts: DecoderParts, names: tuple[str, ...]) -> GraphBuilder:
    """Write the start of a decoder with attention; ``names`` are those of its state, h before c."""
    arrays, units = parts.arrays, parts.options.lstm_units
    graph = GraphBuilder("start", parts.int8)
    features = graph.input("features", np.float32, ["N", *parts.feature_shape])
    squares = graph.add("ReduceMean", graph.add("Mul", features, features), axes=[1, 2], keepdims=1)
    size = graph.add("Sqrt", graph.add("Add", squares, graph.constant(np.float32(_TINY))))
    projected = graph.add("Div", graph.dense(features, arrays["project_regions/kernel"]), size)
    values = graph.add("Relu", graph.add("Add", projected, graph.constant(arrays["region_bias"])))
    keys = dense(graph, arrays, "make_keys", values)
    overview = graph.add("ReduceMean", values, axes=[1], keepdims=0)
    first = graph.split(dense(graph, arrays, "begin", overview), [units] * len(names))
    regions, width = parts.feature_shape[0], parts.options.attention_units
    graph.output("memory.values", values, np.float32, ["N", regions, units])
    graph.output("memory.keys", keys, np.float32, ["N", regions, width])
    for place, (name, tensor) in enumerate(zip(names, first, strict=True)):
        # Hidden states lie between -1 and 1, cells anywhere.
        tensor = graph.add("Tanh", tensor) if place % 2 == 0 else tensor
        graph.output(f"state.{name}", tensor, np.float32, ["N", units])
    return graph


@_WRITERS.register("attend")
def _attend(parts: DecoderParts) -> Written:
    arrays, names, units = parts.arrays, ("h", "c"), parts.options.lstm_units
    step = AttentionStep(parts, names)
    graph, (h, c) = step.graph, step.states
    gate_kernel, gate_bias = arrays_of(arrays, "gate")
    of_context, of_state = np.split(arrays["state_gates/kernel"], [units])
    kernels = [arrays["attention/query/kernel"], gate_kernel, of_state]
    kernels += [arrays["sentinel_state/kernel"]] if parts.options.sentinel else []
    query, gate, gates, *sentinel = step.products(h, *kernels)
    context = step.look(query, "".join(sentinel), c)
    needed = graph.add("Sigmoid", graph.add("Add", gate, graph.constant(gate_bias)))
    context = graph.add("Mul", context, needed)
    gates = graph.add("Add", graph.add("Add", step.word_gates, gates), graph.dense(context, of_context))
    h, c = lstm(graph, gates, c, units)
    step.score(h, context, {"h": h, "c": c})
    return _remember(parts, names), graph


@_WRITERS.register("up_down")
def _up_down(parts: DecoderParts) -> Written:
    arrays, names, units = parts.arrays, ("h1", "c1", "h2", "c2"), parts.options.lstm_units
    step = AttentionStep(parts, names)
    graph, (h1, c1, h2, c2) = step.graph, step.states
    kernels = [arrays["attention_gates/kernel"]]
    kernels += [arrays["sentinel_state/kernel"]] if parts.options.sentinel else []
    gates, *sentinel = step.products(graph.join(h2, h1), *kernels)
    h1, c1 = lstm(graph, graph.add("Add", step.word_gates, gates), c1, units)
    (query,) = step.products(h1, arrays["attention/query/kernel"])
    context = step.look(query, "".join(sentinel), c1)
    kernel, bias = arrays_of(arrays, "language_gates")
    bias = bias + np.repeat(_OPEN, units)
    h2, c2 = lstm(graph, graph.dense(graph.join(context, h1, h2), kernel, bias), c2, units)
    step.score(h2, context, {"h1": h1, "c1": c1, "h2": h2, "c2": c2})
    return _remember(parts, names), graph
