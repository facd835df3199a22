"""The public names are a promise: whoever changes them changes this list and the changelog."""

from __future__ import annotations

import cutline

PUBLIC = [
    *("Captioner", "CutlineError", "Dataset", "EvaluationResult", "Example", "Explanation"),
    *("Hypothesis", "Run"),
    *("ScoreOptions", "ScoreReport", "Scores", "Wishes"),
    *("check", "evaluate", "read_dataset", "score", "score_files", "train", "write_report"),
]


def test_the_public_names_are_these() -> None:
    assert cutline.__all__ == PUBLIC


def test_every_public_name_can_be_loaded_and_is_documented() -> None:
    assert all(getattr(cutline, name).__doc__ for name in PUBLIC)
    assert set(PUBLIC) <= set(dir(cutline))
