from __future__ import annotations

from dataclasses import fields

import tensorflow as tf
from tests.fakes import made_up_history

from cutline.records import EpochRecord
from cutline.training.tensorboard import TensorBoardLog


def scalars(folder) -> dict[tuple[str, int], float]:
    found = {}
    for path in folder.iterdir():
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_every_column_of_the_history_becomes_a_curve(tmp_path):
    log = TensorBoardLog(tmp_path / "logs")
    for record in made_up_history(2):
        log.add(record)
    log.close()
    found = scalars(tmp_path / "logs")
    assert found["cider_d", 2] == made_up_history(2)[1].cider_d
    assert {step for _, step in found} == {1, 2}
    assert "epoch" not in {name for name, _ in found}
    numbers = {field.name for field in fields(EpochRecord)} - {"epoch", "objective"}
    assert {name for name, _ in found} == numbers
    assert len(found) == 2 * len(numbers)


def test_a_resumed_run_adds_to_its_logs(tmp_path):
    for record in made_up_history(2):
        log = TensorBoardLog(tmp_path / "logs")
        log.add(record)
        log.close()
    assert {step for _, step in scalars(tmp_path / "logs")} == {1, 2}


def test_nothing_is_written_before_the_first_epoch(tmp_path):
    TensorBoardLog(tmp_path / "logs").close()
    assert not (tmp_path / "logs").exists()
