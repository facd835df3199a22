"""ONNX Runtime as a session: the graphs of a bundle, run without the framework that trained them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from cutline.errors import BundleError
from cutline.runtime.bundle import DECODER_START, DECODER_STEP, ENCODER_GRAPH, Bundle

Arrays = dict[str, NDArray[Any]]

_MEMORY: Final = "memory."
_STATE: Final = "state."
_NEXT: Final = "next."
_SCORES: Final = "log_probabilities"
_ATTENTION: Final = "attention"
# Each batch at work holds its images, features and what is drawn for them.
_AT_ONCE: Final = 8
_BEST: Final = ("best.token_ids", "best.values")
_NO_BEST: Final = np.ones(1, np.int64)


@dataclass(frozen=True)
class OnnxState:
    """A state of B captions.

    Attributes:
        memory: What is known of N images, name → (N, ...). Captions stand image by image, B / N of each.
        rows: The rest, name → (B, ...).
        attention: (B, R), where the last step looked; None before it and without attention.
    """

    memory: Arrays
    rows: Arrays
    attention: NDArray[np.float32] | None = None


class OnnxEncoder:
    """The encoder of a bundle.

    Attributes:
        name: Its name, as a person knows it.
        features: ``"pooled"`` or ``"grid"``.
        feature_shape: (D,) or (R, D).
        input_size: Height and width of the images it takes.
        batch_size: Images encoded at once.
        graph: Its file, or the content of one.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Open the graph; BundleError when it does not fit the rest of the bundle."""
        self.graph = bundle.graphs[ENCODER_GRAPH]
        self._session = open_graph(self.graph)
        self._spec = dict(bundle.encoder_spec)
        self.name = str(bundle.encoder_spec.get("name", "encoder"))
        self.features: Literal["pooled", "grid"] = "grid" if len(bundle.feature_shape) == 2 else "pooled"
        self.feature_shape = tuple(bundle.feature_shape)
        self.batch_size = int(bundle.encoder_spec.get("batch_size", 32))
        self._fingerprint = bundle.details.get("encoder_fingerprint")
        images, found = self._session.get_inputs()[0].shape, self._session.get_outputs()[0].shape
        if len(images) != 4 or tuple(found[1:]) != self.feature_shape:
            raise BundleError(
                f"{told(self.graph)}: turns images {images} into features {found}, the decoder needs "
                f"{self.feature_shape}; copy the bundle again"
            )
        self.input_size: tuple[int, int] = (images[1], images[2])

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images uint8 (N, H, W, 3) to features float32 (N, *feature_shape)."""
        rows = np.empty((len(images), *self.feature_shape), np.float32)
        for at in range(0, len(images), self.batch_size):
            batch = images[at : at + self.batch_size]
            rows[at : at + len(batch)] = self._session.run(["features"], {"images": batch})[0]
        return rows

    def spec(self) -> dict[str, Any]:
        """Return the bundle's description of it."""
        return dict(self._spec)

    def fingerprint(self) -> dict[str, Any]:
        """Describe what features depend on: that of the encoder in training, whose features these are.

        They agree with those but for rounding, so that both share a feature store.
        """
        if isinstance(self._fingerprint, Mapping):
            return dict(self._fingerprint)
        content = self.graph.read_bytes() if isinstance(self.graph, Path) else self.graph
        return {"encoder": self.name, "graph_sha256": hashlib.sha256(content).hexdigest()}


class OnnxDecoder:
    """A step model over two graphs; see :mod:`cutline.exporting.decoders` for what they take and give.

    Attributes:
        vocabulary_size: V.
    """

    def __init__(self, start: Path | bytes, step: Path | bytes) -> None:
        """Open both graphs; BundleError when one cannot be opened."""
        self._start, self._step = open_graph(start), open_graph(step)
        shapes = {output.name: output.shape for output in self._step.get_outputs()}
        self.vocabulary_size = shapes.get(_SCORES, [None])[-1]
        self._started = [output.name for output in self._start.get_outputs()]
        self._next = [name for name in shapes if name.startswith(_NEXT)]
        self._wanted = [_SCORES, *self._next, *(name for name in shapes if name == _ATTENTION)]

    def start(self, features: NDArray[Any]) -> OnnxState:
        """Features (B, ...) to the state before the first token."""
        given = np.ascontiguousarray(features, np.float32)
        found = dict(zip(self._started, self._start.run(self._started, {"features": given}), strict=True))
        return OnnxState(
            {name: array for name, array in found.items() if name.startswith(_MEMORY)},
            {name: array for name, array in found.items() if name.startswith(_STATE)},
        )

    def step(self, token_ids: NDArray[np.int32], state: OnnxState) -> tuple[NDArray[np.float32], OnnxState]:
        """Token ids (B,) to log-probabilities (B, V) of the next token, and the next state."""
        given = {"token_ids": np.ascontiguousarray(token_ids, np.int32), "count": _NO_BEST}
        found = self._step.run(self._wanted, {**given, **state.memory, **state.rows})
        named: Arrays = dict(zip(self._wanted, found, strict=True))
        scores, attention = named.pop(_SCORES), named.pop(_ATTENTION, None)
        rows = {_STATE + name.removeprefix(_NEXT): array for name, array in named.items()}
        return scores, replace(state, rows=rows, attention=attention)

    def step_best(
        self, token_ids: NDArray[np.int32], state: OnnxState, count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], OnnxState]:
        """Token ids (B,) to the ``count`` most probable next tokens, the graph's choice.

        Returns:
            Ids (B, M) and log-probabilities (B, M), where M is at most V, and the next state, which does not
            know where the step looked.
        """
        wanted = np.array([min(count, self.vocabulary_size)], np.int64)
        given = {"token_ids": np.ascontiguousarray(token_ids, np.int32), "count": wanted}
        tokens, logs, *after = self._step.run([*_BEST, *self._next], {**given, **state.memory, **state.rows})
        rows = {
            _STATE + name.removeprefix(_NEXT): array for name, array in zip(self._next, after, strict=True)
        }
        return tokens, logs, replace(state, rows=rows, attention=None)

    def reorder(self, state: OnnxState, rows: NDArray[np.int64]) -> OnnxState:
        """State whose row i is row ``rows[i]`` of the old one."""
        taken = {name: array[rows] for name, array in state.rows.items()}
        attention = None if state.attention is None else state.attention[rows]
        return OnnxState(_reordered_memory(state, rows), taken, attention)

    def attention_weights(self, state: OnnxState) -> NDArray[np.float32] | None:
        """Weights of the regions (B, R) in the last step; None for a decoder that looks at none."""
        return state.attention


class OnnxSession(OnnxDecoder):
    """A session over the graphs of a bundle.

    Args:
        bundle: With graphs.

    Attributes:
        side_by_side: Batches that threads may give it at the same time, to keep all cores busy.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Open the graphs; BundleError when one cannot be opened or does not fit the bundle."""
        self.encoder = OnnxEncoder(bundle)
        self.input_size = self.encoder.input_size
        self.side_by_side = min(_cores(), _AT_ONCE)
        super().__init__(bundle.graphs[DECODER_START], bundle.graphs[DECODER_STEP])
        if self.vocabulary_size != bundle.vocabulary_size:
            raise BundleError(
                f"{told(bundle.graphs[DECODER_STEP])}: scores {self.vocabulary_size} tokens, the vocabulary "
                f"has {bundle.vocabulary_size}; copy the bundle again"
            )

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (B, H, W, 3), 0..255, to features (B, *feature shape)."""
        return self.encoder.encode(images)


def open_graph(graph: Path | bytes) -> Any:
    """Open an ONNX file, or the content of one, on as many threads as there are cores.

    Raises:
        BundleError: It cannot be opened.
    """
    given = str(graph) if isinstance(graph, Path) else graph
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _cores()
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Encoder and decoder take turns, beside threads that read images: one that waits must not hold a core.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # what is warned of concerns those who write graphs
    try:
        return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BundleError(f"{told(graph)}: cannot be opened ({first}); copy the bundle again") from None


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def told(graph: Path | bytes) -> str:
    """Name a graph in a message."""
    return str(graph) if isinstance(graph, Path) else "a graph"


def _reordered_memory(state: OnnxState, rows: NDArray[np.int64]) -> Arrays:
    """Return the memory of the images that rows belong to, each image once where that is possible."""
    if not state.memory:
        return {}
    known = len(next(iter(state.memory.values())))
    captions = len(next(iter(state.rows.values()))) // max(known, 1)
    images = rows // max(captions, 1)
    wanted = _runs(images)
    if wanted is None:
        # Captions of an image are no longer equally many: each caption looks at a copy of its own.
        wanted = images
    if len(wanted) == known and np.array_equal(wanted, np.arange(known)):
        return state.memory
    return {name: array[wanted] for name, array in state.memory.items()}


def _runs(images: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the images of which equally many captions follow each other; None where they do not.

    Example:
        >>> _runs(np.array([4, 4, 2, 2])).tolist(), _runs(np.array([4, 4, 2]))
        ([4, 2], None)
    """
    if not len(images):
        return images
    begins = np.flatnonzero(np.diff(images, prepend=images[0] - 1))
    length, left = divmod(len(images), len(begins))
    if left or not np.array_equal(begins, np.arange(len(begins)) * length):
        return None
    return images[begins]
