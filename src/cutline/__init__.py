"""cutline teaches a small, fast CNN-LSTM to caption your own photos.

Names are loaded when they are first used, so that ``import cutline`` costs next to nothing and never
imports a deep-learning framework by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cutline.captioner import Captioner
    from cutline.data.readers import read_dataset
    from cutline.errors import CutlineError
    from cutline.metrics import score
    from cutline.recipes.check import check
    from cutline.recipes.evaluate import evaluate
    from cutline.recipes.report import write_report
    from cutline.recipes.score import ScoreOptions, score_files
    from cutline.recipes.train import train
    from cutline.records import (
        Dataset,
        EvaluationResult,
        Example,
        Explanation,
        Hypothesis,
        Run,
        ScoreReport,
        Scores,
    )
    from cutline.wishes import Wishes

__version__ = "0.1.0"

_ROOM_OF = {
    "Captioner": "cutline.captioner",
    "CutlineError": "cutline.errors",
    "Dataset": "cutline.records",
    "EvaluationResult": "cutline.records",
    "Example": "cutline.records",
    "Explanation": "cutline.records",
    "Hypothesis": "cutline.records",
    "Run": "cutline.records",
    "ScoreOptions": "cutline.recipes.score",
    "ScoreReport": "cutline.records",
    "Scores": "cutline.records",
    "Wishes": "cutline.wishes",
    "check": "cutline.recipes.check",
    "evaluate": "cutline.recipes.evaluate",
    "read_dataset": "cutline.data.readers",
    "write_report": "cutline.recipes.report",
    "score": "cutline.metrics",
    "score_files": "cutline.recipes.score",
    "train": "cutline.recipes.train",
}

__all__ = [
    "Captioner",
    "CutlineError",
    "Dataset",
    "EvaluationResult",
    "Example",
    "Explanation",
    "Hypothesis",
    "Run",
    "ScoreOptions",
    "ScoreReport",
    "Scores",
    "Wishes",
    "check",
    "evaluate",
    "read_dataset",
    "score",
    "score_files",
    "train",
    "write_report",
]


def __getattr__(name: str) -> object:
    """Load a public name from its room on first use."""
    if name in _ROOM_OF:
        value = getattr(import_module(_ROOM_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'cutline' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List public names."""
    return sorted([*__all__, "__version__"])
