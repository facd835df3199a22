"""Streams whose reader has left."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from cutline.cli.progress import RichProgress
from cutline.cli.streams import lasting


class Failing(io.StringIO):
    """A stream on which nothing can be written, for one reason."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO])
def test_a_reader_that_has_left_stops_nothing(number: int) -> None:
    stream = lasting(Failing(number))
    assert stream.write("text") == 4
    stream.flush()
    progress = RichProgress(Console(file=stream, force_terminal=True))
    with progress.stage("epoch 1/5", 4, "batches") as stage:
        progress.note("a note")
        stage.advance(4)


def test_a_full_disk_is_still_told() -> None:
    stream = lasting(Failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        stream.write("text")
    with pytest.raises(OSError, match="No space left"):
        stream.flush()


def test_what_is_left_in_the_buffer_of_a_closed_pipe_complains_no_more() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as pipe:  # noqa: PTH123 (a descriptor has no path)
        stream = lasting(pipe)
        for _ in range(3):
            stream.write("x" * 100_000)
            stream.flush()
    assert pipe.closed


def test_a_stream_that_is_read_is_as_before(tmp_path: Path) -> None:
    with (tmp_path / "out.txt").open("w", encoding="utf-8") as file:
        stream = lasting(file)
        stream.write("kept\n")
        assert (stream.isatty(), stream.encoding, stream.fileno()) == (False, "utf-8", file.fileno())
    assert (tmp_path / "out.txt").read_text() == "kept\n"
