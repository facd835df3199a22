"""Saved results of an evaluation: everything the report needs, and captions for COCO's tools."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from cutline.errors import DataError
from cutline.files import write_json
from cutline.records import EvaluationResult, Problem, Scores

EVALUATION: Final = "evaluation.json"
CAPTIONS: Final = "captions.json"


def save_evaluation(folder: Path, result: EvaluationResult, numeric_ids: bool = False) -> None:
    """Write ``evaluation.json`` (everything) and ``captions.json`` (COCO results JSON), each atomically.

    Args:
        folder: Made when it is absent.
        result: What to save.
        numeric_ids: Write image ids as integers, as COCO's tools expect for COCO's own images.
    """
    write_json(folder / EVALUATION, asdict(result))
    write_json(
        folder / CAPTIONS,
        [
            {"image_id": _as_number(image_id) if numeric_ids else image_id, "caption": text}
            for image_id, text in result.captions.items()
        ],
    )


def _as_number(image_id: str) -> int | str:
    """Return the number that an id is the usual spelling of; ids such as ``"007"`` stay what they are."""
    return int(image_id) if image_id.isdecimal() and str(int(image_id)) == image_id else image_id


def load_evaluation(path: Path) -> EvaluationResult:
    """Read what :func:`save_evaluation` wrote, from the file or its folder.

    Raises:
        DataError: The file is missing or not an evaluation.
    """
    path = path / EVALUATION if path.is_dir() else path
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        values["scores"] = Scores(**values["scores"])
        values["baseline"] = Scores(**values["baseline"])
        values["references"] = {key: tuple(texts) for key, texts in values["references"].items()}
        values["problems"] = tuple(Problem(**problem) for problem in values["problems"])
        return EvaluationResult(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a saved evaluation ({error}); run cutline evaluate again") from None
