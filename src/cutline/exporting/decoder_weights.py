"""The weights of a decoder, read back from its graphs: what :mod:`cutline.exporting.decoders` does, undone.

The graphs are written once more, with a number of its own in the place of every weight. So each constant of
the new graphs tells where the numbers of the old ones belong, whatever was joined, cut or repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from cutline.config import DecoderOptions
from cutline.errors import ExportError
from cutline.exporting.decoders import DecoderParts, decoder_graphs
from cutline.models.decoders import build_decoder
from cutline.models.sessions import decoder_arrays
from cutline.runtime.bundle import DECODER_START, DECODER_STEP, Bundle

_APART: Final = 4
"""Between the numbers of two weights, so that the 1 that opens a forget gate can be told from both."""

_SCALES: Final = "scales"
_SCALAR: Final = (1,)


def decoder_weights(bundle: Bundle) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a decoder of which a bundle has graphs alone.

    Args:
        bundle: With graphs.

    Returns:
        Array by name, as in a bundle with weights. From graphs in float32 they are what they were, but for
        the rounding of forget gates' biases; from graphs in int8 they are within half a step of it.

    Raises:
        ExportError: The graphs have a table of gates, in which weights were multiplied with each other, or
            are of another decoder.
    """
    options, shape = bundle.decoder, bundle.feature_shape
    arrays = _numbered(options, bundle.vocabulary_size, shape)
    values = np.full(1 + sum(array.size for array in arrays.values()), np.nan)
    numbered = decoder_graphs(DecoderParts(options, arrays, shape, largest_table=0))
    for template, name in zip(numbered, (DECODER_START, DECODER_STEP), strict=True):
        places, found = list(_weights_of(template)), list(_weights_of(_read(bundle.graphs[name])))
        if [one.shape for one in places] != [one.shape for one in found]:
            raise _unreadable(bundle, name)
        for place, array in zip(places, found, strict=True):
            numbers, opened = np.divmod(place, _APART)
            values[numbers.astype(np.int64)] = array - opened
    if np.isnan(values[1:]).any():
        raise _unreadable(bundle, "its graphs")
    return {
        name: values[(array // _APART).astype(np.int64)].astype(np.float32) for name, array in arrays.items()
    }


def _unreadable(bundle: Bundle, where: str) -> ExportError:
    return ExportError(
        f"{bundle.folder or 'the bundle'}: has no weights of its decoder, and they cannot be read from "
        f"{where}, where they are multiplied out as a table; take the model that it was made from, or one "
        "exported with --decoder-precision int8"
    )


def _numbered(
    options: DecoderOptions, vocabulary_size: int, shape: tuple[int, ...]
) -> Mapping[str, NDArray[np.float64]]:
    """Return arrays as a decoder has them, in which no number comes twice."""
    arrays, first = {}, 1
    for name, array in decoder_arrays(build_decoder(options, vocabulary_size, shape)).items():
        numbers = np.arange(first, first + array.size, dtype=np.float64)
        arrays[name] = _APART * numbers.reshape(array.shape)
        first += array.size
    return arrays


def _read(graph: Path | bytes) -> Any:
    return onnx.load_model_from_string(graph if isinstance(graph, bytes) else graph.read_bytes())


def _weights_of(model: Any) -> Iterator[NDArray[np.float64]]:
    """Yield the constants that hold weights, in the order they were written; those in int8 as floats."""
    constants = iter(model.graph.initializer)
    for constant in constants:
        array = numpy_helper.to_array(constant)
        if array.dtype == np.int8:
            scales = next(constants)
            if not scales.name.startswith(_SCALES):
                raise ExportError(
                    f"{constant.name} of a decoder's graph has no scales; copy the bundle again"
                )
            yield array * numpy_helper.to_array(scales).astype(np.float64)
        elif array.dtype in (np.float32, np.float64) and array.shape != _SCALAR:
            yield array.astype(np.float64)
