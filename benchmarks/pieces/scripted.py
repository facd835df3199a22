"""Running a benchmark that stands by itself, and reading the table it prints."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measuring import ROOT, own_environment
from benchmarks.tables import read_table


def table_of(script: str, *arguments: str) -> tuple[list[str], list[list[str]], str]:
    """Run ``benchmarks/SCRIPT`` and return columns, rows and all that it printed.

    Raises:
        RuntimeError: It failed; the message is the last line it told.
    """
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    done = subprocess.run(command, env=own_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing was told"]
        raise RuntimeError(f"{script}: {told[-1]}")
    return *read_table(done.stdout), done.stdout


def number(cell: str) -> float:
    """Return the number in a cell, shares as parts of 1; ``nan`` for a cell without one."""
    text = cell.replace(",", "").strip()
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return float("nan")
