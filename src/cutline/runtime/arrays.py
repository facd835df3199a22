"""Arrays by name in one ``.npz`` file: no pickle, and float16 wherever that loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.errors import BundleError
from cutline.files import DAMAGE, FileInMemory, replacing


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays atomically.

    A float32 array whose every value is a float16 value (weights that were published in float16, say) is
    stored as float16: half the size, and exactly the same numbers when read back.
    """
    with replacing(path, "wb") as stream:
        smallest: dict[str, Any] = {name: _smallest(array) for name, array in arrays.items()}
        np.savez(stream, **smallest)


def load_arrays(path: Path | FileInMemory) -> dict[str, NDArray[Any]]:
    """Read arrays back, float16 widened to float32; BundleError when the file is damaged."""
    try:
        # Opened here, because NumPy leaves a file that is no archive open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return {name: _widest(stored[name]) for name in stored.files}
    except DAMAGE as error:
        raise BundleError(f"{path}: cannot be read ({error}); copy the bundle again or train again") from None


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), array) else array


def _widest(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype == np.float16 else array
