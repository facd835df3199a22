"""Writing scores to a file without writing over somebody's captions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Final

from cutline.errors import ConfigError
from cutline.files import write_json
from cutline.records import ScoreReport

_FORMAT: Final = "cutline score"
_VERSION: Final = 1


def check_score_output(output: Path) -> None:
    """Raise ConfigError unless scores can be written to a file of this name.

    A file that exists is replaced only when it holds scores: it may as well be the captions.

    Raises:
        ConfigError: Another ending than ``.json``; a folder; or a file that holds something else.
    """
    if output.suffix.lower() != ".json":
        raise ConfigError(f"--output {output}: unknown ending {output.suffix!r}; scores are written as .json")
    if output.is_dir():
        raise ConfigError(f"--output {output}: is a folder; name a file")
    if output.exists() and not _holds_scores(output):
        raise ConfigError(f"--output {output}: exists already and does not hold scores; choose another name")


def _holds_scores(output: Path) -> bool:
    with output.open("rb") as stream:
        return _FORMAT.encode() in stream.read(100)


def save_scores(report: ScoreReport, output: Path) -> None:
    """Write everything to a JSON file, atomically, the scores of every image included.

    Raises:
        ConfigError: As :func:`check_score_output`.
    """
    check_score_output(output)
    write_json(output, {"format": _FORMAT, "version": _VERSION, **asdict(report)})
