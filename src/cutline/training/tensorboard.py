"""TensorBoard logs of a run, one scalar per column of ``history.csv``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import tensorflow as tf

from cutline.records import EpochRecord


class TensorBoardLog:
    """Writes epochs to a folder that ``tensorboard --logdir`` shows.

    Args:
        folder: Made on the first epoch; a resumed run adds to it.
    """

    def __init__(self, folder: Path) -> None:
        """Remember the folder; nothing is written yet."""
        self._folder = folder
        self._writer: tf.summary.SummaryWriter | None = None

    def add(self, record: EpochRecord) -> None:
        """Write one epoch."""
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self._folder))
        with self._writer.as_default(step=record.epoch):
            for name, value in asdict(record).items():
                if name not in ("epoch", "objective"):
                    tf.summary.scalar(name, value)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
