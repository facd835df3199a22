"""Saved results of an evaluation: everything the report needs, and captions for COCO's tools."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from cutline.errors import DataError
from cutline.files import write_json
from cutline.records import EvaluationResult

EVALUATION: Final = "evaluation.json"
CAPTIONS: Final = "captions.json"
_EVALUATION: Final = TypeAdapter(EvaluationResult)


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
        DataError: The file is missing, not an evaluation, or one of another version of cutline.
    """
    path = path / EVALUATION if path.is_dir() else path
    try:
        content = path.read_bytes()
        return _EVALUATION.validate_json(content)
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError:
        # Which fields are missing is of no help to a person: all of them are measured together.
        if _is_of_another_version(content):
            raise DataError(
                f"{path}: written by another version of cutline, which saved other figures; cutline evaluate "
                "makes it anew"
            ) from None
        reason = "damaged, or a file of something else"
    raise DataError(f"{path}: not a saved evaluation ({reason}); run cutline evaluate again")


def _is_of_another_version(content: bytes) -> bool:
    try:
        found = json.loads(content)
    except ValueError:
        return False
    return isinstance(found, dict) and {"split", "scores", "captions"} <= found.keys()
