"""The demo, small: its whole way, twice in a row, and never over somebody's files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import ActingProgress

from cutline.data.store_folder import locked
from cutline.errors import RunError
from cutline.recipes.demo import MARKER, Demo, demo


@pytest.fixture(scope="module")
def small(world) -> dict[str, Any]:
    """One epoch of a small decoder, and an encoder that sees the mean colour alone."""
    return {
        "training.epochs": 1,
        "decoder.embedding_units": 16,
        "decoder.lstm_units": 32,
        "encoder.name": world.options["encoder.name"],
    }


@pytest.fixture(scope="module")
def done(small, tmp_path_factory) -> tuple[Path, Demo]:
    folder = tmp_path_factory.mktemp("demo") / "out"
    return folder, demo(folder, images=60, overrides=small)


def test_the_demo_draws_trains_evaluates_captions_and_reports(done):
    folder, found = done
    assert (folder / "data" / "captions.csv").exists()
    assert (folder / "run" / "bundle" / "manifest.json").exists()
    assert (folder / "run" / "evaluation-test" / "evaluation.json").exists()
    assert Path(found.report) == folder / "run" / "report.html"
    assert Path(found.report).read_text().startswith("<!doctype html>")
    assert (found.test.images, found.held_out.images, found.held_out_baseline.images) == (6, 3, 3)
    assert found.seconds > 0


def test_it_says_what_it_did_where_it_is_and_what_to_try_next(done):
    folder, found = done
    text = "\n".join(found.lines)
    assert "60 scenes, 300 captions" in text
    assert str(folder / "run" / "report.html") in text
    assert "\n".join(found.photos.lines) in text
    assert "cutline train captions.csv --images photos/ --run runs/first" in text
    assert sum(line.startswith("  images/scene-") for line in found.lines) == 3


def test_a_second_demo_takes_the_place_of_the_first(small, done):
    folder, first = done
    notes = folder / "notes.txt"
    notes.write_text("mine")
    second = demo(folder, images=60, overrides=small)
    assert second.test == first.test
    assert notes.read_text() == "mine"


def test_a_folder_that_no_demo_made_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    for folder in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt"):
        with pytest.raises(RunError) as error:
            demo(folder)
        assert str(error.value) == (
            f"{folder}: exists and was not made by the demo; choose another folder with --out"
        )
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
def test_a_demo_at_work_keeps_its_files(tmp_path):
    (tmp_path / "run").mkdir()
    for name in (MARKER, "run/history.csv"):
        (tmp_path / name).write_text("{}")
    with locked(tmp_path), pytest.raises(RunError) as error:
        demo(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: another demo is at work in it; wait for it, or choose another folder with --out"
    )
    assert (tmp_path / "run" / "history.csv").exists()
    assert not (tmp_path / "data").exists()


def test_ctrl_c_ends_the_demo(small, tmp_path):
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path / "out", images=60, overrides=small, progress=ActingProgress("epoch 1", 1, interrupt))
    assert not list((tmp_path / "out" / "run").glob("evaluation-*"))
