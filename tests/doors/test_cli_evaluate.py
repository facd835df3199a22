"""What ``cutline evaluate`` prints about groups, and how soon it finds that there is no model."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import StubRecipe, made_up_whole_evaluation
from typer.testing import CliRunner

from cutline.cli.app import app
from cutline.records import Interval, Slice, UnlikeTraining


def test_groups_are_printed_with_intervals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = made_up_whole_evaluation(tmp_path)
    groups = (
        Slice("scene", "dog", 18, 42.5, 13.9, Interval(24.3, 62.8)),
        Slice("scene", "other", 1, 22.2, 8.3),
    )
    StubRecipe.put(monkeypatch, "evaluate", "evaluate", replace(whole, slices=(*whole.slices, *groups)))
    lines = CliRunner().invoke(app, ["evaluate", "runs/first", "captions.csv"]).stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("by scene"))
    assert lines[at].split() == ["by", "scene", "images", "CIDEr-D", "95", "%", "interval"]
    assert lines[at + 1].split() == ["dog", "18", "42.5", "24.3", "to", "62.8"]
    assert lines[at + 2].split() == ["other", "1", "22.2"]
    assert not [line for line in lines if line.startswith(("by caption length", "by rare words"))]


def test_the_share_unlike_the_training_images_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = replace(made_up_whole_evaluation(tmp_path), unlike_training=UnlikeTraining(8, ("0.jpg",), 0.03))
    StubRecipe.put(monkeypatch, "evaluate", "evaluate", whole)
    arguments = ["evaluate", "runs/first", "captions.csv"]
    lines = CliRunner().invoke(app, arguments).stdout.splitlines()
    assert "unlike the training images: 12.5% of 8 images (3% of images like those would be)" in lines
    figures = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert figures["unlike_training"] == {"images": 8, "share": 0.125, "expected": 0.03}
    StubRecipe.put(monkeypatch, "evaluate", "evaluate", replace(whole, unlike_training=None))
    assert "unlike" not in CliRunner().invoke(app, arguments).stdout


def test_a_model_that_is_not_there_is_told_before_tensorflow_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys, atexit; from cutline.cli import main;"
        "atexit.register(lambda: print('tensorflow' in sys.modules)); main()"
    )
    arguments = [sys.executable, "-c", code, "evaluate", str(tmp_path / "gone"), "captions.csv"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert "gone: no such model" in done.stderr
    assert (done.returncode, done.stdout) == (2, "False\n")


def test_models_to_be_evaluated_together_are_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = StubRecipe.put(monkeypatch, "evaluate", "evaluate", made_up_whole_evaluation(tmp_path))
    arguments = ["evaluate", "runs/first", "captions.csv", "--with", "b", "--with", "c", "--out", "both"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    ((positional, options),) = stub.calls
    assert positional == ("runs/first", "captions.csv")
    assert (options["together_with"], options["out"]) == (["b", "c"], Path("both"))
