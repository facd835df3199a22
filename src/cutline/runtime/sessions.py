"""Sessions compute: images → features, and features → captions step by step.

A session is a step model (see :mod:`cutline.decoding`) that also encodes images. Sessions live with their
framework; they are found by name and imported when one is opened, so that this room stays light.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from cutline.errors import BundleError, MissingDependencyError
from cutline.registry import require_known
from cutline.runtime.bundle import Bundle, is_current, load_bundle, require_weights

SESSIONS: Final = {
    "keras": ("cutline.models.sessions", "KerasSession", "tensorflow"),
    "onnx": ("cutline.runtime.onnx_session", "OnnxSession", "onnxruntime"),
}
"""Name → module, class and the package it needs."""

_TRIES: Final = 3


class ImageEncoder(Protocol):
    """The part of a model that looks at images."""

    name: str
    features: Literal["pooled", "grid"]
    feature_shape: tuple[int, ...]
    input_size: tuple[int, int]
    batch_size: int

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (N, H, W, 3), 0..255, to features (N, *feature_shape)."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """Describe everything features depend on except the image, as plain JSON values."""
        ...


class Session(Protocol):
    """What a captioner needs of a model.

    One that several threads may ask at the same time says so by an attribute ``side_by_side``: the number of
    batches that keep all cores busy together. Others are asked by one thread at a time.
    """

    input_size: tuple[int, int]
    """Height and width of the images it encodes."""

    @property
    def encoder(self) -> ImageEncoder:
        """What :meth:`encode` encodes with."""
        ...

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (B, H, W, 3), 0..255, to features (B, *feature shape)."""
        ...

    def start(self, features: NDArray[Any]) -> Any:
        """Features (B, ...) to the state before the first token."""
        ...

    def step(self, token_ids: NDArray[np.int32], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Token ids (B,) and state to log-probabilities (B, V) of the next token and the next state."""
        ...

    def reorder(self, state: Any, rows: NDArray[np.int64]) -> Any:
        """State whose row i is row ``rows[i]`` of the old one."""
        ...


def load_with_session(folder: Path) -> tuple[Bundle, Session]:
    """Load a bundle without the weights that graphs do without, and the session that computes with it.

    A training may replace the bundle between the two: then both are loaded again, so that they fit.

    Raises:
        BundleError: As for :func:`cutline.runtime.bundle.load_bundle`, and as for :func:`open_session`.
        MissingDependencyError: The runtime's package is not installed.
    """
    for _ in range(_TRIES):
        bundle = load_bundle(folder, weights=False)
        try:
            session = open_session(bundle)
        except BundleError:
            if is_current(bundle):
                raise
            continue
        if is_current(bundle):
            return bundle, session
    raise BundleError(f"{folder}: was replaced each of the {_TRIES} times it was opened; try again")


def open_session(bundle: Bundle, runtime: str | None = None) -> Session:
    """Build the session of a bundle.

    Args:
        bundle: Loaded from a folder.
        runtime: Key of :data:`SESSIONS`; when None, ``"onnx"`` for a bundle with graphs, else ``"keras"``.

    Raises:
        UnknownNameError: No runtime has that name.
        MissingDependencyError: The runtime's package is not installed.
        BundleError: Graphs or weights do not fit the bundle, or Keras was asked for and there are no weights.
    """
    if runtime is None:
        runtime = "onnx" if bundle.graphs else "keras"
    require_known("runtime", runtime, SESSIONS)
    if runtime == "keras":
        require_weights(bundle)
    module, name, package = SESSIONS[runtime]
    if find_spec(package) is None:
        raise MissingDependencyError(
            f"captioning with the {runtime} runtime needs {package}; install it: pip install "
            + ("'cutline[train]'" if runtime == "keras" else package)
        )
    return cast("Session", getattr(import_module(module), name)(bundle))
