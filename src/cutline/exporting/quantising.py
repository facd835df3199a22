"""Encoders with weights and activations of 8 bits: a quarter of the size, and faster on most processors.

Static quantisation: the range of each activation is measured on some images, weights get a scale for each
channel (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018, arXiv:1712.05877). ONNX Runtime does it.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from cutline.errors import ExportError


class _Batches:
    """What ONNX Runtime reads calibration images from."""

    def __init__(self, batches: Iterable[NDArray[np.uint8]]) -> None:
        self._batches: Iterator[NDArray[np.uint8]] = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


def quantise_encoder(graph: Path | bytes, batches: Iterable[NDArray[np.uint8]]) -> bytes:
    """Return an encoder's graph with weights and activations of 8 bits; inputs and outputs stay as they are.

    Args:
        graph: ``encoder.onnx``, float32.
        batches: Images to measure ranges on, each uint8 (B, H, W, 3); some hundred of the kind that will be
            captioned are enough.

    Raises:
        ExportError: The graph cannot be quantised.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as scratch:
        given, fused, prepared, written = (
            Path(scratch, f"{name}.onnx") for name in ("given", "fused", "prepared", "written")
        )
        given.write_bytes(graph if isinstance(graph, bytes) else graph.read_bytes())
        try:
            with _quiet():
                _fuse(given, fused)
                quant_pre_process(str(fused), str(prepared), skip_optimization=True, skip_symbolic_shape=True)
                quantize_static(
                    str(prepared),
                    str(written),
                    _Batches(batches),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    calibrate_method=CalibrationMethod.MinMax,
                )
        except (RuntimeError, ValueError, AssertionError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise ExportError(f"the encoder cannot be quantised ({first}); export it as float32") from error
        return written.read_bytes()


def _fuse(graph: Path, fused: Path) -> None:
    """Make one convolution of each with its batch normalisation, which would stay in float32 between them.

    ``quant_pre_process`` does so, too, but that of ONNX Runtime 1.28 drops what came of it where shapes are
    not inferred symbolically.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(fused)
    onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back advice about preparing graphs: it has been followed."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
