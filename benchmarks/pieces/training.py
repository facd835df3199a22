"""Captions per second in training, by decoder: what ``benchmarks/training_speed.py`` prints."""

from __future__ import annotations

from benchmarks.pieces import Asked
from benchmarks.pieces.scripted import number, table_of
from benchmarks.tables import Table


def run(asked: Asked) -> list[Table]:
    """Run it for each decoder with attention."""
    tables = []
    for decoder in ("attend", "up_down")[: asked.size(2, 1)]:
        rounds, batches = (asked.rounds, 4) if not asked.quick else (1, 1)
        asked.tell(f"training {decoder}")
        arguments = ["--decoder", decoder, "--rounds", str(rounds), "--batches", str(batches)]
        if asked.quick:  # every length is a graph to compile
            arguments += ["--longest", "5"]
        columns, rows, printed = table_of("training_speed.py", *arguments)
        told = next(line for line in printed.splitlines() if "GFLOP/s" in line)
        ceilings = told.partition("; products")[2]
        best = max(rows[1:], key=lambda row: number(row[2]))
        plain = [row for row in rows[1:] if "together" not in row[0]]
        note = (
            f"`benchmarks/training_speed.py {' '.join(arguments)}`: 49 × 2048 features, 2,541 tokens, "
            f"64 captions in a step; median of {rounds} rounds of {batches} steps, in turn. "
            f"Products{ceilings}."
        )
        values = {
            "times": number(best[2]),
            "share": max(number(row[3]) for row in rows[1:]),
            "times_alike": max(number(row[2]) for row in plain),
        }
        tables.append(Table(decoder, columns, rows, note, values))
    return tables
