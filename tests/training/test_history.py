from __future__ import annotations

import pytest
from tests.fakes import made_up_history

from cutline.errors import RunError
from cutline.training.history import load_history, save_history


def test_a_history_comes_back_as_it_was(tmp_path):
    history = made_up_history(3)
    save_history(tmp_path / "history.csv", history)
    assert load_history(tmp_path / "history.csv") == history
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0].startswith(
        "epoch,learning_rate,train_loss,train_accuracy,val_loss,val_accuracy,bleu_4,cider_d"
    )
    assert len(lines) == 4


def test_a_history_of_no_epoch_is_empty(tmp_path):
    save_history(tmp_path / "history.csv", ())
    assert load_history(tmp_path / "history.csv") == ()


@pytest.mark.parametrize(
    "content", [None, b"", b"image,caption\na.jpg,a dog\n", b"\xff\xfe\x00", b"epoch\n1\n", "half a row"]
)
def test_what_is_no_history_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "history.csv"
    if content == "half a row":
        save_history(path, made_up_history(2))
        content = path.read_bytes()[:-20]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=r"history\.csv: not a training history \(") as error:
        load_history(path)
    assert "\n" not in str(error.value)
