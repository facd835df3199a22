"""A checkpoint holds what it takes to go on as if nothing had happened.

One ``.npz`` file without pickles, written under a temporary name and moved into place: Keras itself writes
weights in place, and a kill in the middle would leave neither the old nor the new ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.errors import RunError
from cutline.files import DAMAGE, replacing
from cutline.records import EpochRecord

_DETAILS = "details"


@dataclass(frozen=True)
class Checkpoint:
    """A run after its last whole epoch.

    Attributes:
        history: One record per finished epoch.
        best_epoch: 1-based best epoch so far, as ``cutline.records.best_epoch`` says; 0 before the first.
        state: Arrays of weights, seeds and optimizer.
        objective: The phase that the state is of, which may have no epoch yet; ``""`` without a state.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    state: Mapping[str, NDArray[Any]]
    objective: str = ""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically."""
    details = json.dumps(
        {
            "history": [asdict(record) for record in checkpoint.history],
            "best_epoch": checkpoint.best_epoch,
            "objective": checkpoint.objective,
            "arrays": list(checkpoint.state),
        }
    )
    with replacing(path, "wb") as stream:
        arrays: dict[str, Any] = {_DETAILS: np.array(details), **checkpoint.state}
        np.savez(stream, **arrays)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None when there is none; RunError when it is damaged."""
    if not path.exists():
        return None
    try:
        # Opened here, because NumPy leaves a file that is no archive open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            details = json.loads(str(arrays[_DETAILS]))
            state = {key: arrays[key] for key in arrays.files if key != _DETAILS}
        # One flipped bit in an archive's directory can make an array vanish.
        if list(state) != details.get("arrays", list(state)):
            raise ValueError("arrays are missing")
        history = tuple(EpochRecord(**record) for record in details["history"])
        # Written before phases had a name of their own: the state is that after the last epoch.
        objective = str(details.get("objective") or history[-1].objective)
        return Checkpoint(history, int(details["best_epoch"]), state, objective)
    except DAMAGE as error:
        raise RunError(f"{path}: the checkpoint is damaged ({error}); start a new run") from None
