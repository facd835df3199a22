"""``cutline export`` from arguments to lines, with a recipe that needs no model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.fakes import StubRecipe
from typer.testing import CliRunner, Result

from cutline.cli.app import app
from cutline.cli.export import Target
from cutline.recipes.export import FORMATS, Exported
from cutline.recipes.export_bundle import BundleContent


def run(*arguments: str) -> Result:
    return CliRunner(env={"NO_COLOR": "1"}).invoke(app, ["export", *arguments], prog_name="cutline")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubRecipe:
    monkeypatch.setattr("cutline.runtime.bundle.find_bundle", lambda path: path)
    return StubRecipe.put(
        monkeypatch,
        "export",
        "export",
        Exported(Path("page"), {"files.js": 1_234_567, "index.html": 90}, 2e-6),
    )


AS_IT_WAS = {"name": "float32", "reason": "", "images": 0, "cider_d": 0.0, "cider_d_int8": 0.0}


def test_what_was_written_is_printed_with_sizes_and_how_far_it_agrees(stub: StubRecipe) -> None:
    result = run("runs/first", "--format", "web", "--out", "page", "--onnxruntime-web", "ort.tgz")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == (
        "files.js                   1,234,567 bytes\n"
        "index.html                        90 bytes\n"
        "in all                     1,234,657 bytes\n"
        "log-probabilities differ from the model's by at most 2e-06\n"
        "page/index.html\n"
    )
    assert stub.calls == [
        (
            ("runs/first", Path("page"), "web"),
            {
                "runtime": Path("ort.tgz"),
                "encoder_precision": "float32",
                "decoder_precision": "float32",
                "most_lost": 0.5,
                "content": None,
                "data": None,
                "images": None,
                "overwrite": False,
            },
        )
    ]


def test_json_has_the_same(stub: StubRecipe) -> None:
    document = json.loads(run("runs/first", "--out", "page", "--json").stdout)
    assert document == {
        "out": "page",
        "files": {"files.js": 1_234_567, "index.html": 90},
        "log_probability": 2e-6,
        "encoder": AS_IT_WAS,
        "decoder": AS_IT_WAS,
    }


def test_what_a_bundle_holds_and_says_is_handed_on(stub: StubRecipe) -> None:
    options = ("--no-captions", "--no-weights", "--licence", "MIT", "--data-notes", "Our garden.")
    result = run("runs/first", "--format", "bundle", "--out", "garden.zip", *options)
    assert result.exit_code == 0, result.stderr
    ((arguments, given),) = stub.calls
    assert arguments == ("runs/first", Path("garden.zip"), "bundle")
    assert given["content"] == BundleContent(False, False, "MIT", "Our garden.")


def test_long_names_stand_in_a_column_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"saved_model.pb": 90, "variables/variables.data-00000-of-00001": 1_234_567}
    StubRecipe.put(monkeypatch, "export", "export", Exported(Path("saved"), sizes, 2e-6))
    lines = run("runs/first", "--format", "saved_model", "--out", "saved").stdout.splitlines()
    assert lines[:3] == [
        "saved_model.pb                                       90 bytes",
        "variables/variables.data-00000-of-00001       1,234,567 bytes",
        "in all                                        1,234,657 bytes",
    ]


def test_the_formats_offered_are_those_of_the_recipe() -> None:
    assert [target.value for target in Target] == list(FORMATS)


def test_a_zip_file_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    model = tmp_path / "model.zip"
    model.write_text("no zip file")
    result = run(str(model), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {model}: not a zip file, or a damaged one (")
    assert result.stderr.count("\n") == 1


def test_a_model_that_is_not_there_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    result = run(str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert not (tmp_path / "out").exists()
