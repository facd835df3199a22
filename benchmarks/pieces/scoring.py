"""Scoring beside COCO's reference code: what ``benchmarks/score_speed.py`` prints."""

from __future__ import annotations

from importlib.util import find_spec

from benchmarks.pieces import Asked, Skipped
from benchmarks.pieces.scripted import number, table_of
from benchmarks.tables import Table


def run(asked: Asked) -> list[Table]:
    """Run it on captions that are made up."""
    if find_spec("pycocoevalcap") is None:
        raise Skipped("pycocoevalcap is not installed; pip install 'cutline[coco]'")
    images, repeats = asked.size(10_000, 50), asked.size(asked.rounds, 1)
    asked.tell(f"scoring {images:,} captions")
    columns, rows, _ = table_of("score_speed.py", "--images", str(images), "--repeats", str(repeats))
    note = (
        f"`benchmarks/score_speed.py --images {images}`: {images:,} hypotheses, five references each, one "
        f"thread; median of {repeats} processes each, in turn. Java's memory is not counted."
    )
    if len(rows) < 4:
        note += " Without Java, so that only tokens that are given are scored."
    return [Table("", columns, rows, note, {"times": number(rows[1][-1])})]
