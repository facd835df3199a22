from __future__ import annotations

import random

import numpy as np
import pytest
from tests.fakes import made_up_history

from cutline.errors import RunError
from cutline.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint

STATE = {
    "model/000": np.random.default_rng(0).random((16, 8), np.float32),
    "model/001": np.array([7, 8], np.uint32),
    "optimizer/000": np.array(42, np.int64),
}


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    history = made_up_history(3)
    save_checkpoint(tmp_path / "checkpoint.npz", Checkpoint(history, 2, STATE))
    loaded = load_checkpoint(tmp_path / "checkpoint.npz")
    assert loaded is not None
    assert (loaded.history, loaded.best_epoch) == (history, 2)
    assert list(loaded.state) == list(STATE)
    for key, array in STATE.items():
        np.testing.assert_array_equal(loaded.state[key], array)
        assert loaded.state[key].dtype == array.dtype
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_no_checkpoint_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "checkpoint.npz") is None


def damaged(path) -> str | None:
    try:
        checkpoint = load_checkpoint(path)
    except RunError as error:
        return str(error)
    assert checkpoint is not None
    for key, array in STATE.items():
        np.testing.assert_array_equal(checkpoint.state[key], array)
    return None


def test_damage_is_one_line_and_never_other_numbers(tmp_path):
    path, chance = tmp_path / "checkpoint.npz", random.Random(0)
    save_checkpoint(path, Checkpoint(made_up_history(1), 1, STATE))
    whole = path.read_bytes()
    refusals = 0
    for _ in range(400):
        broken = bytearray(whole)
        broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        message = damaged(path)
        assert message is None or (
            message.startswith(f"{path}: the checkpoint is damaged (") and "\n" not in message
        )
        refusals += message is not None
    # What is left are dates and other fields of the archive that carry no numbers.
    assert refusals > 250


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(tmp_path, share):
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, Checkpoint(made_up_history(1), 1, STATE))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(RunError, match=r"checkpoint\.npz: the checkpoint is damaged \(.*\); start a new"):
        load_checkpoint(path)


def test_another_archive_is_no_checkpoint(tmp_path):
    np.savez(tmp_path / "checkpoint.npz", something=np.zeros(3))
    with pytest.raises(RunError, match="the checkpoint is damaged"):
        load_checkpoint(tmp_path / "checkpoint.npz")
    np.savez(tmp_path / "checkpoint.npz", details=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RunError, match="the checkpoint is damaged"):
        load_checkpoint(tmp_path / "checkpoint.npz")
