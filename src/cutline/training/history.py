"""``history.csv``: one row per epoch, readable by people and spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from cutline.errors import RunError
from cutline.files import write_text
from cutline.records import EpochRecord

_COLUMNS = [field.name for field in fields(EpochRecord)]
_ADDED_LATER = {"objective", "reward", "cider_d_error"}


def save_history(path: Path, history: Sequence[EpochRecord]) -> None:
    """Write all epochs atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for record in history:
        writer.writerow([getattr(record, name) for name in _COLUMNS])
    write_text(path, text.getvalue())


def load_history(path: Path) -> tuple[EpochRecord, ...]:
    """Read the epochs back; RunError when the file is missing or not a history."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.DictReader(stream)
            if not set(_COLUMNS) - _ADDED_LATER <= set(rows.fieldnames or ()):
                raise ValueError(f"its columns are not {', '.join(_COLUMNS)}")
            return tuple(_record(row) for row in rows)
    except (OSError, TypeError, ValueError, csv.Error) as error:
        raise RunError(f"{path}: not a training history ({error})") from None


def _record(row: Mapping[str, str]) -> EpochRecord:
    known = [name for name in _COLUMNS if name in row]
    values: dict[str, Any] = {name: float(row[name]) for name in known if name != "objective"}
    if "objective" in row:
        values["objective"] = row["objective"]
    return EpochRecord(**{**values, "epoch": int(row["epoch"])})
